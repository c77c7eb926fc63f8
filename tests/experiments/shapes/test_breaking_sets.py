"""Symmetry-breaking sets: their size by the tables of point groups, their closure, and what they know of x."""

import pytest
import torch

from sympe.experiments.shapes.breaking_sets import BreakingSetEncoding, normalizer, with_normalizer
from sympe.experiments.shapes.data import templates
from sympe.graphs import Clouds
from sympe.groups import Orthogonal
from sympe.kernels import PointKernel

# |N(S)| by hand: of Dnh and Dnd it is D2nh, of Td, Th and Oh it is Oh, of Ih itself
NORMALIZERS = {
    "triangle": 24,
    "square": 32,
    "hexagon": 48,
    "tetrahedron": 48,
    "octahedron": 48,
    "icosahedron": 120,
    "triangular prism": 24,
    "square antiprism": 32,
    "pentagonal antiprism": 40,
}


def point_group(shape: int) -> torch.Tensor:
    of = templates("polyhedra")
    R, _ = of.group.components(of.kernel.stabilizer(of.x.select(torch.tensor([shape])))[0])
    return R


@pytest.mark.parametrize("name", NORMALIZERS)
def test_normalizers_have_the_order_that_the_tables_say(name: str) -> None:
    S = point_group(templates("polyhedra").names.index(name))
    N = normalizer(S)
    assert len(N) == NORMALIZERS[name]
    assert len(torch.unique(N.flatten(1).mul(1e4).round(), dim=0)) == len(N)
    for n in N[:: max(1, len(N) // 6)]:
        moved = n @ S @ n.mT
        assert bool(((moved[:, None] - S).abs().amax((2, 3)) < 1e-6).any(1).all())


def test_the_set_moves_with_the_cloud() -> None:
    """As a set it is R B(x) for the cloud turned by R; SymPE's orbit is a part of it that is smaller or all of it."""
    of = templates("polyhedra")
    encoding = BreakingSetEncoding(of.kernel, 3)
    rows = torch.tensor([of.names.index("tetrahedron"), of.names.index("cube")])
    samples = of.sample(rows, torch.ones(2), generator=torch.Generator().manual_seed(0))
    R, _ = of.group.components(samples.h)
    x = of.x.select(rows).to(torch.float32)
    for row, (before, after) in enumerate(zip(encoding.elements(x), encoding.elements(samples.x), strict=True)):
        start = R[row] @ of.group.components(before)[0]
        end = of.group.components(after)[0]
        near = (start[:, None] - end).abs().amax((2, 3)) < 1e-3
        assert len(before) == len(after) == 48
        assert bool(near.any(1).all())
        assert bool(near.any(0).all())
        coset = of.group.components(of.kernel.list_coset(samples.x.select(torch.tensor([row])), limit=99)[1])[0]
        inside = ((coset[:, None] - end).abs().amax((2, 3)) < 1e-3).any(1)
        assert bool(inside.all())
        assert len(coset) == (24, 48)[row]


def test_objects_are_the_same_at_all_points_and_drawn_from_the_set() -> None:
    of = templates("polyhedra")
    encoding = BreakingSetEncoding(of.kernel, 3)
    x = of.x.select(torch.tensor([0, 0, 0, 0])).to(torch.float32)
    with torch.no_grad():
        v = encoding(x, generator=torch.Generator().manual_seed(0))
    assert v.shape == (4, 12, 3, 3)
    assert torch.allclose(v, v[:, :1].expand_as(v))
    assert not torch.allclose(v[0], v[1], atol=1e-3)
    g = with_normalizer(of.kernel, of.cosets.of(0), {})
    assert len(g) == 24


@pytest.mark.usefixtures("unchecked")
def test_what_does_not_fit_is_refused() -> None:
    kernel = PointKernel(Orthogonal(3), 3)
    with pytest.raises(ValueError, match="channels: expected at least 3 vectors, which no isometry fixes, got 2"):
        BreakingSetEncoding(kernel, 2)
    bent = Clouds.from_positions(torch.tensor([[[0.0, 0, 1.0], [1.0, 0, -0.4], [0.3, 0.8, -0.6]]]))
    with pytest.raises(ValueError, match="S: expected a point group with several axes, got"):
        BreakingSetEncoding(kernel, 3)(bent)
