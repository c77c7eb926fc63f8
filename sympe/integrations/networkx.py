"""networkx: graphs with their attributes, as one batch for any kernel of graphs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import networkx as nx

from sympe.graphs import SparseGraphs
from sympe.groups.checks import check_kind
from sympe.integrations.columns import NamedGraph, batch_of
from sympe.tolerance import Tolerance


def from_networkx(
    graphs: nx.Graph | Iterable[nx.Graph],
    *,
    node_attrs: Sequence[str] = (),
    edge_attrs: Sequence[str] = (),
    tolerance: float | Tolerance = 1e-6,
) -> SparseGraphs:
    """Graphs of networkx, directed or not, with or without several edges between two nodes.

    Nodes are numbered in the order in which the graph lists them. Attributes that are not named are not looked at.

    Arguments:
        graphs: one graph, or several.
        node_attrs: attributes that colour nodes: numbers, booleans or text, on every node.
        edge_attrs: attributes that colour edges.
        tolerance: largest gap between floats that count as equal, relative to the largest of their attribute in their
            graph (:mod:`sympe.tolerance`).

    Raises:
        TypeError: if one is no graph, or a value is neither a number nor text.
        ValueError: if a node or edge has not the attribute.

    Example:
        >>> from sympe.kernels import GraphKernel
        >>> butane, propanol = nx.path_graph(4), nx.path_graph(4)
        >>> nx.set_node_attributes(butane, "C", "element")
        >>> nx.set_node_attributes(propanol, {0: "C", 1: "C", 2: "C", 3: "O"}, "element")
        >>> x = from_networkx([butane, propanol], node_attrs=["element"])
        >>> GraphKernel(max_nodes=4).entropy(x).exp().round()
        tensor([2., 1.])
    """
    every = [graphs] if isinstance(graphs, nx.Graph) else graphs
    return batch_of([_named(graph, node_attrs, edge_attrs) for graph in every], tolerance)


def _named(graph: nx.Graph, node_attrs: Sequence[str], edge_attrs: Sequence[str]) -> NamedGraph:
    check_kind("graphs", graph, nx.Graph)
    number = {node: place for place, node in enumerate(graph)}
    edges = list(graph.edges(data=True))
    return NamedGraph(
        len(number),
        [(number[i], number[j]) for i, j, _ in edges],
        graph.is_directed(),
        {name: [graph.nodes[node].get(name) for node in graph] for name in node_attrs},
        {name: [found.get(name) for _, _, found in edges] for name in edge_attrs},
    )
