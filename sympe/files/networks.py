"""What networkx has read, as a coloured graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sympe.files.base import Channel, Loaded
from sympe.files.options import Options
from sympe.graphs import SparseGraphs
from sympe.graphs.coloring import check_features, clusters
from sympe.graphs.molecules import label_of
from sympe.tolerance import Tolerance


def from_networkx(name: str, graph: Any, options: Options, *, edge_default: str = "edge_attr") -> Loaded:
    """A batch of one; attributes named by the options are colours, defaults of GraphML among them.

    Arguments:
        name: what it is called.
        graph: of networkx, directed or not, with or without multiple edges.
        options: which attributes are colours.
        edge_default: the attribute of edges where the options name none.

    Raises:
        ValueError: if nothing has an attribute that was asked for by a name of one's own, or a float is not finite.
    """
    node_key, edge_key = options.node_features, options.edge_features
    if edge_key == Options.edge_features:
        edge_key = edge_default
    number = {node: i for i, node in enumerate(graph)}
    directed = graph.is_directed()
    arcs, kinds = [], []
    for i, j, kind in graph.edges(data=edge_key, default=graph.graph.get("edge_default", {}).get(edge_key)):
        ends = [(number[i], number[j])] if directed or i == j else [(number[i], number[j]), (number[j], number[i])]
        arcs += ends
        kinds += [kind] * len(ends)
    default = graph.graph.get("node_default", {}).get(node_key)
    colors = [graph.nodes[node].get(node_key, default) for node in graph]
    for argument, key, values in (("node_features", node_key, colors), ("edge_features", edge_key, kinds)):
        own = getattr(options, argument) not in ("none", getattr(Options, argument))
        if own and values and all(value is None for value in values):
            raise ValueError(f"{argument}: nothing has an attribute {key!r}")
    node_colors, node_floats = _labels(node_key, colors, options)
    edge_colors, edge_floats = _labels(edge_key, kinds, options)
    content = SparseGraphs.from_features(
        torch.tensor(arcs, dtype=torch.int64).view(-1, 2).T,
        torch.tensor([len(number)]),
        node_colors,
        edge_colors,
        directed=directed,
    )
    return Loaded(name, content, floats=(*node_floats, *edge_floats))


def _labels(key: str, values: list[Any], options: Options) -> tuple[Tensor | None, list[Channel]]:
    """Integers for labels of any kind.

    As in :mod:`sympe.integrations`: whole numbers as they are, text by a hash, floats by clusters in this graph, and
    nothing where nothing has one. Labels of several kinds by their order as text, in this graph.
    """
    if key == "none" or all(value is None for value in values):
        return None, []
    if all(isinstance(value, str) for value in values):
        return torch.tensor([label_of(value) for value in values], dtype=torch.int64), []
    if {type(value) for value in values} in ({int}, {bool}) and all(-(2**63) <= value < 2**63 for value in values):
        return torch.tensor(values).long(), []
    if any(isinstance(value, float) for value in values):  # 1 and 1.0 are the same number
        try:
            values = [float(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in values]
        except OverflowError as error:
            raise ValueError(f"{key}: expected finite values, got a whole number beyond all floats") from error
    words = sorted({repr(value) for value in values if not isinstance(value, float)})
    place = {word: number for number, word in enumerate(words)}
    found = torch.tensor([place.get(repr(value), 0) for value in values], dtype=torch.int64)
    chosen = [row for row, value in enumerate(values) if isinstance(value, float)]
    if not chosen:
        return found, []
    floats = torch.tensor([values[row] for row in chosen], dtype=torch.float64)
    check_features(key, floats, Tolerance.of(options.tolerance))
    found[chosen] = len(words) + clusters(
        floats, torch.zeros(len(floats), dtype=torch.int64), Tolerance.of(options.tolerance)
    )
    return found, [(key, floats)]
