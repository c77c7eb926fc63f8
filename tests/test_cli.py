"""The command: arguments reach the library, and errors of the user end with one line."""

import dataclasses
import importlib.metadata
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest
import torch

from sympe import cli
from sympe.experiments import info, runs
from sympe.experiments.catalogue import EXPERIMENTS
from sympe.experiments.experiment import Experiment, Nothing
from sympe.experiments.ising.training import load
from sympe.experiments.workers import RowsFailedError
from sympe.testing import EquivarianceTest


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["sympe", *words])
    cli.main()


def test_compare_passes_its_arguments_on(monkeypatch, tmp_path, capsys):
    seen = {}

    def compare(self, preset, out, **rest):
        seen.update(experiment=self.name, preset=preset, out=out, **rest)
        (out / "table.md").write_text("the table")

    monkeypatch.setattr(Experiment, "compare", compare)
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
        "--threads",
        "2",
    ]
    run(monkeypatch, *words, "--out", str(tmp_path), "--cluster", "slurm", "--cluster-options", "timeout_min", "5")
    assert seen == {
        "experiment": "ising",
        "preset": "smoke",
        "data": Nothing(),
        "out": tmp_path,
        "encodings": ("none", "sympe"),
        "seeds": 2,
        "variant": "paper",
        "size": 6,
        "jobs": 1,
        "threads": 2,
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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "RUN", "--level", "0"], "level: expected a probability between 0 and 1, got 0.0"),
        (["check", "RUN", "--level", "nan"], "level: expected a probability between 0 and 1, got nan"),
        (["check", "RUN", "--inputs", "0"], "inputs: expected at least 1, got 0"),
        (["check", "RUN", "--seed", str(2**63)], f"seed: expected at least 0 and less than 2^63, got {2**63}"),
        (["check", "RUN", "--data", "a.smi"], "data: not an option for a run of ising"),
        (["evaluate", "RUN", "--nll-draws", "4"], "nll_draws: not an option for a run of ising"),
        (["evaluate", "nowhere", "--nll-draws", "4"], "run: expected a run directory with config.json, got nowhere"),
        (["train", "ising", "--out", "FILE"], "Not a directory"),
        (["compare", "ising", "--preset", "smoke", "--out", "FILE/deep"], "Not a directory"),
        (["report", "GRAPH", "--out", "FILE"], "out: expected a folder, got the file "),
    ],
)
def test_more_errors_of_the_user(monkeypatch, tmp_path, capsys, words, message):
    (tmp_path / "file").touch()
    (tmp_path / "config.json").write_text('{"variant": "wide"}')
    (tmp_path / "graph.edgelist").write_text("a b\n")
    places = {"RUN": str(tmp_path), "FILE": str(tmp_path / "file"), "GRAPH": str(tmp_path / "graph.edgelist")}
    words = [word.replace("FILE", places["FILE"]) if "FILE" in word else places.get(word, word) for word in words]
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, *words)
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[-1]
    assert lines[-1].startswith("sympe: ")


def test_rows_that_failed_end_with_their_names_and_status_1(monkeypatch, tmp_path, capsys):
    def compare(*arguments, **options):
        raise RowsFailedError("these rows failed: bad")

    monkeypatch.setattr(Experiment, "compare", compare)
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "compare", "ising", "--out", str(tmp_path))
    assert stop.value.code == 1
    assert capsys.readouterr().err == "sympe: these rows failed: bad\n"


def test_check_ends_with_status_1_where_a_model_is_rejected(monkeypatch, capsys, tmp_path):
    found = EquivarianceTest(torch.tensor([[1e-4]]), torch.tensor([1]), 10, 1e-3, (0.0, 0.0))
    ising = dataclasses.replace(EXPERIMENTS[0], check=lambda run, **_: found)
    monkeypatch.setattr(cli, "EXPERIMENTS", [ising])
    runs.write_json(tmp_path / "one" / "config.json", dataclasses.asdict(ising.config()))
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "check", str(tmp_path / "one"))
    assert stop.value.code == 1
    assert capsys.readouterr().out.startswith("one: Not equivariant: over 1 inputs and 1 elements")
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "check")
    assert stop.value.code == 2
    assert "runs: expected at least one run directory" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["compare", "ising", "--encodings", "magic"], ["nonsense"], []])
def test_unknown_words_are_refused(monkeypatch, words):
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, *words)
    assert stop.value.code == 2


def test_ctrl_c_says_that_the_command_can_go_on(monkeypatch, capsys, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Experiment, "compare", interrupted)
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "compare", "ising", "--preset", "smoke", "--out", str(tmp_path))
    assert stop.value.code == 130
    assert "sympe: stopped; a training goes on when" in capsys.readouterr().err


