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

from sympe.graphs import Graphs, SparseGraphs
from sympe.graphs.coloring import mix
from sympe.losses.automorphisms import WEIGHTS, automorphisms

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

    def part(self, start: int, stop: int) -> Arrangements:
        """Those of some graphs that follow each other."""
        ends = torch.tensor([start, stop], device=self.rows.device)
        rows, groups = (slice(*torch.searchsorted(of, ends).tolist()) for of in (self.rows, self.groups))
        return Arrangements(
            self.rows[rows] - start,
            self.images[rows],
            self.groups[groups] - start,
            self.members[groups],
            self.sizes[groups],
        )


@dataclass(frozen=True)
class _Leaves:
    """The leaves that are set aside, numbered over the batch, sorted by neighbour, then by kind."""

    node: Tensor
    neighbour: Tensor
    kind: Tensor
    group: Tensor

    def select(self, chosen: Tensor) -> _Leaves:
        group = self.group[chosen].unique_consecutive(return_inverse=True)[1]
        return _Leaves(self.node[chosen], self.neighbour[chosen], self.kind[chosen], group)


def arrangements(x: Graphs, *, limit: int) -> Arrangements:
    """The automorphisms of every graph of a batch.

    Raises:
        ValueError: if a core has more than ``limit``.

    Example:
        Ethane has 72 automorphisms: two of the carbons, and six of either's hydrogens.

        >>> from sympe.graphs import DenseGraphs
        >>> bonds = torch.zeros(8, 8).long()
        >>> bonds[[0, 0, 0, 0, 1, 1, 1], [1, 2, 3, 4, 5, 6, 7]] = 1
        >>> found = arrangements(DenseGraphs.from_features((bonds + bonds.T)[None]), limit=10)
        >>> found.images.tolist(), found.sizes
        ([[0, 1, 2, 3, 4, 5, 6, 7], [1, 0, 5, 6, 7, 2, 3, 4]], tensor([3, 3]))
    """
    x = x.sparse()
    batch, n = len(x), int(x.sizes.max()) if len(x) else 0
    graph, starts = x.graph, x.starts
    leaves = _leaves(x)
    core, nodes = _core(x, leaves, graph)
    try:
        rows, s = automorphisms(core, limit=limit)
    except ValueError as error:
        raise ValueError(f"molecules: without the exchanges of leaves, {str(error).removeprefix('x: ')}") from error
    images = _carried(x, leaves, core, nodes, rows, s, graph)
    plain = torch.ones(batch, dtype=torch.bool, device=x.device)
    plain[rows] = False
    alone = plain.nonzero().squeeze(1)  # the others have the identity only
    rows, order = torch.cat([alone, rows]).sort(stable=True)
    images = torch.cat([torch.arange(n, device=x.device).expand(len(alone), -1), images])[order]

    sizes = leaves.group.bincount()
    first = sizes.cumsum(0) - sizes
    several = sizes > 1
    sizes, first = sizes[several], first[several]
    within = torch.arange(LARGEST, device=x.device)
    members = leaves.node[first[:, None] + torch.where(within < sizes[:, None], within, 0)]
    of = graph[members[:, 0]]
    return Arrangements(rows, images, of, members - starts[of, None], sizes)


