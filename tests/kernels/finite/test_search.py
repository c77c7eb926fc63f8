"""The two algorithms of the search, the reading plan, and the clustering of floats."""

import dataclasses

import pytest
import torch

from sympe.actions import Action, GridAction, ImageAction, RegularAction, TrivialAction
from sympe.groups import P4M, Cyclic, Dihedral
from sympe.kernels.finite import search
from sympe.kernels.finite.search import Plan, rank_entries, search_entries, search_permuting
from sympe.tolerance import Tolerance
from tests.catalogue import GROUPS, PERMUTING, ising, symmetric_inputs

CASES: dict[str, Action] = {name: action for name, (action, _) in PERMUTING.items()} | {
    f"{name} on itself": RegularAction(GROUPS[name])
    for name in ("C_24", "D_12", "S_5", "Q8 from matrices", "Dihedral(n=3) x Dihedral(n=3) #8", "P4M(5)")
}


def ranks(action: Action, plan: Plan, x: torch.Tensor) -> torch.Tensor:
    return rank_entries(x.flatten(1), plan.component, Tolerance())


@pytest.mark.parametrize("name", CASES)
def test_refinement_and_doubling_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    action = CASES[name]
    plan = Plan.of(action)
    x = ranks(action, plan, torch.cat([symmetric_inputs(action, seed) for seed in range(3)]))
    rows, g = search._search_by_doubling(plan, x)
    with monkeypatch.context() as patch:
        # a plan with many (idle) steps makes doubling look dear, so that refinement reads to the end
        patch.setattr(search, "_search_by_doubling", forbidden)
        dear = dataclasses.replace(plan, steps=plan.steps + (0,) * 10**6)
        refined = search_permuting(action, dear, x)
    assert torch.equal(refined[0], rows)
    assert torch.equal(refined[1], g)
    both = search_permuting(action, plan, x)  # as it chooses by itself
    assert torch.equal(both[0], rows)
    assert torch.equal(both[1], g)


def forbidden(*arguments: object) -> None:
    raise AssertionError("doubling was chosen")


def test_a_symmetric_input_is_left_to_doubling_and_a_generic_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_search_by_doubling", forbidden)
    action = GridAction(P4M(8))
    plan = Plan.of(action)
    generic = torch.randperm(64, generator=torch.Generator().manual_seed(0)).view(1, 64)
    assert len(search_permuting(action, plan, generic)[0]) == 1
    with pytest.raises(AssertionError, match="doubling was chosen"):
        search_permuting(action, plan, torch.zeros_like(generic))


@pytest.mark.parametrize("name", CASES)
def test_a_plan_reads_every_entry_once_orbit_by_orbit(name: str) -> None:
    action = CASES[name]
    plan = Plan.of(action)
    entries = torch.arange(action.size)
    assert torch.equal(plan.reading.sort().values, entries)
    orbits = action.source(action.group.elements()[:, None], entries)  # column e: all that comes to e
    for e in range(action.size):
        component = plan.component[orbits[:, e]]
        assert bool((component == plan.component[e]).all())
        assert int((plan.component == plan.component[e]).sum()) == len(orbits[:, e].unique())
    assert plan.component[plan.first].tolist() == list(range(len(plan.first)))


@pytest.mark.parametrize("size", [8, *(pytest.param(size, marks=pytest.mark.slow) for size in (16, 32))])
def test_a_plan_takes_logarithmically_many_doublings(size: int) -> None:
    # log2(3 L^2) doublings at least; generators' powers alone reach all sites in log2(L^2)
    assert len(Plan.of(ising(size)).steps) <= (3 * size**2).bit_length() + 1


def test_a_plan_of_an_action_that_moves_nothing_reads_in_order() -> None:
    plan = Plan.of(TrivialAction(Cyclic(3), (4,)))
    assert plan.first.tolist() == plan.reading.tolist() == plan.component.tolist() == [0, 1, 2, 3]
    assert plan.steps == ()


