r"""The graph of distances of a cloud: what determines it up to O(d).

:math:`D_{ij} = |p_i - p_j|`, :math:`D_{ii} = |p_i|` (of the centred cloud) and the types, as colours of a complete
graph, determine a cloud up to O(d): two clouds are in one orbit of :math:`O(d) \times S_n` iff their graphs are
isomorphic. Vectors at points come in as ghosts: a point :math:`p_i + s f_i` with a colour of its own for every vector,
and an arc of a colour of its own from its owner.

Distances become colours by clusters, each cloud by itself: among the sorted distances between points of two types, a
new colour begins where the gap exceeds the tolerance. Everything after is exact.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sympe.graphs import Clouds, DenseGraphs
from sympe.tolerance import Tolerance

_WIDE_CLUSTER = 10
"""A cluster that is wider than so many gaps is worth a warning."""

_GHOST = -(2**62)
"""The type of the ghosts of the first vectors; the next have the next."""


@dataclass(frozen=True)
class Distances:
    """Clouds about their centres, with the ghosts of their vectors, and their graphs.

    Arguments:
        points: in double precision, the ghosts after the points of each cloud, then padding.
        graphs: the graphs of distances, with a node for each of ``points``.
        radius: the rank of each one's distance from the centre among those of its kind.
        owners: the number of points that are no ghosts, of each cloud.
        centers: of the clouds, in double precision; 0 for groups that fix the origin.
        gaps: the largest gap between equal distances, of each cloud.
    """

    points: Float[Tensor, "batch nodes d"]
    graphs: DenseGraphs
    radius: Int64[Tensor, "batch nodes"]
    owners: Int64[Tensor, " batch"]
    centers: Float[Tensor, "batch d"]
    gaps: Float[Tensor, " batch"]

    def __len__(self) -> int:
        return len(self.points)

    def select(self, index: Int64[Tensor, " chosen"]) -> Distances:
        """Those of the given places of the batch."""
        return Distances(
            self.points[index],
            self.graphs.select(index),
            self.radius[index],
            self.owners[index],
            self.centers[index],
            self.gaps[index],
        )


def distances(x: Clouds, tolerance: Tolerance, vector_scale: float, *, centered: bool) -> Distances:
    """The clouds as graphs of distances.

    Arguments:
        x: the clouds.
        tolerance: which distances count as equal; its relative part is of the largest distance of the cloud.
        vector_scale: s, in units of the positions over those of the vectors.
        centered: whether the centre is the mean of the points, for groups with translations; else it is the origin.
    """
    if x.mask.shape[1] == 0:  # every array has a column
        one = [part.new_zeros(len(x), 1, *part.shape[2:]) for part in (x.positions, x.types, x.mask, x.vectors)]
        x = Clouds(*one)
    positions = x.positions.double()
    centers = positions.sum(1) / x.sizes.clamp(min=1)[:, None] * centered
    positions = (positions - centers[:, None]) * x.mask[:, :, None]
    points, types, mask, owner = _with_ghosts(x, positions, vector_scale)
    n = points.shape[1]
    i, j = torch.triu_indices(n, n, 1, device=x.device)
    between = (points[:, i] - points[:, j]).norm(dim=-1)
    lengths = torch.cat([between, points.norm(dim=-1)], 1)
    both = mask[:, i] & mask[:, j]
    real = torch.cat([both, mask], 1)
    kinds = _kinds(types, i, j)
    largest = lengths.masked_fill(~real, 0).amax(1)
    rounding = 16 * torch.finfo(x.dtype).eps * x.positions.double().abs().amax((1, 2))
    gaps = torch.maximum(tolerance.gap(largest), rounding)
    ranks, widest = _clusters(lengths, kinds, real, gaps, largest)
    plain = types > _GHOST // 2
    _check_tolerance(lengths[:, : len(i)], both & plain[:, i] & plain[:, j], i, j, gaps, widest)
    radius = ranks[:, len(i) :]
    column = torch.arange(n, device=x.device).diag() + len(i)  # of the ranks, for each pair of nodes
    column[i, j] = column[j, i] = torch.arange(len(i), device=x.device)
    pairs = (1 + ranks).index_select(1, column.flatten()).view(len(x), n, n)
    _tie_owners(pairs, owner, types)
    pairs *= mask[:, :, None] & mask[:, None]
    return Distances(points, DenseGraphs(pairs, types.masked_fill(~mask, 0), mask), radius, x.sizes, centers, gaps)


def _with_ghosts(x: Clouds, positions: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Points and ghosts, types, which are real, and the owner of each."""
    batch, n, channels, d = x.vectors.shape
    owner = torch.arange(n, device=x.device).expand(batch, n)
    if not channels:
        return positions, x.types, x.mask, owner
    ghosts = (positions[:, :, None] + scale * x.vectors.double()).transpose(1, 2).reshape(batch, channels * n, d)
    kinds = _GHOST + torch.arange(channels, device=x.device).repeat_interleave(n)
    types = torch.cat([x.types, kinds.expand(batch, -1)], 1)
    mask = x.mask.repeat(1, 1 + channels)
    by = (~mask).long().argsort(dim=1, stable=True)  # padding to the end
    points = torch.cat([positions, ghosts], 1).gather(1, by[:, :, None].expand(-1, -1, d))
    return points * mask.gather(1, by)[:, :, None], types.gather(1, by), mask.gather(1, by), (by % n)


