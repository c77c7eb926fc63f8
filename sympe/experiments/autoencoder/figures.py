"""The pictures: reconstructions of the most symmetric graphs, error against symmetry, validation curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import igraph
import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sympe.experiments import runs
from sympe.experiments.autoencoder.config import COMPARED, ENCODINGS, ORDERS, AutoencoderConfig
from sympe.experiments.pictures import BESIDE, COLORS, WIDE, band, label, save

Rows = Sequence[Mapping[str, Any]]
TITLES = {
    "er": "Erdős-Rényi graphs",
    "community": "two communities",
    "community-released": "two communities, the released graphs",
}
"""What the graphs of a dataset are."""
WRONG = "#d62728"


def draw_figures(rows: Rows, out: Path) -> list[Path]:
    """Draw all figures of a comparison; one of each kind for every dataset and backbone.

    Rows of the study of canonical orders have a figure of their own, beside "sympe".
    """
    paths = []
    for name, backbone in sorted({(row["dataset"], row["backbone"]) for row in rows}):
        some = [row for row in rows if (row["dataset"], row["backbone"]) == (name, backbone)]
        arrays: dict[int, dict[str, Any]] = {row["seed"]: {} for row in some}
        for row in some:
            row_name = AutoencoderConfig(**row["config"]).name
            arrays[row["seed"]][row["encoding"]] = runs.read_row_arrays(out, row_name)
        title = f"{TITLES[name]}, {backbone.upper()}"
        encodings = {row["encoding"] for row in some}
        figures = {}
        if encodings & set(COMPARED):
            main = _only(arrays, COMPARED)
            figures["reconstructions"] = reconstructions(main[min(main)], title)
            figures["symmetry"] = symmetry(main, title)
            figures["curves"] = curves(main, title)
        if encodings - set(COMPARED):
            figures["orders"] = curves(_only(arrays, ORDERS), f"SymPE by canonical order, {title}", names=ORDERS)
        paths += [save(figure, out / f"{kind}-{name}-{backbone}.png") for kind, figure in figures.items()]
    return paths


def _only(arrays: Mapping[int, Mapping[str, Any]], encodings: Iterable[str]) -> dict[int, dict[str, Any]]:
    """Only some encodings, and the seeds that have any of them."""
    kept = {seed: {name: own[name] for name in encodings if name in own} for seed, own in arrays.items()}
    return {seed: own for seed, own in kept.items() if own}


def reconstructions(arrays: Mapping[str, Mapping[str, Any]], title: str) -> Figure:
    """The most symmetric test graphs: the input, then what each encoding's decoder makes of it."""
    names = [e for e in ENCODINGS if e in arrays]
    first = arrays[names[0]]
    count = len(first["shown_edges"])
    side = min(1.9, WIDE / (1 + len(names)))
    figure, axes = plt.subplots(
        count,
        1 + len(names),
        figsize=(side * (1 + len(names)), 1.2 + 1.15 * side * count),
        squeeze=False,
        layout="constrained",
    )
    entropy = np.sort(first["entropy"])[::-1]
    for row in range(count):
        n = int(first["shown_sizes"][row])
        edges = first["shown_edges"][row][:n, :n]
        points = _layout(edges)
        order = np.exp(entropy[row])
        axes[row, 0].set_ylabel(f"|Aut| =\n{order:,.0f}", fontsize=9)
        for column, axis in enumerate(axes[row]):
            predicted = edges if column == 0 else arrays[names[column - 1]]["shown_logits"][row][:n, :n] > 0
            _draw_graph(axis, points, edges, predicted)
            if row == 0:
                axis.set_title("input" if column == 0 else label(names[column - 1], width=12), fontsize=9)
    figure.suptitle(f"Most symmetric test graphs: {title}\nred: an edge too many; dashed red: one missing")
    return figure


