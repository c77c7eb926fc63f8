"""What a new experiment costs: a config, a task, a table, figures, and one object; all verbs come with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sympe.experiments import experiment, runs
from sympe.experiments.commands import compare_command, describe, experiment_of
from sympe.experiments.configs import check_config, check_preset, expand
from sympe.experiments.experiment import Experiment
from sympe.experiments.tables import Column, Rows, by_encoding, lines, remarks
from sympe.experiments.workers import RowsFailedError

# The toy: how well the mean of some coins tells their bias, with fair and with loaded coins.


@dataclass(frozen=True)
class CoinsConfig:
    encoding: str = "fair"
    seed: int = 0
    steps: int = 100
    code_version: int = 1

    def __post_init__(self) -> None:
        check_config(self, names={"encoding": ("fair", "loaded")}, least={"steps": 1})

    @property
    def name(self) -> str:
        return f"{self.encoding}-seed{self.seed}"


@dataclass(frozen=True)
class Choices:
    encodings: tuple[str, ...] | None = None
    seeds: int | None = None


@dataclass
class Toss:
    config: CoinsConfig
    data_hash: str | None = None
    global_rank: int = 0

    def train_in(self, run: Path, *, threads: int | None = None, **options: Any) -> None:
        draws = np.random.RandomState(self.config.seed).rand(self.config.steps)
        self.tosses = draws < {"fair": 0.5, "loaded": 0.9}[self.config.encoding]
        runs.write_progress(run, self.config.steps, float(self.tosses.mean()))

    def measure(self, out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"heads": float(self.tosses.mean())}, {"tosses": self.tosses}


def rows_of(preset: str, encodings: Sequence[str] | None = None, seeds: int | None = None) -> list[CoinsConfig]:
    check_preset(preset, ("smoke", "full"), encodings, seeds)
    base = CoinsConfig(steps={"smoke": 10, "full": 1000}[preset])
    return expand(base, [({}, ("fair", "loaded"), 2)], encodings=encodings, seeds=seeds)


def table(rows: Rows, missing: Sequence[str] = ()) -> str:
    return "\n".join(
        [*lines([Column("heads", "heads", 2)], by_encoding(rows, ("fair", "loaded"))), *remarks(rows, missing)]
    )


def draw(rows: Rows, out: Path) -> None:
    (out / "coins.png").write_bytes(b"a picture of " + str(len(rows)).encode())


COINS = Experiment(
    name="coins",
    title="coins",
    config=CoinsConfig,
    presets=("smoke", "full"),
    rows=rows_of,
    choices=Choices,
    task=Toss,
    keys=("encoding", "seed"),
    table=table,
    figures=draw,
)

# The tests.


def test_a_toy_is_compared_reported_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    first = COINS.train(CoinsConfig(steps=10), out)
    assert first is not None
    assert first.keys() == {"encoding", "seed", "heads", "steps", "config", "environment"}
    for name, rows in (("fair-seed0", 1), ("loaded-seed0", 2)):
        assert name in str(describe(COINS, out, names=True))
        assert len(list((out / "rows").glob("*.json"))) == rows
        COINS.train(CoinsConfig(encoding="loaded", steps=10), out)
    assert describe(COINS, out)[1:] == [
        f"  smoke: 4 rows, 2 finished in {out}",
        f"  full: 4 rows, 0 finished in {out}",  # of that name there are rows with another config
    ]
    summary = COINS.compare("smoke", out, seeds=1, train_missing=False)
    assert [row["encoding"] for row in summary["rows"]] == ["fair", "loaded"]
    text = (out / "table.md").read_text()
    assert text.startswith("| encoding | seeds | heads |\n| --- | --- | --- |\n| fair | 1 | ")
    assert text.endswith("\n\nPreset smoke: it shows that everything runs; its numbers mean nothing.\n")
    assert summary["rows"][0]["environment"]["threads"] == torch.get_num_threads()
    assert (out / "coins.png").read_bytes() == b"a picture of 2"
    with pytest.raises(ValueError, match="steps is 10 there and 1000 here"):
        COINS.compare("full", out)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"preset": "large"}, "preset: expected one of smoke, full; got 'large'"),
        ({"encodings": ()}, "encodings: expected at least one, got none"),
        ({"encodings": ("fair", "fair")}, "encodings: expected each at most once, got fair, fair"),
        ({"encodings": ("heavy",)}, "encoding: expected one of fair, loaded; got 'heavy'"),
        ({"seeds": 0}, "seeds: expected at least 1, got 0"),
        ({"jobs": 0}, "jobs: expected at least 1, got 0"),
        ({"threads": 0}, "threads: expected at least 1, got 0"),
        ({"train_missing": False}, "out: none of the rows asked for is finished in .*; there is nothing to report"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    choices: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        COINS.compare(**{"preset": "smoke", "out": tmp_path / "out", **choices})
    assert not (tmp_path / "out").exists()


def test_a_command_is_made_of_the_object(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tyro

    COINS.train(CoinsConfig(steps=10), tmp_path)
    words = ["--preset", "smoke", "--encodings", "fair", "--seeds", "1", "--report-only", "--out", str(tmp_path)]
    tyro.cli(compare_command(COINS), args=words)()
    assert "| fair | 1 | " in capsys.readouterr().out
    with pytest.raises(SystemExit):
        tyro.cli(compare_command(COINS), args=["--preset", "huge"])


def test_the_experiment_of_a_run_is_that_of_its_config(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Other:
        width: int = 3
        code_version: int = 1

    other = dataclasses.replace(COINS, name="other", config=Other)
    COINS.train(CoinsConfig(steps=10), tmp_path)
    run = tmp_path / "runs" / "fair-seed0"
    assert experiment_of(run, [other, COINS]) is COINS
    runs.write_json(run / "config.json", {"width": 4, "of-older-code": 1})
    assert experiment_of(run, [COINS, other]) is other
    wide = dataclasses.make_dataclass(
        "Wide", [(name, int) for name in (*CoinsConfig.__annotations__, "more", "fields")]
    )
    runs.write_json(run / "config.json", dataclasses.asdict(CoinsConfig()))
    for order in ([dataclasses.replace(COINS, name="wide", config=wide), COINS], [COINS, other]):
        assert experiment_of(run, order) is COINS, "an experiment with the same fields and more came first"
    runs.write_json(run / "config.json", {})
    with pytest.raises(ValueError, match=r"run: expected a run of coins, other; the config of .* fits none"):
        experiment_of(run, [COINS, other])
    with pytest.raises(FileNotFoundError, match=r"run: expected a run directory with config\.json, got nowhere$"):
        experiment_of(Path("nowhere"), [COINS])
    hint = r"got .*, the folder of a comparison; its runs are .*/runs/\*: fair-seed0$"
    with pytest.raises(FileNotFoundError, match=hint):
        experiment_of(tmp_path, [COINS])
    for seed in range(1, 6):
        runs.write_json(tmp_path / "runs" / f"fair-seed{seed}" / "config.json", {})
    with pytest.raises(FileNotFoundError, match=r": fair-seed0, fair-seed1, fair-seed2, fair-seed3 and 2 more$"):
        experiment_of(tmp_path, [COINS])


def test_a_report_has_the_other_rows_of_its_folder_but_those_of_other_code(tmp_path: Path) -> None:
    COINS.train(CoinsConfig(code_version=0), tmp_path)
    runs.write_json(tmp_path / "rows" / "of-another-experiment.json", {"config": {"name": "it", "code_version": 1}})
    COINS.train(CoinsConfig("loaded", steps=10), tmp_path)
    COINS.train(CoinsConfig("loaded", seed=1, steps=10), tmp_path)
    first, second = CoinsConfig("loaded", steps=10), CoinsConfig("loaded", seed=1, steps=10)
    for asked, other in ((first, second), (second, first)):
        rows = COINS.report("smoke", [asked], tmp_path)["rows"]
        assert [row["seed"] for row in rows] == [asked.seed, other.seed], "each once"
        assert rows == runs.read_json(tmp_path / "summary.json")["rows"]


def test_the_first_report_is_there_while_rows_still_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = []

    def run_in_turn(train: Any, configs: Any, out: Path, *, finished: Any, **_: Any) -> None:
        for config in configs:
            train(config, out, 1)
            finished()
            tables.append((out / "table.md").read_text().count("| fair |") if (out / "table.md").exists() else None)

    monkeypatch.setattr(experiment, "run_rows", run_in_turn)
    COINS.compare("smoke", tmp_path, encodings=("fair",))
    assert tables[0] == 1
    assert (tmp_path / "coins.png").read_bytes() == b"a picture of 2"


def test_rows_that_come_with_a_clone_are_named_where_none_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nothing = r"none of the rows asked for is finished in out; there is nothing to report"
    COINS.train(CoinsConfig(steps=10), COINS.committed)
    with pytest.raises(ValueError, match=rf"{nothing}; 1 are in results/coins, for --out$"):
        COINS.compare("smoke", Path("out"), train_missing=False)
    with pytest.raises(ValueError, match=rf"{nothing}$"):  # rows of that name with another config are none of them
        COINS.compare("full", Path("out"), train_missing=False)


def test_a_picture_that_fails_hides_no_row_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(rows: Rows, out: Path) -> None:
        raise ValueError("no picture")

    def run_in_turn(train: Any, configs: Any, out: Path, *, finished: Any, **_: Any) -> None:
        train(configs[0], out, 1)
        finished()  # a picture that fails stops no row
        train(configs[1], out, 1)
        raise RowsFailedError("loaded-seed0: row broke")

    monkeypatch.setattr(experiment, "run_rows", run_in_turn)
    coins = dataclasses.replace(COINS, figures=broken)
    with pytest.raises(RowsFailedError, match=r"(?s)loaded-seed0: row broke.*the report failed: no picture"):
        coins.compare("smoke", tmp_path, encodings=("fair",))
    assert len(list((tmp_path / "rows").glob("*.json"))) == 2
    monkeypatch.setattr(experiment, "run_rows", lambda *_, **__: None)
    with pytest.raises(ValueError, match="no picture"):
        coins.compare("smoke", tmp_path, encodings=("fair",))
