"""RDKit: molecules, as one batch for any kernel of graphs; and their conformers, for kernels of points."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from rdkit.Chem import Mol

from sympe.graphs import Clouds, SparseGraphs
from sympe.graphs.molecules import graphs_of_molecules
from sympe.groups.checks import check_kind


def from_rdkit(molecules: Mol | Iterable[Mol]) -> SparseGraphs:
    """Atoms by element, charge, isotope, radicals, and hydrogens that are not nodes; bonds by order.

    Dative bonds have a direction. Labels of atoms, as CXSMILES has them, count; chirality is left out. ``Chem.AddHs``
    makes nodes of hydrogens; of a molecule that is not kekulized aromatic bonds are alike.

    Arguments:
        molecules: one or several, sanitized; None, which RDKit gives for text that is no molecule, is refused.

    Raises:
        TypeError: names the first that is no molecule.

    Example:
        >>> from rdkit import Chem
        >>> from sympe.kernels import GraphKernel
        >>> benzene, phenol = Chem.MolFromSmiles("c1ccccc1"), Chem.MolFromSmiles("c1ccccc1O")
        >>> GraphKernel(max_nodes=9).entropy(from_rdkit([benzene, phenol])).exp().round()
        tensor([12.,  2.])
    """
    found = [molecules] if isinstance(molecules, Mol) else list(molecules)
    for number, molecule in enumerate(found):
        check_kind(f"molecules[{number}]", molecule, Mol)
    return graphs_of_molecules(found)


def clouds_from_rdkit(molecules: Mol | Iterable[Mol], *, conformer: int = -1) -> Clouds:
    """Atoms at the positions of a conformer, with their atomic numbers, in double precision.

    Arguments:
        molecules: one or several, with conformers; their hydrogens are points where they are atoms (``Chem.AddHs``).
        conformer: which one; -1 for the first.

    Raises:
        TypeError: names the first that is no molecule.
        ValueError: names the first that has no such conformer.

    Example:
        >>> from rdkit import Chem
        >>> from rdkit.Chem import AllChem
        >>> methane = Chem.AddHs(Chem.MolFromSmiles("C"))
        >>> AllChem.EmbedMolecule(methane, randomSeed=0)
        0
        >>> clouds_from_rdkit([methane])
        Clouds(1 of 5 points in space, padded to 5)
    """
    found = [molecules] if isinstance(molecules, Mol) else list(molecules)
    positions, types = [], []
    for number, molecule in enumerate(found):
        check_kind(f"molecules[{number}]", molecule, Mol)
        try:
            points = molecule.GetConformer(conformer).GetPositions()
        except ValueError as error:
            raise ValueError(f"molecules[{number}]: expected a conformer {conformer}, got none ({error})") from error
        positions.append(torch.tensor(points, dtype=torch.float64).reshape(-1, 3))
        types += [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    sizes = torch.tensor([len(one) for one in positions], dtype=torch.int64)
    flat = torch.cat(positions) if positions else torch.zeros(0, 3, dtype=torch.float64)
    return Clouds.from_flat(flat, sizes, torch.tensor(types, dtype=torch.int64))
