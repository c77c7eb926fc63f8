import math
import re

import pytest
import torch

from sympe.groups import (
    DirectProduct,
    Euclidean,
    Isometries,
    Orthogonal,
    Permutations,
    SpecialEuclidean,
    SpecialOrthogonal,
)
from sympe.groups.isometries import orthonormal
from sympe.testing import assert_group_laws
from tests.catalogue import ISOMETRIES


@pytest.mark.parametrize("name", ISOMETRIES)
def test_elements_move_points_as_their_matrices_say(name: str) -> None:
    group = ISOMETRIES[name]
    d = group.dimension
    generator = torch.Generator().manual_seed(0)
    R = (SpecialOrthogonal if group.is_proper else Orthogonal)(d).sample((2,), generator=generator)
    t = torch.randn(2, d, generator=generator)
    g = group.element(R, t)
    assert g.shape == (2, *group.element_shape)
    assert torch.equal(group.rotation(g), R)
    assert torch.equal(group.translation(g), t if group.translates else torch.zeros_like(t))
    p = torch.randn(d, generator=generator)

    def moved(g: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
        return group.rotation(g) @ p + group.translation(g)

    torch.testing.assert_close(moved(group.compose(g[0], g[1]), p), moved(g[0], moved(g[1], p)))
    torch.testing.assert_close(moved(group.inverse(g[0]), moved(g[0], p)), p)


class Wrong(Orthogonal):
    """Columns of normal numbers, but the first one always with a positive first number: not Haar."""

    def sample(self, shape=(), *, generator=None, device=None):  # type: ignore[no-untyped-def]
        R = super().sample(shape, generator=generator, device=device)
        return R * torch.where(R[..., :1, :1] < 0, -1.0, 1.0)


class Backwards(Euclidean):
    """The inverse without turning the translation."""

    def inverse(self, g):  # type: ignore[no-untyped-def]
        return self.element(self.rotation(g).mT, -self.translation(g))


def test_the_laws_reject_a_group_that_is_none() -> None:
    with pytest.raises(AssertionError, match="sample\\(\\) is not Haar"):
        assert_group_laws(Wrong(3))
    with pytest.raises(AssertionError, match="an inverse does not cancel"):
        assert_group_laws(Backwards(2))


def test_haar_angles_of_so2_are_uniform_and_traces_of_so3_have_their_moments() -> None:
    n = 20_000
    R = SpecialOrthogonal(2).sample((n,), generator=torch.Generator().manual_seed(1))
    angle = torch.atan2(R[:, 1, 0], R[:, 0, 0]).sort().values / (2 * math.pi) + 0.5
    distance = (angle - (torch.arange(n) + 0.5) / n).abs().max()
    assert distance < 2.7 / math.sqrt(n)  # Kolmogorov: exceeded with probability 1e-6
    trace = SpecialOrthogonal(3).sample((n,), generator=torch.Generator().manual_seed(1)).diagonal(0, 1, 2).sum(1)
    assert abs(trace.mean()) < 5 / math.sqrt(n)  # E tr = 0, E tr^2 = 1: the vector representation is irreducible
    assert abs(trace.square().mean() - 1) < 5 * 2 / math.sqrt(n)


def test_gram_schmidt_keeps_the_first_direction_and_survives_nearly_equal_columns() -> None:
    matrix = torch.tensor([[1.0, 1.0], [0.0, 1e-7]], dtype=torch.float64)
    assert torch.allclose(orthonormal(matrix), torch.eye(2, dtype=torch.float64), atol=1e-12)


def test_what_is_no_dimension_is_refused() -> None:
    for kind in (Orthogonal, SpecialOrthogonal, Euclidean, SpecialEuclidean):
        for d in (0, 1, 4):
            with pytest.raises(ValueError, match=rf"dimension: expected 2 or 3|at least 1, got {d}"):
                kind(d)
    assert repr(SpecialEuclidean(3)) == "SpecialEuclidean(3)"
    assert Orthogonal(3) == Orthogonal(3) != SpecialOrthogonal(3)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("group", "g", "message"),
    [
        (Orthogonal(2), [[1.0, 0.0], [0.0, 1.0]], "g: expected a tensor of elements of Orthogonal(2), got list"),
        (Orthogonal(2), torch.eye(2).long(), "g: expected floats, elements of Orthogonal(2), got torch.int64"),
        (Orthogonal(2), torch.eye(3), "g: expected shape (*batch, 2, 2), got (3, 3)"),
        (Euclidean(2), torch.eye(2), "g: expected shape (*batch, 2, 3), got (2, 2)"),
        (Orthogonal(2), 2 * torch.eye(2), "g: expected elements of Orthogonal(2), got a matrix with R^T R - 1 up to 3"),
        (SpecialOrthogonal(2), torch.tensor([[0.0, 1.0], [1.0, 0.0]]), "up to 0 and det R = -1"),
        (Orthogonal(2), torch.full((2, 2), torch.nan), "g: expected elements of Orthogonal(2)"),
    ],
)
def test_what_is_no_element_is_refused(group: Isometries, g: torch.Tensor, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        group.check(g)


def test_infinitely_many_elements_are_not_listed() -> None:
    for group in (Orthogonal(3), DirectProduct(Permutations(2), Orthogonal(3))):
        assert group.order == math.inf
        with pytest.raises(ValueError, match="infinitely many elements"):
            group.elements()
