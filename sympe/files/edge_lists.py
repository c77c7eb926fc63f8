"""Edge lists (.edgelist, .txt): one graph a file.

A line has two nodes, and may have a third word: a weight, or networkx' ``{}`` and ``{'weight': 1.0}``. Words are
separated by space, commas or semicolons; one word is a node without edges; % and # begin a comment where they begin a
line. An edge that is there twice, in whichever direction, is there once. What cannot be read makes the graph bad.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx as nx

from sympe.files.base import Loaded, attempt, lines, unpacked
from sympe.files.networks import from_networkx
from sympe.files.options import Options


def read(path: Path, options: Options) -> Iterator[Loaded]:
    """The one graph of the file."""
    graph: nx.Graph = nx.DiGraph() if options.directed else nx.Graph()
    with path.open("rb") as raw, unpacked(path.name, raw) as (name, file):
        first: tuple[str, list[str]] | None = None
        for place, line in lines(name, file):
            try:
                words = _add(graph, line)
            except ValueError as error:
                yield Loaded(place, str(error))
                return
            first = first or ((place, words) if words else None)
    if first is None or not graph.number_of_edges():
        yield Loaded(name, "expected at least one edge: a line with two nodes")
    elif not any(map(_is_number, first[1])) and len(graph) > 2 and all(map(_is_number, set(graph) - {*first[1]})):
        yield Loaded(first[0], f"expected nodes that are numbers like all others, got {' '.join(first[1])}: a header?")
    else:
        yield attempt(name, lambda: from_networkx(name, graph, options, edge_default="weight"))


def _add(graph: nx.Graph, line: str) -> list[str]:
    """Add what a line says, and give its nodes: none of a comment.

    Raises:
        ValueError: if it says nothing that can be understood, or another thing than a line before.
    """
    if re.match(r"%%MatrixMarket\b", line):
        raise ValueError("this is the Matrix Market format, not an edge list; scipy.io.mmread reads it")
    if line[0] in "#%":
        return []
    if re.match(r"p\s+(edge|edges|col|sp|max|min|asn|cnf|tw)\s+\d+", line):
        raise ValueError("this is the DIMACS format, not an edge list")
    found = re.fullmatch(r"(.*?[\s,;])(\{.*\})", line)
    head, last = found.groups() if found else (line, None)
    if re.search("[,;]", head):
        head = re.sub(r"[\s,;]+$", "", head) if found else head
        words = [word.strip() for word in re.split("[,;]", head)]
    else:
        words = head.split()
    if any(not word or re.search(r"\s", word) for word in words):
        raise ValueError(f"expected words separated by space, commas or semicolons, got {line[:60]!r}")
    expected = (2,) if last else (1, 2, 3)
    if len(words) not in expected:
        raise ValueError(f"expected two nodes{' and a weight' * (last is None)}, got {len(words)} words")
    if len(words) == 1:
        graph.add_node(words[0])
        return words
    attributes = _attributes(last) if last else {"weight": _number(words[2])} if len(words) == 3 else {}
    if graph.has_edge(*words[:2]) and graph.edges[words[0], words[1]] != attributes:
        raise ValueError(f"the edge of {words[0]} and {words[1]} is there twice, with different features")
    graph.add_edge(*words[:2], **attributes)
    return words[:2]


def _attributes(text: str) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():  # Python's, about the style of what is no program
            warnings.simplefilter("ignore")
            found = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(f"expected attributes such as {{'weight': 1.0}}, got {text[:60]!r}") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise ValueError(f"expected attributes such as {{'weight': 1.0}}, got {text[:60]!r}")
    return found


def _number(word: str) -> int | float:
    try:
        return int(word) if re.fullmatch(r"[+-]?\d+", word) else float(word)
    except ValueError as error:
        raise ValueError(f"expected two nodes and a weight, got {word!r} as a weight") from error


def _is_number(word: str) -> bool:
    return re.fullmatch(r"[+-]?\d+", word) is not None
