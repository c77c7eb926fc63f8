"""The experiment, all rows of the ladder, and their table."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sympe.experiments import runs
from sympe.experiments.configs import check_preset
from sympe.experiments.experiment import Experiment
from sympe.experiments.generalization.config import (
    ENCODINGS,
    OF_EXACT,
    OF_NETWORKS,
    PARTS,
    PRESETS,
    Encoding,
    GeneralizationConfig,
    Part,
)
from sympe.experiments.tables import Column, by_encoding, lines, remarks
from sympe.lazy import Deferred

MEASURE = {
    "exact": Deferred("sympe.experiments.generalization.gap.measure"),
    "linear": Deferred("sympe.experiments.generalization.linear.measure"),
    "network": Deferred("sympe.experiments.generalization.network.measure"),
}


@dataclass(frozen=True)
class Choices:
    """What replaces a preset's own choices."""

    encodings: tuple[Encoding, ...] | None = None
    """Only these, instead of the preset's."""
    seeds: int | None = None
    """Seeds 0 .. N-1 of the networks, instead of the preset's."""
    part: Part | None = None
    """Only this part."""


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
    check_preset(preset, PRESETS, encodings, seeds)
    if part is not None and part not in PARTS:
        raise ValueError(f"part: expected one of {', '.join(PARTS)}; got {part!r}")
    base = GeneralizationConfig()
    if preset == "smoke":
        base = dataclasses.replace(base, repeats=10, steps=5, width=4)
    plan = [
        ("exact", OF_EXACT, 1),
        ("linear", ENCODINGS, 1),
        ("network", OF_NETWORKS, seeds or {"smoke": 1, "demo": 3, "full": 10}[preset]),
    ]
    return [
        dataclasses.replace(base, part=own, encoding=encoding, seed=seed)  # type: ignore[arg-type]  # checked there
        for own, known, count in plan
        if part in (None, own)
        for seed in range(count)
        for encoding in (known if encodings is None else encodings)
        if encoding in known or encoding not in ENCODINGS
    ]


@dataclass
class Measurement:
    """A row: what is measured, and in which time.

    Arguments:
        config: the row.
    """

    config: GeneralizationConfig
    data_hash: str | None = None
    global_rank: int = 0

    def train_in(self, run: Path, *, threads: int | None = None, **options: Any) -> None:
        """Nothing is trained beforehand, so ``options`` do not matter.

        Arguments:
            run: the run directory.
            threads: CPU threads; None leaves them as they are.
            options: of trainings.
        """
        if threads is not None:
            import torch  # slow to import, and help does not wait for it

            torch.set_num_threads(threads)

    def measure(self, out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        """The numbers; there are no arrays."""
        started = time.perf_counter()
        numbers = MEASURE[self.config.part](self.config)
        numbers |= {
            "seconds": round(time.perf_counter() - started, 2),
            "loss": "squared error, g coupled to the answer",
        }
        runs.write_progress(out / "runs" / self.config.name, self.config.steps, 0.0)
        return numbers, {}


def table(rows: Sequence[Mapping[str, Any]], missing: Sequence[str] = ()) -> str:
    """A Markdown table for each part."""
    text = ["# Generalization", ""]
    exact = [row for row in rows if row["part"] == "exact"]
    if exact:
        text += ["## The gain of averaging, R(f) - R(Qf) = |f - Qf|^2, for a random f", ""]
        text += ["| kernel | H, nats | R(f) - R(Qf) | its difference from the right side | by samples |"]
        text += ["| --- | --- | --- | --- | --- |"]
        text += [
            f"| {row['encoding']} | {row['entropy']:.3f} | {row['gain']:.4f} | {row['gain'] - row['distance']:.1e} "
            f"| {row['gain_sampled']:.3f} ± {row['gain_sampled_error']:.3f} |"
            for row in exact
        ]
        text.append("")
    own = [row for row in rows if row["part"] == "linear"]
    if own:
        sizes = [point["samples"] for point in own[0]["ladder"]]
        shown = [size for size in sizes if size in (16, 64, 256, 1024)]
        text += ["## Least squares: risk on the test set, simulated (and expected)", ""]
        text += ["| encoding | H, nats | " + " | ".join(f"{size} samples" for size in shown) + " | largest z |"]
        text += ["|" + " --- |" * (3 + len(shown))]
        for row in own:
            points = {point["samples"]: point for point in row["ladder"]}
            cells = [f"{points[n]['test']:.3f} ({points[n]['expected_test']:.3f})" for n in shown]
            text.append(
                f"| {row['encoding']} | {row['entropy']:.3f} | {' | '.join(cells)} | {largest_deviation(row):.1f} |"
            )
        count = sum(len(row["ladder"]) * 3 for row in own)
        text += [
            "",
            f"z: the largest distance between a simulated and an expected number in standard errors, of {count} in the "
            "whole table.",
            "",
        ]
    networks = [row for row in rows if row["part"] == "network"]
    if networks:
        sizes = [point["samples"] for point in networks[0]["ladder"]]
        columns = [Column(f"{size} samples", f"ladder.{place}.test", 2) for place, size in enumerate(sizes)]
        columns.append(Column("training risk", f"ladder.{len(sizes) - 1}.train", 2))
        text += [f"## Networks of {networks[0]['parameters']:,} parameters: risk on the test set", ""]
        text += lines(columns, by_encoding(networks, OF_NETWORKS))
        text += ["", f"Mean over seeds (least to greatest). Training risk: that of {sizes[-1]} samples.", ""]
    return "\n".join(text + remarks(rows, missing))


def largest_deviation(row: Mapping[str, Any]) -> float:
    """The largest distance between a simulated and an expected number of a row, in standard errors."""
    return max(
        float(abs(point[key] - point[f"expected_{key}"]) / max(point[f"{key}_error"], 1e-12))
        for point in row["ladder"]
        for key in ("test", "train", "gap")
    )


EXPERIMENT = Experiment(
    name="generalization",
    title="what encodings cost in data: exact risks, least squares and small networks",
    config=GeneralizationConfig,
    presets=PRESETS,
    choices=Choices,
    rows=preset_configs,
    task=Measurement,
    keys=("part", "encoding", "seed"),
    table=table,
    figures=Deferred("sympe.experiments.generalization.figures.draw_figures"),
)
