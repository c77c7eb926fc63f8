import gzip
import json
from pathlib import Path

import pytest
import torch

from sympe.experiments.report import report_of
from sympe.files import Options, load
from sympe.graphs import Clouds

WATER = "3\n\nO 0.0 0.0 0.12 0.5\nH 0.0 0.76 -0.48 0.1\n1 0.0 -0.76 -0.48\n"
CO2 = "3\ncarbon dioxide\nC 0 0 0\nO 0 0 1.16\nO 0 0 -1.16\n"
SPIRAL = "4\n\nC 0 0 0\nC 1 0 0\nC 1 1.2 0\nC 1 1.2 1.4\n"


@pytest.mark.parametrize("packed", [False, True])
def test_frames_are_clouds_of_atomic_numbers(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("a.xyz.gz" if packed else "a.xyz")
    path.write_bytes(gzip.compress((WATER + "\n" + CO2).encode()) if packed else (WATER + "\n" + CO2).encode())
    one, two = load(path, Options())
    assert (one.name, two.name) == ("a.xyz:1", "a.xyz:2")
    assert isinstance(one.content, Clouds)
    assert one.content.types.tolist() == [[8, 1, 1]]
    assert one.content.positions[0, 2].tolist() == [0.0, -0.76, -0.48]


def test_a_report_names_point_groups(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(WATER + CO2 + SPIRAL + WATER)
    found = report_of([path], Options(), jobs=1)
    assert found.summary()["point_groups"] == {"C2v": 2, "D*h": 1, "C1": 1}
    assert found.summary()["orders"] == {"1": 1, "2": 1, "4": 2}  # of the line, its permutations
    assert "| point group C2v | 2 |" in found.markdown()
    assert found.moved == 6
    json.dumps(found.summary())


def test_the_tolerance_is_that_of_distances(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(WATER.replace("0.76 -0.48 0.1", "0.77 -0.48 0.1"))
    orders = [report_of([path], Options(distance_tolerance=t), jobs=1).summary()["orders"] for t in (0.001, 0.05)]
    assert orders == [{"2": 1}, {"4": 1}]  # the plane is a mirror all the same
    with pytest.raises(ValueError, match=r"distance_tolerance: expected a finite number >= 0, got -1\.0"):
        Options(distance_tolerance=-1.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("three\n\n", "expected the number of atoms, got 'three'"),
        ("²\n\n", "expected the number of atoms"),
        ("3\n\nH 0 0 0\n", "expected 3 atoms, got 1"),
        ("1\n\nQq 0 0 0\n", "expected the symbol of an element, got 'Qq'"),
        ("1\n\n200 0 0 0\n", "expected the symbol of an element, got '200'"),
        ("1\n\nH 0 0\n", "expected three numbers for a position, got '0 0'"),
        ("1\n\nH 0 0 nan\n", "positions: expected finite numbers"),
        ("0\n\n", "expected at least one atom"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "a.xyz"
    path.write_text(WATER + text)
    good, bad = load(path, Options())
    assert isinstance(good.content, Clouds)
    assert bad.name == "a.xyz:2"
    assert isinstance(bad.content, str)
    assert reason in bad.content


def test_sdf_has_coordinates_when_they_are_asked_for(tmp_path: Path) -> None:
    chem = pytest.importorskip("rdkit.Chem")
    from rdkit.Chem import AllChem

    molecule = chem.AddHs(chem.MolFromSmiles("C"))
    AllChem.EmbedMolecule(molecule, randomSeed=0)
    AllChem.MMFFOptimizeMolecule(molecule)
    path = tmp_path / "a.sdf"
    with chem.SDWriter(str(path)) as writer:
        writer.write(molecule)
        writer.write(chem.MolFromSmiles("CC"))
    methane, flat = load(path, Options(coordinates=True))
    assert isinstance(methane.content, Clouds)
    assert methane.content.sizes.tolist() == [5]
    assert flat.content == "expected coordinates in space"
    assert torch.is_floating_point(methane.content.positions)
    assert report_of([path], Options(coordinates=True), jobs=1).summary()["point_groups"] == {"Td": 1}
    assert report_of([path], Options(), jobs=1).inputs == 2
