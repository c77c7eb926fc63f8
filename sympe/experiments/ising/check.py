"""Is a trained model equivariant in distribution?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from sympe.actions import GridAction
from sympe.experiments.ising.data import evaluation_set
from sympe.experiments.ising.model import hamiltonian_action
from sympe.experiments.ising.training import load
from sympe.groups import P4M
from sympe.testing import EquivarianceTest, equivariance_test


def check_run(run: Path, *, inputs: int = 4, **options: Any) -> EquivarianceTest:
    """Test the model of a run directory on its first test Hamiltonians.

    Arguments:
        run: the run directory.
        inputs: how many Hamiltonians.
        options: of :func:`sympe.testing.equivariance_test`.

    Raises:
        FileNotFoundError: if ``run`` is no run directory or has no checkpoint yet.
        ValueError: if it does not fit, or a number is out of range.
    """
    task = load(run)
    config = task.config
    group = P4M(config.size)
    sites = GridAction(group)

    def move_spins(g: Tensor, spins: Tensor) -> Tensor:
        return sites(g, spins.unsqueeze(1))

    fields = evaluation_set(config.variant, config.evaluation, config.size)[:inputs]
    return equivariance_test(task.model, group, hamiltonian_action(group), move_spins, fields, **options)
