"""What the readers of all formats share: the options, what they give, and how a line that cannot be read is named."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import networkx as nx
from torch import Tensor

from sympe.graphs import SparseGraphs
from sympe.tolerance import Tolerance

Channel = tuple[str, Tensor]
"""The name of a channel of floats that became colours, and its values."""


class Loaded(NamedTuple):
    """One input of a file.

    Arguments:
        name: the file and the place in it.
        content: a graph, a field on a lattice, or what is wrong.
        node_targets: of nodes or sites.
        edge_targets: in the order of the graph's arcs.
        floats: the channels of floats that became colours.
    """

    name: str
    content: SparseGraphs | Tensor | str
    node_targets: Tensor | None = None
    edge_targets: Tensor | None = None
    floats: tuple[Channel, ...] = ()


@dataclass(frozen=True)
class Options:
    """What to read from a file.

    Arguments:
        node_features: attribute of nodes that colours them, or "none". Where the default is absent all nodes are alike;
            where another is, the input is bad.
        edge_features: the same for edges; the default of edge lists is the weight.
        node_targets: attribute (of PyG data), or array (of an npz file), with targets of nodes or sites.
        edge_targets: attribute of PyG data with targets of edges.
        smiles_column: column of a CSV file; None for the first whose name contains "smiles".
        hydrogens: whether hydrogens of molecules are nodes; else they are part of their atom's colour.
        directed: whether the lines of edge lists are arcs, from the first node to the second.
        three_channels: what three channels of a lattice are: "ising", the bonds and the field of a Hamiltonian, or
            "scalars".
        tolerance: largest gap between floats that count as equal (features, weights, fields), relative to the largest
            of their channel.
        trust: whether to open .pt files with Python's pickle, which can run any code; else classes that are not of
            torch or PyTorch Geometric are refused.

    Raises:
        ValueError: if ``tolerance`` is negative or not finite.
    """

    node_features: str = "x"
    edge_features: str = "edge_attr"
    node_targets: str | None = None
    edge_targets: str | None = None
    smiles_column: str | None = None
    hydrogens: bool = False
    directed: bool = False
    three_channels: Literal["ising", "scalars"] = "ising"
    tolerance: float = 1e-6
    trust: bool = False

    def __post_init__(self) -> None:
        Tolerance.of(self.tolerance)


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
