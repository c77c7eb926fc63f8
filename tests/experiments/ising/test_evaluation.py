"""Metrics against models whose answers are known."""

import pytest
import torch
from torch import nn

from sympe.experiments.ising.config import PHASES, IsingConfig
from sympe.experiments.ising.data import evaluation_set
from sympe.experiments.ising.evaluation import SHOWN, couplings, evaluate, show
from sympe.experiments.ising.ground import ground_states
from sympe.experiments.ising.hamiltonian import closed_form, energy_per_spin, phase_patterns

UNIFORM = IsingConfig(size=4, variant="wide")
GLASS = IsingConfig(size=4, variant="glass")


class Oracle(nn.Module):
    """Knows the answer, up to a factor that rounding must remove."""

    def forward(self, fields, *, generator=None):
        return 0.3 * ground_states(fields).float()


class Up(nn.Module):
    """Everything up: right for ferromagnets only."""

    def forward(self, fields, *, generator=None):
        return torch.zeros(len(fields), *fields.shape[2:])  # a spin is +1 where the output is >= 0


@pytest.mark.parametrize("config", [UNIFORM, GLASS])
def test_the_optimum_has_no_gap(config):
    metrics = evaluate(Oracle(), config)
    assert metrics["energy_gap"] == pytest.approx(0, abs=1e-6)
    assert metrics["exact_fraction"] == 1


def test_uniform_states_are_right_in_the_ferromagnet_alone_and_their_gap_is_the_closed_form():
    metrics = evaluate(Up(), UNIFORM)
    assert list(metrics["per_phase"]) == list(PHASES)
    assert metrics["per_phase"]["ferromagnet"]["exact_fraction"] == 1
    assert all(metrics["per_phase"][p]["exact_fraction"] == 0 for p in PHASES[1:])
    jx, jy, h = couplings(evaluation_set("wide", 1024, 4)).double().unbind(1)
    expected = (-jx - jy - h - closed_form(jx, jy, h)[0]).mean()
    assert metrics["energy_gap"] == pytest.approx(float(expected), abs=1e-6)
    assert sum(p["count"] for p in metrics["per_phase"].values()) == metrics["count"] == 1024


def test_entropy_of_the_inputs_is_log_of_half_the_group_for_uniform_couplings():
    # Jx differs from Jy almost surely, so translations, m and r^2 remain: 4 L^2 elements
    assert evaluate(Up(), UNIFORM)["stabilizer_entropy"] == pytest.approx(float(torch.tensor(64.0).log()), abs=1e-5)
    assert evaluate(Up(), GLASS)["stabilizer_entropy"] == pytest.approx(0, abs=1e-6)
    assert evaluate(Up(), GLASS)["per_phase"] == {}


def test_figures_get_patterns_and_maps_of_the_right_meaning():
    arrays = show(Oracle(), UNIFORM)
    assert arrays["map_+1"].shape == arrays["map_-1"].shape
    assert abs(arrays["map_+1"]).max() < 1e-5
    wrong = show(Up(), UNIFORM)["map_-1"]
    assert wrong.min() >= -1e-6
    assert wrong.max() > 1
    assert "map_-1" not in show(Up(), IsingConfig(size=4, variant="paper"))
    assert not any(key.startswith("map") for key in show(Up(), GLASS))


def test_each_shown_hamiltonian_lies_in_its_phase():
    jx, jy, h = SHOWN.unbind(1)
    assert closed_form(jx, jy, h)[1].tolist() == [0, 1, 2, 3]
    fields = torch.stack([jx, jy, h], 1)[:, :, None, None].expand(-1, -1, 4, 4)
    energies = energy_per_spin(fields, phase_patterns(4).float())
    assert torch.allclose(energies, closed_form(jx, jy, h)[0], atol=1e-6)
