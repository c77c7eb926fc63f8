"""Compare encodings: train the missing rows, then the table, the summary and the figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sympe.experiments import runs
from sympe.experiments.autoencoder.config import COMPARED, ENCODINGS, ORDERS, PRESETS, AutoencoderConfig
from sympe.experiments.autoencoder.data import dataset
from sympe.experiments.autoencoder.evaluation import evaluate
from sympe.experiments.autoencoder.figures import draw_figures
from sympe.experiments.autoencoder.training import load, train

PUBLISHED = {
    "er": (("GNN", 14.15, 4.62, 0.907), ("Noise-GNN", 4.56, 1.25, 0.975), ("EGNN", 1.65, 0.11, 0.998)),
    "community-released": (("GNN", 6.75, 1.29, 0.980), ("Noise-GNN", 3.32, 0.44, 0.993), ("EGNN", 2.14, 0.06, 0.999)),
}
"""BCE, % error and F1 of Satorras et al. 2021, Table 3; their community graphs are the released ones."""


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
    if preset not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}; got {preset!r}")
    runs.check_choice(encodings, seeds)
    base = AutoencoderConfig()
    if preset == "smoke":
        base = dataclasses.replace(base, steps=20, batch=4, width=8, layers=2)
    short = ("none", "noise", "sympe")
    plans: dict[str, list[tuple[str, str, Sequence[str], int]]] = {
        "smoke": [("er", "egnn", ENCODINGS, 1)],
        "demo": [("er", "egnn", short, 1)],
        "full": [
            ("er", "egnn", COMPARED, 3),
            ("er", "egnn", tuple(order for order in ORDERS if order not in COMPARED), 3),
            ("er", "gnn", short, 1),
            ("community-released", "egnn", ("noise", "sympe"), 3),
            ("community", "egnn", COMPARED, 3),
        ],
    }
    plan = plans[preset]
    if dataset is not None or backbone is not None:
        first, second, own_encodings, own_seeds = plan[0]
        part = [p for p in plan if dataset in (None, p[0]) and backbone in (None, p[1])]
        plan = part or [(dataset or first, backbone or second, own_encodings, own_seeds)]
    rows = (
        dataclasses.replace(base, dataset=d, backbone=b, encoding=encoding, seed=seed)
        for d, b, own_encodings, own_seeds in plan
        for seed in range(seeds or own_seeds)
        for encoding in (encodings or own_encodings)
    )
    return list(dict.fromkeys(rows))  # two parts of the plan may have the same dataset and backbone


def train_row(config: AutoencoderConfig, out: Path, threads: int | None, **options: Any) -> dict[str, Any] | None:
    """Train, evaluate and record one row; goes on from the last checkpoint.

    ``options`` are those of :func:`sympe.experiments.training.fit`. On several devices only the first records the row;
    the others return None.
    """
    task = train(config, runs.prepare_run(config, out), threads=threads, **options)
    return record_row(config, out, task) if task.global_rank == 0 else None


def record_row(config: AutoencoderConfig, out: Path, task: Any) -> dict[str, Any]:
    """Evaluate a trained task and write its row."""
    run = out / "runs" / config.name
    numbers, arrays = evaluate(task.model, config.dataset)
    encoding_parameters = sum(p.numel() for p in task.model.encoding.parameters())
    curves = {name: np.array(runs.read_curve(run, name=name)) for name in ("curve", "validation")}
    row = {
        "encoding": config.encoding,
        "seed": config.seed,
        "dataset": config.dataset,
        "backbone": config.backbone,
        **numbers,
        "validation_bce": float(curves["validation"][:, 1].min()),
        "parameters": sum(p.numel() for p in task.model.parameters()),
        "encoding_parameters": encoding_parameters,
        "skipped_steps": task.skipped_steps,
        "train_seconds": round(task.train_seconds, 2),
        "encoding_seconds": round(task.encoding_seconds, 3),
        "steps": config.steps,
        "loss": "binary cross-entropy of the input's own edges",
        "data_hash": runs.data_hash(*(dataset(config.dataset, s).pairs for s in ("train", "validation", "test"))),
        "config": dataclasses.asdict(config),
        "environment": runs.environment(),
    }
    runs.write_row(row, {key: value.numpy() for key, value in arrays.items()} | curves, out, config.name)
    return row


def evaluate_run(run: Path) -> dict[str, Any]:
    """Evaluate the best checkpoint of a run directory on the test graphs."""
    task = load(run)
    return evaluate(task.model, task.config.dataset)[0]


def compare(
    preset: str,
    out: Path,
    *,
    encodings: Sequence[str] | None = None,
    seeds: int | None = None,
    dataset: str | None = None,
    backbone: str | None = None,
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
        backbone: see :func:`preset_configs`.
        options: ``train_missing``, ``jobs``, ``cluster`` and ``cluster_options``, see
            :func:`sympe.experiments.runs.compare_rows`.

    Returns:
        The summary.

    Raises:
        ValueError: if ``out`` holds rows or runs of another config; nothing is touched then; or a choice is not known.
    """
    configs = preset_configs(preset, encodings=encodings, seeds=seeds, dataset=dataset, backbone=backbone)
    return runs.compare_rows(
        "autoencoder", preset, configs, out, train=train_row, table=table, draw_figures=draw_figures, **options
    )


def table(rows: Sequence[Mapping[str, Any]], missing: Sequence[str] = ()) -> str:
    """A Markdown table for every dataset and backbone: mean and range over seeds, beside the published values."""
    lines = ["# Graph autoencoding", ""]
    heads = ["encoding", "seeds", "BCE", "% error", "F1", "BCE, G_x trivial", "BCE, G_x not", "validation BCE"]
    heads += ["parameters", "training s", "encoding s"]
    for name, backbone in sorted(
        {(row["dataset"], row["backbone"]) for row in rows}, key=lambda g: (g[1], g[0] != "er", g)
    ):
        some = [row for row in rows if (row["dataset"], row["backbone"]) == (name, backbone)]
        lines += [
            f"## {name}, {backbone.upper()}",
            "",
            f"{some[0]['count']} test graphs, {some[0]['symmetric_percent']:.1f} % of them with a non-trivial "
            f"automorphism group; {runs.extent(some, 'steps')} steps. BCE in nats a graph, summed over ordered pairs; "
            "one draw a graph; the checkpoint of the best validation BCE. Mean over seeds (least to greatest).",
            "",
            "| " + " | ".join(heads) + " |",
            "|" + " --- |" * len(heads),
        ]
        for label, own in [
            (encoding + apart, own)
            for encoding in ENCODINGS
            for apart, own in runs.alike([row for row in some if row["encoding"] == encoding])
        ]:
            cells = [label, str(len(own)), runs.spread(own, "bce", 2), runs.spread(own, "error_percent", 3)]
            cells += [runs.spread(own, "f1", 4)]
            for part in ("asymmetric", "symmetric"):
                values = [row[part]["bce"] for row in own if row[part] is not None]
                cells.append(f"{np.mean(values):.2f}" if values else "")
            cells += [
                runs.spread(own, "validation_bce", 2),
                f"{own[0]['parameters']:,}",
                f"{np.mean([row['train_seconds'] for row in own]):.0f}",
                f"{np.mean([row['encoding_seconds'] for row in own]):.1f}",
            ]
            lines.append("| " + " | ".join(cells) + " |")
        for model, bce, error, f1 in PUBLISHED.get(name, ()):
            cells = [f"*published: {model}*", "", f"*{bce}*", f"*{error}*", f"*{f1}*", *[""] * (len(heads) - 5)]
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines + runs.remarks(rows, missing))
