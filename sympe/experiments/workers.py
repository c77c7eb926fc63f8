"""Rows of a comparison side by side: in processes of this machine, or as jobs of a cluster, with one progress bar."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from sympe.experiments import runs
from sympe.experiments.progress import Bar


class RowsFailedError(RuntimeError):
    """Rows of a comparison failed; the others are kept."""


def run_rows(
    train: Callable[[Any, Path, int], object],
    configs: Sequence[runs.RowConfig],
    out: Path,
    *,
    jobs: int,
    cluster: str | None,
    cluster_options: Mapping[str, Any],
    threads: int = 1,
    finished: Callable[[], object] = lambda: None,
) -> None:
    """Train rows side by side, in ``jobs`` processes here or as jobs of a cluster, with one progress bar for all.

    Arguments:
        train: takes a config, ``out`` and the number of threads; importable, for it runs in another process.
        configs: the rows that are missing.
        out: the folder of the comparison.
        jobs: processes at once, if here.
        cluster: None for here, else a submitit executor: "slurm", "local" or "debug".
        cluster_options: parameters of the submitit executor (timeout_min, slurm_partition, ...).
        threads: CPU threads of each row, however many are trained at once: sums in another order end in other digits.
        finished: called after each row that went well while others still train.

    Raises:
        RowsFailedError: after all others have ended, if rows failed; names them.
        ValueError: if there is no such cluster here, or an option is not known.
    """
    if not configs:
        return
    if cluster is None:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(jobs, len(configs)), mp_context=context, initializer=follow_the_parent) as pool:
            try:
                with _sparing_children():
                    futures = [pool.submit(train, config, out, threads) for config in configs]
                _watch(futures, configs, out, finished)
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
        _watch([executor.submit(train, config, out, threads) for config in configs], configs, out, finished)


@contextlib.contextmanager
def _sparing_children() -> Iterator[None]:
    """Processes that are started here begin with Ctrl-C ignored, and not only once they are told to."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def follow_the_parent() -> None:
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


def _progress(out: Path, name: str) -> dict[str, Any]:
    """How far a row is; empty if it has not begun."""
    path = out / "runs" / name / "progress.json"
    return runs.read_json(path, "step", "value") if path.exists() else {}


def _watch(
    futures: Sequence[Any], configs: Sequence[runs.RowConfig], out: Path, finished: Callable[[], object]
) -> None:
    failures: list[str] = []
    pending = dict(zip((config.name for config in configs), futures, strict=True))
    steps = {name: _progress(out, name).get("step", 0) for name in pending}  # of before, where rows go on
    total, first = sum(config.steps for config in configs), sum(steps.values())
    with Bar(delay=0, total=total, initial=first, unit="step", smoothing=0.05) as bar:
        while pending:
            time.sleep(0.5)
            values = {}
            for name in list(pending):
                if state := _progress(out, name):
                    steps[name] = state["step"]
                    values[name] = f"{state['value']:.3f}"
                if pending[name].done():
                    future = pending.pop(name)
                    try:
                        future.result()
                    except (Exception, SystemExit) as error:  # the others go on, and all failures are raised below
                        failures.append(f"{name}: {str(error) or type(error).__name__}")
                        Bar.write(f"FAILED {failures[-1]}")
                    else:
                        Bar.write(f"finished {name}")
                        if pending:
                            finished()
            bar.n = sum(steps.values())
            bar.set_postfix(values, refresh=True)
    if failures:
        raise RowsFailedError("these rows failed, the others are kept:\n" + "\n".join(failures))
