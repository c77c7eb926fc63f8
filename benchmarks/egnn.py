"""Training the EGNN autoencoder on batches against one graph a step (one thread, the sizes of the experiment).

A step is forward, backward and Adam, for the width, depth, decoder and loss of the paper. Graphs are Erdős-Rényi,
G(n, 0.25) with n = 7 .. 16 equally often; a batch holds graphs of one size. Both sides run the same code.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.timing import side_by_side
from sympe.nn import EGNN

SIZES = range(7, 17)
BATCH = 16
DIMENSIONS = 8
DENSITY = 0.25


def erdos_renyi(batch: int, n: int, generator: torch.Generator) -> Tensor:
    """Adjacency matrices, ``(batch, n, n)``."""
    upper = (torch.rand(batch, n, n, generator=generator) < DENSITY).float().triu(1)
    return upper + upper.mT


def trainer(*, fused: bool) -> Callable[[Tensor], None]:
    """One training step of a fresh autoencoder on adjacency matrices of one size."""
    torch.manual_seed(0)
    model = EGNN(1, 1, width=64, layers=4, shrink=1e-3)
    decoder = nn.ParameterDict({"w": torch.tensor(-0.1), "b": torch.tensor(1.0)})
    optimizer = torch.optim.Adam([*model.parameters(), *decoder.parameters()], lr=1e-4, fused=fused)

    def step(a: Tensor) -> None:
        batch, n, _ = a.shape
        mask = torch.ones(batch, n, dtype=torch.bool)
        _, z = model(torch.ones(batch, n, 1), torch.randn(batch, n, DIMENSIONS), a.unsqueeze(-1), mask)
        logits = decoder["w"] * (z.unsqueeze(2) - z.unsqueeze(1)).square().sum(-1) + decoder["b"]
        pairs = 1 - torch.eye(n)
        loss = F.binary_cross_entropy_with_logits(logits, a, weight=pairs, reduction="sum") / batch
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    batches = [erdos_renyi(BATCH, n, generator) for n in SIZES]
    singles = [a[:1] for a in batches]
    print(f"| Adam | batches of {BATCH}, graphs/s | one a step, graphs/s | ratio |\n| --- | --- | --- | --- |")
    for name, fused in (("PyTorch's default", False), ("fused", True)):
        in_batches, one_by_one = trainer(fused=fused), trainer(fused=fused)

        def batched(step: Callable[[Tensor], None] = in_batches) -> None:
            for a in batches:
                step(a)

        def single(step: Callable[[Tensor], None] = one_by_one) -> None:
            for a in singles:
                step(a)

        one, many, ratio = side_by_side(single, batched, rounds=15)
        rates = BATCH * len(SIZES) / many * 1e3, len(SIZES) / one * 1e3
        print(f"| {name} | {rates[0]:.0f} | {rates[1]:.0f} | {BATCH * ratio:.1f} |")


if __name__ == "__main__":
    main()
