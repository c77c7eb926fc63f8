"""Is a trained model equivariant in distribution?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sympe.actions import EdgeAction
from sympe.experiments.autoencoder.data import dataset
from sympe.experiments.autoencoder.training import load
from sympe.graphs import DenseGraphs, relabel
from sympe.groups import Permutations
from sympe.kernels import GraphKernel
from sympe.testing import EquivarianceTest, equivariance_test


def check_run(run: Path, *, inputs: int = 4, **options: Any) -> EquivarianceTest:
    """Test the model of a run directory on symmetric test graphs: those of the most symmetric one's size.

    An outcome is the probability of every edge.

    Arguments:
        run: the run directory.
        inputs: how many graphs, the most symmetric first.
        options: of :func:`sympe.testing.equivariance_test`.

    Raises:
        FileNotFoundError: if ``run`` is no run directory or has no checkpoint yet.
        ValueError: if it does not fit, or a number is out of range.
    """
    task = load(run)
    graphs = dataset(task.config.dataset, "test")
    order = GraphKernel(graphs.mask.shape[1]).entropy(graphs).argsort(descending=True, stable=True)
    size = int(graphs.sizes[order[0]])
    x = graphs.select(order[graphs.sizes[order] == size][:inputs]).trimmed()
    edges = EdgeAction(Permutations(size))

    def model(x: DenseGraphs, *, generator: torch.Generator | None = None) -> Tensor:
        probabilities: Tensor = task.model(x, generator=generator).sigmoid()
        return probabilities

    def move_edges(g: Tensor, p: Tensor) -> Tensor:
        return edges(g, p.unsqueeze(-1))

    return equivariance_test(model, edges.group, relabel, move_edges, x, **options)
