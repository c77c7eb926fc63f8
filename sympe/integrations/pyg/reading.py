"""What of a ``Data`` is the coloured graph."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor
from torch_geometric.data import Data, HeteroData
from torch_geometric.utils import to_edge_index

from sympe.graphs import SparseGraphs
from sympe.graphs.attributes import graphs_of, table
from sympe.tolerance import Tolerance


def to_graphs(
    data: Data,
    *,
    node_attr: str | None = "x",
    edge_attr: str | None = "edge_attr",
    directed: bool | None = None,
    tolerance: float | Tolerance = 1e-6,
) -> SparseGraphs:
    """The coloured graphs of a ``Data``, also with a ``batch`` vector, or a ``Batch``.

    What is coloured breaks symmetry: nodes with different features are not exchanged. An attribute that is absent
    leaves all nodes, or all edges, equal; attributes that are not named, such as ``edge_weight`` and ``pos``, are not
    looked at.

    Arguments:
        data: one graph, or a batch of them; with ``edge_index``, or with ``adj_t``, a sparse matrix of the reversed
            arcs.
        node_attr: the attribute with the node features, ``(nodes,)`` or ``(nodes, channels)``; None ignores features.
        edge_attr: the attribute with the edge features; "adj_t" for the values of that matrix.
        directed: whether arcs may lack their reverse; False raises if one does, None warns and takes them as they are.
        tolerance: largest gap between floats that count as equal, relative to the largest of their channel in their
            graph (:mod:`sympe.tolerance`).

    Raises:
        TypeError: if ``data`` is no ``Data``, such as ``HeteroData``.
        ValueError: if it has neither ``edge_index`` nor ``adj_t``, an attribute does not fit it, one other than the
            defaults is absent, or ``adj_t`` has values that differ and nothing says whether they are colours.

    Example:
        >>> data = Data(edge_index=torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), num_nodes=3)
        >>> from torch_geometric.data import Batch
        >>> to_graphs(Batch.from_data_list([data, data])).sizes
        tensor([3, 3])
    """
    options: Any = {"node_attr": node_attr, "edge_attr": edge_attr, "tolerance": tolerance}
    attributes = attributes_of(data, edge_attr)
    graphs = graphs_of(attributes, int(data.num_nodes or 0), directed=directed is not False, **options)
    if directed is None and graphs.is_directed:
        warnings.warn(
            "edge_index: an edge has one direction only, or other features backwards, so the graph is taken as "
            "directed, with fewer symmetries; directed=True says that it is meant, PyG's ToUndirected() mends it",
            stacklevel=2,
        )
    return graphs


@dataclass(frozen=True)
class Reading:
    """Options of :func:`to_graphs`, which it is called with.

    Arguments:
        node_attr: the attribute with the node features.
        edge_attr: the attribute with the edge features.
        directed: whether arcs may lack their reverse.
        tolerance: largest gap between floats that count as equal.

    Example:
        >>> Reading(edge_attr=None)
        Reading(node_attr='x', edge_attr=None, directed=None, tolerance=1e-06)
    """

    node_attr: str | None = "x"
    edge_attr: str | None = "edge_attr"
    directed: bool | None = None
    tolerance: float | Tolerance = 1e-6

    @classmethod
    def of(cls, options: dict[str, Any]) -> Reading:
        """The options, if they are known.

        Raises:
            TypeError: names those that are not.
        """
        known = [field.name for field in fields(cls)]
        if unknown := set(options) - set(known):
            raise TypeError(f"options: expected {', '.join(known)} of to_graphs; got {', '.join(sorted(unknown))}")
        return cls(**options)

    def __call__(self, data: Data) -> SparseGraphs:
        """The graphs of ``data``."""
        return to_graphs(data, **vars(self))


def attributes_of(data: Data, edge_attr: str | None) -> dict[str, Any]:
    """The attributes by name, with an ``edge_index`` where there is ``adj_t`` alone.

    Raises:
        TypeError: if ``data`` is no ``Data``.
        ValueError: if ``adj_t`` has values that differ and nothing says whether they are colours.
    """
    if isinstance(data, HeteroData):
        raise TypeError(
            "data: HeteroData has nodes of several types; data.to_homogeneous() makes one of them, whose node_type and "
            "edge_type are colours (node_attr='node_type', edge_attr='edge_type')"
        )
    if not isinstance(data, Data):
        raise TypeError(f"data: expected a torch_geometric Data or Batch, got {type(data).__name__}")
    attributes: dict[str, Any] = data.to_dict()
    adjacency = attributes.pop("adj_t", None)
    if adjacency is None or attributes.get("edge_index") is not None:
        return attributes
    arcs, values = to_edge_index(adjacency)
    attributes["edge_index"] = arcs.flip(0)  # adj_t[i, j] is the arc from j to i
    if edge_attr == "adj_t":
        attributes["adj_t"] = values
    elif edge_attr is not None and attributes.get(edge_attr) is None:
        rows = table("adj_t", values)
        if len(rows) and bool((rows != rows[:1]).any()):
            raise ValueError(
                "adj_t: has values that differ; edge_attr='adj_t' colours the edges by them, edge_attr=None ignores "
                "them"
            )
    return attributes


def places_of(sizes: Int64[Tensor, " batch"]) -> tuple[Int64[Tensor, " nodes"], Int64[Tensor, " nodes"]]:
    """The graph of each node, and its number in it.

    Example:
        >>> places_of(torch.tensor([2, 1]))
        (tensor([0, 0, 1]), tensor([0, 1, 0]))
    """
    graph = torch.arange(len(sizes), device=sizes.device).repeat_interleave(sizes)
    return graph, torch.arange(len(graph), device=sizes.device) - (sizes.cumsum(0) - sizes)[graph]
