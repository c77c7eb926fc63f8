"""Graphs and lattices from files, one at a time; a line that cannot be read is named, and reading goes on.

The format is that of the suffix. Packages that only one format needs are imported when it is read.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from sympe.graphs import SparseGraphs

Loaded = tuple[str, "SparseGraphs | Tensor | str", Tensor | None, Tensor | None]
"""A name; a graph, a field on a lattice, or what is wrong; targets of nodes or sites; targets of edges."""


@dataclass(frozen=True)
class Options:
    """What to read from a file.

    Arguments:
        node_features: attribute of nodes that colours them, or "none". Where the default is absent all nodes are alike;
            where another is, the input is bad.
        edge_features: the same for edges.
        node_targets: attribute (of PyG data), or array (of an npz file), with targets of nodes or sites.
        edge_targets: attribute of PyG data with targets of edges.
        smiles_column: column of a CSV file; None for the first whose name contains "smiles".
        hydrogens: whether hydrogens of molecules are nodes; else they are part of their atom's colour.
        tolerance: largest gap between float features that count as equal.

    Raises:
        ValueError: if ``tolerance`` is negative or not finite.
    """

    node_features: str = "x"
    edge_features: str = "edge_attr"
    node_targets: str | None = None
    edge_targets: str | None = None
    smiles_column: str | None = None
    hydrogens: bool = False
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < math.inf:
            raise ValueError(f"tolerance: expected a finite number of at least 0, got {self.tolerance}")


def load(path: Path, options: Options) -> Iterator[Loaded]:
    """Everything in a file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the suffix is not known, targets are asked of a format that has none, or the file as a whole
            cannot be read.
        ImportError: if a package is missing; names the extra.
    """
    if not path.is_file():
        folder = ", but a folder: name the files in it" if path.is_dir() else ""
        raise FileNotFoundError(f"data: no file {path}{folder}")
    reader = READERS.get(path.suffix)
    if reader is None:
        raise ValueError(f"data: expected a file that ends with {', '.join(READERS)}; got {path.name}")
    has_targets = path.suffix in (".pt", ".npz")
    for name, value in (("node_targets", options.node_targets), ("edge_targets", options.edge_targets)):
        if value is not None and not (has_targets and (name == "node_targets" or path.suffix == ".pt")):
            raise ValueError(f"{name}: files that end with {path.suffix} have none")
    yield from reader(path, options)


def _lines(path: Path, parse: Callable[[str], SparseGraphs]) -> Iterator[Loaded]:
    with path.open(errors="replace") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _attempt(f"{path.name}:{number}", partial(parse, line.strip()))


def _attempt(name: str, parse: Callable[[], SparseGraphs]) -> Loaded:
    try:
        return name, parse(), None, None
    except (ValueError, TypeError, KeyError, IndexError, nx.NetworkXException) as error:
        return name, f"{type(error).__name__}: {error}" if not str(error) else str(error), None, None


def _smi(path: Path, options: Options) -> Iterator[Loaded]:
    parse = _smiles_parser(options)
    yield from _lines(path, lambda text: parse(text.split()[0]))


def _csv(path: Path, options: Options) -> Iterator[Loaded]:
    parse = _smiles_parser(options)
    with path.open(newline="", errors="replace") as file:
        rows = csv.DictReader(file)
        names = rows.fieldnames or []
        column = options.smiles_column or next((name for name in names if "smiles" in name.lower()), None)
        if column is None:
            raise ValueError(f"data: {path.name} has no column with 'smiles' in its name; it has {', '.join(names)}")
        if column not in names:
            raise ValueError(f"smiles_column: expected one of {', '.join(names)}; got {column}")
        while True:
            try:
                row = next(rows, None)
            except csv.Error as error:
                raise ValueError(f"data: {path.name}:{rows.line_num + 1}: {error}") from error
            if row is None:
                return
            yield _attempt(f"{path.name}:{rows.line_num}", partial(parse, row[column] or ""))


def molecule_from_smiles(text: str, *, hydrogens: bool) -> Any:
    """RDKit's sanitized molecule, with its hydrogens as atoms or without.

    Raises:
        ImportError: if RDKit is missing; names the extra.
        ValueError: if ``text`` is not the SMILES string of a molecule with at least one atom.
    """
    try:
        from rdkit import Chem, RDLogger
    except ImportError as error:
        raise ImportError("SMILES need RDKit: pip install 'sympe[molecules]'") from error
    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]  # what is wrong with a line is told by name and reason
    molecule: Any = Chem.MolFromSmiles(text)  # None where it cannot be parsed
    if molecule is None or molecule.GetNumAtoms() == 0:
        raise ValueError(f"not a SMILES string: {text[:60]!r}")
    return Chem.AddHs(molecule) if hydrogens else molecule


def _smiles_parser(options: Options) -> Callable[[str], SparseGraphs]:
    """Atoms by element, charge, isotope, and hydrogens that are not nodes; bonds by order. Chirality is left out."""

    def parse(text: str) -> SparseGraphs:
        molecule = molecule_from_smiles(text, hydrogens=options.hydrogens)
        atoms = torch.tensor(
            [
                [atom.GetAtomicNum(), atom.GetFormalCharge(), atom.GetIsotope(), atom.GetTotalNumHs()]
                for atom in molecule.GetAtoms()
            ]
        )
        bonds = [
            (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), int(bond.GetBondType())) for bond in molecule.GetBonds()
        ]
        table = torch.tensor(bonds, dtype=torch.int64).view(-1, 3).T
        arcs = torch.cat([table[:2], table[:2].flip(0)], 1)
        return SparseGraphs.from_features(arcs, torch.tensor([len(atoms)]), atoms, table[2].repeat(2))

    return parse


def _graph6(path: Path, options: Options) -> Iterator[Loaded]:
    read = nx.from_graph6_bytes if path.suffix == ".g6" else nx.from_sparse6_bytes
    yield from _lines(path, lambda text: _from_networkx(read(text.encode()), options))


def _graphml(path: Path, options: Options) -> Iterator[Loaded]:
    try:
        graph = nx.read_graphml(path)
    except Exception as error:  # the parser of XML raises its own kinds
        raise ValueError(f"data: {path} is not GraphML: {error}") from error
    yield _attempt(path.name, lambda: _from_networkx(graph, options))


def _edgelist(path: Path, options: Options) -> Iterator[Loaded]:
    """Two words a line, the names of two nodes; one word is a node without edges; # begins a comment."""
    graph = nx.Graph()
    with path.open(errors="replace") as file:
        for number, line in enumerate(file, 1):
            words = line.split("#")[0].split()
            if len(words) == 1:
                graph.add_node(words[0])
            elif len(words) == 2:
                graph.add_edge(*words)
            elif words:
                yield f"{path.name}:{number}", f"expected two nodes, got {len(words)} words", None, None
    if len(graph):
        yield _attempt(path.name, lambda: _from_networkx(graph, options))
    else:
        yield path.name, "expected at least one edge or node, got none", None, None


