"""What is no element, batch or generator is refused by every group, action, kernel and encoding, with what came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from sympe.actions import Action
from sympe.encodings import GraphSymPE, SymPE
from sympe.groups import Group, Permutations
from sympe.kernels import Kernel
from tests.catalogue import EVERY_ACTION, GROUPS, PERMUTATIONS
from tests.encodings.modules import MODULES

EVERY_GROUP: dict[str, Group] = {**GROUPS, **PERMUTATIONS}
pytestmark = pytest.mark.usefixtures("unchecked")


def no_elements(group: Group) -> list[tuple[Any, type[Exception]]]:
    """What is near elements: out of range on either side, twice the same node, of another type, no tensor."""
    right = group.identity((2,))
    if group.is_continuous:
        wrong = [(right.long(), TypeError), (right.tolist(), TypeError), (0, TypeError), (None, TypeError)]
        return [*wrong, (3 * right, ValueError), (right[..., :-1], ValueError)]
    wrong: list[tuple[Any, type[Exception]]] = [(right.double(), TypeError), (right.int(), TypeError)]
    wrong += [(right.tolist(), TypeError), (right.numpy(), TypeError), (0, TypeError), (None, TypeError)]
    degree = group.degree if isinstance(group, Permutations) else group.order
    wrong += [(right - 1, ValueError), (right + degree, ValueError)]
    if isinstance(group, Permutations):
        wrong.append((torch.cat([right, right[:, :1]], 1), ValueError))
        if group.degree > 1:
            wrong += [(right[:, :1], ValueError), (torch.zeros_like(right), ValueError)]
    return wrong


@pytest.mark.parametrize("name", EVERY_GROUP)
def test_groups_refuse_what_is_no_element(name: str) -> None:
    group = EVERY_GROUP[name]
    group.check(group.identity((2,)))
    group.check(group.sample((3, 2)))
    for g, error in no_elements(group):
        with pytest.raises(error, match="g: expected "):
            group.check(g)


@pytest.mark.parametrize("name", EVERY_ACTION)
def test_actions_refuse_what_is_no_element_and_no_tensor(name: str) -> None:
    action: Action = EVERY_ACTION[name]
    x = torch.zeros(2, *action.shape)
    action(action.group.identity((2,)), x)
    for g, error in no_elements(action.group):
        with pytest.raises(error, match="g: expected "):
            action(g, x)
    for wrong in (x.numpy(), x.tolist()):
        with pytest.raises(TypeError, match="x: expected a tensor, got"):
            action(action.group.identity((2,)), wrong)


def kernels() -> dict[str, Kernel]:
    made = {name: entry.make() for name, entry in MODULES.items()}
    found = {name: module.kernel for name, module in made.items() if isinstance(module, SymPE | GraphSymPE)}
    del found["learned frames"]  # has no log_prob
    return found


@pytest.mark.parametrize("name", kernels())
def test_kernels_refuse_what_is_no_element(name: str) -> None:
    kernel, x = kernels()[name], MODULES[name].inputs(2)
    assert kernel.log_prob(kernel.sample(x), x).shape == (2,)
    for g, error in no_elements(kernel.group):
        with pytest.raises(error, match="g: "):
            kernel.log_prob(g, x)


WRONG: list[tuple[str, Callable[[Any], Any]]] = [
    ("list", lambda x: [[0.0, 1.0]]),
    ("array", lambda x: np.zeros((2, 1, 3, 3))),
    ("number", lambda x: 2),
    ("nothing", lambda x: None),
]


@pytest.mark.parametrize("wrong", [pytest.param(make, id=name) for name, make in WRONG])
@pytest.mark.parametrize("name", MODULES)
def test_modules_refuse_what_is_no_batch(name: str, wrong: Callable[[Any], Any]) -> None:
    module, x = MODULES[name].make(), wrong(None)
    if name == "joined":
        module = module.encoding
    with pytest.raises(TypeError, match="x: expected "):
        module(x)


@pytest.mark.parametrize("generator", [0, 0.5, "seed", np.random.default_rng(0)], ids=type)
@pytest.mark.parametrize("name", MODULES)
def test_modules_refuse_what_is_no_generator(name: str, generator: Any) -> None:
    module, x = MODULES[name].make(), MODULES[name].inputs(2)
    with pytest.raises(TypeError, match=r"generator: expected a torch\.Generator"):
        module(x, generator=generator)
