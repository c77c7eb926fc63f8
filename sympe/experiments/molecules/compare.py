"""The experiment: rows of the presets, and their table."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sympe.experiments import runs
from sympe.experiments.configs import Plan, check_preset, expand, narrowed
from sympe.experiments.experiment import Experiment
from sympe.experiments.molecules.check import check_run
from sympe.experiments.molecules.config import (
    ENCODINGS,
    PRESETS,
    TRANSITIONS,
    Dataset,
    Encoding,
    MoleculesConfig,
    Transition,
)
from sympe.experiments.molecules.data import canonical_smiles, load_molecules
from sympe.experiments.molecules.figures import draw_figures
from sympe.experiments.molecules.sampling import Sample
from sympe.experiments.molecules.training import evaluate_run, make_task
from sympe.experiments.tables import COSTS, Column, alike, extent, lines, remarks

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
GPU: dict[str, Any] = {
    "steps": 12_000,
    "batch": 512,
    "layers": 9,
    "node_width": 256,
    "edge_width": 64,
    "graph_width": 64,
    "node_hidden": 256,
    "edge_hidden": 128,
    "graph_hidden": 128,
    "learning_rate": 2e-4,
    "precision": "bf16-mixed",
}
"""The sizes of DiGress on QM9; the steps are ours."""

LARGER: dict[str, Any] = {"steps": 9_000, "tested": 5_000}
"""Of ``full``, on datasets with larger molecules: a step takes four times as long as on qm9."""


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


def preset_configs(
    preset: str,
    *,
    encodings: Sequence[str] | None = None,
    seeds: int | None = None,
    dataset: str = "qm9",
    transition: str | None = None,
) -> list[MoleculesConfig]:
    """The rows of a preset; every argument that is given replaces the preset's own choice.

    - ``smoke``: all encodings, a tiny network and a few steps: does everything run?
    - ``demo``: none and sympe-nodes-edges, marginal noise, one seed.
    - ``full``: two seeds and three times the steps of ``demo``; the rows that answer most come first: marginal noise
      with none, sympe-nodes-edges, noise, haar and stock, absorbing noise with none, noise and sympe-nodes-edges,
      coupled sympe-nodes-edges with both, then marginal noise with the other encodings. On other datasets than qm9,
      whose molecules are larger: none and sympe-nodes-edges, marginal noise, one seed, half as many steps.
    - ``gpu``: the network of DiGress on QM9 (9 layers, dx 256) in mixed precision, none, stock and sympe-nodes-edges,
      one seed; on moses sympe-nodes-edges alone.

    Raises:
        ValueError: if a name is unknown, or ``encodings`` is empty or names one twice, or ``seeds`` below 1.
    """
    check_preset(preset, PRESETS, encodings, seeds)
    base = MoleculesConfig(dataset=dataset)
    if preset == "smoke":
        base = dataclasses.replace(
            base,
            steps=20,
            warmup=0.2,
            batch=4,
            tested=50,
            sampled=20,
            times=10,
            layers=2,
            node_width=8,
            edge_width=8,
            graph_width=8,
            heads=2,
            node_hidden=8,
            edge_hidden=8,
            graph_hidden=8,
        )
    if preset == "full":
        base = dataclasses.replace(base, **({"steps": 3 * base.steps} if dataset == "qm9" else LARGER))
    if preset == "gpu":
        base = dataclasses.replace(base, **GPU)
    short, best = ("none", "sympe-nodes-edges"), ("sympe-nodes-edges",)
    first = (*short, "noise", "haar", "stock")
    marginal, absorbing = {"transition": "marginal"}, {"transition": "absorbing"}
    plan: Plan = [(marginal, short, 1)]
    if preset == "smoke":
        plan = [(marginal, ENCODINGS, 1), ({**absorbing, "coupled": True}, best, 1)]
    if preset == "gpu":
        plan = [(marginal, best if dataset == "moses" else ("none", "stock", *best), 1)]
    if preset == "full" and dataset == "qm9":
        plan = [
            (marginal, first, 2),
            (absorbing, ("none", "noise", *best), 2),
            ({**absorbing, "coupled": True}, best, 2),
            ({**marginal, "coupled": True}, best, 2),
            (marginal, tuple(encoding for encoding in ENCODINGS if encoding not in first), 2),
        ]
    plan = narrowed(plan, transition=transition)
    if encodings is not None:  # coupled rows are of an encoding of their own
        plan = [part for part in plan if "coupled" not in part[0]] or [
            ({"transition": fields["transition"]}, own, count) for fields, own, count in plan
        ]
    return expand(base, plan, encodings=encodings, seeds=seeds)


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


def table(rows: Sequence[Mapping[str, Any]], missing: Sequence[str] = ()) -> str:
    """A Markdown table for every dataset and transition: mean and range over seeds."""
    text = ["# Molecules", ""]
    for name, transition in sorted(
        {(row["dataset"], row["transition"]) for row in rows}, key=lambda k: (k[0], TRANSITIONS.index(k[1]))
    ):
        some = [row for row in rows if (row["dataset"], row["transition"]) == (name, transition)]
        error = math.ceil(1000 * max(row["nll_error"] for row in some)) / 1000
        groups = [
            (encoding + (", coupled" if coupled else "") + apart, own)
            for encoding in ENCODINGS
            for coupled in (False, True)
            for apart, own in alike([row for row in some if (row["encoding"], row["coupled"]) == (encoding, coupled)])
        ]
        text += [
            f"## {name}, {transition} noise",
            "",
            f"{extent([row['molecules'] for row in some], 'test')} test molecules, "
            f"{extent(some, 'steps')} steps. nll: bound in nats a molecule (each pair once, of the labelled "
            f"graph), standard error of the draws at most {error:.3f}; nll_digress: DiGress' convention. Of "
            f"{extent(some, 'samples')} samples: valid, unique among these, novel among those, and in one piece. "
            "Mean over seeds (least to greatest).",
            "",
            *lines(COLUMNS + STABILITY * ("molecule_stability" in some[0]), groups),
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
    task=make_task,
    evaluate=evaluate_run,
    evaluation=Evaluation,
    check=check_run,
    keys=("dataset", "encoding", "transition", "coupled", "seed"),
    table=table,
    figures=draw_figures,
    commands={"sample": Sample},
    published={"DiGress": PUBLISHED},
)
