"""Rows on a machine without chemistry: ``python -m sympe.experiments.molecules``.

::

    sympe molecules-file qm9 --out qm9.npz                     # where RDKit is: the molecules as tensors, one file
    python -m sympe.experiments.molecules few-steps --preset gpu --data qm9.npz --out runs/few-steps      # on the node
    sympe compare few-steps --preset gpu --out runs/few-steps                       # where RDKit is: SMILES and table

With ``--together`` rows of one shape are trained as one network (:mod:`sympe.experiments.molecules.together`), which on
a GPU costs little more than one of them, and those that need it alone; then each is measured. The node needs torch,
Lightning, igraph and safetensors, and neither RDKit nor the ``sympe`` command. Of ``OUT/runs`` all but the checkpoints
(``last.ckpt``) has to be brought back. A row that was interrupted goes on from its checkpoint; one that is measured is
left alone. Where the source tree is no checkout, ``$SYMPE_COMMIT`` says what it is.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sympe.experiments import runs
from sympe.experiments.molecules.chains import measure_chains
from sympe.experiments.molecules.config import MoleculesConfig
from sympe.experiments.molecules.data import SOURCES, SPLITS, read_molecules, split_molecules
from sympe.experiments.molecules.evaluation import measure
from sympe.experiments.molecules.files import MODEL_FILE
from sympe.experiments.molecules.presets import few_steps_configs, preset_configs
from sympe.experiments.molecules.together import groups, train_together, why_alone
from sympe.experiments.molecules.training import MEASURED, make_task
from sympe.experiments.workers import run_rows

KINDS: dict[str, tuple[Any, Any]] = {
    "molecules": (preset_configs, measure),
    "few-steps": (few_steps_configs, measure_chains),
}


def train_and_keep(config: MoleculesConfig, out: Path, threads: int, *, kind: str, data: Path, **options: Any) -> None:
    """Train one row, or go on with it, and measure all that needs no chemistry."""
    parts = split_molecules(read_molecules(data, SOURCES[config.dataset]), SPLITS)
    task = make_task(config, parts, measure=KINDS[kind][1])
    run = runs.prepare_run(config, out, data_hash=task.data_hash)
    task.train_in(run, threads=threads, **options)
    if task.global_rank == 0:
        task.keep(run)


def train_missing(
    configs: Sequence[MoleculesConfig], out: Path, *, data: Path, accelerator: str, workers: int, compiled: bool
) -> None:
    """Train the rows that have no model yet, those of one shape together; none is measured.

    Those that can be trained only alone (:func:`~sympe.experiments.molecules.together.why_alone`) are left out.

    Raises:
        ArithmeticError: if a row had gradients that are not finite.
    """
    begun = (MODEL_FILE, "last.ckpt")  # with a checkpoint it goes on alone
    missing = [
        config
        for config in configs
        if not why_alone(config) and not any((out / "runs" / config.name / file).exists() for file in begun)
    ]
    device = torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")
    parts: dict[str, Any] = {}
    for config in missing:
        if config.dataset not in parts:
            parts[config.dataset] = split_molecules(read_molecules(data, SOURCES[config.dataset]), SPLITS)
    for group in groups([make_task(config, parts[config.dataset]) for config in missing]):
        train_together(group, out, device=device, workers=workers, compiled=compiled)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command; raises what :func:`~sympe.experiments.workers.run_rows` raises."""
    parser = argparse.ArgumentParser(
        prog="python -m sympe.experiments.molecules", description="Train rows where there is no RDKit."
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--data", type=Path, required=True, help="a file of `sympe molecules-file`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="names of rows; all of the preset by default")
    parser.add_argument("--jobs", type=int, default=1, help="rows at once")
    parser.add_argument("--accelerator", default="auto", help="Lightning's accelerator")
    parser.add_argument("--together", action="store_true", help="train rows as one network with stacked weights")
    parser.add_argument("--compile", action="store_true", help="with --together, compile that network")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes that make their batches")
    parser.add_argument("--steps", type=int, help="optimiser steps, in place of the preset's")
    given = parser.parse_args(arguments)
    try:
        configs = {config.name: config for config in KINDS[given.kind][0](given.preset)}
        if given.steps is not None:
            configs = {name: dataclasses.replace(config, steps=given.steps) for name, config in configs.items()}
    except ValueError as error:
        parser.error(str(error))
    unknown = set(given.only or ()) - set(configs)
    if unknown:
        parser.error(f"--only: expected some of {', '.join(configs)}; got {', '.join(sorted(unknown))}")
    if given.jobs < 1:
        parser.error(f"--jobs: expected at least 1, got {given.jobs}")
    if not given.data.is_file():
        parser.error(f"--data: no file {given.data}")
    missing = [
        config
        for name, config in configs.items()
        if name in (given.only or configs) and not (given.out / "runs" / name / f"{MEASURED}.json").exists()
    ]
    given.out.mkdir(parents=True, exist_ok=True)
    if given.together:
        options = {"data": given.data, "accelerator": given.accelerator, "workers": given.workers}
        train_missing(missing, given.out, compiled=given.compile, **options)
    work = partial(train_and_keep, kind=given.kind, data=given.data, accelerator=given.accelerator)
    run_rows(work, missing, given.out, jobs=given.jobs, cluster=None, cluster_options={})
