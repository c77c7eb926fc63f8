"""Graph6 and sparse6 (.g6, .s6): a graph a line."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import networkx as nx

from sympe.files.base import Loaded, Options, attempt, lines
from sympe.files.networks import from_networkx
from sympe.graphs import SparseGraphs


def read(path: Path, options: Options) -> Iterator[Loaded]:
    """One graph a line."""
    decode = nx.from_graph6_bytes if path.suffix == ".g6" else nx.from_sparse6_bytes

    def parse(text: str) -> SparseGraphs:
        return from_networkx(decode(text.encode()), options)

    with path.open("rb") as file:
        for place, line in lines(path.name, file):
            yield attempt(place, partial(parse, line))
