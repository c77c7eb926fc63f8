"""SMILES (.smi): a molecule a line, with or without a name after it; and the graph of a molecule."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import torch

from sympe.files.base import lines
from sympe.graphs import SparseGraphs


def smiles_of_lines(name: str, file: io.BufferedReader | io.BytesIO) -> Iterator[tuple[str, str]]:
    """Place and SMILES of every line that is not blank."""
    for place, line in lines(name, file):
        yield place, line.split()[0]


def rdkit_chem() -> Any:
    """The module of RDKit, silent: what is wrong with a line is told by name and reason.

    Raises:
        ImportError: if RDKit is missing; names the extra.
    """
    try:
        from rdkit import Chem, RDLogger
    except ImportError as error:
        raise ImportError("SMILES and SDF need RDKit: pip install 'sympe[molecules]'") from error
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
    """Atoms by element, charge, isotope, and hydrogens that are not nodes; bonds by order. Chirality is left out.

    Example:
        >>> graph_from_smiles("CCO", hydrogens=False).arcs
        tensor([[0, 1, 1, 2],
                [1, 0, 2, 1]])
    """
    molecule = molecule_from_smiles(text, hydrogens=hydrogens)
    atoms = torch.tensor(
        [
            [atom.GetAtomicNum(), atom.GetFormalCharge(), atom.GetIsotope(), atom.GetTotalNumHs()]
            for atom in molecule.GetAtoms()
        ]
    )
    bonds = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), int(bond.GetBondType())) for bond in molecule.GetBonds()]
    table = torch.tensor(bonds, dtype=torch.int64).view(-1, 3).T
    arcs = torch.cat([table[:2], table[:2].flip(0)], 1)
    return SparseGraphs.from_features(arcs, torch.tensor([len(atoms)]), atoms, table[2].repeat(2))
