"""Rows run side by side, a failing one does not take the others with it, and who waits is told of each."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sympe.experiments import runs, workers
from tests.experiments.test_runs import Config, succeed


def fail_on_bad(config: Config, out: Path, threads: int) -> None:
    if config.name == "bad":
        raise ValueError("it went wrong")
    if config.name == "terminated":
        raise SystemExit
    succeed(config, out, threads)


@pytest.mark.slow
def test_rows_run_in_processes_and_a_failure_is_told_at_the_end(tmp_path, capsys):
    configs = [Config("terminated"), Config("good"), Config("bad"), Config("fine")]
    with pytest.raises(
        workers.RowsFailedError, match=r"(?s)kept:\n(?=.*terminated: SystemExit)(?=.*bad: it went wrong)"
    ):
        workers.run_rows(fail_on_bad, configs, tmp_path, jobs=2, cluster=None, cluster_options={})
    assert sorted(path.stem for path in (tmp_path / "rows").iterdir()) == ["fine", "good"]


@pytest.mark.slow
def test_rows_run_through_submitit(tmp_path):
    workers.run_rows(succeed, [Config("job")], tmp_path, jobs=1, cluster="local", cluster_options={"timeout_min": 2})
    assert runs.finished_row(Config("job"), tmp_path) is not None


def test_a_cluster_that_is_not_there_and_unknown_options_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    options = {"jobs": 1, "cluster_options": {}}
    with pytest.raises(ValueError, match="cluster: slurm cannot be used here: "):
        workers.run_rows(succeed, [Config()], tmp_path, **{**options, "cluster": "slurm"})
    with pytest.raises(ValueError, match="cluster_options: "):
        workers.run_rows(succeed, [Config()], tmp_path, jobs=1, cluster="local", cluster_options={"timeout_min": "abc"})
    with pytest.raises(ValueError, match=r"cluster_options: .*minutes"):
        workers.run_rows(succeed, [Config()], tmp_path, jobs=1, cluster="local", cluster_options={"minutes": 2})


def test_no_rows_is_no_work(tmp_path):
    workers.run_rows(succeed, [], tmp_path, jobs=2, cluster=None, cluster_options={})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_each_row_but_the_last_is_told_while_others_train(tmp_path):
    seen: list[int] = []
    workers.run_rows(
        succeed,
        [Config("a"), Config("b"), Config("c")],
        tmp_path,
        jobs=1,
        cluster=None,
        cluster_options={},
        finished=lambda: seen.append(len(list((tmp_path / "rows").iterdir()))),
    )
    assert len(seen) <= 2
    assert all(count >= 1 for count in seen)


def test_processes_that_are_started_begin_with_ctrl_c_ignored() -> None:
    code = "import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"
    before = signal.getsignal(signal.SIGINT)
    with workers._sparing_children():
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "True\n"
    assert signal.getsignal(signal.SIGINT) == before
