r"""The extra features of DiGress on noisy graphs, rivals of an encoding: counts of cycles, and a spectrum.

Counts of cycles are equivariant and break no symmetry. The eigenvectors do, in a way that depends on the order of the
nodes, and, as with DiGress, on the padding: whatever sign and basis of an eigenspace the solver returns.

References:
    Vignac et al., "DiGress: Discrete Denoising diffusion for graph generation", ICLR 2023, Appendix B.2 and their code;
    Alon, Yuster, Zwick, "Finding and counting given length cycles", Algorithmica 1997.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from sympe.graphs import DenseGraphs

CYCLE_FEATURES = (3, 4)
"""Features of a node and of a graph that :func:`cycle_features` gives."""

SPECTRAL_FEATURES = (3, 6)
"""Those of :func:`spectral_features`."""


def count_cycles(
    x: DenseGraphs,
) -> tuple[Float[Tensor, "batch nodes 3"], Float[Tensor, "batch 4"]]:
    r"""Numbers of cycles of length 3, 4, 5 through each node, and of length 3 to 6 in each graph.

    They follow from the powers of the adjacency matrix A. With degrees d and triangles :math:`T = \mathrm{diag}(A^3)`,

    .. math:: 2 c_3 = T, \qquad 2 c_4 = \mathrm{diag}(A^4) - d (d - 1) - A d, \qquad
       2 c_5 = \mathrm{diag}(A^5) + 5 T - 2 d T - A T - 2 (A \circ A^2) d .

    Every type of a pair but 0 is an edge.

    Example:
        >>> step = torch.eye(5).roll(1, 0)
        >>> ring = DenseGraphs.from_features((step + step.T)[None].long())
        >>> nodes, graphs = count_cycles(ring)
        >>> nodes[0, 0], graphs[0]
        (tensor([0., 0., 1.]), tensor([0., 0., 1., 0.]))
    """
    A = x.pairs.ne(0).to(torch.get_default_dtype())  # integers up to 2^24 are exact: enough for 20 nodes or so
    d = A.sum(2)
    A2 = A @ A
    A3 = A2 @ A
    A4, A6 = A2 @ A2, A3 @ A3
    T, squares = _diagonal(A3), _diagonal(A4)
    c3 = T / 2
    c4 = (squares - d * (d - 1) - _times(A, d)) / 2
    c5 = (_diagonal(A2 @ A3) + 5 * T - 2 * d * T - _times(A, T) - 2 * _times(A * A2, d)) / 2
    six = (
        _diagonal(A6).sum(1)
        - 3 * T.square().sum(1)
        + 9 * (A * A2.square()).sum((1, 2))
        - 6 * (d * squares).sum(1)
        + 6 * squares.sum(1)
        - 4 * T.sum(1)
        + 4 * d.pow(3).sum(1)
        + 3 * A3.sum((1, 2))
        - 12 * d.square().sum(1)
        + 4 * d.sum(1)
    ) / 12
    return torch.stack([c3, c4, c5], 2), torch.stack([c3.sum(1) / 3, c4.sum(1) / 4, c5.sum(1) / 5, six], 1)


def cycle_features(
    x: DenseGraphs,
) -> tuple[Float[Tensor, "batch nodes 3"], Float[Tensor, "batch 4"]]:
    """Numbers of cycles as features, a tenth of them and at most 1."""
    nodes, graphs = count_cycles(x)
    return (nodes / 10).clamp(max=1), (graphs / 10).clamp(max=1)


def spectral_features(
    x: DenseGraphs,
) -> tuple[Float[Tensor, "batch nodes 3"], Float[Tensor, "batch 6"]]:
    """Of the Laplacian: two eigenvectors and five eigenvalues, the lowest above 0.

    Before the eigenvectors stands whether a node is outside the largest component, before the eigenvalues the number of
    components. Eigenvalues are over the number of nodes. Where a graph has fewer, 0 and 2 stand in.
    """
    A = x.pairs.ne(0).double()
    batch, n, _ = A.shape
    real = x.mask
    L = torch.diag_embed(A.sum(2)) - A + torch.diag_embed(2.0 * n * ~real)  # the padding comes last
    values, U = torch.linalg.eigh(L)
    pieces = ((values < 1e-5) & (torch.arange(n, device=A.device) < x.sizes[:, None])).sum(1)
    values = values / x.sizes.clamp(min=1)[:, None]
    place = pieces[:, None] + torch.arange(5, device=A.device)
    there = place < x.sizes[:, None]
    lowest = torch.where(there, F.pad(values, (0, 5)).gather(1, place), 2.0)
    columns = F.pad(U, (0, 5)).gather(2, place[:, None, :2].expand(batch, n, 2))
    vectors = torch.where(there[:, None, :2] & real[:, :, None], columns, 0.0)
    nodes = torch.cat([_outside(x)[..., None].double(), vectors], 2)
    graphs = torch.cat([pieces[:, None].double(), lowest], 1)
    return nodes.to(torch.get_default_dtype()), graphs.to(torch.get_default_dtype())


def same_piece(x: DenseGraphs) -> Bool[Tensor, "batch nodes nodes"]:
    """Which nodes are in the same connected component."""
    n = x.pairs.shape[1]
    reached = (x.pairs.ne(0) | torch.eye(n, dtype=torch.bool, device=x.device)).float()
    for _ in range(max(1, (n - 1).bit_length())):  # paths of twice the length
        reached = (reached @ reached).clamp(max=1)
    return reached > 0


def _outside(x: DenseGraphs) -> Tensor:
    """Which real nodes are not in the largest component; of equally large ones that of the first node counts."""
    together = same_piece(x)
    largest = torch.where(x.mask, together.sum(2), 0).argmax(1)
    return x.mask & ~together[torch.arange(len(x), device=x.device), largest]


def _diagonal(A: Tensor) -> Tensor:
    return A.diagonal(dim1=1, dim2=2)


def _times(A: Tensor, v: Tensor) -> Tensor:
    """A v for batches."""
    return (A @ v[..., None])[..., 0]
