"""RDKit: molecules, as one batch for any kernel of graphs."""

from __future__ import annotations

from collections.abc import Iterable

from rdkit.Chem import Mol

from sympe.graphs import SparseGraphs
from sympe.graphs.molecules import graphs_of_molecules
from sympe.groups.checks import check_kind


def from_rdkit(molecules: Iterable[Mol]) -> SparseGraphs:
    """Atoms by element, charge, isotope, radicals, and hydrogens that are not nodes; bonds by order.

    Dative bonds have a direction. Labels of atoms, as CXSMILES has them, count; chirality is left out. ``Chem.AddHs``
    makes nodes of hydrogens; of a molecule that is not kekulized aromatic bonds are alike.

    Arguments:
        molecules: sanitized ones; None, which RDKit gives for text that is no molecule, is refused.

    Raises:
        TypeError: names the first that is no molecule.

    Example:
        >>> from rdkit import Chem
        >>> from sympe.kernels import GraphKernel
        >>> benzene, phenol = Chem.MolFromSmiles("c1ccccc1"), Chem.MolFromSmiles("c1ccccc1O")
        >>> GraphKernel(max_nodes=9).entropy(from_rdkit([benzene, phenol])).exp().round()
        tensor([12.,  2.])
    """
    found = list(molecules)
    for number, molecule in enumerate(found):
        check_kind(f"molecules[{number}]", molecule, Mol)
    return graphs_of_molecules(found)
