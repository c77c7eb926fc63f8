"""The exact inversion kernel of a finite group."""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

from sympe.actions import Action, DiagonalAction, FiniteAction
from sympe.groups import FiniteGroup, Permutations
from sympe.kernels.base import InversionKernel, check_count, uniform
from sympe.kernels.finite.search import (
    Plan,
    Support,
    mixed_entries,
    rank_entries,
    search_entries,
    search_enumerating,
)
from sympe.tolerance import Tolerance

Inputs: TypeAlias = Shaped[Tensor, "batch ..."] | tuple[Any, ...]
"""A batch of x; of a :class:`~sympe.actions.DiagonalAction` also a tuple of its parts."""


class OrbitKernel(InversionKernel):
    r"""The inversion kernel, exact for any finite group and action: uniform on :math:`\{g : g^{-1}x = \gamma(x)\}`.

    .. math:: \kappa(g \mid x) = \frac{1}{|G_x|} \ \text{ for } g \in C(x) = G_x\, c(x), \qquad
              \gamma(x) = \min_{h \in G} h x \ \text{ (lexicographic)}.

    Its entropy is :math:`\log |G_x|`, the least that any equivariant kernel can have. For an action that permutes
    entries the orbit is never written down (:mod:`sympe.kernels.finite.search`); for one that mixes them it is, in
    chunks.

    Floats are compared through integer ranks: within the entries that the group can exchange, the sorted values start
    a new rank where neighbours differ by more than ``tolerance``. Everything after is exact, so C(x) is a
    coset of the stabilizer of the ranked x, whatever the noise. Chains of values closer than ``tolerance`` share a
    rank.

    Arguments:
        action: the action on x; of tuples of inputs a :class:`~sympe.actions.DiagonalAction`.
        tolerance: largest gap between neighbours that count as equal, relative to the largest of the entries that the
            group can exchange (:mod:`sympe.tolerance`); 0 for exact comparison.

    Raises:
        TypeError: if ``action`` is no action of a finite group, or ``tolerance`` no number.
        ValueError: if ``tolerance`` is negative or not finite.

    References:
        Lawrence et al. (arXiv 2503.21985), Section 3: inversion kernel.

    Example:
        >>> import torch
        >>> from sympe.actions import GridAction
        >>> from sympe.groups import P4M
        >>> kernel = OrbitKernel(GridAction(P4M(4)))
        >>> uniform_field, one_site = torch.zeros(2, 1, 4, 4)
        >>> one_site[0, 1, 2] = 1.0
        >>> kernel.entropy(torch.stack([uniform_field, one_site])).exp().round()  # all of P4M(4); D4 about the site
        tensor([128.,   8.])
    """

    def __init__(self, action: FiniteAction, *, tolerance: float | Tolerance = 1e-6) -> None:
        given: object = action
        if not isinstance(given, FiniteAction):
            on_rows = isinstance(given, Action) and isinstance(given.group, Permutations)
            advice = "; SetKernel and GraphKernel are for permutations of rows and nodes" if on_rows else ""
            raise TypeError(f"action: expected a FiniteAction, got {type(given).__name__}{advice}")
        self.action = action
        self.tolerance = Tolerance.of(tolerance)
        self._plan = Plan.of(action) if action.permutes_entries else None
        self._component = mixed_entries(action) if self._plan is None else self._plan.component

    def __repr__(self) -> str:
        return f"OrbitKernel({self.action!r}, tolerance={self.tolerance})"

    @property
    def form(self) -> dict[str, str]:
        """The action that x is compared under, and the tolerance."""
        on = f"{type(self.action).__name__} of shape {self.action.shape}"
        return {
            "kernel": "OrbitKernel",
            "action": on,
            "tolerance": str(self.tolerance),
            "group": self.group.fingerprint,
        }

    @property
    def group(self) -> FiniteGroup:
        """The group."""
        return self.action.group

    def support(self, x: Inputs) -> Support:
        """C(x) as two parallel lists: the row of the batch, ascending, and an element of that row's coset.

        Raises:
            TypeError: if ``x`` is no tensor (or tuple, of a :class:`~sympe.actions.DiagonalAction`), or complex.
            ValueError: if ``x`` has another shape than ``(batch, *action.shape)`` or holds NaN or infinity.
        """
        x = self._checked(x)
        if len(x) == 0:
            empty = torch.empty(0, dtype=torch.int64, device=x.device)
            return empty, empty
        same = (x[1:] == x[:-1]).flatten(1).all(1)  # many draws for one x: neighbours that are equal are searched once
        if not bool(same.any()):
            return self._search(x)
        first = torch.cat([torch.ones_like(same[:1]), ~same])
        which = first.cumsum(0) - 1
        rows, g = self._search(x[first])
        counts, offsets = (values[which] for values in _offsets(rows, int(which[-1]) + 1))
        repeated = torch.arange(len(x), device=x.device).repeat_interleave(counts)
        place = torch.arange(len(repeated), device=x.device) - (counts.cumsum(0) - counts)[repeated]
        return repeated, g[offsets[repeated] + place]

    def _search(self, x: Tensor) -> Support:
        if self._plan is None:
            return search_enumerating(self.action, self._component.to(x.device), x, self.tolerance)
        return search_entries(self.action, self._plan.to(x.device), x.flatten(1), self.tolerance)

    def ranks(self, x: Inputs) -> Int64[Tensor, "batch entries"]:
        """What the entries are compared by, of an action that permutes them: the same for equal ones, and so sorted.

        Raises:
            ValueError: as :meth:`support`.

        Example:
            >>> import torch
            >>> from sympe.actions import RegularAction
            >>> from sympe.groups import Cyclic
            >>> OrbitKernel(RegularAction(Cyclic(3))).ranks(torch.tensor([[[0.3, 0.1, 0.3]]]))
            tensor([[1, 0, 1]])
        """
        x = self._checked(x)
        return rank_entries(x.reshape(len(x), -1), self._component.to(x.device), self.tolerance)

    def _checked(self, x: Any) -> Tensor:
        parts = numbers_of(self.action, x)
        return self._joined(parts) if isinstance(x, tuple) else parts[0]

    def _joined(self, parts: list[Tensor]) -> Tensor:
        """In one tensor, in which none loses a digit: of several types that are permuted, the ranks."""
        if len({part.dtype for part in parts}) > 1:
            if self._plan is None:
                parts = [part.double() for part in parts]
            else:
                components = self._component.to(parts[0].device).split([part.shape[1] for part in parts])
                own = [component.unique(return_inverse=True)[1] for component in components]  # from 0 on
                parts = [rank_entries(*pair, self.tolerance) for pair in zip(parts, own, strict=True)]
        return torch.cat(parts, 1)

    def move(self, g: Int64[Tensor, " batch"], x: Any) -> Any:
        """``g x``."""
        return self.action(g, x)

    def list_coset(self, x: Inputs, *, limit: int) -> tuple[Int64[Tensor, " listed"], Int64[Tensor, " listed"]]:
        """C(x) as two parallel lists, as :meth:`support`.

        Raises:
            ValueError: if the C(x) of a row has more than ``limit`` elements; says how many.
        """
        rows, g = self.support(x)
        check_count(_offsets(rows, _size(x))[0].double().log(), limit)
        return rows, g

    def coset(self, x: Inputs) -> Bool[Tensor, "batch order"]:
        """The elements of C(x)."""
        return self._mask(x, *self.support(x))

    def stabilizer(self, x: Inputs) -> Bool[Tensor, "batch order"]:
        r"""The elements of :math:`G_x = C(x)\, c^{-1}`, for any c in C(x)."""
        rows, g = self.support(x)
        first = g[_offsets(rows, _size(x))[1]]
        return self._mask(x, rows, self.group.compose(g, self.group.inverse(first)[rows]))

    def canonicalize(self, x: Inputs) -> Int64[Tensor, " batch"]:
        """One element of C(x), the first in the order of the group: a canonicalizer c(x), but not equivariant.

        Example:
            >>> import torch
            >>> from sympe.actions import GridAction
            >>> from sympe.groups import P4M
            >>> OrbitKernel(GridAction(P4M(3))).canonicalize(torch.ones(2, 1, 3, 3))
            tensor([0, 0])
        """
        rows, g = self.support(x)
        first = torch.full((_size(x),), self.group.order, dtype=torch.int64, device=g.device)
        return first.scatter_reduce(0, rows, g, "amin")

    def canonical_form(self, x: Any) -> Any:
        r"""The canonical form :math:`\gamma(x) = c^{-1}x`, up to the tolerance."""
        return self.action(self.group.inverse(self.canonicalize(x)), x)

    def sample(self, x: Inputs, *, generator: torch.Generator | None = None) -> Int64[Tensor, " batch"]:
        """Draw a uniform element of C(x) for every x."""
        rows, g = self.support(x)
        counts, offsets = _offsets(rows, _size(x))
        picked = (uniform(counts.shape, counts, generator) * counts).to(torch.int64)
        return g[offsets + picked.minimum(counts - 1)]

    def log_prob(self, g: Int64[Tensor, " draws"], x: Any) -> Float[Tensor, " draws"]:
        """``-log |G_x|`` on C(x), minus infinity elsewhere.

        Raises:
            ValueError: if there is not one element for each input.
        """
        self.group.check(g)
        self.action.check(x)
        if g.shape != (_size(x),):
            raise ValueError(f"g: expected one element for each of {_size(x)} inputs, got shape {tuple(g.shape)}")
        rows, support = self.support(x)
        counts, _ = _offsets(rows, _size(x))
        inside = torch.zeros(_size(x), dtype=torch.bool, device=g.device)
        inside[rows[support == g[rows]]] = True
        return torch.where(inside, -counts.to(torch.get_default_dtype()).log(), -torch.inf)

    def entropy(self, x: Inputs) -> Float[Tensor, " batch"]:
        r""":math:`\log |G_x|` in nats."""
        return _offsets(self.support(x)[0], _size(x))[0].to(torch.get_default_dtype()).log()

    def _mask(self, x: Any, rows: Tensor, g: Tensor) -> Tensor:
        mask = torch.zeros(_size(x), self.group.order, dtype=torch.bool, device=g.device)
        mask[rows, g] = True
        return mask


