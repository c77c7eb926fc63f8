"""Edge lists (.edgelist, .txt): one graph a file.

Two words a line are the names of two nodes; one word is a node without edges; # begins a comment.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import networkx as nx

from sympe.files.base import Loaded, Options, attempt, lines
from sympe.files.networks import from_networkx


def read(path: Path, options: Options) -> Iterator[Loaded]:
    """The lines that cannot be read, then the graph of the others."""
    graph = nx.Graph()
    with path.open("rb") as file:
        for place, line in lines(path.name, file):
            words = line.split("#")[0].split()
            if len(words) == 1:
                graph.add_node(words[0])
            elif len(words) == 2:
                graph.add_edge(*words)
            elif words:
                yield place, f"expected two nodes, got {len(words)} words", None, None
    if len(graph):
        yield attempt(path.name, lambda: from_networkx(graph, options))
    else:
        yield path.name, "expected at least one edge or node, got none", None, None
