"""igraph: graphs with their attributes, as one batch for any kernel of graphs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import igraph

from sympe.graphs import SparseGraphs
from sympe.groups.checks import check_kind
from sympe.integrations.columns import NamedGraph, batch_of
from sympe.tolerance import Tolerance


def from_igraph(
    graphs: igraph.Graph | Iterable[igraph.Graph],
    *,
    node_attrs: Sequence[str] = (),
    edge_attrs: Sequence[str] = (),
    tolerance: float | Tolerance = 1e-6,
) -> SparseGraphs:
    """Graphs of igraph, directed or not, with or without several edges between two nodes.

    Arguments:
        graphs: one graph, or several.
        node_attrs: attributes that colour nodes: numbers, booleans or text, on every node.
        edge_attrs: attributes that colour edges.
        tolerance: as in :func:`sympe.integrations.networkx.from_networkx`.

    Raises:
        TypeError: if one is no graph, or a value is neither a number nor text.
        ValueError: if a node or edge has not the attribute.

    Example:
        >>> from sympe.kernels import GraphKernel
        >>> ring, weighted = igraph.Graph.Ring(5), igraph.Graph.Ring(5)
        >>> ring.es["weight"], weighted.es["weight"] = 1.0, [1.0, 1.0, 2.0, 1.0, 1.0]
        >>> GraphKernel(max_nodes=5).entropy(from_igraph([ring, weighted], edge_attrs=["weight"])).exp().round()
        tensor([10.,  2.])
    """
    every = [graphs] if isinstance(graphs, igraph.Graph) else graphs
    return batch_of([_named(graph, node_attrs, edge_attrs) for graph in every], tolerance)


def _named(graph: igraph.Graph, node_attrs: Sequence[str], edge_attrs: Sequence[str]) -> NamedGraph:
    check_kind("graphs", graph, igraph.Graph)
    return NamedGraph(
        graph.vcount(),
        graph.get_edgelist(),
        graph.is_directed(),
        {name: [found.get(name) for found in (v.attributes() for v in graph.vs)] for name in node_attrs},
        {name: [found.get(name) for found in (e.attributes() for e in graph.es)] for name in edge_attrs},
    )
