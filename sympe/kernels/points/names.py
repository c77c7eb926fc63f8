"""The name of a finite group of rotations and reflections of space, after Schoenflies."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

_LIMIT = 240
"""More symmetries than any point group has, of the rings that are met; those of points at random places have more."""


def point_group(points: Float[Tensor, "nodes 3"], moves: Int64[Tensor, "count nodes"], gap: Tensor, free: int) -> str:
    """The name of the point group of one cloud, whose elements need not be exact symmetries.

    The permutations of places are a group exactly, and each goes with the orthogonal matrix that fits it best. Where
    none fits within half of the thickness of the cloud it counts as flat, for its heights are not what was permuted.

    Arguments:
        points: about the centre.
        moves: permutations that generate all symmetries.
        gap: points that are so close are in one place.
        free: the number of directions across the span of the points.

    Raises:
        ValueError: if the symmetries are those of no point group.
    """
    if free == 3:
        return "Kh"
    if free == 0 and not len(moves):
        return "C1"
    place = (torch.cdist(points, points) <= gap).to(torch.uint8).argmax(1)
    first, place = place.unique(return_inverse=True)
    permutations = _generated(place[moves[:, first]])
    q = points[first] @ torch.linalg.svd(points)[2].mT
    there = q[permutations]
    if free == 2:
        return "D*h" if bool(((there * q)[:, :, 0].sum(1) < 0).any()) else "C*v"
    R = _best(there, q)
    if free == 0 and bool((there - q @ R.mT).norm(dim=2).max() > q[:, 2].abs().max() / 2):
        free = 1
    if free == 1:  # the symmetries of a plane, and the reflection in it
        R = torch.eye(3).to(q).repeat(2 * len(permutations), 1, 1)
        R[:, :2, :2] = _best(there[:, :, :2], q[:, :2]).repeat(2, 1, 1)
        R[: len(permutations), 2, 2] = -1
    return schoenflies(R)


def _generated(moves: Int64[Tensor, "count places"]) -> Int64[Tensor, "order places"]:
    """All products of permutations, the identity first."""
    identity = tuple(range(moves.shape[1]))
    known, used = {identity: None}, []
    for move in map(tuple, moves.tolist()):
        if move in known:
            continue
        used.append(move)
        queue = list(known)
        for one in queue:  # it grows on the way
            for other in used:
                new = tuple(one[at] for at in other)
                if new not in known:
                    known[new] = None
                    queue.append(new)
            if len(known) > _LIMIT:
                raise ValueError(f"x: expected the symmetries of a point group, got more than {_LIMIT} of one cloud")
    return torch.tensor(list(known), device=moves.device)


def _best(there: Float[Tensor, "count places d"], q: Float[Tensor, "places d"]) -> Float[Tensor, "count d d"]:
    """The orthogonal matrices that take q nearest to where it shall be."""
    U, _, V = torch.linalg.svd(there.mT @ q)
    best: Tensor = U @ V
    return best


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
        letter = {12: "T", 24: "O", 60: "I"}.get(len(rotations), "")
        if not letter:
            raise ValueError(
                f"x: expected the symmetries of a point group, got {len(rotations)} rotations of one cloud"
            )
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
