"""Molecules to types and back, over the bundled sample of QM9."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from rdkit import Chem, RDLogger

from sympe.experiments.molecules.chemistry import molecule_from_types, smiles_of, types_of
from sympe.files.smiles import molecule_from_smiles

SAMPLE = Path(__file__).parents[2] / "data" / "qm9-sample.smi"
ATOMS = ("C", "N", "O", "F")


def sample() -> list[str]:
    return [line.split()[0] for line in SAMPLE.read_text().splitlines()]


@pytest.mark.parametrize("hydrogens", [False, True])
def test_types_keep_a_molecule_without_charges(hydrogens: bool) -> None:
    atoms = ("H", *ATOMS) if hydrogens else ATOMS
    kept = 0
    for text in sample()[:400]:
        molecule = molecule_from_smiles(text, hydrogens=hydrogens)
        colors, pairs = types_of(molecule, atoms)
        assert torch.equal(pairs, pairs.T)
        assert len(colors) == molecule.GetNumAtoms()
        again = molecule_from_types(colors, pairs, atoms)
        charged = any(atom.GetFormalCharge() for atom in molecule.GetAtoms())
        if charged:
            continue
        flat = Chem.MolFromSmiles(Chem.MolToSmiles(molecule, isomericSmiles=False))
        found = smiles_of(again)
        assert found is not None, text
        assert found == Chem.MolToSmiles(Chem.AddHs(flat) if hydrogens else flat), text
        kept += 1
    assert kept > 380


def test_the_number_of_bonds_is_that_of_rdkit() -> None:
    for text in sample()[:200]:
        molecule = molecule_from_smiles(text, hydrogens=False)
        _, pairs = types_of(molecule, ATOMS)
        assert int((pairs.triu(1) > 0).sum()) == molecule.GetNumBonds()


def graph(symbols: str, bonds: dict[tuple[int, int], int]) -> tuple[torch.Tensor, torch.Tensor]:
    pairs = torch.zeros(len(symbols), len(symbols), dtype=torch.int64)
    for (i, j), kind in bonds.items():
        pairs[i, j] = pairs[j, i] = kind
    return torch.tensor([ATOMS.index(symbol) for symbol in symbols], dtype=torch.int64), pairs


def test_validity() -> None:
    def read(symbols: str, bonds: dict[tuple[int, int], int]) -> str | None:
        return smiles_of(molecule_from_types(*graph(symbols, bonds), ATOMS))

    assert read("CO", {(0, 1): 2}) == "C=O"
    assert read("FC", {(0, 1): 2}) is None, "fluorine with two bonds"
    assert read("CCCCCC", {(0, i): 1 for i in range(1, 6)}) is None, "carbon with five"
    assert read("CCN", {(0, 1): 1}) == "CC", "the largest fragment"
    assert read("NCCCC", {(0, i): 1 for i in range(1, 5)}) == "C[N+](C)(C)C", "a charge where it is needed"
    assert read("NCCCCC", {(0, i): 1 for i in range(1, 6)}) is None, "no charge helps here"
    ring = {(i, (i + 1) % 6): 1 + i % 2 for i in range(6)}
    assert read("CCCCCC", ring) == "c1ccccc1", "either Kekulé structure"
    assert read("CCCCCC", {(i, (i + 1) % 6): 2 - i % 2 for i in range(6)}) == "c1ccccc1"
    assert read("", {}) is None


def test_no_hydrogens_are_implied_where_they_are_nodes() -> None:
    atoms = ("H", *ATOMS)

    def read(text: str) -> str | None:
        return smiles_of(molecule_from_types(*types_of(molecule_from_smiles(text, hydrogens=True), atoms), atoms))

    for text in ("C", "O", "c1cc[nH]c1", "C[N+](C)(C)C", "OC#N"):
        colors, pairs = types_of(molecule_from_smiles(text, hydrogens=True), atoms)
        assert smiles_of(molecule_from_types(colors, pairs, atoms)) is not None
        for hydrogen in (colors == 0).nonzero().flatten().tolist():
            kept = torch.arange(len(colors)) != hydrogen
            less = colors[kept], pairs[kept][:, kept]
            assert smiles_of(molecule_from_types(*less, atoms)) is None, "an atom lacks a bond"
            if "+" not in text:  # the twin: without hydrogens among the types RDKit adds what is missing
                heavy = tuple("P" if atom == "H" else atom for atom in atoms)
                assert smiles_of(molecule_from_types(*less, heavy)) is not None
    lone = torch.tensor([1]), torch.zeros(1, 1, dtype=torch.int64)
    assert smiles_of(molecule_from_types(*lone, atoms)) is None, "a bare carbon"
    assert smiles_of(molecule_from_types(lone[0] - 1, lone[1], ATOMS)) == "C"
    assert read("CC(=O)[O-]") is None, "an anion is one bond short: types know no charges"
    assert read("CC(=O)O") == "[H]OC(=O)C([H])([H])[H]"


def test_errors() -> None:
    for text in ("", "C1CC", "not SMILES"):
        with pytest.raises(ValueError, match="not a SMILES string"):
            molecule_from_smiles(text, hydrogens=False)
    with pytest.raises(ValueError, match="atom Cl: expected one of C, N, O, F"):
        types_of(molecule_from_smiles("CCl", hydrogens=False), ATOMS)
    with pytest.raises(ValueError, match="bond DATIVE: expected a single, double or triple one"):
        types_of(molecule_from_smiles("N->C", hydrogens=False), ATOMS)


def test_what_is_not_valid_is_told_by_none_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    five = molecule_from_types(torch.zeros(6).long(), 1 - torch.eye(6).long(), ("C",))
    RDLogger.EnableLog("rdApp.error")  # other tests switch it off for good
    assert smiles_of(five) is None
    assert capfd.readouterr().err == ""
    Chem.SanitizeMol(five, catchErrors=True)  # the broken twin: RDKit does say something
    assert "valence" in capfd.readouterr().err
    RDLogger.DisableLog("rdApp.error")
