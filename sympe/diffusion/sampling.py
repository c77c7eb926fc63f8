"""Ancestral sampling: from noise to graphs, one reverse step after the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import torch

from sympe.diffusion.bound import Denoiser
from sympe.diffusion.graphs import GraphNoise, drawn
from sympe.graphs import DenseGraphs


@torch.no_grad()
def sample_graphs(
    denoiser: Denoiser,
    noise: GraphNoise,
    x: DenseGraphs,
    *,
    steps: int | None = None,
    generator: torch.Generator | None = None,
    progress: Callable[[Iterable[tuple[int, int]]], Iterable[tuple[int, int]]] = iter,
) -> DenseGraphs:
    """Draw clean graphs.

    Arguments:
        denoiser: predicts the clean graph.
        noise: the forward process.
        x: graphs at time T, from :meth:`GraphNoise.sample_limit`.
        steps: how many reverse steps, spread evenly over the times; None for all T.
        generator: draws everything.
        progress: wraps the pairs of times that are walked through, such as tqdm.

    Raises:
        ValueError: if ``steps`` is not between 1 and T, or a graph has no node.

    Example:
        >>> from sympe.diffusion import CategoricalNoise, Features, cosine_schedule
        >>> noise = GraphNoise(CategoricalNoise.uniform(4), CategoricalNoise.absorbing(2), cosine_schedule(50))
        >>> def guess(x, t, *, generator=None):
        ...     return Features(torch.zeros(*x.colors.shape, 4), torch.zeros(*x.pairs.shape, 2))
        >>> sample_graphs(guess, noise, noise.sample_limit(torch.tensor([3, 5])), steps=10).sizes
        tensor([3, 5])
    """
    steps = noise.steps if steps is None else steps
    if not 1 <= steps <= noise.steps:
        raise ValueError(f"steps: expected 1 to {noise.steps}, got {steps}")
    if len(x) and int(x.sizes.min()) < 1:
        raise ValueError(f"x: expected graphs of at least 1 node, got one of {int(x.sizes.min())}")
    times = torch.linspace(noise.steps, 0, steps + 1).round().long().tolist()
    for t, s in progress(list(itertools.pairwise(times))):
        now, then = torch.full_like(x.sizes, t), torch.full_like(x.sizes, s)
        prediction = noise.predict(denoiser(x, now, generator=generator), x, now)
        x = drawn(noise.reverse_probabilities(prediction, x, then, now), x.mask, generator)
    return x
