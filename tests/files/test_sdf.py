"""Structure-data files, and molecules packed with gzip."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from rdkit import Chem

from tests.files.reading import orders, read


def test_records(tmp_path: Path) -> None:
    path = tmp_path / "a.sdf"
    with Chem.SDWriter(str(path)) as writer:
        for text in ("c1ccccc1", "CCO", "CC(C)(C)C"):
            writer.write(Chem.MolFromSmiles(text))
    first, rest = path.read_text().split("$$$$\n", 1)
    path.write_text(first + "$$$$\nno\n\n\nmolecule\n$$$$\n" + rest)
    report = read(path)
    assert orders(report) == [12, 1, 24]
    assert report.names == ["a.sdf:1", "a.sdf:3", "a.sdf:4"]
    assert [bad.name for bad in report.bad] == ["a.sdf:2"]
    assert orders(read(path, hydrogens=True))[1] == 3 * 2 * 2


def test_packed(tmp_path: Path) -> None:
    for name, content in (("a.smi", b"CC\nnonsense\n"), ("a.csv", b"smiles\nCC\n")):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
        assert orders(read(tmp_path / f"{name}.gz")) == [2]
    assert [bad.name for bad in read(tmp_path / "a.smi.gz").bad] == ["a.smi:2"]
    (tmp_path / "b.smi.gz").write_bytes(b"CC")
    with pytest.raises(ValueError, match=r"data: b\.smi\.gz is damaged, or no gzip file: Not a gzipped file"):
        read(tmp_path / "b.smi.gz")


def test_packed_records_that_are_damaged(tmp_path: Path) -> None:
    records = b"".join(Chem.MolToMolBlock(Chem.MolFromSmiles(text)).encode() + b"$$$$\n" for text in ("CC", "CCO"))
    packed = gzip.compress(records)
    path = tmp_path / "a.sdf.gz"
    for content in (packed[:-20], packed[1:], packed[:20] + bytes([packed[20] ^ 255]) + packed[21:], b"CC"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"data: a\.sdf\.gz is damaged, or no gzip file: "):
            read(path)
    path.write_bytes(packed)
    assert orders(read(path)) == [2, 1]
