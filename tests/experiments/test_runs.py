"""Files are whole or not there, configs are not mixed, and a failing row does not take the others with it."""

import json
import shutil
from dataclasses import dataclass
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


def fail_on_bad(config: Config, out: Path, threads: int) -> None:
    if config.name == "bad":
        raise ValueError("it went wrong")
    if config.name == "terminated":
        raise SystemExit
    succeed(config, out, threads)


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
    assert runs.read_arrays(tmp_path, "row")["bound"].tolist() == [0, 1, 2]
    (tmp_path / "rows" / "row.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"row\.npz is damaged"):
        runs.read_arrays(tmp_path, "row")
    with pytest.raises(FileNotFoundError):
        runs.read_arrays(tmp_path, "another")
    (tmp_path / "curve.csv").write_text("20,\n")
    with pytest.raises(ValueError, match=r"curve\.csv is damaged: expected a step and a value in every line"):
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
    for step, value in [(50, 1.0), (100, 0.5), (100, 0.25), (150, 0.125)]:
        runs.append_curve(tmp_path, step, value)
    assert runs.read_curve(tmp_path) == [(50, 1.0), (100, 0.25), (150, 0.125)]


def test_hash_tells_values_shapes_and_types_apart():
    x = torch.arange(6.0)
    assert runs.data_hash(x) == runs.data_hash(x.clone())
    others = [x + 1, x.view(2, 3), x.double(), x[:5]]
    assert len({runs.data_hash(y) for y in [x, *others]}) == 5


def test_environment_is_json_and_names_versions():
    environment = json.loads(json.dumps(runs.environment()))
    assert environment["torch"] == torch.__version__
    assert {"sympe", "python", "commit", "cores", "gpu"} <= environment.keys()


@pytest.mark.slow
def test_rows_run_in_processes_and_a_failure_is_told_at_the_end(tmp_path, capsys):
    configs = [Config("terminated"), Config("good"), Config("bad"), Config("fine")]
    with pytest.raises(runs.RowsFailedError, match=r"(?s)kept:\n(?=.*terminated: SystemExit)(?=.*bad: it went wrong)"):
        runs.run_rows(fail_on_bad, configs, tmp_path, jobs=2, cluster=None, cluster_options={})
    assert sorted(path.stem for path in (tmp_path / "rows").iterdir()) == ["fine", "good"]


@pytest.mark.slow
def test_rows_run_through_submitit(tmp_path):
    runs.run_rows(succeed, [Config("job")], tmp_path, jobs=1, cluster="local", cluster_options={"timeout_min": 2})
    assert runs.finished_row(Config("job"), tmp_path) is not None


def test_a_cluster_that_is_not_there_and_unknown_options_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    options = {"jobs": 1, "cluster_options": {}}
    with pytest.raises(ValueError, match="cluster: slurm cannot be used here: "):
        runs.run_rows(succeed, [Config()], tmp_path, **{**options, "cluster": "slurm"})
    with pytest.raises(ValueError, match="cluster_options: "):
        runs.run_rows(succeed, [Config()], tmp_path, jobs=1, cluster="local", cluster_options={"timeout_min": "abc"})
    with pytest.raises(ValueError, match=r"cluster_options: .*minutes"):
        runs.run_rows(succeed, [Config()], tmp_path, jobs=1, cluster="local", cluster_options={"minutes": 2})


def test_rows_of_another_config_or_other_data_are_not_averaged():
    rows = [{"config": {"seed": seed}, "data_hash": data} for seed, data in ((0, "a"), (1, "a"), (0, "b"))]
    assert [(words, len(own)) for words, own in runs.alike(rows)] == [(", data_hash a", 2), (", data_hash b", 1)]


def test_no_rows_is_no_work(tmp_path):
    runs.run_rows(succeed, [], tmp_path, jobs=2, cluster=None, cluster_options={})
    assert list(tmp_path.iterdir()) == []


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


def test_a_report_has_the_other_rows_of_its_folder_but_those_of_other_code(tmp_path):
    tables = []

    def compare(*names: str) -> dict:
        configs = [Config(name) for name in names]
        options = {"table": lambda rows, missing: f"{len(rows)}", "draw_figures": lambda rows, out: tables.append(rows)}
        return runs.compare_rows("task", "preset", configs, tmp_path, train=succeed, jobs=1, **options)

    succeed(Config("old", code_version=0), tmp_path, 1)
    runs.write_json(tmp_path / "rows" / "of-another-experiment.json", {"config": {"name": "it", "code_version": 1}})
    succeed(Config("first"), tmp_path, 1)
    assert [row["config"]["name"] for row in compare("second")["rows"]] == ["second", "first"]
    assert [row["config"]["name"] for row in compare("first")["rows"]] == ["first", "second"], "each once"
    assert tables[-1] == runs.read_json(tmp_path / "summary.json")["rows"]
    assert (tmp_path / "table.md").read_text() == "2"
