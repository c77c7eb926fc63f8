"""The command: arguments reach the library, and errors of the user end with one line."""

import json
import subprocess
import sys

import pytest

from sympe import cli


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["sympe", *words])
    cli.main()


def test_compare_passes_its_arguments_on(monkeypatch, tmp_path, capsys):
    seen = {}

    def compare(preset, out, **rest):
        seen.update(preset=preset, out=out, **rest)
        (out / "table.md").write_text("the table")

    monkeypatch.setattr(cli, "compare", compare)
    words = [
        "compare",
        "ising",
        "--preset",
        "smoke",
        "--encodings",
        "none",
        "sympe",
        "--seeds",
        "2",
        "--variant",
        "paper",
        "--size",
        "6",
        "--jobs",
        "1",
    ]
    run(monkeypatch, *words, "--out", str(tmp_path), "--cluster", "slurm", "--cluster-options", "timeout_min", "5")
    assert seen == {
        "preset": "smoke",
        "out": tmp_path,
        "encodings": ("none", "sympe"),
        "seeds": 2,
        "variant": "paper",
        "size": 6,
        "jobs": 1,
        "cluster": "slurm",
        "cluster_options": {"timeout_min": 5},
        "train_missing": True,
    }
    assert "the table" in capsys.readouterr().out


def test_errors_of_the_user_end_with_one_line_and_status_2(monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "compare", "ising", "--preset", "smoke", "--seeds", "0", "--out", str(tmp_path))
    assert stop.value.code == 2
    assert capsys.readouterr().err == "sympe: seeds: expected at least 1, got 0\n"
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "evaluate", str(tmp_path))
    assert stop.value.code == 2
    assert "expected a run directory with config.json" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["compare", "ising", "--encodings", "magic"], ["nonsense"], []])
def test_unknown_words_are_refused(monkeypatch, words):
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, *words)
    assert stop.value.code == 2


def test_ctrl_c_says_that_the_command_can_go_on(monkeypatch, capsys, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "compare", interrupted)
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "compare", "ising", "--preset", "smoke", "--out", str(tmp_path))
    assert stop.value.code == 130
    assert "the same command goes on from here" in capsys.readouterr().err


@pytest.mark.slow
def test_train_then_evaluate_as_a_user_would(tmp_path):
    command = [sys.executable, "-W", "error::UserWarning:sympe", "-m", "sympe"]
    options = [
        "--size",
        "4",
        "--steps",
        "20",
        "--batch",
        "8",
        "--channels",
        "4",
        "--blocks",
        "1",
        "--accelerator",
        "cpu",
    ]
    subprocess.run([*command, "train", "ising", *options, "--out", str(tmp_path)], check=True, capture_output=True)
    row = json.loads((tmp_path / "rows" / "wide-L4-sympe-seed0.json").read_text())
    done = subprocess.run(
        [*command, "evaluate", str(tmp_path / "runs" / "wide-L4-sympe-seed0")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["energy_gap"] == pytest.approx(row["energy_gap"])
