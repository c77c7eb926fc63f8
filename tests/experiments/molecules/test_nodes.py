"""Training where there is no RDKit, and the rows that are completed where it is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sympe.experiments import runs
from sympe.experiments.molecules.commands import MoleculesFile
from sympe.experiments.molecules.compare import FEW_STEPS as EXPERIMENT
from sympe.experiments.molecules.data import SOURCES, read_molecules, write_molecules
from sympe.experiments.molecules.evaluation import restored, stored
from sympe.experiments.molecules.few_steps import table
from sympe.experiments.molecules.nodes import main
from sympe.experiments.molecules.presets import FEW_STEPS_PRESETS, few_steps_configs
from sympe.experiments.molecules.reading import load_all, load_splits
from sympe.graphs import DenseGraphs

SAMPLE = Path(__file__).parents[2] / "data" / "qm9-sample.smi"

WITHOUT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("rdkit", "tyro", "fcd_torch", "qm9pack", "submitit"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
if __name__ == "__main__":
    from MODULE import main
    main()
"""


@pytest.fixture(scope="module", name="file")
def fixture_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("file")
    molecules = load_all("qm9", data=SAMPLE, cache=folder / "cache")
    write_molecules(molecules.subset(torch.arange(200)), folder / "molecules.npz")
    return folder / "molecules.npz"


def test_a_file_of_tensors_is_the_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYMPE_CACHE", str(tmp_path / "cache"))
    MoleculesFile("qm9", out=tmp_path / "some" / "qm9.npz", data=SAMPLE)()
    assert "qm9.npz: 2,048 molecules, hash " in capsys.readouterr().out
    for part, other in zip(
        load_splits("qm9", ("train", "test"), data=SAMPLE),
        load_splits("qm9", ("train", "test"), data=tmp_path / "some" / "qm9.npz"),
        strict=True,
    ):
        assert part.content_hash == other.content_hash
        assert part.smiles == other.smiles
    with pytest.raises(ValueError, match="name: moses has splits of its own"):
        load_all("moses")


def test_a_damaged_file_is_told(file: Path, tmp_path: Path) -> None:
    content = bytearray(file.read_bytes())
    with pytest.raises(ValueError, match="is of the elements C, N, O, F, not H, C, N, O, F"):
        load_splits("qm9-h", ("train",), data=file)
    (tmp_path / "short.npz").write_bytes(content[:1000])
    with pytest.raises(ValueError, match=r"short.npz is damaged"):
        load_splits("qm9", ("train",), data=tmp_path / "short.npz")
    molecules = read_molecules(file, SOURCES["qm9"])
    changed = molecules.subset(torch.arange(len(molecules)))
    changed.pairs[0, 0, 1] = changed.pairs[0, 1, 0] = 3 - changed.pairs[0, 0, 1]
    twin = tmp_path / "twin.npz"
    write_molecules(molecules, twin)
    arrays = runs.read_arrays(twin)
    with twin.open("wb") as opened:
        np.savez(opened, **{**arrays, "pairs": changed.pairs.numpy()})
    with pytest.raises(ValueError, match=r"twin.npz is damaged \(its graphs have the hash [0-9a-f]+, not "):
        load_splits("qm9", ("train",), data=twin)


def test_stored_graphs_come_back() -> None:
    generator = torch.Generator().manual_seed(0)
    upper = torch.randint(0, 4, (20, 6, 6), generator=generator).triu(1)
    mask = torch.arange(6) < torch.randint(1, 7, (20, 1), generator=generator)
    pairs = (upper + upper.transpose(1, 2)) * (mask[:, :, None] & mask[:, None])
    x = DenseGraphs(pairs, torch.randint(0, 3, (20, 6), generator=generator) * mask, mask)
    arrays = {**stored(x, "a"), "other": 1}
    y = restored(arrays, "a")
    assert torch.equal(x.pairs, y.pairs)
    assert torch.equal(x.colors, y.colors)
    assert torch.equal(x.mask, y.mask)
    assert arrays == {"other": 1}


