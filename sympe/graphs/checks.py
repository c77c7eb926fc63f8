"""Checks that everything that takes graphs has in common, and when graphs are equal."""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from sympe.graphs.batches import DenseGraphs, Graphs, SparseGraphs


def check_sizes(x: Graphs, max_nodes: int) -> Int64[Tensor, " batch"]:
    """The sizes of the graphs.

    Raises:
        TypeError: if ``x`` is no batch of graphs.
        ValueError: if a graph has more than ``max_nodes`` nodes.
    """
    if not isinstance(x, DenseGraphs | SparseGraphs):
        raise TypeError(
            f"x: expected DenseGraphs or SparseGraphs, got {type(x).__name__} "
            "(sympe.integrations.pyg is for data of PyTorch Geometric)"
        )
    sizes = x.sizes
    if len(sizes) and int(sizes.max()) > max_nodes:
        row = int(sizes.argmax())
        raise ValueError(
            f"x: expected graphs of at most max_nodes = {max_nodes} nodes; graph {row} has {int(sizes[row])}"
        )
    return sizes


def without_spare_padding(x: Graphs, max_nodes: int) -> Graphs:
    """The same graphs, in no more than ``max_nodes`` places.

    Example:
        >>> x = DenseGraphs.from_features(torch.zeros(1, 9, 9).long(), mask=torch.arange(9)[None] < 2)
        >>> without_spare_padding(x, 4).mask.shape
        torch.Size([1, 2])
    """
    return x.trimmed() if isinstance(x, DenseGraphs) and x.mask.shape[1] > max_nodes else x


def equal_graphs(x: Graphs, y: Graphs) -> Bool[Tensor, " batch"]:
    """Which graphs of two batches of the same sizes are the same, node by node and arc by arc."""
    x, y = x.sparse(), y.sparse()
    same = torch.bincount(x.graph[x.colors != y.colors], minlength=len(x)) == 0
    n = len(x.colors)
    keys, colors = [z.arcs[0] * n + z.arcs[1] for z in (x, y)], (x.arc_colors, y.arc_colors)
    for (key, color), (other, other_color) in itertools.permutations(zip(keys, colors, strict=True)):
        place = torch.searchsorted(other, key).clamp(max=max(len(other) - 1, 0))
        missing = (other[place] != key) | (other_color[place] != color) if len(other) else torch.ones_like(key) == 1
        same[x.graph[key[missing] // max(n, 1)]] = False
    return same


def fixes_padding(g: Int64[Tensor, "batch max_nodes"], x: Graphs) -> Bool[Tensor, " batch"]:
    """Which permutations leave the padding where it is."""
    place = torch.arange(g.shape[1], device=g.device)
    return ((g == place) | (place < x.sizes[:, None])).all(1)
