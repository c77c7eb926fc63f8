"""Where the time of a training step of the graph transformer goes: its parts, each on arrays of its own.

``python -m benchmarks.graph_transformer_parts`` takes the step of :mod:`benchmarks.graph_transformer` (float32, graphs
of one size, one thread) beside the plain one, and beside forward and backward of its parts alone. All take turns,
in processor time; the least of the rounds is shown. *Products* are all matrix products of the step and nothing else:
were all other work free, the step would take as long. With ``--compile`` the step compiled by ``torch.compile``, too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.graph_transformer import (
    BATCH,
    DE,
    DX,
    DY,
    EDGE,
    FE,
    FLOAT32,
    FX,
    FY,
    GRAPH,
    LAYERS,
    NODE,
    NODES,
    Plain,
    trainer,
)
from sympe.nn import GraphTransformer
from sympe.nn.graph_transformer import pooled

ROUNDS = 9


def shapes() -> list[tuple[int, int, int]]:
    """Rows, width in and width out of every linear map of the network."""
    of_nodes, of_pairs = BATCH * NODES, BATCH * NODES**2
    found = [(of_pairs, EDGE, FE), (of_pairs, FE, DE), (of_nodes, NODE, FX), (of_nodes, FX, DX)]
    found += [(BATCH, GRAPH, FY), (BATCH, FY, DY)]
    for layer in range(LAYERS):
        found += [(of_nodes, DX, 3 * DX), (of_nodes, DX, DX), (of_nodes, DX, FX), (of_nodes, FX, DX)]
        found += [(of_pairs, DE, 2 * DX), (of_pairs, DE, FE), (of_pairs, FE, DE), (BATCH, DY, 4 * DX), (BATCH, DX, DE)]
        if layer < LAYERS - 1:  # the last leaves y alone
            found += [(BATCH, width, DY) for width in (4 * DX, 4 * DE, DY, DY, DY)] + [(BATCH, DY, FY), (BATCH, FY, DY)]
    return [*found, (of_pairs, DE, FE), (of_pairs, FE, 5), (of_nodes, DX, FX), (of_nodes, FX, 4)]


def products() -> tuple[Callable[[], None], float]:
    """All matrix products of forward and backward, and how many operations of floating point they are."""
    linear = {shape: [torch.randn(shape[0], width) for width in shape[1:]] for shape in set(shapes())}
    scores, change = torch.randn(BATCH, NODES**2, DX), torch.randn(BATCH, NODES**2, DE)
    weight = torch.randn(BATCH, DE, DX)

    def work() -> None:
        for shape in shapes():
            x, change_of_out = linear[shape]
            W = torch.empty(shape[2], shape[1]).fill_(0.01)
            F.linear(x, W)
            change_of_out @ W
            change_of_out.T @ x
        for _ in range(LAYERS):
            scores @ weight.mT
            change @ weight
            change.mT @ scores

    each = sum(rows * inside * outside for rows, inside, outside in shapes())
    return work, 6.0 * (each + LAYERS * BATCH * NODES**2 * DX * DE)


def parts() -> dict[str, Callable[[], None]]:
    """Forward and backward of what is no product, as often as it comes in a step; on nodes and graphs only norms."""

    def random(*shape: int) -> Tensor:
        return torch.randn(BATCH, *shape, requires_grad=True)

    e, x, hidden, scores, both = (
        random(*shape)
        for shape in ((NODES, NODES, DE), (NODES, DX), (NODES, NODES, FE), (NODES, NODES, DX), (NODES, NODES, 2 * DX))
    )
    norm_e, norm_x = nn.LayerNorm(DE), nn.LayerNorm(DX)

    def run(times: int, *functions: Callable[[], Tensor]) -> Callable[[], None]:
        changes = [torch.randn_like(function()) for function in functions]

        def work() -> None:
            for _ in range(times):
                for function, change in zip(functions, changes, strict=True):
                    function().backward(change)

        return work

    def bilinear() -> Tensor:
        M, A = both.chunk(2, -1)
        return torch.addcmul(A, x.unsqueeze(2) * x.unsqueeze(1), M)

    return {
        "scores s": run(LAYERS, bilinear),
        "softmax, sum of values": run(LAYERS, lambda: (scores.softmax(2) * x.unsqueeze(1)).sum(2)),
        "mean, min, max, variance over pairs": run(LAYERS - 1, lambda: pooled(e.flatten(1, 2), None)),
        "ReLU on pairs": run(LAYERS + 2, lambda: hidden.relu()),
        "layer norms": run(2 * LAYERS, lambda: norm_e(e), lambda: norm_x(x)),
    }


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    own = GraphTransformer(NODE, EDGE, GRAPH, 4, 5)
    work, operations = products()
    optimizer = torch.optim.AdamW(own.parameters(), lr=1e-4)
    timed = {
        "plain step": trainer(Plain(), FLOAT32, padded=False),
        "sympe's step": trainer(own, FLOAT32, padded=False),
        "products": work,
        **parts(),
        "AdamW": lambda: optimizer.step() and None,
    }
    if "--compile" in sys.argv:
        compiled = GraphTransformer(NODE, EDGE, GRAPH, 4, 5)
        compiled.compile()
        timed["sympe's step, compiled"] = trainer(compiled, FLOAT32, padded=False)
        timed["sympe's step, compiled"]()
    least = dict.fromkeys(timed, float("inf"))
    for _ in range(ROUNDS):
        for name, function in timed.items():
            start = time.process_time()
            function()
            least[name] = min(least[name], time.process_time() - start)
    step = least["sympe's step"]
    least["all else"] = step - sum(seconds for name, seconds in least.items() if "step" not in name)
    print("| | ms | share of sympe's step |\n| --- | --- | --- |")
    for name, seconds in least.items():
        print(f"| {name} | {1e3 * seconds:.0f} | {seconds / step:.2f} |")
    print(f"\nProducts: {operations / 1e9:.1f} GFLOP, {operations / 1e9 / least['products']:.0f} GFLOP/s.")


if __name__ == "__main__":
    main()
