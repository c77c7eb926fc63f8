r"""The graph transformer of DiGress: features of nodes (X), of pairs of nodes (E) and of the graph (y).

In a layer every node attends to every real node, channel by channel. With queries, keys and values Q, K, V from X,

.. math::
    s_{ij} &= \tfrac{1}{\sqrt{d_h}}\, Q_i \odot K_j \odot (1 + M_E e_{ij}) + A_E e_{ij} \\
    x_i' &= W_x \bigl[(1 + M_X y) \odot \textstyle\sum_j \mathrm{softmax}_j(s_{ij}) \odot V_j + A_X y\bigr] \\
    e_{ij}' &= W_e \bigl[(1 + M_Y y) \odot s_{ij} + A_Y y\bigr] \\
    y' &= \mathrm{MLP}\bigl(W_y y + P_X(X) + P_E(E)\bigr),

where P are linear maps of the mean, minimum, maximum and variance over nodes and over pairs. A residual and a
layer norm follow, then the same for two-layer networks on X, E and y. Products of the same input are one product here,
and the last layer leaves y alone, for nobody reads it.

The pairs of a node with itself take part, with e_{ii} as it comes; padding does not.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sympe.groups.eager import is_eager
from sympe.nn.gnn import check_graphs, other_nodes


class GraphTransformer(nn.Module):
    r"""From features of nodes, pairs and graphs to logits of nodes and pairs, equivariant under relabelling.

    The first channels that go in are added to the logits that come out, as many as there are: put the one-hot types of
    a noisy graph first, and the network starts from them. The logits of pairs are symmetric, and 0 on the diagonal.

    Arguments:
        node_channels: features of a node that go in.
        edge_channels: features of a pair that go in.
        graph_channels: features of a graph that go in.
        node_types: logits of a node, at most ``node_channels``.
        edge_types: logits of a pair, at most ``edge_channels``.
        layers: number of layers.
        node_width: width of X, a multiple of ``heads``.
        edge_width: width of E.
        graph_width: width of y.
        heads: only sets the scale of the scores, for attention is channel by channel.
        node_hidden: width inside the two-layer networks on nodes.
        edge_hidden: width inside those on pairs.
        graph_hidden: width inside those on graphs.

    Raises:
        ValueError: if a number is below 1, ``heads`` does not divide ``node_width``, or there are more types than
            channels; in a call, if a shape is wrong.

    References:
        Vignac et al., "DiGress: Discrete Denoising diffusion for graph generation", ICLR 2023, Appendix B, without
        dropout.

    Example:
        >>> import torch
        >>> net = GraphTransformer(4, 5, 1, 4, 5, layers=2, node_width=16, edge_width=8, graph_width=8)
        >>> mask = torch.arange(6) < torch.tensor([[6], [4]])  # a graph of 6 nodes and one of 4
        >>> nodes, edges = net(torch.zeros(2, 6, 4), torch.zeros(2, 6, 6, 5), torch.zeros(2, 1), mask)
        >>> nodes.shape, edges.shape, torch.equal(edges, edges.transpose(1, 2))
        (torch.Size([2, 6, 4]), torch.Size([2, 6, 6, 5]), True)
    """

    def __init__(
        self,
        node_channels: int,
        edge_channels: int,
        graph_channels: int,
        node_types: int,
        edge_types: int,
        *,
        layers: int = 4,
        node_width: int = 96,
        edge_width: int = 48,
        graph_width: int = 48,
        heads: int = 8,
        node_hidden: int = 256,
        edge_hidden: int = 128,
        graph_hidden: int = 128,
    ) -> None:
        super().__init__()
        sizes = {name: value for name, value in locals().items() if isinstance(value, int)}
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        if node_width % heads:
            raise ValueError(f"heads: expected a divisor of node_width = {node_width}, got {heads}")
        for name, types, channels in (
            ("node_types", node_types, node_channels),
            ("edge_types", edge_types, edge_channels),
        ):
            if types > channels:
                raise ValueError(f"{name}: expected at most the {channels} channels that go in, got {types}")
        self.channels = (node_channels, edge_channels, graph_channels)
        self.types = (node_types, edge_types)
        self.nodes_in = _two_layers(node_channels, node_hidden, node_width)
        self.edges_in = _two_layers(edge_channels, edge_hidden, edge_width)
        self.graph_in = _two_layers(graph_channels, graph_hidden, graph_width)
        self.layers = nn.ModuleList(
            Layer(
                node_width,
                edge_width,
                graph_width,
                heads,
                node_hidden,
                edge_hidden,
                graph_hidden=None if number == layers - 1 else graph_hidden,
            )
            for number in range(layers)
        )
        self.nodes_out = _two_layers(node_width, node_hidden, node_types)
        self.edges_out = _two_layers(edge_width, edge_hidden, edge_types)

    def forward(
        self,
        nodes: Float[Tensor, "batch n F"],
        edges: Float[Tensor, "batch n n A"],
        graphs: Float[Tensor, "batch C"],
        mask: Bool[Tensor, "batch n"],
    ) -> tuple[Float[Tensor, "batch n node_types"], Float[Tensor, "batch n n edge_types"]]:
        """Evaluate the network; ``mask`` is true where a node is real. Padding comes out as zeros."""
        node_channels, edge_channels, graph_channels = self.channels
        check_graphs(nodes, edges, mask, node_channels, edge_channels)
        if graphs.shape != (len(nodes), graph_channels):
            raise ValueError(f"graphs: expected shape ({len(nodes)}, {graph_channels}), got {tuple(graphs.shape)}")
        if not mask.numel():
            return nodes[..., : self.types[0]], edges[..., : self.types[1]]
        padding = _padding(mask)
        pair_padding = None
        if padding is not None:
            between = padding.unsqueeze(2) | padding.unsqueeze(1)
            nodes = nodes.masked_fill(padding.unsqueeze(-1), 0)
            edges = edges.masked_fill(between.unsqueeze(-1), 0)
            pair_padding = between.flatten(1)
        x, e, y = F.relu(self.nodes_in(nodes)), F.relu(self.edges_in(edges)), F.relu(self.graph_in(graphs))
        e = (e + e.transpose(1, 2)) / 2
        for layer in self.layers:
            x, e, y = layer(x, e, y, padding, pair_padding)
        x = self.nodes_out(x) + nodes[..., : self.types[0]]
        e = self.edges_out(e) + edges[..., : self.types[1]]
        e = (e + e.transpose(1, 2)).masked_fill(~other_nodes(mask).unsqueeze(-1), 0) / 2
        return x if padding is None else x.masked_fill(padding.unsqueeze(-1), 0), e


class Layer(nn.Module):
    """Attention among nodes, pairs and graph, then a two-layer network on each; without ``graph_hidden`` y stays."""

    def __init__(
        self,
        node_width: int,
        edge_width: int,
        graph_width: int,
        heads: int,
        node_hidden: int,
        edge_hidden: int,
        graph_hidden: int | None,
    ) -> None:
        super().__init__()
        self.scale = 1 / math.sqrt(node_width // heads)
        self.from_nodes = nn.Linear(node_width, 3 * node_width)  # Q, K, V
        self.from_edges = nn.Linear(edge_width, 2 * node_width)  # M_E, A_E
        self.from_graph = nn.Linear(graph_width, 4 * node_width)  # M_X, A_X, M_Y, A_Y
        self.to_nodes = nn.Linear(node_width, node_width)
        self.to_edges = nn.Linear(node_width, edge_width)
        self.node_end = LayerEnd(node_width, node_hidden)
        self.edge_end = LayerEnd(edge_width, edge_hidden)
        self.to_graph: nn.ModuleList | None = None
        if graph_hidden is not None:
            widths = (graph_width, 4 * node_width, 4 * edge_width)
            self.to_graph = nn.ModuleList(nn.Linear(width, graph_width) for width in widths)
            self.mix_graph = _two_layers(graph_width, graph_width, graph_width)
            self.graph_end = LayerEnd(graph_width, graph_hidden)

    def forward(
        self, x: Tensor, e: Tensor, y: Tensor, padding: Tensor | None, pair_padding: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The new features; what stands in the padding does not reach real nodes."""
        Q, K, V = self.from_nodes(x).chunk(3, -1)
        M_X, A_X, M_Y, A_Y = self.from_graph(y).chunk(4, -1)
        heard, s = pair_attention(self.scale * Q, K, V, e, self.from_edges.weight, self.from_edges.bias, padding)
        new_x = self.node_end(x, self.to_nodes((1 + M_X).unsqueeze(1) * heard + A_X.unsqueeze(1)))
        # W_e [(1 + M_Y) s + A_Y]: n^2 vectors s a graph, so better one matrix a graph than the bracket
        W_e = self.to_edges.weight * (1 + M_Y).unsqueeze(1)
        change = torch.baddbmm(self.to_edges(A_Y).unsqueeze(1), s.flatten(1, 2), W_e.mT)
        new_e = self.edge_end(e, change.view_as(e))
        if self.to_graph is None:
            return new_x, new_e, y
        seen = (y, pooled(x, padding), pooled(e.flatten(1, 2), pair_padding))
        change = sum(linear(part) for linear, part in zip(self.to_graph, seen, strict=True))
        return new_x, new_e, self.graph_end(y, self.mix_graph(change))


