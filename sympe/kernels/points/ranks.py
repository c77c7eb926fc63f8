"""Ranks of the distances of clouds, up to a tolerance, in one sort of one integer for each.

Lengths are counted in parts of a gap. Sorted by kind and length, a new rank begins where the next is more than a gap
away. Arrays have the batch last, ``(lengths, batch)``, so that rows are taken as they lie in memory.
"""

from __future__ import annotations

import sys
import warnings

import torch
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor

from sympe.kernels.sorting import sort_rows

FINE = 2**16
"""Lengths are counted in so many parts of a gap."""

_SMALL = 64
"""Types below this number are used as they are."""

_WIDE_CLUSTER = 10
"""A cluster that is wider than so many gaps is worth a warning."""

_INSIDE = ("sympe", "functools")
"""Packages of calls from inside."""


def numbered(types: Int64[Tensor, "batch nodes"]) -> tuple[Int[Tensor, "nodes batch"], int]:
    """Small numbers in the order of the types of each cloud, below the second result; small types are such already.

    Example:
        >>> numbered(torch.tensor([[1, 1, 10**9]]))[0].flatten().tolist()
        [0, 0, 1]
    """
    least, most = (int(of) for of in types.aminmax()) if types.numel() else (0, 0)
    if not 0 <= least <= most < _SMALL:
        by = types.sort(dim=1)
        types = torch.zeros_like(types).scatter_(1, by.indices[:, 1:], (by.values.diff(dim=1) != 0).cumsum(1))
        most = int(types.max())
    return types.T.contiguous(), most + 1


def kinds(number: Int[Tensor, "nodes batch"], count: int, i: Tensor, j: Tensor) -> Int[Tensor, "lengths batch"]:
    """Numbers of the unordered pairs of types, the lesser one first, then of the types, each cloud by itself.

    Arguments:
        number: of the types of the nodes, below ``count``.
        count: how many there are.
        i: the first node of each pair.
        j: its second node.

    Example:
        >>> kinds(torch.tensor([[0], [0], [1]]), 2, *torch.triu_indices(3, 3, 1)).flatten().tolist()
        [0, 1, 1, 4, 4, 5]
    """
    a, b = number.index_select(0, i), number.index_select(0, j)
    if count > 1:
        a = (a + b).add_(torch.minimum(a, b), alpha=count - 1)
    return torch.cat([a, count**2 + number])


def rank_lengths(
    parts: Int64[Tensor, "lengths batch"],
    kinds: Int[Tensor, "lengths batch"],
    real: Bool[Tensor, "lengths batch"] | None,
) -> tuple[Int64[Tensor, "lengths batch"], Float[Tensor, " batch"] | None]:
    """The rank of each length among all of its cloud, from 1, by kind first; 0 where it is not real.

    Beside it the width of the widest cluster of each cloud, in gaps; None if none is wide.

    Memory is used again where it can be: for arrays of this size, getting it takes as long as filling it.

    Arguments:
        parts: the lengths, in parts of the gap of their cloud; overwritten.
        kinds: what lengths are ranked together.
        real: which are real; None for all.

    Example:
        >>> parts = FINE * torch.tensor([[3], [0], [1]])
        >>> rank_lengths(parts, torch.zeros_like(parts), None)[0].flatten().tolist()
        [2, 1, 1]
    """
    if not parts.numel():
        return torch.zeros_like(parts), None
    count, batch = parts.shape
    bits, place = count.bit_length(), torch.arange(count, device=parts.device)
    groups, span = int(kinds.max()) + 1, int(parts.max()) + FINE + 2  # a span is more than a gap beyond the longest
    new = torch.ones(batch, count, dtype=torch.bool, device=parts.device)
    if (groups + 1) * span << bits < 2**63:
        parts.add_(kinds, alpha=span)
        if real is not None:  # the others come after
            parts.masked_fill_(~real, groups * span)
        keys = sort_rows(parts.mul_(2**bits).add_(place[:, None]).T.clone(memory_format=torch.contiguous_format))
        by = keys.bitwise_and(2**bits - 1)
        keys >>= bits
        step = keys[:, 1:] - keys[:, :-1]
        torch.gt(step, FINE + 1, out=new[:, 1:])
    else:
        if real is not None:
            parts, kinds = parts * real, torch.where(real, kinds, groups)
        by = parts.T.argsort(dim=1, stable=True)
        by = by.gather(1, kinds.T.gather(1, by).argsort(dim=1, stable=True))
        keys = parts.T.gather(1, by)
        step = keys.diff(dim=1)
        new[:, 1:] = (step > FINE + 1) | (kinds.T.gather(1, by).diff(dim=1) != 0)
    number = torch.cumsum(new, 1, out=keys)
    lag = _WIDE_CLUSTER + 1
    many = number[:, lag:] == number[:, :-lag]
    if real is not None:
        there = place < real.sum(0)[:, None]
        many &= there[:, lag:]
        number *= there
    chosen = many.any(1)
    widest = _widest(step, new[:, 1:], chosen) if bool(chosen.any()) else None
    return parts.copy_(torch.empty_like(by).scatter_(1, by, number).T), widest


