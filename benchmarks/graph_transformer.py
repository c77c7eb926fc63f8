"""Training the graph transformer against a plain implementation of the same layer (one thread, QM9's heavy atoms).

A step is forward, backward and AdamW on 256 graphs of 9 nodes, 4 layers with dx 96, de 48, dy 48. The plain layer is
DiGress' as it is usually written: a linear map for every symbol of its equations, a mask after each, and y updated in
the last layer, too; without dropout.

Three kinds of arithmetic: float32 as PyTorch has it; with ``torch.set_float32_matmul_precision("medium")``, which
leaves matrix products to oneDNN (on a CPU with AMX it rounds their inputs to bfloat16, on others it does not); and
bfloat16 by autocast.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.timing import side_by_side
from sympe.nn import GraphTransformer

BATCH = 256
NODES = 9
NODE, EDGE, GRAPH = 12, 9, 12
DX, DE, DY, HEADS, LAYERS = 96, 48, 48, 8, 4
FX, FE, FY = 256, 128, 128
FLOAT32, MEDIUM, BFLOAT16 = "float32", 'float32, "medium"', "bfloat16"


class PlainLayer(nn.Module):
    """One layer, symbol by symbol."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(DX, DX) for _ in range(3))
        self.e_mul, self.e_add = nn.Linear(DE, DX), nn.Linear(DE, DX)
        self.y_e_mul, self.y_e_add, self.y_x_mul, self.y_x_add = (nn.Linear(DY, DX) for _ in range(4))
        self.x_out, self.e_out = nn.Linear(DX, DX), nn.Linear(DX, DE)
        self.y_y, self.x_y, self.e_y = nn.Linear(DY, DY), nn.Linear(4 * DX, DY), nn.Linear(4 * DE, DY)
        self.y_out = nn.Sequential(nn.Linear(DY, DY), nn.ReLU(), nn.Linear(DY, DY))
        self.networks = nn.ModuleList(
            nn.Sequential(nn.Linear(d, f), nn.ReLU(), nn.Linear(f, d)) for d, f in ((DX, FX), (DE, FE), (DY, FY))
        )
        self.norms = nn.ModuleList(nn.LayerNorm(d) for d in (DX, DX, DE, DE, DY, DY))

    def forward(self, x: Tensor, e: Tensor, y: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the new features."""
        x_mask = mask[..., None].float()
        e_mask1, e_mask2 = x_mask[:, :, None], x_mask[:, None]
        batch, n, _ = x.shape
        q = (self.q(x) * x_mask).view(batch, n, HEADS, -1)
        k = (self.k(x) * x_mask).view(batch, n, HEADS, -1)
        s = q[:, :, None] * k[:, None] / math.sqrt(q.shape[-1])
        e1 = (self.e_mul(e) * e_mask1 * e_mask2).view(batch, n, n, HEADS, -1)
        e2 = (self.e_add(e) * e_mask1 * e_mask2).view(batch, n, n, HEADS, -1)
        s = s * (e1 + 1) + e2
        new_e = s.flatten(3)
        new_e = self.y_e_add(y)[:, None, None] + (self.y_e_mul(y)[:, None, None] + 1) * new_e
        new_e = self.e_out(new_e) * e_mask1 * e_mask2
        attention = s.masked_fill(~mask[:, None, :, None, None], -torch.inf).softmax(2)
        v = (self.v(x) * x_mask).view(batch, n, HEADS, -1)
        heard = (attention * v[:, None]).sum(2).flatten(2)
        new_x = self.y_x_add(y)[:, None] + (self.y_x_mul(y)[:, None] + 1) * heard
        new_x = self.x_out(new_x) * x_mask
        new_y = self.y_out(self.y_y(y) + self.x_y(self.summary(x)) + self.e_y(self.summary(e.flatten(1, 2))))
        return (
            self.end(0, x, new_x),
            self.end(1, e, new_e),
            self.end(2, y, new_y),
        )

    def end(self, which: int, old: Tensor, change: Tensor) -> Tensor:
        """Residual, norm, two-layer network, residual, norm."""
        value = self.norms[2 * which](old + change)
        return self.norms[2 * which + 1](value + self.networks[which](value))

    @staticmethod
    def summary(z: Tensor) -> Tensor:
        """Mean, minimum, maximum and variance."""
        return torch.cat([z.mean(1), z.amin(1), z.amax(1), z.var(1)], 1)


class Plain(nn.Module):
    """The network of plain layers."""

    def __init__(self) -> None:
        super().__init__()

        def two(inside: int, hidden: int, outside: int) -> nn.Sequential:
            return nn.Sequential(nn.Linear(inside, hidden), nn.ReLU(), nn.Linear(hidden, outside))

        self.x_in, self.e_in, self.y_in = two(NODE, FX, DX), two(EDGE, FE, DE), two(GRAPH, FY, DY)
        self.layers = nn.ModuleList(PlainLayer() for _ in range(LAYERS))
        self.x_out, self.e_out = two(DX, FX, 4), two(DE, FE, 5)

    def forward(self, x: Tensor, e: Tensor, y: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Give the logits."""
        x_start, e_start = x[..., :4], e[..., :5]
        x, e, y = self.x_in(x).relu(), self.e_in(e).relu(), self.y_in(y).relu()
        e = (e + e.transpose(1, 2)) / 2
        for layer in self.layers:
            x, e, y = layer(x, e, y, mask)
        e = self.e_out(e) + e_start
        return self.x_out(x) + x_start, (e + e.transpose(1, 2)) / 2


def trainer(network: nn.Module, arithmetic: str, *, padded: bool) -> Callable[[], None]:
    """One training step on fixed random features; padded means that one graph lacks a node."""
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(BATCH, NODES, NODE, generator=generator), torch.randn(BATCH, GRAPH, generator=generator)
    e = torch.randn(BATCH, NODES, NODES, EDGE, generator=generator)
    mask = torch.ones(BATCH, NODES, dtype=torch.bool)
    mask[0, -1] = not padded
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)

    def step() -> None:
        torch.set_float32_matmul_precision("medium" if arithmetic == MEDIUM else "highest")
        with torch.autocast("cpu", torch.bfloat16, enabled=arithmetic == BFLOAT16):
            nodes, edges = network(x, e, y, mask)
        optimizer.zero_grad()
        (nodes.float().square().mean() + edges.float().square().mean()).backward()
        optimizer.step()

    return step


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    own, plain = GraphTransformer(NODE, EDGE, GRAPH, 4, 5), Plain()
    plain_count, own_count = (sum(p.numel() for p in network.parameters()) for network in (plain, own))
    print(f"Parameters: plain {plain_count:,}, sympe {own_count:,}.\n")
    print("| batch | arithmetic | plain, graphs/s | sympe, graphs/s | ratio | to plain in float32 |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, padded in (("graphs of one size", False), ("one node is padding", True)):
        base = trainer(plain, FLOAT32, padded=padded)
        for arithmetic in (FLOAT32, MEDIUM, BFLOAT16):
            step = trainer(own, arithmetic, padded=padded)
            plain_ms, own_ms, ratio = side_by_side(trainer(plain, arithmetic, padded=padded), step)
            _, _, to_base = side_by_side(base, step)
            rates = f"{1e3 * BATCH / plain_ms:.0f} | {1e3 * BATCH / own_ms:.0f}"
            print(f"| {name} | {arithmetic} | {rates} | {ratio:.2f} | {to_base:.2f} |")
    torch.set_float32_matmul_precision("highest")


if __name__ == "__main__":
    main()
