"""The denoiser: the types of a noisy graph, what the encoding tells about it, and a graph transformer.

Every row has the same network, with the same channels going in; what an encoding does not give is 0:

- ``none``: nothing.
- ``cycles``: the numbers of cycles of DiGress; ``structure``: with all else of its extra features that breaks no
  symmetry; ``stock``: all of them, with eigenvectors in whatever sign and basis the solver gives; ``canonical``: the
  same on the canonical form of the noisy graph, moved back
  (:mod:`sympe.experiments.molecules.features`).
- ``noise``: Gaussian noise on nodes and pairs.
- ``laplacian``: eigenvectors of the Laplacian, with every eigenspace in a random basis.
- ``sympe-nodes``: SymPE on the nodes, with the exact inversion kernel of the noisy graph; ``sympe-nodes-edges``: on
  nodes and pairs, ``haar`` as well, but with a uniform permutation in place of the kernel's; ``sympe-scores``: on the
  nodes, with learned scores.
- ``structure+sympe``, ``canonical+sympe``: SymPE on nodes and pairs in the channels that the features leave.

Coupled rows draw g once for all times, from x_T and in training also from x_0. ``haar`` coupled forgets x_T: its g is
uniform on all permutations, and in training on those that bring x_0 to canonical form.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional as F

from sympe.actions import NodeAction
from sympe.diffusion import (
    CategoricalNoise,
    Features,
    GraphNoise,
    Unmasking,
    cosine_schedule,
    denoising_loss,
)
from sympe.encodings import Encoding, GraphSymPE, LaplacianEncoding, NoiseEncoding, SymPE
from sympe.experiments.molecules.config import MoleculesConfig
from sympe.experiments.molecules.data import BOND_TYPES, Molecules
from sympe.experiments.molecules.features import (
    CANONICAL_FEATURES,
    STRUCTURE_FEATURES,
    canonical_features,
    cycle_features,
    stock_features,
    structure_features,
)
from sympe.experiments.molecules.tables import tables
from sympe.graphs import DenseGraphs
from sympe.kernels import CoupledGraphKernel, GraphHaarKernel, GraphKernel, NodeScoreKernel
from sympe.nn import GNN, GraphTransformer
from sympe.nn.gnn import standardized

GRAPH_CHANNELS = CANONICAL_FEATURES[1]

_FEATURES = {
    "cycles": cycle_features,
    "structure": structure_features,
    "structure+sympe": structure_features,
    "stock": stock_features,
    "canonical": canonical_features,
    "canonical+sympe": canonical_features,
}

_WITH_KERNEL = ("haar", "sympe-nodes", "sympe-nodes-edges", "structure+sympe", "canonical", "canonical+sympe")


def table_of_places(order: str, steps: int, max_nodes: int) -> Unmasking:
    """The table that comes with the package, of as many places as the largest molecules have atoms.

    Raises:
        ValueError: if they have more than it has places, or it settles nothing of them in some step.
    """
    table = torch.tensor(tables()[order][steps])
    assert Unmasking(table).steps == steps
    if max_nodes > len(table):
        raise ValueError(
            f"statistics: expected molecules of up to {len(table)} atoms, as many as the table has places; "
            f"got {max_nodes}"
        )
    return Unmasking(table[:max_nodes, :max_nodes].contiguous())


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
        edges = torch.zeros(BOND_TYPES, dtype=torch.int64)
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
        by_places = config.by_places
        self.unmasking = None if by_places is None else table_of_places(config.order, by_places, self.max_nodes)
        """The table that the row is trained on, as its file has it; None for noise by chance."""
        self.noise = GraphNoise(
            _noise(config.transition, statistics.node_counts),
            _noise(config.transition, statistics.edge_counts),
            cosine_schedule(config.times) if self.unmasking is None else self.unmasking.shares.flip(0),
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

    def noisy(
        self,
        x: DenseGraphs,
        t: Int64[Tensor, " batch"],
        *,
        last: DenseGraphs | None = None,
        g: Int64[Tensor, "batch max_nodes"] | None = None,
        generator: torch.Generator | None = None,
    ) -> DenseGraphs:
        """Clean graphs at their times.

        Arguments:
            x: clean graphs.
            t: the times.
            last: x_T, if it is known already.
            g: where there is a table, it says what is masked.
            generator: draws the noise.

        Raises:
            ValueError: if there is a table and no ``g``.
        """
        if self.unmasking is None:
            return self.noise.sample(x, t, last=last, generator=generator)
        return self.unmasking.before(self.noise, x, _known(g), self.noise.steps - t)

    def loss(
        self,
        logits: Features,
        x: DenseGraphs,
        t: Int64[Tensor, " batch"],
        g: Int64[Tensor, "batch max_nodes"] | None = None,
    ) -> Float[Tensor, ""]:
        """What is trained on: the cross-entropy of the clean types.

        Of all of them (:func:`~sympe.diffusion.denoising_loss`), or, where there is a table, of those that the next
        step settles, in nats a molecule.

        Raises:
            ValueError: if there is a table and no ``g``.
        """
        if self.unmasking is None:
            return denoising_loss(logits, x)
        return -self.unmasking.log_likelihood(logits, x, _known(g), self.noise.steps - t).mean()

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
        self.forgets = config.coupled and config.encoding == "haar"
        """Whether the g of a chain does not depend on x_T."""
        self.features = _FEATURES.get(config.encoding)
        shape = (max_nodes, config.encoding_channels)
        self.kernel: GraphKernel | GraphHaarKernel | None = None
        """Draws g, where it has nothing to learn."""
        if config.encoding == "haar" and not config.coupled:
            self.kernel = GraphHaarKernel(max_nodes)
        elif config.encoding in _WITH_KERNEL:
            self.kernel = GraphKernel(max_nodes, order=config.order)
        self.coupled = config.coupled
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
        elif config.encoding == "sympe-nodes" and self.kernel is not None:
            self.on_nodes = SymPE(self.kernel, NodeAction(self.kernel.group, shape[1]), scale=scale)
        elif self.kernel is not None and config.encoding != "canonical":
            left = {"structure+sympe": STRUCTURE_FEATURES[0], "canonical+sympe": CANONICAL_FEATURES[0]}
            own = config.encoding_channels - left.get(config.encoding, 0)
            self.on_both = GraphSymPE(self.kernel, own, config.pair_channels, scale=scale)

    def of_chain(
        self, last: DenseGraphs, clean: DenseGraphs | None = None, *, generator: torch.Generator | None = None
    ) -> Int64[Tensor, "batch max_nodes"]:
        """Draw the g of a coupled row for all times: from x_T, and in training also from x_0.

        Raises:
            ValueError: if the row is not coupled.
        """
        kernel, x = self._of_chain(last)
        return (
            kernel.kernel.sample(x, generator=generator)
            if clean is None
            else kernel.sample(x, clean, generator=generator)
        )

    def price(self, last: DenseGraphs, clean: DenseGraphs) -> Float[Tensor, " batch"]:
        r"""What g costs a coupled row, in nats: :math:`\log |G_{x_T}| - \log |G_{x_T} \cap G_{x_0}|`.

        Raises:
            ValueError: if the row is not coupled.
        """
        kernel, x = self._of_chain(last)
        return kernel.kernel.entropy(x) - kernel.entropy(x, clean)

    def _of_chain(self, last: DenseGraphs) -> tuple[CoupledGraphKernel, DenseGraphs]:
        if not self.coupled or not isinstance(self.kernel, GraphKernel):
            raise ValueError(f"g: the encoding {self.name} is not coupled, it draws g anew at each time")
        if self.forgets:
            last = DenseGraphs(torch.zeros_like(last.pairs), torch.zeros_like(last.colors), last.mask)
        return CoupledGraphKernel(self.kernel), last

    def forward(
        self,
        x: DenseGraphs,
        *,
        g: Int64[Tensor, "batch max_nodes"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Told:
        """Draw for every graph; with ``g`` nothing is drawn, and v is moved by it.

        Raises:
            ValueError: if ``g`` is given to an encoding that moves nothing by a kernel's g, or is missing where it
                must be the same for all times.
        """
        if g is None and self.coupled:
            raise ValueError("g: a coupled encoding needs the g of the trajectory, got none")
        if g is not None and self.kernel is None:
            raise ValueError(f"g: the encoding {self.name} takes none")
        if g is None and self.kernel is not None:
            g = self.kernel.sample(x, generator=generator)
        nodes, edges, graphs = None, None, []
        if g is not None:
            if self.on_both is not None:
                nodes, edges = self.on_both.moved(g)
            elif isinstance(self.on_nodes, SymPE):
                nodes = self.on_nodes.moved(g)
        elif self.on_nodes is not None:
            nodes = self.on_nodes(x, generator=generator)
        if self.on_pairs is not None:
            edges = self.on_pairs(x, generator=generator)
            edges = (edges + edges.transpose(1, 2)) / math.sqrt(2)
        if self.features is canonical_features and g is not None and self.kernel is not None:
            group = self.kernel.group
            told, of_graphs = canonical_features(x.relabel(group.inverse(g)).dense())
            told = F.pad(told, (0, 0, 0, group.degree - told.shape[1]))
            nodes = _beside(NodeAction(group, told.shape[2])(g, told), nodes)
            graphs.append(of_graphs)
        elif self.features is not None:
            told, of_graphs = self.features(x)
            nodes = _beside(told, nodes)
            graphs.append(of_graphs)
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


def _beside(features: Tensor, nodes: Tensor | None) -> Tensor:
    """Features of nodes, and after them what SymPE gives, cut to as many nodes."""
    return features if nodes is None else torch.cat([features, nodes[:, : features.shape[1]]], 2)


def _known(g: Tensor | None) -> Tensor:
    if g is None:
        raise ValueError("g: a row with a table of places needs the g of the trajectory, got none")
    return g


def _noise(transition: str, counts: Tensor) -> CategoricalNoise:
    if transition == "marginal":
        return CategoricalNoise.marginal(counts)
    return CategoricalNoise.uniform(len(counts)) if transition == "uniform" else CategoricalNoise.absorbing(len(counts))
