import math

import pytest
import torch

from sympe.actions import RegularAction
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
