"""Symmetry-breaking positional encodings."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from sympe.actions import Action, FiniteAction
from sympe.encodings.base import Encoding
from sympe.encodings.form import FormedModule, described, draw_parameter
from sympe.groups.checks import check_kind
from sympe.kernels import CoupledKernel, Kernel


class SymPE(FormedModule, Encoding):
    r"""SymPE: a learned vector v, moved by a group element drawn from an equivariant kernel.

    .. math:: g \sim \kappa(\cdot \mid x), \qquad \text{features} = g\,v .

    The features are equivariant in distribution. If G acts freely on v, they determine g and nothing that an
    equivariant conditional distribution could express is lost (Proposition 4.1). For a finite group a generic v is
    free iff the action is faithful; :attr:`is_free` says so at construction, and a warning is given where it is not.

    **Which loss.** Given x alone, g is independent of a target y, and a loss such as the squared error or the
    cross-entropy of y still has the floor of a model that breaks nothing: the average over the symmetries of x. Where
    the target has less symmetry than the input, either take a loss that is the same for all equally right answers (an
    energy, the least over the orbit), or a coupled kernel and ``encoding(x, target=y)`` in training
    (:mod:`sympe.kernels.coupled`); without target, in use, g is drawn from x.

    Gradients also reach a learned kernel, through its draw (:mod:`sympe.kernels.base`). To have one g at several times,
    as for checkpointing, compilation or all steps of a diffusion, draw it once and give it to :meth:`moved`.

    Arguments:
        kernel: draws g from x; a coupled one also from x and a target.
        action: how g moves v; its shape is that of v.
        scale: standard deviation of v at the start.
        generator: draws v at the start.

    Raises:
        TypeError: if ``kernel`` is no kernel or ``action`` no action.
        ValueError: if kernel and action are not of the same group, or ``scale`` is not positive; on use, if the
            action is not one that the kernel's draws know.

    References:
        Lawrence et al. (arXiv 2503.21985), Algorithm 1 and Proposition 4.1.

    Example:
        >>> import torch
        >>> from sympe.actions import GridAction
        >>> from sympe.groups import P4M
        >>> from sympe.kernels import OrbitKernel
        >>> group = P4M(6)
        >>> encoding = SymPE(OrbitKernel(GridAction(group)), GridAction(group, channels=4))
        >>> encoding(torch.zeros(2, 1, 6, 6)).shape, encoding.is_free
        (torch.Size([2, 4, 6, 6]), True)

        The same g twice:

        >>> g = encoding.kernel.sample(torch.zeros(2, 1, 6, 6))
        >>> torch.equal(encoding.moved(g), encoding.moved(g))
        True

        A constant field, and a target that marks one of its sites:

        >>> from sympe.kernels import CoupledOrbitKernel
        >>> coupled = SymPE(CoupledOrbitKernel(GridAction(group), GridAction(group)), GridAction(group))
        >>> mark = torch.eye(36)[:2].view(2, 1, 6, 6)
        >>> coupled(torch.zeros(2, 1, 6, 6), target=mark).shape
        torch.Size([2, 1, 6, 6])
    """

    def __init__(
        self,
        kernel: Kernel | CoupledKernel,
        action: Action,
        *,
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(kernel)
        check_kind("action", action, Action)
        if kernel.group != action.group:
            raise ValueError(f"action: expected an action of the kernel's {kernel.group!r}, got {action.group!r}")
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale: expected a positive number, got {scale}")
        self.action = action
        self.scale = scale
        self.v = nn.Parameter(torch.empty(action.shape))
        self.reset_parameters(generator=generator)
        self.is_free = action.is_faithful
        if not self.is_free:
            advice = "; let v live in a RegularAction" if isinstance(action, FiniteAction) else ""
            warnings.warn(
                f"SymPE: {action.fixing} of {action.group!r} fix every v of shape {action.shape}, so no v is free "
                f"and some symmetries stay unbroken{advice}",
                stacklevel=2,
            )

    def reset_parameters(self, *, generator: torch.Generator | None = None) -> None:
        """Draw v anew, as at the start; for a module that was built on the device "meta"."""
        draw_parameter(self.v, self.scale, generator)

    def extra_repr(self) -> str:
        """The kernel, the action, and whether v is free."""
        return f"{described(self.coupled or self.kernel, self.action)}, is_free={self.is_free}"

    @property
    def channels_last(self) -> bool:
        """As the action has them."""
        return self.action.channels_last

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of v."""
        return self.action.shape

    def forward(
        self, x: Any, *, target: Any = None, generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch ..."]:
        """Draw g for every x, coupled to the target if one is given, and move v by it."""
        return self.draw(x, target, generator=generator).move(self.action, self.v)

    def moved(self, g: Shaped[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The features that given elements lead to."""
        return self.action(g, self.v)