def test_a_plan_moves_between_devices() -> None:
    plan = Plan.of(ising(2))
    assert plan.to(torch.device("cpu")) is plan
    moved = plan.to(torch.device("meta"))
    assert moved.steps == plan.steps
    for name in ("component", "first", "reading", "first_source", "after"):
        assert getattr(moved, name).device.type == "meta"
        assert getattr(moved, name).shape == getattr(plan, name).shape


def test_ranks_cluster_sorted_values_apart_for_every_component() -> None:
    x = torch.tensor([[3.0, 1.0, 1.05, 3.0, 1.0, 1.11]])
    component = torch.tensor([0, 0, 0, 1, 1, 1])
    # component 0: 1 and 1.05 tie, 3 is next; component 1: 1, 1.11, 3 are apart and count on
    assert rank_entries(x, component, Tolerance(0.0, 0.1)).tolist() == [[1, 0, 0, 4, 2, 3]]
    # in one component the chain 1, 1, 1.05, 1.11 ties
    assert rank_entries(x, torch.zeros(6, dtype=torch.int64), Tolerance(0.0, 0.1)).tolist() == [[1, 0, 0, 1, 0, 0]]


def test_equal_values_of_different_components_do_not_share_a_rank() -> None:
    assert rank_entries(torch.ones(1, 4), torch.tensor([0, 1, 0, 1]), Tolerance()).tolist() == [[0, 1, 0, 1]]


def test_ranks_move_with_the_entries() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(50, 20, generator=generator)
    component = torch.zeros(20, dtype=torch.int64)
    p = torch.randperm(20, generator=generator)
    for tolerance in map(Tolerance.of, (0.0, 1e-3, 0.05, 1.0)):
        assert torch.equal(rank_entries(x[:, p], component, tolerance), rank_entries(x, component, tolerance)[:, p])


def test_ranks_keep_the_order_of_integers_that_overflow() -> None:
    low, high = torch.iinfo(torch.int64).min, torch.iinfo(torch.int64).max
    x = torch.tensor([[high, low, 0, high]])
    assert rank_entries(x, torch.zeros(4, dtype=torch.int64), Tolerance()).tolist() == [[2, 0, 1, 2]]


@pytest.mark.parametrize("bound", [5, 10**9])
def test_dense_ranks_number_the_distinct_keys_of_a_row(bound: int) -> None:
    keys = torch.tensor([[4, 0, 4, 2], [1, 1, 1, 1]])
    # a small bound counts, a large one sorts
    assert search._dense_rank(keys, bound)[0].tolist() == [[2, 0, 2, 1], [0, 0, 0, 0]]
    assert search._dense_rank(keys, bound)[1] == 3


@pytest.mark.parametrize("name", ["sites of P4M(3)", "bonds and field of P4M(4)"])
def test_an_empty_batch_is_found_nothing(name: str) -> None:
    action = CASES[name]
    rows, g = search_permuting(action, Plan.of(action), torch.zeros(0, action.size, dtype=torch.int64))
    assert rows.shape == g.shape == (0,)


@pytest.mark.slow
@pytest.mark.parametrize("size", [12, 20])
def test_the_law_is_exact_on_larger_lattices(size: int) -> None:
    """Constant, stripes, checkerboard, a 2 x 2 cell and one marked site, with known stabilizers."""
    action = GridAction(P4M(size))
    plan = Plan.of(action)
    a, b = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    fields = torch.stack([0 * a, a % 2, (a + b) % 2, 2 * (a % 2) + (b % 2), ((a == 3) & (b == 5)).long()])
    rows, g = search_permuting(action, plan, rank_entries(fields.flatten(1), plan.component, Tolerance()))
    # of all 8 L^2: stripes keep half the translations and lose the quarter turns; the checkerboard keeps half the
    # translations; the cell (four values) keeps a quarter and point elements that do not swap rows and columns
    order = 8 * size**2
    assert rows.bincount().tolist() == [order, order // 4, order // 2, order // 8, 8]
    forms = action(action.group.inverse(g), fields[rows].unsqueeze(1)).flatten(1)
    for row in range(len(fields)):
        assert len(forms[rows == row].unique(dim=0)) == 1


IMAGES = {
    "C_4": ImageAction(Cyclic(4), 3, 9),
    "D_4": ImageAction(Dihedral(4), 2, 8),
    "C_2": ImageAction(Cyclic(2), 1, 13),
    "sites of P4M(2) in 40 channels": GridAction(P4M(2), 40),
    "bonds and field of P4M(4)": PERMUTING["bonds and field of P4M(4)"][0],
}


def near_ties(action: Action, tolerance: float, dtype: torch.dtype, seed: int) -> torch.Tensor:
    """Symmetric inputs, some of whose entries are moved by halves of the tolerance, up to twice as much."""
    generator = torch.Generator().manual_seed(seed)
    x = symmetric_inputs(action, seed).flatten(1).repeat(4, 1)
    x = x / x.abs().amax(1, keepdim=True).clamp(min=1) * (100 if dtype == torch.uint8 else 1)
    steps = torch.randint(-4, 5, x.shape, generator=generator) * tolerance / 2
    chosen = torch.rand(x.shape, generator=generator) < torch.rand(len(x), 1, generator=generator) ** 4
    return (x + steps * chosen).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.int64, torch.uint8])
