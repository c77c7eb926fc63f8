"""Readers on damaged files: an answer, or a reason with a name, and never another answer than an independent reader's.

The independent readers are networkx, RDKit, NumPy, torch, csv, gzip and the letter of the formats. Orders of
automorphism groups are counted by networkx.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from networkx.algorithms import isomorphism
from rdkit import Chem, RDLogger
from torch_geometric.data import Batch, Data, InMemoryDataset

from sympe.experiments.report import inputs_of
from sympe.files import Loaded, Options, load
from sympe.graphs import SparseGraphs
from sympe.kernels import GraphKernel
from sympe.report import symmetry_report
from tests.fuzz.mutations import lines_of, mutated

RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]

Load = Callable[[Path, Options], Iterator[Loaded]]

_SMALL = 12
"""Most nodes of graphs whose automorphisms are counted by networkx."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def answers(path: Path, content: bytes, options: Options = Options(), load: Load = load) -> dict[str, Any] | str:  # noqa: B008
    """What is read from each place, or why the file cannot be; the law that holds for every file whatever."""
    path.write_bytes(content)
    reason = ""
    try:
        loaded = list(load(path, options))
    except ValueError as error:  # any other kind is a fault of the reader
        reason = str(error) or "none"
    if reason:
        assert path.name.removesuffix(".gz") in reason
        return reason
    for one in loaded:
        assert one.name.startswith(path.name.removesuffix(".gz")), one.name
        if isinstance(one.content, str):
            assert one.content.strip()
    assert len({one.name for one in loaded}) == len(loaded)
    if load is _LOAD and all(_size(one.content) <= 64 for one in loaded):
        report = symmetry_report(inputs_of([path], options), tolerance=options.tolerance)
        assert {*report.names, *(bad.name for bad in report.bad)} == {one.name for one in loaded}
        assert all(math.isfinite(value) for value in report.log_orders)
    return {one.name: one.content for one in loaded}


_LOAD: Load = load


def _size(content: Any) -> int:
    return int(content.sizes.sum()) if isinstance(content, SparseGraphs) else 0


def same_graph(found: Any, wanted: nx.Graph) -> None:
    """As many nodes and arcs, and the same number of automorphisms.

    Arguments:
        found: what was read.
        wanted: with attributes "color" of nodes and edges.
    """
    assert isinstance(found, SparseGraphs), found
    arcs = {(i, j) for i, j in wanted.edges()}
    arcs |= set() if wanted.is_directed() else {(j, i) for i, j in arcs}
    assert (int(found.sizes), found.arcs.shape[1]) == (len(wanted), len(arcs))
    if len(wanted) <= _SMALL and (order := _order(wanted)) is not None:
        kernel = GraphKernel(max(1, len(wanted)))
        assert round(math.exp(float(kernel.entropy(found)))) == order


def _order(graph: nx.Graph, most: int = 6000) -> int | None:
    """How many automorphisms there are, by enumeration; None if they are too many for it."""
    kind = isomorphism.DiGraphMatcher if graph.is_directed() else isomorphism.GraphMatcher
    nodes = isomorphism.categorical_node_match("color", None)
    edges = isomorphism.categorical_edge_match("color", None)
    count = 0
    for _ in kind(graph, graph, nodes, edges).isomorphisms_iter():
        count += 1
        if count > most:
            return None
    return count


# ----- graph6, sparse6, digraph6 --------------------------------------------------------------------------------------

_GRAPHS = [
    nx.petersen_graph(),
    nx.path_graph(4),
    nx.empty_graph(3),
    nx.star_graph(5),
    nx.gnp_random_graph(7, 0.4, seed=0),
]
_LOOPS = nx.Graph([(0, 0), (0, 1), (1, 2)])


def graph6_file(header: bool) -> bytes:
    return b"".join(nx.to_graph6_bytes(graph, header=header) for graph in _GRAPHS)


def sparse6_file(header: bool) -> bytes:
    return b"".join(nx.to_sparse6_bytes(graph, header=header) for graph in [*_GRAPHS, _LOOPS])


def digraph6(bits: Sequence[str], n: int) -> bytes:
    text = "".join(bits)
    text += "0" * (-len(text) % 6)
    return b"&" + bytes([n + 63, *(int(text[i : i + 6], 2) + 63 for i in range(0, len(text), 6))]) + b"\n"


