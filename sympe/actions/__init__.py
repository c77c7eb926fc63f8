"""How a group element moves one kind of data: ``action(g, x)``, batched and differentiable in ``x``.

Every action is a left action, ``action(g, action(h, x)) == action(compose(g, h), x)``.
"""

from sympe.actions.arrays import ArrayAction
from sympe.actions.base import Action, EntryAction, FiniteAction
from sympe.actions.graphs import EdgeAction, NodeAction
from sympe.actions.image import ImageAction
from sympe.actions.lattice import BondAction, GridAction
from sympe.actions.linear import MatrixAction
from sympe.actions.permutation import PermutationAction, RegularAction, TrivialAction
from sympe.actions.points import GlobalVectorAction, PointAction, ScalarAction, VectorAction
from sympe.actions.sums import DiagonalAction, DirectSum, FactorAction
from sympe.actions.torus import TorusAction

__all__ = [
    "Action",
    "ArrayAction",
    "BondAction",
    "DiagonalAction",
    "DirectSum",
    "EdgeAction",
    "EntryAction",
    "FactorAction",
    "FiniteAction",
    "GlobalVectorAction",
    "GridAction",
    "ImageAction",
    "MatrixAction",
    "NodeAction",
    "PermutationAction",
    "PointAction",
    "RegularAction",
    "ScalarAction",
    "TorusAction",
    "TrivialAction",
    "VectorAction",
]
