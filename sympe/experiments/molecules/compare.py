"""The experiment: rows of the presets, and their table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sympe.experiments import runs
from sympe.experiments.experiment import Experiment
from sympe.experiments.molecules.check import check_model
from sympe.experiments.molecules.config import (
    ENCODINGS,
    PRESETS,
    TRANSITIONS,
    Dataset,
    Encoding,
    MoleculesConfig,
    Transition,
)
from sympe.experiments.molecules.data import SPLITS
from sympe.experiments.molecules.figures import draw_figures
from sympe.experiments.molecules.files import load_model
from sympe.experiments.molecules.packing import MoleculesFile
from sympe.experiments.molecules.presets import preset_configs
from sympe.experiments.molecules.quality import described, evaluate
from sympe.experiments.molecules.reading import canonical_smiles, load_molecules, load_splits
from sympe.experiments.molecules.sampling import Sample
from sympe.experiments.molecules.training import MoleculesTask, make_task
from sympe.experiments.tables import COSTS, Column, Rows, alike, extent, lines, remarks
from sympe.testing import EquivarianceTest

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
class Data:
    """Where the molecules are."""

    data: Path | None = None
    """Molecules: a wheel, a folder or a file with them; by default the installed package."""


@dataclass(frozen=True)
class Evaluation:
    """How a run is evaluated."""

    nll_draws: int = 1
    """Molecules: draws of the encoding in each step of the bound."""


def prepare(
    configs: Sequence[MoleculesConfig], missing: Sequence[MoleculesConfig], out: Path, *, data: Path | None = None
) -> None:
    """Read the molecules and write their SMILES to the cache once, before rows read side by side.

    Raises:
        ValueError: if ``out`` has rows of other training molecules, or a cache is damaged.
        FileNotFoundError: if the dataset is not there.
    """
    if data is None and not missing:
        return
    training = load_molecules(configs[0].dataset, "train", data=data)
    canonical_smiles(training)
    for config in configs:
        runs.finished_row(config, out, data_hash=training.content_hash)


def make_molecules_task(config: MoleculesConfig, *, data: Path | None = None) -> MoleculesTask:
    """The task of a row (:func:`~sympe.experiments.molecules.training.make_task`).

    Raises:
        ValueError: as there, and as :func:`~sympe.experiments.molecules.reading.load_molecules`.
        FileNotFoundError: if there is no dataset.
    """
    return make_task(config, load_splits(config.dataset, SPLITS, data=data), describe=described)


def evaluate_run(run: Path, *, nll_draws: int = 1, data: Path | None = None) -> dict[str, Any]:
    """Evaluate the model of a run directory on the test molecules.

    Raises:
        ValueError: if it is damaged or does not fit, or there are molecules of a size that it does not know.
        FileNotFoundError: if there is no such model, or no dataset.
    """
    model = load_model(run)
    training, test = load_splits(model.config.dataset, ("train", "test"), data=data)
    return evaluate(model, training, test, draws=nll_draws)[0]


def check_run(run: Path, *, inputs: int = 4, data: Path | None = None, **options: Any) -> EquivarianceTest:
    """Test the model of a run directory on test molecules (:func:`~sympe.experiments.molecules.check.check_model`).

    Raises:
        FileNotFoundError: if there is no such model, or no dataset.
        ValueError: if it does not fit, a number is out of range, or there are molecules of sizes that it does not
            know.
    """
    model = load_model(run)
    return check_model(model, load_molecules(model.config.dataset, "test", data=data), inputs=inputs, **options)


def groups_of(rows: Rows) -> list[tuple[str, Rows]]:
    """The rows that differ in the seed alone, by what they are called."""
    return [
        (encoding + (", coupled" if coupled else "") + apart, own)
        for encoding in ENCODINGS
        for coupled in (False, True)
        for apart, own in alike([row for row in rows if (row["encoding"], row["coupled"]) == (encoding, coupled)])
    ]


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
        text += [PUBLISHED, ""]
    return "\n".join(text + remarks(rows, missing))


EXPERIMENT = Experiment(
    name="molecules",
    title="encodings on molecule generation",
    config=MoleculesConfig,
    presets=PRESETS,
    choices=Choices,
    rows=preset_configs,
    data=Data,
    prepare=prepare,
    task=make_molecules_task,
    evaluate=evaluate_run,
    evaluation=Evaluation,
    check=check_run,
    keys=("dataset", "encoding", "transition", "coupled", "seed"),
    table=table,
    figures=draw_figures,
    commands={"sample": Sample, "molecules-file": MoleculesFile},
    published={"DiGress": PUBLISHED},
)
