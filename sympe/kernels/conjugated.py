"""An exact sampler from any deterministic map, by conjugation with a Haar element."""

from __future__ import annotations

import types
from collections.abc import Callable

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from sympe.actions import FiniteAction
from sympe.groups import FiniteGroup
from sympe.groups.checks import check_callable, check_kind
from sympe.kernels.base import Kernel

CHUNK = 2**22


class HaarConjugated(Kernel):
    r"""Haar conjugation of a deterministic map :math:`c: X \to G`.

    .. math:: g = u^{-1} c(u x), \qquad u \sim \mathrm{Haar}(G) .

    The law of g is equivariant for *every* c, even one that breaks ties by position. If c canonicalizes,
    :math:`c(x)^{-1}x = \gamma(x)`, then g is uniform on :math:`C(x)`: the inversion kernel. Without u it would not
    even be equivariant.

    ``log_prob`` and ``entropy`` are exact: they try every u, at the price of :math:`|G|` calls of ``canonicalizer``
    an input.

    Arguments:
        canonicalizer: maps ``(batch, *action.shape)`` to elements ``(batch,)``.
        action: the action on x.

    Raises:
        TypeError: if ``canonicalizer`` cannot be called, or ``action`` is no action of a finite group.

    Example:
        >>> import torch
        >>> from sympe.actions import RegularAction
        >>> from sympe.groups import Cyclic
        >>> first_maximum = lambda x: x.flatten(1).argmax(1)  # the shift that brings it to 0, with first-index ties
        >>> kernel = HaarConjugated(first_maximum, RegularAction(Cyclic(4)))
        >>> kernel.entropy(torch.tensor([[[1.0, 0.0, 1.0, 0.0]]])).exp()
        tensor([2.])
    """

    def __init__(self, canonicalizer: Callable[[Tensor], Tensor], action: FiniteAction) -> None:
        check_callable("canonicalizer", canonicalizer)
        check_kind("action", action, FiniteAction)
        self.canonicalizer = canonicalizer
        self.action = action

    def __repr__(self) -> str:
        return f"HaarConjugated({self._name}, {self.action!r})"

    @property
    def form(self) -> dict[str, str]:
        """The name of the canonicalizer."""
        return {"kernel": "HaarConjugated", "canonicalizer": self._name}

    @property
    def _name(self) -> str:
        named = isinstance(self.canonicalizer, types.FunctionType)
        return self.canonicalizer.__name__ if named else type(self.canonicalizer).__name__

    @property
    def group(self) -> FiniteGroup:
        """The group."""
        return self.action.group

    def sample(
        self, x: Shaped[Tensor, "batch ..."], *, generator: torch.Generator | None = None
    ) -> Int64[Tensor, " batch"]:
        """Draw u, then g, for every x.

        Raises:
            ValueError: if ``x`` has the wrong shape or ``canonicalizer`` returns anything but one element each.
        """
        self.action.check(x)
        u = self.group.sample((len(x),), generator=generator, device=x.device)
        return self._conjugate(u, x)

    def log_prob(self, g: Int64[Tensor, " batch"], x: Shaped[Tensor, "batch ..."]) -> Float[Tensor, " batch"]:
        """The exact log-probability, counted over all u."""
        self.group.check(g)
        return self._probabilities(x).gather(1, g.unsqueeze(1)).squeeze(1).log()

    def entropy(self, x: Shaped[Tensor, "batch ..."]) -> Float[Tensor, " batch"]:
        """The exact entropy, in nats."""
        entropy: Tensor = torch.special.entr(self._probabilities(x)).sum(1)
        return entropy

    def _conjugate(self, u: Tensor, x: Tensor) -> Tensor:
        c = self.canonicalizer(self.action(u, x))
        if c.shape != u.shape or c.dtype != torch.int64:
            raise ValueError(
                f"canonicalizer: expected int64 elements of shape {tuple(u.shape)}, got {c.dtype} {tuple(c.shape)}"
            )
        outside = c[(c < 0) | (c >= self.group.order)]
        if len(outside) > 0:
            raise ValueError(f"canonicalizer: expected elements in range({self.group.order}), got {int(outside[0])}")
        return self.group.compose(self.group.inverse(u), c)

    def _probabilities(self, x: Tensor) -> Tensor:
        self.action.check(x)
        order = self.group.order
        counts = torch.zeros(len(x), order, device=x.device)
        for u in self.group.elements(device=x.device).split(max(1, CHUNK // max(1, x.numel()))):
            pairs = x.unsqueeze(1).expand(-1, len(u), *x.shape[1:]).flatten(0, 1)
            g = self._conjugate(u.repeat(len(x)), pairs).view(len(x), len(u))
            counts.scatter_add_(1, g, torch.ones_like(g, dtype=counts.dtype))
        return counts / order
