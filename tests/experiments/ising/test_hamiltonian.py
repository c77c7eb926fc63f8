import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from sympe.actions import BondAction, DirectSum, GridAction
from sympe.experiments.ising.config import PHASES
from sympe.experiments.ising.hamiltonian import (
    check_fields,
    closed_form,
    critical_temperature,
    energy_per_spin,
    free_energy_per_spin,
    phase_patterns,
    round_spins,
    uniform_fields,
)
from sympe.groups import P4M


def glass(count: int, size: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, size, size, generator=generator, dtype=torch.float64) * 2 - 1


def energy_by_sites(fields: Tensor, spins: Tensor) -> float:
    """The definition, site by site, of one Hamiltonian."""
    B, C, h = fields.tolist()
    s = spins.tolist()
    L = len(s)
    total = 0.0
    for a, b in itertools.product(range(L), repeat=2):
        total += B[a][b] * s[a][b] * s[(a + 1) % L][b]
        total += C[a][b] * s[a][b] * s[a][(b + 1) % L]
        total += h[a][b] * s[a][b]
    return -total / L**2


def uniform_sums(size: int) -> Tensor:
    """(sum of s_i s_{i+x}, of s_i s_{i+y}, of s_i) per site, of all 2^(L^2) spins, each triple once."""
    n = size**2
    s = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).reshape(-1, size, size)
    sums = [(s * np.roll(s, -1, 1)).sum((1, 2)), (s * np.roll(s, -1, 2)).sum((1, 2)), s.sum((1, 2))]
    return torch.from_numpy(np.unique(np.stack(sums, 1), axis=0)).double() / n


def coupling_grid(*axes: Tensor) -> Tensor:
    return torch.cartesian_prod(*(axis.double() for axis in axes))


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_energy_is_the_definition_for_real_spins(size: int) -> None:
    fields = glass(5, size)
    spins = glass(5, size, seed=1)[:, 0]
    expected = [energy_by_sites(*pair) for pair in zip(fields, spins, strict=True)]
    assert energy_per_spin(fields, spins).tolist() == pytest.approx(expected, abs=1e-14)


def test_energy_of_one_bond_and_of_one_field() -> None:
    spins = -torch.ones(1, 4, 4)
    spins[0, 1, 2] = 1
    for channel, end in [(0, (2, 2)), (1, (1, 3))]:
        fields = torch.zeros(1, 3, 4, 4)
        fields[0, channel, 1, 2] = 1
        assert energy_per_spin(fields, spins).item() == 1 / 16  # ends opposite
        spins[0, *end] = 1
        assert energy_per_spin(fields, spins).item() == -1 / 16
        spins[0, *end] = -1
    fields = torch.zeros(1, 3, 4, 4)
    fields[0, 2, 1, 2] = 1
    assert energy_per_spin(fields, spins).item() == -1 / 16


def slope(fields: Tensor, spins: Tensor, temperature: float) -> Tensor:
    spins = spins.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(free_energy_per_spin(fields, spins, temperature).sum(), spins)
    return gradient


def test_free_energy_is_the_definition_by_sites() -> None:
    fields, spins = glass(5, 3), glass(5, 3, seed=1)[:, 0]
    for x, s, f in zip(fields, spins, free_energy_per_spin(fields, spins, 0.7), strict=True):
        weights = [sum(abs(b) for b in x[channel].flatten().tolist()) / 9 for channel in (0, 1)]
        up = [(1 + m) / 2 for m in s.flatten().tolist()]
        entropy = -sum(p * math.log(p) + (1 - p) * math.log(1 - p) for p in up) / 9
        expected = energy_by_sites(x, s) - 0.7 * 2 * sum(weights) * entropy
        assert f.item() == pytest.approx(expected, abs=1e-12)
    assert torch.equal(free_energy_per_spin(fields, spins, 0.0), energy_per_spin(fields, spins))


def test_free_energy_is_stationary_where_mean_field_theory_says() -> None:
    m = 1.0
    for _ in range(200):
        m = math.tanh(2 * m)  # m = tanh(m / T) at T = 1/2
    for jx, jy, pattern in zip((1, 1, -1, -1), (2, -2, 2, -2), phase_patterns(4).double(), strict=True):
        jx, jy = torch.tensor([jx], dtype=torch.double), torch.tensor([jy], dtype=torch.double)
        fields = uniform_fields(jx, jy, torch.zeros(1, dtype=torch.double), 4)
        torch.testing.assert_close(slope(fields, m * pattern[None], 0.5), torch.zeros(1, 4, 4).double())
        assert slope(fields, 0.9 * m * pattern[None], 0.5).abs().min() > 0.01  # the broken twin: another mean


