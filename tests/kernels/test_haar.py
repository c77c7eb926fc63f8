import math

import pytest
import torch

from sympe.actions import EdgeAction, NodeAction, RegularAction
from sympe.groups import Permutations
from sympe.kernels import HaarKernel
from sympe.testing import assert_equivariant_in_distribution
from tests.catalogue import GROUPS

NAMES = ["C_1", "C_24", "D_7", "S_4", "Q8 from a table", "P4M(3)"]


@pytest.mark.parametrize("name", NAMES)
def test_every_element_has_the_same_probability_whatever_x(name: str) -> None:
    group = GROUPS[name]
    kernel, x = HaarKernel(group), torch.randn(group.order, 3)
    expected = torch.full((group.order,), -math.log(group.order))
    torch.testing.assert_close(kernel.log_prob(group.elements(), x), expected)
    torch.testing.assert_close(kernel.entropy(x), -expected)


@pytest.mark.parametrize("name", NAMES)
def test_the_law_is_equivariant_and_sampled(name: str) -> None:
    action = RegularAction(GROUPS[name])
    x = torch.stack([torch.zeros(action.shape), torch.randn(action.shape)])
    assert_equivariant_in_distribution(HaarKernel(action.group), action, x)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_the_law_on_permutations_of_nodes_and_edges_is_equivariant_and_sampled(degree: int) -> None:
    kernel = HaarKernel(Permutations(degree))
    for action in (NodeAction(kernel.group), EdgeAction(kernel.group)):
        x = torch.stack([torch.zeros(action.shape), torch.randn(action.shape)])
        assert_equivariant_in_distribution(kernel, action, x)


@pytest.mark.parametrize("degree", [5, 40, 1000])
def test_permutations_of_many_nodes_have_the_entropy_of_the_factorial(degree: int) -> None:
    kernel, x = HaarKernel(Permutations(degree)), torch.zeros(3, degree, 1)
    g = kernel.sample(x)
    assert g.shape == (3, degree)
    kernel.group.check(g)
    expected = torch.full((3,), math.lgamma(degree + 1))
    torch.testing.assert_close(kernel.entropy(x), expected)
    torch.testing.assert_close(kernel.log_prob(g, x), -expected)


def test_of_x_only_the_length_and_the_device_are_asked() -> None:
    class Batch:
        device = torch.device("cpu")

        def __len__(self) -> int:
            return 4

    kernel = HaarKernel(Permutations(6))
    g = kernel.sample(Batch())
    assert g.shape == (4, 6)
    assert kernel.entropy(Batch()).shape == kernel.log_prob(g, Batch()).shape == (4,)
