"""Kernels of isometries and permutations on point clouds: exact, learned and coupled."""

from sympe.kernels.points.coupled import CoupledPointKernel
from sympe.kernels.points.learned import LearnedFrameKernel
from sympe.kernels.points.point import PointKernel

__all__ = ["CoupledPointKernel", "LearnedFrameKernel", "PointKernel"]
