r"""Graph networks on points in space whose nodes carry invariant features and vectors, dense and batched.

The EGNN of Satorras et al. moves one set of coordinates. Here the points stay, and every node has C vectors V beside
its features h, as in PaiNN (Schütt et al. 2021) and GVP (Jing et al. 2021). With :math:`d_{ij} = x_i - x_j`, a layer is

.. math::
    m_{ij} &= \phi_e(h_i, h_j, |d_{ij}|^2, V_i \cdot d_{ij}, V_j \cdot d_{ij}, V_i \cdot V_j) \\
    V_i' &= W V_i + \frac{1}{n - 1} \sum_{j \ne i} \bigl(\phi_d(m_{ij})\, d_{ij} + \phi_v(m_{ij})\, V_j\bigr) \\
    h_i' &= h_i + \phi_h\Bigl(h_i, \sum_{j \ne i} m_{ij}\Bigr)

with products of vectors channel by channel. Everything is built of inner products and sums of vectors, so under an
orthogonal R and a translation h stays and V turns with R, in a space of any dimension.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sympe.nn.gnn import MessagePassing, check_graphs, check_sizes, other_nodes


class VectorGNN(nn.Module):
    r"""A dense graph network on points with features and vectors, equivariant under relabelling and isometries.

    The nodes start with a linear embedding of their features, the distances from the centre, and the lengths of their
    vectors and their components away from the centre; the vectors with linear combinations of those that go in. Vectors
    that come out are combinations of the last layer's, weighted by the features.

    Nodes that a symmetry of the points, features and vectors maps to each other come out alike: vectors that go in are
    where a symmetry can be broken.

    Arguments:
        node_channels: number of features of a node that go in.
        vector_channels: number of vectors of a node that go in.
        out_channels: number of vectors of a node that come out.
        width: number of features in every layer, and of those that come out.
        vectors: number of vectors of a node in every layer.
        layers: number of layers.

    Raises:
        ValueError: if a number is below 1; in a call, if a shape is wrong.

    References:
        Satorras, Hoogeboom, Welling, "E(n) Equivariant Graph Neural Networks", ICML 2021; Schütt, Unke, Gastegger,
        "Equivariant message passing for the prediction of tensorial properties and molecular spectra", ICML 2021.

    Example:
        >>> import torch
        >>> nodes, x, v = torch.zeros(2, 5, 1), torch.randn(2, 5, 3), torch.randn(2, 5, 4, 3)
        >>> mask = torch.arange(5) < torch.tensor([[5], [3]])  # a cloud of 5 points and one of 3
        >>> net = VectorGNN(1, 4, 1, width=16, vectors=8, layers=2)
        >>> h, y = net(nodes, x, v, mask)
        >>> h.shape, y.shape, y[1, 3:].abs().sum().item()
        (torch.Size([2, 5, 16]), torch.Size([2, 5, 1, 3]), 0.0)
        >>> torch.allclose(net(nodes, -x, -v, mask)[1], -y, atol=1e-5)
        True
    """

    def __init__(
        self,
        node_channels: int,
        vector_channels: int,
        out_channels: int,
        *,
        width: int = 64,
        vectors: int = 8,
        layers: int = 3,
    ) -> None:
        super().__init__()
        check_sizes(node_channels, 0, width, layers)
        for name, value in (
            ("vector_channels", vector_channels),
            ("out_channels", out_channels),
            ("vectors", vectors),
        ):
            if value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        self.channels = (node_channels, vector_channels)
        self.embed = nn.Linear(node_channels + 1 + 2 * vector_channels, width)
        self.enter = nn.Linear(vector_channels, vectors, bias=False)
        self.layers = nn.ModuleList(MessagePassing(width, 1 + 3 * vectors) for _ in range(layers))
        self.weights = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2 * vectors)) for _ in range(layers)
        )
        self.mixes = nn.ModuleList(nn.Linear(vectors, vectors, bias=False) for _ in range(layers))
        self.gate = nn.Linear(width, vectors)
        self.leave = nn.Linear(vectors, out_channels, bias=False)

    def forward(
        self,
        nodes: Float[Tensor, "batch n F"],
        positions: Float[Tensor, "batch n d"],
        vectors: Float[Tensor, "batch n C d"],
        mask: Bool[Tensor, "batch n"],
    ) -> tuple[Float[Tensor, "batch n width"], Float[Tensor, "batch n out d"]]:
        """Evaluate the network; ``mask`` is true where a point is real. Padding comes out as zeros."""
        batch, n = mask.shape
        node_channels, vector_channels = self.channels
        check_graphs(nodes, nodes.new_empty(batch, n, n, 0), mask, node_channels, 0)
        if positions.ndim != 3 or positions.shape[:2] != mask.shape:
            raise ValueError(f"positions: expected shape ({batch}, {n}, d), got {tuple(positions.shape)}")
        if vectors.shape != (batch, n, vector_channels, positions.shape[2]):
            expected = f"({batch}, {n}, {vector_channels}, {positions.shape[2]})"
            raise ValueError(f"vectors: expected shape {expected}, got {tuple(vectors.shape)}")
        pairs, padding = other_nodes(mask), ~mask.unsqueeze(-1)
        weight = pairs.to(positions.dtype)
        mean = weight / weight.sum(-1, keepdim=True).clamp(min=1)  # 0 for a point alone
        x = positions.masked_fill(padding, 0)
        V = vectors.masked_fill(padding.unsqueeze(-1), 0)
        out = (x - x.sum(1, keepdim=True) / mask.sum(1).clamp(min=1)[:, None, None]).masked_fill(padding, 0)
        lengths = [out.square().sum(-1, keepdim=True), V.square().sum(-1), (V * out.unsqueeze(2)).sum(-1)]
        h: Tensor = self.embed(torch.cat([nodes.masked_fill(padding, 0), *lengths], -1))
        V = _mixed(self.enter, V)
        d = x.unsqueeze(2) - x.unsqueeze(1)
        far = d.square().sum(-1, keepdim=True)
        for layer, weights, mix in zip(self.layers, self.weights, self.mixes, strict=True):
            own = torch.einsum("bijk,bick->bijc", d, V)
            other = torch.einsum("bijk,bjck->bijc", d, V)
            both = torch.einsum("bick,bjck->bijc", V, V)
            h, m = layer(h, torch.cat([far, own, other, both], -1), weight)
            along, across = (weights(m) * mean.unsqueeze(-1)).chunk(2, -1)
            moved = torch.einsum("bijc,bijk->bick", along, d) + torch.einsum("bijc,bjck->bick", across, V)
            V = _mixed(mix, V) + moved
        y = _mixed(self.leave, V * self.gate(h).unsqueeze(-1))
        return h.masked_fill(padding, 0), y.masked_fill(padding.unsqueeze(-1), 0)


def _mixed(linear: nn.Module, V: Float[Tensor, "batch n C d"]) -> Float[Tensor, "batch n new d"]:
    """Linear combinations of the vectors of a node."""
    mixed: Tensor = linear(V.mT).mT
    return mixed
