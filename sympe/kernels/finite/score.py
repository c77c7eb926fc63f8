"""A learned kernel: scores for the group elements."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sympe.groups import FiniteGroup
from sympe.groups.checks import check_batch, check_kind
from sympe.kernels.base import RelaxedKernel, uniform
from sympe.tolerance import Tolerance


class ScoreKernel(nn.Module, RelaxedKernel):
    r"""A learned kernel from a network's scores, :math:`\kappa(g \mid x) \propto \exp(s_\varphi(x)[g] / \tau)`.

    Equivariant whenever the scores are functions on the group that move with x, :math:`s(hx)[hg] = s(x)[g]`, as a
    network into the regular representation gives them. Samples are drawn by Gumbel-max; at :math:`\tau = 0` uniformly
    over the ties of the largest score. Gradients reach :math:`\varphi` through :meth:`sample_weights`.

    Arguments:
        network: maps (batch, ...) to scores of shape ``(batch, *group.layout)``.
        group: the group.
        temperature: :math:`\tau`, at least 0.
        tolerance: at temperature 0, scores tie where sorted neighbours, from the largest on, differ by at most this,
            relative to the largest score of x by size (:mod:`sympe.tolerance`).

    Raises:
        ValueError: if ``temperature`` or ``tolerance`` is negative or not finite.

    References:
        Lawrence et al. (arXiv 2503.21985), Algorithm 1 (h_phi); Kaba et al., "Equivariance with learned
        canonicalization functions", ICML 2023.

    Example:
        >>> import torch
        >>> from sympe.actions import GridAction
        >>> from sympe.groups import P4M
        >>> from sympe.nn import P4MNet
        >>> network = P4MNet(GridAction, channels=2, blocks=1, out="regular")
        >>> kernel = ScoreKernel(network, P4M(4))
        >>> kernel.sample(torch.randn(3, 1, 4, 4)).shape
        torch.Size([3])
    """

    def __init__(
        self, network: nn.Module, group: FiniteGroup, *, temperature: float = 1.0, tolerance: float | Tolerance = 1e-5
    ) -> None:
        super().__init__()
        check_kind("network", network, nn.Module)
        check_kind("group", group, FiniteGroup)
        if not 0 <= temperature < float("inf"):
            raise ValueError(f"temperature: expected a finite number >= 0, got {temperature}")
        self.network = network
        self._group = group
        self.temperature = temperature
        self.tolerance = Tolerance.of(tolerance)

    def extra_repr(self) -> str:
        """The group and the numbers."""
        return f"{self.group!r}, temperature={self.temperature}, tolerance={self.tolerance}"

    @property
    def group(self) -> FiniteGroup:
        """The group."""
        return self._group

    def scores(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch order"]:
        """The score of every element.

        Raises:
            TypeError: if ``x`` is no batch.
            ValueError: if the network gives another number of scores than the group has elements, or NaN or infinity.
        """
        check_batch(x)
        scores: Tensor = self.network(x).flatten(1)
        if scores.shape != (len(x), self.group.order):
            raise ValueError(
                f"network: expected {self.group.order} scores for each of {len(x)} inputs, got {tuple(scores.shape)}"
            )
        if not bool(scores.isfinite().all()):
            raise ValueError("network: expected finite scores, got NaN or infinity")
        return scores

    def log_probs(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch order"]:
        """The log-probability of every element, in nats."""
        return self._log_probs(self.scores(x))

    def sample(
        self, x: Float[Tensor, "batch ..."], *, generator: torch.Generator | None = None
    ) -> Int64[Tensor, " batch"]:
        """Draw one element for every x, without gradients."""
        with torch.no_grad():
            return _gumbel_max(self.log_probs(x), generator)

    def sample_weights(
        self, x: Float[Tensor, "batch ..."], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch order"]:
        """One-hot samples with the gradient of the probabilities (at temperature 0, of those at temperature 1)."""
        scores = self.scores(x)
        g = _gumbel_max(self._log_probs(scores.detach()), generator)
        soft = ((scores - scores.amax(1, keepdim=True).detach()) / (self.temperature or 1.0)).softmax(1)
        return nn.functional.one_hot(g, self.group.order).to(soft.dtype) + (soft - soft.detach())

    def log_prob(self, g: Int64[Tensor, " batch"], x: Float[Tensor, "batch ..."]) -> Float[Tensor, " batch"]:
        """The log-probability of ``g``; differentiable at positive temperature."""
        self.group.check(g)
        return self.log_probs(x).gather(1, g.unsqueeze(1)).squeeze(1)

    def entropy(self, x: Float[Tensor, "batch ..."]) -> Float[Tensor, " batch"]:
        """The entropy in nats; differentiable at positive temperature."""
        log_p = self.log_probs(x)
        return -(log_p.exp() * log_p.clamp(min=torch.finfo(log_p.dtype).min)).sum(1)

    def _log_probs(self, scores: Tensor) -> Tensor:
        if self.temperature > 0:
            return ((scores - scores.amax(1, keepdim=True)) / self.temperature).log_softmax(1)
        ordered = scores.sort(1, descending=True).values
        tied = torch.ones_like(ordered, dtype=torch.bool)
        gap = self.tolerance.gap(scores.abs().amax(1, keepdim=True))
        tied[:, 1:] = (-ordered.diff(dim=1) <= gap).cumprod(1).bool()
        least = ordered.masked_fill(~tied, torch.inf).amin(1, keepdim=True)
        ties = scores >= least
        return torch.where(ties, -ties.sum(1, keepdim=True).to(scores.dtype).log(), -torch.inf)


def _gumbel_max(log_p: Tensor, generator: torch.Generator | None) -> Tensor:
    gumbel = -(-uniform(log_p.shape, log_p, generator).clamp(min=1e-300).log()).log()
    return (log_p + gumbel).argmax(1)
