"""Graph6, digraph6 and sparse6 (.g6, .d6, .s6): a graph a line, as nauty's formats.txt says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import networkx as nx
import numpy as np
import torch

from sympe.files.base import Loaded, attempt, lines, suffix_of, unpacked
from sympe.files.networks import from_networkx
from sympe.files.options import Options
from sympe.graphs import SparseGraphs

_HEADERS = {".g6": ">>graph6<<", ".d6": ">>digraph6<<", ".s6": ">>sparse6<<"}
_FIRST = {".g6": "", ".d6": "&", ".s6": ":"}
_LARGEST = 2**24


def read(path: Path, options: Options) -> Iterator[Loaded]:
    """One graph a line."""
    for place, line in texts(path, options):
        yield attempt(place, partial(parse, suffix_of(path), line, options))


def texts(path: Path, options: Options) -> Iterator[tuple[str, str]]:
    """Place and text of every graph, not yet parsed."""
    with path.open("rb") as raw, unpacked(path.name, raw) as (name, file):
        yield from lines(name, file)


def parse(suffix: str, line: str, options: Options) -> SparseGraphs:
    """The graph of one line.

    Raises:
        ValueError: if a byte is not of the alphabet, or there are too few or too many.

    Example:
        >>> parse(".g6", "Bw", Options()).arcs
        tensor([[0, 0, 1, 1, 2, 2],
                [1, 2, 0, 2, 0, 1]])
    """
    text = line.removeprefix(_HEADERS[suffix])
    if not text.startswith(_FIRST[suffix]):
        raise ValueError(f"expected a line that begins with {_FIRST[suffix]!r}, got {text[:1]!r}")
    text = text[len(_FIRST[suffix]) :]
    for place, letter in enumerate(text):
        if not 63 <= ord(letter) <= 126:
            raise ValueError(f"expected bytes from 63 to 126, got {letter!r} after {place}")
    codes = np.frombuffer(text.encode("ascii"), dtype=np.uint8) - 63
    n, used = _size(codes)
    if suffix == ".s6":
        if n > _LARGEST:
            raise ValueError(f"expected at most {_LARGEST} nodes, got {n}")
        graph = from_networkx("", nx.from_sparse6_bytes(b":" + text.encode("ascii")), options).content
        assert isinstance(graph, SparseGraphs)
        return graph
    directed = suffix == ".d6"
    count = n * n if directed else n * (n - 1) // 2
    codes = codes[used:]
    if len(codes) != -(-count // 6):
        how = "truncated: " if len(codes) < -(-count // 6) else ""
        raise ValueError(f"{how}expected {-(-count // 6)} bytes for a graph of {n} nodes, got {len(codes)}")
    bits = np.unpackbits(codes[:, None], axis=1)[:, 2:].reshape(-1)
    if bits[count:].any():
        raise ValueError("expected zeros in the last bits, which belong to no pair")
    (ones,) = bits[:count].nonzero()
    if directed:
        arcs = np.stack([ones // max(n, 1), ones % max(n, 1)])
    else:  # pair (i, j), i < j, is bit j (j - 1) / 2 + i
        starts = np.arange(n) * (np.arange(n) - 1) // 2
        j = np.searchsorted(starts, ones, side="right") - 1
        arcs = np.stack([ones - starts[j], j])
        arcs = np.concatenate([arcs, arcs[::-1]], 1)
    return SparseGraphs.from_features(torch.from_numpy(arcs.astype(np.int64)), torch.tensor([n]), directed=directed)


def _size(codes: np.ndarray) -> tuple[int, int]:
    """The number of nodes, and how many bytes say so."""
    skip, used = 0, 1
    if len(codes) and codes[0] == 63:
        skip, used = (2, 8) if len(codes) > 1 and codes[1] == 63 else (1, 4)
    if len(codes) < used:
        raise ValueError("truncated: the number of nodes is not whole")
    return sum(int(code) << 6 * place for place, code in enumerate(codes[skip:used][::-1])), used
