"""Quarter turns and reflections of square images about their centre."""

from __future__ import annotations

from jaxtyping import Int64
from torch import Tensor

from sympe.actions.base import EntryAction
from sympe.groups import Cyclic, Dihedral, FiniteGroup
from sympe.groups.checks import check_integer
from sympe.groups.p4m import point_act


class ImageAction(EntryAction):
    r"""C_n or D_n, n in {1, 2, 4}, on square images of shape ``(channels, size, size)``, about the array's centre.

    The generator r turns by 360/n degrees, :math:`(a, b) \mapsto (-b, a)` for n = 4 in centred coordinates, and m maps
    :math:`(a, b) \mapsto (a, -b)`.

    Arguments:
        group: ``Cyclic(n)`` or ``Dihedral(n)`` with n = 1, 2 or 4.
        channels: number of image channels.
        size: side of the image.

    Raises:
        TypeError: if ``group`` is neither cyclic nor dihedral.
        ValueError: if n is not 1, 2 or 4, or ``channels`` or ``size`` is below 1.

    Example:
        >>> import torch
        >>> image = torch.tensor([[[1, 2], [3, 4]]])
        >>> ImageAction(Cyclic(4), 1, 2)(torch.tensor(1), image)
        tensor([[[2, 4],
                 [1, 3]]])
    """

    def __init__(self, group: Cyclic | Dihedral, channels: int, size: int) -> None:
        if not isinstance(group, Cyclic | Dihedral):
            raise TypeError(f"group: expected Cyclic or Dihedral, got {type(group).__name__}")
        if group.n not in (1, 2, 4):
            raise ValueError(f"group: expected n in (1, 2, 4) on a pixel grid, got n = {group.n}")
        check_integer("channels", channels)
        check_integer("size", size)
        self._group = group
        self.channels = channels
        self._side = size

    @property
    def group(self) -> FiniteGroup:
        """The group."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """``(channels, size, size)``."""
        return (self.channels, self._side, self._side)

    def source(self, g: Int64[Tensor, "*#batch"], entry: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """The entry that lands at ``entry``: same channel, pixel g^-1 i."""
        n, side = self._group.n, self._side
        h = self._group.inverse(g)
        channel, a, b = entry // side**2, entry // side % side, entry % side
        x, y = point_act(h // n, h % n * (4 // n), 2 * a - side + 1, 2 * b - side + 1)
        return (channel * side + (x + side - 1) // 2) * side + (y + side - 1) // 2
