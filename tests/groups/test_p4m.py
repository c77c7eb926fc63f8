import itertools

import numpy as np
import pytest
import torch

from sympe.groups import P4M
from sympe.groups.p4m import point_act
from tests import oracles

SIZES = range(1, 7)


@pytest.mark.parametrize("size", SIZES)
def test_compose_and_inverse_are_those_of_affine_maps(size: int) -> None:
    group = P4M(size)
    g = group.elements()
    table = oracles.p4m_table(size)
    assert np.array_equal(group.compose(g[:, None], g).numpy(), table)
    assert np.array_equal(group.inverse(g).numpy(), oracles.inverses(table))


@pytest.mark.parametrize("size", SIZES)
def test_act_moves_sites_as_affine_maps_do(size: int) -> None:
    group = P4M(size)
    sites = torch.arange(size**2)
    a, b = group.act(group.elements()[:, None], sites // size, sites % size)
    assert np.array_equal((a * size + b).numpy(), oracles.site_images(size))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_translation_rotation_and_reflection_are_those_of_the_conventions(size: int) -> None:
    group = P4M(size)
    for a, b, p, q in itertools.product(range(size), repeat=4):
        site = torch.tensor(a), torch.tensor(b)
        images = {
            (0, 0, p, q): ((a + p) % size, (b + q) % size),  # t_(p,q): (a, b) -> (a + p, b + q)
            (0, 1, 0, 0): (-b % size, a),  # r: (a, b) -> (-b, a)
            (1, 0, 0, 0): (a, -b % size),  # m: (a, b) -> (a, -b)
        }
        for (s, k, x, y), expected in images.items():
            g = torch.tensor(group.pack(s=s, k=k, p=x, q=y))
            assert tuple(int(i) for i in group.act(g, *site)) == expected


@pytest.mark.parametrize("size", SIZES)
def test_pack_numbers_s_k_p_q_in_order_and_unpack_is_its_inverse(size: int) -> None:
    group = P4M(size)
    parts = list(itertools.product(range(2), range(4), range(size), range(size)))
    assert [group.pack(s=s, k=k, p=p, q=q) for s, k, p, q in parts] == list(range(group.order))
    assert torch.stack(group.unpack(group.elements())).T.tolist() == [list(part) for part in parts]
    assert group.pack(s=3, k=-1, p=-1, q=size) == group.pack(s=1, k=3, p=size - 1, q=0)
    assert group.layout == (8, size, size)


@pytest.mark.parametrize("size", SIZES)
def test_every_element_is_t_r_m_of_its_parts(size: int) -> None:
    group = P4M(size)
    s, k, p, q = group.unpack(group.elements())
    t = p * size + q
    r, m = group.pack(s=0, k=1, p=0, q=0), group.pack(s=1, k=0, p=0, q=0)
    turns = [group.identity()]
    for _ in range(3):
        turns.append(group.compose(turns[-1], torch.tensor(r)))
    point = group.compose(torch.stack(turns)[k], torch.where(s == 1, m, 0))
    assert torch.equal(group.compose(t, point), group.elements())


def test_point_act_is_the_matrix_product() -> None:
    for s, k in itertools.product(range(2), range(4)):
        matrix = oracles.p4m_elements(1)[s * 4 + k][0]
        for a, b in [(1, 0), (0, 1), (3, -2)]:
            image = point_act(*(torch.tensor(i) for i in (s, k, a, b)))
            expected = (matrix[0] * a + matrix[1] * b, matrix[2] * a + matrix[3] * b)
            assert tuple(int(i) for i in image) == expected


def test_a_large_group_needs_no_table() -> None:
    group = P4M(4096)  # 134 million elements
    g, h = group.sample((2, 1000), generator=torch.Generator().manual_seed(0))
    assert torch.equal(group.compose(group.compose(g, h), group.inverse(h)), g)


@pytest.mark.parametrize("size", [0, -2])
def test_size_below_one_is_an_error(size: int) -> None:
    with pytest.raises(ValueError, match=f"size: expected at least 1, got {size}"):
        P4M(size)