def test_order_sets_in_at_the_critical_temperature() -> None:
    for phase, pattern in enumerate(phase_patterns(4).double()):
        signs = torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]])[phase].double()
        fields = uniform_fields(signs[:1] * 0.3, signs[1:] * 0.8, torch.zeros(1, dtype=torch.double), 4)
        assert critical_temperature(fields).item() == pytest.approx(2.2)
        small = 0.01 * pattern[None]
        assert (slope(fields, small, 1.01) * pattern).min() > 0  # falls back to disorder
        assert (slope(fields, small, 0.99) * pattern).max() < 0  # grows


def test_free_energy_is_finite_with_its_slope_for_saturated_spins() -> None:
    fields, spins = glass(2, 4), torch.ones(2, 4, 4).double()
    assert free_energy_per_spin(fields, spins, 1.0).isfinite().all()
    assert slope(fields, spins, 1.0).isfinite().all()


def test_a_negative_temperature_is_refused() -> None:
    with pytest.raises(ValueError, match=r"temperature: expected at least 0, got -0\.5"):
        free_energy_per_spin(glass(1, 4), torch.zeros(1, 4, 4).double(), -0.5)
    with pytest.raises(ValueError, match=r"fields: expected shape \(batch, 3, L, L\), got \(3, 4, 4\)"):
        critical_temperature(glass(1, 4)[0])


def test_energy_has_gradients_in_both_arguments() -> None:
    fields, spins = glass(2, 3).requires_grad_(), glass(2, 3, seed=1)[:, 0].clone().requires_grad_()
    assert torch.autograd.gradcheck(energy_per_spin, (fields, spins))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_energy_is_invariant_under_every_element(size: int) -> None:
    group = P4M(size)
    action = DirectSum(BondAction(group), GridAction(group))
    g = group.elements()
    fields, spins = (
        glass(1, size).expand(len(g), -1, -1, -1),
        glass(1, size, seed=1)[:, :1].expand(len(g), -1, -1, -1),
    )
    moved = energy_per_spin(action(g, fields), GridAction(group)(g, spins)[:, 0])
    torch.testing.assert_close(moved, energy_per_spin(fields, spins[:, 0]))


def test_energy_is_not_invariant_where_bonds_move_as_sites() -> None:
    group = P4M(4)
    g = group.elements()
    fields, spins = (
        glass(1, 4).expand(len(g), -1, -1, -1),
        glass(1, 4, seed=1)[:, :1].expand(len(g), -1, -1, -1),
    )
    moved = energy_per_spin(GridAction(group, 3)(g, fields), GridAction(group)(g, spins)[:, 0])
    kept = torch.isclose(moved, energy_per_spin(fields, spins[:, 0]))
    assert kept.sum() == group.size**2  # the translations


@pytest.mark.parametrize("shape", [(3, 4, 4), (5, 2, 4, 4), (5, 3, 4, 3), (5, 3, 0, 0), (5, 3, 4, 4, 1)])
def test_fields_of_another_shape_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"fields: expected shape \(batch, 3, L, L\), got"):
        check_fields(torch.zeros(shape))
    with pytest.raises(ValueError, match="fields: expected shape"):
        energy_per_spin(torch.zeros(shape), torch.zeros(5, 4, 4))


@pytest.mark.parametrize("shape", [(4, 4), (5, 1, 4, 4), (1, 4, 4), (5, 4, 3), (5, 3, 3)])
def test_spins_of_another_shape_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"spins: expected shape \(5, 4, 4\) for these fields, got"):
        energy_per_spin(torch.zeros(5, 3, 4, 4), torch.zeros(shape))


def test_uniform_fields_fill_the_channels() -> None:
    jx, jy, h = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    fields = uniform_fields(jx, jy, h, 6)
    assert fields.is_contiguous()
    assert torch.equal(fields, torch.stack([jx, jy, h], 1)[:, :, None, None].expand(5, 3, 6, 6))


def test_uniform_fields_name_what_is_wrong() -> None:
    J = torch.zeros(5)
    with pytest.raises(ValueError, match="size: expected at least 1, got 0"):
        uniform_fields(J, J, J, 0)
    for wrong in (torch.zeros(4), torch.zeros(5, 1), torch.tensor(0.0)):
        with pytest.raises(ValueError, match=r"jx, jy, h: expected three tensors of shape \(batch,\)"):
            uniform_fields(J, J, wrong, 4)
    with pytest.raises(ValueError, match="jx, jy, h"):
        uniform_fields(*torch.zeros(3), 4)


