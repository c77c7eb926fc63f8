"""The code of a page: its blocks, in order, and what they print."""

from __future__ import annotations

import re
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

FENCE = re.compile(r"^```(python|output)\n(.*?)^```\n?", flags=re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Cell:
    """A block of Python.

    Arguments:
        text: the Markdown between the block before and this one.
        code: the block.
        output: what it prints, by the block ``output`` right below.
        line: of the first line of code, counted from 1.
    """

    text: str
    code: str
    output: str
    line: int


def read(path: Path) -> tuple[list[Cell], str]:
    """The blocks of a page, and the Markdown after the last.

    Raises:
        ValueError: if an output has no code right above.
    """
    page = path.read_text()
    cells: list[Cell] = []
    end = 0
    for match in FENCE.finditer(page):
        kind, body = match.groups()
        between = page[end : match.start()]
        end = match.end()
        line = page.count("\n", 0, match.start()) + 2
        if kind == "python":
            cells.append(Cell(between, body, "", line))
        elif not cells or between.strip() or cells[-1].output:
            raise ValueError(f"{path}, line {line}: an output without code right above it")
        else:
            cells[-1] = Cell(cells[-1].text, cells[-1].code, body, cells[-1].line)
    return cells, page[end:]


def run(path: Path) -> tuple[list[str], dict[str, object]]:
    """What every block of a page prints, in order, and the names that they leave."""
    names: dict[str, object] = {"__name__": "__main__"}
    printed = []
    for cell in read(path)[0]:
        code = compile("\n" * (cell.line - 1) + cell.code, str(path), "exec")  # tracebacks with the page's lines
        with redirect_stdout(StringIO()) as out:
            exec(code, names)  # the point is to run it
        printed.append(out.getvalue())
    return printed, names


def renew(path: Path) -> None:
    """Write what is printed into the page."""
    printed, _ = run(path)
    cells, rest = read(path)
    parts = []
    for cell, output in zip(cells, printed, strict=True):
        parts += [cell.text, f"```python\n{cell.code}```\n"]
        parts += [f"\n```output\n{output}```\n"] * bool(output)
    path.write_text("".join([*parts, rest]))


if __name__ == "__main__":  # python -m docs.pages PAGE ...: run pages and write down what they print
    for name in sys.argv[1:]:
        renew(Path(name))
