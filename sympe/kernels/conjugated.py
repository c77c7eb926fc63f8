"""An exact sampler from any deterministic map, by conjugation with a Haar element."""

from __future__ import annotations

import types
from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from sympe.actions import Action, FiniteAction
from sympe.groups import Group
from sympe.groups.checks import check_callable, check_kind
from sympe.kernels.base import Kernel

CHUNK = 2**22


class HaarConjugated(Kernel):
    r"""Haar conjugation of a deterministic map :math:`c: X \to G`.

    .. math:: g = u^{-1} c(u x), \qquad u \sim \mathrm{Haar}(G) .

    The law of g is equivariant for *every* c, even one that breaks ties by position. If c canonicalizes,
    :math:`c(x)^{-1}x = \gamma(x)`, then g is uniform on :math:`C(x)`: the inversion kernel. Without u it would not
    even be equivariant.

    The group may be any compact one, such as rotations by matrices, as long as its ``sample`` is Haar. For an action of
    a :class:`~sympe.groups.FiniteGroup` ``log_prob`` and ``entropy`` are exact: they try every u, at the price of
    :math:`|G|` calls of ``canonicalizer`` an input. For other groups they are not known, and raise.

    Arguments:
        canonicalizer: maps ``(batch, *action.shape)`` to elements ``(batch, *group.element_shape)``.
        action: the action on x.

    Raises:
        TypeError: if ``canonicalizer`` cannot be called, or ``action`` is no action.

    Example:
        >>> import torch
        >>> from sympe.actions import RegularAction
        >>> from sympe.groups import Cyclic
        >>> first_maximum = lambda x: x.flatten(1).argmax(1)  # the shift that brings it to 0, with first-index ties
        >>> kernel = HaarConjugated(first_maximum, RegularAction(Cyclic(4)))
        >>> kernel.entropy(torch.tensor([[[1.0, 0.0, 1.0, 0.0]]])).exp()
        tensor([2.])

        Permutations, whose elements are tensors:

        >>> from sympe.actions import NodeAction
        >>> from sympe.groups import Permutations
        >>> sort = lambda x: x.squeeze(2).argsort(1)
        >>> kernel = HaarConjugated(sort, NodeAction(Permutations(3)))
        >>> kernel.sample(torch.tensor([[[0.3], [0.1], [0.2]]]))
        tensor([[1, 2, 0]])
    """

    def __init__(self, canonicalizer: Callable[[Tensor], Tensor], action: Action) -> None:
        check_callable("canonicalizer", canonicalizer)
        check_kind("action", action, Action)
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
    def group(self) -> Group:
        """The group."""
        return self.action.group

    def sample(
        self, x: Shaped[Tensor, "batch ..."], *, generator: torch.Generator | None = None
    ) -> Shaped[Tensor, "batch ..."]:
        """Draw u, then g, for every x.

        Raises:
            ValueError: if ``x`` has the wrong shape or ``canonicalizer`` returns anything but one element each.
        """
        self.action.check(x)
        u = self.group.sample((len(x),), generator=generator, device=x.device)
        return self._conjugate(u, x)

    def log_prob(self, g: Shaped[Tensor, "batch ..."], x: Shaped[Tensor, "batch ..."]) -> Float[Tensor, " batch"]:
        """The exact log-probability, counted over all u.

        Raises:
            TypeError: if the action is not one of a :class:`~sympe.groups.FiniteGroup`.
        """
        self.group.check(g)
        return self._probabilities("log_prob", x).gather(1, g.unsqueeze(1)).squeeze(1).log()

    def entropy(self, x: Shaped[Tensor, "batch ..."]) -> Float[Tensor, " batch"]:
        """The exact entropy, in nats.

        Raises:
            TypeError: if the action is not one of a :class:`~sympe.groups.FiniteGroup`.
        """
        entropy: Tensor = torch.special.entr(self._probabilities("entropy", x)).sum(1)
        return entropy

    def _conjugate(self, u: Tensor, x: Tensor) -> Tensor:
        c = self.canonicalizer(self.action(u, x))
        check_kind("canonicalizer", c, Tensor, "its answer")
        floats = u.is_floating_point()
        if c.shape != u.shape or (not c.is_floating_point() if floats else c.dtype != u.dtype):
            kind = "floating-point" if floats else str(u.dtype).removeprefix("torch.")
            raise ValueError(
                f"canonicalizer: expected {kind} elements of shape {tuple(u.shape)}, got {c.dtype} {tuple(c.shape)}"
            )
        self.group.check(c, "canonicalizer")
        return self.group.compose(self.group.inverse(u).to(c.dtype), c)

    def _probabilities(self, what: str, x: Tensor) -> Tensor:
        action = self.action
        if not isinstance(action, FiniteAction):
            raise TypeError(
                f"{what}: known for an action of a FiniteGroup, whose elements can all be tried; with "
                f"{type(action).__name__} of {self.group!r} HaarConjugated can only sample"
            )
        action.check(x)
        order = action.group.order
        counts = torch.zeros(len(x), order, device=x.device)
        for u in action.group.elements(device=x.device).split(max(1, CHUNK // max(1, x.numel()))):
            pairs = x.unsqueeze(1).expand(-1, len(u), *x.shape[1:]).flatten(0, 1)
            g = self._conjugate(u.repeat(len(x)), pairs).view(len(x), len(u))
            counts.scatter_add_(1, g, torch.ones_like(g, dtype=counts.dtype))
        return counts / order
