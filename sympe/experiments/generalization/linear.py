r"""Least squares on one-hot features of the pieces: expected risks in closed form, and by simulation.

An equivariant function of (x, (g', k)) has one value :math:`\theta` in R^4 on each of the K pieces of an orbit
(:mod:`~sympe.experiments.generalization.task`), :math:`f = g'\,\theta`. Least squares (of least norm) takes for it the
mean of :math:`g'^{-1} y` over the samples in the piece, or 0 if there is none. A piece has the probability
p = P(orbit) / K, and there :math:`g'^{-1} y` has a mean of norm :math:`|\bar m|` and variance :math:`\tau^2`. With n
the number of samples in the piece, binomial with N and p, the expected risks are

.. math::
   \mathbb{E} R_{\text{test}} &= \sum_{\text{pieces}} p\,\bigl[\tau^2 + \tau^2\,\mathbb{E}[1_{n > 0} / n]
      + (1 - p)^N |\bar m|^2\bigr], \\
   \mathbb{E} R_{\text{train}} &= \sum_{\text{pieces}} \bigl[p - (1 - (1 - p)^N) / N\bigr]\, \tau^2 ,

so for large N the generalization gap is :math:`\tfrac{2}{N} \sum K \tau^2`, and grows as
:math:`\exp(H - \log |G_x|)` with the entropy of the encoding. *Unconstrained*: every pair (x, g) is a piece, |G| in
each orbit. *Redrawn*: if (j, k) is drawn anew each time that a sample is used, as in the training of a network,
every sample comes to all pieces of its orbit, and the risk is that of *sympe*: needless entropy costs data only where
its draws are kept. *None*: f has to be fixed by :math:`G_x`; the mean of :math:`c(x)^{-1} y` over :math:`G_\gamma` is
estimated from all samples of the orbit, and what it leaves over is the floor.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sympe.experiments.generalization import task
from sympe.experiments.generalization.config import SIZES, GeneralizationConfig
from sympe.randomness import seeded

TEST = 500
"""Fresh samples that judge each fit."""

REDRAWS = 16
"""All (j, k) of *noise-redrawn*: four steps, of which inputs with fewer take each as often, and four copies."""

PIECES = 16 * 8
"""Room for the pieces of all encodings: 16 patterns, times the elements of the group or the copies."""


def expected_risks(encoding: str, count: int) -> tuple[float, float]:
    """The expected risks on the test and on the training set of ``count`` samples.

    Example:
        >>> test, train = expected_risks("sympe", 1000)
        >>> noise = float(task.orbits().variance.mean())
        >>> train < noise < test
        True
    """
    o = task.orbits()
    encoding = "sympe" if encoding == "noise-redrawn" else encoding
    if encoding == "none":
        sizes, square, variance, rest = torch.ones(4, dtype=torch.int64), o.fixed_mean, o.fixed_variance, o.rest
    else:
        square = o.mean.square().flatten(1).sum(1)
        sizes, variance, rest = task.pieces(encoding), o.variance, torch.zeros(4, dtype=torch.float64)
    test = train = 0.0
    for K, m, tau, floor in zip(sizes.tolist(), square.tolist(), variance.tolist(), rest.tolist(), strict=True):
        p = 1 / (4 * K)
        empty = (1 - p) ** count
        test += 0.25 * floor + K * p * (tau * (1 + _mean_inverse(count, p)) + empty * m)
        train += 0.25 * floor + K * (p - (1 - empty) / count) * tau
    return test, train


def _mean_inverse(count: int, p: float) -> float:
    """E[1/n; n > 0] for n binomial."""
    n = torch.arange(1, count + 1, dtype=torch.float64)
    log_choose = math.lgamma(count + 1) - torch.lgamma(n + 1) - torch.lgamma(count - n + 1)
    log_p = n * math.log(p) + (count - n) * math.log1p(-p)
    return float(((log_choose + log_p).exp() / n).sum())


def simulate(encoding: str, count: int, repeats: int, generator: torch.Generator) -> Float[Tensor, "repeats 2"]:
    """The risks on fresh samples and on the training set, for each of so many training sets."""
    training, test = (task.draw(repeats * n, generator) for n in (count, TEST))
    row, test_row = torch.arange(repeats).repeat_interleave(count), torch.arange(repeats).repeat_interleave(TEST)
    seen = torch.zeros(repeats, PIECES, dtype=torch.float64)
    theta = torch.zeros(repeats, PIECES, 4, dtype=torch.float64)
    for draw in range(REDRAWS if encoding == "noise-redrawn" else 1):
        own, answers, floor = _in_place(training, encoding, generator, draw)
        seen.index_put_((row, own), torch.ones(len(row), dtype=torch.float64), accumulate=True)
        theta.index_put_((row, own), answers, accumulate=True)
    theta /= seen.clamp(min=1).unsqueeze(2)
    other, wanted, rest = _in_place(test, encoding, generator)
    risks = [
        (target - theta[rows, piece]).square().sum(1).add(left).view(repeats, -1).mean(1)
        for rows, piece, target, left in ((test_row, other, wanted, rest), (row, own, answers, floor))
    ]
    return torch.stack(risks, 1)


def _in_place(
    samples: task.Samples, encoding: str, generator: torch.Generator, draw: int | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The piece of each sample, its answer moved to the piece's position, and what no f of the class can reach.

    With ``draw``, *noise-redrawn* takes that one of all its draws, which are equally likely.
    """
    y = samples.y.double()
    nothing = torch.zeros(len(y), dtype=torch.float64)
    if encoding == "unconstrained":
        return number(samples.x) * task.GROUP.order + samples.g, y.flatten(1), nothing
    if encoding == "none":
        c = task.KERNEL.canonicalize(samples.x)
        back = task.SQUARE(task.GROUP.inverse(c), y)
        fixes = task.KERNEL.stabilizer(task.SQUARE(task.GROUP.inverse(c), samples.x)).double()
        every = torch.stack([task.SQUARE(s, back) for s in task.GROUP.elements()], 1)
        mean = (every * fixes[:, :, None, None, None]).sum(1) / fixes.sum(1)[:, None, None, None]
        return samples.orbit, mean.flatten(1), (back - mean).square().flatten(1).sum(1)
    chosen = draw if encoding == "noise-redrawn" else None
    g, k = task.spread_out(samples, encoding, generator, draw=chosen)
    back = task.GROUP.inverse(g)
    place = number(task.SQUARE(back, samples.x))
    return place * task.LADDER[encoding][1] + k, task.SQUARE(back, y).flatten(1), nothing


def number(x: Tensor) -> Tensor:
    """A number from 0 to 15 for each pattern."""
    return (x.flatten(1) > 0.5).long() @ torch.tensor([8, 4, 2, 1])


def measure(config: GeneralizationConfig) -> dict[str, Any]:
    """The numbers of a row: for each number of samples, expected and simulated risks with their standard errors."""
    ladder = []
    for count in SIZES:
        generator = seeded("generalization", config.encoding, config.seed, count)
        risks = simulate(config.encoding, count, config.repeats, generator)
        test, train = expected_risks(config.encoding, count)
        gap = risks[:, 0] - risks[:, 1]
        ladder.append({"samples": count, "expected_test": test, "expected_train": train, "expected_gap": test - train})
        for name, values in (("test", risks[:, 0]), ("train", risks[:, 1]), ("gap", gap)):
            ladder[-1][name] = float(values.mean())
            ladder[-1][f"{name}_error"] = float(values.std() / config.repeats**0.5)
    return {"ladder": ladder, "entropy": task.kernel_entropy(config.encoding)}
