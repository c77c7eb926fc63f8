"""From files to the symmetry report, and its picture."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from functools import partial
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

from sympe.experiments.pictures import PLAIN, SYMPE, WIDE, save
from sympe.experiments.progress import Bar
from sympe.experiments.workers import follow_the_parent
from sympe.files import Loaded, Options, load, load_texts, parse_texts
from sympe.files.base import suffix_of
from sympe.graphs import Clouds, SparseGraphs
from sympe.report import Bad, CloudInput, GraphInput, LatticeInput, Spread, SymmetryReport, symmetry_report

_CHUNK = 1024


def inputs_of(paths: Sequence[Path], options: Options) -> Iterator[GraphInput | CloudInput | LatticeInput | Bad]:
    """What the report takes, from files."""
    return _inputs(itertools.chain.from_iterable(load(path, options) for path in paths), options)


def _inputs(read: Iterable[Loaded], options: Options) -> Iterator[GraphInput | CloudInput | LatticeInput | Bad]:
    for name, content, nodes, edges, floats in read:
        if isinstance(content, SparseGraphs):
            spreads = [
                Spread.of(channel, values, tolerance=options.tolerance) for channel, values in floats if len(values)
            ]
            yield GraphInput(name, content, nodes, edges, tuple(spreads))
        elif isinstance(content, Clouds):
            yield CloudInput(name, content, nodes)
        elif isinstance(content, Tensor):
            bonds = len(content) == 3 and options.three_channels == "ising"
            yield LatticeInput(name, content, bonds=bonds, node_targets=nodes)
        else:
            yield Bad(name, content)


def report_of(paths: Sequence[Path], options: Options, *, jobs: int) -> SymmetryReport:
    """The report of all files, in memory that does not grow with the number of lines, and with a progress bar.

    Arguments:
        paths: the files.
        options: what to read.
        jobs: processes among which the lines of molecules and graph6 are shared.
    """
    total = SymmetryReport(each=False, tolerance=options.tolerance)
    with Bar(unit="input") as bar, contextlib.ExitStack() as stack:
        pool: ProcessPoolExecutor | None = None
        for path in paths:
            texts = load_texts(path, options)
            if texts is None:
                inputs = _inputs(load(path, options), options)
                total.join(_report(inputs, options, bar.update))
                continue
            look = partial(_look, suffix_of(path), options)
            waiting: deque[Future[SymmetryReport]] = deque()
            number = -1
            while chunk := list(itertools.islice(texts, _CHUNK)):
                number += 1
                if jobs == 1 or (pool is None and number == 0 and len(chunk) < _CHUNK):
                    _join(total, look(chunk), bar)
                    continue
                if pool is None:
                    context = multiprocessing.get_context("spawn")
                    workers = ProcessPoolExecutor(jobs, mp_context=context, initializer=follow_the_parent)
                    pool = stack.enter_context(workers)
                if len(waiting) > 2 * jobs:
                    _join(total, waiting.popleft().result(), bar)
                waiting.append(pool.submit(look, chunk))
            for future in waiting:
                _join(total, future.result(), bar)
    return total


def _look(suffix: str, options: Options, texts: Sequence[tuple[str, str]]) -> SymmetryReport:
    torch.set_num_threads(1)
    return _report(_inputs(parse_texts(suffix, texts, options), options), options)


def _report(
    inputs: Iterable[GraphInput | CloudInput | LatticeInput | Bad],
    options: Options,
    progress: Callable[[int], object] = lambda count: None,
) -> SymmetryReport:
    return symmetry_report(
        inputs,
        tolerance=options.tolerance,
        distance_tolerance=options.distance_tolerance,
        each=False,
        progress=progress,
    )


def _join(total: SymmetryReport, part: SymmetryReport, bar: Bar) -> None:
    total.join(part)
    bar.update(part.inputs + part.unread)


def draw_report(report: SymmetryReport, title: str, path: Path) -> None:
    """How many inputs have which log |G_x|; and the least losses, where there are targets."""
    floors = report.summary()["floors"]
    figure, axes = plt.subplots(
        1, 2 if floors else 1, figsize=(WIDE if floors else PLAIN[0], 4.0), squeeze=False, layout="constrained"
    )
    axis = axes[0, 0]
    values, counts = np.array(list(report.counts)), np.array(list(report.counts.values()))
    trivial = int(counts[values <= 1e-6].sum())
    axis.bar([0], [trivial], width=0.08 * max(1.0, values.max()), color="0.6", label="G_x trivial")
    if trivial < report.inputs:
        some = values > 1e-6
        axis.hist(values[some], bins=40, weights=counts[some], color=SYMPE, label="G_x not trivial")
    axis.set_yscale("log")
    axis.set_ylim(bottom=0.5)
    axis.set_xlabel("log |G_x| (nats)")
    axis.set_ylabel("number of inputs")
    axis.set_title(f"{title}: {report.summary()['symmetric_percent']:.1f} % symmetric")
    axis.legend()
    if floors:
        axis = axes[0, 1]
        for place, floor in enumerate(floors.values()):
            axis.bar([place], [floor["least_loss"]], width=0.5, color="#d62728")
            axis.annotate(f"{floor['least_loss']:.3g}", (place, floor["least_loss"]), ha="center", va="bottom")
        axis.set_xticks(range(len(floors)), [f"{name}\n{floor['kind']}" for name, floor in floors.items()])
        axis.set_xlim(-0.8, len(floors) - 0.2)
        axis.margins(y=0.15)
        axis.set_ylabel("least mean loss (nats, or squared units of the target)")
        axis.set_title("no deterministic equivariant model is below")
    save(figure, path)
