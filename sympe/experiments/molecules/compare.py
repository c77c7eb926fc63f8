"""Compare encodings: train the missing rows, then the table, the summary and the figures."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sympe.experiments import runs
from sympe.experiments.molecules.config import ENCODINGS, PRESETS, TRANSITIONS, MoleculesConfig
from sympe.experiments.molecules.data import SPLITS, Molecules, canonical_smiles, load_molecules, load_splits
from sympe.experiments.molecules.evaluation import (
    bar,
    bound,
    check_sizes,
    entropies,
    estimate,
    sample,
    sample_metrics,
    smiles,
)
from sympe.experiments.molecules.figures import draw_figures
from sympe.experiments.molecules.files import load_model
from sympe.experiments.molecules.model import MoleculeModel
from sympe.experiments.molecules.training import MoleculesTask, train
from sympe.experiments.runs import seeded

PUBLISHED = (
    "DiGress on QM9 (Vignac et al. 2023, 9 layers, of 10,000 samples): nll_digress 69.6, validity 99.0 %, uniqueness "
    "96.3 %; the share of unique molecules falls with the number of samples."
)
REPEATS = 2
"""Independent estimates of the bound, from which its standard error follows."""

TIMES = 20
"""Times at which each test molecule is judged in one of them."""

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

ENTROPY_TIMES = 26
"""Times at which the entropy of the kernel is taken, on as many molecules as are sampled."""


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
    if preset not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}; got {preset!r}")
    runs.check_choice(encodings, seeds)
    base = MoleculesConfig(dataset=dataset)
    if preset == "smoke":
        base = dataclasses.replace(
            base,
            steps=20,
            warmup=0.2,
            batch=4,
            tested=200,
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
    plan: list[tuple[str, bool, Sequence[str], int]] = [("marginal", False, short, 1)]
    if preset == "smoke":
        plan = [("marginal", False, ENCODINGS, 1), ("absorbing", True, best, 1)]
    if preset == "gpu":
        plan = [("marginal", False, best if dataset == "moses" else ("none", "stock", *best), 1)]
    if preset == "full" and dataset == "qm9":
        plan = [
            ("marginal", False, first, 2),
            ("absorbing", False, ("none", "noise", *best), 2),
            ("absorbing", True, best, 2),
            ("marginal", True, best, 2),
            ("marginal", False, tuple(encoding for encoding in ENCODINGS if encoding not in first), 2),
        ]
    if transition is not None:
        plan = [row for row in plan if row[0] == transition] or [(transition, *plan[0][1:])]
    if encodings is not None:
        uncoupled = {row[0]: row[3] for row in plan if not row[1]} or {row[0]: row[3] for row in plan}
        plan = [(name, False, encodings, count) for name, count in uncoupled.items()]
    return [
        dataclasses.replace(base, transition=name, coupled=coupled, encoding=encoding, seed=seed)
        for name, coupled, own_encodings, own_seeds in plan
        for seed in range(seeds or own_seeds)
        for encoding in own_encodings
    ]


def train_row(
    config: MoleculesConfig, out: Path, threads: int | None, *, data: Path | None = None, **options: Any
) -> dict[str, Any] | None:
    """Train, evaluate and record one row; goes on from the last checkpoint.

    ``options`` are those of :func:`sympe.experiments.training.fit`. On several devices only the first records the row;
    the others return None.

    Raises:
        ValueError: if ``out`` holds such a row or run of another config or other data, the data have sizes that the
            training molecules have not, or the network's sizes do not fit.
    """
    training, validation, test = load_splits(config.dataset, SPLITS, data=data)
    task = MoleculesTask(config, training, validation)  # what it refuses leaves no run directory
    for part in (task.validation_set, judged(config, test)):
        check_sizes(task.model, part)
    run = runs.prepare_run(config, out, data_hash=task.data_hash)
    task = train(task, run, threads=threads, **options)
    if task.global_rank != 0:
        return None
    numbers, arrays = evaluate(task.model, training, test)
    row = {
        "dataset": config.dataset,
        "encoding": config.encoding,
        "transition": config.transition,
        "coupled": config.coupled,
        "seed": config.seed,
        **numbers,
        "steps": config.steps,
        "parameters": sum(p.numel() for p in task.model.parameters()),
        "encoding_parameters": sum(p.numel() for p in task.model.encoding.parameters()),
        "skipped_steps": task.skipped_steps,
        "train_seconds": round(task.train_seconds, 2),
        "encoding_seconds": round(task.encoding_seconds, 3),
        "molecules": {
            "train": len(training),
            "test": min(config.tested, len(test)),
            "failed": len(training.failed),
        },
        "loss": "cross-entropy of the clean types, g "
        + ("coupled to them" if config.coupled else "of the noisy graph"),
        "data_hash": task.data_hash,
        "config": dataclasses.asdict(config),
        "environment": runs.environment(),
    }
    for name in ("curve", "validation"):
        arrays[name] = np.array(runs.read_curve(run, name=name))
    runs.write_row(row, arrays, out, config.name)
    return row


def judged(config: MoleculesConfig, test: Molecules) -> Molecules:
    """The test molecules that the bound of a row is taken over."""
    return test.subset(torch.arange(min(config.tested, len(test))))


def evaluate(
    model: MoleculeModel, training: Molecules, test: Molecules, *, draws: int = 1
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The numbers of a row, and what its figures need.

    - ``nll``: the bound in nats a molecule, the mean over the test set, with the standard error ``nll_error`` that
      comes of the draws (:func:`~sympe.experiments.molecules.evaluation.bound`).
    - ``nll_digress``: the number that DiGress reports; only to compare with theirs; None for coupled rows.
    - those of :func:`~sympe.experiments.molecules.evaluation.sample_metrics`.

    Raises:
        ValueError: if there are molecules of a size that the model does not know.
    """
    name = model.config.name
    test = judged(model.config, test)
    check_sizes(model, test)
    parts = [
        bound(
            model,
            test,
            times=TIMES,
            draws=draws,
            generator=seeded("test", number),
            progress=bar(f"{name}: bound {number + 1} of {REPEATS}"),
        )
        for number in range(REPEATS)
    ]
    nll, error = estimate(parts)
    digress = None
    if not model.config.coupled:  # their number knows no price of g
        digress = bound(
            model,
            test,
            times=TIMES,
            digress=True,
            generator=seeded("test", "digress"),
            progress=bar(f"{name}: nll_digress"),
        )
    generator = seeded("samples", model.config.seed)
    graphs = sample(model, model.config.sampled, generator=generator, progress=bar(f"{name}: samples"))
    found = smiles(graphs, training.atoms)
    metrics = sample_metrics(graphs, found, training.atoms, set(canonical_smiles(training)))
    numbers = {
        "nll": nll,
        "nll_error": error,
        "nll_draws": draws,
        "nll_digress": None if digress is None else float(digress.mean()),
        **metrics,
    }
    some = test.subset(torch.arange(min(model.config.sampled, len(test))))
    times = torch.linspace(0, model.noise.steps, ENTROPY_TIMES).round().long().unique().tolist()
    along = entropies(model.noise, some, model.max_nodes, times, seeded("entropy"))
    arrays = {
        "bound": torch.stack(parts).mean(0).numpy(),
        "sizes": test.sizes.numpy(),
        "times": np.array(times),
        **{f"entropy_{key}": value.numpy() for key, value in along.items()},
        "samples": np.array([text or "" for text in found]),
    }
    return numbers, arrays


