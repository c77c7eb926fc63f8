"""What all experiments share: where a run lives, what is recorded of it, and how the rows of a comparison are run.

A comparison lives in one folder ``DIR``::

    DIR/rows/NAME.json      one finished row: config, metrics, environment (small, kept in git)
    DIR/rows/NAME.npz       what its figures need
    DIR/runs/NAME/          its run directory: config.json, last.ckpt, curve.csv, progress.json
    DIR/summary.json, DIR/table.md, DIR/*.png

Files are written aside and renamed, so that a file is there whole or not at all.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import multiprocessing
import os
import platform
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from tqdm import tqdm

PACKAGES = ("sympe", "torch", "numpy", "lightning", "scipy")


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` and rename it to ``path`` when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        aside.chmod(0o644)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with written_aside(path) as aside:
        aside.write_text(text)


def write_json(path: Path, content: object) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def read_json(path: Path, *needed: str) -> dict[str, Any]:
    """Read a JSON file.

    Arguments:
        path: the file.
        needed: what it must have.

    Raises:
        ValueError: if it is not JSON, or no object with what is needed; names the file.
    """
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON, got something else ({error})") from error
    if not isinstance(content, dict) or not content.keys() >= set(needed):
        with_these = f" with {', '.join(needed)}" if needed else ""
        got = ", ".join(content) or "an empty one" if isinstance(content, dict) else type(content).__name__
        raise ValueError(f"{path}: expected a JSON object{with_these}, got {got}")
    return content


def environment() -> dict[str, Any]:
    """Versions, machine and git commit, to stand beside a result."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "commit": _git_commit(),
    }


def data_hash(*tensors: torch.Tensor) -> str:
    """Twelve hexadecimal digits of the content of tensors."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(str((tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def seeded(*parts: object, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for a purpose: its seed is a hash of the parts."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def config_differs(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Say in words where two configs differ, code version apart; empty if they do not."""
    keys = sorted((stored.keys() | wanted.keys()) - {"code_version"})
    differing = [k for k in keys if stored.get(k) != wanted.get(k)]
    return ", ".join(f"{k} is {stored.get(k)!r} there and {wanted.get(k)!r} here" for k in differing)


@runtime_checkable
class RowConfig(Protocol):
    """What this module needs of an experiment's config: a dataclass with a name and a code version."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """Names the row, and its run directory."""

    @property
    def steps(self) -> int:
        """Training steps, for the progress bar."""

    @property
    def code_version(self) -> int:
        """Which version of the experiment's code trains this."""


def check_run(config: RowConfig, out: Path) -> dict[str, Any] | None:
    """The config that the run directory of a row was made with, or None if there is no such directory.

    Raises:
        ValueError: if it was made with another config (of whatever code version); nothing is touched.
    """
    path = out / "runs" / config.name / "config.json"
    if not path.exists():
        return None
    stored = read_json(path)
    _refuse_another(path.parent, stored, config)
    return stored


def prepare_run(config: RowConfig, out: Path, *, data_hash: str | None = None) -> Path:
    """Make the run directory of a row, or go on in the one of the same config; one of older code is moved aside.

    Arguments:
        config: the row.
        out: the folder of the comparison.
        data_hash: as in :func:`finished_row`.

    Raises:
        ValueError: if it was made with another config, or a finished row of that name with another or of other data;
            nothing is touched then.
    """
    run = out / "runs" / config.name
    finished_row(config, out, data_hash=data_hash)
    stored = check_run(config, out)
    if stored is not None and stored.get("code_version") != config.code_version:
        run.rename(run.with_name(f"{run.name}.code-{stored.get('code_version')}.{time.time_ns()}"))
        stored = None
    if stored is None:
        write_json(run / "config.json", dataclasses.asdict(config))
    return run


