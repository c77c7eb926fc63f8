r"""Canonical orders of the nodes that tell about the structure of the graph.

A canonicalizer c may be followed by any function A of the canonical form that returns an order of its nodes:
:math:`g = c(x) A(\gamma(x))` is again uniform on a coset, that of the canonical form :math:`A^{-1} \gamma(x)`. So every
order here is exact, whatever it does with ties: they are settled on :math:`\gamma(x)`, which is the same for all
relabelled copies of x.

Each function maps canonical forms and a degree to permutations ``(batch, degree)`` that send a new place to its node;
the padding stays where it is. Some work on dense graphs and take memory of order :math:`n^2` and time of order
:math:`n^3`: those of :data:`DENSE_ORDERS`. The others follow the number of edges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.graphs import DenseGraphs, Graphs
from sympe.graphs.coloring import clusters
from sympe.kernels.graphs.bliss import BlissGraph
from sympe.kernels.graphs.breadth_first import Neighbours, cuthill_mckee
from sympe.kernels.graphs.depth_first import depth_first
from sympe.kernels.graphs.refinement import connected
from sympe.tolerance import Tolerance

NodeOrder: TypeAlias = Callable[[Graphs, int], Tensor]


def refined_order(form: Graphs, degree: int) -> Int64[Tensor, "batch degree"]:
    """The canonical form's own: by hashes of the refined colours, which tell little by themselves."""
    return torch.arange(degree, device=form.device).repeat(len(form), 1)


def degree_order(form: Graphs, degree: int) -> Int64[Tensor, "batch degree"]:
    """Most neighbours first."""
    form = form.dense()
    order = (-_adjacency(form).sum(2)).masked_fill(~form.mask, 1).argsort(dim=1, stable=True)
    rest = torch.arange(order.shape[1], degree, device=form.device).expand(len(form), -1)
    return torch.cat([order, rest], 1)


def breadth_first_order(form: Graphs, degree: int) -> Int64[Tensor, "batch degree"]:
    """The reverse Cuthill-McKee order: breadth first from an end of a longest shortest path, then turned round.

    Neighbours of one node come by ascending degree. Adjacent nodes get places that are close: the order keeps the
    bandwidth of the adjacency matrix small. On the CPU, in time that follows the number of edges; of a component of
    more than 2,048 nodes the end may be that of a shortest path that is only nearly longest
    (:mod:`sympe.kernels.graphs.breadth_first`).

    References:
        George & Liu, "Computer Solution of Large Sparse Positive Definite Systems", 1981, chapter 4.
    """
    sparse = form.sparse()
    arcs, graph = sparse.arcs.cpu(), sparse.graph.cpu()
    neighbours = Neighbours.of(arcs[0].numpy(), arcs[1].numpy(), len(graph))
    component = connected(arcs, len(graph)).unique(return_inverse=True)[1]
    order = torch.from_numpy(cuthill_mckee(neighbours, graph.numpy(), component.numpy())).to(form.device)
    place = torch.arange(degree, device=form.device)
    out = place.repeat(len(form), 1)
    sizes, starts = sparse.sizes[:, None], sparse.starts[:, None]
    real = place < sizes
    turned = (starts + sizes - 1 - place)[real]
    out[real] = order[turned] - starts.expand_as(real)[real]
    return out


def depth_first_order(form: Graphs, degree: int) -> Int64[Tensor, "batch degree"]:
    """Depth first, long branches first, from an end: most nodes come right after one of their neighbours.

    On the CPU, in time that follows nodes times edges (:mod:`sympe.kernels.graphs.depth_first`).
    """
    form = form.dense()
    order = depth_first(_adjacency(form).cpu().numpy(), form.colors.cpu().numpy(), form.sizes.cpu().numpy())
    out = torch.arange(degree, device=form.device).repeat(len(form), 1)
    out[:, : order.shape[1]] = torch.from_numpy(order).to(form.device)
    return out


def fiedler_order(form: Graphs, degree: int) -> Int64[Tensor, "batch degree"]:
    """Component by component, by the Fiedler vector: of the least positive eigenvalue of the Laplacian.

    Where that eigenvalue is repeated, the vector is the projection of a fixed one on its eigenspace: it does not depend
    on the basis that the solver returns. Entries closer than 1e-6 count as tied.
    """
    form = form.dense()
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


def bliss_order(form: Graphs, degree: int) -> Int64[Tensor, "batch degree"]:
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
    "depth-first": depth_first_order,
    "fiedler": fiedler_order,
    "bliss": bliss_order,
}

DENSE_ORDERS = ("degree", "depth-first", "fiedler")
"""Orders that work on dense matrices, of large graphs not at all."""


def _adjacency(form: DenseGraphs) -> Tensor:
    """Which nodes are joined, in either direction."""
    joined = (form.pairs != 0) | (form.pairs != 0).transpose(1, 2)
    return joined & ~torch.eye(form.mask.shape[1], dtype=torch.bool, device=form.device)
