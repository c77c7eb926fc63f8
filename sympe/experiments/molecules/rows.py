"""What the rows of the experiments on molecules need of their data: to be trained, judged and checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sympe.experiments import runs
from sympe.experiments.molecules.check import check_model
from sympe.experiments.molecules.config import MoleculesConfig
from sympe.experiments.molecules.data import SPLITS
from sympe.experiments.molecules.files import load_model
from sympe.experiments.molecules.quality import described, evaluate
from sympe.experiments.molecules.reading import canonical_smiles, load_molecules, load_splits
from sympe.experiments.molecules.training import MoleculesTask, make_task
from sympe.testing import EquivarianceTest


def prepare(
    configs: Sequence[MoleculesConfig], missing: Sequence[MoleculesConfig], out: Path, *, data: Path | None = None
) -> None:
    """Read the molecules and write their SMILES to the cache once, before rows read side by side.

    Raises:
        ValueError: if ``out`` has rows of other training molecules, or a cache is damaged.
        FileNotFoundError: if the dataset is not there.
    """
    if data is None and not missing:
        return
    training = load_molecules(configs[0].dataset, "train", data=data)
    canonical_smiles(training)
    for config in configs:
        runs.finished_row(config, out, data_hash=training.content_hash)


def make_molecules_task(config: MoleculesConfig, *, data: Path | None = None) -> MoleculesTask:
    """The task of a row (:func:`~sympe.experiments.molecules.training.make_task`).

    Raises:
        ValueError: as there, and as :func:`~sympe.experiments.molecules.reading.load_molecules`.
        FileNotFoundError: if there is no dataset.
    """
    return make_task(config, load_splits(config.dataset, SPLITS, data=data), describe=described)


def evaluate_run(run: Path, *, nll_draws: int = 1, shuffled: bool = False, data: Path | None = None) -> dict[str, Any]:
    """Evaluate the model of a run directory on the test molecules.

    Raises:
        ValueError: if it is damaged or does not fit, or there are molecules of a size that it does not know.
        FileNotFoundError: if there is no such model, or no dataset.
    """
    model = load_model(run)
    training, test = load_splits(model.config.dataset, ("train", "test"), data=data)
    return evaluate(model, training, test, draws=nll_draws, shuffled=shuffled)[0]


def check_run(run: Path, *, inputs: int = 4, data: Path | None = None, **options: Any) -> EquivarianceTest:
    """Test the model of a run directory on test molecules (:func:`~sympe.experiments.molecules.check.check_model`).

    Raises:
        FileNotFoundError: if there is no such model, or no dataset.
        ValueError: if it does not fit, a number is out of range, or there are molecules of sizes that it does not
            know.
    """
    model = load_model(run)
    return check_model(model, load_molecules(model.config.dataset, "test", data=data), inputs=inputs, **options)
