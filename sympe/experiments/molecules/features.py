r"""The extra features of DiGress on noisy graphs, rivals of an encoding: counts of cycles, and a spectrum.

Counts of cycles, of components and eigenvalues are equivariant and break no symmetry (:func:`structure_features`). The
eigenvectors do, in a way that depends on the order of the nodes, and, as with DiGress, on the padding: whatever sign
and basis of an eigenspace the solver returns (:func:`spectral_features`). On a canonical form sign and basis can be
chosen by the order of its nodes, which no solver and no padding changes (:func:`canonical_features`).

References:
    Vignac et al., "DiGress: Discrete Denoising diffusion for graph generation", ICLR 2023, Appendix B.2 and their code;
    Alon, Yuster, Zwick, "Finding and counting given length cycles", Algorithmica 1997.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from sympe.graphs import DenseGraphs

CYCLE_FEATURES = (3, 4)
"""Features of a node and of a graph that :func:`cycle_features` gives."""

SPECTRAL_FEATURES = (3, 6)
"""Those of :func:`spectral_features`."""

STRUCTURE_FEATURES = (4, 10)
"""Those of :func:`structure_features`."""

CANONICAL_FEATURES = (6, 10)
"""Those of :func:`canonical_features`."""

_SAME = 1e-6
"""Eigenvalues that differ by less are one, entries of eigenvectors below it are 0: in double precision, of integers."""


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

    Before the eigenvectors stands whether a node is outside the largest component, of equally large ones that of the
    first node; before the eigenvalues the number of components. Eigenvalues are over the number of nodes. Where a graph
    has fewer, 0 and 2 stand in.
    """
    spectrum = _spectrum(x)
    columns = F.pad(spectrum.vectors, (0, 5)).gather(2, spectrum.place[:, None, :2].expand(*x.mask.shape, 2))
    vectors = torch.where(spectrum.there[:, None, :2] & x.mask[:, :, None], columns, 0.0)
    together = same_piece(x)
    largest = torch.where(x.mask, together.sum(2), 0).argmax(1)
    outside = x.mask & ~together[torch.arange(len(x), device=x.device), largest]
    nodes = torch.cat([outside[..., None].double(), vectors], 2)
    return nodes.to(torch.get_default_dtype()), spectrum.of_graphs()


def stock_features(
    x: DenseGraphs,
) -> tuple[Float[Tensor, "batch nodes 6"], Float[Tensor, "batch 10"]]:
    """All extra features of DiGress: cycles, then the spectrum."""
    (nodes, graphs), (more_nodes, more_graphs) = cycle_features(x), spectral_features(x)
    return torch.cat([nodes, more_nodes], 2), torch.cat([graphs, more_graphs], 1)


def structure_features(
    x: DenseGraphs,
) -> tuple[Float[Tensor, "batch nodes 4"], Float[Tensor, "batch 10"]]:
    """What of all these breaks no symmetry: cycles, whether a component is smaller than the largest, eigenvalues."""
    return _structure(x, _spectrum(x))


def canonical_features(
    x: DenseGraphs,
) -> tuple[Float[Tensor, "batch nodes 6"], Float[Tensor, "batch 10"]]:
    r"""Those of :func:`structure_features` with two eigenvectors whose signs and bases follow from the order of nodes.

    With P the projection on an eigenspace and i its first node with :math:`P e_i \neq 0`, the vector is
    :math:`P e_i / |P e_i|`; a second one of the same space comes in the same way from what is left of it. Meant for
    canonical forms: there the order of the nodes is no arbitrary one.

    Example:
        >>> path = DenseGraphs.from_features(torch.tensor([[[0, 1, 0], [1, 0, 1], [0, 1, 0]]]))
        >>> (100 * canonical_features(path)[0][0, :, 4:]).round().int()
        tensor([[ 71,  41],
                [  0, -82],
                [-71,  41]], dtype=torch.int32)
    """
    spectrum = _spectrum(x)
    nodes, graphs = _structure(x, spectrum)
    vectors = torch.zeros(*x.mask.shape, 2, dtype=torch.float64, device=x.device)
    for k in range(2):
        lowest = F.pad(spectrum.values, (0, 5), value=torch.inf).gather(1, spectrum.place[:, k, None])
        U = spectrum.vectors * ((spectrum.values - lowest).abs() < _SAME)[:, None] * x.mask[:, :, None]
        P = U @ U.transpose(1, 2)
        earlier = vectors[..., :k]  # those of another space are orthogonal to this one
        P = P - earlier @ (earlier.transpose(1, 2) @ P)
        first = (_diagonal(P) > _SAME).long().argmax(1)
        column = P.gather(2, first[:, None, None].expand(*x.mask.shape, 1))
        column = column / column.norm(dim=1, keepdim=True).clamp(min=_SAME)
        vectors[..., k : k + 1] = torch.where(spectrum.there[:, k, None, None], column, 0.0)
    return torch.cat([nodes, vectors.to(nodes)], 2), graphs


class _Spectrum(NamedTuple):
    """Of the Laplacians, in double precision.

    Arguments:
        values: eigenvalues, those of real nodes first.
        vectors: their eigenvectors in columns.
        pieces: numbers of components, that is of eigenvalues 0.
        place: of the five lowest above 0.
        there: which of these there are.
        sizes: numbers of nodes.
    """

    values: Tensor
    vectors: Tensor
    pieces: Tensor
    place: Tensor
    there: Tensor
    sizes: Tensor

    def of_graphs(self) -> Float[Tensor, "batch 6"]:
        """The number of components, and the lowest eigenvalues over the number of nodes."""
        lowest = F.pad(self.values, (0, 5)).gather(1, self.place) / self.sizes.clamp(min=1)[:, None]
        lowest = torch.where(self.there, lowest, 2.0)
        return torch.cat([self.pieces[:, None].double(), lowest], 1).to(torch.get_default_dtype())


def _structure(x: DenseGraphs, spectrum: _Spectrum) -> tuple[Tensor, Tensor]:
    nodes, graphs = cycle_features(x)
    size = torch.where(x.mask, same_piece(x).sum(2), 0)
    smaller = x.mask & (size < size.max(1, keepdim=True).values)
    return torch.cat([nodes, smaller[..., None].to(nodes)], 2), torch.cat([graphs, spectrum.of_graphs()], 1)


def _spectrum(x: DenseGraphs) -> _Spectrum:
    A = x.pairs.ne(0).double()
    n = A.shape[1]
    L = torch.diag_embed(A.sum(2)) - A + torch.diag_embed(2.0 * n * ~x.mask)  # the padding comes last
    values, U = torch.linalg.eigh(L)
    pieces = ((values < 1e-5) & (torch.arange(n, device=A.device) < x.sizes[:, None])).sum(1)
    place = pieces[:, None] + torch.arange(5, device=A.device)
    return _Spectrum(values, U, pieces, place, place < x.sizes[:, None], x.sizes)


def same_piece(x: DenseGraphs) -> Bool[Tensor, "batch nodes nodes"]:
    """Which nodes are in the same connected component."""
    n = x.pairs.shape[1]
    reached = (x.pairs.ne(0) | torch.eye(n, dtype=torch.bool, device=x.device)).float()
    for _ in range(max(1, (n - 1).bit_length())):  # paths of twice the length
        reached = (reached @ reached).clamp(max=1)
    return reached > 0


def _diagonal(A: Tensor) -> Tensor:
    return A.diagonal(dim1=1, dim2=2)


def _times(A: Tensor, v: Tensor) -> Tensor:
    """A v for batches."""
    return (A @ v[..., None])[..., 0]
