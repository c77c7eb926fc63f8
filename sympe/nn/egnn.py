r"""E(n)-equivariant graph networks (Satorras, Hoogeboom and Welling 2021), dense and batched.

Nodes have invariant features h and coordinates x in a space of any dimension. In a graph of n real nodes, a layer is

.. math::
    m_{ij} &= \phi_e(h_i, h_j, |x_i - x_j|^2, a_{ij}) \\
    x_i' &= x_i + \frac{1}{n - 1} \sum_{j \ne i} (x_i - x_j)\, \phi_x(m_{ij}) \\
    h_i' &= h_i + \phi_h\Bigl(h_i, \sum_{j \ne i} m_{ij}\Bigr)

(their equations 3 to 6, with the mean of their code in the second). Distances come from the differences themselves,
not from inner products, so they are never negative, and nothing is divided by one: gradients are finite where points
coincide. Messages and padding are those of :mod:`sympe.nn.gnn`.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sympe.nn.gnn import MessagePassing, check_graphs, check_sizes, other_nodes, weighted_sum


class EGNN(nn.Module):
    r"""A dense graph network on nodes with coordinates, equivariant under relabelling, rotations and translations.

    A linear embedding of the nodes, then the layers above. For an orthogonal R and a translation t, coordinates
    :math:`R x + t` give the same features and coordinates :math:`R x' + t`. The last layer of :math:`\phi_x` has no
    bias and starts a thousand times smaller than the others, so a new network hardly moves the points.

    With ``shrink`` > 0 every layer ends with :math:`x \leftarrow x - \mathrm{shrink}\; x`, as in the authors'
    autoencoder (where it is 1e-3): a pull towards the origin that keeps coordinates from drifting. The origin is then a
    special point, so the network is O(n)-equivariant, but no longer under translations; nothing is centred.

    Nodes that a symmetry of the graph, its features and its coordinates maps to each other come out equal. Points that
    coincide at the start, all of them, for example at 0, never part. Their clamp of single moves to [-100, 100], which
    they say is never active, is left out.

    Arguments:
        node_channels: number of features of a node that go in.
        edge_channels: number of features of an edge; 0 for none. Loops ``edges[:, i, i]`` are not read.
        width: number of features in every layer, and of those that come out.
        layers: number of layers.
        shrink: share of the coordinates that every layer takes away, at least 0, below 1.

    Raises:
        ValueError: if ``edge_channels`` is below 0, ``node_channels``, ``width`` or ``layers`` below 1, or ``shrink``
            not in [0, 1); in a call, if a shape is wrong.

    References:
        Satorras, Hoogeboom, Welling, "E(n) Equivariant Graph Neural Networks", ICML 2021.

    Example:
        >>> import torch
        >>> nodes, edges = torch.zeros(2, 5, 1), torch.zeros(2, 5, 5, 3)
        >>> mask = torch.arange(5) < torch.tensor([[5], [3]])  # a graph of 5 nodes and one of 3
        >>> x = torch.randn(2, 5, 8)
        >>> net = EGNN(1, 3, width=16, layers=2)
        >>> h, z = net(nodes, x, edges, mask)
        >>> h.shape, z.shape, z[1, 3:].abs().sum().item()
        (torch.Size([2, 5, 16]), torch.Size([2, 5, 8]), 0.0)
        >>> torch.allclose(net(nodes, -x, edges, mask)[1], -z)
        True
    """

    def __init__(
        self, node_channels: int, edge_channels: int, *, width: int = 64, layers: int = 4, shrink: float = 0.0
    ) -> None:
        super().__init__()
        check_sizes(node_channels, edge_channels, width, layers)
        if not 0 <= shrink < 1:
            raise ValueError(f"shrink: expected at least 0 and below 1, got {shrink}")
        self.channels = (node_channels, edge_channels)
        self.shrink = shrink
        self.embed = nn.Linear(node_channels, width)
        self.layers = nn.ModuleList(MessagePassing(width, 1 + edge_channels) for _ in range(layers))
        self.moves = nn.ModuleList(_move(width) for _ in range(layers))

    def forward(
        self,
        nodes: Float[Tensor, "batch n F"],
        coordinates: Float[Tensor, "batch n D"],
        edges: Float[Tensor, "batch n n A"],
        mask: Bool[Tensor, "batch n"],
    ) -> tuple[Float[Tensor, "batch n width"], Float[Tensor, "batch n D"]]:
        """Evaluate the network; ``mask`` is true where a node is real. Padding comes out as zeros."""
        check_graphs(nodes, edges, mask, *self.channels)
        if coordinates.ndim != 3 or coordinates.shape[:2] != mask.shape:
            batch, n = mask.shape
            raise ValueError(f"coordinates: expected shape ({batch}, {n}, D), got {tuple(coordinates.shape)}")
        pairs, padding = other_nodes(mask), ~mask.unsqueeze(-1)
        h: Tensor = self.embed(nodes.masked_fill(padding, 0))
        x = coordinates.masked_fill(padding, 0)
        a, weight = edges.masked_fill(~pairs.unsqueeze(-1), 0), pairs.to(h.dtype)
        mean = weight / weight.sum(-1, keepdim=True).clamp(min=1)  # 0 for a node alone
        for layer, move in zip(self.layers, self.moves, strict=True):
            difference = x.unsqueeze(2) - x.unsqueeze(1)
            h, m = layer(h, torch.cat([difference.square().sum(-1, keepdim=True), a], -1), weight)
            x = x + weighted_sum(mean * move(m).squeeze(-1), difference)
            x = x - self.shrink * x
        return h.masked_fill(padding, 0), x


def _move(width: int) -> nn.Sequential:
    """phi_x, from messages to the weights of the differences."""
    last = nn.Linear(width, 1, bias=False)
    nn.init.xavier_uniform_(last.weight, gain=0.001)
    return nn.Sequential(nn.Linear(width, width), nn.SiLU(), last)
