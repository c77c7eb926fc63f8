"""The uniform kernel, which ignores x."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from sympe.groups import Group
from sympe.groups.checks import check_batch, check_kind
from sympe.kernels.base import Kernel


class HaarKernel(Kernel):
    r"""The Haar distribution, :math:`\kappa(g \mid x) = 1 / |G|`, with the most entropy of all: :math:`\log |G|`.

    Arguments:
        group: the group. Of ``x`` only ``len(x)`` and ``x.device`` are asked.

    Raises:
        TypeError: if ``group`` is no group.

    Example:
        >>> import torch
        >>> from sympe.groups import P4M
        >>> HaarKernel(P4M(4)).sample(torch.zeros(5, 1, 4, 4)).shape
        torch.Size([5])

        Permutations of the nodes of five graphs:

        >>> from sympe.groups import Permutations
        >>> HaarKernel(Permutations(9)).sample(torch.zeros(5, 9, 1)).shape
        torch.Size([5, 9])
    """

    def __init__(self, group: Group) -> None:
        check_kind("group", group, Group)
        self._group = group

    @property
    def group(self) -> Group:
        """The group."""
        return self._group

    def sample(self, x: Any, *, generator: torch.Generator | None = None) -> Shaped[Tensor, "batch ..."]:
        """Draw a uniform element for every x."""
        check_batch(x)
        return self.group.sample((len(x),), generator=generator, device=x.device)

    def log_prob(self, g: Shaped[Tensor, "batch ..."], x: Any) -> Float[Tensor, " batch"]:
        """``-log |G|`` everywhere."""
        self.group.check(g)
        return -self.entropy(x)

    def entropy(self, x: Any) -> Float[Tensor, " batch"]:
        """``log |G|`` everywhere."""
        check_batch(x)
        return torch.full((len(x),), self._entropy, device=x.device)

    @cached_property
    def _entropy(self) -> float:
        """Seconds of arithmetic for a million nodes, which sampling does not need."""
        return math.log(self.group.order)
