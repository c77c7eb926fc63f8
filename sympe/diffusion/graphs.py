r"""Noise on graphs: every node and every unordered pair of nodes by itself.

A graph is a :class:`~sympe.graphs.DenseGraphs` whose node colours are the types of the nodes and whose pair colours are
those of the edges, type 0 for "no edge"; it is undirected, without self-loops. All probabilities count each pair once.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from sympe.diffusion.noise import CategoricalNoise, draw
from sympe.graphs import DenseGraphs


class Features(NamedTuple):
    """Vectors on the nodes and on the pairs of graphs: logits or probabilities of types.

    Arguments:
        nodes: ``(batch, nodes, types)``.
        edges: ``(batch, nodes, nodes, types)``, symmetric.
    """

    nodes: Float[Tensor, "batch nodes node_types"]
    edges: Float[Tensor, "batch nodes nodes edge_types"]


class GraphNoise(nn.Module):
    """The forward process on graphs, and the reverse step of a prediction.

    Arguments:
        nodes: noise on the type of a node.
        edges: noise on the type of a pair; type 0 is "no edge".
        schedule: the share of signal at times 0 to T, from 1 to 0, not growing
            (:func:`~sympe.diffusion.cosine_schedule`).

    Raises:
        ValueError: if the schedule does not fall from 1 to 0, or reaches 0 before the end.

    References:
        Vignac et al., "DiGress: Discrete Denoising diffusion for graph generation", ICLR 2023.

    Example:
        >>> import torch
        >>> from sympe.diffusion import CategoricalNoise, cosine_schedule
        >>> noise = GraphNoise(CategoricalNoise.uniform(4), CategoricalNoise.absorbing(2), cosine_schedule(10))
        >>> noise.sample_limit(torch.tensor([2])).pairs
        tensor([[[0, 2],
                 [2, 0]]])
    """

    schedule: Tensor

    def __init__(self, nodes: CategoricalNoise, edges: CategoricalNoise, schedule: Float[Tensor, " times"]) -> None:
        super().__init__()
        ends = schedule.dim() == 1 and len(schedule) > 1 and schedule[0] == 1 and schedule[-1] == 0
        if not ends or bool((schedule.diff() > 0).any()) or bool((schedule[:-1] <= 0).any()):
            raise ValueError(f"schedule: expected shares that fall from 1 to 0, got {schedule.tolist()}")
        self.nodes = nodes
        self.edges = edges
        self.register_buffer("schedule", schedule)

    @property
    def steps(self) -> int:
        """T, the last time."""
        return len(self.schedule) - 1

    def check(self, x: DenseGraphs) -> None:
        """Refuse graphs that are not clean.

        Raises:
            ValueError: if a type is unknown, or a graph is directed or has self-loops.
        """
        for name, values, noise in (("node", x.colors, self.nodes), ("edge", x.pairs, self.edges)):
            if values.numel() and not 0 <= int(values.min()) <= int(values.max()) < noise.clean_types:
                raise ValueError(
                    f"x: expected {name} types 0 to {noise.clean_types - 1}, "
                    f"got {int(values.min())} to {int(values.max())}"
                )
        if not torch.equal(x.pairs, x.pairs.transpose(1, 2)) or bool(x.pairs.diagonal(dim1=1, dim2=2).any()):
            raise ValueError("x: expected undirected graphs without self-loops")

    def sample(
        self,
        x: DenseGraphs,
        t: Int64[Tensor, " batch"],
        *,
        last: DenseGraphs | None = None,
        generator: torch.Generator | None = None,
    ) -> DenseGraphs:
        """Draw x_t from the clean graphs ``x``.

        Arguments:
            x: clean graphs.
            t: the times.
            last: x_T, if it is known already; at earlier times x_t is independent of it.
            generator: draws.

        Raises:
            ValueError: if ``last`` has other sizes or another padding than ``x``.
        """
        found = drawn(self._forward(x, t), x.mask, generator)
        if last is None:
            return found
        if not torch.equal(last.mask, x.mask):
            raise ValueError(f"last: expected graphs of the sizes of x, {x.sizes.tolist()[:8]}, with the same padding")
        end = t == self.steps
        pairs = torch.where(end[:, None, None], last.pairs, found.pairs)
        return DenseGraphs(pairs, torch.where(end[:, None], last.colors, found.colors), x.mask)

    def sample_limit(self, sizes: Int64[Tensor, " batch"], *, generator: torch.Generator | None = None) -> DenseGraphs:
        """Draw x_T: graphs of the given sizes without any signal."""
        n = int(sizes.max()) if len(sizes) else 0
        mask = torch.arange(n, device=sizes.device) < sizes[:, None]
        limit = Features(self.nodes.limit.expand(len(sizes), n, -1), self.edges.limit.expand(len(sizes), n, n, -1))
        return drawn(limit, mask, generator)

    def predict(self, logits: Features, x: DenseGraphs, t: Int64[Tensor, " batch"]) -> Features:
        """p(x_0 | x_t): the probabilities that the logits give, among the types that can lead to ``x`` at time t."""
        node_alpha, edge_alpha = self._alphas(t)
        return Features(
            self.nodes.restrict(logits.nodes, x.colors, node_alpha),
            self.edges.restrict(logits.edges, x.pairs, edge_alpha),
        )

    def certain(self, x: DenseGraphs) -> Features:
        """All probability on the clean graphs ``x``: as a prediction, it makes the reverse step q(x_s | x_t, x_0)."""
        return Features(
            nn.functional.one_hot(x.colors, self.nodes.types).to(self.schedule),
            nn.functional.one_hot(x.pairs, self.edges.types).to(self.schedule),
        )

    def reverse_probabilities(
        self, prediction: Features, x: DenseGraphs, s: Int64[Tensor, " batch"], t: Int64[Tensor, " batch"]
    ) -> Features:
        """p(x_s | x_t) of every node and every pair, s < t."""
        (node_s, edge_s), (node_t, edge_t) = self._alphas(s), self._alphas(t)
        return Features(
            self.nodes.reverse_probabilities(prediction.nodes, x.colors, node_s, node_t),
            self.edges.reverse_probabilities(prediction.edges, x.pairs, edge_s, edge_t),
        )

    def reverse_log_probabilities(
        self, logits: Features, x: DenseGraphs, s: Int64[Tensor, " batch"], t: Int64[Tensor, " batch"]
    ) -> Features:
        """Log p(x_s | x_t) of every node and every pair from the logits of the clean graph, however far apart."""
        (node_s, edge_s), (node_t, edge_t) = self._alphas(s), self._alphas(t)
        nodes = self.nodes.log_restrict(logits.nodes, x.colors, node_t)
        edges = self.edges.log_restrict(logits.edges, x.pairs, edge_t)
        return Features(
            self.nodes.reverse_log_probabilities(nodes, x.colors, node_s, node_t),
            self.edges.reverse_log_probabilities(edges, x.pairs, edge_s, edge_t),
        )

    def digress_probabilities(
        self, prediction: Features, x: DenseGraphs, s: Int64[Tensor, " batch"], t: Int64[Tensor, " batch"]
    ) -> Features:
        """The reverse step as DiGress evaluates it (see :meth:`CategoricalNoise.digress_probabilities`)."""
        (node_s, edge_s), (node_t, edge_t) = self._alphas(s), self._alphas(t)
        return Features(
            self.nodes.digress_probabilities(prediction.nodes, x.colors, node_s, node_t),
            self.edges.digress_probabilities(prediction.edges, x.pairs, edge_s, edge_t),
        )

    def prior_divergence(self, x: DenseGraphs) -> Float[Tensor, " batch"]:
        """The divergence of q(x_T | x) from the limit, in nats: 0, for the schedule ends at 0."""
        q = self._forward(x, torch.full((len(x),), self.steps, device=x.device))
        return total(divergence(q.nodes, self.nodes.limit), divergence(q.edges, self.edges.limit), x.mask)

    def _forward(self, x: DenseGraphs, t: Tensor) -> Features:
        """q(x_t | x) of every node and every pair."""
        node_alpha, edge_alpha = self._alphas(t)
        return Features(
            self.nodes.forward_probabilities(x.colors, node_alpha),
            self.edges.forward_probabilities(x.pairs, edge_alpha),
        )

    def _alphas(self, t: Tensor) -> tuple[Tensor, Tensor]:
        alpha = self.schedule[t]
        return alpha[:, None], alpha[:, None, None]


def divergence(q: Float[Tensor, "*batch types"], p: Float[Tensor, "*#batch types"]) -> Float[Tensor, "*batch"]:
    """The Kullback-Leibler divergence of q from p, in nats; infinite where q puts mass on what p excludes."""
    return log_divergence(q, p.log())


def log_divergence(q: Float[Tensor, "*batch types"], log_p: Float[Tensor, "*#batch types"]) -> Float[Tensor, "*batch"]:
    """The Kullback-Leibler divergence of q from p, whose logarithm is given."""
    ratio = torch.where(q > 0, q, 1.0).log() - torch.where(q > 0, log_p, 0.0)
    return (torch.where(q > 0, q, 0.0) * ratio).sum(-1)


def pairs_of(mask: Bool[Tensor, "batch nodes"]) -> Bool[Tensor, "batch nodes nodes"]:
    """The pairs of real nodes, each once."""
    return (mask[:, :, None] & mask[:, None]).triu(1)


def total(
    nodes: Float[Tensor, "batch nodes"], edges: Float[Tensor, "batch nodes nodes"], mask: Tensor
) -> Float[Tensor, " batch"]:
    """The sum over real nodes and over pairs of them, each once."""
    return torch.where(mask, nodes, 0.0).sum(1) + torch.where(pairs_of(mask), edges, 0.0).flatten(1).sum(1)


def log_joint(log_probabilities: Features, x: DenseGraphs) -> Float[Tensor, " batch"]:
    """The logarithm of the joint probability of all types of ``x``, from the logarithms of each."""
    nodes = log_probabilities.nodes.gather(-1, x.colors[..., None])[..., 0]
    edges = log_probabilities.edges.gather(-1, x.pairs[..., None])[..., 0]
    return total(nodes, edges, x.mask)


def drawn(probabilities: Features, mask: Tensor, generator: torch.Generator | None) -> DenseGraphs:
    """Draw every real node, and every pair of them once."""
    colors = torch.zeros_like(mask, dtype=torch.int64)
    colors[mask] = draw(probabilities.nodes[mask], generator)
    real = pairs_of(mask)
    pairs = torch.zeros_like(real, dtype=torch.int64)
    pairs[real] = draw(probabilities.edges[real], generator)
    return DenseGraphs(pairs + pairs.transpose(1, 2), colors, mask)
