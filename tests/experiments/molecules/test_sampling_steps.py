"""The script that measures numbers of reverse steps goes on where it stopped, and its rule can say no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import sampling_steps
from benchmarks.sampling_steps import distance, enough, main
from sympe.experiments import runs
from sympe.experiments.molecules.chemnet import Activations
from sympe.experiments.molecules.files import save_model
from sympe.experiments.molecules.model import MoleculeModel, Statistics
from tests.experiments.molecules.test_model import TINY

CARBON = Statistics(torch.tensor([9, 1, 1, 1]), torch.tensor([9, 3, 1, 1]), torch.tensor([0, 0, 1, 3]))
SAMPLE = Path(__file__).parents[2] / "data" / "qm9-sample.smi"


@pytest.mark.slow
def test_finished_numbers_of_steps_are_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMPE_CACHE", str(tmp_path / "cache"))
    save_model(MoleculeModel(TINY, CARBON), tmp_path / "model.safetensors")
    common = ["--model", str(tmp_path / "model.safetensors"), "--out", str(tmp_path / "out"), "--data", str(SAMPLE)]
    common += ["--no-fcd", "--steps"]
    main([*common, "5", "--samples", "8"])
    original, measured = sampling_steps.measure, []

    def counting(*arguments: Any) -> Any:
        measured.append(arguments[1])
        return original(*arguments)

    monkeypatch.setattr(sampling_steps, "measure", counting)
    main([*common, "5", "2", "--samples", "8"])
    assert measured == [2]
    numbers = runs.read_json(tmp_path / "out" / "steps.json")
    assert [row["steps"] for row in numbers["rows"]] == [2, 5]
    assert numbers["samples"] == 8
    assert "--samples 8 --out" in (tmp_path / "out" / "steps.md").read_text()
    assert (tmp_path / "out" / "steps.png").stat().st_size > 0
    with pytest.raises(ValueError, match=r"is of {'samples': 8}, expected {'samples': 9}"):
        main([*common, "5", "--samples", "9"])


def test_a_model_that_knows_one_table_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--model", "qm9-small", "--out", str(tmp_path)])
    assert "knows one table of places, and no other number of steps" in capsys.readouterr().err


def row(steps: int, validity: float, fcd: float) -> dict[str, Any]:
    return {"steps": steps, "validity": validity, "connected": 0.9, "fcd": fcd} | {
        f"{key}_error": 0.01 for key in ("validity", "connected")
    }


def test_the_rule_takes_the_least_that_is_as_good() -> None:
    best = row(500, 0.98, 1.0)  # two standard errors of the difference are 0.028
    assert enough([row(10, 0.953, 1.04), best]) == 10
    assert enough([row(10, 0.951, 1.04), best]) == 500  # too few are valid
    assert enough([row(10, 0.98, 1.06), row(50, 0.98, 0.9), best]) == 50  # too far away


def test_the_error_of_the_distance_is_its_spread() -> None:
    # normal activations in two channels; the spread over fresh samples is the oracle, within a factor of two
    generator = np.random.default_rng(0)

    def drawn(count: int, mean: float) -> Activations:
        return generator.normal(mean, 1.0, size=(count, 2)).astype(np.float32)

    reference = drawn(2000, 0.0)
    found = [distance(drawn(200, 1.0), reference) for _ in range(60)]
    spread = float(np.std([value for value, _ in found]))
    errors = float(np.median([error for _, error in found]))
    assert 0.5 < errors / spread < 2
    assert not 0.5 < errors / 10**0.5 / spread < 2  # without the factor of the jackknife it is too small
