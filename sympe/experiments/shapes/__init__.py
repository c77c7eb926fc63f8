"""Shapes in space to deformations: a supervised task that needs the symmetry of points to be broken.

A regular polygon, prism, antiprism or Platonic solid, or an octahedral cage of a perovskite, goes to a displacement of
its points that keeps a subgroup of its symmetries; which one of the equivalent displacements stands in the data is
chance. An equivariant function can give their mean only.
"""
