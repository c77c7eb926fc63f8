"""How the learning rates were found: rows of one dataset with each of the same rates, judged on validation samples.

``python -m sympe.experiments.shapes.trials results/shapes/trials.json``, and again for those that are missing. Nothing
here sees a test sample.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sympe.experiments import runs
from sympe.experiments.progress import Bar
from sympe.experiments.shapes.compare import preset_configs
from sympe.experiments.shapes.config import ShapesConfig
from sympe.experiments.shapes.evaluation import evaluate
from sympe.experiments.shapes.training import ShapesTask

RATES = {"egnn": (3e-3, 1e-2, 3e-2), "e3nn": (1e-2, 2e-2, 4e-2, 8e-2, 0.16)}
"""That are tried, for each backbone."""
SEED = 100
"""Of no row in the table."""
STEPS = 400
"""Half of those of a row."""


def tried_configs(dataset: str = "polyhedra", backbone: str = "egnn") -> list[ShapesConfig]:
    """The trials: each row of ``full`` that can get below the floor of equivariant functions, with each of the rates.

    The others cannot whatever their rate: what they draw says nothing of the target. Of e3nn's layers only
    sympe-coupled is tried.
    """
    rows = preset_configs("full", dataset=dataset, backbone=backbone, seeds=1)
    can = [row for row in rows if row.couples or (row.loss == "orbit-minimum" and row.encoding != "none")]
    return [
        dataclasses.replace(row, learning_rate=rate, seed=SEED, steps=STEPS, draws=1)
        for row in sorted(can, key=lambda row: row.encoding != "sympe-coupled")
        for rate in RATES[backbone]
    ]


def run_trials(configs: Sequence[ShapesConfig], path: Path) -> list[dict[str, Any]]:
    """Train those that the file does not have, and write the validation error of each into it."""
    found = runs.read_json(path, "trials")["trials"] if path.exists() else []
    for config in configs:
        row = dataclasses.asdict(config)
        if any(trial["config"] == row for trial in found):
            continue
        with tempfile.TemporaryDirectory() as folder:
            task = ShapesTask(config)
            task.train_in(runs.prepare_run(config, Path(folder)), threads=1, accelerator="cpu")
            error = evaluate(task.model, config, "validation")["error"]
        Bar.write(f"{config.name}, learning rate {config.learning_rate}: {error:.5f}")
        found.append({"error": error, "config": row, "environment": runs.environment()})
        runs.write_json(path, {"trials": found})
    return found


def best_rates(trials: Sequence[dict[str, Any]]) -> dict[tuple[str, str, str], float]:
    """The rate of the least validation error, by backbone, encoding and loss.

    Example:
        >>> config = {"backbone": "egnn", "encoding": "none", "loss": "squared"}
        >>> best_rates([{"error": e, "config": {**config, "learning_rate": r}} for e, r in ((0.2, 1e-3), (0.1, 1e-2))])
        {('egnn', 'none', 'squared'): 0.01}
    """
    best: dict[tuple[str, str, str], tuple[float, float]] = {}
    for trial in trials:
        config = trial["config"]
        key = config["backbone"], config["encoding"], config["loss"]
        best[key] = min(best.get(key, (float("inf"), 0.0)), (trial["error"], config["learning_rate"]))
    return {key: rate for key, (_, rate) in best.items()}


if __name__ == "__main__":
    which = [config for backbone in sys.argv[2:] or RATES for config in tried_configs(backbone=backbone)]
    for name, rate in best_rates(run_trials(which, Path(sys.argv[1]))).items():
        print(*name, rate)
