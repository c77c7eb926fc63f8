"""The symmetry report: groups and floors by brute force, QM9 and random graphs against nauty, the command."""

from __future__ import annotations

import gc
import itertools
import json
import math
import sys
import tracemalloc
from collections import Counter
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
from sympe.experiments import report as command
from sympe.experiments.autoencoder.data import dataset
from sympe.experiments.report import draw_report, report_of
from sympe.files import Options
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
    look,
    pair_orbits,
    summary,
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 40, 10**6])
def test_orbits_of_sites_are_those_of_all_images(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sympe.report.look._ENTRIES", at_once)
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


@pytest.mark.slow
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


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 1, 1)])
@pytest.mark.parametrize("kind", [torch.int64, torch.uint8, torch.uint16, torch.bool])
def test_classes_in_a_column_are_those_in_a_vector(shape: tuple[int, ...], kind: torch.dtype) -> None:
    """A star of which two of three leaves are 1: log-loss 3 H(1/3), one wrong; two nodes of a path differ: log 2."""
    targets = torch.tensor([0, 0, 1, 1]).to(kind).view(shape)
    star = symmetry_report([GraphInput("star", sparse(nx.star_graph(3)), targets)])
    floor = star.summary()["floors"]["nodes"]
    entropy = math.log(3) - 2 / 3 * math.log(2)
    assert floor["least_loss"] == pytest.approx(3 * entropy / 4)
    assert floor["least_error_percent"] == pytest.approx(25)
    assert star.needs_breaking is True
    lattice = LatticeInput("a", torch.zeros(1, 2, 2), False, targets.view(*shape[1:], 2, 2))
    floor = symmetry_report([lattice]).summary()["floors"]["nodes"]
    assert (floor["least_loss"], floor["least_error_percent"]) == (pytest.approx(math.log(2)), 50)
    pair = sparse(nx.path_graph(2))
    two = torch.tensor([0, 1]).to(kind).view(2, *shape[1:])
    floors = symmetry_report([GraphInput("pair", pair, two, two)]).summary()["floors"]
    for of in ("nodes", "edges"):
        assert floors[of]["least_loss"] == pytest.approx(math.log(2))
        assert floors[of]["least_error_percent"] == 50


def test_every_column_of_classes_is_a_target_of_its_own() -> None:
    x = sparse(nx.star_graph(3))
    columns = torch.tensor([[5, 0, 0], [1, 2, 1], [1, 2, 0], [1, 2, 1]])  # only the last differs on the leaves
    report = symmetry_report([GraphInput("a", x, columns), GraphInput("b", x, columns)])
    floors = report.summary()["floors"]
    assert [floors[f"nodes[{column}]"]["least_error_percent"] for column in range(3)] == [0, 0, 25]
    assert [report.floors[f"nodes[{column}]"].needs_breaking for column in range(3)] == [False, False, True]
    assert report.needs_breaking is True
    report = symmetry_report([GraphInput("a", x, columns), GraphInput("b", x, columns[:, :2])])
    assert [bad.reason for bad in report.bad] == ["targets: expected 3 columns like those before, got 2"]
    assert all(floor.count == 4 for floor in report.floors.values())
    floats = [GraphInput("a", x, columns.float()), GraphInput("b", x, columns[:, :2].float())]
    assert symmetry_report(floats).bad == [Bad("b", "targets: expected 3 columns like those before, got 2")]


def test_targets_that_are_no_column_are_refused_and_leave_nothing_behind() -> None:
    x = sparse(nx.path_graph(2))
    y = torch.tensor([0.0, 1.0])
    for targets, reason in (
        (torch.tensor(3), "targets: expected 2, got a scalar"),
        (torch.tensor(3.0), "targets: expected 2, got a scalar"),
        (torch.zeros(2, 0), "targets: expected at least one column, got none"),
        (torch.zeros(2, dtype=torch.complex64), "targets: expected real numbers, got torch.complex64"),
        (torch.zeros(2, 3, dtype=torch.int64)[:1], "targets: expected 2, got 1"),
    ):
        report = symmetry_report([GraphInput("a", x, y, targets), GraphInput("b", x, targets)])
        assert report.bad == [Bad("a", reason), Bad("b", reason)]
        assert report.needs_breaking is None  # the good targets of nodes of a bad input do not count
    report = symmetry_report([GraphInput("a", x, torch.tensor([0, 1])), GraphInput("b", x, torch.zeros(2, 3))])
    assert report.bad[0].reason.startswith("targets: expected cross-entropy targets like those before")


