r"""A learned kernel for graphs: a network scores the nodes, the scores are perturbed, and the nodes sorted."""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sympe.graphs import Graphs
from sympe.graphs.checks import check_sizes, fixes_padding, without_spare_padding
from sympe.groups import Permutations
from sympe.groups.checks import check_integer, check_kind
from sympe.kernels.base import RelaxedPermutationKernel, uniform

_LISTED = 8
"""Largest graphs whose orders are all listed for the entropy."""


class NodeScoreKernel(nn.Module, RelaxedPermutationKernel):
    r"""Nodes sorted by learned scores with Gumbel noise: a Plackett-Luce distribution of their orders.

    .. math:: \kappa(g \mid x) = \prod_r \frac{\exp(s_{g_r} / \tau)}{\sum_{r' \ge r} \exp(s_{g_{r'}} / \tau)},
       \qquad s = s_\varphi(x) .

    Equivariant whenever the scores are node features, :math:`s(px)_{p_i} = s(x)_i`, as a network on graphs gives them.
    Nodes that an automorphism exchanges have the same score and are ordered at random, as it must be; a small
    :math:`\tau` leaves little noise for the others. Gradients reach :math:`\varphi` through :meth:`sample_relaxed`, by
    SoftSort.

    Arguments:
        network: maps graphs to scores ``(batch, nodes)``, at least as many as the largest graph has; what stands in
            the padding does not matter.
        max_nodes: the degree of the group; smaller graphs are padded, and the padding stays where it is.
        temperature: :math:`\tau`, in the units of the scores.
        softness: temperature of SoftSort, in the units of the perturbed scores.

    Raises:
        ValueError: if a number is not positive; on use, if the scores have another shape or are not finite.

    References:
        Lawrence et al. (arXiv 2503.21985), Algorithm 1 (h_phi); Prillo & Eisenschlos, "SoftSort", ICML 2020.

    Example:
        >>> from sympe.graphs import DenseGraphs
        >>> class Degrees(nn.Module):
        ...     def forward(self, x):
        ...         return x.dense().pairs.ne(0).sum(2).float()
        >>> kernel = NodeScoreKernel(Degrees(), max_nodes=4, temperature=1e-3)
        >>> star = DenseGraphs.from_features(torch.tensor([[[0, 1, 1], [1, 0, 0], [1, 0, 0]]]))
        >>> kernel.sample(star)[:, [0, 3]], kernel.entropy(star).exp().round()  # centre, padding; two leaves tie
        (tensor([[0, 3]]), tensor([2.]))
    """

    def __init__(self, network: nn.Module, max_nodes: int, *, temperature: float = 1.0, softness: float = 1.0) -> None:
        super().__init__()
        check_kind("network", network, nn.Module)
        for name, value in (("temperature", temperature), ("softness", softness)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name}: expected a positive number, got {value}")
        self.network = network
        check_integer("max_nodes", max_nodes)
        self._group = Permutations(max_nodes)
        self.temperature = temperature
        self.softness = softness

    def extra_repr(self) -> str:
        """The numbers."""
        return f"max_nodes={self.group.degree}, temperature={self.temperature}, softness={self.softness}"

    @property
    def group(self) -> Permutations:
        """The permutations of ``max_nodes`` nodes."""
        return self._group

    def scores(self, x: Graphs) -> Float[Tensor, "batch max_nodes"]:
        """The scores over the temperature; minus infinity in the padding.

        Raises:
            ValueError: if the network gives another shape, or NaN or infinity for a node.
        """
        scores, dtype = self._scores(x)
        return scores.to(dtype)

    def _scores(self, x: Graphs) -> tuple[Tensor, torch.dtype]:
        """In double precision, for at small temperatures single would round the noise away; and the network's type."""
        sizes = check_sizes(x, self.group.degree)
        scores: Tensor = self.network(without_spare_padding(x, self.group.degree))
        n = int(sizes.max()) if len(sizes) else 0
        if scores.dim() != 2 or scores.shape[0] != len(x) or not n <= scores.shape[1] <= self.group.degree:
            raise ValueError(
                f"network: expected scores of shape ({len(x)}, {n} to {self.group.degree}), got {tuple(scores.shape)}"
            )
        dtype = scores.dtype
        real = torch.arange(scores.shape[1], device=scores.device) < sizes[:, None]
        if not bool(scores[real].isfinite().all()):
            raise ValueError("network: expected finite scores, got NaN or infinity")
        scores = torch.where(real, scores.double() / self.temperature, -torch.inf)
        return nn.functional.pad(scores, (0, self.group.degree - scores.shape[1]), value=-torch.inf), dtype

    def sample(self, x: Graphs, *, generator: torch.Generator | None = None) -> Int64[Tensor, "batch max_nodes"]:
        """Draw an order of the nodes of every graph, without gradients; the padding stays in place."""
        with torch.no_grad():
            return _descending(_perturbed(self._scores(x)[0], generator))

    def sample_relaxed(
        self, x: Graphs, *, generator: torch.Generator | None = None
    ) -> tuple[Int64[Tensor, "batch max_nodes"], Float[Tensor, "batch max_nodes max_nodes"]]:
        r"""A sample g, and the soft permutation of SoftSort: row i spreads node i over the places.

        .. math:: S_{i, r} \propto \exp(-|\tilde s_i - \tilde s_{g_r}|), \quad \sum_i S_{i, r} = 1

        with the perturbed scores over ``softness``.
        """
        scores, dtype = self._scores(x)
        perturbed = _perturbed(scores, generator)
        g = _descending(perturbed.detach())
        real = scores.isfinite()
        level = torch.where(real, perturbed, 0.0) / self.softness
        distance = (level[:, :, None] - level.gather(1, g)[:, None]).abs()
        soft = (-distance).masked_fill(~real[:, :, None], -torch.inf)
        soft = torch.where(real[:, None], soft, 0.0).softmax(1)
        return g, torch.where(real[:, :, None] & real[:, None], soft, 0.0).to(dtype)

    def log_prob(self, g: Int64[Tensor, "batch max_nodes"], x: Graphs) -> Float[Tensor, " batch"]:
        """The log-probability of ``g``; differentiable.

        Raises:
            ValueError: if ``g`` does not hold permutations of ``max_nodes`` nodes.
        """
        self.group.check(g)
        scores, dtype = self._scores(x)
        return self._log_prob(g, scores, x).to(dtype)

    def entropy(self, x: Graphs) -> Float[Tensor, " batch"]:
        """The entropy in nats, by listing all orders; differentiable.

        Raises:
            ValueError: if a graph has more than 8 nodes: no closed form is known.
        """
        sizes = check_sizes(x, self.group.degree)
        if len(sizes) and int(sizes.max()) > _LISTED:
            row = int(sizes.argmax())
            raise ValueError(
                f"x: the entropy is known for graphs of at most {_LISTED} nodes; graph {row} has {int(sizes[row])}"
            )
        scores, dtype = self._scores(x)
        entropy = torch.zeros(len(x), dtype=scores.dtype, device=scores.device)
        for n in sizes.unique().tolist():
            rows = (sizes == n).nonzero().squeeze(1)
            for order in itertools.permutations(range(n)):
                g = torch.tensor([*order, *range(n, self.group.degree)], device=scores.device).expand(len(rows), -1)
                log_p = self._log_prob(g, scores[rows], x.select(rows))
                entropy = entropy.index_add(0, rows, -log_p.exp() * log_p)
        return entropy.to(dtype)

    def _log_prob(self, g: Tensor, scores: Tensor, x: Graphs) -> Tensor:
        ordered = scores.gather(1, g)
        left = ordered.flip(1).logcumsumexp(1).flip(1)
        terms = torch.where(ordered.isfinite(), ordered - left, 0.0)
        return torch.where(fixes_padding(g, x), terms.sum(1), -torch.inf)


def _perturbed(scores: Tensor, generator: torch.Generator | None) -> Tensor:
    gumbel = -(-uniform(scores.shape, scores, generator).clamp(min=1e-300).log()).log()
    return scores + gumbel


def _descending(perturbed: Tensor) -> Tensor:
    """Largest first; minus infinity, the padding, last and in place."""
    return perturbed.argsort(dim=1, descending=True, stable=True)
