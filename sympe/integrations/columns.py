"""Graphs with named attributes of any kind, as other libraries keep them, as one batch of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.graphs import SparseGraphs
from sympe.graphs.coloring import check_features, clusters
from sympe.graphs.molecules import label_of
from sympe.tolerance import Tolerance


@dataclass(frozen=True)
class NamedGraph:
    """One graph, with columns of attributes.

    Arguments:
        size: the number of nodes.
        edges: pairs of their numbers.
        directed: whether the edges are arcs.
        nodes: the values of each attribute, node by node; None where a node has none.
        features: the same for edges.
    """

    size: int
    edges: list[tuple[int, int]]
    directed: bool
    nodes: dict[str, list[Any]]
    features: dict[str, list[Any]]


def batch_of(graphs: Sequence[NamedGraph], tolerance: float | Tolerance) -> SparseGraphs:
    """The coloured graphs, whose colours do not depend on the rest of the batch.

    Integers and booleans are compared as they are, text by a hash, floats by clusters within each graph. An attribute
    is of one kind in all graphs; one with a float is of floats.

    Raises:
        TypeError: if a value is something else.
        ValueError: if a value is absent or not finite.
    """
    tolerance = Tolerance.of(tolerance)
    sizes = torch.tensor([graph.size for graph in graphs], dtype=torch.int64)
    starts = (sizes.cumsum(0) - sizes).tolist()
    arcs: list[tuple[int, int]] = []
    owners, edge_rows = [], []
    edges = 0
    for row, (graph, start) in enumerate(zip(graphs, starts, strict=True)):
        for number, (i, j) in enumerate(graph.edges):
            ends = (
                [(start + i, start + j)]
                if graph.directed or i == j
                else [(start + i, start + j), (start + j, start + i)]
            )
            arcs += ends
            owners += [row] * len(ends)
            edge_rows += [edges + number] * len(ends)
        edges += len(graph.edges)
    node_owner = torch.arange(len(sizes)).repeat_interleave(sizes)
    rows = torch.tensor(edge_rows, dtype=torch.int64)
    return SparseGraphs.from_features(
        torch.tensor(arcs, dtype=torch.int64).view(-1, 2).T,
        sizes,
        _colors("node_attrs", [graph.nodes for graph in graphs], node_owner, None, tolerance),
        _colors("edge_attrs", [graph.features for graph in graphs], torch.tensor(owners).long(), rows, tolerance),
        directed=True,
    )


def _colors(
    argument: str, columns: list[dict[str, list[Any]]], owner: Tensor, rows: Tensor | None, tolerance: Tolerance
) -> Tensor | None:
    """Integers, a channel for each attribute; None if there is none."""
    channels = []
    for name in columns[0] if columns else ():
        values = [value for part in columns for value in part[name]]
        channel = _numbers(f"{argument}: {name!r}", values)
        channel = channel if rows is None else channel[rows]
        if channel.is_floating_point():
            check_features(argument, channel, tolerance)
            channel = clusters(channel, owner, tolerance, argument)
        channels.append(channel)
    return torch.stack(channels, 1) if channels else None


def _numbers(name: str, values: list[Any]) -> Int64[Tensor, " count"] | Tensor:
    """One attribute of all graphs."""
    if any(value is None for value in values):
        raise ValueError(
            f"{name}: expected a value everywhere, got none at number {values.index(None)} of {len(values)}"
        )
    if all(isinstance(value, str) for value in values):
        return torch.tensor([label_of(value) for value in values], dtype=torch.int64)
    try:
        found = torch.tensor([value.item() if isinstance(value, Tensor) else value for value in values])
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        kinds = sorted({type(value).__name__ for value in values})
        raise TypeError(f"{name}: expected numbers, or text everywhere, got {', '.join(kinds)}") from error
    if found.dim() != 1:
        raise TypeError(f"{name}: expected one number each, got {tuple(found.shape[1:])} of them")
    return found.double() if found.is_floating_point() else found.long()