@pytest.mark.parametrize(("unit", "offset"), [(1.0, 0.0), (1e-9, 0.0), (1e9, 0.0), (1e-3, -1e4), (1e-3, 1e6)])
def test_the_verdict_does_not_depend_on_units(unit: float, offset: float) -> None:
    x = sparse(nx.star_graph(3))
    differs, alike = (offset + unit * torch.tensor(y, dtype=torch.float64) for y in ([3, 0, 1, 2.0], [3, 1, 1, 1.0]))
    far = 1e12 * unit * torch.tensor([1.0, 0, 0, 0], dtype=torch.float64)  # another column, far larger
    for targets, needs in ((differs, True), (alike, False)):
        for columns in (targets, torch.stack([far, targets], 1)):
            report = symmetry_report([GraphInput("a", x, columns)])
            assert report.needs_breaking is needs
    rounded = alike.float() * (1 + torch.tensor([0, 1, 0, -1]) * torch.finfo(torch.float32).eps)
    assert symmetry_report([GraphInput("a", x, rounded)]).needs_breaking is False
    ring = sparse(nx.cycle_graph(6))
    assert symmetry_report([GraphInput("a", ring, torch.full((6,), offset + unit * 0.1))]).needs_breaking is False


def test_reports_join_to_that_of_all_inputs() -> None:
    graphs = [nx.random_regular_graph(3, n, seed=n) for n in (8, 10, 12)] + [nx.star_graph(4), nx.path_graph(3)]
    generator = torch.Generator().manual_seed(0)
    for draw in (lambda n: torch.randn(n, 2, generator=generator), lambda n: torch.arange(2 * n).view(n, 2) % 3):
        items = [GraphInput(str(row), sparse(graph), draw(len(graph))) for row, graph in enumerate(graphs)]
        items = [*items[:2], Bad("none", "bad"), *items[2:]]
        whole, one, other = (symmetry_report(part) for part in (items, items[:3], items[3:]))
        one.join(other)
        assert json.dumps(one.summary()) == json.dumps(whole.summary())
        assert one.names == whole.names
        few = symmetry_report(items, each=False)
        assert (few.names, few.summary()) == ([], whole.summary())
    with pytest.raises(ValueError, match="targets: expected squared error targets like those before, got cross-ent"):
        Floor("squared error").join(Floor("cross-entropy"))


def test_the_tolerance_is_that_of_lattices_too_and_a_channel_that_it_swallows_is_named() -> None:
    field = 1e-9 * torch.arange(16.0).view(1, 4, 4)
    metres = symmetry_report([LatticeInput("a", field, False)])
    assert metres.summary()["orders"] == {"128": 1}
    assert metres.warnings == [
        "fields[0]: all values of an input count as equal; they differ by up to 1.5e-08, and the tolerance is 1e-06. "
        "If they are in other units, give a smaller one."
    ]
    assert "**Warning**: fields[0]: all values" in metres.markdown()
    nanometres = symmetry_report([LatticeInput("a", field, False)], tolerance=1e-12)
    assert nanometres.summary()["orders"] == {"1": 1}
    assert nanometres.warnings == symmetry_report([LatticeInput("a", 0 * field, False)]).warnings == []
    bonds = torch.cat([field, 0 * field, 1 + 0 * field])
    assert [warning.split(":")[0] for warning in symmetry_report([LatticeInput("a", bonds, True)]).warnings] == [
        "fields[bonds]"
    ]


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
    for words, said in (
        (("report", str(tmp_path / "a.smi"), "--tolerance", "-1"), "sympe: tolerance: expected"),
        (("train", "ising", "--variant", "glas"), "'glas' for argument '--variant'. Expected one of"),
    ):
        with pytest.raises(SystemExit) as stop:
            run(monkeypatch, *words)
        assert stop.value.code == 2
        assert said in " ".join(capsys.readouterr().err.split())


