"""Structure-data files (.sdf): a molecule a record."""

from __future__ import annotations

import io
from collections.abc import Iterator

import torch

from sympe.files.base import Loaded
from sympe.files.smiles import rdkit_chem
from sympe.graphs import Clouds


def smiles_of_records(name: str, file: io.BufferedIOBase) -> Iterator[tuple[str, str]]:
    """Place, by the number of the record, and SMILES; none, "", of a record that RDKit cannot read.

    Raises:
        ImportError: if RDKit is missing; names the extra.
    """
    chem = rdkit_chem()
    try:
        for number, molecule in enumerate(chem.ForwardSDMolSupplier(file), 1):
            yield f"{name}:{number}", "" if molecule is None else chem.MolToSmiles(molecule)
    except SystemError as error:  # in which RDKit wraps what reading the file has raised
        raise error.__cause__ or error from None


def clouds_of_records(name: str, file: io.BufferedIOBase) -> Iterator[Loaded]:
    """The atoms of every record at its coordinates, hydrogens as far as the file has them.

    Raises:
        ImportError: if RDKit is missing; names the extra.
    """
    chem = rdkit_chem()
    for number, molecule in enumerate(chem.ForwardSDMolSupplier(file, removeHs=False, sanitize=False), 1):
        place = f"{name}:{number}"
        if molecule is None:
            yield Loaded(place, "not a record that RDKit can read")
            continue
        if molecule.GetNumAtoms() == 0 or not molecule.GetConformer().Is3D():
            yield Loaded(place, "expected coordinates in space")
            continue
        positions = torch.tensor(molecule.GetConformer().GetPositions()[None], dtype=torch.float64)
        types = torch.tensor([[atom.GetAtomicNum() for atom in molecule.GetAtoms()]])
        yield Loaded(place, Clouds.from_positions(positions, types))