@pytest.mark.parametrize("name", IMAGES)
def test_looking_at_few_orbits_first_changes_no_answer(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_LOOK", 2)
    monkeypatch.setattr(search, "_LESS", 1)
    action = IMAGES[name]
    plan = Plan.of(action)
    several = 0
    for seed, size in enumerate((0.0, 1e-6, 1e-3, 0.1)):
        tolerance = Tolerance.of(size)
        x = near_ties(action, size, dtype, seed)
        rows, g = search_entries(action, plan, x, tolerance)
        expected = search_permuting(action, plan, rank_entries(x, plan.component, tolerance))
        assert torch.equal(rows, expected[0])
        assert torch.equal(g, expected[1])
        several += int((rows.bincount() > 1).sum())
    assert several > 10


def test_generic_inputs_are_settled_by_few_orbits_and_the_others_are_ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: object) -> None:
        raise AssertionError("all entries were ranked")

    monkeypatch.setattr(search, "rank_entries", refused)
    action = ImageAction(Dihedral(4), 3, 32)
    plan = Plan.of(action)
    x = torch.rand(5, action.size, generator=torch.Generator().manual_seed(0))
    assert torch.equal(search_entries(action, plan, x, Tolerance())[0], torch.arange(5))
    x[3] = 1.0
    with pytest.raises(AssertionError, match="all entries were ranked"):
        search_entries(action, plan, x, Tolerance())


def test_ranks_that_ignore_the_other_orbits_of_a_row_are_not_those_of_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken twin: entries are compared on the scale of their orbit, and a tolerance of the row is another."""
    action = ImageAction(Cyclic(2), 1, 13)
    plan = Plan.of(action)
    x = near_ties(action, 1e-3, torch.float64, 0) * torch.rand(action.size, generator=torch.Generator().manual_seed(1))
    expected = search_permuting(action, plan, rank_entries(x, plan.component, Tolerance.of(1e-3)))
    gap = 1e-3 * float(x.abs().max())
    found = search_entries(action, plan, x, Tolerance(0.0, gap))
    assert not (torch.equal(found[0], expected[0]) and torch.equal(found[1], expected[1]))


@pytest.mark.parametrize(("columns", "values"), [(1, 3), (7, 2), (100, 1), (200, 2), (3, 2**30)])
def test_columns_rank_as_the_rows_of_a_sorted_list(columns: int, values: int) -> None:
    generator = torch.Generator().manual_seed(columns)
    ranks = torch.randint(values, (4, columns, 6), generator=generator)
    ranks[:, :, 3], ranks[:, :-1, 5] = ranks[:, :, 1], ranks[:, :-1, 4]  # equal, and equal but for the last
    found, bound = search._rank_columns(ranks)
    for row, of in zip(ranks, found.tolist(), strict=True):
        lists = row.T.tolist()
        distinct = sorted({tuple(one) for one in lists})
        assert of == [distinct.index(tuple(one)) for one in lists]
        assert max(of) < bound
