"""In which of few steps each place is settled: tables for models with a coupled g.

``python -m benchmarks.unmasking RUN --data qm9.npz --out sympe/experiments/molecules/unmasking.json`` takes a model
that was trained with masks at random (``sympe compare few-steps``) and finds for each number of steps the table of
places that makes its bound least on the first training molecules (:func:`sympe.diffusion.fit_unmasking`). The start is
a table by the distance of places along the form: nodes, then pairs of neighbours, and so on. The bound on validation
molecules is printed beside that of entries in random steps.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from sympe.diffusion import Unmasking, fit_unmasking, unmasking_nll
from sympe.experiments import runs
from sympe.experiments.molecules.data import SOURCES, SPLITS, Molecules, read_molecules, split_molecules
from sympe.experiments.molecules.evaluation import bar, drawing
from sympe.experiments.molecules.files import load_model
from sympe.experiments.molecules.model import MoleculeModel
from sympe.graphs import DenseGraphs
from sympe.randomness import seeded

STEPS = (2, 5, 10, 20)


def with_g(model: MoleculeModel, molecules: Molecules, count: int) -> tuple[DenseGraphs, torch.Tensor]:
    """The first molecules, and for each a g that is coupled to it."""
    x = molecules.graphs(torch.arange(min(count, len(molecules))))
    draws = seeded("unmasking", count)
    return x, model.encoding.of_chain(model.noise.sample_limit(x.sizes, generator=draws), x, generator=draws)


def by_distance(places: int, steps: int) -> Unmasking:
    """Nodes first, then pairs by how far apart they are in the form; the last step takes the rest.

    Of more steps than there are distances each takes as many entries, in that order.
    """
    entries = torch.triu_indices(places, places)
    distance = entries[1] - entries[0]
    if steps > places:
        distance = distance.argsort(stable=True).argsort() * steps // len(distance)
    return _table(places, entries, distance.clamp(max=steps - 1))


def at_random(places: int, steps: int) -> Unmasking:
    """Every entry in a step of its own accord, the same for all graphs."""
    entries = torch.triu_indices(places, places)
    order = torch.randperm(entries.shape[1], generator=seeded("at random", steps))
    return _table(places, entries, order * steps // len(order))


def _table(places: int, entries: torch.Tensor, step: torch.Tensor) -> Unmasking:
    table = torch.zeros(places, places, dtype=torch.int64)
    table[entries[0], entries[1]] = step
    return Unmasking(torch.maximum(table, table.T))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="a run directory")
    parser.add_argument("--data", type=Path, required=True, help="a file of `sympe molecules-file`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--molecules", type=int, default=256, help="training molecules that the bound is taken over")
    parser.add_argument("--sweeps", type=int, default=6)
    given = parser.parse_args()
    model = load_model(given.run).eval()
    config = model.config
    if not config.coupled or (config.dataset, config.transition) != ("qm9", "absorbing"):
        parser.error(f"run: expected a coupled row of qm9 with masks at random, got {config.name}")
    entries = model.max_nodes * (model.max_nodes + 1) // 2
    if not all(2 <= steps <= entries for steps in given.steps):
        parser.error(f"--steps: expected 2 to {entries}, the entries of the largest molecules; got {given.steps}")
    training, validation = split_molecules(read_molecules(given.data, SOURCES[config.dataset]), SPLITS)[:2]
    x, g = with_g(model, training, given.molecules)
    y, h = with_g(model, validation, 1000)

    def judged(table: Unmasking) -> float:
        return float(unmasking_nll(drawing(model, None, h), model.noise, y, model.log_sizes, table, h).mean())

    for steps in given.steps:
        start = by_distance(model.max_nodes, steps)
        table = fit_unmasking(
            drawing(model, None, g),
            model.noise,
            x,
            g,
            start,
            sweeps=given.sweeps,
            generator=seeded("fit", steps),
            progress=bar(f"{steps} steps"),
        )
        values = {"at random": at_random(model.max_nodes, steps), "by distance": start, "found": table}
        words = ", ".join(f"{name} {judged(value):.2f}" for name, value in values.items())
        print(f"{steps} steps, nats of the validation molecules without the price of g: {words}", flush=True)
        found = runs.read_json(given.out) if given.out.exists() else {}  # others may have written meanwhile
        found.setdefault(model.config.order, {})[str(steps)] = table.table.tolist()
        runs.write_json(given.out, found)


if __name__ == "__main__":
    main()
