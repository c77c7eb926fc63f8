"""Cost follows the graph: long and large ones, the breadth-first order against igraph's and networkx' searches."""

from __future__ import annotations

import time

import igraph
import networkx as nx
import torch
from networkx.utils import reverse_cuthill_mckee_ordering

from benchmarks.timing import side_by_side
from sympe.graphs import SparseGraphs
from sympe.kernels import GraphKernel, GraphRefinementKernel
from sympe.kernels.graphs.orders import breadth_first_order
from sympe.report import LatticeInput, symmetry_report


def sparse(*graphs: nx.Graph) -> SparseGraphs:
    """The graphs as one batch."""
    edges, sizes = [], []
    for graph in graphs:
        edges += [(a + sum(sizes), b + sum(sizes)) for a, b in graph.edges]
        sizes.append(len(graph))
    arcs = torch.tensor(edges).T
    return SparseGraphs.from_features(torch.cat([arcs, arcs.flip(0)], 1), torch.tensor(sizes))


def main() -> None:
    """Print the tables."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rings = [nx.cycle_graph(9)] * 127
    print(
        "| breadth-first order | sympe, ms | networkx (reverse Cuthill-McKee), ms | ratio |\n| --- | --- | --- | --- |"
    )
    for name, graphs in (
        ("a path of 300 and 127 rings of nine", [nx.path_graph(300), *rings]),
        ("path of 20,001", [nx.path_graph(20001)]),
        ("cubic graph of 20,000", [nx.random_regular_graph(3, 20000, seed=0)]),
    ):
        x = sparse(*graphs)
        ours, theirs, ratio = side_by_side(
            lambda x=x: breadth_first_order(x, int(x.sizes.max())),  # type: ignore[misc]
            lambda graphs=graphs: [list(reverse_cuthill_mckee_ordering(graph)) for graph in graphs],  # type: ignore[misc]
            rounds=3,
        )
        print(f"| {name} | {ours:.1f} | {theirs:.1f} | {ratio:.2f} |")
    print("\n| one sample | sympe, ms | igraph (canonical permutation), ms | ratio |\n| --- | --- | --- | --- |")
    for name, graph in (("path of 20,001", nx.path_graph(20001)), ("ring of 20,000", nx.cycle_graph(20000))):
        x, edges = sparse(graph), list(graph.edges)
        for kernel in (GraphKernel(len(graph)), GraphRefinementKernel(len(graph))):
            ours, theirs, ratio = side_by_side(
                lambda x=x, kernel=kernel: kernel.sample(x),  # type: ignore[misc]
                lambda graph=graph, edges=edges: igraph.Graph(len(graph), edges).canonical_permutation(),  # type: ignore[misc]
                rounds=3,
            )
            print(f"| {name}, {type(kernel).__name__} | {ours:.0f} | {theirs:.0f} | {ratio:.2f} |")
    start = time.perf_counter()
    symmetry_report([LatticeInput("uniform", torch.ones(3, 128, 128), True, torch.eye(128))])
    print(f"\nreport on a uniform Ising Hamiltonian, L = 128: {time.perf_counter() - start:.1f} s (goal: 30 s)")
    torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
