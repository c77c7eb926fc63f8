"""What the figures of all experiments share: colours and names of encodings, sizes that can be read, bands over seeds.

A README shows a picture at a width of about 830 pixels. A figure of :data:`WIDE` inches is shrunk to that, and a label
of 9 points is then 11 pixels high; :func:`smallest_label` says how high the smallest is.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from sympe.experiments import runs

WIDE = 9.6
"""Inches, of figures with several panels."""
PLAIN = (7.6, 4.2)
"""Inches, of a figure with one panel."""
SHOWN_AT = 830
"""Pixels, of a picture in a README."""
DPI = 130

SYMPE = "#0072b2"
"""SymPE with the exact kernel."""

COLORS: dict[str, str] = {
    "none": "0.5",
    "noise": "#e69f00",
    "noise-8": "#a6761d",
    "noise-redrawn": "0.1",
    "haar": "#9467bd",
    "sympe": SYMPE,
    "sympe-nodes-edges": SYMPE,
    "sympe-nodes": "#56b4e9",
    "sympe-refinement": "#56b4e9",
    "sympe-learned": "#009e73",
    "sympe-scores": "#009e73",
    "sympe-order-refined": "#d62728",
    "sympe-order-degree": "#a6761d",
    "sympe-order-breadth-first": "#bcbd22",
    "sympe-order-bliss": "0.1",
    "sympe-nodes-edges-depth-first": "0.1",
    "structure+sympe": "#1f3b73",
    "canonical+sympe": "#17a2a2",
    "laplacian": "#e377c2",
    "random_walk": "#8c564b",
    "relaxed": "#8c564b",
    "cycles": "#8c564b",
    "structure": "#d62728",
    "stock": "#bcbd22",
    "canonical": "#f0c020",
    "half-turn": "#bcbd22",
    "rotations": "#56b4e9",
    "unconstrained": "#d62728",
    "breaking-set": "#d62728",
    "sympe-coupled": "#1f3b73",
    "sympe-global": "#56b4e9",
    "sympe-global-coupled": "#17a2a2",
    "canonicalized": "#009e73",
}
"""The colours of all encodings, the same in every experiment."""

LABELS: dict[str, str] = {
    "haar": "SymPE, Haar kernel",
    "sympe": "SymPE, exact kernel",
    "sympe-nodes-edges": "SymPE, nodes and edges",
    "sympe-nodes": "SymPE, nodes",
    "sympe-refinement": "SymPE, refinement",
    "sympe-learned": "SymPE, learned kernel",
    "sympe-scores": "SymPE, learned scores",
    "structure+sympe": "structure and SymPE",
    "canonical+sympe": "canonical and SymPE",
    "laplacian": "Laplacian eigenvectors",
    "random_walk": "random walks",
    "relaxed": "relaxed group convolution",
    "stock": "features of DiGress",
    "half-turn": "half turn",
    "noise-8": "noise, 8 copies",
    "noise-redrawn": "noise, redrawn",
}
"""The names of encodings where they are not those of the command line."""

BESIDE: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1, 1), "frameon": False}
"""A legend beside the axes, not over the curves."""

plt.rcParams.update(
    {
        "font.size": 10,
        "axes.titlesize": 10.5,
        "figure.titlesize": 11.5,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "legend.fontsize": 9,
    }
)


def label(encoding: str, *, width: int | None = None) -> str:
    r"""The name of an encoding in a figure, in lines of so many letters.

    Example:
        >>> label("sympe"), label("sympe", width=8), label("noise")
        ('SymPE, exact kernel', 'SymPE,\nexact\nkernel', 'noise')
    """
    name = LABELS.get(encoding, encoding)
    return name if width is None else textwrap.fill(name, width, break_long_words=False, break_on_hyphens=False)


def band(axis: Axes, curves: Sequence[Any], *, label: str, **style: Any) -> None:
    """The mean of curves over their seeds, and a band from the least to the greatest.

    Arguments:
        axis: where.
        curves: arrays of points (x, y) with the same x, one for each seed.
        label: in the legend.
        style: of the line.
    """
    x, values = curves[0][:, 0], np.stack([curve[:, 1] for curve in curves])
    if any(not np.array_equal(curve[:, 0], x) for curve in curves):
        raise ValueError(f"curves: expected the same x for every seed of {label}")
    (line,) = axis.plot(x, values.mean(0), label=label, **{"lw": 1.5, **style})
    if len(curves) > 1:
        axis.fill_between(x, values.min(0), values.max(0), color=line.get_color(), alpha=0.2, lw=0)


def floor(axis: Axes, value: float, words: str) -> None:
    """A line that nothing can be below, and what it is."""
    axis.axhline(value, color="black", lw=1, ls=":", label=words)


def smallest_label(figure: Figure) -> float:
    """The height in pixels of the smallest text of a figure where a README shows it.

    Example:
        >>> figure = plt.figure(figsize=(9.6, 4))
        >>> text = figure.text(0.5, 0.5, "text", fontsize=9)
        >>> f"{smallest_label(figure):.1f}"
        '10.8'
        >>> plt.close(figure)
    """
    figure.draw_without_rendering()  # ticks get their words
    texts: Any = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible())
    sizes = [text.get_fontsize() for text in texts if text.get_text().strip()]
    shrunk = min(1.0, SHOWN_AT / (DPI * figure.get_figwidth()))
    return float(min(sizes, default=10.0)) * DPI / 72 * shrunk


def save(figure: Figure, path: Path) -> Path:
    """Write a figure, and close it."""
    with runs.written_aside(path) as aside:
        figure.savefig(aside, dpi=DPI)
    plt.close(figure)
    return path
