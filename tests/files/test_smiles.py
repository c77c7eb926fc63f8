"""SMILES, a molecule a line."""

from __future__ import annotations

from pathlib import Path

from tests.files.reading import orders, read


def test_smiles(tmp_path: Path) -> None:
    path = tmp_path / "a.smi"
    path.write_text("c1ccccc1 benzene\n\nnonsense\nCC(C)(C)C\nCCO\n[13CH3]C\nCC(C)(C)C(C)(C)C\n")
    report = read(path)
    assert orders(report) == [12, 24, 1, 1, 72]  # the last is the most symmetric molecule of QM9
    assert [(bad.name, bad.reason) for bad in report.bad] == [("a.smi:3", "not a SMILES string: 'nonsense'")]
    assert report.names == ["a.smi:1", "a.smi:4", "a.smi:5", "a.smi:6", "a.smi:7"]
    assert orders(read(path, hydrogens=True))[2] == 3 * 2 * 2  # CH3 and CH2: S_3 and S_2


def test_dative_bonds_have_a_direction_and_extensions_are_part_of_the_molecule(tmp_path: Path) -> None:
    path = tmp_path / "a.smi"
    lines = ["[Cu]->[Cu]", "[Cu]-[Cu]", "[Cu]<-[Cu] name", "C[N](C)(C)->[Zn]<-[N](C)(C)C"]
    lines += ["CC |^1:0|", "CC |^1:0,1| ethane-diyl", "CC ethane", "** |$R1;R2$|", "** |$R1;R1$|", "CC | name"]
    path.write_text("\n".join(lines))
    report = read(path)
    assert orders(report) == [1, 2, 1, 72, 1, 2, 2, 1, 2]
    assert [bad.name for bad in report.bad] == ["a.smi:10"]


def test_only_space_and_tabs_end_a_molecule(tmp_path: Path) -> None:
    """As in RDKit, which refuses other space inside of a string."""
    path = tmp_path / "a.smi"
    path.write_text("CC \tethane\n\x0b\nCC\xa0O\nCC\u3000C\nCCO\n", encoding="utf-8")
    report = read(path)
    assert (report.names, orders(report)) == (["a.smi:1", "a.smi:5"], [2, 1])
    assert [bad.name for bad in report.bad] == ["a.smi:2", "a.smi:3", "a.smi:4"]
