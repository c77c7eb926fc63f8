"""The pictures: phase maps of the gap, sampled spin patterns, training curves."""

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

from sympe.experiments import runs
from sympe.experiments.ising.config import ENCODINGS, PHASES, IsingConfig
from sympe.experiments.ising.evaluation import DRAWS_SHOWN, MAP_H, MAP_JY, SHOWN
from sympe.experiments.pictures import save

Rows = Sequence[Mapping[str, Any]]
COLORS = dict(zip(ENCODINGS, ("0.5", "tab:orange", "tab:purple", "tab:brown", "tab:blue", "tab:green"), strict=True))
SMALLEST_GAP = 1e-4


def draw_figures(rows: Rows, out: Path) -> list[Path]:
    """Draw all figures of a comparison; one of each kind for every variant and size."""
    paths = []
    for variant, size in sorted({(row["variant"], row["size"]) for row in rows}):
        some = [row for row in rows if (row["variant"], row["size"]) == (variant, size)]
        arrays: dict[int, dict[str, Any]] = {row["seed"]: {} for row in some}
        for row in some:
            name = IsingConfig(**row["config"]).name
            arrays[row["seed"]][row["encoding"]] = runs.read_row_arrays(out, name)
        first = arrays[min(arrays)]
        title = f"{variant}, L = {size}"
        figures = {
            "phase-map": phase_map(first, title) if any("map_+1" in a for a in first.values()) else None,
            "patterns": patterns(first, title),
            "curves": curves(arrays, title),
        }
        for kind, figure in figures.items():
            if figure is not None:
                paths.append(save(figure, out / f"{kind}-{variant}-L{size}.png"))
    return paths


def phase_map(arrays: Mapping[str, Mapping[str, Any]], title: str) -> Figure:
    """The energy gap of one draw over the plane of (Jy, h), a column for each encoding, a row for each Jx."""
    names = [e for e in ENCODINGS if e in arrays]
    keys = [k for k in ("map_+1", "map_-1") if k in arrays[names[0]]]
    figure, axes = plt.subplots(
        len(keys),
        len(names),
        figsize=(1.2 + 2.3 * len(names), 0.9 + 2.1 * len(keys)),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    norm = mpl.colors.LogNorm(SMALLEST_GAP, 5)
    extent = (float(MAP_JY[0]), float(MAP_JY[-1]), float(MAP_H[0]), float(MAP_H[-1]))
    image = None
    for row, key in enumerate(keys):
        for axis, name in zip(axes[row], names, strict=True):
            gap = np.clip(arrays[name][key].T, SMALLEST_GAP, None)
            image = axis.imshow(gap, origin="lower", extent=extent, aspect="auto", norm=norm, cmap="magma_r")
            _draw_boundaries(axis, 1.0 if key == "map_+1" else -1.0)
            if row == 0:
                axis.set_title(name)
        axes[row, 0].set_ylabel(f"Jx = {'+' if key == 'map_+1' else '−'}1\nh")
    for axis in axes[-1]:
        axis.set_xlabel("Jy")
    assert image is not None
    bar = figure.colorbar(image, ax=axes, shrink=0.9)
    bar.set_label("energy gap per spin\n(1e-4 or less: exact)")
    figure.suptitle(f"Gap to the ground state, {title}")
    return figure


def patterns(arrays: Mapping[str, Mapping[str, Any]], title: str) -> Figure:
    """Several draws for the same few Hamiltonians, rounded spins."""
    names = [e for e in ENCODINGS if e in arrays]
    uniform = any("map_+1" in a for a in arrays.values())
    count = min(DRAWS_SHOWN, 3)
    blocks = len(arrays[names[0]]["spins"])
    if uniform and not any("map_-1" in a for a in arrays.values()):
        blocks -= 1  # the paper's couplings have no checkerboard
    figure = plt.figure(figsize=(1.6 + 2.75 * len(names), 0.7 + 1.05 * blocks), layout="constrained")
    widths = [1.6, *[2.75] * len(names)]
    labels, *subfigures = figure.subfigures(1, len(names) + 1, wspace=0.03, squeeze=False, width_ratios=widths)[0]
    label_axes = labels.subplots(blocks, 1, squeeze=False)[:, 0]
    labels.suptitle(" ")
    for block, axis in enumerate(label_axes):
        jx, jy, h = SHOWN[block].tolist()
        label = f"{PHASES[block]}\nJx={jx:g} Jy={jy:g} h={h:g}" if uniform else f"Hamiltonian {block + 1}"
        axis.text(1, 0.5, label, fontsize=8, ha="right", va="center", transform=axis.transAxes)
        axis.axis("off")
    for name, part in zip(names, subfigures, strict=True):
        axes = part.subplots(blocks, count, squeeze=False)
        part.suptitle(name)
        for block in range(blocks):
            for draw in range(count):
                axis = axes[block, draw]
                axis.imshow(arrays[name]["spins"][block, draw], vmin=-1, vmax=1, cmap="gray_r", interpolation="nearest")
                axis.set_xticks([])
                axis.set_yticks([])
    figure.suptitle(f"Sampled spins, {title} (black +1, white −1; a runs down, b runs right)")
    return figure


def curves(arrays: Mapping[int, Mapping[str, Mapping[str, Any]]], title: str) -> Figure:
    """The training energy, a thin line for each seed."""
    figure, axis = plt.subplots(figsize=(6.4, 4), layout="constrained")
    for name in ENCODINGS:
        own = [a[name]["curve"] for a in arrays.values() if name in a]
        for index, curve in enumerate(own):
            axis.plot(*curve.T, color=COLORS[name], lw=1.2, alpha=0.8, label=name if index == 0 else None)
    axis.set_xlabel("optimiser step")
    axis.set_ylabel("energy per spin (training batches, real-valued spins)")
    axis.set_title(f"Training curves, {title}")
    axis.legend()
    return figure


def _draw_boundaries(axis: Axes, jx: float) -> None:
    """The phase boundaries of the closed form."""
    jy, h = np.meshgrid(np.linspace(-3, 3, 301), np.linspace(0, 1.999, 101))
    energies = np.stack([-jx - jy - np.abs(h), -jx + jy, jx - jy, jx + jy + 0 * h])
    axis.contour(jy, h, energies.argmin(0), levels=[0.5, 1.5, 2.5], colors="0.3", linewidths=0.7)
