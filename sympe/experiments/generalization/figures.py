"""The pictures: risk and gap against the number of samples, and against the entropy of the encoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sympe.experiments.generalization.config import OF_NETWORKS
from sympe.experiments.generalization.linear import expected_risks
from sympe.experiments.generalization.task import LADDER
from sympe.experiments.pictures import COLORS, PLAIN, WIDE, label, save

Rows = Sequence[Mapping[str, Any]]
ENTROPY_SAMPLES = (64, 256, 1024)


def draw_figures(rows: Rows, out: Path) -> list[Path]:
    """Draw the figures of the parts that are there."""
    linear = [row for row in rows if row["part"] == "linear"]
    networks = [row for row in rows if row["part"] == "network"]
    figures: dict[str, Figure] = {}
    if linear:
        figures["risk-linear"] = risks(linear)
        figures["gap-entropy"] = against_entropy(linear)
    if networks:
        figures["risk-network"] = network_risks(networks)
    return [save(figure, out / f"{name}.png") for name, figure in figures.items()]


def risks(rows: Rows) -> Figure:
    """Least squares: test risk and gap against the number of samples; lines are expected, points simulated."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDE, 4.4), layout="constrained")
    for row in [row for row in rows if row["encoding"] in OF_NETWORKS]:
        n = [point["samples"] for point in row["ladder"]]
        for axis, key in zip(axes, ("test", "gap"), strict=True):
            color = COLORS[row["encoding"]]
            axis.plot(n, [point[f"expected_{key}"] for point in row["ladder"]], color=color, lw=1.2)
            values, errors = ([point[k] for point in row["ladder"]] for k in (key, f"{key}_error"))
            axis.errorbar(n, values, 2 * np.array(errors), fmt="o", ms=4, color=color, label=label(row["encoding"]))
    for axis, name in zip(axes, ("risk on the test set", "gap: test − training risk"), strict=True):
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("training samples")
        axis.set_title(name)
        axis.set_ylabel("squared error")
    _floors(axes[0])
    axes[0].set_yticks([1, 2, 3, 4], ["1", "2", "3", "4"])
    axes[0].minorticks_off()
    axes[1].set_ylim(bottom=2e-3)
    figure.suptitle("Least squares; lines: expected, points: simulated, with two standard errors")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def against_entropy(rows: Rows) -> Figure:
    """Least squares: the gap against the entropy of the encoding."""
    figure, axis = plt.subplots(figsize=PLAIN, layout="constrained")
    known = [row for row in rows if row["encoding"] in LADDER]
    some = sorted((row for row in known if row["encoding"] != "noise-redrawn"), key=lambda row: row["entropy"])
    for count, marker, color in zip(ENTROPY_SAMPLES, "osD", ("0.55", "0.3", "0.05"), strict=True):
        points = [next((p for p in row["ladder"] if p["samples"] == count), None) for row in some]
        kept = [(row, point) for row, point in zip(some, points, strict=True) if point is not None]
        H = [row["entropy"] for row, _ in kept]
        axis.plot(H, [p["expected_gap"] for _, p in kept], color="0.6", lw=1.2, zorder=1)
        axis.errorbar(
            H,
            [p["gap"] for _, p in kept],
            [2 * p["gap_error"] for _, p in kept],
            fmt=marker,
            ms=5,
            color=color,
            label=f"{count} samples",
        )
    for row in (row for row in known if row["encoding"] == "noise-redrawn"):
        for count in ENTROPY_SAMPLES:
            point = next((p for p in row["ladder"] if p["samples"] == count), None)
            if point is not None:
                axis.plot(row["entropy"], point["gap"], "kx", ms=7, label=None)
        axis.plot([], [], "kx", label="noise, redrawn at every use")
    for row in some:
        if row["encoding"] != "rotations":  # has the entropy of haar here
            top = max(point["gap"] for point in row["ladder"] if point["samples"] in ENTROPY_SAMPLES)
            axis.annotate(
                label(row["encoding"]),
                (row["entropy"], top),
                xytext=(0, 8),
                textcoords="offset points",
                ha="center",
                fontsize=9,
                color=COLORS[row["encoding"]],
            )
    axis.set_yscale("log")
    axis.margins(x=0.12, y=0.15)
    axis.set_xlabel("entropy of the encoding given x (nats, mean over x)")
    axis.set_ylabel("generalization gap, squared error")
    axis.set_title("Least squares; lines: expected, points: simulated")
    axis.legend()
    return figure


def network_risks(rows: Rows) -> Figure:
    """Networks: test and training risk against the number of samples, mean over seeds and their range."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDE, 4.4), sharey=True, layout="constrained")
    for encoding in OF_NETWORKS:
        some = [row["ladder"] for row in rows if row["encoding"] == encoding]
        if not some:
            continue
        n = [point["samples"] for point in some[0]]
        for axis, key in zip(axes, ("test", "train"), strict=True):
            values = np.array([[max(point[key], 1e-2) for point in ladder] for ladder in some])
            axis.fill_between(n, values.min(0), values.max(0), color=COLORS[encoding], alpha=0.15, lw=0)
            axis.plot(n, values.mean(0), ".-", color=COLORS[encoding], lw=1.5, label=label(encoding))
    for axis, name in zip(axes, ("risk on the test set", "risk on the training set (from 0.01)"), strict=True):
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlabel("training samples")
        axis.set_title(name)
        axis.set_ylabel("squared error")
    _floors(axes[0])
    figure.suptitle("Small networks; bands: least to greatest of the seeds")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _floors(axis: Axes) -> None:
    """What many samples would leave over: the noise in the data, and without breaking the answers over each G_x."""
    for encoding, words in (("none", "floor without breaking"), ("sympe", "noise in the data")):
        value = expected_risks(encoding, 10**6)[0]
        axis.axhline(value, color=COLORS[encoding], lw=1, ls=":", label=words)
