"""Training learns, resumes exactly, averages the weights, and gives one file that can be read again."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rdkit import Chem
from safetensors.torch import load_file, save_file

from sympe.experiments import runs
from sympe.experiments.molecules import compare as comparison
from sympe.experiments.molecules.chemnet import frechet_distance
from sympe.experiments.molecules.config import CODE_VERSION, ENCODINGS, MoleculesConfig
from sympe.experiments.molecules.data import SPLITS, Molecules
from sympe.experiments.molecules.files import MODEL_FILE, load_model, save_model
from sympe.experiments.molecules.model import Statistics
from sympe.experiments.molecules.reading import canonical_smiles, load_molecules
from sympe.experiments.molecules.rows import check_run, evaluate_run
from sympe.experiments.molecules.sampling import STEPS, sample_to
from sympe.experiments.molecules.training import Batch, MoleculesTask
from sympe.experiments.training import BLOCK
from sympe.kernels import CoupledGraphKernel, GraphKernel
from tests.experiments.molecules.test_model import TINY

SAMPLE = Path(__file__).parents[2] / "data" / "qm9-sample.smi"
SHORT = dataclasses.replace(TINY, steps=2 * BLOCK, batch=4, tested=50, sampled=20, seed=3)
DATA = comparison.Data(SAMPLE)


def train(task: MoleculesTask, run: Path, **options: Any) -> MoleculesTask:
    task.train_in(run, **options)
    return task


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMPE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module", name="parts")
def fixture_parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Molecules, ...]:
    cache = tmp_path_factory.getbasetemp() / "cache"
    train_part, validation, test = (load_molecules("qm9", s, data=SAMPLE, cache=cache) for s in SPLITS)
    return train_part, validation.subset(torch.arange(20)), test


@pytest.fixture(scope="module", name="whole")
def fixture_whole(tmp_path_factory: pytest.TempPathFactory, parts: tuple[Molecules, ...]) -> tuple[Path, MoleculesTask]:
    run = runs.prepare_run(SHORT, tmp_path_factory.mktemp("whole"))
    return run, train(MoleculesTask(SHORT, *parts), run, accelerator="cpu")


class _StoppedError(Exception):
    pass


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same_weights(whole, parts, tmp_path, monkeypatch) -> None:
    run = runs.prepare_run(SHORT, tmp_path)
    original = MoleculesTask.training_step

    def step(self: MoleculesTask, batch: Batch, batch_idx: int) -> dict[str, torch.Tensor]:
        if batch.step == BLOCK + 10:
            raise _StoppedError
        return original(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(MoleculesTask, "training_step", step)
        with pytest.raises(_StoppedError):
            train(MoleculesTask(SHORT, *parts), run, accelerator="cpu")
    assert runs.read_curve(run)[-1][0] == BLOCK
    resumed = train(MoleculesTask(SHORT, *parts), run, accelerator="cpu")
    for name, value in resumed.state_dict().items():
        assert torch.equal(value, whole[1].state_dict()[name]), name
    for name in ("curve", "validation"):
        assert runs.read_curve(run, name=name) == runs.read_curve(whole[0], name=name)


def test_training_learns_and_averages(whole) -> None:
    run, task = whole
    (_, first), (last_step, last) = runs.read_curve(run)
    assert last_step == SHORT.steps
    assert last < first
    assert runs.read_curve(run, name="validation")[-1][0] == SHORT.steps
    assert 0 < task.encoding_seconds < task.train_seconds
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    average, current = checkpoint["state_dict"], checkpoint["current_model_state"]
    name = "model.encoding.on_both.v"
    assert torch.equal(average[name], task.state_dict()[name]), "the average is what is evaluated"
    assert not torch.equal(average[name], current[name])
    assert torch.equal(average["model.noise.nodes.limit"], current["model.noise.nodes.limit"])


@pytest.mark.slow
def test_mixed_precision_trains_nearly_the_same(whole, parts, tmp_path) -> None:
    half = dataclasses.replace(SHORT, precision="bf16-mixed")
    task = train(MoleculesTask(half, *parts), runs.prepare_run(half, tmp_path), accelerator="cpu")
    assert {p.dtype for p in task.parameters()} == {torch.float32}
    run = tmp_path / "runs" / half.name
    for name in ("curve", "validation"):
        own, full = (torch.tensor(runs.read_curve(place, name=name)) for place in (run, whole[0]))
        assert not torch.equal(own, full), "it has another arithmetic"
        torch.testing.assert_close(own, full, rtol=0.02, atol=0)


@pytest.mark.slow
def test_two_devices_train_one_model(tmp_path) -> None:
    options = {"--steps": 60, "--warmup": 0.1, "--batch": 8, "--tested": 5, "--sampled": 2, "--times": 5, "--layers": 1}
    options |= {f"--{name}": 8 for name in ("node-width", "edge-width", "graph-width", "heads")}
    options |= {f"--{name}-hidden": 8 for name in ("node", "edge", "graph")}
    options |= {"--data": SAMPLE, "--out": tmp_path, "--accelerator": "cpu", "--devices": 2}
    words = [str(word) for pair in options.items() for word in pair]
    command = [sys.executable, "-m", "sympe", "train", "molecules", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "MEMBER: 2/2" in done.stdout + done.stderr, "there are two processes"
    row = json.loads(done.stdout[done.stdout.index("{") :])  # of the first one alone
    assert row["steps"] == 60
    assert [step for step, _ in runs.read_curve(tmp_path / "runs" / "qm9-marginal-sympe-nodes-edges-seed0")][-1] == 60
    assert load_model(tmp_path / "runs" / "qm9-marginal-sympe-nodes-edges-seed0").config.steps == 60


def test_the_model_file_gives_the_same_model(whole) -> None:
    run, task = whole
    for source in (run, run / MODEL_FILE):
        model = load_model(source)
        assert not model.training
        for name, value in model.state_dict().items():
            assert torch.equal(value, task.model.state_dict()[name]), name


def test_model_files_that_do_not_fit(whole, tmp_path) -> None:
    run, _ = whole
    with pytest.raises(FileNotFoundError, match=r"expected a run directory with model\.safetensors"):
        load_model(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"run: expected a run directory, or a model file.*; got qm8"):
        load_model("qm8")
    path = tmp_path / MODEL_FILE
    path.write_bytes((run / MODEL_FILE).read_bytes()[:1000])
    with pytest.raises(ValueError, match="is damaged, or no safetensors file"):
        load_model(path)
    weights = load_file(run / MODEL_FILE)
    about = {"config": json.dumps(dataclasses.asdict(SHORT)), "statistics": "[[1, 1, 1, 1], [1, 1, 1, 1, 1], [0, 1]]"}
    save_file(weights, path)
    with pytest.raises(ValueError, match="is no model of molecules"):
        load_model(path)
    save_file(weights, path, about)
    with pytest.raises(ValueError, match="do not fit its config"):
        load_model(path)
    other = json.dumps(dataclasses.asdict(dataclasses.replace(SHORT, encoding="none")))
    save_file(weights, path, {**about, "config": other})
    with pytest.raises(ValueError, match="do not fit its config"):
        load_model(path)
    for counts in ("[1]", "[1, 1, 1]", "5"):
        save_file(weights, path, {**about, "statistics": counts})
        with pytest.raises(ValueError, match="is no model of molecules"):
            load_model(path)
    for config in ("[1]", json.dumps({**dataclasses.asdict(SHORT), "heads": 3})):
        save_file(weights, path, {**about, "config": config})
        with pytest.raises(ValueError, match="is no model of molecules"):
            load_model(path)
    old = json.dumps({**dataclasses.asdict(SHORT), "code_version": 0})
    save_file(weights, path, {**about, "config": old})
    with pytest.raises(ValueError, match=f"was made by code version 0, this is {CODE_VERSION}; train it again"):
        load_model(path)


def test_a_model_of_another_row_or_with_broken_weights_is_refused(parts, tmp_path) -> None:
    """None and noise have the same weights: only the config tells them apart."""
    none, noise = (dataclasses.replace(SHORT, encoding=encoding) for encoding in ("none", "noise"))
    model = MoleculesTask(none, *parts).model
    run = runs.prepare_run(none, tmp_path)
    save_model(model, run / MODEL_FILE)
    assert load_model(run).config == none
    other = runs.prepare_run(noise, tmp_path)
    shutil.copy(run / MODEL_FILE, other)
    with pytest.raises(
        ValueError, match=r"is not the model of its run directory \(encoding is 'none' there and 'noise'"
    ):
        load_model(other)
    with torch.no_grad():
        next(model.network.parameters())[0] = torch.nan
    save_model(model, run / MODEL_FILE)
    with pytest.raises(ValueError, match=r"the weights in .* are not finite: network\."):
        load_model(run)


def test_a_run_does_not_go_on_with_other_molecules(whole, parts) -> None:
    run, _ = whole
    less = parts[0].subset(torch.arange(len(parts[0]) - 1))
    with pytest.raises(ValueError, match="data: the checkpoint was made with other data"):
        train(MoleculesTask(SHORT, less, *parts[1:]), run, accelerator="cpu")


def test_what_cannot_be_trained_or_judged_is_refused_before_the_training(tmp_path) -> None:
    heads = dataclasses.replace(SHORT, heads=3)
    with pytest.raises(ValueError, match="heads"):
        comparison.EXPERIMENT.train(heads, tmp_path, data=DATA)
    large = tmp_path / "large.smi"
    lines = 40 * ["CCO\n"]
    lines[np.random.RandomState(42).permutation(40)[-1]] = "CCCCCCCCC\n"  # the last of the test molecules
    large.write_text("".join(lines))
    with pytest.raises(
        ValueError, match=r"data: CCCCCCCCC has 9 atoms, as has no molecule .*; 1 of 4 are of such sizes"
    ):
        comparison.EXPERIMENT.train(SHORT, tmp_path, data=comparison.Data(large))
    assert not (tmp_path / "runs").exists()


def test_molecules_of_sizes_that_a_model_does_not_know_are_refused(whole, tmp_path) -> None:
    run, _ = whole
    large = tmp_path / "large.smi"
    large.write_text(20 * f"{12 * 'C'}\n")
    for function in (evaluate_run, check_run):
        with pytest.raises(
            ValueError, match=r"data: C{12} has 12 atoms, as has no molecule that the model was trained on"
        ):
            function(run, data=large)
    for inputs in (0, SHORT.times + 1):
        with pytest.raises(ValueError, match=f"inputs: expected 1 to {SHORT.times}, one for each time; got {inputs}"):
            check_run(run, inputs=inputs, data=SAMPLE)


def test_batches_depend_on_the_seed_and_the_step_alone(parts) -> None:
    first, again = (MoleculesTask(SHORT, *parts).batches(range(50, 53)) for _ in range(2))
    other = MoleculesTask(dataclasses.replace(SHORT, seed=4), *parts).batches(range(50, 53))
    assert [batch.step for batch in first] == [50, 51, 52]
    assert all(
        torch.equal(a.g, b.g) and torch.equal(a.noisy.pairs, b.noisy.pairs) for a, b in zip(first, again, strict=True)
    )
    assert not all(torch.equal(a.t, b.t) for a, b in zip(first, other, strict=True))
    for batch in first:
        kernel = MoleculesTask(SHORT, *parts).model.encoding.kernel
        assert bool(kernel.log_prob(batch.g, batch.noisy).isfinite().all()), "g is of the noisy graphs"


def test_batches_have_little_padding_and_molecules_come_equally_often(parts) -> None:
    task = MoleculesTask(dataclasses.replace(SHORT, batch=16), *parts)
    batches = task.batches(range(500))
    sizes = [batch.clean.sizes for batch in batches]
    assert sum(int(some.min() != some.max()) for some in sizes) <= len(parts[0].sizes.unique())
    assert any(a.min() > b.max() for a, b in itertools.pairwise(sizes)), "they do not come by size"
    drawn = torch.cat(sizes).bincount(minlength=10) / 8000
    share = parts[0].sizes.bincount(minlength=10) / len(parts[0])
    deviation = (share * (1 - share) / 8000).sqrt()
    assert bool(((drawn - share).abs() <= 4.5 * deviation).all())  # false alarm below 1e-4


def test_batches_have_as_much_noise_as_the_network_is_told(parts) -> None:
    task = MoleculesTask(dataclasses.replace(SHORT, batch=16, times=4), *parts)
    noise, changed, expected, count = task.model.noise, torch.zeros(5), torch.zeros(5), torch.zeros(5)
    for batch in task.batches(range(200)):
        stays = (
            noise.schedule[batch.t, None] + (1 - noise.schedule[batch.t, None]) * noise.nodes.limit[batch.clean.colors]
        )
        other = (batch.clean.colors != batch.noisy.colors) * batch.clean.mask
        changed.index_add_(0, batch.t, other.sum(1).float())
        expected.index_add_(0, batch.t, ((1 - stays) * batch.clean.mask).sum(1))
        count.index_add_(0, batch.t, torch.ones(16))
    assert count[0] == 0
    assert bool((count[1:] - 800).abs().max() < 5 * 800**0.5), "times are uniform on 1 to T"
    assert bool(((changed - expected).abs() < 5 * expected.sqrt())[1:].all())  # false alarm below 1e-5
    assert bool((expected[1:].diff() > 5 * expected[2:].sqrt()).all()), "other times have other noise"


def test_the_model_knows_the_training_set_alone(parts) -> None:
    known = MoleculesTask(SHORT, *parts).model.statistics
    for counts, own, other in zip(known, Statistics.of(parts[0]), Statistics.of(parts[1]), strict=True):
        assert torch.equal(counts, own)
        assert not torch.equal(counts, other)


def test_coupled_batches_bring_the_order_of_the_clean_graph(parts) -> None:
    config = dataclasses.replace(SHORT, coupled=True, transition="absorbing", batch=16)
    task = MoleculesTask(config, *parts)
    (batch,) = task.batches(range(1))
    kernel = task.model.encoding.kernel
    assert isinstance(kernel, GraphKernel)
    coupled = CoupledGraphKernel(kernel)
    last = task.model.noise.sample_limit(batch.clean.sizes)  # absorbing: always the same
    assert bool(coupled.log_prob(batch.g, last, batch.clean).isfinite().all())
    twin = coupled.kernel.sample(last)
    assert not bool(coupled.log_prob(twin, last, batch.clean).isfinite().all()), "most orders are others"


def test_coupled_batches_end_at_the_graph_that_g_was_drawn_from(parts) -> None:
    task = MoleculesTask(dataclasses.replace(SHORT, coupled=True, batch=16, times=4), *parts)
    kernel, batches = task.model.encoding.kernel, task.batches(range(20))
    end = torch.cat([batch.t == 4 for batch in batches])
    is_canonical = torch.cat([kernel.log_prob(batch.g, batch.noisy).isfinite() for batch in batches])
    assert bool(is_canonical[end].all())
    assert float(is_canonical[~end].float().mean()) < 0.1, "before, g is that of another graph"


@pytest.mark.slow
def test_compare_from_one_end_to_the_other(tmp_path) -> None:
    summary = comparison.EXPERIMENT.compare("smoke", tmp_path, data=DATA, jobs=2)
    rows = summary["rows"]
    assert [row["encoding"] for row in rows if row["transition"] == "marginal"] == list(ENCODINGS)
    assert rows[-1]["coupled"] is True
    for row in rows:
        assert {"nll", "nll_digress", "validity", "uniqueness", "novelty", "steps", "parameters"} <= row.keys()
        assert row["nll"] > 20
        assert row["nll_error"] > 0
    assert summary["missing"] == []
    names = {path.name for path in tmp_path.glob("*.png")}
    always = {f"{k}-qm9-{n}.png" for k in ("samples", "curves", "entropy") for n in ("marginal", "absorbing")}
    assert names == always | {"differences-qm9-marginal.png"}, "there is no row of none with absorbing noise"
    table = (tmp_path / "table.md").read_text()
    assert table.index("qm9, marginal noise") < table.index("qm9, absorbing noise")
    assert "| DeFoG, 50 steps | 98.9 % | 96.2 % | 0.26 |" in table
    assert "sympe-nodes-edges, coupled" in table[table.index("qm9, absorbing noise") :]
    before = (tmp_path / "rows" / "qm9-marginal-none-seed0.json").stat().st_mtime_ns
    comparison.EXPERIMENT.compare("smoke", tmp_path, data=DATA, jobs=2, encodings=["none"])
    assert (tmp_path / "rows" / "qm9-marginal-none-seed0.json").stat().st_mtime_ns == before
    with pytest.raises(ValueError, match="was made with another config"):
        comparison.EXPERIMENT.compare("demo", tmp_path, data=DATA)
    other = tmp_path / "other.smi"
    other.write_text("".join(SAMPLE.read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(ValueError, match=r"data: .*none-seed0\.json is of other data"):
        comparison.EXPERIMENT.compare("smoke", tmp_path, data=comparison.Data(other))
    found = evaluate_run(tmp_path / "runs" / "qm9-marginal-none-seed0", data=SAMPLE)
    assert found["nll"] == pytest.approx(rows[0]["nll"])
    for row in rows:  # only DiGress' own features depend on the order of the nodes
        run = tmp_path / "runs" / MoleculesConfig(**row["config"]).name
        generator = torch.Generator().manual_seed(0)
        check = check_run(run, data=SAMPLE, inputs=2, samples=40, max_elements=4, generator=generator)
        assert check.rejected == (row["encoding"] == "stock"), run.name


def test_presets() -> None:
    assert len(comparison.preset_configs("full")) == 9 * 2 + 4 * 2 + 3 * 2 + 2 + 2
    assert [row.encoding for row in comparison.preset_configs("demo")] == ["none", "sympe-nodes-edges"]
    assert {row.transition for row in comparison.preset_configs("demo", transition="uniform")} == {"uniform"}
    assert len(comparison.preset_configs("full", dataset="qm9-h")) == 2
    some = comparison.preset_configs("full", encodings=["noise"], seeds=1)
    assert [(row.encoding, row.transition) for row in some] == [("noise", "marginal"), ("noise", "absorbing")]
    full, gpu = comparison.preset_configs("full"), comparison.preset_configs("gpu")
    assert {row.encoding for row in full if row.transition == "marginal"} == set(ENCODINGS)
    assert len({row.name for row in full}) == len(full)
    assert {(row.steps, row.batch, row.layers) for row in full} == {(3 * MoleculesConfig().steps, 64, 4)}
    assert [row.encoding for row in gpu] == ["none", "stock", "sympe-nodes-edges"]
    assert {(row.layers, row.node_width, row.precision) for row in gpu} == {(9, 256, "bf16-mixed")}
    assert [row.encoding for row in comparison.preset_configs("gpu", dataset="moses")] == ["sympe-nodes-edges"]
    with pytest.raises(ValueError, match="preset: expected one of smoke, demo, full, gpu; got 'big'"):
        comparison.preset_configs("big")


@pytest.mark.slow
def test_samples_are_written(whole, tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "out"
    metrics = sample_to("qm9-small", 8, out, data=SAMPLE)
    assert runs.read_json(out / "metrics.json") == metrics
    lines = (out / "molecules.smi").read_text().splitlines()
    assert len(lines) == round(8 * metrics["validity"]) >= 4
    assert all(Chem.MolFromSmiles(line).GetNumAtoms() >= 2 for line in lines)
    assert (out / "molecules.png").exists()
    assert metrics["samples"] == 8
    assert sample_to("qm9-small", 8, tmp_path / "again", data=SAMPLE) == metrics
    run, _ = whole  # hardly trained: not one is valid, and the picture of the others goes
    assert sample_to(run, 5, out, steps=2, data=SAMPLE)["validity"] == 0
    assert (out / "molecules.smi").read_text() == ""
    assert not (out / "molecules.png").exists()
    for fcd in (False, True):
        with pytest.raises(FileNotFoundError):
            sample_to(run, 5, tmp_path / "none", steps=2, data=tmp_path / "nowhere", fcd=fcd)
    with pytest.raises(FileExistsError):
        sample_to(run, 5, out / "molecules.smi", steps=2, data=SAMPLE)
    monkeypatch.setattr("importlib.util.find_spec", lambda *_, **__: None)
    with pytest.raises(ImportError, match="fcd: needs the package fcd_torch: pip install"):
        sample_to(run, 5, out, steps=2, data=SAMPLE, fcd=True)
    assert sample_to(run, 5, out, steps=2)["novelty"] is None
    assert "novelty is not computed: " in capsys.readouterr().err


@pytest.mark.slow
def test_few_reverse_steps_are_the_default(whole, tmp_path) -> None:
    metrics = sample_to("qm9-small", 4, tmp_path, data=SAMPLE)
    assert (metrics["steps"], metrics["spacing"], metrics["temperature"]) == (20, "places", 1.0)
    assert metrics == sample_to("qm9-small", 4, tmp_path, steps=20, data=SAMPLE)
    found = sample_to(whole[0], 4, tmp_path, data=SAMPLE)
    assert (found["steps"], found["spacing"]) == (min(STEPS, SHORT.times), "times")
    for steps in (0, SHORT.times + 1):
        with pytest.raises(ValueError, match=f"steps: expected 1 to {SHORT.times}, got {steps}"):
            sample_to(whole[0], 4, tmp_path, steps=steps, data=SAMPLE)
    with pytest.raises(ValueError, match="steps: expected 20, those that the row knows; got 10"):
        sample_to("qm9-small", 4, tmp_path, steps=10, data=SAMPLE)


def test_the_distance_of_molecules_to_themselves_is_none() -> None:
    some = [line.split()[0] for line in SAMPLE.read_text().splitlines()[:12]]
    assert frechet_distance(some, some) == pytest.approx(0, abs=1e-2)
    assert frechet_distance(some, ["CCCCCCCC", "CCCCCCC"]) > 1
    with pytest.raises(ValueError, match="found: expected at least 2 molecules on both sides, got 1 and 2"):
        frechet_distance(["C"], ["C", "CC"])


def test_smiles_of_a_training_set_are_kept(parts, tmp_path) -> None:
    some = parts[0].subset(torch.arange(30))
    first = canonical_smiles(some, cache=tmp_path)
    (path,) = tmp_path.glob("smiles-*.txt")
    written = path.stat().st_mtime_ns
    assert canonical_smiles(some, cache=tmp_path) == first
    assert path.stat().st_mtime_ns == written
    assert len(first) > 25
    whole = path.read_bytes()
    for damaged in (b"", whole[:-5], whole.replace(b"C", b"N", 1), b"\xff" + whole):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"cache: .*smiles-.* is damaged; remove it, and it is made again"):
            canonical_smiles(some, cache=tmp_path)
    path.unlink()
    assert len(canonical_smiles(parts[0].subset(torch.arange(29)), cache=tmp_path)) > 25
    other = dataclasses.replace(some, atoms=("C", "S", "N", "Cl"))  # the same types stand for other elements
    assert any("Cl" in text or "S" in text for text in canonical_smiles(other, cache=tmp_path))
