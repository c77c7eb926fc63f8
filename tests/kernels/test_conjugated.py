from collections.abc import Callable

import pytest
import torch

from sympe.actions import Action, GridAction, RegularAction
from sympe.groups import P4M
from sympe.kernels import HaarConjugated, OrbitKernel
from sympe.testing import assert_equivariant_in_distribution
from tests.catalogue import ACTIONS, GROUPS, symmetric_inputs, symmetric_vectors

CASES: dict[str, Action] = {
    name: ACTIONS[name]
    for name in (
        "sites of P4M(2)",
        "sites of P4M(3)",
        "bonds and field of P4M(2)",
        "corners of the 6-gon",
        "S_4 on points",
        "rows and columns of a matrix",
        "D_4 on the plane",
        "Q8 on quaternions",
        "Q8 x C_2, a factor each",
    )
} | {"Q8 on itself": RegularAction(GROUPS["Q8 from matrices"]), "S_3 on itself": RegularAction(GROUPS["S_3"])}


def inputs(action: Action) -> torch.Tensor:
    return symmetric_inputs(action) if action.permutes_entries else symmetric_vectors(action)


def first_of_coset(action: Action) -> Callable[[torch.Tensor], torch.Tensor]:
    """A canonicalizer that breaks ties by the index of the element."""
    kernel = OrbitKernel(action)
    return lambda x: kernel.coset(x).to(torch.uint8).argmax(1)


def probabilities(kernel: HaarConjugated | OrbitKernel, x: torch.Tensor) -> torch.Tensor:
    every = kernel.group.elements()
    return torch.stack([kernel.log_prob(every, row.expand(len(every), *row.shape)).exp() for row in x])


def constant(action: Action) -> Callable[[torch.Tensor], torch.Tensor]:
    last = action.group.order - 1
    return lambda x: torch.full((len(x),), last)


def by_position(action: Action) -> Callable[[torch.Tensor], torch.Tensor]:
    """Anything but equivariant: a hash of the entries and their places."""
    weights = torch.arange(1, action.size + 1).double() ** 1.5
    return lambda x: ((x.double().flatten(1) * 10).round() @ weights).abs().long() % action.group.order


@pytest.mark.parametrize("name", CASES)
def test_with_a_canonicalizer_it_is_the_inversion_kernel(name: str) -> None:
    action = CASES[name]
    kernel, orbit, x = HaarConjugated(first_of_coset(action), action), OrbitKernel(action), inputs(action)
    torch.testing.assert_close(probabilities(kernel, x), probabilities(orbit, x))
    torch.testing.assert_close(kernel.entropy(x), orbit.entropy(x))


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("map_", [first_of_coset, constant, by_position])
@pytest.mark.parametrize("name", [name for name, action in CASES.items() if action.group.order <= 32])
def test_with_any_map_at_all_it_is_equivariant(name: str, map_: Callable[..., Callable[..., torch.Tensor]]) -> None:
    action = CASES[name]
    x = inputs(action)[[0, 1, -1]]
    assert_equivariant_in_distribution(HaarConjugated(map_(action), action), action, x, max_elements=8)


def test_a_constant_map_gives_the_haar_law() -> None:
    action = CASES["S_4 on points"]  # u^-1 c is uniform
    kernel = HaarConjugated(constant(action), action)
    torch.testing.assert_close(probabilities(kernel, inputs(action)[:2]), torch.full((2, 24), 1 / 24))


def test_the_map_of_the_twin_is_not_equivariant_by_itself() -> None:
    action = CASES["sites of P4M(3)"]
    c, x, group = by_position(action), inputs(action)[1:2], action.group
    h = group.elements()
    assert not torch.equal(c(action(h, x)), group.compose(h, c(x)))


def test_every_draw_canonicalizes() -> None:
    action = CASES["sites of P4M(3)"]
    kernel = HaarConjugated(first_of_coset(action), action)
    x = inputs(action)
    canonical = OrbitKernel(action).canonical_form(x)
    for seed in range(20):
        g = kernel.sample(x, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(action(action.group.inverse(g), x), canonical)


def test_probabilities_in_chunks_are_those_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    action = CASES["sites of P4M(2)"]
    kernel, x = HaarConjugated(by_position(action), action), inputs(action)
    entropy = kernel.entropy(x)
    monkeypatch.setattr("sympe.kernels.conjugated.CHUNK", 1)
    assert torch.equal(kernel.entropy(x), entropy)


@pytest.mark.parametrize(
    ("answer", "got"),
    [
        (lambda x: torch.zeros(len(x), 1, dtype=torch.int64), r"torch.int64 \(2, 1\)"),
        (lambda x: torch.zeros((), dtype=torch.int64), r"torch.int64 \(\)"),
        (lambda x: torch.zeros(len(x)), r"torch.float32 \(2,\)"),
    ],
)
def test_a_map_that_does_not_give_elements_is_an_error(
    answer: Callable[[torch.Tensor], torch.Tensor], got: str
) -> None:
    kernel = HaarConjugated(answer, GridAction(P4M(2)))
    with pytest.raises(ValueError, match=rf"canonicalizer: expected int64 elements of shape \(2,\), got {got}"):
        kernel.sample(torch.zeros(2, 1, 2, 2))


@pytest.mark.parametrize("element", [-1, 32])
def test_a_map_that_leaves_the_group_is_an_error(element: int) -> None:
    kernel = HaarConjugated(lambda x: torch.full((len(x),), element), GridAction(P4M(2)))
    x = torch.zeros(2, 1, 2, 2)
    for call in (kernel.sample, kernel.entropy):
        with pytest.raises(
            ValueError, match=rf"canonicalizer: expected elements of P4M\(size=2\), in range\(32\), got {element}"
        ):
            call(x)


def test_a_wrong_shape_is_an_error() -> None:
    kernel = HaarConjugated(lambda x: torch.zeros(len(x), dtype=torch.int64), GridAction(P4M(2)))
    x = torch.zeros(2, 1, 3, 3)
    calls: list[Callable[[], torch.Tensor]] = [
        lambda: kernel.sample(x),
        lambda: kernel.entropy(x),
        lambda: kernel.log_prob(torch.zeros(2, dtype=torch.int64), x),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"x: expected shape \(\*batch, 1, 2, 2\), got \(2, 1, 3, 3\)"):
            call()
