r"""C(x) of graphs, searched once and taken apart, so that every later draw is a few look-ups.

For one canonicalizer c of x, :math:`C(x) = G_x c`. Nodes are *twins* if the exchange of the two is a symmetry. All
permutations of the nodes inside their classes of twins are a normal subgroup T of :math:`G_x`, and the symmetries that
keep the order inside the classes a complement K: every symmetry is t k, in one way. K is kept as a stabilizer chain:
with :math:`K_i` the elements that fix the first i points of a base, one element :math:`u` for each coset of
:math:`K_{i+1}` in :math:`K_i`, so that

.. math:: g = t\, u_0 u_1 \cdots u_m\, c

with a uniform shuffle t and a uniform :math:`u_i` of each level is uniform on C(x). A group of order :math:`2^m` takes
m rows; one that is listed takes :math:`2^m`.

The chain is found from random symmetries. It is not a guess: the product of the sizes of its levels is at most half
of the order of K until it is complete, and that order is known.

References:
    Sims, "Computational methods in the study of permutation groups", 1970. Seress, "Permutation Group Algorithms",
    Cambridge 2003, chapter 4 (the chain from random elements, stopped by the order of the group).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from sympe.graphs import Graphs
from sympe.graphs.checks import check_sizes
from sympe.groups.checks import check_integer, check_kind
from sympe.kernels.base import uniform
from sympe.kernels.graphs.graph import GraphKernel
from sympe.kernels.graphs.refinement import lexsort

Permutation = np.ndarray


@dataclass(frozen=True)
class StoredCosets:
    """C(x) of every graph of a batch, ready for draws; made by :meth:`of`.

    Arguments:
        sizes: the number of nodes of each graph.
        orders: the node at each canonical place, numbered in its graph, for one element c of C(x), graph after graph.
        twins: the first of each node's twins.
        levels: how many levels the chain of each graph has, graph after graph, the last level of each first.
        rows: how many elements each level has besides the identity.
        table: these elements, one after the other, each of as many numbers as its graph has nodes.

    Example:
        >>> from sympe.graphs import DenseGraphs
        >>> ring = DenseGraphs.from_features(torch.eye(6).roll(1, 0).add(torch.eye(6).roll(-1, 0)).long()[None])
        >>> stored = StoredCosets.of(GraphKernel(6), ring)
        >>> stored  # a group of order 12: an orbit of six nodes, then one of two
        StoredCosets(1 graphs, 6 nodes, 6 rows)
        >>> sorted(stored.sample().tolist())
        [0, 1, 2, 3, 4, 5]
    """

    sizes: Int64[Tensor, " batch"]
    orders: Int64[Tensor, " nodes"]
    twins: Int64[Tensor, " nodes"]
    levels: Int64[Tensor, " batch"]
    rows: Int64[Tensor, " levels"]
    table: Integer[Tensor, " numbers"]

    @classmethod
    def of(cls, kernel: GraphKernel, x: Graphs, *, max_numbers: int = 2**20) -> StoredCosets:
        """Search the graphs; always the same for the same graphs.

        Arguments:
            kernel: the kernel, with its order of the nodes.
            x: the graphs.
            max_numbers: largest table of one graph.

        Raises:
            TypeError: if ``kernel`` is no GraphKernel, or ``x`` no batch of graphs.
            ValueError: if a table is larger than ``max_numbers``, which is below 1, or a graph has too many nodes.
        """
        check_kind("kernel", kernel, GraphKernel)
        check_integer("max_numbers", max_numbers)
        sizes = check_sizes(x, kernel.group.degree)
        orders, twins, levels, rows, table = [], [], [], [], []
        for number, one in enumerate(_symmetries(kernel, x)):
            chain = one.chain(max_numbers)
            if chain is None:
                raise ValueError(
                    f"x: the symmetries of graph {number}, of {len(one.order)} nodes, take more than max_numbers = "
                    f"{max_numbers} numbers"
                )
            orders.append(one.order)
            twins.append(one.twins)
            levels.append(len(chain))
            for level in reversed(chain):
                rows.append(len(level) - 1)
                table += [p for p in level.values() if p is not level.identity]
        none = np.zeros(0, dtype=np.int64)
        parts = [np.concatenate([none, *part]) for part in (orders, twins)]
        parts += [np.array(part, dtype=np.int64) for part in (levels, rows)]
        parts += [np.concatenate([none, *table]).astype(np.int16 if kernel.group.degree < 2**15 else np.int64)]
        return cls(sizes, *(torch.from_numpy(part).to(x.device) for part in parts))

    def __repr__(self) -> str:
        return f"StoredCosets({len(self.sizes)} graphs, {len(self.orders)} nodes, {int(self.rows.sum())} rows)"

    def sample(self, *, generator: torch.Generator | None = None) -> Int64[Tensor, " nodes"]:
        """The node at each canonical place, numbered in its graph, for a uniform element of each C(x)."""
        sizes, batch = self.sizes, len(self.sizes)
        graph = torch.arange(batch, device=sizes.device).repeat_interleave(sizes)
        owner = torch.arange(batch, device=sizes.device).repeat_interleave(self.levels)
        depth = torch.arange(len(owner), device=sizes.device) - (self.levels.cumsum(0) - self.levels)[owner]
        width = sizes[owner]
        first = (self.rows * width).cumsum(0) - self.rows * width
        count = self.rows + 1
        pick = torch.minimum((uniform(count.shape, count, generator) * count).long(), count - 1)
        row = torch.where(pick > 0, first + (pick - 1) * width, -1)  # -1: the identity
        node = self.orders
        for level in range(int(self.levels.max()) if batch else 0):
            here = depth == level
            start = torch.full_like(sizes, -1).index_copy(0, owner[here], row[here])[graph]
            node = torch.where(start < 0, node, self.table[start.clamp(min=0) + node].long())
        start = (sizes.cumsum(0) - sizes)[graph]
        alone = self.twins == torch.arange(len(graph), device=sizes.device) - start
        if bool(alone.all()):
            return node
        kind = start + self.twins
        shuffled = torch.empty_like(node)
        shuffled[kind.argsort(stable=True)] = lexsort(kind, uniform(kind.shape, kind, generator))
        return shuffled[start + node] - start


class _Symmetries:
    """One element of C(x) of one graph, and what its symmetries are found from.

    Arguments:
        order: the element c.
        twins: the first of each node's twins.
        elements: of C(x), as many as it takes.
        log_order: the logarithm of the order of the group of all symmetries.
    """

    def __init__(
        self, order: Permutation, twins: Permutation, elements: Iterator[Permutation], log_order: float
    ) -> None:
        self.order = order
        self.twins = twins
        self._elements = elements
        by = np.lexsort([np.arange(len(twins)), twins])
        first = np.searchsorted(twins[by], twins[by])
        self._rank = np.empty_like(twins)
        self._rank[by] = np.arange(len(twins)) - first
        self._member = by
        self._start = np.empty_like(twins)
        self._start[by] = first
        self._log_order = log_order - sum(math.lgamma(k + 1) for k in np.bincount(twins).tolist())

    def chain(self, max_numbers: int) -> list[_Level] | None:
        """The levels of the part that keeps the order of twins; None if they are too large."""
        chain: list[_Level] = []
        generators: list[tuple[int, Permutation]] = []
        inverse = np.argsort(self.order)
        n = len(self.order)
        while sum(math.log(len(level)) for level in chain) < self._log_order - 0.3:
            p = next(self._elements)[inverse]
            p = self._member[self._start[p] + self._rank]  # the same without its shuffle of the twins
            for level in chain:
                if int(p[level.point]) not in level:
                    break
                p = np.argsort(level[int(p[level.point])])[p]
            moved = (p != np.arange(n)).nonzero()[0]
            if not len(moved):
                continue
            fixed = next((i for i, level in enumerate(chain) if p[level.point] != level.point), len(chain))
            if fixed == len(chain):
                chain.append(_Level(int(moved[0]), n))
            generators.append((fixed, p))
            for number, level in enumerate(chain[: fixed + 1]):
                level.close([g for first, g in generators if first >= number])
            if n * sum(len(level) - 1 for level in chain) > max_numbers:
                return None
        return chain


class _Level(dict[int, Permutation]):
    """For each point of an orbit an element that takes the base's point there."""

    def __init__(self, point: int, n: int) -> None:
        self.point = point
        self.identity = np.arange(n)
        super().__init__({point: self.identity})

    def close(self, generators: list[Permutation]) -> None:
        """Go on until generators lead nowhere else."""
        points = np.fromiter(self, dtype=np.int64)
        inside = np.zeros(len(self.identity), dtype=bool)
        inside[points] = True
        if all(inside[p[points]].all() for p in generators):
            return
        todo = list(self)
        for point in todo:
            for p in generators:
                image = int(p[point])
                if image not in self:
                    self[image] = p[self[point]]
                    todo.append(image)


