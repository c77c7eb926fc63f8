"""The uniform kernel, which ignores x."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sympe.groups import FiniteGroup
from sympe.kernels.base import Kernel


class HaarKernel(Kernel):
    r"""The Haar distribution, :math:`\kappa(g \mid x) = 1 / |G|`, with the most entropy of all: :math:`\log |G|`.

    Arguments:
        group: the group.

    Example:
        >>> import torch
        >>> from sympe.groups import P4M
        >>> HaarKernel(P4M(4)).sample(torch.zeros(5, 1, 4, 4)).shape
        torch.Size([5])
    """

    def __init__(self, group: FiniteGroup) -> None:
        self._group = group

    @property
    def group(self) -> FiniteGroup:
        """The group."""
        return self._group

    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Int64[Tensor, " batch"]:
        """Draw a uniform element for every x."""
        return self.group.sample(x.shape[:1], generator=generator, device=x.device)

    def log_prob(self, g: Int64[Tensor, " batch"], x: Tensor) -> Float[Tensor, " batch"]:
        """``-log |G|`` everywhere."""
        return -self.entropy(x)

    def entropy(self, x: Tensor) -> Float[Tensor, " batch"]:
        """``log |G|`` everywhere."""
        return torch.full(x.shape[:1], math.log(self.group.order), device=x.device)
