"""Backbones: p4m group convolutions on the periodic lattice. They know nothing of kernels or encodings."""

from sympe.nn.p4m import GroupConv, LiftingConv, P4MNet
from sympe.nn.relaxed import Relaxed, RelaxedP4MNet

__all__ = ["GroupConv", "LiftingConv", "P4MNet", "Relaxed", "RelaxedP4MNet"]
