"""networkx, igraph and RDKit into a kernel in one call; automorphisms counted by networkx."""

from __future__ import annotations

import random
from typing import Any

import igraph
import networkx as nx
import pytest
import torch
from networkx.algorithms.isomorphism import GraphMatcher, categorical_edge_match, categorical_node_match
from rdkit import Chem

from sympe.files.smiles import graph_from_smiles
from sympe.graphs import SparseGraphs
from sympe.integrations.igraph import from_igraph
from sympe.integrations.networkx import from_networkx
from sympe.integrations.rdkit import from_rdkit
from sympe.kernels import GraphKernel

PARTS = ("sizes", "colors", "arcs", "arc_colors")


def colored(seed: int) -> nx.Graph:
    """A random or regular graph, its nodes with text, its edges with numbers; few values, so that some are alike."""
    draw = random.Random(seed)
    graph = nx.gnp_random_graph(6, 0.5, seed=seed) if seed % 2 else nx.random_regular_graph(3, 6, seed=seed)
    graph = nx.relabel_nodes(graph, dict(zip(graph, draw.sample("abcdef", 6), strict=True)))
    for node in graph:
        graph.nodes[node]["element"] = draw.choice(["C", "C", "C", "N"])
        graph.nodes[node]["ring"] = draw.random() < 0.9
    for i, j in graph.edges:
        graph.edges[i, j]["order"] = draw.choice([1, 1, 1, 2])
        graph.edges[i, j]["length"] = draw.choice([1.5, 1.5, 1.5 + 1e-9, 1.2])
    return graph


GRAPHS = [colored(seed) for seed in range(12)] + [nx.relabel_nodes(nx.cycle_graph(5), str)]
for name, value in (("element", "C"), ("ring", True)):
    nx.set_node_attributes(GRAPHS[-1], value, name)
for name, value in (("order", 1), ("length", 1.5)):
    nx.set_edge_attributes(GRAPHS[-1], value, name)


def automorphisms(graph: nx.Graph, nodes: list[str], edges: list[str]) -> int:
    """By backtracking, with lengths rounded."""
    graph = graph.copy()
    for i, j in graph.edges:
        graph.edges[i, j]["length"] = round(graph.edges[i, j]["length"], 3)
    match = categorical_node_match(nodes, [None] * len(nodes)), categorical_edge_match(edges, [None] * len(edges))
    return sum(1 for _ in GraphMatcher(graph, graph, *match).isomorphisms_iter())


def as_igraph(graph: nx.Graph) -> igraph.Graph:
    return igraph.Graph.from_networkx(graph)


@pytest.mark.parametrize("nodes", [[], ["element"], ["element", "ring"]])
@pytest.mark.parametrize("edges", [[], ["order"], ["order", "length"]])
def test_symmetries_are_those_that_networkx_counts(nodes: list[str], edges: list[str]) -> None:
    options: Any = {"node_attrs": nodes, "edge_attrs": edges}
    together = from_networkx(GRAPHS, **options)
    expected = [automorphisms(graph, nodes, edges) for graph in GRAPHS]
    assert GraphKernel(6).entropy(together).exp().round().tolist() == expected
    for row, graph in enumerate(GRAPHS):  # alone the same colours
        alone, part = from_networkx([graph], **options), together.select(torch.tensor([row]))
        assert all(torch.equal(getattr(alone, name), getattr(part, name)) for name in PARTS)
    other = from_igraph(map(as_igraph, GRAPHS), **options)
    assert all(torch.equal(getattr(together, name), getattr(other, name)) for name in PARTS)


def test_attributes_that_are_not_named_break_nothing() -> None:
    """The twin of the count: with colours left out it is another."""
    with_colors = [automorphisms(graph, ["element"], ["order"]) for graph in GRAPHS]
    assert GraphKernel(6).entropy(from_networkx(GRAPHS)).exp().round().tolist() != with_colors


def test_directions_loops_and_several_edges() -> None:
    arrows = nx.cycle_graph(3, create_using=nx.DiGraph)
    double = nx.MultiGraph([(0, 1), (0, 1), (1, 2)])
    loop = nx.Graph([(0, 1), (1, 1)])
    x = from_networkx([arrows, double, loop])
    assert GraphKernel(3).entropy(x).exp().round().tolist() == [3, 1, 1]
    for graph, order in ((arrows, 3), (double, 1), (loop, 1)):
        alone = from_igraph([as_igraph(graph)])
        assert float(GraphKernel(3).entropy(alone).exp().round()) == order


def test_nothing_is_taken() -> None:
    for empty in (from_networkx([]), from_igraph([]), from_rdkit([])):
        assert isinstance(empty, SparseGraphs)
        assert len(empty) == 0
    lonely = from_networkx([nx.empty_graph(2), nx.empty_graph(0)], node_attrs=[], edge_attrs=["weight"])
    assert lonely.sizes.tolist() == [2, 0]


def test_molecules_are_those_that_files_have() -> None:
    texts = ["c1ccccc1", "CC(C)(C)C", "[Cu]->[Cu]", "C", "[13CH3]C", "OCC=O", "** |$R1;R2$|"]
    x = from_rdkit(Chem.MolFromSmiles(text) for text in texts)
    for row, text in enumerate(texts):
        alone, part = graph_from_smiles(text, hydrogens=False), x.select(torch.tensor([row]))
        assert all(torch.equal(getattr(alone, name), getattr(part, name)) for name in PARTS)
    assert GraphKernel(9).entropy(x).exp().round().tolist() == [12, 24, 1, 1, 1, 1, 1]


@pytest.mark.usefixtures("unchecked")
def test_what_does_not_fit_is_named() -> None:
    graph = nx.path_graph(3)
    graph.nodes[0]["charge"] = 1
    with pytest.raises(
        ValueError, match="node_attrs: 'charge': expected a value everywhere, got none at number 1 of 3"
    ):
        from_networkx([graph], node_attrs=["charge"])
    with pytest.raises(
        ValueError, match="edge_attrs: 'weight': expected a value everywhere, got none at number 0 of 2"
    ):
        from_networkx([graph], edge_attrs=["weight"])
    with pytest.raises(ValueError, match="node_attrs: 'charge': expected a value everywhere"):
        from_igraph([igraph.Graph.Ring(3)], node_attrs=["charge"])
    nx.set_node_attributes(graph, {0: 1, 1: "one", 2: 2}, "charge")
    with pytest.raises(TypeError, match="node_attrs: 'charge': expected numbers, or text everywhere, got int, str"):
        from_networkx([graph], node_attrs=["charge"])
    nx.set_node_attributes(graph, 2**70, "charge")
    with pytest.raises(TypeError, match="expected numbers, or text everywhere, got int"):
        from_networkx([graph], node_attrs=["charge"])
    nx.set_node_attributes(graph, {0: [1, 2], 1: [1, 2], 2: [3, 4]}, "charge")
    with pytest.raises(TypeError, match=r"node_attrs: 'charge': expected one number each, got \(2,\) of them"):
        from_networkx([graph], node_attrs=["charge"])
    nx.set_node_attributes(graph, float("nan"), "charge")
    with pytest.raises(ValueError, match="node_attrs: expected finite values, got NaN or infinity"):
        from_networkx([graph], node_attrs=["charge"])
    with pytest.raises(TypeError, match="graphs: expected an instance of Graph, got int"):
        from_networkx([3])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="graphs: expected an instance of Graph, got int"):
        from_igraph([3])
    with pytest.raises(TypeError, match=r"molecules\[1\]: expected an instance of Mol, got NoneType"):
        from_rdkit([Chem.MolFromSmiles("C"), None])
