"""Equivariant kernels: how to draw a random group element from an input, with exact probabilities where they exist.

A kernel takes ``x`` to a random element g with ``P(hg | hx) = P(g | x)``. The best one is the *inversion kernel*,
uniform on the elements that bring x to canonical form (paper, Section 3).
"""

from sympe.kernels.base import Kernel, RelaxedKernel, RelaxedPermutationKernel
from sympe.kernels.cache import CachedGraphKernel
from sympe.kernels.conjugated import HaarConjugated
from sympe.kernels.coupled import CoupledGraphKernel, CoupledOrbitKernel
from sympe.kernels.graph import GraphHaarKernel, GraphKernel
from sympe.kernels.haar import HaarKernel
from sympe.kernels.node_scores import NodeScoreKernel
from sympe.kernels.orbit import OrbitKernel
from sympe.kernels.partial import PartialKernel
from sympe.kernels.random_refinement import GraphRefinementKernel
from sympe.kernels.score import ScoreKernel

__all__ = [
    "CachedGraphKernel",
    "CoupledGraphKernel",
    "CoupledOrbitKernel",
    "GraphHaarKernel",
    "GraphKernel",
    "GraphRefinementKernel",
    "HaarConjugated",
    "HaarKernel",
    "Kernel",
    "NodeScoreKernel",
    "OrbitKernel",
    "PartialKernel",
    "RelaxedKernel",
    "RelaxedPermutationKernel",
    "ScoreKernel",
]
