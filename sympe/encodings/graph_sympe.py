"""SymPE on the nodes and the edges of graphs, with one g for both."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sympe.actions import EdgeAction, NodeAction
from sympe.encodings.form import FormedModule, described, draw_parameter
from sympe.graphs import Graphs
from sympe.groups import Permutations
from sympe.kernels import CoupledKernel, Kernel


class GraphSymPE(FormedModule):
    r"""SymPE on nodes and on edges: rows of v and a symmetric table u, moved by the same g.

    .. math:: g \sim \kappa(\cdot \mid x), \qquad \text{node } g_r \text{ gets } v_r, \quad
       \text{edge } (g_r, g_s) \text{ gets } \tfrac{1}{\sqrt 2} (u_{rs} + u_{sr}) .

    Joined to node and edge features this is :math:`x \oplus g(v, u)` for the direct sum of the two actions. It is
    free already on v. Gradients also reach a learned kernel, through its draw. For nodes alone,
    :class:`~sympe.encodings.SymPE` with :class:`~sympe.actions.NodeAction` is enough.

    Arguments:
        kernel: draws g from graphs; a coupled one also from graphs and targets (:class:`~sympe.encodings.SymPE`).
        node_channels: features of a node.
        edge_channels: features of an edge.
        scale: standard deviation of v and of the table (off its diagonal) at the start.
        generator: draws them at the start.

    Raises:
        TypeError: if the kernel is not on permutations.
        ValueError: if ``scale`` is not positive or a number of channels is below 1.

    References:
        Lawrence et al. (arXiv 2503.21985), Algorithm 1 and Section 8.2.

    Example:
        >>> from sympe.graphs import DenseGraphs
        >>> from sympe.kernels import GraphKernel
        >>> encoding = GraphSymPE(GraphKernel(max_nodes=9), node_channels=4, edge_channels=2)
        >>> nodes, edges = encoding(DenseGraphs.from_features(torch.ones(5, 7, 7, dtype=torch.int64)))
        >>> nodes.shape, edges.shape, torch.equal(edges, edges.transpose(1, 2))
        (torch.Size([5, 9, 4]), torch.Size([5, 9, 9, 2]), True)

        One g for several graphs, as for all steps of a diffusion:

        >>> g = encoding.kernel.sample(DenseGraphs.from_features(torch.zeros(5, 7, 7, dtype=torch.int64)))
        >>> [features.shape for features in encoding.moved(g)]
        [torch.Size([5, 9, 4]), torch.Size([5, 9, 9, 2])]
    """

    def __init__(
        self,
        kernel: Kernel | CoupledKernel,
        node_channels: int,
        edge_channels: int,
        *,
        scale: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(kernel)
        if not isinstance(kernel.group, Permutations):
            raise TypeError(f"kernel: expected one on Permutations, got one on {kernel.group!r}")
        if not 0 < scale < math.inf:
            raise ValueError(f"scale: expected a positive number, got {scale}")
        self.node_action = NodeAction(kernel.group, node_channels)
        self.edge_action = EdgeAction(kernel.group, edge_channels)
        self.scale = scale
        self.v = nn.Parameter(torch.empty(self.node_action.shape))
        self.u = nn.Parameter(torch.empty(self.edge_action.shape))
        self.reset_parameters(generator=generator)

    def reset_parameters(self, *, generator: torch.Generator | None = None) -> None:
        """Draw v and the table anew, as at the start; for a module that was built on the device "meta"."""
        draw_parameter(self.v, self.scale, generator)
        draw_parameter(self.u, self.scale, generator)

    def extra_repr(self) -> str:
        """The kernel and the actions."""
        return described(self.coupled or self.kernel, self.node_action, self.edge_action)

    def forward(
        self, x: Graphs, *, target: Graphs | Tensor | None = None, generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "batch nodes node_channels"], Float[Tensor, "batch nodes nodes edge_channels"]]:
        """Draw g for every graph, coupled to the target if one is given; features of nodes and of pairs of nodes."""
        draw = self.draw(x, target, generator=generator)
        return draw.move(self.node_action, self.v), draw.move(self.edge_action, self._table())

    def moved(
        self, g: Int64[Tensor, "batch nodes"]
    ) -> tuple[Float[Tensor, "batch nodes node_channels"], Float[Tensor, "batch nodes nodes edge_channels"]]:
        """The features that given elements lead to."""
        return self.node_action(g, self.v), self.edge_action(g, self._table())

    def _table(self) -> Float[Tensor, "nodes nodes edge_channels"]:
        """The symmetric part of u."""
        return (self.u + self.u.transpose(0, 1)) / math.sqrt(2)
