"""C(x) taken apart: every element of it comes out for one choice, for all choices of a draw."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import networkx as nx
import pytest
import torch
from torch import Tensor

from sympe.graphs import DenseGraphs
from sympe.kernels import GraphKernel, StoredCosets
from sympe.kernels.graphs import stored as module
from sympe.kernels.graphs.cosets import SMALL


def dense(graph: nx.Graph) -> DenseGraphs:
    table = torch.from_numpy(nx.to_numpy_array(graph)).long().view(1, len(graph), len(graph))
    return DenseGraphs.from_features(table, directed=graph.is_directed())


def colored(seed: int, n: int = 5) -> DenseGraphs:
    """Few colours of nodes and arcs, arcs in one direction, self-loops: some symmetries, some twins."""
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.randint(0, 3, (1, n, n), generator=generator) // 2
    pairs[:, -2:] = pairs[:, :1]  # rows alike
    pairs[:, :, -2:] = pairs[:, :, :1]
    return DenseGraphs.from_features(pairs, torch.randint(0, 5, (1, n), generator=generator) // 4, directed=True)


def joined(*graphs: nx.Graph) -> nx.Graph:
    return nx.disjoint_union_all(graphs)


GRAPHS = {
    "nothing": nx.empty_graph(1),
    "no edges": nx.empty_graph(4),
    "ring": nx.cycle_graph(6),
    "directed ring": nx.cycle_graph(5, create_using=nx.DiGraph),
    "star": nx.star_graph(4),
    "square of twins": nx.complete_multipartite_graph(2, 2, 2),
    "two paths and a node": joined(nx.path_graph(3), nx.path_graph(3), nx.empty_graph(1)),
    "cliques": joined(nx.complete_graph(3), nx.complete_graph(3)),
    "prism": nx.circular_ladder_graph(3),
    "Petersen": nx.petersen_graph(),
    "tree": nx.balanced_tree(2, 2),
    **{f"cubic {seed}": nx.random_regular_graph(3, 8, seed=seed) for seed in range(4)},
    **{f"random {seed}": nx.gnp_random_graph(7, 0.4, seed=seed) for seed in range(4)},
}
INPUTS = {**{name: dense(graph) for name, graph in GRAPHS.items()}, **{f"colours {i}": colored(i) for i in range(8)}}


def outcomes(cosets: StoredCosets, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """What comes out for every choice that a draw from one graph makes, each as likely as the others."""
    found = []
    counts = [rows + 1 for rows in cosets.rows.tolist()]
    for picks in itertools.product(*(range(count) for count in counts)):
        levels = torch.tensor([(pick + 0.5) / count for pick, count in zip(picks, counts, strict=True)])
        classes = [cosets.twins[cosets.twins == first] for first in cosets.twins.unique().tolist()]
        for keys in itertools.product(*(itertools.permutations(range(len(part))) for part in classes)):
            key = torch.empty(len(cosets.orders))
            for part, order in zip(classes, keys, strict=True):
                key[cosets.twins == part[0]] = torch.tensor(order, dtype=key.dtype)
            given = iter([levels.double(), key.double()])
            monkeypatch.setattr(module, "uniform", lambda shape, like, generator, given=given: next(given))
            found.append(tuple(cosets.sample().tolist()))
    return found


def check_law(kernel: GraphKernel, x: DenseGraphs, cosets: StoredCosets, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uniform on C(x): each of its elements, which the kernel lists, from equally many choices."""
    n = int(x.sizes[0])
    _, elements = kernel.list_coset(x, limit=1000)
    counts = Counter(outcomes(cosets, monkeypatch))
    assert set(counts) == {tuple(g[:n]) for g in elements.tolist()}
    assert set(counts.values()) == {1}


