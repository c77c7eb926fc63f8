"""Periodic grids with any sides: what they do, with kernels and encodings, and where the errors send a user."""

import math

import pytest
import torch
from torch import Tensor

from sympe.actions import GridAction, TorusAction
from sympe.encodings import SymPE
from sympe.groups import P4M, Cyclic, Dihedral, FiniteGroup, Product
from sympe.kernels import OrbitKernel
from sympe.testing import assert_action_laws, assert_equivariant_in_distribution


def test_shifts_and_reflections_are_rolls_and_flips() -> None:
    group = Product(Cyclic(8), Dihedral(12))
    x = torch.randn(3, 8, 12)
    action = TorusAction(group, 3)
    g = group.pack(torch.tensor(3), torch.tensor(12 + 5))  # r^5 m on the second axis
    assert torch.equal(action(g, x), x.flip(2).roll(1, 2).roll((3, 5), (1, 2)))


@pytest.mark.parametrize("factor", [Cyclic, Dihedral])
def test_on_a_square_it_is_a_part_of_what_the_lattice_has(factor: type[Cyclic] | type[Dihedral]) -> None:
    """Every image of a field is one that P4M makes of it."""
    x = torch.arange(9.0).view(1, 3, 3)
    some = TorusAction(Product(factor(3), factor(3))).orbit(x).flatten(1).tolist()
    every = GridAction(P4M(3)).orbit(x).flatten(1).tolist()
    assert len(some) == len({tuple(one) for one in some})
    assert all(one in every for one in some)


@pytest.mark.parametrize(
    ("group", "fixed"),
    [(Dihedral(1), 2), (Dihedral(2), 2), (Dihedral(3), 1), (Cyclic(1), 1), (Product(Dihedral(2), Dihedral(3)), 2)],
)
def test_reflections_of_two_sites_do_nothing(group: Cyclic | Dihedral | Product, fixed: int) -> None:
    action = TorusAction(group)
    assert len(action.trivial_elements()) == fixed
    assert action.is_faithful == (fixed == 1)


FIELDS: dict[str, tuple[FiniteGroup, Tensor, list[int]]] = {
    "signals": (
        Cyclic(6),
        torch.tensor([[1, 1, 1, 1, 1, 1], [1, 2, 1, 2, 1, 2], [1, 2, 3, 1, 2, 3], [1, 2, 3, 3, 2, 1]]),
        [6, 3, 2, 1],
    ),
    "reflected signals": (
        Dihedral(6),
        torch.tensor(
            [[1, 1, 1, 1, 1, 1], [1, 2, 1, 2, 1, 2], [1, 2, 3, 1, 2, 3], [1, 2, 3, 3, 2, 1], [1, 2, 4, 3, 5, 6]]
        ),
        [12, 6, 2, 2, 1],
    ),
    "rectangles": (
        Product(Cyclic(2), Cyclic(3)),
        torch.tensor([[[1, 1, 1], [1, 1, 1]], [[1, 2, 3], [1, 2, 3]], [[1, 1, 1], [2, 2, 2]], [[1, 0, 0], [0, 0, 0]]]),
        [6, 2, 3, 1],
    ),
    "reflected rectangles": (
        Product(Dihedral(3), Dihedral(4)),
        torch.stack([torch.zeros(3, 4), torch.eye(3, 4), torch.arange(12.0).view(3, 4)]),
        [48, 2, 1],
    ),
}


@pytest.mark.parametrize("name", FIELDS)
def test_the_kernel_on_it_is_exact_and_sympe_takes_it(name: str) -> None:
    group, x, counts = FIELDS[name]
    assert isinstance(group, Cyclic | Dihedral | Product)
    action, x = TorusAction(group), x[:, None].double()
    kernel = OrbitKernel(action)
    assert [int((action.orbit(one) == one).flatten(1).all(1).sum()) for one in x] == counts
    torch.testing.assert_close(kernel.entropy(x).exp(), torch.tensor(counts).float())
    assert_equivariant_in_distribution(kernel, action, x)
    encoding = SymPE(kernel, TorusAction(group, 4))
    assert encoding.is_free
    assert encoding(x).shape == (len(x), 4, *action.shape[1:])


class Untwisted(TorusAction):
    """Broken twin: shifts the other way, next to reflections that are right."""

    def source(self, g: Tensor, entry: Tensor) -> Tensor:
        n = self.shape[1]
        return torch.where(g // n == 1, (g - entry) % n, (entry + g) % n)


def test_the_twin_that_shifts_the_wrong_way_is_no_action() -> None:
    assert_action_laws(TorusAction(Dihedral(5)))
    with pytest.raises(AssertionError):
        assert_action_laws(Untwisted(Dihedral(5)))


def test_a_large_grid_is_fast_enough_to_use() -> None:
    """Without a table of the group: 24 x 32 has 3,072 reflections and shifts."""
    group = Product(Dihedral(24), Dihedral(32))
    x = torch.zeros(2, 1, 24, 32)
    x[1, 0, 3, 5] = 1
    entropy = OrbitKernel(TorusAction(group)).entropy(x)
    torch.testing.assert_close(entropy, torch.tensor([math.log(group.order), math.log(4)]))


@pytest.mark.usefixtures("unchecked")
def test_the_errors_say_what_to_take() -> None:
    with pytest.raises(
        TypeError,
        match=r"got \(8, 12\).*TorusAction\(Product\(Cyclic\(8\), Cyclic\(12\)\)\), or .*Dihedral\(8\), Dihedral\(12\)",
    ):
        P4M((8, 12))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="size: expected an integer, got tuple"):
        P4M((8, 8))  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match=r"group: expected Cyclic or Dihedral, or a Product of such.* got P4M\(size=3\)"
    ):
        TorusAction(P4M(3))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="group: expected Cyclic or Dihedral, or a Product"):
        TorusAction(Product(Cyclic(2), P4M(2)))
    with pytest.raises(ValueError, match="channels: expected at least 1, got 0"):
        TorusAction(Cyclic(3), 0)
