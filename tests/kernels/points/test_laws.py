"""The exact kernel of clouds: a coset, uniform, equivariant; on famous, random, crystalline and crowded clouds."""

from __future__ import annotations

import itertools
import math
import sys
from typing import Any

import pytest
import torch
from scipy.stats import kstest
from torch import Tensor

from sympe.graphs import Clouds
from sympe.groups import Euclidean, Isometries, Orthogonal, SpecialEuclidean, SpecialOrthogonal
from sympe.kernels.graphs import cosets
from sympe.kernels.points import PointKernel, listing
from tests.kernels.points.laws import FALSE_ALARM, assert_laws, form, random_elements, seeded, symmetries
from tests.kernels.points.shapes import CUBIC, PHI, orbit, ring, shapes

GROUPS: list[type[Isometries]] = [Orthogonal, SpecialOrthogonal, Euclidean, SpecialEuclidean]
KINDS = ["lattice", "symmetric", "crowded", "generic", "dipoles", "two vectors each"]


def some_clouds(kind: str, d: int, count: int, seed: int = 0) -> Clouds:
    """Random clouds that span at least a plane about the origin and about their centres.

    Points of a small cubic lattice have few different distances, so symmetric clouds are frequent, and so are clouds
    with the same distances that are not symmetric.
    """
    generator, found = seeded(seed), []
    sites = torch.cartesian_prod(*[torch.arange(-1, 2)] * d).double()
    while len(found) < count:
        n = int(torch.randint(d, 9, (1,), generator=generator))
        points = sites[torch.randperm(len(sites), generator=generator)[:n]]
        types = torch.randint(0, 1 + len(found) % 2, (n,), generator=generator)
        vectors = None
        if kind == "symmetric":
            points = torch.cat([points[:4], -points[:4]]).unique(dim=0)
            types = torch.zeros(len(points), dtype=torch.int64)
        elif kind == "crowded":
            points, types = torch.cat([points, points[:2], points[:1]]), torch.cat([types, types[:2], types[:1]])
        elif kind == "generic":
            points = torch.randn(n, d, generator=generator, dtype=torch.float64)
        elif kind != "lattice":
            shape = (n, 1 if kind == "dipoles" else 2, d)
            vectors = torch.randint(-1, 2, shape, generator=generator).double()[None]
        span = [points, points - points.mean(0)]
        if all(int(torch.linalg.matrix_rank(rows, tol=1e-6)) >= d - 1 for rows in span):
            found.append(Clouds.from_positions(points[None], types[None], vectors=vectors))
    return Clouds.concatenate(found)


def cloud(*parts: Tensor, **more: Any) -> Clouds:
    return Clouds.from_positions(torch.cat(parts).double()[None], **more)


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_laws_on_famous_shapes(group: type[Isometries]) -> None:
    few = [shape for shape in shapes() if math.isfinite(shape.order) and len(shape.positions) <= 13]
    assert_laws(PointKernel(group(3), 14), Clouds.concatenate([shape.cloud() for shape in few]))


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_laws_on_random_clouds(kind: str, d: int, group: type[Isometries]) -> None:
    assert_laws(PointKernel(group(d), 14), some_clouds(kind, d, 12))


WAYS = {"apart": (3, 64, 64), "bliss": (0, -1, -1), "search": (0, -1, -1), "told": (64, -1, 64)}
"""The limit of a list, the size up to which graphs are listed, and that up to which clouds are."""