def _from_networkx(graph: Any, options: Options) -> SparseGraphs:
    number = {node: i for i, node in enumerate(graph)}
    directed = graph.is_directed()
    arcs, kinds = [], []
    for i, j, kind in graph.edges(data=options.edge_features):
        ends = [(number[i], number[j])] if directed or i == j else [(number[i], number[j]), (number[j], number[i])]
        arcs += ends
        kinds += [kind] * len(ends)
    colors = [graph.nodes[node].get(options.node_features) for node in graph]
    for argument, name, values in (
        ("node_features", options.node_features, colors),
        ("edge_features", options.edge_features, kinds),
    ):
        if name not in ("none", getattr(Options, argument)) and values and all(value is None for value in values):
            raise ValueError(f"{argument}: nothing has an attribute {name!r}")
    return SparseGraphs.from_features(
        torch.tensor(arcs, dtype=torch.int64).view(-1, 2).T,
        torch.tensor([len(number)]),
        _labels(colors),
        _labels(kinds),
        directed=directed,
    )


def _labels(values: list[Any]) -> Tensor:
    """Integers for labels of any kind, by their order as text among those of this graph."""
    words = sorted({repr(value) for value in values})
    return torch.tensor([words.index(repr(value)) for value in values], dtype=torch.int64)


def _pt(path: Path, options: Options) -> Iterator[Loaded]:
    try:
        from torch_geometric.data import Data
    except ImportError as error:
        raise ImportError("PyG files need torch_geometric: pip install 'sympe[pyg]'") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=False)  # as PyG writes them, pickles: trust them
    except Exception as error:  # a pickle can raise anything
        raise ValueError(f"data: {path} cannot be loaded by torch: {error}") from error
    if isinstance(content, tuple) and len(content) >= 2:  # what InMemoryDataset saves: one big Data, and where to cut
        data, slices = content[:2]
        content = [
            _cut(Data.from_dict(data) if isinstance(data, dict) else data, slices, i) for i in range(_count(slices))
        ]
    if isinstance(content, Data):
        content = [content]
    if not isinstance(content, list):
        raise ValueError(
            f"data: expected Data, a list of them or what InMemoryDataset saves; got {type(content).__name__}"
        )
    for number, data in enumerate(content):
        name = f"{path.name}[{number}]"
        try:
            if not isinstance(data, Data):
                raise ValueError(f"expected Data, got {type(data).__name__}")
            graph = _from_data(data, options)
            targets = None if options.node_targets is None else _attribute(data, options.node_targets)
            edges = None
            if options.edge_targets is not None:
                edges = _attribute(data, options.edge_targets)
                keys = data.edge_index[0] * data.num_nodes + data.edge_index[1]
                if len(edges) != len(keys):
                    raise ValueError(f"{options.edge_targets}: expected {len(keys)} targets of edges, got {len(edges)}")
                if len(keys.unique()) != len(keys):
                    raise ValueError("targets of edges that are there twice are ambiguous")
                edges = edges[keys.argsort()]  # as the arcs are sorted
        except (ValueError, TypeError) as error:
            yield name, str(error), None, None
        else:
            yield name, graph, targets, edges


