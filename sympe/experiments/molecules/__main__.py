"""``python -m sympe.experiments.molecules``, see :mod:`sympe.experiments.molecules.nodes`."""

from sympe.experiments.molecules.nodes import main  # processes that it starts cannot find what is defined here

if __name__ == "__main__":
    main()
