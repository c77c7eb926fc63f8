"""The network of e3nn's layers: tensor products of features with spherical harmonics of the arcs, and gates."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sympe.experiments.shapes.config import FEATURES, ShapesConfig
from sympe.experiments.shapes.data import type_features
from sympe.extras import missing
from sympe.graphs import Clouds
from sympe.nn.gnn import other_nodes

RADII = 4
"""Functions of the distance that each spherical harmonic comes with."""
REACH = 4.0
"""Distances beyond this, in units of the training shapes' radius, are all alike."""
SMALL = 0.1
"""Vectors that come out have entries of this size at the start."""


class TensorFieldNetwork(nn.Module):
    """Message passing by e3nn's fully connected tensor products: one vector at every point.

    Every arc carries its spherical harmonics up to l = 2, each times a few functions of its length.

    Arguments:
        config: the sizes: a third of ``width`` scalars, ``vectors`` vectors, half as many of each other kind.

    Raises:
        ImportError: if e3nn is not installed.

    References:
        Geiger and Smidt, "e3nn: Euclidean neural networks", 2022.
    """

    def __init__(self, config: ShapesConfig) -> None:
        super().__init__()
        try:
            from e3nn import nn as e3nn_nn
            from e3nn import o3
        except ModuleNotFoundError as error:
            raise missing("backbone: e3nn needs", "e3nn", "e3nn") from error
        self.dataset = config.dataset
        start = o3.Irreps(f"{FEATURES[config.dataset] + 1}x0e + {config.channels + 1}x1o")
        scalars, half = max(1, config.width // 3), max(1, config.vectors // 2)
        gated = o3.Irreps(f"{config.vectors}x1o + {half}x1e + {half}x2e")
        self.arcs = o3.Irreps(f"{RADII}x0e + {RADII}x1o + {RADII}x2e")
        self.layers = nn.ModuleList()
        irreps = start
        for _ in range(config.layers):
            gate = e3nn_nn.Gate(f"{scalars}x0e", [nn.functional.silu], f"{gated.num_irreps}x0e", [torch.sigmoid], gated)
            self.layers.append(TensorFieldLayer(irreps, self.arcs, gate))
            irreps = gate.irreps_out
        self.leave = o3.Linear(irreps, "1x1o")
        self.harmonics = o3.SphericalHarmonics([0, 1, 2], normalize=True, normalization="component")

    def forward(self, x: Clouds, features: Float[Tensor, "batch points channels 3"]) -> Float[Tensor, "batch points 3"]:
        """The displacements, 0 in the padding."""
        n, mask = x.mask.shape[1], x.mask.to(x.dtype)
        row, i, j = other_nodes(x.mask).nonzero().unbind(1)
        to, of = row * n + i, row * n + j
        d = x.positions.flatten(0, 1)[to] - x.positions.flatten(0, 1)[of]
        far = d.square().sum(1, keepdim=True).clamp(min=1e-12).sqrt()
        centers = torch.linspace(0, REACH, RADII, device=x.device)
        radial = torch.exp(-(((far - centers) * RADII / REACH) ** 2))
        harmonics = self.harmonics(d)
        parts = [harmonics[:, :1], harmonics[:, 1:4], harmonics[:, 4:]]
        arcs = torch.cat([(radial[:, :, None] * part[:, None]).flatten(1) for part in parts], 1)
        arcs = arcs / (x.sizes[row] - 1)[:, None]  # the mean over neighbours
        out = x.positions - x.centers[:, None]
        types = type_features(x, self.dataset)
        h = torch.cat([types, out.square().sum(2, keepdim=True), out, features.flatten(2)], 2).flatten(0, 1)
        for layer in self.layers:
            h = layer(h, arcs, to, of)
        y: Tensor = SMALL * self.leave(h).view(len(x), n, 3) * mask[:, :, None]
        return y


class TensorFieldLayer(nn.Module):
    """Messages of a point's features times those of the arc, their sum, and a gate.

    Arguments:
        irreps: of the features that come in.
        arcs: of the arcs.
        gate: what comes last.
    """

    def __init__(self, irreps: Any, arcs: Any, gate: Any) -> None:
        super().__init__()
        from e3nn import o3

        self.first = o3.Linear(irreps, irreps)
        self.product = o3.FullyConnectedTensorProduct(irreps, arcs, gate.irreps_in)
        self.own = o3.Linear(irreps, gate.irreps_in)
        self.gate = gate

    def forward(
        self,
        h: Float[Tensor, "points in"],
        arcs: Float[Tensor, "pairs arcs"],
        to: Int64[Tensor, " pairs"],
        of: Int64[Tensor, " pairs"],
    ) -> Float[Tensor, "points out"]:
        """The new features, from the arcs that lead to each point and the points that they are of."""
        own: Tensor = self.own(h)
        messages = self.product(self.first(h)[of], arcs)
        out: Tensor = self.gate(own.index_add(0, to, messages))
        return out
