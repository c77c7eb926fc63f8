"""The denoiser: the types of a noisy graph, what the encoding tells about it, and a graph transformer.

Every row has the same network, with the same channels going in; what an encoding does not give is 0:

- ``none``: nothing.
- ``cycles``: the numbers of cycles of DiGress; ``stock``: with the spectrum, all of its extra features
  (:mod:`sympe.experiments.molecules.features`).
- ``noise``: Gaussian noise on nodes and pairs.
- ``laplacian``: eigenvectors of the Laplacian, with every eigenspace in a random basis.
- ``sympe-nodes``: SymPE on the nodes, with the exact inversion kernel of the noisy graph; ``sympe-nodes-edges``: on
  nodes and pairs, ``haar`` as well, but with a uniform permutation in place of the kernel's; ``sympe-scores``: on the
  nodes, with learned scores.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from sympe.actions import NodeAction
from sympe.diffusion import CategoricalNoise, Features, GraphNoise, cosine_schedule
from sympe.encodings import Encoding, GraphSymPE, LaplacianEncoding, NoiseEncoding, SymPE
from sympe.experiments.molecules.chemistry import BONDS
from sympe.experiments.molecules.config import MoleculesConfig
from sympe.experiments.molecules.data import Molecules
from sympe.experiments.molecules.features import CYCLE_FEATURES, SPECTRAL_FEATURES, cycle_features, spectral_features
from sympe.graphs import DenseGraphs
from sympe.kernels import CoupledGraphKernel, GraphHaarKernel, GraphKernel, NodeScoreKernel
from sympe.nn import GNN, GraphTransformer
from sympe.nn.gnn import standardized

GRAPH_CHANNELS = CYCLE_FEATURES[1] + SPECTRAL_FEATURES[1]


class Statistics(NamedTuple):
    """What a model has to know of its training set.

    Arguments:
        node_counts: how often each type of atom occurs.
        edge_counts: how often each type of pair does, each pair once; type 0 is "no bond".
        size_counts: how many molecules have 0, 1, ... atoms.
    """

    node_counts: Int64[Tensor, " node_types"]
    edge_counts: Int64[Tensor, " edge_types"]
    size_counts: Int64[Tensor, " sizes"]

    @classmethod
    def of(cls, molecules: Molecules) -> Statistics:
        """Count, a part of the molecules at a time."""
        nodes = torch.zeros(len(molecules.atoms), dtype=torch.int64)
        edges = torch.zeros(len(BONDS), dtype=torch.int64)
        for rows in torch.arange(len(molecules)).split(10_000):
            x = molecules.graphs(rows)
            nodes += torch.bincount(x.colors[x.mask], minlength=len(nodes))
            pairs = (x.mask[:, :, None] & x.mask[:, None]).triu(1)
            edges += torch.bincount(x.pairs[pairs], minlength=len(edges))
        return cls(nodes, edges, torch.bincount(molecules.sizes))


class MoleculeModel(nn.Module):
    """A denoiser, the noise that it was trained for, and how likely each size is.

    Arguments:
        config: the row.
        statistics: of the training set.

    Example:
        >>> counts = Statistics(torch.tensor([6, 1, 1, 0]), torch.tensor([8, 6, 2, 1]), torch.tensor([0, 0, 1, 3]))
        >>> model = MoleculeModel(MoleculesConfig(), counts)
        >>> x = model.noise.sample_limit(torch.tensor([2, 3]))
        >>> [tuple(logits.shape) for logits in model(x, torch.tensor([500, 500]))]
        [(2, 3, 4), (2, 3, 3, 4)]
    """

    log_sizes: Tensor

    def __init__(self, config: MoleculesConfig, statistics: Statistics) -> None:
        super().__init__()
        self.config = config
        self.statistics = statistics
        self.max_nodes = len(statistics.size_counts) - 1
        self.noise = GraphNoise(
            _noise(config.transition, statistics.node_counts),
            _noise(config.transition, statistics.edge_counts),
            cosine_schedule(config.times),
        )
        sizes = statistics.size_counts.to(torch.get_default_dtype())
        self.register_buffer("log_sizes", (sizes / sizes.sum()).log())
        self.encoding = GraphEncoding(config, self.max_nodes)
        self.network = GraphTransformer(
            self.noise.nodes.types + config.encoding_channels,
            self.noise.edges.types + config.pair_channels,
            2 + GRAPH_CHANNELS,
            self.noise.nodes.clean_types,
            self.noise.edges.clean_types,
            layers=config.layers,
            node_width=config.node_width,
            edge_width=config.edge_width,
            graph_width=config.graph_width,
            heads=config.heads,
            node_hidden=config.node_hidden,
            edge_hidden=config.edge_hidden,
            graph_hidden=config.graph_hidden,
        )

    def forward(
        self,
        x: DenseGraphs,
        t: Int64[Tensor, " batch"],
        *,
        g: Int64[Tensor, "batch max_nodes"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Features:
        """The logits of the clean types, for one draw of the encoding, or for the given ``g``."""
        told = self.encoding(x, g=g, generator=generator)
        nodes = torch.cat([F.one_hot(x.colors, self.noise.nodes.types).to(told.nodes), told.nodes], 2)
        edges = torch.cat([F.one_hot(x.pairs, self.noise.edges.types).to(told.edges), told.edges], 3)
        scale = torch.stack([t / self.noise.steps, x.sizes / self.max_nodes], 1).to(told.graphs)
        return Features(*self.network(nodes, edges, torch.cat([scale, told.graphs], 1), x.mask))


class Told(NamedTuple):
    """What the network is told beside the types; zero in the padding.

    Arguments:
        nodes: of nodes.
        edges: of pairs, symmetric.
        graphs: of graphs.
    """

    nodes: Float[Tensor, "batch n node_channels"]
    edges: Float[Tensor, "batch n n pair_channels"]
    graphs: Float[Tensor, "batch graph_channels"]


class GraphEncoding(nn.Module):
    """Any of ENCODINGS, with the same channels for all.

    Arguments:
        config: the row.
        max_nodes: the number of nodes of the largest graphs.
    """

    def __init__(self, config: MoleculesConfig, max_nodes: int) -> None:
        super().__init__()
        self.name = config.encoding
        self.channels = (config.encoding_channels, config.pair_channels)
        shape = (max_nodes, config.encoding_channels)
        kernels: dict[str, GraphKernel | GraphHaarKernel] = {
            "haar": GraphHaarKernel(max_nodes),
            "sympe-nodes": GraphKernel(max_nodes, order=config.order),
            "sympe-nodes-edges": GraphKernel(max_nodes, order=config.order),
        }
        kernel = kernels.get(config.encoding)
        self.kernel = kernel
        """Draws g, where it has nothing to learn."""
        self.coupled = CoupledGraphKernel(kernel) if config.coupled and isinstance(kernel, GraphKernel) else None
        """Draws g from x_T and x_0, in training."""
        self.on_nodes: Encoding | None = None
        self.on_pairs: NoiseEncoding | None = None
        self.on_both: GraphSymPE | None = None
        scale = config.encoding_scale
        if config.encoding == "noise":
            pairs = (max_nodes, max_nodes, config.pair_channels)
            self.on_nodes, self.on_pairs = NoiseEncoding(shape, scale=scale), NoiseEncoding(pairs, scale=scale)
        elif config.encoding == "laplacian":
            self.on_nodes = LaplacianEncoding(*shape)
        elif config.encoding == "sympe-scores":
            scores = NodeScoreKernel(NodeScores(), max_nodes)
            self.on_nodes = SymPE(scores, NodeAction(scores.group, shape[1]), scale=scale)
        elif config.encoding == "sympe-nodes" and kernel is not None:
            self.on_nodes = SymPE(kernel, NodeAction(kernel.group, shape[1]), scale=scale)
        elif kernel is not None:
            self.on_both = GraphSymPE(kernel, *self.channels, scale=scale)

    def forward(
        self,
        x: DenseGraphs,
        *,
        g: Int64[Tensor, "batch max_nodes"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Told:
        """Draw for every graph; with ``g`` nothing is drawn, and v is moved by it.

        Raises:
            ValueError: if ``g`` is given to an encoding that does not move v by a kernel's g, or is missing where it
                must be the same for all times.
        """
        if g is None and self.coupled is not None:
            raise ValueError("g: a coupled encoding needs the g of the trajectory, got none")
        if g is not None and self.kernel is None:
            raise ValueError(f"g: the encoding {self.name} takes none")
        nodes, edges, graphs = None, None, []
        if self.on_both is not None:
            nodes, edges = self.on_both(x, generator=generator) if g is None else self.on_both.moved(g)
        elif isinstance(self.on_nodes, SymPE) and g is not None:
            nodes = self.on_nodes.moved(g)
        elif self.on_nodes is not None:
            nodes = self.on_nodes(x, generator=generator)
        if self.on_pairs is not None:
            edges = self.on_pairs(x, generator=generator)
            edges = (edges + edges.transpose(1, 2)) / math.sqrt(2)
        if self.name in ("cycles", "stock"):
            kinds = [cycle_features(x)] + ([spectral_features(x)] if self.name == "stock" else [])
            nodes = torch.cat([kind[0] for kind in kinds], 2)
            graphs = [kind[1] for kind in kinds]
        return self._filled(x, nodes, edges, graphs)

    def _filled(self, x: DenseGraphs, nodes: Tensor | None, edges: Tensor | None, graphs: list[Tensor]) -> Told:
        """Zeros for what is missing, and in the padding."""
        batch, n = x.mask.shape
        empty = torch.zeros(batch, 0, device=x.device)
        graph = torch.cat([empty, *graphs], 1)
        graph = F.pad(graph, (0, GRAPH_CHANNELS - graph.shape[1]))
        node = torch.zeros(batch, n, 0, device=x.device) if nodes is None else nodes[:, :n]
        node = F.pad(node, (0, self.channels[0] - node.shape[2])) * x.mask[:, :, None]
        if edges is None:
            return Told(node, torch.zeros(batch, n, n, self.channels[1], device=x.device), graph)
        real = (x.mask[:, :, None] & x.mask[:, None])[..., None]
        return Told(node, edges[:, :n, :n] * real, graph)


class NodeScores(nn.Module):
    """Scores of the nodes of a noisy graph, by two layers of message passing on its types, standardised.

    Arguments:
        width: features in every layer.
        types: the types of nodes and of pairs that there are, at most.
    """

    def __init__(self, width: int = 32, types: int = 16) -> None:
        super().__init__()
        self.types = types
        self.network = GNN(types, types, width=width, layers=2)
        self.score = nn.Linear(width, 1)

    def forward(self, x: DenseGraphs) -> Float[Tensor, "batch nodes"]:
        """One score for each node."""
        kind = self.score.weight
        h = self.network(
            F.one_hot(x.colors, self.types).to(kind) * x.mask[:, :, None],
            F.one_hot(x.pairs, self.types).to(kind),
            x.mask,
        )
        return 10 * standardized(self.score(h).squeeze(2), x.mask)  # against Gumbel noise of deviation 1.3


def _noise(transition: str, counts: Tensor) -> CategoricalNoise:
    if transition == "marginal":
        return CategoricalNoise.marginal(counts)
    return CategoricalNoise.uniform(len(counts)) if transition == "uniform" else CategoricalNoise.absorbing(len(counts))