def _kinds(types: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """A number for each unordered pair of types, then for each type."""
    every, kind = types.unique(return_inverse=True)
    a, b = torch.minimum(kind[:, i], kind[:, j]), torch.maximum(kind[:, i], kind[:, j])
    count = len(every)
    return torch.cat([a * count + b, count**2 + kind], 1)


def _clusters(
    lengths: Tensor, kinds: Tensor, real: Tensor, gaps: Tensor, largest: Tensor
) -> tuple[Int64[Tensor, "batch lengths"], Float[Tensor, " batch"]]:
    """The rank of each length among all of its cloud, sorted by kind first, and the width of the widest cluster.

    One sort, in which the lengths of each kind are shifted by more than the longest.
    """
    step = 2 * (largest + gaps)
    step = torch.where(step > 0, step, 1.0)
    order = (lengths + kinds * step[:, None]).masked_fill(~real, torch.inf).argsort(1)
    value, kind = lengths.gather(1, order), kinds.gather(1, order)
    new = torch.zeros_like(real)
    new[:, 1:] = ((value.diff(dim=1) > gaps[:, None]) | (kind.diff(dim=1) != 0)) & real.gather(1, order)[:, 1:]
    ranks = torch.empty_like(kinds).scatter_(1, order, new.cumsum(1))
    position = torch.arange(value.shape[1], device=value.device)
    start = torch.where(new, position, 0).cummax(1).values  # of each one's cluster
    width = (value - value.gather(1, start)).masked_fill(~real.gather(1, order), 0)
    return ranks, width.amax(1)


def _tie_owners(pairs: Tensor, owner: Tensor, types: Tensor) -> None:
    """Colours of their own for the arcs from points to their ghosts, by channel."""
    row, at = (types < _GHOST // 2).nonzero(as_tuple=True)
    pairs[row, owner[row, at], at] = types[row, at]


def _check_tolerance(
    between: Tensor, points: Bool[Tensor, "batch pairs"], i: Tensor, j: Tensor, gaps: Tensor, widest: Tensor
) -> None:
    """Warn where points are closer than the tolerance, or where distances are chained to one that are far apart."""
    tiny = 1e-3 * gaps[:, None]  # points that coincide are exchanged on purpose
    close = points & (between <= gaps[:, None]) & (between > tiny)
    if bool(close.any()):
        row, pair = (int(at) for at in close.nonzero()[0])
        warnings.warn(
            f"x: points {int(i[pair])} and {int(j[pair])} of cloud {row} are {float(between[row, pair]):.3g} apart, "
            f"which is not more than the tolerance, {float(gaps[row]):.3g}: they count as one place. Give a smaller "
            "tolerance, in the units of the positions",
            stacklevel=5,
        )
    chained = widest > _WIDE_CLUSTER * gaps
    if bool(chained.any()):
        row = int(chained.nonzero()[0])
        warnings.warn(
            f"x: the distances of cloud {row} lie so close that {float(widest[row]):.3g} of them count as equal, one "
            f"by one within the tolerance, {float(gaps[row]):.3g}: symmetries may be seen where there are none. Give a "
            "smaller tolerance, or types that tell points apart",
            stacklevel=5,
        )
