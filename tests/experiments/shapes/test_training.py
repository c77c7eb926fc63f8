"""Training learns what none cannot, resumes exactly, and its table and figures are there."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sympe.experiments import runs
from sympe.experiments.shapes import trials
from sympe.experiments.shapes.check import check_model, check_run
from sympe.experiments.shapes.compare import EXPERIMENT, preset_configs, table
from sympe.experiments.shapes.config import ENCODINGS, ShapesConfig
from sympe.experiments.shapes.data import TrainingStream, templates
from sympe.experiments.shapes.evaluation import evaluate, laws, nearest, sampling_error, select
from sympe.experiments.shapes.figures import errors
from sympe.experiments.shapes.model import ShapesModel
from sympe.experiments.shapes.training import ShapesTask, evaluate_run, load
from sympe.experiments.training import BLOCK
from sympe.graphs import Clouds

TINY = ShapesConfig(steps=2 * BLOCK, batch=2, width=8, vectors=4, layers=1, samples=1, draws=5, seed=3)


def built(**fields: object) -> ShapesTask:
    return ShapesTask(dataclasses.replace(TINY, **fields))  # type: ignore[arg-type]


def batch(dataset: str = "polyhedra", size: int = 6) -> tuple[int, object]:
    return TrainingStream(dataset, seed=0, batch=size, steps=range(1))[0]


@pytest.mark.parametrize("loss", ["squared", "orbit-minimum"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_row_takes_a_step(encoding: str, loss: str) -> None:
    task = built(encoding=encoding, loss=loss)
    found = task.training_step(batch(), 0)
    found["loss"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in task.model.parameters())
    if encoding not in ("none", "noise", "canonicalized"):
        (v,) = task.model.encoding.parameters()
        assert bool(v.grad.abs().sum() > 0)


def test_every_row_has_about_as_many_parameters() -> None:
    counts = {e: sum(p.numel() for p in ShapesModel(ShapesConfig(encoding=e)).parameters()) for e in ENCODINGS}
    assert max(counts.values()) < 1.02 * min(counts.values())


def test_the_orbit_minimum_is_at_most_the_squared_error_and_does_not_insist() -> None:
    squared, least = built(loss="squared"), built(loss="orbit-minimum")
    _, samples = batch()
    y = torch.randn(samples.y.shape, generator=torch.Generator().manual_seed(0))
    assert bool((least.loss(samples, y) <= squared.loss(samples, y) + 1e-6).all())
    orbit, there = templates("polyhedra").orbit(samples)
    other = orbit[torch.arange(6), there.sum(1) - 1]  # another of the right answers
    assert float(least.loss(samples, other).max()) < 1e-9
    assert float(squared.loss(samples, other).max()) > 0.1


def test_drawn_elements_know_the_target_only_where_they_are_coupled() -> None:
    of = templates("polyhedra")
    _, samples = batch(size=40)
    action = built().model.encoding.action
    for encoding, knows in (("sympe-coupled", True), ("sympe", False), ("sympe-global-coupled", True)):
        g = built(encoding=encoding).drawn(samples, torch.Generator().manual_seed(0))
        scale = (samples.y.square().sum((1, 2)) / of.y[samples.which].square().sum((1, 2))).sqrt()
        y = torch.cat([samples.y[:, :, None]] * action.channels, 2)
        forms = action(of.group.inverse(g), y) / scale[:, None, None, None].float()
        same = [
            bool((forms[samples.which == shape] - forms[samples.which == shape][:1]).abs().max() < 1e-3)
            for shape in samples.which.unique()
        ]
        assert all(same) == knows


def test_nearest_and_the_error_of_sampling() -> None:
    orbit = torch.tensor([[[1.0, 0, 0]], [[-1.0, 0, 0]], [[0, 1.0, 0]]])
    counts, undecided = nearest(orbit[[0, 0, 1, 2]] + 0.1, orbit)
    assert (counts.tolist(), float(undecided)) == ([2.0, 1.0, 1.0], 0.0)
    generator = torch.Generator().manual_seed(0)
    found = []
    for _ in range(200):
        share = torch.randint(8, (400,), generator=generator).bincount(minlength=8) / 400
        found.append(float((share - 1 / 8).abs().sum() / 2))
    assert sampling_error(8, 400) == pytest.approx(np.mean(found), rel=0.1)


def test_the_law_is_uniform_for_the_truth_and_not_for_a_model_that_prefers_one() -> None:
    of = templates("polyhedra")
    config = dataclasses.replace(TINY, draws=200)
    _, samples = batch(size=3)
    orbits, there = of.orbit(samples)

    class Truth(ShapesModel):
        prefers = False

        def elements(self, x: Clouds) -> None:
            return None

        def forward(self, x: Clouds, *, g: object = None, generator: torch.Generator | None = None) -> torch.Tensor:
            row = int((samples.x.sizes == x.sizes[0]).nonzero()[0])
            near = (samples.x.positions[:, : x.mask.shape[1]] - x.positions[:1]).abs().amax((1, 2))
            row = int(near.argmin())
            count = 1 if self.prefers else int(there[row].sum())
            at = torch.randint(count, (len(x),), generator=generator)
            return orbits[row][at][:, : x.mask.shape[1]]

    truth = Truth(config)
    for found in laws(truth, samples, config):
        assert found["variation"] < 3 * found["variation_of_truth"]
        assert found["undecided"] == 0
    truth.prefers = True
    for row, found in enumerate(laws(truth, samples, config)):
        assert found["variation"] == pytest.approx(1 - 1 / int(there[row].sum()))


def test_none_is_undecided() -> None:
    task = built(encoding="none")
    _, samples = batch(size=4)
    with torch.no_grad():
        found = laws(task.model, samples, dataclasses.replace(TINY, encoding="none", draws=3))
    assert all(law["undecided"] == law["variation"] == 1 for law in found)
    assert len(select(samples, torch.tensor([1, 2]))) == 2


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, object]]]:
    """Two rows trained one after the other in this process, as a worker would."""
    out = tmp_path_factory.mktemp("comparison")
    configs = [dataclasses.replace(TINY, encoding=encoding) for encoding in ("none", "sympe-coupled")]
    return out, [EXPERIMENT.train(config, out, 1, accelerator="cpu") for config in configs]  # type: ignore[misc]


@pytest.mark.slow
def test_an_interrupted_run_ends_with_the_same_weights(
    finished: tuple[Path, list[dict[str, object]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ShapesTask.training_step

    def step(self: ShapesTask, batch: tuple[int, object], batch_idx: int) -> object:
        if batch[0] == BLOCK + 10:
            raise KeyError("stopped")
        return original(self, batch, batch_idx)

    run = runs.prepare_run(TINY, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(ShapesTask, "training_step", step)
        with pytest.raises(KeyError, match="stopped"):
            built().train_in(run, accelerator="cpu")
    assert runs.read_curve(run)[-1][0] == BLOCK
    resumed = built()
    resumed.train_in(run, accelerator="cpu")
    whole = load(finished[0] / "runs" / TINY.name)
    for a, b in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(a, b)


def test_rows_say_what_they_found_and_are_evaluated_again(finished: tuple[Path, list[dict[str, object]]]) -> None:
    out, rows = finished
    for row in rows:
        assert row["loss"] == "squared"
        assert {"error", "floor", "variation", "variation_of_truth", "undecided", "per_shape"} <= row.keys()
        again = evaluate_run(out / "runs" / ShapesConfig(**row["config"]).name)
        assert again["error"] == pytest.approx(row["error"])
    none = rows[0]
    assert none["error"] > 0.95 * none["floor"]
    assert none["undecided"] == 1
    text = table(rows, ["another"])
    assert "## polyhedra, egnn" in text
    assert "| none | 1 |" in text
    assert "Missing rows: another." in text


def test_figures_are_drawn(finished: tuple[Path, list[dict[str, object]]], tmp_path: Path) -> None:
    out, rows = finished
    EXPERIMENT.figures(rows, out)
    assert {path.name for path in out.glob("*.png")} == {"errors-polyhedra-egnn.png", "shapes-polyhedra-egnn.png"}


def test_molecules_that_are_new_have_columns_and_dots_of_their_own(tmp_path: Path) -> None:
    task = built(dataset="hydrogens", encoding="none", draws=1)
    numbers, arrays = task.judge(tmp_path)
    config = task.config
    row = {key: getattr(config, key) for key in EXPERIMENT.keys} | numbers
    row |= {"config": dataclasses.asdict(config), "steps": config.steps, "parameters": 1}
    runs.write_row(row, arrays, tmp_path, config.name)
    row = runs.read_json(tmp_path / "rows" / f"{config.name}.json")
    assert f"| {row['error']:.5f} | 1.000 | 1.000 | {row['new']['error']:.5f} |" in table([row])
    assert "error, new" not in table([{**row, "new": None}])
    figure = errors([row], "hydrogens")
    dots = [line.get_xdata()[0] for line in figure.axes[0].lines[:2]]
    assert dots == [row["error"], row["new"]["error"]]
    EXPERIMENT.figures([row], tmp_path)
    assert {path.name for path in tmp_path.glob("*.png")} == {"errors-hydrogens-egnn.png", "shapes-hydrogens-egnn.png"}


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_the_smoke_comparison_ends_and_is_not_trained_again(tmp_path: Path) -> None:
    summary = EXPERIMENT.compare("smoke", tmp_path, encodings=("none", "canonicalized"))
    names = [ShapesConfig(**row["config"]).name for row in summary["rows"]]
    assert names == [
        f"polyhedra-egnn-{encoding}-{loss}-seed0"
        for loss in ("squared", "orbit-minimum")
        for encoding in ("none", "canonicalized")
    ]
    assert summary["missing"] == []
    assert "| canonicalized, loss orbit-minimum | 1 |" in (tmp_path / "table.md").read_text()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "rows").iterdir()}
    EXPERIMENT.compare("smoke", tmp_path, encodings=("none", "canonicalized"))
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "rows").iterdir()}


class Unmoved(torch.nn.Module):
    """Wrong on purpose: vectors that are always the same, and a plain network on the cloud as it lies."""

    def __init__(self, model: ShapesModel) -> None:
        super().__init__()
        self.model = model
        self.v = torch.randn(12, 4, 3, generator=torch.Generator().manual_seed(0))

    def forward(self, x: Clouds, *, generator: torch.Generator | None = None) -> torch.Tensor:
        if self.model.is_plain:
            y: torch.Tensor = self.model.network(x).squeeze(2) * x.mask[:, :, None]
            return y
        moved: torch.Tensor = self.model.network(x, self.v.expand(len(x), -1, -1, -1)[:, : x.mask.shape[1]])
        return moved


@pytest.mark.slow
def test_the_models_are_equivariant_in_distribution(finished: tuple[Path, list[dict[str, object]]]) -> None:
    options = {"max_elements": 2, "samples": 12, "permutations": 999}
    for encoding in ("none", "sympe-coupled"):
        run = finished[0] / "runs" / dataclasses.replace(TINY, encoding=encoding).name
        found = check_run(run, inputs=1, generator=torch.Generator().manual_seed(0), **options)
        assert not found.rejected, (encoding, found.verdict)
    for encoding in ENCODINGS:  # untrained; and a twin of each, whose encoding or input does not move
        untrained = built(encoding=encoding).model.eval()
        for model, rejected in ((untrained, False), (Unmoved(untrained), True)):
            found = check_model(model, "polyhedra", inputs=1, generator=torch.Generator().manual_seed(1), **options)
            assert found.rejected == rejected, (encoding, found.verdict)
    model = load(finished[0] / "runs" / TINY.name).model

    class Still(torch.nn.Module):
        """The twin: an encoding that does not move."""

        def forward(self, x: Clouds, *, generator: torch.Generator | None = None) -> torch.Tensor:
            v = model.encoding.v
            moved: torch.Tensor = model.network(x, v.expand(len(x), *v.shape))
            return moved

    found = check_model(Still(), "polyhedra", inputs=1, generator=torch.Generator().manual_seed(0), **options)
    assert found.rejected


def test_presets() -> None:
    demo, full = preset_configs("demo"), preset_configs("full")
    assert [config.encoding for config in demo] == ["none", "sympe-coupled"]
    assert len({config.name for config in full}) == len(full) == 3 * (9 + 6 + 9 + 6 + 2 + 2)
    recipe = ("steps", "batch", "width", "vectors", "layers", "channels")
    assert len({(c.backbone, *(getattr(c, key) for key in recipe)) for c in full}) == 2  # one for each backbone
    some = preset_configs("full", encodings=["noise"], seeds=1, loss="orbit-minimum", dataset="polyhedra")
    assert [config.name for config in some] == ["polyhedra-egnn-noise-orbit-minimum-seed0"]


def test_trials_are_judged_on_validation_samples_and_not_made_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = [dataclasses.replace(TINY, steps=2, draws=1, learning_rate=rate) for rate in (1e-3, 1e-2)]
    parts: list[str] = []

    def judged(model: ShapesModel, config: ShapesConfig, part: str) -> dict[str, float]:
        parts.append(part)
        return evaluate(model, config, part)  # type: ignore[arg-type]

    monkeypatch.setattr(trials, "evaluate", judged)
    found = trials.run_trials(configs, tmp_path / "trials.json")
    assert parts == ["validation"] * 2
    best = min(found, key=lambda trial: trial["error"])["config"]["learning_rate"]
    assert trials.best_rates(found) == {("egnn", "sympe-coupled", "squared"): best}
    before = (tmp_path / "trials.json").read_bytes()
    assert trials.run_trials(configs, tmp_path / "trials.json") == found
    assert (tmp_path / "trials.json").read_bytes() == before
    assert len(parts) == 2
    model = ShapesModel(TINY)
    assert evaluate(model, TINY)["error"] != evaluate(model, TINY, "validation")["error"]


def test_rows_that_can_get_below_the_floor_are_tried_as_often_as_each_other() -> None:
    tried = trials.tried_configs()
    names = {(c.encoding, c.loss) for c in tried}
    assert names == {
        ("sympe-coupled", "squared"),
        ("sympe-global-coupled", "squared"),
        ("canonicalized", "squared"),
        *((e, "orbit-minimum") for e in ("noise", "haar", "breaking-set", "sympe", "sympe-global")),
    }
    assert len(tried) == 3 * len(names)
    assert {c.seed for c in tried}.isdisjoint({c.seed for c in preset_configs("full")})


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"encoding": "magic"}, "encoding: expected one of none, noise"),
        ({"loss": "absolute"}, "loss: expected one of squared, orbit-minimum"),
        ({"dataset": "knots"}, "dataset: expected one of polyhedra, cages, hydrogens"),
        ({"backbone": "mlp"}, "backbone: expected one of egnn, e3nn"),
        ({"layers": 0}, "layers: expected at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate: expected a positive, finite number"),
    ],
)
def test_bad_configs_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ShapesConfig(**fields)  # type: ignore[arg-type]


def test_elements_for_an_encoding_that_takes_none_are_refused() -> None:
    with pytest.raises(TypeError, match="g: expected None with NoEncoding, got elements"):
        built(encoding="none").model.moved(torch.zeros(1, 21))


def test_e3nn_and_cages_take_a_step_and_padding_is_not_seen() -> None:
    task = built(backbone="e3nn", dataset="cages", width=6, vectors=2)
    task.training_step(batch("cages", 2), 0)["loss"].backward()
    task = built(backbone="e3nn", width=6, vectors=2)
    of = templates("polyhedra")
    x = of.x.select(torch.tensor([0])).to(torch.float32)
    small = Clouds(x.positions[:, :3], x.types[:, :3], x.mask[:, :3], x.vectors[:, :3])
    with torch.no_grad():
        v = torch.randn(1, 12, 4, 3, generator=torch.Generator().manual_seed(0))
        wide, alone = task.model.network(x, v), task.model.network(small, v[:, :3])
        mirrored = task.model.network(x.moved(-torch.eye(3)[None]), -v)
    assert torch.allclose(wide[:, :3], alone, atol=1e-5)
    assert not wide[:, 3:].any()
    assert torch.allclose(mirrored, -wide, atol=1e-5)
    assert not torch.allclose(task.model.network(x, v.roll(1, 3)), wide, atol=1e-4)


def test_a_missing_e3nn_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "e3nn", None)
    with pytest.raises(ImportError, match=r"backbone: e3nn needs e3nn: pip install 'e3nn"):
        built(backbone="e3nn")
