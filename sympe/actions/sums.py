"""Actions of finite groups built from such actions: sums, tuples that move together, factors of a product group."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from sympe.actions.base import FiniteAction
from sympe.groups import FiniteGroup, Product
from sympe.groups.checks import check_kind


class PartsAction(FiniteAction):
    """Several actions of one group, the entries of each after those of the one before.

    Arguments:
        parts: at least one action, all of one group.

    Raises:
        TypeError: if one is no action of a finite group.
        ValueError: if there is no part, or the groups differ.
    """

    def __init__(self, *parts: FiniteAction) -> None:
        if not parts:
            raise ValueError("parts: expected at least one action, got none")
        for part in parts:
            check_kind("parts", part, FiniteAction)
        if any(part.group != parts[0].group for part in parts):
            raise ValueError("parts: expected actions of one group")
        self.parts = parts

    @property
    def group(self) -> FiniteGroup:
        """The group of every part."""
        return self.parts[0].group

    @property
    def permutes_entries(self) -> bool:
        """Whether every part does."""
        return all(part.permutes_entries for part in self.parts)

    @property
    def precision(self) -> float:
        """That of the least precise part."""
        return max(part.precision for part in self.parts)

    def source(self, g: Int64[Tensor, "*#batch"], entry: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """The entry that lands at ``entry``, in the same part."""
        g, entry = torch.broadcast_tensors(g, entry)
        source = torch.empty_like(entry)
        start = 0
        for part in self.parts:
            here = (entry >= start) & (entry < start + part.size)
            local = (entry - start).clamp(0, part.size - 1)
            source = torch.where(here, part.source(g, local) + start, source)
            start += part.size
        return source


class DirectSum(PartsAction):
    r"""Several data of one group side by side, joined along the first dimension of their shapes.

    Data of other shapes, such as an image and a vector, stay apart in a :class:`DiagonalAction`.

    Arguments:
        parts: at least one action, all of one group; shapes may differ in the first dimension only.

    Raises:
        ValueError: if there is no part, the groups differ, or the shapes cannot be joined.

    Example:
        >>> from sympe.actions import BondAction, GridAction
        >>> from sympe.groups import P4M
        >>> group = P4M(10)
        >>> DirectSum(BondAction(group), GridAction(group)).shape  # the couplings and the field of an Ising model
        (3, 10, 10)
    """

    def __init__(self, *parts: FiniteAction) -> None:
        super().__init__(*parts)
        if any(not part.shape for part in parts):
            raise ValueError("parts: expected shapes with at least one dimension, got ()")
        if any(part.shape[1:] != parts[0].shape[1:] for part in parts):
            raise ValueError(
                f"parts: expected shapes that differ in the first dimension only, got {[part.shape for part in parts]}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """The joined shape."""
        return (sum(part.shape[0] for part in self.parts), *self.parts[0].shape[1:])

    def __call__(self, g: Int64[Tensor, "*#batch"], x: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """Move every part by ``g``."""
        self.check(x)
        dim = x.ndim - len(self.shape)
        sizes = [part.shape[0] for part in self.parts]
        moved = [part(g, y) for part, y in zip(self.parts, x.split(sizes, dim), strict=True)]
        return torch.cat(moved, dim=-len(self.shape))


class DiagonalAction(PartsAction):
    r"""Tuples of data that move together, by one g: :math:`g\,(x_1, \dots, x_m) = (g x_1, \dots, g x_m)`.

    The diagonal action on a product, for parts of any shapes: an image and a vector, a field and its couplings. What
    acts on tuples also acts on their entries in one row, ``(*batch, size)``, part after part, which :meth:`join` and
    :meth:`split` lead to and back from: a v that lives in it has the shape ``(size,)``.

    :class:`~sympe.kernels.OrbitKernel` and all that is built on it take tuples then: C(x) is that of all parts at once,
    the intersection of the symmetries of the parts.

    Arguments:
        parts: at least one action, all of one group; a part may itself be of tuples.

    Raises:
        TypeError: if one is no action of a finite group.
        ValueError: if there is no part, or the groups differ; on use, if a part has another shape or batch.

    Example:
        An image that has all symmetries of the square, and an arrow that points up:

        >>> from sympe.actions import ImageAction, MatrixAction
        >>> from sympe.groups import Cyclic
        >>> from sympe.kernels import OrbitKernel
        >>> group = Cyclic(4)
        >>> turns = [torch.linalg.matrix_power(torch.tensor([[0.0, -1.0], [1.0, 0.0]]), k) for k in range(4)]
        >>> action = DiagonalAction(ImageAction(group, 1, 8), MatrixAction(group, torch.stack(turns)))
        >>> image, arrow = torch.ones(1, 1, 8, 8), torch.tensor([[0.0, 1.0]])
        >>> kernel = OrbitKernel(action)
        >>> kernel.entropy((image, arrow)).exp(), kernel.entropy((image, 0 * arrow)).exp().round()
        (tensor([1.]), tensor([4.]))
        >>> [part.shape for part in action(kernel.sample((image, arrow)), (image, arrow))]
        [torch.Size([1, 1, 8, 8]), torch.Size([1, 2])]
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """All entries in one row."""
        return (sum(part.size for part in self.parts),)

    def check(self, x: Tensor | tuple[Any, ...], name: str = "x") -> None:
        """Refuse what is neither a tuple of the parts, of one batch, nor their entries in a row.

        Raises:
            TypeError: if it is something else, or a part is no tensor.
            ValueError: if there are fewer or more parts, or one has another shape or batch.
        """
        if isinstance(x, Tensor):
            super().check(x, name)
            return
        if not isinstance(x, tuple):
            raise TypeError(
                f"{name}: expected a tensor, got {type(x).__name__} (a tuple of {len(self.parts)} parts is taken, too)"
            )
        if len(x) != len(self.parts):
            raise ValueError(f"{name}: expected a tuple of {len(self.parts)} parts, got one of {len(x)}")
        batches = []
        for number, (part, y) in enumerate(zip(self.parts, x, strict=True)):
            part.check(y, f"{name}[{number}]")
            batches.append(_batch(part, y))
        if len(set(batches)) > 1:
            raise ValueError(f"{name}: expected parts of one batch, got the batch shapes {[*map(tuple, batches)]}")

    def leaves(self, x: tuple[Any, ...]) -> list[Shaped[Tensor, "*batch entries"]]:
        """The entries of each tensor of a tuple, and of the tuples in it, each in a row.

        Raises:
            TypeError: as :meth:`check`.
            ValueError: as :meth:`check`.

        Example:
            >>> from sympe.actions import RegularAction
            >>> from sympe.groups import Cyclic
            >>> action = RegularAction(Cyclic(3), 2)
            >>> [part.shape for part in DiagonalAction(action, action).leaves((torch.zeros(5, 2, 3),) * 2)]
            [torch.Size([5, 6]), torch.Size([5, 6])]
        """
        self.check(x)
        rows: list[Tensor] = []
        for part, y in zip(self.parts, x, strict=True):
            if isinstance(y, tuple):
                assert isinstance(part, DiagonalAction)
                rows += part.leaves(y)
            else:
                rows.append(y.reshape(*_batch(part, y), part.size))
        return rows

    def join(self, x: tuple[Any, ...]) -> Shaped[Tensor, "*batch entries"]:
        """The entries of a tuple in one row, of the type that ``torch.cat`` gives.

        Raises:
            TypeError: as :meth:`check`.
            ValueError: as :meth:`check`.

        Example:
            >>> from sympe.actions import RegularAction
            >>> from sympe.groups import Cyclic
            >>> action = RegularAction(Cyclic(2))
            >>> DiagonalAction(action, action).join((torch.tensor([[1, 2]]), torch.tensor([[3, 4]])))
            tensor([1, 2, 3, 4])
        """
        return torch.cat(self.leaves(x), -1)

    def split(self, row: Shaped[Tensor, "*batch entries"]) -> tuple[Any, ...]:
        """The tuple whose entries stand in a row.

        Raises:
            TypeError: if it is no tensor.
            ValueError: if it has another length.

        Example:
            >>> from sympe.actions import RegularAction
            >>> from sympe.groups import Cyclic
            >>> action = RegularAction(Cyclic(2))
            >>> DiagonalAction(action, action).split(torch.tensor([1, 2, 3, 4]))
            (tensor([[1, 2]]), tensor([[3, 4]]))
        """
        super().check(row, "row")
        pieces = zip(self.parts, row.split([part.size for part in self.parts], -1), strict=True)
        return tuple(
            part.split(y) if isinstance(part, DiagonalAction) else y.reshape(*row.shape[:-1], *part.shape)
            for part, y in pieces
        )

    def __call__(self, g: Int64[Tensor, "*#batch"], x: Tensor | tuple[Any, ...]) -> Any:
        """Move every part by ``g``: of a tuple, or of a row of all entries."""
        if isinstance(x, tuple):
            self.check(x)
            return tuple(part(g, y) for part, y in zip(self.parts, x, strict=True))
        self.check(x)
        return self.join(tuple(part(g, y) for part, y in zip(self.parts, self.split(x), strict=True)))


