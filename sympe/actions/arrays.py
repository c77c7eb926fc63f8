"""Permutations of the rows and of the columns of a matrix, or of every axis of an array, each by itself."""

from __future__ import annotations

from jaxtyping import Shaped
from torch import Tensor

from sympe.actions.base import Action, take
from sympe.groups import DirectProduct, Permutations
from sympe.groups.checks import check_integer, check_kind


class ArrayAction(Action):
    r"""A permutation for each axis, on arrays of shape ``(n_1, ..., n_k, channels)``, such as matrices.

    .. math:: (g\,x)[g_1[i], g_2[j]] = x[i, j] .

    It is faithful. All factors act on the same data, so an inversion kernel needs a joint canonical form:
    :class:`~sympe.kernels.MatrixKernel` for two axes.

    Arguments:
        group: the direct product of the permutations of each axis.
        channels: number of features of an entry.

    Raises:
        TypeError: if ``group`` is no :class:`~sympe.groups.DirectProduct` of permutations.
        ValueError: if ``channels < 1``.

    Example:
        >>> import torch
        >>> action = ArrayAction(DirectProduct(Permutations(2), Permutations(3)))
        >>> rows, columns = torch.tensor([1, 0]), torch.tensor([1, 2, 0])  # column 0 becomes column 1
        >>> action(action.group.pack(rows, columns), torch.tensor([[1, 2, 3], [4, 5, 6]])[..., None])[..., 0]
        tensor([[6, 4, 5],
                [3, 1, 2]])
    """

    def __init__(self, group: DirectProduct, channels: int = 1) -> None:
        check_kind("group", group, DirectProduct, "of permutations of each axis")
        check_integer("channels", channels)
        for factor in group.factors:
            check_kind("group", factor, Permutations, "for each factor")
        self._group = group
        self.channels = channels

    @property
    def group(self) -> DirectProduct:
        """The permutations of each axis."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n_1, ..., n_k, channels)``."""
        return (*(factor.element_shape[0] for factor in self.group.factors), self.channels)

    @property
    def channels_last(self) -> bool:
        """True."""
        return True

    @property
    def is_faithful(self) -> bool:
        """True: entries that all differ show where every row and every column goes."""
        return True

    def __call__(self, g: Tensor, x: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """Move ``x`` by ``g``.

        Raises:
            ValueError: if ``x`` or ``g`` has another shape.
        """
        self.check(x)
        self.group.check(g)
        axes = len(self.group.factors)
        for axis, source in enumerate(self.group.components(self.group.inverse(g.to(x.device)))):
            before, after = (None,) * axis, (None,) * (axes - axis)
            x = take(x, source[(..., *before, slice(None), *after)], axis - axes - 1)
        return x
