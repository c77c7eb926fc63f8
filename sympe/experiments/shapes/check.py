"""Is a trained model equivariant in distribution?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sympe.actions import VectorAction
from sympe.experiments.shapes.data import templates
from sympe.experiments.shapes.training import load
from sympe.graphs import Clouds
from sympe.groups import DirectProduct, Orthogonal, Permutations
from sympe.kernels import PointKernel
from sympe.testing import EquivarianceTest, equivariance_test


def check_run(run: Path, *, inputs: int = 4, **options: Any) -> EquivarianceTest:
    """Test the model of a run directory on the largest shapes, with rotations, reflections and relabellings by Haar.

    Arguments:
        run: the run directory.
        inputs: how many shapes; all have the same number of points, so that relabellings fill no padding.
        options: of :func:`sympe.testing.equivariance_test`.

    Raises:
        FileNotFoundError: if ``run`` is no run directory or has no checkpoint yet.
        ValueError: if it does not fit, or a number is out of range.
    """
    task = load(run)
    return check_model(task.model, task.config.dataset, inputs=inputs, **options)


def check_model(model: nn.Module, dataset: str, *, inputs: int = 4, **options: Any) -> EquivarianceTest:
    """The test of a model on the largest shapes of a dataset."""
    of = templates(dataset)
    n = int(of.x.sizes.max())
    x = of.x.select((of.x.sizes == n).nonzero().squeeze(1)[:inputs]).to(torch.float32)
    group = DirectProduct(Orthogonal(3), Permutations(n))
    kernel, action = PointKernel(Orthogonal(3), n), VectorAction(group)

    def move_output(g: Tensor, y: Tensor) -> Tensor:
        return action(g, y.unsqueeze(2)).squeeze(2)

    def move_input(g: Tensor, x: Clouds) -> Clouds:
        return kernel.move(g, x)

    return equivariance_test(model, group, move_input, move_output, x, **options)
