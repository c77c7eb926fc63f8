"""The experiments on molecules, and the table of the first. Chemistry is imported when it is needed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sympe.experiments.experiment import Experiment
from sympe.experiments.molecules.commands import MoleculesFile, Sample
from sympe.experiments.molecules.config import (
    ENCODINGS,
    ORDERS,
    PRESETS,
    TRANSITIONS,
    USUAL_ORDER,
    Dataset,
    Encoding,
    MoleculesConfig,
    Transition,
    called,
)
from sympe.experiments.molecules.presets import FEW_STEPS_PRESETS, few_steps_configs, preset_configs
from sympe.experiments.tables import COSTS, Column, Rows, alike, extent, lines, remarks
from sympe.lazy import Deferred

COLUMNS = (
    Column("nll", "nll", 2),
    Column("nll_digress", "nll_digress", 2),
    Column("valid", "validity", 3),
    Column("unique", "uniqueness", 3),
    Column("novel", "novelty", 3),
    Column("connected", "connected", 3),
    *COSTS,
)
STABILITY = (Column("stable atoms", "atom_stability", 3), Column("stable molecules", "molecule_stability", 3))
"""Of datasets with hydrogens."""

PUBLISHED = (
    "DiGress on QM9 (Vignac et al. 2023, 9 layers, of 10,000 samples): nll_digress 69.6, validity 99.0 %, uniqueness "
    "96.3 %; the share of unique molecules falls with the number of samples."
)

SECOND_HAND = {
    "DiGress": (99.0, 96.2, None),
    "DeFoG, 500 steps": (99.3, 96.3, 0.12),
    "DeFoG, 50 steps": (98.9, 96.2, 0.26),
    "CatFlow": (99.81, 99.95, 0.441),
    "GruM": (99.69, 96.90, 0.108),
    "MELD": (100.00, 96.49, 0.09),
    "G2PT": (99.0, 96.8, 0.06),
}
"""Valid %, unique %, and Fréchet ChemNet distance on QM9 without hydrogens, from tables in the papers of others."""


def _numbers_of(model: str) -> str:
    return " / ".join(map(str, SECOND_HAND[model]))


FEW_STEPS_PUBLISHED = {
    "one-step models": "valid / unique / FCD 90.0 / 91.8 / 2.14, 95.8 / 89.2 / 2.16, 93.5 / 83.7 / 3.53; second-hand",
    "DeFoG": f"valid / unique / FCD {_numbers_of('DeFoG, 50 steps')} with 50 steps, "
    f"{_numbers_of('DeFoG, 500 steps')} with 500; second-hand",
}


@dataclass(frozen=True)
class Choices:
    """What replaces a preset's own choices."""

    encodings: tuple[Encoding, ...] | None = None
    """Only these, instead of the preset's."""
    seeds: int | None = None
    """Seeds 0 .. N-1, instead of the preset's."""
    dataset: Dataset = "qm9"
    """The molecules."""
    transition: Transition | None = None
    """Towards what the noise goes, instead of the preset's."""


@dataclass(frozen=True)
class FewStepsChoices:
    """What replaces a preset's own choices."""

    encodings: tuple[Encoding, ...] | None = None
    """Only these, instead of the preset's."""
    seeds: int | None = None
    """Seeds 0 .. N-1, instead of the preset's."""
    transition: Transition | None = None
    """Towards what the noise goes, instead of the preset's."""


@dataclass(frozen=True)
class Data:
    """Where the molecules are."""

    data: Path | None = None
    """Molecules: a wheel, a folder or a file with them; by default the installed package."""


@dataclass(frozen=True)
class Evaluation:
    """How a run is evaluated."""

    nll_draws: int = 1
    """Molecules: draws of the encoding in each step of the bound."""
    shuffled: bool = False
    """Molecules: how much the bound loses where the model sees the nodes in an order at random."""


