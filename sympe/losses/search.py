r"""The automorphism of a molecule that brings its target nearest to a prediction, exactly, for many pairs at once.

Let s be an automorphism of the core (:mod:`sympe.losses.leaves`) with an exchange :math:`\pi_q` in each group q of
leaves. With c the mean of a group and u the rest, the covariance of the pairs :math:`(p_{s(i)}, t_i)` is

.. math:: M = B_s + \sum_q U_{q, \pi_q}, \qquad U_{q, \pi} = \sum_j u^p_{\pi(j)}\, u^{t\top}_j ,

where :math:`B_s` has the groups at their means, and the sum of squares falls as the score f(M) grows: f is the trace
without alignment and :math:`\lambda` with it (:mod:`sympe.losses.rotations`).

The trace is linear, so that the best exchange of each group is found alone. :math:`\lambda` is convex and homogeneous,
so :math:`\lambda(M) \le \lambda(B_s) + \sum_q \max_\pi \lambda(U_{q, \pi})`, and the same once some groups are settled:
branch and bound, whose bounds are close because :math:`u` is no longer than a bond. It starts from a greedy answer.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sympe.losses.leaves import LARGEST, Arrangements
from sympe.losses.rotations import overlap
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
        self.found, self.number = found, batch * poses
        self.sizes = (p.square().sum((2, 3)) * t.square().sum((1, 2))[:, None]).sqrt().flatten()
        pose = torch.arange(poses, device=device)
        row = torch.arange(len(found.rows), device=device).repeat_interleave(poses)  # in the lists of found
        graph = found.rows[row]
        self.pair = (found.rows[:, None] * poses + pose).flatten()
        self.images = found.images[row]
        groups = found.groups.bincount(minlength=batch)
        self.entries = groups[graph]
        self.start = self.entries.cumsum(0) - self.entries
        self.most = int(groups.max()) if batch else 0
        self.element = torch.arange(len(row), device=device).repeat_interleave(self.entries)
        within = torch.arange(len(self.element), device=device) - self.start[self.element]
        self.group = (groups.cumsum(0) - groups)[graph[self.element]] + within
        self.leaves = self.images[self.element[:, None], found.members[self.group]]

        of, members = found.groups[:, None], found.members
        mean, rest = _parted(t[of, members], found.sizes)
        level_t = t.clone()
        level_t[of, members] = mean.expand_as(rest)
        means, _ = _parted(p[of, :, members].transpose(1, 2), found.sizes[:, None].expand(-1, poses))
        level_p = p.clone()
        level_p[of, :, members] = means.expand(-1, -1, LARGEST, -1).transpose(1, 2)
        flat = level_p.flatten(0, 1)
        self.B = (flat[self.pair[:, None], self.images].mT @ level_t[graph]).flatten(1)
        _, moved = _parted(p.flatten(0, 1)[self.pair[self.element][:, None], self.leaves], found.sizes[self.group])
        self._exchange(moved, rest[self.group])

    def _exchange(self, p: Float[Tensor, "entries 4 3"], t: Float[Tensor, "entries 4 3"]) -> None:
        """U of all exchanges of all entries, one after the other."""
        sizes = self.found.sizes[self.group]
        orders = torch.tensor([1, 1, *(len(table) for table in _EXCHANGES.values())], device=p.device)
        self.orders = orders[sizes]
        self.first = self.orders.cumsum(0) - self.orders
        self.entry = torch.arange(len(sizes), device=p.device).repeat_interleave(self.orders)
        self.U = p.new_zeros(len(self.entry), 9)
        for m, table in _EXCHANGES.items():
            some = (sizes == m).nonzero().squeeze(1)
            if len(some):
                exchanged = p[some][:, torch.tensor(table, device=p.device)]
                place = self.first[some][:, None] + torch.arange(len(table), device=p.device)
                self.U[place] = (exchanged.mT @ t[some, None, :m]).flatten(2)

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
            M = M + self.U[self.first[entry[parent]] + way] * left[parent, None]
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
        s[pair[:, None], found.members[group]] = self.leaves[entry].gather(1, exchange)
        return s


def _in_place(pairs: _Pairs) -> _Candidates:
    """The best without alignment: each group alone, then the automorphism of the core."""
    trace = pairs.U[:, ::4].sum(1)
    best = least(-trace, pairs.entry, len(pairs.group))
    total = pairs.B[:, ::4].sum(1).index_add(0, pairs.element, trace[best])
    element = least(-total, pairs.pair, pairs.number)
    way = torch.arange(pairs.most, device=element.device)
    has = way < pairs.entries[element][:, None]
    entry = torch.where(has, pairs.start[element][:, None] + way, 0)
    exchanges = torch.where(has, (best - pairs.first)[entry], 0) if len(best) else has.long()
    return _Candidates(element, exchanges, pairs.B[element])


def _aligned(pairs: _Pairs, *, reflect: bool, limit: int) -> _Candidates:
    """The best with alignment, by branch and bound."""
    gain = overlap(pairs.U, reflect=reflect)
    most = gain.new_zeros(len(pairs.group)).scatter_reduce(0, pairs.entry, gain, "amax")
    sums = torch.cat([most.new_zeros(1), most.cumsum(0)])
    margin = _CLOSE * pairs.sizes
    branches = most > margin[pairs.pair[pairs.element]]

    def bound(some: _Candidates) -> Tensor:
        start, entries = pairs.start[some.element], pairs.entries[some.element]
        rest = sums[start + entries] - sums[start + entries.clamp(max=some.exchanges.shape[1])]
        return overlap(some.M, reflect=reflect) + rest

    some = pairs.all()
    bounds = bound(some)
    best = some.select(least(-bounds, pairs.pair, pairs.number))
    value = overlap(best.M, reflect=reflect)
    for _ in range(pairs.most):  # greedily, for a start
        more, parent = pairs.expanded(best, branches)
        value = overlap(more.M, reflect=reflect)
        chosen = least(-value, parent, pairs.number)
        best, value = more.select(chosen), value[chosen]
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


def _parted(
    leaves: Float[Tensor, "*groups 4 3"], sizes: Int64[Tensor, "*groups"]
) -> tuple[Float[Tensor, "*groups 1 3"], Float[Tensor, "*groups 4 3"]]:
    """The means of groups, and what is left of each leaf; 0 where there is none."""
    real = (torch.arange(LARGEST, device=sizes.device) < sizes[..., None])[..., None]
    mean = (leaves * real).sum(-2, keepdim=True) / sizes[..., None, None]
    return mean, (leaves - mean) * real
