"""The experiment ``few-steps``: how good molecules are after few reverse steps, and the bounds of such chains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from sympe.experiments.molecules.chains import CHAINS, measure_chains
from sympe.experiments.molecules.compare import FEW_STEPS_PUBLISHED, groups_of
from sympe.experiments.molecules.config import TRANSITIONS, MoleculesConfig
from sympe.experiments.molecules.data import SPLITS
from sympe.experiments.molecules.figures import Kind
from sympe.experiments.molecules.quality import described_chains
from sympe.experiments.molecules.reading import load_splits
from sympe.experiments.molecules.training import MoleculesTask, make_task
from sympe.experiments.pictures import WIDE, save
from sympe.experiments.tables import COSTS, Column, Rows, extent, lines, remarks

SHORT = {"times": "", "entries": "e", "places": "p"}
"""Spacings of steps in the heads of tables."""

SHOWN = {
    "valid_connected": ("Valid and in one piece, share of samples", 3),
    "fcd": ("Fréchet ChemNet distance of the valid ones to the test set", 2),
    "nll": ("Bound of the chain, nats a molecule", 2),
    "uniqueness": ("Unique, share of the valid ones", 3),
    "new": ("Valid, unique and not in the training set, share of samples", 3),
}


def make_few_steps_task(config: MoleculesConfig, *, data: Path | None = None) -> MoleculesTask:
    """The task of a row, see :func:`~sympe.experiments.molecules.training.make_task`."""
    parts = load_splits(config.dataset, SPLITS, data=data)
    return make_task(config, parts, measure=measure_chains, describe=described_chains)


def table(rows: Rows, missing: Sequence[str] = ()) -> str:
    """For every noise a Markdown table of each number, by the number of steps: mean and range over seeds."""
    text = ["# Few reverse steps", ""]
    for transition, some in _by_noise(rows):
        groups = groups_of(some)
        text += [
            f"## {some[0]['dataset']}, {transition} noise",
            "",
            f"{extent(some, 'steps')} optimiser steps. By the number of reverse steps, evenly over the times; e: each "
            "settles an equal share of the nodes and pairs; p: each settles the places of a table, which needs a "
            "coupled g (for 10p: trained on that table alone). Mean over seeds (least to greatest).",
            "",
        ]
        known = {label for row in some for label in row["chains"]}
        for key, (words, digits) in SHOWN.items():
            columns = [
                Column(f"{chain.steps}{SHORT[chain.spacing]}", f"chains.{chain.label}.{key}", digits)
                for chain in CHAINS
                if chain.label in known and any(row["chains"].get(chain.label, {}).get(key) is not None for row in some)
            ]
            text += [f"{words}:", "", *lines(columns, groups), ""]
        text += ["Costs:", "", *lines(COSTS, groups), ""]
    text += [f"Published, {model}: {numbers}." for model, numbers in FEW_STEPS_PUBLISHED.items()]
    return "\n".join([*text, "", *remarks(rows, missing)])


def draw_figures(rows: Rows, out: Path) -> list[Path]:
    """One figure for each kind of noise: quality and bound against the number of steps."""
    return [
        save(quality(some, f"QM9, {transition} noise"), out / f"few-steps-{transition}.png")
        for transition, some in _by_noise(rows)
    ]


def _by_noise(rows: Rows) -> list[tuple[str, Rows]]:
    """The rows of every kind of noise; a table of places is a way to settle what absorbing noise masks."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for transition in TRANSITIONS:
        own = "absorbing" if transition == "places" else transition
        found.setdefault(own, []).extend(row for row in rows if row["transition"] == transition)
    return [(transition, some) for transition, some in found.items() if some]


def quality(rows: Rows, title: str) -> Figure:
    """Three panels against the number of reverse steps: a line for each row, of times spread evenly and of places."""
    figure, axes = plt.subplots(1, 3, figsize=(WIDE, 4.0), layout="constrained")
    none = {row["seed"]: row["chains"] for row in rows if row["encoding"] == "none"}
    panels = (
        ("valid_connected", "valid and in one piece (% of samples)", 100.0),
        ("fcd", "Fréchet ChemNet distance", 1.0),
        ("nll", "bound less that of none (nats)", 1.0),
    )
    ticks = sorted({chain["steps"] for row in rows for chain in row["chains"].values()})
    seen: set[str] = set()
    for row in rows:
        kind = Kind.of(row)
        ways: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("times", "", {"marker": "o", "ms": 3}),
            ("places", ", by places", {"ls": ":", "marker": "D", "ms": 4}),
        )
        if kind.by_places is not None:
            ways = (("places", ", trained on places", {"ls": "none", "marker": "*", "ms": 9}),)
        for spacing, words, style in ways:
            name = kind._replace(by_places=None).label + words
            for axis, (key, _, scale) in zip(axes, panels, strict=True):
                if points := _points(row, spacing, key, scale, none.get(row["seed"]) if key == "nll" else None):
                    axis.plot(*zip(*points, strict=True), **kind.style | style, label=None if name in seen else name)
            seen.add(name)
    for axis, (_, words, _) in zip(axes, panels, strict=True):
        axis.set_xscale("log")
        axis.set_xticks(ticks, [str(tick) for tick in ticks], rotation=45)
        axis.minorticks_off()
        axis.set_xlabel("reverse steps")
        axis.set_ylabel(words)
    axes[2].axhline(0, color="0.5", lw=1)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.suptitle(f"Few reverse steps: {title}")
    return figure


def _points(
    row: Mapping[str, Any], spacing: str, key: str, scale: float, baseline: Mapping[str, Any] | None
) -> list[tuple[int, float]]:
    """Steps and values of the chains of one spacing.

    The bound is taken against that of none with the same seed and number of steps: spread evenly as well, or, for
    places, the lower one of its two spacings.
    """
    found = []
    for chain in row["chains"].values():
        if chain["spacing"] != spacing or chain.get(key) is None or (key == "nll" and baseline is None):
            continue
        others = [
            other[key]
            for other in (baseline or {}).values()
            if other["steps"] == chain["steps"] and (spacing == "places" or other["spacing"] == spacing)
        ]
        if baseline is None or others:
            found.append((chain["steps"], scale * (chain[key] - min(others, default=0.0))))
    return sorted(found)
