r"""Batches of point clouds: n points in the plane or in space, with types, and vectors at the points if there are any.

An isometry and a permutation (R, t, p) take a cloud to the one whose point p[i] is :math:`R x_i + t`, with the type of
i and its vectors turned by R (:mod:`sympe.actions.points`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from sympe.graphs.batches import short_sizes


@dataclass(frozen=True)
class Clouds:
    """A batch of point clouds, padded at the end to one number of points.

    Use :meth:`from_positions` or :meth:`from_flat`, which check what they get; here everything is taken as it is.

    Arguments:
        positions: coordinates, 0 in the padding; d is 2 or 3.
        types: what is not exchanged for each other, such as atomic numbers; 0 in the padding.
        mask: which points are real.
        vectors: forces, dipoles or displacements at the points, which turn with the cloud; 0 in the padding.

    Example:
        >>> water = torch.tensor([[[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]]])
        >>> Clouds.from_positions(water, torch.tensor([[8, 1, 1]]))
        Clouds(1 of 3 points in space, padded to 3)
    """

    positions: Float[Tensor, "batch points d"]
    types: Int64[Tensor, "batch points"]
    mask: Bool[Tensor, "batch points"]
    vectors: Float[Tensor, "batch points channels d"]

    @classmethod
    def from_positions(
        cls,
        positions: Tensor,
        types: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        vectors: Tensor | None = None,
    ) -> Clouds:
        """A batch from padded tensors; what stands in the padding is not looked at.

        Arguments:
            positions: ``(batch, points, d)`` in any unit, d = 2 or 3.
            types: ``(batch, points)`` of integers; None for equal points.
            mask: ``(batch, points)``, True for the real points, which come first; None if all are.
            vectors: ``(batch, points, d)`` or ``(batch, points, channels, d)``; None for no vectors.

        Raises:
            TypeError: if positions or vectors are no floats, types no integers, or the mask is not boolean.
            ValueError: if a shape is another, d is neither 2 nor 3, real points come after padding, or a number is not
                finite.
        """
        positions = _floats("positions", positions)
        if positions.dim() != 3 or positions.shape[-1] not in (2, 3):
            raise ValueError(f"positions: expected shape (batch, points, d) with d = 2 or 3, got {_shape(positions)}")
        batch, n, d = positions.shape
        if mask is None:
            mask = torch.ones(batch, n, dtype=torch.bool, device=positions.device)
        if mask.dtype != torch.bool:
            raise TypeError(f"mask: expected booleans, got {mask.dtype}")
        if mask.shape != (batch, n):
            raise ValueError(f"mask: expected shape {(batch, n)}, got {_shape(mask)}")
        if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
            raise ValueError("mask: expected the real points before the padding, got a hole")
        if types is None:
            types = torch.zeros(batch, n, dtype=torch.int64, device=positions.device)
        if types.is_floating_point() or types.is_complex():
            raise TypeError(f"types: expected integers, got {types.dtype}")
        if types.numel() and int(types.abs().max()) >= 2**32:
            raise ValueError(f"types: expected numbers below 2^32, got {int(types.abs().max())}")
        if types.shape != (batch, n):
            raise ValueError(f"types: expected one for each point, of shape {(batch, n)}, got {_shape(types)}")
        if vectors is None:
            vectors = positions.new_zeros(batch, n, 0, d)
        vectors = _floats("vectors", vectors).to(positions.dtype)
        if vectors.dim() not in (3, 4) or vectors.shape[:2] != (batch, n) or vectors.shape[-1] != d:
            raise ValueError(
                f"vectors: expected shape ({batch}, {n}, {d}) or ({batch}, {n}, channels, {d}), got {_shape(vectors)}"
            )
        vectors = vectors.unsqueeze(2) if vectors.dim() == 3 else vectors
        positions = positions.masked_fill(~mask[:, :, None], 0)
        vectors = vectors.masked_fill(~mask[:, :, None, None], 0)
        for name, numbers in (("positions", positions), ("vectors", vectors)):
            wrong = (~numbers.isfinite()).flatten(1).any(1)
            if bool(wrong.any()):
                raise ValueError(f"{name}: expected finite numbers; cloud {int(wrong.nonzero()[0])} has others")
        return cls(positions, types.long().masked_fill(~mask, 0), mask, vectors)

    @classmethod
    def from_flat(
        cls, positions: Tensor, sizes: Tensor, types: Tensor | None = None, *, vectors: Tensor | None = None
    ) -> Clouds:
        """A batch from clouds one after the other, as PyTorch Geometric has them.

        Arguments:
            positions: ``(points, d)``.
            sizes: ``(batch,)``, the number of points of each cloud.
            types: ``(points,)``; None for equal points.
            vectors: ``(points, d)`` or ``(points, channels, d)``.

        Raises:
            TypeError: as :meth:`from_positions`, or if the sizes are no integers.
            ValueError: as :meth:`from_positions`, or if the sizes do not add up.

        Example:
            >>> Clouds.from_flat(torch.zeros(5, 2), torch.tensor([2, 3])).mask.long().tolist()
            [[1, 1, 0], [1, 1, 1]]
        """
        if sizes.is_floating_point() or sizes.dtype == torch.bool:
            raise TypeError(f"sizes: expected integers, got {sizes.dtype}")
        if sizes.dim() != 1 or bool((sizes < 0).any()) or int(sizes.sum()) != len(positions):
            raise ValueError(f"sizes: expected numbers >= 0 that add up to {len(positions)} points, got {sizes}")
        widest = int(sizes.max()) if len(sizes) else 0
        mask = torch.arange(widest, device=positions.device) < sizes.to(positions.device)[:, None]

        def padded(name: str, values: Tensor) -> Tensor:
            if len(values) != len(positions):
                raise ValueError(f"{name}: expected {len(positions)} rows, one for each point, got {len(values)}")
            out = values.new_zeros(*mask.shape, *values.shape[1:])
            out[mask] = values
            return out

        return cls.from_positions(
            padded("positions", positions),
            None if types is None else padded("types", types),
            mask,
            vectors=None if vectors is None else padded("vectors", vectors),
        )

    def __repr__(self) -> str:
        where = "the plane" if self.dimension == 2 else "space"
        vectors = f", {self.vectors.shape[2]} vectors each" if self.vectors.shape[2] else ""
        sizes = short_sizes(self.sizes, "points")
        return f"Clouds({sizes} in {where}{vectors}, padded to {self.mask.shape[1]})"

    def __len__(self) -> int:
        return len(self.mask)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.mask.device

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the positions."""
        return self.positions.dtype

    @property
    def dimension(self) -> int:
        """d, 2 or 3."""
        return self.positions.shape[2]

    @property
    def sizes(self) -> Int64[Tensor, " batch"]:
        """The number of points of each cloud."""
        return self.mask.sum(1)

    @property
    def centers(self) -> Float[Tensor, "batch d"]:
        """The mean of the points of each cloud; 0 of an empty one."""
        return self.positions.sum(1) / self.sizes.clamp(min=1)[:, None]

    def centered(self) -> Clouds:
        """The clouds with their means at the origin."""
        return self.moved(translation=-self.centers)

    def moved(
        self,
        rotation: Float[Tensor, "batch d d"] | None = None,
        translation: Float[Tensor, "batch d"] | None = None,
        permutation: Int64[Tensor, "batch n"] | None = None,
    ) -> Clouds:
        """Every cloud moved by its own isometry and permutation: point i becomes point ``permutation[i]``.

        Arguments:
            rotation: applied first, to the vectors as well.
            translation: of the real points alone.
            permutation: fixes the padding, and is at least as long as the largest cloud.

        Raises:
            ValueError: if a permutation moves padding.

        Example:
            >>> pair = Clouds.from_positions(torch.tensor([[[1.0, 0.0], [2.0, 0.0]]]))
            >>> pair.moved(permutation=torch.tensor([[1, 0]])).positions.tolist()
            [[[2.0, 0.0], [1.0, 0.0]]]
        """
        positions, types, vectors = self.positions, self.types, self.vectors
        if rotation is not None:
            R = rotation.to(positions.dtype).mT
            positions, vectors = positions @ R, vectors @ R[:, None]
        if translation is not None:
            positions = positions + translation.to(positions.dtype)[:, None] * self.mask[:, :, None]
        if permutation is not None:
            n = self.mask.shape[1]
            place = torch.arange(permutation.shape[1], device=self.device).expand_as(permutation)
            if bool(((permutation != place) & (place >= self.sizes[:, None])).any()):
                raise ValueError("permutation: expected the padding in its place, got one that moves it")
            source = torch.empty_like(permutation).scatter(1, permutation, place)
            source = source[:, :n] if source.shape[1] >= n else _extended(source, n)
            rows = torch.arange(len(self), device=self.device)[:, None]
            positions, types, vectors = positions[rows, source], types[rows, source], vectors[rows, source]
        return Clouds(positions, types, self.mask, vectors)

    def select(self, index: Int64[Tensor, " chosen"]) -> Clouds:
        """The clouds at the given places of the batch, in that order."""
        return Clouds(self.positions[index], self.types[index], self.mask[index], self.vectors[index])

    @classmethod
    def concatenate(cls, parts: Sequence[Clouds]) -> Clouds:
        """All clouds of several batches as one, padded to the largest.

        Raises:
            ValueError: if there is no batch, or they differ in d or in the number of vectors.

        Example:
            >>> one, two = (Clouds.from_positions(torch.zeros(1, n, 3)) for n in (2, 5))
            >>> Clouds.concatenate([one, two]).sizes
            tensor([2, 5])
        """
        if not parts:
            raise ValueError("parts: expected at least one batch, got none")
        kinds = {(part.dimension, part.vectors.shape[2]) for part in parts}
        if len(kinds) > 1:
            raise ValueError(f"parts: expected one d and number of vectors, got {sorted(kinds)}")
        n = max(part.mask.shape[1] for part in parts)
        rests = [n - part.mask.shape[1] for part in parts]
        return cls(
            torch.cat([nn.functional.pad(x.positions, (0, 0, 0, r)) for x, r in zip(parts, rests, strict=True)]),
            torch.cat([nn.functional.pad(x.types, (0, r)) for x, r in zip(parts, rests, strict=True)]),
            torch.cat([nn.functional.pad(x.mask, (0, r)) for x, r in zip(parts, rests, strict=True)]),
            torch.cat([nn.functional.pad(x.vectors, (0, 0, 0, 0, 0, r)) for x, r in zip(parts, rests, strict=True)]),
        )

    def to(self, target: torch.device | str | torch.dtype) -> Clouds:
        """The same clouds on another device, or in another precision."""
        if isinstance(target, torch.dtype):
            return Clouds(self.positions.to(target), self.types, self.mask, self.vectors.to(target))
        return Clouds(self.positions.to(target), self.types.to(target), self.mask.to(target), self.vectors.to(target))


def _floats(name: str, numbers: object) -> Tensor:
    """Single or double precision."""
    if not isinstance(numbers, Tensor):
        raise TypeError(f"{name}: expected a tensor of floats, got {type(numbers).__name__}")
    if not numbers.is_floating_point():
        raise TypeError(f"{name}: expected a tensor of floats, got {numbers.dtype}")
    return numbers.float() if numbers.dtype.itemsize < 4 else numbers


def _shape(x: Tensor) -> tuple[int, ...]:
    return tuple(x.shape)


def _extended(source: Tensor, n: int) -> Tensor:
    rest = torch.arange(source.shape[1], n, device=source.device).expand(len(source), -1)
    return torch.cat([source, rest], 1)
