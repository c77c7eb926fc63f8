import itertools

import pytest
import torch

from sympe import actions
from sympe.actions import Action, BondAction, FiniteAction, GridAction, PermutationAction, RegularAction
from sympe.groups import P4M
from sympe.testing import assert_action_laws
from tests import oracles
from tests.catalogue import ACTIONS, EVERY_ACTION, GRAPH_ACTIONS, GROUPS, PERMUTING, ising, public_leaves


def test_the_catalogue_holds_every_public_action() -> None:
    assert public_leaves(actions, Action) == {type(action) for action in EVERY_ACTION.values()}


def test_actions_of_indices_are_finite_and_those_of_tensors_are_not() -> None:
    assert all(isinstance(action, FiniteAction) for action in ACTIONS.values())
    assert not any(isinstance(action, FiniteAction) for action in GRAPH_ACTIONS.values())


@pytest.mark.parametrize("name", EVERY_ACTION)
def test_action_laws(name: str) -> None:
    assert_action_laws(EVERY_ACTION[name])


@pytest.mark.parametrize("name", PERMUTING)
def test_entries_go_where_the_oracle_sends_them(name: str) -> None:
    action, images = PERMUTING[name]
    x = torch.arange(action.size).reshape(action.shape)
    expected = torch.empty(images.shape, dtype=torch.int64)
    expected.scatter_(1, torch.from_numpy(images), torch.arange(action.size).expand(images.shape))
    assert torch.equal(action(action.group.elements(), x).flatten(1), expected)


@pytest.mark.parametrize("name", ACTIONS)
def test_trivial_elements_are_those_that_fix_every_unit_vector(name: str) -> None:
    action = ACTIONS[name]
    basis = torch.eye(action.size).reshape(action.size, *action.shape)
    moved = action(action.group.elements()[:, None], basis)
    fixing = ((moved - basis).abs().flatten(1).amax(1) < 1e-5).nonzero().squeeze(1)
    assert torch.equal(action.trivial_elements(), fixing)
    assert action.is_faithful == (len(fixing) == 1)


@pytest.mark.parametrize("name", GRAPH_ACTIONS)
def test_graph_actions_are_faithful_by_enumeration(name: str) -> None:
    action = GRAPH_ACTIONS[name]
    basis = torch.eye(action.size).reshape(action.size, *action.shape)
    moved = action(action.group.elements()[:, None], basis)
    fixing = (moved == basis).flatten(1).all(1)
    assert action.is_faithful == (int(fixing.sum()) == 1)


@pytest.mark.parametrize(
    ("make", "counts"),
    [(GridAction, [8, 4, 1, 1, 1, 1]), (BondAction, [4, 1, 1, 1, 1, 1]), (RegularAction, [1, 1, 1, 1, 1, 1])],
)
def test_how_many_elements_of_p4m_fix_everything(make: type, counts: list[int]) -> None:
    assert [len(make(P4M(size)).trivial_elements()) for size in range(1, 7)] == counts


@pytest.mark.parametrize("name", GROUPS)
def test_the_regular_representation_is_faithful(name: str) -> None:
    assert RegularAction(GROUPS[name]).is_faithful


@pytest.mark.parametrize("name", ACTIONS)
def test_precision_bounds_the_error_of_the_homomorphism(name: str) -> None:
    action = ACTIONS[name]
    group = action.group
    x = torch.randn(action.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    g = group.elements()
    for h in group.generators:
        error = action(torch.tensor(h), action(g, x)) - action(group.compose(torch.tensor(h), g), x)
        assert float(error.abs().max()) <= 3 * action.precision * float(x.abs().max())  # two products, one by a word
    if action.permutes_entries:
        assert action.precision == 0


@pytest.mark.parametrize("size", range(1, 7))
def test_the_ising_energy_is_invariant(size: int) -> None:
    group = P4M(size)
    generator = torch.Generator().manual_seed(size)
    couplings = torch.randn(3, size, size, generator=generator, dtype=torch.float64)
    spins = torch.randint(2, (1, size, size), generator=generator).double() * 2 - 1
    energy = oracles.ising_energy(couplings[:2].tolist(), couplings[2].tolist(), spins[0].tolist())
    moved_couplings = ising(size)(group.elements(), couplings)
    moved_spins = GridAction(group)(group.elements(), spins)
    for x, s in zip(moved_couplings.tolist(), moved_spins.tolist(), strict=True):
        assert oracles.ising_energy(x[:2], x[2], s[0]) == pytest.approx(energy, abs=1e-9)


def test_the_energy_tells_bonds_that_are_moved_from_the_wrong_end() -> None:
    """Twin: channels swap and sites move, but r i - x̂ is taken for r i: a left action too, not that of the bonds."""
    group, size = P4M(3), 3
    generator = torch.Generator().manual_seed(0)
    bonds, spins = torch.randn(2, size, size, generator=generator), torch.randn(size, size, generator=generator)
    field = torch.zeros(size, size)
    wrong = 0
    for g in group.elements():
        moved = GridAction(group, 2)(g, bonds)
        if int(group.unpack(g)[1]) % 2 == 1:
            moved = moved.flip(0)
        energies = (
            oracles.ising_energy(b.tolist(), field.tolist(), s.tolist())
            for b, s in ((bonds, spins), (moved, GridAction(group)(g, spins[None])[0]))
        )
        one, two = energies
        wrong += abs(one - two) > 1e-3
    assert wrong == 6 * 9  # right for translations, and with the reflection that swaps x̂ and ŷ


@pytest.mark.parametrize(
    "name", ["sites of P4M(3)", "Q8 on quaternions", "S_3 x D_3, a factor each", "plane and sign", *GRAPH_ACTIONS]
)
def test_batch_shapes_broadcast(name: str) -> None:
    action = EVERY_ACTION[name]
    g = action.group.sample((4, 1), generator=torch.Generator().manual_seed(0))
    x = torch.randn(1, 3, *action.shape)
    y = action(g, x)
    assert y.shape == (4, 3, *action.shape)
    for i, j in itertools.product(range(4), range(3)):
        torch.testing.assert_close(y[i, j], action(g[i, 0], x[0, j]))
    assert action(g[:0, 0], x[0, :1]).shape == (0, *action.shape)


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float64])
def test_permuting_actions_keep_the_dtype(dtype: torch.dtype) -> None:
    x = (torch.arange(9) % 2).reshape(1, 3, 3).to(dtype)
    assert GridAction(P4M(3))(torch.tensor(5), x).dtype == dtype


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", EVERY_ACTION)
def test_a_wrong_shape_is_an_error_that_names_x(name: str) -> None:
    action = EVERY_ACTION[name]
    g = action.group.identity()
    for shape in [(*action.shape[:-1], action.shape[-1] + 1), (2, *action.shape[:-1], action.shape[-1] + 3), ()]:
        with pytest.raises(ValueError, match=r"x: expected shape \(\*batch, .*\), got \(") as error:
            action(g, torch.zeros(shape))
        assert ", ".join(map(str, action.shape)) in str(error.value)
        assert str(tuple(shape)) in str(error.value)


def test_check_names_the_argument_it_is_given() -> None:
    with pytest.raises(ValueError, match=r"y: expected shape \(\*batch, 1, 3\), got \(1, 2\)"):
        PermutationAction.generate([[1, 2, 0]]).check(torch.zeros(1, 2), "y")
