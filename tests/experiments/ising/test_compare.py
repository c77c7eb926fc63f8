"""The comparison: its rows, what it skips, what it refuses, and what it writes."""

import dataclasses
import json

import numpy as np
import pytest

from sympe.experiments import experiment
from sympe.experiments.ising.check import check_run
from sympe.experiments.ising.compare import EXPERIMENT, preset_configs, table
from sympe.experiments.ising.config import ENCODINGS
from sympe.experiments.ising.data import seeded
from sympe.experiments.ising.training import evaluate_run

ROW_KEYS = {"encoding", "seed", "energy_gap", "exact_fraction", "per_phase", "parameters", "train_seconds"}
ROW_KEYS |= {"encoding_seconds", "loss", "data_hash", "config", "environment", "variant", "size", "steps"}


def test_presets():
    assert [c.encoding for c in preset_configs("demo")] == ["none", "noise", "haar", "sympe"]
    assert {(c.variant, c.size) for c in preset_configs("demo")} == {("wide", 10)}
    full = preset_configs("full")
    assert len({c.name for c in full}) == len(full) == 2 * 6 * 3 + 3 + 2 * 6
    assert len({(c.steps, c.batch, c.channels, c.blocks, c.learning_rate, c.encoding_scale) for c in full}) == 1
    with pytest.raises(ValueError, match="size: expected at least 1, got 0"):
        preset_configs("full", size=0)
    narrowed = preset_configs("full", encodings=["none", "sympe"], seeds=2, variant="glass", size=6)
    assert [c.name for c in narrowed] == [f"glass-L6-{e}-seed{s}" for s in (0, 1) for e in ("none", "sympe")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "huge"}, "preset: expected one of smoke, demo, full; got 'huge'"),
        ({"preset": "smoke", "encodings": ["magic"]}, "encoding: expected one of none, noise"),
        ({"preset": "smoke", "encodings": ["none", "none"]}, "encodings: expected each at most once, got none, none"),
        ({"preset": "smoke", "encodings": []}, "encodings: expected at least one, got none"),
        ({"preset": "smoke", "variant": "snow"}, "variant: expected one of paper, wide"),
        ({"preset": "smoke", "seeds": 0}, "seeds: expected at least 1, got 0"),
        ({"preset": "smoke", "size": -3}, "size: expected at least 1, got -3"),
        (
            {"preset": "smoke", "variant": "supercell", "size": 5},
            "size: a 2 x 2 supercell needs an even lattice, got 5",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_refused_before_anything_is_written(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message.split(":")[0]) as error:
        EXPERIMENT.compare(**arguments, out=tmp_path / "out")
    assert str(error.value).startswith(message)
    assert not (tmp_path / "out").exists()


def test_an_odd_lattice_is_called_frustrated(tmp_path):
    nothing = pytest.raises(ValueError, match="none of the rows asked for is finished")
    with nothing, pytest.warns(UserWarning, match=r"size: .* odd lattice \(5\).* frustrated"):
        EXPERIMENT.compare("smoke", tmp_path, encodings=["sympe"], size=5, train_missing=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two rows trained one after the other in this process, as a worker would."""
    out = tmp_path_factory.mktemp("comparison")
    rows = [EXPERIMENT.train(config, out, 1) for config in preset_configs("smoke", encodings=["none", "sympe"])]
    return out, rows


def test_rows_have_the_promised_keys_and_lie_beside_what_makes_them(finished):
    out, rows = finished
    for row in rows:
        assert row.keys() >= ROW_KEYS
        name = f"wide-L4-{row['encoding']}-seed0"
        assert json.loads((out / "rows" / f"{name}.json").read_text()) == json.loads(json.dumps(row))
        assert {p.name for p in (out / "runs" / name).iterdir()} >= {"config.json", "last.ckpt", "logs"}
        assert row["environment"]["torch"]
        assert row["config"]["seed"] == row["seed"]
        arrays = np.load(out / "rows" / f"{name}.npz")
        assert {"spins", "map_+1", "map_-1", "curve"} <= set(arrays.files)


@pytest.mark.slow
def test_the_report_names_missing_rows_and_finished_rows_are_not_trained_again(finished, monkeypatch):
    out, _ = finished
    asked = []
    monkeypatch.setattr(
        experiment, "run_rows", lambda train, configs, *_, **__: asked.extend(c.encoding for c in configs)
    )
    summary = EXPERIMENT.compare("smoke", out)
    assert asked == [e for e in ENCODINGS if e not in ("none", "sympe")]
    assert [row["encoding"] for row in summary["rows"]] == ["none", "sympe"]
    assert summary["missing"] == [f"wide-L4-{e}-seed0" for e in asked]
    stored = json.loads((out / "summary.json").read_text())
    assert stored["task"] == "ising"
    assert stored["preset"] == "smoke"
    assert "Missing rows: wide-L4-noise-seed0" in (out / "table.md").read_text()
    for kind in ("phase-map", "patterns", "curves"):
        assert (out / f"{kind}-wide-L4.png").read_bytes().startswith(b"\x89PNG")


def test_another_config_in_out_is_refused_and_nothing_is_lost(finished):
    out, _ = finished
    before = {path: path.read_bytes() for path in (out / "rows").iterdir()}
    changed = dataclasses.replace(EXPERIMENT, rows=lambda _: [_changed(preset_configs("smoke")[0])])
    with pytest.raises(ValueError, match="steps is 20 there and 21 here"):
        changed.compare("smoke", out)
    assert {path: path.read_bytes() for path in (out / "rows").iterdir()} == before


def _changed(config):
    return dataclasses.replace(config, steps=21)


def test_evaluating_a_run_gives_its_row_again(finished):
    out, rows = finished
    metrics = evaluate_run(out / "runs" / "wide-L4-sympe-seed0")
    assert metrics["energy_gap"] == pytest.approx(rows[1]["energy_gap"])
    assert metrics["per_phase"] == rows[1]["per_phase"]


def test_the_table_gives_mean_and_range_over_seeds():
    phase = {"ferromagnet": {"energy_gap": 0.0, "exact_fraction": 1.0, "count": 4}}
    base = {"variant": "wide", "size": 4, "encoding": "sympe", "per_phase": phase, "count": 4, "parameters": 1000}
    base |= {"stabilizer_entropy": 1.0, "train_seconds": 2.0, "encoding_seconds": 0.1}
    rows = [
        base | {"energy_gap": gap, "exact_fraction": 0.5, "config": {"seed": seed, "steps": 20}}
        for seed, gap in enumerate((0.25, 0.75))
    ]
    text = table(rows)
    assert "| sympe | 2 | 0.5000 (0.2500 to 0.7500) | 0.5000 (0.5000 to 0.5000) | 0.0000 | 1,000 | 2 | 0.1 |" in text
    text = table([*rows, base | {"energy_gap": 9.0, "exact_fraction": 0.5, "config": {"seed": 2, "steps": 40}}])
    assert "| sympe, steps 20 | 2 | 0.5000 (0.2500 to 0.7500) |" in text
    assert "| sympe, steps 40 | 1 | 9.0000 |" in text


@pytest.mark.slow
def test_smoke_from_nothing(tmp_path):
    summary = EXPERIMENT.compare("smoke", tmp_path / "out")
    assert [row["encoding"] for row in summary["rows"]] == list(ENCODINGS)
    assert summary["missing"] == []
    for encoding in ENCODINGS:  # a relaxed network is made not to be equivariant
        found = check_run(tmp_path / "out" / "runs" / f"wide-L4-{encoding}-seed0", inputs=2, generator=seeded(0))
        assert found.rejected == (encoding == "relaxed"), encoding