def finished_row(config: RowConfig, out: Path, *, data_hash: str | None = None) -> dict[str, Any] | None:
    """The row of this config and code version if it is finished.

    Arguments:
        config: the row.
        out: the folder of the comparison.
        data_hash: of the training data that the row must be of; None if its config says what they are.

    Raises:
        ValueError: if a row of that name was made with another config or other data.
    """
    path = out / "rows" / f"{config.name}.json"
    if not path.exists():
        return None
    row = read_json(path, "config", *([] if data_hash is None else ["data_hash"]))
    _refuse_another(path, row["config"], config)
    if row["config"].get("code_version") != config.code_version:
        return None
    if data_hash is not None and row["data_hash"] != data_hash:
        raise ValueError(
            f"data: {path} is of other data (hash {row['data_hash']} there, {data_hash} here); choose another --out"
        )
    return row


def other_rows(configs: Sequence[RowConfig], out: Path) -> list[dict[str, Any]]:
    """The finished rows of the folder that these configs are not, of the same experiment and code version, by name."""
    names = {config.name for config in configs}
    found = [read_json(path, "config") for path in sorted((out / "rows").glob("*.json")) if path.stem not in names]
    own = dataclasses.asdict(configs[0])
    return [
        row
        for row in found
        if row["config"].keys() == own.keys() and row["config"]["code_version"] == own["code_version"]
    ]


