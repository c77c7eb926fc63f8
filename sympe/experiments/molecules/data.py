"""Molecules as batches of graphs, their splits, and a file of them. Nothing here needs RDKit."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from sympe.experiments import runs
from sympe.graphs import DenseGraphs

BOND_TYPES = 4
"""Types of pairs: no bond, a single, a double, a triple one."""

SPLITS = ("train", "validation", "test")
LARGEST_TRAINING_SET = 100_000
LARGEST_MOLECULE = 256
"""Atoms, at most: graphs are dense, and all are padded to the largest."""


@dataclass(frozen=True)
class Source:
    """Where a dataset is, and what its molecules are made of.

    Arguments:
        atoms: the elements, in the order of their types.
        hydrogens: whether hydrogens are nodes.
        package: the name on PyPI of the package whose wheel has the files.
        files: paths in the wheel, by split; under "all" if the dataset is to be split here.
    """

    atoms: tuple[str, ...]
    hydrogens: bool
    package: str
    files: dict[str, tuple[str, ...]]


_QM9 = {"all": tuple(f"qm9pack/data/qm9_part{part}.csv" for part in (1, 2, 3))}
SOURCES = {
    "qm9": Source(("C", "N", "O", "F"), False, "qm9pack", _QM9),
    "qm9-h": Source(("H", "C", "N", "O", "F"), True, "qm9pack", _QM9),
    "moses": Source(
        ("C", "N", "S", "O", "F", "Cl", "Br"),
        False,
        "molsets",
        {
            "train": ("moses/dataset/data/train.csv.gz",),
            "validation": ("moses/dataset/data/test.csv.gz",),
            "test": ("moses/dataset/data/test_scaffolds.csv.gz",),
        },
    ),
}


@dataclass(frozen=True)
class Molecules:
    """Molecules as padded graphs of atom and bond types.

    Arguments:
        colors: types of the atoms, 0 in the padding.
        pairs: types of the pairs, 0 without a bond and in the padding.
        sizes: numbers of atoms.
        smiles: what each was read from.
        failed: name of and reason for every molecule that could not be used.
        atoms: the elements, in the order of their types.
    """

    colors: Int8[Tensor, "molecules nodes"]
    pairs: Int8[Tensor, "molecules nodes nodes"]
    sizes: Int64[Tensor, " molecules"]
    smiles: list[str]
    failed: list[tuple[str, str]]
    atoms: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.sizes)

    def __deepcopy__(self, memo: object) -> Molecules:
        """Itself: it is never changed, and Lightning copies a module with all that it holds."""
        return self

    @property
    def content_hash(self) -> str:
        """Twelve hexadecimal digits of the graphs."""
        return runs.data_hash(self.colors, self.pairs, self.sizes)

    def graphs(self, rows: Int64[Tensor, " chosen"]) -> DenseGraphs:
        """Some of them, padded to the largest of these."""
        sizes = self.sizes[rows]
        n = int(sizes.max()) if len(rows) else 0
        mask = torch.arange(n) < sizes[:, None]
        return DenseGraphs(self.pairs[rows, :n, :n].long(), self.colors[rows, :n].long(), mask)

    def subset(self, rows: Int64[Tensor, " chosen"]) -> Molecules:
        """Some of them; what failed is still named."""
        smiles = [self.smiles[row] for row in rows.tolist()]
        return Molecules(self.colors[rows], self.pairs[rows], self.sizes[rows], smiles, self.failed, self.atoms)


def cache_folder(cache: Path | None) -> Path:
    """Where caches are: as named, or in ``$SYMPE_CACHE``, or in ``~/.cache/sympe``."""
    return Path(os.environ.get("SYMPE_CACHE", Path.home() / ".cache" / "sympe")) if cache is None else cache


def write_molecules(molecules: Molecules, path: Path) -> None:
    """Write molecules as one .npz file, whole or not at all: types, sizes, SMILES, elements and the hash of all graphs.

    Arguments:
        molecules: what is written.
        path: the file; its folder is made.
    """
    about = {"atoms": molecules.atoms, "smiles": molecules.smiles, "failed": molecules.failed}
    text = json.dumps({**about, "hash": molecules.content_hash})
    with runs.written_aside(path) as aside, aside.open("wb") as file_object:
        np.savez_compressed(
            file_object,
            colors=molecules.colors.numpy(),
            pairs=molecules.pairs.numpy(),
            sizes=molecules.sizes.numpy(),
            text=np.frombuffer(text.encode(), np.uint8),
        )


def read_molecules(path: Path, source: Source) -> Molecules:
    """Read what :func:`write_molecules` wrote.

    Raises:
        ValueError: if the file is damaged, or of other elements.
        FileNotFoundError: if there is none.
    """
    content = path.read_bytes()
    try:
        with np.load(io.BytesIO(content)) as stored:
            arrays = {key: torch.from_numpy(stored[key]) for key in ("colors", "pairs", "sizes")}
            about = json.loads(stored["text"].tobytes())
        atoms, failed = tuple(about["atoms"]), [(name, reason) for name, reason in about["failed"]]
        found = Molecules(**arrays, smiles=about["smiles"], failed=failed, atoms=atoms)
        digest, wanted = found.content_hash, about["hash"]
    except Exception as error:  # NumPy, zipfile and zlib have their own kinds
        raise ValueError(f"{path} is damaged ({error})") from error
    if digest != wanted:
        raise ValueError(f"{path} is damaged (its graphs have the hash {digest}, not {wanted})")
    if atoms != source.atoms:
        raise ValueError(f"{path} is of the elements {', '.join(atoms)}, not {', '.join(source.atoms)}")
    return found


def check_splits(splits: Sequence[str]) -> None:
    """Refuse names that are none of SPLITS.

    Raises:
        ValueError: if there is one.
    """
    for split in splits:
        if split not in SPLITS:
            raise ValueError(f"split: expected one of {', '.join(SPLITS)}; got {split!r}")


def split_molecules(molecules: Molecules, splits: Sequence[str]) -> list[Molecules]:
    """Some of the three parts: shuffled with seed 42, a tenth to test, at most LARGEST_TRAINING_SET to train.

    Raises:
        ValueError: if a name is unknown, or there are fewer than 10 molecules.
    """
    check_splits(splits)
    if len(molecules) < 10:
        raise ValueError(f"data: expected at least 10 molecules to split, got {len(molecules)}")
    order = np.random.RandomState(42).permutation(len(molecules))
    test = len(order) // 10
    train = min(LARGEST_TRAINING_SET, len(order) * 8 // 10)
    parts = {"train": order[:train], "validation": order[train : len(order) - test], "test": order[len(order) - test :]}
    return [molecules.subset(torch.from_numpy(parts[split])) for split in splits]
