"""Trainings say where they go on, how far they are, and that a model is not trained to its end."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from lightning.pytorch.callbacks import Callback

from sympe import cli
from sympe.experiments import runs
from sympe.experiments.ising.config import IsingConfig
from sympe.experiments.ising.training import IsingTask
from sympe.experiments.training import BLOCK, Steps, fit, stopped_at

CONFIG = IsingConfig(size=4, steps=2 * BLOCK, batch=2, channels=2, blocks=1)


class Interrupt(Callback):
    """Ctrl-C after one block."""

    def on_train_epoch_start(self, trainer: object, pl_module: IsingTask) -> None:
        if pl_module.current_epoch == 1:
            raise KeyboardInterrupt


def test_a_training_that_goes_on_says_from_where_and_an_interrupted_model_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs.prepare_run(CONFIG, tmp_path)
    assert stopped_at(run) is None  # there is no model yet
    with pytest.raises(KeyboardInterrupt):
        fit(IsingTask(CONFIG), run, accelerator="cpu", progress_bar=True, callbacks=[Interrupt()])
    told = capsys.readouterr().err
    assert told.startswith(f"{CONFIG.name}:   0%")
    assert f" 0/{CONFIG.steps} [" in told
    assert "going on" not in told
    assert stopped_at(run) == BLOCK

    monkeypatch.setattr(sys, "argv", ["sympe", "evaluate", str(run)])
    cli.main()
    line = f"sympe: {CONFIG.name} was interrupted: this is its model after {BLOCK} of {CONFIG.steps} steps\n"
    assert capsys.readouterr().err == line

    fit(IsingTask(CONFIG), run, accelerator="cpu", progress_bar=True)
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == f"{CONFIG.name}: going on from step {BLOCK} of {CONFIG.steps}"
    assert f" {BLOCK}/{CONFIG.steps} [" in lines[0]
    assert stopped_at(run) is None
    cli.main()
    assert capsys.readouterr().err == ""
    fit(IsingTask(CONFIG), run, accelerator="cpu")
    assert capsys.readouterr().err == ""  # nothing is left to go on with


def test_steps_are_told_with_the_loss_and_the_time_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sympe.experiments.progress.EVERY", 0.0)
    fit(IsingTask(CONFIG), runs.prepare_run(CONFIG, tmp_path), accelerator="cpu", callbacks=[Steps()])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) > 10
    assert " 0/100 [00:00<?, ?step/s]" in lines[0]
    assert all(re.search(r"\d+/100 \[\d\d:\d\d<\d\d:\d\d, .+, loss=-?\d", line) for line in lines[5:])
