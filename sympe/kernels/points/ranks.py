"""Ranks of the distances of clouds, up to a tolerance, in one sort of integers for the whole batch.

Lengths are counted in parts of a gap. Sorted by cloud, kind and length, a new rank begins where the next is more than a
gap away. Arrays have the batch last, ``(lengths, batch)``, so that rows are taken as they lie in memory.
"""

from __future__ import annotations

import warnings

import torch
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor

from sympe.kernels.graphs.refinement import lexsort

FINE = 2**16
"""Lengths are counted in so many parts of a gap."""

_WIDE_CLUSTER = 10
"""A cluster that is wider than so many gaps is worth a warning."""


def kinds(types: Int64[Tensor, "batch nodes"], i: Tensor, j: Tensor) -> Int[Tensor, "lengths batch"]:
    """Numbers from 0: of the unordered pairs of types, the lesser one first, then of the types, each cloud by itself.

    Arguments:
        types: of the nodes.
        i: the first node of each pair.
        j: its second node.

    Example:
        >>> kinds(torch.tensor([[1, 1, 8]]), *torch.triu_indices(3, 3, 1)).flatten().tolist()
        [0, 1, 1, 4, 4, 5]
    """
    by = types.sort(dim=1)
    kind = torch.zeros_like(types).scatter_(1, by.indices[:, 1:], (by.values.diff(dim=1) != 0).cumsum(1))
    kind = kind.T.int().contiguous()
    count = int(kind.max()) + 1 if kind.numel() else 1
    a, b = kind.index_select(0, i), kind.index_select(0, j)
    if count > 1:
        a = (a + b).add_(torch.minimum(a, b), alpha=count - 1)
    return torch.cat([a, count**2 + kind])


def rank_lengths(
    parts: Int64[Tensor, "lengths batch"],
    kinds: Int[Tensor, "lengths batch"],
    real: Bool[Tensor, "lengths batch"] | None,
) -> tuple[Int64[Tensor, "lengths batch"], Float[Tensor, " batch"] | None]:
    """The rank of each length among all of its cloud, from 1, by kind first; 0 where it is not real.

    Beside it the width of the widest cluster of each cloud, in gaps; None if none has enough lengths to be wide.

    Arguments:
        parts: the lengths, in parts of the gap of their cloud.
        kinds: what lengths are ranked together.
        real: which are real; None for all.

    Example:
        >>> parts = FINE * torch.tensor([[3], [0], [1]])
        >>> rank_lengths(parts, torch.zeros_like(parts), None)[0].flatten().tolist()
        [2, 1, 1]
    """
    batch = parts.shape[1]
    if not parts.numel():
        return torch.zeros_like(parts), None
    groups, span = int(kinds.max()) + 1, int(parts.max()) + FINE + 2  # a span is more than a gap beyond the longest
    row = torch.arange(batch, device=parts.device)
    place, count = None, torch.full_like(row, len(parts))
    if real is not None:
        place, count = real.flatten().nonzero().squeeze(1), real.sum(0)
    if groups * batch * span < 2**63:
        keys = torch.add(parts, kinds, alpha=span).add_(row * (groups * span)).view(-1)
        keys, by = (keys if place is None else keys[place]).sort()
        new = keys.diff() > FINE + 1
    else:
        group, part = (kinds + groups * row).view(-1), parts.view(-1)
        group, part = (group, part) if place is None else (group[place], part[place])
        by = lexsort(group, part)
        new = (part[by].diff() > FINE + 1) | (group[by].diff() != 0)
    by = by if place is None else place[by]
    number = torch.zeros_like(by)  # over the whole batch
    if len(by):
        torch.cumsum(new, 0, out=number[1:])
    ranks = torch.zeros_like(parts)
    ranks.view(-1).scatter_(0, by, number)
    ranks += 1 - number[(count.cumsum(0) - count).clamp(max=len(by) - 1)] if len(by) else 0
    if real is not None:
        ranks *= real
    if not bool((number[_WIDE_CLUSTER + 1 :] == number[: -_WIDE_CLUSTER - 1]).any()):
        return ranks, None
    part = parts.view(-1)[by]
    start = torch.zeros_like(by)
    torch.mul(new, torch.arange(1, len(by), device=by.device), out=start[1:])
    width = part.sub_(part[start.cummax(0).values])
    row = row.repeat_interleave(count, output_size=len(by))
    return ranks, torch.zeros_like(count).scatter_reduce(0, row, width, "amax") / FINE


def check_places(
    between: Float[Tensor, "pairs batch"],
    points: Bool[Tensor, "pairs batch"],
    i: Tensor,
    j: Tensor,
    gaps: Float[Tensor, " batch"],
    first: int,
) -> None:
    """Warn where points are closer than the tolerance.

    Arguments:
        between: distances.
        points: which of the pairs are points.
        i: the first node of each pair.
        j: its second node.
        gaps: the tolerance in each cloud.
        first: the number of the first cloud.
    """
    tiny = 1e-3 * gaps  # points that coincide are exchanged on purpose
    close = points & (between <= gaps) & (between > tiny)
    if bool(close.any()):
        row, pair = (int(at) for at in close.T.nonzero()[0])
        two, apart = f"points {int(i[pair])} and {int(j[pair])}", float(between[pair, row])
        warnings.warn(
            f"x: {two} of cloud {first + row} are {apart:.3g} apart, "
            f"which is not more than the tolerance, {float(gaps[row]):.3g}: they count as one place. Give a smaller "
            "tolerance, in the units of the positions",
            stacklevel=6,
        )


def check_chains(widest: Float[Tensor, " batch"], gaps: Float[Tensor, " batch"], first: int) -> None:
    """Warn where distances are chained to one that are far apart.

    Arguments:
        widest: the width of the widest cluster of each cloud, in gaps.
        gaps: the tolerance in each cloud.
        first: the number of the first cloud.
    """
    chained = widest > _WIDE_CLUSTER
    if bool(chained.any()):
        row = int(chained.nonzero()[0])
        width, gap = float(widest[row] * gaps[row]), float(gaps[row])
        warnings.warn(
            f"x: the distances of cloud {first + row} lie so close that {width:.3g} of them count as equal, one by one "
            f"within the tolerance, {gap:.3g}: symmetries may be seen where there are "
            "none. Give a smaller tolerance, or types that tell points apart",
            stacklevel=6,
        )
