"""Is a trained denoiser equivariant in distribution?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sympe.actions import EdgeAction, NodeAction
from sympe.experiments.molecules.data import Molecules
from sympe.experiments.molecules.evaluation import check_sizes
from sympe.experiments.molecules.model import MoleculeModel
from sympe.graphs import DenseGraphs
from sympe.groups import Permutations
from sympe.kernels import GraphKernel
from sympe.randomness import seeded
from sympe.testing import EquivarianceTest, equivariance_test

CANDIDATES = 200
"""Noisy molecules of each time, of which the most symmetric is taken."""


@dataclass(frozen=True)
class Noisy:
    """Noisy graphs and their times: one input of a denoiser, as a batch."""

    graphs: DenseGraphs
    times: Tensor

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.times.device

    def __len__(self) -> int:
        return len(self.times)

    def select(self, index: Tensor) -> Noisy:
        """The inputs at the given places."""
        return Noisy(self.graphs.select(index), self.times[index])


def check_model(network: MoleculeModel, test: Molecules, *, inputs: int = 4, **options: Any) -> EquivarianceTest:
    """Test a model on symmetric noisy molecules of the most frequent size.

    An outcome is the probability of every type of every atom and pair. The times are spread evenly, up to T;
    a coupled model is tested at T only, where it draws its g.

    Arguments:
        network: on any device.
        test: what noisy molecules are made of.
        inputs: how many noisy molecules, one for each time.
        options: of :func:`sympe.testing.equivariance_test`.

    Raises:
        ValueError: if a number is out of range, or there are molecules of sizes that it does not know.
    """
    device = network.log_sizes.device
    coupled = network.encoding.coupled
    if inputs < 1 or (inputs > network.noise.steps and not coupled):
        raise ValueError(f"inputs: expected 1 to {network.noise.steps}, one for each time; got {inputs}")
    size = int(test.sizes.bincount().argmax())
    chosen = (test.sizes == size).nonzero().squeeze(1)[:CANDIDATES]
    check_sizes(network, test.subset(chosen))
    clean = test.graphs(chosen).to(device)
    kernel, group = GraphKernel(size), Permutations(size)
    found = []
    for number in range(inputs):
        t = network.noise.steps if coupled else network.noise.steps * (number + 1) // inputs
        draws = seeded("check", number, device=device)
        noisy = network.noise.sample(clean, torch.full((len(clean),), t, device=device), generator=draws)
        order = kernel.entropy(noisy).argsort(descending=True, stable=True)
        found.append((noisy.select(order[:1]), torch.tensor([t], device=device)))
    parts = zip(*((x.pairs, x.colors, x.mask, t) for x, t in found), strict=True)
    pairs, colors, mask, times = (torch.cat(part) for part in parts)
    nodes = NodeAction(group, network.noise.nodes.clean_types)
    edges = EdgeAction(group, network.noise.edges.clean_types)

    def model(x: Noisy, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        g = network.encoding.of_chain(x.graphs, generator=generator) if coupled else None
        logits = network(x.graphs, x.times, g=g, generator=generator)
        return logits.nodes.softmax(2), logits.edges.softmax(3)

    def move_input(g: Tensor, x: Noisy) -> Noisy:
        return Noisy(x.graphs.relabel(g), x.times)

    def move_output(g: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return nodes(g, y[0]), edges(g, y[1])

    x = Noisy(DenseGraphs(pairs, colors, mask), times)
    return equivariance_test(model, group, move_input, move_output, x, **options)
