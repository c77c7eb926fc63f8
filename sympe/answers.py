r"""All the answers that one draw stands for.

A model that breaks symmetries gives one answer y of several that are equally right: for s in :math:`G_x`, the answer
s y has the same probability, by equivariance in distribution, :math:`P(sy \mid x) = P(sy \mid sx) = P(y \mid x)`. For
:math:`y = f(x, g, \varepsilon)` they are the answers for the other g of the coset, with the same :math:`\varepsilon`:
:math:`f(x, sg, \varepsilon) = s\,y`. So one draw gives the whole set

.. math:: G_x\, y = \{ s y : s \in G_x \}, \qquad |G_x\,y| = |G_x| / |G_x \cap G_y|,

and the weight of each, :math:`1 / |G_x\,y|`. This needs no further call of the model.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from sympe.actions import Action
from sympe.graphs import Graphs
from sympe.graphs.coloring import clusters
from sympe.kernels import GraphKernel, OrbitKernel
from sympe.tolerance import Tolerance


class Answers(NamedTuple):
    """The answers to one input.

    Arguments:
        values: different answers; the one that was drawn is the first.
        weights: their probabilities, given that one of them is the answer: all the same.
    """

    values: Shaped[Tensor, "count ..."]
    weights: Float[Tensor, " count"]


def orbit(
    x: Tensor | Graphs,
    y: Shaped[Tensor, "batch ..."],
    kernel: OrbitKernel | GraphKernel,
    action: Action,
    *,
    tolerance: float | Tolerance = 1e-6,
    most: int = 10_000,
) -> list[Answers]:
    """The answers that each y stands for.

    Arguments:
        x: the inputs.
        y: an answer to each of them.
        kernel: knows the symmetries of x.
        action: how they move an answer.
        tolerance: entry by entry the sorted numbers of all answers to one x are clustered where the gaps are no
            larger, relative to the largest (:mod:`sympe.tolerance`); answers with the same clusters are one. Integers
            are compared as they are.
        most: refuse inputs with more answers.

    Raises:
        ValueError: if kernel and action are of different groups, there is not one answer for each input, an answer is
            not finite, an input has more than ``most`` answers, or their number does not divide that of the symmetries
            of x, so that the tolerance is wrong.

    Example:
        The four nodes of a square are alike, and a model marked one of them:

        >>> from sympe.actions import NodeAction
        >>> from sympe.graphs import DenseGraphs
        >>> kernel = GraphKernel(4)
        >>> square = torch.tensor([[[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]])
        >>> mark = torch.tensor([[[1], [0], [0], [0]]])
        >>> (answers,) = orbit(DenseGraphs.from_features(square), mark, kernel, NodeAction(kernel.group))
        >>> answers.values.squeeze(2).tolist(), answers.weights
        ([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], tensor([0.2500, 0.2500, 0.2500, 0.2500]))
    """
    if kernel.group != action.group:
        raise ValueError(f"action: expected an action of the kernel's {kernel.group!r}, got {action.group!r}")
    if len(x) != len(y):
        raise ValueError(f"y: expected one answer for each of {len(x)} inputs, got {len(y)}")
    if y.is_floating_point() and not bool(y.isfinite().all()):
        raise ValueError("y: expected finite answers, got NaN or infinity")
    gap = Tolerance.of(tolerance)
    found = []
    for row, (symmetries, drawn) in enumerate(zip(_symmetries(x, kernel), y, strict=True)):
        values = drawn[None]
        while True:  # until they lead to no new ones; a list of all of G_x does at once what generators do in steps
            moved = action(symmetries.to(y.device).unsqueeze(1), values).flatten(0, 1)
            more = _different(torch.cat([values, moved]), gap)
            if len(more) > most:
                raise ValueError(f"most: input {row} has more than {most} answers; got {len(more)} so far")
            done = isinstance(kernel, OrbitKernel) or len(more) == len(values)
            values = more
            if done:
                break
        if isinstance(kernel, OrbitKernel) and len(symmetries) % len(values):
            raise ValueError(
                f"tolerance: it finds {len(values)} answers to input {row}, which do not divide its {len(symmetries)} "
                f"symmetries; got {tolerance}"
            )
        found.append(Answers(values, torch.full((len(values),), 1 / len(values))))
    return found


def _symmetries(x: Tensor | Graphs, kernel: OrbitKernel | GraphKernel) -> list[Tensor]:
    """All elements of each G_x; of graphs, which may have very many, generators."""
    if isinstance(kernel, GraphKernel):
        assert not isinstance(x, Tensor)
        return kernel.generators(x)
    assert isinstance(x, Tensor)
    return [mask.nonzero().squeeze(1) for mask in kernel.stabilizer(x)]


def _different(values: Tensor, tolerance: Tolerance) -> Tensor:
    """Each answer once, in the order in which they come first."""
    flat = values.flatten(1)
    if flat.is_floating_point():
        entry = torch.arange(flat.shape[1], device=flat.device).expand_as(flat)
        flat = clusters(flat.flatten(), entry.flatten(), tolerance, "y").view_as(flat)
    kinds, kind = torch.unique(flat, dim=0, return_inverse=True)
    first = torch.full((len(kinds),), len(flat), dtype=torch.int64, device=flat.device)
    first = first.scatter_reduce(0, kind, torch.arange(len(flat), device=flat.device), "amin")
    return values[first.sort().values]
