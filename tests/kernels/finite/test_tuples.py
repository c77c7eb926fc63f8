"""Inputs that move together share one g: the law on tuples, by enumeration, and all that draws from it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sympe.actions import DiagonalAction, FiniteAction, GridAction, RegularAction
from sympe.encodings import CanonicalEncoding, Canonicalized, Encoded, SymPE
from sympe.groups import P4M
from sympe.kernels import CoupledOrbitKernel, InversionKernel, OrbitKernel
from sympe.testing import assert_equivariant, assert_equivariant_in_distribution
from tests.catalogue import image_and_arrow, image_and_corners

ARROW, CORNERS = image_and_arrow(), image_and_corners()


def symmetric(action: DiagonalAction) -> tuple[Tensor, Tensor]:
    """Images and seconds, each constant, or fixed by some elements, or generic: all pairs of them."""
    generator = torch.Generator().manual_seed(0)
    every = action.group.elements()
    parts = []
    for part in action.parts:
        x = torch.randn(4, *part.shape, generator=generator)
        x[0] = part(every, x[0]).mean(0)
        x[1] = (x[1] + part(torch.tensor(2), x[1])) / 2  # fixed by half a turn
        x[2] = (x[2] + part(torch.tensor(4), x[2])) / 2  # by a reflection
        parts.append(x)
    return parts[0].repeat_interleave(4, 0), parts[1].repeat(4, *(1 for _ in action.parts[1].shape))


def check_joint(kernel: Any, action: DiagonalAction, x: tuple[Tensor, Tensor]) -> None:
    """Uniform on as many elements as fix both parts, which all lead to one form, the same for moved inputs."""
    every, batch = action.group.elements(), len(x[0])
    fixed = [
        torch.stack([(part(g, y) - y).abs().flatten(1).amax(1) < 1e-5 for g in every], 1)
        for part, y in zip(action.parts, x, strict=True)
    ]
    both = (fixed[0] & fixed[1]).sum(1)
    forms: list[Tensor | None] = [None] * batch
    for h in every:
        moved = action(h, x)
        p = torch.stack([kernel.log_prob(g.expand(batch), moved) for g in every], 1).exp()
        assert torch.allclose(p.sum(1), torch.ones(batch))
        assert torch.equal((p > 0).sum(1), both)
        assert torch.allclose(p[p > 0], (1 / both)[:, None].expand(p.shape)[p > 0])
        for row, g in (p > 0).nonzero().tolist():
            form = action(action.group.inverse(every[g]), action.join(moved)[row])
            if forms[row] is None:
                forms[row] = form
            assert torch.allclose(form, forms[row], atol=1e-5)


class OfTheImage:
    """The twin: the kernel of the first part alone."""

    def __init__(self, action: DiagonalAction) -> None:
        self.kernel = OrbitKernel(action.parts[0])

    def log_prob(self, g: Tensor, x: tuple[Tensor, Tensor]) -> Tensor:
        return self.kernel.log_prob(g, x[0])


@pytest.mark.parametrize("action", [ARROW, CORNERS], ids=["mixing", "permuting"])
def test_the_law_on_tuples_by_enumeration_and_its_twin(action: DiagonalAction) -> None:
    x = symmetric(action)
    check_joint(OrbitKernel(action), action, x)
    with pytest.raises(AssertionError):
        check_joint(OfTheImage(action), action, x)
    kernel = OrbitKernel(action)
    assert_equivariant_in_distribution(kernel, action, action.join(x))
    for name in ("support", "coset", "stabilizer", "canonicalize", "entropy"):
        found, expected = getattr(kernel, name)(x), getattr(kernel, name)(action.join(x))
        if name == "support":
            found, expected = torch.cat(found), torch.cat(expected)
        assert torch.equal(found, expected), name
    g = kernel.sample(x, generator=torch.Generator().manual_seed(0))
    assert torch.equal(g, kernel.sample(action.join(x), generator=torch.Generator().manual_seed(0)))
    assert bool(kernel.log_prob(g, x).isfinite().all())
    for one, other in zip(kernel.move(g, x), action(g, x), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(kernel.list_coset(x, limit=8)[1], kernel.support(x)[1])
    alone = OrbitKernel(action).canonicalize(tuple(part[5:6] for part in x))
    assert torch.equal(alone, kernel.canonicalize(x)[5:6])
    form = kernel.canonical_form(x)
    assert torch.equal(form[0], action.parts[0](action.group.inverse(kernel.canonicalize(x)), x[0]))


@pytest.mark.parametrize("action", [ARROW, CORNERS], ids=["mixing", "permuting"])
def test_parts_of_other_types_lose_no_digit(action: DiagonalAction) -> None:
    """An image of large integers with one larger pixel, in the middle of a side; beside it zeros of another type."""
    image = torch.full((1, 1, 3, 3), 2**30 if action is ARROW else 2**53)
    image[0, 0, 0, 1] += 1
    for kind in (torch.float32, torch.bfloat16, torch.float64):
        other = torch.zeros(1, *action.parts[1].shape, dtype=kind)
        kernel = OrbitKernel(action, tolerance=1e-12)
        assert float(kernel.entropy((image, other)).exp().round()) == 2
        check_joint(kernel, action, (image, other))


def test_all_that_draws_takes_tuples() -> None:
    action = ARROW
    kernel, image = OrbitKernel(action), action.parts[0]
    x = symmetric(action)
    encoding = SymPE(kernel, RegularAction(action.group))
    assert encoding(x).shape == (16, 1, 2, 4)
    row = SymPE(kernel, action)  # a v of both shapes
    assert [part.shape for part in action.split(row(x))] == [(16, 1, 3, 3), (16, 2)]

    class Network(nn.Module):
        def forward(self, pixels: Tensor, arrow: Tensor, scale: float) -> Tensor:
            return scale * (pixels[:, 0] + pixels[:, 1]).sum((1, 2)) + arrow.sum(1)

    model = Encoded(Network(), SymPE(kernel, image))
    drawn = model.encoding(x, generator=torch.Generator().manual_seed(0))
    expected = 2 * (x[0] + drawn).sum((1, 2, 3)) + x[1].sum(1)
    torch.testing.assert_close(model(x, 2.0, generator=torch.Generator().manual_seed(0)), expected)
    features = CanonicalEncoding(kernel, lambda x: x[0] * x[1][:, :1, None, None], image)
    assert features(x).shape == (16, 1, 3, 3)
    with pytest.raises(ValueError, match=r"features: expected shape \(16, 1, 3, 3\), got"):
        CanonicalEncoding(kernel, lambda x: x[1], image)(x)


class Mixed(nn.Module):
    """Knows no symmetry: multiplies the image by fixed numbers and by the arrow."""

    def forward(self, x: tuple[Tensor, Tensor]) -> Tensor:
        weights = torch.arange(9.0).view(1, 3, 3)
        return weights * x[0] * x[1][:, :1, None, None] + x[1][:, 1:, None, None]


def test_any_network_of_tuples_is_made_equivariant() -> None:
    action, x = ARROW, symmetric(ARROW)
    model = Canonicalized(Mixed(), OrbitKernel(action), action, action.parts[0])
    assert model(x).shape == (16, 1, 3, 3)

    def equivariant(model: Any) -> None:
        assert_equivariant(lambda row: model(action.split(row)), action, action.parts[0], action.join(x))

    equivariant(model.mean)
    with pytest.raises(AssertionError):
        equivariant(Mixed())


def test_a_target_of_another_shape_is_coupled() -> None:
    """An image with all symmetries, trained on an arrow: one g of two is left for an arrow along an axis."""
    image, arrow = ARROW.parts
    kernel = CoupledOrbitKernel(image, arrow)
    x, y = torch.ones(50, 1, 3, 3), torch.tensor([[1.0, 0.0]]).repeat(50, 1)
    assert kernel.entropy(x, y).exp().round().tolist() == [2.0] * 50
    forms = arrow(kernel.group.inverse(kernel.sample(x, y)), y)
    torch.testing.assert_close(forms, forms[:1].expand(50, 2))
    free = arrow(kernel.group.inverse(kernel.kernel.sample(x)), y)
    assert len(free.round().unique(dim=0)) > 1
    both = CoupledOrbitKernel(ARROW, image)  # x may be a tuple, too
    assert both.sample((x, y), x).shape == (50,)


def test_what_is_no_tuple_of_the_parts_is_refused(unchecked: None) -> None:
    x = symmetric(ARROW)
    kernel = OrbitKernel(ARROW)
    with pytest.raises(ValueError, match=r"x\[1\]: expected shape \(\*batch, 2\), got \(16, 1, 3, 3\)"):
        kernel.sample((x[0], x[0]))
    with pytest.raises(ValueError, match="x: expected parts of one batch, got the batch shapes"):
        kernel.sample((x[0], x[1][:3]))
    with pytest.raises(ValueError, match="x: expected one batch dimension"):
        kernel.sample((x[0][0], x[1][0]))
    with pytest.raises(ValueError, match="x: expected finite entries, got NaN or infinity"):
        kernel.sample((x[0], x[1] * torch.nan))
    with pytest.raises(TypeError, match="x: expected numbers that have an order"):
        kernel.sample((x[0], x[1] + 0j))
    with pytest.raises(TypeError, match="x: expected a tensor, got tuple"):
        OrbitKernel(GridAction(P4M(2))).sample(x)
    assert isinstance(kernel, InversionKernel)
    assert isinstance(ARROW, FiniteAction)
