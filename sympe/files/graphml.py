"""GraphML (.graphml): one graph a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import networkx as nx

from sympe.files.base import Loaded, Options, attempt
from sympe.files.networks import from_networkx


def read(path: Path, options: Options) -> Iterator[Loaded]:
    """The one graph of the file."""
    try:
        graph = nx.read_graphml(path)
    except Exception as error:  # the parser of XML raises its own kinds
        raise ValueError(f"data: {path} is not GraphML: {error}") from error
    yield attempt(path.name, lambda: from_networkx(graph, options))
