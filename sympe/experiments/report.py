"""From files to the symmetry report, and its picture."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import tyro
from torch import Tensor
from tqdm import tqdm

from sympe.experiments import runs
from sympe.experiments.pictures import save
from sympe.files import Options, load
from sympe.graphs import SparseGraphs
from sympe.report import Bad, GraphInput, LatticeInput, Spread, SymmetryReport, symmetry_report


def inputs_of(paths: Sequence[Path], options: Options) -> Iterator[GraphInput | LatticeInput | Bad]:
    """What the report takes, from files, with a progress bar when it takes long."""
    read = itertools.chain.from_iterable(load(path, options) for path in paths)
    for name, content, nodes, edges, floats in tqdm(read, unit="input", delay=5):
        if isinstance(content, SparseGraphs):
            spreads = [
                Spread.of(channel, values, tolerance=options.tolerance) for channel, values in floats if len(values)
            ]
            yield GraphInput(name, content, nodes, edges, tuple(spreads))
        elif isinstance(content, Tensor):
            bonds = len(content) == 3 and options.three_channels == "ising"
            yield LatticeInput(name, content, bonds=bonds, node_targets=nodes)
        else:
            yield Bad(name, content)


def draw_report(report: SymmetryReport, title: str, path: Path) -> None:
    """How many inputs have which log |G_x|; and the least losses, where there are targets."""
    floors = report.summary()["floors"]
    figure, axes = plt.subplots(
        1, 2 if floors else 1, figsize=(9.6 if floors else 6.4, 3.8), squeeze=False, layout="constrained"
    )
    axis = axes[0, 0]
    values = np.array(report.log_orders)
    trivial = int((values <= 1e-6).sum())
    axis.bar([0], [trivial], width=0.08 * max(1.0, values.max()), color="0.6", label="G_x trivial")
    if trivial < len(values):
        axis.hist(values[values > 1e-6], bins=40, color="tab:blue", label="G_x not trivial")
    axis.set_yscale("log")
    axis.set_ylim(bottom=0.5)
    axis.set_xlabel("log |G_x| (nats)")
    axis.set_ylabel("inputs")
    axis.set_title(f"{title}: {report.summary()['symmetric_percent']:.1f} % symmetric")
    axis.legend()
    if floors:
        axis = axes[0, 1]
        for place, floor in enumerate(floors.values()):
            axis.bar([place], [floor["least_loss"]], width=0.5, color="tab:red")
            axis.annotate(f"{floor['least_loss']:.3g}", (place, floor["least_loss"]), ha="center", va="bottom")
        axis.set_xticks(range(len(floors)), [f"{name}\n{floor['kind']}" for name, floor in floors.items()])
        axis.set_xlim(-0.8, len(floors) - 0.2)
        axis.margins(y=0.15)
        axis.set_ylabel("least mean loss")
        axis.set_title("no deterministic equivariant model is below")
    save(figure, path)


@dataclass
class Report:
    """How symmetric is this data, and do its targets need symmetry breaking?

    Reads PyG data (.pt, a pickle: open only what you trust), graph6 and sparse6 (.g6, .s6), molecules (.smi, .csv,
    .sdf, each also packed by gzip), GraphML (.graphml), edge lists (.edgelist, .txt) and fields on periodic lattices
    (.npz, array "fields": three channels are the bonds and the field of an Ising Hamiltonian).
    """

    data: tyro.conf.Positional[tuple[Path, ...]]
    """The files; together they are one data set."""
    options: Annotated[Options, tyro.conf.arg(name="")] = field(default_factory=Options)
    out: Path | None = None
    """Where report.md, report.json and report.png go; runs/report-NAME by default, by the first file."""

    def __call__(self) -> None:
        """Read, report, draw."""
        if not self.data:
            raise ValueError("data: expected at least one file")
        out = self.out or Path("runs") / f"report-{self.data[0].stem}"
        if out.is_file():
            raise ValueError(f"out: expected a folder, got the file {out}")
        title = ", ".join(path.name for path in self.data)
        found = symmetry_report(inputs_of(self.data, self.options), tolerance=self.options.tolerance)
        if not found.log_orders:
            raise ValueError(f"data: nothing in {title} could be read\n" + found.markdown())
        runs.write_json(out / "report.json", {"data": [str(path) for path in self.data], **found.summary()})
        runs.write_text(out / "report.md", f"# Symmetries of {title}\n\n" + found.markdown())
        draw_report(found, title, out / "report.png")
        print((out / "report.md").read_text())
        print("\n".join(str(out / name) for name in ("report.json", "report.md", "report.png")))
