"""Symmetry-breaking positional encodings."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sympe.actions import Action, EdgeAction, FiniteAction, NodeAction
from sympe.encodings.base import Encoding
from sympe.kernels import Kernel, RelaxedKernel, RelaxedPermutationKernel


class SymPE(Encoding):
    r"""SymPE: a learned vector v, moved by a group element drawn from an equivariant kernel.

    .. math:: g \sim \kappa(\cdot \mid x), \qquad \text{features} = g\,v .

    The features are equivariant in distribution. If G acts freely on v, they determine g and nothing that an
    equivariant conditional distribution could express is lost (Proposition 4.1). For a finite group a generic v is
    free iff the action is faithful; :attr:`is_free` says so at construction, and a warning is given where it is not.

    With a :class:`~sympe.kernels.RelaxedKernel` gradients also reach the kernel, through
    :math:`\sum_g w_g\, g v` with straight-through weights w; with a
    :class:`~sympe.kernels.RelaxedPermutationKernel` through v moved by its soft permutation.

    Arguments:
        kernel: draws g from x.
        action: how g moves v; its shape is that of v.
        scale: standard deviation of v at the start.
        generator: draws v at the start.

    Raises:
        TypeError: if ``kernel`` is no kernel or ``action`` no action.
        ValueError: if kernel and action are not of the same group, ``scale`` is not positive, or the action is not one
            that the kernel's soft permutations know.

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
    """

    _orbit_source: Tensor | None

    def __init__(
        self,
        kernel: Kernel,
        action: Action,
        *,
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        for name, value, kind in (("kernel", kernel, Kernel), ("action", action, Action)):
            if not isinstance(value, kind):
                raise TypeError(f"{name}: expected an instance of {kind.__name__}, got {type(value).__name__}")
        if kernel.group != action.group:
            raise ValueError(f"action: expected an action of the kernel's {kernel.group!r}, got {action.group!r}")
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale: expected a positive number, got {scale}")
        if isinstance(kernel, RelaxedPermutationKernel) and not isinstance(action, NodeAction | EdgeAction):
            raise ValueError(f"action: expected NodeAction or EdgeAction with this kernel, got {type(action).__name__}")
        self.kernel = kernel
        self.action = action
        self.v = nn.Parameter(scale * torch.randn(action.shape, generator=generator))
        source = None  # where g v takes its entries from, for every g: only a relaxed kernel needs all of them
        if isinstance(kernel, RelaxedKernel) and isinstance(action, FiniteAction) and action.permutes_entries:
            source = action.source(action.group.elements()[:, None], torch.arange(action.size))
        self.register_buffer("_orbit_source", source, persistent=False)
        self.is_free = action.is_faithful
        if not self.is_free:
            count, advice = "some", ""
            if isinstance(action, FiniteAction):
                count, advice = str(len(action.trivial_elements())), "; let v live in a RegularAction"
            warnings.warn(
                f"SymPE: {count} elements of {action.group!r} fix every v of shape {action.shape}, so no v is free "
                f"and some symmetries stay unbroken{advice}",
                stacklevel=2,
            )

    def extra_repr(self) -> str:
        """The shape of v, and whether it is free."""
        return f"shape={self.shape}, is_free={self.is_free}"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of v."""
        return self.action.shape

    def forward(self, x: Any, *, generator: torch.Generator | None = None) -> Float[Tensor, "batch ..."]:
        """Draw g for every x and move v by it."""
        if isinstance(self.kernel, RelaxedKernel):
            w = self.kernel.sample_weights(x, generator=generator)
            mixed: Tensor = torch.tensordot(w, self._orbit(), dims=1)
            return mixed
        if isinstance(self.kernel, RelaxedPermutationKernel):
            g, soft = self.kernel.sample_relaxed(x, generator=generator)
            spread = _spread(soft, self.v.detach())
            return self.action(g, self.v) + (spread - spread.detach())
        g = self.kernel.sample(x, generator=generator)
        return self.action(g, self.v)

    def _orbit(self) -> Float[Tensor, "order ..."]:
        """All g v, in the order of the elements."""
        if self._orbit_source is None:
            return self.action(self.action.group.elements(device=self.v.device), self.v)
        moved = self.v.flatten().expand(self._orbit_source.shape).gather(1, self._orbit_source)
        orbit: Tensor = moved.unflatten(1, self.shape)
        return orbit


def _spread(soft: Float[Tensor, "batch nodes nodes"], v: Tensor) -> Float[Tensor, "batch ..."]:
    """Move v by a soft permutation: node features, or features of pairs."""
    moved: Tensor = soft @ v if v.dim() == 2 else torch.einsum("bir,bjs,rsc->bijc", soft, soft, v)
    return moved
