import itertools

import numpy as np
import pytest
import torch

from sympe.groups import FiniteGroup, TableGroup, generate_matrices, generate_permutations
from sympe.groups import finite as finite_module
from tests import oracles
from tests.catalogue import (
    QUATERNION_MATRICES,
    QUATERNION_PERMUTATIONS,
    QUATERNIONS,
    signed_permutations,
    symmetric_generators,
)

# A loop: identity 0, every row and column a permutation, all elements their own inverses, yet no group (5 is odd).
LOOP = [[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]]


def cayley(group: FiniteGroup) -> np.ndarray:
    g = group.elements()
    return group.compose(g[:, None], g).numpy()


@pytest.mark.parametrize("degree", range(2, 6))
def test_a_transposition_and_a_cycle_generate_the_symmetric_group(degree: int) -> None:
    permutations = [tuple(p) for p in generate_permutations(symmetric_generators(degree)).tolist()]
    assert sorted(permutations) == oracles.symmetric_group(degree)
    assert permutations[0] == tuple(range(degree))
    table = cayley(FiniteGroup.from_permutations(symmetric_generators(degree)))
    assert np.array_equal(table, oracles.cayley_table(permutations, oracles.after))


@pytest.mark.parametrize("name", QUATERNIONS)
def test_every_construction_of_the_quaternions_gives_the_one_group_with_six_elements_of_order_4(name: str) -> None:
    # among the five groups of order 8 the orders of the elements tell Q8
    assert oracles.element_orders(cayley(QUATERNIONS[name])) == [1, 2, 4, 4, 4, 4, 4, 4]


def test_a_table_is_taken_as_it_is() -> None:
    table = oracles.cayley_table(oracles.quaternion_units(), oracles.hamilton)
    assert np.array_equal(cayley(FiniteGroup.from_table(table.tolist())), table)
    assert np.array_equal(cayley(FiniteGroup.from_table(torch.from_numpy(table).to(torch.int32))), table)


def test_the_table_is_the_groups_own() -> None:
    table = torch.tensor([[0, 1], [1, 0]])
    group = FiniteGroup.from_table(table)
    table.zero_()
    assert int(group.compose(torch.tensor(0), torch.tensor(1))) == 1


def test_generated_matrices_multiply_as_the_group_composes() -> None:
    matrices = generate_matrices(QUATERNION_MATRICES)
    group = FiniteGroup.from_matrices(QUATERNION_MATRICES)
    g = group.elements()
    torch.testing.assert_close(matrices[group.compose(g[:, None], g)], matrices[:, None] @ matrices)
    quaternions = {tuple(m[:, 0].int().tolist()) for m in matrices}  # the first column of b -> a b is a
    assert quaternions == set(oracles.quaternion_units())


def test_signed_permutations_are_all_symmetries_of_a_cube() -> None:
    matrices = generate_matrices(
        [torch.eye(3)[[1, 0, 2]], torch.eye(3)[[1, 2, 0]], torch.diag(torch.tensor([-1.0, 1, 1]))]
    )
    found = {tuple(m.int().flatten().tolist()) for m in matrices}
    expected = set()
    for p in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            expected.add(tuple(int(s) * int(j == i) for i, s in zip(p, signs, strict=True) for j in range(3)))
    assert found == expected
    assert signed_permutations().group.order == 48


def test_from_matrices_identifies_products_within_the_tolerance() -> None:
    angle = torch.tensor(2 * torch.pi / 7, dtype=torch.float64)
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()]), torch.stack([angle.sin(), angle.cos()])])
    assert FiniteGroup.from_matrices([turn + 1e-9]).order == 7
    assert generate_matrices([torch.eye(2)]).shape == (1, 2, 2)


