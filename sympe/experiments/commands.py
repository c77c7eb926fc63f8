"""What the command line can do with any experiment: ``compare``, ``train``, ``evaluate``, ``check`` and ``list``."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from sympe.experiments import runs
from sympe.experiments.experiment import Experiment
from sympe.experiments.progress import Bar, say
from sympe.lazy import Deferred

Command = Callable[..., Any]
"""Makes, from parsed options, what does the work when it is called."""


@dataclass(frozen=True)
class Comparing:
    """What all comparisons take."""

    out: Path | None = None
    """Where everything goes; runs/EXPERIMENT-PRESET by default."""
    jobs: int = 2
    """Rows trained at once on this machine."""
    threads: int = 1
    """CPU threads of each row; the last digits of its numbers depend on it."""
    cluster: Literal["slurm", "local", "debug"] | None = None
    """Train the rows as submitit jobs instead."""
    cluster_options: dict[str, str] = field(default_factory=dict)
    """Parameters of the submitit executor, e.g. timeout_min 60 slurm_partition gpu."""
    report_only: bool = False
    """Train nothing; write table and figures of the rows that are there."""


@dataclass(frozen=True)
class Training:
    """What all trainings take."""

    out: Path | None = None
    """The run directory is OUT/runs/NAME; OUT is runs/EXPERIMENT by default."""
    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"] = "auto"
    """Lightning's accelerator."""
    devices: int = 1
    """Devices a node; more than one trains by DDP."""
    num_nodes: int = 1
    """Nodes."""
    tensorboard: bool = False
    """Write logs for TensorBoard beside those in CSV files."""


@dataclass(frozen=True)
class Checking:
    """What is tried to find out whether a model is equivariant in distribution."""

    inputs: int = 4
    """Test inputs that are tried, symmetric ones where there are."""
    elements: int = 8
    """Group elements that are tried on each."""
    samples: int = 100
    """Samples on each side of a comparison."""
    level: float = 1e-3
    """Probability of rejecting any of the models, if all are equivariant: each has its share."""
    tolerance: float = 1e-3
    """Outcomes that differ by no more, relative to the largest, are the same: single precision rounds."""
    seed: int = 0
    """Of all draws."""

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"level: expected a probability between 0 and 1, got {self.level}")
        if self.inputs < 1:
            raise ValueError(f"inputs: expected at least 1, got {self.inputs}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed: expected at least 0 and less than 2^63, got {self.seed}")


def compare_command(experiment: Experiment) -> Command:
    """``sympe compare NAME``."""

    def command(preset: str, choices: Any, data: Any, common: Comparing) -> None:
        out = common.out or experiment.folder(preset)
        experiment.compare(
            preset,
            out,
            data=data,
            jobs=common.jobs,
            threads=common.threads,
            cluster=common.cluster,
            cluster_options={k: int(v) if v.isdecimal() else v for k, v in common.cluster_options.items()},
            train_missing=not common.report_only,
            **vars(choices),
        )
        print((out / "table.md").read_text())
        print("\n".join(str(path) for path in [out / "summary.json", out / "table.md", *sorted(out.glob("*.png"))]))

    annotated: Any = Annotated
    literal: Any = Literal
    preset = annotated[literal[experiment.presets], tyro.conf.arg(help="Which rows: `sympe list` counts them.")]
    return _built(
        f"Compare {experiment.title}: train the missing rows, then table, summary and figures.",
        command,
        {"preset": (preset, "demo" if "demo" in experiment.presets else experiment.presets[0])},
        choices=experiment.choices(),
        data=experiment.data(),
        common=Comparing(),
    )


def train_command(experiment: Experiment) -> Command:
    """``sympe train NAME``."""

    def command(config: Any, data: Any, common: Training) -> None:
        options = {key: value for key, value in vars(common).items() if key != "out"}
        out = common.out or Path("runs") / experiment.name
        row = experiment.train(config, out, data=data, progress_bar=True, **options)
        if row is not None:
            print(json.dumps(row, indent=1))

    words = f"Train one row of {experiment.name}, or go on where it stopped; then evaluate it and print the row."
    return _built(words, command, config=experiment.config(), data=experiment.data(), common=Training())


