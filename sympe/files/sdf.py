"""Structure-data files (.sdf): a molecule a record."""

from __future__ import annotations

import io
from collections.abc import Iterator

from sympe.files.smiles import rdkit_chem


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