@pytest.mark.slow
def test_train_then_evaluate_as_a_user_would(monkeypatch, capsys, tmp_path):
    """Training in a process of its own; what judges it, in this one."""
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
    place, options = str(tmp_path / "runs" / "wide-L4-sympe-seed0"), ["--inputs", "2", "--samples", "20"]
    run(monkeypatch, "evaluate", place)
    assert json.loads(capsys.readouterr().out)["energy_gap"] == pytest.approx(row["energy_gap"])
    run(monkeypatch, "check", place, place, *options, "--elements", "2")
    found = capsys.readouterr().out
    assert found.count("wide-L4-sympe-seed0: Not rejected: over 2 inputs and 2 elements, 20 samples") == 2
    assert "level 0.0005" in found


def _comparison(out: Path) -> tuple[subprocess.Popen[str], list[Path]]:
    """A comparison in a process group of its own that has written checkpoints, and these."""
    command = [sys.executable, "-m", "sympe", "compare", "ising", "--preset", "demo", "--size", "4", "--out", str(out)]
    # shells start background jobs with SIGINT ignored, and Python then leaves it so; a test may run in one
    process = subprocess.Popen(
        command,
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    checkpoints = []
    for _ in range(600):
        checkpoints = list(out.glob("runs/*/last.ckpt"))
        if checkpoints:
            break
        time.sleep(0.1)
    assert checkpoints
    return process, checkpoints


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_and_the_comparison_goes_on_later(tmp_path):
    process, checkpoints = _comparison(tmp_path / "out")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: parent and workers alike
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "sympe: stopped; a training goes on when" in errors
    assert _ends(process.pid, seconds=10)
    assert load(checkpoints[0].parent).config.size == 4


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    process, _ = _comparison(tmp_path / "out")
    process.kill()
    assert process.wait(timeout=10) == -signal.SIGKILL
    assert _ends(process.pid, seconds=30)
    process.communicate()


def _ends(group: int, *, seconds: float) -> bool:
    """Whether no process of the group is left within that time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_train_then_evaluate_an_autoencoder(monkeypatch, capsys, tmp_path):
    options = ["--encoding", "noise", "--steps", "20", "--batch", "4", "--width", "8", "--accelerator", "cpu"]
    run(monkeypatch, "train", "autoencoder", *options, "--out", str(tmp_path))
    row = json.loads((tmp_path / "rows" / "er-egnn-noise-seed0.json").read_text())
    capsys.readouterr()
    run(monkeypatch, "evaluate", str(tmp_path / "runs" / "er-egnn-noise-seed0"))
    assert json.loads(capsys.readouterr().out)["bce"] == pytest.approx(row["bce"])


def without(module: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """The command, where importing its parser fails for the want of ``module``."""
    (tmp_path / "tyro.py").write_text(f"raise ModuleNotFoundError(\"No module named '{module}'\", name='{module}')\n")
    return subprocess.run(
        [sys.executable, "-m", "sympe", "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_without_its_extra_the_command_names_it(tmp_path: Path) -> None:
    done = without("tyro", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("sympe: the command needs the package tyro: pip install '")
    assert "'tyro>=0.9'" in done.stderr
    assert "'lightning>=2.6'" in done.stderr
    assert done.stderr.endswith(" (the extra [experiments] of sympe)\n")


@pytest.mark.slow
def test_a_broken_module_of_its_own_is_no_missing_extra(tmp_path: Path) -> None:
    done = without("sympe.lost", tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("ModuleNotFoundError: No module named 'sympe.lost'\n")
    assert "pip install" not in done.stderr


def test_version(monkeypatch, capsys) -> None:
    run(monkeypatch, "--version")
    assert capsys.readouterr().out == f"sympe {importlib.metadata.version('sympe')}\n"


def test_list_names_experiments_presets_and_what_is_finished(monkeypatch, capsys, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    run(monkeypatch, "list")
    text = capsys.readouterr().out
    for experiment in EXPERIMENTS:
        assert f"{experiment.name}: {experiment.title}\n" in text
        for preset in experiment.presets:
            assert f"  {preset}: " in text
    assert "  demo: 4 rows, 0 finished in runs/ising-demo\n" in text
    config = EXPERIMENTS[0].rows("smoke")[0]
    runs.write_row({"config": dataclasses.asdict(config)}, {}, tmp_path / "results" / "ising", config.name)
    run(monkeypatch, "list", "ising", "--names")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "  smoke: 6 rows, 0 finished in runs/ising-smoke, 1 finished in results/ising"
    assert lines[2] == "    + wide-L4-none-seed0"
    assert lines[3] == "    - wide-L4-noise-seed0"
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "list", "chess")
    assert stop.value.code == 2
    message = "name: expected one of ising, autoencoder, generalization, shapes, molecules, few-steps; got chess"
    assert message in capsys.readouterr().err


def test_a_command_whose_extra_is_missing_names_it(monkeypatch, capsys, tmp_path) -> None:
    def compare(*_, **__):
        raise ModuleNotFoundError("No module named 'rdkit.Chem'", name="rdkit.Chem")

    monkeypatch.setattr(Experiment, "compare", compare)
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "compare", "molecules", "--out", str(tmp_path))
    assert stop.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("sympe: compare needs the package rdkit: pip install '")
    assert "'rdkit>=2023.9'" in line
    assert line.endswith(" (the extra [molecules] of sympe)\n")


@pytest.mark.parametrize("name", ["sympe.lost", "torch.lost", None])
def test_a_module_that_no_extra_brings_is_a_fault_of_ours(monkeypatch, tmp_path, name) -> None:
    def compare(*_, **__):
        raise ModuleNotFoundError("lost", name=name)

    monkeypatch.setattr(Experiment, "compare", compare)
    with pytest.raises(ModuleNotFoundError, match="lost"):
        run(monkeypatch, "compare", "ising", "--out", str(tmp_path))


@pytest.mark.parametrize(
    ("words", "code"), [(["train"], 2), (["train", "--help"], 0), (["train", "-h"], 0), (["compare"], 2)]
)
def test_train_and_compare_alone_list_the_experiments(monkeypatch, capsys, words, code) -> None:
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, *words)
    assert stop.value.code == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"usage: sympe {words[0]} EXPERIMENT [OPTIONS]")
    listed = {line.split()[0]: line for line in lines[2:]}
    own = [each for each in EXPERIMENTS if words[0] == "compare" or each.evaluate is not None]
    assert list(listed) == [each.name for each in own]
    assert all(each.title in listed[each.name] for each in own)


def test_an_unknown_experiment_lists_those_that_can_be_trained(monkeypatch, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "train", "few-steps")
    assert stop.value.code == 2
    assert (
        capsys.readouterr().err
        == "sympe: train: expected one of ising, autoencoder, shapes, molecules; got few-steps\n"
    )


def test_info_has_versions_missing_packages_and_devices(monkeypatch, capsys) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "rdkit":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(info, "version", version)
    run(monkeypatch, "info")
    text = capsys.readouterr().out
    told = {line.split()[0]: " ".join(line.split()[1:]) for line in text.splitlines() if line}
    assert told["sympe"].startswith(f"{real('sympe')}, in ")
    assert told["python"] == platform.python_version()
    assert told["torch"] == torch.__version__
    assert told["igraph"] == f"{real('igraph')} (experiments, graphs, pyg, e3nn)"
    assert told["rdkit"] == "not installed: pip install 'rdkit>=2023.9' (molecules)"
    assert "cpu:" in told
    assert "pytest" not in told  # no extra for users


def test_help_comes_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from sympe.__main__ import main\n"
        "words = ['', 'train', 'train ising', 'compare molecules', 'sample', 'report', 'evaluate', 'check', 'info']\n"
        "for words in map(str.split, words):\n"
        "    sys.argv = ['sympe', *words, '--help']\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as stop:\n"
        "        assert stop.code == 0, words\n"
        "slow = ['torch', 'numpy', 'lightning', 'matplotlib', 'scipy', 'rdkit', 'networkx', 'igraph', 'submitit']\n"
        "assert not [name for name in slow if name in sys.modules]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_cluster_option_is_a_number_where_it_is_one(monkeypatch, tmp_path) -> None:
    seen = {}

    def compare(self, preset, out, **rest):
        seen.update(rest["cluster_options"])
        (out / "table.md").write_text("")

    monkeypatch.setattr(Experiment, "compare", compare)
    options = ["timeout_min", "5", "name", "x²", "power", "²"]
    run(monkeypatch, "compare", "ising", "--out", str(tmp_path), "--cluster-options", *options)
    assert seen == {"timeout_min": 5, "name": "x²", "power": "²"}


@pytest.mark.slow
def test_ctrl_c_while_the_command_is_imported_leaves_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "tyro.py").write_text("raise KeyboardInterrupt\n")
    done = subprocess.run(
        [sys.executable, "-m", "sympe", "--help"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "")


def test_help_has_words_and_lists_what_a_field_can_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in cli.commands():
        with pytest.raises(SystemExit):
            run(monkeypatch, *command.split(), "--help")
        text = capsys.readouterr().out
        assert not re.search(
            r":(mod|data|class|func|meth):|~sympe|``|_VERSION|(ENCODING|DATASET|TRANSITION|VARIANT|BACKBONE|PART|ORDER)S\b",
            text,
        ), command
        for experiment in EXPERIMENTS:
            if command == f"train {experiment.name}":
                for name, kind in get_type_hints(experiment.config).items():
                    if get_origin(kind) is Literal:
                        option = text.split(f"--{name.replace('_', '-')} ")[1].split(" --")[0]
                        told = "".join(re.findall(r"[^│\s]", option)).partition("}")[0]
                        assert told == "{" + ",".join(get_args(kind)), (command, name)
        assert not re.search(r"--(encoding|dataset|variant|backbone|transition|order|precision|accelerator) STR", text)


def test_every_experiment_has_its_commands() -> None:
    words = cli.commands().keys()
    for experiment in EXPERIMENTS:
        assert f"compare {experiment.name}" in words
        assert (f"train {experiment.name}" in words) == (experiment.evaluate is not None)