def _batch(part: FiniteAction, y: Any) -> torch.Size:
    """The shape of the batch of data of one part."""
    if isinstance(y, tuple):
        assert isinstance(part, DiagonalAction)
        return _batch(part.parts[0], y[0])
    batch: torch.Size = y.shape[: y.ndim - len(part.shape)]
    return batch


class FactorAction(FiniteAction):
    r"""A product group through one of its factors: :math:`(g_1, \dots, g_m) x = g_i x`.

    Arguments:
        group: the product.
        factor: which factor acts, counted from 0.
        action: its action.

    Raises:
        ValueError: if there is no such factor or ``action`` belongs to another group.

    Example:
        >>> import torch
        >>> from sympe.actions import RegularAction
        >>> from sympe.groups import Cyclic, Product
        >>> group = Product(Cyclic(2), Cyclic(3))
        >>> action = FactorAction(group, 1, RegularAction(group.factors[1]))
        >>> action(group.pack(torch.tensor(1), torch.tensor(2)), torch.tensor([[1, 2, 3]]))
        tensor([[2, 3, 1]])
    """

    def __init__(self, group: Product, factor: int, action: FiniteAction) -> None:
        check_kind("group", group, Product)
        check_kind("factor", factor, int)
        check_kind("action", action, FiniteAction)
        if not 0 <= factor < len(group.factors):
            raise ValueError(f"factor: expected 0 to {len(group.factors) - 1}, got {factor}")
        if action.group != group.factors[factor]:
            raise ValueError(f"action: expected an action of factor {factor}, {group.factors[factor]!r}")
        self._group = group
        self._factor = factor
        self._action = action

    @property
    def group(self) -> Product:
        """The product."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the factor's data."""
        return self._action.shape

    @property
    def permutes_entries(self) -> bool:
        """Whether the factor's action does."""
        return self._action.permutes_entries

    @property
    def precision(self) -> float:
        """That of the factor's action."""
        return self._action.precision

    def source(self, g: Int64[Tensor, "*#batch"], entry: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """The factor's source."""
        return self._action.source(self._group.components(g)[self._factor], entry)

    def __call__(self, g: Int64[Tensor, "*#batch"], x: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """Move ``x`` by the factor's component of ``g``."""
        self.group.check(g)
        return self._action(self._group.components(g)[self._factor], x)
