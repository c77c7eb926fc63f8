r"""The interfaces :class:`Kernel`, :class:`RelaxedKernel`, :class:`RelaxedPermutationKernel`, and their draws.

A :class:`Draw` is what a kernel gives to whoever owns a learned v: it moves v by g, so that nobody has to ask a kernel
what it is. How gradients reach a learned kernel is the business of its draw alone. With straight-through weights w, one
in value at the g that was drawn and probabilities in gradient, that is :math:`\sum_g w_g\, g v`; with a soft
permutation S it is :math:`g v + (S v - \mathrm{detach}(S v))`.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from sympe.actions import Action, EdgeAction, FiniteAction, NodeAction
from sympe.groups import FiniteGroup, Group, Permutations
from sympe.randomness import draw_numbers

Function = TypeVar("Function", bound=Callable[..., Any])


def uncompiled(function: Function) -> Function:
    """Left as it is by ``torch.compile``, in one piece: a search depends on the data at every step."""
    left: Function = torch.compiler.disable(function)
    return left


class Draw(abc.ABC):
    """A drawn element g for every x of a batch, which moves v.

    Example:
        >>> from sympe.actions import GridAction
        >>> from sympe.groups import P4M
        >>> from sympe.kernels import OrbitKernel
        >>> action = GridAction(P4M(3))
        >>> draw = OrbitKernel(action).draw(torch.zeros(5, 1, 3, 3))
        >>> draw.g.shape, draw.move(action, torch.randn(1, 3, 3)).shape
        (torch.Size([5]), torch.Size([5, 1, 3, 3]))
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}(g of shape {tuple(self.g.shape)})"

    @property
    @abc.abstractmethod
    def g(self) -> Shaped[Tensor, "batch ..."]:
        """The elements."""

    @abc.abstractmethod
    def move(self, action: Action, v: Tensor) -> Float[Tensor, "batch ..."]:
        """The v of all x, moved by their elements."""


class PlainDraw(Draw):
    """A draw without gradients in g.

    Arguments:
        g: the elements.
    """

    def __init__(self, g: Shaped[Tensor, "batch ..."]) -> None:
        self._g = g

    @property
    def g(self) -> Shaped[Tensor, "batch ..."]:
        """The elements."""
        return self._g

    def move(self, action: Action, v: Tensor) -> Float[Tensor, "batch ..."]:
        """``g v``."""
        return action(self._g, v)


class WeightedDraw(Draw):
    """A draw from a finite group by weights on all of it, through which gradients pass.

    Arguments:
        weights: one-hot in value.
    """

    def __init__(self, weights: Float[Tensor, "batch order"]) -> None:
        self._weights = weights

    @property
    def g(self) -> Int64[Tensor, " batch"]:
        """The elements of weight one."""
        return self._weights.argmax(1)

    def move(self, action: Action, v: Tensor) -> Float[Tensor, "batch ..."]:
        """The weighted sum of all g v, which in value is one of them.

        Raises:
            TypeError: if the action is not one of a finite group.
        """
        if not isinstance(action, FiniteAction):
            raise TypeError(f"action: expected a FiniteAction with this kernel, got {type(action).__name__}")
        with torch.autocast(v.device.type, enabled=False):  # in value it is one of the g v, to the last digit
            mixed: Tensor = torch.tensordot(self._weights.to(v.dtype), action.orbit(v), dims=1)
        return mixed


class SoftPermutationDraw(Draw):
    """A draw of permutations with soft ones, through which gradients pass.

    Arguments:
        g: the permutations.
        soft: how much each node (dimension 1) belongs to each place (dimension 2).
    """

    def __init__(self, g: Int64[Tensor, "batch nodes"], soft: Float[Tensor, "batch nodes nodes"]) -> None:
        self._g = g
        self._soft = soft

    @property
    def g(self) -> Int64[Tensor, "batch nodes"]:
        """The permutations."""
        return self._g

    def move(self, action: Action, v: Tensor) -> Float[Tensor, "batch ..."]:
        """``g v``, with the gradient in the soft permutation of v moved by it.

        Raises:
            ValueError: if the action is not one that soft permutations know.
        """
        fixed = v.detach()
        if isinstance(action, NodeAction):
            spread = self._soft @ fixed
        elif isinstance(action, EdgeAction):
            spread = torch.einsum("bir,bjs,rsc->bijc", self._soft, self._soft, fixed)
        else:
            raise ValueError(f"action: expected NodeAction or EdgeAction with this kernel, got {type(action).__name__}")
        return action(self._g, v) + (spread - spread.detach())


