"""A training that is killed at any moment, again and again, ends as one that was not stopped."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from sympe.experiments import runs
from sympe.experiments.autoencoder import compare as autoencoder
from sympe.experiments.autoencoder.config import AutoencoderConfig
from sympe.experiments.experiment import Experiment
from sympe.experiments.ising import compare as ising
from sympe.experiments.ising.config import IsingConfig
from sympe.experiments.molecules import compare as molecules
from sympe.experiments.training import BLOCK
from tests.experiments.molecules.test_model import TINY
from tests.experiments.molecules.test_training import SAMPLE

KILLS = 20 if os.environ.get("SYMPE_FUZZ") == "long" else 2

CASES: dict[str, tuple[Experiment, Any, dict[str, Any]]] = {
    "ising": (
        ising.EXPERIMENT,
        IsingConfig(size=4, steps=4 * BLOCK, batch=4, channels=4, blocks=1, seed=3),
        {},
    ),
    "autoencoder": (
        autoencoder.EXPERIMENT,
        AutoencoderConfig(steps=6 * BLOCK, batch=4, width=8, layers=1, seed=3),
        {},
    ),
    "molecules": (
        molecules.EXPERIMENT,
        dataclasses.replace(TINY, steps=4 * BLOCK, batch=4, times=4, tested=20, sampled=4, layers=1, seed=3),
        {"data": molecules.Data(SAMPLE)},
    ),
}


def train(name: str, out: Path) -> None:
    experiment, config, options = CASES[name]
    experiment.train(config, out, 1, **options)


@pytest.fixture(scope="module")
def processes() -> Any:
    """Children of a process that has everything imported already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.experiments.test_killed"])
    first = context.Process(target=torch.get_num_threads)  # waits for the imports, which are no part of a training
    first.start()
    first.join()
    return context


def start(processes: Any, name: str, out: Path) -> Any:
    child = processes.Process(target=train, args=(name, out), daemon=True)
    child.start()
    return child


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_killed_training_ends_as_one_that_was_not_stopped(
    name: str, processes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMPE_CACHE", str(tmp_path / "cache"))
    _, config, _ = CASES[name]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    begin = time.monotonic()
    first = start(processes, name, whole)
    first.join()
    took = time.monotonic() - begin
    assert first.exitcode == 0
    moments = random.Random(name)
    stopped, steps = 0, set()
    while stopped < KILLS or len(steps) < 2:  # at several steps
        child = start(processes, name, killed)
        child.join(moments.uniform(0.0, took))
        if child.exitcode is None:
            child.kill()
            child.join()
            stopped += 1
        progress = killed / "runs" / config.name / "progress.json"
        steps.add(runs.read_json(progress)["step"] if progress.exists() else -1)
        if (killed / "rows" / f"{config.name}.json").exists():  # it came to its end: go on with another
            compare(name, whole, killed)
            killed = tmp_path / f"killed-{stopped}"
    last = start(processes, name, killed)
    last.join()
    assert last.exitcode == 0
    compare(name, whole, killed)


def compare(name: str, one: Path, other: Path) -> None:
    """The same weights, curve and numbers, but for times."""
    _, config, _ = CASES[name]
    checkpoints = [torch.load(out / "runs" / config.name / "last.ckpt", weights_only=True) for out in (one, other)]
    for key, value in checkpoints[0]["state_dict"].items():
        assert torch.equal(checkpoints[1]["state_dict"][key], value), key
    curves = [runs.read_curve(out / "runs" / config.name) for out in (one, other)]
    assert curves[0] == curves[1]
    rows = [runs.read_json(out / "rows" / f"{config.name}.json") for out in (one, other)]
    same = [{key: value for key, value in row.items() if "seconds" not in key and key != "environment"} for row in rows]
    assert same[0] == same[1]
