"""What of a molecule of RDKit is the coloured graph; RDKit itself is not needed here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.graphs.batches import SparseGraphs

_DIRECTED = (16, 17, 18, 19)
"""RDKit's types of bonds that have a direction: DATIVEONE, DATIVE, DATIVEL and DATIVER."""


def graphs_of_molecules(molecules: Sequence[Any]) -> SparseGraphs:
    """Atoms by element, charge, isotope, radicals, and hydrogens that are not nodes; bonds by order.

    Dative bonds have a direction. Labels of atoms, as CXSMILES has them, count; chirality is left out.

    Arguments:
        molecules: of RDKit, sanitized.
    """
    sizes: list[int] = []
    atoms, arcs, orders = [torch.zeros(0, 6, dtype=torch.int64)], [], []
    for molecule in molecules:
        bonds = torch.tensor(
            [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), int(bond.GetBondType())) for bond in molecule.GetBonds()],
            dtype=torch.int64,
        )
        i, j, order = bonds.view(-1, 3).T
        back = torch.where(torch.isin(order, torch.tensor(_DIRECTED)), -order, order)
        arcs.append(sum(sizes) + torch.stack([torch.cat([i, j]), torch.cat([j, i])]))
        orders.append(torch.cat([order, back]))
        atoms.append(_atoms(molecule))
        sizes.append(len(atoms[-1]))
    none = torch.zeros(2, 0, dtype=torch.int64)
    return SparseGraphs.from_features(
        torch.cat([none, *arcs], 1),
        torch.tensor(sizes, dtype=torch.int64),
        torch.cat(atoms),
        torch.cat([none[0], *orders]),
        directed=True,
    )


def _atoms(molecule: Any) -> Int64[Tensor, "atoms 6"]:
    rows = [
        (
            atom.GetAtomicNum(),
            atom.GetFormalCharge(),
            atom.GetIsotope(),
            atom.GetTotalNumHs(),
            atom.GetNumRadicalElectrons(),
            label_of(atom.GetPropsAsDict().get("atomLabel", "") if atom.HasProp("atomLabel") else ""),
        )
        for atom in molecule.GetAtoms()
    ]
    return torch.tensor(rows, dtype=torch.int64).view(-1, 6)


def label_of(text: object) -> int:
    """A number for a label, the same in every graph and every run; 0 for the empty one.

    Example:
        >>> label_of(""), label_of("R1") == label_of("R1"), label_of("R1") == label_of("R2")
        (0, True, False)
    """
    return int.from_bytes(hashlib.blake2b(str(text).encode(), digest_size=7).digest()) if text else 0
