"""How much the order of a canonical form leaves to guess: the types of nodes and pairs of QM9, each by itself.

``python -m benchmarks.orders`` writes ``results/few-steps/orders.md``; a quarter of a minute. With one reverse step a
model is a product over nodes and pairs, which are told their places at most: the entropies of the types at each place,
in nats a molecule, are the least that it can reach, beside the price of the order.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from sympe.experiments import runs
from sympe.experiments.molecules.data import SPLITS
from sympe.experiments.molecules.reading import load_splits
from sympe.graphs import DenseGraphs
from sympe.kernels import GraphHaarKernel, GraphKernel
from sympe.kernels.graphs.orders import NODE_ORDERS

COUNT = 30_000
OUT = Path("results/few-steps/orders.md")


def entropy(types: Tensor) -> float:
    """Of the types in each column, as frequencies have it, in all."""
    share = torch.stack([(types == kind).double().mean(0) for kind in range(int(types.max()) + 1)])
    return float(-torch.xlogy(share, share).sum())


def entropies(x: DenseGraphs) -> tuple[float, float, float]:
    """Of the types of nodes and of pairs given their places and the size; and how many nodes follow a neighbour."""
    nodes = pairs = followed = 0.0
    for n in x.sizes.unique().tolist():
        some = x.select((x.sizes == n).nonzero().squeeze(1))
        i, j = torch.triu_indices(n, n, 1)
        nodes += entropy(some.colors[:, :n]) * len(some)
        pairs += entropy(some.pairs[:, i, j]) * len(some) if n > 1 else 0.0
        followed += float((some.pairs[:, :n, :n].diagonal(1, 1, 2) != 0).sum())
    return nodes / len(x), pairs / len(x), followed / float((x.sizes - 1).sum())


def main() -> None:
    """Measure and write the table."""
    molecules = load_splits("qm9", SPLITS)[0]
    x = molecules.graphs(torch.arange(COUNT))
    haar = GraphHaarKernel(int(x.sizes.max()))
    lines = [
        "# What orders leave to guess",
        "",
        f"The first {COUNT:,} training molecules of QM9, without hydrogens. Nats a molecule, of each node or pair by "
        "itself, given the number of atoms and its place. An order costs "
        f"{float(price(x)):.1f} nats: log n! less the symmetries of the molecule.",
        "",
        "| order | nodes | pairs | together | nodes after a neighbour |",
        "| --- | --- | --- | --- | --- |",
    ]
    kernels = {"at random": haar} | {name: GraphKernel(haar.group.degree, order=name) for name in NODE_ORDERS}
    for name, kernel in kernels.items():
        g = kernel.sample(x, generator=torch.Generator().manual_seed(0))
        nodes, pairs, followed = entropies(x.relabel(kernel.group.inverse(g)).dense())
        lines.append(f"| {name} | {nodes:.2f} | {pairs:.2f} | {nodes + pairs:.2f} | {100 * followed:.0f} % |")
        print(lines[-1], flush=True)
    runs.write_text(OUT, "\n".join(lines) + "\n")


def price(x: DenseGraphs) -> Tensor:
    """What it costs to say which order it is, in the mean."""
    return (torch.lgamma(x.sizes + 1.0) - GraphKernel(x.mask.shape[1]).entropy(x)).mean()


if __name__ == "__main__":
    main()
