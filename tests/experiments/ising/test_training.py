"""Training learns, resumes exactly, and is timed."""

import dataclasses
import signal
from pathlib import Path

import pytest
import torch

from sympe.experiments import runs
from sympe.experiments.ising.config import IsingConfig
from sympe.experiments.ising.data import TrainingStream
from sympe.experiments.ising.training import IsingTask, load
from sympe.experiments.training import BLOCK

TINY = IsingConfig(size=4, steps=2 * BLOCK, batch=8, channels=4, blocks=1, seed=3)


def train(config, run, **options):
    task = IsingTask(config)
    task.train_in(run, **options)
    return task


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    run = runs.prepare_run(TINY, out)
    return run, train(TINY, run, accelerator="cpu")


class _StoppedError(Exception):
    pass


def stop_in_second_block(monkeypatch, error):
    """Let the 60th step fail: after one checkpoint, in the middle of the second block."""
    original = IsingTask.training_step

    def step(self, batch, batch_idx):
        if batch[0] == BLOCK + 10:
            raise error
        return original(self, batch, batch_idx)

    monkeypatch.setattr(IsingTask, "training_step", step)


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same_weights(uninterrupted, tmp_path, monkeypatch):
    run = runs.prepare_run(TINY, tmp_path)
    with monkeypatch.context() as patch:
        stop_in_second_block(patch, _StoppedError())
        with pytest.raises(_StoppedError):
            train(TINY, run, accelerator="cpu")
    assert (run / "last.ckpt").exists()
    assert runs.read_curve(run)[-1][0] == BLOCK
    resumed = train(TINY, run, accelerator="cpu")
    whole = uninterrupted[1].state_dict()
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, whole[name]), name
    assert runs.read_curve(run) == runs.read_curve(uninterrupted[0])


@pytest.mark.slow
def test_another_seed_ends_elsewhere(uninterrupted, tmp_path):
    """The broken twin of the test above: it can tell runs apart."""
    other = dataclasses.replace(TINY, seed=4)
    task = train(other, runs.prepare_run(other, tmp_path), accelerator="cpu")
    assert not torch.equal(task.model.model.encoding.v, uninterrupted[1].model.model.encoding.v)


def test_training_lowers_the_energy_and_keeps_time(uninterrupted):
    run, task = uninterrupted
    (first_step, first), (last_step, last) = runs.read_curve(run)
    assert (first_step, last_step) == (BLOCK, 2 * BLOCK)
    assert last < first
    assert 0 < task.encoding_seconds < task.train_seconds
    assert runs.read_json(run / "progress.json")["step"] == 2 * BLOCK


def test_the_loss_is_the_free_energy_and_the_curve_the_energy():
    task = IsingTask(TINY)
    fields = next(iter(TrainingStream(TINY.variant, TINY.size, seed=3, batch=8, steps=range(1))))[1]
    hot, cold = (task.training_step((step, fields), 0) for step in (0, TINY.steps - 1))
    assert hot["loss"] < hot["curve"] - 0.5  # T c S of nearly free spins
    assert cold["loss"] == cold["curve"]
    assert hot["loss"].requires_grad
    assert not hot["curve"].requires_grad


def test_load_gives_the_trained_weights_and_times(uninterrupted):
    run, task = uninterrupted
    loaded = load(run)
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), task.parameters(), strict=True))
    assert loaded.train_seconds == pytest.approx(task.train_seconds)
    assert loaded.config == TINY


