import math

import pytest
import torch

from sympe.groups import PermutationProduct, Permutations


def test_it_composes_and_inverts_factor_by_factor() -> None:
    group = PermutationProduct(2, 3, 4)
    g, h = (group.sample((5,), generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    products, inverses = group.components(group.compose(g, h)), group.components(group.inverse(g))
    parts = zip(group.components(g), group.components(h), products, inverses, strict=True)
    for degree, (a, b, product, inverse) in zip(group.degrees, parts, strict=True):
        assert torch.equal(product, Permutations(degree).compose(a, b))
        assert torch.equal(inverse, Permutations(degree).inverse(a))
    assert torch.equal(group.pack(*group.components(g)), g)


def test_operations_broadcast() -> None:
    group = PermutationProduct(2, 3)
    g, h = group.sample((4, 1)), group.sample((3,))
    assert group.compose(g, h).shape == (4, 3, 5)
    assert group.pack(torch.arange(2), torch.arange(3).expand(4, 3)).shape == (4, 5)


def test_elements_are_all_of_them_once_and_samples_are_uniform() -> None:
    group = PermutationProduct(2, 3)
    every = group.elements()
    assert len(every.unique(dim=0)) == len(every) == group.order == 12
    drawn = group.sample((12_000,), generator=torch.Generator().manual_seed(0))
    _, counts = drawn.unique(dim=0, return_counts=True)
    assert len(counts) == 12
    assert float(((counts - 1000) ** 2 / 1000).sum()) < 60  # chi-square on 11 degrees: false alarm 9e-9


def test_the_order_is_exact() -> None:
    assert PermutationProduct(20, 30).order == math.factorial(20) * math.factorial(30)


def test_groups_of_the_same_number_of_points_differ() -> None:
    assert PermutationProduct(2, 3) == PermutationProduct(2, 3) != PermutationProduct(3, 2)
    assert PermutationProduct(3) != Permutations(3)
    assert len({PermutationProduct(2, 3), PermutationProduct(2, 3), PermutationProduct(3, 2)}) == 2


@pytest.mark.usefixtures("unchecked")
def test_wrong_arguments_are_errors() -> None:
    with pytest.raises(ValueError, match="degrees: expected at least one number of points, got none"):
        PermutationProduct()
    with pytest.raises(ValueError, match="degrees: expected at least 1, got 0"):
        PermutationProduct(2, 0)
    with pytest.raises(TypeError, match="degrees: expected an integer, got tuple"):
        PermutationProduct((2, 3))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"degrees: expected at most 50,000 elements to list them all, got \(6, 6\)"):
        PermutationProduct(6, 6).elements()
    group = PermutationProduct(2, 3)
    with pytest.raises(ValueError, match="parts: expected 2 permutations, got 1"):
        group.pack(torch.arange(2))
    with pytest.raises(ValueError, match=r"g: expected shape \(\*batch, 5\), got \(2, 4\)"):
        group.check(torch.zeros(2, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"g: expected permutations of range\(3\), got \[0, 1, 1\]"):
        group.check(torch.tensor([1, 0, 0, 1, 1]))
    with pytest.raises(TypeError, match=r"g: expected int64 permutations of shape \(\*batch, 5\), got torch.float32"):
        group.check(torch.zeros(5))
