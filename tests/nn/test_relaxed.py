import math

import pytest
import torch

from sympe.actions import GridAction, RegularAction
from sympe.groups import P4M
from sympe.nn import GroupConv, LiftingConv, Relaxed, RelaxedP4MNet
from sympe.testing import assert_equivariant


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_a_relaxed_layer_is_the_weighted_sum_of_its_layers() -> None:
    layers = [LiftingConv(GridAction, 3) for _ in range(3)]
    relaxed = Relaxed(layers, 4)
    x = torch.randn(2, 1, 4, 4)
    expected = sum(relaxed.w[i] * layers[i](x) for i in range(3))
    torch.testing.assert_close(relaxed(x), expected)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_constant_coefficients_are_equivariant_and_others_are_not(size: int) -> None:
    group = P4M(size)
    relaxed = Relaxed([GroupConv(2, 2), GroupConv(2, 2)], size)
    x = torch.randn(2, 2, 8, size, size)
    action = RegularAction(group, 2)
    with pytest.raises(AssertionError, match="differs from g f"):
        assert_equivariant(relaxed, action, action, x)
    with torch.no_grad():
        relaxed.w.copy_(torch.tensor([0.3, -1.2]).view(2, 1, 1, 1).expand_as(relaxed.w))
    assert_equivariant(relaxed, action, action, x)


def test_coefficients_of_the_site_break_translations_and_those_of_the_orientation_rotations() -> None:
    group = P4M(3)
    action = RegularAction(group)
    relaxed = Relaxed([GroupConv(1, 1)], 3)
    x = torch.randn(1, 1, 8, 3, 3)
    shift, turn = (torch.tensor(g) for g in group.generators[:1] + group.generators[2:3])
    with torch.no_grad():
        relaxed.w.copy_(torch.randn(1, 8, 1, 1).expand_as(relaxed.w))
        torch.testing.assert_close(relaxed(action(shift, x)), action(shift, relaxed(x)))
        assert not torch.allclose(relaxed(action(turn, x)), action(turn, relaxed(x)), atol=1e-3)
        relaxed.w.copy_(torch.randn(1, 1, 3, 3).expand_as(relaxed.w))
        assert not torch.allclose(relaxed(action(shift, x)), action(shift, relaxed(x)), atol=1e-3)


def test_a_relaxed_network_breaks_the_symmetry_of_a_constant_input() -> None:
    net = RelaxedP4MNet(GridAction, size=4, channels=3, blocks=1)
    x = torch.ones(1, 1, 4, 4)
    assert float(net(x).detach().std()) > 1e-3
    assert torch.equal(net(x), net(x))  # it draws nothing


def test_coefficients_start_around_the_mean_of_the_layers() -> None:
    relaxed = Relaxed([GroupConv(1, 1)] * 4, 16, spread=0.1)
    n = relaxed.w.numel()  # 8,192; five standard errors, false alarm 6e-7
    assert abs(float(relaxed.w.detach().mean()) - 0.25) < 0.1 * 5 / math.sqrt(n)


def test_no_layer_is_an_error() -> None:
    with pytest.raises(ValueError, match="layers: expected at least one layer, got none"):
        Relaxed([], 3)


@pytest.mark.parametrize("spread", [0.0, -1.0, math.inf, math.nan])
def test_a_bad_spread_is_an_error(spread: float) -> None:
    with pytest.raises(ValueError, match=f"spread: expected a positive number, got {spread}"):
        Relaxed([GroupConv(1, 1)], 3, spread=spread)


def test_no_filter_is_an_error() -> None:
    with pytest.raises(ValueError, match="filters: expected at least 1, got 0"):
        RelaxedP4MNet(GridAction, size=3, channels=1, blocks=1, filters=0)


def test_a_lattice_of_another_size_is_an_error() -> None:
    net = RelaxedP4MNet(GridAction, size=1, channels=1, blocks=1)
    with pytest.raises(ValueError, match=r"x: expected a lattice of 1 x 1 sites, got shape \(2, 1, 4, 4\)"):
        net(torch.zeros(2, 1, 4, 4))
