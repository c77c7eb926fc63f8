r"""Relaxed group convolutions: the rival that breaks the symmetry in its weights instead of its input.

A relaxed layer mixes several equivariant filters with coefficients that depend on the group element where the output is
read,

.. math:: y[g] = \sum_{l} w_l(g) \sum_h \psi_l[g^{-1} h]\, \phi[h] ,

so translations (through the site) and rotations (through the point element) can both be broken. It is equivariant
exactly where every :math:`w_l` is constant. The model is deterministic: it gives one and the same pattern for a
symmetric input.

References: Wang, Walters, Yu, "Approximately equivariant networks for imperfectly symmetric dynamics", ICML 2022; Wang
et al., "Discovering symmetry breaking in physical systems with relaxed group convolution", ICML 2024.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sympe.nn.p4m import POINTS, Field, GroupConv, LiftingConv, P4MNet


class Relaxed(nn.Module):
    r"""A sum of layers into regular features, each weighted by a learned function :math:`w_l(g)` on the group.

    Arguments:
        layers: equivariant layers of one shape, each to (batch, channels, 8, L, L).
        size: L.
        spread: standard deviation of w around 1 / len(layers) at the start. It must be positive: at constant w the
            layer is equivariant, gradients are symmetric too, and a symmetric input would never leave symmetry.

    Raises:
        ValueError: if there is no layer or ``spread`` is not positive.

    Example:
        >>> import torch
        >>> from sympe.nn import GroupConv
        >>> Relaxed([GroupConv(2, 3), GroupConv(2, 3)], size=6)(torch.zeros(1, 2, 8, 6, 6)).shape
        torch.Size([1, 3, 8, 6, 6])
    """

    def __init__(self, layers: Sequence[nn.Module], size: int, *, spread: float = 0.5) -> None:
        super().__init__()
        if not layers:
            raise ValueError("layers: expected at least one layer, got none")
        if not 0 < spread < float("inf"):
            raise ValueError(f"spread: expected a positive number, got {spread}")
        self.layers = nn.ModuleList(layers)
        self.w = nn.Parameter(1 / len(layers) + spread * torch.randn(len(layers), POINTS, size, size))

    def forward(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch channels 8 L L"]:
        """Evaluate every layer and mix."""
        if x.shape[-2:] != self.w.shape[-2:]:
            size = self.w.shape[-1]
            raise ValueError(f"x: expected a lattice of {size} x {size} sites, got shape {tuple(x.shape)}")
        return torch.stack([w * layer(x) for w, layer in zip(self.w, self.layers, strict=True)]).sum(0)


class RelaxedP4MNet(nn.Module):
    r"""A :class:`~sympe.nn.P4MNet` whose lifting and group convolutions are all relaxed.

    Arguments:
        field: the action of a P4M group on the input (see :class:`~sympe.nn.LiftingConv`).
        size: L; the coefficients are bound to it.
        channels: number of regular features in every layer.
        blocks: number of residual blocks.
        filters: number of filters that each layer mixes.

    Raises:
        ValueError: if ``filters < 1``.

    Example:
        >>> import torch
        >>> from sympe.actions import BondAction
        >>> RelaxedP4MNet(BondAction, size=6, channels=4, blocks=1)(torch.zeros(2, 2, 6, 6)).shape
        torch.Size([2, 1, 6, 6])
    """

    def __init__(self, field: Field, *, size: int, channels: int, blocks: int, filters: int = 2) -> None:
        super().__init__()
        if filters < 1:
            raise ValueError(f"filters: expected at least 1, got {filters}")
        net = P4MNet(field, channels=channels, blocks=blocks)
        net.lift = Relaxed([LiftingConv(field, channels) for _ in range(filters)], size)
        net.convs = nn.ModuleList(
            Relaxed([GroupConv(channels, channels) for _ in range(filters)], size) for _ in range(blocks)
        )
        self.net = net

    def forward(self, x: Float[Tensor, "batch rows L L"]) -> Float[Tensor, "batch out L L"]:
        """Evaluate the network."""
        y: Tensor = self.net(x)
        return y