def _from_data(data: Any, options: Options) -> SparseGraphs:
    if data.edge_index is None:
        raise ValueError("expected an edge_index, got none")
    features = [data.get(name) for name in (options.node_features, options.edge_features)]
    for argument, value in zip(("node_features", "edge_features"), features, strict=True):
        name = getattr(options, argument)
        if value is None and name not in ("none", getattr(Options, argument)):
            raise ValueError(f"{argument}: expected one of {', '.join(sorted(data.keys()))}; got {name!r}")
    nodes, edges = (None if value is None else value.view(len(value), -1) for value in features)
    sizes = torch.tensor([data.num_nodes])
    return SparseGraphs.from_features(data.edge_index, sizes, nodes, edges, directed=True, tolerance=options.tolerance)


def _attribute(data: Any, name: str) -> Tensor:
    value = data.get(name)
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: expected a tensor of targets, got {type(value).__name__}")
    return value


def _count(slices: Any) -> int:
    return len(next(iter(slices.values()))) - 1


def _cut(data: Any, slices: Any, index: int) -> Any:
    from torch_geometric.data.separate import separate

    return separate(cls=data.__class__, batch=data, idx=index, slice_dict=slices, decrement=False)


def _npz(path: Path, options: Options) -> Iterator[Loaded]:
    content = path.read_bytes()
    try:
        with np.load(io.BytesIO(content)) as stored:
            arrays = dict(stored)
    except Exception as error:  # NumPy, zipfile and zlib have their own kinds
        raise ValueError(f"data: {path} is no npz file: {error}") from error
    if "fields" not in arrays:
        raise ValueError(f'data: expected an array "fields" in {path}, got {", ".join(arrays) or "none"}')
    for name in ("fields", options.node_targets):
        if name in arrays and (arrays[name].dtype.kind not in "biuf" or arrays[name].itemsize > 8):
            raise ValueError(f"{name}: expected real numbers, got {arrays[name].dtype}")
    fields = torch.from_numpy(arrays["fields"])
    if fields.dim() != 4 or fields.shape[2] != fields.shape[3]:
        raise ValueError(f"fields: expected shape (batch, channels, L, L), got {tuple(fields.shape)}")
    targets = None
    if options.node_targets is not None:
        if options.node_targets not in arrays:
            raise ValueError(f"node_targets: expected one of {', '.join(arrays)}; got {options.node_targets}")
        targets = torch.from_numpy(arrays[options.node_targets])
        if len(targets) != len(fields) or targets.shape[-2:] != fields.shape[-2:]:
            raise ValueError(
                f"node_targets: expected one target a site of {tuple(fields.shape)}, got {tuple(targets.shape)}"
            )
    for number, x in enumerate(fields):
        name = f"{path.name}[{number}]"
        if not bool(x.isfinite().all()):
            yield name, "expected finite values, got NaN or infinity", None, None
        else:
            yield name, x, None if targets is None else targets[number], None


READERS: dict[str, Callable[[Path, Options], Iterator[Loaded]]] = {
    ".pt": _pt,
    ".g6": _graph6,
    ".s6": _graph6,
    ".smi": _smi,
    ".csv": _csv,
    ".graphml": _graphml,
    ".edgelist": _edgelist,
    ".txt": _edgelist,
    ".npz": _npz,
}
