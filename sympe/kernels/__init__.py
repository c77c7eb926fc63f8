"""Equivariant kernels: how to draw a random group element from an input, with exact probabilities where they exist.

A kernel takes ``x`` to a random element g with ``P(hg | hx) = P(g | x)``. The best one is the *inversion kernel*,
uniform on the elements that bring x to canonical form (paper, Section 3).
"""

from sympe.kernels.base import Draw, InversionKernel, Kernel, RelaxedKernel, RelaxedPermutationKernel
from sympe.kernels.conjugated import HaarConjugated
from sympe.kernels.coupled import CoupledKernel
from sympe.kernels.finite import CoupledOrbitKernel, OrbitKernel, PartialKernel, ScoreKernel
from sympe.kernels.graphs import (
    CachedGraphKernel,
    CoupledGraphKernel,
    CoupledMatrixKernel,
    CoupledSetKernel,
    GraphHaarKernel,
    GraphKernel,
    GraphRefinementKernel,
    MatrixKernel,
    NodeScoreKernel,
    SetKernel,
    StoredCosets,
)
from sympe.kernels.haar import HaarKernel
from sympe.kernels.points import CoupledPointKernel, LearnedFrameKernel, PointKernel

__all__ = [
    "CachedGraphKernel",
    "CoupledGraphKernel",
    "CoupledKernel",
    "CoupledMatrixKernel",
    "CoupledOrbitKernel",
    "CoupledPointKernel",
    "CoupledSetKernel",
    "Draw",
    "GraphHaarKernel",
    "GraphKernel",
    "GraphRefinementKernel",
    "HaarConjugated",
    "HaarKernel",
    "InversionKernel",
    "Kernel",
    "LearnedFrameKernel",
    "MatrixKernel",
    "NodeScoreKernel",
    "OrbitKernel",
    "PartialKernel",
    "PointKernel",
    "RelaxedKernel",
    "RelaxedPermutationKernel",
    "ScoreKernel",
    "SetKernel",
    "StoredCosets",
]
