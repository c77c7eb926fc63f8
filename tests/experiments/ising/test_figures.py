"""The floor of the training curves, and which way x runs."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from sympe.experiments.ising.data import sample_hamiltonians
from sympe.experiments.ising.figures import ground_energy, patterns
from sympe.experiments.ising.hamiltonian import closed_form, phase_patterns


@pytest.mark.parametrize("variant", ["paper", "wide"])
def test_the_floor_is_the_mean_energy_of_ground_states(variant: str) -> None:
    fields = sample_hamiltonians(variant, 20_000, 2, generator=torch.Generator().manual_seed(0))
    energies = closed_form(*fields[:, :, 0, 0].unbind(1))[0].double()
    error = float(energies.std()) / len(energies) ** 0.5
    floor = ground_energy(variant, 4)
    assert floor is not None
    assert abs(float(energies.mean()) - floor) < 4 * error  # fails by chance once in 16,000 seeds


@pytest.mark.parametrize(("variant", "size"), [("glass", 4), ("supercell", 4), ("wide", 5)])
def test_where_ground_states_must_be_searched_there_is_no_floor(variant: str, size: int) -> None:
    assert ground_energy(variant, size) is None


def test_stripes_along_x_are_drawn_from_left_to_right() -> None:
    spins = phase_patterns(4)[:, None].expand(4, 6, 4, 4).numpy()
    figure = patterns({"none": {"spins": spins, "map_+1": np.zeros(1), "map_-1": np.zeros(1)}}, "title")
    drawn = [axis.images[0].get_array() for axis in figure.findobj(plt.Axes) if axis.images]
    along_x, along_y = np.asarray(drawn[3]), np.asarray(drawn[6])  # three draws of each phase
    assert (along_x == along_x[:, :1]).all()
    assert (along_x[0] != along_x[1]).all()
    assert (along_y == along_y[:1]).all()
    assert all(axis.images[0].origin == "lower" for axis in figure.findobj(plt.Axes) if axis.images)
    words = " ".join(text.get_text() for text in figure.findobj(plt.Text))
    assert "x runs to the right →, y runs up ↑" in words
    plt.close(figure)