@pytest.mark.parametrize("order", ["breadth-first", "refined"])
@pytest.mark.parametrize("name", INPUTS)
def test_a_draw_is_uniform_on_the_coset_by_enumeration(name: str, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = GraphKernel(12, order=order)
    check_law(kernel, INPUTS[name], StoredCosets.of(kernel, INPUTS[name]), monkeypatch)


def without_an_element(cosets: StoredCosets) -> StoredCosets:
    """A level lacks one."""
    return replace(cosets, table=torch.cat([cosets.table[:-6], torch.arange(6, dtype=cosets.table.dtype)]))


def of_another_order(cosets: StoredCosets) -> StoredCosets:
    """Not a canonical order: symmetries of it all the same."""
    return replace(cosets, orders=torch.tensor([1, 0, 2, 3, 4, 5]))


def with_false_twins(cosets: StoredCosets) -> StoredCosets:
    """Two neighbours on a ring."""
    return replace(cosets, twins=torch.tensor([0, 0, 2, 3, 4, 5]))


@pytest.mark.parametrize("broken", [without_an_element, of_another_order, with_false_twins])
def test_what_is_broken_is_not_uniform(
    broken: Callable[[StoredCosets], StoredCosets], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel, x = GraphKernel(6), INPUTS["ring"]
    with pytest.raises(AssertionError):
        check_law(kernel, x, broken(StoredCosets.of(kernel, x)), monkeypatch)


def test_alone_in_a_batch_padded_and_sparse_the_same_is_stored() -> None:
    kernel = GraphKernel(12)
    undirected = list(INPUTS.values())
    together = DenseGraphs.concatenate(undirected)
    alone = [StoredCosets.of(kernel, x) for x in undirected]
    for x in (together, together.sparse()):
        cosets = StoredCosets.of(kernel, x)
        for part in ("orders", "twins", "levels", "rows", "table"):
            assert torch.equal(getattr(cosets, part), torch.cat([getattr(one, part) for one in alone])), part
    cosets = StoredCosets.of(kernel, together)
    assert torch.equal(cosets.sizes, together.sizes)
    for seed in range(5):
        g = padded(cosets.sample(generator=torch.Generator().manual_seed(seed)), together.sizes, 12)
        assert bool(kernel.log_prob(g, together).isfinite().all())


def padded(nodes: Tensor, sizes: Tensor, n: int) -> Tensor:
    g = torch.arange(n).repeat(len(sizes), 1)
    g[torch.arange(n) < sizes[:, None]] = nodes
    return g


HARD = {
    "cube of five dimensions": nx.hypercube_graph(5),
    "Hoffman-Singleton": nx.hoffman_singleton_graph(),
    "rings": joined(*[nx.cycle_graph(5)] * 6),
    "ternary tree": nx.balanced_tree(3, 3),
    "a star with many leaves": nx.star_graph(SMALL + 20),
    "cliques of cliques": joined(*[nx.complete_graph(20)] * 3),
    "long ring": nx.cycle_graph(SMALL + 6),
    "ladder of cubic graphs": joined(*[nx.random_regular_graph(3, 20, seed=0)] * 4),
}


@pytest.mark.parametrize("name", HARD)
def test_groups_too_large_to_list_have_their_whole_order(name: str) -> None:
    """Every draw is in C(x), and there are as many choices as elements."""
    graph = nx.convert_node_labels_to_integers(HARD[name])
    kernel, x = GraphKernel(len(graph)), dense(graph)
    cosets = StoredCosets.of(kernel, x)
    choices = sum(math.log(rows + 1) for rows in cosets.rows.tolist())
    choices += sum(math.lgamma(k + 1) for k in cosets.twins.bincount().tolist())
    assert choices == pytest.approx(float(kernel.entropy(x)), rel=1e-5)
    generator = torch.Generator().manual_seed(0)
    g = torch.stack([cosets.sample(generator=generator) for _ in range(20)])
    assert bool(kernel.log_prob(g, x.select(torch.zeros(20, dtype=torch.int64))).isfinite().all())
    assert len(g.unique(dim=0)) > 10
    assert torch.equal(StoredCosets.of(kernel, x).table, cosets.table)


def test_no_graphs_and_no_nodes() -> None:
    none = DenseGraphs.from_features(torch.zeros(0, 3, 3, dtype=torch.int64))
    assert StoredCosets.of(GraphKernel(3), none).sample().shape == (0,)
    empty = DenseGraphs.from_features(torch.zeros(2, 0, 0, dtype=torch.int64))
    assert StoredCosets.of(GraphKernel(3), empty).sample().shape == (0,)
    assert repr(StoredCosets.of(GraphKernel(3), none)) == "StoredCosets(0 graphs, 0 nodes, 0 rows)"


@pytest.mark.usefixtures("unchecked")
def test_what_does_not_fit_is_named() -> None:
    x = INPUTS["ring"]
    with pytest.raises(TypeError, match="kernel: expected an instance of GraphKernel"):
        StoredCosets.of("kernel", x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="x: expected graphs of at most max_nodes = 3 nodes; graph 0 has 6"):
        StoredCosets.of(GraphKernel(3), x)
    with pytest.raises(ValueError, match="max_numbers: expected"):
        StoredCosets.of(GraphKernel(6), x, max_numbers=0)
    both = DenseGraphs.concatenate([INPUTS["cubic 0"], INPUTS["Petersen"]])
    message = "x: the symmetries of graph 1, of 10 nodes, take more than max_numbers = 100 numbers"
    with pytest.raises(ValueError, match=message):
        StoredCosets.of(GraphKernel(10), both, max_numbers=100)