@pytest.mark.slow
@pytest.mark.parametrize("group", [Orthogonal, SpecialEuclidean])
@pytest.mark.parametrize(
    ("kind", "way"),
    [*itertools.product(["symmetric", "dipoles"], ["apart", "bliss", "told"]), ("dipoles", "search")],
)
def test_laws_where_elements_are_not_listed(
    kind: str, way: str, group: type[Isometries], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of clouds with many points or symmetries, which the same clouds are sent."""
    limit, small, largest = WAYS[way]
    monkeypatch.setattr(cosets, "_LIMIT", limit)
    monkeypatch.setattr(cosets, "SMALL", small)
    monkeypatch.setattr(listing, "LARGEST", largest)
    if way == "search":
        monkeypatch.setitem(sys.modules, "igraph", None)
    assert_laws(PointKernel(group(3), 14), some_clouds(kind, 3, 3, seed=1))


def large() -> dict[str, tuple[Clouds, str, int, int]]:
    """Name, |G_x|, and its part without reflections, of clouds with more than 64 points or 256 exchanges."""
    two = cloud(orbit(CUBIC["I"], (0, 1, 3 * PHI)), 2 * orbit(CUBIC["I"], (1, 1, 1)))
    generic = orbit(CUBIC["O"], (2.3, 1.1, 0.4))
    chiral = cloud(generic, *(k * orbit(CUBIC["O"], (1, 1, 1)) for k in range(1, 7)))
    triangle = cloud(ring(3), ring(3)[:1].repeat(5, 1))
    return {
        "80 in two shells": (two, "Ih", 120, 60),
        "72 of one hand": (chiral, "O", 24, 24),
        "six in one place": (triangle, "C2v", 4 * 720, 2 * 720),
        "every corner of a cube twice": (cloud(*[orbit(CUBIC["O"], (1, 1, 1))] * 2), "Oh", 48 * 2**8, 24 * 2**8),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", large())
def test_large_clouds(name: str) -> None:
    x, expected, full, proper = large()[name]
    for group, count in ((Orthogonal(3), full), (SpecialEuclidean(3), proper)):
        kernel = PointKernel(group, x.mask.shape[1] + 1)
        h = random_elements(kernel, x, seed=2)
        hx = kernel.move(h, x)
        assert float(kernel.entropy(hx).exp()) == pytest.approx(count, rel=1e-5)
        assert kernel.point_groups(hx) == [expected]
        many = x.select(torch.zeros(6, dtype=torch.int64))
        sample, own = kernel.sample(many, generator=seeded(0)), form(kernel, kernel.canonicalize(x), x)
        assert torch.allclose(form(kernel, sample, many), own, atol=1e-5)
        assert torch.allclose(form(kernel, kernel.sample(hx, generator=seeded(1)), hx), own, atol=1e-5)
        assert len({tuple(row) for row in sample.round(decimals=3).tolist()}) > 2
        assert torch.allclose(kernel.log_prob(sample, many).exp() * count, torch.ones(6), rtol=1e-4)
        if count < 3000:
            assert len(kernel.list_coset(x, limit=3000)[1]) == count
        with pytest.raises(ValueError, match=r"more than limit = 20"):
            kernel.list_coset(x, limit=20)


@pytest.mark.parametrize("d", [2, 3])
def test_mirror_images_have_different_forms_only_without_reflections(d: int) -> None:
    scalene = torch.tensor([[0.0, 0, 0], [3, 0, 0], [0, 1, 0], [0.5, 0.5, 2]]).double()[: d + 1, :d]
    symmetric = torch.tensor([[0.0, 0, 0], [3, 1, 0], [3, -1, 0], [0.5, 0, 2]]).double()[: d + 1, :d]
    mirror = torch.eye(d).double()
    mirror[1, 1] = -1
    for points, differ in ((scalene, True), (symmetric, False)):
        x = Clouds.from_positions(points[None])
        image = x.moved(rotation=mirror[None])
        for group in GROUPS:
            kernel = PointKernel(group(d), d + 1)
            forms = [form(kernel, kernel.canonicalize(one), one) for one in (x, image)]
            apart = float((forms[0] - forms[1]).abs().max())
            assert (apart > 0.1) if differ and group(d).is_proper else (apart < 1e-9)


@pytest.mark.parametrize("kind", ["symmetric", "crowded", "dipoles"])
@pytest.mark.parametrize("group", [Orthogonal(3), SpecialOrthogonal(3)], ids=repr)
def test_orbits_are_those_of_the_isometries(kind: str, group: Isometries) -> None:
    x = some_clouds(kind, 3, 12, seed=2)
    kernel = PointKernel(group, 14)
    found = kernel.orbits(x)
    for row in range(len(x)):
        one = x.select(torch.tensor([row]))
        points, n = one.positions[0, one.mask[0]], int(one.sizes)
        vectors, types = one.vectors[0, one.mask[0]], one.types[0, one.mask[0]]
        same = torch.zeros(n, n, dtype=torch.bool)
        for R in symmetries(one, group)[0]:
            near = torch.cdist(points @ R.mT, points) < 1e-5
            turned = ((vectors @ R.mT)[:, None] - vectors).abs().flatten(2).amax(2) < 1e-5 if vectors.shape[1] else near
            same |= near & turned & (types[:, None] == types)
        assert found[row].tolist() == [*same.to(torch.uint8).argmax(1).tolist(), *range(n, 14)]


def test_the_stabilizer_is_a_group_that_fixes_the_cloud() -> None:
    x = some_clouds("symmetric", 3, 8, seed=4)
    kernel = PointKernel(SpecialEuclidean(3), 10)
    for row, own in enumerate(kernel.stabilizer(x)):
        one = x.select(torch.full((len(own),), row))
        torch.testing.assert_close(kernel.move(own, one).positions, one.positions)
        products = kernel.group.compose(own[:, None], own).flatten(0, 1)
        at = torch.cdist(products, own, compute_mode="donot_use_mm_for_euclid_dist")
        assert float(at.amin(1).max()) < 1e-9
        assert bool((torch.bincount(at.argmin(1)) == len(own)).all())


def test_misfit_is_how_far_the_stabilizer_moves_points() -> None:
    x = some_clouds("symmetric", 3, 8, seed=5)
    noise = 1e-4 * torch.randn(x.positions.shape, generator=seeded(6), dtype=torch.float64)
    x = Clouds(x.positions + noise * x.mask[:, :, None], x.types, x.mask, x.vectors)
    kernel = PointKernel(Orthogonal(3), 10, tolerance=5e-3)
    found = kernel.misfit(x)
    rows, g = kernel.list_coset(x, limit=100)
    for row in range(len(x)):
        own = g[rows == row]
        back = kernel.group.compose(own[:1], kernel.group.inverse(own))
        many = x.select(torch.full((len(own),), row))
        off = (kernel.move(back, many).positions - many.positions).norm(dim=-1).max()
        assert float(found[row]) == pytest.approx(float(off), abs=1e-12)
        assert float(off) < 3e-3
    assert float(found.max()) > 1e-5


@pytest.mark.filterwarnings("ignore:x. ")  # of tolerances that are as large as the clouds
@pytest.mark.parametrize("group", [Orthogonal(3), Euclidean(3), Orthogonal(2)], ids=repr)
def test_symmetries_grow_with_the_tolerance(group: Isometries) -> None:
    x = some_clouds("symmetric", group.dimension, 12, seed=7)
    noise = 0.02 * torch.randn(x.positions.shape, generator=seeded(8), dtype=torch.float64)
    x = Clouds(x.positions + noise * x.mask[:, :, None], x.types, x.mask, x.vectors)
    steps = [0.0, 1e-4, 1e-3, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0]
    entropies = torch.stack([PointKernel(group, 10, tolerance=step).entropy(x) for step in steps])
    assert bool((entropies[1:] >= entropies[:-1] - 1e-6).all())
    assert bool((entropies[0] == (0 if group.dimension == 3 else entropies[0])).all())
    assert bool((entropies[5] > entropies[0]).any())
    assert bool(entropies[-1].isinf().all() if group.dimension == 3 else (entropies[-1] > entropies[0]).all())


@pytest.mark.parametrize("group", [Orthogonal, SpecialOrthogonal, Euclidean, SpecialEuclidean])
def test_free_columns_are_uniform(group: type[Isometries]) -> None:
    """Of points on one line, of one point, and of no point."""
    isometries, many = group(3), torch.zeros(2000, dtype=torch.int64)
    kernel = PointKernel(isometries, 3)
    line = cloud(torch.tensor([[0.0, 0, 1], [0, 0, -1]]))
    for x, fixed in ((line, 1), (cloud(torch.zeros(1, 3)), 0), (cloud(torch.zeros(0, 3)), 0)):
        assert bool(kernel.entropy(x).isinf().all())
        with pytest.raises(ValueError, match=r"cloud 0 has infinitely many elements: its points lie on one line"):
            kernel.list_coset(x, limit=10)
        R = isometries.rotation(kernel.group.components(kernel.sample(x.select(many), generator=seeded(0)))[0])
        assert torch.allclose(R @ R.mT, torch.eye(3).to(R), atol=1e-9)
        up = int((torch.linalg.det(R) > 0).sum())
        assert up == 2000 if isometries.is_proper else 850 < up < 1150
        if fixed:
            assert torch.allclose(R[:, 2, 0].abs(), torch.ones(2000).double())
            assert 850 < int((R[:, 2, 0] > 0).sum()) < 1150
            angle = torch.atan2(R[:, 1, 1], R[:, 0, 1]) / (2 * math.pi) + 0.5
            assert kstest(angle.numpy(), "uniform").pvalue > FALSE_ALARM
        else:  # the height of a point of the sphere is uniform, in any direction
            for row, column in ((0, 0), (2, 1), (1, 2)):
                assert kstest(R[:, row, column].numpy() / 2 + 0.5, "uniform").pvalue > FALSE_ALARM


def test_coordinates_of_no_cloud_matter_outside_of_it() -> None:
    kernel = PointKernel(SpecialOrthogonal(3), 5)
    empty = Clouds.from_positions(torch.zeros(0, 4, 3))
    assert kernel.sample(empty).shape == (0, 14)
    assert kernel.entropy(empty).shape == (0,)
    assert kernel.point_groups(empty) == []
    x = Clouds.from_positions(
        torch.randn(2, 4, 3, generator=seeded(0)), mask=torch.arange(4) < torch.tensor([[4], [0]])
    )
    assert kernel.entropy(x).tolist() == [0.0, math.inf]
    assert kernel.group.components(kernel.sample(x))[1][1].tolist() == [0, 1, 2, 3, 4]
