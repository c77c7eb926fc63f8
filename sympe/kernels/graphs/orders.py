r"""Canonical orders of the nodes that tell about the structure of the graph.

A canonicalizer c may be followed by any function A of the canonical form that returns an order of its nodes:
:math:`g = c(x) A(\gamma(x))` is again uniform on a coset, that of the canonical form :math:`A^{-1} \gamma(x)`. So every
order here is exact, whatever it does with ties: they are settled on :math:`\gamma(x)`, which is the same for all
relabelled copies of x.

Each function maps canonical forms and a degree to permutations ``(batch, degree)`` that send a new place to its node;
the padding stays where it is. They work on dense graphs and take time or memory of order :math:`n^2` or :math:`n^3`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.graphs import DenseGraphs
from sympe.graphs.coloring import clusters
from sympe.kernels.graphs.bliss import BlissGraph
from sympe.tolerance import Tolerance

NodeOrder: TypeAlias = Callable[[DenseGraphs, int], Tensor]


def refined_order(form: DenseGraphs, degree: int) -> Int64[Tensor, "batch degree"]:
    """The canonical form's own: by hashes of the refined colours, which tell little by themselves."""
    return torch.arange(degree, device=form.device).repeat(len(form), 1)


def degree_order(form: DenseGraphs, degree: int) -> Int64[Tensor, "batch degree"]:
    """Most neighbours first."""
    return _padded((-_adjacency(form).sum(2)).masked_fill(~form.mask, 1).argsort(dim=1, stable=True), degree)


def breadth_first_order(form: DenseGraphs, degree: int) -> Int64[Tensor, "batch degree"]:
    """The reverse Cuthill-McKee order: breadth first from an end of a longest shortest path, then turned round.

    Neighbours of one node come by ascending degree. Adjacent nodes get places that are close: the order keeps the
    bandwidth of the adjacency matrix small.

    References:
        George & Liu, "Computer Solution of Large Sparse Positive Definite Systems", 1981, chapter 4.
    """
    adjacent = _adjacency(form)
    batch, n = form.mask.shape
    reach = adjacent | torch.eye(n, dtype=torch.bool, device=form.device)
    within = reach.clone()  # pairs of nodes at most t steps apart
    eccentricity = torch.zeros(batch, n, dtype=torch.int64, device=form.device)
    for step in range(1, n):
        wider = (within.float() @ reach.float()) > 0
        eccentricity = torch.where((wider & ~within).any(2), step + 1, torch.clamp(eccentricity, min=1))
        if torch.equal(wider, within):
            break
        within = wider
    neighbours = adjacent.sum(2)
    place = torch.arange(n, device=form.device).expand(batch, n)
    start = ((n - eccentricity) * (n + 1) + neighbours) * (n + 1) + place  # where no visited node is adjacent
    key = start + n * (n + 1) ** 3  # after all that are adjacent to a visited one
    key = key.masked_fill(~form.mask, torch.iinfo(torch.int64).max - 1)
    rows = torch.arange(batch, device=form.device)
    order = torch.empty(batch, n, dtype=torch.int64, device=form.device)
    by_degree = neighbours * (n + 1) + place
    for step in range(n):
        node = key.argmin(1)
        order[:, step] = node
        heard = adjacent[rows, node] & form.mask & (key < torch.iinfo(torch.int64).max - 1)
        key = torch.where(heard, torch.minimum(key, step * (n + 1) ** 2 + by_degree), key)
        key[rows, node] = torch.iinfo(torch.int64).max
    sizes = form.sizes[:, None]
    turned = torch.where(place < sizes, sizes - 1 - place, place)
    return _padded(order.gather(1, turned), degree)


def fiedler_order(form: DenseGraphs, degree: int) -> Int64[Tensor, "batch degree"]:
    """Component by component, by the Fiedler vector: of the least positive eigenvalue of the Laplacian.

    Where that eigenvalue is repeated, the vector is the projection of a fixed one on its eigenspace: it does not depend
    on the basis that the solver returns. Entries closer than 1e-6 count as tied.
    """
    batch, n = form.mask.shape
    width = (degree + 7) // 8 * 8  # whatever the batch, the solver sees the same numbers at the same alignment
    adjacency = torch.zeros(batch, width, width, dtype=torch.float64)
    adjacency[:, :n, :n] = _adjacency(form).double().cpu()
    padding = torch.ones(batch, width, dtype=torch.bool)
    padding[:, :n] = ~form.mask.cpu()
    laplacian = torch.diag_embed(adjacency.sum(2) + padding * 4.0 * width) - adjacency  # padding above everything
    eigenvalues, eigenvectors = torch.linalg.eigh(laplacian)
    probe = torch.sin(1.0 + torch.arange(width, dtype=torch.float64)).masked_fill(padding, 0.0)
    amount = (eigenvectors.transpose(1, 2) @ probe[:, :, None]).squeeze(2)
    null = eigenvalues < 1e-6
    least = eigenvalues.masked_fill(null, torch.inf).amin(1, keepdim=True)
    vectors = [
        (eigenvectors @ (amount * chosen)[:, :, None]).squeeze(2)
        for chosen in (null, (eigenvalues - least).abs() < 1e-6)
    ]
    gap = Tolerance(0.0, 1e-6)  # of unit vectors
    graph = torch.arange(batch)[:, None].expand(batch, width).flatten()
    component, rank = (clusters(vector.flatten(), graph, gap).view(batch, width) for vector in vectors)
    key = (component * (width + 1) + rank).masked_fill(padding, (width + 1) ** 2)
    return key[:, :degree].argsort(dim=1, stable=True).to(form.device)


def bliss_order(form: DenseGraphs, degree: int) -> Int64[Tensor, "batch degree"]:
    """The order of BLISS' own canonical labelling; one graph at a time."""
    out = torch.arange(degree, device=form.device).repeat(len(form), 1)
    for row, size in enumerate(form.sizes.tolist()):
        one = form.select(torch.tensor([row], device=form.device)).sparse()
        out[row, :size] = BlissGraph(one).canonical_order().to(form.device)
    return out


NODE_ORDERS: dict[str, NodeOrder] = {
    "refined": refined_order,
    "degree": degree_order,
    "breadth-first": breadth_first_order,
    "fiedler": fiedler_order,
    "bliss": bliss_order,
}


def _adjacency(form: DenseGraphs) -> Tensor:
    """Which nodes are joined, in either direction."""
    joined = (form.pairs != 0) | (form.pairs != 0).transpose(1, 2)
    return joined & ~torch.eye(form.mask.shape[1], dtype=torch.bool, device=form.device)


def _padded(order: Tensor, degree: int) -> Tensor:
    rest = torch.arange(order.shape[1], degree, device=order.device).expand(len(order), -1)
    return torch.cat([order, rest], 1)