def evaluate_command(experiments: Sequence[Experiment]) -> Command:
    """``sympe evaluate RUN``."""
    kinds = _kinds(experiments, "data", "evaluation")

    def command(run: Path, **given: Any) -> None:
        experiment = experiment_of(run, experiments)
        if experiment.evaluate is None:
            raise ValueError(f"run: {experiment.name} has nothing to evaluate again, its rows are measured at once")
        options = _own_options(experiment, given, kinds, ("data", "evaluation"))
        _tell_if_interrupted(run)
        print(json.dumps(experiment.evaluate(run, **options), indent=1))

    words = "Evaluate a run directory: the last checkpoint, or the best where the experiment keeps it."
    return _built(words, command, {"run": (_RUN, dataclasses.MISSING)}, **{k: kind() for k, kind in kinds.items()})


def check_command(experiments: Sequence[Experiment]) -> Command:
    """``sympe check RUN ...``."""
    kinds = _kinds(experiments, "data")

    def command(paths: tuple[Path, ...], common: Checking, **given: Any) -> None:
        if not paths:
            raise ValueError("runs: expected at least one run directory")
        import torch  # slow to import, and help does not wait for it

        level = common.level / len(paths)
        rejected = False
        for run in paths:
            experiment = experiment_of(run, experiments)
            if experiment.check is None:
                raise ValueError(f"run: {experiment.name} has no models to check")
            _tell_if_interrupted(run)
            found = experiment.check(
                run,
                **_own_options(experiment, given, kinds, ("data",)),
                inputs=common.inputs,
                max_elements=common.elements,
                samples=common.samples,
                permutations=max(1999, math.ceil(2 / level)),
                level=level,
                tolerance=common.tolerance,
                generator=torch.Generator().manual_seed(common.seed),
                progress=partial(Bar, desc=run.name, delay=5, leave=False),
            )
            print(f"{run.name}: {found.verdict}", flush=True)
            rejected |= found.rejected
        if rejected:
            sys.exit(1)

    words = "Test whether the models of run directories are equivariant in distribution; status 1 if one is not."
    paths = {"paths": (_RUNS, ())}
    return _built(words, command, paths, common=Checking(), **{k: kind() for k, kind in kinds.items()})


def list_command(experiments: Sequence[Experiment]) -> Command:
    """``sympe list``."""

    def command(name: str | None, out: Path | None, names: bool) -> None:
        if name is not None and name not in known:
            raise ValueError(f"name: expected one of {', '.join(known)}; got {name}")
        for experiment in experiments:
            if name in (None, experiment.name):
                print("\n".join(describe(experiment, out, names=names)))

    known = tuple(experiment.name for experiment in experiments)
    options = {
        "name": (Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(help="Only this experiment.")], None),
        "out": (Annotated[Path | None, tyro.conf.arg(help="Count the rows of this folder only.")], None),
        "names": (Annotated[bool, tyro.conf.arg(help="Name every row, finished (+) or not (-).")], False),
    }
    return _built("List experiments, their presets and rows, and what is finished.", command, options)


def describe(experiment: Experiment, out: Path | None = None, *, names: bool = False) -> list[str]:
    """What an experiment has, in lines.

    Arguments:
        experiment: which.
        out: the folder whose rows count; if None, those where comparisons and the results of a clone are.
        names: whether to name every row.
    """
    lines = [f"{experiment.name}: {experiment.title}"]
    for preset in experiment.presets:
        folders = [out] if out else [experiment.folder(preset), experiment.committed]
        configs = experiment.rows(preset)
        finished = {at: [config for config in configs if runs.is_finished(config, at)] for at in folders}
        counts = [f"{len(done)} finished in {at}" for at, done in finished.items() if at.exists() or at == folders[0]]
        lines.append(f"  {preset}: {len(configs)} rows, {', '.join(counts)}")
        if names:
            done = {config for some in finished.values() for config in some}
            lines += [f"    {'+' if config in done else '-'} {config.name}" for config in configs]
    return lines + [f"  published, {model}: {numbers}" for model, numbers in experiment.published.items()]