@pytest.mark.slow
def test_rows_of_a_machine_without_chemistry_are_completed_where_it_is(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trained and measured in a process that cannot import RDKit; then only SMILES and the table are made."""
    (tmp_path / "without.py").write_text(WITHOUT.replace("MODULE", "sympe.experiments.molecules.nodes"))
    out = tmp_path / "out"
    names = [
        "qm9-absorbing-none-seed0",
        "qm9-absorbing-sympe-nodes-edges-coupled-seed0",
        "qm9-places-10-sympe-nodes-edges-coupled-depth-first-seed0",
    ]
    command = [sys.executable, str(tmp_path / "without.py"), "few-steps", "--preset", "smoke", "--data", str(file)]
    monkeypatch.setenv("SYMPE_COMMIT", "told by hand")
    done = subprocess.run(
        [*command, "--out", str(out), "--jobs", "2", "--accelerator", "cpu", "--only", *names],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    monkeypatch.delenv("SYMPE_COMMIT")
    monkeypatch.setenv("SYMPE_CACHE", str(tmp_path / "cache"))
    measured = {name: runs.read_json(out / "runs" / name / "measured.json") for name in names}
    for name in names:
        (out / "runs" / name / "last.ckpt").unlink()  # it stays there
    before = {path: path.read_bytes() for path in out.glob("runs/*/model.safetensors")}
    data = EXPERIMENT.data(file)
    configs = [config for config in few_steps_configs("smoke") if config.name in names]
    for config in configs:
        row = EXPERIMENT.train(config, out, data=data)
        assert row is not None
        assert row["environment"]["commit"] == "told by hand"
        assert row["train_seconds"] == round(measured[config.name]["counters"][0], 2) > 0
        for label, chain in measured[config.name]["chains"].items():
            assert row["chains"][label].items() >= chain.items()
            assert 0 <= row["chains"][label]["valid_connected"] <= row["chains"][label]["validity"]
    assert before == {path: path.read_bytes() for path in out.glob("runs/*/model.safetensors")}, "nothing is trained"
    assert not list(out.glob("runs/*/last.ckpt")), "a training anew of one seed would give the same model"
    summary = EXPERIMENT.report("smoke", few_steps_configs("smoke"), out)
    assert summary["missing"] == ["qm9-absorbing-structure-seed0"]
    text = (out / "table.md").read_text()
    assert "| sympe-nodes-edges, coupled | 1 |" in text
    assert "| sympe-nodes-edges, coupled, depth-first, for 10p | 1 |" in text
    assert " | 10p |" in text
    assert text.startswith(table(summary["rows"], summary["missing"]).rstrip())
    assert (out / "few-steps-absorbing.png").stat().st_size > 10_000
    again = subprocess.run(
        [*command, "--out", str(out), "--only", *names], capture_output=True, text=True, check=False
    )  # what is measured is left alone
    assert again.returncode == 0, again.stderr
    assert "finished" not in again.stderr + again.stdout


def test_presets_name_each_row_once_and_give_all_the_same_channels() -> None:
    for preset in FEW_STEPS_PRESETS:
        configs = few_steps_configs(preset)
        assert len({config.name for config in configs}) == len(configs)
        assert len({(c.encoding_channels, c.pair_channels, c.steps, c.batch, c.sampled) for c in configs}) == 1
        assert ("places" in {config.transition for config in configs}) == (preset != "gpu")
    full = few_steps_configs("full")
    assert [config.seed for config in full if (config.encoding, config.transition) == ("none", "absorbing")] == [0, 1]
    assert all(config.coupled for config in full if config.transition == "absorbing" and "sympe" in config.encoding)
    some = few_steps_configs("full", encodings=("none", "sympe-nodes-edges"), transition="absorbing", seeds=1)
    assert [config.name for config in some] == [
        "qm9-absorbing-none-seed0",
        "qm9-absorbing-sympe-nodes-edges-coupled-seed0",
        "qm9-absorbing-sympe-nodes-edges-coupled-depth-first-seed0",
    ]
    with pytest.raises(ValueError, match="preset: expected one of smoke, full, gpu; got 'demo'"):
        few_steps_configs("demo")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--preset", "demo"], "preset: expected one of smoke, full, gpu; got 'demo'"),
        (
            ["--preset", "smoke", "--only", "another"],
            "--only: expected some of qm9-absorbing-none-.*; got another",
        ),
        (["--preset", "smoke", "--jobs", "0"], "--jobs: expected at least 1, got 0"),
        (["--preset", "smoke", "--data", "nowhere.npz"], "--data: no file nowhere.npz"),
        (["--preset", "smoke", "--steps", "0"], "steps: expected at least 1, got 0"),
    ],
)
def test_mistakes_on_the_command_line_are_told(
    given: list[str], message: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["few-steps", "--out", str(tmp_path / "out"), *given]
    options += [] if "--data" in given else ["--data", str(file)]
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_rows_are_trained_together_and_measured(file: Path, tmp_path: Path) -> None:
    """By the command, with what it says of a row afterwards."""
    names = ["qm9-absorbing-none-seed0", "qm9-absorbing-sympe-nodes-edges-coupled-seed0"]
    options = ["few-steps", "--preset", "smoke", "--data", str(file), "--out", str(tmp_path), "--accelerator", "cpu"]
    main([*options, "--together", "--workers", "0", "--only", *names])
    data = EXPERIMENT.data(file)
    for config in few_steps_configs("smoke"):
        if config.name in names:
            assert not (tmp_path / "runs" / config.name / "last.ckpt").exists()
            row = EXPERIMENT.train(config, tmp_path, data=data)
            assert row is not None
            assert row["trained"]["rows"] == 2
            assert row["train_seconds"] > 0


@pytest.mark.slow
def test_the_script_for_accelerators_runs_to_its_end(file: Path, tmp_path: Path) -> None:
    """On whatever is here, without RDKit, with tiny sizes: everything holds, and a row is trained."""
    row = "few-steps smoke qm9-absorbing-none-seed0"
    root = Path(__file__).parents[3]
    (tmp_path / "without.py").write_text(WITHOUT.replace("MODULE", "benchmarks.accelerator"))
    command = [sys.executable, str(tmp_path / "without.py"), "--tiny", "--data", str(file), "--out", str(tmp_path)]
    done = subprocess.run(
        [*command, "--rows", row],
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads((tmp_path / "accelerator.json").read_text())
    assert len(found["checks"]) > 10
    assert all(found["checks"].values())
    assert found["train"]["finished"] == ["qm9-absorbing-none-seed0"]
    assert {"clean", "noisy"} == set(found["kernel"])
    assert all(numbers["ms"] > 0 for numbers in found["network"].values())
