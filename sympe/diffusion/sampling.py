"""Ancestral sampling: from noise to graphs, one reverse step after the other; and which times a chain visits."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import torch

from sympe.diffusion.bound import Denoiser, chain_of
from sympe.diffusion.graphs import GraphNoise, drawn
from sympe.graphs import DenseGraphs


def reverse_times(noise: GraphNoise, steps: int, spacing: Literal["times", "entries"] = "times") -> list[int]:
    """The times that a chain of so many reverse steps visits, from T down to 0.

    Arguments:
        noise: the forward process.
        steps: how many.
        spacing: "times" spreads them evenly over 0 to T; "entries" so that each step settles an equal share of the
            nodes and pairs, that is evenly over the share of signal, as far as whole times allow.

    Raises:
        ValueError: if ``steps`` is not between 1 and T, or the spacing is another word.

    Example:
        >>> from sympe.diffusion import CategoricalNoise, cosine_schedule
        >>> noise = GraphNoise(CategoricalNoise.uniform(4), CategoricalNoise.absorbing(2), cosine_schedule(100))
        >>> reverse_times(noise, 4), reverse_times(noise, 4, "entries")
        ([100, 75, 50, 25, 0], [100, 66, 50, 33, 0])
    """
    if not 1 <= steps <= noise.steps:
        raise ValueError(f"steps: expected 1 to {noise.steps}, got {steps}")
    if spacing not in ("times", "entries"):
        raise ValueError(f"spacing: expected times or entries, got {spacing!r}")
    if spacing == "times":
        return [int(t) for t in torch.linspace(noise.steps, 0, steps + 1).round()]
    shares = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    nearest = (noise.schedule.double().cpu() - shares[:, None]).abs().argmin(1).tolist()
    times = [noise.steps]
    for number, t in enumerate(nearest[1:], 1):  # strictly down, with room for the steps that are left
        times.append(max(min(t, times[-1] - 1), steps - number))
    return times


@torch.no_grad()
def sample_graphs(
    denoiser: Denoiser,
    noise: GraphNoise,
    x: DenseGraphs,
    *,
    steps: int | Sequence[int] | None = None,
    generator: torch.Generator | None = None,
    progress: Callable[[Iterable[tuple[int, int]]], Iterable[tuple[int, int]]] = iter,
) -> DenseGraphs:
    """Draw clean graphs.

    Arguments:
        denoiser: predicts the clean graph.
        noise: the forward process.
        x: graphs at time T, from :meth:`GraphNoise.sample_limit`.
        steps: how many reverse steps, spread evenly over the times; or the times that are visited, from T down to 0
            (:func:`reverse_times`); None for all T.
        generator: draws everything.
        progress: wraps the pairs of times that are walked through, such as tqdm.

    Raises:
        ValueError: if ``steps`` is not between 1 and T or its times do not fall from T to 0, or a graph has no node.

    Example:
        >>> from sympe.diffusion import CategoricalNoise, Features, cosine_schedule
        >>> noise = GraphNoise(CategoricalNoise.uniform(4), CategoricalNoise.absorbing(2), cosine_schedule(50))
        >>> def guess(x, t, *, generator=None):
        ...     return Features(torch.zeros(*x.colors.shape, 4), torch.zeros(*x.pairs.shape, 2))
        >>> sample_graphs(guess, noise, noise.sample_limit(torch.tensor([3, 5])), steps=10).sizes
        tensor([3, 5])
    """
    times = reverse_times(noise, steps) if isinstance(steps, int) else chain_of(noise, steps)
    if len(x) and int(x.sizes.min()) < 1:
        raise ValueError(f"x: expected graphs of at least 1 node, got one of {int(x.sizes.min())}")
    for t, s in progress(list(itertools.pairwise(times))):
        now, then = torch.full_like(x.sizes, t), torch.full_like(x.sizes, s)
        prediction = noise.predict(denoiser(x, now, generator=generator), x, now)
        x = drawn(noise.reverse_probabilities(prediction, x, then, now), x.mask, generator)
    return x
