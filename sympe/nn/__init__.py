"""Equivariant backbones; they know nothing of kernels or encodings."""

from sympe.nn.p4m import ChannelNorm, GroupConv, LiftingConv, P4MNet

__all__ = ["ChannelNorm", "GroupConv", "LiftingConv", "P4MNet"]