def alike(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """The rows in groups that differ in the seed alone, each with words on what sets it apart from the others.

    Example:
        >>> rows = [{"config": {"seed": seed, "steps": steps}} for seed, steps in ((0, 20), (1, 20), (2, 40))]
        >>> [(words, len(group)) for words, group in alike(rows)]
        [(', steps 20', 2), (', steps 40', 1)]
        >>> [(words, len(group)) for words, group in alike(rows[:2])]
        [('', 2)]
    """
    groups: dict[str, tuple[dict[str, Any], list[Mapping[str, Any]]]] = {}
    for row in rows:
        settings = {key: value for key, value in row["config"].items() if key != "seed"}
        settings["data_hash"] = row.get("data_hash")
        groups.setdefault(json.dumps(settings, sort_keys=True), (settings, []))[1].append(row)
    kinds = [settings for settings, _ in groups.values()]
    apart = sorted({key for kind in kinds for key in kind if any(kind[key] != other.get(key) for other in kinds)})
    return [("".join(f", {key} {settings.get(key)}" for key in apart), group) for settings, group in groups.values()]


def _refuse_another(path: Path, stored: Mapping[str, Any], config: RowConfig) -> None:
    difference = config_differs(stored, dataclasses.asdict(config))
    if difference:
        raise ValueError(f"out: {path} was made with another config ({difference}); choose another --out")


def write_progress(run: Path, step: int, value: float) -> None:
    """Tell whoever watches how far a run is."""
    write_json(run / "progress.json", {"step": step, "value": value})


def append_curve(run: Path, step: int, value: float, *, name: str = "curve") -> None:
    """Add one point to a curve; points of a run that went on from an earlier step are superseded."""
    points = dict(read_curve(run, name=name)) if (run / f"{name}.csv").exists() else {}
    points[step] = value
    write_text(run / f"{name}.csv", "".join(f"{s},{v!r}\n" for s, v in sorted(points.items())))


def read_curve(run: Path, *, name: str = "curve") -> list[tuple[int, float]]:
    """A curve, by default that of training; of several values at one step the last counts.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged, naming the file.
    """
    path = run / f"{name}.csv"
    try:
        with path.open(newline="") as file:
            points = {int(step): float(value) for step, value in csv.reader(file)}
    except ValueError as error:
        raise ValueError(f"{path} is damaged: expected a step and a value in every line ({error})") from error
    return sorted(points.items())


def read_arrays(out: Path, name: str) -> dict[str, Any]:
    """What the figures of a row need.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, naming the file.
    """
    path = out / "rows" / f"{name}.npz"
    content = path.read_bytes()
    try:
        with np.load(io.BytesIO(content)) as arrays:
            return dict(arrays)
    except Exception as error:  # NumPy, zipfile and zlib have their own kinds
        raise ValueError(f"{path} is damaged: {error}") from error


class RowsFailedError(RuntimeError):
    """Rows of a comparison failed; the others are kept."""


def run_rows(
    train: Callable[[Any, Path, int], object],
    configs: Sequence[RowConfig],
    out: Path,
    *,
    jobs: int,
    cluster: str | None,
    cluster_options: Mapping[str, Any],
) -> None:
    """Train rows side by side, in ``jobs`` processes here or as jobs of a cluster, with one progress bar for all.

    Arguments:
        train: takes a config, ``out`` and the number of threads; importable, for it runs in another process.
        configs: the rows that are missing.
        out: the folder of the comparison.
        jobs: processes at once, if here.
        cluster: None for here, else a submitit executor: "slurm", "local" or "debug".
        cluster_options: parameters of the submitit executor (timeout_min, slurm_partition, ...).

    Raises:
        RowsFailedError: after all others have ended, if rows failed; names them.
        ValueError: if there is no such cluster here, or an option is not known.
    """
    if not configs:
        return
    threads = max(1, (os.cpu_count() or 1) // jobs)
    if cluster is None:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(jobs, len(configs)), mp_context=context, initializer=_follow_the_parent) as pool:
            futures = [pool.submit(train, config, out, threads) for config in configs]
            try:
                _watch(futures, configs, out)
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                for worker in multiprocessing.active_children():
                    worker.kill()  # Lightning catches SIGTERM; what is written is whole, so nothing is lost
                raise
    else:
        import submitit  # slow to import, and only a cluster needs it

        try:
            executor = submitit.AutoExecutor(out / "jobs", cluster=cluster)
        except RuntimeError as error:
            raise ValueError(f"cluster: {cluster} cannot be used here: {error}") from error
        try:
            executor.update_parameters(**cluster_options)
        except (NameError, TypeError, AssertionError) as error:
            raise ValueError(f"cluster_options: {error}") from error
        _watch([executor.submit(train, config, out, threads) for config in configs], configs, out)


def check_choice(encodings: Sequence[str] | None, seeds: int | None) -> None:
    """Check what a preset was asked to be replaced by.

    Raises:
        ValueError: if ``encodings`` is empty or names one twice, or ``seeds`` is below 1.
    """
    if encodings is not None and not encodings:
        raise ValueError("encodings: expected at least one, got none")
    if encodings is not None and len(set(encodings)) < len(encodings):
        raise ValueError(f"encodings: expected each at most once, got {', '.join(encodings)}")
    if seeds is not None and seeds < 1:
        raise ValueError(f"seeds: expected at least 1, got {seeds}")


def write_row(row: Mapping[str, Any], arrays: Mapping[str, Any], out: Path, name: str) -> None:
    """Record a finished row: first what its figures need, then the row."""
    with written_aside(out / "rows" / f"{name}.npz") as aside:
        np.savez_compressed(aside, **arrays)
    write_json(out / "rows" / f"{name}.json", row)


def compare_rows(
    task: str,
    preset: str,
    configs: Sequence[RowConfig],
    out: Path,
    *,
    train: Callable[[Any, Path, int], object],
    table: Callable[[Sequence[Mapping[str, Any]], Sequence[str]], str],
    draw_figures: Callable[[Sequence[Mapping[str, Any]], Path], object],
    train_missing: bool = True,
    jobs: int = 2,
    cluster: str | None = None,
    cluster_options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train the rows that are not finished, then write ``summary.json``, ``table.md`` and the figures to ``out``.

    An interrupted row goes on from its last checkpoint. What other rows of the same code version the folder has, from
    other choices, is reported with them. Those asked for that are still missing at the end are named as missing.

    Arguments:
        task: the experiment's name.
        preset: the preset's name.
        configs: the rows.
        out: the folder of the comparison.
        train: see :func:`run_rows`.
        table: makes a Markdown table of rows and of the names of missing ones.
        draw_figures: draws the figures of rows into a folder.
        train_missing: if false, only report what is there.
        jobs: see :func:`run_rows`.
        cluster: see :func:`run_rows`.
        cluster_options: see :func:`run_rows`.

    Raises:
        ValueError: if ``out`` holds rows or runs of another config (nothing is touched then), or ``jobs < 1``.
        OSError: if ``out`` cannot be a folder.
    """
    if jobs < 1:
        raise ValueError(f"jobs: expected at least 1, got {jobs}")
    if not train_missing and all(finished_row(config, out) is None for config in configs):
        raise ValueError(f"out: none of the rows asked for is finished in {out}; there is nothing to report")
    out.mkdir(parents=True, exist_ok=True)
    missing = [config for config in configs if train_missing and finished_row(config, out) is None]
    for config in missing:
        check_run(config, out)
    try:
        run_rows(train, missing, out, jobs=jobs, cluster=cluster, cluster_options=cluster_options or {})
    finally:
        found = {config.name: finished_row(config, out) for config in configs}
        rows = [row for row in found.values() if row is not None] + other_rows(configs, out)
        names = [name for name, row in found.items() if row is None]
        summary = {"task": task, "preset": preset, "rows": rows, "missing": names, "environment": environment()}
        write_json(out / "summary.json", summary)
        write_text(out / "table.md", table(rows, names))
        if rows:
            draw_figures(rows, out)
    return summary


def spread(rows: Sequence[Mapping[str, Any]], key: str, digits: int = 4) -> str:
    """The mean over rows, and the range if there are several."""
    values = [row[key] for row in rows]
    mean = f"{np.mean(values):.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def extent(rows: Sequence[Mapping[str, Any]], key: str) -> str:
    """What all rows have, or its range if they differ.

    Example:
        >>> extent([{"steps": 6000}, {"steps": 6000}], "steps"), extent([{"steps": 18000}, {"steps": 20}], "steps")
        ('6,000', '20 to 18,000')
    """
    least, greatest = (f(row[key] for row in rows) for f in (min, max))
    return f"{least:,}" if least == greatest else f"{least:,} to {greatest:,}"


def remarks(rows: Sequence[Mapping[str, Any]], missing: Sequence[str] = ()) -> list[str]:
    """The last lines of a table: steps that were left out of trainings, and the rows that are missing.

    Example:
        >>> row = {"dataset": "er", "encoding": "noise", "seed": 0, "skipped_steps": 2}
        >>> remarks([row, {"skipped_steps": 0}, {}], ["er-haar"])  # the first rows did not count them
        ['Steps left out, for their gradient was not finite: 2 of er noise seed 0.', '', 'Missing rows: er-haar.', '']
    """
    lines, skipped = [], []
    for row in rows:
        if row.get("skipped_steps"):
            name = " ".join(str(row[key]) for key in ("dataset", "backbone", "encoding") if key in row)
            skipped.append(f"{row['skipped_steps']} of {name} seed {row['seed']}")
    if skipped:
        lines += [f"Steps left out, for their gradient was not finite: {'; '.join(skipped)}.", ""]
    if missing:
        lines += [f"Missing rows: {', '.join(missing)}.", ""]
    return lines


def _follow_the_parent() -> None:
    """Leave Ctrl-C to the parent, and end when the parent ends, however it does.

    Ctrl-C reaches every process of the terminal, and a worker would end its row and begin the next one. A parent that
    is killed cannot tell its workers, who would train on.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_it() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_it, daemon=True).start()


def _watch(futures: Sequence[Any], configs: Sequence[RowConfig], out: Path) -> None:
    failures: list[str] = []
    pending = dict(zip((config.name for config in configs), futures, strict=True))
    steps = dict.fromkeys(pending, 0)
    with tqdm(total=sum(config.steps for config in configs), unit="step", smoothing=0.05) as bar:
        while pending:
            time.sleep(0.5)
            values = {}
            for name in list(pending):
                progress = out / "runs" / name / "progress.json"
                if progress.exists():
                    state = read_json(progress)
                    steps[name] = state["step"]
                    values[name] = f"{state['value']:.3f}"
                if pending[name].done():
                    future = pending.pop(name)
                    try:
                        future.result()
                        tqdm.write(f"finished {name}")
                    except (Exception, SystemExit) as error:  # the others go on, and all failures are raised below
                        failures.append(f"{name}: {str(error) or type(error).__name__}")
                        tqdm.write(f"FAILED {failures[-1]}")
            bar.n = sum(steps.values())
            bar.set_postfix(values, refresh=True)
    if failures:
        raise RowsFailedError("these rows failed, the others are kept:\n" + "\n".join(failures))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _git_commit() -> str | None:
    """The commit of the source tree, with "+" if it has changes; None outside a checkout."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "--", str(here.parent)],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if dirty else "")
