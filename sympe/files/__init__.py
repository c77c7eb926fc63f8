"""Graphs and lattices from files, one at a time; a line that cannot be read is named, and reading goes on.

The format is that of the suffix, and each has a file here. Packages that only one format needs are imported when it is
read, and all of this when it is first asked for. Text may be packed by gzip.
"""

from typing import TYPE_CHECKING

from sympe.lazy import door

if TYPE_CHECKING:
    from sympe.files.base import Loaded
    from sympe.files.options import Options
    from sympe.files.reading import READERS, load, load_texts, parse_texts

__all__ = ["READERS", "Loaded", "Options", "load", "load_texts", "parse_texts"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = door(
        __name__,
        {
            "sympe.files.base": ("Loaded",),
            "sympe.files.options": ("Options",),
            "sympe.files.reading": ("READERS", "load", "load_texts", "parse_texts"),
        },
    )
