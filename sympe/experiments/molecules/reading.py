"""Read molecules with RDKit, and write graphs as canonical SMILES."""

from __future__ import annotations

import contextlib
import hashlib
import io
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
from sympe.experiments.molecules.data import LARGEST_MOLECULE, Molecules, Source, cache_folder
from sympe.experiments.progress import Bar
from sympe.files.molecules import entries
from sympe.files.smiles import molecule_from_smiles

_CHUNK = 2000
Parsed = tuple[str, str, "np.ndarray | None", "np.ndarray | None"]
"""Name, SMILES, types of atoms and pairs; of what cannot be used name and reason. Arrays go from process to process."""


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
    name = f"smiles-{'-'.join(molecules.atoms)}-{molecules.content_hash}-rdkit-{version('rdkit')}.txt"
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
