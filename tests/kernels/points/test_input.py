"""What a kernel on points refuses and warns of, clouds that are nearly degenerate, and vectors at points."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import Tensor

from sympe.graphs import Clouds
from sympe.groups import Euclidean, Orthogonal, Permutations, SpecialOrthogonal
from sympe.kernels.points import PointKernel
from tests.kernels.points.laws import assert_laws, seeded
from tests.kernels.points.shapes import CUBIC, orbit, ring, shapes

SQUARE = ring(4)


def cloud(points: Tensor, types: list[int] | None = None, vectors: Tensor | None = None) -> Clouds:
    one = None if types is None else torch.tensor(types)[None]
    return Clouds.from_positions(points.double()[None], one, vectors=None if vectors is None else vectors[None])


def rows(*points: tuple[float, float, float]) -> Tensor:
    return torch.tensor(points, dtype=torch.float64)


@pytest.mark.usefixtures("unchecked")
def test_wrong_arguments_of_the_kernel_are_named() -> None:
    with pytest.raises(ValueError, match=r"dimension: expected 2 or 3, got 4"):
        Orthogonal(4)
    with pytest.raises(ValueError, match=r"dimension: expected 2 or 3, got 1"):
        SpecialOrthogonal(1)
    with pytest.raises(TypeError, match=r"group: expected .*such as Orthogonal\(3\)"):
        PointKernel(Permutations(3), 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"max_nodes"):
        PointKernel(Orthogonal(3), 2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"at least 1|>= 1|positive"):
        PointKernel(Orthogonal(3), 0)
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"tolerance.absolute: expected a finite number >= 0, got"):
            PointKernel(Orthogonal(3), 3, tolerance=wrong)
    for wrong in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"vector_scale: expected a positive number, got"):
            PointKernel(Orthogonal(3), 3, vector_scale=wrong)


@pytest.mark.usefixtures("unchecked")
def test_wrong_clouds_are_named() -> None:
    points = torch.zeros(2, 4, 3)
    for d in (1, 4):
        with pytest.raises(ValueError, match=rf"positions: .* with d = 2 or 3, got \(2, 4, {d}\)"):
            Clouds.from_positions(torch.zeros(2, 4, d))
    with pytest.raises(ValueError, match=r"positions: expected shape \(batch, points, d\)"):
        Clouds.from_positions(torch.zeros(4, 3))
    for bad in (math.nan, math.inf):
        positions = points.clone()
        positions[1, 2, 0] = bad
        with pytest.raises(ValueError, match=r"positions: expected finite numbers; cloud 1 has others"):
            Clouds.from_positions(positions)
        with pytest.raises(ValueError, match=r"vectors: expected finite numbers; cloud 1 has others"):
            Clouds.from_positions(points, vectors=positions)
    with pytest.raises(TypeError, match=r"positions: expected a tensor of floats, got torch.int64"):
        Clouds.from_positions(points.long())
    with pytest.raises(TypeError, match=r"positions: expected a tensor of floats, got list"):
        Clouds.from_positions([[[0.0, 0.0, 0.0]]])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"types: expected integers, got torch.float32"):
        Clouds.from_positions(points, torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"types: expected one for each point, of shape \(2, 4\), got \(2, 5\)"):
        Clouds.from_positions(points, torch.zeros(2, 5).long())
    with pytest.raises(ValueError, match=r"types: expected numbers below 2\^32, got 4294967296"):
        Clouds.from_positions(points, torch.full((2, 4), 2**32))
    with pytest.raises(
        ValueError, match=r"vectors: expected shape \(2, 4, 3\) or \(2, 4, channels, 3\), got \(2, 4, 2\)"
    ):
        Clouds.from_positions(points, vectors=torch.zeros(2, 4, 2))
    with pytest.raises(ValueError, match=r"vectors: expected .* got \(2, 3, 3\)"):
        Clouds.from_positions(points, vectors=torch.zeros(2, 3, 3))
    with pytest.raises(TypeError, match=r"mask: expected booleans, got torch.int64"):
        Clouds.from_positions(points, mask=torch.ones(2, 4).long())
    with pytest.raises(ValueError, match=r"mask: expected the real points before the padding, got a hole"):
        Clouds.from_positions(points, mask=torch.tensor([[True, False, True, True]] * 2))


@pytest.mark.usefixtures("unchecked")
def test_clouds_that_do_not_fit_the_kernel_are_named() -> None:
    x = cloud(SQUARE)
    with pytest.raises(ValueError, match=r"x: expected points of d = 2, got d = 3"):
        PointKernel(Orthogonal(2), 4).sample(x)
    with pytest.raises(ValueError, match=r"at most max_nodes = 3 points; cloud 0 has 4"):
        PointKernel(Orthogonal(3), 3).entropy(x)
    with pytest.raises(ValueError, match=r"for the names of point groups, got d = 2"):
        PointKernel(Orthogonal(2), 4).point_groups(Clouds.from_positions(SQUARE[None, :, :2]))
    with pytest.raises(TypeError, match=r"x: expected .*Clouds.*, got Tensor"):
        PointKernel(Orthogonal(3), 4).sample(SQUARE[None])  # type: ignore[arg-type]


@pytest.mark.usefixtures("unchecked")
def test_elements_that_are_none_are_named() -> None:
    x, kernel = cloud(SQUARE), PointKernel(SpecialOrthogonal(3), 4)
    mirror = kernel.group.pack(torch.diag(torch.tensor([1.0, 1, -1])), torch.arange(4))[None]
    for use in (kernel.log_prob, kernel.move):
        with pytest.raises(
            ValueError, match=r"g: expected elements of SpecialOrthogonal\(3\), got a matrix .* det R = -1"
        ):
            use(mirror, x)
        with pytest.raises(ValueError, match=r"g: expected shape \(\*batch, 13\), got \(1, 12\)"):
            use(mirror[:, :12], x)
        with pytest.raises(TypeError, match=r"g: expected floats, elements of DirectProduct.*got torch.int64"):
            use(mirror.long(), x)
    short = Clouds.from_positions(SQUARE[None], mask=torch.tensor([[True, True, True, False]]))
    moves_padding = kernel.group.pack(torch.eye(3), torch.tensor([[3, 1, 2, 0]]))
    with pytest.raises(ValueError, match=r"permutation: expected the padding in its place"):
        kernel.move(moves_padding, short)


def test_points_closer_than_the_tolerance_are_named() -> None:
    x = Clouds.concatenate([cloud(SQUARE), cloud(torch.cat([SQUARE, SQUARE[1:2] + 0.004]))])
    kernel = PointKernel(Orthogonal(3), 5, tolerance=0.01)
    with pytest.warns(UserWarning, match=r"x: points 1 and 4 of cloud 1 are 0.00693 apart.*the tolerance, 0.01"):
        kernel.entropy(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernel.entropy(cloud(torch.cat([SQUARE, SQUARE[1:2]])))  # in the same place on purpose
        PointKernel(Orthogonal(3), 5, tolerance=0.003).entropy(x)


def test_chains_of_distances_are_named() -> None:
    line = torch.zeros(40, 3)
    line[:, 0] = torch.linspace(0, 1, 40) ** 2 + torch.linspace(0, 3, 40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the distances from the origin are far apart: no symmetry is seen
        assert PointKernel(Orthogonal(2), 40, tolerance=0.02).entropy(cloud(line[:, :2])).exp().round() == 2
    line[1] = line[0]
    with pytest.warns(UserWarning, match=r"x: the distances of cloud 0 lie so close that .* of them count as equal"):
        PointKernel(Orthogonal(3), 40, tolerance=0.02).entropy(cloud(line))


CARBON_DIOXIDE = rows((0, 0, 0), (0, 0, 1.16), (0, 0, -1.16))
ROW = rows((-1.5, 0, 0), (-0.5, 0, 0), (0.5, 0, 0), (1.5, 0, 0))


@pytest.mark.parametrize(
    ("points", "types", "name", "order"),
    [
        (CARBON_DIOXIDE + rows((5e-4, 0, 0), (0, 0, 0), (0, 0, 0)), [6, 8, 8], "D*h", math.inf),
        (CARBON_DIOXIDE + rows((0.03, 0, 0), (0, 0, 0), (0, 0, 0)), [6, 8, 8], "C2v", 4),
        (torch.cat([ROW, rows((0, 0.02, 0))]), None, "C2v", 4),
        (torch.cat([ROW, rows((0, 2, 0))]), None, "C2v", 4),
        (torch.cat([ROW, rows((0, 0, 0))]), None, "D*h", math.inf),
        (torch.cat([ROW, rows((2.7, 0, 0))]), None, "C*v", math.inf),
        (torch.cat([ROW, rows((3, 2, 0))]), None, "Cs", 2),
        (SQUARE + 4e-4 * torch.tensor([[0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, -1]]), None, "D4h", 16),
        (SQUARE + 0.02 * torch.tensor([[0, 0, 1], [0, 0, -1], [0, 0, 1], [0, 0, -1]]), None, "D2d", 8),
        (ring(6) + 0.02 * torch.tensor([[0, 0, 1], [0, 0, -1]]).repeat(3, 1), None, "D3d", 12),
        (torch.cat([SQUARE, SQUARE]), None, "D4h", 16 * 2**4),
        (torch.cat([SQUARE, SQUARE]), [1] * 4 + [2] * 4, "D4h", 16),
        (torch.ones(3, 3), None, "Kh", math.inf),
        (torch.zeros(1, 3), None, "Kh", math.inf),
        (torch.zeros(0, 3), None, "Kh", math.inf),
    ],
)
def test_nearly_degenerate_clouds(points: Tensor, types: list[int] | None, name: str, order: float) -> None:
    kernel = PointKernel(Euclidean(3), len(points) + 1)
    x = cloud(points, types)
    assert float(kernel.entropy(x).exp()) == pytest.approx(order, rel=1e-5)
    assert kernel.point_groups(x) == [name]
    if math.isfinite(order):
        assert_laws(kernel, x, close=5e-3)


@pytest.mark.parametrize(
    ("points", "vectors", "name"),
    [
        (SQUARE, SQUARE, "D4h"),
        (SQUARE, rows((0, 0, 0.3)).expand(4, 3), "C4v"),
        (SQUARE, rows((0, 0, 0.3), (0, 0, -0.3)).repeat(2, 1), "D2d"),
        (SQUARE, SQUARE[[1, 2, 3, 0]] / 2, "C4h"),  # a wheel: as velocities, not as angular momenta
        (SQUARE, rows((0.3, 0, 0)).expand(4, 3), "C2v"),
        (SQUARE, rows((0.3, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0)), "C2v"),
        (SQUARE, rows((0.3, 0.1, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0)), "Cs"),
        (SQUARE, torch.zeros(4, 3), "D4h"),
        (orbit(CUBIC["O"], (1, 1, 1)), rows((0.3, 0.3, 0.3)).expand(8, 3), "C3v"),
        (orbit(CUBIC["O"], (1, 1, 1)), rows((0.3, 0.2, 0.7)).expand(8, 3), "C1"),
        (rows((0, 0, 0)), rows((0, 0, 1)), "C*v"),
        (rows((0, 0, 1), (0, 0, -1)), rows((0.4, 0, 0), (-0.4, 0, 0)), "C2h"),
        (rows((0, 0, 1), (0, 0, -1)), rows((0.4, 0, 0), (0, 0.4, 0)), "C2"),
    ],
)
def test_vectors_break_symmetries(points: Tensor, vectors: Tensor, name: str) -> None:
    assert PointKernel(Orthogonal(3), len(points)).point_groups(cloud(points, None, vectors.double())) == [name]


def test_ghosts_know_their_owners() -> None:
    """Crossed and parallel vectors end in the same places."""
    points, ends = SQUARE, SQUARE + rows((0, 0, 1))
    parallel, crossed = cloud(points, None, ends - points), cloud(points, None, ends[[1, 0, 2, 3]] - points)
    kernel = PointKernel(Orthogonal(3), 4)
    assert kernel.entropy(parallel).exp().round().item() == 8
    assert kernel.entropy(crossed).exp().round().item() == 2
    assert_laws(kernel, Clouds.concatenate([parallel, crossed]))


@pytest.mark.parametrize("count", [5, 6, 8])
def test_rings_whose_pucker_distances_do_not_see(count: int) -> None:
    """The graph has the symmetries of the ring, but no frame in which heights are given has them."""
    for seed in range(4):
        points = ring(count)
        points[:, 2] = 0.02 * torch.randn(count, generator=seeded(seed))
        kernel, x = PointKernel(Orthogonal(3), count), cloud(points)
        assert float(kernel.entropy(x).exp()) == pytest.approx(2 * count)
        assert len(kernel.stabilizer(x)[0]) == 2 * count
        assert kernel.point_groups(x) == [f"D{count}h"]
        assert 0.01 < float(kernel.misfit(x)) < 0.2


@pytest.mark.parametrize(("tolerance", "noise"), [(0.01, 0.002), (0.05, 0.01)])
def test_names_of_groups_that_are_far_from_exact(tolerance: float, noise: float) -> None:
    few = [shape for shape in shapes() if len(shape.positions) <= 12]
    x = Clouds.concatenate([shape.cloud() for shape in few])
    shifts = noise * (2 * torch.rand(x.positions.shape, generator=seeded(1), dtype=torch.float64) - 1)
    x = Clouds(x.positions + shifts * x.mask[:, :, None], x.types, x.mask, x.vectors)
    assert PointKernel(Euclidean(3), 12, tolerance=tolerance).point_groups(x) == [shape.group for shape in few]


def test_symmetries_that_no_point_group_has_are_named() -> None:
    points = torch.randn(7, 3, generator=seeded(8)).double()
    points = points / points.norm(dim=1, keepdim=True)
    kernel = PointKernel(Orthogonal(3), 7, tolerance=1.0)
    with (
        pytest.warns(UserWarning, match=r"count as one place|count as equal"),
        pytest.raises(ValueError, match=r"x: expected the symmetries of a point group, got"),
    ):
        kernel.point_groups(cloud(points))
