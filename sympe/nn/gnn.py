r"""Message passing on fully connected graphs of several sizes, padded to one number of nodes.

Every ordered pair of two different real nodes has a message, and every node adds up the messages it receives,

.. math::
    m_{ij} = \phi_e(h_i, h_j, p_{ij}), \qquad h_i' = h_i + \phi_h\Bigl(h_i, \sum_{j \ne i} m_{ij}\Bigr),

where p are features of the pair. The first layer of :math:`\phi_e` is a linear map of a concatenation, so it is a sum,

.. math:: W\,[h_i, h_j, p_{ij}] = (W_1 h)_i + (W_2 h)_j + W_p\, p_{ij},

and is evaluated as one: :math:`W_1 h` and :math:`W_2 h` cost one product a node instead of one a pair, and
concatenated pairs are never stored.

Padding is set to zero on entry, whatever it held, and pairs with padding or of a node with itself have weight 0 in
every sum. Shapes do not depend on the mask, so one trace serves all graphs of a batch shape.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn


def standardized(s: Float[Tensor, "batch n"], mask: Bool[Tensor, "batch n"]) -> Float[Tensor, "batch n"]:
    """Scores of mean 0 and standard deviation 1 over the real nodes of each graph; equal scores become 0.

    Example:
        >>> standardized(torch.tensor([[1.0, 3.0, 9.0]]), torch.tensor([[True, True, False]]))[:, :2]
        tensor([[-1.,  1.]])
    """
    real = mask.to(s.dtype)
    count = real.sum(1, keepdim=True).clamp(min=1)
    s = s - (s * real).sum(1, keepdim=True) / count
    variance = (s.square() * real).sum(1, keepdim=True) / count
    return s / variance.clamp(min=1e-6).sqrt()  # not the other way round: at 0 the root has no derivative


class MessagePassing(nn.Module):
    r"""One layer, from :math:`h_i` to :math:`h_i + \phi_h(h_i, \sum_j w_{ij} m_{ij})`, with a weight for every pair.

    :math:`\phi_e` has two linear layers, each followed by a SiLU; :math:`\phi_h` has two with a SiLU between them. The
    layer knows nothing of masks: pairs that do not count have weight 0.

    Arguments:
        width: number of features of a node and of a message.
        pair_channels: number of features of a pair; 0 for none.

    Example:
        >>> import torch
        >>> layer = MessagePassing(8, 2)
        >>> h, m = layer(torch.zeros(3, 5, 8), torch.zeros(3, 5, 5, 2), 1 - torch.eye(5).expand(3, 5, 5))
        >>> h.shape, m.shape
        (torch.Size([3, 5, 8]), torch.Size([3, 5, 5, 8]))
    """

    def __init__(self, width: int, pair_channels: int) -> None:
        super().__init__()
        self.sizes = [width, width, pair_channels]
        self.pair = nn.Linear(2 * width + pair_channels, width)
        self.message = nn.Linear(width, width)
        self.node = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(
        self,
        h: Float[Tensor, "batch n width"],
        p: Float[Tensor, "batch n n pair_channels"],
        weight: Float[Tensor, "batch n n"],
    ) -> tuple[Float[Tensor, "batch n width"], Float[Tensor, "batch n n width"]]:
        """The new features, and the messages; entry (i, j) is what i receives from j."""
        W_1, W_2, W_p = self.pair.weight.split(self.sizes, 1)
        y = p @ W_p.mT.contiguous()  # in this layout its gradients are fast too
        y += F.linear(h, W_1, self.pair.bias).unsqueeze(2)
        y += F.linear(h, W_2).unsqueeze(1)
        m = F.silu(self.message(F.silu(y)))
        change: Tensor = self.node(torch.cat([h, weighted_sum(weight, m)], -1))
        return h + change, m


class GNN(nn.Module):
    r"""A dense graph network from node and edge features to node features, equivariant under relabelling.

    A linear embedding of the nodes, then layers of messages :math:`m_{ij} = \phi_e(h_i, h_j, a_{ij})` on *all* ordered
    pairs of different real nodes, summed; edges are told from non-edges by their features a alone. This is what the GNN
    of Satorras' released autoencoder does (their equations write a sum over neighbours, but the graphs that they pass
    are complete ones), and it sees exactly what :class:`~sympe.nn.EGNN` sees but for the coordinates.

    Nodes that a symmetry of the graph and its features maps to each other come out equal.

    Arguments:
        node_channels: number of features of a node that go in.
        edge_channels: number of features of an edge; 0 for none. Loops ``edges[:, i, i]`` are not read.
        width: number of features in every layer, and of those that come out.
        layers: number of layers.

    Raises:
        ValueError: if ``edge_channels`` is below 0, or another argument below 1; in a call, if a shape is wrong.

    References:
        Gilmer et al., "Neural Message Passing for Quantum Chemistry", ICML 2017.
        Satorras, Hoogeboom, Welling, "E(n) Equivariant Graph Neural Networks", ICML 2021.

    Example:
        >>> import torch
        >>> nodes, edges = torch.zeros(2, 5, 1), torch.zeros(2, 5, 5, 3)
        >>> mask = torch.arange(5) < torch.tensor([[5], [3]])  # a graph of 5 nodes and one of 3
        >>> h = GNN(1, 3, width=8, layers=2)(nodes, edges, mask)
        >>> h.shape, h[1, 3:].abs().sum().item()
        (torch.Size([2, 5, 8]), 0.0)
    """

    def __init__(self, node_channels: int, edge_channels: int, *, width: int = 64, layers: int = 4) -> None:
        super().__init__()
        check_sizes(node_channels, edge_channels, width, layers)
        self.channels = (node_channels, edge_channels)
        self.embed = nn.Linear(node_channels, width)
        self.layers = nn.ModuleList(MessagePassing(width, edge_channels) for _ in range(layers))

    def forward(
        self,
        nodes: Float[Tensor, "batch n F"],
        edges: Float[Tensor, "batch n n A"],
        mask: Bool[Tensor, "batch n"],
    ) -> Float[Tensor, "batch n width"]:
        """Evaluate the network; ``mask`` is true where a node is real. Padding comes out as zeros."""
        check_graphs(nodes, edges, mask, *self.channels)
        pairs, padding = other_nodes(mask), ~mask.unsqueeze(-1)
        h: Tensor = self.embed(nodes.masked_fill(padding, 0))
        a, weight = edges.masked_fill(~pairs.unsqueeze(-1), 0), pairs.to(h.dtype)
        for layer in self.layers:
            h, _ = layer(h, a, weight)
        return h.masked_fill(padding, 0)


def weighted_sum(
    weight: Float[Tensor, "batch n n"], x: Float[Tensor, "batch n n channels"]
) -> Float[Tensor, "batch n channels"]:
    """The sum over j of ``weight[i, j] * x[i, j]``; the products are not stored."""
    total: Tensor = weight.unsqueeze(2) @ x
    return total.squeeze(2)


def other_nodes(mask: Bool[Tensor, "batch n"]) -> Bool[Tensor, "batch n n"]:
    """The ordered pairs of two different real nodes."""
    different = ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    return mask.unsqueeze(2) & mask.unsqueeze(1) & different


def check_sizes(node_channels: int, edge_channels: int, width: int, layers: int) -> None:
    """Raise a ``ValueError`` that names the argument unless a network can have these sizes."""
    for name, value, least in (
        ("node_channels", node_channels, 1),
        ("edge_channels", edge_channels, 0),
        ("width", width, 1),
        ("layers", layers, 1),
    ):
        if value < least:
            raise ValueError(f"{name}: expected at least {least}, got {value}")


def check_graphs(nodes: Tensor, edges: Tensor, mask: Tensor, node_channels: int, edge_channels: int) -> None:
    """Raise a ``ValueError`` that names the argument unless these are graphs with so many features."""
    if nodes.ndim != 3 or nodes.shape[2] != node_channels:
        raise ValueError(f"nodes: expected shape (batch, n, {node_channels}), got {tuple(nodes.shape)}")
    batch, n, _ = nodes.shape
    if edges.shape != (batch, n, n, edge_channels):
        raise ValueError(f"edges: expected shape ({batch}, {n}, {n}, {edge_channels}), got {tuple(edges.shape)}")
    if mask.shape != (batch, n) or mask.dtype != torch.bool:
        raise ValueError(f"mask: expected torch.bool of shape ({batch}, {n}), got {mask.dtype} {tuple(mask.shape)}")