def symmetry(arrays: Mapping[int, Mapping[str, Mapping[str, Any]]], title: str) -> Figure:
    """The loss of a pair against log |Aut| of its graph: means over bins and seeds, with the spread over seeds.

    It is a pair's, for symmetric graphs are smaller than others.
    """
    figure, axis = plt.subplots(figsize=(8.6, 4.2), layout="constrained")
    edges = np.array([-1e-6, 1e-6, 1.0, 2.0, 3.0, 4.5, np.inf])
    labels = ["0", "(0, 1]", "(1, 2]", "(2, 3]", "(3, 4.5]", "> 4.5"]
    for name in ENCODINGS:
        own = [a[name] for a in arrays.values() if name in a]
        if not own:
            continue
        bins = np.digitize(own[0]["entropy"], edges, right=True) - 1
        kept = [b for b in range(len(labels)) if (bins == b).any()]
        pairs = own[0]["sizes"] * (own[0]["sizes"] - 1)
        means = np.array([[a["bce"][bins == b].sum() / pairs[bins == b].sum() for b in kept] for a in own])
        low, high = means.min(0), means.max(0)
        axis.plot(kept, means.mean(0), "o-", color=COLORS[name], label=label(name), ms=4)
        axis.fill_between(kept, low, high, color=COLORS[name], alpha=0.2, lw=0)
    counts = np.bincount(np.digitize(own_entropy(arrays), edges, right=True) - 1, minlength=len(labels))
    axis.set_xticks(range(len(labels)), [f"{t}\nn = {c}" for t, c in zip(labels, counts, strict=True)])
    axis.set_yscale("log")
    axis.set_xlabel("log |Aut| of the graph (nats), number of test graphs")
    axis.set_ylabel("BCE (nats an ordered pair)")
    axis.set_title(f"Reconstruction against symmetry: {title}")
    axis.legend(**BESIDE)
    return figure


def own_entropy(arrays: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> Any:
    """Log |Aut| of the test graphs; the same in every row."""
    return next(iter(next(iter(arrays.values())).values()))["entropy"]


def curves(
    arrays: Mapping[int, Mapping[str, Mapping[str, Any]]], title: str, names: Mapping[str, str] | None = None
) -> Figure:
    """The validation loss, mean and range over seeds; encodings may be shown by other names."""
    figure, axis = plt.subplots(figsize=(8.6, 4.2), layout="constrained")
    for name in ENCODINGS:
        own = [a[name]["validation"] for a in arrays.values() if name in a]
        if own:
            band(axis, own, label=(names or {}).get(name, label(name)), color=COLORS[name])
    axis.set_yscale("log")
    axis.set_xlabel("optimiser step")
    axis.set_ylabel("validation BCE (nats a graph)")
    axis.set_title(f"Validation: {title}")
    axis.legend(**BESIDE)
    return figure


def _layout(edges: Any) -> Any:
    """Points in the square of side 2, by Kamada and Kawai, which has no randomness."""
    n = len(edges)
    pairs = np.argwhere(np.triu(edges, 1)).tolist()
    points = np.array(igraph.Graph(n, pairs).layout_kamada_kawai().coords)
    points -= (points.max(0) + points.min(0)) / 2
    return points / max(np.abs(points).max(), 1e-9)


def _draw_graph(axis: Axes, points: Any, edges: Any, predicted: Any) -> None:
    n = len(points)
    for i in range(n):
        for j in range(i):
            if edges[i, j] or predicted[i, j]:
                right = edges[i, j] and predicted[i, j]
                style = "-" if predicted[i, j] else "--"
                color = "0.4" if right else WRONG
                axis.plot(*points[[i, j]].T, style, color=color, lw=1.0 if right else 1.3, zorder=1 + (not right))
    axis.scatter(points[:, 0], points[:, 1], s=14, color="black", zorder=3)
    wrong = int(((edges != predicted) & ~np.eye(n, dtype=bool)).sum()) // 2
    axis.set_xlabel(f"{wrong} wrong" if wrong else "", fontsize=9, color=WRONG, labelpad=1)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_aspect("equal")
    axis.set_xlim(-1.15, 1.15)
    axis.set_ylim(-1.15, 1.15)
    for spine in axis.spines.values():
        spine.set_visible(False)
