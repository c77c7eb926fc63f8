"""Turns and reflections of images about their centre."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Int64
from torch import Tensor

from sympe.actions.base import EntryAction
from sympe.groups import Cyclic, Dihedral, FiniteGroup
from sympe.groups.checks import check_integer, check_shape
from sympe.groups.p4m import point_act


class ImageAction(EntryAction):
    r"""C_n or D_n, n in {1, 2, 4}, on images of shape ``(channels, height, width)``, about the array's centre.

    The generator r turns by 360/n degrees, :math:`(a, b) \mapsto (-b, a)` for n = 4 in centred coordinates, and m maps
    :math:`(a, b) \mapsto (a, -b)`. Quarter turns need square images; the half turn and the flips, n = 2, do not.
    Smaller turns do not take pixels to pixels: there is no exact action of them.

    Arguments:
        group: ``Cyclic(n)`` or ``Dihedral(n)`` with n = 1, 2 or 4.
        channels: number of image channels.
        size: side of a square image, or ``(height, width)``.

    Raises:
        TypeError: if ``group`` is neither cyclic nor dihedral, or ``size`` neither an integer nor two.
        ValueError: if n is not 1, 2 or 4, or 4 and the image is not square, or ``channels`` or ``size`` is below 1.

    Example:
        >>> import torch
        >>> image = torch.tensor([[[1, 2], [3, 4]]])
        >>> ImageAction(Cyclic(4), 1, 2)(torch.tensor(1), image)
        tensor([[[2, 4],
                 [1, 3]]])
        >>> ImageAction(Dihedral(2), 1, (2, 3))(torch.tensor(2), torch.tensor([[[1, 2, 3], [4, 5, 6]]]))
        tensor([[[3, 2, 1],
                 [6, 5, 4]]])
    """

    def __init__(self, group: Cyclic | Dihedral, channels: int, size: int | Sequence[int]) -> None:
        if not isinstance(group, Cyclic | Dihedral):
            raise TypeError(f"group: expected Cyclic or Dihedral, such as Dihedral(4), got {type(group).__name__}")
        kind = type(group).__name__
        if group.n not in (1, 2, 4):
            raise ValueError(
                f"group: expected n in (1, 2, 4) on a pixel grid, got n = {group.n}: a turn by 360/{group.n} degrees "
                "takes pixels to places between pixels, and with interpolation it is no action, for two turns are not "
                f"the turn by their sum. Take {kind}(4), or features in the regular representation, "
                f"RegularAction({group!r})"
            )
        check_integer("channels", channels)
        sides = check_shape("size", size) if isinstance(size, Sequence) else (size, size)
        if len(sides) != 2:
            raise TypeError(f"size: expected an integer or (height, width), got {size}")
        for side in sides:
            check_integer("size", side)
        if group.n == 4 and sides[0] != sides[1]:
            raise ValueError(
                f"size: expected a square, for a quarter turn takes {sides[0]} x {sides[1]} pixels to "
                f"{sides[1]} x {sides[0]}, got {sides}. Take {kind}(2), or pad the images to squares"
            )
        self._group = group
        self.channels = channels
        self._sides = (sides[0], sides[1])

    @property
    def group(self) -> FiniteGroup:
        """The group."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """``(channels, height, width)``."""
        return (self.channels, *self._sides)

    def source(self, g: Int64[Tensor, "*#batch"], entry: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """The entry that lands at ``entry``: same channel, pixel g^-1 i."""
        n, (height, width) = self._group.n, self._sides
        h = self._group.inverse(g)
        channel, a, b = entry // (height * width), entry // width % height, entry % width
        x, y = point_act(h // n, h % n * (4 // n), 2 * a - height + 1, 2 * b - width + 1)
        return (channel * height + (x + height - 1) // 2) * width + (y + width - 1) // 2
