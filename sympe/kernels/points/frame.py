"""Frames: Gram-Schmidt along the canonical order of the points of a cloud, and the columns that are free."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sympe.groups.isometries import orthonormal
from sympe.randomness import draw_numbers

_PIVOT = 0.3719
"""The first point whose distance from the span so far is at least this part of the largest is taken: a frame of points
that are far apart. It is no ratio of lengths that symmetric figures have, so that rounding does not decide."""


class Frames(NamedTuple):
    """The part of a frame that the points determine.

    Arguments:
        basis: orthonormal columns, those from ``rank`` on zero.
        rank: the dimension of the span of the points.
    """

    basis: Float[Tensor, "frames d d"]
    rank: Int64[Tensor, " frames"]

    @property
    def free(self) -> Int64[Tensor, " frames"]:
        """The number k of columns that O(k) is free to turn."""
        return self.basis.shape[-1] - self.rank

    @property
    def handedness(self) -> Float[Tensor, " frames"]:
        """The sign of the determinant; 0 where columns are free."""
        det: Tensor = torch.linalg.det(self.basis)
        return det.round()

    def select(self, index: Tensor) -> Frames:
        """Those of the given places."""
        return Frames(self.basis[index], self.rank[index])

    def completed(
        self, directions: Callable[[Frames], Float[Tensor, "frames d d"]], *, proper: bool
    ) -> Float[Tensor, "frames d d"]:
        """Orthogonal matrices: free columns by Gram-Schmidt from ``directions``.

        Arguments:
            directions: gives those of frames with free columns; normal numbers for a Haar-distributed completion.
            proper: whether the last column takes the sign that makes the determinant 1. Of a frame without free columns
                that is the mirror image by one fixed reflection of the canonical form.
        """
        R, d = self.basis, self.basis.shape[-1]
        free = (self.rank < d).nonzero().squeeze(1)
        if len(free):
            some = self.select(free)
            given = (torch.arange(d, device=R.device) < some.rank[:, None])[:, None, :]
            full = orthonormal(torch.where(given, some.basis, directions(some)))
            R = R.index_copy(0, free, torch.where(given, some.basis, full))
        return _proper(R) if proper else R


def frames(q: Float[Tensor, "d frames nodes"], eps: Float[Tensor, " frames"]) -> Frames:
    """Frames along points in canonical order.

    Arguments:
        q: centred points, in canonical order; 0 in the padding.
        eps: how far from the span so far a point must be to count.
    """
    d, count, n = q.shape
    rank = torch.zeros(count, dtype=torch.int64, device=q.device)
    if n == 0:
        return Frames(q.new_zeros(count, d, d), rank)
    rest, least, columns = q, eps.square(), list[Tensor]()
    for _ in range(2):
        first, more = _first_far(rest.square().sum(0), least)
        unit = rest.gather(2, first.expand(d, count, 1)).squeeze(2)
        for before in columns:
            unit = unit - (unit * before).sum(0) * before  # what rounding left
        unit = unit * (more / unit.square().sum(0).sqrt_().clamp_(min=1e-300))
        rest = torch.addcmul(rest, (rest * unit[:, :, None]).sum(0), unit[:, :, None], value=-1)
        columns.append(unit)
        rank += more
    if d == 3:  # the last one is along the normal of the others
        normal = torch.linalg.cross(*columns, dim=0)
        height = (rest * normal[:, :, None]).sum(0)
        first, more = _first_far(height.square(), least)
        columns.append(normal * (more * height.gather(1, first).squeeze(1).sign()))
        rank += more
    return Frames(torch.stack(columns, -1).transpose(0, 1).contiguous(), rank)


def _first_far(
    far: Float[Tensor, "frames nodes"], least: Float[Tensor, " frames"]
) -> tuple[Int64[Tensor, "frames 1"], Bool[Tensor, " frames"]]:
    """The first point that is far from the span so far, by squares of distances, and whether any is."""
    top = far.amax(1, keepdim=True)
    first = (far >= _PIVOT**2 * top).to(torch.uint8).argmax(1, keepdim=True)
    return first, top.squeeze(1) > least


def haar_directions(like: Frames, *, generator: torch.Generator | None) -> Float[Tensor, "frames d d"]:
    """Normal numbers, which complete frames by Haar."""
    shape, device = like.basis.shape, like.basis.device
    return draw_numbers(torch.randn, shape, generator=generator, device=device, dtype=torch.float64)


def fixed_directions(like: Frames) -> Float[Tensor, "frames d d"]:
    """Axes that complete frames the same way every time: those farthest from the span, first ones first."""
    basis, (count, d, _) = like.basis.clone(), like.basis.shape
    out = torch.zeros_like(basis)
    for column in range(d):
        rest = torch.eye(d, dtype=basis.dtype, device=basis.device).expand(count, d, d)
        rest = rest - rest @ basis @ basis.mT  # rows: axes less their part in the span
        far = rest.norm(dim=-1)
        first = (far >= _PIVOT * far.amax(1, keepdim=True)).to(torch.uint8).argmax(1)
        unit = rest.gather(1, first[:, None, None].expand(-1, 1, d)).squeeze(1)
        unit = unit / unit.norm(dim=-1, keepdim=True).clamp(min=1e-300)
        free = (column >= like.rank)[:, None]
        out[..., column] = torch.where(free, unit, 0)
        basis[..., column] = torch.where(free, unit, basis[..., column])
    return out


def _proper(R: Tensor) -> Tensor:
    sign = torch.linalg.det(R).sign()
    return torch.cat([R[..., :-1], R[..., -1:] * sign[:, None, None]], -1)
