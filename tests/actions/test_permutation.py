import re

import pytest
import torch

from sympe.actions import PermutationAction, RegularAction, TrivialAction
from sympe.groups import P4M, Cyclic, FiniteGroup, generate_permutations
from tests.catalogue import GROUPS, QUATERNION_PERMUTATIONS, symmetric_generators

GENERATORS = {f"S_{n}": symmetric_generators(n) for n in range(2, 6)} | {"Q8": QUATERNION_PERMUTATIONS}


@pytest.mark.parametrize("name", GENERATORS)
def test_a_permutation_puts_entry_i_at_p_i(name: str) -> None:
    action = PermutationAction.generate(GENERATORS[name], channels=2)
    x = torch.randn(action.shape)
    for g, p in enumerate(generate_permutations(GENERATORS[name])):
        px = action(torch.tensor(g), x)
        for i in range(len(p)):
            assert torch.equal(px[:, p[i]], x[:, i])


@pytest.mark.parametrize("name", ["C_7", "D_5", "S_4", "Q8 from a table", "P4M(2)", "Dihedral(n=3) x Dihedral(n=3) #8"])
def test_the_regular_representation_moves_functions_on_the_group(name: str) -> None:
    group = GROUPS[name]
    phi = torch.randn(1, *group.layout)
    every = group.elements()
    for h in every:
        moved = RegularAction(group)(h, phi).flatten()
        assert torch.equal(moved, phi.flatten()[group.compose(group.inverse(h), every)])  # (h phi)[g] = phi[h^-1 g]
        assert torch.equal(moved[group.compose(h, every)], phi.flatten())


def test_regular_data_has_the_layout_of_the_group() -> None:
    assert RegularAction(P4M(3), 2).shape == (2, 8, 3, 3)


def test_the_trivial_action_moves_nothing() -> None:
    x = torch.randn(2, 5, 3)
    assert torch.equal(TrivialAction(P4M(2), (5, 3))(P4M(2).sample((2,)), x), x)
    assert len(TrivialAction(P4M(2), (5, 3)).trivial_elements()) == 32


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("permutations", "message"),
    [
        (torch.tensor([[0, 1]]), "permutations: expected shape (3, degree), got (1, 2)"),
        (torch.tensor([0, 1, 2]), "permutations: expected shape (3, degree), got (3,)"),
        (torch.tensor([[0, 1]] * 2 + [[1, 1]]), "permutations: expected every row to be a permutation of range(2)"),
        (torch.tensor([[0, 1]] * 2 + [[1, 2]]), "permutations: expected every row to be a permutation of range(2)"),
        (torch.tensor([[0, 1]] * 2 + [[1, 0]]), "permutations: not a homomorphism, p_"),
        (torch.tensor([[1, 0]] * 3), "permutations: expected the identity permutation for the identity element 0"),
    ],
)
def test_bad_permutations_are_an_error(permutations: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        PermutationAction(Cyclic(3), permutations)


def test_the_trivial_group_may_not_move_anything() -> None:
    with pytest.raises(ValueError, match="permutations: expected the identity permutation for the identity"):
        PermutationAction(Cyclic(1), torch.tensor([[1, 0]]))


def test_inverse_permutations_are_no_homomorphism_of_a_nonabelian_group() -> None:
    permutations = generate_permutations(symmetric_generators(3))
    group = FiniteGroup.from_permutations(symmetric_generators(3))
    with pytest.raises(ValueError, match="permutations: not a homomorphism, p_"):
        PermutationAction(group, permutations.argsort(1))


def test_no_channel_is_an_error() -> None:
    with pytest.raises(ValueError, match="channels: expected at least 1, got 0"):
        PermutationAction.generate([[1, 0]], channels=0)
    with pytest.raises(ValueError, match="channels: expected at least 1, got -1"):
        RegularAction(Cyclic(3), -1)
