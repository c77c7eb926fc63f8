"""Direct products of any groups, whose elements are tensors side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Shaped
from torch import Tensor

from sympe.groups.base import Group
from sympe.groups.checks import check_elements, check_floats, check_kind


class DirectProduct(Group):
    r"""The direct product :math:`G_1 \times \dots \times G_m` of any groups.

    An element holds the numbers of its components side by side, in one tensor of shape ``(numbers,)``: of floats where
    a factor has floats, which hold indices up to 2^24 exactly. :meth:`components` and :meth:`pack` go to and fro.
    Finite groups with tables of elements have :class:`~sympe.groups.Product`, whose elements are single numbers.

    Arguments:
        factors: at least one group.

    Raises:
        ValueError: if no factor is given.
        TypeError: if a factor is no group.

    Example:
        Rotations of points, and their permutations:

        >>> from sympe.groups import Permutations, SpecialOrthogonal
        >>> group = DirectProduct(SpecialOrthogonal(3), Permutations(5))
        >>> g = group.sample((2,))
        >>> R, p = group.components(g)
        >>> g.shape, R.shape, p.shape, p.dtype
        (torch.Size([2, 14]), torch.Size([2, 3, 3]), torch.Size([2, 5]), torch.int64)
    """

    def __init__(self, *factors: Group) -> None:
        if not factors:
            raise ValueError("factors: expected at least one group, got none")
        for factor in factors:
            check_kind("factors", factor, Group)
        self.factors = factors
        self._continuous = tuple(factor.is_continuous for factor in factors)
        self._sizes = [math.prod(factor.element_shape) for factor in factors]

    def __repr__(self) -> str:
        return f"DirectProduct({', '.join(map(repr, self.factors))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DirectProduct) and self.factors == other.factors

    def __hash__(self) -> int:
        return hash(self.factors)

    @property
    def order(self) -> int | float:
        """The product of the factors' orders."""
        if any(self._continuous):  # n! may be larger than any float
            return math.inf
        return math.prod(factor.order for factor in self.factors)

    @property
    def element_shape(self) -> tuple[int, ...]:
        """``(numbers,)``, those of all components."""
        return (sum(self._sizes),)

    def components(self, g: Shaped[Tensor, "*batch numbers"]) -> tuple[Tensor, ...]:
        """The element of each factor, indices as int64."""
        parts = []
        split = zip(self.factors, self._continuous, g.split(self._sizes, -1), strict=True)
        for factor, is_continuous, part in split:
            part = part if is_continuous else part.detach().round().long()
            parts.append(part.reshape((*g.shape[:-1], *factor.element_shape)))
        return tuple(parts)

    def pack(self, *parts: Tensor) -> Shaped[Tensor, "*batch numbers"]:
        """The element with the given components, whose batch shapes are broadcast.

        Raises:
            ValueError: if there are not as many as factors.
        """
        if len(parts) != len(self.factors):
            raise ValueError(f"parts: expected {len(self.factors)} components, got {len(parts)}")
        dtype = parts[0].dtype
        for part in parts[1:]:
            dtype = torch.promote_types(dtype, part.dtype)
        ranks = [len(factor.element_shape) for factor in self.factors]
        batches = [part.shape[: part.ndim - rank] for part, rank in zip(parts, ranks, strict=True)]
        batch = torch.broadcast_shapes(*batches)
        flat = [
            part.to(dtype).reshape((*own, size)).expand((*batch, size))
            for part, own, size in zip(parts, batches, self._sizes, strict=True)
        ]
        return torch.cat(flat, -1)

    def identity(self, shape: Sequence[int] = (), *, device: torch.device | str | None = None) -> Tensor:
        """The neutral element, repeated to batch shape ``shape``."""
        return self.pack(*(factor.identity(shape, device=device) for factor in self.factors))

    def elements(self, *, device: torch.device | str | None = None) -> Tensor:
        """All elements, the last factor fastest.

        Raises:
            ValueError: if those of a factor cannot be listed.
        """
        parts = [factor.elements(device=device) for factor in self.factors]
        index = torch.cartesian_prod(*(torch.arange(len(part), device=device) for part in parts))
        index = index.reshape(-1, len(parts))
        return self.pack(*(part[at] for part, at in zip(parts, index.unbind(1), strict=True)))

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """The product ``g h``, factor by factor."""
        pairs = zip(self.factors, self.components(g), self.components(h), strict=True)
        return self.pack(*(factor.compose(a, b) for factor, a, b in pairs))

    def inverse(self, g: Tensor) -> Tensor:
        """The inverse of ``g``, factor by factor."""
        return self.pack(*(factor.inverse(a) for factor, a in zip(self.factors, self.components(g), strict=True)))

    def check(self, g: Tensor, name: str = "g") -> None:
        """Refuse what is no batch of elements; under compilers and transforms values are not looked at.

        Raises:
            TypeError: if ``g`` is no tensor of floats, or of int64 where no factor has floats.
            ValueError: if it has another shape or a component is no element of its factor.
        """
        (check_floats if self.is_continuous else check_elements)(g, name, lambda: f"elements of {self!r}")
        if g.shape[-1:] != self.element_shape:
            raise ValueError(f"{name}: expected shape (*batch, {self.element_shape[0]}), got {tuple(g.shape)}")
        for factor, part in zip(self.factors, self.components(g), strict=True):
            factor.check(part, name)

    def sample(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Draw independent Haar-distributed elements of batch shape ``shape``."""
        return self.pack(*(factor.sample(shape, generator=generator, device=device) for factor in self.factors))
