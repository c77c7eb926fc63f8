"""The ``sympe`` command, also as ``python -m sympe``: says so where its extra is missing."""

import sys

from sympe.extras import missing

try:
    from sympe.cli import main
except ModuleNotFoundError as error:
    if (error.name or "sympe").partition(".")[0] == "sympe":
        raise
    sys.exit(f"sympe: {missing('the command needs the package', error.name or '', 'experiments', whole=True)}")
except KeyboardInterrupt:  # before it began
    sys.exit(130)

if __name__ == "__main__":
    main()
