"""Molecules from SMILES, tables and structure-data files, packed or not: first as SMILES strings, then as graphs."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sympe.files.base import Loaded, attempt, suffix_of, unpacked
from sympe.files.options import Options
from sympe.files.sdf import clouds_of_records, smiles_of_records
from sympe.files.smiles import graph_from_smiles, smiles_of_lines
from sympe.files.tables import rows_of_table
from sympe.graphs import SparseGraphs

SUFFIXES = (".smi", ".csv", ".sdf", ".smi.gz", ".csv.gz", ".sdf.gz")


class Entry(NamedTuple):
    """One molecule of a file, not yet parsed.

    Arguments:
        place: the file, without ".gz", and the line or the number of the record.
        smiles: what may be a SMILES string.
        columns: of a table, all that its row has.
    """

    place: str
    smiles: str
    columns: dict[str, str]


def entries(name: str, file: io.BufferedIOBase, *, smiles_column: str | None = None) -> Iterator[Entry]:
    """All molecules of a file, one at a time.

    Arguments:
        name: what the file is called; its suffix is the format.
        file: its bytes.
        smiles_column: of a table; None for the first whose name contains "smiles".

    Raises:
        ValueError: if the suffix is none of SUFFIXES, or the file as a whole cannot be read.
        ImportError: if a package is missing; names the extra.

    Example:
        >>> [entry.smiles for entry in entries("a.smi", io.BytesIO(b"CCO ethanol"))]
        ['CCO']
    """
    if not name.endswith(SUFFIXES):
        raise ValueError(f"data: expected a file that ends with {', '.join(SUFFIXES)}; got {name}")
    with unpacked(name, file) as (name, file):
        if name.endswith(".csv"):
            yield from (Entry(*row) for row in rows_of_table(name, file, smiles_column))
            return
        read = smiles_of_lines if name.endswith(".smi") else smiles_of_records
        yield from (Entry(place, smiles, {}) for place, smiles in read(name, file))


def read(path: Path, options: Options) -> Iterator[Loaded]:
    """The graphs of the molecules, or clouds of their atoms where coordinates are asked for."""
    if options.coordinates and suffix_of(path) == ".sdf":
        with path.open("rb") as file, unpacked(path.name, file) as (name, stream):
            yield from clouds_of_records(name, stream)
        return
    for place, smiles in texts(path, options):
        yield attempt(place, partial(parse, suffix_of(path), smiles, options))


def texts(path: Path, options: Options) -> Iterator[tuple[str, str]]:
    """Place and SMILES of every molecule, not yet parsed."""
    with path.open("rb") as file:
        for place, smiles, _ in entries(path.name, file, smiles_column=options.smiles_column):
            yield place, smiles


def parse(suffix: str, smiles: str, options: Options) -> SparseGraphs:
    """The graph of one molecule."""
    return graph_from_smiles(smiles, hydrogens=options.hydrogens)
