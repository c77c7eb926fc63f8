"""Every public encoding and kernel as a torch module, on its most symmetric input: the table of ``test_modules``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sympe.actions import ArrayAction, GlobalVectorAction, GridAction, NodeAction, RegularAction, VectorAction
from sympe.encodings import (
    CanonicalEncoding,
    Canonicalized,
    Encoded,
    GraphSymPE,
    LaplacianEncoding,
    NoEncoding,
    NoiseEncoding,
    PartialSymPE,
    RandomWalkEncoding,
    SymPE,
)
from sympe.graphs import Clouds, DenseGraphs, relabel
from sympe.groups import (
    P4M,
    Cyclic,
    DirectProduct,
    Permutations,
    SpecialEuclidean,
    SpecialOrthogonal,
)
from sympe.kernels import (
    CachedGraphKernel,
    GraphHaarKernel,
    GraphKernel,
    GraphRefinementKernel,
    HaarConjugated,
    HaarKernel,
    Kernel,
    LearnedFrameKernel,
    MatrixKernel,
    NodeScoreKernel,
    OrbitKernel,
    PartialKernel,
    PointKernel,
    ScoreKernel,
    SetKernel,
)
from sympe.nn import P4MNet

GROUP = P4M(3)
MIRROR = GROUP.pack(s=1, k=0, p=0, q=0)
NODES = 6
"""Graphs are padded to so many nodes."""
SOLID = DirectProduct(SpecialEuclidean(3), Permutations(NODES))


@dataclass(frozen=True)
class Entry:
    """How to build a module, and a batch that it takes.

    Arguments:
        make: builds it.
        inputs: so many inputs of the batch.
    """

    make: Callable[[], nn.Module]
    inputs: Callable[[int], Any]


def first_maximum(x: Tensor) -> Tensor:
    return x.flatten(1).argmax(1)


def ramp(x: Tensor) -> Tensor:
    """Features that depend on the place alone."""
    return torch.arange(18.0).view(2, 3, 3).expand(len(x), 2, 3, 3)


class Degrees(nn.Module):
    """Scores of nodes, with something to learn."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Any) -> Tensor:
        return self.weight * x.dense().pairs.ne(0).sum(2)


def fields(batch: int) -> Tensor:
    return torch.zeros(batch, 1, 3, 3)


def graphs(batch: int) -> DenseGraphs:
    """Squares in the even places, paths of three nodes with padding in the others."""
    square = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]])
    path = torch.tensor([[0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    odd = torch.arange(batch) % 2 == 1
    mask = torch.arange(4) < torch.where(odd, 3, 4)[:, None]
    return DenseGraphs.from_features(torch.where(odd[:, None, None], path, square), mask=mask)


def clouds(batch: int) -> Clouds:
    """Squares in space in the even places, triangles with padding in the others."""
    square = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]])
    triangle = torch.tensor([[1.0, 0, 0], [-0.5, 0.75**0.5, 0], [-0.5, -(0.75**0.5), 0], [0, 0, 0]])
    odd = torch.arange(batch) % 2 == 1
    mask = torch.arange(4) < torch.where(odd, 3, 4)[:, None]
    return Clouds.from_positions(torch.where(odd[:, None, None], triangle, square), mask=mask)


class Frames(nn.Module):
    """Vectors from noise alone, mixed by something to learn; their lengths alone would not matter."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((3, 3), 0.2))

    def forward(self, x: Any, z: Tensor) -> Tensor:
        z = z.to(self.weight)
        return z + self.weight @ z


def sets(batch: int) -> Tensor:
    return torch.zeros(batch, NODES, 1)


def matrices(batch: int) -> Tensor:
    return torch.zeros(batch, 2, 3, 1)


def words(batch: int) -> Tensor:
    return torch.zeros(batch, 1, 6)


def score_kernel() -> ScoreKernel:
    return ScoreKernel(P4MNet(GridAction, channels=2, blocks=1, out="regular"), GROUP)


def on_field(kernel: Callable[[], Kernel]) -> Entry:
    return Entry(lambda: SymPE(kernel(), GridAction(GROUP, 2)), fields)


def on_graphs(kernel: Callable[[], Kernel]) -> Entry:
    return Entry(lambda: SymPE(kernel(), NodeAction(Permutations(NODES), 2)), graphs)


def orbit() -> OrbitKernel:
    return OrbitKernel(GridAction(GROUP))


MODULES: dict[str, Entry] = {
    "orbit": on_field(orbit),
    "Haar": on_field(lambda: HaarKernel(GROUP)),
    "score": on_field(score_kernel),
    "partial kernel": on_field(lambda: PartialKernel(orbit(), [MIRROR])),
    "conjugated": Entry(
        lambda: SymPE(HaarConjugated(first_maximum, RegularAction(Cyclic(6))), RegularAction(Cyclic(6), 2)), words
    ),
    "graph": on_graphs(lambda: GraphKernel(NODES)),
    "graph, Fiedler": on_graphs(lambda: GraphKernel(NODES, order="fiedler")),
    "cached graph": on_graphs(lambda: CachedGraphKernel(GraphKernel(NODES))),
    "graph Haar": on_graphs(lambda: GraphHaarKernel(NODES)),
    "refinement": on_graphs(lambda: GraphRefinementKernel(NODES)),
    "points": Entry(
        lambda: SymPE(PointKernel(SpecialEuclidean(3), NODES), VectorAction(SOLID, 2)),
        clouds,
    ),
    "learned frames": Entry(
        lambda: SymPE(
            LearnedFrameKernel(Frames(), SpecialOrthogonal(3), (3,)), GlobalVectorAction(SpecialOrthogonal(3), 2)
        ),
        clouds,
    ),
    "node score": on_graphs(lambda: NodeScoreKernel(Degrees(), NODES)),
    "set": Entry(lambda: SymPE(SetKernel(NODES), NodeAction(Permutations(NODES), 2)), sets),
    "matrix": Entry(
        lambda: SymPE(MatrixKernel(2, 3), ArrayAction(DirectProduct(Permutations(2), Permutations(3)), 2)), matrices
    ),
    "partial": Entry(lambda: PartialSymPE(PartialKernel(orbit(), [MIRROR]), GridAction(GROUP, 2)), fields),
    "nodes and edges": Entry(lambda: GraphSymPE(GraphKernel(NODES), 2, 3), graphs),
    "canonical": Entry(lambda: CanonicalEncoding(orbit(), ramp, GridAction(GROUP, 2)), fields),
    "canonicalized": Entry(
        lambda: Canonicalized(nn.Conv2d(1, 1, 3, padding=1), orbit(), GridAction(GROUP), GridAction(GROUP)), fields
    ),
    "canonicalized graphs": Entry(
        lambda: Canonicalized(Rows(), GraphKernel(NODES), relabel, NodeAction(Permutations(NODES))), graphs
    ),
    "joined": Entry(lambda: Encoded(nn.Conv2d(3, 1, 3, padding=1), SymPE(orbit(), GridAction(GROUP, 2))), fields),
    "noise": Entry(lambda: NoiseEncoding((2, 3, 3)), fields),
    "none": Entry(lambda: NoEncoding((2, 3, 3)), fields),
    "Laplacian": Entry(lambda: LaplacianEncoding(NODES, 2), graphs),
    "random walk": Entry(lambda: RandomWalkEncoding(NODES, 2), graphs),
}


class Rows(nn.Module):
    """One number a node, which depends on its place."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(NODES))

    def forward(self, x: Any) -> Tensor:
        n = x.dense().mask.shape[1]
        return (self.weight[:n] * torch.arange(n)).expand(len(x), n)[:, :, None]
