"""Edge lists."""

from __future__ import annotations

import gzip
from pathlib import Path

import networkx as nx
import pytest

from sympe.report import Bad
from tests.files.reading import orders, read


def order(path: Path, text: str, **options: object) -> int:
    path.write_text(text, encoding="utf-8")
    report = read(path, **options)
    assert not report.bad
    return orders(report)[0]


def reason(path: Path, text: str, **options: object) -> str:
    path.write_text(text, encoding="utf-8")
    report = read(path, **options)
    assert report.names == []
    (bad,) = report.bad
    return f"{bad.name}: {bad.reason}"


@pytest.mark.parametrize(
    "text",
    [
        "# a star\n% and more\na b\na c\na d\n",
        "1, 2\n1, 3\n1, 4\n",  # TUDataset
        "1,2\n1,3\n4,1\n",
        "1\t2\n1\t3\n1\t 4\n",
        "1;2\n1;3\n1;4",
        "\ufeff1 2\r\n1 3\r\n1 4\r\n",
        "1 2\n2 1\n1 3\n3 1\n1 4\n4 1\n",
        "c# c#2\nc# c#3\nc# %4",
        "1 2 {}\n1 3 {}\n1 4 {}",
        "1 2 {'weight': 1.0}\n1 3 {'weight': 1.0000001}\n1 4 {'weight': 1}",
        "1,2,7\n1,3,7\n1,4,7",
    ],
)
def test_one_star_in_many_forms(tmp_path: Path, text: str) -> None:
    assert order(tmp_path / "a.edgelist", text) == 6
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(text.encode()))
    assert orders(read(tmp_path / "b.txt.gz")) == [6]


def test_weights_count(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for text in ("1 2 1\n1 3 1\n1 4 2\n", "1 2 {'weight': 1.0}\n1 3 {'weight': 1.0}\n1 4 {'weight': 2}\n"):
        assert order(path, text) == 2
        assert order(path, text, edge_features="weight") == 2
        assert order(path, text, edge_features="none") == 6
        assert order(path, text, tolerance=2.0) == (6 if "." in text else 2)  # whole numbers are exact
    text = "1 2 {'kind': 'a', 'weight': 3}\n1 3 {'kind': 'b', 'weight': 3}\n1 4 {'kind': 'a', 'weight': 3}\n"
    assert (order(path, text), order(path, text, edge_features="kind")) == (6, 2)
    assert reason(path, "1 2\n", edge_features="typo") == "a.txt: edge_features: nothing has an attribute 'typo'"


def test_what_networkx_writes(tmp_path: Path) -> None:
    graph = nx.random_regular_graph(3, 10, seed=1)
    expected = sum(1 for _ in nx.algorithms.isomorphism.GraphMatcher(graph, graph).isomorphisms_iter())
    for data in (True, False):
        nx.write_edgelist(graph, tmp_path / "a.edgelist", data=data)
        assert orders(read(tmp_path / "a.edgelist")) == [expected]


def test_directed_on_request(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    assert order(path, "1 2\n2 3\n3 1\n") == 6
    assert order(path, "1 2\n2 3\n3 1\n", directed=True) == 3
    assert order(path, "1 2 5\n2 1 6\n", directed=True) == 1
    assert "there twice, with different features" in reason(path, "1 2 5\n2 1 6\n")


def test_what_is_no_edge_list_is_bad_and_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    assert reason(path, "a b\na c # and\nx y\n") == "a.txt:2: expected two nodes and a weight, got 4 words"
    assert reason(path, "a b\na b c\n") == "a.txt:2: expected two nodes and a weight, got 'c' as a weight"
    assert "comment" in reason(path, "c a comment\np edge 3 2\n")
    assert reason(path, "p edge 3 2\ne 1 2\n") == "a.txt:1: this is the DIMACS format, not an edge list"
    assert "this is the Matrix Market format" in reason(path, "%%MatrixMarket matrix coordinate\n3 3 1\n1 2\n")
    assert reason(path, "source,target\n1,2\n2,3\n").endswith("got source target: a header?")
    assert "expected words separated by" in reason(path, "1,,2\n")
    assert "expected words separated by" in reason(path, "1 2,0.5\n")
    assert "expected attributes such as" in reason(path, "1 2 {'weight': x}\n")
    assert "expected attributes such as" in reason(path, "1 2 {3}\n")
    assert "expected attributes such as" in reason(path, "1 2 {[1]: 2}\n")
    assert "expected finite values" in reason(path, "1 2 nan\n1 3 1.0\n")
    assert "expected finite values" in reason(path, f"1 2 {'9' * 400}\n1 3 1.0\n")
    for text in ("", "# none\n", "CCO\nCC\n"):
        path.write_text(text)
        assert read(path).bad == [Bad("a.txt", "expected at least one edge: a line with two nodes")]


def test_python_does_not_warn_of_the_style_of_attributes(tmp_path: Path) -> None:
    """Warnings are errors here: as one, it would be a reason."""
    assert order(tmp_path / "a.txt", "1 2 {'weight': '\\d'}\n1 3 {'weight': '\\d'}\n") == 2
