"""Make ``tests/data/rmsd-sample.json``: what spyrmsd and RDKit say of conformers of QM9 molecules with hydrogens.

The target is the geometry of QM9, the prediction one of RDKit's embedding. It needs the extra ``molecules``, and
``pip install spyrmsd rustworkx`` (made with spyrmsd 0.9.0): ``python tests/losses/make_rmsd.py``.
"""

from __future__ import annotations

import ast
import csv
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rdkit import Chem
from rdkit.Chem import AllChem, rdDetermineBonds, rdMolAlign

OUT = Path(__file__).parents[1] / "data" / "rmsd-sample.json"
INDICES = {*range(1, 22), 41, 54, 57, 214, 215, 420, *range(700, 730, 6), *range(1000, 21000, 1999)}


def molecules(indices: set[int]) -> Iterator[tuple[int, Any, np.ndarray, np.ndarray]]:
    """Index, molecule with bonds, the geometry of QM9, an embedded one; those that RDKit cannot do are left out."""
    spec = importlib.util.find_spec("qm9pack")
    assert spec is not None
    assert spec.origin is not None
    for part in (1, 2, 3):
        with (Path(spec.origin).parent / "data" / f"qm9_part{part}.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if int(row["Index"]) in indices]
        for row in rows:
            molecule = Chem.RWMol()
            for element in ast.literal_eval(row["Elements"]):
                molecule.AddAtom(Chem.Atom(element))
            target = np.array(ast.literal_eval(row["XYZ_Ang"])).round(4)
            molecule.AddConformer(conformer(target))
            try:
                rdDetermineBonds.DetermineBonds(molecule)
            except ValueError:
                continue
            molecule.RemoveAllConformers()
            if AllChem.EmbedMolecule(molecule, randomSeed=7) == 0:
                prediction = molecule.GetConformer().GetPositions().round(4)
                molecule.RemoveAllConformers()
                yield int(row["Index"]), molecule.GetMol(), target, prediction


def conformer(positions: np.ndarray) -> Any:
    """A conformer for RDKit."""
    out = Chem.Conformer(len(positions))
    out.SetPositions(np.asarray(positions, dtype=np.float64))
    return out


def with_positions(molecule: Any, positions: np.ndarray) -> Any:
    """A copy of a molecule with one conformer."""
    copy = Chem.Mol(molecule)
    copy.RemoveAllConformers()
    copy.AddConformer(conformer(positions))
    return copy


def rdkit_rmsd(molecule: Any, prediction: np.ndarray, target: np.ndarray, *, align: bool) -> float:
    """RDKit's, over all automorphisms that keep elements and kinds of bonds, terminal groups as they are."""
    pair = with_positions(molecule, prediction), with_positions(molecule, target)
    rms = rdMolAlign.GetBestRMS if align else rdMolAlign.CalcRMS
    return float(rms(*pair, symmetrizeConjugatedTerminalGroups=False, maxMatches=10**7))


def main() -> None:
    """Write the file."""
    from spyrmsd.rmsd import symmrmsd

    rows = []
    for index, molecule, target, prediction in molecules(INDICES):
        z = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
        adjacent = Chem.GetAdjacencyMatrix(molecule)
        given = (target, prediction, z, z, adjacent, adjacent)
        bonds = [
            [bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), int(2 * bond.GetBondTypeAsDouble())]
            for bond in molecule.GetBonds()
        ]
        rows.append(
            {
                "index": index,
                "elements": z.tolist(),
                "bonds": bonds,
                "target": target.tolist(),
                "prediction": prediction.tolist(),
                "spyrmsd": symmrmsd(*given, minimize=True),
                "spyrmsd in place": symmrmsd(*given),
                "rdkit": rdkit_rmsd(molecule, prediction, target, align=True),
                "rdkit in place": rdkit_rmsd(molecule, prediction, target, align=False),
            }
        )
    OUT.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