def from_digraph6(line: str) -> nx.DiGraph:
    """By the letter of the format, for up to 62 nodes."""
    line = line.removeprefix(">>digraph6<<")
    values = [ord(letter) - 63 for letter in line[1:]]
    if line[:1] != "&" or not values or not all(0 <= value < 64 for value in values) or values[0] == 63:
        raise ValueError(line)
    n = values[0]
    bits = "".join(f"{value:06b}" for value in values[1:])
    if len(bits) != -(-n * n // 6) * 6:
        raise ValueError(line)
    graph = nx.empty_graph(n, create_using=nx.DiGraph)
    graph.add_edges_from(divmod(place, n) for place, bit in enumerate(bits[: n * n]) if bit == "1")
    return graph


def written_digraph6(graph: nx.DiGraph) -> bytes:
    n = len(graph)
    return digraph6(["1" if graph.has_edge(i, j) else "0" for i in range(n) for j in range(n)], n)


_FORMATS: dict[str, tuple[Callable[[str], nx.Graph], Callable[[nx.Graph], bytes], list[bytes]]] = {
    "g6": (
        lambda line: nx.from_graph6_bytes(line.encode()),
        lambda graph: nx.to_graph6_bytes(graph, header=False),
        [graph6_file(False), graph6_file(True), b"?\n@\n"],
    ),
    "s6": (
        lambda line: nx.from_sparse6_bytes(line.encode()),
        lambda graph: nx.to_sparse6_bytes(graph, header=False),
        [sparse6_file(False), sparse6_file(True)],
    ),
    "d6": (
        from_digraph6,
        written_digraph6,
        [b"".join(written_digraph6(nx.gnp_random_graph(n, 0.4, seed=n, directed=True)) for n in range(2, 7))],
    ),
}


def check_lines(path: Path, content: bytes, load: Load = load) -> None:
    """Line by line what the independent reader says; what it would write itself has to be read."""
    parse, write, _ = _FORMATS[path.suffix[1:]]
    found = answers(path, content, load=load)
    assert isinstance(found, dict)
    assert list(found) == [f"{path.name}:{number}" for number, _ in lines_of(content)]
    for number, line in lines_of(content):
        answer = found[f"{path.name}:{number}"]
        if path.suffix != ".g6" and re.match("(>>sparse6<<|>>digraph6<<)?[:&]~[^?]", line):
            continue  # thousands of nodes, for networkx up to 2^36
        try:  # networkx does not look whether a letter is one of the format
            wanted = parse(line) if re.fullmatch(r"(>>(di)?(graph|sparse)6<<)?[:&]?[?-~]*", line) else None
        except (nx.NetworkXException, ValueError, IndexError):
            wanted = None
        if isinstance(answer, SparseGraphs):
            assert wanted is not None, line
        if wanted is not None and (isinstance(answer, SparseGraphs) or write(wanted).strip() == line.encode()):
            same_graph(answer, wanted)


@pytest.mark.parametrize("suffix", _FORMATS)
@settings(max_examples=settings().max_examples // 3)
@given(data=st.data())
def test_graph6(folder: Path, suffix: str, data: st.DataObject) -> None:
    words = [b"~?", b"~?@", b":", b"&", b">>graph6<<", b">>sparse6<<"]
    check_lines(folder / f"a.{suffix}", data.draw(mutated(_FORMATS[suffix][2], words)))


# ----- molecules ------------------------------------------------------------------------------------------------------

_SMILES = ["c1ccccc1", "CCO", "CC(C)(C)C", "[13CH3]C", "[Cu]->[Cu]", "CC |^1:0|", "[O-][N+](=O)c1ccccc1", "F/C=C/F"]
_SMILES_WORDS = [b"|", b"[", b"(", b"%", b"->", b"*", b"[nH]", b"[CH9]", b"1", b" |$a;b$|", b"C.C", b"~", b"[999Fe+9]"]


def graph_of(molecule: Chem.Mol) -> nx.Graph:
    """Atoms and bonds with what may not be exchanged, dative bonds with their direction."""
    graph = nx.DiGraph()
    for atom in molecule.GetAtoms():
        color = (
            atom.GetAtomicNum(),
            atom.GetFormalCharge(),
            atom.GetIsotope(),
            atom.GetTotalNumHs(),
            atom.GetNumRadicalElectrons(),
            atom.GetProp("atomLabel") if atom.HasProp("atomLabel") else "",
        )
        graph.add_node(atom.GetIdx(), color=color)
    for bond in molecule.GetBonds():
        ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        kind = str(bond.GetBondType())
        graph.add_edge(*ends, color=kind)
        graph.add_edge(*ends[::-1], color=f"{kind} back" if kind.startswith("DATIVE") else kind)
    return graph


def check_molecule(answer: Any, text: str) -> None:
    molecule = Chem.MolFromSmiles(text)
    if molecule is None or molecule.GetNumAtoms() == 0:
        assert isinstance(answer, str), (answer, text)
    else:
        same_graph(answer, graph_of(molecule))


@settings(max_examples=settings().max_examples // 3)
@given(content=mutated(["\n".join(_SMILES).encode(), b"CC ethane\r\nCCO\tethanol\n\nnonsense\n"], _SMILES_WORDS))
def test_smiles(folder: Path, content: bytes) -> None:
    check_smiles(folder / "a.smi", content)


def check_smiles(path: Path, content: bytes, load: Load = load) -> None:
    found = answers(path, content, load=load)
    assert isinstance(found, dict)
    assert list(found) == [f"a.smi:{number}" for number, _ in lines_of(content)]
    for number, line in lines_of(content):
        if "|" not in line:
            check_molecule(found[f"a.smi:{number}"], re.split("[ \t]", line)[0])


_TABLES = [
    b"name,SMILES,other\nx,CC,C\ny,,C\nz,C=C,CCC\n",
    b'id,smiles\r\n1,"CC(C)C"\r\n2,c1ccccc1\r\n',
    b"smiles\nCCO\n",
]


@given(content=mutated(_TABLES, [b",", b'"', b'""', b"\r\n", b'"\n"', *_SMILES_WORDS]))
def test_tables(folder: Path, content: bytes) -> None:
    check_table(folder / "a.csv", content)


def check_table(path: Path, content: bytes, load: Load = load) -> None:
    found = answers(path, content, load=load)
    text = content.decode("utf-8", "replace").removeprefix("\ufeff")
    rows = csv.reader(io.StringIO(text, newline=""))
    wanted = {}
    try:
        names: list[str] = next(rows, [])
        column = next((place for place, name in enumerate(names) if "smiles" in name.lower()), None)
        for row in rows:
            if row and column is not None:
                wanted[f"a.csv:{rows.line_num}"] = row[column] if column < len(row) else ""
    except csv.Error:
        column = None
    if column is None or names.count(names[column]) > 1:
        return
    assert isinstance(found, dict), found
    assert list(found) == list(wanted)
    for name, smiles in wanted.items():
        check_molecule(found[name], smiles)


def records() -> bytes:
    return b"".join(Chem.MolToMolBlock(Chem.MolFromSmiles(text)).encode() + b"$$$$\n" for text in _SMILES[:4])


_RECORDS = [records(), Chem.MolToV3KMolBlock(Chem.MolFromSmiles("CCO")).encode() + b">  <a>  (1)\n2\n\n$$$$\n"]


@given(content=mutated(_RECORDS, [b"$$$$\n", b"M  END\n", b"M  CHG  1   1   1\n", b"V3000", b"999", b"> <a>\n"]))
def test_records(folder: Path, content: bytes) -> None:
    check_records(folder / "a.sdf", content)


def check_records(path: Path, content: bytes, load: Load = load) -> None:
    found = answers(path, content, load=load)
    assert isinstance(found, dict)
    assert list(found) == [f"a.sdf:{number}" for number in range(1, len(found) + 1)]
    blocks = re.split(rb"(?m)^\$\$\$\$.*\n?", content)
    if content in _RECORDS:  # in damaged files RDKit may find more or fewer
        assert len(found) == len(blocks) - 1
    if b"\r" in content or b"\x00" in content:
        return
    for answer, block in zip(found.values(), blocks, strict=False):
        molecule = Chem.MolFromMolBlock(block.decode("latin-1"))
        if molecule is None or not molecule.GetNumAtoms():
            return  # where the next record begins is RDKit's affair
        assert isinstance(answer, SparseGraphs), answer
        assert int(answer.sizes) == molecule.GetNumAtoms()
        assert answer.arcs.shape[1] == 2 * molecule.GetNumBonds()


# ----- edge lists and GraphML -----------------------------------------------------------------------------------------

_EDGES = [
    b"# a star\n1 2\n1 3\n1 4\n",
    b"1, 2, 0.5\n1, 3, 0.5\n4, 1, 2\n",
    b"1 2 {'weight': 1.0}\n1 3 {'weight': 1}\n1 4 {}\n",
    b"p edge 3 2\ne 1 2\ne 1 3\n",
    b"a b\nb c\nc a\nd\n",
]
_EDGE_WORDS = [
    b" {[1]: 2}",
    b"1 2 {[1]: 2}\n",
    b" {'weight': ",
    b"{",
    b"}",
    b" {}",
    b",",
    b";",
    b" 1.5",
    b" inf",
    b"%%MatrixMarket",
    b"{'a': 1j}",
]


@given(content=mutated(_EDGES, _EDGE_WORDS), directed=st.booleans())
def test_edge_lists(folder: Path, content: bytes, directed: bool) -> None:
    check_edges(folder / "a.txt", content, directed=directed)


def check_edges(path: Path, content: bytes, load: Load = load, *, directed: bool = False) -> None:
    found = answers(path, content, Options(directed=directed), load=load)
    assert isinstance(found, dict)
    ((name, answer),) = found.items()
    lines = [(number, line) for number, line in lines_of(content) if line[0] not in "#%"]
    if any(re.match("p edge [0-9]", line) for _, line in lines):
        assert isinstance(answer, str)
    if not all(re.fullmatch(r"[0-9]+ [0-9]+( [0-9]{1,9})?", line) for _, line in lines) or not lines:
        return
    graph: Any = nx.DiGraph() if directed else nx.Graph()
    for number, line in lines:
        i, j, *weight = line.split(" ")
        color = int(weight[0]) if weight else None
        if graph.has_edge(i, j) and graph.edges[i, j]["color"] != color:
            assert isinstance(answer, str)
            assert name == f"a.txt:{number}"
            return
        graph.add_edge(i, j, color=color)
    same_graph(answer, graph)


def graphml() -> list[bytes]:
    path = nx.path_graph(4)
    nx.set_node_attributes(path, {0: 1.0, 1: 2.0, 2: 2.0, 3: 1.0}, "x")
    digraph = nx.cycle_graph(4, create_using=nx.DiGraph)
    nx.set_edge_attributes(digraph, {edge: number % 2 for number, edge in enumerate(digraph.edges)}, "edge_attr")
    multigraph = nx.MultiGraph([(0, 1), (0, 1), (1, 2)])
    return ["\n".join(nx.generate_graphml(graph)).encode() for graph in (path, digraph, multigraph)]


_GRAPHML_WORDS = [
    b"<node/>",
    b'<node id="9"/>',
    b"<graph/>",
    b"</graph>",
    b"<data/>",
    b"int",
    b"long",
    b"double",
    b"&amp;",
]


@given(content=mutated(graphml(), _GRAPHML_WORDS))
def test_graphml(folder: Path, content: bytes) -> None:
    check_graphml(folder / "a.graphml", content)


def check_graphml(path: Path, content: bytes, load: Load = load) -> None:
    found = answers(path, content, load=load)
    try:
        wanted = nx.parse_graphml(content.decode(), force_multigraph=True)
    except Exception:  # whatever it says
        return
    if isinstance(found, dict) and len(found) == 1:
        (answer,) = found.values()
        if isinstance(answer, SparseGraphs):
            arcs = {(i, j) for i, j, _ in wanted.edges}
            arcs |= set() if wanted.is_directed() else {(j, i) for i, j in arcs}
            assert (int(answer.sizes), answer.arcs.shape[1]) == (len(wanted), len(arcs))


# ----- lattices and PyG -----------------------------------------------------------------------------------------------


def archive(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


_FIELDS = np.arange(2 * 3 * 9.0).reshape(2, 3, 3, 3) % 4


def check_fields(found: dict[str, Any] | str, content: bytes) -> None:
    try:
        with np.load(io.BytesIO(content)) as stored:
            fields = dict(stored)["fields"]
    except Exception:  # NumPy, zipfile, zlib and struct have their own kinds
        assert isinstance(found, str)
        return
    if isinstance(found, dict):
        assert len(found) == len(fields)
        for answer, field in zip(found.values(), fields, strict=True):
            if np.isfinite(field).all():
                assert np.array_equal(answer.double().numpy(), field.astype(float))
            else:
                assert isinstance(answer, str)
    else:
        fits = fields.ndim == 4 and fields.shape[2] == fields.shape[3] and 0 not in fields.shape[1:]
        assert not fits or fields.dtype.kind not in "biuf" or fields.dtype.itemsize > 8


@given(content=mutated([archive(fields=_FIELDS), archive(fields=_FIELDS[:1, :1].astype(np.int8), y=np.zeros(3))]))
def test_archives(folder: Path, content: bytes) -> None:
    check_archive(folder / "a.npz", content)


def check_archive(path: Path, content: bytes, load: Load = load) -> None:
    check_fields(answers(path, content, load=load), content)


@given(
    dtype=st.sampled_from(
        ["?", "i1", "u1", "<i4", ">i4", "u2", "u4", "u8", "e", "f", "<f8", ">f8", "g", "c8", "U3", "O"]
    ),
    shape=st.lists(st.integers(0, 3), max_size=5),
    fortran=st.booleans(),
    value=st.sampled_from([0.0, 1.0, float("nan"), 3.0]),
)
def test_arrays_of_any_kind(folder: Path, dtype: str, shape: list[int], fortran: bool, value: float) -> None:
    with np.errstate(invalid="ignore"):
        fields = np.full(shape, value).astype(dtype, order="F" if fortran else "C")
    content = archive(fields=fields)
    check_fields(answers(folder / "b.npz", content), content)


def pt(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


_STAR = {"edge_index": torch.tensor([[1, 2, 3, 0, 0, 0], [0, 0, 0, 1, 2, 3]]), "num_nodes": 4}
_STORED = [Data(**_STAR), Data(**_STAR, x=torch.tensor([[0.0], [1], [1], [2]]))]


@given(
    content=mutated(
        [
            pt(_STORED),
            pt(_STORED[0]),
            pt(Batch.from_data_list(_STORED[:1] * 2)),
            pt(InMemoryDataset.collate(_STORED[:1] * 2)),
        ]
    )
)
def test_what_pyg_saves(folder: Path, content: bytes) -> None:
    check_stored(folder / "a.pt", content)


def check_stored(path: Path, content: bytes, load: Load = load) -> None:
    found = answers(path, content, load=load)
    if isinstance(found, str):
        return
    stored = torch.load(path, map_location="cpu", weights_only=True)  # of what the reader allows
    items = stored if isinstance(stored, list) else [stored]
    if all(isinstance(item, Data) and "ptr" not in item for item in items):
        assert len(found) == len(items)
        for answer, item in zip(found.values(), items, strict=True):
            if isinstance(answer, SparseGraphs):
                assert {*zip(*answer.arcs.tolist(), strict=True)} == {*zip(*item.edge_index.tolist(), strict=True)}


_VALUES = st.one_of(
    st.none(),
    st.integers(-3, 6),
    st.floats(-2, 2),
    st.text(max_size=3),
    st.lists(st.integers(-1, 4), max_size=4),
    st.builds(
        lambda shape, dtype, scale: (torch.arange(math.prod(shape)).view(shape) % 4 * scale).to(dtype),
        st.lists(st.integers(0, 6), max_size=3).map(tuple),
        st.sampled_from(
            [torch.int64, torch.int32, torch.uint8, torch.bool, torch.float32, torch.bfloat16, torch.complex64]
        ),
        st.sampled_from([1, -1, 0]),
    ),
)


@given(
    changes=st.dictionaries(
        st.sampled_from(["edge_index", "num_nodes", "x", "edge_attr", "y", "e", "batch", "ptr", "pos"]),
        _VALUES,
        max_size=4,
    ),
    several=st.booleans(),
)
def test_data_of_any_kind(folder: Path, changes: dict[str, Any], several: bool) -> None:
    item = Data(**{**_STAR, **changes})
    options = Options(node_targets="y" if "y" in changes else None, edge_targets="e" if "e" in changes else None)
    found = answers(folder / "b.pt", pt([item, _STORED[0]] if several else item), options)
    if several and options == Options():
        assert isinstance(found, dict)
        assert isinstance(found["b.pt[1]"], SparseGraphs)


# ----- gzip -----------------------------------------------------------------------------------------------------------

_PACKED: dict[str, bytes] = {
    "smi": "\n".join(_SMILES).encode(),
    "csv": _TABLES[0],
    "sdf": _RECORDS[0],
    "g6": graph6_file(False),
    "txt": _EDGES[0],
    "graphml": graphml()[0],
}


@pytest.mark.parametrize("suffix", _PACKED)
@settings(max_examples=settings().max_examples // 3)
@given(data=st.data())
def test_packed(folder: Path, suffix: str, data: st.DataObject) -> None:
    content = data.draw(mutated([gzip.compress(_PACKED[suffix], mtime=0)]))
    found = answers(folder / f"a.{suffix}.gz", content)
    try:
        plain = gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        assert isinstance(found, str)
        return
    wanted = answers(folder / f"a.{suffix}", plain)
    if isinstance(found, str) or isinstance(wanted, str):
        assert isinstance(found, str) and isinstance(wanted, str)  # noqa: PT018
        return
    assert list(found) == list(wanted)
    for one, other in zip(found.values(), wanted.values(), strict=True):
        assert str(one) == str(other)


# ----- readers that break these laws ----------------------------------------------------------------------------------


def lossy(path: Path, options: Options) -> Iterator[Loaded]:
    """No arcs, and other numbers."""
    for one in load(path, options):
        content = one.content
        if isinstance(content, SparseGraphs) and content.arcs.numel():
            content = SparseGraphs(content.sizes, content.colors, content.arcs[:, :0], content.arc_colors[:0])
        elif isinstance(content, torch.Tensor):
            content = content + 1
        yield one._replace(content=content)


def nameless(path: Path, options: Options) -> Iterator[Loaded]:
    yield from (one._replace(name="a graph") for one in load(path, options))


def skipping(path: Path, options: Options) -> Iterator[Loaded]:
    yield from list(load(path, options))[:-1]


def silent(path: Path, options: Options) -> Iterator[Loaded]:
    raise ValueError("it cannot be read")
    yield


TWINNED: dict[str, tuple[Callable[[Path, bytes, Load], None], bytes, Sequence[Load]]] = {
    "g6": (check_lines, graph6_file(False) + b"\x01\n", (lossy, nameless, skipping, silent)),
    "s6": (check_lines, sparse6_file(False), (lossy, nameless, skipping, silent)),
    "d6": (check_lines, _FORMATS["d6"][2][0], (lossy, nameless, skipping, silent)),
    "smi": (check_smiles, b"CCO\nnonsense\nCC\n", (lossy, nameless, skipping, silent)),
    "csv": (check_table, _TABLES[0], (lossy, nameless, skipping, silent)),
    "sdf": (check_records, _RECORDS[0], (lossy, nameless, skipping, silent)),
    "txt": (check_edges, b"1 2\n1 3\n", (lossy, nameless, skipping, silent)),
    "graphml": (check_graphml, graphml()[0], (lossy, nameless)),  # it may refuse what networkx takes
    "npz": (check_archive, archive(fields=_FIELDS), (lossy, nameless, skipping, silent)),
    "pt": (check_stored, pt(_STORED), (lossy, nameless, skipping)),  # and what torch does
}


@pytest.mark.parametrize("suffix", TWINNED)
def test_readers_that_break_the_law_are_found(folder: Path, suffix: str) -> None:
    check, content, twins = TWINNED[suffix]
    path = folder / f"a.{suffix}"
    check(path, content, load)
    for twin in twins:
        with pytest.raises((AssertionError, ValueError)):  # a check may unpack one answer where there is none
            check(path, content, twin)


def test_every_format_has_a_twin() -> None:
    assert {*TWINNED} >= {*_FORMATS, *_PACKED, "npz", "pt"}
