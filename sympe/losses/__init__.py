"""Losses that know symmetry: least over the symmetries of the input, over assignments, over those of a molecule.

An equivariant model of a symmetric input cannot know which of several equivalent targets stands in the data. These
losses do not ask it to.
"""

from sympe.losses.assignment import assignment_minimum
from sympe.losses.orbit import orbit_minimum
from sympe.losses.rmsd import symmetric_rmsd

__all__ = ["assignment_minimum", "orbit_minimum", "symmetric_rmsd"]
