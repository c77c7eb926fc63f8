"""Compare encodings: train the missing rows, then the table, the summary and the figures."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sympe.experiments import runs
from sympe.experiments.ising.config import ENCODINGS, PRESETS, IsingConfig
from sympe.experiments.ising.data import evaluation_set
from sympe.experiments.ising.evaluation import evaluate, show
from sympe.experiments.ising.figures import draw_figures
from sympe.experiments.ising.hamiltonian import PHASES
from sympe.experiments.ising.training import load, train

ROW_KEYS = (
    "encoding",
    "seed",
    "energy_gap",
    "exact_fraction",
    "per_phase",
    "parameters",
    "train_seconds",
    "encoding_seconds",
)


def preset_configs(
    preset: str,
    *,
    encodings: Sequence[str] | None = None,
    seeds: int | None = None,
    variant: str | None = None,
    size: int | None = None,
) -> list[IsingConfig]:
    """The rows of a preset; every argument that is given replaces the preset's own choice.

    - ``smoke``: wide, L = 4, a tiny network and 20 steps: does everything run?
    - ``demo``: wide, L = 10, none, noise, haar and sympe, one seed.
    - ``full``: all encodings on paper and wide at L = 10 with three seeds; none, noise and sympe on wide at L = 16
      with one; all encodings on supercell and glass at L = 10 with one.

    Raises:
        ValueError: if ``preset`` or an encoding is unknown, or ``encodings`` is empty or names one twice, or
            ``seeds`` below 1.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}; got {preset!r}")
    runs.check_choice(encodings, seeds)
    base = IsingConfig()
    if preset == "smoke":
        base = dataclasses.replace(base, steps=20, batch=8, channels=4, blocks=1)
    short = ("none", "noise", "haar", "sympe")
    plans: dict[str, list[tuple[str, int, Sequence[str], int]]] = {
        "smoke": [("wide", 4, ENCODINGS, 1)],
        "demo": [("wide", 10, short, 1)],
        "full": [
            ("wide", 10, ENCODINGS, 3),
            ("paper", 10, ENCODINGS, 3),
            ("wide", 16, ("none", "noise", "sympe"), 1),
            ("supercell", 10, ENCODINGS, 1),
            ("glass", 10, ENCODINGS, 1),
        ],
    }
    plan = plans[preset]
    if variant is not None or size is not None:
        chosen, default_size, chosen_encodings, chosen_seeds = plan[0]
        plan = [(variant or chosen, default_size if size is None else size, chosen_encodings, chosen_seeds)]
    return [
        dataclasses.replace(base, variant=v, size=n, encoding=encoding, seed=seed)
        for v, n, own_encodings, own_seeds in plan
        for seed in range(seeds or own_seeds)
        for encoding in (encodings or own_encodings)
    ]


def train_row(config: IsingConfig, out: Path, threads: int | None, **options: Any) -> dict[str, Any] | None:
    """Train, evaluate and record one row; goes on from the last checkpoint.

    ``options`` are those of :func:`~sympe.experiments.ising.training.train`. On several devices only the first
    records the row; the others return None.
    """
    task = train(config, runs.prepare_run(config, out), threads=threads, **options)
    return record_row(config, out, task) if task.global_rank == 0 else None


def record_row(config: IsingConfig, out: Path, task: Any) -> dict[str, Any]:
    """Evaluate a trained task and write its row."""
    run = out / "runs" / config.name
    metrics = evaluate(task.model, config, cache=out / "runs" / "ground")
    arrays = show(task.model, config)
    curve = runs.read_curve(run)
    arrays["curve"] = np.array(curve)
    row = {
        "encoding": config.encoding,
        "seed": config.seed,
        **metrics,
        "parameters": sum(p.numel() for p in task.model.parameters()),
        "skipped_steps": task.skipped_steps,
        "train_seconds": round(task.train_seconds, 2),
        "encoding_seconds": round(task.encoding_seconds, 3),
        "variant": config.variant,
        "size": config.size,
        "steps": config.steps,
        "loss": "energy per spin, cooled from the mean-field free energy",
        "data_hash": runs.data_hash(evaluation_set(config.variant, config.evaluation, config.size)),
        "config": dataclasses.asdict(config),
        "environment": runs.environment(),
    }
    runs.write_row(row, arrays, out, config.name)
    return row


def evaluate_run(run: Path) -> dict[str, Any]:
    """Evaluate the last checkpoint of a run directory."""
    task = load(run)
    return evaluate(task.model, task.config, cache=run.parent / "ground")


def compare(
    preset: str,
    out: Path,
    *,
    encodings: Sequence[str] | None = None,
    seeds: int | None = None,
    variant: str | None = None,
    size: int | None = None,
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
        variant: see :func:`preset_configs`.
        size: see :func:`preset_configs`.
        options: ``train_missing``, ``jobs``, ``cluster`` and ``cluster_options``, see
            :func:`sympe.experiments.runs.compare_rows`.

    Returns:
        The summary.

    Raises:
        ValueError: if ``out`` holds rows or runs of another config; nothing is touched then; or a choice is not known.
    """
    configs = preset_configs(preset, encodings=encodings, seeds=seeds, variant=variant, size=size)
    for n in sorted({config.size for config in configs if config.is_uniform and config.size % 2}):
        warnings.warn(
            f"size: stripes and checkerboards do not fit an odd lattice ({n}): some Hamiltonians are frustrated, and "
            "their ground energies are searched instead of taken from the closed form",
            stacklevel=2,
        )
    return runs.compare_rows(
        "ising", preset, configs, out, train=train_row, table=table, draw_figures=draw_figures, **options
    )


def table(rows: Sequence[Mapping[str, Any]], missing: Sequence[str] = ()) -> str:
    """A Markdown table for every variant and size: mean and range over seeds, then each phase's gap."""
    lines = ["# Ising ground states", ""]
    groups = sorted({(row["variant"], row["size"]) for row in rows}, key=lambda g: (-len(str(g[0])), g))
    for variant, size in groups:
        some = [row for row in rows if (row["variant"], row["size"]) == (variant, size)]
        entropy = np.mean([row["stabilizer_entropy"] for row in some])
        lines += [
            f"## {variant}, L = {size}",
            "",
            f"{some[0]['count']} test Hamiltonians, mean stabilizer entropy log|G_x| = {entropy:.2f} nats; one draw "
            "each, spins rounded. Gap: energy per spin above the exact ground energy. Exact: gap below 1e-4. Mean over "
            "seeds (least to greatest).",
            "",
        ]
        phases = [p for p in PHASES if any(p in row["per_phase"] for row in some)]
        heads = [
            "encoding",
            "seeds",
            "gap",
            "exact",
            *(f"gap: {p}" for p in phases),
            "parameters",
            "training s",
            "encoding s",
        ]
        lines += ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
        for label, own in [
            (encoding + apart, own)
            for encoding in ENCODINGS
            for apart, own in runs.alike([row for row in some if row["encoding"] == encoding])
        ]:
            cells = [label, str(len(own)), runs.spread(own, "energy_gap"), runs.spread(own, "exact_fraction")]
            for phase in phases:
                gaps = [row["per_phase"][phase]["energy_gap"] for row in own]
                cells += [f"{np.mean(gaps):.4f}"]
            cells += [
                f"{own[0]['parameters']:,}",
                f"{np.mean([row['train_seconds'] for row in own]):.0f}",
                f"{np.mean([row['encoding_seconds'] for row in own]):.1f}",
            ]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines + runs.remarks(rows, missing))
