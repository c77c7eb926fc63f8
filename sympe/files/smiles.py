"""SMILES (.smi): a molecule a line, with or without a name after it; and the graph of a molecule."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from sympe.extras import missing
from sympe.files.base import lines
from sympe.graphs import SparseGraphs
from sympe.graphs.molecules import graphs_of_molecules


def smiles_of_lines(name: str, file: io.BufferedIOBase) -> Iterator[tuple[str, str]]:
    """Place and SMILES of every line that is not blank, with its CXSMILES extension (`|^1:0|`) if it has one."""
    for place, line in lines(name, file):
        smiles, *rest = re.split("[ \t]+", line, maxsplit=1)  # other space ends no SMILES string for RDKit either
        yield place, line[: line.rindex("|") + 1] if rest and rest[0].startswith("|") else smiles


def rdkit_chem() -> Any:
    """The module of RDKit, silent: what is wrong with a line is told by name and reason.

    Raises:
        ImportError: if RDKit is missing; names the extra.
    """
    try:
        from rdkit import Chem, RDLogger
    except ImportError as error:
        raise missing("SMILES and SDF need", "RDKit", "molecules") from error
    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]
    return Chem


def molecule_from_smiles(text: str, *, hydrogens: bool) -> Any:
    """RDKit's sanitized molecule, with its hydrogens as atoms or without.

    Raises:
        ImportError: if RDKit is missing; names the extra.
        ValueError: if ``text`` is not the SMILES string of a molecule with at least one atom.
    """
    chem = rdkit_chem()
    molecule = chem.MolFromSmiles(text)  # None where it cannot be parsed
    if molecule is None or molecule.GetNumAtoms() == 0:
        raise ValueError(f"not a SMILES string: {text[:60]!r}")
    return chem.AddHs(molecule) if hydrogens else molecule


def graph_from_smiles(text: str, *, hydrogens: bool) -> SparseGraphs:
    """As :func:`~sympe.graphs.molecules.graphs_of_molecules`.

    Example:
        >>> graph_from_smiles("CCO", hydrogens=False).arcs
        tensor([[0, 1, 1, 2],
                [1, 0, 2, 1]])
    """
    return graphs_of_molecules([molecule_from_smiles(text, hydrogens=hydrogens)])
