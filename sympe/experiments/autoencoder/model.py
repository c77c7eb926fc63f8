r"""The autoencoder: a graph network from where the nodes start to embeddings z, and a decoder from distances to edges.

.. math:: P(i \sim j) = \mathrm{sigmoid}(w\, |z_i - z_j|^2 + b), \qquad w_0 = -0.1, \quad b_0 = 1 .
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sympe.actions import NodeAction
from sympe.encodings import Encoding, LaplacianEncoding, NoEncoding, NoiseEncoding, RandomWalkEncoding, SymPE
from sympe.experiments.autoencoder.config import ORDERS, AutoencoderConfig
from sympe.graphs import DenseGraphs
from sympe.kernels import CachedGraphKernel, GraphHaarKernel, GraphKernel, GraphRefinementKernel, NodeScoreKernel
from sympe.nn import EGNN, GNN
from sympe.nn.gnn import standardized


class Autoencoder(nn.Module):
    """Algorithm 1 on graphs: draw features of the nodes, encode, decode all pairs.

    Arguments:
        config: the row; says which encoding and backbone.

    Example:
        >>> from sympe.experiments.autoencoder.data import dataset
        >>> graphs = dataset("er", "test").select(torch.arange(4))
        >>> Autoencoder(AutoencoderConfig(encoding="sympe"))(graphs).shape
        torch.Size([4, 16, 16])
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.encoding = build_encoding(config)
        width, layers = config.width, config.layers
        if config.backbone == "egnn":
            self.network: nn.Module = EGNN(1, 1, width=width, layers=layers, shrink=config.shrink)
        else:
            self.network = GNN(1 + config.coordinates, 1, width=width, layers=layers)
            self.embed = nn.Linear(width, config.coordinates)
        self.decoder = nn.ParameterDict({"w": torch.tensor(-0.1), "b": torch.tensor(1.0)})

    def forward(
        self, graphs: DenseGraphs, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch nodes nodes"]:
        """The logits of all pairs, for one draw of the encoding."""
        return self.decode(graphs, self.encoding(graphs, generator=generator))

    def decode(
        self, graphs: DenseGraphs, start: Float[Tensor, "batch max_nodes channels"]
    ) -> Float[Tensor, "batch nodes nodes"]:
        """The logits of all pairs when the nodes start with the given features."""
        start = start[:, : graphs.mask.shape[1]] * graphs.mask[:, :, None]
        h, edges = torch.ones_like(start[:, :, :1]), graphs.pairs[..., None].to(start.dtype)
        if isinstance(self.network, EGNN):
            _, z = self.network(h, start, edges, graphs.mask)
        else:
            z = self.embed(self.network(torch.cat([h, start], 2), edges, graphs.mask))
        distance = (z[:, :, None] - z[:, None]).square().sum(3)
        logits: Tensor = self.decoder["w"] * distance + self.decoder["b"]
        return logits


def build_encoding(config: AutoencoderConfig) -> Encoding:
    """Where the nodes start: (max_nodes, coordinates) features of a graph."""
    n, channels = config.max_nodes, config.coordinates
    fixed: dict[str, Encoding] = {
        "none": NoEncoding((n, channels)),
        "noise": NoiseEncoding((n, channels)),
        "laplacian": LaplacianEncoding(n, channels),
        "random_walk": RandomWalkEncoding(n, channels),
    }
    if config.encoding in fixed:
        return fixed[config.encoding]
    kernels: dict[str, CachedGraphKernel | GraphHaarKernel | GraphRefinementKernel | NodeScoreKernel] = {
        "haar": GraphHaarKernel(n),
        **{name: CachedGraphKernel(GraphKernel(n, order=order)) for name, order in ORDERS.items()},
        "sympe-refinement": GraphRefinementKernel(n),
        "sympe-scores": NodeScoreKernel(NodeScores(config.width), n),
    }
    kernel = kernels[config.encoding]
    return SymPE(kernel, NodeAction(kernel.group, channels))


class NodeScores(nn.Module):
    """Scores of the nodes of a graph, by two layers of message passing; standardised over the nodes.

    Arguments:
        width: features in every layer.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.network = GNN(1, 1, width=width, layers=2)
        self.score = nn.Linear(width, 1)

    def forward(self, graphs: DenseGraphs) -> Float[Tensor, "batch nodes"]:
        """One score for each node."""
        edges = graphs.pairs[..., None].to(self.score.weight.dtype)
        h = self.network(torch.ones_like(edges[:, :, 0]), edges, graphs.mask)
        return 10 * standardized(self.score(h).squeeze(2), graphs.mask)  # against Gumbel noise of deviation 1.3
