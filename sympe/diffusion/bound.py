r"""What a denoiser is trained on, and the bound of the likelihood that it gives.

For a graph x_0 with n nodes, drawn with probability p(n),

.. math:: -\log p(x_0) \le -\log p(n) + \mathrm{KL}\bigl(q(x_T \mid x_0) \,\|\, m\bigr)
   + \sum_{t=1}^T \mathbb{E}_{q(x_t \mid x_0)}\,
   \mathrm{KL}\bigl(q(x_{t-1} \mid x_t, x_0) \,\|\, p(x_{t-1} \mid x_t)\bigr) ;

the term t = 1 is the reconstruction :math:`-\log p(x_0 \mid x_1)`, for x_0 itself is the clean graph. Each pair of
nodes counts once, and the graph is labelled: its isomorphism class has :math:`n! / |\mathrm{Aut}(x_0)|` labellings.

A denoiser that draws g (SymPE, noise) has :math:`p(x_s \mid x_t) = \mathbb{E}_g\, p(x_s \mid x_t, g)`, where p(. | g)
is a product over nodes and pairs, and its average is not. One draw still gives a bound; K draws give a tighter one,

.. math:: \mathbb{E}_{q(x_s \mid x_t, x_0)}\, \mathbb{E}_{g_1, \dots, g_K} \Bigl[\log q(x_s \mid x_t, x_0)
   - \log \tfrac1K \sum_k p(x_s \mid x_t, g_k)\Bigr] .

It is estimated as the mean of the K divergences, which are sums over types, less what the mixture gains at one x_s:

.. math:: \log \tfrac1K \sum_k p(x_s \mid x_t, g_k) - \tfrac1K \sum_k \log p(x_s \mid x_t, g_k) \ge 0

has little variance, where :math:`\log q(x_s \mid x_t, x_0)` has much.

All of this is in logarithms and in double precision, whatever the denoiser computes in: sums over T = 500 steps in
single precision are 0.004 nats too high, and a logit that is 104 below another makes them infinite.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy

from sympe.diffusion.graphs import (
    Features,
    GraphNoise,
    divergence,
    drawn,
    log_divergence,
    log_joint,
    pairs_of,
    total,
)
from sympe.graphs import DenseGraphs
from sympe.randomness import draw_numbers


@runtime_checkable
class Denoiser(Protocol):
    """Anything that predicts clean graphs from noisy ones: most often a module with a backbone and an encoding."""

    def __call__(
        self, x: DenseGraphs, t: Int64[Tensor, " batch"], *, generator: torch.Generator | None = None
    ) -> Features:
        """Logits of the types of the clean graph, one draw of the encoding for each noisy graph at time ``t``."""


def training_loss(
    denoiser: Denoiser,
    noise: GraphNoise,
    x: DenseGraphs,
    *,
    edge_weight: float = 5.0,
    generator: torch.Generator | None = None,
) -> Float[Tensor, ""]:
    """The cross-entropy of the clean types at random times: its mean over nodes, and over pairs with a weight.

    Arguments:
        denoiser: is trained.
        noise: the forward process.
        x: clean graphs.
        edge_weight: of the mean over pairs.
        generator: draws the times and the noise, and what the denoiser draws.

    References:
        Vignac et al., ICLR 2023, Equation 2 (with the weight 5).
    """
    t = draw_numbers(torch.randint, 1, noise.steps + 1, (len(x),), generator=generator, device=x.device)
    return denoising_loss(denoiser(noise.sample(x, t, generator=generator), t, generator=generator), x, edge_weight)


def denoising_loss(logits: Features, x: DenseGraphs, edge_weight: float = 5.0) -> Float[Tensor, ""]:
    """The cross-entropy of the clean types: its mean over nodes, and ``edge_weight`` times that over pairs."""
    pairs = pairs_of(x.mask)
    if not bool(x.mask.any()):
        return logits.nodes.sum() * 0  # of no nodes; a mean would be NaN
    nodes = cross_entropy(logits.nodes[x.mask], x.colors[x.mask])
    if not bool(pairs.any()):
        return nodes
    return nodes + edge_weight * cross_entropy(logits.edges[pairs], x.pairs[pairs])


@torch.no_grad()
def nll(
    denoiser: Denoiser,
    noise: GraphNoise,
    x: DenseGraphs,
    log_sizes: Float[Tensor, " sizes"],
    *,
    times: int | None = None,
    chain: Sequence[int] | None = None,
    draws: int = 1,
    last: DenseGraphs | None = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, " batch"]:
    """An unbiased estimate of the bound for every graph, in nats.

    Arguments:
        denoiser: predicts.
        noise: the forward process.
        x: clean graphs.
        log_sizes: log p(n) for n = 0, 1, ...
        times: how many steps of the chain each graph is judged at, spread evenly with a random start; None for all.
        chain: the times that the chain visits, from T down to 0 (:func:`~sympe.diffusion.reverse_times`): with few
            steps it is another model, with a bound of its own. None for all.
        draws: K, of the denoiser's own randomness.
        last: x_T, if it is known already, as where the denoiser has a g that was drawn from it.
        generator: draws everything.

    Raises:
        ValueError: if a graph is not clean or has a size of probability 0, ``times`` is not between 1 and the number of
            steps, the chain does not fall from T to 0, ``draws < 1``, or ``last`` has other sizes or another padding
            than ``x``.
    """
    noise.check(x)
    if draws < 1:
        raise ValueError(f"draws: expected at least 1, got {draws}")
    exact = copy.deepcopy(noise).double()

    def term(s: Tensor, t: Tensor) -> Tensor:
        x_t = noise.sample(x, t, last=last, generator=generator)
        true = exact.reverse_probabilities(exact.certain(x), x_t, s, t)

        def step() -> Features:
            logits = denoiser(x_t, t, generator=generator)
            return exact.reverse_log_probabilities(_double(logits), x_t, s, t)

        steps = [step() for _ in range(draws)]
        mean = torch.stack([_log_divergence(true, log_p, x.mask) for log_p in steps]).mean(0)
        if draws == 1:
            return mean
        x_s = drawn(true, x.mask, generator)
        log_p = torch.stack([log_joint(step, x_s) for step in steps])
        return mean - (log_p.logsumexp(0) - math.log(draws) - log_p.mean(0))

    return exact.prior_divergence(x) + size_nll(x, log_sizes) + _over_times(term, noise, x, times, chain, generator)


@torch.no_grad()
def nll_digress(
    denoiser: Denoiser,
    noise: GraphNoise,
    x: DenseGraphs,
    log_sizes: Float[Tensor, " sizes"],
    *,
    times: int | None = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, " batch"]:
    """The number that DiGress reports, only to compare with published ones: no bound for the chain that is sampled.

    Against :func:`nll` each pair counts twice, and the prediction is put into the formula of the posterior as if it
    were the clean graph (:meth:`CategoricalNoise.digress_probabilities`). The steps of that formula make another chain,
    for which it is a bound, a loose one; under absorbing noise the two chains are the same. Arguments and errors are
    those of :func:`nll`.

    References:
        Vignac et al., ICLR 2023, Appendix C, and their code.
    """
    noise.check(x)
    exact = copy.deepcopy(noise).double()

    def term(s: Tensor, t: Tensor) -> Tensor:
        x_t = noise.sample(x, t, generator=generator)
        true = exact.reverse_probabilities(exact.certain(x), x_t, s, t)
        prediction = exact.predict(_double(denoiser(x_t, t, generator=generator)), x_t, t)
        p = exact.digress_probabilities(prediction, x_t, s, t)
        return total(divergence(true.nodes, p.nodes), 2.0 * divergence(true.edges, p.edges), x.mask)

    return exact.prior_divergence(x) + size_nll(x, log_sizes) + _over_times(term, noise, x, times, None, generator)


def _log_divergence(q: Features, log_p: Features, mask: Tensor) -> Float[Tensor, " batch"]:
    return total(log_divergence(q.nodes, log_p.nodes), log_divergence(q.edges, log_p.edges), mask)


def _double(logits: Features) -> Features:
    return Features(logits.nodes.double(), logits.edges.double())


def chain_of(noise: GraphNoise, chain: Sequence[int] | None) -> list[int]:
    """The times that a chain visits, from T down to 0; None for all.

    Raises:
        ValueError: if they do not fall from T to 0.
    """
    times = list(range(noise.steps, -1, -1)) if chain is None else [int(t) for t in chain]
    falls = all(t > s for t, s in itertools.pairwise(times))
    if not falls or len(times) < 2 or (times[0], times[-1]) != (noise.steps, 0):
        raise ValueError(f"chain: expected times that fall from {noise.steps} to 0, got {times}")
    return times


def _over_times(
    term: Callable[[Tensor, Tensor], Tensor],
    noise: GraphNoise,
    x: DenseGraphs,
    times: int | None,
    chain: Sequence[int] | None,
    generator: torch.Generator | None,
) -> Float[Tensor, " batch"]:
    """The sum of a term over the steps of a chain, or as many times its mean over evenly spread ones."""
    visited = torch.tensor(chain_of(noise, chain)[::-1], device=x.device)
    steps = len(visited) - 1
    count = steps if times is None else times
    if not 1 <= count <= steps:
        raise ValueError(f"times: expected 1 to {steps}, got {times}")
    start = draw_numbers(torch.rand, len(x), generator=generator, device=x.device, dtype=torch.float64)
    result = torch.zeros(len(x), device=x.device, dtype=torch.float64)
    for number in range(count):
        place = ((number + start) * steps / count).long().clamp(max=steps - 1)
        result += term(visited[place], visited[place + 1])
    return result * (steps / count)


def size_nll(x: DenseGraphs, log_sizes: Tensor) -> Float[Tensor, " batch"]:
    """-log p(n)."""
    sizes = x.sizes
    known = sizes < len(log_sizes)
    log_p = torch.where(known, log_sizes[sizes.clamp(max=len(log_sizes) - 1)], -torch.inf)
    if bool((log_p == -torch.inf).any()):
        row = int((log_p == -torch.inf).nonzero()[0])
        raise ValueError(f"log_sizes: graph {row} has {int(sizes[row])} nodes, a size of probability 0")
    return -log_p
