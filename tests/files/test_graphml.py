"""GraphML."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest

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


def test_options_that_fit_nothing(tmp_path: Path) -> None:
    nx.write_graphml(nx.path_graph(3), tmp_path / "b.graphml")
    for option in ("node_features", "edge_features"):
        (bad,) = read(tmp_path / "b.graphml", **{option: "typo"}).bad
        assert bad.reason == f"{option}: nothing has an attribute 'typo'"
