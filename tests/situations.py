"""The situations in which an input gets the same answer: alone, in a batch, padded, in the other form, and so on.

An *input* is a tuple of batches of one: ``(x,)``, or ``(x, y)`` for a coupled kernel. A situation puts inputs together
in batches and sets what else may change: the sizes of chunks and the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import networkx as nx
import pytest
import torch
from torch import Tensor, nn

from sympe.graphs import Clouds, DenseGraphs, Graphs
from sympe.kernels import conjugated
from sympe.kernels.finite import search
from sympe.kernels.graphs import breadth_first, cosets, depth_first, individualization, random_refinement, refinement
from sympe.kernels.points import cloud, listing, ranks

NODES = 80
"""The degree of the group: more than the largest graph has."""

Input = tuple[Any, ...]
Placed = tuple[Input, list[int]]
"""A batch, and the number of the input that each of its rows is."""

CHUNKS: list[tuple[Any, str, int]] = [
    (conjugated, "CHUNK", 1),
    (search, "CHUNK", 1),
    (search, "_LOOK", 2),
    (search, "_LESS", 1),
    (cosets, "_CHUNK", 1),
    (individualization, "_TABLE", 1),
    (individualization, "_AT_ONCE", 1),
    (individualization, "_SPARSE", 2),
    (individualization, "_LARGE", 1),
    (individualization, "_SEVERAL", 1),
    (refinement, "_FEW", 0),
    (random_refinement, "_AT_ONCE", 1),
    (listing, "_CHUNK", 1),
    (listing, "_ON_GPU", 1),
    (cloud, "_STORED", 0),
    (ranks, "_SMALL", 0),
    (breadth_first, "_WIDE", 2),
    (breadth_first, "_AT_ONCE", 1),
    (depth_first, "_AT_ONCE", 1),
    (depth_first, "WORD", 2),
]
"""Every number of the room that decides how much is done at once, or which of two ways to one answer is faster."""


@dataclass(frozen=True)
class Situation:
    """How inputs come.

    Arguments:
        arrange: puts them in batches.
        settings: what is set meanwhile.
        graphs: whether it is one of graphs only.
        padding: whether it is one of what can be padded, graphs and clouds.
    """

    arrange: Callable[[Sequence[Input]], list[Placed]]
    settings: Callable[[], AbstractContextManager[None]] = nullcontext
    graphs: bool = False
    padding: bool = False

    def suits(self, x: Any) -> bool:
        """Whether inputs such as this can come so."""
        if self.padding:
            return not isinstance(x, Tensor)
        return not self.graphs or not isinstance(x, Tensor | Clouds)


def together(inputs: Sequence[Input], numbers: Sequence[int]) -> Placed:
    parts = zip(*[inputs[number] for number in numbers], strict=True)
    return tuple(
        torch.cat(part) if isinstance(part[0], Tensor) else type(part[0]).concatenate(part) for part in parts
    ), list(numbers)


def alone(inputs: Sequence[Input]) -> list[Placed]:
    return [together(inputs, [number]) for number in range(len(inputs))]


def batch(inputs: Sequence[Input]) -> list[Placed]:
    return [together(inputs, range(len(inputs)))]


def backwards(inputs: Sequence[Input]) -> list[Placed]:
    return [together(inputs, range(len(inputs))[::-1])]


def in_threes(inputs: Sequence[Input]) -> list[Placed]:
    """Each between its neighbour and a copy of itself."""
    count = len(inputs)
    return [together(inputs, [number, (number + 1) % count, number]) for number in range(0, count, 1)]


def changed(arrange: Callable[[Sequence[Input]], list[Placed]], change: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda inputs: [(tuple(map(change, parts)), numbers) for parts, numbers in arrange(inputs)]


def widened(x: Graphs | Clouds, nodes: int) -> DenseGraphs | Clouds:
    pad = nn.functional.pad
    if isinstance(x, Clouds):
        rest = nodes - x.mask.shape[1]
        return Clouds(
            pad(x.positions, (0, 0, 0, rest)),
            pad(x.types, (0, rest)),
            pad(x.mask, (0, rest)),
            pad(x.vectors, (0, 0, 0, 0, 0, rest)),
        )
    x = x.dense()
    rest = nodes - x.mask.shape[1]
    return DenseGraphs(pad(x.pairs, (0, rest, 0, rest)), pad(x.colors, (0, rest)), pad(x.mask, (0, rest)))


@contextmanager
def small_chunks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module, name, size in CHUNKS:
            patch.setattr(module, name, size)
        yield


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


SITUATIONS: dict[str, Situation] = {
    "alone": Situation(alone),
    "in a batch": Situation(batch),
    "in another order": Situation(backwards),
    "three at a time": Situation(in_threes),
    "in small chunks": Situation(batch, small_chunks),
    "alone in small chunks": Situation(alone, small_chunks),
    "one thread": Situation(batch, lambda: threads(1)),
    "two threads": Situation(batch, lambda: threads(2)),
    "padded": Situation(changed(alone, lambda x: widened(x, NODES)), padding=True),
    "padded beyond the group": Situation(changed(batch, lambda x: widened(x, NODES + 3)), padding=True),
    "sparse": Situation(changed(alone, lambda x: x.sparse()), graphs=True),
    "sparse in a batch": Situation(changed(backwards, lambda x: x.sparse()), graphs=True),
    "sparse in small chunks": Situation(changed(batch, lambda x: x.sparse()), small_chunks, graphs=True),
}


# ----- inputs ---------------------------------------------------------------------------------------------------------


def graph(g: nx.Graph, *, colors: int = 1, arcs: int = 1, seed: int = 0) -> DenseGraphs:
    """A graph with its nodes in random order, coloured at random; of more colours of arcs each way has its own."""
    n = g.number_of_nodes()
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.from_numpy(nx.to_numpy_array(g, nodelist=sorted(g))).long().view(1, n, n)
    if arcs > 1:
        pairs = pairs * torch.randint(1, arcs + 1, pairs.shape, generator=generator)
    nodes = torch.randint(0, colors, (1, n), generator=generator)
    x = DenseGraphs.from_features(pairs, nodes, directed=True)
    return x.relabel(torch.randperm(n, generator=generator)[None]) if n else x


def regular_graphs(count: int = 12) -> list[DenseGraphs]:
    """Random regular graphs: refinement sees nothing, and the branches of the search are not alike."""
    sizes = [(degree, n) for n in range(8, 15) for degree in (3, 4) if n * degree % 2 == 0]
    return [
        graph(nx.random_regular_graph(degree, n, seed=seed), seed=seed)
        for seed, (degree, n) in zip(range(count), sizes * count, strict=False)
    ]


def plain_graphs() -> list[DenseGraphs]:
    """Small ones of many kinds, without nodes and without edges among them, and one much larger than the rest."""
    twins = nx.disjoint_union_all([nx.random_regular_graph(3, 8, seed=seed) for seed in (0, 1, 0)])
    return [
        *regular_graphs(),
        graph(nx.empty_graph(0)),
        graph(nx.empty_graph(1)),
        graph(nx.empty_graph(5)),
        graph(nx.star_graph(3)),
        graph(nx.path_graph(7), arcs=2),
        graph(nx.cycle_graph(9), colors=2),
        graph(nx.gnp_random_graph(12, 0.4, seed=2), colors=2, arcs=3),
        graph(nx.gnp_random_graph(10, 0.2, seed=3)),
        graph(twins),
        graph(nx.random_regular_graph(3, 70, seed=0)),
    ]


def hard_graphs() -> list[DenseGraphs]:
    """With too many automorphisms to be listed, of pieces that are exchanged, or of equal refinement."""
    rooks = nx.line_graph(nx.complete_bipartite_graph(4, 4))
    return [
        graph(nx.convert_node_labels_to_integers(rooks)),
        graph(nx.complete_graph(7)),
        graph(nx.disjoint_union_all([nx.petersen_graph()] * 3)),
        graph(nx.disjoint_union(nx.circular_ladder_graph(3), nx.complete_bipartite_graph(3, 3))),
        graph(nx.empty_graph(9), colors=2),
    ]


def singles(x: Tensor) -> list[Input]:
    return [(row[None],) for row in x]
