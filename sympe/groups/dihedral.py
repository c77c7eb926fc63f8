"""Cyclic and dihedral groups by arithmetic on indices."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Int64
from torch import Tensor

from sympe.groups.checks import check_integer
from sympe.groups.finite import FiniteGroup


@dataclass(frozen=True)
class Cyclic(FiniteGroup):
    r"""The cyclic group :math:`C_n`; element ``k`` is :math:`r^k`.

    Arguments:
        n: order, at least 1.

    Raises:
        TypeError: if ``n`` is no integer.
        ValueError: if ``n < 1``.

    Example:
        >>> import torch
        >>> Cyclic(4).compose(torch.tensor(3), torch.tensor([1, 2]))
        tensor([0, 1])
    """

    n: int

    def __post_init__(self) -> None:
        check_integer("n", self.n)

    @property
    def order(self) -> int:
        """The number of elements, ``n``."""
        return self.n

    @property
    def generators(self) -> tuple[int, ...]:
        """``(1,)``, the element r; empty for ``n = 1``."""
        return (1,) if self.n > 1 else ()

    @property
    def layout(self) -> tuple[int, ...]:
        """``(n,)``."""
        return (self.n,)

    def compose(self, g: Int64[Tensor, "*#batch"], h: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """The product ``g h``."""
        return (g + h) % self.n

    def inverse(self, g: Int64[Tensor, "*batch"]) -> Int64[Tensor, "*batch"]:
        """The inverse of ``g``."""
        return -g % self.n


@dataclass(frozen=True)
class Dihedral(FiniteGroup):
    r"""The dihedral group :math:`D_n` of order ``2 n``; element ``s n + k`` is :math:`r^k m^s`, with m r m = r^-1.

    Arguments:
        n: order of the rotation r, at least 1. :math:`D_1` has two elements and :math:`D_2` is the Klein group.

    Raises:
        TypeError: if ``n`` is no integer.
        ValueError: if ``n < 1``.

    Example:
        >>> import torch
        >>> d3 = Dihedral(3)
        >>> r, m = torch.tensor(1), torch.tensor(3)
        >>> bool(d3.compose(m, d3.compose(r, m)) == d3.inverse(r))
        True
    """

    n: int

    def __post_init__(self) -> None:
        check_integer("n", self.n)

    @property
    def order(self) -> int:
        """The number of elements, ``2 n``."""
        return 2 * self.n

    @property
    def generators(self) -> tuple[int, ...]:
        """The elements r (for ``n > 1``) and m."""
        return (1, self.n) if self.n > 1 else (1,)

    @property
    def layout(self) -> tuple[int, ...]:
        """``(2, n)``: reflection, rotation."""
        return (2, self.n)

    def compose(self, g: Int64[Tensor, "*#batch"], h: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """The product ``g h``, which applies ``h`` first."""
        s, k = g // self.n, g % self.n
        t, j = h // self.n, h % self.n
        return (s + t) % 2 * self.n + (k + (1 - 2 * s) * j) % self.n

    def inverse(self, g: Int64[Tensor, "*batch"]) -> Int64[Tensor, "*batch"]:
        """The inverse of ``g``; reflections are their own."""
        s, k = g // self.n, g % self.n
        return s * self.n + (2 * s - 1) * k % self.n
