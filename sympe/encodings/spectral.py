r"""Positional encodings of graphs by their Laplacian and by random walks, with the interface of SymPE.

Both read one thing of a graph, which pairs of nodes have an arc: every arc has weight 1, and colours of nodes and arcs
are ignored. With adjacency matrix A, degrees d and D = diag(d), the Laplacian is

.. math:: L = S^{-1} (D - A) S^{-1}, \qquad S = I \ \text{ or } \ S = D^{1/2},

where :math:`S_{ii} = 1` for an isolated node, whose row of D - A is zero anyway. Relabelled by a permutation p, L
becomes :math:`p L p^T`, so its eigenspaces move with the nodes. Its eigenvectors do not: a simple eigenvalue has two
unit vectors, an eigenspace of dimension m has a frame for every element of O(m), and which of them a numerical routine
returns depends on the order of the nodes. A *Haar-random* frame f of the eigenspace has a law that depends on the
eigenspace alone, so f(px) and p f(x) are equal in law.

If U is any orthonormal basis and Z a Gaussian matrix, U Q is such a frame, where Z = QR is the QR decomposition with a
positive diagonal of R (Mezzadri 2007; with LAPACK's signs it is not Haar). With the eigenvalues in order, eigenspaces
are blocks of neighbouring columns, and the Q of a block diagonal Z is block diagonal: one decomposition rotates all
eigenspaces. The first k columns of Q need the first k columns of Z only, but *all* their rows: an eigenspace that is
cut by the number of channels is rotated as a whole.

Neither is differentiated: the input has integers only, and there is nothing to differentiate.
"""

from __future__ import annotations

from itertools import accumulate, repeat

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from sympe.encodings.base import UnlearnedEncoding
from sympe.graphs import Graphs
from sympe.graphs.checks import check_sizes
from sympe.groups.checks import check_integer
from sympe.randomness import check_generator, draw_numbers
from sympe.tolerance import Tolerance

NORMALIZATIONS = ("symmetric", "none")
"""The Laplacians: with :math:`S = D^{1/2}`, whose spectrum is in [0, 2], and with S = I."""


