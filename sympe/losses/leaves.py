r"""The symmetries of molecular graphs without the exchanges of leaves that hang on one node.

The hydrogens of a methyl group change places independently of all else, and k such groups multiply the automorphisms
by :math:`6^k`. So they are set aside: leaves (nodes with one neighbour, which is no leaf itself) of one neighbour, with
one colour and one kind of bond, are a *group*, if there are two to four of them. What is left is the *core*, whose
nodes know by their colours which leaves they carried. Every automorphism is one of the core, which takes groups to
groups, and then an exchange inside each group.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.graphs import DenseGraphs, Graphs
from sympe.graphs.coloring import hashed, mix
from sympe.kernels import GraphKernel

LARGEST = 4
"""The most leaves of a group; larger ones stay in the core."""


@dataclass(frozen=True)
class Arrangements:
    """Automorphisms of a batch of graphs: those of the cores, and groups of leaves that are free to be exchanged.

    Arguments:
        rows: the graph of each automorphism of a core, ascending.
        images: where it takes each node; leaves in their order.
        groups: the graph of each group, ascending.
        members: the nodes of each group; the first once more where there are fewer than four.
        sizes: the number of nodes of each group, 2 to 4.
    """

    rows: Int64[Tensor, " listed"]
    images: Int64[Tensor, "listed nodes"]
    groups: Int64[Tensor, " groups"]
    members: Int64[Tensor, "groups 4"]
    sizes: Int64[Tensor, " groups"]


@dataclass(frozen=True)
class _Leaves:
    """The leaves of groups, sorted by neighbour, then by kind."""

    graph: Tensor
    node: Tensor
    neighbour: Tensor
    kind: Tensor
    group: Tensor

    def select(self, chosen: Tensor) -> _Leaves:
        group = self.group[chosen].unique_consecutive(return_inverse=True)[1]
        return _Leaves(self.graph[chosen], self.node[chosen], self.neighbour[chosen], self.kind[chosen], group)


def arrangements(x: Graphs, *, limit: int) -> Arrangements:
    """The automorphisms of every graph of a batch.

    Raises:
        ValueError: if a core has more than ``limit``.

    Example:
        Ethane has 72 automorphisms: two of the carbons, and six of either's hydrogens.

        >>> bonds = torch.zeros(8, 8).long()
        >>> bonds[[0, 0, 0, 0, 1, 1, 1], [1, 2, 3, 4, 5, 6, 7]] = 1
        >>> found = arrangements(DenseGraphs.from_features((bonds + bonds.T)[None]), limit=10)
        >>> found.images.tolist(), found.sizes
        ([[0, 1, 2, 3, 4, 5, 6, 7], [1, 0, 5, 6, 7, 2, 3, 4]], tensor([3, 3]))
    """
    x = x.dense()
    batch, n = x.mask.shape
    leaves = _leaves(x)
    place = torch.arange(len(leaves.node), device=x.device)
    owner = leaves.graph * n + leaves.neighbour
    flat = leaves.graph * n + leaves.node
    first = torch.full((batch * n,), len(place), device=x.device).scatter_reduce(0, owner, place, "amin")
    rank = torch.zeros(batch * n, dtype=torch.int64, device=x.device)
    rank[flat] = place - first[owner]  # among the leaves of its neighbour
    neighbour = torch.zeros_like(rank)
    neighbour[flat] = leaves.neighbour
    aside = torch.zeros_like(rank, dtype=torch.bool)
    aside[flat] = True
    first, rank, neighbour, aside = (part.view(batch, n) for part in (first, rank, neighbour, aside))

    core, nodes = _core(x, leaves, aside)
    kernel = GraphKernel(max(1, core.mask.shape[1]), order="refined")
    try:
        rows, g = kernel.list_coset(core, limit=limit)
    except ValueError as error:
        raise ValueError(f"molecules: without the exchanges of leaves, {str(error).removeprefix('x: ')}") from error
    group = kernel.group
    start = g[torch.searchsorted(rows, torch.arange(batch, device=x.device))]
    s = group.compose(g, group.inverse(start)[rows])
    own = nodes[rows]
    images = torch.arange(n, device=x.device).repeat(len(rows), 1).scatter(1, own, own.gather(1, s))
    if len(place):  # the leaf of the same rank on the image of the neighbour
        carried = first[rows].gather(1, images.gather(1, neighbour[rows])) + rank[rows]
        images = torch.where(aside[rows], leaves.node[carried.clamp(max=len(place) - 1)], images)

    sizes = leaves.group.bincount()
    starts = sizes.cumsum(0) - sizes
    several = sizes > 1
    sizes, starts = sizes[several], starts[several]
    within = torch.arange(LARGEST, device=x.device)
    members = leaves.node[starts[:, None] + torch.where(within < sizes[:, None], within, 0)]
    return Arrangements(rows, images, leaves.graph[starts], members, sizes)


def _leaves(x: DenseGraphs) -> _Leaves:
    """The leaves that are set aside."""
    n = x.mask.shape[1]
    arcs = (x.pairs != 0).float()
    places = torch.arange(n, device=x.device, dtype=arcs.dtype)
    both = torch.stack([torch.ones_like(places), places], 1)
    loops = arcs.diagonal(dim1=1, dim2=2)[:, :, None] * both
    # how many neighbours there are on each side, and the sum of their places: of one neighbour, its place
    out_degree, out = (arcs @ both - loops).unbind(2)
    in_degree, back = ((both.T @ arcs).mT - loops).unbind(2)
    leaf = (torch.maximum(out_degree, in_degree) == 1) & ((out_degree != in_degree) | (out == back))
    neighbour = torch.where(leaf, torch.maximum(out, back), 0).long()
    leaf = leaf & ~leaf.gather(1, neighbour)
    graph, node = leaf.nonzero(as_tuple=True)
    by = neighbour[graph, node]
    kind = hashed(
        torch.stack(
            [x.colors[graph, node], x.pairs[graph, node, node], x.pairs[graph, node, by], x.pairs[graph, by, node]], 1
        )
    )
    order = kind.argsort(stable=True)
    order = order[(graph * n + by)[order].argsort(stable=True)]
    graph, node, by, kind = graph[order], node[order], by[order], kind[order]
    new = torch.ones_like(kind, dtype=torch.bool)
    new[1:] = (kind.diff() != 0) | (by.diff() != 0) | (graph.diff() != 0)
    group = new.cumsum(0) - 1
    found = _Leaves(graph, node, by, kind, group)
    return found.select((group.bincount()[group] <= LARGEST).nonzero().squeeze(1))


def _core(x: DenseGraphs, leaves: _Leaves, aside: Tensor) -> tuple[DenseGraphs, Int64[Tensor, "batch nodes"]]:
    """The graphs without the leaves, and the nodes that they have."""
    batch, n = x.mask.shape
    kept = x.mask & ~aside
    sizes = kept.sum(1)
    nodes = (~kept).to(torch.uint8).argsort(dim=1, stable=True)[:, : int(sizes.max()) if batch else 0]
    carried = torch.zeros(batch * n, dtype=torch.int64, device=x.device)
    carried.index_add_(0, leaves.graph * n + leaves.neighbour, mix(leaves.kind))
    colors = hashed(torch.stack([x.colors.flatten(), carried], 1)).view(batch, n)
    mask = torch.arange(nodes.shape[1], device=x.device) < sizes[:, None]
    rows = torch.arange(batch, device=x.device)[:, None]
    pairs = x.pairs[rows[:, :, None], nodes[:, :, None], nodes[:, None]]
    pairs = pairs * (mask[:, :, None] & mask[:, None])
    return DenseGraphs(pairs, colors.gather(1, nodes) * mask, mask), nodes