def evaluate_run(run: Path, *, draws: int = 1, data: Path | None = None) -> dict[str, Any]:
    """Evaluate the model of a run directory on the test molecules.

    Raises:
        ValueError: if it is damaged or does not fit, or there are molecules of a size that it does not know.
        FileNotFoundError: if there is no such model, or no dataset.
    """
    model = load_model(run)
    training, test = load_splits(model.config.dataset, ("train", "test"), data=data)
    return evaluate(model, training, test, draws=draws)[0]


def compare(
    preset: str,
    out: Path,
    *,
    encodings: Sequence[str] | None = None,
    seeds: int | None = None,
    dataset: str = "qm9",
    transition: str | None = None,
    data: Path | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Train what is missing, then write ``summary.json``, ``table.md`` and the figures to ``out``.

    Rows that are there for the same config and code version are kept; an interrupted row goes on from its last
    checkpoint.

    Arguments:
        preset: see :func:`preset_configs`.
        out: the folder of the comparison.
        encodings: see :func:`preset_configs`.
        seeds: see :func:`preset_configs`.
        dataset: see :func:`preset_configs`.
        transition: see :func:`preset_configs`.
        data: see :func:`~sympe.experiments.molecules.data.load_molecules`.
        options: ``train_missing``, ``jobs``, ``cluster`` and ``cluster_options``, see
            :func:`sympe.experiments.runs.compare_rows`.

    Returns:
        The summary.

    Raises:
        ValueError: if ``out`` holds rows or runs of another config, or rows of other training molecules (nothing is
            touched then), a choice is not known, or a cache is damaged.
        FileNotFoundError: if the dataset is not there.
    """
    configs = preset_configs(preset, encodings=encodings, seeds=seeds, dataset=dataset, transition=transition)
    missing = any(runs.finished_row(config, out) is None for config in configs)
    if data is not None or (missing and options.get("train_missing", True)):
        training = load_molecules(dataset, "train", data=data)
        canonical_smiles(training)  # once, before rows read side by side
        for config in configs:
            runs.finished_row(config, out, data_hash=training.content_hash)
    row = partial(train_row, data=data)
    return runs.compare_rows(
        "molecules", preset, configs, out, train=row, table=table, draw_figures=draw_figures, **options
    )


def table(rows: Sequence[Mapping[str, Any]], missing: Sequence[str] = ()) -> str:
    """A Markdown table for every dataset and transition: mean and range over seeds."""
    lines = ["# Molecules", ""]
    heads = ["encoding", "seeds", "nll", "nll_digress", "valid", "unique", "novel", "connected", "parameters"]
    heads += ["training s", "encoding s"]
    for name, transition in sorted(
        {(row["dataset"], row["transition"]) for row in rows}, key=lambda k: (k[0], TRANSITIONS.index(k[1]))
    ):
        some = [row for row in rows if (row["dataset"], row["transition"]) == (name, transition)]
        error = math.ceil(1000 * max(row["nll_error"] for row in some)) / 1000
        stable = "molecule_stability" in some[0]
        lines += [
            f"## {name}, {transition} noise",
            "",
            f"{runs.extent([row['molecules'] for row in some], 'test')} test molecules, "
            f"{runs.extent(some, 'steps')} steps. nll: bound in nats a molecule (each pair once, of the labelled "
            f"graph), standard error of the draws at most {error:.3f}; nll_digress: DiGress' convention. Of "
            f"{runs.extent(some, 'samples')} samples: valid, unique among these, novel among those, and in one piece. "
            "Mean over seeds (least to greatest).",
            "",
            "| " + " | ".join(heads + ["stable atoms", "stable molecules"] * stable) + " |",
            "|" + " --- |" * (len(heads) + 2 * stable),
        ]
        for label, own in [
            (encoding + (", coupled" if coupled else "") + apart, own)
            for encoding in ENCODINGS
            for coupled in (False, True)
            for apart, own in runs.alike(
                [row for row in some if row["encoding"] == encoding and row["coupled"] == coupled]
            )
        ]:
            cells = [label, str(len(own)), runs.spread(own, "nll", 2)]
            cells.append("" if own[0]["nll_digress"] is None else runs.spread(own, "nll_digress", 2))
            cells += [runs.spread(own, key, 3) for key in ("validity", "uniqueness", "novelty", "connected")]
            cells += [f"{own[0]['parameters']:,}", f"{np.mean([row['train_seconds'] for row in own]):.0f}"]
            cells.append(f"{np.mean([row['encoding_seconds'] for row in own]):.1f}")
            cells += [runs.spread(own, key, 3) for key in ("atom_stability", "molecule_stability") if stable]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    if any(row["dataset"] == "qm9" for row in rows):
        lines += [PUBLISHED, ""]
    return "\n".join(lines + runs.remarks(rows, missing))
