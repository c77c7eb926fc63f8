"""How good a model's molecules are after few reverse steps, and after many.

``python -m benchmarks.sampling_steps --model RUN --out results/molecules/steps`` draws as many molecules with every
number of steps, each with a seed of its own, and writes ``steps.json``, ``steps.md`` and ``steps.png``. Every finished
number of steps is written at once; started again, the script goes on with those that are missing.

The rule for the default of ``sympe sample``, set before anything was measured: the least number of steps after which
validity and the share in one piece are no more than two standard errors of the difference below those of the greatest
number, and the Fréchet ChemNet distance is no more than 5 % above.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch

from sympe.experiments import runs
from sympe.experiments.molecules.chemnet import Activations, chemnet_activations, distance_of_activations
from sympe.experiments.molecules.config import CODE_VERSION
from sympe.experiments.molecules.data import SOURCES
from sympe.experiments.molecules.evaluation import bar, sample
from sympe.experiments.molecules.files import load_model
from sympe.experiments.molecules.model import MoleculeModel
from sympe.experiments.molecules.quality import sample_metrics, smiles
from sympe.experiments.molecules.reading import canonical_smiles, load_molecules
from sympe.experiments.pictures import save
from sympe.randomness import seeded

STEPS = (5, 10, 20, 50, 100, 200, 500)
SHARES = ("validity", "connected", "uniqueness", "novelty")
RULED = ("validity", "connected")
NAMES = {"validity": "valid", "connected": "in one piece", "uniqueness": "unique", "novelty": "novel"}
PARTS = 10
"""Parts of the samples, each left out once, for the error of the distance."""
FCD_SLACK = 1.05

Row = dict[str, Any]


class Sets:
    """What the samples are held against, read once and only if it is needed."""

    def __init__(self, dataset: str, data: Path | None) -> None:
        self.dataset, self.data = dataset, data

    @cache  # noqa: B019  (as long as the script)
    def training(self) -> set[str]:
        """SMILES of the training set."""
        return set(canonical_smiles(load_molecules(self.dataset, "train", data=self.data)))

    @cache  # noqa: B019
    def reference(self) -> Activations:
        """ChemNet's activations of the test set."""
        return chemnet_activations(canonical_smiles(load_molecules(self.dataset, "test", data=self.data)))


def measure(model: MoleculeModel, steps: int, count: int, seed: int, sets: Sets, fcd: bool) -> Row:
    """One number of steps."""
    atoms = SOURCES[model.config.dataset].atoms
    generator = seeded("sampling steps", steps, seed)
    start = time.process_time()
    graphs = sample(model, count, steps=steps, generator=generator, progress=bar(f"{steps} steps"))
    seconds = time.process_time() - start
    found = smiles(graphs, atoms)
    row = {"steps": steps, **sample_metrics(graphs, found, atoms, sets.training())}
    valid = [text for text in found if text is not None]
    of = {"validity": count, "connected": count, "uniqueness": len(valid), "novelty": len(set(valid))}
    for key, among in of.items():
        row[f"{key}_error"] = math.sqrt(row[key] * (1 - row[key]) / max(1, among))
    row["cpu_seconds_per_1000"] = 1000 * seconds / count
    row["fcd"] = row["fcd_error"] = None
    if fcd and len(valid) > 2 * PARTS:
        row["fcd"], row["fcd_error"] = distance(chemnet_activations(valid), sets.reference())
    row["environment"] = runs.environment() | {name: version(name) for name in ("rdkit", "fcd_torch")}
    return row


def distance(found: Activations, reference: Activations) -> tuple[float, float]:
    """The Fréchet distance, and its standard error by a jackknife over PARTS parts of the samples."""
    part = np.arange(len(found)) % PARTS
    without = [distance_of_activations(found[part != k], reference) for k in range(PARTS)]
    return distance_of_activations(found, reference), math.sqrt((PARTS - 1) * float(np.var(without)))


def enough(rows: Sequence[Mapping[str, Any]]) -> int:
    """The least number of steps that is as good as the greatest, by the rule above."""
    best = max(rows, key=lambda row: row["steps"])

    def as_good(row: Mapping[str, Any]) -> bool:
        slack = {key: 2 * math.hypot(row[f"{key}_error"], best[f"{key}_error"]) for key in RULED}
        near = best["fcd"] is None or (row["fcd"] is not None and row["fcd"] <= FCD_SLACK * best["fcd"])
        return near and all(row[key] >= best[key] - slack[key] for key in RULED)

    return min(int(row["steps"]) for row in rows if as_good(row))


