"""GraphML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networkx as nx
import pytest
import torch

from sympe.files import Options, load
from sympe.graphs import SparseGraphs
from sympe.integrations.networkx import from_networkx
from tests.files.reading import orders, read


def test_graphml(tmp_path: Path) -> None:
    graph = nx.path_graph(4)
    nx.set_node_attributes(graph, {0: "a", 1: "b", 2: "b", 3: "c"}, "x")
    nx.write_graphml(graph, tmp_path / "a.graphml")
    assert orders(read(tmp_path / "a.graphml")) == [1]
    assert orders(read(tmp_path / "a.graphml", node_features="none")) == [2]
    nx.write_graphml(nx.cycle_graph(5, create_using=nx.DiGraph), tmp_path / "b.graphml")
    assert orders(read(tmp_path / "b.graphml")) == [5]
    (tmp_path / "bad.graphml").write_text("<not graphml")
    with pytest.raises(ValueError, match="is not GraphML"):
        read(tmp_path / "bad.graphml")


@pytest.mark.parametrize("kind", [nx.Graph, nx.DiGraph])
def test_the_file_of_a_graph_has_the_colours_of_the_graph(tmp_path: Path, kind: type[nx.Graph]) -> None:
    graph = nx.path_graph(4, create_using=kind)
    labels: list[tuple[str, list[Any], list[Any]]] = [
        ("none", [], []),
        ("text", ["a", "b", "b", "c"], ["one", "two", "one"]),
        ("whole numbers", [7, 7, -2, 0], [3, 1, 1]),
        ("floats", [0.5, 0.5, 1.5, 1.0], [2.0, 1.0, 2.0]),
    ]
    for name, nodes, edges in labels:
        nx.set_node_attributes(graph, dict(zip(graph, nodes, strict=False)), "x")
        nx.set_edge_attributes(graph, dict(zip(graph.edges, edges, strict=False)), "edge_attr")
        nx.write_graphml(graph, tmp_path / "a.graphml")
        (loaded,) = load(tmp_path / "a.graphml", Options())
        found = loaded.content
        assert isinstance(found, SparseGraphs)
        named = {"node_attrs": ["x"], "edge_attrs": ["edge_attr"]} if nodes else {}
        x = from_networkx(graph, **named)
        for field in ("sizes", "colors", "arcs", "arc_colors"):
            assert torch.equal(getattr(found, field), getattr(x, field)), (name, field)


def test_options_that_fit_nothing(tmp_path: Path) -> None:
    nx.write_graphml(nx.path_graph(3), tmp_path / "b.graphml")
    for option in ("node_features", "edge_features"):
        (bad,) = read(tmp_path / "b.graphml", **{option: "typo"}).bad
        assert bad.reason == f"{option}: nothing has an attribute 'typo'"


def star(defaults: str, nodes: str = "") -> str:
    rows = nodes or "".join(f'<node id="n{i}"/>' for i in range(4))
    edges = "".join(f'<edge source="n0" target="n{i}"/>' for i in (1, 2, 3))
    return f'<graphml>{defaults}<graph edgedefault="undirected">{rows}{edges}</graph></graphml>'


def test_defaults(tmp_path: Path) -> None:
    path = tmp_path / "a.graphml"
    key = '<key id="d0" for="node" attr.name="x" attr.type="int"><default>7</default></key>'
    rows = '<node id="n0"/><node id="n1"/><node id="n2"><data key="d0">7</data></node><node id="n3"/>'
    path.write_text(star(key, rows))
    assert orders(read(path)) == [6]
    path.write_text(star(key, rows.replace(">7<", ">8<")))
    assert orders(read(path)) == [2]
    path.write_text(star(key.replace("node", "edge").replace('"x"', '"edge_attr"')))
    assert orders(read(path)) == [6]


def test_several_graphs(tmp_path: Path) -> None:
    path = tmp_path / "a.graphml"
    graphs = [star("").removeprefix("<graphml>").removesuffix("</graphml>"), '<graph><node id="a"/></graph>']
    path.write_text(f"<graphml>{''.join(graphs)}</graphml>")
    report = read(path)
    assert (orders(report), report.names) == ([6, 1], ["a.graphml[0]", "a.graphml[1]"])
    path.write_text("<graphml></graphml>")
    with pytest.raises(ValueError, match="is not GraphML: it has no graph"):
        read(path)


def test_floats_take_the_tolerance(tmp_path: Path) -> None:
    path = tmp_path / "a.graphml"
    graph = nx.star_graph(3)
    nx.set_node_attributes(graph, {0: 0.0, 1: 1e-9, 2: 2e-9, 3: 3e-9}, "x")
    nx.write_graphml(graph, path)
    report = read(path)
    assert orders(report) == [6]
    assert report.warnings[0].startswith("x: all values of an input count as equal; they differ by up to 3e-09")
    fine = read(path, tolerance=1e-12)
    assert (orders(fine), fine.warnings) == ([1], [])
    nx.set_node_attributes(graph, {0: float("nan")}, "x")
    nx.write_graphml(graph, path)
    assert "expected finite values" in read(path).bad[0].reason
