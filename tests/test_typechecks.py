"""What the tests' checks of types and shapes see: see conftest.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import beartype
import jaxtyping
import pytest
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sympe.actions import GridAction, RegularAction
from sympe.graphs import DenseGraphs
from sympe.groups import Cyclic, Dihedral
from sympe.kernels import OrbitKernel
from sympe.testing.equivariance import step_down

as_the_hook_does = jaxtyping.jaxtyped(typechecker=beartype.beartype)


@as_the_hook_does
def first(x: Float[Tensor, "a b"], y: Float[Tensor, " a"], *, rows: int = 0) -> Float[Tensor, " b"]:
    return y if rows else x[0]


@as_the_hook_does
def outer(x: Float[Tensor, " a"]) -> Float[Tensor, " b"]:
    return first(x[None], x[:1])  # names of axes are of one call: another a


@as_the_hook_does
def numbers(count: int) -> Iterator[int]:
    yield from range(count)


class Kinds:
    @property
    @as_the_hook_does
    def wrong(self) -> int:
        return "1"

    @as_the_hook_does
    @property
    def wrong_too(self) -> int:
        return "1"

    @as_the_hook_does
    @classmethod
    def of(cls, x: Int64[Tensor, " a"]) -> Kinds:
        return cls()

    @as_the_hook_does
    @staticmethod
    def count(x: Kinds) -> int:
        return 1


WRONG: dict[str, Callable[[], Any]] = {
    "kind": lambda: first(torch.zeros(2, 3).long(), torch.zeros(2)),
    "axes": lambda: first(torch.zeros(2), torch.zeros(2)),
    "no tensor": lambda: first([[1.0]], torch.zeros(1)),
    "two sizes of one name": lambda: first(torch.zeros(2, 3), torch.zeros(3)),
    "the result": lambda: first(torch.zeros(2, 3), torch.zeros(2), rows=1),
    "a number": lambda: first(torch.zeros(2, 3), torch.zeros(2), rows=0.0),
    "a property": lambda: Kinds().wrong,
    "a property that is decorated": lambda: Kinds().wrong_too,
    "a class method": lambda: Kinds.of(torch.zeros(2)),
    "a static method": lambda: Kinds.count(1),
    "a generator": lambda: numbers("2"),
    "sympe: a function": lambda: step_down([[1.0]]),
    "sympe: a dataclass": lambda: DenseGraphs(torch.zeros(1, 2, 2), torch.zeros(1, 2), torch.ones(1, 2)),
    "sympe: a class": lambda: OrbitKernel("sites"),
    "sympe: a method": lambda: RegularAction(Cyclic(3))("g", torch.zeros(1, 1, 3)),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_seen(case: str) -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        WRONG[case]()


@pytest.mark.usefixtures("unchecked")
def test_unchecked_calls_are_as_those_of_a_user() -> None:
    assert torch.equal(first(torch.zeros(2, 3).long(), torch.zeros(3)), torch.zeros(3))
    assert Kinds().wrong == "1"
    with pytest.raises(TypeError, match="group: expected"):
        GridAction(Dihedral(4))


def test_what_is_right_passes() -> None:
    assert torch.equal(first(torch.zeros(2, 3), torch.zeros(2)), torch.zeros(3))
    assert torch.equal(outer(torch.zeros(3)), torch.zeros(3))
    assert list(numbers(2)) == [0, 1]
    assert Kinds.count(Kinds.of(torch.zeros(2).long())) == 1
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        first(torch.zeros(2, 3))


def test_an_inner_loop_is_checked_at_every_call_first_and_then_again_and_again() -> None:
    right, wrong = torch.zeros(2), torch.zeros(3)
    x = torch.zeros(2, 2)
    for _ in range(1000):
        with pytest.raises(jaxtyping.TypeCheckError):
            first(x, wrong, rows=1)
    seen = 0
    for _ in range(3 * 17):
        first(x, right)
        try:
            first(x, wrong)
        except jaxtyping.TypeCheckError:
            seen += 1
    assert seen == 3
