import re

import pytest
import torch

from sympe.groups import Dihedral, DirectProduct, Orthogonal, Permutations
from sympe.testing import assert_group_laws


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_components_come_back_as_they_were_packed(dtype: torch.dtype) -> None:
    group = DirectProduct(Orthogonal(3), Permutations(5), Dihedral(4))
    R = Orthogonal(3).sample((2, 3)).to(dtype)
    p, k = Permutations(5).sample((3,)), Dihedral(4).sample((2, 1))
    g = group.pack(R, p, k)
    assert g.shape == (2, 3, 9 + 5 + 1)
    assert g.dtype == dtype
    one, two, three = group.components(g)
    assert torch.equal(one, R)
    assert torch.equal(two, p.expand(2, 3, 5))
    assert torch.equal(three, k.expand(2, 3))


def test_gradients_reach_the_continuous_components() -> None:
    group = DirectProduct(Permutations(2), Orthogonal(2))
    R = torch.eye(2, requires_grad=True)
    _, again = group.components(group.pack(torch.tensor([1, 0]), R))
    again[0, 1].backward()
    assert R.grad is not None
    assert R.grad.tolist() == [[0, 1], [0, 0]]


def test_elements_of_finite_factors_are_all_pairs() -> None:
    group = DirectProduct(Permutations(2), Permutations(3))
    assert group.order == 12
    assert len(group.elements().unique(dim=0)) == 12
    assert group.elements().dtype == torch.int64
    assert not group.is_continuous


class Mixed(DirectProduct):
    """The inverse of one factor alone."""

    def inverse(self, g):  # type: ignore[no-untyped-def]
        a, b = self.components(g)
        return self.pack(self.factors[0].inverse(a), b)


def test_the_laws_reject_a_product_that_forgets_a_factor() -> None:
    with pytest.raises(AssertionError, match="an inverse does not cancel"):
        assert_group_laws(Mixed(Permutations(2), Permutations(3)))


@pytest.mark.usefixtures("unchecked")
def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="factors: expected at least one group, got none"):
        DirectProduct()
    with pytest.raises(TypeError, match="factors: expected an instance of Group, got int"):
        DirectProduct(3)  # type: ignore[arg-type]
    group = DirectProduct(Orthogonal(2), Permutations(3))
    with pytest.raises(ValueError, match="parts: expected 2 components, got 1"):
        group.pack(torch.eye(2))
    for g, message in (
        (torch.zeros(6), "g: expected shape (*batch, 7), got (6,)"),
        (torch.zeros(7, dtype=torch.int64), "g: expected floats, elements of DirectProduct("),
        (torch.tensor([1.0, 0, 0, 1, 0, 1, 1]), "g: expected permutations of range(3), got [0, 1, 1]"),
        (torch.tensor([1.0, 0, 0, 2, 0, 1, 2]), "g: expected elements of Orthogonal(2), got a matrix"),
    ):
        with pytest.raises((TypeError, ValueError), match=re.escape(message)):
            group.check(g)
    finite = DirectProduct(Permutations(2), Permutations(2))
    with pytest.raises(TypeError, match="g: expected int64 elements of DirectProduct"):
        finite.check(torch.zeros(4))
