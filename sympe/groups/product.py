"""Direct products of finite groups."""

from __future__ import annotations

import math

import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.groups.finite import FiniteGroup


class Product(FiniteGroup):
    r"""The direct product :math:`G_1 \times \dots \times G_m` of finite groups.

    An element is the mixed-radix index of its components, the last one fastest. A product acts on tuples, each
    factor on its own component (:class:`~sympe.actions.DirectSum` of :class:`~sympe.actions.FactorAction`).

    Arguments:
        factors: at least one finite group.

    Raises:
        ValueError: if no factor is given.
        TypeError: if a factor is not a :class:`FiniteGroup`.

    Example:
        >>> import torch
        >>> from sympe.groups import Cyclic, Dihedral
        >>> group = Product(Cyclic(2), Dihedral(3))
        >>> group.order
        12
        >>> [int(part) for part in group.components(torch.tensor(7))]
        [1, 1]
    """

    def __init__(self, *factors: FiniteGroup) -> None:
        if not factors:
            raise ValueError("factors: expected at least one group, got none")
        for factor in factors:
            if not isinstance(factor, FiniteGroup):
                raise TypeError(
                    "factors: expected finite groups with indices for elements (DirectProduct is for others), "
                    f"got {type(factor).__name__}"
                )
        self.factors = factors

    def __repr__(self) -> str:
        return f"Product({', '.join(map(repr, self.factors))})"

    @property
    def fingerprint(self) -> str:
        """Those of the factors."""
        return f"Product({', '.join(factor.fingerprint for factor in self.factors)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Product) and self.factors == other.factors

    def __hash__(self) -> int:
        return hash(self.factors)

    @property
    def order(self) -> int:
        """The product of the factors' orders."""
        return math.prod(factor.order for factor in self.factors)

    @property
    def generators(self) -> tuple[int, ...]:
        """The generators of each factor, identity elsewhere."""
        strides = [math.prod(f.order for f in self.factors[i + 1 :]) for i in range(len(self.factors))]
        return tuple(
            g * stride for factor, stride in zip(self.factors, strides, strict=True) for g in factor.generators
        )

    @property
    def layout(self) -> tuple[int, ...]:
        """The orders of the factors."""
        return tuple(factor.order for factor in self.factors)

    def components(self, g: Int64[Tensor, "*batch"]) -> tuple[Int64[Tensor, "*batch"], ...]:
        """The element of each factor."""
        parts = []
        for factor in reversed(self.factors):
            parts.append(g % factor.order)
            g = g // factor.order
        return tuple(reversed(parts))

    def pack(self, *parts: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """The element with the given components."""
        if len(parts) != len(self.factors):
            raise ValueError(f"parts: expected {len(self.factors)} components, got {len(parts)}")
        g = torch.zeros((), dtype=torch.int64, device=parts[0].device)
        for factor, part in zip(self.factors, parts, strict=True):
            g = g * factor.order + part
        return g

    def compose(self, g: Int64[Tensor, "*#batch"], h: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """The product ``g h``, factor by factor."""
        pairs = zip(self.factors, self.components(g), self.components(h), strict=True)
        return self.pack(*(factor.compose(a, b) for factor, a, b in pairs))

    def inverse(self, g: Int64[Tensor, "*batch"]) -> Int64[Tensor, "*batch"]:
        """The inverse of ``g``, factor by factor."""
        return self.pack(*(factor.inverse(a) for factor, a in zip(self.factors, self.components(g), strict=True)))
