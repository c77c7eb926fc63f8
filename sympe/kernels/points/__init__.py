"""Kernels of isometries and permutations on point clouds: exact, learned and coupled."""

from sympe.kernels.points.point import PointKernel

__all__ = ["PointKernel"]
