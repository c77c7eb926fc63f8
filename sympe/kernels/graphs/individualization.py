r"""The coset C(x) of small graphs, many at once: colour refinement, then individualization of what it leaves tied.

A graph is given by integer colours of its nodes and of its ordered pairs; a permutation p in S_n takes pair (i, j) to
(p_i, p_j). *Refinement* replaces every node's colour by a hash of its colour and of the multiset of (pair colour,
neighbour's colour), until the partition of the nodes stands still. If every node has a colour of its own then, their
order by colour is canonical. If not, the smallest cell of tied nodes (of these the one of least colour) is
*individualized*: one child for each of its nodes, in which that node gets a new colour. At every level only the
children with the least hash of all their colours are kept. The leaves of this tree are orders of the nodes, and all of
it depends on the isomorphism class alone. So the leaves whose relabelled graphs agree are one coset
:math:`C(x) = G_x c(x)`, found without knowing the group.

Colours are 64-bit hashes (:mod:`sympe.kernels.graphs.hashes`). Two different things share one with a probability of
about :math:`2^{-62}`. In refinement that only leaves more to individualize; between leaves it would add an element that
does not belong to C(x).

Arrays have the batch last, ``(n, n, batch)``, so that every operation runs along contiguous memory.

References:
    McKay & Piperno, "Practical graph isomorphism, II", J. Symbolic Computation 2014 (refinement and individualization).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from sympe.graphs.coloring import mix
from sympe.kernels.graphs.hashes import PADDING, both_ways, color, first_color, individualize, weight, whole
from sympe.kernels.graphs.refinement import refine_rounds
from sympe.kernels.sorting import sort_rows

_OWN = 0x2545F4914F6CDD1D

_TABLE = 256

_AT_ONCE = 2**21
"""Pairs of nodes of children that are refined at once."""

_SPARSE = 4
"""Neighbours are listed where no node has more than one in so many of all."""

_SEVERAL = 6
"""So many colourings of each graph are worth products of matrices."""

_LARGE = 16
"""In graphs of so many nodes neighbours may be listed."""


class Leaves(NamedTuple):
    """The cosets of a batch of graphs, as two parallel lists, and the graphs that were given up.

    Arguments:
        rows: the graph of each leaf, ascending.
        orders: ``orders[t, r]`` is the node at canonical place r: an element of C(x). Padding stays in place.
        too_many: the graphs with more than ``limit`` nodes on some level of their tree; they have no leaf here.
    """

    rows: Int64[Tensor, " leaves"]
    orders: Int64[Tensor, "leaves n"]
    too_many: Bool[Tensor, " batch"]


def search_graphs(
    pairs: Int64[Tensor, "batch n n"],
    nodes: Int64[Tensor, "batch n"],
    mask: Bool[Tensor, "batch n"],
    *,
    limit: int = 256,
) -> Leaves:
    """The coset C(x) of every graph of the batch.

    Arguments:
        pairs: colour of the ordered pair (i, j), 0 where there is no edge and in the padding; a self-loop is at (i, i).
            Symmetric for an undirected graph.
        nodes: colour of each node.
        mask: which nodes are real; the real ones come first.
        limit: largest width of a graph's tree.

    Example:
        >>> path = torch.tensor([[[0, 1, 0], [1, 0, 1], [0, 1, 0]]])
        >>> leaves = search_graphs(path, torch.zeros(1, 3, dtype=torch.int64), torch.ones(1, 3, dtype=torch.bool))
        >>> len(leaves.rows)  # the path of three nodes and its reverse
        2
    """
    n = nodes.shape[1]
    hashed = _hash_pairs(pairs.permute(1, 2, 0).contiguous())
    weights = Heard(both_ways(hashed, hashed.transpose(0, 1)))
    padding = PADDING + torch.arange(n, device=nodes.device)[:, None]
    colors = torch.where(mask.T, first_color(nodes.T, nodes.T), padding)
    return search(weights, colors, limit=limit, few_neighbours=n >= _LARGE)


def search(
    weights: Heard | Shared,
    colors: Int64[Tensor, "n batch"],
    *,
    limit: int,
    few_neighbours: bool = False,
    distances: bool = False,
) -> Leaves:
    """The same from what nodes hear of each other.

    Arguments:
        weights: what nodes hear.
        colors: those before refinement; of padding from :data:`PADDING` on.
        limit: largest width of a graph's tree.
        few_neighbours: whether to look for graphs whose nodes hear from few others, which are then listed.
        distances: whether all nodes hear each other and a few of them tell all others apart. Then the others hear from
            each that is individualized, and no more: a child takes n steps, not n^2. The form is another one.
    """
    n, batch = colors.shape
    device = colors.device
    colors = refine(weights, colors)
    root = torch.arange(batch, device=device)
    too_many = torch.zeros(batch, dtype=torch.bool, device=device)
    leaves: list[tuple[Tensor, Tensor]] = []
    while len(root) and n:
        ordered = colors.T.contiguous().sort(dim=1)
        any_tied = (ordered.values[:, 1:] == ordered.values[:, :-1]).any(1)
        tied, discrete = (which.nonzero().squeeze(1) for which in (any_tied, ~any_tied))
        leaf, order = root[discrete], ordered.indices[discrete]
        if leaves:  # all leaves of a graph are found at once: those whose hash of the relabelled graph is the least
            weights = weights.shared(root)
            kept = _least(_form(weights, leaf, _columns(colors, discrete)), leaf, batch)
            leaf, order = leaf[kept], order[kept]
        leaves.append((leaf, order))
        if not len(tied):
            break
        root, colors = root[tied], _columns(colors, tied)
        cell = _smallest_cell(colors, ordered.values[tied])
        total = torch.zeros(batch, dtype=torch.int64, device=device).index_add_(0, root, cell.sum(0))
        too_many |= total > limit
        node, parent = (cell & ~too_many[root]).nonzero(as_tuple=True)
        if len(leaves) == 1 and few_neighbours and isinstance(weights, Heard):
            weights = weights.without_zeros(root[parent])
        root = root[parent]
        weights = weights.shared(root)
        step = max(1, _AT_ONCE // (n**2 if isinstance(weights, Heard) and not distances else n))
        finer = [
            _told(weights, _columns(colors, above), one, of)
            if distances
            else individualize(_columns(colors, above), one[None], len(leaves), partial(refine, weights.of(of)))
            for above, one, of in zip(*(part.split(step) for part in (parent, node, root)), strict=True)
        ]
        colors = torch.cat(finer or [colors[:, :0]], 1)
        kept = _least(whole(colors), root, batch)
        root, colors = root[kept], _columns(colors, kept)
    root, by = torch.cat([root for root, _ in leaves] or [root]).sort(stable=True)
    orders = torch.cat([order for _, order in leaves] or [colors.T])[by]
    return Leaves(root, orders, too_many)


def _told(weights: Heard | Shared, colors: Tensor, node: Tensor, root: Tensor) -> Tensor:
    """Colours after hearing from one node each, which hears from itself what no other does."""
    return torch.where(colors < PADDING, color(_OWN * colors + weights.each(node, root)), colors)


def _form(weights: Heard | Shared, root: Tensor, colors: Tensor) -> Int64[Tensor, " leaves"]:
    """A hash of each leaf's relabelled graph."""
    step = max(1, _AT_ONCE // len(colors) ** (2 if isinstance(weights, Heard) else 1))
    return torch.cat(
        [whole(_step(weights.of(of), part)) for of, part in zip(root.split(step), colors.split(step, 1), strict=True)]
        or [root]
    )


def _hash_pairs(colors: Tensor) -> Tensor:
    """Hashes of pair colours, 0 for 0; small colours are looked up, which costs a tenth."""
    if colors.numel() > _TABLE:
        least, most = colors.aminmax()
        if 0 <= int(least) <= int(most) < _TABLE:
            table = mix(torch.arange(_TABLE, device=colors.device))
            table[0] = 0
            return table.index_select(0, colors.view(-1)).view(colors.shape)
    return torch.where(colors == 0, 0, weight(colors))


def _columns(x: Tensor, index: Int64[Tensor, " chosen"]) -> Tensor:
    """``x[..., index]``, four times as fast."""
    flat = x.flatten(0, -2)
    return flat.gather(1, index.expand(len(flat), -1)).view(*x.shape[:-1], len(index))


class Heard(NamedTuple):
    """What every node hears from the others.

    Arguments:
        weights: hash of what i hears from j, itself included, at [j, i]; 0 for nothing.
        near: if given, ``weights[k, i]`` is what i hears from ``near[k, i]``, and it hears nothing from others.
    """

    weights: Int64[Tensor, "heard n batch"]
    near: Int64[Tensor, "heard n batch"] | None = None

    def of(self, chosen: Int64[Tensor, " chosen"]) -> Heard:
        """That of some graphs of the batch."""
        return Heard(_columns(self.weights, chosen), None if self.near is None else _columns(self.near, chosen))

    def without_zeros(self, wanted: Int64[Tensor, " wanted"]) -> Heard:
        """The same for the graphs that are wanted, listed by neighbours if these are few."""
        there = self.weights != 0
        place = there.cumsum(0, dtype=torch.uint8)
        longest = int(place[-1].amax(0)[wanted].max()) if len(wanted) else 0
        if not 0 < longest <= len(there) // _SPARSE:
            return self
        j, i, graph = (there & (place <= longest)).nonzero(as_tuple=True)
        spot = place[j, i, graph].long() - 1
        weights, near = (self.weights.new_zeros(longest, *there.shape[1:]) for _ in range(2))
        weights[spot, i, graph], near[spot, i, graph] = self.weights[j, i, graph], j
        return Heard(weights, near)

    def sums(self, colors: Int64[Tensor, "n batch"]) -> Int64[Tensor, "n batch"]:
        """The sum of what every node hears; a colour is a hash already."""
        if self.near is None:
            return (self.weights * colors[:, None]).sum(0)
        return colors.gather(0, self.near.flatten(0, 1)).view(self.near.shape).mul_(self.weights).sum(0)

    def each(self, node: Int64[Tensor, " chosen"], graph: Int64[Tensor, " chosen"]) -> Int64[Tensor, "n chosen"]:
        """What all nodes hear from one, in graphs whose neighbours are not listed."""
        return self.weights[node, :, graph].T

    def shared(self, graph: Int64[Tensor, " colourings"]) -> Heard | Shared:
        """The same for the graphs of many colourings, as matrices if it pays: a GPU multiplies none of integers."""
        there = torch.bincount(graph, minlength=self.weights.shape[2]) > 0
        pays = self.near is None and graph.device.type == "cpu" and len(graph) >= _SEVERAL * int(there.sum())
        if not pays:
            return self
        matrices = _columns(self.weights, there.nonzero().squeeze(1)).permute(2, 1, 0).contiguous()
        return Shared(matrices, there.cumsum(0) - 1)


class Shared(NamedTuple):
    """What every node hears from the others, by graphs that have several colourings each.

    Arguments:
        weights: hash of what i hears from j at [i, j].
        graph: of each colouring.
    """

    weights: Int64[Tensor, "graphs n n"]
    graph: Int64[Tensor, " batch"]

    def of(self, chosen: Int64[Tensor, " chosen"]) -> Shared:
        """That of some colourings."""
        return Shared(self.weights, self.graph[chosen])

    def sums(self, colors: Int64[Tensor, "n batch"]) -> Int64[Tensor, "n batch"]:
        """The sum of what every node hears: products of matrices, in integers that wrap like sums."""
        count = torch.bincount(self.graph, minlength=len(self.weights))
        order = self.graph.argsort(stable=True)
        slot = torch.empty_like(order)
        slot[order] = torch.arange(len(order), device=order.device) - (count.cumsum(0) - count)[self.graph[order]]
        columns = colors.new_zeros(len(self.weights), len(colors), int(count.max()) if len(count) else 0)
        columns[self.graph, :, slot] = colors.T
        return torch.bmm(self.weights, columns)[self.graph, :, slot].T.contiguous()

    def each(self, node: Int64[Tensor, " chosen"], graph: Int64[Tensor, " chosen"]) -> Int64[Tensor, "n chosen"]:
        """What all nodes hear from one."""
        return self.weights[self.graph[graph], :, node].T

    def shared(self, graph: Int64[Tensor, " colourings"]) -> Shared:
        """Itself."""
        return self


def refine(weights: Heard | Shared, colors: Int64[Tensor, "n batch"]) -> Int64[Tensor, "n batch"]:
    """Refine until every partition stands still or is discrete; each graph by itself, whatever the rest of the batch.

    Arguments:
        weights: what nodes hear.
        colors: hashes below :data:`PADDING` for nodes; padding has colours of its own from there on, and keeps them.
    """
    out, active, ties = colors, None, None
    while True:
        # to leave out a few would cost more than to carry them along
        _, colors, left, ties = refine_rounds(colors, partial(_step, weights), _ties, enough=0.5, now=ties)
        out = colors if active is None else out.index_copy(1, active, colors)
        chosen = left.nonzero().squeeze(1)
        if not len(chosen):
            return out
        active, ties = chosen if active is None else active[chosen], ties[chosen]
        colors, weights = _columns(colors, chosen), weights.of(chosen)


def _step(weights: Heard | Shared, colors: Tensor) -> Tensor:
    return torch.where(colors < PADDING, color(_OWN * colors + weights.sums(colors)), colors)


def _ties(colors: Tensor) -> Tensor:
    """How much of each graph is tied: 0 where the partition is discrete, less where it is finer."""
    ordered = sort_rows(colors.T.clone(memory_format=torch.contiguous_format))
    return (ordered[:, 1:] == ordered[:, :-1]).sum(1)


def _smallest_cell(colors: Tensor, ordered: Tensor) -> Tensor:
    """The nodes to individualize in each graph, none of which is discrete; its sorted colours are given, too."""
    n = len(colors)
    new = torch.ones_like(ordered, dtype=torch.bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    cell = new.cumsum(1) - 1
    size = torch.zeros_like(cell).scatter_add_(1, cell, torch.ones_like(cell)).gather(1, cell)
    # the smallest of more than one node; of several, that of least colour comes first
    first = torch.where(size > 1, size, n + 1).argmin(1, keepdim=True)
    return colors == ordered.gather(1, first).T


def _least(value: Tensor, root: Tensor, batch: int) -> Tensor:
    """The places of the entries that have the least value among those of the same root."""
    least = torch.full((batch,), torch.iinfo(torch.int64).max, device=value.device)
    least = least.scatter_reduce(0, root, value, "amin")
    return (value == least[root]).nonzero().squeeze(1)
