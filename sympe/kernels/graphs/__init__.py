"""Kernels of the symmetric group on graphs: exact, with a memory, by refinement alone, Haar, learned and coupled."""

from sympe.kernels.graphs.cache import CachedGraphKernel
from sympe.kernels.graphs.coupled import CoupledGraphKernel
from sympe.kernels.graphs.graph import GraphHaarKernel, GraphKernel
from sympe.kernels.graphs.random_refinement import GraphRefinementKernel
from sympe.kernels.graphs.scores import NodeScoreKernel
from sympe.kernels.graphs.stored import StoredCosets

__all__ = [
    "CachedGraphKernel",
    "CoupledGraphKernel",
    "GraphHaarKernel",
    "GraphKernel",
    "GraphRefinementKernel",
    "NodeScoreKernel",
    "StoredCosets",
]
