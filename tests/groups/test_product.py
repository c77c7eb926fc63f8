import itertools

import pytest
import torch

from sympe.groups import Cyclic, Dihedral, Product
from tests.catalogue import PRODUCTS


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_composes_and_inverts_factor_by_factor(name: str) -> None:
    group = PRODUCTS[name]
    generator = torch.Generator().manual_seed(0)
    g, h = group.sample((2, 300), generator=generator)
    products, inverses = group.components(group.compose(g, h)), group.components(group.inverse(g))
    parts = zip(group.factors, group.components(g), group.components(h), products, inverses, strict=True)
    for factor, a, b, product, inverse in parts:
        assert torch.equal(product, factor.compose(a, b))
        assert torch.equal(inverse, factor.inverse(a))


@pytest.mark.parametrize("name", PRODUCTS)
def test_the_last_component_runs_fastest(name: str) -> None:
    group = PRODUCTS[name]
    expected = list(itertools.product(*(range(order) for order in group.layout)))
    assert list(zip(*(part.tolist() for part in group.components(group.elements())), strict=True)) == expected
    assert torch.equal(group.pack(*group.components(group.elements())), group.elements())


def test_order_is_the_product_of_orders() -> None:
    assert Product(Cyclic(5), Dihedral(3), Cyclic(2)).order == 60
    assert max(group.order for group in PRODUCTS.values()) == 200


def test_equality_is_that_of_the_factors() -> None:
    assert Product(Cyclic(2), Cyclic(3)) == Product(Cyclic(2), Cyclic(3))
    assert Product(Cyclic(2), Cyclic(3)) != Product(Cyclic(3), Cyclic(2))
    assert Product(Cyclic(2)) != Cyclic(2)
    assert repr(Product(Cyclic(2), Cyclic(3))) == "Product(Cyclic(n=2), Cyclic(n=3))"


def test_no_factor_is_an_error() -> None:
    with pytest.raises(ValueError, match="factors: expected at least one group, got none"):
        Product()


@pytest.mark.usefixtures("unchecked")
def test_a_factor_that_is_no_finite_group_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"factors: expected finite groups with indices for elements .*, got str"):
        Product(Cyclic(2), "C_3")  # type: ignore[arg-type]


def test_the_wrong_number_of_components_is_an_error() -> None:
    with pytest.raises(ValueError, match="parts: expected 2 components, got 1"):
        Product(Cyclic(2), Cyclic(3)).pack(torch.tensor(1))
