"""The batched search of regular graphs against one call of BLISS a graph (one thread), and the memory of 1,024."""

from __future__ import annotations

import resource

import networkx as nx
import torch

from benchmarks.timing import side_by_side
from sympe.graphs import DenseGraphs
from sympe.kernels import GraphKernel
from sympe.kernels.graphs.bliss import BlissGraph


def regular(degree: int, nodes: int, count: int) -> DenseGraphs:
    """Random regular graphs."""
    graphs = [nx.random_regular_graph(degree, nodes, seed=seed) for seed in range(count)]
    return DenseGraphs.from_features(torch.stack([torch.from_numpy(nx.to_numpy_array(one)).long() for one in graphs]))


def main() -> None:
    """Print the table."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    print("| random regular graphs | batched search, ms a graph | BLISS, ms a graph | ratio |\n" + "| --- " * 4 + "|")
    for degree in (3, 6):
        for nodes in (16, 32, 48, 64):
            x = regular(degree, nodes, 32)
            kernel = GraphKernel(nodes, order="refined")
            alone = [x.select(torch.tensor([row])).sparse() for row in range(len(x))]
            ours, theirs, ratio = side_by_side(
                lambda x=x, kernel=kernel: kernel.sample(x),  # type: ignore[misc]
                lambda alone=alone: [BlissGraph(one).canonical_order() for one in alone],  # type: ignore[misc]
            )
            print(f"| {degree}, {nodes} nodes | {ours / 32:.2f} | {theirs / 32:.2f} | {ratio:.2f} |")
    x = regular(3, 64, 32).select(torch.arange(1024) % 32)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    GraphKernel(64).sample(x)
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10
    print(f"\n1,024 cubic graphs of 64 nodes raise the peak of this process by {more:.0f} MB (goal: 1,000)")
    torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
