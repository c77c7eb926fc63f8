r"""The same ladder with small networks: patterns of any strength, and answers that depend on it smoothly.

With a strength a, uniform between 1/2 and 3/2, x is a times a pattern of the task, and the mean answer of an orbit is
:math:`A + a B + C \sin 3a`; the noise is Gaussian. Every row has one network of three layers on (x, e), with as many
parameters, made equivariant by the mean over the group,

.. math:: f(x, e) = \tfrac{1}{|G|} \textstyle\sum_h h\,\mathrm{MLP}(h^{-1} x, h^{-1} e),

but for *unconstrained*, which is the MLP alone. e lives in the regular representation: 0 for *none*, :math:`g v` with
a learned v for *sympe* and *unconstrained*, :math:`g' v` for *haar*, and for *noise* Gaussian noise with the
orientation g', :math:`e = g' u^{-1} z`, where u is the place of the largest entry of a fresh z; over all answers that
is z itself in law.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sympe.actions import RegularAction
from sympe.experiments.generalization import task
from sympe.experiments.generalization.config import SIZES, GeneralizationConfig
from sympe.randomness import seeded

REGULAR = RegularAction(task.GROUP)
BATCH = 256
TEST = 4096


class Model(nn.Module):
    """The network of a row.

    Arguments:
        config: the row.

    Example:
        >>> model = Model(GeneralizationConfig(part="network"))
        >>> model(torch.ones(5, 1, 2, 2), torch.zeros(5, *REGULAR.shape)).shape
        torch.Size([5, 1, 2, 2])
    """

    def __init__(self, config: GeneralizationConfig) -> None:
        super().__init__()
        self.equivariant = config.encoding != "unconstrained"
        width = config.width
        self.v = nn.Parameter(torch.randn(REGULAR.shape))
        self.mlp = nn.Sequential(
            nn.Linear(4 + task.GROUP.order, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4)
        )

    def forward(self, x: Float[Tensor, "batch 1 2 2"], e: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch 1 2 2"]:
        """Answers."""
        if not self.equivariant:
            return self._plain(x, e)
        h = task.GROUP.elements()
        back = task.GROUP.inverse(h)[:, None]
        answers = self._plain(task.SQUARE(back, x).flatten(0, 1), REGULAR(back, e).flatten(0, 1))
        return task.SQUARE(h[:, None], answers.view(len(h), len(x), 1, 2, 2)).mean(0)

    def _plain(self, x: Tensor, e: Tensor) -> Tensor:
        out: Tensor = self.mlp(torch.cat([x.flatten(1), e.flatten(1)], 1))
        return out.view(-1, 1, 2, 2)


def draw(count: int, generator: torch.Generator) -> task.Samples:
    """Independent samples, with g from the coupled kernel."""
    A, B, C = (torch.randn(4, 1, 2, 2, generator=seeded("generalization", "network", part)) for part in "ABC")
    orbit = torch.randint(4, (count,), generator=generator)
    a = 0.5 + torch.rand(count, 1, 1, 1, generator=generator)
    noise = task.NOISE * torch.randn(count, 1, 2, 2, generator=generator)
    h = task.GROUP.sample((count,), generator=generator)
    x = task.SQUARE(h, a * task.PATTERNS[orbit])
    y = task.SQUARE(h, A[orbit] + a * B[orbit] + (3 * a).sin() * C[orbit] + noise)
    return task.Samples(orbit, x, y, task.COUPLED.sample(x, y, generator=generator))


def encoded(model: Model, samples: task.Samples, encoding: str, generator: torch.Generator) -> Tensor:
    """What the encoding tells of every sample."""
    if encoding == "none":
        return torch.zeros(len(samples.g), *REGULAR.shape)
    if encoding in ("sympe", "unconstrained"):
        return REGULAR(samples.g, model.v)
    g, _ = task.spread_out(samples, "haar", generator)
    if encoding == "haar":
        return REGULAR(g, model.v)
    z = torch.randn(len(g), *REGULAR.shape, generator=generator)
    u = z.flatten(1).argmax(1)
    return REGULAR(task.GROUP.compose(g, task.GROUP.inverse(u)), z)


def fit(config: GeneralizationConfig, training: task.Samples, generator: torch.Generator) -> Model:
    """Train on so many samples; what an encoding draws is drawn anew in each step."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        model = Model(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
    count = len(training.g)
    for _ in range(config.steps):
        rows = torch.randperm(count, generator=generator)[:BATCH]
        batch = task.Samples(*(part[rows] for part in training))
        optimizer.zero_grad()
        _losses(model, batch, config.encoding, generator).mean().backward()
        optimizer.step()
        schedule.step()
    return model


def _losses(model: Model, samples: task.Samples, encoding: str, generator: torch.Generator) -> Tensor:
    answers = model(samples.x, encoded(model, samples, encoding, generator))
    losses: Tensor = (answers - samples.y).square().flatten(1).sum(1)
    return losses


def measure(config: GeneralizationConfig) -> dict[str, Any]:
    """The numbers of a row: the risks on the test and the training set, for each number of samples."""
    test = draw(TEST, seeded("generalization", "network", "test"))
    ladder = []
    for count in SIZES:
        generator = seeded("generalization", "network", config.encoding, config.seed, count)
        training = draw(count, seeded("generalization", "network", "training", config.seed, count))  # of all rows
        model = fit(config, training, generator)
        with torch.no_grad():
            risks = {
                "test": float(_losses(model, test, config.encoding, generator).mean()),
                "train": float(_losses(model, training, config.encoding, generator).mean()),
            }
        ladder.append({"samples": count, **risks, "gap": risks["test"] - risks["train"]})
    return {"ladder": ladder, "parameters": sum(p.numel() for p in Model(config).parameters())}
