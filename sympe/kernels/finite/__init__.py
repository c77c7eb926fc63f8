"""Kernels of finite groups: exact on the orbits of any finite action, learned by scores, partial and coupled."""

from sympe.kernels.finite.coupled import CoupledOrbitKernel
from sympe.kernels.finite.orbit import OrbitKernel
from sympe.kernels.finite.partial import PartialKernel
from sympe.kernels.finite.score import ScoreKernel

__all__ = ["CoupledOrbitKernel", "OrbitKernel", "PartialKernel", "ScoreKernel"]
