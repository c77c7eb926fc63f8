"""Losses that know symmetry: least over the symmetries of the input, over assignments, over those of a molecule.

An equivariant model of a symmetric input cannot know which of several equivalent targets stands in the data. These
losses do not ask it to.
"""

from sympe.losses.orbit import orbit_minimum

__all__ = ["orbit_minimum"]
