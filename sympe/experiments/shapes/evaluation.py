"""Judge a trained row: the error to the nearest right answer, and how evenly its draws are spread over all of them."""

from __future__ import annotations

import math
from typing import Any

import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from sympe.actions import VectorAction
from sympe.encodings import NoEncoding
from sympe.experiments.runs import data_hash
from sympe.experiments.shapes.config import Part, ShapesConfig
from sympe.experiments.shapes.data import Samples, held_samples, relative_error, templates
from sympe.experiments.shapes.model import ShapesModel
from sympe.graphs import Clouds
from sympe.losses import orbit_minimum
from sympe.randomness import draw_numbers, seeded

UNDECIDED = 0.05
"""A draw is undecided if its nearest right answer is not nearer than another by this share of their distance."""
SHOWN = 4
"""Draws that the figures show."""
BATCH = 512


@torch.no_grad()
def evaluate(model: ShapesModel, config: ShapesConfig, part: Part = "test") -> dict[str, Any]:
    """The metrics of a model on test or validation samples: scales and positions that it has never seen.

    Arguments:
        model: the trained model.
        config: its row.
        part: "test", or "validation", on which recipes are chosen.

    Returns:
        - ``error``: the squared error to the nearest element of the orbit of the target over the square of the target,
          one draw a sample, the mean over samples;
        - ``floor``: that of the best equivariant function, by enumeration: the mean over the orbit;
        - ``variation``: the total variation between the law of the element that draws are nearest to, which is sampled,
          and the uniform law, the mean over shapes; draws that are as near to another are an outcome of their own;
        - ``variation_of_truth``: what as many draws of the uniform law itself have, in the mean;
        - ``undecided``: the share of such draws;
        - ``new``: these for the shapes that training has never seen, which the others leave out; None without any;
        - ``per_shape``: these for each shape, and ``orbit``, the number of right answers.
    """
    of = templates(config.dataset)
    samples = held_samples(config.dataset, part, config.samples)
    y = predictions(model, samples.x, seeded("shapes", "evaluation", config.seed))
    action = VectorAction(of.group)
    error = orbit_minimum(
        lambda a, b: relative_error(a.squeeze(2), b.squeeze(2)),
        y.unsqueeze(2),
        samples.y.unsqueeze(2),
        samples.x,
        of.kernel,
        action,
    )
    first = torch.arange(len(of.names)) * config.samples
    spread = laws(model, select(samples, first), config)
    floors = of.floors
    per_shape = {}
    for shape, name in enumerate(of.names):
        mine = samples.which == shape
        per_shape[name] = {
            "error": float(error[mine].mean()),
            "floor": float(floors[shape]),
            "orbit": int(of.orbits.counts[shape]),
            **spread[shape],
        }

    def means(new: bool) -> dict[str, float]:
        some = [per_shape[name] for name, kept in zip(of.names, of.new.tolist(), strict=True) if kept == new]
        keys = ("error", "floor", "variation", "variation_of_truth", "undecided")
        return {key: sum(numbers[key] for numbers in some) / len(some) for key in keys}

    return {
        **means(new=False),
        "new": means(new=True) if of.new.any() else None,
        "count": len(samples),
        "draws": config.draws,
        "per_shape": per_shape,
        "data_hash": data_hash(samples.x.positions, samples.y),
    }


def laws(model: ShapesModel, samples: Samples, config: ShapesConfig) -> list[dict[str, float]]:
    """How draws for each of these samples are spread over the orbit of its target."""
    of = templates(config.dataset)
    orbits, there = of.orbit(samples)
    found = []
    for row in range(len(samples)):
        orbit = orbits[row][there[row]]
        generator = seeded("shapes", "law", config.seed, row)
        count = config.draws * len(orbit)
        x = samples.x.select(torch.tensor([row]))
        counts, undecided = nearest(repeated(model, x, count, generator), orbit[:, : int(x.sizes[0])])
        share = torch.cat([counts, undecided[None]]).double() / count
        truth = torch.nn.functional.pad(torch.full((len(orbit),), 1 / len(orbit), dtype=torch.float64), (0, 1))
        found.append(
            {
                "variation": float((share - truth).abs().sum() / 2),
                "variation_of_truth": sampling_error(len(orbit), count),
                "undecided": float(share[-1]),
            }
        )
    return found


