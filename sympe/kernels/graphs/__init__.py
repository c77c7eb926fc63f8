"""Kernels of the symmetric group on graphs (exact, by refinement alone, Haar, learned, coupled) and on sets."""

from sympe.kernels.graphs.cache import CachedGraphKernel
from sympe.kernels.graphs.coupled import CoupledGraphKernel
from sympe.kernels.graphs.graph import GraphHaarKernel, GraphKernel
from sympe.kernels.graphs.random_refinement import GraphRefinementKernel
from sympe.kernels.graphs.scores import NodeScoreKernel
from sympe.kernels.graphs.sets import CoupledSetKernel, SetKernel

__all__ = [
    "CachedGraphKernel",
    "CoupledGraphKernel",
    "CoupledSetKernel",
    "GraphHaarKernel",
    "GraphKernel",
    "GraphRefinementKernel",
    "NodeScoreKernel",
    "SetKernel",
]
