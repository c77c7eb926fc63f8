"""Graphs and lattices from files, one at a time; a line that cannot be read is named, and reading goes on.

The format is that of the suffix, and each has a file here. Packages that only one format needs are imported when it is
read. Text may be packed by gzip.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sympe.files import edge_lists, graph6, graphml, lattices, molecules, pyg
from sympe.files.base import Loaded, Options, Reader

__all__ = ["READERS", "Loaded", "Options", "load"]

_TEXT: dict[str, Reader] = {
    ".g6": graph6.read,
    ".d6": graph6.read,
    ".s6": graph6.read,
    ".smi": molecules.read,
    ".csv": molecules.read,
    ".sdf": molecules.read,
    ".graphml": graphml.read,
    ".edgelist": edge_lists.read,
    ".txt": edge_lists.read,
}

READERS: dict[str, Reader] = {
    ".pt": pyg.read,
    ".npz": lattices.read,
    **_TEXT,
    **{f"{suffix}.gz": reader for suffix, reader in _TEXT.items()},
}


def load(path: Path, options: Options) -> Iterator[Loaded]:
    """Everything in a file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the suffix is not known, targets are asked of a format that has none, or the file as a whole
            cannot be read.
        ImportError: if a package is missing; names the extra.
    """
    if not path.is_file():
        folder = ", but a folder: name the files in it" if path.is_dir() else ""
        raise FileNotFoundError(f"data: no file {path}{folder}")
    suffix = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    reader = READERS.get(suffix)
    if reader is None:
        raise ValueError(f"data: expected a file that ends with {', '.join(READERS)}; got {path.name}")
    has_targets = suffix in (".pt", ".npz")
    for name, value in (("node_targets", options.node_targets), ("edge_targets", options.edge_targets)):
        if value is not None and not (has_targets and (name == "node_targets" or suffix == ".pt")):
            raise ValueError(f"{name}: files that end with {suffix} have none")
    yield from reader(path, options)
