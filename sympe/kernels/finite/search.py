r"""Exact search for the group elements that bring x to its canonical form.

The canonical form :math:`\gamma(x)` is the lexicographic minimum of the orbit, and the search returns the whole coset
:math:`C(x) = \{g : g^{-1} x = \gamma(x)\}`. For an action that permutes entries, the numbers
:math:`(g^{-1}x)[e]` are read in a fixed order of the entries e and never written down for all of G:

1. *Refinement.* Keep the elements whose first entries are smallest, then those whose next ones are, and so on. A
generic
   input is down to a handful after one entry.
2. *Doubling.* A symmetric input keeps :math:`|G_x|` elements to the end, and reading all their entries would cost
   :math:`|G_x| \cdot |x|`. For such inputs, rank *all* elements: let :math:`\varphi_k[g]` rank the block of entries
   that :math:`g^{-1}x` shows in the part :math:`E_k` of the reading order. As
   :math:`((gs)^{-1}x)[e] = (g^{-1}x)[s e]`, the pair :math:`(\varphi_k[g], \varphi_k[gs])` ranks twice as long a block
   :math:`E_{k+1} = E_k \cup s E_k` (the prefix doubling of suffix arrays, on a Cayley graph), so that about
   :math:`\log_2 |x|` rankings of |G| integers do.

Both read the entries in the same order, hence give the same minimum. Floats are clustered into integer ranks before
(:func:`rank_entries`), and everything after is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor
from torch.nn.functional import pad

from sympe.actions import FiniteAction
from sympe.groups import FiniteGroup
from sympe.groups.eager import on_cpu
from sympe.tolerance import Tolerance

CHUNK = 2**21

_LOOK, _LESS = 16, 8
"""How many orbits are looked at before all are, then so many times more, up to this share of the work."""

Support = tuple[Int64[Tensor, " count"], Int64[Tensor, " count"]]
"""Rows of the batch, ascending, and the surviving element of each entry."""


def rank_entries(
    x: Shaped[Tensor, "batch entries"], component: Int64[Tensor, " entries"], tolerance: Tolerance
) -> Int64[Tensor, "batch entries"]:
    """Replace numbers by integer ranks, apart for every component, a new rank where sorted neighbours differ by more.

    Ranks depend on the sorted values only, so they move with the entries: the clusters of gx are those of x, moved.
    Floats differ where the gap exceeds the tolerance, on the scale of their row and component; integers where they do.
    """
    size, by = component.bincount(), component.argsort(stable=True)
    ranks = torch.empty(x.shape, dtype=torch.int64, device=x.device)
    distinct = torch.empty(len(x), len(size), dtype=torch.int64, device=x.device)
    for n in size.unique().tolist():  # components of one size at once: sorting many small ones is cheap
        entries = by[size[component[by]] == n]
        local = _local_ranks(x.index_select(1, entries).unflatten(1, (-1, n)), tolerance)
        ranks[:, entries] = local.flatten(1)
        distinct[:, size == n] = local.amax(2) + 1
    return ranks if len(size) == 1 else ranks + (distinct.cumsum(1) - distinct).index_select(1, component)


def _local_ranks(values: Tensor, tolerance: Tolerance) -> Tensor:
    """The clusters that numbers fall into, along the last dimension, from 0."""
    ordered, order = values.sort(-1)
    if values.is_floating_point():
        new = ordered.diff(dim=-1) > tolerance.gap(values.abs().amax(-1, keepdim=True))
    else:
        new = ordered[..., 1:] != ordered[..., :-1]
    ranks = torch.zeros_like(order)
    ranks[..., 1:] = new.cumsum(-1)
    return torch.empty_like(order).scatter_(-1, order, ranks)


def largest_entries(x: Tensor, component: Tensor) -> Tensor:
    """The largest entry by size of each row (row) and component (column)."""
    count = int(component.amax()) + 1
    if count == 1:
        return x.abs().amax(1, keepdim=True)
    return x.new_zeros(len(x), count).scatter_reduce(1, component.expand_as(x), x.abs(), "amax")


@on_cpu
def mixed_entries(action: FiniteAction) -> Int64[Tensor, " entries"]:
    """A number for each entry of x, the same for entries that the group mixes: they are compared on one scale.

    Example:
        >>> from sympe.actions import DirectSum, MatrixAction
        >>> from sympe.groups import Cyclic
        >>> swap, sign = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), -torch.ones(1, 1)
        >>> parts = [MatrixAction(Cyclic(2), torch.stack([torch.eye(len(m)), m])) for m in (swap, sign)]
        >>> mixed_entries(DirectSum(*parts))
        tensor([0, 0, 1])
    """
    eye = torch.eye(action.size, dtype=torch.float64).view(action.size, *action.shape)
    mixed = torch.eye(action.size, dtype=torch.bool)
    for s in action.group.generators:  # what is no more than rounding makes components finer, which does no harm
        image = action(torch.tensor(s), eye).flatten(1).abs() > 1e-9 + 10 * action.precision
        mixed |= image | image.T
    label = torch.arange(action.size)
    while True:
        least = torch.where(mixed, label, action.size).amin(1)
        if torch.equal(least, label):
            component: Tensor = label.unique(return_inverse=True)[1]
            return component
        label = least


@dataclass(frozen=True)
class Plan:
    """How to read the entries of an action that permutes them.

    Attributes:
        component: the orbit that each entry belongs to.
        first: one entry of every orbit.
        steps: the elements s of the doublings.
        reading: all entries in the order in which they are compared.
        first_source: the entry of x that ``g^-1 x`` shows at ``first``, for every g.
        after: the index of g s, for every step s and every g.
    """

    component: Int64[Tensor, " entries"]
    first: Int64[Tensor, " orbits"]
    steps: tuple[int, ...]
    reading: Int64[Tensor, " entries"]
    first_source: Int64[Tensor, "orbits order"]
    after: Int64[Tensor, "steps order"]

    def to(self, device: torch.device) -> Plan:
        """The same plan with its tensors on ``device``."""
        if self.reading.device == device:
            return self
        moved = (t.to(device) for t in (self.reading, self.first_source, self.after))
        return Plan(self.component.to(device), self.first.to(device), self.steps, *moved)

    @staticmethod
    @on_cpu
    def of(action: FiniteAction) -> Plan:
        """Find the orbits of the entries and few doublings that reach every entry."""
        group = action.group
        g = group.elements()
        component, entries = torch.full((action.size,), -1), torch.zeros(0, dtype=torch.int64)
        left = torch.arange(action.size)
        while len(left):  # many small orbits at once, or a large one
            some = left[: max(1, CHUNK // group.order)]
            orbit = action.source(g[:, None], some)
            least = orbit.amin(0)
            new = some[least == some]
            component[orbit] = (len(entries) + torch.searchsorted(new, least)).expand_as(orbit)
            entries = torch.cat([entries, new])
            left = left[component[left] < 0]
        reading = entries
        steps: list[int] = []
        candidates = _candidate_steps(group)
        while len(reading) < action.size:
            images = action.source(group.inverse(candidates)[:, None], reading)
            reached = torch.zeros(len(candidates), action.size, dtype=torch.bool)
            reached[:, reading] = True
            reached.scatter_(1, images, True)
            best = int(reached.sum(1).argmax())
            steps.append(int(candidates[best]))
            reading = _unique_in_order(torch.cat([reading, images[best]]))
        first_source = action.source(group.inverse(g), entries[:, None])
        after = group.compose(g, torch.tensor(steps, dtype=torch.int64)[:, None])
        return Plan(component, entries, tuple(steps), reading, first_source, after)


def search_entries(
    action: FiniteAction, plan: Plan, x: Shaped[Tensor, "batch entries"], tolerance: Tolerance
) -> Support:
    """The coset C(x) of every row, for an action that permutes entries.

    The first entries of some orbits are looked at first. They need the ranks of these orbits alone, and tell most
    inputs' images apart; only the rest is ranked as a whole.
    """
    left = torch.arange(len(x), device=x.device)
    parts: list[Support] = []
    count = _LOOK
    while len(left) and _LESS * count * action.group.order <= action.size:
        sources = plan.first_source[:count]
        shown = _local_ranks(x[left].index_select(1, sources.flatten()).view(-1, *sources.shape), tolerance)
        alive = _rank_columns(shown)[0] == 0
        done = alive.sum(1) == 1
        parts.append((left[done], alive[done].nonzero()[:, 1]))
        left, count = left[~done], _LOOK * count
    if len(left):
        rows, g = search_permuting(action, plan, rank_entries(x[left], plan.component, tolerance))
        parts.append((left[rows], g))
    rows, order = torch.cat([rows for rows, _ in parts]).sort(stable=True)
    return rows, torch.cat([g for _, g in parts])[order]


def search_permuting(action: FiniteAction, plan: Plan, ranks: Int64[Tensor, "batch entries"]) -> Support:
    """The coset C(x) of every row, for an action that permutes entries and x given by its integer ranks."""
    group, device = action.group, ranks.device
    per_chunk = max(1, CHUNK // group.order)
    parts: list[Support] = []
    for start in range(0, len(ranks), per_chunk):
        rows, g = _search_chunk(action, plan, ranks[start : start + per_chunk])
        parts.append((rows + start, g))
    if not parts:
        empty = torch.empty(0, dtype=torch.int64, device=device)
        return empty, empty
    return torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts])


def _search_chunk(action: FiniteAction, plan: Plan, ranks: Tensor) -> Support:
    group, (batch, size), device = action.group, ranks.shape, ranks.device
    keys = ranks.index_select(1, plan.first_source[0])
    alive = keys == keys.amin(1, keepdim=True)
    # reading an entry computes where it comes from, about eight times the work of ranking an element once
    dense_cost = group.order * (len(plan.steps) + len(plan.first)) // 2
    dense = alive.sum(1) * (size - 1) > dense_cost
    rows, g = (alive & ~dense[:, None]).nonzero().unbind(1)
    base = size + 1
    widest = int(62 / math.log2(base + 1))  # so many entries fit one int64 key
    position, width = 1, 2
    while position < size:
        counts = rows.bincount(minlength=batch)
        if int(counts.amax()) <= 1:
            break
        block = plan.reading[position : position + width]
        open_ = (counts > 1)[rows]
        open_rows, open_g = rows[open_], g[open_]
        values = ranks[open_rows[:, None], action.source(group.inverse(open_g)[:, None], block)]
        key = values[:, 0]
        for column in values.unbind(1)[1:]:
            key = key * base + column
        least = torch.full((batch,), torch.iinfo(torch.int64).max, device=device)
        least.scatter_reduce_(0, open_rows, key, "amin")
        keep = ~open_
        keep[open_] = key == least[open_rows]
        rows, g = rows[keep], g[keep]
        position, width = position + len(block), min(2 * width, widest)
    if dense.any():
        where = dense.nonzero().squeeze(1)
        found = [(rows, g)]
        for some in where.split(max(1, CHUNK // plan.first_source.numel())):
            more_rows, more_g = _search_by_doubling(plan, ranks[some])
            found.append((some[more_rows], more_g))
        rows, order = torch.cat([row for row, _ in found]).sort(stable=True)
        g = torch.cat([more for _, more in found])[order]
    return rows, g


def _search_by_doubling(plan: Plan, ranks: Tensor) -> Support:
    shown = ranks.index_select(1, plan.first_source.flatten()).view(-1, *plan.first_source.shape)
    phi, bound = _rank_columns(shown - shown.amin(2, keepdim=True))
    for after in plan.after:
        phi, bound = _dense_rank(phi * bound + phi.index_select(1, after), bound * bound)
    rows, elements = (phi == 0).nonzero().unbind(1)
    return rows, elements


def _rank_columns(ranks: Int64[Tensor, "batch columns order"]) -> tuple[Tensor, int]:
    """The rank of each element by all its numbers, the first one first, and a bound above all ranks."""
    bound = int(ranks.amax()) + 1
    while True:
        width = max(2, int(62 / math.log2(max(2, bound))))  # so many fit one int64 key
        ranks = pad(ranks, (0, 0, 0, -ranks.shape[1] % width))
        blocks = ranks.unflatten(1, (-1, width))
        key = blocks[:, :, 0]
        for column in blocks.unbind(2)[1:]:
            key = key * bound + column
        phi, bound = _dense_rank(key.flatten(0, 1), bound**width)
        ranks = phi.view(key.shape)
        if ranks.shape[1] == 1:
            return ranks[:, 0], bound


def _dense_rank(keys: Tensor, bound: int) -> tuple[Tensor, int]:
    """The rank of each key among the distinct keys of its row, and a bound above all ranks."""
    if bound <= 4 * keys.shape[1]:
        seen = torch.zeros(len(keys), bound, dtype=torch.int64, device=keys.device).scatter_(1, keys, 1)
        ranks = (seen.cumsum(1) - 1).gather(1, keys)
    else:
        ordered, order = keys.sort(1)
        sorted_ranks = torch.zeros_like(keys)
        sorted_ranks[:, 1:] = (ordered.diff(dim=1) != 0).cumsum(1)
        ranks = torch.empty_like(keys).scatter_(1, order, sorted_ranks)
    return ranks, int(ranks.amax()) + 1


def search_enumerating(
    action: FiniteAction, component: Int64[Tensor, " entries"], x: Shaped[Tensor, "batch ..."], tolerance: Tolerance
) -> Support:
    """The coset C(x) of every row by writing down its orbit, in double precision, for an action that mixes entries.

    Arguments:
        action: the action.
        component: as :func:`mixed_entries` says.
        x: the inputs.
        tolerance: of the numbers of an orbit, those of one component on the scale of the largest.

    Raises:
        ValueError: if the action rounds more coarsely than ``tolerance`` at the size of x.
        ValueError: if the values of an orbit cluster so loosely that the minimum is not reached on a coset.
    """
    group = action.group
    inverses = group.inverse(group.elements(device=x.device))
    x = x.double()
    largest = largest_entries(x.flatten(1), component)
    coarse = action.precision * largest > tolerance.gap(largest)
    if bool(coarse.any()):
        raise ValueError(
            "tolerance: expected at least the rounding error of the action on x, "
            f"{action.precision * float(largest[coarse].amax()):.3g}, got {tolerance}; "
            "give the matrices in double precision or choose a larger tolerance"
        )
    per_chunk = max(1, CHUNK // (group.order * max(action.size, group.order)))
    rows_parts, g_parts = [], []
    for start in range(0, len(x), per_chunk):
        orbit = action(inverses, x[start : start + per_chunk].unsqueeze(1)).flatten(2)
        ranks = rank_entries(orbit.flatten(1), component.repeat(group.order), tolerance).view(orbit.shape)
        alive = torch.ones(orbit.shape[:2], dtype=torch.bool, device=x.device)
        for column in ranks.unbind(2):
            least = column.masked_fill(~alive, group.order * action.size).amin(1, keepdim=True)
            alive &= column == least
        rows, g = alive.nonzero().unbind(1)
        _check_coset(group, rows, g, start)
        rows_parts.append(rows + start)
        g_parts.append(g)
    return torch.cat(rows_parts), torch.cat(g_parts)


def _check_coset(group: FiniteGroup, rows: Tensor, g: Tensor, start: int) -> None:
    """Every row's elements must be a coset aH: a^-1 C is closed under products."""
    counts = rows.bincount()
    offsets = counts.cumsum(0) - counts
    h = group.compose(group.inverse(g[offsets[rows]]), g)
    left = torch.arange(len(h), device=h.device).repeat_interleave(counts[rows])
    within = torch.arange(len(left), device=h.device) - (counts[rows].cumsum(0) - counts[rows])[left]
    right = offsets[rows[left]] + within
    products = group.compose(h[left], h[right])
    known = torch.isin(rows[left] * group.order + products, rows * group.order + h)
    if not known.all():
        bad = int(rows[left][~known][0]) + start
        raise ValueError(
            f"x: row {bad} is symmetric only up to differences near the tolerance: its nearly minimal orbit points are "
            "not a coset; choose a tolerance well above the float noise and well below the real differences"
        )


def _candidate_steps(group: FiniteGroup) -> Tensor:
    """The generators' powers with exponents 1, 2, 4, ..., then a few fixed random elements."""
    candidates: list[int] = []
    for generator in group.generators:
        power = torch.tensor(generator)
        while int(power) != 0 and int(power) not in candidates:
            candidates.append(int(power))
            power = group.compose(power, power)
    extra = group.sample((32,), generator=torch.Generator().manual_seed(0))
    return torch.cat([torch.tensor(candidates, dtype=torch.int64), extra])


def _unique_in_order(entries: Tensor) -> Tensor:
    """Drop all but the first occurrence of each number."""
    values, inverse = entries.unique(return_inverse=True)
    first = torch.full((len(values),), len(entries)).scatter_reduce_(0, inverse, torch.arange(len(entries)), "amin")
    return entries[first.sort().values]
