"""Point groups and |G_x| of famous clouds, against closed forms and pymatgen, however they are moved and stored."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sympe.graphs import Clouds
from sympe.groups import Euclidean, Isometries, Orthogonal, SpecialEuclidean, SpecialOrthogonal
from sympe.kernels.points import PointKernel
from sympe.tolerance import Tolerance
from tests.kernels.points.laws import random_elements, seeded
from tests.kernels.points.qm9 import geometries, symmetrised
from tests.kernels.points.shapes import NO_MIRRORS, Shape, shapes

SHAPES = shapes()
PYMATGEN = json.loads((Path(__file__).parents[2] / "data" / "point-groups.json").read_text())
TOLERANCE = 1e-3
LARGEST = max(len(shape.positions) for shape in SHAPES)


def order(name: str) -> float:
    """That of the point group with this name."""
    fixed = {"C1": 1, "Cs": 2, "Ci": 2, "T": 12, "Td": 24, "Th": 24, "O": 24, "Oh": 48, "I": 60, "Ih": 120}
    if name in fixed:
        return fixed[name]
    if name in ("Kh", "D*h", "C*v"):
        return math.inf
    n = int(name.strip("CDSvhd"))
    return n if name.startswith("S") else n * (2 if name.startswith("D") else 1) * (2 if name[-1] in "vhd" else 1)


def batch(chosen: list[Shape], dtype: torch.dtype = torch.float64, noise: float = 0.0) -> Clouds:
    x = Clouds.concatenate([shape.cloud() for shape in chosen])
    direction = torch.randn(x.positions.shape, generator=seeded(4), dtype=torch.float64)
    shifts = noise * direction / direction.norm(dim=-1, keepdim=True) * x.mask[:, :, None]
    return Clouds(x.positions + shifts, x.types, x.mask, x.vectors).to(dtype)


def orders(kernel: PointKernel, x: Clouds) -> Tensor:
    return kernel.entropy(x).exp().double()


def expected(chosen: list[Shape], group: Isometries) -> Tensor:
    return torch.tensor([shape.rotations if group.is_proper else shape.order for shape in chosen]).double()


def test_makers_pymatgen_and_the_order_of_the_name_agree() -> None:
    assert len({shape.name for shape in SHAPES}) == len(SHAPES) == 86
    assert {shape.name: PYMATGEN[shape.name] for shape in SHAPES} == {shape.name: shape.group for shape in SHAPES}
    assert [order(shape.group) for shape in SHAPES] == [shape.order for shape in SHAPES]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("group", "dtype", "noise"),
    [
        (Orthogonal(3), torch.float32, TOLERANCE / 10),
        (SpecialOrthogonal(3), torch.float64, 0.0),
        (SpecialOrthogonal(3), torch.float32, TOLERANCE / 10),
        (Euclidean(3), torch.float64, TOLERANCE / 10),
        (SpecialEuclidean(3), torch.float32, 0.0),
    ],
)
def test_moved_shapes_have_their_point_groups(group: Isometries, dtype: torch.dtype, noise: float) -> None:
    """Every second of them is mirrored, too."""
    kernel = PointKernel(group, LARGEST, tolerance=TOLERANCE)
    x = batch(SHAPES, dtype, noise)
    x = kernel.move(random_elements(kernel, x, seed=5), x)
    mirrors = torch.eye(3).repeat(len(x), 1, 1)
    mirrors[::2, 2, 2] = -1
    x = x.moved(rotation=mirrors)
    torch.testing.assert_close(orders(kernel, x), expected(SHAPES, group), rtol=1e-5, atol=0)
    assert kernel.point_groups(x) == [PYMATGEN[shape.name] for shape in SHAPES]


@pytest.mark.slow
@pytest.mark.parametrize("group", [SpecialOrthogonal(3), Euclidean(3)], ids=repr)
def test_the_same_alone_and_padded(group: Isometries) -> None:
    x = batch(SHAPES)
    kernel = PointKernel(group, LARGEST)
    rows = torch.arange(len(x))[::7]
    for row in rows.tolist():
        shape = SHAPES[row]
        alone = shape.cloud()
        assert alone.mask.shape[1] == len(shape.positions)
        tight = PointKernel(group, len(shape.positions))
        for own, one in ((tight, alone), (kernel, alone), (kernel, x.select(torch.tensor([row])))):
            assert own.point_groups(one) == [shape.group]
            torch.testing.assert_close(orders(own, one), expected([shape], group), rtol=1e-5, atol=0)


@pytest.mark.slow
def test_nothing_depends_on_the_rest_of_the_batch() -> None:
    finite = [shape for shape in SHAPES if math.isfinite(shape.order) and len(shape.positions) <= 24]
    x = batch(finite)
    kernel = PointKernel(SpecialEuclidean(3), 24)
    rows, g = kernel.list_coset(x, limit=200)
    orbits, misfit, first = kernel.orbits(x), kernel.misfit(x), kernel.canonicalize(x)
    for row in range(0, len(x), 4):
        alone = finite[row].cloud()
        close = {"rtol": 0, "atol": 1e-12}
        torch.testing.assert_close(kernel.list_coset(alone, limit=200)[1], g[rows == row], **close)
        torch.testing.assert_close(kernel.canonicalize(alone)[0], first[row], **close)
        assert torch.equal(kernel.orbits(alone)[0], orbits[row])
        torch.testing.assert_close(kernel.misfit(alone)[0], misfit[row], **close)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_relative_tolerance_knows_no_units(scale: float) -> None:
    x = batch(SHAPES)
    kernel = PointKernel(Euclidean(3), LARGEST, tolerance=Tolerance(1e-4, 0.0))
    scaled = Clouds(x.positions * scale, x.types, x.mask, x.vectors)
    assert kernel.point_groups(scaled) == [shape.group for shape in SHAPES]


@pytest.mark.slow
def test_symmetrised_molecules_have_the_point_groups_of_pymatgen() -> None:
    x = symmetrised(geometries(1000), tolerance=0.1)
    names = [PYMATGEN[f"QM9 {number}"] for number in range(1, 1001)]
    full = torch.tensor([order(name) for name in names]).double()
    proper = torch.tensor([order(name) / (1 if name in NO_MIRRORS else 2) for name in names]).double()
    for group, dtype, counts in (
        (Euclidean(3), torch.float64, full),
        (SpecialEuclidean(3), torch.float32, proper),
    ):
        kernel = PointKernel(group, 20)
        moved = x.to(dtype)
        moved = kernel.move(random_elements(kernel, moved, seed=9), moved)
        assert kernel.point_groups(moved) == names
        torch.testing.assert_close(orders(kernel, moved), counts, rtol=1e-5, atol=0)
