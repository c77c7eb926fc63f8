"""The symmetric group, held against its Cayley table (a finite group) and permutation matrices."""

import itertools
import math
import re

import pytest
import torch

from sympe.groups import Permutations, generate_permutations
from tests.catalogue import symmetric, symmetric_generators

DEGREES = range(2, 6)


def matrices(p: torch.Tensor) -> torch.Tensor:
    """M e_i = e_p[i]."""
    return torch.eye(p.shape[-1])[p].mT


@pytest.mark.parametrize("degree", DEGREES)
def test_the_listing_of_the_finite_group_is_a_homomorphism(degree: int) -> None:
    group, table = Permutations(degree), symmetric(degree)
    p = generate_permutations(symmetric_generators(degree))
    g = table.elements()
    assert group.order == table.order == len(p)
    assert torch.equal(group.compose(p[:, None], p), p[table.compose(g[:, None], g)])
    assert torch.equal(group.inverse(p), p[table.inverse(g)])


@pytest.mark.parametrize("degree", DEGREES)
def test_permutation_matrices_are_a_homomorphism(degree: int) -> None:
    group = Permutations(degree)
    p = group.elements()
    assert torch.equal(matrices(group.compose(p[:, None], p)), matrices(p)[:, None] @ matrices(p))
    assert torch.equal(matrices(group.inverse(p)), matrices(p).mT)


def test_compose_applies_the_right_one_first() -> None:
    group = Permutations(3)
    cycle, swap = torch.tensor([1, 2, 0]), torch.tensor([1, 0, 2])
    assert [int(cycle[swap[i]]) for i in range(3)] == [2, 1, 0]
    assert group.compose(cycle, swap).tolist() == [2, 1, 0]
    assert group.compose(swap, cycle).tolist() == [0, 2, 1]


@pytest.mark.parametrize("degree", range(1, 9))
def test_elements_are_all_in_lexicographic_order(degree: int) -> None:
    listed = Permutations(degree).elements()
    rows = [tuple(row) for row in listed.tolist()]
    assert rows == sorted(set(itertools.permutations(range(degree))))
    assert listed.dtype == torch.int64
    assert len(rows) == Permutations(degree).order == math.factorial(degree)


def test_the_order_is_exact() -> None:
    assert Permutations(30).order == math.factorial(30) > 2**64


def test_compose_and_inverse_broadcast() -> None:
    group = Permutations(5)
    g, h = group.sample((4, 1, 2)), group.sample((3, 1))
    products = group.compose(g, h)
    assert products.shape == (4, 3, 2, 5)
    for i, j, k in itertools.product(range(4), range(3), range(2)):
        assert products[i, j, k].tolist() == [int(g[i, 0, k, a]) for a in h[j, 0]]
    shared = group.sample().expand(3, 5)  # rows in one memory
    assert torch.equal(group.compose(shared, group.inverse(shared)), group.identity((3,)))
    assert group.inverse(g[:0]).shape == (0, 1, 2, 5)


def test_one_permutation_of_a_million_is_drawn_and_inverted() -> None:
    """As a matrix it would have 10^12 entries."""
    group = Permutations(10**6)
    p = group.sample(generator=torch.Generator().manual_seed(0))
    group.check(p)
    assert torch.equal(group.compose(p, group.inverse(p)), group.identity())


def test_large_samples_are_uniform_in_every_place() -> None:
    """The image of point 0 and that of the last, among 40: chi-square on 40 cells, false alarm 1e-6 each, seeded."""
    draws = Permutations(40).sample((8000,), generator=torch.Generator().manual_seed(0))
    for place in (0, 39):
        counts = draws[:, place].bincount(minlength=40).double()
        statistic = ((counts - 200) ** 2 / 200).sum()
        assert float(torch.special.gammaincc(torch.tensor(39 / 2).double(), statistic / 2)) > 1e-6


def test_sample_without_generator_follows_the_global_seed() -> None:
    torch.manual_seed(3)
    one = Permutations(20).sample((5,))
    torch.manual_seed(3)
    assert torch.equal(one, Permutations(20).sample((5,)))


def test_groups_are_equal_by_degree() -> None:
    assert Permutations(4) == Permutations(4)
    assert hash(Permutations(4)) == hash(Permutations(4))
    assert Permutations(4) != Permutations(5)
    assert Permutations(3) != symmetric(3)  # elements of another kind


@pytest.mark.parametrize("degree", [0, -3])
def test_a_degree_below_one_is_an_error(degree: int) -> None:
    with pytest.raises(ValueError, match=f"degree: expected at least 1, got {degree}"):
        Permutations(degree)


def test_too_many_elements_to_list_are_an_error() -> None:
    with pytest.raises(ValueError, match="degree: expected at most 8 to list all elements, got 9"):
        Permutations(9).elements()


def test_check_passes_permutations() -> None:
    Permutations(5).check(Permutations(5).sample((2, 3)))
    Permutations(5).check(Permutations(5).identity())
    Permutations(5).check(Permutations(5).sample((0,)))


@pytest.mark.parametrize(
    ("g", "message"),
    [
        (torch.arange(4), "g: expected shape (*batch, 3), got (4,)"),
        (torch.tensor(0), "g: expected shape (*batch, 3), got ()"),
        (torch.arange(3).int(), "g: expected int64 permutations of shape (*batch, 3), got torch.int32"),
        (torch.arange(3.0), "g: expected int64 permutations of shape (*batch, 3), got torch.float32"),
        (torch.tensor([0, 2, 2]), "g: expected permutations of range(3), got [0, 2, 2]"),
        (torch.tensor([[0, 1, 2], [1, 2, 3]]), "g: expected permutations of range(3), got [1, 2, 3]"),
        (torch.tensor([[[0, 1, 2], [-1, 0, 1]]]), "g: expected permutations of range(3), got [-1, 0, 1]"),
    ],
)
def test_check_rejects_what_is_no_permutation(g: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError if g.dtype == torch.int64 else TypeError, match=re.escape(message)):
        Permutations(3).check(g)


def test_check_names_the_argument_it_is_given_and_shows_the_start_of_long_rows() -> None:
    shown = ", ".join(["0"] * 20)
    with pytest.raises(ValueError, match=re.escape(f"u: expected permutations of range(50), got [{shown}, ...]")):
        Permutations(50).check(torch.zeros(50, dtype=torch.int64), "u")
