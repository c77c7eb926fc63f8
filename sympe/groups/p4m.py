r"""The symmetries of a periodic square lattice, :math:`\mathbb{Z}_L^2 \rtimes D_4`.

Site ``(a, b)`` is ``tensor[..., a, b]``; all arithmetic is modulo L:

- translation :math:`t_{(p,q)}: (a, b) \mapsto (a + p, b + q)`,
- rotation :math:`r: (a, b) \mapsto (-b, a)` about site (0, 0), not about the array's centre,
- reflection :math:`m: (a, b) \mapsto (a, -b)`.

Every element is :math:`t_{(p,q)}\, r^k m^s` for exactly one ``(s, k, p, q)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Int64
from torch import Tensor

from sympe.groups.checks import check_integer
from sympe.groups.finite import FiniteGroup


@dataclass(frozen=True)
class P4M(FiniteGroup):
    r"""The group :math:`\mathbb{Z}_L^2 \rtimes D_4` of order :math:`8 L^2`, without a multiplication table.

    Element ``((s * 4 + k) * L + p) * L + q`` is :math:`t_{(p,q)} r^k m^s`, so a function on the group is a tensor of
    shape ``(8, L, L)``.

    A lattice with two different sides is for :class:`~sympe.actions.TorusAction`.

    Arguments:
        size: L, the side of the torus, at least 1.

    Raises:
        TypeError: if ``size`` is no integer.
        ValueError: if ``size < 1``.

    Example:
        >>> import torch
        >>> group = P4M(5)
        >>> group.order
        200
        >>> r = group.pack(s=0, k=1, p=0, q=0)
        >>> [int(i) for i in group.act(torch.tensor(r), torch.tensor(1), torch.tensor(2))]
        [3, 1]
    """

    size: int

    def __post_init__(self) -> None:
        if isinstance(self.size, Sequence) and len(self.size) == 2 and self.size[0] != self.size[1]:
            a, b = self.size
            raise TypeError(
                f"size: expected an integer, the side of a square lattice, got {self.size}; a rectangle has no quarter "
                f"turns: take TorusAction(Product(Cyclic({a}), Cyclic({b}))), or "
                f"TorusAction(Product(Dihedral({a}), Dihedral({b}))) with its reflections"
            )
        check_integer("size", self.size)

    @property
    def order(self) -> int:
        """The number of elements, ``8 * size**2``."""
        return 8 * self.size**2

    @property
    def generators(self) -> tuple[int, ...]:
        """The unit translations in b and in a (for ``size > 1``), r and m."""
        point = (self.pack(s=0, k=1, p=0, q=0), self.pack(s=1, k=0, p=0, q=0))
        return (1, self.size, *point) if self.size > 1 else point

    @property
    def layout(self) -> tuple[int, ...]:
        """``(8, size, size)``: point element ``s * 4 + k``, then the translation ``p, q``."""
        return (8, self.size, self.size)

    def pack(self, *, s: int, k: int, p: int, q: int) -> int:
        """The index of the element t_(p,q) r^k m^s."""
        n = self.size
        return ((s % 2 * 4 + k % 4) * n + p % n) * n + q % n

    def unpack(
        self, g: Int64[Tensor, "*batch"]
    ) -> tuple[Int64[Tensor, "*batch"], Int64[Tensor, "*batch"], Int64[Tensor, "*batch"], Int64[Tensor, "*batch"]]:
        """The parts ``(s, k, p, q)`` of ``g`` = t_(p,q) r^k m^s."""
        n = self.size
        point, site = g // n**2, g % n**2
        return point // 4, point % 4, site // n, site % n

    def act(
        self, g: Int64[Tensor, "*#batch"], a: Int64[Tensor, "*#batch"], b: Int64[Tensor, "*#batch"]
    ) -> tuple[Int64[Tensor, "*batch"], Int64[Tensor, "*batch"]]:
        """The image of site ``(a, b)`` under ``g``."""
        s, k, p, q = self.unpack(g)
        x, y = point_act(s, k, a, b)
        return (x + p) % self.size, (y + q) % self.size

    def compose(self, g: Int64[Tensor, "*#batch"], h: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """The product ``g h``, which applies ``h`` first."""
        n = self.size
        s, k, _, _ = self.unpack(g)
        t, j, a, b = self.unpack(h)
        p, q = self.act(g, a, b)
        return (((s + t) % 2 * 4 + (k + (1 - 2 * s) * j) % 4) * n + p) * n + q

    def inverse(self, g: Int64[Tensor, "*batch"]) -> Int64[Tensor, "*batch"]:
        """The inverse of ``g``."""
        n = self.size
        s, k, p, q = self.unpack(g)
        k = (2 * s - 1) * k % 4
        x, y = point_act(s, k, -p, -q)
        return ((s * 4 + k) * n + x % n) * n + y % n


def point_act(s: Tensor, k: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The image of the integer vector ``(a, b)`` under r^k m^s, not reduced modulo anything."""
    b = (1 - 2 * s) * b
    cosine, sine = (1 - k) * (1 - k % 2), (2 - k) * (k % 2)
    return cosine * a - sine * b, sine * a + cosine * b
