"""Groups on batched element tensors: identity, compose, inverse and Haar samples.

A group element is a plain tensor. In a :class:`FiniteGroup` it is an ``int64`` index in ``range(order)``, so a batch of
elements is an index tensor of any shape; in :class:`Permutations` it is an index tensor of shape ``(degree,)``; an
isometry is a matrix of floats, and an element of a :class:`DirectProduct` holds those of its factors side by side.
``compose(g, h)`` applies ``h`` first.
"""

from sympe.groups.base import Group
from sympe.groups.dihedral import Cyclic, Dihedral
from sympe.groups.direct import DirectProduct
from sympe.groups.finite import (
    FiniteGroup,
    TableGroup,
    generate_matrices,
    generate_permutations,
    generated_subgroup,
)
from sympe.groups.isometries import Euclidean, Isometries, Orthogonal, SpecialEuclidean, SpecialOrthogonal
from sympe.groups.p4m import P4M
from sympe.groups.permutations import Permutations
from sympe.groups.product import Product

__all__ = [
    "P4M",
    "Cyclic",
    "Dihedral",
    "DirectProduct",
    "Euclidean",
    "FiniteGroup",
    "Group",
    "Isometries",
    "Orthogonal",
    "Permutations",
    "Product",
    "SpecialEuclidean",
    "SpecialOrthogonal",
    "TableGroup",
    "generate_matrices",
    "generate_permutations",
    "generated_subgroup",
]
