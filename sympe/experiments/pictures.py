"""Write figures whole or not at all."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from sympe.experiments import runs


def save(figure: Figure, path: Path) -> Path:
    """Write a figure, and close it."""
    with runs.written_aside(path) as aside:
        figure.savefig(aside, dpi=130)
    plt.close(figure)
    return path
