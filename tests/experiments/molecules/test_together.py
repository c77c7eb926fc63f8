"""Rows trained together end as rows trained alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from sympe.experiments import runs
from sympe.experiments.molecules.config import ENCODINGS, WITH_COUPLING, MoleculesConfig
from sympe.experiments.molecules.data import Molecules
from sympe.experiments.molecules.feed import Feed
from sympe.experiments.molecules.files import MODEL_FILE, load_model
from sympe.experiments.molecules.presets import SMOKE
from sympe.experiments.molecules.reading import load_all
from sympe.experiments.molecules.together import Together, groups, train_together
from sympe.experiments.molecules.training import MoleculesTask, make_task

SAMPLE = Path(__file__).parents[2] / "data" / "qm9-sample.smi"
CPU = torch.device("cpu")
SIZES = SMOKE | {"steps": 70, "batch": 16, "warmup": 0.1}


@pytest.fixture(scope="module", name="parts")
def fixture_parts(tmp_path_factory: pytest.TempPathFactory) -> list[Molecules]:
    molecules = load_all("qm9", data=SAMPLE, cache=tmp_path_factory.mktemp("cache"))
    return [molecules.subset(torch.arange(*ends)) for ends in ((0, 1000), (1000, 1050), (1050, 1100))]


def tasks_of(parts: list[Molecules], configs: list[MoleculesConfig]) -> list[MoleculesTask]:
    return [make_task(config, parts) for config in configs]


def all_weights(task: MoleculesTask) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in task.model.parameters()])


def rows() -> list[MoleculesConfig]:
    marginal = [MoleculesConfig(encoding=name, **SIZES) for name in ENCODINGS if name != "sympe-scores"]
    absorbing = MoleculesConfig(transition="absorbing", encoding="none", **SIZES)
    coupled = [
        dataclasses.replace(absorbing, encoding=name, coupled=True, order=order, seed=seed)
        for name in WITH_COUPLING
        for order, seed in (("breadth-first", 0), ("depth-first", 1))
    ]
    return [*marginal, absorbing, *coupled]


def test_rows_trained_together_end_as_rows_trained_alone(parts: list[Molecules], tmp_path: Path) -> None:
    configs = rows()
    together = tasks_of(parts, configs)
    some = groups(together)
    assert [len(group) for group in some] == [len(ENCODINGS) - 1, 1 + 2 * len(WITH_COUPLING)]
    for group in some:
        train_together(group, tmp_path / "together", device=CPU, workers=0)
    for task in together:
        alone = make_task(task.config, parts)
        alone.train_in(runs.prepare_run(task.config, tmp_path / "alone"), accelerator="cpu")
        one, other, start = all_weights(task), all_weights(alone), all_weights(make_task(task.config, parts))
        print(
            task.config.name,
            float((one - other).norm() / (other - start).norm()),
            task.encoding_seconds,
            alone.encoding_seconds,
            task.train_seconds,
            alone.train_seconds,
        )
        assert float((one - other).norm()) < 1e-3 * float((other - start).norm()), task.config.name
