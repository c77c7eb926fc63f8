"""The pictures: samples, the bound along the training and against none, and the entropy of the kernel along t."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from rdkit import Chem
from rdkit.Chem import Draw

from sympe.experiments import runs
from sympe.experiments.molecules.config import MoleculesConfig
from sympe.experiments.pictures import save

Rows = Sequence[Mapping[str, Any]]
COLORS: dict[str, str] = {
    "none": "0.5",
    "cycles": "tab:brown",
    "structure": "tab:red",
    "stock": "tab:olive",
    "canonical": "goldenrod",
    "noise": "tab:orange",
    "haar": "tab:purple",
    "laplacian": "tab:pink",
    "sympe-nodes": "tab:cyan",
    "sympe-nodes-edges": "tab:blue",
    "sympe-scores": "tab:green",
    "structure+sympe": "navy",
    "canonical+sympe": "teal",
}
SHOWN = 12
"""Samples of each encoding that are drawn."""


def draw_figures(rows: Rows, out: Path) -> list[Path]:
    """Draw all figures of a comparison; one of each kind for every dataset and transition."""
    paths = []
    for name, transition in sorted({(row["dataset"], row["transition"]) for row in rows}):
        some = [row for row in rows if (row["dataset"], row["transition"]) == (name, transition)]
        arrays = [runs.read_row_arrays(out, MoleculesConfig(**row["config"]).name) for row in some]
        title = f"{name}, {transition} noise"
        figures = {
            "samples": samples(some, arrays, title),
            "curves": curves(some, arrays, title),
            "entropy": entropy(arrays[0], title),
        }
        if points := differences_to_none(some, arrays):
            figures["differences"] = differences(points, title)
        paths += [save(figure, out / f"{kind}-{name}-{transition}.png") for kind, figure in figures.items()]
    return paths


def label_of(row: Mapping[str, Any]) -> str:
    """The encoding, and whether it is coupled."""
    return str(row["encoding"]) + (", coupled" if row["coupled"] else "")


def samples(rows: Rows, arrays: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """The first valid samples of each encoding, of its first seed."""
    first = {label_of(row): index for index, row in reversed(list(enumerate(rows)))}
    order = sorted(first, key=lambda label: first[label])
    figure, axes = plt.subplots(
        len(order), 1, figsize=(13, 1.6 * len(order) + 0.6), squeeze=False, layout="constrained"
    )
    for axis, label in zip(axes[:, 0], order, strict=True):
        valid = [text for text in arrays[first[label]]["samples"].tolist() if text][:SHOWN]
        axis.imshow(grid(valid, per_row=SHOWN, size=220) if valid else np.full((220, 220 * SHOWN, 3), 255, np.uint8))
        axis.set_ylabel(label, fontsize=8)
        axis.set_xticks([])
        axis.set_yticks([])
        for spine in axis.spines.values():
            spine.set_visible(False)
    figure.suptitle(f"Valid samples (their largest fragments), {title}", fontsize=11)
    return figure


def grid(found: Sequence[str], *, per_row: int, size: int) -> Image.Image:
    """Molecules side by side; SMILES in, at least one."""
    molecules = [Chem.MolFromSmiles(text) for text in found]
    draw: Any = Draw.MolsToGridImage
    png = draw(molecules, molsPerRow=per_row, subImgSize=(size, size), returnPNG=True)
    return Image.open(io.BytesIO(png))


def curves(rows: Rows, arrays: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """The bound on validation molecules along the training but its first steps, a thin line for each seed."""
    figure, axis = plt.subplots(figsize=(6.4, 4), layout="constrained")
    seen: set[str] = set()
    ends = []
    for row, array in zip(rows, arrays, strict=True):
        label = label_of(row)
        points = array["validation"]
        axis.plot(
            *points.T,
            "--" if row["coupled"] else "-",
            color=COLORS[row["encoding"]],
            lw=1.2,
            alpha=0.8,
            label=None if label in seen else label,
        )
        seen.add(label)
        ends += [points[len(points) // 6, 1], points[:, 1].min()]  # in the first steps it falls by far more
    margin = 0.05 * (max(ends) - min(ends)) or 0.5
    axis.set_ylim(min(ends) - margin, max(ends) + margin)
    axis.set_xlabel("optimiser step")
    axis.set_ylabel("validation bound (nats a molecule)")
    axis.set_title(f"Bound along the training, {title}")
    axis.legend(fontsize=8)
    return figure


def differences_to_none(rows: Rows, arrays: Sequence[Mapping[str, Any]]) -> list[tuple[str, int, float, float]]:
    """The bound less that of none with the same seed: encoding, seed, mean over the test molecules, standard error.

    Both rows were trained as long, on the same data, and judged on the same noisy molecules, so the difference is more
    certain than either bound. Rows without such a partner have none.
    """
    judged = [(row, array["bound"]) for row, array in zip(rows, arrays, strict=True)]
    keyed = [((row["seed"], row["steps"], row["data_hash"], len(bound)), row, bound) for row, bound in judged]
    none = {key: bound for key, row, bound in keyed if row["encoding"] == "none"}
    found = []
    for key, row, bound in keyed:
        if row["encoding"] != "none" and key in none:
            difference = bound - none[key]
            error = float(difference.std(ddof=1)) / len(difference) ** 0.5
            found.append((label_of(row), int(row["seed"]), float(difference.mean()), error))
    return found


def differences(points: Sequence[tuple[str, int, float, float]], title: str) -> Figure:
    """How much better or worse than none every encoding is, a dot for each seed; see :func:`differences_to_none`."""
    labels = list(dict.fromkeys(label for label, *_ in points))
    points = sorted(points, key=lambda point: (labels.index(point[0]), point[1]))
    figure, axis = plt.subplots(figsize=(6.4, 1.2 + 0.45 * len(points)), layout="constrained")
    places = range(len(points), 0, -1)
    for place, (label, _, mean, error) in zip(places, points, strict=True):
        color = COLORS[label.removesuffix(", coupled")]
        axis.errorbar(mean, place, xerr=2 * error, fmt="o", color=color, capsize=3)
        axis.annotate(
            f"{mean:+.3f} ± {error:.3f}", (mean, place), (0, 6), textcoords="offset points", ha="center", fontsize=7
        )
    axis.axvline(0, color="0.5", lw=1)
    axis.set_yticks(places, [f"{label}, seed {seed}" for label, seed, *_ in points], fontsize=8)
    axis.set_ylim(0.4, len(points) + 0.8)
    axis.margins(x=0.2)
    axis.set_xlabel("bound less that of none (nats; left is better; bars: two standard errors)", fontsize=8)
    axis.set_title(f"Worth of the encoding, {title}")
    return figure


def entropy(array: Mapping[str, Any], title: str) -> Figure:
    """How random the exact kernel is on noisy molecules, and on how many of them it is at all."""
    figure, axis = plt.subplots(figsize=(6.4, 4), layout="constrained")
    axis.plot(array["times"], array["entropy_mean"], color="tab:blue", label="exact kernel: mean log |Aut|")
    axis.axhline(float(array["entropy_uniform"]), color="tab:purple", ls="--", label="haar: mean log n!")
    axis.set_yscale("symlog", linthresh=1.0)
    axis.set_ylim(0, None)
    axis.set_xlabel("t")
    axis.set_ylabel("entropy of g (nats)")
    share = axis.twinx()
    share.plot(array["times"], 100 * array["entropy_symmetric"], color="0.6", lw=1)
    share.set_ylim(0, 101)
    share.set_ylabel("graphs with any symmetry (%, grey)")
    axis.set_title(f"Entropy of the kernel on noisy molecules, {title}")
    figure.legend(fontsize=8, loc="outside lower center", ncols=2)
    return figure