class LayerEnd(nn.Module):
    """Residual and norm, then a two-layer network with the same."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.first_norm = nn.LayerNorm(width)
        self.network = _two_layers(width, hidden, width)
        self.second_norm = nn.LayerNorm(width)

    def forward(self, old: Tensor, change: Tensor) -> Tensor:
        """The new features."""
        value = self.first_norm(old + change)
        new: Tensor = self.second_norm(value + self.network(value))
        return new


def pair_attention(
    query: Float[Tensor, "batch n width"],
    key: Float[Tensor, "batch n width"],
    value: Float[Tensor, "batch n width"],
    edges: Float[Tensor, "batch n n edge_width"],
    weight: Float[Tensor, "twice_width edge_width"],
    bias: Float[Tensor, " twice_width"],
    padding: Bool[Tensor, "batch n"] | None,
) -> tuple[Float[Tensor, "batch n width"], Float[Tensor, "batch n n width"]]:
    """The features that nodes hear, and the scores s.

    Arguments:
        query: Q, scaled.
        key: K.
        value: V.
        edges: e.
        weight: M_E and A_E, one below the other.
        bias: theirs.
        padding: nodes that nobody hears; None where all nodes are real.

    Example:
        >>> x, e = torch.ones(1, 3, 2), torch.ones(1, 3, 3, 5)
        >>> out = torch.tensor([[False, False, True]])
        >>> heard, scores = pair_attention(x, x, x, e, torch.zeros(4, 5), torch.zeros(4), out)
        >>> heard.shape, scores.shape
        (torch.Size([1, 3, 2]), torch.Size([1, 3, 3, 2]))
    """
    (M_E, A_E), (b_M, b_A) = weight.chunk(2), bias.chunk(2)
    products = query.unsqueeze(2) * key.unsqueeze(1)
    scores = torch.addcmul(F.linear(edges, A_E, b_A), products, F.linear(edges, M_E, 1 + b_M))
    seen = scores if padding is None else scores.masked_fill(padding[:, None, :, None], -1e9)
    return (seen.softmax(2) * value.unsqueeze(1)).sum(2), scores


def pooled(
    x: Float[Tensor, "batch items width"], padding: Bool[Tensor, "batch items"] | None
) -> Float[Tensor, "batch wide"]:
    """Mean, minimum, maximum and variance over the real items, one after the other; 0 where there are none.

    Example:
        >>> pooled(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[False, False, True]]))
        tensor([[2., 1., 3., 1.]])
    """
    if padding is None:
        mean = x.mean(1)
        return torch.cat([mean, x.amin(1), x.amax(1), (x - mean.unsqueeze(1)).square().mean(1)], -1)
    out = padding.unsqueeze(-1)
    count = (~out).sum(1)
    empty = count == 0
    mean = x.masked_fill(out, 0).sum(1) / count.clamp(min=1)
    variance = (x - mean.unsqueeze(1)).square().masked_fill(out, 0).sum(1) / count.clamp(min=1)
    least = x.masked_fill(out, torch.inf).amin(1).masked_fill(empty, 0)
    most = x.masked_fill(out, -torch.inf).amax(1).masked_fill(empty, 0)
    return torch.cat([mean, least, most, variance], -1)


def _padding(mask: Bool[Tensor, "batch n"]) -> Bool[Tensor, "batch n"] | None:
    """Where there is no node; None if that is known to be nowhere, so that nothing need be masked.

    Another device would have to be waited for, and a compiler wants one graph for all masks.
    """
    if mask.device.type == "cpu" and is_eager() and bool(mask.all()):
        return None
    return ~mask


def _two_layers(inside: int, hidden: int, outside: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inside, hidden), nn.ReLU(), nn.Linear(hidden, outside))