def table(numbers: Mapping[str, Any], command: str) -> str:
    """The table in Markdown."""
    rows = numbers["rows"]
    lines = [
        f"# Reverse steps of {numbers['model']}",
        "",
        f"`{command}`. {numbers['samples']:,} samples for every number of steps, seed {numbers['seed']}; ± is one "
        "standard error (of shares: binomial; of FCD: a jackknife over ten parts of the samples). Unique: of the valid "
        "ones; novel: of the unique ones. FCD is to the test set, by the valid samples, and depends on how many there "
        "are: compare it within this table only. Time is that of one thread's processor.",
        "",
        "| steps | valid | in one piece | unique | novel | FCD | seconds per 1,000 |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        shares = " | ".join(f"{100 * row[key]:.1f} ± {100 * row[f'{key}_error']:.1f} %" for key in SHARES)
        fcd = "" if row["fcd"] is None else f"{row['fcd']:.2f} ± {row['fcd_error']:.2f}"
        lines.append(f"| {row['steps']} | {shares} | {fcd} | {row['cpu_seconds_per_1000']:.0f} |")
    lines += [
        "",
        f"The least number of steps that is as good as {rows[-1]['steps']}: {enough(rows)}. That is: validity and the "
        "share in one piece no more than two standard errors of the difference below, FCD no more than 5 % above.",
    ]
    return "\n".join(lines) + "\n"


def draw(numbers: Mapping[str, Any], path: Path) -> None:
    """The shares and the distance against the number of steps."""
    rows = numbers["rows"]
    steps = [row["steps"] for row in rows]
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(6.4, 6), sharex=True, height_ratios=(3, 2), layout="constrained"
    )
    for key, style in zip(SHARES, ("o-", "s-", "^--", "v--"), strict=True):
        errors = [200 * row[f"{key}_error"] for row in rows]
        above.errorbar(steps, [100 * row[key] for row in rows], yerr=errors, fmt=style, ms=4, capsize=3)
    above.legend(above.containers, [NAMES[key] for key in SHARES], ncols=2, loc="center right")
    above.set_ylabel("share (%)")
    above.grid(alpha=0.3)
    above.set_title(f"{numbers['model']}: {numbers['samples']:,} samples each, bars: two standard errors", fontsize=10)
    near = [row for row in rows if row["fcd"] is not None]
    below.errorbar(
        [row["steps"] for row in near],
        [row["fcd"] for row in near],
        yerr=[2 * row["fcd_error"] for row in near],
        fmt="o-",
        ms=4,
        capsize=3,
        color="black",
    )
    below.set_ylim(0, None)
    below.set_xscale("log")
    below.set_xticks(steps, [str(number) for number in steps])
    below.minorticks_off()
    below.set_xlabel("reverse steps")
    below.set_ylabel(f"FCD to the test set\n(valid ones of {numbers['samples']:,})")
    below.grid(alpha=0.3)
    save(figure, path)


def recipe(model: MoleculeModel, source: str, count: int, seed: int) -> dict[str, Any]:
    """What all rows of one table have in common."""
    weights = runs.data_hash(*model.state_dict().values())
    return {
        "model": Path(source).name,
        "config": model.config.name,
        "weights": weights,
        "code_version": CODE_VERSION,
        "samples": count,
        "seed": seed,
    }


def finished(path: Path, common: Mapping[str, Any]) -> dict[int, Row]:
    """The rows that are there; refuses those of another recipe."""
    if not path.exists():
        return {}
    numbers = runs.read_json(path, "rows")
    other = {key: numbers.get(key) for key in common if numbers.get(key) != common[key]}
    if other:
        raise ValueError(f"out: {path} is of {other}, expected { {key: common[key] for key in other} }")
    return {row["steps"]: row for row in numbers["rows"]}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write numbers, table and figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/sampling-steps"))
    parser.add_argument("--model", required=True, help="a run directory or a model file")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="of the dataset, if its package is not installed")
    parser.add_argument("--no-fcd", action="store_true", help="leave the Fréchet ChemNet distance out")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    model = load_model(options.model)
    if model.unmasking is not None:
        parser.error(f"--model: {model.config.name} knows one table of places, and no other number of steps")
    common = recipe(model, options.model, options.samples, options.seed) | {"fcd": not options.no_fcd}
    sets = Sets(model.config.dataset, options.data)
    path = options.out / "steps.json"
    for steps in options.steps:
        if steps in finished(path, common):
            print(f"{steps} steps: there already")
            continue
        row = measure(model, steps, options.samples, options.seed, sets, not options.no_fcd)
        rows = finished(path, common) | {steps: row}  # read again: another process may write the same file
        runs.write_json(path, common | {"rows": [rows[key] for key in sorted(rows)]})
        print(f"{steps} steps: " + ", ".join(f"{NAMES[key]} {row[key]:.3f}" for key in SHARES), row["fcd"], flush=True)
    numbers = runs.read_json(path, "rows")
    given = f"--model {options.model} "
    given += "" if options.samples == parser.get_default("samples") else f"--samples {options.samples} "
    runs.write_text(
        options.out / "steps.md", table(numbers, f"python -m benchmarks.sampling_steps {given}--out {options.out}")
    )
    draw(numbers, options.out / "steps.png")
    print("\n".join(str(options.out / name) for name in ("steps.md", "steps.json", "steps.png")))


if __name__ == "__main__":
    main()