def _leaves(x: SparseGraphs) -> _Leaves:
    """The leaves that are set aside."""
    total = len(x.colors)
    i, j = x.arcs
    arc_colors = x.arc_colors
    loops = torch.zeros_like(x.colors)
    loop = i == j
    if bool(loop.any()):
        loops[i[loop]] = arc_colors[loop]
        i, j, arc_colors = i[~loop], j[~loop], arc_colors[~loop]
    out_degree, in_degree = i.bincount(minlength=total), j.bincount(minlength=total)
    # of nodes with one neighbour: its place, and the colours of the arcs
    nothing = torch.zeros_like(x.colors)
    out, back = nothing.index_add(0, i, j), nothing.index_add(0, j, i)
    leaf = (torch.maximum(out_degree, in_degree) == 1) & ((out_degree != in_degree) | (out == back))
    neighbour = torch.where(leaf, torch.maximum(out, back), 0)
    node = (leaf & ~leaf.index_select(0, neighbour)).nonzero().squeeze(1)
    by = neighbour.index_select(0, node)
    there, here = nothing.index_add(0, i, arc_colors), nothing.index_add(0, j, arc_colors)
    parts = (x.colors, loops, there, here)
    kind = torch.zeros_like(node)
    for part, weight in zip(parts, WEIGHTS, strict=True):
        kind.add_(part.index_select(0, node), alpha=weight)
    kind = mix(kind)
    order = kind.argsort(stable=True)
    order = order.index_select(0, by.index_select(0, order).argsort(stable=True))
    node, by, kind = (part.index_select(0, order) for part in (node, by, kind))
    new = torch.ones_like(kind, dtype=torch.bool)
    new[1:] = (kind.diff() != 0) | (by.diff() != 0)
    group = new.cumsum(0) - 1
    found = _Leaves(node, by, kind, group)
    sizes = group.bincount()
    if not len(sizes) or int(sizes.max()) <= LARGEST:
        return found
    return found.select((sizes[group] <= LARGEST).nonzero().squeeze(1))


def _core(x: SparseGraphs, leaves: _Leaves, graph: Tensor) -> tuple[SparseGraphs, Int64[Tensor, " kept"]]:
    """The graphs without the leaves, and the nodes that they have."""
    kept = torch.ones(len(x.colors), dtype=torch.bool, device=x.device)
    kept[leaves.node] = False
    carried = torch.zeros_like(x.colors).index_add_(0, leaves.neighbour, mix(leaves.kind))
    nodes = kept.nonzero().squeeze(1)
    colors = mix(x.colors.index_select(0, nodes) * WEIGHTS[0] + carried.index_select(0, nodes))
    i, j = x.arcs
    inside = (kept.index_select(0, i) & kept.index_select(0, j)).nonzero().squeeze(1)
    place = kept.cumsum(0) - 1
    arcs = torch.stack([place.index_select(0, end.index_select(0, inside)) for end in (i, j)])
    sizes = graph.index_select(0, nodes).bincount(minlength=len(x))
    return SparseGraphs(sizes, colors, arcs, x.arc_colors.index_select(0, inside)), nodes


def _carried(
    x: SparseGraphs, leaves: _Leaves, core: SparseGraphs, nodes: Tensor, row: Tensor, s: Tensor, graph: Tensor
) -> Int64[Tensor, "listed nodes"]:
    """Automorphisms of cores as such of the graphs, with the leaves of each node in their order."""
    total, starts = len(x.colors), x.starts
    every = torch.arange(int(x.sizes.max()) if len(x) else 0, device=x.device)
    if not len(row):
        return every.expand(0, -1)
    # all nodes by owner, which is their neighbour or themselves: first itself, then its leaves
    owner = torch.arange(total, device=x.device)
    owner[leaves.node] = leaves.neighbour
    number = owner.bincount(minlength=total)
    base = number.cumsum(0) - number
    slot = base.clone()
    place = torch.arange(len(leaves.node), device=x.device)
    before = (number > 0).cumsum(0)  # those of them that are owners
    slot[leaves.node] = place + before.index_select(0, leaves.neighbour)
    rank = slot - base.index_select(0, owner)
    by_slot = torch.empty_like(slot)
    by_slot[slot] = torch.arange(total, device=x.device)
    home = before.index_select(0, owner) - (core.starts + 1).index_select(0, graph)

    sizes, start, shape = x.sizes[row, None], starts[row, None], (len(row), len(every))
    at = (start + torch.minimum(every, sizes - 1)).flatten()
    image = (core.starts[row, None] + s).clamp(max=len(nodes) - 1).flatten()
    image = base.index_select(0, nodes).index_select(0, image).view(s.shape)
    image = image.gather(1, home.index_select(0, at).view(shape)).flatten()
    moved = by_slot.index_select(0, image + rank.index_select(0, at)).view(shape) - start
    return torch.where(every < sizes, moved, every)