def test_a_picture_without_any_symmetry(tmp_path: Path) -> None:
    report = symmetry_report([GraphInput("a", sparse(nx.empty_graph(1)))])
    draw_report(report, "a", tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.slow
def test_lines_that_are_shared_among_processes_make_the_same_report(tmp_path: Path) -> None:
    """More chunks than processes; the chunks in order, bad lines where they stand."""
    graphs = [nx.random_regular_graph(3, 8, seed=seed) for seed in range(50)]
    text = b"".join(nx.to_graph6_bytes(graph, header=False) for graph in graphs)
    (tmp_path / "a.g6").write_bytes((text + b"G!\n") * 45)
    (tmp_path / "b.smi").write_text("CC\nnonsense\n")
    paths = [tmp_path / "a.g6", tmp_path / "b.smi"]
    one, two = (report_of(paths, Options(), jobs=jobs) for jobs in (1, 2))
    assert one.inputs == 50 * 45 + 1
    assert len(one.bad) == 45 + 1
    assert json.dumps(one.summary()) == json.dumps(two.summary())
    alone = symmetry_report(GraphInput(str(row), sparse(graph)) for row, graph in enumerate(graphs))
    expected = Counter({value: 45 * count for value, count in alone.counts.items()})
    expected[round(alone_pair().log_orders[0], 9)] += 1
    assert one.counts == expected


def alone_pair() -> SymmetryReport:
    return symmetry_report([GraphInput("CC", sparse(nx.path_graph(2)))])


# ----- memory ---------------------------------------------------------------------------------------------------------


def grown(tmp_path: Path, lines: list[str]) -> float:
    """Bytes for each line by which the most memory of a report grows when the lines come twice."""
    peaks = []
    for times in (1, 1, 2):  # once to import and to fill caches
        path = tmp_path / f"{times}.g6"
        path.write_text("\n".join(lines * times))
        gc.collect()
        tracemalloc.start()
        report = report_of([path], Options(), jobs=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert report.inputs + report.unread == times * len(lines)
    return (peaks[2] - peaks[1]) / len(lines)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")  # checks of types would be traced as well
@pytest.mark.parametrize("bad", [False, True])
def test_the_memory_of_a_report_does_not_grow_with_the_lines(
    bad: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Less than 40 bytes a line, which are noise; a name and a logarithm kept for each are more, and so is what is bad.

    The kernel, which keeps nothing, is left out: where memory is traced it would take a minute.
    """

    def add_all(report: SymmetryReport, items: list[GraphInput]) -> None:
        for item in items:
            report.add(item.name, 0.0, torch.arange(3))

    def keeping(make: Any) -> Any:
        return lambda *inputs, **options: make(*inputs, **{**options, "each": True})

    monkeypatch.setattr(look, "_add_graphs", add_all)
    monkeypatch.setattr(look, "CHUNK", 32)
    monkeypatch.setattr(command, "_CHUNK", 32)
    monkeypatch.setattr(summary, "NAMED", 32)
    lines = ["BwA" if bad else "Bw"] * 512
    assert grown(tmp_path, lines) < 40
    monkeypatch.setattr(command, "SymmetryReport", keeping(SymmetryReport))
    monkeypatch.setattr(command, "symmetry_report", keeping(symmetry_report))
    assert grown(tmp_path, lines) > 80


def test_what_is_bad_is_counted_where_it_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "NAMED", 3)
    items = [Bad(f"a:{line}", "truncated") for line in range(5)]
    total = SymmetryReport(each=False)
    for _ in range(2):
        total.join(symmetry_report(items, each=False))
    assert (total.unread, total.bad) == (10, items[:3])
    assert total.summary()["unread"] == 10
    assert "10 inputs could not be read" in total.markdown()
    assert symmetry_report(items).bad == items
