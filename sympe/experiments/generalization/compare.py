"""All rows of the ladder: measure the missing ones, then the table, the summary and the figures."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from sympe.experiments import runs
from sympe.experiments.generalization import gap, linear, network
from sympe.experiments.generalization.config import (
    ENCODINGS,
    OF_EXACT,
    OF_NETWORKS,
    PARTS,
    PRESETS,
    GeneralizationConfig,
)
from sympe.experiments.generalization.figures import draw_figures

MEASURE = {"exact": gap.measure, "linear": linear.measure, "network": network.measure}


def preset_configs(
    preset: str, *, encodings: Sequence[str] | None = None, seeds: int | None = None, part: str | None = None
) -> list[GeneralizationConfig]:
    """The rows of a preset; every argument that is given replaces the preset's own choice.

    - ``smoke``: everything with few repeats and steps: does it run?
    - ``demo``: the parts exact and linear, and three seeds of the networks.
    - ``full``: ten seeds of the networks.

    Raises:
        ValueError: if a name is unknown, or ``encodings`` is empty or names one twice, or ``seeds`` below 1.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}; got {preset!r}")
    if part is not None and part not in PARTS:
        raise ValueError(f"part: expected one of {', '.join(PARTS)}; got {part!r}")
    runs.check_choice(encodings, seeds)
    base = GeneralizationConfig()
    if preset == "smoke":
        base = dataclasses.replace(base, repeats=10, steps=5, width=4)
    plan = [
        ("exact", OF_EXACT, 1),
        ("linear", ENCODINGS, 1),
        ("network", OF_NETWORKS, seeds or {"smoke": 1, "demo": 3, "full": 10}[preset]),
    ]
    return [
        dataclasses.replace(base, part=own, encoding=encoding, seed=seed)
        for own, known, count in plan
        if part in (None, own)
        for seed in range(count)
        for encoding in (known if encodings is None else encodings)
        if encoding in known or encoding not in ENCODINGS
    ]


def measure_row(config: GeneralizationConfig, out: Path, threads: int | None) -> dict[str, Any]:
    """Measure and record one row."""
    if threads is not None:
        torch.set_num_threads(threads)
    run = runs.prepare_run(config, out)
    started = time.perf_counter()
    row = {
        "part": config.part,
        "encoding": config.encoding,
        "seed": config.seed,
        **MEASURE[config.part](config),
        "seconds": round(time.perf_counter() - started, 2),
        "loss": "squared error, g coupled to the answer",
        "config": dataclasses.asdict(config),
        "environment": runs.environment(),
    }
    runs.write_progress(run, config.steps, 0.0)
    runs.write_row(row, {}, out, config.name)
    return row


def compare(
    preset: str,
    out: Path,
    *,
    encodings: Sequence[str] | None = None,
    seeds: int | None = None,
    part: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Measure what is missing, then write ``summary.json``, ``table.md`` and the figures to ``out``.

    Arguments:
        preset: see :func:`preset_configs`.
        out: the folder of the comparison.
        encodings: see :func:`preset_configs`.
        seeds: see :func:`preset_configs`.
        part: see :func:`preset_configs`.
        options: ``train_missing``, ``jobs``, ``cluster`` and ``cluster_options``, see
            :func:`sympe.experiments.runs.compare_rows`.

    Returns:
        The summary.

    Raises:
        ValueError: if ``out`` holds rows of another config; nothing is touched then; or a choice is not known.
    """
    configs = preset_configs(preset, encodings=encodings, seeds=seeds, part=part)
    return runs.compare_rows(
        "generalization", preset, configs, out, train=measure_row, table=table, draw_figures=draw_figures, **options
    )


def table(rows: Sequence[Mapping[str, Any]], missing: Sequence[str] = ()) -> str:
    """A Markdown table for each part."""
    lines = ["# Generalization", ""]
    exact = [row for row in rows if row["part"] == "exact"]
    if exact:
        lines += ["## The gain of averaging, R(f) - R(Qf) = |f - Qf|^2, for a random f", ""]
        lines += ["| kernel | H, nats | R(f) - R(Qf) | its difference from the right side | by samples |"]
        lines += ["| --- | --- | --- | --- | --- |"]
        lines += [
            f"| {row['encoding']} | {row['entropy']:.3f} | {row['gain']:.4f} | {row['gain'] - row['distance']:.1e} "
            f"| {row['gain_sampled']:.3f} ± {row['gain_sampled_error']:.3f} |"
            for row in exact
        ]
        lines.append("")
    own = [row for row in rows if row["part"] == "linear"]
    if own:
        sizes = [point["samples"] for point in own[0]["ladder"]]
        shown = [size for size in sizes if size in (16, 64, 256, 1024)]
        lines += ["## Least squares: risk on the test set, simulated (and expected)", ""]
        lines += ["| encoding | H, nats | " + " | ".join(f"{size} samples" for size in shown) + " | largest z |"]
        lines += ["|" + " --- |" * (3 + len(shown))]
        for row in own:
            points = {point["samples"]: point for point in row["ladder"]}
            cells = [f"{points[n]['test']:.3f} ({points[n]['expected_test']:.3f})" for n in shown]
            lines.append(
                f"| {row['encoding']} | {row['entropy']:.3f} | {' | '.join(cells)} | {largest_deviation(row):.1f} |"
            )
        count = sum(len(row["ladder"]) * 3 for row in own)
        lines += [
            "",
            f"z: the largest distance between a simulated and an expected number in standard errors, of {count} in the "
            "whole table.",
            "",
        ]
    networks = [row for row in rows if row["part"] == "network"]
    if networks:
        sizes = [point["samples"] for point in networks[0]["ladder"]]
        lines += [f"## Networks of {networks[0]['parameters']:,} parameters: risk on the test set", ""]
        lines += ["| encoding | seeds | " + " | ".join(f"{size} samples" for size in sizes) + " | training risk |"]
        lines += ["|" + " --- |" * (3 + len(sizes))]
        for encoding in [e for e in OF_NETWORKS if any(row["encoding"] == e for row in networks)]:
            some = [row for row in networks if row["encoding"] == encoding]
            cells = [runs.spread([row["ladder"][place] for row in some], "test", 2) for place in range(len(sizes))]
            last = runs.spread([row["ladder"][-1] for row in some], "train", 2)
            lines.append(f"| {encoding} | {len(some)} | {' | '.join(cells)} | {last} |")
        lines += ["", f"Mean over seeds (least to greatest). Training risk: that of {sizes[-1]} samples.", ""]
    return "\n".join(lines + runs.remarks(rows, missing))


def largest_deviation(row: Mapping[str, Any]) -> float:
    """The largest distance between a simulated and an expected number of a row, in standard errors."""
    return max(
        float(abs(point[key] - point[f"expected_{key}"]) / max(point[f"{key}_error"], 1e-12))
        for point in row["ladder"]
        for key in ("test", "train", "gap")
    )
