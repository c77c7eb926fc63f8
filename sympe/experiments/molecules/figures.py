"""The pictures: samples, the bound along the training and against none, and the entropy of the kernel along t."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from rdkit import Chem
from rdkit.Chem import Draw

from sympe.experiments import runs
from sympe.experiments.molecules.config import USUAL_ORDER, MoleculesConfig, called
from sympe.experiments.pictures import BESIDE, COLORS, PLAIN, SYMPE, WIDE, band, label, save

Rows = Sequence[Mapping[str, Any]]
NAMES = {"qm9": "QM9", "qm9-h": "QM9 with hydrogens", "moses": "MOSES"}
"""What datasets are called."""
SHOWN = 6
"""Samples of each encoding that are drawn."""


def draw_figures(rows: Rows, out: Path) -> list[Path]:
    """Draw all figures of a comparison; one of each kind for every dataset and transition."""
    paths = []
    for name, transition in sorted({(row["dataset"], row["transition"]) for row in rows}):
        some = [row for row in rows if (row["dataset"], row["transition"]) == (name, transition)]
        arrays = [runs.read_row_arrays(out, MoleculesConfig(**row["config"]).name) for row in some]
        title = f"{NAMES[name]}, {transition} noise"
        figures = {
            "samples": samples(some, arrays, title),
            "curves": curves(some, arrays, title),
            "entropy": entropy(arrays[0], title),
        }
        if points := differences_to_none(some, arrays):
            figures["differences"] = differences(points, title)
        paths += [save(figure, out / f"{kind}-{name}-{transition}.png") for kind, figure in figures.items()]
    return paths


class Kind(NamedTuple):
    """What sets rows of one data set and noise apart in figures.

    Arguments:
        encoding: of the row.
        coupled: whether its g is.
        order: of its canonical form.
        by_places: the steps of the table that it was trained on.
    """

    encoding: str
    coupled: bool
    order: str = USUAL_ORDER
    by_places: int | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Kind:
        """That of a row."""
        config = MoleculesConfig(**row["config"])
        return cls(row["encoding"], row["coupled"], config.order, config.by_places)

    @property
    def label(self) -> str:
        """The encoding, whether it is coupled, the order if it is not the usual one, and a table of places."""
        return called(label(self.encoding), self.coupled, self.order, self.by_places)

    @property
    def style(self) -> dict[str, str]:
        """Color and line."""
        return {
            "color": COLORS.get(f"{self.encoding}-{self.order}", COLORS[self.encoding]),
            "ls": ("-" if not self.coupled else "--") if self.order == USUAL_ORDER else "-.",
        }


def samples(rows: Rows, arrays: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """The first valid samples of each encoding, of its first seed."""
    first = {Kind.of(row).label: index for index, row in reversed(list(enumerate(rows)))}
    order = sorted(first, key=lambda name: first[name])
    figure, axes = plt.subplots(
        len(order), 1, figsize=(WIDE, 1.4 * len(order) + 0.6), squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes[:, 0], order, strict=True):
        valid = [text for text in arrays[first[name]]["samples"].tolist() if text][:SHOWN]
        axis.imshow(grid(valid, per_row=SHOWN, size=160) if valid else np.full((160, 160 * SHOWN, 3), 255, np.uint8))
        axis.set_ylabel(textwrap.fill(name, 10), fontsize=9, rotation=0, ha="right", va="center")
        axis.set_xticks([])
        axis.set_yticks([])
        for spine in axis.spines.values():
            spine.set_visible(False)
    figure.suptitle(f"Valid samples (their largest fragments): {title}")
    return figure


def grid(found: Sequence[str], *, per_row: int, size: int) -> Image.Image:
    """Molecules side by side; SMILES in, at least one."""
    molecules = [Chem.MolFromSmiles(text) for text in found]
    draw: Any = Draw.MolsToGridImage
    png = draw(molecules, molsPerRow=per_row, subImgSize=(size, size), returnPNG=True)
    return Image.open(io.BytesIO(png))


def curves(rows: Rows, arrays: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """The bound on validation molecules along the training but its first steps, mean and range over seeds."""
    figure, axis = plt.subplots(figsize=(8.6, 4.2), layout="constrained")
    ends = []
    groups: dict[tuple[Kind, bytes], list[Any]] = {}  # rows of other steps or data are lines of their own
    for row, array in zip(rows, arrays, strict=True):
        points = array["validation"]
        groups.setdefault((Kind.of(row), points[:, 0].tobytes()), []).append(points)
        ends += [points[len(points) // 6, 1], points[:, 1].min()]  # in the first steps it falls by far more
    for (kind, _), own in groups.items():
        band(axis, own, label=kind.label, **kind.style)
    margin = 0.05 * (max(ends) - min(ends)) or 0.5
    axis.set_ylim(min(ends) - margin, max(ends) + margin)
    axis.set_xlabel("optimiser step")
    axis.set_ylabel("validation bound (nats a molecule)")
    axis.set_title(f"Bound along the training: {title}")
    axis.legend(**BESIDE)
    return figure


def differences_to_none(rows: Rows, arrays: Sequence[Mapping[str, Any]]) -> list[tuple[Kind, int, float, float]]:
    """The bound less that of none with the same seed.

    Each has the kind of the row, the seed, the mean over the test molecules and its standard error.

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
            found.append((Kind.of(row), int(row["seed"]), float(difference.mean()), error))
    return found


