"""SymPE that leaves a subgroup of the symmetries unbroken."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sympe.actions import FiniteAction
from sympe.encodings.base import Encoding
from sympe.encodings.form import FormedModule, described, draw_parameter
from sympe.groups.checks import check_kind
from sympe.kernels import PartialKernel


class PartialSymPE(FormedModule, Encoding):
    r"""SymPE with a vector that a subgroup K fixes: the features keep a conjugate of K wherever x has one.

    .. math:: \bar v = \frac{1}{|K|} \sum_{k \in K} k\,v, \qquad g \sim \kappa'(\cdot \mid x), \qquad
              \text{features} = g\,\bar v .

    They are equivariant in distribution. If no element outside K fixes everything that K fixes in the representation,
    the symmetries of x that they keep are :math:`g K_x g^{-1}` for a generic v (:class:`~sympe.kernels.PartialKernel`),
    and an equivariant network on x and the features gives answers with these symmetries, too. A faithful action is
    not enough for that: what quarter turns fix on a lattice, mirrors fix as well. :attr:`is_exact` says whether it
    holds, and a warning is given where it does not; in a :class:`~sympe.actions.RegularAction` it always does.

    Arguments:
        kernel: knows K, and draws g.
        action: how g moves v; its shape is that of v.
        scale: standard deviation of v at the start, before the mean.
        generator: draws v at the start.

    Raises:
        TypeError: if ``kernel`` is no :class:`~sympe.kernels.PartialKernel` or ``action`` no action of a finite group.
        ValueError: if kernel and action are not of the same group, or ``scale`` is not positive.

    Example:
        >>> from sympe.actions import GridAction
        >>> from sympe.groups import P4M
        >>> from sympe.kernels import OrbitKernel
        >>> group = P4M(3)
        >>> kernel = PartialKernel(OrbitKernel(GridAction(group)), [group.pack(s=1, k=0, p=0, q=0)])
        >>> e = PartialSymPE(kernel, GridAction(group, channels=2))(torch.ones(5, 1, 3, 3))
        >>> e.shape, OrbitKernel(GridAction(group, channels=2)).stabilizer(e).sum(1)  # one mirror each
        (torch.Size([5, 2, 3, 3]), tensor([2, 2, 2, 2, 2]))

        The same g twice:

        >>> encoding = PartialSymPE(kernel, GridAction(group, channels=2))
        >>> g = kernel.sample(torch.ones(5, 1, 3, 3))
        >>> torch.equal(encoding.moved(g), encoding.moved(g))
        True
    """

    kernel: PartialKernel

    def __init__(
        self,
        kernel: PartialKernel,
        action: FiniteAction,
        *,
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        check_kind("kernel", kernel, PartialKernel)
        super().__init__(kernel)
        check_kind("action", action, FiniteAction)
        if kernel.group != action.group:
            raise ValueError(f"action: expected an action of the kernel's {kernel.group!r}, got {action.group!r}")
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale: expected a positive number, got {scale}")
        self.action = action
        self.scale = scale
        self.v = nn.Parameter(torch.empty(action.shape))
        self.reset_parameters(generator=generator)
        with torch.device("cpu"):
            generic = torch.randn(action.shape, generator=torch.Generator().manual_seed(0))
            fixed = action(kernel.subgroup, generic).mean(0)
            moved = (action(action.group.elements(), fixed) - fixed).abs().flatten(1).amax(1)
            count = int((moved <= 1e-4 * fixed.abs().max()).sum())
        self.is_exact = count == len(kernel.subgroup)
        if not self.is_exact:
            warnings.warn(
                f"PartialSymPE: {count} elements, not only the {len(kernel.subgroup)} of the subgroup, fix every v of "
                f"shape {action.shape} that the subgroup fixes, so more symmetries stay; let v live in a RegularAction",
                stacklevel=2,
            )

    def reset_parameters(self, *, generator: torch.Generator | None = None) -> None:
        """Draw v anew, as at the start; for a module that was built on the device "meta"."""
        draw_parameter(self.v, self.scale, generator)

    def extra_repr(self) -> str:
        """The kernel, the action, and whether no other symmetry stays."""
        return f"{described(self.coupled or self.kernel, self.action)}, is_exact={self.is_exact}"

    @property
    def channels_last(self) -> bool:
        """As the action has them."""
        return self.action.channels_last

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of v."""
        return self.action.shape

    def forward(self, x: Any, *, generator: torch.Generator | None = None) -> Float[Tensor, "batch ..."]:
        """Draw g for every x, and move the part of v that K fixes."""
        return self.kernel.draw(x, generator=generator).move(self.action, self._fixed())

    def moved(self, g: Int64[Tensor, " batch"]) -> Float[Tensor, "batch ..."]:
        """The features that given elements lead to."""
        return self.action(g, self._fixed())

    def _fixed(self) -> Float[Tensor, "..."]:
        """The part of v that K fixes."""
        return self.action(self.kernel.subgroup.to(self.v.device), self.v).mean(0)
