"""The experiment: rows of the presets, and their table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sympe.experiments.configs import Plan, check_preset, expand, narrowed
from sympe.experiments.experiment import Experiment
from sympe.experiments.shapes.config import (
    ENCODINGS,
    PRESETS,
    Backbone,
    DatasetName,
    Encoding,
    Loss,
    Part,
    ShapesConfig,
)
from sympe.experiments.tables import COSTS, Column, by_encoding, extent, lines, remarks
from sympe.lazy import Deferred

COLUMNS = (
    Column("error", "error", 5),
    Column("total variation", "variation", 3),
    Column("undecided", "undecided", 3),
    *COSTS,
)

NEW = (
    Column("error, new", "new.error", 5),
    Column("total variation, new", "new.variation", 3),
    Column("undecided, new", "new.undecided", 3),
)
"""Of shapes that training has never seen, where there are."""

RATES: dict[tuple[Encoding, Loss], float] = {("haar", "orbit-minimum"): 3e-3}
"""Learning rates that trials preferred to that of the config: of the EGNN on polyhedra, three for each row."""

E3NN: dict[str, Any] = {"learning_rate": 0.08, "width": 64, "vectors": 16, "layers": 2}
"""The recipe of e3nn's layers: their weights start at size one whatever the width, and so take larger steps."""


@dataclass(frozen=True)
class Choices:
    """What replaces a preset's own choices."""

    encodings: tuple[Encoding, ...] | None = None
    """Only these, instead of the preset's."""
    seeds: int | None = None
    """Seeds 0 .. N-1, instead of the preset's."""
    dataset: DatasetName | None = None
    """Only these shapes."""
    backbone: Backbone | None = None
    """Only this network; e3nn needs the extra of that name."""
    loss: Loss | None = None
    """Only this loss."""


@dataclass(frozen=True)
class Evaluation:
    """What a run is evaluated on."""

    part: Part = "test"
    """Shapes: test samples, or those of validation, on which recipes are chosen."""


def preset_configs(
    preset: str,
    *,
    encodings: Sequence[str] | None = None,
    seeds: int | None = None,
    dataset: str | None = None,
    backbone: str | None = None,
    loss: str | None = None,
) -> list[ShapesConfig]:
    """The rows of a preset; ``encodings`` and ``seeds`` replace the preset's own, the others choose among its parts.

    If the preset has no rows of that kind, it gets the encodings and seeds of its first ones.

    - ``smoke``: polyhedra, a tiny network and a few steps: does everything run?
    - ``demo``: polyhedra, EGNN, squared error, none and sympe-coupled, one seed.
    - ``full``: polyhedra and hydrogens with the EGNN, all encodings with the squared error, and with the orbit-minimum
      those that do not know the target; none and sympe-coupled on cages, and on polyhedra with e3nn, whose rows have a
      recipe of their own (``E3NN``). Three seeds each.

    Raises:
        ValueError: if ``preset`` or an encoding is unknown, or ``encodings`` is empty or names one twice, or
            ``seeds`` below 1.
    """
    check_preset(preset, PRESETS, encodings, seeds)
    base = ShapesConfig()
    if preset == "smoke":
        base = dataclasses.replace(base, steps=20, batch=4, width=8, vectors=4, layers=1, samples=1, draws=5)
    first = {"dataset": "polyhedra", "backbone": "egnn", "loss": "squared"}
    short = ("none", "sympe-coupled")
    untold = tuple(encoding for encoding in ENCODINGS if not dataclasses.replace(base, encoding=encoding).couples)
    least = {**first, "loss": "orbit-minimum"}
    plans: dict[str, Plan] = {
        "smoke": [(first, ENCODINGS, 1), (least, ("none",), 1)],
        "demo": [(first, short, 1)],
        "full": [
            (first, ENCODINGS, 3),
            (least, untold, 3),
            ({**first, "dataset": "cages"}, short, 3),
            ({**first, "dataset": "hydrogens"}, ENCODINGS, 3),
            ({**least, "dataset": "hydrogens"}, untold, 3),
            ({**first, "backbone": "e3nn"}, short, 3),
        ],
    }
    plan = narrowed(plans[preset], dataset=dataset, backbone=backbone, loss=loss)
    configs = expand(base, plan, encodings=encodings, seeds=seeds)
    own: dict[str, Any] = {} if preset == "smoke" else E3NN
    rated = [dataclasses.replace(c, learning_rate=RATES.get((c.encoding, c.loss), c.learning_rate)) for c in configs]
    return [dataclasses.replace(c, **own) if c.backbone == "e3nn" else c for c in rated]


def table(rows: Sequence[Mapping[str, Any]], missing: Sequence[str] = ()) -> str:
    """A Markdown table for every dataset and backbone: mean and range over seeds."""
    text = ["# Shapes to deformations", ""]
    for dataset, backbone in sorted(
        {(row["dataset"], row["backbone"]) for row in rows}, key=lambda g: (g[0] != "polyhedra", g[1] != "egnn")
    ):
        some = [row for row in rows if (row["dataset"], row["backbone"]) == (dataset, backbone)]
        new = some[0]["new"]
        note = ""
        if new is not None:
            note = f"; molecules that training has not seen are in the columns *new* only (floor {new['floor']:.4f})"
        text += [
            f"## {dataset}, {backbone}",
            "",
            f"{some[0]['count']} test samples of {len(some[0]['per_shape'])} shapes at scales and in positions never "
            f"seen{note}; {extent(some, 'steps')} steps. Error: squared, to the nearest of equally right targets, over "
            f"the square of the target, one draw each; an equivariant function without symmetry breaking has "
            f"{some[0]['floor']:.4f} at least, by enumeration. Total variation between the law of the target that "
            f"draws are nearest to and the uniform one, from {some[0]['draws']} draws for each target, which leave "
            f"the true law itself {some[0]['variation_of_truth']:.3f}; a draw as near to another target is undecided, "
            "and counts as wrong. Mean over seeds (least to greatest).",
            "",
            *lines((*COLUMNS[:3], *NEW, *COSTS) if note else COLUMNS, by_encoding(some, ENCODINGS)),
            "",
        ]
    return "\n".join(text + remarks(rows, missing))


EXPERIMENT = Experiment(
    name="shapes",
    title="encodings on shapes in space that are deformed",
    config=ShapesConfig,
    presets=PRESETS,
    choices=Choices,
    rows=preset_configs,
    task=Deferred("sympe.experiments.shapes.training.ShapesTask"),
    evaluate=Deferred("sympe.experiments.shapes.training.evaluate_run"),
    evaluation=Evaluation,
    check=Deferred("sympe.experiments.shapes.check.check_run"),
    keys=("encoding", "seed", "dataset", "backbone", "loss"),
    table=table,
    figures=Deferred("sympe.experiments.shapes.figures.draw_figures"),
)
