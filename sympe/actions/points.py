r"""Isometries and permutations on points: (R, t, p) takes point i to :math:`R x_i + t` and makes it point p[i].

Clouds of several sizes are padded at the end, as graphs are (:mod:`sympe.actions.graphs`): the elements that move a
cloud of n points fix ``n, n + 1, ...``. The actions do not know how many points are real, so a translation moves
padding, too; :meth:`sympe.graphs.Clouds.moved` knows.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from sympe.actions.base import Action
from sympe.groups import DirectProduct, Group, Isometries, Permutations
from sympe.groups.checks import check_integer, check_kind


class PointAction(Action):
    r"""Isometries and permutations on positions of shape ``(points, d)``: :math:`(g x)_{p[i]} = R x_i + t`.

    With translations it is affine, without them linear.

    Arguments:
        group: ``DirectProduct(isometries, Permutations(points))``.

    Raises:
        TypeError: if ``group`` is no such product.

    Example:
        >>> from sympe.groups import Orthogonal
        >>> group = DirectProduct(Orthogonal(2), Permutations(3))
        >>> quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
        >>> g = group.pack(quarter, torch.tensor([1, 2, 0]))
        >>> PointAction(group)(g, torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])).tolist()
        [[0.0, 0.0], [0.0, 1.0], [-2.0, 0.0]]
    """

    def __init__(self, group: DirectProduct) -> None:
        self._group = group
        self.isometries, self.permutations = point_factors(group)

    @property
    def group(self) -> Group:
        """The product of isometries and permutations."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """``(points, d)``."""
        return (self.permutations.degree, self.isometries.dimension)

    @property
    def is_faithful(self) -> bool:
        """Whether there are enough points to tell all isometries apart."""
        return self.permutations.degree >= _enough(self.isometries) + self.isometries.translates

    def __call__(self, g: Float[Tensor, "..."], x: Float[Tensor, "..."]) -> Float[Tensor, "*batch points d"]:
        """Move ``x`` by ``g``.

        Raises:
            TypeError: if ``g`` or ``x`` is no tensor of floats.
            ValueError: if ``x`` has another shape, or ``g`` holds something else than elements of the group.
        """
        self.check(x)
        self.group.check(g)
        isometry, p = self._group.components(g.to(x.device))
        R, t = self.isometries.rotation(isometry), self.isometries.translation(isometry)
        moved = _turned(R, x) + t.to(x.dtype).unsqueeze(-2)
        return _placed(self.permutations, p, moved, -2)


class VectorAction(Action):
    r"""Isometries and permutations on vectors at points, of shape ``(points, channels, d)``: they ignore translations.

    .. math:: (g x)_{p[i], c} = R x_{i, c} .

    Arguments:
        group: ``DirectProduct(isometries, Permutations(points))``.
        channels: number of vectors at a point.

    Raises:
        TypeError: if ``group`` is no such product.
        ValueError: if ``channels < 1``.

    Example:
        >>> from sympe.groups import SpecialOrthogonal
        >>> group = DirectProduct(SpecialOrthogonal(3), Permutations(4))
        >>> action = VectorAction(group, channels=8)
        >>> action.shape, action.is_faithful
        ((4, 8, 3), True)
    """

    def __init__(self, group: DirectProduct, channels: int = 1) -> None:
        self._group = group
        self.isometries, self.permutations = point_factors(group)
        check_integer("channels", channels)
        self.channels = channels

    @property
    def group(self) -> Group:
        """The product of isometries and permutations."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """``(points, channels, d)``."""
        return (self.permutations.degree, self.channels, self.isometries.dimension)

    @property
    def is_faithful(self) -> bool:
        """Whether only the identity fixes all x, but for translations: they fix no cloud, so none needs breaking."""
        return self.permutations.degree * self.channels >= _enough(self.isometries)

    def __call__(self, g: Float[Tensor, "..."], x: Float[Tensor, "..."]) -> Float[Tensor, "*batch points channels d"]:
        """Move ``x`` by ``g``.

        Raises:
            TypeError: if ``g`` or ``x`` is no tensor of floats.
            ValueError: if ``x`` has another shape, or ``g`` holds something else than elements of the group.
        """
        self.check(x)
        self.group.check(g)
        isometry, p = self._group.components(g.to(x.device))
        R = self.isometries.rotation(isometry).unsqueeze(-3)
        return _placed(self.permutations, p, _turned(R, x), -3)


class GlobalVectorAction(Action):
    r"""Isometries on vectors that belong to no point, of shape ``(channels, d)``: :math:`(g x)_c = R x_c`.

    As the v of a whole cloud it is of use where rows of v for each place of the canonical order say nothing: on clouds
    of another kind than those of training.

    Arguments:
        group: the isometries, or ``DirectProduct(isometries, Permutations(points))``; translations and permutations do
            nothing.
        channels: number of vectors.

    Raises:
        TypeError: if ``group`` has no isometries.
        ValueError: if ``channels < 1``.

    Example:
        >>> from sympe.groups import SpecialOrthogonal
        >>> quarter = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
        >>> GlobalVectorAction(SpecialOrthogonal(2))(quarter, torch.tensor([[1.0, 0.0]])).tolist()
        [[0.0, 1.0]]
    """

    def __init__(self, group: Isometries | DirectProduct, channels: int = 1) -> None:
        self._group = group
        self.isometries, self.permutations = _isometries_in(group)
        check_integer("channels", channels)
        self.channels = channels

    @property
    def group(self) -> Group:
        """The isometries, or their product with permutations of points."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """``(channels, d)``."""
        return (self.channels, self.isometries.dimension)

    @property
    def is_faithful(self) -> bool:
        """Whether only the identity fixes all x, but for translations: they fix no cloud, so none needs breaking."""
        return not self.fixing

    @property
    def fixing(self) -> str:
        """What fixes every x, in words: some isometries, or permutations, which fix a cloud only where points coincide.

        So v is free for clouds without points that coincide.
        """
        if self.channels < _enough(self.isometries):
            return "some isometries"
        several = self.permutations is not None and self.permutations.degree > 1
        return "permutations of points that coincide" if several else ""

    def __call__(self, g: Float[Tensor, "..."], x: Float[Tensor, "..."]) -> Float[Tensor, "*batch channels d"]:
        """Move ``x`` by ``g``.

        Raises:
            TypeError: if ``g`` or ``x`` is no tensor of floats.
            ValueError: if ``x`` has another shape, or ``g`` holds something else than elements of the group.
        """
        self.check(x)
        self.group.check(g)
        g = g.to(x.device)
        if isinstance(self._group, DirectProduct):
            g, _ = self._group.components(g)
        return _turned(self.isometries.rotation(g), x)


class ScalarAction(Action):
    r"""Isometries and permutations on numbers at points, of shape ``(points, channels)``: they are only permuted.

    No v here tells rotations apart, so alone it does not break them.

    Arguments:
        group: ``DirectProduct(isometries, Permutations(points))``.
        channels: number of features of a point.

    Raises:
        TypeError: if ``group`` is no such product.
        ValueError: if ``channels < 1``.

    Example:
        >>> from sympe.groups import SpecialOrthogonal
        >>> group = DirectProduct(SpecialOrthogonal(3), Permutations(3))
        >>> g = group.pack(torch.eye(3), torch.tensor([1, 2, 0]))
        >>> ScalarAction(group)(g, torch.tensor([[10.0], [20.0], [30.0]])).flatten()
        tensor([30., 10., 20.])
    """

    def __init__(self, group: DirectProduct, channels: int = 1) -> None:
        self._group = group
        _, self.permutations = point_factors(group)
        check_integer("channels", channels)
        self.channels = channels

    @property
    def group(self) -> Group:
        """The product of isometries and permutations."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """``(points, channels)``."""
        return (self.permutations.degree, self.channels)

    @property
    def channels_last(self) -> bool:
        """True."""
        return True

    @property
    def is_faithful(self) -> bool:
        """False: isometries that permute nothing fix everything."""
        return False

    def __call__(self, g: Float[Tensor, "..."], x: Shaped[Tensor, "..."]) -> Shaped[Tensor, "*batch points channels"]:
        """Move ``x`` by ``g``.

        Raises:
            TypeError: if ``g`` is no tensor of floats, or ``x`` no tensor.
            ValueError: if ``x`` has another shape, or ``g`` holds something else than elements of the group.
        """
        self.check(x)
        self.group.check(g)
        _, p = self._group.components(g.to(x.device))
        return _placed(self.permutations, p, x, -2)


def point_factors(group: object) -> tuple[Isometries, Permutations]:
    """The two factors of a group that acts on points.

    Raises:
        TypeError: if it is no ``DirectProduct`` of isometries and permutations.
    """
    check_kind("group", group, DirectProduct, "of isometries and Permutations(points)")
    assert isinstance(group, DirectProduct)
    if len(group.factors) == 2:
        first, second = group.factors
        if isinstance(first, Isometries) and isinstance(second, Permutations):
            return first, second
    raise TypeError(f"group: expected DirectProduct(isometries, Permutations(points)), got {group!r}")


def _isometries_in(group: object) -> tuple[Isometries, Permutations | None]:
    """The isometries of a group of them or of a product with permutations of points, and these if there are any."""
    if isinstance(group, DirectProduct):
        return point_factors(group)
    check_kind("group", group, Isometries, "such as Orthogonal(3), or their product with Permutations(points)")
    assert isinstance(group, Isometries)
    return group, None


def _enough(isometries: Isometries) -> int:
    """How many generic vectors only the identity fixes."""
    return isometries.dimension - isometries.is_proper


def _turned(R: Tensor, x: Tensor) -> Tensor:
    """Rows of vectors, turned."""
    return x @ R.to(x.dtype).mT


def _placed(permutations: Permutations, p: Tensor, x: Tensor, dim: int) -> Tensor:
    """What is at place i of dimension ``dim`` goes to p[i]."""
    source = permutations.inverse(p)
    source = source.reshape(*source.shape, *[1] * (-dim - 1))
    source, x = torch.broadcast_tensors(source, x)
    return x.gather(dim, source)
