"""Broken kernels on points fail the laws and the test by samples, which the right one passes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sympe.actions import VectorAction
from sympe.encodings import SymPE
from sympe.graphs import Clouds
from sympe.groups import DirectProduct, Orthogonal, Permutations, SpecialOrthogonal
from sympe.kernels.points import PointKernel, cloud
from sympe.kernels.points.cosets import Cosets
from sympe.kernels.points.frame import fixed_directions
from sympe.testing import EquivarianceTest, equivariance_test
from tests.kernels.points.laws import assert_laws, seeded
from tests.kernels.points.shapes import CUBIC, orbit, ring
from tests.kernels.points.test_laws import some_clouds

N = 8


class FixedNormal(PointKernel):
    """No Haar completion: of a flat cloud always the same normal."""

    def sample(self, x: Clouds, *, generator: torch.Generator | None = None) -> Tensor:
        cosets = self._cosets(x)
        rows, order = torch.arange(len(x)), cosets.sample(generator)
        columns = cosets.frames(rows, order)
        R = columns.completed(fixed_directions, proper=self.isometries.is_proper)
        return self._packed(x, cosets, rows, R, order)


class PrincipalAxes(PointKernel):
    """The axes of the moments as the frame: none for cubes, and of any sign."""

    def _packed(self, x: Clouds, cosets: Cosets, rows: Tensor, R: Tensor, order: Tensor) -> Tensor:
        points = cosets.found.points[rows]
        return super()._packed(x, cosets, rows, torch.linalg.eigh(points.mT @ points)[1], order)


class Rounds(PointKernel):
    """Coordinates on a grid, which turns of the cloud do not respect."""

    def _cosets(self, x: Clouds, **how: Any) -> Cosets:
        return super()._cosets(Clouds(x.positions.round(decimals=1), x.types, x.mask, x.vectors), **how)


class Handless(PointKernel):
    """Mirror images are one, though reflections are not in the group."""

    def _cosets(self, x: Clouds, **how: Any) -> Cosets:
        return super()._cosets(x, **{**how, "proper": False})


class Ownerless(PointKernel):
    """The ends of vectors, whosever they are."""

    def _cosets(self, x: Clouds, **how: Any) -> Cosets:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cloud.Distances, "_tie_owners", lambda found, weights: None)
            return super()._cosets(x, **how)


def one(points: Tensor, vectors: Tensor | None = None) -> Clouds:
    return Clouds.from_positions(points[None], vectors=None if vectors is None else vectors[None])


CUBE, FLAT = one(orbit(CUBIC["O"], (1, 1, 1))), one(ring(N, 1.0))
GENERIC = one(torch.randn(N, 3, generator=seeded(3), dtype=torch.float64))
UP = torch.tensor([[0.0, 0, 1]]).double()
CROSSED = one(ring(N), (ring(N) + UP)[[1, 0, 3, 2, 5, 4, 7, 6]] - ring(N))
TWINS = [
    (FixedNormal, Orthogonal(3), FLAT),
    (PrincipalAxes, Orthogonal(3), CUBE),
    (PrincipalAxes, Orthogonal(3), GENERIC),
    (Rounds, Orthogonal(3), GENERIC),
    (Handless, SpecialOrthogonal(3), CUBE),
    (Ownerless, Orthogonal(3), CROSSED),
]


@pytest.mark.parametrize(("twin", "group", "x"), TWINS)
def test_the_laws_reject_broken_twins(twin: type[PointKernel], group: Any, x: Clouds) -> None:
    assert_laws(PointKernel(group, N), x)
    with pytest.raises(AssertionError):
        assert_laws(twin(group, N), x)


def test_the_laws_reject_twins_on_random_clouds() -> None:
    for twin, group, kind in (
        (PrincipalAxes, Orthogonal(3), "lattice"),
        (Handless, SpecialOrthogonal(3), "symmetric"),
        (Ownerless, SpecialOrthogonal(3), "dipoles"),
    ):
        with pytest.raises(AssertionError):
            assert_laws(twin(group, 14), some_clouds(kind, 3, 24))


def by_samples(kernel: PointKernel, x: Clouds, channels: int = 1) -> EquivarianceTest:
    """SymPE of vectors at points, under rotations and relabellings drawn by Haar."""
    group = DirectProduct(kernel.isometries, Permutations(N))
    action = VectorAction(group, channels=channels)
    encoding = SymPE(kernel, action, generator=seeded(7))
    return equivariance_test(
        encoding, group, kernel.move, action, x, max_elements=4, samples=60, tolerance=1e-3, generator=seeded(8)
    )


@pytest.mark.slow
@pytest.mark.parametrize("group", [Orthogonal(3), SpecialOrthogonal(3)], ids=repr)
def test_sympe_is_equivariant_in_distribution(group: Any) -> None:
    """The chance that a right kernel is rejected is 1e-3, for one seed for good."""
    for x in (CUBE, FLAT, GENERIC, CROSSED):
        found = by_samples(PointKernel(group, N), x)
        assert not found.rejected, found.verdict


@pytest.mark.slow
@pytest.mark.parametrize(
    ("twin", "group", "x"),
    [
        (FixedNormal, Orthogonal(3), FLAT),
        (PrincipalAxes, Orthogonal(3), CUBE),
        (PrincipalAxes, Orthogonal(3), GENERIC),
        (Rounds, Orthogonal(3), GENERIC),
    ],
)
def test_the_test_by_samples_rejects_broken_twins(twin: type[PointKernel], group: Any, x: Clouds) -> None:
    """``Handless`` and ``Ownerless`` move as they should, onto what is no coset: that takes the laws."""
    assert by_samples(twin(group, N), x).rejected