def _size(x: Any) -> int:
    """How many inputs there are."""
    return _size(x[0]) if isinstance(x, tuple) else len(x)


def numbers_of(action: FiniteAction, x: Any, name: str = "x") -> list[Tensor]:
    """A batch of data that an action moves, ready to be compared: one tensor, or of a tuple one for each leaf.

    Raises:
        TypeError: if it is not what the action moves, or complex.
        ValueError: if a shape is another, or an entry is NaN or infinite.
    """
    action.check(x, name)
    if not isinstance(x, tuple):
        return [_numbers(x, len(action.shape), name)]
    assert isinstance(action, DiagonalAction)
    return [_numbers(part, 1, name) for part in action.leaves(x)]


def _numbers(x: Tensor, dims: int, name: str) -> Tensor:
    """A batch of data of so many dimensions, ready to be compared."""
    if x.ndim != dims + 1:
        raise ValueError(f"{name}: expected one batch dimension, got shape {tuple(x.shape)}")
    if x.is_complex():
        raise TypeError(f"{name}: expected numbers that have an order, got {x.dtype}; give torch.view_as_real({name})")
    if x.is_floating_point() and not bool(x.isfinite().all()):
        raise ValueError(f"{name}: expected finite entries, got NaN or infinity")
    return comparable(x.detach())


def comparable(x: Tensor) -> Tensor:
    """The same order of entries in a type that torch sorts."""
    if x.dtype == torch.uint64:
        return x.view(torch.int64) ^ torch.iinfo(torch.int64).min  # the smallest becomes the most negative
    kinds = {torch.bool: torch.uint8, torch.uint16: torch.int64, torch.uint32: torch.int64}
    return x.to(kinds.get(x.dtype, x.dtype))


def _offsets(rows: Tensor, batch: int) -> tuple[Tensor, Tensor]:
    """How many elements each row has, and where they start."""
    counts = rows.bincount(minlength=batch)
    return counts, counts.cumsum(0) - counts
