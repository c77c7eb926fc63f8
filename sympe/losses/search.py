r"""The automorphism of a molecule that brings its target nearest to a prediction, exactly, for many pairs at once.

Let s be an automorphism of the core (:mod:`sympe.losses.leaves`) with an exchange :math:`\pi_q` in each group q of
leaves. With c the mean of a group and u the rest, the covariance of the pairs :math:`(p_{s(i)}, t_i)` is

.. math:: M = B_s + \sum_q U_{q, \pi_q}, \qquad U_{q, \pi} = \sum_j u^p_{\pi(j)}\, u^{t\top}_j ,

where :math:`B_s` has the groups at their means, and the sum of squares falls as the score f(M) grows: f is the trace
without alignment and :math:`\lambda` with it (:mod:`sympe.losses.rotations`).

The trace is linear, so that the best exchange of each group is found alone. :math:`\lambda` is convex and homogeneous,
so :math:`\lambda(M) \le \lambda(B_s) + \sum_q |u^p_q| |u^t_q|`, and the same once some groups are settled: branch and
bound, whose bounds are close because :math:`u` is no longer than a bond. It starts from the exchanges that are best for
the best rotation of :math:`B_s`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import reduce

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
    if p.numel() == 0:
        return torch.zeros(0, p.shape[2], dtype=torch.int64, device=p.device)
    pairs = _Pairs(found, p, t)
    chosen = _aligned(pairs, reflect=reflect, limit=limit) if align else _in_place(pairs)
    return pairs.permutations(chosen)


@dataclass(frozen=True)
class _Candidates:
    """Automorphisms of cores with exchanges of their first groups, so many, and the covariance M of that."""

    element: Tensor
    settled: Tensor
    exchanges: Tensor
    M: Tensor

    def select(self, chosen: Tensor) -> _Candidates:
        parts = (self.element, self.settled, self.exchanges, self.M)
        return _Candidates(*(part.index_select(0, chosen) for part in parts))

    def joined(self, other: _Candidates) -> _Candidates:
        parts = (self.element, self.settled, self.exchanges, self.M)
        others = (other.element, other.settled, other.exchanges, other.M)
        return _Candidates(*(torch.cat(both) for both in zip(parts, others, strict=True)))


class _Pairs:
    """Pairs of points with all that their automorphisms can make of them.

    An *element* is a pair with an automorphism of the core of its graph, an *entry* an element with a group of leaves
    of its graph: those of one element follow each other.
    """

    def __init__(self, found: Arrangements, p: Tensor, t: Tensor) -> None:
        batch, poses, n = p.shape[:3]
        device = p.device
        self.found, self.number = found, batch * poses
        self.sizes = (p.flatten(2).square().sum(2) * t.flatten(1).square().sum(1)[:, None]).sqrt().flatten()
        graph, self.images = found.rows, found.images
        if poses != 1:
            row = torch.arange(len(found.rows), device=device).repeat_interleave(poses)  # in the lists of found
            graph, self.images = graph[row], self.images[row]
        self.pair = (found.rows[:, None] * poses + torch.arange(poses, device=device)).flatten()
        flat = p.reshape(-1, 3)
        at = (self.pair[:, None] * n + self.images).flatten()
        M = flat.index_select(0, at).view(-1, n, 3).mT @ t.index_select(0, graph)

        groups = found.groups.bincount(minlength=batch)
        self.entries = groups[graph]
        self.start = self.entries.cumsum(0) - self.entries
        self.most = int(groups.max()) if batch else 0
        self.element = torch.arange(len(self.pair), device=device).repeat_interleave(self.entries)
        self.group = torch.arange(len(self.element), device=device)
        self.group += ((groups.cumsum(0) - groups)[graph] - self.start).index_select(0, self.element)
        self.first, self.step, self.orders = (torch.zeros_like(self.group) for _ in range(3))
        self.longest = p.new_zeros(len(self.group))
        self.by_size: list[tuple[Tensor, Tensor, Tensor]] = []
        self.U = self._exchange(flat.T.contiguous(), t.reshape(-1, 3).T.contiguous(), n)
        # so far with the exchange as listed
        self.B = M.flatten(1) - self.sums(self.U.index_select(0, self.first)) if len(self.U) else M.flatten(1)

    def _exchange(self, p: Float[Tensor, "3 sources"], t: Float[Tensor, "3 targets"], n: int) -> Tensor:
        """U of all exchanges of all entries, for each size of groups one exchange after the other."""
        found, device = self.found, p.device
        sizes = found.sizes.index_select(0, self.group)
        parts = []
        at = 0
        for m, table in _EXCHANGES.items():
            entry = (sizes == m).nonzero().squeeze(1)
            count = len(entry)
            if not count:
                continue
            group, element = self.group.index_select(0, entry), self.element.index_select(0, entry)
            members = found.members.T[:m].index_select(1, group)  # leaf by leaf, for long rows
            leaves = self.images.view(-1).index_select(0, (element * n + members).flatten()).view(m, count)
            targets = (found.groups.index_select(0, group) * n + members).flatten()
            sources = (self.pair.index_select(0, element) * n + leaves).flatten()
            u, v = (x.index_select(1, of).view(3, m, count) for x, of in ((t, targets), (p, sources)))
            u, v = u - u.mean(1, keepdim=True), v - v.mean(1, keepdim=True)
            self.longest[entry] = (u.square().sum((0, 1)) * v.square().sum((0, 1))).sqrt()
            products = v.transpose(0, 1)[:, None, :, None] * u.transpose(0, 1)[:, None]
            chosen = p.new_zeros(len(table), m, m)
            chosen.scatter_(1, torch.tensor(table, device=device)[:, None], 1)
            U = (chosen.flatten(1) @ products.reshape(m * m, -1)).view(-1, 9, count)
            parts.append(U.transpose(1, 2).reshape(-1, 9))
            self.first[entry] = at + torch.arange(count, device=device)
            self.step[entry], self.orders[entry] = count, len(table)
            self.by_size.append((entry, element, U))
            at += count * len(table)
        return torch.cat(parts) if parts else p.new_zeros(0, 9)

    def sums(self, M: Float[Tensor, "entries 9"]) -> Float[Tensor, "elements 9"]:
        """Over the entries of each element."""
        return M.new_zeros(len(self.pair), 9).index_add_(0, self.element, M)

    def best(self, R: Float[Tensor, "elements 9"]) -> Int64[Tensor, " entries"]:
        """The exchange of each entry that goes best with a matrix for each element."""
        way = torch.zeros_like(self.group)
        for entry, element, U in self.by_size:
            way[entry] = (U * R.index_select(0, element).T).sum(1).max(0).indices
        return way

    def with_exchanges(self, way: Int64[Tensor, " entries"]) -> Float[Tensor, "elements 9"]:
        """M of every element."""
        return self.B + self.sums(self.U.index_select(0, self.first + way * self.step)) if len(way) else self.B

    def all(self) -> _Candidates:
        """Every element, with no group settled."""
        every = torch.arange(len(self.pair), device=self.pair.device)
        return _Candidates(every, torch.zeros_like(every), every.new_zeros(len(every), self.most), self.B)

    def chosen(self, element: Int64[Tensor, " pairs"], way: Int64[Tensor, " entries"], M: Tensor) -> _Candidates:
        """Elements with all their groups settled."""
        index = torch.arange(self.most, device=element.device)
        has = index < self.entries[element][:, None]
        exchanges = torch.zeros_like(has, dtype=torch.int64)
        if len(way):
            exchanges = torch.where(has, way[torch.where(has, self.start[element][:, None] + index, 0)], 0)
        return _Candidates(element, self.entries[element], exchanges, M[element])

    def beside(self, best: _Candidates) -> _Candidates:
        """What shares with each candidate the exchanges before some group, and differs there; the rest is open.

        With the candidate itself that is all exchanges of its element.
        """
        index = torch.arange(self.most, device=best.element.device)
        pair, k = (index < self.entries[best.element][:, None]).nonzero(as_tuple=True)
        entry = self.start[best.element].index_select(0, pair) + k
        own = best.exchanges[pair, k]
        steps = best.M.new_zeros(len(best.element), self.most + 1, 9)
        steps[:, 0] = self.B[best.element]
        steps[pair, k + 1] = self.U.index_select(0, self.first[entry] + own * self.step[entry])
        before = steps.cumsum(1)[pair, k]
        parent, way = _numbered(self.orders[entry] - 1)
        way += way >= own.index_select(0, parent)
        pair = pair.index_select(0, parent)
        return self._settled(best.select(pair), k.index_select(0, parent), before.index_select(0, parent), way)

    def expanded(self, some: _Candidates) -> _Candidates:
        """With the next group settled in each of its ways; all of them have one left."""
        parent, way = _numbered(self.orders[self.start[some.element] + some.settled])
        some = some.select(parent)
        return self._settled(some, some.settled, some.M, way)

    def _settled(self, some: _Candidates, k: Tensor, M: Tensor, way: Tensor) -> _Candidates:
        """With group k settled, and M of what is settled before it."""
        entry = self.start.index_select(0, some.element) + k
        of = self.first.index_select(0, entry) + way * self.step.index_select(0, entry)
        exchanges = some.exchanges.scatter(1, k[:, None], way[:, None])
        return _Candidates(some.element, k + 1, exchanges, M + self.U.index_select(0, of))

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
        at = pair[:, None] * s.shape[1] + found.members[group]
        s.view(-1)[at] = s.view(-1)[at].gather(1, exchange)
        return s


def _numbered(counts: Int64[Tensor, " parents"]) -> tuple[Int64[Tensor, " children"], Int64[Tensor, " children"]]:
    """The parent of each child, and which of its children it is."""
    parent = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    first = (counts.cumsum(0) - counts).index_select(0, parent)
    return parent, torch.arange(len(parent), device=counts.device) - first


def _in_place(pairs: _Pairs) -> _Candidates:
    """The best without alignment: each group alone, then the automorphism of the core."""
    way = pairs.best(torch.eye(3).to(pairs.B).flatten().expand_as(pairs.B))
    M = pairs.with_exchanges(way)
    return pairs.chosen(least(-M[:, ::4].sum(1), pairs.pair, pairs.number), way, M)


def _aligned(pairs: _Pairs, *, reflect: bool, limit: int) -> _Candidates:
    """The best with alignment, by branch and bound."""
    margin = _CLOSE * pairs.sizes
    longest = torch.where(pairs.longest > margin[pairs.pair[pairs.element]], pairs.longest, 0)
    sums = torch.cat([longest.new_zeros(1), longest.cumsum(0)])
    ends = sums[pairs.start + pairs.entries]

    def bound(some: _Candidates) -> Tensor:
        at = pairs.start.index_select(0, some.element) + some.settled
        rest = ends.index_select(0, some.element) - sums.index_select(0, at)
        return overlap(some.M, reflect=reflect) + rest

    way = pairs.best(slope(pairs.B.unflatten(1, (3, 3)), reflect=reflect).flatten(1))
    M = pairs.with_exchanges(way)
    score = overlap(M, reflect=reflect)
    chosen = least(-score, pairs.pair, pairs.number)
    best, value = pairs.chosen(chosen, way, M), score[chosen]

    others = torch.ones_like(pairs.pair, dtype=torch.bool)
    others[chosen] = False
    looked_at = torch.zeros_like(chosen)
    found = [(best, value)]
    stack = [pairs.beside(best).joined(pairs.all().select(others.nonzero().squeeze(1)))]
    while stack:
        some = stack.pop()
        bounds, of = bound(some), pairs.pair.index_select(0, some.element)
        better = (bounds > (value + margin).index_select(0, of)).nonzero().squeeze(1)
        if len(better) == 0:
            continue
        some, bounds, of = some.select(better), bounds[better], of[better]
        looked_at += of.bincount(minlength=pairs.number)
        if int(looked_at.max()) > limit:
            raise ValueError(
                f"limit: expected more than {limit} for pair {int(looked_at.argmax())}, "
                "whose prediction is too far from the target to leave out most of its automorphisms"
            )
        left = some.settled < pairs.entries.index_select(0, some.element)
        whole = (~left).nonzero().squeeze(1)
        if len(whole):
            found.append((some.select(whole), bounds[whole]))
            value = value.scatter_reduce(0, of[whole], bounds[whole], "amax")
        stack += [pairs.expanded(some.select(part)) for part in left.nonzero().squeeze(1).split(_CHUNK) if len(part)]
    if len(found) == 1:
        return best
    values = torch.cat([score for _, score in found])
    every = reduce(_Candidates.joined, [some for some, _ in found])
    return every.select(least(-values, pairs.pair.index_select(0, every.element), pairs.number))
