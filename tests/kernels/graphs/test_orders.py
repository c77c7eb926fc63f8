"""The node orders do what their names say, on canonical forms; that they are exact is in test_graph."""

from __future__ import annotations

import itertools
import random

import networkx as nx
import pytest
import torch
from torch import Tensor

from sympe.graphs import DenseGraphs, SparseGraphs
from sympe.kernels import GraphKernel
from sympe.kernels.graphs import breadth_first, depth_first
from sympe.kernels.graphs.orders import (
    NODE_ORDERS,
    breadth_first_order,
    degree_order,
    depth_first_order,
    fiedler_order,
)


def forms(*graphs: nx.Graph) -> DenseGraphs:
    n = max(len(graph) for graph in graphs)
    pairs = torch.zeros(len(graphs), n, n, dtype=torch.int64)
    mask = torch.zeros(len(graphs), n, dtype=torch.bool)
    for row, graph in enumerate(graphs):
        pairs[row, : len(graph), : len(graph)] = torch.from_numpy(nx.to_numpy_array(graph)).long()
        mask[row, : len(graph)] = True
    return DenseGraphs.from_features(pairs, None, mask)


def bandwidth(pairs: Tensor, order: Tensor) -> int:
    i, j = pairs[order][:, order].nonzero(as_tuple=True)
    return int((i - j).abs().max()) if len(i) else 0


SHUFFLED_PATH = nx.relabel_nodes(nx.path_graph(9), dict(enumerate([4, 0, 7, 2, 8, 1, 5, 3, 6])))
SHUFFLED_PATH = nx.from_numpy_array(nx.to_numpy_array(SHUFFLED_PATH, nodelist=range(9)))
TREE = nx.balanced_tree(2, 2)
BROKEN = nx.disjoint_union(nx.path_graph(4), nx.empty_graph(2))


@pytest.mark.parametrize("name", NODE_ORDERS)
def test_orders_are_permutations_that_leave_the_padding(name: str) -> None:
    x = forms(SHUFFLED_PATH, TREE, BROKEN, nx.empty_graph(1), nx.empty_graph(0))
    order = NODE_ORDERS[name](x, 11)
    assert torch.equal(order.sort(1).values, torch.arange(11).expand(5, 11))
    for row, size in enumerate(x.sizes.tolist()):
        assert torch.equal(order[row, size:], torch.arange(size, 11))


def test_most_neighbours_first() -> None:
    x = forms(TREE)
    degrees = (x.pairs[0] != 0).sum(1)[degree_order(x, 7)[0]]
    assert degrees.tolist() == [3, 3, 2, 1, 1, 1, 1]


def test_breadth_first_depth_first_and_fiedler_lay_a_path_straight() -> None:
    x = forms(SHUFFLED_PATH)
    assert bandwidth(x.pairs[0], torch.arange(9)) > 2
    for order in (breadth_first_order, depth_first_order, fiedler_order):
        assert bandwidth(x.pairs[0], order(x, 9)[0]) == 1


def test_breadth_first_is_the_reverse_cuthill_mckee_order_of_a_tree() -> None:
    x = forms(TREE)  # a leaf is an end of a longest path; from there by levels, then turned round
    order = breadth_first_order(x, 7)[0]
    levels = nx.single_source_shortest_path_length(TREE, int(order[-1]))
    assert [levels[int(node)] for node in order] == sorted(levels.values(), reverse=True)
    assert TREE.degree[int(order[-1])] == 1


def test_the_bandwidth_of_random_graphs_falls() -> None:
    graphs = [nx.gnp_random_graph(14, 0.2, seed=s) for s in range(30)]
    x = forms(*graphs)
    before = sum(bandwidth(pairs, torch.arange(14)) for pairs in x.pairs)
    for order in (breadth_first_order, fiedler_order):
        after = sum(bandwidth(pairs, p) for pairs, p in zip(x.pairs, order(x, 14), strict=True))
        assert after < 0.8 * before


def test_components_stay_together() -> None:
    graph = nx.disjoint_union(nx.cycle_graph(5), nx.path_graph(4))
    x = forms(graph)
    for order in (breadth_first_order, fiedler_order):
        first = [int(node) < 5 for node in order(x, 9)[0]]
        assert sum(a != b for a, b in itertools.pairwise(first)) == 1


def test_an_order_of_repeated_eigenvalues_does_not_depend_on_the_batch() -> None:
    x = forms(nx.cycle_graph(7), nx.complete_graph(7), nx.cycle_graph(7))
    whole = fiedler_order(x, 7)
    for row in range(3):
        assert torch.equal(fiedler_order(x.select(torch.tensor([row])), 7)[0], whole[row])
    assert torch.equal(whole[0], whole[2])


def test_graphs_of_one_class_get_one_form_from_every_order() -> None:
    graph = nx.gnp_random_graph(12, 0.3, seed=3)
    x = forms(*[graph] * 20)
    p = torch.stack([torch.randperm(12, generator=torch.Generator().manual_seed(s)) for s in range(20)])
    moved = x.relabel(p)
    for name in NODE_ORDERS:
        g = GraphKernel(12, order=name).sample(moved, generator=torch.Generator().manual_seed(0))
        assert len(moved.relabel(g.argsort(1)).pairs.flatten(1).unique(dim=0)) == 1


def reverse_cuthill_mckee(graph: nx.Graph) -> list[int]:
    """By its definition, node by node; the far ends by networkx."""
    undirected = nx.Graph(graph.to_undirected())
    undirected.remove_edges_from(list(nx.selfloop_edges(undirected)))
    degree = dict(undirected.degree)
    starts = []
    for nodes in nx.connected_components(undirected):
        eccentricity = nx.eccentricity(undirected.subgraph(nodes))
        starts.append(min((-max(1, eccentricity[v]), degree[v], v) for v in nodes))
    order: list[int] = []
    for *_, start in sorted(starts):
        queue = [start]
        for v in queue:
            queue += sorted(set(undirected[v]) - set(queue), key=lambda w: (degree[w], w))
        order += queue
    return order[::-1]