def test_round_spins_takes_zero_up_and_keeps_nan() -> None:
    values = torch.tensor([-1.0, -1e-30, -0.0, 0.0, 1e-30, 1.0, torch.nan, torch.inf, -torch.inf])
    expected = torch.tensor([-1.0, -1.0, 1.0, 1.0, 1.0, 1.0, torch.nan, 1.0, -1.0])
    torch.testing.assert_close(round_spins(values), expected, rtol=0, atol=0, equal_nan=True)
    assert round_spins(values.double()).dtype == torch.float64


# 13,125 Hamiltonians of either sign.
GRID = coupling_grid(torch.linspace(-3, 3, 25), torch.linspace(-3, 3, 25), torch.linspace(-5, 5, 21))


@pytest.mark.parametrize("size", [2, 4])
def test_closed_form_is_brute_force_on_an_even_lattice(size: int) -> None:
    energy, _ = closed_form(*GRID.unbind(1))
    torch.testing.assert_close(energy, -(GRID @ uniform_sums(size).T).amax(1))


def test_closed_form_is_wrong_on_an_odd_lattice() -> None:
    energy, phase = closed_form(*GRID.unbind(1))
    exact = -(GRID @ uniform_sums(3).T).amax(1)
    assert (energy <= exact + 1e-12).all()  # a bound, as its bonds are the most that a pattern could fulfil
    wrong = energy < exact - 1e-6
    assert wrong[phase > 0].float().mean() > 0.9
    assert not wrong[phase == 0].any()


def test_closed_form_takes_the_first_phase_of_the_minimum() -> None:
    couplings = torch.tensor([[0, 0, 0], [1, 0, 0], [0, -1, 0], [-1, 0, 0], [-1, -1, 2], [-1, -1, 4], [0.5, -0.5, 1]])
    energy, phase = closed_form(*couplings.unbind(1))
    assert phase.tolist() == [0, 0, 1, 2, 3, 0, 0]
    assert energy.tolist() == [0, -1, -1, -1, -2, -2, -1]


@pytest.mark.parametrize("size", [2, 4, 10])
def test_patterns_have_the_energy_of_their_phase(size: int) -> None:
    couplings = GRID[::7][GRID[::7, 2] >= 0]
    energy, phase = closed_form(*couplings.unbind(1))
    assert phase.unique().tolist() == [0, 1, 2, 3]
    fields = uniform_fields(*couplings.unbind(1), size)
    torch.testing.assert_close(energy_per_spin(fields, phase_patterns(size).double()[phase]), energy)
    # Twin: the other stripes. Equal only where |Jx| = |Jy|, as both lose what the other gains.
    other = torch.tensor([0, 2, 1, 3])[phase]
    stripes = (phase == 1) | (phase == 2)
    far = stripes & ((couplings[:, 0] - couplings[:, 1]).abs() > 1e-9)
    gap = energy_per_spin(fields, phase_patterns(size).double()[other]) - energy
    assert (gap[far] > 1e-9).all()


def test_names_of_the_phases_describe_their_patterns() -> None:
    for name, s in zip(PHASES, phase_patterns(4), strict=True):
        along_x = (s * s.roll(-1, 0)).unique().tolist()  # s_i s_{i + x}
        along_y = (s * s.roll(-1, 1)).unique().tolist()
        assert {
            "ferromagnet": ([1.0], [1.0]),
            "stripes along x": ([1.0], [-1.0]),
            "stripes along y": ([-1.0], [1.0]),
            "checkerboard": ([-1.0], [-1.0]),
        }[name] == (along_x, along_y)
        assert s[0, 0] == 1


def test_a_quarter_turn_swaps_the_stripes() -> None:
    jx, jy, h = GRID.unbind(1)
    energy, phase = closed_form(jx, jy, h)
    turned, turned_phase = closed_form(jy, jx, h)
    torch.testing.assert_close(energy, turned, rtol=0, atol=0)
    sure = (jx != jy) & (phase > 0) & (turned_phase > 0) & (phase < 3) & (turned_phase < 3)
    assert torch.equal(turned_phase[sure], 3 - phase[sure])
    assert sure.sum() > 1000


@pytest.mark.parametrize("size", [-2, 0, 1, 3])
def test_patterns_need_an_even_lattice(size: int) -> None:
    with pytest.raises(ValueError, match=f"size: expected an even number of at least 2, got {size}"):
        phase_patterns(size)
