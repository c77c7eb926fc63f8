"""Reading molecules: files of all kinds, splits, the cache, what fails."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from rdkit import Chem

from sympe.experiments.molecules.data import SOURCES, SPLITS
from sympe.experiments.molecules.reading import load_molecules, load_splits

SAMPLE = Path(__file__).parents[2] / "data" / "qm9-sample.smi"


@pytest.mark.slow
def test_the_splits_are_a_partition(tmp_path: Path) -> None:
    parts = [load_molecules("qm9", split, data=SAMPLE, cache=tmp_path) for split in SPLITS]
    assert [len(part) for part in parts] == [1638, 206, 204]
    together = sorted(text for part in parts for text in part.smiles)
    assert together == sorted(line.split()[0] for line in SAMPLE.read_text().splitlines())
    assert parts[0].smiles != sorted(parts[0].smiles), "they are shuffled"
    again = load_molecules("qm9", "train", data=SAMPLE, cache=tmp_path / "other")
    assert again.smiles == parts[0].smiles


@pytest.mark.parametrize("name", ["qm9", "qm9-h"])
def test_graphs_are_those_of_rdkit(tmp_path: Path, name: str) -> None:
    molecules = load_molecules(name, "test", data=SAMPLE, cache=tmp_path)
    rows = torch.tensor([3, 100, 7])
    graphs = molecules.graphs(rows)
    assert graphs.mask.shape[1] == int(molecules.sizes[rows].max())
    for place, row in enumerate(rows.tolist()):
        molecule = Chem.MolFromSmiles(molecules.smiles[row])
        molecule = Chem.AddHs(molecule) if name == "qm9-h" else molecule
        n = molecule.GetNumAtoms()
        assert int(graphs.sizes[place]) == n
        symbols = [SOURCES[name].atoms[color] for color in graphs.colors[place, :n].tolist()]
        assert symbols == [atom.GetSymbol() for atom in molecule.GetAtoms()]
        assert torch.equal(graphs.pairs[place, :n, :n] > 0, torch.from_numpy(Chem.GetAdjacencyMatrix(molecule)) > 0)
        assert int(graphs.pairs[place, n:].sum()) == int(graphs.colors[place, n:].sum()) == 0
    assert molecules.graphs(torch.zeros(0, dtype=torch.int64)).mask.shape == (0, 0)


def test_the_cache_is_read_and_damage_is_told(tmp_path: Path) -> None:
    first = load_molecules("qm9", "test", data=SAMPLE, cache=tmp_path)
    (path,) = tmp_path.glob("qm9-*.npz")
    stamp = path.stat().st_mtime_ns
    again = load_molecules("qm9", "test", data=SAMPLE, cache=tmp_path)
    assert path.stat().st_mtime_ns == stamp
    assert torch.equal(first.pairs, again.pairs)
    assert first.smiles == again.smiles
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"cache: .*npz is damaged \(.*\); remove it, and it is made again"):
        load_molecules("qm9", "test", data=SAMPLE, cache=tmp_path)
    other = tmp_path / "other.smi"
    other.write_text("CC\n" * 20)
    assert len(load_molecules("qm9", "train", data=other, cache=tmp_path)) == 16, "another file has another cache"


def test_what_fails_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "some.csv"
    path.write_text("id,Smiles\n1,CC\n2,C1CC\n3,CCl\n4,\n" + f"5,{257 * 'C'}\n" + "6,CO\n" * 20)
    for _ in range(2):  # from the file, then from the cache
        found = load_molecules("qm9", "train", data=path, cache=tmp_path)
        assert found.failed == [
            ("some.csv:3", "not a SMILES string: 'C1CC'"),
            ("some.csv:4", "atom Cl: expected one of C, N, O, F"),
            ("some.csv:5", "not a SMILES string: ''"),
            ("some.csv:6", "257 atoms: expected at most 256"),
        ]
        assert "qm9: 4 molecules could not be used: some.csv:3: not a SMILES" in capsys.readouterr().err
    path.write_text("smiles\n" + "C1CC\n" * 9)
    with pytest.raises(ValueError, match=r"data: no molecule could be used\. some\.csv:2: not a SMILES"):
        load_molecules("qm9", "train", data=path, cache=tmp_path)


def test_all_kinds_of_files_give_the_same(tmp_path: Path) -> None:
    smiles = ["CC", "CO", "C#N", "FC(F)F", "c1ccccc1", "CCO", "CCN", "C=O", "OO", "NC=O"]
    (tmp_path / "a.smi").write_text("\n\n".join(f"{text} name" for text in smiles))
    (tmp_path / "a.csv").write_text("SMILES\n" + "\n".join(smiles))
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress((tmp_path / "a.csv").read_bytes()))
    with Chem.SDWriter(str(tmp_path / "a.sdf")) as writer:
        for text in smiles:
            writer.write(Chem.MolFromSmiles(text))
    found = [
        load_molecules("qm9", "train", data=tmp_path / name, cache=tmp_path)
        for name in ("a.smi", "a.csv", "a.csv.gz", "a.sdf")
    ]
    for one in found[1:]:
        assert torch.equal(one.pairs, found[0].pairs)
        assert torch.equal(one.colors, found[0].colors)


def wheel(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_a_wheel_and_a_folder(tmp_path: Path) -> None:
    """QM9 in its parts, which are not in order; MOSES with its own splits."""
    order = np.random.RandomState(0).permutation(30)
    rows = [f"{index},{'C' * (index % 9 + 1)}" for index in order]
    parts = {f"qm9pack/data/qm9_part{k}.csv": ("Index,SMILES\n" + "\n".join(rows[k - 1 :: 3])) for k in (1, 2, 3)}
    packed = wheel(tmp_path / "a.whl", {name: text.encode() for name, text in parts.items()})
    for name, text in parts.items():
        (tmp_path / Path(name).name).write_text(text)
    one = load_molecules("qm9", "train", data=packed, cache=tmp_path)
    two = load_molecules("qm9", "train", data=tmp_path, cache=tmp_path / "b")
    shuffled = np.random.RandomState(42).permutation(30)[:24]
    assert one.smiles == two.smiles == ["C" * (int(i) % 9 + 1) for i in shuffled], "sorted by index, then shuffled"
    files = {
        f"moses/dataset/data/{n}.csv.gz": gzip.compress(f"SMILES\n{s}\n".encode())
        for n, s in (("train", "CC"), ("test", "CCl"), ("test_scaffolds", "CBr"))
    }
    packed = wheel(tmp_path / "b.whl", files)
    found = [load_molecules("moses", split, data=packed, cache=tmp_path).smiles for split in SPLITS]
    assert found == [["CC"], ["CCl"], ["CBr"]]


def test_an_installed_package_is_found_without_being_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "qm9pack"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    for k in (1, 2, 3):
        (folder / "data" / f"qm9_part{k}.csv").write_text("Index,SMILES\n" + f"{k},CC\n" * 5)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SYMPE_CACHE", str(tmp_path / "cache"))
    assert len(load_molecules("qm9", "train")) == 12
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="name: expected one of qm9, qm9-h, moses; got 'zinc'"):
        load_molecules("zinc", "train")
    with pytest.raises(ValueError, match="split: expected one of train, validation, test; got 'dev'"):
        load_molecules("qm9", "dev")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="data: the package molsets is not installed; `pip install --no-deps"):
        load_molecules("moses", "train", cache=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"data: no file qm9_part1\.csv in "):
        load_molecules("qm9", "train", data=tmp_path, cache=tmp_path)
    (tmp_path / "bad.whl").write_text("no zip")
    with pytest.raises(FileNotFoundError, match=r"data: .*bad\.whl is no wheel with qm9pack/data/qm9_part1\.csv"):
        load_molecules("qm9", "train", data=tmp_path / "bad.whl", cache=tmp_path)
    (tmp_path / "a.xyz").touch()
    with pytest.raises(ValueError, match=r"data: expected a file that ends with \.smi, .*; got a\.xyz"):
        load_molecules("qm9", "train", data=tmp_path / "a.xyz", cache=tmp_path)
    (tmp_path / "a.csv").write_text("name,mass\nx,1\n")
    with pytest.raises(ValueError, match=r"expected a column with 'smiles' in its name in a\.csv, got name, mass"):
        load_molecules("qm9", "train", data=tmp_path / "a.csv", cache=tmp_path)
    (tmp_path / "empty.csv").touch()
    with pytest.raises(ValueError, match=r"data: expected a column with 'smiles' in its name in empty\.csv, got none"):
        load_molecules("qm9", "train", data=tmp_path / "empty.csv", cache=tmp_path)
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"smiles\nC\n")[:-9])
    with pytest.raises(ValueError, match=r"data: cut\.csv\.gz is damaged, or no gzip file: Compressed file ended"):
        load_molecules("qm9", "train", data=tmp_path / "cut.csv.gz", cache=tmp_path)
    (tmp_path / "endless.csv").write_text('smiles\n"' + 200_000 * "C")
    with pytest.raises(ValueError, match=r"data: endless\.csv:2 cannot be read as CSV: field larger than"):
        load_molecules("qm9", "train", data=tmp_path / "endless.csv", cache=tmp_path)
    (tmp_path / "few.smi").write_text("CCO\nnonsense\n" + 8 * "CC\n")
    with pytest.raises(ValueError, match="data: expected at least 10 molecules to split, got 9"):
        load_molecules("qm9", "train", data=tmp_path / "few.smi", cache=tmp_path)
    (tmp_path / "empty.smi").touch()
    with pytest.raises(ValueError, match="data: no molecule could be used"):
        load_molecules("qm9", "train", data=tmp_path / "empty.smi", cache=tmp_path)


def test_an_index_that_is_no_number_does_not_order(tmp_path: Path) -> None:
    path = tmp_path / "named.csv"
    path.write_text("Index,smiles\n" + "".join(f"mol{n},{'C' * n}\n" for n in range(1, 11)))
    plain = tmp_path / "plain.smi"
    plain.write_text("".join(f"{'C' * n}\n" for n in range(1, 11)))
    named, as_they_come = (load_splits("qm9", SPLITS, data=file, cache=tmp_path) for file in (path, plain))
    assert [part.smiles for part in named] == [part.smiles for part in as_they_come]


def test_a_file_of_ones_own_is_split_for_every_dataset(tmp_path: Path) -> None:
    path = tmp_path / "own.smi"
    path.write_text("".join(f"{'C' * n}Cl\n" for n in range(1, 21)))
    found = load_splits("moses", SPLITS, data=path, cache=tmp_path)
    assert [len(part) for part in found] == [16, 2, 2]
    again = load_molecules("moses", "train", data=path, cache=tmp_path)
    assert torch.equal(again.pairs, found[0].pairs)
    assert len(set().union(*(part.smiles for part in found))) == 20
    with pytest.raises(ValueError, match="split: expected one of train, validation, test; got 'all'"):
        load_splits("moses", ("train", "all"), data=path, cache=tmp_path)
