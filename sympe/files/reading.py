"""Which file of this folder reads which format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from sympe.files import edge_lists, graph6, graphml, lattices, molecules, pyg, xyz
from sympe.files.base import Loaded, Reader, attempt, suffix_of
from sympe.files.options import Options

_BY_TEXT = dict.fromkeys((".g6", ".d6", ".s6"), graph6) | dict.fromkeys((".smi", ".csv", ".sdf"), molecules)
"""Formats with one input a line or record."""

_TEXT: dict[str, Reader] = {
    **{suffix: module.read for suffix, module in _BY_TEXT.items()},
    ".graphml": graphml.read,
    ".edgelist": edge_lists.read,
    ".txt": edge_lists.read,
    ".xyz": xyz.read,
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
    yield from _reader(path, options)(path, options)


def load_texts(path: Path, options: Options) -> Iterator[tuple[str, str]] | None:
    """Place and text of everything in a file of one input a line or record, for :func:`parse_texts`; else None.

    Raises:
        FileNotFoundError: as :func:`load`.
        ValueError: as :func:`load`, some of them when it is read.
    """
    _reader(path, options)
    if suffix_of(path) not in _BY_TEXT or (options.coordinates and suffix_of(path) == ".sdf"):
        return None
    texts: Iterator[tuple[str, str]] = _BY_TEXT[suffix_of(path)].texts(path, options)
    return texts


def parse_texts(suffix: str, texts: Sequence[tuple[str, str]], options: Options) -> Iterator[Loaded]:
    """The inputs of some texts, in any process.

    Arguments:
        suffix: the format, by :func:`~sympe.files.base.suffix_of`.
        texts: place and text.
        options: as for :func:`load`.

    Example:
        >>> [one.name for one in parse_texts(".g6", [("a.g6:1", "Bw")], Options())]
        ['a.g6:1']
    """
    for place, text in texts:
        yield attempt(place, partial(_BY_TEXT[suffix].parse, suffix, text, options))


def _reader(path: Path, options: Options) -> Reader:
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
    return reader
