"""Refinement by what changed gives the cells of full rounds, the same in any batch and with any labels."""

from __future__ import annotations

import random
import time

import networkx as nx
import pytest
import torch
from torch import Tensor

from sympe.graphs import SparseGraphs
from sympe.kernels import GraphKernel, GraphRefinementKernel
from sympe.kernels.graphs import refinement
from sympe.kernels.graphs.refinement import refine_graphs


def batch(seed: int, *, directed: bool) -> SparseGraphs:
    chance = random.Random(seed)
    arcs, colors, sizes = [], [], []
    for n in (chance.randint(1, 40) for _ in range(6)):
        graph = chance.choice(
            [
                lambda n: nx.path_graph(n),
                lambda n: nx.random_labeled_tree(n, seed=seed),
                lambda n: nx.gnp_random_graph(n, 2.5 / n, seed=seed),
                lambda n: nx.complement(nx.path_graph(n)),
                lambda n: nx.random_regular_graph(3, 2 * n + 2, seed=seed),
            ]
        )(n)
        for a, b in graph.edges:
            color = 1 + (chance.random() < 0.2)
            both = not directed or chance.random() < 0.3
            arcs += [(sum(sizes) + a, sum(sizes) + b), (sum(sizes) + b, sum(sizes) + a)][: 1 + both]
            colors += [color] * (1 + both)
        sizes.append(len(graph))
    nodes = torch.tensor([chance.random() < 0.1 for _ in range(sum(sizes))])
    return SparseGraphs.from_features(
        torch.tensor(arcs, dtype=torch.int64).view(-1, 2).T,
        torch.tensor(sizes),
        nodes if seed % 3 == 0 else None,
        torch.tensor(colors, dtype=torch.int64),
        directed=directed,
    )


def cells(x: SparseGraphs, colors: Tensor) -> list[int]:
    number: dict[tuple[int, int], int] = {}
    return [number.setdefault(key, len(number)) for key in zip(x.graph.tolist(), colors.tolist(), strict=True)]


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("few", [0, 10, 100])
def test_cells_are_those_of_full_rounds(few: int, directed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    unfinished = 0
    for seed in range(12):
        x = batch(seed, directed=directed)
        monkeypatch.setattr(refinement, "_FEW", 100)
        monkeypatch.setattr(refinement, "ROUNDS", 10**6)
        full = refine_graphs(x)
        for rounds in (1, 3):
            monkeypatch.setattr(refinement, "_FEW", 100)
            monkeypatch.setattr(refinement, "ROUNDS", rounds)
            expected = refine_graphs(x)
            monkeypatch.setattr(refinement, "_FEW", few)
            found = refine_graphs(x)
            assert torch.equal(found, expected)  # the colours as well
            assert cells(x, found) == cells(x, full)
            alone = [refine_graphs(x.select(torch.tensor([row]))) for row in range(len(x))]
            assert torch.equal(torch.cat(alone), found)
            unfinished += not torch.equal(found, full)
        n = int(x.sizes.max())
        p = torch.stack([torch.cat([torch.randperm(k), torch.arange(k, n)]) for k in x.sizes.tolist()])
        place = p[x.graph, torch.arange(len(x.graph)) - x.starts[x.graph]] + x.starts[x.graph]
        assert torch.equal(refine_graphs(x.relabel(p))[place], found)
    assert unfinished > 6, "hardly any graph took more rounds"


def long(graph: nx.Graph) -> SparseGraphs:
    edges = torch.tensor(list(graph.edges)).T
    return SparseGraphs.from_features(torch.cat([edges, edges.flip(0)], 1), torch.tensor([len(graph)]))


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [GraphKernel(20001), GraphRefinementKernel(20001)])
@pytest.mark.parametrize(("graph", "order"), [(nx.path_graph(20001), 2), (nx.cycle_graph(20000), 40000)])
def test_long_graphs_take_seconds(kernel: GraphKernel | GraphRefinementKernel, graph: nx.Graph, order: int) -> None:
    """They took 50 s."""
    x = long(graph)
    start = time.perf_counter()
    g = kernel.sample(x, generator=torch.Generator().manual_seed(0))
    assert time.perf_counter() - start < 25
    assert torch.equal(g.sort(1).values[0], torch.arange(20001))
    if isinstance(kernel, GraphKernel):
        assert float(kernel.entropy(x).exp()) == pytest.approx(order)
    else:
        assert float(-kernel.log_prob(g, x)) == pytest.approx(float(torch.tensor(order).log()), abs=1e-4)
