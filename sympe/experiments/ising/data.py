"""Hamiltonians: four distributions, a resumable training stream, and fixed evaluation sets."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from sympe.experiments.ising.config import VARIANTS
from sympe.experiments.ising.hamiltonian import uniform_fields

Fields = Float[Tensor, "batch 3 L L"]

TRAINING, ENCODING, EVALUATION, DRAWS, VALIDATION = range(5)
"""Independent streams of random numbers of one seed."""


def seeded(*key: int) -> torch.Generator:
    """A generator whose seed mixes all of ``key``; two keys share numbers only by a chance collision of 32 bits."""
    state = np.random.SeedSequence(key).generate_state(2, np.uint32)
    return torch.Generator().manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)


def sample_hamiltonians(variant: str, count: int, size: int, *, generator: torch.Generator) -> Fields:
    r"""Draw Hamiltonians as fields: the couplings along x, those along y, and the field h.

    - ``paper``: Jx = 1, Jy ~ U(-3, 3), h ~ U(0, 2), then Jx and Jy swapped with probability 1/2 (a quarter turn).
    - ``wide``: the same with Jx = 1 or -1 with equal probability, so that all four phases occur.
    - ``supercell``: eight bonds ~ U(-1, 1) in a 2 x 2 cell, repeated; one field h ~ U(0, 1).
    - ``glass``: every bond ~ U(-1, 1), h = 0.

    Raises:
        ValueError: if ``variant`` is unknown, ``count`` or ``size`` is below 1, or a supercell does not fit.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant: expected one of {', '.join(VARIANTS)}; got {variant!r}")
    if count < 1 or size < 1:
        raise ValueError(f"count, size: expected at least 1, got {count}, {size}")

    def between(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    if variant in ("paper", "wide"):
        jx = torch.ones(count)
        if variant == "wide":
            jx = torch.randint(2, (count,), generator=generator) * 2.0 - 1
        jy, h = between(-3.0, 3.0), between(0.0, 2.0)
        turned = torch.rand(count, generator=generator) < 0.5
        return uniform_fields(torch.where(turned, jy, jx), torch.where(turned, jx, jy), h, size)
    if variant == "supercell":
        if size % 2:
            raise ValueError(f"size: a 2 x 2 supercell needs an even lattice, got {size}")
        bonds = between(-1.0, 1.0, 2, 2, 2).tile(1, 1, size // 2, size // 2)
        h = between(0.0, 1.0, 1, 1, 1).expand(count, 1, size, size)
    else:
        bonds = between(-1.0, 1.0, 2, size, size)
        h = torch.zeros(count, 1, size, size)
    return torch.cat([bonds, h], 1)


def evaluation_set(variant: str, count: int, size: int) -> Fields:
    """The Hamiltonians on which rows are compared: always the same ones, never used in training or tuning."""
    return sample_hamiltonians(variant, count, size, generator=seeded(0, EVALUATION, VARIANTS.index(variant), size))


def validation_set(variant: str, count: int, size: int) -> Fields:
    """Other Hamiltonians, on which recipes are chosen."""
    return sample_hamiltonians(variant, count, size, generator=seeded(0, VALIDATION, VARIANTS.index(variant), size))


class TrainingStream(Dataset[tuple[int, Tensor]]):
    """Batches of fresh Hamiltonians; step i of a seed is always the same batch, so that runs can be resumed.

    Arguments:
        variant: the distribution.
        size: L.
        seed: of the run.
        batch: Hamiltonians a step on this device.
        steps: the steps to give.
        rank: which device this is.
    """

    def __init__(self, variant: str, size: int, *, seed: int, batch: int, steps: range, rank: int = 0) -> None:
        self.variant = variant
        self.size = size
        self.seed = seed
        self.batch = batch
        self.steps = steps
        self.rank = rank

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> tuple[int, Tensor]:
        step = self.steps[index]  # raises IndexError at the end
        generator = seeded(self.seed, TRAINING, step, self.rank)
        return step, sample_hamiltonians(self.variant, self.batch, self.size, generator=generator)
