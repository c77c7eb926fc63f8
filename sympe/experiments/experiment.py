"""What an experiment is: one frozen object, of which everything that can be done with experiments is made."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from sympe.experiments import runs
from sympe.experiments.progress import Bar
from sympe.experiments.tables import Rows
from sympe.experiments.workers import RowsFailedError, run_rows


class Task(Protocol):
    """One row that can be trained and measured. :class:`~sympe.experiments.training.RowTask` is one."""

    @property
    def data_hash(self) -> str | None:
        """Of the training data; None if the config says what they are."""

    @property
    def global_rank(self) -> int:
        """Of several processes that train the row, the first one (0) records it."""

    def train_in(self, run: Path, **options: Any) -> None:
        """Train in a run directory, or go on there."""

    def measure(self, out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        """The numbers of the row, and the arrays that its figures need; ``out`` is the folder of the comparison."""


@dataclass(frozen=True)
class Nothing:
    """No options."""


@dataclass(frozen=True)
class Experiment:
    """An experiment: what its rows are, how one is trained and measured, and how they are shown.

    Arguments:
        name: what the command line calls it; its results are in ``results/NAME``.
        title: what it compares, in a few words.
        config: the type of the config of a row, a frozen dataclass with :attr:`name`, ``steps``, ``seed`` and
            ``code_version`` (:class:`~sympe.experiments.runs.RowConfig`).
        presets: the names of its presets.
        rows: the configs of a preset; takes the preset and, as keywords, the fields of ``choices``.
        task: makes the task of a config; takes the config and the fields of ``data``.
        table: makes a Markdown table of rows and of the names of missing ones.
        figures: draws the figures of rows into a folder.
        keys: fields of the config that stand at the top of a row.
        choices: a dataclass of what replaces a preset's own choices; its defaults replace nothing.
        data: a dataclass that says where the data are; its defaults mean what comes with the package.
        prepare: called before rows are trained, with their configs, the folder and the fields of ``data``; refuses what
            cannot work.
        evaluate: the numbers of a run directory; takes the fields of ``data`` and of ``evaluation``.
        evaluation: a dataclass of options of ``evaluate``.
        check: tests whether the model of a run directory is equivariant in distribution; takes ``inputs``, the fields
            of ``data``, and the options of :func:`sympe.testing.equivariance_test`, and returns what that does.
        commands: commands of its own, by their word.
        published: the numbers that others reported, by the name of their model.
    """

    name: str
    title: str
    config: type[Any]
    presets: tuple[str, ...]
    rows: Callable[..., Sequence[Any]]
    task: Callable[..., Task]
    table: Callable[[Rows, Sequence[str]], str]
    figures: Callable[[Rows, Path], object]
    keys: tuple[str, ...]
    choices: type[Any] = Nothing
    data: type[Any] = Nothing
    prepare: Callable[..., None] | None = None
    evaluate: Callable[..., dict[str, Any]] | None = None
    evaluation: type[Any] = Nothing
    check: Callable[..., Any] | None = None
    commands: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    published: Mapping[str, str] = field(default_factory=dict)

    def folder(self, preset: str) -> Path:
        """Where comparisons write unless told otherwise."""
        return Path("runs") / f"{self.name}-{preset}"

    @property
    def committed(self) -> Path:
        """Where the rows are that come with a clone."""
        return Path("results") / self.name

    def __repr__(self) -> str:
        return f"Experiment({self.name!r}, presets {', '.join(self.presets)})"

    def train(
        self, config: Any, out: Path, threads: int | None = None, *, data: Any = None, **options: Any
    ) -> dict[str, Any] | None:
        """Train, measure and record one row, or go on from its last checkpoint.

        Arguments:
            config: the row.
            out: the folder of the comparison.
            threads: CPU threads; None leaves them as they are.
            data: where the data are; None for the defaults.
            options: of :func:`sympe.experiments.training.fit`.

        Returns:
            The row; None in processes that are not the first of those that train it.

        Raises:
            ValueError: if ``out`` holds such a row or run of another config or other data, or something does not fit.
        """
        task = self.task(config, **vars(data or self.data()))  # what it refuses leaves no run directory
        run = runs.prepare_run(config, out, data_hash=task.data_hash)
        task.train_in(run, threads=threads, **options)
        if task.global_rank != 0:
            return None
        numbers, arrays = task.measure(out)
        environment = numbers.pop("environment", None) or runs.environment()  # it may have been trained elsewhere
        row = {
            **{key: getattr(config, key) for key in self.keys},
            **numbers,
            "steps": config.steps,
            "config": dataclasses.asdict(config),
            "environment": environment,
        }
        runs.write_row(row, arrays, out, config.name)
        return row

    def compare(
        self,
        preset: str,
        out: Path,
        *,
        data: Any = None,
        train_missing: bool = True,
        jobs: int = 2,
        threads: int = 1,
        cluster: str | None = None,
        cluster_options: Mapping[str, Any] | None = None,
        **choices: Any,
    ) -> dict[str, Any]:
        """Train the rows that are not finished, then write ``summary.json``, ``table.md`` and the figures to ``out``.

        Rows that are there for the same config and code version are kept; an interrupted row goes on from its last
        checkpoint. What other rows of the same code version the folder has, from other choices, is reported with them.
        The report is written when the first row is finished, now and then as others are, and at the end; it names the
        rows that are missing.

        Arguments:
            preset: one of :attr:`presets`.
            out: the folder of the comparison.
            data: where the data are; None for the defaults.
            train_missing: if false, only report what is there.
            jobs: rows trained at once on this machine.
            threads: CPU threads of each row.
            cluster: see :func:`sympe.experiments.workers.run_rows`.
            cluster_options: see :func:`sympe.experiments.workers.run_rows`.
            choices: the fields of :attr:`choices`.

        Returns:
            The summary.

        Raises:
            ValueError: if ``out`` holds rows or runs of another config or other data (nothing is touched then), a
                choice is not known, or ``jobs`` or ``threads`` is below 1.
            OSError: if ``out`` cannot be a folder.
            RowsFailedError: after all others have ended, if rows failed; names them.
        """
        configs = self.rows(preset, **choices)
        for name, number in (("jobs", jobs), ("threads", threads)):
            if number < 1:
                raise ValueError(f"{name}: expected at least 1, got {number}")
        unfinished = [config for config in configs if runs.finished_row(config, out) is None]
        missing = unfinished if train_missing else []
        if self.prepare is not None:
            self.prepare(configs, missing, out, **vars(data or self.data()))
        if not train_missing and len(unfinished) == len(configs):
            others = sum(runs.is_finished(config, self.committed) for config in configs)
            hint = f"; {others} are in {self.committed}, for --out" if others else ""
            raise ValueError(f"out: none of the rows asked for is finished in {out}; there is nothing to report{hint}")
        out.mkdir(parents=True, exist_ok=True)
        for config in missing:
            runs.check_run(config, out)
        took = ended = 0.0

        def report_now_and_then() -> None:
            nonlocal took, ended
            started = time.monotonic()
            if started - ended >= 20 * took:  # the cores are there for the rows
                try:
                    self.report(preset, configs, out)
                except Exception as error:  # rows go on; if it fails at the end, too, it is raised there
                    Bar.write(f"the report failed: {error}")
                ended = time.monotonic()
                took = ended - started

        try:
            run_rows(
                partial(self.train, data=data),
                missing,
                out,
                jobs=jobs,
                threads=threads,
                cluster=cluster,
                cluster_options=cluster_options or {},
                finished=report_now_and_then,
            )
        except RowsFailedError as error:
            try:
                self.report(preset, configs, out)
            except Exception as picture:  # it must not hide which rows failed
                raise RowsFailedError(f"{error}\nand the report failed: {picture}") from picture
            raise
        except BaseException:
            self.report(preset, configs, out)
            raise
        return self.report(preset, configs, out)

    def report(self, preset: str, configs: Sequence[Any], out: Path) -> dict[str, Any]:
        """Write summary, table and figures of the finished rows, and name the others."""
        found = {config.name: runs.finished_row(config, out) for config in configs}
        rows = [row for row in found.values() if row is not None] + runs.other_rows(configs, out)
        names = [name for name, row in found.items() if row is None]
        environment = runs.environment()
        summary = {"task": self.name, "preset": preset, "rows": rows, "missing": names, "environment": environment}
        runs.write_json(out / "summary.json", summary)
        table = self.table(rows, names)
        if preset == "smoke":
            table = f"{table.rstrip()}\n\nPreset smoke: it shows that everything runs; its numbers mean nothing.\n"
        runs.write_text(out / "table.md", table)
        if rows:
            self.figures(rows, out)
        return summary
