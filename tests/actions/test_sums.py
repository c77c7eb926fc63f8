import pytest
import torch

from sympe.actions import (
    BondAction,
    DirectSum,
    FactorAction,
    GridAction,
    MatrixAction,
    PermutationAction,
    RegularAction,
    TrivialAction,
)
from sympe.groups import P4M, Cyclic, Dihedral, Product
from tests.catalogue import mixed_factors, rotations


def test_a_direct_sum_moves_every_part_by_the_same_element() -> None:
    group = P4M(3)
    parts = [BondAction(group), GridAction(group, 3), TrivialAction(group, (1, 3, 3))]
    action = DirectSum(*parts)
    assert action.shape == (6, 3, 3)
    x = torch.randn(6, 3, 3)
    for g in group.elements():
        pieces = [part(g, y) for part, y in zip(parts, x.split([2, 3, 1]), strict=True)]
        assert torch.equal(action(g, x), torch.cat(pieces))


def test_a_direct_sum_permutes_entries_iff_all_parts_do() -> None:
    trivial = TrivialAction(Dihedral(3), (2,))
    assert DirectSum(trivial, trivial).permutes_entries
    mixed = DirectSum(trivial, rotations(3))
    assert not mixed.permutes_entries
    with pytest.raises(TypeError, match="MatrixAction does not permute entries"):
        mixed.source(torch.tensor(0), torch.arange(4))


def test_a_factor_acts_by_its_own_component() -> None:
    group = Product(Cyclic(2), Dihedral(3), Cyclic(4))
    action = FactorAction(group, 1, RegularAction(Dihedral(3)))
    x = torch.randn(1, 2, 3)
    g = group.elements()
    assert torch.equal(action(g, x), RegularAction(Dihedral(3))(group.components(g)[1], x))
    assert action.group == group
    assert len(action.trivial_elements()) == 8


def test_factors_may_mix_entries() -> None:
    action = mixed_factors()
    assert not action.permutes_entries
    assert action.shape == (5,)
    with pytest.raises(TypeError, match="MatrixAction does not permute entries"):
        action.parts[0].source(torch.tensor(0), torch.tensor(0))


def test_no_part_is_an_error() -> None:
    with pytest.raises(ValueError, match="parts: expected at least one action, got none"):
        DirectSum()


def test_parts_of_different_groups_are_an_error() -> None:
    with pytest.raises(ValueError, match="parts: expected actions of one group"):
        DirectSum(GridAction(P4M(3)), GridAction(P4M(4)))


def test_parts_that_cannot_be_joined_are_an_error() -> None:
    group = P4M(3)
    with pytest.raises(
        ValueError, match=r"parts: expected shapes that differ in the first dimension only, got .*\(1, 8, 3, 3\)"
    ):
        DirectSum(GridAction(group), RegularAction(group))


@pytest.mark.parametrize("factor", [-1, 2])
def test_a_factor_that_does_not_exist_is_an_error(factor: int) -> None:
    group = Product(Cyclic(2), Cyclic(3))
    with pytest.raises(ValueError, match=f"factor: expected 0 to 1, got {factor}"):
        FactorAction(group, factor, RegularAction(Cyclic(2)))


def test_an_action_of_another_factor_is_an_error() -> None:
    group = Product(Cyclic(2), Cyclic(3))
    with pytest.raises(ValueError, match=r"action: expected an action of factor 1, Cyclic\(n=3\)"):
        FactorAction(group, 1, RegularAction(Cyclic(2)))


def test_shapes_without_dimensions_cannot_be_joined() -> None:
    scalar = TrivialAction(Cyclic(2), ())
    with pytest.raises(ValueError, match="parts: expected shapes with at least one dimension"):
        DirectSum(scalar, scalar)


def test_signs_and_points_of_one_group_join() -> None:
    group = Cyclic(2)
    flip = MatrixAction(group, torch.tensor([1.0, -1.0]).view(2, 1, 1))
    points = PermutationAction(group, torch.tensor([[0, 1], [1, 0]]))
    assert DirectSum(flip, TrivialAction(group, (2,)))(torch.tensor(1), torch.tensor([1.0, 2, 3])).tolist() == [
        -1,
        2,
        3,
    ]
    with pytest.raises(ValueError, match="parts: expected shapes"):
        DirectSum(flip, points)
