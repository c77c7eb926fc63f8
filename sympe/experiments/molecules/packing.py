"""A dataset as one file of tensors, for machines that train and have no RDKit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from sympe.experiments.molecules.config import Dataset
from sympe.experiments.molecules.data import write_molecules
from sympe.experiments.molecules.reading import load_all


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
