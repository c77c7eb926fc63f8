"""The tutorials as notebooks: ``python -m docs.notebooks DIR``, and a Sphinx extension that links them.

A notebook holds the page's text, code and output, and its pictures. Roles of Sphinx become plain code, and links to
other pages lead to their source.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from pathlib import Path
from typing import Any

from docs.pages import read

HERE = Path(__file__).parent
SOURCE = "https://github.com/sympe-torch/sympe/blob/main/docs/"


def tutorials() -> list[Path]:
    """The pages that are tutorials: the quickstart and the folder."""
    return [HERE / "quickstart.md", *sorted((HERE / "tutorials").glob("*.md"))]


def markdown_cell(text: str, page: Path) -> dict[str, Any]:
    """A cell of text, with the pictures in it."""
    attachments = {}

    def attached(match: re.Match[str]) -> str:
        picture = page.parent / match[2]
        attachments[picture.name] = {"image/png": base64.b64encode(picture.read_bytes()).decode()}
        return f"![{match[1]}](attachment:{picture.name})"

    def absolute(match: re.Match[str]) -> str:
        path, _, anchor = match[1].partition("#")
        there = (page.parent / path).resolve().relative_to(HERE.resolve()) if path else page.relative_to(HERE)
        return f"]({SOURCE}{there}{'#' * bool(anchor)}{anchor})"

    text = re.sub(r"\{\w+\}`([^`<]*?)\s*<[^`>]*>`", r"\1", text)  # {class}`words <name>`
    text = re.sub(r"\{\w+\}`~[^`]*?([^`.]+)`", r"`\1`", text)  # {class}`~a.b.name`
    text = re.sub(r"\{\w+\}(`[^`]+`)", r"\1", text)
    text = re.sub(r"!\[([^\]]*)\]\(([^):]+\.png)\)", attached, text)
    text = re.sub(r"(?<=[^!\]])\]\(((?!https?:|attachment:)[^)]+)\)", absolute, text)
    cell: dict[str, Any] = {"cell_type": "markdown", "metadata": {}, "source": text.strip()}
    return cell | ({"attachments": attachments} if attachments else {})


def code_cell(code: str, output: str, number: int) -> dict[str, Any]:
    """A cell of code, and what it prints."""
    printed = [{"output_type": "stream", "name": "stdout", "text": output}] if output else []
    return {
        "cell_type": "code",
        "metadata": {},
        "source": code.rstrip("\n"),
        "execution_count": number,
        "outputs": printed,
    }


def notebook(page: Path) -> dict[str, Any]:
    """A page as a notebook of format 4.5."""
    cells, rest = read(page)
    made = []
    for number, cell in enumerate(cells, 1):
        made += [markdown_cell(cell.text, page)] * bool(cell.text.strip())
        made += [code_cell(cell.code, cell.output, number)]
    made += [markdown_cell(rest, page)] * bool(rest.strip())
    return {
        "cells": [{"id": f"cell-{number}", **cell} for number, cell in enumerate(made)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def write(out: Path) -> list[Path]:
    """Write the notebooks of all tutorials into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for page in tutorials():
        path = out / f"{page.stem}.ipynb"
        path.write_text(json.dumps(notebook(page), indent=1, ensure_ascii=False) + "\n")
        written.append(path)
    return written


def link(app: Any, docname: str, source: list[str]) -> None:
    """Put a link to the notebook below the title of a tutorial."""
    if any(page.relative_to(HERE).with_suffix("").as_posix() == docname for page in tutorials()):
        folder = "../" * docname.count("/") + "_build/notebooks"
        title, rest = source[0].split("\n", 1)
        source[0] = (
            f"{title}\n\n{{download}}`This page as a notebook <{folder}/{docname.split('/')[-1]}.ipynb>`\n{rest}"
        )


def setup(app: Any) -> dict[str, bool]:
    """Write the notebooks before pages are read, and link them."""
    app.connect("builder-inited", lambda app: write(HERE / "_build" / "notebooks"))
    app.connect("source-read", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    for path in write(Path(sys.argv[1] if len(sys.argv) > 1 else HERE / "_build" / "notebooks")):
        print(path)
