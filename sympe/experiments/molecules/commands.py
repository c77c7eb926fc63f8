"""Commands of their own: draw molecules from a trained model, and write a dataset as one file of tensors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sympe.experiments.molecules.config import Dataset
from sympe.lazy import Deferred

load_all = Deferred("sympe.experiments.molecules.reading.load_all")
sample_to = Deferred("sympe.experiments.molecules.sampling.sample_to")
write_molecules = Deferred("sympe.experiments.molecules.data.write_molecules")


@dataclass
class Sample:
    """Draw molecules from a trained model: molecules.smi, molecules.png and metrics.json."""

    model: tyro.conf.Positional[str]
    """A run directory, a model file, or the name of a model that comes with the package."""
    count: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 100
    """How many."""
    out: Path | None = None
    """Where everything goes; runs/sample-MODEL by default."""
    steps: int | None = None
    """Reverse steps: by a table of places where the model has one of so many, else evenly over the times. By default
    its largest table, or 100, or all noise levels if there are fewer."""
    temperature: float = 1.0
    """Below 1 the network is surer than it has learned to be: more valid molecules, fewer different ones."""
    seed: int = 0
    """Of the draws."""
    fcd: bool = False
    """Compute the Fréchet ChemNet distance to the test set, too."""
    data: Path | None = None
    """A wheel, a folder or a file with the molecules; by default the installed package."""

    def __call__(self) -> None:
        """Draw, write, and print the metrics."""
        out = self.out or Path("runs") / f"sample-{Path(self.model).name}"
        metrics = sample_to(
            self.model,
            self.count,
            out,
            steps=self.steps,
            temperature=self.temperature,
            seed=self.seed,
            data=self.data,
            fcd=self.fcd,
        )
        print(json.dumps(metrics, indent=1))
        print("\n".join(str(path) for path in sorted(out.glob("m*.*"))))


@dataclass
class MoleculesFile:
    """Write the molecules of a dataset as one file that needs no RDKit: for `python -m sympe.experiments.molecules`."""

    dataset: tyro.conf.Positional[Dataset]
    """The molecules."""
    out: Path | None = None
    """The file; DATASET.npz by default."""
    data: Path | None = None
    """A wheel, a folder or a file with the molecules; by default the installed package."""

    def __call__(self) -> None:
        """Read, write, and print the path and how many molecules it has."""
        out = self.out or Path(f"{self.dataset}.npz")
        molecules = load_all(self.dataset, data=self.data)
        write_molecules(molecules, out)
        print(f"{out}: {len(molecules):,} molecules, hash {molecules.content_hash}")
