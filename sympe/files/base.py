"""What the readers of all formats share: the options, what they give, and how a line that cannot be read is named."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import networkx as nx
from torch import Tensor

from sympe.graphs import SparseGraphs
from sympe.tolerance import Tolerance

Loaded = tuple[str, "SparseGraphs | Tensor | str", Tensor | None, Tensor | None]
"""A name; a graph, a field on a lattice, or what is wrong; targets of nodes or sites; targets of edges."""


@dataclass(frozen=True)
class Options:
    """What to read from a file.

    Arguments:
        node_features: attribute of nodes that colours them, or "none". Where the default is absent all nodes are alike;
            where another is, the input is bad.
        edge_features: the same for edges.
        node_targets: attribute (of PyG data), or array (of an npz file), with targets of nodes or sites.
        edge_targets: attribute of PyG data with targets of edges.
        smiles_column: column of a CSV file; None for the first whose name contains "smiles".
        hydrogens: whether hydrogens of molecules are nodes; else they are part of their atom's colour.
        tolerance: largest gap between floats that count as equal, relative to the largest of their channel.

    Raises:
        ValueError: if ``tolerance`` is negative or not finite.
    """

    node_features: str = "x"
    edge_features: str = "edge_attr"
    node_targets: str | None = None
    edge_targets: str | None = None
    smiles_column: str | None = None
    hydrogens: bool = False
    tolerance: float | Tolerance = 1e-6

    def __post_init__(self) -> None:
        Tolerance.of(self.tolerance)


Reader = Callable[[Path, Options], Iterator[Loaded]]
"""Everything in one file."""


def attempt(name: str, parse: Callable[[], SparseGraphs]) -> Loaded:
    """What ``parse`` gives; or, by name, why it cannot."""
    try:
        return name, parse(), None, None
    except (ValueError, TypeError, KeyError, IndexError, nx.NetworkXException) as error:
        return name, f"{type(error).__name__}: {error}" if not str(error) else str(error), None, None


def lines(name: str, file: io.BufferedReader | io.BytesIO) -> Iterator[tuple[str, str]]:
    """Place and text of every line that is not blank, without the space around it; closes the file."""
    with io.TextIOWrapper(file, encoding="utf-8", errors="replace") as text:
        for number, line in enumerate(text, 1):
            if line.strip():
                yield f"{name}:{number}", line.strip()
