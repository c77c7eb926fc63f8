"""The symmetry report: groups and floors by brute force, QM9 and random graphs against nauty, the command."""

from __future__ import annotations

import itertools
import json
import math
import sys
from pathlib import Path
from typing import Any

import networkx as nx
import pynauty
import pytest
import torch
from rdkit import Chem
from torch import Tensor

from sympe import cli
from sympe.actions import GridAction
from sympe.experiments.autoencoder.data import dataset
from sympe.experiments.report import draw_report
from sympe.graphs import SparseGraphs
from sympe.groups import P4M
from sympe.kernels import OrbitKernel
from sympe.report import (
    Bad,
    Floor,
    GraphInput,
    LatticeInput,
    SymmetryReport,
    entry_orbits,
    pair_orbits,
    symmetry_report,
)
from tests.files.reading import read, star

SAMPLE = Path(__file__).parent / "data" / "qm9-sample.smi"


def sparse(graph: nx.Graph) -> SparseGraphs:
    edges = torch.tensor(list(graph.edges), dtype=torch.int64).view(-1, 2).T
    return SparseGraphs.from_features(torch.cat([edges, edges.flip(0)], 1), torch.tensor([len(graph)]))


def nauty_order(graph: nx.Graph, colors: dict[Any, list[Any]]) -> int:
    number = {node: i for i, node in enumerate(graph)}
    adjacency = {number[v]: [number[w] for w in graph[v]] for v in graph}
    coloring = [{number[v] for v in nodes} for _, nodes in sorted(colors.items())]
    g = pynauty.Graph(len(graph), adjacency_dict=adjacency, vertex_coloring=coloring)
    _, mantissa, exponent, _, _ = pynauty.autgrp(g)
    return round(mantissa * 10**exponent)


def molecule_order(smiles: str) -> int:
    """The order of the automorphism group of a molecule without its hydrogens, bonds as coloured nodes, by nauty."""
    molecule = Chem.MolFromSmiles(smiles)
    graph, colors = nx.Graph(), {}
    for atom in molecule.GetAtoms():
        graph.add_node(atom.GetIdx())
        label = (0, atom.GetAtomicNum(), atom.GetFormalCharge(), atom.GetTotalNumHs())
        colors.setdefault(label, []).append(atom.GetIdx())
    for bond in molecule.GetBonds():
        node = ("bond", bond.GetIdx())
        nx.add_path(graph, [bond.GetBeginAtomIdx(), node, bond.GetEndAtomIdx()])
        colors.setdefault((1, int(bond.GetBondType()), 0, 0), []).append(node)
    return nauty_order(graph, colors)


def test_qm9_is_as_symmetric_as_nauty_says() -> None:
    report = read(SAMPLE)
    expected = [molecule_order(line.split()[0]) for line in SAMPLE.read_text().splitlines()]
    assert [round(math.exp(value)) for value in report.log_orders] == expected
    summary = report.summary()
    assert summary["inputs"] == 2048
    assert summary["symmetric_percent"] == pytest.approx(25.8, abs=0.05)
    assert max(expected) == 12


def test_about_47_percent_of_er_graphs_are_symmetric() -> None:
    graphs = dataset("er", "test").sparse()
    report = symmetry_report(GraphInput(str(row), graphs.select(torch.tensor([row]))) for row in range(500))
    expected = []
    for row, n in enumerate(graphs.sizes.tolist()):
        pairs = dataset("er", "test").pairs[row, :n, :n].numpy()
        expected.append(nauty_order(nx.from_numpy_array(pairs), {0: list(range(n))}))
    assert [round(math.exp(value)) for value in report.log_orders] == expected
    # 47 % of such graphs: within 5 standard deviations of a sample of 500
    assert abs(report.summary()["symmetric_percent"] - 47) < 5 * 100 * math.sqrt(0.47 * 0.53 / 500)


def brute_orbits(pairs: Tensor) -> tuple[Tensor, Tensor]:
    n = len(pairs)
    group = [p for p in itertools.permutations(range(n)) if torch.equal(pairs[list(p)][:, list(p)], pairs)]
    nodes = torch.tensor([min(p[i] for p in group) for i in range(n)])
    edges = torch.tensor([[min(p[i] * n + p[j] for p in group) for j in range(n)] for i in range(n)])
    return nodes, edges