def nearest(
    y: Float[Tensor, "draws points 3"], orbit: Float[Tensor, "elements points 3"]
) -> tuple[Float[Tensor, " elements"], Float[Tensor, ""]]:
    """How many draws are nearest to each element, and how many to several.

    Example:
        >>> orbit = torch.tensor([[[1.0, 0.0, 0.0]], [[-1.0, 0.0, 0.0]]])
        >>> nearest(torch.tensor([[[0.9, 0.0, 0.0]], [[-0.2, 5.0, 0.0]], [[0.0, 0.0, 0.0]]]), orbit)
        (tensor([1., 1.]), tensor(1.))
    """
    d = (y.flatten(1)[:, None] - orbit.flatten(1)).square().sum(2)
    least = d.topk(2, dim=1, largest=False)
    apart = (orbit[least.indices[:, 0]] - orbit[least.indices[:, 1]]).square().sum((1, 2))
    decided = least.values[:, 1] - least.values[:, 0] > UNDECIDED * apart
    counts = least.indices[decided, 0].bincount(minlength=len(orbit))
    return counts.to(d.dtype), (~decided).sum().to(d.dtype)


def sampling_error(elements: int, draws: int) -> float:
    """The total variation from the uniform law that draws of this law have, in the mean: the normal approximation.

    Example:
        >>> round(sampling_error(12, 4800), 4)
        0.0191
    """
    share = 1 / elements
    return elements / 2 * math.sqrt(2 / math.pi * share * (1 - share) / draws)


def predictions(model: ShapesModel, x: Clouds, generator: torch.Generator) -> Float[Tensor, "batch points 3"]:
    """One draw for each cloud; the model draws from its own kernel."""
    rows = torch.arange(len(x)).split(BATCH)
    return torch.cat([model(x.select(part), generator=generator) for part in rows])


def repeated(model: ShapesModel, x: Clouds, count: int, generator: torch.Generator) -> Float[Tensor, "count points 3"]:
    """Many draws for one cloud, without its padding.

    An exact kernel is uniform on C(x): the model is evaluated once for each of its elements, then these are drawn.
    """
    elements = model.elements(x)
    n = int(x.sizes[0])
    if not model.is_plain:
        x = Clouds(x.positions[:, :n], x.types[:, :n], x.mask[:, :n], x.vectors[:, :n])
    if isinstance(model.encoding, NoEncoding) and not model.is_plain:  # nothing is drawn
        once: Tensor = model(x, generator=generator)
        return once.expand(count, -1, -1)
    if elements is None:
        rows = torch.zeros(count, dtype=torch.int64).split(BATCH)
        return torch.cat([model(x.select(part), generator=generator)[:, :n] for part in rows])
    rows = torch.zeros(len(elements), dtype=torch.int64)
    every: Tensor = model(x.select(rows), g=elements, generator=generator)[:, :n]
    return every[draw_numbers(torch.randint, len(elements), (count,), generator=generator, device="cpu")]


def select(samples: Samples, index: Tensor) -> Samples:
    """Some of the samples."""
    return Samples(samples.which[index], samples.h[index], samples.x.select(index), samples.y[index])


@torch.no_grad()
def show(model: ShapesModel, config: ShapesConfig) -> dict[str, npt.NDArray[Any]]:
    """What the figures need: a few draws for one test sample of every shape, which is shown in its first position."""
    of = templates(config.dataset)
    samples = select(held_samples(config.dataset, "test", config.samples), torch.arange(len(of.names)) * config.samples)
    action = VectorAction(of.group)
    back = of.group.inverse(samples.h)
    generator = seeded("shapes", "shown", config.seed)
    draws = []
    for _ in range(SHOWN):
        y = predictions(model, samples.x, generator)
        draws.append(action(back, y.unsqueeze(2)).squeeze(2))
    x = of.kernel.move(back, samples.x)
    y = action(back, samples.y.unsqueeze(2)).squeeze(2)
    return {
        "positions": x.positions.numpy(),
        "sizes": x.sizes.numpy(),
        "targets": y.numpy(),
        "draws": torch.stack(draws, 1).numpy(),
    }
