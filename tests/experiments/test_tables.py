"""Tables show what their columns say, and never average rows that differ in more than the seed."""

from __future__ import annotations

import pytest

from sympe.experiments import tables
from sympe.experiments.tables import Column


def test_rows_of_another_config_or_other_data_are_not_averaged():
    rows = [{"config": {"seed": seed}, "data_hash": data} for seed, data in ((0, "a"), (1, "a"), (0, "b"))]
    assert [(words, len(own)) for words, own in tables.alike(rows)] == [(", data_hash a", 2), (", data_hash b", 1)]


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        (Column("a", "gap", 2), "2.00 (1.00 to 3.00)"),
        (Column("a", "gap", 0, "mean"), "2"),
        (Column("a", "parts.1.gap", 1, "mean"), "5.0"),
        (Column("a", "count", show="first"), "12,345"),
        (Column("a", "sometimes", 1), "7.0"),
        (Column("a", "never"), ""),
        (Column("a", "sometimes.deeper"), ""),
    ],
)
def test_cells(column: Column, cell: str) -> None:
    parts = [{}, {"gap": 5.0}]
    rows = [
        {"gap": 1.0, "parts": parts, "count": 12345, "sometimes": None},
        {"gap": 3.0, "parts": parts, "count": 1, "sometimes": 7.0},
    ]
    if column.key == "sometimes.deeper":
        rows = rows[:1]
    assert column.cell(rows) == cell


def test_a_table() -> None:
    rows = [{"encoding": "none", "gap": 1.0, "config": {"seed": seed}} for seed in (0, 1)]
    text = tables.lines([Column("gap", "gap", 1)], tables.by_encoding(rows, ["sympe", "none"]))
    assert text == ["| encoding | seeds | gap |", "| --- | --- | --- |", "| none | 2 | 1.0 (1.0 to 1.0) |"]
