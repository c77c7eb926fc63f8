"""Tables with a column of SMILES."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.files.reading import orders, read


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("name,SMILES,other\nx,CC,C\ny,,C\nz,C=C,CCC\n")
    report = read(path)
    assert orders(report) == [2, 2]
    assert [bad.name for bad in report.bad] == ["a.csv:3"]
    assert orders(read(path, smiles_column="other")) == [1, 1, 2]
    with pytest.raises(ValueError, match="smiles_column: expected one of name, SMILES, other; got missing"):
        read(path, smiles_column="missing")
    path.write_text("name,formula\nx,CC\n")
    with pytest.raises(ValueError, match=r"expected a column with 'smiles' in its name in a\.csv, got name, formula"):
        read(path)
    (tmp_path / "long.csv").write_text("smiles,note\nCC,short\nCO," + "x" * 200_000 + "\n")
    with pytest.raises(ValueError, match=r"data: long\.csv:3 cannot be read as CSV: field larger than field limit"):
        read(tmp_path / "long.csv")
    (tmp_path / "head.csv").write_text("smiles" + "x" * 200_000 + "\nCC\n")
    with pytest.raises(ValueError, match=r"data: head\.csv:1 cannot be read as CSV: field larger than field limit"):
        read(tmp_path / "head.csv")


def test_rows_that_are_too_short_or_too_long(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("name,smiles\nx\ny,CC,C,C\n")
    report = read(path)
    assert orders(report) == [2]
    assert [(bad.name, bad.reason) for bad in report.bad] == [("a.csv:2", "not a SMILES string: ''")]


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("smiles,id\nCC,1\n", encoding="utf-8-sig")
    assert orders(read(path, smiles_column="smiles")) == [2]
