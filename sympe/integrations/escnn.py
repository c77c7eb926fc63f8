"""escnn: its finite groups and representations as groups and actions here, by their matrices; escnn is not imported.

No convention of escnn's is assumed: what composes with what is read off the matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sympe.actions import MatrixAction
from sympe.groups import FiniteGroup
from sympe.groups.checks import check_callable

_CLOSE = 1e-4
"""How far the numbers of equal matrices may be apart."""

Representation = Callable[[Any], Any]
"""Takes an element to its matrix, as escnn's representations do."""


def from_representations(
    elements: Sequence[Any], faithful: Representation, *others: Representation
) -> tuple[FiniteGroup, tuple[MatrixAction, ...]]:
    """The finite group of all these elements, and its actions on vectors by representations.

    Elements are numbered as they come, but the identity is number 0.

    Arguments:
        elements: all elements, each once.
        faithful: a representation that tells them apart, such as the regular one.
        others: the representations of the actions; without any, ``faithful`` is the one.

    Raises:
        TypeError: if a representation cannot be called.
        ValueError: if ``faithful`` does not tell the elements apart, a product is not among them, or one of the others
            is no representation of the same group.

    Example:
        Quarter turns of the plane, and what turns twice as fast:

        >>> turn = lambda k: np.array([[np.cos(k * np.pi / 2), -np.sin(k * np.pi / 2)],
        ...                            [np.sin(k * np.pi / 2), np.cos(k * np.pi / 2)]])
        >>> group, (plane, twice) = from_representations([3, 2, 1, 0], turn, turn, lambda k: turn(2 * k))
        >>> group.order, plane.is_faithful, twice.is_faithful
        (4, True, False)
    """
    for representation in (faithful, *others):
        check_callable("representation", representation)
    matrices = _matrices(elements, faithful)
    eye = torch.eye(matrices.shape[1], dtype=matrices.dtype)
    first = int((matrices - eye).abs().amax((1, 2)).argmin())
    order = [first, *(at for at in range(len(elements)) if at != first)]
    matrices = matrices[order]
    if len(matrices) > 1:
        apart = (matrices[:, None] - matrices).abs().amax((2, 3)) + torch.eye(len(matrices)) * 10 * _CLOSE
        if bool((apart <= _CLOSE).any()):
            raise ValueError("faithful: expected another matrix for each element; give the regular representation")
    group = FiniteGroup.from_table(_table(matrices))
    sorted_elements = [elements[at] for at in order]
    found = [MatrixAction(group, _matrices(sorted_elements, one).float()) for one in others or (faithful,)]
    return group, tuple(found)


def _matrices(elements: Sequence[Any], representation: Representation) -> Float[Tensor, "order d d"]:
    return torch.from_numpy(np.stack([np.asarray(representation(element), dtype=np.float64) for element in elements]))


def _table(matrices: Float[Tensor, "order d d"]) -> Int64[Tensor, "order order"]:
    """Which element each product is."""
    rows = []
    for matrix in matrices:
        off = ((matrix @ matrices)[:, None] - matrices).abs().amax((2, 3))
        nearest, which = off.min(1)
        if bool((nearest > _CLOSE).any()):
            raise ValueError("elements: expected all elements of a group, but a product of two of them is not there")
        rows.append(which)
    return torch.stack(rows)