@pytest.mark.parametrize("seed", range(8))
def test_floors_are_those_of_the_best_constant_on_every_orbit(seed: int) -> None:
    graph = nx.gnp_random_graph(6, 0.35, seed=seed)
    x = sparse(graph)
    pairs = torch.from_numpy(nx.to_numpy_array(graph, nodelist=range(6))).long()
    nodes, edges = brute_orbits(pairs)
    generator = torch.Generator().manual_seed(seed)
    y = torch.randn(6, 2, generator=generator)
    labels = torch.randint(0, 3, (6,), generator=generator)
    best = sum(float((y[nodes == o] - y[nodes == o].mean(0)).square().sum()) for o in nodes.unique())
    report = symmetry_report([GraphInput("a", x, y)])
    assert report.summary()["floors"]["nodes"]["least_loss"] == pytest.approx(best / 6, rel=1e-5, abs=1e-9)
    report = symmetry_report([GraphInput("a", x, labels)])
    entropy, wrong = 0.0, 0
    for o in nodes.unique():
        counts = labels[nodes == o].bincount().double()
        entropy += float(counts.sum() * torch.special.entr(counts / counts.sum()).sum())
        wrong += int(counts.sum() - counts.max())
    floor = report.summary()["floors"]["nodes"]
    assert floor["least_loss"] == pytest.approx(entropy / 6, rel=1e-6, abs=1e-9)
    assert floor["least_error_percent"] == pytest.approx(100 * wrong / 6)
    of_arcs = edges[x.arcs[0], x.arcs[1]]
    z = torch.randn(len(of_arcs), generator=generator)
    best = sum(float((z[of_arcs == o] - z[of_arcs == o].mean()).square().sum()) for o in of_arcs.unique())
    report = symmetry_report([GraphInput("a", x, None, z)])
    assert report.summary()["floors"]["edges"]["least_loss"] == pytest.approx(best / max(1, len(z)), rel=1e-5, abs=1e-9)
    invariant = nodes.float()
    assert symmetry_report([GraphInput("a", x, invariant)]).needs_breaking is False


def test_pair_orbits_of_a_ring() -> None:
    rotation = torch.tensor([[1, 2, 3, 0]])
    assert len(pair_orbits(rotation).unique()) == 4
    assert len(pair_orbits(torch.tensor([[1, 2, 3, 0], [0, 3, 2, 1]])).unique()) == 3


def test_lattices() -> None:
    size = 4
    constant, stripes = torch.zeros(1, size, size), (torch.arange(size) % 2).float().expand(1, size, size)
    bonds = torch.tensor([1.0, -2.0, 0.5])[:, None, None].expand(3, size, size)
    generator = torch.Generator().manual_seed(0)
    items = [
        LatticeInput("constant", constant, False, torch.eye(size)),
        LatticeInput("stripes", stripes, False, stripes[0]),
        LatticeInput("noise", torch.rand(1, size, size, generator=generator), False, torch.eye(size)),
        LatticeInput("bonds", bonds, True, torch.zeros(size, size)),
    ]
    report = symmetry_report(items)
    found = dict(zip(report.names, (round(math.exp(v)) for v in report.log_orders), strict=True))
    assert found == {"constant": 8 * 16, "stripes": 4 * 2 * 4, "noise": 1, "bonds": 4 * 16}
    variance = 4 * (3 / 4) ** 2 + 12 * (1 / 4) ** 2  # of the identity matrix around its mean
    assert report.floors["nodes"].loss == pytest.approx(variance)
    assert report.moved == 3 * 16
    assert report.orbits == 1 + 2 + 16 + 1


