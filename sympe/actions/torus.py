"""Shifts and reflections of periodic grids with any sides: signals, rectangles, boxes."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.actions.base import EntryAction
from sympe.groups import Cyclic, Dihedral, FiniteGroup, Product
from sympe.groups.checks import check_integer


class TorusAction(EntryAction):
    r"""Shifts of a periodic grid, and reflections of its axes, on fields of shape ``(channels, n_1, ..., n_k)``.

    Each axis has a factor of its own: ``Cyclic(n)`` shifts it, :math:`r^k: i \mapsto i + k`, and ``Dihedral(n)`` also
    reflects it, :math:`r^k m^s: i \mapsto (-1)^s i + k`, all modulo n. So ``Product(Cyclic(8), Cyclic(12))`` is for a
    periodic 8 × 12 lattice, ``Product(Dihedral(8), Dihedral(12))`` has its reflections and half turn as well, and
    ``Cyclic(n)`` is for a periodic signal. Square lattices have quarter turns: :class:`~sympe.actions.GridAction`.

    Faithful where no ``Dihedral(n)`` has n below 3.

    Arguments:
        group: ``Cyclic``, ``Dihedral``, or a ``Product`` of such, one for each axis.
        channels: number of fields.

    Raises:
        TypeError: if ``group`` is something else.
        ValueError: if ``channels < 1``.

    Example:
        >>> from sympe.kernels import OrbitKernel
        >>> group = Product(Cyclic(2), Cyclic(3))
        >>> action = TorusAction(group)
        >>> x = torch.tensor([[[1, 2, 3], [4, 5, 6]]])
        >>> action(group.pack(torch.tensor(0), torch.tensor(1)), x)
        tensor([[[3, 1, 2],
                 [6, 4, 5]]])
        >>> OrbitKernel(action).entropy(torch.tensor([[[[1, 2, 3], [1, 2, 3]]]])).exp().round()
        tensor([2.])

        A signal, which a reflection may fix:

        >>> OrbitKernel(TorusAction(Dihedral(4))).entropy(torch.tensor([[[1, 2, 3, 2]]])).exp().round()
        tensor([2.])
    """

    def __init__(self, group: Cyclic | Dihedral | Product, channels: int = 1) -> None:
        factors: list[Cyclic | Dihedral] = []
        for factor in group.factors if isinstance(group, Product) else (group,):
            if not isinstance(factor, Cyclic | Dihedral):
                raise TypeError(
                    "group: expected Cyclic or Dihedral, or a Product of such with one factor for each axis, "
                    f"got {group!r}"
                )
            factors.append(factor)
        check_integer("channels", channels)
        self._group: FiniteGroup = group
        self._factors = tuple(factors)
        self.channels = channels

    @property
    def group(self) -> FiniteGroup:
        """The group."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """``(channels, n_1, ..., n_k)``."""
        return (self.channels, *(factor.n for factor in self._factors))

    def source(self, g: Int64[Tensor, "*#batch"], entry: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """The entry that lands at ``entry``: same channel, site g^-1 i."""
        group = self._group
        parts = group.components(g) if isinstance(group, Product) else (g,)
        rest, stride = entry, 1
        source = torch.zeros((), dtype=torch.int64, device=entry.device)
        for factor, part in zip(reversed(self._factors), reversed(parts), strict=True):
            n = factor.n
            h = factor.inverse(part)
            place = (1 - 2 * (h // n)) * (rest % n) + h  # h is k + n s; for shifts s is 0
            source = source + place % n * stride
            rest, stride = rest // n, stride * n
        return source + rest * stride
