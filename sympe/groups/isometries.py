r"""Isometries of space that act on points: O(d), SO(d), E(d) and SE(d) for d = 2 and 3.

An element is a matrix, R alone or (R | t) with the translation as a last column; it takes a point p to
:math:`R p + t`. Numbers are floats, so elements are equal up to rounding only.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sympe.groups.base import Group
from sympe.groups.checks import check_floats, check_integer
from sympe.groups.eager import require
from sympe.randomness import draw_numbers

DIMENSIONS = (2, 3)

_ROUNDING = 1e-3
"""How far R^T R may be from 1: what products in single precision may reach."""


@dataclass(frozen=True)
class Isometries(Group, abc.ABC):
    r"""A group of isometries :math:`p \mapsto R p + t` of d-dimensional space, d = 2 or 3.

    Arguments:
        dimension: d.

    Raises:
        TypeError: if ``dimension`` is no integer.
        ValueError: if it is neither 2 nor 3.
    """

    dimension: int

    @property
    @abc.abstractmethod
    def is_proper(self) -> bool:
        """Whether mirror images are excluded: det R = 1."""

    @property
    @abc.abstractmethod
    def translates(self) -> bool:
        """Whether there are translations."""

    def __post_init__(self) -> None:
        check_integer("dimension", self.dimension)
        if self.dimension not in DIMENSIONS:
            raise ValueError(f"dimension: expected 2 or 3, got {self.dimension}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dimension})"

    @property
    def order(self) -> int | float:
        """Infinite."""
        return math.inf

    @property
    def element_shape(self) -> tuple[int, ...]:
        """``(d, d)``, or ``(d, d + 1)`` with translations."""
        return (self.dimension, self.dimension + self.translates)

    def rotation(self, g: Float[Tensor, "*batch d columns"]) -> Float[Tensor, "*batch d d"]:
        """R, which may be a reflection."""
        return g[..., : self.dimension]

    def translation(self, g: Float[Tensor, "*batch d columns"]) -> Float[Tensor, "*batch d"]:
        """t; zero where there are no translations."""
        if self.translates:
            return g[..., self.dimension]
        return torch.zeros_like(g[..., 0])

    def element(
        self, rotation: Float[Tensor, "*batch d d"], translation: Float[Tensor, "*batch d"]
    ) -> Float[Tensor, "*batch d columns"]:
        """The element with these R and t; t is dropped where there are no translations."""
        if not self.translates:
            return rotation
        return torch.cat([rotation, translation.unsqueeze(-1)], -1)

    def identity(
        self, shape: Sequence[int] = (), *, device: torch.device | str | None = None
    ) -> Float[Tensor, "*batch d columns"]:
        """The unit matrix and no translation, repeated to batch shape ``shape``."""
        return torch.eye(*self.element_shape, device=device).repeat(*shape, 1, 1)

    def elements(self, *, device: torch.device | str | None = None) -> Tensor:
        """Not possible.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"{self!r} has infinitely many elements; they cannot be listed")

    def compose(
        self, g: Float[Tensor, "*#batch d columns"], h: Float[Tensor, "*#batch d columns"]
    ) -> Float[Tensor, "*batch d columns"]:
        """The product ``g h``, which applies ``h`` first."""
        R = self.rotation(g)
        product = R @ h
        if not self.translates:
            return product
        return torch.cat([product[..., :-1], product[..., -1:] + g[..., -1:]], -1)

    def inverse(self, g: Float[Tensor, "*batch d columns"]) -> Float[Tensor, "*batch d columns"]:
        """The inverse of ``g``."""
        R = self.rotation(g).mT
        return torch.cat([R, -R @ g[..., -1:]], -1) if self.translates else R

    def check(self, g: Tensor, name: str = "g") -> None:
        """Refuse what is no batch of elements; under compilers and transforms values are not looked at.

        Raises:
            TypeError: if ``g`` is no tensor of floats.
            ValueError: if it has another shape, or R is not orthogonal, or a reflection where there are none.

        Example:
            >>> Orthogonal(2).check(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
            >>> SpecialOrthogonal(2).check(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
            Traceback (most recent call last):
            ValueError: g: expected elements of SpecialOrthogonal(2), got a matrix with R^T R - 1 up to 0 and det R = -1
        """
        check_floats(g, name, lambda: f"elements of {self!r}")
        if tuple(g.shape[-2:]) != self.element_shape:
            columns = ", ".join(map(str, self.element_shape))
            raise ValueError(f"{name}: expected shape (*batch, {columns}), got {tuple(g.shape)}")
        R = self.rotation(g.detach()).double()
        off = (R.mT @ R - torch.eye(self.dimension, dtype=R.dtype, device=R.device)).abs().amax((-2, -1))
        right = (off <= _ROUNDING) & g.detach().isfinite().all(-1).all(-1)
        if self.is_proper:
            right = right & (torch.linalg.det(R) > 0)
        require(right, lambda: f"{name}: expected elements of {self!r}, got {_shown(R, off, right)}")

    def sample(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Float[Tensor, "*batch d columns"]:
        """Draw independent Haar-distributed elements of batch shape ``shape``.

        Raises:
            ValueError: if there are translations: no distribution on them is uniform.
        """
        if self.translates:
            raise ValueError(
                f"{self!r} has no uniform distribution, for it has translations: draw from "
                f"{'SpecialOrthogonal' if self.is_proper else 'Orthogonal'}({self.dimension})"
            )
        d = self.dimension
        normal = draw_numbers(torch.randn, (*shape, d, d), generator=generator, device=device, dtype=torch.float64)
        R = orthonormal(normal)
        return (to_proper(R) if self.is_proper else R).to(torch.get_default_dtype())


def _shown(R: Tensor, off: Tensor, right: Tensor) -> str:
    first = (~right).flatten().nonzero()[0, 0]
    det = float(torch.linalg.det(R).flatten()[first])
    return f"a matrix with R^T R - 1 up to {float(off.flatten()[first]):.3g} and det R = {det:.3g}"


class Orthogonal(Isometries):
    r"""The orthogonal group O(d): rotations and reflections, as matrices of shape ``(d, d)``.

    Arguments:
        dimension: d, 2 or 3.

    Raises:
        TypeError: if ``dimension`` is no integer.
        ValueError: if it is neither 2 nor 3.

    Example:
        >>> group = Orthogonal(3)
        >>> g = group.sample((5,), generator=torch.Generator().manual_seed(0))
        >>> g.shape, torch.allclose(group.compose(g, group.inverse(g)), group.identity((5,)), atol=1e-5)
        (torch.Size([5, 3, 3]), True)
    """

    @property
    def is_proper(self) -> bool:
        """False."""
        return False

    @property
    def translates(self) -> bool:
        """False."""
        return False


class SpecialOrthogonal(Isometries):
    r"""The rotations SO(d), as matrices of shape ``(d, d)`` with determinant 1.

    Arguments:
        dimension: d, 2 or 3.

    Raises:
        TypeError: if ``dimension`` is no integer.
        ValueError: if it is neither 2 nor 3.

    Example:
        >>> torch.linalg.det(SpecialOrthogonal(3).sample((4,))).round()
        tensor([1., 1., 1., 1.])
    """

    @property
    def is_proper(self) -> bool:
        """True."""
        return True

    @property
    def translates(self) -> bool:
        """False."""
        return False


class Euclidean(Isometries):
    r"""The Euclidean group E(d): rotations, reflections and translations, as matrices (R | t) of shape ``(d, d + 1)``.

    It is not compact, so there is no Haar distribution to sample from.

    Arguments:
        dimension: d, 2 or 3.

    Raises:
        TypeError: if ``dimension`` is no integer.
        ValueError: if it is neither 2 nor 3.

    Example:
        >>> group = Euclidean(2)
        >>> quarter, shift = torch.tensor([[0.0, -1, 0], [1, 0, 0]]), torch.tensor([[1.0, 0, 5], [0, 1, 0]])
        >>> group.compose(quarter, shift).tolist()  # first shifted, then turned
        [[0.0, -1.0, 0.0], [1.0, 0.0, 5.0]]
    """

    @property
    def is_proper(self) -> bool:
        """False."""
        return False

    @property
    def translates(self) -> bool:
        """True."""
        return True


class SpecialEuclidean(Isometries):
    r"""The rigid motions SE(d): rotations and translations, as matrices (R | t) of shape ``(d, d + 1)``.

    Arguments:
        dimension: d, 2 or 3.

    Raises:
        TypeError: if ``dimension`` is no integer.
        ValueError: if it is neither 2 nor 3.

    Example:
        >>> SpecialEuclidean(3).element_shape
        (3, 4)
    """

    @property
    def is_proper(self) -> bool:
        """True."""
        return True

    @property
    def translates(self) -> bool:
        """True."""
        return True


def orthonormal(matrices: Float[Tensor, "*batch d d"]) -> Float[Tensor, "*batch d d"]:
    """Gram-Schmidt along the columns, first to last: of normal numbers, Haar-distributed in O(d).

    Example:
        >>> orthonormal(torch.tensor([[2.0, 3.0], [0.0, -4.0]]))
        tensor([[ 1.,  0.],
                [ 0., -1.]])
    """
    columns: list[Tensor] = []
    for column in matrices.unbind(-1):
        for _ in range(2):  # once more, where the first time leaves mostly rounding
            for before in columns:
                column = column - (before * column).sum(-1, keepdim=True) * before
        columns.append(column / column.norm(dim=-1, keepdim=True))
    return torch.stack(columns, -1)


def to_proper(R: Float[Tensor, "*batch d d"]) -> Float[Tensor, "*batch d d"]:
    """The last column of reflections with the other sign: rotations."""
    sign = torch.where(torch.linalg.det(R) < 0, -1.0, 1.0).to(R.dtype)
    return torch.cat([R[..., :-1], R[..., -1:] * sign[..., None, None]], -1)