def _symmetries(kernel: GraphKernel, x: Graphs) -> Iterator[_Symmetries]:
    """Those of every graph."""
    listed = kernel.cosets(x)
    of = [part.cpu().numpy() for part in listed.orders.split(torch.bincount(listed.rows, minlength=len(x)).tolist())]
    for row, n in enumerate(x.sizes.tolist()):
        one = x.select(torch.tensor([row], device=x.device))
        if bool(listed.too_many[row]):
            order = kernel.canonicalize(one)[0, :n].cpu().numpy()
            elements, log_order = _drawn(kernel, one, n), float(kernel.entropy(one))
        else:
            order = of[row][0, :n]
            elements, log_order = itertools.cycle(of[row][:, :n]), math.log(len(of[row]))
        yield _Symmetries(order, _twins(one, n), elements, log_order)


def _drawn(kernel: GraphKernel, x: Graphs, n: int) -> Iterator[Permutation]:
    """Elements of C(x), the same every time."""
    generator = torch.Generator(x.device).manual_seed(0)
    copies = x.select(torch.zeros(16, dtype=torch.int64, device=x.device))
    while True:
        yield from kernel.sample(copies, generator=generator)[:, :n].cpu().numpy()


def _twins(x: Graphs, n: int) -> Permutation:
    """For each node of one graph the first that it can be exchanged with, all others left in place."""
    dense = x.dense()
    pairs, colors = dense.pairs[0, :n, :n].cpu().numpy(), dense.colors[0, :n].cpu().numpy()
    first = np.full(n, -1)
    loop = pairs.diagonal()
    for i in range(n):
        if first[i] >= 0:
            continue
        other = (pairs != pairs[i]) | (pairs[:, i] != pairs.T)  # [j, k]: k tells i and j apart
        other[:, i] = False
        np.fill_diagonal(other, False)
        same = ~other.any(1) & (colors == colors[i]) & (loop == loop[i]) & (pairs[i] == pairs[:, i])
        first[same] = i
        first[i] = i
    return first
