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

Most elements are settled by these already. Let R be the best rotation of their M, and :math:`D = U_{q, \pi} -
U_{q, \pi_q}` another exchange of one group. It loses :math:`d = -\langle R, D \rangle`, and a rotation that is
:math:`y = 2 \sin(\theta / 2)` away from R wins back :math:`y |D|_*` at most, but loses :math:`\tfrac12 y^2 g` on M,
where :math:`g = \sigma_2 + \operatorname{sign}(\det M)\, \sigma_3`. If a share w of g makes :math:`\tfrac12 y^2 g w +
d \ge y |D|_*` for all y, which is :math:`w \ge |D|_*^2 / (2 g d)`, and the shares that the groups need make 1 at most
in sum, then no exchanges at all are better.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import reduce

import torch
import torch.nn.functional as F
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


def _rank(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """The most that their difference can have: m without the number of cycles, and three dimensions."""
    to = dict(zip(one, other, strict=True))
    cycles = 0
    while to:
        start = next(iter(to))
        while start in to:
            start = to.pop(start)
        cycles += 1
    return min(len(one) - cycles, 3)


_RANKS = {
    m: torch.tensor([[_rank(one, other) for one in table] for other in table]).double()
    for m, table in _EXCHANGES.items()
}
""":math:`|D|_*^2` is no more than so many times :math:`|D|^2`."""

_PICKS = {m: F.one_hot(torch.tensor(table), m).double().mT.flatten(1) for m, table in _EXCHANGES.items()}
"""Each exchange as a matrix, prediction by target."""

_TABLE = torch.zeros(LARGEST + 1, len(_EXCHANGES[LARGEST]), LARGEST, dtype=torch.int64)
"""Exchanges by the number of leaves; what stands for no leaf is the first once more, as in ``members``."""

for _m, _table in _EXCHANGES.items():
    _TABLE[_m, : len(_table)] = torch.tensor([[*row, *[row[0]] * (LARGEST - _m)] for row in _table])

_SETTLED = 0.999
"""The most that shares may sum up to: less than 1, for the rounding of what they are made of."""


@dataclass(frozen=True)
class Nearest:
    """The best automorphism of each pair, poses fastest.

    Arguments:
        pairs: what they are taken from.
        chosen: which they are.
    """

    pairs: _Pairs
    chosen: _Candidates

    @property
    def M(self) -> Float[Tensor, "pairs 9"]:
        """The covariance of p[s[i]] and t[i]."""
        return self.chosen.M

    @property
    def squares(self) -> Float[Tensor, " pairs"]:
        """The sums of the squares of both."""
        return self.pairs.squares

    def permutations(self, rows: Int64[Tensor, " chosen"]) -> Int64[Tensor, "chosen nodes"]:
        """The s of some pairs."""
        return self.pairs.permutations(self.chosen.select(rows))


def nearest(
    found: Arrangements,
    p: Float[Tensor, "batch poses 3 nodes"],
    t: Float[Tensor, "batch 3 nodes"],
    *,
    align: bool,
    reflect: bool,
    limit: int,
    first: int = 0,
) -> Nearest:
    """For each pair, poses fastest, the automorphism s that makes the squares of p[s[i]] - t[i] least in sum.

    Arguments:
        found: the automorphisms of the graphs.
        p: predictions, 0 in the padding; centred if they are to be aligned.
        t: targets, likewise.
        align: whether the targets are turned first, each by its best rotation.
        reflect: whether that may be a reflection.
        limit: the most candidates that are looked at for one pair.
        first: the number of the first pair, for errors.

    Raises:
        ValueError: if there are more.
    """
    pairs = _Pairs(found, p, t)
    return Nearest(pairs, _aligned(pairs, reflect=reflect, limit=limit, number=first) if align else _in_place(pairs))


@dataclass(frozen=True)
class _Candidates:
    """Automorphisms of cores with exchanges of their first groups, so many; the covariance M and the share of that."""

    element: Tensor
    settled: Tensor
    exchanges: Tensor
    M: Tensor
    share: Tensor

    def _parts(self) -> tuple[Tensor, ...]:
        return self.element, self.settled, self.exchanges, self.M, self.share

    def select(self, chosen: Tensor) -> _Candidates:
        return _Candidates(*(part.index_select(0, chosen) for part in self._parts()))

    def joined(self, other: _Candidates) -> _Candidates:
        return _Candidates(*(torch.cat(both) for both in zip(self._parts(), other._parts(), strict=True)))

    def replaced(self, rows: Tensor, other: _Candidates) -> _Candidates:
        both = zip(self._parts(), other._parts(), strict=True)
        return _Candidates(*(part.index_copy(0, rows, new) for part, new in both))


class _Pairs:
    """Pairs of points with all that their automorphisms can make of them.

    An *element* is a pair with an automorphism of the core of its graph, an *entry* an element with a group of leaves
    of its graph: those of one element follow each other.
    """

    def __init__(self, found: Arrangements, p: Tensor, t: Tensor) -> None:
        batch, poses, _, n = p.shape
        device = p.device
        self.found, self.number = found, batch * poses
        squares = p.flatten(2).square().sum(2), t.flatten(1).square().sum(1)[:, None]
        self.sizes, self.squares = (squares[0] * squares[1]).sqrt().flatten(), (squares[0] + squares[1]).flatten()
        graph, self.images = found.rows, found.images
        if poses != 1:
            row = torch.arange(len(found.rows), device=device).repeat_interleave(poses)  # in the lists of found
            graph, self.images = graph[row], self.images[row]
        self.pair = (found.rows[:, None] * poses + torch.arange(poses, device=device)).flatten()
        moved = p.flatten(0, 1).index_select(0, self.pair).gather(2, self.images[:, None].expand(-1, 3, -1))
        M = (moved @ t.index_select(0, graph).mT).flatten(1)

        groups = found.groups.bincount(minlength=batch)
        self.entries = groups[graph]
        self.start = self.entries.cumsum(0) - self.entries
        self.most = int(groups.max()) if batch else 0
        self.element = torch.arange(len(self.pair), device=device).repeat_interleave(self.entries)
        self.group = torch.arange(len(self.element), device=device)
        self.group += ((groups.cumsum(0) - groups)[graph] - self.start).index_select(0, self.element)
        self.first, self.step, self.orders = (torch.zeros_like(self.group) for _ in range(3))
        self.longest = p.new_zeros(len(self.group))
        self.by_size: list[tuple[int, Tensor, Tensor, Tensor]] = []
        self.U = self._exchange(p.flatten(), t.flatten(), n)
        # so far with the exchange as listed
        self.B = M - self.sums(self.U.index_select(0, self.first)) if len(self.U) else M

    def _exchange(self, p: Float[Tensor, " sources"], t: Float[Tensor, " targets"], n: int) -> Tensor:
        """U of all exchanges of all entries, for each size of groups one exchange after the other."""
        found, device = self.found, p.device
        sizes = found.sizes.index_select(0, self.group)
        axes = n * torch.arange(3, device=device)[:, None, None]
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
            targets = axes + (3 * n * found.groups.index_select(0, group) + members)
            sources = axes + (3 * n * self.pair.index_select(0, element) + leaves)
            u, v = (x.index_select(0, of.flatten()).view(3, m, count) for x, of in ((t, targets), (p, sources)))
            u, v = u - u.mean(1, keepdim=True), v - v.mean(1, keepdim=True)
            self.longest[entry] = (u.square().sum((0, 1)) * v.square().sum((0, 1))).sqrt()
            products = v.transpose(0, 1)[:, None, :, None] * u.transpose(0, 1)[:, None]
            U = (_PICKS[m].to(p) @ products.reshape(m * m, -1)).view(-1, 9, count)
            parts.append(U.transpose(1, 2).reshape(-1, 9))
            self.first[entry] = at + torch.arange(count, device=device)
            self.step[entry], self.orders[entry] = count, len(table)
            self.by_size.append((m, entry, element, U))
            at += count * len(table)
        return torch.cat(parts) if parts else p.new_zeros(0, 9)

    def sums(self, M: Float[Tensor, "entries 9"]) -> Float[Tensor, "elements 9"]:
        """Over the entries of each element."""
        return M.new_zeros(len(self.pair), 9).index_add_(0, self.element, M)

    def best(self, R: Float[Tensor, "9 elements"]) -> Int64[Tensor, " entries"]:
        """The exchange of each entry that goes best with a matrix for each element."""
        way = torch.zeros_like(self.group)
        for _, entry, element, U in self.by_size:
            way[entry] = (U * R.index_select(1, element)).sum(1).max(0).indices
        return way

    def shares(
        self, way: Int64[Tensor, " entries"], R: Float[Tensor, "9 elements"], gap: Float[Tensor, " elements"]
    ) -> tuple[Tensor, Tensor]:
        """The shares of the gap that all exchanges need to be no better than ``way``, as U lists them; 2 for more.

        Returns:
            Them, and the most that one of each entry needs.
        """
        gap = gap.clamp(min=1e-100)
        each = []
        most = self.longest.new_zeros(len(self.group))
        for m, entry, element, U in self.by_size:
            own = way.index_select(0, entry)
            R_, ranks = R.index_select(1, element), _RANKS[m].to(R)
            D = U - U.gather(0, own.expand(1, 9, -1))
            loss = (D * R_).sum(1).neg_().clamp_(min=1e-200).mul_(gap.index_select(0, element)).mul_(2)
            share = D.square_().sum(1).mul_(ranks.index_select(1, own)).div_(loss).clamp_(max=2)
            each.append(share.flatten())
            most[entry] = share.amax(0)
        return (torch.cat(each), most) if each else (most, most)

    def with_exchanges(self, way: Int64[Tensor, " entries"]) -> Float[Tensor, "elements 9"]:
        """M of every element."""
        return self.B + self.sums(self.U.index_select(0, self.first + way * self.step)) if len(way) else self.B

    def chosen(self, element: Int64[Tensor, " pairs"], way: Int64[Tensor, " entries"], M: Tensor) -> _Candidates:
        """Elements with all their groups settled."""
        index = torch.arange(self.most, device=element.device)
        has = index < self.entries[element][:, None]
        exchanges = torch.zeros_like(has, dtype=torch.int64)
        if len(way):
            exchanges = torch.where(has, way[torch.where(has, self.start[element][:, None] + index, 0)], 0)
        return _Candidates(element, self.entries[element], exchanges, M[element], M.new_zeros(len(element)))

    def open(self, element: Int64[Tensor, " chosen"]) -> _Candidates:
        """Elements with no group settled."""
        none = torch.zeros_like(element)
        return _Candidates(
            element, none, none.new_zeros(len(none), self.most), self.B[element], self.B.new_zeros(len(none))
        )

    def expanded(self, some: _Candidates, chosen: Tensor, shares: Tensor, rests: Tensor) -> _Candidates:
        """Some candidates with their next group settled in each way that their shares do not rule out."""
        element, k = some.element.index_select(0, chosen), some.settled.index_select(0, chosen)
        entry = self.start.index_select(0, element) + k
        parent, way = _numbered(self.orders.index_select(0, entry))
        of = self.first.index_select(0, entry).index_select(0, parent)
        of += way * self.step.index_select(0, entry).index_select(0, parent)
        share = some.share.index_select(0, chosen)
        rest = rests.index_select(0, entry)
        kept = (shares.index_select(0, of) + (share + rest).index_select(0, parent) > _SETTLED).nonzero().squeeze(1)
        parent, way, of = parent.index_select(0, kept), way.index_select(0, kept), of.index_select(0, kept)
        k = k.index_select(0, parent)
        share = share.index_select(0, parent) + shares.index_select(0, of)
        element, parent = element.index_select(0, parent), chosen.index_select(0, parent)
        exchanges = some.exchanges.index_select(0, parent).scatter_(1, k[:, None], way[:, None])
        M = some.M.index_select(0, parent) + self.U.index_select(0, of)
        return _Candidates(element, k + 1, exchanges, M, share)

    def rest(self, values: Float[Tensor, " entries"]) -> Float[Tensor, " entries"]:
        """The sum of what comes after each entry in its element."""
        sums = values.cumsum(0)
        return sums.index_select(0, (self.start + self.entries - 1).index_select(0, self.element)) - sums

    def permutations(self, chosen: _Candidates) -> Int64[Tensor, "pairs nodes"]:
        """The permutations of one candidate for each pair, in their order."""
        found = self.found
        s = self.images[chosen.element]
        groups = torch.arange(chosen.exchanges.shape[1], device=s.device)
        pair, k = (groups < self.entries[chosen.element][:, None]).nonzero(as_tuple=True)
        entry = self.start[chosen.element[pair]] + k
        group = self.group[entry]
        exchange = _TABLE.to(s.device)[found.sizes[group], chosen.exchanges[pair, k]]
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
    way = pairs.best(torch.eye(3).to(pairs.B).view(9, 1).expand(-1, len(pairs.pair)))
    M = pairs.with_exchanges(way)
    return pairs.chosen(least(-M[:, ::4].sum(1), pairs.pair, pairs.number), way, M)


def _aligned(pairs: _Pairs, *, reflect: bool, limit: int, number: int) -> _Candidates:
    """The best with alignment, by branch and bound."""
    margin = _CLOSE * pairs.sizes
    longest = torch.where(pairs.longest > margin[pairs.pair[pairs.element]], pairs.longest, 0)
    R, bounds, _ = slope(pairs.B, reflect=reflect)
    bounds = bounds.index_add(0, pairs.element, longest)
    way = pairs.best(R)
    M = pairs.with_exchanges(way)
    R, score, gap = slope(M, reflect=reflect)
    first = least(-score, pairs.pair, pairs.number)
    best, value = pairs.chosen(first, way, M), score[first]
    # the shares are those of proper rotations
    shares, most = pairs.shares(way, R, torch.zeros_like(gap) if reflect else gap)
    needed = most.new_zeros(len(pairs.pair)).index_add_(0, pairs.element, most)
    left = (needed > _SETTLED) & (bounds > (value + margin).index_select(0, pairs.pair))
    left = left.nonzero().squeeze(1)
    if not len(left):
        return best

    looked_at = torch.zeros_like(first)
    rests, after = pairs.rest(most), pairs.rest(longest)
    found = []
    stack = [(pairs.open(left), torch.arange(len(left), device=left.device))]
    while stack:
        some = pairs.expanded(*stack.pop(), shares, rests)
        of = pairs.pair.index_select(0, some.element)
        rest = after.index_select(0, pairs.start.index_select(0, some.element) + some.settled - 1)
        bounds = overlap(some.M, reflect=reflect) + rest
        better = (bounds > (value + margin).index_select(0, of)).nonzero().squeeze(1)
        if len(better) == 0:
            continue
        of = of.index_select(0, better)
        looked_at += of.bincount(minlength=pairs.number)
        if int(looked_at.max()) > limit:
            raise ValueError(
                f"limit: expected more than {limit} for pair {number + int(looked_at.argmax())}, "
                "whose prediction is too far from the target to leave out most of its automorphisms"
            )
        whole = (some.settled == pairs.entries.index_select(0, some.element)).index_select(0, better)
        at = whole.nonzero().squeeze(1)
        if len(at):
            rows = better.index_select(0, at)
            scores = bounds.index_select(0, rows)
            found.append((some.select(rows), scores))
            value = value.scatter_reduce(0, of.index_select(0, at), scores, "amax")
        stack += [(some, part) for part in better[~whole].split(_CHUNK) if len(part)]
    if not found:
        return best
    values = torch.cat([score for _, score in found])
    every = reduce(_Candidates.joined, [some for some, _ in found])
    of = pairs.pair.index_select(0, every.element)
    rows, of = of.unique(return_inverse=True)
    return best.replaced(rows, every.select(least(-values, of, len(rows))))
