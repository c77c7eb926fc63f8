"""The pictures: phase maps of the gap, sampled spin patterns, training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sympe.experiments import runs
from sympe.experiments.ising.config import ENCODINGS, PHASES, IsingConfig
from sympe.experiments.ising.evaluation import DRAWS_SHOWN, MAP_H, MAP_JY, SHOWN
from sympe.experiments.ising.hamiltonian import closed_form
from sympe.experiments.pictures import BESIDE, COLORS, PLAIN, WIDE, band, floor, label, save

Rows = Sequence[Mapping[str, Any]]
SMALLEST_GAP = 1e-4
TITLES = {
    "wide": "uniform couplings of all four phases",
    "paper": "the uniform couplings of the paper",
    "supercell": "couplings of 2 × 2 supercells",
    "glass": "spin glass",
}
"""What the Hamiltonians of a variant are."""


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
        title = f"{TITLES[variant]}, L = {size}"
        figures = {
            "phase-map": phase_map(first, title) if any("map_+1" in a for a in first.values()) else None,
            "patterns": patterns(first, title),
            "curves": curves(arrays, title, ground_energy(variant, size)),
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
        figsize=(min(WIDE, 2.6 + 1.8 * len(names)), 1.5 + 1.5 * len(keys)),
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
            axis.set_xticks([-2, 0, 2])
            if row == 0:
                axis.set_title(label(name, width=14), fontsize=9.5)
        axes[row, 0].set_ylabel(f"Jx = {'+' if key == 'map_+1' else '−'}1\nh / |Jx|")
    for axis in axes[-1]:
        axis.set_xlabel("Jy / |Jx|")
    assert image is not None
    bar = figure.colorbar(image, ax=axes, shrink=0.9)
    bar.set_label("gap per spin / |Jx|\n(1e-4 or less: exact)")
    figure.suptitle(f"Energy above the ground state: {title}")
    return figure


def patterns(arrays: Mapping[str, Mapping[str, Any]], title: str) -> Figure:
    """Several draws for the same few Hamiltonians, rounded spins; x runs right and y runs up."""
    names = [e for e in ENCODINGS if e in arrays]
    uniform = any("map_+1" in a for a in arrays.values())
    count = min(DRAWS_SHOWN, 2 if len(names) > 4 else 3)
    blocks = len(arrays[names[0]]["spins"])
    if uniform and not any("map_-1" in a for a in arrays.values()):
        blocks -= 1  # the paper's couplings have no checkerboard
    side = (WIDE - 1.5) / max(count * len(names), 9)
    figure = plt.figure(figsize=(1.5 + side * count * len(names), 1.2 + 1.05 * side * blocks), layout="constrained")
    widths = [1.5, *[side * count] * len(names)]
    labels, *subfigures = figure.subfigures(1, len(names) + 1, wspace=0.02, squeeze=False, width_ratios=widths)[0]
    heads = [label(name, width=14) for name in names]
    lines = max(head.count("\n") for head in heads)
    label_axes = labels.subplots(blocks, 1, squeeze=False)[:, 0]
    labels.suptitle(" " + "\n" * lines, fontsize=10)
    for block, axis in enumerate(label_axes):
        jx, jy, h = SHOWN[block].tolist()
        couplings = f"Jx = {jx:g}, Jy = {jy:g},\nh = {h:g}".replace("-", "−")
        words = f"{PHASES[block]}\n{couplings}" if uniform else f"Hamiltonian {block + 1}"
        axis.text(1, 0.5, words, fontsize=9, ha="right", va="center", transform=axis.transAxes)
        axis.axis("off")
    for name, head, part in zip(names, heads, subfigures, strict=True):
        axes = part.subplots(blocks, count, squeeze=False)
        part.suptitle(head + "\n" * (lines - head.count("\n")), fontsize=10)
        for block in range(blocks):
            for draw in range(count):
                axis = axes[block, draw]
                spins = arrays[name]["spins"][block, draw].T  # site (a, b): x is a, y is b
                axis.imshow(spins, origin="lower", vmin=-1, vmax=1, cmap="gray_r", interpolation="nearest")
                axis.set_xticks([])
                axis.set_yticks([])
    figure.suptitle(f"Sampled spins: {title}\n(black +1, white −1; x runs to the right →, y runs up ↑)")
    return figure


def curves(arrays: Mapping[int, Mapping[str, Mapping[str, Any]]], title: str, ground: float | None = None) -> Figure:
    """The training energy, mean and range over seeds, and the mean energy of the ground states where it is known."""
    figure, axis = plt.subplots(figsize=PLAIN, layout="constrained")
    for name in ENCODINGS:
        own = [a[name]["curve"] for a in arrays.values() if name in a]
        if own:
            band(axis, own, label=label(name), color=COLORS[name])
    if ground is not None:
        floor(axis, ground, "ground states (mean)")
    axis.set_xlabel("optimiser step")
    axis.set_ylabel("energy per spin (units of the couplings)")
    axis.set_title(f"Training energy: {title}")
    axis.legend(**BESIDE)
    return figure


def ground_energy(variant: str, size: int) -> float | None:
    """The mean energy per spin of the ground states of all Hamiltonians of a variant, where it has a closed form.

    One coupling is 1, in "wide" or -1, the other uniform from -3 to 3, the field from 0 to 2. (The energies of spins
    between -1 and 1 are not below it but for the chance in a batch.)
    """
    if variant not in ("paper", "wide") or size % 2:
        return None
    jx = torch.tensor([1.0, -1.0] if variant == "wide" else [1.0])[:, None, None]
    jy, h = (least + (torch.arange(1000) + 0.5) / 1000 * (most - least) for least, most in ((-3, 3), (0, 2)))
    return float(closed_form(jx, jy[:, None], h)[0].double().mean())


def _draw_boundaries(axis: Axes, jx: float) -> None:
    """The phase boundaries of the closed form."""
    jy, h = np.meshgrid(np.linspace(-3, 3, 301), np.linspace(0, 1.999, 101))
    energies = np.stack([-jx - jy - np.abs(h), -jx + jy, jx - jy, jx + jy + 0 * h])
    axis.contour(jy, h, energies.argmin(0), levels=[0.5, 1.5, 2.5], colors="0.3", linewidths=0.7)
