"""What needs igraph, what does not, and that both give one canonical form."""

from __future__ import annotations

import math
import sys

import networkx as nx
import pytest
import torch
from torch import Tensor

from sympe.graphs import SparseGraphs
from sympe.graphs.checks import equal_graphs
from sympe.kernels import GraphKernel
from sympe.kernels.graphs import tree
from sympe.kernels.graphs.bliss import BlissGraph
from sympe.kernels.graphs.cosets import Pieces, first_choice


def graphs(graph: nx.Graph, colors: Tensor | None = None, kinds: int = 1) -> SparseGraphs:
    """One graph; more than one kind of arcs makes both directions of an edge differ."""
    edges = torch.tensor(list(nx.convert_node_labels_to_integers(graph).edges)).T
    arcs = torch.cat([edges, edges.flip(0)], 1)
    arc_colors = torch.randint(1, kinds + 1, arcs.shape[1:], generator=torch.Generator().manual_seed(0))
    n = torch.tensor([graph.number_of_nodes()])
    return SparseGraphs.from_features(arcs, n, colors, arc_colors, directed=kinds > 1)


def distinct(n: int, seed: int) -> Tensor:
    return torch.randperm(3 * n, generator=torch.Generator().manual_seed(seed))[:n] - n


PARTS = {
    "path": (nx.path_graph(130), 1),
    "cubic": (nx.random_regular_graph(3, 90, seed=0), 1),
    "coloured arcs": (nx.random_regular_graph(3, 90, seed=1), 3),
    "tree": (nx.random_labeled_tree(200, seed=0), 2),
}


@pytest.mark.parametrize("name", PARTS)
def test_bliss_orders_nodes_of_different_colours_by_colour(name: str) -> None:
    graph, kinds = PARTS[name]
    x = graphs(graph, distinct(len(graph), 1), kinds)
    by_color = x.colors.argsort()
    assert torch.equal(BlissGraph(x).canonical_order(), by_color)
    pieces = Pieces(x, torch.ones(1, dtype=torch.bool))
    assert not pieces.hard
    assert torch.equal(pieces.places(first_choice).argsort(), by_color)
    x.colors[by_color[1]] = x.colors[by_color[0]].clone()  # the twin: a tie is left to BLISS
    assert Pieces(x, torch.ones(1, dtype=torch.bool)).hard == [0]


def test_parts_whose_colours_differ_do_without_igraph(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path falls into two halves of 150 nodes, all different in their half."""
    x = graphs(nx.path_graph(300))
    kernel = GraphKernel(300)
    p = torch.randperm(300, generator=torch.Generator().manual_seed(0))[None]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "igraph", None)
        c, other = kernel.canonicalize(x), kernel.canonicalize(x.relabel(p))
        torch.testing.assert_close(kernel.entropy(x), torch.tensor([math.log(2)]))
        assert torch.equal(kernel.orbits(x)[0], torch.arange(300).minimum(299 - torch.arange(300)))
        (turn,) = kernel.generators(x)[0]
        assert torch.equal(turn, torch.arange(300).flip(0))
        found = {tuple(kernel.sample(x, generator=torch.Generator().manual_seed(s))[0].tolist()) for s in range(20)}
        assert len(found) == 2
    inverse = kernel.group.inverse
    assert bool(equal_graphs(x.relabel(inverse(c)), x.relabel(p).relabel(inverse(other))).all())


def test_parts_with_ties_beside_them_change_nothing() -> None:
    parts = [nx.cycle_graph(80), nx.path_graph(300), nx.cycle_graph(5), nx.random_regular_graph(3, 90, seed=0)]
    x = graphs(nx.disjoint_union_all(parts))
    kernel = GraphKernel(len(x.colors))
    torch.testing.assert_close(kernel.entropy(x), torch.tensor([math.log(160 * 2 * 10)]))
    for seed in range(3):
        p = torch.randperm(len(x.colors), generator=torch.Generator().manual_seed(seed))[None]
        moved = x.relabel(p)
        forms = [one.relabel(kernel.group.inverse(kernel.canonicalize(one))) for one in (x, moved)]
        assert bool(equal_graphs(*forms).all())


@pytest.mark.parametrize(
    ("graph", "nodes"),
    [
        (nx.cycle_graph(200), 200),
        (nx.grid_2d_graph(10, 20), 200),
        (nx.hypercube_graph(7), 128),
        (nx.random_regular_graph(3, 100, seed=0), 100),
    ],
)
def test_without_igraph_what_takes_too_long_says_what_needs_it_and_what_to_do(
    graph: nx.Graph, nodes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, kernel = graphs(graph), GraphKernel(len(graph))
    kernel.sample(x)
    monkeypatch.setitem(sys.modules, "igraph", None)
    kernel.sample(x)
    monkeypatch.setattr(tree, "_TRIES", 1)
    with pytest.raises(ImportError, match=rf"part of {nodes} nodes.* pip install 'igraph>=.*; GraphRefinement"):
        kernel.sample(x)


def test_the_order_of_bliss_needs_igraph(monkeypatch: pytest.MonkeyPatch) -> None:
    x, kernel = graphs(nx.path_graph(5)), GraphKernel(5, order="bliss")
    kernel.sample(x)
    monkeypatch.setitem(sys.modules, "igraph", None)
    with pytest.raises(ImportError, match=r"order 'bliss' of a graph of 5 nodes needs igraph: .*; the other orders"):
        kernel.sample(x)


def test_an_igraph_that_returns_inverses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import igraph

    monkeypatch.setattr(igraph, "__version__", "0.11.8")
    with pytest.raises(ImportError, match=r"igraph: expected version 1.0 or newer, got 0.11.8: it returns the inverse"):
        GraphKernel(200).sample(graphs(nx.cycle_graph(200)))
