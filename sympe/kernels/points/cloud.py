r"""The graph of distances of a cloud: what determines it up to O(d).

:math:`D_{ij} = |p_i - p_j|`, :math:`D_{ii} = |p_i|` (of the centred cloud) and the types, as colours of a complete
graph, determine a cloud up to O(d): two clouds are in one orbit of :math:`O(d) \times S_n` iff their graphs are
isomorphic. Vectors at points come in as ghosts: a point :math:`p_i + s f_i` with a colour of its own for every vector,
and an arc of a colour of its own from its owner.

Distances become colours by clusters, each cloud by itself: among the sorted distances between points of two types, a
new colour begins where the gap exceeds the tolerance. Everything after is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sympe.graphs import Clouds, DenseGraphs
from sympe.kernels.graphs.hashes import PADDING, both_ways, first_color, weight
from sympe.kernels.graphs.individualization import Heard
from sympe.kernels.points.ranks import FINE, check_chains, check_places, kinds, numbered, rank_lengths
from sympe.tolerance import Tolerance

_GHOST = -(2**62)
"""The type of the ghosts of the first vectors; the next have the next."""

_ROUNDING = 2.0**-46
"""Of a length in double precision; with the parts of a gap it leaves integers of 62 bits."""


_EXACTLY = "donot_use_mm_for_euclid_dist"

_STORED = 64
"""Where lengths are is kept for many sizes of clouds of up to so many nodes."""

_AT_ONCE = {"cpu": 2**16, "cuda": 2**24}
"""Lengths that are ranked at once: as many as the cache of a CPU takes."""


@dataclass(frozen=True)
class Distances:
    """Clouds about their centres, with the ghosts of their vectors, and their distances.

    Arguments:
        points: in double precision, the ghosts after the points of each cloud, then padding.
        types: of the points and ghosts, 0 in the padding.
        mask: which are real.
        radius: from 1, the rank of each one's distance from the centre by types and size; 0 in the padding.
        owner: the point of each ghost.
        owners: the number of points that are no ghosts, of each cloud.
        centers: of the clouds, in double precision; 0 for groups that fix the origin.
        gaps: the largest gap between equal distances, of each cloud.
        numbers: of the clouds in the batch, for warnings.
    """

    points: Float[Tensor, "batch nodes d"]
    types: Int64[Tensor, "batch nodes"]
    mask: Bool[Tensor, "batch nodes"]
    radius: Int64[Tensor, "batch nodes"]
    owner: Int64[Tensor, "batch nodes"]
    owners: Int64[Tensor, " batch"]
    centers: Float[Tensor, "batch d"]
    gaps: Float[Tensor, " batch"]
    numbers: Int64[Tensor, " batch"]

    def __len__(self) -> int:
        return len(self.points)

    @cached_property
    def settled(self) -> Bool[Tensor, " batch"]:
        """Whether the types and distances from the centre tell all nodes apart: then there are no symmetries."""
        return self.radius.amax(1) == self.mask.sum(1)

    @cached_property
    def ranks(self) -> Int64[Tensor, "lengths batch"]:
        """From 1, of the lengths of each cloud by types and size, 0 in the padding; the batch is last.

        First those of the distances of the pairs i < j, then of those from the centre.
        """
        n = self.mask.shape[1]
        step = max(1, _AT_ONCE.get(self.mask.device.type, _AT_ONCE["cuda"]) // (n * (n + 1) // 2))
        parts = [slice(start, start + step) for start in range(0, max(1, len(self)), step)]
        found = [
            _ranked(self.points[part], self.types[part], self.mask[part], self.gaps[part], self.numbers[part])
            for part in parts
        ]
        return found[0] if len(found) == 1 else torch.cat(found, 1)

    @cached_property
    def graphs(self) -> DenseGraphs:
        """The graphs of distances, with a node for each of ``points``."""
        n = self.mask.shape[1]
        pairs = self.ranks.T.index_select(1, _layout(n, self.mask.device).lengths).view(len(self), n, n)
        row, at = (self.types < _GHOST // 2).nonzero(as_tuple=True)
        pairs[row, self.owner[row, at], at] = self.types[row, at]
        return DenseGraphs(pairs, self.types, self.mask)

    def heard(self) -> tuple[Heard, Int64[Tensor, "nodes batch"]]:
        """What the nodes of the graphs hear from each other, and their first colours."""
        n, device = self.mask.shape[1], self.mask.device
        layout = _layout(n, device)
        hashes = layout.hashes.index_select(0, self.ranks.flatten()).view(self.ranks.shape)
        weights = hashes.index_select(0, layout.lengths).view(n, n, len(self))
        self._tie_owners(weights)
        types = self.types.T.contiguous()
        padding = PADDING + torch.arange(n, device=device)[:, None]
        return Heard(weights), torch.where(self.mask.T, first_color(types, types), padding)

    def _tie_owners(self, weights: Tensor) -> None:
        """Colours of their own for the arcs from points to their ghosts, by channel."""
        row, at = (self.types < _GHOST // 2).nonzero(as_tuple=True)
        if len(row):
            n, owner = self.mask.shape[1], self.owner[row, at]
            there = weight(self.types[row, at])
            back = weight(self.ranks[_layout(n, weights.device).lengths.view(n, n)[at, owner], row])
            weights[owner, at, row] = both_ways(there, back)
            weights[at, owner, row] = both_ways(back, there)

    def select(self, index: Int64[Tensor, " chosen"], nodes: int | None = None) -> Distances:
        """Those of the given places of the batch, with their first ``nodes`` nodes, or with all."""
        return Distances(
            self.points[index, :nodes],
            self.types[index, :nodes],
            self.mask[index, :nodes],
            self.radius[index, :nodes],
            self.owner[index, :nodes],
            self.owners[index],
            self.centers[index],
            self.gaps[index],
            self.numbers[index],
        )


def distances(x: Clouds, tolerance: Tolerance, vector_scale: float, *, centered: bool) -> Distances:
    """The clouds as graphs of distances.

    Arguments:
        x: the clouds.
        tolerance: which distances count as equal, to one in 65,536 of it; its relative part is of the largest distance
            of the cloud.
        vector_scale: s, in units of the positions over those of the vectors.
        centered: whether the centre is the mean of the points, for groups with translations; else it is the origin.
    """
    if x.mask.shape[1] == 0:  # every array has a column
        one = [part.new_zeros(len(x), 1, *part.shape[2:]) for part in (x.positions, x.types, x.mask, x.vectors)]
        x = Clouds(*one)
    sizes = x.sizes
    planes = x.positions.permute(2, 0, 1).double().contiguous()  # sums over three neighbours in memory are slow
    centers = planes.sum(2) / sizes.clamp(min=1) * centered
    positions = ((planes - centers[:, :, None]) * x.mask).permute(1, 2, 0)
    points, types, mask, owner = _with_ghosts(x, positions, vector_scale)
    rounding = 16 * torch.finfo(x.dtype).eps * x.positions.detach().abs().amax((1, 2)).double()
    from_center = _from_center(points)

    def gap(largest: Tensor) -> Tensor:
        return torch.maximum(torch.maximum(tolerance.gap(largest), rounding), _ROUNDING * largest)

    least = from_center.amax(1)
    gaps = gap(least)
    if not torch.equal(gaps, gap(2.001 * least)):  # no distance is larger
        gaps = gap(_largest(points.detach()))
    real = None if bool(mask.all()) else mask.T.contiguous()
    parts = _outwards(from_center, gaps)
    radius, _ = rank_lengths(parts, numbered(types)[0], real)
    numbers = torch.arange(len(x), device=x.device)
    types = types.masked_fill(~mask, 0)
    return Distances(points, types, mask, radius.T.contiguous(), owner, sizes, centers.T, gaps, numbers)


def _from_center(points: Float[Tensor, "batch nodes d"]) -> Float[Tensor, "batch nodes"]:
    """How far each point is out."""
    return points.detach().permute(2, 0, 1).square().sum(0).sqrt_()


def _outwards(from_center: Float[Tensor, "batch nodes"], gaps: Float[Tensor, " batch"]) -> Int64[Tensor, "nodes batch"]:
    """That in parts of the gap: the same for what orders points and what colours their graph."""
    return (from_center.T * (FINE / torch.where(gaps > 0, gaps, 1.0))).long()


def _largest(points: Float[Tensor, "batch nodes d"]) -> Float[Tensor, " batch"]:
    """The largest distance in each cloud, from the centre or between two."""
    step = max(1, _AT_ONCE["cuda"] // points.shape[1] ** 2)
    between = (torch.cdist(part, part, compute_mode=_EXACTLY).amax((1, 2)) for part in points.split(step))
    return torch.maximum(torch.cat(list(between)), points.norm(dim=2).amax(1))


def _ranked(
    points: Tensor, types: Tensor, mask: Tensor, gaps: Tensor, numbers: Tensor
) -> Int64[Tensor, "lengths batch"]:
    """The ranks of lengths, of clouds of these numbers."""
    n = mask.shape[1]
    layout = _layout(n, mask.device)
    i, j = layout.i, layout.j
    lengths = points.new_zeros(len(i), len(mask))
    scale = FINE / torch.where(gaps > 0, gaps, 1.0)
    for axis in points.detach().permute(2, 1, 0).contiguous() * scale:
        arc = axis.index_select(0, i).sub_(axis.index_select(0, j))
        lengths.addcmul_(arc, arc)
    parts = torch.cat([lengths.sqrt_().long(), _outwards(_from_center(points), gaps)])
    real = None
    if not bool(mask.all()):
        there = mask.T.contiguous()
        real = torch.cat([there.index_select(0, i) & there.index_select(0, j), there])
    near = parts[: len(i)] <= FINE
    if bool((near if real is None else near & real[: len(i)]).any()):
        points_only = (mask & (types > _GHOST // 2)).T
        check_places(lengths / scale, points_only[i] & points_only[j], i, j, gaps, numbers)
    del lengths, near
    ranks, widest = rank_lengths(parts, kinds(*numbered(types), i, j), real)
    if widest is not None:
        check_chains(widest, gaps, numbers)
    return ranks


class _Layout(NamedTuple):
    """Where lengths are: first those of the pairs i < j, then those from the centre.

    Arguments:
        i: the first node of each pair.
        j: its second node.
        lengths: which length that of each ordered pair of nodes is.
        hashes: what a node hears along a length of each rank, and against it; nothing for 0.
    """

    i: Int64[Tensor, " pairs"]
    j: Int64[Tensor, " pairs"]
    lengths: Int64[Tensor, " ordered"]
    hashes: Int64[Tensor, " ranks"]


def _layout(n: int, device: torch.device) -> _Layout:
    return _stored_layout(n, device) if n <= _STORED else _last_layout(n, device)


def _new_layout(n: int, device: torch.device) -> _Layout:
    with torch.inference_mode(False):  # or none could be used in training
        i, j = torch.triu_indices(n, n, 1, device=device)
        lengths = torch.arange(n, device=device).add_(len(i)).diag()
        lengths[i, j] = lengths[j, i] = torch.arange(len(i), device=device)
        hashes = weight(torch.arange(len(i) + n + 1, device=device))
        hashes[0] = 0
        return _Layout(i, j, lengths.flatten(), both_ways(hashes, hashes))


_stored_layout = lru_cache(maxsize=32)(_new_layout)
_last_layout = lru_cache(maxsize=2)(_new_layout)  # of one batch, which is ranked and searched in parts


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
