r"""The automorphism of a molecule that brings its target nearest to a prediction, exactly, for many pairs at once.

Let s be an automorphism of the core (:mod:`sympe.losses.leaves`) with an exchange :math:`\pi_q` in each group q of
leaves. With c the mean of a group and u the rest, the covariance of the pairs :math:`(p_{s(i)}, t_i)` is

.. math:: M = B_s + \sum_q U_{q, \pi_q}, \qquad U_{q, \pi} = \sum_j u^p_{\pi(j)}\, u^{t\top}_j ,

where :math:`B_s` has the groups at their means, and the sum of squares falls as the score f(M) grows: f is the trace
without alignment and :math:`\lambda` with it (:mod:`sympe.losses.rotations`).

The trace is linear, so that the best exchange of each group is found alone. :math:`\lambda` is convex and homogeneous,
so :math:`\lambda(M) \le \lambda(B_s) + \sum_q |u^p_q| |u^t_q|`, and the same once some groups are settled: branch and
bound, whose bounds are close because :math:`u` is no longer than a bond. It starts from the exchanges that are best for
the best rotation of :math:`B_s`, and then for that of the M which they give.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sympe.losses.leaves import LARGEST, Arrangements
from sympe.losses.rotations import overlap, slope
from sympe.losses.segments import least

_CLOSE = 1e-10
"""Scores that differ by less, over the size of the points, are equal."""

_CHUNK = 2**17
"""Candidates that are looked at at once."""

_ROUNDS = 2
"""Of exchanges for a rotation, to start from."""

_EXCHANGES = {m: list(itertools.permutations(range(m))) for m in range(2, LARGEST + 1)}
"""All exchanges of m leaves, the identity first: target j of a group goes with prediction ``row[j]``."""


def nearest(
    found: Arrangements,
    p: Float[Tensor, "batch poses nodes 3"],
    t: Float[Tensor, "batch nodes 3"],
    *,
    align: bool,
    reflect: bool,
    limit: int,
) -> Int64[Tensor, "pairs nodes"]:
    """For each pair, poses fastest, the automorphism s that makes the squares of p[s[i]] - t[i] least in sum.

    Arguments:
        found: the automorphisms of the graphs.
        p: predictions, 0 in the padding; centred if they are to be aligned.
        t: targets, likewise.
        align: whether the targets are turned first, each by its best rotation.
        reflect: whether that may be a reflection.
        limit: the most candidates that are looked at for one pair.

    Raises:
        ValueError: if there are more.
    """
    pairs = _Pairs(found, p, t)
    chosen = _aligned(pairs, reflect=reflect, limit=limit) if align else _in_place(pairs)
    return pairs.permutations(chosen)


@dataclass(frozen=True)
class _Candidates:
    """Automorphisms of cores with exchanges of their first groups, and the covariance M of that."""

    element: Tensor
    exchanges: Tensor
    M: Tensor

    def select(self, chosen: Tensor) -> _Candidates:
        return _Candidates(self.element[chosen], self.exchanges[chosen], self.M[chosen])


class _Pairs:
    """Pairs of points with all that their automorphisms can make of them.

    An *element* is a pair with an automorphism of the core of its graph, an *entry* an element with a group of leaves
    of its graph: those of one element follow each other.
    """

    def __init__(self, found: Arrangements, p: Tensor, t: Tensor) -> None:
        batch, poses = p.shape[:2]
        device = p.device
        batch, poses, n = p.shape[:3]
        device = p.device
        self.found, self.number = found, batch * poses
        self.sizes = (torch.linalg.vector_norm(p, dim=(2, 3)) * torch.linalg.vector_norm(t, dim=(1, 2))[:, None]).flatten()
        row = torch.arange(len(found.rows), device=device).repeat_interleave(poses)  # in the lists of found
        graph = found.rows[row]
        self.pair = (found.rows[:, None] * poses + torch.arange(poses, device=device)).flatten()
        self.images = found.images[row] if poses > 1 else found.images
        flat = p.reshape(-1, 3)
        self.B = (flat[self.pair[:, None] * n + self.images].mT @ t[graph]).flatten(1)

        groups = found.groups.bincount(minlength=batch)
        self.entries = groups[graph]
        self.start = self.entries.cumsum(0) - self.entries
        self.most = int(groups.max()) if batch else 0
        self.element = torch.arange(len(row), device=device).repeat_interleave(self.entries)
        self.group = torch.arange(len(self.element), device=device)
        self.group += ((groups.cumsum(0) - groups)[graph] - self.start)[self.element]
        self.first, self.step, self.orders, self.longest = (torch.zeros_like(self.group) for _ in range(4))
        self._exchange(flat, t, n)

    def _exchange(self, p: Float[Tensor, "points 3"], t: Float[Tensor, "batch nodes 3"], n: int) -> None:
        """U of all exchanges of all entries, for each size of groups one exchange after the other."""
        found, device = self.found, p.device
        sizes = found.sizes[self.group]
        self.longest = p.new_zeros(len(sizes))
        parts = []
        self.by_size: list[tuple[Tensor, int]] = []
        at = 0
        for m, table in _EXCHANGES.items():
            entry = (sizes == m).nonzero().squeeze(1)
            count = len(entry)
            if not count:
                continue
            group, element = self.group[entry], self.element[entry]
            members = found.members.T[:m, group]  # leaf by leaf
            u = t[found.groups[group], members]
            v = p[self.pair[element] * n + self.images[element, members]]
            u, v = u - u.mean(0), v - v.mean(0)
            self.longest[entry] = torch.linalg.vector_norm(u, dim=(0, 2)) * torch.linalg.vector_norm(v, dim=(0, 2))
            products = v[:, None, :, :, None] * u[None, :, :, None, :]
            chosen = p.new_zeros(len(table), m, m)
            orders = torch.tensor(table, device=device)
            chosen.scatter_(1, orders[:, None], 1)
            parts.append((chosen.flatten(1) @ products.view(m * m, count * 9)).view(-1, 9))
            self.first[entry] = at + torch.arange(count, device=device)
            self.step[entry], self.orders[entry] = count, len(table)
            self.by_size.append((entry, len(table)))
            at += count * len(table)
        self.U = torch.cat(parts) if parts else p.new_zeros(0, 9)
        self.B = self.B.index_add(0, self.element, self.U[self.first], alpha=-1)  # what the listed images have of it

    def best(self, scores: Float[Tensor, " exchanges"]) -> Int64[Tensor, " entries"]:
        """The exchange with the largest score of each entry."""
        way = torch.zeros_like(self.group)
        at = 0
        for entry, orders in self.by_size:
            count = orders * len(entry)
            way[entry] = scores[at : at + count].view(orders, -1).argmax(0)
            at += count
        return way

    def with_exchanges(self, way: Int64[Tensor, " entries"]) -> Float[Tensor, "elements 9"]:
        """M of every element."""
        return self.B.index_add(0, self.element, self.U[self.first + way * self.step])

    def chosen(self, element: Int64[Tensor, " pairs"], way: Int64[Tensor, " entries"], M: Tensor) -> _Candidates:
        """Elements with all their groups settled."""
        index = torch.arange(self.most, device=element.device)
        has = index < self.entries[element][:, None]
        way = torch.cat([way, way.new_zeros(1)])
        exchanges = torch.where(has, way[torch.where(has, self.start[element][:, None] + index, -1)], 0)
        return _Candidates(element, exchanges, M[element])

    def all(self) -> _Candidates:
        """Every element, with no group settled."""
        every = torch.arange(len(self.pair), device=self.pair.device)
        return _Candidates(every, every.new_zeros(len(every), 0), self.B)

    def expanded(self, some: _Candidates, branches: Tensor) -> tuple[_Candidates, Tensor]:
        """With the next group settled in each of its ways, and which candidate each came from.

        Where ``branches`` is false for an entry, or there is no group left, there is one way.
        """
        k = some.exchanges.shape[1]
        left = self.entries[some.element] > k
        entry = torch.where(left, self.start[some.element] + k, 0)
        ways = torch.where(left & branches[entry], self.orders[entry], 1) if len(branches) else left.long() + 1
        parent = torch.arange(len(entry), device=entry.device).repeat_interleave(ways)
        way = torch.arange(len(parent), device=entry.device) - (ways.cumsum(0) - ways)[parent]
        M = some.M[parent]
        if len(branches):
            M = M + self.U[self.first[entry[parent]] + way * self.step[entry[parent]]] * left[parent, None]
        exchanges = torch.cat([some.exchanges[parent], way[:, None]], 1)
        return _Candidates(some.element[parent], exchanges, M), parent

    def permutations(self, chosen: _Candidates) -> Int64[Tensor, "pairs nodes"]:
        """The permutations of one candidate for each pair, in their order."""
        found = self.found
        s = self.images[chosen.element]
        groups = torch.arange(chosen.exchanges.shape[1], device=s.device)
        pair, k = (groups < self.entries[chosen.element][:, None]).nonzero(as_tuple=True)
        entry = self.start[chosen.element[pair]] + k
        table = torch.zeros(LARGEST + 1, max(map(len, _EXCHANGES.values())), LARGEST, dtype=torch.int64)
        for m, exchanges in _EXCHANGES.items():  # what stands for no leaf is the first once more, as in `members`
            table[m, : len(exchanges)] = torch.tensor([[*row, *[row[0]] * (LARGEST - m)] for row in exchanges])
        group = self.group[entry]
        exchange = table.to(s.device)[found.sizes[group], chosen.exchanges[pair, k]]
        where = pair[:, None], found.members[group]
        s[where] = s[where].gather(1, exchange)
        return s


def _in_place(pairs: _Pairs) -> _Candidates:
    """The best without alignment: each group alone, then the automorphism of the core."""
    way = pairs.best(pairs.U[:, ::4].sum(1))
    M = pairs.with_exchanges(way)
    return pairs.chosen(least(-M[:, ::4].sum(1), pairs.pair, pairs.number), way, M)


def _aligned(pairs: _Pairs, *, reflect: bool, limit: int) -> _Candidates:
    """The best with alignment, by branch and bound."""
    sums = torch.cat([pairs.longest.new_zeros(1), pairs.longest.cumsum(0)])
    margin = _CLOSE * pairs.sizes
    branches = pairs.longest > margin[pairs.pair[pairs.element]]

    M = pairs.B
    way = torch.zeros_like(pairs.group)
    entry = torch.cat([entry.repeat(orders) for entry, orders in pairs.by_size] or [way])
    of = pairs.element[entry]
    for _ in range(_ROUNDS if len(way) else 0):  # for a start
        R = slope(M.unflatten(1, (3, 3)), reflect=reflect).flatten(1)
        way = pairs.best((pairs.U * R[of]).sum(1))
        M = pairs.with_exchanges(way)
    value = overlap(M, reflect=reflect)
    chosen = least(-value, pairs.pair, pairs.number)
    best, value = pairs.chosen(chosen, way, M), value[chosen]

    def bound(some: _Candidates) -> Tensor:
        start, entries = pairs.start[some.element], pairs.entries[some.element]
        rest = sums[start + entries] - sums[start + entries.clamp(max=some.exchanges.shape[1])]
        return overlap(some.M, reflect=reflect) + rest

    some = pairs.all()
    bounds = bound(some)
    looked_at = torch.zeros_like(best.element)
    stack = [(some, bounds)]
    while stack:
        some, bounds = stack.pop()
        of = pairs.pair[some.element]
        better = (bounds > (value + margin)[of]).nonzero().squeeze(1)
        some, bounds, of = some.select(better), bounds[better], of[better]
        if len(better) == 0:
            continue
        looked_at += of.bincount(minlength=pairs.number)
        if int(looked_at.max()) > limit:
            raise ValueError(
                f"limit: expected more than {limit} for pair {int(looked_at.argmax())}, "
                "whose prediction is too far from the target to leave out most of its automorphisms"
            )
        if some.exchanges.shape[1] == pairs.most:
            values = torch.cat([value, bounds])
            places = torch.arange(pairs.number, device=of.device)
            chosen = least(-values, torch.cat([places, of]), pairs.number)
            value = values[chosen]
            best = _Candidates(
                torch.cat([best.element, some.element])[chosen],
                torch.cat([best.exchanges, some.exchanges])[chosen],
                torch.cat([best.M, some.M])[chosen],
            )
            continue
        for part in torch.arange(len(better), device=of.device).split(_CHUNK):
            more, _ = pairs.expanded(some.select(part), branches)
            stack.append((more, bound(more)))
    return best
