"""``python -m sympe`` is the ``sympe`` command."""

from sympe.cli import main

if __name__ == "__main__":
    main()
