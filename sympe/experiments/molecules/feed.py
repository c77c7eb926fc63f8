"""Batches of rows that are trained together, made on the CPU: types, places in the canonical form, other features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from torch.utils.data import Dataset

from sympe.experiments.molecules.training import Batch, MoleculesTask
from sympe.experiments.training import BLOCK
from sympe.graphs import DenseGraphs
from sympe.randomness import seeded


class Block(NamedTuple):
    """What some steps of one row need, all graphs padded to the largest molecules.

    Arguments:
        colors: types of noisy nodes.
        pairs: types of noisy pairs.
        sizes: numbers of nodes.
        times: t over T.
        places: which row of v a node gets; 0, 1, ... where there is no g.
        nodes: what the network is told of nodes beside v.
        edges: of pairs beside u; None for nothing.
        graphs: of graphs.
        clean_colors: types of clean nodes.
        clean_pairs: types of clean pairs.
        seconds: spent on the encoding.
    """

    colors: UInt8[Tensor, "steps batch n"]
    pairs: UInt8[Tensor, "steps batch n n"]
    sizes: UInt8[Tensor, "steps batch"]
    times: Float32[Tensor, "steps batch"]
    places: UInt8[Tensor, "steps batch n"]
    nodes: Float[Tensor, "steps batch n node_channels"]
    edges: Float[Tensor, "steps batch n n pair_channels"] | None
    graphs: Float[Tensor, "steps batch graph_channels"]
    clean_colors: UInt8[Tensor, "steps batch n"]
    clean_pairs: UInt8[Tensor, "steps batch n n"]
    seconds: float


class Feed(Dataset[Block]):
    """Blocks of steps in order: the first of all rows, then the next.

    Arguments:
        tasks: rows, on the CPU and in training mode, whose v is 0.
        first: the block to begin with.
    """

    def __init__(self, tasks: Sequence[MoleculesTask], first: int = 0) -> None:
        self.tasks = tasks
        self.first = first

    def __len__(self) -> int:
        """Blocks that are left, of all rows together."""
        return (-(-self.tasks[0].config.steps // BLOCK) - self.first) * len(self.tasks)

    @torch.no_grad()
    def __getitem__(self, index: int) -> Block:
        """A block: batches, noise, g and features as when the row is trained alone."""
        task = self.tasks[index % len(self.tasks)]
        start = (self.first + index // len(self.tasks)) * BLOCK
        before = task.encoding_seconds
        batches = task.batches(range(start, min(start + BLOCK, task.config.steps)))
        parts = zip(*(_encoded(task, batch) for batch in batches), strict=True)
        stacked = [None if part[0] is None else torch.stack(part) for part in parts]
        return Block._make([*stacked, task.encoding_seconds - before])


def _encoded(task: MoleculesTask, batch: Batch) -> tuple[Tensor | None, ...]:
    """All fields of :class:`Block` but the seconds, for one step."""
    model, encoding, n = task.model, task.model.encoding, task.model.max_nodes
    told = encoding(batch.noisy, g=batch.g, generator=seeded("encoding", task.config.seed, batch.step, 0))
    missing = n - batch.noisy.mask.shape[1]
    places = torch.arange(n).expand(len(batch.t), n)
    if batch.g is not None and encoding.kernel is not None:
        places = encoding.kernel.group.inverse(batch.g)
    return (
        *_padded(batch.noisy, missing),
        batch.noisy.sizes.to(torch.uint8),
        batch.t / model.noise.steps,
        places.to(torch.uint8),
        F.pad(told.nodes, (0, 0, 0, missing)),
        None if encoding.on_pairs is None else F.pad(told.edges, (0, 0, 0, missing, 0, missing)),
        told.graphs,
        *_padded(batch.clean, missing),
    )


def _padded(x: DenseGraphs, missing: int) -> tuple[Tensor, Tensor]:
    return (
        F.pad(x.colors, (0, missing)).to(torch.uint8),
        F.pad(x.pairs, (0, missing, 0, missing)).to(torch.uint8),
    )
