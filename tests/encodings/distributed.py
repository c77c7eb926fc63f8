"""What each of two processes does in the test of DDP; a file of its own, for spawned processes import it by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sympe.randomness import seeded
from tests.encodings.modules import MODULES

RANKS, STEPS, BATCH = 2, 3, 3


class Trained(nn.Module):
    """A module of the table with a network behind it, so that everything has something to learn.

    The target depends on the place, and so the loss on g.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.encoding = MODULES[name].make()
            self.read = nn.Linear(1, 3)

    def forward(self, x: Any, generator: torch.Generator) -> Tensor:
        output = self.encoding(x, generator=generator)
        parts = output if isinstance(output, tuple) else (output,)
        losses = []
        for part in parts:
            y = self.read(part.flatten(1).unsqueeze(-1)).tanh()
            losses.append((y - torch.linspace(0, 1, y.shape[1])[:, None]).square().mean())
        return torch.stack(losses).sum()


def batch_of(name: str, step: int, rank: int) -> Any:
    """Inputs with few symmetries and with many, different on every rank and at every step."""
    x = MODULES[name].inputs(BATCH)
    if not isinstance(x, Tensor):
        return x
    noise = torch.randn(x.shape, generator=seeded("data", step, rank))
    return x + noise * (torch.arange(BATCH) % 2).view(-1, *[1] * (x.dim() - 1))


def loss_of(model: nn.Module, name: str, step: int, rank: int, *, alike: bool = False) -> Tensor:
    """With ``alike`` every rank has the generator of the first."""
    loss: Tensor = model(batch_of(name, step, rank), seeded(0, step, 0 if alike else rank))
    return loss


def trained_on_ranks(rank: int, port: str, out: Path) -> None:
    """One of the processes; the first writes the parameters."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{port}", rank=rank, world_size=RANKS)
    results = {name: trained_in_parallel(name, rank) for name in MODULES}
    torch.distributed.barrier()
    if rank == 0:
        torch.save(results, out)
    torch.distributed.destroy_process_group()


def trained_in_parallel(name: str, rank: int) -> dict[str, Tensor]:
    """The parameters at the end. The parallel module has to be gone before its group is: else the process may hang."""
    model = Trained(name)
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for step in range(STEPS):
        optimizer.zero_grad()
        loss_of(parallel, name, step, rank).backward()
        optimizer.step()
    return {key: value.detach() for key, value in model.named_parameters()}


def trained_in_one_process(name: str, *, alike: bool = False) -> dict[str, Tensor]:
    """The same batches and draws, their losses averaged."""
    model = Trained(name)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for step in range(STEPS):
        optimizer.zero_grad()
        torch.stack([loss_of(model, name, step, rank, alike=alike) for rank in range(RANKS)]).mean().backward()
        optimizer.step()
    return {key: value.detach() for key, value in model.named_parameters()}
