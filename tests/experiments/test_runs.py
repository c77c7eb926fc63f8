"""Files are whole or not there, configs are not mixed, and a failing row does not take the others with it."""

import json
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
import torch

from sympe.experiments import runs


@dataclass(frozen=True)
class Config:
    name: str = "row"
    steps: int = 3
    rate: float = 0.5
    code_version: int = 1


def succeed(config: Config, out: Path, threads: int) -> None:
    runs.write_progress(runs.prepare_run(config, out), config.steps, 1.0)
    runs.write_json(out / "rows" / f"{config.name}.json", {"config": config.__dict__, "threads": threads})


def write_log(run: Path, version: int, text: str) -> None:
    """As Lightning does when a run goes on for the given time."""
    path = run / "logs" / f"version_{version}" / "metrics.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file.json"
    runs.write_json(path, {"a": 1})

    def fail_half_way():
        with runs.written_aside(path) as aside:
            aside.write_text("half of")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert runs.read_json(path) == {"a": 1}
    assert list(path.parent.iterdir()) == [path]


def test_broken_json_is_named(tmp_path):
    (tmp_path / "row.json").write_text("{")
    with pytest.raises(ValueError, match=r"row\.json: expected JSON"):
        runs.read_json(tmp_path / "row.json")
    (tmp_path / "row.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"row\.json: expected a JSON object, got list"):
        runs.read_json(tmp_path / "row.json")
    (tmp_path / "row.json").write_text('{"seed": 1}')
    assert runs.read_json(tmp_path / "row.json") == {"seed": 1}
    with pytest.raises(ValueError, match=r"row\.json: expected a JSON object with config, got seed"):
        runs.read_json(tmp_path / "row.json", "config")
    (tmp_path / "row.json").write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"row\.json: expected JSON"):
        runs.read_json(tmp_path / "row.json")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04"])
def test_damaged_arrays_and_curves_are_named(tmp_path, content):
    runs.write_row({}, {"bound": np.arange(3)}, tmp_path, "row")
    assert runs.read_arrays(tmp_path / "rows" / "row.npz")["bound"].tolist() == [0, 1, 2]
    (tmp_path / "rows" / "row.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"row\.npz is damaged"):
        runs.read_arrays(tmp_path / "rows" / "row.npz")
    with pytest.raises(FileNotFoundError):
        runs.read_arrays(tmp_path / "rows" / "another.npz")
    for damaged in ("step,curve\n20,x\n", "curve\n0.5\n", "step,curve\n,0.5\n"):
        write_log(tmp_path, 0, damaged)
        with pytest.raises(ValueError, match=r"metrics\.csv is damaged: expected a step and a value in every line"):
            runs.read_curve(tmp_path)


def test_a_run_of_another_config_is_refused_and_untouched(tmp_path):
    run = runs.prepare_run(Config(), tmp_path)
    assert runs.prepare_run(Config(), tmp_path) == run
    before = (run / "config.json").read_text()
    with pytest.raises(ValueError, match=r"out: .* another config \(rate is 0.5 there and 0.1 here\); choose another"):
        runs.prepare_run(Config(rate=0.1), tmp_path)
    assert (run / "config.json").read_text() == before


def test_a_row_of_another_config_is_refused(tmp_path):
    assert runs.finished_row(Config(), tmp_path) is None
    succeed(Config(), tmp_path, 1)
    row = runs.finished_row(Config(), tmp_path)
    assert row is not None
    assert row["threads"] == 1
    with pytest.raises(ValueError, match="steps is 3 there and 4 here"):
        runs.finished_row(Config(steps=4), tmp_path)
    shutil.rmtree(tmp_path / "runs")  # rows are kept in git, runs are not
    with pytest.raises(ValueError, match="steps is 3 there and 4 here"):
        runs.prepare_run(Config(steps=4), tmp_path)
    assert not (tmp_path / "runs").exists()


def test_a_row_of_other_data_is_refused(tmp_path):
    runs.write_row({"config": Config().__dict__, "data_hash": "abc"}, {}, tmp_path, "row")
    assert runs.finished_row(Config(), tmp_path, data_hash="abc") is not None
    for function in (runs.finished_row, runs.prepare_run):
        with pytest.raises(ValueError, match=r"data: .*row\.json is of other data \(hash abc there, abd here\)"):
            function(Config(), tmp_path, data_hash="abd")


def test_a_curve_that_went_on_keeps_the_last_value_of_a_step(tmp_path):
    with pytest.raises(FileNotFoundError, match="run: no curve 'curve' in the logs of"):
        runs.read_curve(tmp_path)
    write_log(tmp_path, 2, "curve,step\n0.125,150\n,150\n")
    write_log(tmp_path, 10, "curve,step,validation\n0.0625,200,\n,200,3.0\n")
    write_log(tmp_path, 1, "curve,step\n1.0,50\n0.5,100\n0.25,100\n7.0,150\n8.0,2")  # killed in the last line
    assert runs.read_curve(tmp_path) == [(50, 1.0), (100, 0.25), (150, 0.125), (200, 0.0625)]
    assert runs.read_curve(tmp_path, name="validation") == [(200, 3.0)]


def test_hash_tells_values_shapes_and_types_apart():
    x = torch.arange(6.0)
    assert runs.data_hash(x) == runs.data_hash(x.clone())
    others = [x + 1, x.view(2, 3), x.double(), x[:5]]
    assert len({runs.data_hash(y) for y in [x, *others]}) == 5


def test_environment_is_json_and_names_versions():
    environment = json.loads(json.dumps(runs.environment()))
    assert environment["torch"] == torch.__version__
    assert {"sympe", "python", "commit", "cores", "gpu"} <= environment.keys()


def test_environment_of_a_source_tree_that_is_not_installed(monkeypatch):
    """A node may have no more than the files: a training must not be lost at its end for want of a version."""

    def version(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(runs, "version", version)
    environment = runs.environment()
    assert environment["sympe"] is None
    assert environment["python"].startswith("3.")


def test_a_row_of_older_code_is_trained_again_and_its_run_moved_aside(tmp_path):
    succeed(Config(code_version=0), tmp_path, 1)
    assert runs.finished_row(Config(code_version=0), tmp_path) is not None
    assert runs.finished_row(Config(), tmp_path) is None
    run = runs.prepare_run(Config(), tmp_path)
    assert runs.read_json(run / "config.json")["code_version"] == 1
    (aside,) = [path for path in run.parent.iterdir() if path != run]
    assert aside.name.startswith("row.code-0.")
    assert (aside / "progress.json").exists()
    with pytest.raises(ValueError, match=r"rate is 0\.5 there and 0\.1 here"):
        runs.check_run(Config(rate=0.1, code_version=2), tmp_path)