def test_tables_are_equal_iff_they_agree() -> None:
    cyclic = FiniteGroup.from_permutations([[1, 2, 3, 0]])
    klein = FiniteGroup.from_permutations([[1, 0, 2, 3], [0, 1, 3, 2]])
    assert cyclic == FiniteGroup.from_table(cayley(cyclic).tolist())
    assert cyclic != klein
    assert cyclic != "C_4"
    assert len({cyclic, FiniteGroup.from_table(cayley(cyclic).tolist()), klein}) == 2
    assert repr(klein) == "TableGroup(order=4)"


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("table", "message"),
    [
        (torch.zeros(2, 3, dtype=torch.int64), r"table: expected a square .* got shape \(2, 3\)"),
        (torch.zeros(4, dtype=torch.int64), r"table: expected a square .* got shape \(4,\)"),
        (torch.zeros(0, 0, dtype=torch.int64), r"table: expected a square .* got shape \(0, 0\)"),
        (torch.zeros(1, 1), "table: expected integers, got torch.float32"),
        (torch.zeros(1, 1, dtype=torch.bool), "table: expected integers, got torch.bool"),
        (torch.tensor([[1, 0], [0, 1]]), "table: expected element 0 to be the identity"),
        (torch.tensor([[0, 1, 2], [1, 0, 2], [2, 1, 0]]), "table: expected every column to list each element once"),
        (torch.tensor([[0, 1, 2], [1, 2, 0], [2, 0, 5]]), "table: expected every column to list each element once"),
        (torch.tensor(LOOP), r"table: not associative, \(x \d\) y differs from x \(\d y\)"),
    ],
)
def test_a_bad_table_is_an_error(table: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FiniteGroup.from_table(table)


def test_a_table_with_a_bad_row_but_good_columns_is_an_error() -> None:
    table = torch.tensor([[0, 1, 2, 3], [1, 0, 0, 1], [2, 3, 3, 2], [3, 2, 1, 0]])
    assert table.sort(0).values.tolist() == [[i] * 4 for i in range(4)]
    with pytest.raises(ValueError, match="table: expected every row to list each element once"):
        TableGroup(table)


@pytest.mark.parametrize(
    ("generators", "message"),
    [
        ([], "generators: expected at least one permutation, got none"),
        ([[0, 1], [0, 1, 2]], r"generators: expected permutations of one degree, got degrees \[2, 3\]"),
        ([[0, 0, 1]], r"generators: expected permutations of range\(3\), got \[0, 0, 1\]"),
        ([[1, 2, 3]], r"generators: expected permutations of range\(3\), got \[1, 2, 3\]"),
    ],
)
def test_bad_permutations_are_an_error(generators: list[list[int]], message: str) -> None:
    for make in (FiniteGroup.from_permutations, generate_permutations):
        with pytest.raises(ValueError, match=message):
            make(generators)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("generators", "message"),
    [
        ([], "generators: expected at least one matrix, got none"),
        ([torch.zeros(2, 3)], r"generators: expected square matrices, got shape \(2, 3\)"),
        ([torch.zeros(3)], r"generators: expected square matrices, got shape \(3,\)"),
        ([torch.eye(2), torch.eye(3)], r"generators: expected matrices of one shape, got \(2, 2\), \(3, 3\)"),
        ([torch.tensor([[torch.nan]])], "generators: expected finite matrices, got NaN or infinity"),
        ([torch.tensor([[1e200]], dtype=torch.float64)], "generators: their products diverge"),
    ],
)
def test_bad_matrices_are_an_error(generators: list[torch.Tensor], message: str) -> None:
    for make in (FiniteGroup.from_matrices, generate_matrices):
        with pytest.raises(ValueError, match=message):
            make(generators)


def test_an_infinite_group_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finite_module, "MAX_TABLE_ORDER", 50)  # for speed; the real bound is 20,000
    irrational = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    with pytest.raises(ValueError, match="generators: they generate more than 50 elements"):
        FiniteGroup.from_matrices([irrational])


@pytest.mark.parametrize("matrix", [torch.zeros(2, 2), torch.tensor([[0.5]]), torch.tensor([[1.0, 1.0], [0.0, 1.0]])])
def test_matrices_without_inverse_of_finite_order_are_an_error(
    matrix: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finite_module, "MAX_TABLE_ORDER", 50)
    with pytest.raises(ValueError, match=r"generators: |table: "):
        FiniteGroup.from_matrices([matrix])


def test_permutations_generate_quaternions_of_order_8() -> None:
    assert generate_permutations(QUATERNION_PERMUTATIONS).shape == (8, 8)
