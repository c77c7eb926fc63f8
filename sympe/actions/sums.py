"""Actions of finite groups built from such actions: direct sums, and the factors of a product group."""

from __future__ import annotations

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from sympe.actions.base import FiniteAction
from sympe.groups import FiniteGroup, Product
from sympe.groups.checks import check_kind


class DirectSum(FiniteAction):
    r"""Several data of one group side by side, joined along the first dimension of their shapes.

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
        if not parts:
            raise ValueError("parts: expected at least one action, got none")
        for part in parts:
            check_kind("parts", part, FiniteAction)
        if any(part.group != parts[0].group for part in parts):
            raise ValueError("parts: expected actions of one group")
        if any(not part.shape for part in parts):
            raise ValueError("parts: expected shapes with at least one dimension, got ()")
        if any(part.shape[1:] != parts[0].shape[1:] for part in parts):
            raise ValueError(
                f"parts: expected shapes that differ in the first dimension only, got {[part.shape for part in parts]}"
            )
        self.parts = parts

    @property
    def group(self) -> FiniteGroup:
        """The group of every part."""
        return self.parts[0].group

    @property
    def shape(self) -> tuple[int, ...]:
        """The joined shape."""
        return (sum(part.shape[0] for part in self.parts), *self.parts[0].shape[1:])

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

    def __call__(self, g: Int64[Tensor, "*#batch"], x: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """Move every part by ``g``."""
        self.check(x)
        dim = x.ndim - len(self.shape)
        sizes = [part.shape[0] for part in self.parts]
        moved = [part(g, y) for part, y in zip(self.parts, x.split(sizes, dim), strict=True)]
        return torch.cat(moved, dim=-len(self.shape))


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
