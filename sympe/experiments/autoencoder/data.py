"""The graphs: Erdős-Rényi and community graphs, generated from fixed seeds, and the batches of a training.

References:
    Satorras, Hoogeboom, Welling, "E(n) Equivariant Graph Neural Networks", ICML 2021, Section 5.2; their code for the
    community graphs goes back to You et al., "GraphRNN", ICML 2018.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

from sympe.encodings import Encoding, SymPE
from sympe.experiments.autoencoder.config import DATASETS, MAX_NODES
from sympe.graphs import DenseGraphs
from sympe.kernels import RelaxedPermutationKernel
from sympe.randomness import seeded

COUNTS = {"train": 5000, "validation": 500, "test": 500}
BATCHES, DRAWS = "batches", "draws"


@cache
def dataset(name: str, split: str) -> DenseGraphs:
    """The graphs of one split; they depend on the names alone.

    - ``er``: G(n, 1/4) with n = 7, ..., 16 in turn.
    - ``community``: two blocks G(m, 0.7), each m uniform on 6, ..., 10; pairs across are joined with probability 0.01,
      and one uniform pair if none is.
    - ``community-released``: as in the code of the EGNN paper, where the two blocks are drawn with seeds 0 and 1 every
      time: for each m there is one first block and one second block. Only sizes and pairs across are random, and most
      test graphs are copies of training graphs. (The blocks are drawn here, by the same law.)

    Arguments:
        name: one of DATASETS.
        split: "train" (5,000 graphs), "validation" (500) or "test" (500).

    Raises:
        ValueError: if a name is unknown.

    Example:
        >>> graphs = dataset("er", "test")
        >>> len(graphs), graphs.sizes[:10].tolist()
        (500, [7, 8, 9, 10, 11, 12, 13, 14, 15, 16])
    """
    if name not in DATASETS:
        raise ValueError(f"name: expected one of {', '.join(DATASETS)}; got {name!r}")
    if split not in COUNTS:
        raise ValueError(f"split: expected one of {', '.join(COUNTS)}; got {split!r}")
    generator = seeded(name, split)
    count, n = COUNTS[split], MAX_NODES[name]
    place = torch.arange(n)
    if name == "er":
        sizes = 7 + torch.arange(count) % 10
        joined = torch.rand(count, n, n, generator=generator) < 0.25
    else:
        blocks = torch.randint(6, 11, (2, count, 1), generator=generator)
        sizes = blocks.sum(0)[:, 0]
        first = place < blocks[0]
        same = first[:, :, None] == first[:, None]
        inside = torch.rand(count, n, n, generator=generator) < 0.7
        if name == "community-released":
            inside = _released_blocks(blocks[0, :, 0], blocks[1, :, 0], n)
        real = place < sizes[:, None]
        across = ~same & real[:, :, None] & real[:, None]
        across = across.triu(1)
        keys = torch.rand(count, n, n, generator=generator)
        chosen = across & (keys < 0.01)
        keys = keys.masked_fill(~across, torch.inf).flatten(1)  # given that none is below 0.01, the least is uniform
        least = torch.zeros_like(keys, dtype=torch.bool).scatter_(1, keys.argmin(1, keepdim=True), True)
        chosen |= least.view_as(across) & ~chosen.flatten(1).any(1)[:, None, None]
        joined = (inside & same) | chosen
    mask = place < sizes[:, None]
    upper = joined.triu(1) & mask[:, :, None] & mask[:, None]
    pairs = (upper | upper.transpose(1, 2)).long()
    return DenseGraphs(pairs, torch.zeros(count, n, dtype=torch.int64), mask)


def _released_blocks(first: Tensor, second: Tensor, n: int) -> Tensor:
    """Blocks that depend on their size and on which of the two they are, and on nothing else."""
    inside = torch.zeros(len(first), n, n, dtype=torch.bool)
    tables = {
        (which, m): torch.rand(m, m, generator=seeded("released block", which, m)) < 0.7
        for which in (0, 1)
        for m in range(6, 11)
    }
    for row, (a, b) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        inside[row, :a, :a] = tables[0, a]
        inside[row, a : a + b, a : a + b] = tables[1, b]
    return inside


def training_batches(
    name: str, encoding: Encoding, *, seed: int, batch: int, steps: range, rank: int = 0
) -> list[tuple[int, DenseGraphs, Tensor | None]]:
    """The batches of a block of steps: graphs of one size, with g drawn for all of the block at once.

    A step and the seed decide its batch: a size in proportion to its graphs, then distinct graphs of that size. Kernels
    without parameters draw here, which is cheaper for many graphs together; for the other encodings g is None, and
    the model draws.

    Arguments:
        name: the dataset.
        encoding: of the model.
        seed: of the training.
        batch: graphs a step on this device; fewer where the dataset has fewer of that size.
        steps: which steps, at least one.
        rank: of this device.

    Returns:
        For each step its number, its graphs and g.
    """
    graphs = dataset(name, "train")
    rows = [_rows(graphs.sizes, seeded(BATCHES, seed, step, rank), batch) for step in steps]
    g: Sequence[Tensor | None] = [None] * len(rows)
    if isinstance(encoding, SymPE) and not isinstance(encoding.kernel, RelaxedPermutationKernel):
        generator = seeded(DRAWS, seed, steps.start, rank)
        drawn = encoding.kernel.sample(graphs.select(torch.cat(rows)), generator=generator)
        g = drawn.split([len(row) for row in rows])
    return [(step, graphs.select(row).trimmed(), h) for step, row, h in zip(steps, rows, g, strict=True)]


def _rows(sizes: Tensor, generator: torch.Generator, batch: int) -> Tensor:
    """Distinct graphs of one size."""
    size = sizes[torch.randint(len(sizes), (), generator=generator)]
    same = (sizes == size).nonzero().squeeze(1)
    return same[torch.randperm(len(same), generator=generator)[:batch]]
