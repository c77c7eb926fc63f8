"""What all experiments share: where a run lives, what is recorded of it, and how the rows of a comparison are run.

A comparison lives in one folder ``DIR``::

    DIR/rows/NAME.json      one finished row: config, metrics, environment (small, kept in git)
    DIR/rows/NAME.npz       what its figures need
    DIR/runs/NAME/          its run directory: config.json, last.ckpt, progress.json, logs/ of Lightning
    DIR/summary.json, DIR/table.md, DIR/*.png

Files are written aside and renamed, so that a file is there whole or not at all.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

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
    """Versions (None for what runs from a source tree), machine and git commit, to stand beside a result."""
    import torch  # help and lists do not wait for it

    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "commit": _git_commit(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def data_hash(*tensors: Any) -> str:
    """Twelve hexadecimal digits of the content of tensors."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(str((tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


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


def is_finished(config: RowConfig, out: Path) -> bool:
    """Whether there is a row of this config; one of that name with another config is none of it."""
    try:
        return finished_row(config, out) is not None
    except ValueError:
        return False


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


def _refuse_another(path: Path, stored: Mapping[str, Any], config: RowConfig) -> None:
    difference = config_differs(stored, dataclasses.asdict(config))
    if difference:
        raise ValueError(f"out: {path} was made with another config ({difference}); choose another --out")


def write_progress(run: Path, step: int, value: float) -> None:
    """Tell whoever watches how far a run is."""
    write_json(run / "progress.json", {"step": step, "value": value})


def read_curve(run: Path, *, name: str = "curve") -> list[tuple[int, float]]:
    """A curve, by default that of training, from what Lightning's CSV logger wrote each time the run went on.

    Of several values at one step the last counts. A line that is not whole at the end of a file is that of a run that
    was killed as it wrote: it went on from before.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if a file is damaged, naming it.
    """
    points: dict[int, float] = {}
    for path in sorted((run / "logs").glob("version_*/metrics.csv"), key=lambda path: int(path.parent.name[8:])):
        whole, _, _ = path.read_text().rpartition("\n")
        try:
            rows = list(csv.DictReader(whole.splitlines(), strict=True))
            points |= {int(row["step"]): float(row[name]) for row in rows if row.get(name)}
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            raise ValueError(f"{path} is damaged: expected a step and a value in every line ({error})") from error
    if not points:
        raise FileNotFoundError(f"run: no curve {name!r} in the logs of {run}")
    return sorted(points.items())


def read_arrays(path: Path) -> dict[str, Any]:
    """The arrays of a file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, naming the file.
    """
    import numpy as np

    content = path.read_bytes()
    try:
        with np.load(io.BytesIO(content)) as arrays:
            return dict(arrays)
    except Exception as error:  # NumPy, zipfile and zlib have their own kinds
        raise ValueError(f"{path} is damaged: {error}") from error


def read_row_arrays(out: Path, name: str) -> dict[str, Any]:
    """What the figures of a row need; errors are those of :func:`read_arrays`."""
    return read_arrays(out / "rows" / f"{name}.npz")


def write_row(row: Mapping[str, Any], arrays: Mapping[str, Any], out: Path, name: str) -> None:
    """Record a finished row: first what its figures need, then the row."""
    import numpy as np

    with written_aside(out / "rows" / f"{name}.npz") as aside:
        np.savez_compressed(aside, **arrays)
    write_json(out / "rows" / f"{name}.json", row)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _git_commit() -> str | None:
    """The commit of the source tree, with "+" if it has changes; $SYMPE_COMMIT goes before it, None is for neither."""
    if told := os.environ.get("SYMPE_COMMIT"):
        return told
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
