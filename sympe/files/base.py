"""What the readers of all formats share: what they give, and how a line that cannot be read is named."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import networkx as nx
from torch import Tensor

from sympe.files.options import Options
from sympe.graphs import Clouds, SparseGraphs

Channel = tuple[str, Tensor]
"""The name of a channel of floats that became colours, and its values."""


class Loaded(NamedTuple):
    """One input of a file.

    Arguments:
        name: the file and the place in it.
        content: a graph, a cloud, a field on a lattice, or what is wrong.
        node_targets: of nodes or sites.
        edge_targets: in the order of the graph's arcs.
        floats: the channels of floats that became colours.
    """

    name: str
    content: SparseGraphs | Clouds | Tensor | str
    node_targets: Tensor | None = None
    edge_targets: Tensor | None = None
    floats: tuple[Channel, ...] = ()


Reader = Callable[[Path, Options], Iterator[Loaded]]
"""Everything in one file."""


def attempt(name: str, parse: Callable[[], SparseGraphs | Loaded]) -> Loaded:
    """What ``parse`` gives; or, by name, why it cannot."""
    try:
        found = parse()
    except (ValueError, TypeError, KeyError, IndexError, nx.NetworkXException) as error:
        return Loaded(name, f"{type(error).__name__}: {error}" if not str(error) else str(error))
    return found if isinstance(found, Loaded) else Loaded(name, found)


def lines(name: str, file: io.BufferedIOBase) -> Iterator[tuple[str, str]]:
    """Place and text of every line that is not blank, without the space around it; closes the file."""
    with io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace") as text:  # type: ignore[type-var]
        for number, line in enumerate(text, 1):
            if words := line.strip(" \t\r\n"):
                yield f"{name}:{number}", words


def suffix_of(path: Path) -> str:
    """The format: the suffix, without ".gz".

    Example:
        >>> suffix_of(Path("a.b.smi.gz"))
        '.smi'
    """
    return Path(path.name.removesuffix(".gz")).suffix


@contextmanager
def unpacked(name: str, file: io.BufferedIOBase) -> Iterator[tuple[str, io.BufferedIOBase]]:
    """The name without ".gz", and the bytes as they are read; the file itself if it is not packed.

    Raises:
        ValueError: while it is read, if it is damaged.
    """
    if not name.endswith(".gz"):
        yield name, file
        return
    try:
        with gzip.GzipFile(fileobj=file) as stream:
            yield name.removesuffix(".gz"), io.BufferedReader(stream)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"data: {name} is damaged, or no gzip file: {error}") from error