@pytest.mark.parametrize("at_once", [1, 40, 10**6])
def test_orbits_of_sites_are_those_of_all_images(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sympe.report._ENTRIES", at_once)
    action = GridAction(P4M(4))
    generator = torch.Generator().manual_seed(0)
    kinds = set()
    for _ in range(40):
        cell = torch.randint(0, 2, (1, 2, 2), generator=generator)
        field = cell.tile(1, 2, 2)
        field[0, 3, 3] += torch.randint(0, 2, (), generator=generator)
        elements = OrbitKernel(action).stabilizer(field[None])[0].nonzero().squeeze(1)
        sites = torch.arange(16).view(1, 4, 4)
        images = torch.stack([action(g, sites).flatten() for g in elements])
        assert torch.equal(entry_orbits(action, elements), images.amin(0))
        kinds.add(len(elements))
    assert len(kinds) > 4
    assert not torch.equal(entry_orbits(action, elements[:1]), entry_orbits(action, torch.arange(128)))  # the twin


@pytest.mark.parametrize("bonds", [False, True])
def test_large_uniform_lattices_take_time_in_proportion_to_their_sites(bonds: bool) -> None:
    """All images of all sites of this one would be 2 * 10^9 numbers."""
    field = torch.ones(3 if bonds else 1, 128, 128)
    report = symmetry_report([LatticeInput("uniform", field, bonds, torch.eye(128))])
    assert math.exp(report.log_orders[0]) == pytest.approx(8 * 128**2)
    assert (report.orbits, report.moved) == (1, 128**2)
    assert report.floors["nodes"].loss == pytest.approx(128 * (127 / 128) ** 2 + 128 * 127 / 128**2)


def test_targets_that_do_not_fit_make_a_bad_input_and_the_rest_counts() -> None:
    x = sparse(nx.path_graph(3))
    items = [
        GraphInput("short", x, torch.zeros(2)),
        GraphInput("nan", x, torch.full((3,), torch.nan)),
        GraphInput("good", x, torch.zeros(3)),
        Bad("line 4", "unreadable"),
        GraphInput("other kind", x, torch.zeros(3, dtype=torch.int64)),
    ]
    report = symmetry_report(items)
    assert report.names == ["good"]
    reasons = {bad.name: bad.reason for bad in report.bad}
    assert reasons["short"] == "targets: expected 3, got 2"
    assert reasons["nan"] == "targets: expected finite values, got NaN or infinity"
    assert reasons["line 4"] == "unreadable"
    assert "expected squared error targets" in reasons["other kind"]
    assert "4 inputs could not be read" in report.markdown()


def test_an_empty_floor() -> None:
    assert Floor("squared error").summary() == {"kind": "squared error", "targets": 0, "least_loss": 0.0}
    report = SymmetryReport()
    assert report.needs_breaking is None
    assert report.summary()["largest"] is None
    assert "No targets were given" in report.markdown()


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["sympe", *words])
    cli.main()


def test_the_command_writes_table_json_and_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save([star(y=torch.tensor([0.0, 1, 2, 3]))], tmp_path / "a.pt")
    run(monkeypatch, "report", str(tmp_path / "a.pt"), "--node-targets", "y", "--out", str(tmp_path / "out"))
    assert "**Symmetry breaking is needed**" in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["symmetric"] == 1
    assert found["floors"]["nodes"]["least_loss"] == pytest.approx(0.5)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["report.json", "report.md", "report.png"]
    (tmp_path / "b.smi").write_text("nonsense\n")
    with pytest.raises(SystemExit) as stop:
        run(monkeypatch, "report", str(tmp_path / "b.smi"), "--out", str(tmp_path / "none"))
    assert stop.value.code == 2
    assert "b.smi:1" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_several_files_are_one_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.smi").write_text("CC\nCO\n")
    (tmp_path / "b.csv").write_text("SMILES\nCCO\nOO\n")
    run(monkeypatch, "report", str(tmp_path / "a.smi"), str(tmp_path / "b.csv"), "--out", str(tmp_path / "out"))
    assert "# Symmetries of a.smi, b.csv" in capsys.readouterr().out
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (found["inputs"], found["symmetric"]) == (4, 2)
    assert found["data"] == [str(tmp_path / "a.smi"), str(tmp_path / "b.csv")]
    with pytest.raises(SystemExit):
        run(monkeypatch, "report", "--out", str(tmp_path / "none"))
    assert "data: expected at least one file" in capsys.readouterr().err
    for words in (("report", str(tmp_path / "a.smi"), "--tolerance", "-1"), ("train", "ising", "--variant", "glas")):
        with pytest.raises(SystemExit) as stop:
            run(monkeypatch, *words)
        assert stop.value.code == 2
        error = capsys.readouterr().err
        assert error.startswith(("sympe: tolerance: expected", "sympe: variant: expected")), error


def test_a_picture_without_any_symmetry(tmp_path: Path) -> None:
    report = symmetry_report([GraphInput("a", sparse(nx.empty_graph(1)))])
    draw_report(report, "a", tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000
