"""Between RDKit's molecules and graphs of atom and bond types.

A node's type is the place of its element in a tuple of symbols. A pair's type is 0 without a bond, else 1 to 3: single,
double, triple. Formal charges, isotopes and stereochemistry are left out.

Aromatic rings are kekulized, as in the data of DiGress. A type for aromatic bonds would lose the hydrogen that a
nitrogen of such a ring has or has not: one molecule of QM9 in seventeen would not be valid itself.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Int64
from rdkit import Chem, rdBase
from torch import Tensor

from sympe.graphs import DenseGraphs

BONDS = (
    Chem.BondType.ZERO,
    Chem.BondType.SINGLE,
    Chem.BondType.DOUBLE,
    Chem.BondType.TRIPLE,
)
"""Kinds of bonds by type; the first stands for none."""

_VALENCES = {"H": 1, "C": 4, "N": 3, "O": 2, "F": 1, "S": 2, "Cl": 1, "Br": 1}
"""Bonds that an atom without a charge has."""

_CATIONS = {"N": 3, "O": 2, "S": 2}
"""Elements that carry a charge where they have one bond more than this."""


def types_of(molecule: Any, atoms: tuple[str, ...]) -> tuple[Int64[Tensor, " nodes"], Int64[Tensor, "nodes nodes"]]:
    """The types of atoms and pairs of a sanitized molecule; of its Kekulé structures RDKit takes one.

    Raises:
        ValueError: if an element is not among ``atoms``, or a bond is of another kind.

    Example:
        >>> from sympe.files.smiles import molecule_from_smiles
        >>> types_of(molecule_from_smiles("c1nc[nH]c1", hydrogens=False), ("C", "N", "O", "F"))[1]
        tensor([[0, 1, 0, 0, 2],
                [1, 0, 2, 0, 0],
                [0, 2, 0, 1, 0],
                [0, 0, 1, 0, 1],
                [2, 0, 0, 1, 0]])
    """
    molecule = Chem.Mol(molecule)
    Chem.Kekulize(molecule, clearAromaticFlags=True)
    symbols = [atom.GetSymbol() for atom in molecule.GetAtoms()]
    for symbol in symbols:
        if symbol not in atoms:
            raise ValueError(f"atom {symbol}: expected one of {', '.join(atoms)}")
    pairs = torch.zeros(len(symbols), len(symbols), dtype=torch.int64)
    for bond in molecule.GetBonds():
        i, j, kind = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), bond.GetBondType()
        if kind not in BONDS[1:]:
            raise ValueError(f"bond {kind}: expected a single, double or triple one")
        pairs[i, j] = pairs[j, i] = BONDS.index(kind)
    return torch.tensor([atoms.index(symbol) for symbol in symbols]), pairs


def molecule_from_types(
    colors: Int64[Tensor, " nodes"], pairs: Int64[Tensor, "nodes nodes"], atoms: tuple[str, ...]
) -> Any:
    """The molecule of a graph, not sanitized: whether it is one of chemistry is for :func:`smiles_of` to say.

    Nitrogen, oxygen and sulphur with one bond more than usual get a positive charge, for types know no charges. Where
    hydrogens are among ``atoms``, none is implied: all that there are are drawn.

    References:
        Jo, Lee, Hwang, "Score-based Generative Modeling of Graphs via the System of Stochastic Differential
        Equations", ICML 2022, for the charges; Vignac et al., ICLR 2023, do the same.
    """
    molecule: Any = Chem.RWMol()
    for color in colors.tolist():
        molecule.AddAtom(Chem.Atom(atoms[color]))
    for i, j in pairs.triu(1).nonzero().tolist():
        molecule.AddBond(i, j, BONDS[int(pairs[i, j])])
    for atom in molecule.GetAtoms():
        usual = _CATIONS.get(atom.GetSymbol())
        orders = [bond.GetBondTypeAsDouble() for bond in atom.GetBonds()]
        if usual is not None and sum(orders) == usual + 1:
            atom.SetFormalCharge(1)
        atom.SetNoImplicit("H" in atoms)
    return molecule


def smiles_of(molecule: Any) -> str | None:
    """The canonical SMILES of the largest fragment, or None if the molecule is not valid.

    Valid means that RDKit sanitizes all of it, and where no hydrogens are implied, that no atom lacks a bond.

    Example:
        >>> from sympe.files.smiles import molecule_from_smiles
        >>> smiles_of(molecule_from_smiles("OC", hydrogens=False))
        'CO'
        >>> five = molecule_from_types(torch.zeros(2).long(), torch.tensor([[0, 3], [3, 0]]), ("C",))
        >>> smiles_of(five)
        'C#C'
        >>> methane = torch.zeros(5, 5).long()
        >>> methane[0, 1:] = methane[1:, 0] = 1
        >>> smiles_of(molecule_from_types(torch.tensor([1, 0, 0, 0, 0]), methane, ("H", "C")))
        '[H]C([H])([H])[H]'
        >>> smiles_of(molecule_from_types(torch.tensor([1]), torch.zeros(1, 1).long(), ("H", "C"))) is None
        True
    """
    copy = Chem.Mol(molecule)
    try:
        with rdBase.BlockLogs():  # that it is not valid is told by None
            fragments = Chem.GetMolFrags(copy, asMols=True, sanitizeFrags=True)
    except (Chem.AtomValenceException, Chem.KekulizeException, Chem.AtomKekulizeException, ValueError):
        return None
    if not fragments or any(atom.GetNumRadicalElectrons() for part in fragments for atom in part.GetAtoms()):
        return None
    largest = max(fragments, key=lambda fragment: fragment.GetNumAtoms())
    return str(Chem.MolToSmiles(largest))


def stability(x: DenseGraphs, atoms: tuple[str, ...]) -> dict[str, float]:
    """Shares of atoms with their usual number of bonds, and of molecules in which all atoms have it.

    References:
        Hoogeboom et al., "Equivariant Diffusion for Molecule Generation in 3D", ICML 2022, Section 5.

    Example:
        >>> from sympe.files.smiles import molecule_from_smiles
        >>> colors, pairs = types_of(molecule_from_smiles("C", hydrogens=True), ("H", "C"))
        >>> methane = DenseGraphs(pairs[None], colors[None], torch.ones(1, 5, dtype=torch.bool))
        >>> stability(methane, ("H", "C"))
        {'atom_stability': 1.0, 'molecule_stability': 1.0}
    """
    usual = torch.tensor([_VALENCES[symbol] for symbol in atoms])
    right = x.pairs.sum(2) == usual[x.colors]  # a bond's type is its order
    return {
        "atom_stability": int((right & x.mask).sum()) / max(1, int(x.mask.sum())),
        "molecule_stability": float((right | ~x.mask).all(1).double().mean()),
    }