class Kernel(abc.ABC):
    r"""A random group element given x, :math:`g \sim \kappa(\cdot \mid x)`.

    It is equivariant: :math:`\kappa(hg \mid hx) = \kappa(g \mid x)`.

    ``x`` has one batch dimension, then the shape of one input; a kernel may take batches that are not tensors, with
    ``len(x)`` and ``x.device``. Elements have the shape ``(batch, *group.element_shape)``. Nothing is stored on the
    kernel between calls.
    """

    @property
    @abc.abstractmethod
    def group(self) -> Group:
        """The group that g belongs to."""

    @property
    def form(self) -> dict[str, str]:
        """What decides which element stands for what: a v that was trained with it means nothing with another.

        It goes into the state dict of encodings. Its words stay the same from version to version.
        """
        return {"kernel": type(self).__name__}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.group!r})"

    @abc.abstractmethod
    def sample(self, x: Any, *, generator: torch.Generator | None = None) -> Shaped[Tensor, "batch ..."]:
        """Draw one element for every x of the batch."""

    @uncompiled
    def draw(self, x: Any, *, generator: torch.Generator | None = None) -> Draw:
        """Draw one element for every x, as an object that moves v by it and lets gradients reach what is learned.

        A search depends on the data at every step, so ``torch.compile`` leaves it as it is, in one piece.
        """
        return PlainDraw(self.sample(x, generator=generator))

    @abc.abstractmethod
    def log_prob(self, g: Shaped[Tensor, "batch ..."], x: Any) -> Float[Tensor, " batch"]:
        """The log-probability of ``g`` given ``x``, in nats; minus infinity off the support."""

    @abc.abstractmethod
    def entropy(self, x: Any) -> Float[Tensor, " batch"]:
        """The entropy of g given ``x``, in nats."""


class InversionKernel(Kernel):
    r"""An exact kernel: uniform on C(x), the elements with :math:`g^{-1} x = \gamma(x)`, which it can list."""

    @abc.abstractmethod
    def move(self, g: Shaped[Tensor, "batch ..."], x: Any) -> Any:
        """``g x``: how the elements move a batch of inputs."""

    @abc.abstractmethod
    def list_coset(self, x: Any, *, limit: int) -> tuple[Int64[Tensor, " listed"], Shaped[Tensor, "listed ..."]]:
        """C(x) as two parallel lists: the row of the batch, ascending, and an element of that row's C(x).

        Raises:
            ValueError: if the C(x) of a row has more than ``limit`` elements; says how many.
        """


class RelaxedKernel(Kernel):
    """A trained kernel on a finite group: its samples also come as weights on the group that pass gradients to it."""

    @property
    @abc.abstractmethod
    def group(self) -> FiniteGroup:
        """The group that g belongs to."""

    @abc.abstractmethod
    def sample_weights(self, x: Tensor, *, generator: torch.Generator | None = None) -> Float[Tensor, "batch order"]:
        """One-hot samples of g in value; in gradient, the probabilities (straight-through)."""

    def draw(self, x: Any, *, generator: torch.Generator | None = None) -> WeightedDraw:
        """Draw by :meth:`sample_weights`."""
        return WeightedDraw(self.sample_weights(x, generator=generator))


class RelaxedPermutationKernel(Kernel):
    """A trained kernel on permutations: its samples come with soft permutations that pass gradients to it."""

    @property
    @abc.abstractmethod
    def group(self) -> Permutations:
        """The group that g belongs to."""

    @abc.abstractmethod
    def sample_relaxed(
        self, x: Any, *, generator: torch.Generator | None = None
    ) -> tuple[Int64[Tensor, "batch nodes"], Float[Tensor, "batch nodes nodes"]]:
        """Draw g, and how much each node (dimension 1) belongs to each place (dimension 2)."""

    def draw(self, x: Any, *, generator: torch.Generator | None = None) -> SoftPermutationDraw:
        """Draw by :meth:`sample_relaxed`."""
        return SoftPermutationDraw(*self.sample_relaxed(x, generator=generator))


def check_count(log_counts: Float[Tensor, " batch"], limit: int) -> None:
    """Refuse to list cosets of more than ``limit`` elements.

    Raises:
        ValueError: names the row with the most; or if ``limit`` is below 1.
    """
    if limit < 1:
        raise ValueError(f"limit: expected at least 1, got {limit}")
    if len(log_counts) and float(log_counts.max()) > math.log(limit + 0.5):
        row = int(log_counts.argmax())
        digits = float(log_counts[row]) / math.log(10)
        count = f"{math.exp(float(log_counts[row])):,.0f}" if digits < 9 else f"about 10^{digits:.0f}"
        raise ValueError(f"x: C(x) of input {row} has {count} elements, more than limit = {limit}")


def uniform(shape: torch.Size, x: Tensor, generator: torch.Generator | None) -> Float[Tensor, "..."]:
    """Uniform numbers in [0, 1) in double precision, from ``generator``'s device to that of ``x``."""
    return draw_numbers(torch.rand, shape, generator=generator, device=x.device, dtype=torch.float64)
