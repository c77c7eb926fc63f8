import pytest
import torch

from sympe.actions import (
    BondAction,
    DiagonalAction,
    DirectSum,
    FactorAction,
    GridAction,
    MatrixAction,
    PermutationAction,
    RegularAction,
    TrivialAction,
)
from sympe.groups import P4M, Cyclic, Dihedral, Product
from tests.catalogue import image_and_arrow, mixed_factors, rotations


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


def test_a_tuple_is_moved_part_by_part_by_one_element() -> None:
    action = image_and_arrow()
    image, arrow = action.parts
    x = torch.randn(5, 1, 3, 3), torch.randn(5, 2)
    for g in action.group.elements():
        one, other = action(g, x)
        assert torch.equal(one, image(g, x[0]))
        assert torch.equal(other, arrow(g, x[1]))
        assert torch.equal(action(g, action.join(x)), action.join((one, other)))
    g = action.group.elements()[:, None]  # batches broadcast
    assert [part.shape for part in action(g, x)] == [(8, 5, 1, 3, 3), (8, 5, 2)]
    assert action(g, action.join(x)).shape == (8, 5, 11)


def test_tuples_nest_and_come_back_from_a_row() -> None:
    inner = image_and_arrow()
    action = DiagonalAction(inner, TrivialAction(inner.group, ()))
    x = (torch.randn(4, 1, 3, 3), torch.randn(4, 2)), torch.randn(4)
    assert action.shape == (12,)
    (image, arrow), scalar = action.split(action.join(x))
    assert torch.equal(image, x[0][0])
    assert torch.equal(arrow, x[0][1])
    assert torch.equal(scalar, x[1])
    (image, arrow), scalar = action(torch.tensor(3), x)
    assert torch.equal(action(torch.tensor(3), action.join(x)), action.join(((image, arrow), scalar)))


def test_parts_that_do_not_fit_are_named(unchecked: None) -> None:
    action = image_and_arrow()
    image, arrow, g = torch.zeros(2, 1, 3, 3), torch.zeros(2, 2), torch.tensor(1)
    with pytest.raises(ValueError, match="parts: expected at least one action, got none"):
        DiagonalAction()
    with pytest.raises(ValueError, match="parts: expected actions of one group"):
        DiagonalAction(GridAction(P4M(3)), GridAction(P4M(4)))
    with pytest.raises(TypeError, match="parts: expected an instance of FiniteAction, got int"):
        DiagonalAction(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="x: expected a tuple of 2 parts, got one of 1"):
        action(g, (image,))
    with pytest.raises(ValueError, match=r"x\[1\]: expected shape \(\*batch, 2\), got \(2, 3\)"):
        action(g, (image, torch.zeros(2, 3)))
    with pytest.raises(TypeError, match=r"x\[0\]: expected a tensor, got int"):
        action(g, (3, arrow))
    with pytest.raises(ValueError, match=r"x: expected parts of one batch, got the batch shapes \[\(2,\), \(1,\)\]"):
        action(g, (image, arrow[:1]))
    with pytest.raises(TypeError, match=r"x: expected a tensor, got list \(a tuple of 2 parts is taken, too\)"):
        action(g, [image, arrow])
    with pytest.raises(TypeError, match="x: expected a tensor, got tuple"):
        GridAction(P4M(3))(g, (image, image))
    with pytest.raises(ValueError, match=r"row: expected shape \(\*batch, 11\), got \(2, 10\)"):
        action.split(torch.zeros(2, 10))
