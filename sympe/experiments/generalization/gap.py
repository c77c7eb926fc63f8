r"""What an average over the group gains: :math:`R(f) - R(Qf) = \|f - Qf\|^2`, exactly.

With squared loss, and Qf the average of f over G acting on (x, g) and on the answer,

.. math:: Qf(x, g) = \tfrac{1}{|G|} \textstyle\sum_h h\, f(h^{-1} x, h^{-1} g), \qquad
   R(f) - R(Qf) = \mathbb{E}\,|f(X, g) - Qf(X, g)|^2 ,

for any f whatever, because the law of (X, g, Y) is invariant and :math:`\mathbb{E}[Y \mid X, g]` is equivariant: Q is
the projection on the equivariant functions. :math:`\mathbb{E}[Y \mid X, g] - Qf` is one of them, and f - Qf is
orthogonal to all.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sympe.experiments.generalization import task
from sympe.experiments.generalization.config import GeneralizationConfig
from sympe.experiments.generalization.linear import number
from sympe.randomness import seeded

SAMPLES = 20_000

Table = Float[Tensor, "patterns order 1 2 2"]
"""An f: its value at pattern (numbered 0 to 15) and g."""


def averaged(f: Table) -> Table:
    """Qf."""
    x, g = _patterns(), task.GROUP.elements()
    total = torch.zeros_like(f)
    for h in g:
        back = task.GROUP.inverse(h)
        total += task.SQUARE(h, f[number(task.SQUARE(back, x))[:, None], task.GROUP.compose(back, g)])
    return total / task.GROUP.order


def risk(f: Table, encoding: str) -> float:
    """R(f) by enumeration of the orbits, h, the cosets' elements and the steps of the ladder."""
    total, o = 0.0, task.orbits()
    for orbit in range(4):
        steps, symmetries = _orbit(orbit, encoding)
        gamma = task.KERNEL.canonical_form(task.PATTERNS[orbit : orbit + 1])
        errors = []
        for h in task.GROUP.elements():  # x = h gamma, and then g = h s for s in G_gamma
            for s in symmetries:
                g = task.GROUP.compose(h, s)
                drawn = task.GROUP.compose(g, steps)
                mean = task.SQUARE(g, o.mean[orbit])
                errors.append((f[number(task.SQUARE(h, gamma)), drawn] - mean).square().flatten(1).sum(1).mean())
        total += 0.25 * float(torch.stack(errors).mean() + o.variance[orbit])
    return total


def distance(f: Table, other: Table, encoding: str) -> float:
    """The mean of |f - f'|^2 over (X, g)."""
    total = 0.0
    for orbit in range(4):
        steps, symmetries = _orbit(orbit, encoding)
        gamma = task.KERNEL.canonical_form(task.PATTERNS[orbit : orbit + 1])
        apart = []
        for h in task.GROUP.elements():
            drawn = task.GROUP.compose(task.GROUP.compose(h, symmetries)[:, None], steps).flatten()
            place = number(task.SQUARE(h, gamma))
            apart.append((f[place, drawn] - other[place, drawn]).square().flatten(1).sum(1).mean())
        total += 0.25 * float(torch.stack(apart).mean())
    return total


def measure(config: GeneralizationConfig) -> dict[str, Any]:
    """The numbers of a row: both sides by enumeration, and the left one by samples, for a random f."""
    generator = seeded("generalization", "exact", config.encoding, config.seed)
    f = torch.randn(16, task.GROUP.order, 1, 2, 2, generator=generator, dtype=torch.float64)
    Qf = averaged(f)
    samples = task.draw(SAMPLES, generator)
    g, _ = task.spread_out(samples, config.encoding, generator)
    place = number(samples.x)
    losses = [(table[place, g] - samples.y).square().flatten(1).sum(1) for table in (f, Qf)]
    gain = losses[0] - losses[1]
    return {
        "gain": risk(f, config.encoding) - risk(Qf, config.encoding),
        "distance": distance(f, Qf, config.encoding),
        "gain_sampled": float(gain.mean()),
        "gain_sampled_error": float(gain.std() / SAMPLES**0.5),
        "entropy": task.kernel_entropy(config.encoding),
    }


def _orbit(orbit: int, encoding: str) -> tuple[Tensor, Tensor]:
    """The steps of the ladder, and the symmetries of the canonical pattern."""
    gamma = task.KERNEL.canonical_form(task.PATTERNS[orbit : orbit + 1])
    return task.steps(orbit, encoding), task.KERNEL.stabilizer(gamma)[0].nonzero().squeeze(1)


def _patterns() -> Tensor:
    """All 16, in order."""
    return torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 4).view(16, 1, 2, 2)