def shuffled(graph: nx.Graph, chance: random.Random) -> nx.Graph:
    nodes = list(range(len(graph)))
    chance.shuffle(nodes)
    moved = nx.relabel_nodes(nx.convert_node_labels_to_integers(graph), dict(enumerate(nodes)))
    out = type(moved)()
    out.add_nodes_from(range(len(moved)))  # the order in which forms() reads them
    out.add_edges_from(moved.edges)
    return out


def sparse_form(graph: nx.Graph) -> SparseGraphs:
    arcs = torch.tensor(list(nx.DiGraph(graph).edges), dtype=torch.int64).view(-1, 2).T
    return SparseGraphs.from_features(arcs, torch.tensor([len(graph)]), directed=True)


@pytest.mark.parametrize("wide", [1, 4, 256])
@pytest.mark.parametrize("searches", [1, 8])
def test_breadth_first_is_the_order_of_its_definition(
    searches: int, wide: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breadth_first, "_SEARCHES", searches)
    monkeypatch.setattr(breadth_first, "_WIDE", wide)
    chance = random.Random(0)
    loops = nx.gnp_random_graph(30, 0.1, seed=0)
    loops.add_edges_from((i, i) for i in range(0, 30, 3))
    graphs = [
        nx.random_regular_graph(3, 20, seed=1),
        nx.random_regular_graph(3, 120, seed=2),
        nx.random_regular_graph(4, 90, seed=3),
        nx.gnp_random_graph(100, 0.03, seed=4),
        nx.gnp_random_graph(80, 0.4, seed=5),
        nx.gnp_random_graph(70, 0.03, seed=6, directed=True),
        nx.random_labeled_tree(100, seed=7),
        nx.disjoint_union_all([nx.cycle_graph(9)] * 4 + [nx.path_graph(70), nx.empty_graph(3), nx.cycle_graph(71)]),
        nx.grid_2d_graph(12, 6, periodic=True),
        nx.lollipop_graph(30, 50),
        loops,
        nx.empty_graph(5),
    ]
    graphs = [shuffled(graph, chance) for graph in graphs]
    for graph in graphs:
        expected = reverse_cuthill_mckee(graph)
        assert breadth_first_order(sparse_form(graph), len(graph))[0].tolist() == expected
    undirected = [graph for graph in graphs if not graph.is_directed()]
    together = breadth_first_order(forms(*undirected), 180)
    for graph, order in zip(undirected, together, strict=True):
        assert order[: len(graph)].tolist() == reverse_cuthill_mckee(graph)


def longest_branch_first(graph: nx.Graph, colors: list[int]) -> list[int]:
    """The depth-first order by its definition, with networkx' distances."""
    left, order = set(graph), []

    def farthest(node: int) -> int:
        return max(nx.single_source_shortest_path_length(graph.subgraph(left), node).values())

    while left:
        near = next((there for node in reversed(order) if (there := left & set(graph[node]))), set())
        if near:
            node = min(near, key=lambda i: (-farthest(i), colors[i], graph.degree[i], i))
        else:
            node = min(left, key=lambda i: (graph.degree[i], -colors[i], -farthest(i), i))
        order.append(node)
        left.remove(node)
    return order


@pytest.mark.parametrize(("word", "at_once"), [(64, 2**20), (64, 1), (0, 1)])
def test_depth_first_is_the_order_of_its_definition(word: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth_first, "WORD", word)
    monkeypatch.setattr(depth_first, "_AT_ONCE", at_once)
    chance = random.Random(0)
    graphs = [
        *(nx.gnp_random_graph(n, p, seed=n) for n in (2, 7, 12, 20) for p in (0.1, 0.2, 0.5)),
        *(nx.random_regular_graph(3, n, seed=n) for n in (8, 12, 20)),
        nx.random_regular_graph(4, 13, seed=3),
        nx.random_labeled_tree(24, seed=4),
        nx.disjoint_union_all([nx.cycle_graph(5)] * 2 + [nx.path_graph(4), nx.empty_graph(2)]),
        nx.grid_2d_graph(4, 4),
        nx.lollipop_graph(5, 6),
        nx.empty_graph(0),
    ]
    graphs = [shuffled(graph, chance) for graph in graphs]
    x = forms(*graphs)
    x = DenseGraphs(x.pairs, torch.tensor(chance.choices((3, 5, 2**60), k=x.colors.numel())).view_as(x.colors), x.mask)
    orders = depth_first_order(x, 30)
    for graph, colors, order in zip(graphs, x.colors.tolist(), orders.tolist(), strict=True):
        assert order[: len(graph)] == longest_branch_first(graph, colors)
    plain = x.colors.new_zeros(x.colors.shape)
    blind = depth_first_order(DenseGraphs(x.pairs, plain, x.mask), 30)  # the twin, which sees no colours
    assert not torch.equal(blind, orders)


@pytest.mark.slow
def test_breadth_first_orders_a_graph_of_a_million_nodes() -> None:
    n = 10**6
    i = torch.randperm(n, generator=torch.Generator().manual_seed(0))
    arcs = torch.stack([torch.cat([i[1:], i[:-1]]), torch.cat([i[:-1], i[1:]])])
    order = breadth_first_order(SparseGraphs.from_features(arcs, torch.tensor([n])), n)[0]
    assert torch.equal(order, i) or torch.equal(order, i.flip(0))