def _widest(step: Tensor, new: Tensor, chosen: Tensor) -> Float[Tensor, " batch"]:
    """The width of the widest cluster of each cloud that is chosen, in gaps."""
    new = new[chosen]
    width = step[chosen].masked_fill_(new, 0).cumsum(1)
    width -= torch.where(new, width, 0).cummax(1).values
    return torch.zeros(len(step), dtype=torch.float64, device=step.device).masked_scatter_(
        chosen, width.amax(1).double() / FINE
    )


def check_places(
    between: Float[Tensor, "pairs batch"],
    points: Bool[Tensor, "pairs batch"],
    i: Tensor,
    j: Tensor,
    gaps: Float[Tensor, " batch"],
    clouds: Int64[Tensor, " batch"],
) -> None:
    """Warn where points are closer than the tolerance.

    Arguments:
        between: distances.
        points: which of the pairs are points.
        i: the first node of each pair.
        j: its second node.
        gaps: the tolerance in each cloud.
        clouds: their numbers.
    """
    tiny = 1e-3 * gaps  # points that coincide are exchanged on purpose
    close = points & (between <= gaps) & (between > tiny)
    if bool(close.any()):
        row, pair = (int(at) for at in close.T.nonzero()[0])
        two, apart = f"points {int(i[pair])} and {int(j[pair])}", float(between[pair, row])
        _warn(
            f"x: {two} of cloud {int(clouds[row])} are {apart:.3g} apart, "
            f"which is not more than the tolerance, {float(gaps[row]):.3g}: they count as one place. Give a smaller "
            "tolerance, in the units of the positions"
        )


def check_chains(
    widest: Float[Tensor, " batch"], gaps: Float[Tensor, " batch"], clouds: Int64[Tensor, " batch"]
) -> None:
    """Warn where distances are chained to one that are far apart.

    Arguments:
        widest: the width of the widest cluster of each cloud, in gaps.
        gaps: the tolerance in each cloud.
        clouds: their numbers.
    """
    chained = widest > _WIDE_CLUSTER
    if bool(chained.any()):
        row = int(chained.nonzero()[0])
        width, gap = float(widest[row] * gaps[row]), float(gaps[row])
        _warn(
            f"x: the distances of cloud {int(clouds[row])} lie so close that {width:.3g} of them count as equal, one "
            f"by one within the tolerance, {gap:.3g}: symmetries may be seen where there are "
            "none. Give a smaller tolerance, or types that tell points apart"
        )


def _warn(message: str) -> None:
    """Warn at the line outside of this package that called it."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_back.f_globals.get("__name__", "").split(".")[0] in _INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level + 1)
