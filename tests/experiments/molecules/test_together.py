"""Rows trained together end as rows trained alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from sympe.experiments import runs
from sympe.experiments.molecules import together
from sympe.experiments.molecules.config import ENCODINGS, WITH_COUPLING, MoleculesConfig
from sympe.experiments.molecules.data import Molecules
from sympe.experiments.molecules.feed import Block
from sympe.experiments.molecules.files import MODEL_FILE, load_model
from sympe.experiments.molecules.presets import SMOKE
from sympe.experiments.molecules.reading import load_all
from sympe.experiments.molecules.together import Together, groups, train_together, why_alone
from sympe.experiments.molecules.training import MoleculesTask, make_task

SAMPLE = Path(__file__).parents[2] / "data" / "qm9-sample.smi"
CPU = torch.device("cpu")
SIZES = SMOKE | {"steps": 70, "batch": 16, "warmup": 0.1}


@pytest.fixture(scope="module", name="parts")
def fixture_parts(tmp_path_factory: pytest.TempPathFactory) -> list[Molecules]:
    molecules = load_all("qm9", data=SAMPLE, cache=tmp_path_factory.mktemp("cache"))
    return [molecules.subset(torch.arange(*ends)) for ends in ((0, 1000), (1000, 1050), (1050, 1100))]


def all_weights(task: MoleculesTask) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in task.model.parameters()])


def rows() -> list[MoleculesConfig]:
    """All encodings but one whose kernel learns, and all that can be coupled."""
    marginal = [MoleculesConfig(encoding=name, **SIZES) for name in ENCODINGS if name != "sympe-scores"]
    absorbing = MoleculesConfig(transition="absorbing", encoding="none", **SIZES)
    coupled = [
        dataclasses.replace(absorbing, encoding=name, coupled=True, order=order, seed=seed)
        for name in WITH_COUPLING
        for order, seed in (("breadth-first", 0), ("depth-first", 1))
    ]
    return [*marginal, absorbing, *coupled]


@pytest.mark.slow
def test_rows_trained_together_end_as_rows_trained_alone(parts: list[Molecules], tmp_path: Path) -> None:
    tasks = [make_task(config, parts) for config in rows()]
    some = groups(tasks)
    assert [len(group) for group in some] == [len(ENCODINGS) - 1, 1 + 2 * len(WITH_COUPLING)]
    for group in some:
        train_together(group, tmp_path / "together", device=CPU, workers=0)
    ends = {}
    for task in tasks:
        alone = make_task(task.config, parts)
        alone.train_in(runs.prepare_run(task.config, tmp_path / "alone"), accelerator="cpu")
        one, other, start = all_weights(task), all_weights(alone), all_weights(make_task(task.config, parts))
        ends[task.config.name] = one
        assert float((one - other).norm()) < 1e-3 * float((other - start).norm()), task.config.name
        run = tmp_path / "together" / "runs" / task.config.name
        assert torch.equal(torch.cat([p.flatten() for p in load_model(run).parameters()]), one)
        curves = [runs.read_curve(tmp_path / kind / "runs" / task.config.name) for kind in ("together", "alone")]
        assert [step for step, _ in curves[0]] == [50, 70]
        assert [value for _, value in curves[0]] == pytest.approx([value for _, value in curves[1]], rel=1e-4)
        brought = make_task(task.config, parts)
        assert brought.brought(run)
        assert (brought.train_seconds, brought.encoding_seconds) == (task.train_seconds, task.encoding_seconds)
    own = ends["qm9-marginal-sympe-nodes-edges-seed0"]
    near, far = (ends[f"qm9-marginal-{name}-seed0"] for name in ("sympe-nodes-edges", "haar"))
    assert torch.equal(own, near)
    assert not torch.allclose(near, far, atol=1e-3), "other draws of g end elsewhere, so the comparison could fail"


class InterruptError(Exception):
    """Stands for a machine that is taken away."""


def test_an_interrupted_training_goes_on(
    parts: list[Molecules], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(together, "KEPT", 1)
    config = MoleculesConfig(**SIZES | {"steps": 120})
    configs = [config, dataclasses.replace(config, encoding="noise")]
    whole = [make_task(config, parts) for config in configs]
    train_together(whole, tmp_path / "whole", device=CPU, workers=0)
    take, taken = Together.train_block, []

    def interrupted(self: Together, blocks: list[Block]) -> torch.Tensor:
        taken.append(self.step)
        if len(taken) == 2:
            raise InterruptError
        return take(self, blocks)

    some = [make_task(config, parts) for config in configs]
    monkeypatch.setattr(Together, "train_block", interrupted)
    with pytest.raises(InterruptError):
        train_together(some, tmp_path / "two", device=CPU, workers=0)
    assert len(list((tmp_path / "two").glob("together/*.ckpt"))) == 1
    again = [make_task(config, parts) for config in configs]
    monkeypatch.setattr(Together, "train_block", lambda self, some: (taken.append(self.step), take(self, some))[1])
    train_together(again, tmp_path / "two", device=CPU, workers=0)
    assert taken == [0, 50, 50, 100]
    for one, other in zip(whole, again, strict=True):
        assert torch.equal(all_weights(one), all_weights(other))
    assert not list((tmp_path / "two").glob("together/*.ckpt"))


def test_workers_make_the_same_batches(parts: list[Molecules], tmp_path: Path) -> None:
    config = MoleculesConfig(**SIZES)
    ends = []
    for workers in (0, 2):
        task = make_task(config, parts)
        train_together([task], tmp_path / str(workers), device=CPU, workers=workers)
        ends.append(all_weights(task))
        assert task.encoding_seconds > 0
    assert torch.equal(*ends)


def test_rows_that_do_not_fit_are_kept_apart_or_refused(parts: list[Molecules]) -> None:
    config = MoleculesConfig(encoding="none", **SIZES)
    others = [dataclasses.replace(config, **change) for change in ({"steps": 71}, {"batch": 8}, {"average": 0.9})]
    found = groups([make_task(other, parts) for other in (config, dataclasses.replace(config, seed=1), *others)])
    assert [len(group) for group in found] == [2, 1, 1, 1]
    for change in ({"encoding": "sympe-scores"}, {"precision": "bf16-mixed"}):
        with pytest.raises(ValueError, match=r"together: qm9-marginal-.* is trained alone, for "):
            groups([make_task(dataclasses.replace(config, **change), parts)])
    places = {"encoding": "haar", "transition": "places", "times": 10, "coupled": True, "order": "depth-first"}
    assert why_alone(dataclasses.replace(config, **places)) == "it has a table of places, and so another loss"
    assert not why_alone(config)


def test_a_gradient_that_is_not_finite_is_told(
    parts: list[Molecules], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is named and not written; the other is not touched by it."""
    config = MoleculesConfig(encoding="none", **SIZES)
    tasks = [make_task(dataclasses.replace(config, seed=seed), parts) for seed in (0, 1)]
    losses = Together._losses

    def broken(self: Together, leaves: dict[str, torch.Tensor]) -> torch.Tensor:
        return losses(self, leaves) * torch.tensor([1.0, torch.inf if self.step == 60 else 1.0])

    monkeypatch.setattr(Together, "_losses", broken)
    with pytest.raises(ArithmeticError, match=r"so train them alone: qm9-marginal-none-seed1 \(1\)"):
        train_together(tasks, tmp_path, device=CPU, workers=0)
    assert (tmp_path / "runs" / tasks[0].config.name / MODEL_FILE).exists()
    assert not (tmp_path / "runs" / tasks[1].config.name / MODEL_FILE).exists()
    monkeypatch.undo()
    alone = make_task(tasks[0].config, parts)
    train_together([alone], tmp_path / "alone", device=CPU, workers=0)
    assert torch.allclose(all_weights(alone), all_weights(tasks[0]), atol=1e-5)
