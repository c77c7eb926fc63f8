"""Actions given by permutations: any finite group on points, on itself, and not at all."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.actions.base import EntryAction
from sympe.groups import FiniteGroup, generate_permutations
from sympe.groups.checks import check_integer, check_kind, check_shape
from sympe.groups.eager import on_cpu


class PermutationAction(EntryAction):
    r"""A finite group on points by permutations: :math:`(g x)[p_g[i]] = x[i]`, shape ``(channels, degree)``.

    Arguments:
        group: the group.
        permutations: ``(order, degree)`` integers, ``p_g`` in row g.
        channels: number of functions on the points.

    Raises:
        ValueError: if the rows are not permutations or not a homomorphism, p_gh = p_g p_h.

    Example:
        >>> import torch
        >>> action = PermutationAction.generate([[1, 2, 0]])
        >>> action(torch.tensor([0, 1, 2]), torch.tensor([[10, 20, 30]]))
        tensor([[[10, 20, 30]],
        <BLANKLINE>
                [[30, 10, 20]],
        <BLANKLINE>
                [[20, 30, 10]]])
    """

    @on_cpu
    def __init__(self, group: FiniteGroup, permutations: Int64[Tensor, "order degree"], channels: int = 1) -> None:
        check_kind("group", group, FiniteGroup)
        check_kind("permutations", permutations, Tensor)
        if permutations.ndim != 2 or len(permutations) != group.order:
            raise ValueError(f"permutations: expected shape ({group.order}, degree), got {tuple(permutations.shape)}")
        check_integer("channels", channels)
        degree = permutations.shape[1]
        if not torch.equal(permutations.sort(1).values, torch.arange(degree).expand(group.order, -1)):
            raise ValueError(f"permutations: expected every row to be a permutation of range({degree})")
        if not torch.equal(permutations[0], torch.arange(degree)):
            raise ValueError("permutations: expected the identity permutation for the identity element 0")
        g = group.elements()
        for s in group.generators:
            product = permutations.gather(1, permutations[s].expand(group.order, -1))
            if not torch.equal(permutations[group.compose(g, torch.tensor(s))], product):
                raise ValueError(f"permutations: not a homomorphism, p_(g {s}) differs from p_g p_{s} for some g")
        self._group = group
        self.channels = channels
        self._inverses = permutations.argsort(1)

    @staticmethod
    def generate(generators: Sequence[Sequence[int]], channels: int = 1) -> PermutationAction:
        """The natural action of the permutation group that ``generators`` generate, which is faithful."""
        group = FiniteGroup.from_permutations(generators)
        return PermutationAction(group, generate_permutations(generators), channels)

    @property
    def group(self) -> FiniteGroup:
        """The group."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """``(channels, degree)``."""
        return (self.channels, self._inverses.shape[1])

    def source(self, g: Int64[Tensor, "*#batch"], entry: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """The entry that lands at ``entry``: same channel, point p_g^-1."""
        degree = self._inverses.shape[1]
        point = self._inverses.to(g.device)[g, entry % degree]
        return entry // degree * degree + point


class RegularAction(EntryAction):
    r"""A finite group on functions on itself: :math:`(g \phi)[h] = \phi[g^{-1} h]`.

    The shape is ``(channels, *group.layout)``.

    The regular representation is faithful for every group, so a generic vector in it is free. For
    :class:`~sympe.groups.P4M` the shape is ``(channels, 8, L, L)``.

    Arguments:
        group: the group.
        channels: number of functions.

    Raises:
        ValueError: if ``channels < 1``.

    Example:
        >>> import torch
        >>> from sympe.groups import Cyclic
        >>> RegularAction(Cyclic(3))(torch.tensor(1), torch.tensor([[10, 20, 30]]))
        tensor([[30, 10, 20]])
    """

    def __init__(self, group: FiniteGroup, channels: int = 1) -> None:
        check_kind("group", group, FiniteGroup)
        check_integer("channels", channels)
        self._group = group
        self.channels = channels

    @property
    def group(self) -> FiniteGroup:
        """The group."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """``(channels, *group.layout)``."""
        return (self.channels, *self.group.layout)

    def source(self, g: Int64[Tensor, "*#batch"], entry: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """The entry that lands at ``entry``: same channel, element g^-1 h."""
        order = self.group.order
        return entry // order * order + self.group.compose(self.group.inverse(g), entry % order)


class TrivialAction(EntryAction):
    """A group that leaves x as it is.

    Arguments:
        group: the group.
        shape: the shape of x.

    Raises:
        TypeError: if ``group`` is no finite group.

    Example:
        >>> import torch
        >>> from sympe.groups import Cyclic
        >>> TrivialAction(Cyclic(3), (2,))(torch.tensor([1, 2]), torch.tensor([5.0, 6.0]))
        tensor([[5., 6.],
                [5., 6.]])
    """

    def __init__(self, group: FiniteGroup, shape: Sequence[int]) -> None:
        check_kind("group", group, FiniteGroup)
        self._group = group
        self._shape = check_shape("shape", shape)

    @property
    def group(self) -> FiniteGroup:
        """The group."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of x."""
        return self._shape

    def source(self, g: Int64[Tensor, "*#batch"], entry: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """``entry`` itself."""
        return entry.expand(torch.broadcast_shapes(g.shape, entry.shape))
