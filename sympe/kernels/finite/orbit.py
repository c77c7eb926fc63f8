"""The exact inversion kernel of a finite group."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

from sympe.actions import FiniteAction
from sympe.groups import FiniteGroup
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
        action: the action on x.
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
        if not isinstance(action, FiniteAction):
            raise TypeError(f"action: expected a FiniteAction, got {type(action).__name__}")
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
        return {"kernel": "OrbitKernel", "action": on, "tolerance": str(self.tolerance)}

    @property
    def group(self) -> FiniteGroup:
        """The group."""
        return self.action.group

    def support(self, x: Shaped[Tensor, "batch ..."]) -> Support:
        """C(x) as two parallel lists: the row of the batch, ascending, and an element of that row's coset.

        Raises:
            TypeError: if ``x`` is no tensor, or complex.
            ValueError: if ``x`` has another shape than ``(batch, *action.shape)`` or holds NaN or infinity.
        """
        x = self._checked(x)
        if len(x) == 0:
            empty = torch.empty(0, dtype=torch.int64, device=x.device)
            return empty, empty
        if self._plan is None:
            return search_enumerating(self.action, self._component.to(x.device), x, self.tolerance)
        return search_entries(self.action, self._plan.to(x.device), x.flatten(1), self.tolerance)

    def ranks(self, x: Shaped[Tensor, "batch ..."]) -> Int64[Tensor, "batch entries"]:
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

    def _checked(self, x: Tensor) -> Tensor:
        self.action.check(x)
        if x.ndim != len(self.action.shape) + 1:
            raise ValueError(f"x: expected one batch dimension, got shape {tuple(x.shape)}")
        if x.is_complex():
            raise TypeError(f"x: expected numbers that have an order, got {x.dtype}; give torch.view_as_real(x)")
        if x.is_floating_point() and not bool(x.isfinite().all()):
            raise ValueError("x: expected finite entries, got NaN or infinity")
        return _comparable(x.detach())

    def move(self, g: Int64[Tensor, " batch"], x: Shaped[Tensor, "batch ..."]) -> Shaped[Tensor, "batch ..."]:
        """``g x``."""
        return self.action(g, x)

    def list_coset(
        self, x: Shaped[Tensor, "batch ..."], *, limit: int
    ) -> tuple[Int64[Tensor, " listed"], Int64[Tensor, " listed"]]:
        """C(x) as two parallel lists, as :meth:`support`.

        Raises:
            ValueError: if the C(x) of a row has more than ``limit`` elements; says how many.
        """
        rows, g = self.support(x)
        check_count(_offsets(rows, len(x))[0].double().log(), limit)
        return rows, g

    def coset(self, x: Shaped[Tensor, "batch ..."]) -> Bool[Tensor, "batch order"]:
        """The elements of C(x)."""
        return self._mask(x, *self.support(x))

    def stabilizer(self, x: Shaped[Tensor, "batch ..."]) -> Bool[Tensor, "batch order"]:
        r"""The elements of :math:`G_x = C(x)\, c^{-1}`, for any c in C(x)."""
        rows, g = self.support(x)
        first = g[_offsets(rows, len(x))[1]]
        return self._mask(x, rows, self.group.compose(g, self.group.inverse(first)[rows]))

    def canonicalize(self, x: Shaped[Tensor, "batch ..."]) -> Int64[Tensor, " batch"]:
        """One element of C(x), the first in the order of the group: a canonicalizer c(x), but not equivariant.

        Example:
            >>> import torch
            >>> from sympe.actions import GridAction
            >>> from sympe.groups import P4M
            >>> OrbitKernel(GridAction(P4M(3))).canonicalize(torch.ones(2, 1, 3, 3))
            tensor([0, 0])
        """
        rows, g = self.support(x)
        first = torch.full((len(x),), self.group.order, dtype=torch.int64, device=g.device)
        return first.scatter_reduce(0, rows, g, "amin")

    def canonical_form(self, x: Shaped[Tensor, "batch ..."]) -> Shaped[Tensor, "batch ..."]:
        r"""The canonical form :math:`\gamma(x) = c^{-1}x`, up to the tolerance."""
        return self.action(self.group.inverse(self.canonicalize(x)), x)

    def sample(
        self, x: Shaped[Tensor, "batch ..."], *, generator: torch.Generator | None = None
    ) -> Int64[Tensor, " batch"]:
        """Draw a uniform element of C(x) for every x."""
        rows, g = self.support(x)
        counts, offsets = _offsets(rows, len(x))
        picked = (uniform(counts.shape, x, generator) * counts).to(torch.int64)
        return g[offsets + picked.minimum(counts - 1)]

    def log_prob(self, g: Int64[Tensor, " draws"], x: Tensor) -> Float[Tensor, " draws"]:
        """``-log |G_x|`` on C(x), minus infinity elsewhere.

        Raises:
            ValueError: if there is not one element for each input.
        """
        self.group.check(g)
        self.action.check(x)
        if g.shape != x.shape[:1]:
            raise ValueError(f"g: expected one element for each of {len(x)} inputs, got shape {tuple(g.shape)}")
        rows, support = self.support(x)
        counts, _ = _offsets(rows, len(x))
        inside = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        inside[rows[support == g[rows]]] = True
        return torch.where(inside, -counts.to(torch.get_default_dtype()).log(), -torch.inf)

    def entropy(self, x: Shaped[Tensor, "batch ..."]) -> Float[Tensor, " batch"]:
        r""":math:`\log |G_x|` in nats."""
        return _offsets(self.support(x)[0], len(x))[0].to(torch.get_default_dtype()).log()

    def _mask(self, x: Tensor, rows: Tensor, g: Tensor) -> Tensor:
        mask = torch.zeros(len(x), self.group.order, dtype=torch.bool, device=x.device)
        mask[rows, g] = True
        return mask


def _comparable(x: Tensor) -> Tensor:
    """The same order of entries in a type that torch sorts."""
    if x.dtype == torch.uint64:
        return x.view(torch.int64) ^ torch.iinfo(torch.int64).min  # the smallest becomes the most negative
    kinds = {torch.bool: torch.uint8, torch.uint16: torch.int64, torch.uint32: torch.int64}
    return x.to(kinds.get(x.dtype, x.dtype))


def _offsets(rows: Tensor, batch: int) -> tuple[Tensor, Tensor]:
    """How many elements each row has, and where they start."""
    counts = rows.bincount(minlength=batch)
    return counts, counts.cumsum(0) - counts
