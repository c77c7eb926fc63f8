import itertools

import pytest
import torch

from sympe.actions import BondAction, GridAction
from sympe.groups import P4M, Cyclic

SIZES = range(1, 7)


def element(size: int, **parts: int) -> torch.Tensor:
    return torch.tensor(P4M(size).pack(**{"s": 0, "k": 0, "p": 0, "q": 0, **parts}))


def sites(size: int) -> list[tuple[int, int]]:
    return list(itertools.product(range(size), repeat=2))


@pytest.mark.parametrize("size", SIZES)
def test_fields_move_with_their_sites(size: int) -> None:
    x = torch.randn(2, size, size)
    action = GridAction(P4M(size), 2)
    rotated, reflected = action(element(size, k=1), x), action(element(size, s=1), x)
    for a, b in sites(size):
        assert torch.equal(rotated[:, -b % size, a], x[:, a, b])  # r: (a, b) -> (-b, a)
        assert torch.equal(reflected[:, a, -b % size], x[:, a, b])  # m: (a, b) -> (a, -b)
    for p, q in sites(size):
        assert torch.equal(action(element(size, p=p, q=q), x), x.roll((p, q), (1, 2)))


@pytest.mark.parametrize("size", SIZES)
def test_bonds_move_with_their_ends(size: int) -> None:
    B = torch.randn(2, size, size)
    action = BondAction(P4M(size))
    rB, mB = action(element(size, k=1), B), action(element(size, s=1), B)
    for a, b in sites(size):
        i = (a, b)
        ri, mi = (-b % size, a), (a, -b % size)
        assert rB[1][ri] == B[0][i]
        assert rB[0][(ri[0] - 1) % size, ri[1]] == B[1][i]  # r i - x̂
        assert mB[0][mi] == B[0][i]
        assert mB[1][mi[0], (mi[1] - 1) % size] == B[1][i]  # m i - ŷ
    for p, q in sites(size):
        assert torch.equal(action(element(size, p=p, q=q), B), B.roll((p, q), (1, 2)))


@pytest.mark.parametrize("size", range(2, 7))
def test_rot90_of_the_array_is_r_and_a_translation(size: int) -> None:
    x = torch.randn(1, size, size)
    action = GridAction(P4M(size))
    # rot90 turns about the centre: (a, b) -> (L - 1 - b, a), which is r, then t_(-1, 0)
    assert torch.equal(action(element(size, k=1, p=-1), x), torch.rot90(x, 1, (1, 2)))
    assert not torch.equal(action(element(size, k=1), x), torch.rot90(x, 1, (1, 2)))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("make", [GridAction, BondAction])
def test_another_group_is_an_error(make: type) -> None:
    with pytest.raises(TypeError, match=r"group: expected an instance of P4M .*, got Cyclic"):
        make(Cyclic(4))


def test_no_channel_is_an_error() -> None:
    with pytest.raises(ValueError, match="channels: expected at least 1, got 0"):
        GridAction(P4M(3), 0)