def experiment_of(run: Path, experiments: Sequence[Experiment]) -> Experiment:
    """The experiment of a run directory: the one whose config has the fields of its own.

    Raises:
        FileNotFoundError: if it is no run directory.
        ValueError: if its config is of none of them.
    """
    config = run / "config.json"
    if not config.exists():
        inside = sorted(path.parent.name for path in (run / "runs").glob("*/config.json"))
        names = ", ".join(inside[:4]) + (f" and {len(inside) - 4} more" if len(inside) > 4 else "")
        hint = f", the folder of a comparison; its runs are {run}/runs/*: {names}" if inside else ""
        raise FileNotFoundError(f"run: expected a run directory with config.json, got {run}{hint}")
    keys = runs.read_json(config).keys()

    own = {each.name: {field.name for field in dataclasses.fields(each.config)} for each in experiments}
    # other code versions had a few other fields
    best = max(experiments, key=lambda each: (len(keys & own[each.name]), -len(keys ^ own[each.name])))
    if not keys & own[best.name]:
        names = ", ".join(experiment.name for experiment in experiments)
        raise ValueError(f"run: expected a run of {names}; the config of {run} fits none")
    return best


def _tell_if_interrupted(run: Path) -> None:
    step = Deferred("sympe.experiments.training.stopped_at")(run)
    if step is not None:
        total = runs.read_json(run / "config.json")["steps"]
        say(f"sympe: {run.name} was interrupted: this is its model after {step:,} of {total:,} steps")


_RUN = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(help="A run directory, DIR/runs/NAME.")]
_RUNS = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(help="Run directories, DIR/runs/NAME.")]


def _built(
    words: str, command: Callable[..., None], named: Mapping[str, tuple[Any, Any]] | None = None, /, **groups: Any
) -> Command:
    """A dataclass whose fields tell the parser the options: named ones, and groups of them by their defaults."""
    fields = [(name, kind, default) for name, (kind, default) in (named or {}).items()]
    flat: Any = Annotated
    for name, default in groups.items():
        if dataclasses.fields(default):
            fields.append((name, flat[type(default), tyro.conf.arg(name="", prefix_name=False)], default))
    parsed = {name for name, _, _ in fields}
    rest = {name: default for name, default in groups.items() if name not in parsed}
    return dataclasses.make_dataclass(
        "Command",
        [(name, kind, field(default=default)) for name, kind, default in fields],
        namespace={"__doc__": words, "__call__": lambda self: command(**vars(self), **rest)},
    )


def _kinds(experiments: Sequence[Experiment], *fields: str) -> dict[str, type[Any]]:
    """The types of options that experiments have, each once."""
    kinds = {getattr(experiment, name): None for experiment in experiments for name in fields}
    return {f"options_{number}": kind for number, kind in enumerate(kinds) if dataclasses.fields(kind)}


def _own_options(
    experiment: Experiment, given: Mapping[str, Any], kinds: Mapping[str, type[Any]], fields: Sequence[str]
) -> dict[str, Any]:
    """The options of an experiment.

    Raises:
        ValueError: if one was given that it does not have.
    """
    own = {getattr(experiment, name) for name in fields}
    for name, kind in kinds.items():
        if kind not in own and given[name] != kind():
            changed = [key for key, value in vars(given[name]).items() if value != getattr(kind(), key)]
            raise ValueError(f"{', '.join(changed)}: not an option for a run of {experiment.name}")
    return {key: value for name, kind in kinds.items() if kind in own for key, value in vars(given[name]).items()}
