"""Direct products of symmetric groups, on index tensors side by side."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.groups.base import Group
from sympe.groups.checks import check_elements, check_integer
from sympe.groups.permutations import Permutations

MAX_LISTED_ORDER = 50_000


class PermutationProduct(Group):
    r"""The product :math:`S_{n_1} \times \dots \times S_{n_k}`: rows and columns of a matrix, each in any order.

    An element is an ``int64`` tensor of shape ``(n_1 + ... + n_k,)``, the permutations one after the other, each of
    its own ``range(n_i)``; :meth:`components` takes it apart. Nothing of the size of the group is ever made, but for
    :meth:`elements`.

    Arguments:
        degrees: the numbers n_i of points, at least 1 each.

    Raises:
        TypeError: if one is no integer.
        ValueError: if there is none, or one is below 1.

    Example:
        >>> group = PermutationProduct(2, 3)
        >>> group.order
        12
        >>> g = group.pack(torch.tensor([1, 0]), torch.tensor([2, 0, 1]))
        >>> g, group.inverse(g)
        (tensor([1, 0, 2, 0, 1]), tensor([1, 0, 1, 2, 0]))
    """

    def __init__(self, *degrees: int) -> None:
        if not degrees:
            raise ValueError("degrees: expected at least one number of points, got none")
        for degree in degrees:
            check_integer("degrees", degree)
        self.degrees = degrees
        self.factors = tuple(Permutations(degree) for degree in degrees)

    def __repr__(self) -> str:
        return f"PermutationProduct({', '.join(map(str, self.degrees))})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PermutationProduct) and self.degrees == other.degrees

    def __hash__(self) -> int:
        return hash(("PermutationProduct", self.degrees))

    @property
    def order(self) -> int:
        """The number of elements, the product of the factorials."""
        return math.prod(map(math.factorial, self.degrees))

    @property
    def element_shape(self) -> tuple[int, ...]:
        """``(n_1 + ... + n_k,)``."""
        return (sum(self.degrees),)

    def components(self, g: Int64[Tensor, "*batch points"]) -> tuple[Int64[Tensor, "*batch _"], ...]:
        """The permutation of each factor."""
        parts: tuple[Tensor, ...] = g.split(self.degrees, -1)
        return parts

    def pack(self, *parts: Int64[Tensor, "*#batch _"]) -> Int64[Tensor, "*batch points"]:
        """The element with the given permutations.

        Raises:
            ValueError: if there are more or fewer than factors.
        """
        if len(parts) != len(self.factors):
            raise ValueError(f"parts: expected {len(self.factors)} permutations, got {len(parts)}")
        batch = torch.broadcast_shapes(*(part.shape[:-1] for part in parts))
        return torch.cat([part.expand(*batch, part.shape[-1]) for part in parts], -1)

    def identity(
        self, shape: Sequence[int] = (), *, device: torch.device | str | None = None
    ) -> Int64[Tensor, "*batch points"]:
        """The element that moves nothing, repeated to batch shape ``shape``."""
        return self.pack(*(factor.identity(shape, device=device) for factor in self.factors))

    def elements(self, *, device: torch.device | str | None = None) -> Int64[Tensor, "order points"]:
        """All elements, the identity first and the last factor fastest.

        Raises:
            ValueError: if there are more than 50,000.
        """
        if self.order > MAX_LISTED_ORDER:
            raise ValueError(
                f"degrees: expected at most {MAX_LISTED_ORDER:,} elements to list them all, got {self.degrees}"
            )
        every = itertools.product(*(itertools.permutations(range(degree)) for degree in self.degrees))
        return torch.tensor([list(itertools.chain(*parts)) for parts in every], device=device)

    def compose(
        self, g: Int64[Tensor, "*#batch points"], h: Int64[Tensor, "*#batch points"]
    ) -> Int64[Tensor, "*batch points"]:
        """The product ``g h``, which applies ``h`` first, factor by factor."""
        pairs = zip(self.factors, self.components(g), self.components(h), strict=True)
        return self.pack(*(factor.compose(a, b) for factor, a, b in pairs))

    def inverse(self, g: Int64[Tensor, "*batch points"]) -> Int64[Tensor, "*batch points"]:
        """The inverse of ``g``, factor by factor."""
        return self.pack(*(factor.inverse(a) for factor, a in zip(self.factors, self.components(g), strict=True)))

    def sample(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Int64[Tensor, "*batch points"]:
        """Draw independent uniform elements of batch shape ``shape``."""
        return self.pack(*(factor.sample(shape, generator=generator, device=device) for factor in self.factors))

    def check(self, g: Tensor, name: str = "g") -> None:
        """Refuse what is no batch of elements; under compilers and transforms values are not looked at.

        Raises:
            TypeError: if ``g`` is no tensor of int64.
            ValueError: if it has another shape, or a part is no permutation.

        Example:
            >>> PermutationProduct(2, 3).check(torch.tensor([[1, 0, 0, 1, 2]]))
        """
        points = self.element_shape[0]
        check_elements(g, name, lambda: f"permutations of shape (*batch, {points})")
        if g.shape[-1:] != (points,):
            raise ValueError(f"{name}: expected shape (*batch, {points}), got {tuple(g.shape)}")
        for factor, part in zip(self.factors, self.components(g), strict=True):
            factor.check(part, name)
