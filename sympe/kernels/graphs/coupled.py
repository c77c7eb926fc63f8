r"""The coupled kernel of the symmetric group on graphs (:mod:`sympe.kernels.coupled`).

Which y is *canonical* decides how much g tells a network. On graphs h is followed by :math:`A = c(h^{-1} y)`, so that
the target comes in its own canonical form, and :math:`k = A\, c(A^{-1} h^{-1} x)`. Where x has all symmetries, g is
then, up to a fixed permutation, a canonical order of the target, such as a breadth-first one. (The order of the pair
would be of no use: it sees the edges of both graphs, and if all nodes of x are joined, those of y are lost among them.)
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sympe.graphs import DenseGraphs, Graphs, SparseGraphs, contents
from sympe.graphs.coloring import check_features, hashed
from sympe.groups import Permutations
from sympe.groups.checks import check_kind
from sympe.kernels.coupled import CoupledKernel
from sympe.kernels.graphs.graph import GraphKernel
from sympe.tolerance import Tolerance


class CoupledGraphKernel(CoupledKernel):
    r"""The coupled kernel of the symmetric group on two graphs x and y with the same nodes.

    y may also be values on the nodes of x, such as labels: then it is a graph without edges, with these as colours.

    Arguments:
        kernel: the kernel of x, from which sampling will draw.
        tolerance: which floats of such values count as equal (:mod:`sympe.tolerance`).

    Raises:
        TypeError: if ``kernel`` is no :class:`GraphKernel`.

    Example:
        A square whose four nodes are alike, and a target that marks one of them:

        >>> square = torch.tensor([[[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]])
        >>> x = DenseGraphs.from_features(square)
        >>> y = DenseGraphs.from_features(square, torch.tensor([[1, 0, 0, 0]]))
        >>> kernel = CoupledGraphKernel(GraphKernel(4))
        >>> kernel.kernel.entropy(x).exp().round(), kernel.entropy(x, y).exp().round()
        (tensor([8.]), tensor([2.]))
        >>> kernel.entropy(x, torch.tensor([[1, 0, 0, 0]])).exp().round()
        tensor([2.])
    """

    def __init__(self, kernel: GraphKernel, *, tolerance: float | Tolerance = 1e-6) -> None:
        check_kind("kernel", kernel, GraphKernel)
        self._kernel = kernel
        self._tolerance = tolerance
        self._joint = GraphKernel(kernel.group.degree, order="refined")

    @property
    def kernel(self) -> GraphKernel:
        """The kernel of x, from which sampling draws."""
        return self._kernel

    @property
    def group(self) -> Permutations:
        """The permutations of ``max_nodes`` nodes."""
        return self._kernel.group

    def sample(
        self, x: Graphs, y: Graphs | Tensor, *, generator: torch.Generator | None = None
    ) -> Int64[Tensor, "batch max_nodes"]:
        """Draw a uniform element of C(x, y) for every pair of graphs; the padding stays in place.

        Raises:
            TypeError: if y is neither graphs nor a tensor.
            ValueError: if the sizes of the graphs differ, one has more than ``max_nodes`` nodes, or values on nodes
                have another shape.
        """
        y = on_nodes(x, y, tolerance=self._tolerance)
        h = self._joint.sample(joined(x, y), generator=generator)
        return self.group.compose(h, self._last(h, x, y))

    def log_prob(self, g: Int64[Tensor, "batch max_nodes"], x: Graphs, y: Graphs | Tensor) -> Float[Tensor, " batch"]:
        r""":math:`-\log |G_x \cap G_y|` on C(x, y), minus infinity elsewhere.

        Raises:
            ValueError: if ``g`` does not hold permutations of ``max_nodes`` nodes, or the sizes of the graphs differ.
        """
        y = on_nodes(x, y, tolerance=self._tolerance)
        both = joined(x, y)
        self.group.check(g)
        k = self._last(self._joint.canonicalize(both), x, y)
        return self._joint.log_prob(self.group.compose(g, self.group.inverse(k)), both)

    def entropy(self, x: Graphs, y: Graphs | Tensor) -> Float[Tensor, " batch"]:
        r""":math:`\log |G_x \cap G_y|`, in nats."""
        return self._joint.entropy(joined(x, on_nodes(x, y, tolerance=self._tolerance)))

    def _last(self, h: Tensor, x: Graphs, y: Graphs) -> Tensor:
        """K = A c(A^-1 h^-1 x), with A = c(h^-1 y)."""
        A = self._kernel.canonicalize(y.relabel(self.group.inverse(h)))
        moved = x.relabel(self.group.inverse(self.group.compose(h, A))).dense()
        # very symmetric graphs are the slowest, and most of them are now the same: once is enough
        kinds: dict[bytes, int] = {}
        number = [kinds.setdefault(of, len(kinds)) for of in contents(moved)]
        kind = torch.tensor(number, dtype=torch.int64, device=moved.device)
        first = torch.zeros(len(kinds), dtype=torch.int64, device=moved.device)
        one = first.scatter_(0, kind, torch.arange(len(kind), device=moved.device))  # of each kind
        return self.group.compose(A, self._kernel.canonicalize(moved.select(one))[kind])


def joined(x: Graphs, y: Graphs) -> DenseGraphs:
    """Graphs whose colours are the pairs of colours of two graphs; its automorphisms are those of both.

    Raises:
        ValueError: if the sizes of the graphs differ.
    """
    if not torch.equal(x.sizes, y.sizes):
        raise ValueError(
            f"target: expected graphs of the sizes of x, {x.sizes.tolist()[:8]}, got {y.sizes.tolist()[:8]}"
        )
    x, y = x.dense().trimmed(), y.dense().trimmed()
    colors = hashed(torch.stack([x.colors.flatten(), y.colors.flatten()], 1)).view_as(x.colors)
    pairs = hashed(torch.stack([x.pairs.flatten(), y.pairs.flatten()], 1)).view_as(x.pairs)
    arc = (x.pairs != 0) | (y.pairs != 0)
    return DenseGraphs(pairs.masked_fill(~arc, 0), colors.masked_fill(~x.mask, 0), x.mask)


def on_nodes(x: Graphs, y: Graphs | Tensor, *, tolerance: float | Tolerance = 1e-6) -> Graphs:
    """Graphs as they are; values on the nodes of x as graphs of the same nodes without edges.

    Arguments:
        x: graphs.
        y: graphs, or values: of dense graphs ``(batch, nodes)`` or ``(batch, nodes, channels)``, what stands in the
            padding does not matter; of sparse ones ``(nodes,)`` or ``(nodes, channels)``, all nodes of the batch.
        tolerance: which floats count as equal.

    Raises:
        TypeError: if y is neither.
        ValueError: if a shape is another, or a value is not finite.

    Example:
        >>> x = DenseGraphs.from_features(torch.ones(1, 3, 3, dtype=torch.int64))
        >>> on_nodes(x, torch.tensor([[0, 0, 1]])).colors
        tensor([[0, 0, 1]])
    """
    if isinstance(y, DenseGraphs | SparseGraphs):
        return y
    check_kind("target", y, Tensor, "graphs, or values on the nodes")
    if y.is_floating_point() and y.dtype.itemsize < 4:
        y = y.float()
    if isinstance(x, DenseGraphs):
        if y.dim() not in (2, 3) or y.shape[:2] != x.mask.shape:
            raise ValueError(f"target: expected shape {tuple(x.mask.shape)} or (*, channels), got {tuple(y.shape)}")
        y = y.masked_fill(~(x.mask if y.dim() == 2 else x.mask[:, :, None]), 0)
        check_features("target", y, Tolerance.of(tolerance))
        return DenseGraphs.from_features(torch.zeros_like(x.pairs), y, x.mask, tolerance=tolerance)
    if y.dim() not in (1, 2) or len(y) != len(x.colors):
        raise ValueError(f"target: expected shape ({len(x.colors)},) or (*, channels), got {tuple(y.shape)}")
    check_features("target", y, Tolerance.of(tolerance))
    none = torch.zeros(2, 0, dtype=torch.int64, device=x.device)
    return SparseGraphs.from_features(none, x.sizes, y, tolerance=tolerance)
