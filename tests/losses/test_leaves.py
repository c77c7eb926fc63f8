"""Automorphisms without the exchanges of leaves: with them they are all, each once."""

from __future__ import annotations

import itertools
import math

import networkx as nx
import pytest
import torch
from torch import Tensor

from sympe.graphs import DenseGraphs, Graphs
from sympe.losses.leaves import LARGEST, Arrangements, arrangements


def automorphisms(pairs: Tensor, colors: Tensor) -> set[tuple[int, ...]]:
    """Of one graph, all permutations tried."""
    n = len(colors)
    every = torch.tensor(list(itertools.permutations(range(n))))
    same = (pairs[every[:, :, None], every[:, None]] == pairs).flatten(1).all(1) & (colors[every] == colors).all(1)
    return {tuple(p) for p in every[same].tolist()}


def spread(found: Arrangements, graph: int, n: int) -> list[tuple[int, ...]]:
    """All automorphisms that the arrangements of a graph stand for."""
    groups = [
        members[:size].tolist()
        for of, members, size in zip(found.groups.tolist(), found.members, found.sizes.tolist(), strict=True)
        if of == graph
    ]
    every = []
    for image in found.images[found.rows == graph].tolist():
        for orders in itertools.product(*(itertools.permutations(group) for group in groups)):
            p = list(image)
            for group, order in zip(groups, orders, strict=True):
                for a, b in zip(group, order, strict=True):
                    p[a] = image[b]
            assert p[n:] == list(range(n, len(p)))
            every.append(tuple(p[:n]))
    return every


def sample() -> tuple[DenseGraphs, list[tuple[Tensor, Tensor]]]:
    """Trees, regular graphs, copies, single nodes and pairs, some with colours, loops or one-way arcs."""
    generator = torch.Generator().manual_seed(0)
    made = [nx.random_labeled_tree(7, seed=seed) for seed in range(12)]
    made += [
        nx.random_regular_graph(3, 6, seed=1),
        nx.gnp_random_graph(7, 0.3, seed=2),
        nx.gnp_random_graph(7, 0.2, seed=3),
    ]
    made += [
        nx.empty_graph(1),
        nx.empty_graph(3),
        nx.path_graph(2),
        nx.path_graph(3),
        nx.star_graph(4),
        nx.star_graph(5),
    ]
    made += [
        nx.disjoint_union(nx.star_graph(2), nx.star_graph(2)),
        nx.disjoint_union(nx.path_graph(2), nx.path_graph(2)),
    ]
    graphs = []
    for kind, graph in itertools.product(range(4), made):
        pairs = torch.tensor(nx.to_numpy_array(graph)).long()
        n = len(pairs)
        colors = torch.zeros(n, dtype=torch.int64)
        if kind == 1:
            colors = torch.randint(2, (n,), generator=generator)
        if kind == 2:
            pairs = pairs + torch.diag(torch.randint(2, (n,), generator=generator))
        if kind == 3:
            pairs = pairs * torch.randint(3, (n, n), generator=generator)
        graphs.append((pairs, colors))
    widest = max(len(colors) for _, colors in graphs)
    edges = torch.zeros(len(graphs), widest, widest).long()
    nodes, mask = torch.zeros(len(graphs), widest).long(), torch.zeros(len(graphs), widest, dtype=torch.bool)
    for row, (pairs, colors) in enumerate(graphs):
        n = len(colors)
        edges[row, :n, :n], nodes[row, :n], mask[row, :n] = pairs, colors, True
    return DenseGraphs.from_features(edges, nodes, mask, directed=True), graphs


def check(found: Arrangements, graphs: list[tuple[Tensor, Tensor]]) -> None:
    for row, (pairs, colors) in enumerate(graphs):
        every = spread(found, row, len(colors))
        assert len(every) == len(set(every))
        assert set(every) == automorphisms(pairs, colors)


@pytest.mark.parametrize("sparse", [False, True])
def test_with_the_exchanges_they_are_all_automorphisms(sparse: bool) -> None:
    x, graphs = sample()
    given: Graphs = x.sparse() if sparse else x
    found = arrangements(given, limit=1000)
    assert len(found.sizes) > 20
    check(found, graphs)


def test_twins_that_miss_some_or_take_others_are_rejected() -> None:
    x, graphs = sample()
    found = arrangements(x, limit=1000)
    fewer = Arrangements(found.rows, found.images, found.groups[1:], found.members[1:], found.sizes[1:])
    with pytest.raises(AssertionError):
        check(fewer, graphs)
    moved = found.images.clone()
    moved[found.rows == 0] = moved[found.rows == 0].roll(1, 1)
    with pytest.raises(AssertionError):
        check(Arrangements(found.rows, moved, found.groups, found.members, found.sizes), graphs)


def test_methyl_groups_multiply_no_list() -> None:
    neopentane = nx.star_graph(4)
    for carbon in range(1, 5):
        neopentane.add_edges_from((carbon, 5 + 3 * (carbon - 1) + h) for h in range(3))
    x = DenseGraphs.from_features(torch.tensor(nx.to_numpy_array(neopentane)).long()[None])
    found = arrangements(x, limit=24)
    assert len(found.rows) == 24
    assert math.prod(math.factorial(size) for size in found.sizes.tolist()) * 24 == 31104


def test_larger_groups_stay_in_the_core_and_count() -> None:
    star = DenseGraphs.from_features(torch.tensor(nx.to_numpy_array(nx.star_graph(LARGEST + 1))).long()[None])
    found = arrangements(star, limit=120)
    assert len(found.rows) == 120
    assert len(found.sizes) == 0
    with pytest.raises(
        ValueError, match=r"molecules: without .* leaves, C\(x\) of input 0 has 120 elements, more than limit = 119"
    ):
        arrangements(star, limit=119)
