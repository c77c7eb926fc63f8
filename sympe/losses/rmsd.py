r"""The root mean square deviation of molecules, least over the automorphisms of the molecular graph and over rotations.

.. math:: \operatorname{RMSD}(p, t) = \min_{s \in \operatorname{Aut}} \min_{R, c}
          \sqrt{\frac1n \sum_i \bigl| p_{s(i)} - R\, t_i - c \bigr|^2} .

Atoms that the molecular graph does not tell apart (the hydrogens of a methyl group, the two sides of a ring, equal
molecules in one cloud) have no names of their own, and a conformer, none of its axes. Docking compares poses in one
pocket: without R and c.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from sympe.graphs import DenseGraphs, Graphs, SparseGraphs
from sympe.groups.checks import check_floats
from sympe.losses.leaves import Arrangements, arrangements
from sympe.losses.rotations import best_rotation, scores
from sympe.losses.search import nearest

_PAIRS = 2048
"""Pairs that are looked at together on a CPU; of more the lists do not fit its cache."""

_SMALL = 1e-6
"""Sums of squares that are less, over those of all positions, are no differences of scores."""


def symmetric_rmsd(
    prediction: Float[Tensor, "batch *poses nodes 3"],
    target: Float[Tensor, "batch nodes 3"],
    molecules: Graphs,
    *,
    align: bool = True,
    reflect: bool = False,
    limit: int = 10**6,
) -> Float[Tensor, "batch *poses"]:
    r"""The least RMSD over the automorphisms of molecular graphs, and over rotations and translations.

    It is exact: automorphisms are listed without the exchanges of leaves on one atom, such as the hydrogens of a
    methyl group, and these are settled one group after the other by branch and bound (:mod:`sympe.losses.search`);
    without alignment, each group alone. Equal molecules in one graph, such as the waters of a cluster, are exchanged
    as well, for they are automorphisms. The search is made in double precision.

    Gradients are those at the best automorphism and rotation, and so the gradients of the least RMSD, where these are
    unique; 0 where the RMSD is 0.

    Arguments:
        prediction: positions, or ``poses`` of them for each molecule, ``(batch, poses, nodes, 3)``.
        target: positions, in the same units. Of both, what stands in the padding is not looked at.
        molecules: elements as colours of nodes, bonds as colours of edges. With kinds of bonds as colours
            it is RDKit's ``GetBestRMS`` (but for its terminal groups), with equal ones spyrmsd's ``symmrmsd``.
        align: whether the target is moved onto the prediction; False for docking.
        reflect: whether it may be reflected as well.
        limit: the most automorphisms of one molecule, and the most candidates of one search.

    Returns:
        In the units of the positions, one number for each pair.

    Raises:
        TypeError: if positions are no floats, or molecules no graphs.
        ValueError: if a shape is another, a position is not finite, a molecule has no atoms, ``reflect`` is given
            without ``align``, or there are more than ``limit`` automorphisms or candidates.

    References:
        Meli & Biggin, "spyrmsd: symmetry-corrected RMSD calculations in Python", J. Cheminf. 12, 49 (2020); Kabsch,
        "A solution for the best rotation to relate two sets of vectors", Acta Cryst. A32, 922 (1976).

    Example:
        Water, turned, with its hydrogens exchanged:

        >>> water = torch.tensor([[[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]]])
        >>> bonds = torch.tensor([[[0, 1, 1], [1, 0, 0], [1, 0, 0]]])
        >>> graph = DenseGraphs.from_features(bonds, torch.tensor([[8, 1, 1]]))
        >>> moved = water[:, [0, 2, 1]] @ torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]) + 5
        >>> float(symmetric_rmsd(moved, water, graph)) < 1e-6
        True
        >>> symmetric_rmsd(water + torch.tensor([3.0, 0.0, 4.0]), water, graph, align=False)
        tensor([5.])
    """
    p, t, sizes = _checked(prediction, target, molecules)
    if reflect and not align:
        raise ValueError("reflect: expected False without alignment (align=False), got True")
    with torch.no_grad():
        found = arrangements(molecules, limit=limit)
    batch, poses = p.shape[:2]
    if not p.numel():
        return prediction.sum((-2, -1))
    at_once = _PAIRS if p.device.type == "cpu" else batch * poses
    means = []
    step = max(1, at_once // poses)
    for first in range(0, batch, step):
        part = found if step >= batch else found.part(first, min(first + step, batch))
        for pose in range(0, poses, at_once):
            some = p[first : first + step, pose : pose + at_once], t[first : first + step]
            q, r, size = _centred(*some, sizes[first : first + step], align=align, first=first)
            sums = _least(part, q, r, align=align, reflect=reflect, limit=limit, first=first * poses + pose)
            means.append((sums.view(q.shape[:2]) / size).flatten())
    mean = torch.cat(means)
    zero = mean == 0  # where the root has no derivative
    root = torch.where(zero, 0.0, torch.where(zero, 1.0, mean).sqrt())
    return root.reshape(prediction.shape[:-2]).to(prediction.dtype)


def _centred(p: Tensor, t: Tensor, sizes: Tensor, *, align: bool, first: int) -> tuple[Tensor, Tensor, Tensor]:
    """Both about the mean of the target, or each about its own, 0 in the padding; and the numbers of atoms."""
    real = torch.arange(t.shape[2], device=t.device) < sizes[:, None, None]
    size = sizes.to(t.dtype)[:, None]
    t, p = torch.where(real, t, 0), torch.where(real[:, None], p, 0)
    center, other = t.sum(2, keepdim=True) / size[:, None], p.sum(3, keepdim=True) / size[:, None, None]
    for name, means, positions in (("prediction", other.flatten(1), p), ("target", center.flatten(1), t)):
        if not bool(means.isfinite().all()):
            wrong = ~positions.isfinite().flatten(1).all(1)
            if bool(wrong.any()):
                number = first + int(wrong.nonzero()[0])
                raise ValueError(f"{name}: expected finite numbers; molecule {number} has others")
    real = real.to(t.dtype)
    t = torch.addcmul(t, center, real, value=-1)
    return torch.addcmul(p, other if align else center[:, None], real[:, None], value=-1), t, size


def _least(
    found: Arrangements, p: Tensor, t: Tensor, *, align: bool, reflect: bool, limit: int, first: int
) -> Float[Tensor, " pairs"]:
    """The least sums of squares.

    Without gradients that is the difference of two scores, but where it is too small to have its digits from these.
    """
    differentiable = any(
        (x.requires_grad and torch.is_grad_enabled()) or unpack_dual(x).tangent is not None for x in (p, t)
    )
    with torch.no_grad():
        best = nearest(found, p, t, align=align, reflect=reflect, limit=limit, first=first)
        if differentiable:
            rows = torch.arange(p.shape[0] * p.shape[1], device=p.device)
        else:
            value, gap = scores(best.M, reflect=reflect) if align else (best.M[:, ::4].sum(1), best.squares)
            sums = best.squares - 2 * value
            rows = (sums * gap <= _SMALL * best.squares.square()).nonzero().squeeze(1)
        if not len(rows):
            return sums
        s = best.permutations(rows)
        R = best_rotation(best.M[rows].unflatten(1, (3, 3)), reflect=reflect) if align else None
    p = p.flatten(0, 1)
    moved = p[rows].gather(2, s[:, None].expand(-1, 3, -1))
    t = t[rows.div(len(p) // len(t), rounding_mode="floor")]
    exact = (moved - (t if R is None else R @ t)).square().sum((1, 2))
    return exact if differentiable else sums.index_copy(0, rows, exact)


def _checked(prediction: Tensor, target: Tensor, molecules: Graphs) -> tuple[Tensor, Tensor, Tensor]:
    """Positions in double precision, axis by axis, as wide as the largest molecule; numbers of atoms.

    Predictions have poses.
    """
    if not isinstance(molecules, DenseGraphs | SparseGraphs):
        raise TypeError(f"molecules: expected DenseGraphs or SparseGraphs, got {type(molecules).__name__}")
    sizes = molecules.sizes
    batch, n = len(sizes), int(sizes.max()) if len(sizes) else 0
    if not bool((sizes > 0).all()):
        raise ValueError(f"molecules: expected atoms, got none in molecule {int(sizes.argmin())}")
    for name, positions, dims in (("prediction", prediction, (3, 4)), ("target", target, (3,))):
        check_floats(positions, name, lambda: "positions")
        shape = tuple(positions.shape)
        if len(shape) not in dims or shape[0] != batch or shape[-2] < n or shape[-1] != 3:
            poses = "[, poses]" if len(dims) > 1 else ""
            raise ValueError(f"{name}: expected shape ({batch}{poses}, nodes, 3) with at least {n} nodes, got {shape}")
    p, t = (x[..., :n, :].mT.double().contiguous() for x in (prediction, target))
    return p[:, None] if p.dim() == 3 else p, t, sizes
