"""Haar conjugation for groups whose elements are tensors: a user's own rotations by matrices, and permutations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sympe.actions import Action, NodeAction
from sympe.encodings import Canonicalized, SymPE
from sympe.groups import Group, Permutations
from sympe.kernels import HaarConjugated, SetKernel


@dataclass(frozen=True)
class Turns(Group):
    """What a user may write: rotations of R^d by matrices, d = 2 or 3."""

    dim: int

    @property
    def element_shape(self) -> tuple[int, ...]:
        return (self.dim, self.dim)

    @property
    def order(self) -> int:
        raise ValueError("order: there are infinitely many rotations")

    def identity(self, shape: Sequence[int] = (), *, device: torch.device | str | None = None) -> Tensor:
        return torch.eye(self.dim, device=device).repeat(*shape, 1, 1)

    def elements(self, *, device: torch.device | str | None = None) -> Tensor:
        raise ValueError("elements: there are infinitely many rotations")

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        return g @ h

    def inverse(self, g: Tensor) -> Tensor:
        return g.mT

    def sample(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Gram-Schmidt of normal numbers, with the sign that makes it unique, and determinant 1."""
        q, r = torch.linalg.qr(torch.randn(*shape, self.dim, self.dim, generator=generator, device=device))
        q = q * r.diagonal(dim1=-2, dim2=-1).sign()[..., None, :]
        return torch.cat([q[..., :-1], q[..., -1:] * torch.linalg.det(q)[..., None, None]], -1)

    def check(self, g: Tensor, name: str = "g") -> None:
        if not torch.allclose(g @ g.mT, torch.eye(self.dim).to(g), atol=1e-4):
            raise ValueError(f"{name}: expected rotations")


@dataclass(frozen=True)
class Vectors(Action):
    """Rotations on vectors of shape ``(count, d)``."""

    turns: Turns
    count: int

    @property
    def group(self) -> Turns:
        return self.turns

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.count, self.turns.dim)

    @property
    def is_faithful(self) -> bool:
        return self.count >= self.turns.dim - 1

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        self.check(x)
        return (g.to(x)[..., None, :, :] @ x[..., None])[..., 0]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def frame(x: Tensor) -> Tensor:
    """Gram-Schmidt of the vectors of x and, where they leave a direction free, of fixed ones: ties by position."""
    dim = x.shape[-1]
    fixed = torch.eye(dim).to(x).expand(len(x), dim, dim)
    left = torch.cat([x, fixed], 1).unbind(1)
    rank = torch.zeros(len(x), dtype=torch.int64)
    out = torch.zeros(len(x), dim, dim, dtype=x.dtype)
    for vector in left:
        rest = vector - (out @ (out.mT @ vector[..., None]))[..., 0]
        new = (rest.norm(dim=1) > 1e-3) & (rank < dim)
        place = rank.clamp(max=dim - 1)
        unit = rest / rest.norm(dim=1, keepdim=True).clamp(min=1e-9)
        column = torch.where(new[:, None], unit, out[torch.arange(len(x)), :, place])
        out[torch.arange(len(x)), :, place] = column
        rank = rank + new
    sign = torch.linalg.det(out)
    out[:, :, -1] *= sign[:, None]
    return out


CASES = {2: 1, 3: 2}
"""Generic vectors that leave no symmetry, by dimension."""


def kernel_of(dim: int, count: int) -> HaarConjugated:
    return HaarConjugated(frame, Vectors(Turns(dim), count))


