"""The names of finite groups of rotations and reflections of space, after Schoenflies, of many clouds at once.

Groups are told apart by how many elements of each kind they have.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

_LIMIT = 240
"""More symmetries than any point group has, of the rings that are met; those of points at random places have more."""

_POLYHEDRAL = {(12, 3): "T", (24, 9): "O", (60, 15): "I"}
"""By the numbers of rotations and of half turns."""


def point_groups(
    points: Float[Tensor, "batch nodes 3"],
    mask: Bool[Tensor, "batch nodes"],
    gaps: Float[Tensor, " batch"],
    free: Int64[Tensor, " batch"],
    rows: Int64[Tensor, " elements"],
    moves: Int64[Tensor, "elements nodes"],
) -> list[str]:
    """The names of the point groups of clouds, whose elements need not be exact symmetries.

    The permutations of places are a group exactly, and each goes with the orthogonal matrix that fits it best. Where
    none fits within half of the thickness of the cloud it counts as flat, for its heights are not what was permuted.

    Arguments:
        points: about the centre.
        mask: which are real.
        gaps: points that are so close are in one place.
        free: the number of directions across the span of the points.
        rows: the cloud of each symmetry, ascending.
        moves: all symmetries, as permutations.

    Raises:
        ValueError: if the symmetries are those of no point group.
    """
    count = torch.bincount(rows, minlength=len(points))
    names = ["Kh" if k == 3 else "C1" for k in free.tolist()]
    chosen = ((free < 3) & ((count > 1) | (free > 0))).nonzero().squeeze(1)
    if not len(chosen):
        return names
    of = torch.full_like(count, -1)
    of[chosen] = torch.arange(len(chosen), device=of.device)
    kept = of[rows] >= 0
    points, mask, free = points[chosen], mask[chosen], free[chosen]
    row, there = of[rows[kept]], moves[kept]
    node = torch.arange(points.shape[1], device=points.device)
    place = places(points, mask, gaps[chosen])
    first = mask & (place == node)
    if bool((place != node).any()):  # points in one place are exchanged in many ways: one of each will do
        every = torch.cat([row[:, None], place[row].gather(1, there)], 1).unique(dim=0)
        row, there = every[:, 0], every[:, 1:]
    other = (there != place[row]).any(1)
    identities = _counts(row, ~other, len(chosen))
    row, there = row[other], there[other]
    q = points @ torch.linalg.eigh(points.mT @ points)[1].flip(-1)  # along its longest axis first
    q = q * first[:, :, None]
    start = q[row]
    image = start.gather(1, there[:, :, None].expand_as(start)) * first[row][:, :, None]
    fits = image.mT @ start
    U, _, V = torch.linalg.svd(fits)
    R: Tensor = U @ V
    off = (image - start @ R.mT).square().unbind(2)
    worst = off[0].new_zeros(len(chosen)).scatter_reduce(0, row, sum(off).amax(1).sqrt(), "amax")
    flat = (free == 1) | ((free == 0) & (worst > q[:, :, 2].abs().amax(1) / 2))
    proper, trace = torch.linalg.det(R) > 0, R.diagonal(dim1=1, dim2=2).sum(1)
    a, b, c, d = fits[:, :2, :2].flatten(1).unbind(1)
    reflected = a * d < b * c
    in_plane = (a + d) / torch.hypot(a + d, b - c).clamp(min=1e-300)  # the cosine of the turn that fits best
    cosine = torch.where(flat[row], in_plane, (trace - 1) / 2)
    turns = torch.where(flat[row], ~reflected, proper)
    least = torch.pi / (identities + _counts(row, turns, len(chosen))).clamp(min=1)
    still = turns & (cosine > least.cos()[row])  # other places, but hardly a turn: such are not told apart
    same = identities + _counts(row, still, len(chosen))
    alone = (same == 1)[row]
    exact = (there.gather(1, there) == place[row]).all(1) & alone
    half_turn = proper & torch.where(alone, exact, trace < -0.9)
    mirror = ~proper & torch.where(alone, exact & (trace > -1), trace > 0.9)
    inversion = ~proper & torch.where(alone, exact & (trace <= -1), trace < -2.9)
    backwards = fits[:, 0, 0] < 0  # of points on one line
    kinds = (torch.ones_like(proper), proper, half_turn, mirror, inversion, reflected)
    numbers = torch.stack([_counts(row, kind, len(chosen)) for kind in kinds], 1)
    numbers[:, :2] += identities[:, None]
    numbers = numbers // same.clamp(min=1)[:, None]
    numbers = torch.cat([numbers, _counts(row, backwards, len(chosen))[:, None]], 1)
    for at, k, is_flat, one in zip(chosen.tolist(), free.tolist(), flat.tolist(), numbers.tolist(), strict=True):
        order, rotations, half_turns, mirrors, inversions, reflections, ends = one
        if k == 2:
            names[at] = "D*h" if ends else "C*v"
        elif is_flat:
            names[at] = _flat(order - reflections, reflections)
        else:
            names[at] = schoenflies(rotations, half_turns, order - rotations, mirrors, inversions)
    return names


def _counts(row: Tensor, which: Tensor, rows: int) -> Int64[Tensor, " batch"]:
    """How many elements of each row are some."""
    return torch.bincount(row[which], minlength=rows)


def places(
    points: Float[Tensor, "batch nodes 3"], mask: Bool[Tensor, "batch nodes"], gaps: Float[Tensor, " batch"]
) -> Int64[Tensor, "batch nodes"]:
    """The first point in the place of each; in the padding, itself."""
    n = points.shape[1]
    near = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist") <= gaps[:, None, None]
    near &= mask[:, None]
    return torch.where(mask, near.to(torch.uint8).argmax(2), torch.arange(n, device=points.device))


def _flat(rotations: int, reflections: int) -> str:
    """The group in space of a figure in a plane, by the numbers of its symmetries there."""
    if reflections not in (0, rotations):
        raise ValueError(f"x: expected the symmetries of a point group, got {rotations} turns of a flat cloud")
    if not reflections:
        return f"C{rotations}h" if rotations > 1 else "Cs"
    return f"D{rotations}h" if rotations > 1 else "C2v"


def schoenflies(rotations: int, half_turns: int, improper: int, mirrors: int, inversions: int) -> str:
    """The name of a group of space by the numbers of its elements.

    Arguments:
        rotations: the identity among them.
        half_turns: the rotations of order 2.
        improper: the elements that are no rotations.
        mirrors: the reflections in planes.
        inversions: 1 or 0.

    Raises:
        ValueError: if there is no such group.

    Example:
        >>> schoenflies(1, 0, 1, 1, 0), schoenflies(2, 1, 2, 2, 0), schoenflies(12, 3, 12, 6, 0)
        ('Cs', 'C2v', 'Td')
    """
    if improper not in (0, rotations):
        raise ValueError(f"x: expected the symmetries of a point group, got {rotations} rotations of one cloud")
    if rotations == 1:
        return "Ci" if inversions else "Cs" if mirrors else "C1"
    n = rotations // 2
    if half_turns <= 1 and half_turns == (rotations % 2 == 0):
        name, n = "C", rotations
    elif rotations == 2 * n and half_turns == n + (n % 2 == 0):
        name = "D"
    elif (rotations, half_turns) in _POLYHEDRAL:
        name = _POLYHEDRAL[rotations, half_turns]
        return name if not improper else f"{name}{'h' if inversions or name != 'T' else 'd'}"
    else:
        raise ValueError(f"x: expected the symmetries of a point group, got {rotations} rotations of one cloud")
    if not improper:
        return f"{name}{n}"
    if name == "D":
        return f"D{n}h" if mirrors > n else f"D{n}d"
    return f"C{n}h" if mirrors == 1 else f"C{n}v" if mirrors else f"S{2 * n}"


def on_places(generators: Int64[Tensor, "count nodes"], place: Int64[Tensor, " nodes"]) -> Int64[Tensor, "order nodes"]:
    """All symmetries of the places of one cloud, as maps to the first points of places, from generators on its points.

    Raises:
        ValueError: if there are more than of any point group.

    Example:
        >>> on_places(torch.tensor([[1, 0, 2], [2, 1, 0]]), torch.tensor([0, 1, 0])).tolist()
        [[0, 1, 0], [1, 0, 1]]
    """
    first, index = place.unique(return_inverse=True)
    known, used = {tuple(range(len(first))): None}, []
    for move in map(tuple, index[generators[:, first]].tolist()):
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
    every: Tensor = first[torch.tensor(list(known), device=place.device)][:, index]
    return every