class LaplacianEncoding(UnlearnedEncoding):
    r"""The first eigenvectors f of the Laplacian, in a Haar-random basis of each eigenspace.

    .. math:: L f_c = \lambda_c f_c, \qquad \lambda_1 \le \lambda_2 \le \dots, \qquad
              \langle f_c, f_d \rangle = n\, \delta_{cd} .

    A graph of n nodes has n - 1 of them; channels beyond are zero. The *trivial* null vector :math:`S 1`, which tells
    nodes apart by their degrees at most, is projected out. What remains of the null space, in a graph of several
    components, comes first. The scale is such that each channel has mean square 1 over the nodes.

    The features are equivariant in distribution, for every graph and every number of channels. If channels c and d
    belong to an eigenspace of dimension m with the orthogonal projector :math:`\Pi`,

    .. math:: \mathbb E\, f_c = 0, \qquad \mathbb E\, f_c f_d^T = \delta_{cd}\, \tfrac{n}{m}\, \Pi .

    With n - 1 channels a draw has no symmetry left; with fewer, it keeps the automorphisms of x that fix all the
    vectors. Even without any symmetry in x every channel has a random sign, so this has more entropy than needed.

    Self-loops cancel in D - A, and count in D. Parallel arcs are one arc.

    Arguments:
        max_nodes: number of nodes that graphs are padded to.
        channels: number of eigenvectors.
        normalization: ``"symmetric"`` for :math:`S = D^{1/2}`, ``"none"`` for S = I.
        tolerance: eigenvalues share an eigenspace as long as neighbours differ by at most this, relative to the largest
            (:mod:`sympe.tolerance`). It has to be above the rounding error (about 1e-15), for the law to hold. One
            that is too large does no harm to the law: the frame is then of a sum of eigenspaces.

    Raises:
        ValueError: if ``max_nodes`` or ``channels`` is below 1, ``normalization`` is unknown, or ``tolerance`` is not a
            number >= 0; on use, if a graph has more than ``max_nodes`` nodes, or an arc without its reverse.
        TypeError: on use, if x is no batch of graphs.

    References:
        Dwivedi & Bresson, "A Generalization of Transformer Networks to Graphs", 2021: eigenvectors with random signs.
        Lim et al., "Sign and Basis Invariant Networks", ICLR 2023: the ambiguity.
        Mezzadri, "How to generate random matrices from the classical compact groups", Notices of the AMS 2007.

    Example:
        >>> import torch
        >>> from sympe.graphs import DenseGraphs
        >>> triangle = DenseGraphs.from_features(1 - torch.eye(3, dtype=torch.int64)[None])
        >>> f = LaplacianEncoding(max_nodes=4, channels=2)(triangle)
        >>> f.shape
        torch.Size([1, 4, 2])
        >>> (f @ f.mT).round().int()[0]  # n times the projector, for a whole eigenspace in every basis
        tensor([[ 2, -1, -1,  0],
                [-1,  2, -1,  0],
                [-1, -1,  2,  0],
                [ 0,  0,  0,  0]], dtype=torch.int32)
    """

    def __init__(
        self, max_nodes: int, channels: int, *, normalization: str = "symmetric", tolerance: float | Tolerance = 1e-6
    ) -> None:
        super().__init__()
        _check_arguments(max_nodes, channels)
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization: expected one of {', '.join(NORMALIZATIONS)}; got {normalization!r}")
        self.max_nodes = max_nodes
        self.channels = channels
        self.normalization = normalization
        self.tolerance = Tolerance.of(tolerance)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.max_nodes}, {self.channels}, normalization={self.normalization!r}, tolerance={self.tolerance}"

    @property
    def channels_last(self) -> bool:
        """True."""
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        """``(max_nodes, channels)``."""
        return (self.max_nodes, self.channels)

    def forward(
        self, x: Graphs, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch max_nodes channels"]:
        """Draw a frame of every eigenspace; zero in the padding and in channels that a graph does not have."""
        A, sizes = _adjacency(x, self.max_nodes)
        if not torch.equal(A, A.mT):
            row = int((A.mT != A).flatten(1).any(1).nonzero()[0])
            raise ValueError(f"x: expected undirected graphs; graph {row} has an arc without its reverse")
        batch, n, _ = A.shape
        values, U = torch.linalg.eigh(self._lifted(A, sizes))

        k = min(self.channels, n)
        place = torch.arange(n, device=A.device)
        real = place < sizes[:, None] - 1  # of the columns, in ascending order
        largest = torch.where(real, values.abs(), 0).sort(1).values[:, -1:]  # none of no nodes
        gap = self.tolerance.gap(largest)
        space = (values.diff(dim=1, prepend=values[:, :1]) > gap).cumsum(1)
        same = (space[:, :, None] == space[:, None, :k]) & (real[:, :, None] == real[:, None, :k])
        Z = draw_numbers(torch.randn, batch, n, k, generator=generator, device=A.device, dtype=A.dtype)
        f = sizes.double().sqrt()[:, None, None] * (U @ _frames(Z * same))
        f = torch.where(real[:, None, :k] & (place < sizes[:, None])[:, :, None], f, 0)
        return _padded(f, self.shape).to(self.dtype)

    def _lifted(self, A: Float[Tensor, "batch n n"], sizes: Int64[Tensor, " batch"]) -> Float[Tensor, "batch n n"]:
        """L, with the trivial null vector and the padding as eigenvectors of an eigenvalue above all others."""
        n = A.shape[1]
        d = A.sum(2)
        s = d.clamp(min=1).sqrt() if self.normalization == "symmetric" else torch.ones_like(d)
        L = (torch.diag_embed(d) - A) / (s[:, :, None] * s[:, None])
        above = 1 + (2 if self.normalization == "symmetric" else 2 * n)
        real = torch.arange(n, device=A.device) < sizes[:, None]
        u = F.normalize(s * real, dim=1)
        return L + above * (u[:, :, None] * u[:, None] + torch.diag_embed((~real).double()))


class RandomWalkEncoding(UnlearnedEncoding):
    r"""The probabilities that a random walk is back where it began, after 1, 2, ... steps.

    .. math:: f_t(i) = \bigl( (D^{-1} A)^t \bigr)_{ii}, \qquad t = 1, \dots, \text{channels} .

    They are *deterministic* and equivariant, so they keep every symmetry of x: nodes that an automorphism exchanges
    have equal features, up to rounding. They tell a network about the structure; they do not break symmetries.

    In a directed graph the walk follows the arcs, D has the numbers of outgoing arcs, and the walk ends at a node
    without any: an isolated node has zeros. A self-loop is a step.

    Arguments:
        max_nodes: number of nodes that graphs are padded to.
        channels: number of steps.

    Raises:
        ValueError: if ``max_nodes`` or ``channels`` is below 1; on use, if a graph has more than ``max_nodes`` nodes.
        TypeError: on use, if x is no batch of graphs.

    References:
        Dwivedi et al., "Graph Neural Networks with Learnable Structural and Positional Representations", ICLR 2022.

    Example:
        >>> import torch
        >>> from sympe.graphs import DenseGraphs
        >>> path = DenseGraphs.from_features(torch.tensor([[[0, 1, 0], [1, 0, 1], [0, 1, 0]]]))
        >>> RandomWalkEncoding(max_nodes=4, channels=2)(path)
        tensor([[[0.0000, 0.5000],
                 [0.0000, 1.0000],
                 [0.0000, 0.5000],
                 [0.0000, 0.0000]]])
    """

    def __init__(self, max_nodes: int, channels: int) -> None:
        super().__init__()
        _check_arguments(max_nodes, channels)
        self.max_nodes = max_nodes
        self.channels = channels

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self.max_nodes}, {self.channels}"

    @property
    def channels_last(self) -> bool:
        """True."""
        return True

    @property
    def shape(self) -> tuple[int, ...]:
        """``(max_nodes, channels)``."""
        return (self.max_nodes, self.channels)

    def forward(
        self, x: Graphs, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch max_nodes channels"]:
        """Give the probabilities, zero in the padding; nothing is drawn."""
        check_generator(generator)
        A, _ = _adjacency(x, self.max_nodes)
        P = A / A.sum(2, keepdim=True).clamp(min=1)
        powers = accumulate(repeat(P, self.channels), torch.matmul)
        diagonals = torch.stack([power.diagonal(dim1=1, dim2=2) for power in powers], -1)
        return _padded(diagonals, self.shape).to(self.dtype)


def _check_arguments(max_nodes: int, channels: int) -> None:
    for name, number in (("max_nodes", max_nodes), ("channels", channels)):
        check_integer(name, number)


def _adjacency(x: Graphs, max_nodes: int) -> tuple[Float[Tensor, "batch n n"], Int64[Tensor, " batch"]]:
    """A in double precision, without the padding that no graph of the batch needs; and the sizes."""
    sizes = check_sizes(x, max_nodes)
    n = int(sizes.max()) if len(sizes) else 0
    return x.dense().pairs[:, :n, :n].ne(0).double(), sizes


def _frames(Z: Float[Tensor, "batch n k"]) -> Float[Tensor, "batch n k"]:
    """Q of Z = QR with a positive diagonal of R."""
    Q, R = torch.linalg.qr(Z)
    frames: Tensor = Q * R.diagonal(dim1=1, dim2=2).sign()[:, None]
    return frames


def _padded(f: Float[Tensor, "batch n k"], shape: tuple[int, ...]) -> Float[Tensor, "batch max_nodes channels"]:
    """Zeros up to the shape."""
    padded: Tensor = F.pad(f, (0, shape[1] - f.shape[2], 0, shape[0] - f.shape[1]))
    return padded
