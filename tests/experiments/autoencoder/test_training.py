"""Training learns, resumes exactly, keeps the best, and refuses what does not fit."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sympe.experiments import runs
from sympe.experiments.autoencoder import compare as comparison
from sympe.experiments.autoencoder.check import check_run
from sympe.experiments.autoencoder.config import ENCODINGS, AutoencoderConfig
from sympe.experiments.autoencoder.training import AutoencoderTask, load
from sympe.experiments.training import BLOCK, RowTask
from sympe.kernels import CachedGraphKernel

TINY = AutoencoderConfig(steps=2 * BLOCK, batch=4, width=8, layers=1, seed=3)


def train(config, run, **options):
    task = AutoencoderTask(config)
    task.train_in(run, **options)
    return task


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    run = runs.prepare_run(TINY, out)
    return run, train(TINY, run, accelerator="cpu")


class _StoppedError(Exception):
    pass


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same_weights(uninterrupted, tmp_path, monkeypatch):
    run = runs.prepare_run(TINY, tmp_path)
    original = AutoencoderTask.training_step

    def step(self, batch, batch_idx):
        if batch[0] == BLOCK + 10:
            raise _StoppedError
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(AutoencoderTask, "training_step", step)
        with pytest.raises(_StoppedError):
            train(TINY, run, accelerator="cpu")
    assert runs.read_curve(run)[-1][0] == BLOCK
    resumed = train(TINY, run, accelerator="cpu")
    whole = uninterrupted[1].state_dict()
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, whole[name]), name
    for name in ("curve", "validation"):
        assert runs.read_curve(run, name=name) == runs.read_curve(uninterrupted[0], name=name)
    assert resumed.train_seconds > 0


def test_another_seed_ends_elsewhere(uninterrupted, tmp_path):
    """The broken twin of the test above: it can tell runs apart."""
    other = dataclasses.replace(TINY, seed=4)
    task = train(other, runs.prepare_run(other, tmp_path), accelerator="cpu")
    assert not torch.equal(task.model.encoding.v, uninterrupted[1].model.encoding.v)


def test_training_lowers_the_loss_and_keeps_time(uninterrupted):
    run, task = uninterrupted
    (_, first), (last_step, last) = runs.read_curve(run)
    assert last_step == TINY.steps
    assert last < first
    assert runs.read_curve(run, name="validation")[-1][0] == TINY.steps  # the last step is validated
    assert 0 < task.encoding_seconds < task.train_seconds


def test_load_gives_the_best_weights_and_names_what_is_missing(uninterrupted, tmp_path):
    run, task = uninterrupted
    loaded = load(run)
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), task.parameters(), strict=True))
    with pytest.raises(FileNotFoundError, match=r"run: expected a run directory with config\.json"):
        load(tmp_path)
    other = runs.prepare_run(dataclasses.replace(TINY, width=4), tmp_path)
    (other / "best.ckpt").write_bytes((run / "best.ckpt").read_bytes())
    with pytest.raises(ValueError, match=r"made with another config \(width is 8 there and 4 here\)"):
        load(other)
    (other / "best.ckpt").write_bytes((run / "best.ckpt").read_bytes()[:1000])
    with pytest.raises(ValueError, match="is damaged"):
        load(other)


@pytest.mark.slow
def test_the_best_checkpoint_is_kept_when_the_loss_rises_again(tmp_path, monkeypatch):
    original = AutoencoderTask.training_step

    def step(self, batch, batch_idx):
        result = original(self, batch, batch_idx)
        if batch[0] >= BLOCK:
            result["loss"] = -result["loss"]  # from here on everything gets worse
        return result

    monkeypatch.setattr(AutoencoderTask, "training_step", step)
    config = dataclasses.replace(TINY, encoding="noise", learning_rate=1e-2, steps=4 * BLOCK)
    monkeypatch.setattr("sympe.experiments.autoencoder.training.VALIDATE", 1)
    run = runs.prepare_run(config, tmp_path)
    task = train(config, run, accelerator="cpu")
    curve = runs.read_curve(run, name="validation")
    assert min(curve, key=lambda point: point[1])[0] == BLOCK
    last = torch.load(run / "last.ckpt", weights_only=True)["state_dict"]
    assert any(not torch.equal(value, last[name]) for name, value in task.state_dict().items())


@pytest.mark.slow
def test_a_step_without_a_finite_gradient_is_left_out(uninterrupted, tmp_path, monkeypatch):
    original = AutoencoderTask.training_step

    def step(self, batch, batch_idx):
        result = original(self, batch, batch_idx)
        if batch[0] in (7, BLOCK + 3):
            result["loss"] = result["loss"] * torch.inf
        return result

    monkeypatch.setattr(AutoencoderTask, "training_step", step)
    task = train(TINY, runs.prepare_run(TINY, tmp_path), accelerator="cpu")
    assert task.skipped_steps == 2
    assert uninterrupted[1].skipped_steps == 0
    state = task.state_dict()
    assert all(value.isfinite().all() for value in state.values())
    assert any(not torch.equal(value, state[name]) for name, value in uninterrupted[1].state_dict().items())
    monkeypatch.delattr(RowTask, "configure_gradient_clipping")  # the broken twin: Lightning's own clipping goes on
    twin = train(TINY, runs.prepare_run(TINY, tmp_path / "twin"), accelerator="cpu")
    assert not all(value.isfinite().all() for value in twin.state_dict().values())


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a batch of 4 does not divide among 3 x 1 devices"):
        train(TINY, tmp_path, devices=3)


def test_presets():
    smoke, demo, full = (comparison.preset_configs(preset) for preset in ("smoke", "demo", "full"))
    assert [c.encoding for c in smoke] == list(ENCODINGS)
    assert [(c.encoding, c.dataset, c.backbone, c.seed) for c in demo] == [
        (e, "er", "egnn", 0) for e in ("none", "noise", "sympe")
    ]
    assert len(full) == 2 * 8 * 3 + 2 * 3 + 3 + 3 * 4
    for configs in (demo, full):
        same = {
            tuple(v for k, v in dataclasses.asdict(c).items() if k not in ("encoding", "dataset", "backbone", "seed"))
            for c in configs
        }
        assert len(same) == 1  # one recipe for every row
    released = comparison.preset_configs("full", dataset="community-released")
    assert [c for c in full if c.dataset == "community-released"] == released  # as in the preset, not the first plan's
    assert [c for c in full if c.dataset == "er"] == comparison.preset_configs("full", dataset="er")
    some = comparison.preset_configs("full", dataset="er", backbone="egnn", encodings=["noise", "haar"])
    assert len({c.name for c in some}) == len(some) == 6, "each row once, though two parts of the plan are on er"
    chosen = comparison.preset_configs("full", dataset="community", backbone="gnn", encodings=["noise"], seeds=2)
    assert [c.name for c in chosen] == ["community-gnn-noise-seed0", "community-gnn-noise-seed1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "tiny"}, "preset: expected one of smoke, demo, full; got 'tiny'"),
        ({"encodings": []}, "encodings: expected at least one, got none"),
        ({"encodings": ["noise", "noise"]}, "encodings: expected each at most once, got noise, noise"),
        ({"encodings": ["sine"]}, "encoding: expected one of none, .*; got 'sine'"),
        ({"seeds": 0}, "seeds: expected at least 1, got 0"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_choices_that_cannot_be_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        comparison.preset_configs(**{"preset": "smoke", **options})


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_a_comparison_leaves_table_summary_and_figures_and_can_be_redrawn(tmp_path):
    out = tmp_path / "out"
    summary = comparison.EXPERIMENT.compare("smoke", out, encodings=["none", "sympe"])
    assert [row["encoding"] for row in summary["rows"]] == ["none", "sympe"]
    for key in ("seed", "dataset", "backbone", "bce", "error_percent", "f1", "parameters", "encoding_seconds"):
        assert key in summary["rows"][0]
    assert summary["rows"][1]["encoding_parameters"] == 16 * 8
    table = (out / "table.md").read_text()
    assert "| sympe | 1 |" in table
    assert "*published: EGNN*" in table
    figures = sorted(path.name for path in out.glob("*.png"))
    assert figures == ["curves-er-egnn.png", "reconstructions-er-egnn.png", "symmetry-er-egnn.png"]
    before = {path: path.stat().st_mtime_ns for path in (out / "rows").iterdir()}
    (out / "table.md").unlink()
    again = comparison.EXPERIMENT.compare("smoke", out, encodings=["none", "sympe"], train_missing=False)
    assert again["rows"] == summary["rows"]
    assert (out / "table.md").read_text() == table
    assert before == {path: path.stat().st_mtime_ns for path in (out / "rows").iterdir()}
    comparison.EXPERIMENT.compare("smoke", out, encodings=["none", "sympe-order-degree"])
    assert (out / "orders-er-egnn.png").exists()  # canonical orders have a figure of their own
    missing = comparison.EXPERIMENT.compare("smoke", out, encodings=["none", "noise"], train_missing=False)
    assert missing["missing"] == ["er-egnn-noise-seed0"]
    table = (out / "table.md").read_text()
    assert "Missing rows: er-egnn-noise-seed0." in table
    with pytest.raises(ValueError, match=r"out: none of the rows asked for is finished in .*; there is nothing to"):
        comparison.EXPERIMENT.compare("smoke", out, encodings=["noise"], train_missing=False)
    assert (out / "table.md").read_text() == table, "nothing is overwritten"
    with pytest.raises(ValueError, match="was made with another config"):
        comparison.EXPERIMENT.compare("demo", out, encodings=["none"], train_missing=False)


def test_a_trained_model_is_equivariant_in_distribution_and_first_index_ties_are_not(uninterrupted, monkeypatch):
    run, _ = uninterrupted
    options = {"inputs": 2, "samples": 40, "max_elements": 4, "generator": torch.Generator().manual_seed(0)}
    assert not check_run(run, **options).rejected
    monkeypatch.setattr(CachedGraphKernel, "sample", lambda self, x, *, generator=None: self.kernel.canonicalize(x))
    assert check_run(run, **options).rejected
