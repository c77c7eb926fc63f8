"""Edge lists."""

from __future__ import annotations

from pathlib import Path

from sympe.report import Bad
from tests.files.reading import orders, read


def test_edge_lists(tmp_path: Path) -> None:
    (tmp_path / "a.edgelist").write_text("# a star\na b\na c # and\na d\nlonely\na b c\n")
    report = read(tmp_path / "a.edgelist")
    assert orders(report) == [6]
    assert [(bad.name, bad.reason) for bad in report.bad] == [("a.edgelist:6", "expected two nodes, got 3 words")]
    (tmp_path / "empty.txt").touch()
    assert read(tmp_path / "empty.txt").bad == [Bad("empty.txt", "expected at least one edge or node, got none")]
