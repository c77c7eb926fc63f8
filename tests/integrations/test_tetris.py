"""e3nn's example, tetris: eight shapes of four points, two of them mirror images, told apart in any pose."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from e3nn import nn as e3nn_nn
from e3nn import o3

from sympe import SymPE
from sympe.graphs import Clouds
from sympe.groups import Orthogonal
from sympe.integrations.e3nn import IrrepsAction
from sympe.kernels import PointKernel
from sympe.randomness import seeded

SHAPES = torch.tensor(
    [
        [[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 1, 0]],
        [[1, 1, 1], [1, 1, 2], [2, 1, 1], [2, 0, 1]],  # the mirror image of the first
        [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]],
        [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 0, 3]],
        [[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]],
        [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 0]],
        [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 1]],
        [[0, 0, 0], [1, 0, 0], [1, 1, 0], [2, 1, 0]],
    ]
).float()
"""The positions of https://docs.e3nn.org/en/stable/examples/tetris_gate.html."""

LABELS = torch.cat([torch.eye(7)[:1], -torch.eye(7)[:1], torch.eye(7)[1:]])
"""The two mirror images have one number of odd parity, of opposite signs."""

STEPS = 150


class Tetris(torch.nn.Module):
    """Two layers of tensor products with a gate between; one odd and seven even scalars of the whole shape."""

    def __init__(self, irreps_in: str) -> None:
        super().__init__()
        gate = e3nn_nn.Gate(
            "16x0e + 16x0o", [torch.nn.functional.silu, torch.tanh], "16x0e", [torch.sigmoid], "8x1o + 8x1e"
        )
        harmonics = o3.Irreps.spherical_harmonics(2)
        self.first = o3.FullyConnectedTensorProduct(irreps_in, harmonics, gate.irreps_in)
        self.gate = gate
        self.second = o3.FullyConnectedTensorProduct(gate.irreps_out, harmonics, "0o + 7x0e")

    def forward(self, positions: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        arcs = positions[:, None] - positions[:, :, None]
        harmonics = o3.spherical_harmonics([0, 1, 2], arcs, normalize=True, normalization="component")
        harmonics = harmonics * (arcs.norm(dim=-1, keepdim=True) < 1.1)  # neighbours, and the point itself
        x = self.gate(self.first(x[:, :, None].expand(*harmonics.shape[:3], -1), harmonics).mean(1))
        x = self.second(x[:, :, None].expand(*harmonics.shape[:3], -1), harmonics).mean(1)
        odd, first, rest = x.mean(1).split([1, 1, 6], 1)
        return torch.cat([odd * first, rest], 1)


def share_right(model: Callable[[Clouds], torch.Tensor], poses: int = 20) -> float:
    """The share of shapes that are told right, turned, reflected and relabelled by Haar."""
    kernel = PointKernel(Orthogonal(3), 4)
    g = kernel.group.sample((poses * len(SHAPES),), generator=seeded(7))
    R, _ = kernel.group.components(g)
    labels = LABELS.repeat(poses, 1)
    labels[:, 0] *= torch.linalg.det(R).sign()
    with torch.no_grad():
        found = model(kernel.move(g, Clouds.from_positions(SHAPES.repeat(poses, 1, 1))))
    return float((found.round() == labels).all(1).float().mean())


@pytest.mark.slow
@pytest.mark.parametrize("moves", [True, False], ids=["g v", "v"])
def test_tetris_with_symmetry_breaking_is_learned_in_one_pose_and_known_in_all(moves: bool) -> None:
    """Most of the shapes have symmetries. A v that does not move is the twin: it knows the one pose only."""
    kernel = PointKernel(Orthogonal(3), max_nodes=4)
    encoding = SymPE(kernel, IrrepsAction(kernel.group, "4x0e + 4x1o"), generator=seeded(0))
    draws = seeded(1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Tetris("4x0e + 4x1o")

    def model(x: Clouds) -> torch.Tensor:
        features = encoding(x, generator=draws) if moves else encoding.v.expand(len(x), -1, -1)
        out: torch.Tensor = network(x.positions, features)
        return out

    optimizer = torch.optim.Adam([*network.parameters(), *encoding.parameters()], lr=0.02)
    x = Clouds.from_positions(SHAPES)
    for _ in range(STEPS):
        loss = (model(x) - LABELS).square().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.05
    share = share_right(model)
    assert share == 1.0 if moves else share < 0.5
