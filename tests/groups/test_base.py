import math

import pytest
import torch

from sympe import groups
from sympe.groups import Cyclic, FiniteGroup, Group
from sympe.testing import assert_group_laws
from tests.catalogue import EVERY_GROUP, GROUPS, PERMUTATIONS, public_leaves


def test_the_catalogue_holds_every_public_group() -> None:
    assert public_leaves(groups, Group) == {type(group) for group in EVERY_GROUP.values()}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if 150 < group.order < math.inf else name
        for name, group in EVERY_GROUP.items()
    ],
)
def test_group_laws(name: str) -> None:
    assert_group_laws(EVERY_GROUP[name])


@pytest.mark.parametrize("name", PERMUTATIONS)
def test_the_identity_comes_first_and_elements_have_the_shape_of_one(name: str) -> None:
    group = PERMUTATIONS[name]
    assert not isinstance(group, FiniteGroup)
    assert group.elements().shape == (group.order, *group.element_shape)
    assert torch.equal(group.elements()[0], group.identity())
    assert torch.equal(group.identity((2, 3)), group.identity().expand(2, 3, *group.element_shape))


@pytest.mark.parametrize("name", GROUPS)
def test_element_zero_is_the_identity_and_elements_are_indices(name: str) -> None:
    group = GROUPS[name]
    assert group.element_shape == ()
    assert group.elements().tolist() == list(range(group.order))
    assert torch.equal(group.identity((2, 3)), torch.zeros(2, 3, dtype=torch.int64))
    assert isinstance(group, FiniteGroup)


@pytest.mark.parametrize("name", ["C_5", "D_4", "S_3", "P4M(3)", "Cyclic(n=3) x Cyclic(n=4) #3"])
def test_compose_and_inverse_broadcast(name: str) -> None:
    group = GROUPS[name]
    g, h = group.sample((4, 1, 2)), group.sample((3, 1))
    products = group.compose(g, h)
    assert products.shape == (4, 3, 2)
    expected = [[[int(group.compose(g[i, 0, k], h[j, 0])) for k in range(2)] for j in range(3)] for i in range(4)]
    assert products.tolist() == expected
    assert group.inverse(g).shape == (4, 1, 2)


@pytest.mark.parametrize("name", EVERY_GROUP)
def test_sample_is_determined_by_its_generator_and_leaves_the_global_one_alone(name: str) -> None:
    group = EVERY_GROUP[name]
    before = torch.get_rng_state()
    if "Euclidean" in name:
        with pytest.raises(ValueError, match=r"Euclidean\(\d\) has no uniform distribution, for it has translations"):
            group.sample((3, 5))
        return
    one, two = (group.sample((3, 5), generator=torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert one.shape == (3, 5, *group.element_shape)
    assert one.dtype == (torch.float32 if group.is_continuous else torch.int64)
    group.check(one)
    assert torch.equal(one, two)


def test_sample_without_generator_follows_the_global_seed() -> None:
    torch.manual_seed(3)
    one = Cyclic(1000).sample((5,))
    torch.manual_seed(3)
    assert torch.equal(one, Cyclic(1000).sample((5,)))


@pytest.mark.parametrize("name", EVERY_GROUP)
def test_equal_groups_are_equal_and_hash_alike(name: str) -> None:
    group = EVERY_GROUP[name]
    others = [other for key, other in EVERY_GROUP.items() if key != name]
    assert group == group
    assert hash(group) == hash(EVERY_GROUP[name])
    for other in others:
        if group == other:  # only different presentations of one table may coincide
            assert group.order == other.order
            assert hash(group) == hash(other)
            g = group.elements()
            assert torch.equal(group.compose(g[:, None], g), other.compose(g[:, None], g))
