"""The experiment: rows of the presets, and their table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sympe.experiments.autoencoder.config import (
    COMPARED,
    ENCODINGS,
    ORDERS,
    PRESETS,
    AutoencoderConfig,
    Backbone,
    Dataset,
    Encoding,
)
from sympe.experiments.configs import Plan, check_preset, expand, narrowed
from sympe.experiments.experiment import Experiment
from sympe.experiments.tables import COSTS, Column, by_encoding, extent, line, lines, remarks
from sympe.lazy import Deferred

COLUMNS = (
    Column("BCE", "bce", 2),
    Column("% error", "error_percent", 3),
    Column("F1", "f1"),
    Column("BCE, G_x trivial", "asymmetric.bce", 2, "mean"),
    Column("BCE, G_x not", "symmetric.bce", 2, "mean"),
    Column("validation BCE", "validation_bce", 2),
    *COSTS,
)
PUBLISHED = {
    "er": (("GNN", 14.15, 4.62, 0.907), ("Noise-GNN", 4.56, 1.25, 0.975), ("EGNN", 1.65, 0.11, 0.998)),
    "community-released": (("GNN", 6.75, 1.29, 0.980), ("Noise-GNN", 3.32, 0.44, 0.993), ("EGNN", 2.14, 0.06, 0.999)),
}
"""BCE, % error and F1 of Satorras et al. 2021, Table 3; their community graphs are the released ones."""


@dataclass(frozen=True)
class Choices:
    """What replaces a preset's own choices."""

    encodings: tuple[Encoding, ...] | None = None
    """Only these, instead of the preset's."""
    seeds: int | None = None
    """Seeds 0 .. N-1, instead of the preset's."""
    dataset: Dataset | None = None
    """Only these graphs."""
    backbone: Backbone | None = None
    """Only this network."""


def preset_configs(
    preset: str,
    *,
    encodings: Sequence[str] | None = None,
    seeds: int | None = None,
    dataset: str | None = None,
    backbone: str | None = None,
) -> list[AutoencoderConfig]:
    """The rows of a preset; ``encodings`` and ``seeds`` replace the preset's own, ``dataset`` and ``backbone`` choose.

    If the preset has no rows of that dataset and backbone, it gets the encodings and seeds of its first ones.

    - ``smoke``: er, a tiny network and a few steps: does everything run?
    - ``demo``: er, EGNN, none, noise and sympe, one seed.
    - ``full``: EGNN with all encodings of the main table on er and community, and with noise and sympe on
      community-released, three seeds each; GNN with none, noise and sympe on er, one seed; and the study of canonical
      orders, EGNN on er, three seeds. Every row takes the steps of ``demo``.

    Raises:
        ValueError: if ``preset`` or an encoding is unknown, or ``encodings`` is empty or names one twice, or
            ``seeds`` below 1.
    """
    check_preset(preset, PRESETS, encodings, seeds)
    base = AutoencoderConfig()
    if preset == "smoke":
        base = dataclasses.replace(base, steps=20, batch=4, width=8, layers=2)
    short = ("none", "noise", "sympe")
    orders = tuple(order for order in ORDERS if order not in COMPARED)
    plans: dict[str, Plan] = {
        "smoke": [({"dataset": "er", "backbone": "egnn"}, ENCODINGS, 1)],
        "demo": [({"dataset": "er", "backbone": "egnn"}, short, 1)],
        "full": [
            ({"dataset": "er", "backbone": "egnn"}, COMPARED, 3),
            ({"dataset": "er", "backbone": "egnn"}, orders, 3),
            ({"dataset": "er", "backbone": "gnn"}, short, 1),
            ({"dataset": "community-released", "backbone": "egnn"}, ("noise", "sympe"), 3),
            ({"dataset": "community", "backbone": "egnn"}, COMPARED, 3),
        ],
    }
    plan = narrowed(plans[preset], dataset=dataset, backbone=backbone)
    return expand(base, plan, encodings=encodings, seeds=seeds)


def table(rows: Sequence[Mapping[str, Any]], missing: Sequence[str] = ()) -> str:
    """A Markdown table for every dataset and backbone: mean and range over seeds, beside the published values."""
    text = ["# Graph autoencoding", ""]
    for name, backbone in sorted(
        {(row["dataset"], row["backbone"]) for row in rows}, key=lambda g: (g[1], g[0] != "er", g)
    ):
        some = [row for row in rows if (row["dataset"], row["backbone"]) == (name, backbone)]
        text += [
            f"## {name}, {backbone.upper()}",
            "",
            f"{some[0]['count']} test graphs, {some[0]['symmetric_percent']:.1f} % of them with a non-trivial "
            f"automorphism group; {extent(some, 'steps')} steps. BCE in nats a graph, summed over ordered pairs; "
            "one draw a graph; the checkpoint of the best validation BCE. Mean over seeds (least to greatest).",
            "",
            *lines(COLUMNS, by_encoding(some, ENCODINGS)),
        ]
        for model, *numbers in PUBLISHED.get(name, ()):
            cells = [f"*published: {model}*", "", *(f"*{number}*" for number in numbers)]
            text.append(line([*cells, *[""] * (len(COLUMNS) + 2 - len(cells))]))
        text.append("")
    return "\n".join(text + remarks(rows, missing))


EXPERIMENT = Experiment(
    name="autoencoder",
    title="encodings on graph autoencoding",
    config=AutoencoderConfig,
    presets=PRESETS,
    choices=Choices,
    rows=preset_configs,
    task=Deferred("sympe.experiments.autoencoder.training.AutoencoderTask"),
    evaluate=Deferred("sympe.experiments.autoencoder.training.evaluate_run"),
    check=Deferred("sympe.experiments.autoencoder.check.check_run"),
    keys=("encoding", "seed", "dataset", "backbone"),
    table=table,
    figures=Deferred("sympe.experiments.autoencoder.figures.draw_figures"),
    published={
        f"{name}, {model}": f"BCE {bce}, {error} % wrong, F1 {f1} (Satorras et al. 2021, Table 3)"
        for name, models in PUBLISHED.items()
        for model, bce, error, f1 in models
    },
)
