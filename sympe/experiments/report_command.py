"""``sympe report``: the options, and what is written."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from sympe.experiments import runs
from sympe.files.options import Options
from sympe.lazy import Deferred

draw_report = Deferred("sympe.experiments.report.draw_report")
report_of = Deferred("sympe.experiments.report.report_of")


@dataclass
class Report:
    """How symmetric is this data, and do its targets need symmetry breaking?

    Reads PyG data (.pt), graph6, digraph6 and sparse6 (.g6, .d6, .s6), molecules (.smi, .csv, .sdf), GraphML
    (.graphml), edge lists (.edgelist, .txt), atoms in space (.xyz, and .sdf with --coordinates), all these texts also
    packed by gzip (.gz), and fields on periodic lattices (.npz, array "fields").
    """

    data: tyro.conf.Positional[tuple[Path, ...]]
    """The files; together they are one data set."""
    options: Annotated[Options, tyro.conf.arg(name="")] = field(default_factory=Options)
    out: Path | None = None
    """Where report.md, report.json and report.png go; runs/report-NAME by default, by the first file."""

    jobs: int | None = None
    """Processes that share the lines of molecules and graph6; by default as many as there are cores."""

    def __call__(self) -> None:
        """Read, report, draw."""
        if not self.data:
            raise ValueError("data: expected at least one file")
        out = self.out or Path("runs") / f"report-{self.data[0].stem}"
        if out.is_file():
            raise ValueError(f"out: expected a folder, got the file {out}")
        title = ", ".join(path.name for path in self.data)
        if self.jobs is not None and self.jobs < 1:
            raise ValueError(f"jobs: expected at least 1, got {self.jobs}")
        found = report_of(self.data, self.options, jobs=self.jobs or os.cpu_count() or 1)
        if not found.inputs:
            raise ValueError(f"data: nothing in {title} could be read\n" + found.markdown())
        runs.write_json(out / "report.json", {"data": [str(path) for path in self.data], **found.summary()})
        runs.write_text(out / "report.md", f"# Symmetries of {title}\n\n" + found.markdown())
        draw_report(found, title, out / "report.png")
        print((out / "report.md").read_text())
        print("\n".join(str(out / name) for name in ("report.json", "report.md", "report.png")))
