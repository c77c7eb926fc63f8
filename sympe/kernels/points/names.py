"""The name of a finite group of rotations and reflections of space, after Schoenflies."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

_CLOSE = 0.02
"""How far the numbers of equal matrices may be apart: less than those of two elements of a group of 120."""


def generate(matrices: Float[Tensor, "count d d"], *, limit: int = 240) -> Float[Tensor, "order d d"]:
    """All products of orthogonal matrices, the identity first; matrices that are nearly equal are one.

    Raises:
        ValueError: if there are more than ``limit``.

    Example:
        >>> generate(torch.tensor([[[0.0, -1.0], [1.0, 0.0]]])).shape
        torch.Size([4, 2, 2])
    """
    d = matrices.shape[-1]
    found = torch.eye(d, dtype=matrices.dtype, device=matrices.device)[None]
    fresh = found
    while len(fresh):
        products = (fresh[:, None] @ matrices).flatten(0, 1)
        fresh = _different(products, found)
        found = torch.cat([found, fresh])
        if len(found) > limit:
            raise ValueError(f"matrices: expected generators of at most {limit} elements, got more")
    return found


def _different(new: Tensor, known: Tensor) -> Tensor:
    """Those that are not known, once each."""
    if not len(new):
        return new
    apart = (new[:, None] - known).abs().amax((2, 3)) > _CLOSE
    new = new[apart.all(1)]
    same = (new[:, None] - new).abs().amax((2, 3)) <= _CLOSE
    first = ~same.tril(-1).any(1)
    return new[first]


def schoenflies(group: Float[Tensor, "order 3 3"]) -> str:
    """The name of a group that is given by all its matrices: C1, Cs, Ci, Cn, Cnh, Cnv, S2n, Dn, Dnh, Dnd, T, O, I, ...

    Example:
        >>> mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0]))
        >>> schoenflies(torch.stack([torch.eye(3), mirror]))
        'Cs'
    """
    group = group.double()
    proper = torch.linalg.det(group) > 0
    trace = group.diagonal(dim1=1, dim2=2).sum(1)
    rotations, improper = group[proper], group[~proper]
    has_inversion = bool((trace[~proper] < -2.9).any())
    mirrors = [_axis(-R) for R in improper[(trace[~proper] - 1).abs() < 0.1]]
    axes, orders = _axes(rotations)
    if not axes:
        return "Ci" if has_inversion else "Cs" if mirrors else "C1"
    if sum(n > 2 for n in orders) > 1:
        letter = {12: "T", 24: "O", 60: "I"}[len(rotations)]
        return letter if not len(improper) else f"{letter}{'h' if letter != 'T' or has_inversion else 'd'}"
    n = max(orders)
    letter = "C" if len(rotations) == n else "D"
    if not len(improper):
        return f"{letter}{n}"
    principal = [axis for axis, order in zip(axes, orders, strict=True) if order == n]
    if any(_parallel(normal, axis) for normal in mirrors for axis in principal):
        return f"{letter}{n}h"
    if letter == "D":
        return f"D{n}d"
    return f"C{n}v" if mirrors else f"S{2 * n}"


def _axes(rotations: Tensor) -> tuple[list[Tensor], list[int]]:
    """The axes of rotations that are not the identity, and how many rotations there are about each."""
    axes: list[Tensor] = []
    orders: list[int] = []
    trace = rotations.diagonal(dim1=1, dim2=2).sum(1)
    for R in rotations[trace < 2.9]:
        axis = _axis(R)
        for at, known in enumerate(axes):
            if _parallel(axis, known):
                orders[at] += 1
                break
        else:
            axes.append(axis)
            orders.append(2)
    return axes, orders


def _axis(R: Tensor) -> Tensor:
    """The axis of a rotation: what it fixes."""
    axis: Tensor = torch.linalg.svd(R - torch.eye(3, dtype=R.dtype, device=R.device))[2][2]
    return axis


def _parallel(a: Tensor, b: Tensor) -> bool:
    return bool((a @ b).abs() > 0.99)
