"""The interfaces :class:`Kernel`, :class:`RelaxedKernel` and :class:`RelaxedPermutationKernel`."""

from __future__ import annotations

import abc
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sympe.groups import FiniteGroup, Group, Permutations


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

    @abc.abstractmethod
    def sample(self, x: Any, *, generator: torch.Generator | None = None) -> Int64[Tensor, "batch ..."]:
        """Draw one element for every x of the batch."""

    @abc.abstractmethod
    def log_prob(self, g: Int64[Tensor, "batch ..."], x: Any) -> Float[Tensor, " batch"]:
        """The log-probability of ``g`` given ``x``, in nats; minus infinity off the support."""

    @abc.abstractmethod
    def entropy(self, x: Any) -> Float[Tensor, " batch"]:
        """The entropy of g given ``x``, in nats."""


class RelaxedKernel(Kernel):
    """A trained kernel on a finite group: its samples also come as weights on the group that pass gradients to it."""

    @property
    @abc.abstractmethod
    def group(self) -> FiniteGroup:
        """The group that g belongs to."""

    @abc.abstractmethod
    def sample_weights(self, x: Tensor, *, generator: torch.Generator | None = None) -> Float[Tensor, "batch order"]:
        """One-hot samples of g in value; in gradient, the probabilities (straight-through)."""


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


def uniform(shape: torch.Size, x: Tensor, generator: torch.Generator | None) -> Float[Tensor, "..."]:
    """Uniform numbers in [0, 1) in double precision, from ``generator``'s device to that of ``x``."""
    source = x.device if generator is None else generator.device
    return torch.rand(shape, dtype=torch.float64, generator=generator, device=source).to(x.device)
