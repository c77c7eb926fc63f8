"""The coupled kernel of a finite group (:mod:`sympe.kernels.coupled`)."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sympe.actions import DiagonalAction, FiniteAction
from sympe.groups import FiniteGroup
from sympe.kernels.coupled import CoupledKernel
from sympe.kernels.finite.orbit import Inputs, OrbitKernel, numbers_of
from sympe.tolerance import Tolerance


class CoupledOrbitKernel(CoupledKernel):
    """The coupled kernel of a finite group that acts on x and on y.

    Arguments:
        action: on x.
        target_action: on y, which may have another shape, as a vector for an image.
        tolerance: as in :class:`~sympe.kernels.OrbitKernel`.

    Raises:
        ValueError: if the actions are not of one group.

    Example:
        A constant field, and a target that marks one site: of 72 elements 8 are left, those that fix the mark.

        >>> from sympe.actions import GridAction
        >>> from sympe.groups import P4M
        >>> action = GridAction(P4M(3))
        >>> kernel = CoupledOrbitKernel(action, action)
        >>> x, y = torch.zeros(1, 1, 3, 3), torch.eye(9)[:1].view(1, 1, 3, 3)
        >>> kernel.kernel.entropy(x).exp().round(), kernel.entropy(x, y).exp().round()
        (tensor([72.]), tensor([8.]))
    """

    def __init__(
        self, action: FiniteAction, target_action: FiniteAction, *, tolerance: float | Tolerance = 1e-6
    ) -> None:
        if action.group != target_action.group:
            raise ValueError(
                f"target_action: expected an action of the group of x, {action.group!r}, got {target_action.group!r}"
            )
        self._kernel = OrbitKernel(action, tolerance=tolerance)
        self._target = OrbitKernel(target_action, tolerance=tolerance)
        self._joint = OrbitKernel(DiagonalAction(action, target_action), tolerance=tolerance)

    @property
    def kernel(self) -> OrbitKernel:
        """The kernel of x, from which sampling draws."""
        return self._kernel

    @property
    def group(self) -> FiniteGroup:
        """The group."""
        return self._kernel.group

    def sample(
        self,
        x: Inputs,
        y: Inputs,
        *,
        generator: torch.Generator | None = None,
    ) -> Int64[Tensor, " batch"]:
        """Draw a uniform element of C(x, y) for every pair.

        Raises:
            ValueError: if a shape is another, or an entry is NaN or infinite.
        """
        h = self._joint.sample(self._both(x, y), generator=generator)
        return self.group.compose(h, self._last(h, x))

    def log_prob(self, g: Int64[Tensor, " batch"], x: Inputs, y: Inputs) -> Float[Tensor, " batch"]:
        r""":math:`-\log |G_x \cap G_y|` on C(x, y), minus infinity elsewhere."""
        both = self._both(x, y)
        self.group.check(g)
        k = self._last(self._joint.canonicalize(both), x)
        return self._joint.log_prob(self.group.compose(g, self.group.inverse(k)), both)

    def entropy(self, x: Inputs, y: Inputs) -> Float[Tensor, " batch"]:
        r""":math:`\log |G_x \cap G_y|`, in nats."""
        return self._joint.entropy(self._both(x, y))

    def _both(self, x: Any, y: Any) -> tuple[Any, Any]:
        self._kernel.action.check(x)
        numbers_of(self._target.action, y, "target")
        return x, y

    def _last(self, h: Tensor, x: Any) -> Tensor:
        """K = c(h^-1 x)."""
        return self._kernel.canonicalize(self._kernel.action(self.group.inverse(h), x))
