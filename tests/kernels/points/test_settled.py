"""Clouds whose points the distances from the centre tell apart: the order that the search of all distances finds."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor

from sympe import Tolerance
from sympe.graphs import Clouds
from sympe.groups import SpecialOrthogonal
from sympe.kernels import PointKernel
from sympe.kernels.points.cloud import Distances, distances
from sympe.kernels.points.cosets import Cosets
from tests.kernels.points.laws import seeded

TOLERANCES = [Tolerance(0.0, 0.02), Tolerance(0.02, 0.0), Tolerance(1e-6, 0.3)]


def mixed_clouds(channels: int) -> Clouds:
    """Of a few sizes and types, some with points that are mirror images of others."""
    generator = seeded(3)
    points = torch.randn(60, 7, 3, generator=generator, dtype=torch.float64)
    points[:20, 3] = points[:20, 2] * torch.tensor([1.0, 1.0, -1.0])
    types = torch.randint(0, 3, (60, 7), generator=generator)
    mask = torch.arange(7) < torch.randint(2, 8, (60, 1), generator=generator)
    vectors = torch.randn(60, 7, channels, 3, generator=generator, dtype=torch.float64)
    return Clouds.from_positions(points, types, mask, vectors=vectors)


def with_settled(found: Distances, settled: Tensor) -> Cosets:
    found.__dict__["settled"] = settled
    return Cosets(found, proper=False)


def check_settled(x: Clouds, tolerance: Tolerance, settled: Tensor | None = None) -> int:
    """How many clouds are settled; raise unless all have the elements that they have where none is."""
    found, again = (distances(x, tolerance, 1.0, centered=True) for _ in range(2))
    settled = found.settled if settled is None else settled
    listed, wanted = with_settled(found, settled).listed, with_settled(again, torch.zeros(len(x)) > 0).listed
    assert torch.equal(listed.rows, wanted.rows), "another number of elements"
    alone = torch.bincount(listed.rows)[listed.rows] == 1
    assert torch.equal(listed.orders[alone], wanted.orders[alone]), "another order"
    return int(settled.sum())


@pytest.mark.filterwarnings("ignore:x. ")  # of points and distances that are close
@pytest.mark.parametrize("channels", [0, 1])
@pytest.mark.parametrize("tolerance", TOLERANCES, ids=repr)
def test_settled_clouds_have_the_order_that_the_search_finds(tolerance: Tolerance, channels: int) -> None:
    x = mixed_clouds(channels)
    assert 0 < check_settled(x, tolerance) < len(x)
    with pytest.raises(AssertionError, match=r"another"):
        check_settled(x, tolerance, torch.ones(len(x)) > 0)


def test_a_cloud_beside_one_that_cannot_be_listed_keeps_the_half_of_its_coset() -> None:
    """Proper rotations: one mirror plane, and a neighbour of which eight points coincide."""
    generator = seeded(5)
    flat = torch.randn(9, 3, generator=generator).double()
    flat[:, 2] = 0
    flat[0, 2], flat[1] = 1.0, flat[0] * torch.tensor([1.0, 1.0, 0.0]) - torch.tensor([0.0, 0.0, 1.0])
    crowded = torch.zeros(9, 3).double()
    crowded[8] = 1.0
    x = Clouds.from_positions(torch.stack([flat, crowded]))
    kernel = PointKernel(SpecialOrthogonal(3), 9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone, beside = kernel.entropy(x.select(torch.tensor([0]))), kernel.entropy(x)
        forms = [
            kernel.move(kernel.group.inverse(kernel.sample(x, generator=generator)), x).positions[0] for _ in range(8)
        ]
    assert float(alone) == float(beside[0]) == 0
    for form in forms:
        torch.testing.assert_close(form, forms[0])


def test_settled_clouds_have_no_other_distances_ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    x = Clouds.from_positions(torch.randn(4, 6, 3, generator=seeded(0)))
    monkeypatch.setattr(Distances, "ranks", property(lambda self: pytest.fail("ranked")))
    assert len(Cosets(distances(x, Tolerance(0.0, 1e-4), 1.0, centered=True), proper=False).listed.rows) == 4


def test_the_tolerance_of_the_largest_distance_is_that_of_two_points() -> None:
    """Where it is relative; the distances from the centre are smaller."""
    x = Clouds.from_positions(torch.tensor([[[3.0, 0, 0], [-1.0, 0, 0], [-2.0, 0, 0]]]))
    assert float(distances(x, Tolerance(0.1, 0.0), 1.0, centered=True).gaps) == pytest.approx(0.5)
    assert float(distances(x, Tolerance(0.0, 0.1), 1.0, centered=True).gaps) == pytest.approx(0.1)