def groups_of(rows: Rows) -> list[tuple[str, Rows]]:
    """The rows that differ in the seed alone, by what they are called."""

    def kind(row: Mapping[str, Any]) -> tuple[int, bool, bool, int, int]:
        config = MoleculesConfig(**row["config"])
        unusual, order = config.order != USUAL_ORDER, ORDERS.index(config.order)
        return ENCODINGS.index(config.encoding), config.coupled, unusual, order, config.by_places or 0

    found: dict[tuple[int, bool, bool, int, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(kind(row), []).append(row)
    named: list[tuple[str, Rows]] = []
    for each in sorted(found):
        config = MoleculesConfig(**found[each][0]["config"])
        name = called(config.encoding, config.coupled, config.order, config.by_places)
        named += [(name + apart, own) for apart, own in alike(found[each])]
    return named


def table(rows: Sequence[Mapping[str, Any]], missing: Sequence[str] = ()) -> str:
    """A Markdown table for every dataset and transition: mean and range over seeds."""
    text = ["# Molecules", ""]
    for name, transition in sorted(
        {(row["dataset"], row["transition"]) for row in rows}, key=lambda k: (k[0], TRANSITIONS.index(k[1]))
    ):
        some = [row for row in rows if (row["dataset"], row["transition"]) == (name, transition)]
        error = math.ceil(1000 * max(row["nll_error"] for row in some)) / 1000
        text += [
            f"## {name}, {transition} noise",
            "",
            f"{extent([row['molecules'] for row in some], 'test')} test molecules, "
            f"{extent(some, 'steps')} steps. nll: bound in nats a molecule (each pair once, of the labelled "
            f"graph), standard error of the draws at most {error:.3f}; nll_digress: DiGress' convention. Of "
            f"{extent(some, 'samples')} samples: valid, unique among these, novel among those, and in one piece. "
            "Mean over seeds (least to greatest).",
            "",
            *lines(COLUMNS + STABILITY * ("molecule_stability" in some[0]), groups_of(some)),
            "",
        ]
    if any(row["dataset"] == "qm9" for row in rows):
        text += [PUBLISHED, "", *second_hand(), ""]
    return "\n".join(text + remarks(rows, missing))


def second_hand() -> list[str]:
    """What others report of 10,000 samples, as a Markdown table."""
    return [
        "Published on QM9 without hydrogens, of 10,000 samples; second-hand, from tables in the papers of others:",
        "",
        "| model | valid | unique | FCD |",
        "| --- | --- | --- | --- |",
        *(
            f"| {model} | {valid} % | {unique} % | {'' if distance is None else distance} |"
            for model, (valid, unique, distance) in SECOND_HAND.items()
        ),
    ]


EXPERIMENT = Experiment(
    name="molecules",
    title="encodings on molecule generation",
    config=MoleculesConfig,
    presets=PRESETS,
    choices=Choices,
    rows=preset_configs,
    data=Data,
    prepare=Deferred("sympe.experiments.molecules.rows.prepare"),
    task=Deferred("sympe.experiments.molecules.rows.make_molecules_task"),
    evaluate=Deferred("sympe.experiments.molecules.rows.evaluate_run"),
    evaluation=Evaluation,
    check=Deferred("sympe.experiments.molecules.rows.check_run"),
    keys=("dataset", "encoding", "transition", "coupled", "seed"),
    table=table,
    figures=Deferred("sympe.experiments.molecules.figures.draw_figures"),
    commands={"sample": Sample, "molecules-file": MoleculesFile},
    published={"DiGress": PUBLISHED},
)

FEW_STEPS = Experiment(
    name="few-steps",
    title="molecules after few reverse steps",
    config=MoleculesConfig,
    presets=FEW_STEPS_PRESETS,
    choices=FewStepsChoices,
    rows=few_steps_configs,
    data=Data,
    prepare=Deferred("sympe.experiments.molecules.rows.prepare"),
    task=Deferred("sympe.experiments.molecules.few_steps.make_few_steps_task"),
    check=Deferred("sympe.experiments.molecules.rows.check_run"),
    keys=("dataset", "encoding", "transition", "coupled", "seed"),
    table=Deferred("sympe.experiments.molecules.few_steps.table"),
    figures=Deferred("sympe.experiments.molecules.few_steps.draw_figures"),
    published=FEW_STEPS_PUBLISHED,
)
