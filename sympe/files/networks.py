"""What networkx has read, as a coloured graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sympe.files.base import Options
from sympe.graphs import SparseGraphs


def from_networkx(graph: Any, options: Options) -> SparseGraphs:
    """A batch of one; attributes named by the options are colours.

    Raises:
        ValueError: if nothing has an attribute that was asked for by a name of one's own.
    """
    number = {node: i for i, node in enumerate(graph)}
    directed = graph.is_directed()
    arcs, kinds = [], []
    for i, j, kind in graph.edges(data=options.edge_features):
        ends = [(number[i], number[j])] if directed or i == j else [(number[i], number[j]), (number[j], number[i])]
        arcs += ends
        kinds += [kind] * len(ends)
    colors = [graph.nodes[node].get(options.node_features) for node in graph]
    for argument, name, values in (
        ("node_features", options.node_features, colors),
        ("edge_features", options.edge_features, kinds),
    ):
        if name not in ("none", getattr(Options, argument)) and values and all(value is None for value in values):
            raise ValueError(f"{argument}: nothing has an attribute {name!r}")
    return SparseGraphs.from_features(
        torch.tensor(arcs, dtype=torch.int64).view(-1, 2).T,
        torch.tensor([len(number)]),
        _labels(colors),
        _labels(kinds),
        directed=directed,
    )


def _labels(values: list[Any]) -> Tensor:
    """Integers for labels of any kind, by their order as text among those of this graph."""
    words = sorted({repr(value) for value in values})
    return torch.tensor([words.index(repr(value)) for value in values], dtype=torch.int64)