@pytest.mark.parametrize("dim", CASES)
def test_where_nothing_is_random_it_is_the_equivariant_frame(dim: int) -> None:
    """|G_x| = 1: u falls out, in every draw."""
    kernel = kernel_of(dim, CASES[dim])
    action, group = kernel.action, kernel.group
    x = torch.randn(20, *action.shape, generator=seeded(0))
    g = kernel.sample(x, generator=seeded(1))
    assert g.shape == (20, dim, dim)
    torch.testing.assert_close(g, kernel.sample(x, generator=seeded(2)), rtol=0, atol=1e-5)
    h = group.sample((20,), generator=seeded(3))
    torch.testing.assert_close(kernel.sample(action(h, x)), group.compose(h, g), rtol=0, atol=1e-5)
    forms = action(group.inverse(g), x)
    torch.testing.assert_close(
        action(group.inverse(kernel.sample(action(h, x))), action(h, x)), forms, rtol=0, atol=1e-4
    )


def distance_from_uniform(numbers: Tensor) -> float:
    """Kolmogorov and Smirnov's sqrt(n) sup |F_n - F| of numbers in [0, 1)."""
    ordered = numbers.sort().values.double()
    n = len(ordered)
    steps = torch.arange(n + 1).double() / n
    return float(torch.maximum((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()) * math.sqrt(n))


def angles(g: Tensor, x: Tensor) -> Tensor:
    """In the plane the angle of g; in space that of its second column about the one vector of x, in [0, 1)."""
    if g.shape[-1] == 2:
        sine, cosine = g[:, 1, 0], g[:, 0, 0]
    else:
        axis = nn.functional.normalize(x[:, 0], dim=1)
        one = nn.functional.normalize(
            torch.linalg.cross(axis, torch.tensor([0.3, 0.2, 0.9]).to(axis).expand_as(axis)), dim=1
        )
        other = torch.linalg.cross(axis, one)
        sine, cosine = (g[:, :, 1] * other).sum(1), (g[:, :, 1] * one).sum(1)
    return (torch.atan2(sine, cosine) / (2 * math.pi)) % 1


@pytest.mark.parametrize("dim", CASES)
def test_on_a_symmetric_input_it_is_uniform_on_the_coset(dim: int) -> None:
    """Nothing in the plane, one vector in space: G_x is SO(2), over which draws are spread evenly."""
    kernel = kernel_of(dim, 1)
    x = torch.zeros(4000, 1, dim, dtype=torch.float64)
    if dim == 3:
        x[:, 0] = torch.tensor([1.0, -2.0, 0.5])
    g = kernel.sample(x, generator=seeded(0))
    forms = kernel.action(kernel.group.inverse(g), x)
    torch.testing.assert_close(forms, forms[:1].expand_as(forms), rtol=0, atol=1e-5)
    assert distance_from_uniform(angles(g, x)) < 3.1  # false alarm 2 exp(-2 * 3.1^2) = 1e-8


@pytest.mark.parametrize("dim", CASES)
def test_the_frame_by_itself_is_neither_spread_nor_equivariant(dim: int) -> None:
    """The broken twin: no u, ties by position."""
    x = torch.zeros(4000, 1, dim, dtype=torch.float64)
    if dim == 3:
        x[:, 0] = torch.tensor([1.0, -2.0, 0.5])
    assert distance_from_uniform(angles(frame(x), x)) > 3.1
    action = Vectors(Turns(dim), 1)
    h = action.group.sample((4000,), generator=seeded(0))
    assert not torch.allclose(frame(action(h, x)), h.to(x) @ frame(x), atol=1e-2)


def test_sympe_of_rotations_from_end_to_end() -> None:
    kernel = kernel_of(3, 1)
    action = Vectors(Turns(3), 2)
    encoding = SymPE(kernel, action, generator=seeded(0))
    assert encoding.is_free
    x = torch.zeros(6, 1, 3)
    features = encoding(x, generator=seeded(1))
    assert features.shape == (6, 2, 3)
    lengths = features.norm(dim=2)
    torch.testing.assert_close(lengths, encoding.v.norm(dim=1).expand_as(lengths))
    features.sum().backward()
    assert encoding.v.grad is not None
    assert float(encoding.v.grad.abs().sum()) > 0
    g = encoding.draw(x, generator=seeded(1)).g
    torch.testing.assert_close(encoding.moved(g), features)
    assert "HaarConjugated(frame, Vectors(" in repr(encoding)
    other = SymPE(kernel, action)
    other.load_state_dict(encoding.state_dict())
    torch.testing.assert_close(other(x, generator=seeded(1)), features)
    with pytest.warns(UserWarning, match="some elements of"):
        assert not SymPE(kernel, Vectors(Turns(3), 1)).is_free
    with pytest.raises(ValueError, match=r"action: expected an action of the kernel's Turns\(dim=3\), got Turns"):
        SymPE(kernel, Vectors(Turns(2), 2))


def test_any_network_is_equivariant_under_rotations() -> None:
    kernel = kernel_of(3, 2)
    network = nn.Sequential(nn.Flatten(), nn.Linear(6, 6), nn.Unflatten(1, (2, 3)))
    action, x = kernel.action, torch.randn(5, 2, 3, generator=seeded(0))
    h = action.group.sample((5,), generator=seeded(1))
    model = Canonicalized(network, kernel, action, action)
    torch.testing.assert_close(model(action(h, x)), action(h, model(x)), rtol=0, atol=1e-4)
    assert not torch.allclose(network(action(h, x)), action(h, network(x)), atol=1e-2)


def test_elements_have_the_precision_of_the_canonicalizer() -> None:
    g = kernel_of(3, 2).sample(torch.randn(4, 2, 3, dtype=torch.float64))
    assert g.dtype == torch.float64


def test_permutations_by_sorting_are_the_kernel_of_sets() -> None:
    """Of elements that are tensors of integers; ties of a stable sort are by position."""
    kernel = HaarConjugated(lambda x: x[..., 0].argsort(dim=1, stable=True), NodeAction(Permutations(4)))
    x = torch.tensor([2.0, 1.0, 2.0, 2.0])[None, :, None].expand(3000, 4, 1)
    g = kernel.sample(x, generator=seeded(0))
    assert bool(SetKernel(4).log_prob(g, x).isfinite().all())
    _, counts = g.unique(dim=0, return_counts=True)
    assert len(counts) == 6
    assert float(((counts - 500) ** 2 / 500).sum()) < 47  # chi-square on 5 degrees: false alarm 6e-9


@pytest.mark.parametrize(
    ("kernel", "x"),
    [
        (kernel_of(3, 2), torch.zeros(2, 2, 3)),
        (HaarConjugated(lambda x: x[..., 0].argsort(1), NodeAction(Permutations(4))), torch.zeros(2, 4, 1)),
    ],
)
def test_what_cannot_be_counted_is_an_error_that_says_so(kernel: HaarConjugated, x: Tensor) -> None:
    g = kernel.sample(x)
    calls: dict[str, Callable[[], Any]] = {
        "log_prob": lambda: kernel.log_prob(g, x),
        "entropy": lambda: kernel.entropy(x),
    }
    for name, call in calls.items():
        with pytest.raises(TypeError, match=f"{name}: known for an action of a FiniteGroup.*can only sample"):
            call()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (lambda x: torch.eye(3), ValueError, r"expected floating-point elements of shape \(2, 3, 3\), got .* \(3, 3\)"),
        (lambda x: torch.zeros(2, 3, 3, dtype=torch.int64), ValueError, "expected floating-point elements"),
        (lambda x: torch.zeros(2, 3, 3), ValueError, "canonicalizer: expected rotations"),
        (lambda x: x.tolist(), TypeError, r"canonicalizer: expected an instance of Tensor \(its answer\), got list"),
    ],
)
def test_a_map_that_does_not_give_elements_is_an_error(
    answer: Callable[[Tensor], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        HaarConjugated(answer, Vectors(Turns(3), 1)).sample(torch.zeros(2, 1, 3))


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_action_is_an_error() -> None:
    with pytest.raises(TypeError, match="action: expected an instance of Action, got Turns"):
        HaarConjugated(frame, Turns(3))  # type: ignore[arg-type]
