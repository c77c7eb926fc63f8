"""Tables (.csv) with a column of SMILES."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator


def rows_of_table(name: str, file: io.BufferedIOBase, column: str | None) -> Iterator[tuple[str, str, dict[str, str]]]:
    r"""Place, SMILES and all columns of every row; closes the file.

    Arguments:
        name: what the file is called in places and errors.
        file: its bytes, UTF-8.
        column: the one with SMILES; None for the first whose name contains "smiles".

    Raises:
        ValueError: if there is no such column, or the file is no table.

    Example:
        >>> list(rows_of_table("a.csv", io.BytesIO(b"id,SMILES\n7,CCO\n"), None))
        [('a.csv:2', 'CCO', {'id': '7', 'SMILES': 'CCO'})]
    """
    with io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="") as text:  # type: ignore[type-var]
        rows = csv.DictReader(text, restval="")
        try:
            names = list(rows.fieldnames or [])
            chosen = column or next((name for name in names if "smiles" in name.lower()), None)
            if chosen is None:
                raise ValueError(f"data: expected a column with 'smiles' in its name in {name}, got {_listed(names)}")
            if chosen not in names:
                raise ValueError(f"smiles_column: expected one of {_listed(names)}; got {chosen}")
            for row in rows:
                row.pop(None, None)  # what stands to the right of the last column
                yield f"{name}:{rows.line_num}", row[chosen], row
        except csv.Error as error:
            raise ValueError(f"data: {name}:{rows.line_num + 1} cannot be read as CSV: {error}") from error


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"
