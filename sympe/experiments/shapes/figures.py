"""The pictures: shapes in space with their deformations, and the errors of all rows with the floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from sympe.experiments import runs
from sympe.experiments.pictures import COLORS, WIDE, save
from sympe.experiments.shapes.config import ENCODINGS, LOSSES, ShapesConfig
from sympe.experiments.shapes.data import templates

Rows = Sequence[Mapping[str, Any]]
DRAWN = {
    "polyhedra": ("square", "hexagon", "tetrahedron", "cube", "hexagonal prism"),
    "cages": ("cage a0a0c+", "cage a0a0c-", "cage a-a-a-"),
    "hydrogens": ("methane, two a", "ethane, two c", "benzene, one a", "benzene, two b", "cubane, two c"),
}
"""The shapes of the pictures."""
SAMPLES = 3
"""Draws that are shown for each row."""
EXAGGERATED = {"polyhedra": 1.6, "cages": 1.0, "hydrogens": 1.0}
"""Displacements are drawn longer than they are by this factor."""
REACH = {"polyhedra": 1.35, "cages": 1.35, "hydrogens": 1.45}
"""Half of the side of the box that is drawn."""


def draw_figures(rows: Rows, out: Path) -> list[Path]:
    """Draw all figures of a comparison; one of each kind for every dataset and backbone."""
    paths = []
    for dataset, backbone in sorted({(row["dataset"], row["backbone"]) for row in rows}):
        some = [row for row in rows if (row["dataset"], row["backbone"]) == (dataset, backbone)]
        figures = {"errors": errors(some, f"{dataset}, {backbone}")}
        first = min(row["seed"] for row in some)
        shown = {}
        for row in some:
            if row["encoding"] in ("none", "sympe-coupled") and (row["seed"], row["loss"]) == (first, "squared"):
                shown[row["encoding"]] = runs.read_row_arrays(out, ShapesConfig(**row["config"]).name)
        if shown:
            figures["shapes"] = deformations(shown, dataset, f"{dataset}, {backbone}")
        paths += [save(figure, out / f"{kind}-{dataset}-{backbone}.png") for kind, figure in figures.items()]
    return paths


def errors(rows: Rows, title: str) -> Figure:
    """The error to the nearest right answer and the total variation of every row.

    A dot for each seed, and a hollow one for molecules that training has not seen.
    """
    kinds = [
        (encoding, loss)
        for encoding in ENCODINGS
        for loss in LOSSES
        if any((row["encoding"], row["loss"]) == (encoding, loss) for row in rows)
    ]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(WIDE, 1.6 + 0.32 * len(kinds)), sharey=True, layout="constrained", width_ratios=(3, 2)
    )
    for place, (encoding, loss) in enumerate(kinds):
        own = [row for row in rows if (row["encoding"], row["loss"]) == (encoding, loss)]
        style: dict[str, Any] = {
            "color": COLORS[encoding],
            "marker": "o" if loss == "squared" else "D",
            "ls": "",
            "ms": 7,
            "alpha": 0.75,
        }
        for axis, key in ((left, "error"), (right, "variation")):
            axis.plot([row[key] for row in own], [place] * len(own), **style)
            unseen = [row["new"][key] for row in own if row["new"]]
            axis.plot(unseen, [place] * len(unseen), **style, mfc="none")
    for axis in (left, right):
        axis.grid(axis="x", color="0.9", lw=0.8)
        axis.set_axisbelow(True)
    left.axvline(rows[0]["floor"], color="black", lw=1, ls=":")
    left.text(rows[0]["floor"], -0.75, "floor of equivariant functions ", fontsize=9, ha="right", va="center")
    right.axvline(rows[0]["variation_of_truth"], color="black", lw=1, ls=":")
    right.text(rows[0]["variation_of_truth"], -0.75, " the true law, as many draws", fontsize=9, va="center")
    left.set_xscale("log")
    left.set_xlim(None, 2)
    right.set_xlim(-0.03, 1.05)
    left.set_ylim(len(kinds) - 0.4, -1.2)
    left.set_yticks(range(len(kinds)), [f"{encoding}, {loss}" for encoding, loss in kinds])
    left.set_xlabel("error to the nearest right answer\n(squared, over the square of the target)")
    right.set_xlabel("total variation from the uniform law\nover the right answers (1: undecided)")
    hollow = "; hollow: new molecules" if any(row["new"] for row in rows) else ""
    figure.suptitle(f"Shapes to deformations: {title}; encoding and loss of each row{hollow}")
    return figure


def deformations(shown: Mapping[str, Mapping[str, Any]], dataset: str, title: str) -> Figure:
    """A few shapes: the input, all right answers, and draws of rows, for a test sample in its first position."""
    of = templates(dataset)
    names = [name for name in ENCODINGS if name in shown]
    heads = ["input", "right answers"]
    counts = {name: 1 if name == "none" else SAMPLES for name in names}
    for name in names:
        heads += [name if counts[name] == 1 else f"{name}, {1 + draw}" for draw in range(counts[name])]
    figure = plt.figure(figsize=(WIDE, 0.7 + 1.75 * len(DRAWN[dataset])))
    wide, high = len(heads), len(DRAWN[dataset])
    for line, shape in enumerate(DRAWN[dataset]):
        row = of.names.index(shape)
        first = next(iter(shown.values()))
        n = int(first["sizes"][row])
        p = first["positions"][row, :n]
        orbit = of.orbits.of(row)[:, :n].numpy()
        bonds = _chemical_bonds(p) if dataset == "hydrogens" else _bonds(p)
        cells: list[tuple[Any, str]] = [(None, "0.3"), (orbit, "black")]
        for name in names:
            cells += [(first_draw[None, :n], COLORS[name]) for first_draw in shown[name]["draws"][row, : counts[name]]]
        for column, (fields, color) in enumerate(cells):
            axis: Any = figure.add_subplot(high, wide, 1 + line * wide + column, projection="3d")
            shown_fields = None if fields is None else EXAGGERATED[dataset] * fields
            _draw(axis, p, bonds, shown_fields, color, REACH[dataset])
            if line == 0:
                axis.set_title(heads[column], fontsize=10, pad=0)
            if column == 0:
                axis.text2D(0.5, -0.02, shape, transform=axis.transAxes, fontsize=9, ha="center")
            if column == 1:
                axis.text2D(0.5, -0.02, f"{len(orbit)} of them", transform=axis.transAxes, fontsize=9, ha="center")
    height = figure.get_figheight()
    figure.suptitle(f"Deformations drawn for test inputs: {title}", fontsize=11.5, y=1 - 0.15 / height, va="top")
    figure.subplots_adjust(left=0, right=1, bottom=0.12 / height, top=1 - 0.62 / height, wspace=0, hspace=0.08)
    return figure


def _bonds(p: Any) -> list[tuple[int, int]]:
    """Pairs of points about as near as their nearest."""
    d = np.linalg.norm(p[:, None] - p[None], axis=2)
    least = np.where(np.eye(len(p)) > 0, np.inf, d).min(1)
    return [(i, j) for i in range(len(p)) for j in range(i) if d[i, j] < 1.25 * min(least[i], least[j])]


def _chemical_bonds(p: Any) -> list[tuple[int, int]]:
    """Pairs of atoms less than 1.53 times as far apart as the nearest, a hydrogen and what it is bound to."""
    d = np.linalg.norm(p[:, None] - p[None], axis=2)
    reach = 1.53 * d[d > 0].min()
    return [(i, j) for i in range(len(p)) for j in range(i) if d[i, j] < reach]


def _draw(axis: Any, p: Any, bonds: list[tuple[int, int]], fields: Any, color: str, reach: float) -> None:
    """The shape in grey; with one field the deformed shape, with several all displacements as lines."""
    faint = fields is not None
    axis.computed_zorder = False  # the deformed shape lies over the grey one, also where they are the same
    _draw_frame(axis, p, bonds, "0.8" if faint else color, 1.0)
    if fields is not None and len(fields) == 1:
        _draw_frame(axis, p + fields[0], bonds, color, 1.6)
    if fields is not None:
        for field in fields:
            for start, step in zip(p, field, strict=True):
                if np.linalg.norm(step) > 0.05:
                    axis.plot(*np.stack([start, start + step]).T, color=color, lw=1.1, alpha=0.9)
                    if len(fields) > 1:
                        axis.scatter(*(start + step), s=5, color=color, depthshade=False)
    axis.set_axis_off()
    axis.set_box_aspect((1, 1, 1), zoom=1.5)
    axis.set_xlim(-reach, reach)
    axis.set_ylim(-reach, reach)
    axis.set_zlim(-reach, reach)
    axis.view_init(elev=24, azim=-62)


def _draw_frame(axis: Any, p: Any, bonds: list[tuple[int, int]], color: str, width: float) -> None:
    for i, j in bonds:
        axis.plot(*p[[i, j]].T, color=color, lw=width, zorder=width)
    axis.scatter(*p.T, s=12, color=color, depthshade=False, zorder=width)