def test_load_names_what_is_missing_or_does_not_fit(uninterrupted, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run: expected a run directory with config\.json"):
        load(tmp_path)
    run = runs.prepare_run(dataclasses.replace(TINY, channels=5), tmp_path)
    with pytest.raises(FileNotFoundError, match=r"last\.ckpt"):
        load(run)
    (run / "last.ckpt").write_bytes((uninterrupted[0] / "last.ckpt").read_bytes())
    with pytest.raises(
        ValueError, match=r"the checkpoint was made with another config \(channels is 4 there and 5 here"
    ):
        load(run)


def test_building_a_task_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    IsingTask(TINY)
    assert torch.equal(before, torch.get_rng_state())


def test_load_refuses_other_code_and_damaged_checkpoints(uninterrupted, tmp_path):
    run = runs.prepare_run(dataclasses.replace(TINY, code_version=0), tmp_path)
    (run / "last.ckpt").write_bytes((uninterrupted[0] / "last.ckpt").read_bytes())
    with pytest.raises(ValueError, match="made by code version 0"):
        load(run)
    run = runs.prepare_run(TINY, tmp_path)
    (run / "last.ckpt").write_bytes((uninterrupted[0] / "last.ckpt").read_bytes()[:1000])
    with pytest.raises(ValueError, match="is damaged"):
        load(run)


@pytest.mark.slow
def test_a_checkpoint_of_another_row_is_not_gone_on_with(uninterrupted, tmp_path):
    """None and noise have the same weights: only the config tells them apart."""
    none, noise = (dataclasses.replace(TINY, encoding=encoding) for encoding in ("none", "noise"))
    first, second = (runs.prepare_run(config, tmp_path) for config in (none, noise))
    train(none, first, accelerator="cpu")
    (second / "last.ckpt").write_bytes((first / "last.ckpt").read_bytes())
    with pytest.raises(ValueError, match=r"run: the checkpoint was made with another config .encoding is 'none' there"):
        train(noise, second, accelerator="cpu")


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_a_damaged_checkpoint_is_named_before_the_training(uninterrupted, tmp_path, content):
    run = runs.prepare_run(TINY, tmp_path)
    whole = (uninterrupted[0] / "last.ckpt").read_bytes()
    (run / "last.ckpt").write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(ValueError, match=r"run: .*last\.ckpt is damaged: "):
        train(TINY, run, accelerator="cpu")
    checkpoint = torch.load(uninterrupted[0] / "last.ckpt", weights_only=True)
    torch.save({key: value for key, value in checkpoint.items() if key != "config"}, run / "last.ckpt")
    with pytest.raises(ValueError, match=r"last\.ckpt does not say what it was made for"):
        train(TINY, run, accelerator="cpu")
    torch.save({**checkpoint, "state_dict": {}}, run / "last.ckpt")
    with pytest.raises(ValueError, match="do not fit its config"):
        load(run)


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(uninterrupted, tmp_path, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError

    run = runs.prepare_run(TINY, tmp_path)
    (run / "last.ckpt").write_bytes((uninterrupted[0] / "last.ckpt").read_bytes())
    monkeypatch.setattr(torch, "load", forbidden)
    with pytest.raises(PermissionError):
        load(run)


@pytest.mark.slow
def test_a_checkpoint_is_replaced_whole_or_not_at_all(uninterrupted, tmp_path, monkeypatch):
    run, before = runs.prepare_run(TINY, tmp_path), []
    original = torch.save

    def half(content, path, **options):
        if content["global_step"] == BLOCK:
            original(content, path, **options)
            return
        before.append((run / "last.ckpt").read_bytes())
        Path(path).write_bytes(b"half")
        raise _StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", half)
        with pytest.raises(_StoppedError):
            train(TINY, run, accelerator="cpu")
    assert (run / "last.ckpt").read_bytes() == before[0]
    assert sorted(path.name for path in run.iterdir()) == ["config.json", "last.ckpt", "logs", "progress.json"]


def test_ctrl_c_is_one(tmp_path, monkeypatch):
    """Lightning ends the program with status 1, and ignores further ones."""
    handler = signal.getsignal(signal.SIGINT)
    stop_in_second_block(monkeypatch, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train(TINY, runs.prepare_run(TINY, tmp_path), accelerator="cpu")
    signal.signal(signal.SIGINT, handler)


def test_another_end_of_the_program_is_no_ctrl_c(tmp_path, monkeypatch):
    """As by SIGTERM: one row of a comparison fails, and the others go on."""
    stop_in_second_block(monkeypatch, SystemExit(7))
    with pytest.raises(SystemExit) as stop:
        train(TINY, runs.prepare_run(TINY, tmp_path), accelerator="cpu")
    assert stop.value.code == 7


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"devices": 0}, "devices: expected at least 1, got 0"),
        ({"num_nodes": -1}, "num_nodes: expected at least 1, got -1"),
        ({"accelerator": "gpu", "devices": 999}, "accelerator, devices or options: "),
    ],
)
def test_devices_that_are_not_there_are_refused(tmp_path, options, match):
    with pytest.raises(ValueError, match=match):
        train(dataclasses.replace(TINY, batch=999), tmp_path, **options)


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a batch of 8 does not divide among 3 x 1 devices"):
        train(TINY, tmp_path, devices=3)


def test_tensorboard_has_the_curve_too(tmp_path):
    one = dataclasses.replace(TINY, steps=BLOCK)
    run = runs.prepare_run(one, tmp_path)
    train(one, run, accelerator="cpu", tensorboard=True)
    assert len(runs.read_curve(run)) == 1
    (events,) = (run / "tensorboard").glob("events.out.tfevents.*")
    assert b"curve" in events.read_bytes()


def test_tensorboard_without_its_package_is_told(tmp_path, monkeypatch):
    from lightning.pytorch.loggers import TensorBoardLogger

    def missing(*_, **__):
        raise ModuleNotFoundError("neither tensorboard nor tensorboardX")

    monkeypatch.setattr(TensorBoardLogger, "__init__", missing)
    run = runs.prepare_run(TINY, tmp_path)
    with pytest.raises(ImportError, match="tensorboard: needs the package tensorboardX"):
        train(TINY, run, accelerator="cpu", tensorboard=True)
