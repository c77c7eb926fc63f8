"""Graph6, digraph6 and sparse6."""

from __future__ import annotations

import gzip
from pathlib import Path

import networkx as nx
import pytest

from tests.files.reading import orders, read


def digraph6(graph: nx.DiGraph) -> bytes:
    """By the letter of the specification, for up to 62 nodes."""
    n = len(graph)
    bits = "".join("1" if graph.has_edge(i, j) else "0" for i in range(n) for j in range(n))
    bits += "0" * (-len(bits) % 6)
    return b"&" + bytes([n + 63, *(int(bits[i : i + 6], 2) + 63 for i in range(0, len(bits), 6))]) + b"\n"


def order_of(graph: nx.Graph) -> int:
    kind = nx.algorithms.isomorphism.DiGraphMatcher if graph.is_directed() else nx.algorithms.isomorphism.GraphMatcher
    return sum(1 for _ in kind(graph, graph).isomorphisms_iter())


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
        packed = tmp_path / f"a.{suffix}.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        assert orders(read(packed)) == [120, 2, 6]


def test_random_graphs(tmp_path: Path) -> None:
    graphs = [nx.random_regular_graph(3, n, seed=n) for n in (8, 10, 12)]
    graphs += [nx.gnp_random_graph(n, 0.4, seed=n) for n in range(8)] + [nx.star_graph(70), nx.empty_graph(0)]
    (tmp_path / "a.g6").write_bytes(b"".join(nx.to_graph6_bytes(graph) for graph in graphs))
    found = orders(read(tmp_path / "a.g6"))
    assert found[:11] == [order_of(graph) for graph in graphs[:11]]
    digraphs = [nx.gnp_random_graph(n, 0.4, seed=n, directed=True) for n in range(2, 7)]
    digraphs += [nx.cycle_graph(5, create_using=nx.DiGraph), nx.DiGraph([(0, 0), (0, 1)])]
    (tmp_path / "a.d6").write_bytes(b"".join(map(digraph6, digraphs)))
    assert orders(read(tmp_path / "a.d6")) == [order_of(graph) for graph in digraphs]


@pytest.mark.parametrize(
    ("suffix", "line", "reason"),
    [
        ("g6", b"D?", "truncated: expected 2 bytes for a graph of 5 nodes, got 1"),
        ("g6", b"D???", "expected 2 bytes for a graph of 5 nodes, got 3"),
        ("g6", b"D?\x1f", "expected bytes from 63 to 126, got '\\x1f' after 2"),
        ("g6", b"D? ?", "expected bytes from 63 to 126, got ' ' after 2"),
        ("g6", b"D?\xff", "expected bytes from 63 to 126, got '�' after 2"),
        ("g6", b"~?", "truncated: the number of nodes is not whole"),
        ("g6", b"~~~~~~~~", "truncated: expected"),
        ("g6", b"B~", "expected zeros in the last bits, which belong to no pair"),
        ("g6", b":An", "expected bytes from 63 to 126, got ':' after 0"),
        ("s6", b"An", "expected a line that begins with ':', got 'A'"),
        ("s6", b":~~~~~~~~", "expected at most 16777216 nodes, got 68719476735"),
        ("s6", b":A 1", "expected bytes from 63 to 126, got ' ' after 1"),
        ("d6", b"A?", "expected a line that begins with '&', got 'A'"),
        ("d6", b"&", "truncated: the number of nodes is not whole"),
        ("d6", b"&D?", "truncated: expected 5 bytes for a graph of 5 nodes, got 1"),
    ],
)
def test_damaged_lines_say_what_is_wrong(tmp_path: Path, suffix: str, line: bytes, reason: str) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(line + b"\n")
    (bad,) = read(path).bad
    assert bad.reason.startswith(reason)
