"""Graph6 and sparse6."""

from __future__ import annotations

from pathlib import Path

import networkx as nx

from tests.files.reading import orders, read


def test_graph6_and_sparse6(tmp_path: Path) -> None:
    graphs = [nx.petersen_graph(), nx.path_graph(4), nx.empty_graph(3)]
    for suffix, write in (("g6", nx.to_graph6_bytes), ("s6", nx.to_sparse6_bytes)):
        path = tmp_path / f"a.{suffix}"
        path.write_bytes(
            b"".join(write(graph, header=False) for graph in graphs[:2]) + b"\x01!\n" + write(graphs[2], header=False)
        )
        report = read(path)
        assert orders(report) == [120, 2, 6]
        assert [bad.name for bad in report.bad] == [f"a.{suffix}:3"]