def differences(points: Sequence[tuple[Kind, int, float, float]], title: str) -> Figure:
    """How much better or worse than none every encoding is, a dot for each seed; see :func:`differences_to_none`."""
    kinds = list(dict.fromkeys(kind for kind, *_ in points))
    points = sorted(points, key=lambda point: (kinds.index(point[0]), point[1]))
    figure, axis = plt.subplots(figsize=(PLAIN[0], 1.3 + 0.45 * len(points)), layout="constrained")
    places = range(len(points), 0, -1)
    for place, (kind, _, mean, error) in zip(places, points, strict=True):
        axis.errorbar(mean, place, xerr=2 * error, fmt="o", color=kind.style["color"], capsize=3)
        words = f"{mean:+.3f} ± {error:.3f}".replace("-", "−")
        axis.annotate(words, (mean, place), (0, 6), textcoords="offset points", ha="center", fontsize=8)
    axis.axvline(0, color="0.5", lw=1)
    axis.set_yticks(places, [f"{kind.label}, seed {seed}" for kind, seed, *_ in points])
    axis.set_ylim(0.4, len(points) + 0.8)
    axis.margins(x=0.2)
    axis.set_xlabel("bound less that of none (nats a molecule)\nleft is better; bars: two standard errors")
    axis.set_title(f"Worth of the encoding: {title}")
    return figure


def entropy(array: Mapping[str, Any], title: str) -> Figure:
    """How random the exact kernel is on noisy molecules, and on how many of them it is at all."""
    figure, axis = plt.subplots(figsize=PLAIN, layout="constrained")
    axis.plot(array["times"], array["entropy_mean"], color=SYMPE, label="exact kernel: mean log |Aut|")
    axis.axhline(float(array["entropy_uniform"]), color=COLORS["haar"], ls="--", label="Haar kernel: mean log n!")
    axis.set_yscale("symlog", linthresh=1.0)
    axis.set_ylim(0, None)
    axis.set_xlabel(f"noise level t, of {int(max(array['times']))}")
    axis.set_ylabel("entropy of g (nats)")
    share = axis.twinx()
    share.plot(array["times"], 100 * array["entropy_symmetric"], color="0.6", lw=1)
    share.set_ylim(0, 101)
    share.set_ylabel("graphs with any symmetry (%, grey)")
    axis.set_title(f"Entropy of the kernel on noisy molecules: {title}")
    figure.legend(loc="outside lower center", ncols=2)
    return figure
