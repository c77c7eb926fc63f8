"""Random refinement: its law against enumeration of all permutations, and its entropy against the exact kernel's."""

from __future__ import annotations

import itertools
import math

import networkx as nx
import pytest
import torch
from torch import Tensor

from sympe.graphs import DenseGraphs, SparseGraphs
from sympe.kernels import GraphKernel, GraphRefinementKernel
from sympe.kernels.graphs import random_refinement
from sympe.kernels.graphs.refinement import decompose


def matrix(n: int, edges: list[tuple[int, int]]) -> Tensor:
    pairs = torch.zeros(n, n, dtype=torch.int64)
    for i, j in edges:
        pairs[i, j] = pairs[j, i] = 1
    return pairs


def ring(*nodes: int) -> list[tuple[int, int]]:
    return list(zip(nodes, (*nodes[1:], nodes[0]), strict=True))


def random_graphs(n: int, count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(n)
    draws = [(torch.rand(n, n, generator=generator) < 0.5).long().triu(1) for _ in range(count)]
    return [pairs + pairs.T for pairs in draws]


TRIANGLE_AND_SQUARE = matrix(7, ring(0, 1, 2) + ring(3, 4, 5, 6))
COMPLEMENT = 1 - TRIANGLE_AND_SQUARE - torch.eye(7, dtype=torch.int64)  # connected, regular, not vertex-transitive
PRISM = matrix(6, ring(0, 1, 2) + ring(3, 4, 5) + [(0, 3), (1, 4), (2, 5)])
DIRECTED = torch.tensor([[0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2], [2, 0, 0, 0]])
GRAPHS = {
    "empty": matrix(4, []),
    "two edges and two nodes": matrix(6, [(0, 3), (1, 4)]),
    "prism": PRISM,
    "triangle and square": TRIANGLE_AND_SQUARE,
    "its complement": COMPLEMENT,
    "directed ring": DIRECTED,
    **{f"random {n} {i}": pairs for n in (1, 2, 3, 4, 5) for i, pairs in enumerate(random_graphs(n, 6))},
}


def everything(pairs: Tensor) -> tuple[Tensor, DenseGraphs]:
    n = len(pairs)
    permutations = torch.tensor(list(itertools.permutations(range(n))))
    return permutations, DenseGraphs.from_features(pairs.expand(len(permutations), n, n), directed=True)


@pytest.mark.parametrize("name", GRAPHS)
def test_the_law_is_normalised_equivariant_and_has_the_stated_entropy(name: str) -> None:
    every, x = everything(GRAPHS[name])
    kernel = GraphRefinementKernel(x.mask.shape[1])
    log_p = kernel.log_prob(every, x).double()
    p = log_p.exp()
    assert float(p.sum()) == pytest.approx(1, abs=1e-5)
    entropy = float(torch.special.entr(p).sum())
    first = x.select(torch.tensor([0]))
    assert float(kernel.entropy(first)) == pytest.approx(entropy, abs=1e-4)
    assert entropy >= float(GraphKernel(kernel.group.degree).entropy(first)) - 1e-5
    for h in every[:: max(1, len(every) // 5)]:
        moved = kernel.log_prob(kernel.group.compose(h, every), x.relabel(h.expand_as(every)))
        torch.testing.assert_close(moved.double(), log_p)


@pytest.mark.parametrize("name", ["two edges and two nodes", "prism", "its complement", "directed ring"])
def test_samples_follow_the_law(name: str) -> None:
    every, x = everything(GRAPHS[name])
    kernel = GraphRefinementKernel(x.mask.shape[1])
    p = kernel.log_prob(every, x).double().exp()
    draws = 10 * int((p > 0).sum())
    many = x.select(torch.zeros(draws, dtype=torch.int64))
    g = kernel.sample(many, generator=torch.Generator().manual_seed(0))
    digits = torch.tensor([10**i for i in range(every.shape[1])])
    numbers, order = (every * digits).sum(1).sort()
    count = torch.searchsorted(numbers, (g * digits).sum(1)).bincount(minlength=len(every)).double()
    expected = draws * p[order]
    assert count[expected == 0].sum() == 0
    cells = expected > 0
    statistic = float(((count - expected)[cells] ** 2 / expected[cells]).sum())
    freedom = int(cells.sum()) - 1
    # false alarm about 1e-6 by the normal approximation of Wilson and Hilferty
    z = ((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom))
    assert z < 4.8
    uniform = torch.full_like(count, draws / len(count))  # the twin: all permutations
    assert len(count) == cells.sum() or float(((count - uniform) ** 2 / uniform).sum()) > 2 * len(count)


def test_it_is_exact_where_only_automorphisms_tie_and_wider_where_refinement_is_fooled() -> None:
    excess = {}
    for name, pairs in GRAPHS.items():
        x = DenseGraphs.from_features(pairs[None], directed=True)
        n = len(pairs)
        excess[name] = float(GraphRefinementKernel(n).entropy(x) - GraphKernel(n).entropy(x))
    # a node of the triangle with 3/7 where 1/3 would do, and so on: by enumeration in the test above
    assert excess.pop("its complement") == pytest.approx(-(3 * math.log(3 / 7) + 4 * math.log(4 / 7)) / 7, abs=1e-5)
    assert max(excess.values()) < 1e-5


def test_ragged_batches_leave_the_padding_and_do_not_depend_on_their_company() -> None:
    x = SparseGraphs.from_features(torch.tensor([[0, 1, 4, 5], [1, 0, 5, 4]]), torch.tensor([2, 0, 4]))
    kernel = GraphRefinementKernel(6)
    g = kernel.sample(x, generator=torch.Generator().manual_seed(0))
    assert torch.equal(g.sort(1).values, torch.arange(6).expand(3, 6))
    assert torch.equal(g[0, 2:], torch.arange(2, 6))
    assert torch.equal(g[1], torch.arange(6))
    assert torch.equal(g[2, 4:], torch.arange(4, 6))
    alone = [kernel.log_prob(g[i : i + 1], x.select(torch.tensor([i]))) for i in range(3)]
    torch.testing.assert_close(kernel.log_prob(g, x), torch.cat(alone))
    assert kernel.log_prob(g.flip(1), x)[0] == -torch.inf  # the padding moved


def test_large_graphs_and_long_paths() -> None:
    n = 2000
    i = torch.arange(n)
    arcs = torch.stack([torch.cat([i, (i + 1) % n]), torch.cat([(i + 1) % n, i])])
    x = SparseGraphs.from_features(arcs, torch.tensor([n]))  # a ring: the second choice settles it
    kernel = GraphRefinementKernel(n)
    assert torch.equal(kernel.sample(x, generator=torch.Generator().manual_seed(0)).sort(1).values[0], i)
    rook = torch.zeros(25, 25, dtype=torch.int64)
    for a, b in itertools.combinations(range(25), 2):
        if a // 5 == b // 5 or a % 5 == b % 5:
            rook[a, b] = rook[b, a] = 1
    with pytest.raises(ValueError, match="x: the entropy of graph 0 takes more than 4096 random paths of a component"):
        GraphRefinementKernel(25).entropy(DenseGraphs.from_features(rook[None]))


@pytest.mark.parametrize(
    ("graph", "log_order"),
    [
        (nx.complete_bipartite_graph(8, 8), math.log(2) + 2 * math.lgamma(9)),
        (nx.balanced_tree(2, 5), 31 * math.log(2)),
    ],
)
def test_more_choices_than_a_factor_of_64_bits_bears(graph: nx.Graph, log_order: float) -> None:
    """From the 13th node chosen on, its number times the factor overflowed. All choices here are among like nodes."""
    x = DenseGraphs.from_features(matrix(len(graph), list(graph.edges))[None])
    kernel = GraphRefinementKernel(len(graph))
    g = kernel.sample(x, generator=torch.Generator().manual_seed(0))
    assert float(kernel.log_prob(g, x)) == pytest.approx(-log_order, rel=1e-6)


def test_the_entropy_of_many_paths_does_not_depend_on_how_many_are_refined_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = DenseGraphs.from_features(COMPLEMENT[None])
    whole = GraphRefinementKernel(7).entropy(x)
    monkeypatch.setattr(random_refinement, "_AT_ONCE", 1)
    assert torch.equal(GraphRefinementKernel(7).entropy(x), whole)


def test_drawing_leaves_the_colours_of_components_alone() -> None:
    x = DenseGraphs.from_features(PRISM[None]).sparse()
    parts = decompose(x).components
    before = parts.colors.clone()
    random_refinement._individualize(parts, torch.arange(6).double())
    assert torch.equal(parts.colors, before)


def test_errors() -> None:
    with pytest.raises(ValueError, match="max_nodes: expected at least 1, got 0"):
        GraphRefinementKernel(0)
    with pytest.raises(ValueError, match="x: expected graphs of at most max_nodes = 3 nodes; graph 0 has 6"):
        GraphRefinementKernel(3).sample(DenseGraphs.from_features(PRISM[None]))


def test_a_first_choice_that_is_not_put_first_is_not_normalised(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken twin: if the chosen node came last in its cell, it could not be read off g as the first."""
    original = random_refinement.dense_rank
    monkeypatch.setattr(
        random_refinement,
        "dense_rank",
        lambda *keys: original(keys[0], 1 - keys[1], keys[2]) if len(keys) == 3 else original(*keys),
    )
    every, x = everything(COMPLEMENT)
    log_p = GraphRefinementKernel(7).log_prob(every, x)
    assert abs(float(log_p.double().exp().sum()) - 1) > 1e-3
