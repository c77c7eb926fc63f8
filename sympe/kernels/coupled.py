r"""Coupled kernels: g for a symmetric input x that is to be trained on a less symmetric target y.

Given x alone, g is independent of y, and a model that is trained to predict y from (x, g) still learns the average over
the symmetries of x. The coupled kernel lets g know which of the equivalent targets it was,

.. math:: \kappa(\cdot \mid x, y) \ \text{uniform on}\ C(x, y)
   = \{ g \in C(x) : g^{-1} y \ \text{is canonical among}\ C(x)^{-1} y \} .

It is equivariant in (x, y), and averaged over an equivariant distribution of y given x it is
:math:`\kappa(\cdot \mid x)` again: so training draws g from the coupled kernel, sampling from that of x, and

.. math:: \log p(y \mid x) \ge \mathbb{E}_{\kappa(g \mid x, y)}
   \bigl[\log p(y \mid x, g) + \log \kappa(g \mid x) - \log \kappa(g \mid x, y)\bigr],

where the last two terms are the price :math:`\log |G_x \cap G_y| - \log |G_x|`. This goes beyond the paper.

With h canonical for the pair (x, y) and c a deterministic canonicalizer for x, :math:`g = h\, c(h^{-1} x)` is canonical
for x, and as :math:`h^{-1} (x, y)` is the same for every such h, so is :math:`k = c(h^{-1} x)`: C(x, y) is the coset of
the pair times k, and :math:`\kappa(g \mid x, y)` is the probability of :math:`g k^{-1}` under the kernel of the pair.

An encoding that is given a coupled kernel takes the target in training, ``encoding(x, target=y)``, and draws from the
kernel of x without one.
"""

from __future__ import annotations

import abc
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from sympe.groups import Group
from sympe.kernels.base import Draw, Kernel, PlainDraw, uncompiled


class CoupledKernel(abc.ABC):
    r"""A random group element given x and a target y, :math:`g \sim \kappa(\cdot \mid x, y)`, to train with.

    Averaged over an equivariant law of y given x it is :attr:`kernel`, from which sampling draws.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.kernel!r})"

    @property
    @abc.abstractmethod
    def kernel(self) -> Kernel:
        """The kernel of x, from which sampling draws."""

    @property
    @abc.abstractmethod
    def group(self) -> Group:
        """The group that g belongs to."""

    @abc.abstractmethod
    def sample(self, x: Any, y: Any, *, generator: torch.Generator | None = None) -> Shaped[Tensor, "batch ..."]:
        """Draw one element for every pair of the batch."""

    @uncompiled
    def draw(self, x: Any, y: Any, *, generator: torch.Generator | None = None) -> Draw:
        """Draw one element for every pair, as an object that moves v by it (:mod:`sympe.kernels.base`)."""
        return PlainDraw(self.sample(x, y, generator=generator))

    @abc.abstractmethod
    def log_prob(self, g: Shaped[Tensor, "batch ..."], x: Any, y: Any) -> Float[Tensor, " batch"]:
        """The log-probability of ``g`` given ``x`` and ``y``, in nats; minus infinity off the support."""

    @abc.abstractmethod
    def entropy(self, x: Any, y: Any) -> Float[Tensor, " batch"]:
        """The entropy of g given ``x`` and ``y``, in nats."""
