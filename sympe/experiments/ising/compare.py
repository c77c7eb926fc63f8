"""The experiment: rows of the presets, and their table."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sympe.experiments.configs import Plan, check_preset, expand, narrowed
from sympe.experiments.experiment import Experiment
from sympe.experiments.ising.config import ENCODINGS, PHASES, PRESETS, Encoding, IsingConfig, Variant
from sympe.experiments.tables import COSTS, Column, by_encoding, lines, remarks
from sympe.lazy import Deferred


@dataclass(frozen=True)
class Choices:
    """What replaces a preset's own choices."""

    encodings: tuple[Encoding, ...] | None = None
    """Only these, instead of the preset's."""
    seeds: int | None = None
    """Seeds 0 .. N-1, instead of the preset's."""
    variant: Variant | None = None
    """Distribution of Hamiltonians, instead of the preset's."""
    size: int | None = None
    """Side L of the lattice, instead of the preset's."""


def preset_configs(
    preset: str,
    *,
    encodings: Sequence[str] | None = None,
    seeds: int | None = None,
    variant: str | None = None,
    size: int | None = None,
) -> list[IsingConfig]:
    """The rows of a preset; every argument that is given replaces the preset's own choice.

    - ``smoke``: wide, L = 4, a tiny network and 20 steps: does everything run?
    - ``demo``: wide, L = 10, none, noise, haar and sympe, one seed, with fewer steps and channels than ``full``.
    - ``full``: all encodings on paper and wide at L = 10 with three seeds; none, noise and sympe on wide at L = 16
      with one; all encodings on supercell and glass at L = 10 with one.

    Raises:
        ValueError: if ``preset`` or an encoding is unknown, or ``encodings`` is empty or names one twice, or
            ``seeds`` below 1.
    """
    check_preset(preset, PRESETS, encodings, seeds)
    base = IsingConfig()
    if preset == "smoke":
        base = dataclasses.replace(base, steps=20, batch=8, channels=4, blocks=1)
    if preset == "demo":
        base = dataclasses.replace(base, steps=1000, channels=12)
    short = ("none", "noise", "haar", "sympe")
    plans: dict[str, Plan] = {
        "smoke": [({"variant": "wide", "size": 4}, ENCODINGS, 1)],
        "demo": [({"variant": "wide", "size": 10}, short, 1)],
        "full": [
            ({"variant": "wide", "size": 10}, ENCODINGS, 3),
            ({"variant": "paper", "size": 10}, ENCODINGS, 3),
            ({"variant": "wide", "size": 16}, ("none", "noise", "sympe"), 1),
            ({"variant": "supercell", "size": 10}, ENCODINGS, 1),
            ({"variant": "glass", "size": 10}, ENCODINGS, 1),
        ],
    }
    plan = plans[preset]
    if variant is not None or size is not None:
        plan = narrowed(plan[:1], variant=variant, size=size)
    return expand(base, plan, encodings=encodings, seeds=seeds)


def warn_of_frustration(configs: Sequence[IsingConfig], missing: Sequence[IsingConfig], out: Path) -> None:
    """Warn of rows on odd lattices."""
    for n in sorted({config.size for config in configs if config.is_uniform and config.size % 2}):
        warnings.warn(
            f"size: stripes and checkerboards do not fit an odd lattice ({n}): some Hamiltonians are frustrated, and "
            "their ground energies are searched instead of taken from the closed form",
            stacklevel=2,
        )


def table(rows: Sequence[Mapping[str, Any]], missing: Sequence[str] = ()) -> str:
    """A Markdown table for every variant and size: mean and range over seeds, then each phase's gap."""
    import numpy as np  # slow to import, and help has no table

    text = ["# Ising ground states", ""]
    groups = sorted({(row["variant"], row["size"]) for row in rows}, key=lambda g: (-len(str(g[0])), g))
    for variant, size in groups:
        some = [row for row in rows if (row["variant"], row["size"]) == (variant, size)]
        entropy = np.mean([row["stabilizer_entropy"] for row in some])
        phases = [p for p in PHASES if any(p in row["per_phase"] for row in some)]
        columns = [
            Column("gap", "energy_gap"),
            Column("exact", "exact_fraction"),
            *(Column(f"gap: {p}", f"per_phase.{p}.energy_gap", show="mean") for p in phases),
            *COSTS,
        ]
        text += [
            f"## {variant}, L = {size}",
            "",
            f"{some[0]['count']} test Hamiltonians, mean stabilizer entropy log|G_x| = {entropy:.2f} nats; one draw "
            "each, spins rounded. Gap: energy per spin above the exact ground energy. Exact: gap below 1e-4. Mean over "
            "seeds (least to greatest).",
            "",
            *lines(columns, by_encoding(some, ENCODINGS)),
            "",
        ]
    return "\n".join(text + remarks(rows, missing))


EXPERIMENT = Experiment(
    name="ising",
    title="encodings on Ising ground states",
    config=IsingConfig,
    presets=PRESETS,
    choices=Choices,
    rows=preset_configs,
    prepare=warn_of_frustration,
    task=Deferred("sympe.experiments.ising.training.IsingTask"),
    evaluate=Deferred("sympe.experiments.ising.training.evaluate_run"),
    check=Deferred("sympe.experiments.ising.check.check_run"),
    keys=("encoding", "seed", "variant", "size"),
    table=table,
    figures=Deferred("sympe.experiments.ising.figures.draw_figures"),
)
