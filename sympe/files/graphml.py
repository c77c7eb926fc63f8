"""GraphML (.graphml): one or several graphs a file, with defaults."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from networkx.readwrite.graphml import GraphMLReader

from sympe.files.base import Loaded, attempt, unpacked
from sympe.files.networks import from_networkx
from sympe.files.options import Options


def read(path: Path, options: Options) -> Iterator[Loaded]:
    """The graphs of the file."""
    try:
        with path.open("rb") as raw, unpacked(path.name, raw) as (name, file):
            content = file.read()
        graphs = list(GraphMLReader()(string=content))
        if not graphs:  # as networkx does where the namespace is left out
            content = content.replace(b"<graphml>", b'<graphml xmlns="http://graphml.graphdrawing.org/xmlns">')
            graphs = list(GraphMLReader()(string=content))
    except Exception as error:  # the parser of XML raises its own kinds
        raise ValueError(f"data: {path} is not GraphML: {error}") from error
    if not graphs:
        raise ValueError(f"data: {path} is not GraphML: it has no graph")
    for number, graph in enumerate(graphs):
        place = name if len(graphs) == 1 else f"{name}[{number}]"
        yield attempt(place, partial(from_networkx, place, graph, options))
