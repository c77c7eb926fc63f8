"""Markdown tables of rows: columns say what they show, and rows that differ in the seed alone share a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Column:
    """One column: what it is called, and what of the rows of a line it shows.

    Arguments:
        head: its title.
        key: of a row; dots lead into what is nested, numbers into lists.
        digits: after the point.
        show: "spread", the mean and the range if there are several rows; "mean"; or "first", a whole number.

    Rows that lack the key, or have None there, are left out; a cell without any is empty.

    Example:
        >>> rows = [{"gap": {"mean": 0.5}, "parameters": 1000}, {"gap": {"mean": 1.5}, "parameters": 1000}]
        >>> Column("gap", "gap.mean", 1).cell(rows), Column("gap", "gap.mean", 1, "mean").cell(rows[:1])
        ('1.0 (0.5 to 1.5)', '0.5')
        >>> Column("parameters", "parameters", show="first").cell(rows), Column("bound", "bound").cell(rows)
        ('1,000', '')
    """

    head: str
    key: str
    digits: int = 4
    show: Literal["spread", "mean", "first"] = "spread"

    def cell(self, rows: Rows) -> str:
        """What stands in a line of these rows."""
        values = [value for row in rows if (value := _value(row, self.key)) is not None]
        if not values:
            return ""
        if self.show == "first":
            return f"{values[0]:,}"
        import numpy as np  # slow to import, and help has no table

        mean = f"{np.mean(values):.{self.digits}f}"
        if self.show == "mean" or len(values) == 1:
            return mean
        return f"{mean} ({min(values):.{self.digits}f} to {max(values):.{self.digits}f})"


COSTS = (
    Column("parameters", "parameters", show="first"),
    Column("training s", "train_seconds", 0, "mean"),
    Column("encoding s", "encoding_seconds", 1, "mean"),
)
"""What every trained row has."""


def lines(columns: Sequence[Column], groups: Iterable[tuple[str, Rows]]) -> list[str]:
    """A table with one line for each group of rows: its encoding, how many rows (seeds) it has, and the columns."""
    body = [[name, str(len(rows)), *(column.cell(rows) for column in columns)] for name, rows in groups]
    return header(["encoding", "seeds", *(column.head for column in columns)]) + [line(cells) for cells in body]


def header(heads: Sequence[str]) -> list[str]:
    """The first two lines of a table."""
    return [line(heads), "|" + " --- |" * len(heads)]


def line(cells: Sequence[str]) -> str:
    """One line of a table."""
    return "| " + " | ".join(cells) + " |"


def by_encoding(rows: Rows, encodings: Sequence[str]) -> list[tuple[str, Rows]]:
    """The rows of each encoding, in that order, and in groups that differ in the seed alone (:func:`alike`)."""
    return [
        (encoding + apart, own)
        for encoding in encodings
        for apart, own in alike([row for row in rows if row["encoding"] == encoding])
    ]


def alike(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """The rows in groups that differ in the seed alone, each with words on what sets it apart from the others.

    Example:
        >>> rows = [{"config": {"seed": seed, "steps": steps}} for seed, steps in ((0, 20), (1, 20), (2, 40))]
        >>> [(words, len(group)) for words, group in alike(rows)]
        [(', steps 20', 2), (', steps 40', 1)]
        >>> [(words, len(group)) for words, group in alike(rows[:2])]
        [('', 2)]
    """
    groups: dict[str, tuple[dict[str, Any], list[Mapping[str, Any]]]] = {}
    for row in rows:
        settings = {key: value for key, value in row["config"].items() if key != "seed"}
        settings["data_hash"] = row.get("data_hash")
        groups.setdefault(json.dumps(settings, sort_keys=True), (settings, []))[1].append(row)
    kinds = [settings for settings, _ in groups.values()]
    apart = sorted({key for kind in kinds for key in kind if any(kind[key] != other.get(key) for other in kinds)})
    return [("".join(f", {key} {settings.get(key)}" for key in apart), group) for settings, group in groups.values()]


def extent(rows: Sequence[Mapping[str, Any]], key: str) -> str:
    """What all rows have, or its range if they differ.

    Example:
        >>> extent([{"steps": 6000}, {"steps": 6000}], "steps"), extent([{"steps": 18000}, {"steps": 20}], "steps")
        ('6,000', '20 to 18,000')
    """
    least, greatest = (f(row[key] for row in rows) for f in (min, max))
    return f"{least:,}" if least == greatest else f"{least:,} to {greatest:,}"


def remarks(rows: Sequence[Mapping[str, Any]], missing: Sequence[str] = ()) -> list[str]:
    """The last lines of a table: steps that were left out of trainings, and the rows that are missing.

    Example:
        >>> row = {"dataset": "er", "encoding": "noise", "seed": 0, "skipped_steps": 2}
        >>> remarks([row, {"skipped_steps": 0}, {}], ["er-haar"])  # the first rows did not count them
        ['Steps left out, for their gradient was not finite: 2 of er noise seed 0.', '', 'Missing rows: er-haar.', '']
    """
    lines, skipped = [], []
    for row in rows:
        if row.get("skipped_steps"):
            name = " ".join(str(row[key]) for key in ("dataset", "backbone", "encoding") if key in row)
            skipped.append(f"{row['skipped_steps']} of {name} seed {row['seed']}")
    if skipped:
        lines += [f"Steps left out, for their gradient was not finite: {'; '.join(skipped)}.", ""]
    if missing:
        lines += [f"Missing rows: {', '.join(missing)}.", ""]
    return lines


def _value(row: Any, key: str) -> Any:
    for part in key.split("."):
        if isinstance(row, Mapping):
            row = row.get(part)
        elif isinstance(row, list):
            row = row[int(part)]
        if row is None:
            return None
    return row
