"""Kernels of the symmetric group on graphs (exact, by refinement, Haar, learned, coupled), sets and matrices."""

from sympe.kernels.graphs.cache import CachedGraphKernel
from sympe.kernels.graphs.coupled import CoupledGraphKernel
from sympe.kernels.graphs.graph import GraphHaarKernel, GraphKernel
from sympe.kernels.graphs.matrices import CoupledMatrixKernel, MatrixKernel
from sympe.kernels.graphs.random_refinement import GraphRefinementKernel
from sympe.kernels.graphs.scores import NodeScoreKernel
from sympe.kernels.graphs.sets import CoupledSetKernel, SetKernel
from sympe.kernels.graphs.stored import StoredCosets

__all__ = [
    "CachedGraphKernel",
    "CoupledGraphKernel",
    "CoupledMatrixKernel",
    "CoupledSetKernel",
    "GraphHaarKernel",
    "GraphKernel",
    "GraphRefinementKernel",
    "MatrixKernel",
    "NodeScoreKernel",
    "SetKernel",
    "StoredCosets",
]
