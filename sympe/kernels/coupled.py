r"""Coupled kernels: g for a symmetric input x that is to be trained on a less symmetric target y.

Given x alone, g is independent of y, and a model that is trained to predict y from (x, g) still learns the average over
the symmetries of x. The coupled kernel lets g know which of the equivalent targets it was,

.. math:: \kappa(\cdot \mid x, y) \ \text{uniform on}\ C(x, y)
   = \{ g \in C(x) : g^{-1} y \ \text{is canonical among}\ C(x)^{-1} y \} .

It is equivariant in (x, y), and averaged over an equivariant distribution of y given x it is
:math:`\kappa(\cdot \mid x)` again: so training draws g from the coupled kernel, sampling from that of x, and

.. math:: \log p(y \mid x) \ge \mathbb{E}_{\kappa(g \mid x, y)}
   \bigl[\log p(y \mid x, g) + \log \kappa(g \mid x) - \log \kappa(g \mid x, y)\bigr],

where the last two terms are the price :math:`\log |G_x \cap G_y| - \log |G_x|`. This goes beyond the paper.

With h canonical for the pair (x, y) and c a deterministic canonicalizer for x, :math:`g = h\, c(h^{-1} x)` is canonical
for x, and as :math:`h^{-1} (x, y)` is the same for every such h, so is :math:`k = c(h^{-1} x)`: C(x, y) is the coset of
the pair times k, and :math:`\kappa(g \mid x, y)` is the probability of :math:`g k^{-1}` under the kernel of the pair.

Which y is *canonical* decides how much g tells a network. On graphs h is followed by :math:`A = c(h^{-1} y)`, so that
the target comes in its own canonical form, and :math:`k = A\, c(A^{-1} h^{-1} x)`. Where x has all symmetries, g is
then, up to a fixed permutation, a canonical order of the target, such as a breadth-first one. (The order of the pair
would be of no use: it sees the edges of both graphs, and if all nodes of x are joined, those of y are lost among them.)
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from sympe.actions import DirectSum, FiniteAction
from sympe.graphs import DenseGraphs, Graphs, content_hash
from sympe.graphs.coloring import hashed
from sympe.groups import FiniteGroup, Permutations
from sympe.kernels.graph import GraphKernel
from sympe.kernels.orbit import OrbitKernel


class CoupledOrbitKernel:
    """The coupled kernel of a finite group that acts on x and on y.

    Arguments:
        action: on x.
        target_action: on y; the shapes of x and y differ in the first dimension only.
        tolerance: as in :class:`~sympe.kernels.OrbitKernel`.

    Raises:
        ValueError: if the actions are not of one group or the shapes do not fit.

    Example:
        A constant field, and a target that marks one site: of 72 elements 8 are left, those that fix the mark.

        >>> from sympe.actions import GridAction
        >>> from sympe.groups import P4M
        >>> action = GridAction(P4M(3))
        >>> kernel = CoupledOrbitKernel(action, action)
        >>> x, y = torch.zeros(1, 1, 3, 3), torch.eye(9)[:1].view(1, 1, 3, 3)
        >>> kernel.kernel.entropy(x).exp().round(), kernel.entropy(x, y).exp().round()
        (tensor([72.]), tensor([8.]))
    """

    def __init__(self, action: FiniteAction, target_action: FiniteAction, *, tolerance: float = 1e-6) -> None:
        self.kernel = OrbitKernel(action, tolerance=tolerance)
        self._joint = OrbitKernel(DirectSum(action, target_action), tolerance=tolerance)

    @property
    def group(self) -> FiniteGroup:
        """The group."""
        return self.kernel.group

    def sample(
        self,
        x: Shaped[Tensor, "batch ..."],
        y: Shaped[Tensor, "batch ..."],
        *,
        generator: torch.Generator | None = None,
    ) -> Int64[Tensor, " batch"]:
        """Draw a uniform element of C(x, y) for every pair.

        Raises:
            ValueError: if a shape is another, or an entry is NaN or infinite.
        """
        h = self._joint.sample(torch.cat([x, y], 1), generator=generator)
        return self.group.compose(h, self._last(h, x))

    def log_prob(
        self, g: Int64[Tensor, " batch"], x: Shaped[Tensor, "batch ..."], y: Shaped[Tensor, "batch ..."]
    ) -> Float[Tensor, " batch"]:
        r""":math:`-\log |G_x \cap G_y|` on C(x, y), minus infinity elsewhere."""
        both = torch.cat([x, y], 1)
        k = self._last(self._joint.canonicalize(both), x)
        return self._joint.log_prob(self.group.compose(g, self.group.inverse(k)), both)

    def entropy(self, x: Shaped[Tensor, "batch ..."], y: Shaped[Tensor, "batch ..."]) -> Float[Tensor, " batch"]:
        r""":math:`\log |G_x \cap G_y|`, in nats."""
        return self._joint.entropy(torch.cat([x, y], 1))

    def _last(self, h: Tensor, x: Tensor) -> Tensor:
        """K = c(h^-1 x)."""
        return self.kernel.canonicalize(self.kernel.action(self.group.inverse(h), x))


class CoupledGraphKernel:
    r"""The coupled kernel of the symmetric group on two graphs x and y with the same nodes.

    Arguments:
        kernel: the kernel of x, from which sampling will draw.

    Example:
        A square whose four nodes are alike, and a target that marks one of them:

        >>> square = torch.tensor([[[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]])
        >>> x = DenseGraphs.from_features(square)
        >>> y = DenseGraphs.from_features(square, torch.tensor([[1, 0, 0, 0]]))
        >>> kernel = CoupledGraphKernel(GraphKernel(4))
        >>> kernel.kernel.entropy(x).exp().round(), kernel.entropy(x, y).exp().round()
        (tensor([8.]), tensor([2.]))
    """

    def __init__(self, kernel: GraphKernel) -> None:
        self.kernel = kernel
        self._joint = GraphKernel(kernel.group.degree, order="refined")

    @property
    def group(self) -> Permutations:
        """The permutations of ``max_nodes`` nodes."""
        return self.kernel.group

    def sample(
        self, x: Graphs, y: Graphs, *, generator: torch.Generator | None = None
    ) -> Int64[Tensor, "batch max_nodes"]:
        """Draw a uniform element of C(x, y) for every pair of graphs; the padding stays in place.

        Raises:
            ValueError: if the sizes of the graphs differ, or one has more than ``max_nodes`` nodes.
        """
        h = self._joint.sample(joined(x, y), generator=generator)
        return self.group.compose(h, self._last(h, x, y))

    def log_prob(self, g: Int64[Tensor, "batch max_nodes"], x: Graphs, y: Graphs) -> Float[Tensor, " batch"]:
        r""":math:`-\log |G_x \cap G_y|` on C(x, y), minus infinity elsewhere.

        Raises:
            ValueError: if ``g`` does not hold permutations of ``max_nodes`` nodes, or the sizes of the graphs differ.
        """
        both = joined(x, y)
        self.group.check(g)
        k = self._last(self._joint.canonicalize(both), x, y)
        return self._joint.log_prob(self.group.compose(g, self.group.inverse(k)), both)

    def entropy(self, x: Graphs, y: Graphs) -> Float[Tensor, " batch"]:
        r""":math:`\log |G_x \cap G_y|`, in nats."""
        return self._joint.entropy(joined(x, y))

    def _last(self, h: Tensor, x: Graphs, y: Graphs) -> Tensor:
        """K = A c(A^-1 h^-1 x), with A = c(h^-1 y)."""
        A = self.kernel.canonicalize(y.relabel(self.group.inverse(h)))
        moved = x.relabel(self.group.inverse(self.group.compose(h, A))).dense()
        # very symmetric graphs are the slowest, and most of them are now the same: once is enough
        kinds, kind = content_hash(moved).unique(return_inverse=True)
        one = torch.zeros_like(kinds).scatter_(0, kind, torch.arange(len(kind), device=kind.device))  # of each kind
        return self.group.compose(A, self.kernel.canonicalize(moved.select(one))[kind])


def joined(x: Graphs, y: Graphs) -> DenseGraphs:
    """Graphs whose colours are the pairs of colours of two graphs; its automorphisms are those of both.

    Raises:
        ValueError: if the sizes of the graphs differ.
    """
    if not torch.equal(x.sizes, y.sizes):
        raise ValueError(f"y: expected graphs of the sizes of x, {x.sizes.tolist()[:8]}, got {y.sizes.tolist()[:8]}")
    x, y = x.dense().trimmed(), y.dense().trimmed()
    colors = hashed(torch.stack([x.colors.flatten(), y.colors.flatten()], 1)).view_as(x.colors)
    pairs = hashed(torch.stack([x.pairs.flatten(), y.pairs.flatten()], 1)).view_as(x.pairs)
    arc = (x.pairs != 0) | (y.pairs != 0)
    return DenseGraphs(pairs.masked_fill(~arc, 0), colors.masked_fill(~x.mask, 0), x.mask)
