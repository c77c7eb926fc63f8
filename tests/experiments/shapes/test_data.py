"""The shapes, their symmetries by enumeration, and the law of the samples and of the draws."""

import itertools
import math

import pytest
import torch

from sympe.actions import VectorAction
from sympe.experiments.shapes.config import DATASETS, PARTS
from sympe.experiments.shapes.data import (
    HELD_SCALES,
    SCALES,
    Table,
    TrainingStream,
    held_samples,
    relative_error,
    templates,
    training_scales,
)
from sympe.experiments.shapes.shapes import GLAZER, shapes
from sympe.graphs import Clouds
from sympe.kernels import CoupledPointKernel
from sympe.losses import orbit_minimum

# the point group of each shape, of the shape with its displacement, and the number of equally right displacements
KNOWN = {
    "triangle": ("D3h", "C2v", 3),
    "square": ("D4h", "D2h", 2),
    "pentagon": ("D5h", "C2v", 5),
    "hexagon": ("D6h", "C2v", 6),
    "octagon": ("D8h", "D2h", 4),
    "nonagon": ("D9h", "D3h", 3),
    "decagon": ("D10h", "D5d", 2),
    "dodecagon": ("D12h", "D3h", 4),
    "tetrahedron": ("Td", "C1", 24),
    "octahedron": ("Oh", "D4h", 3),
    "cube": ("Oh", "C3v", 8),
    "icosahedron": ("Ih", "C5v", 12),
    "triangular prism": ("D3h", "D3", 2),
    "square antiprism": ("D4d", "Cs", 8),
    "pentagonal prism": ("D5h", "Cs", 10),
    "hexagonal prism": ("D6h", "D6", 2),
    "pentagonal antiprism": ("D5d", "C2h", 5),
    "cage a0a0c+": ("Oh", "D2h", 6),
    "cage a0a0c-": ("Oh", "D2d", 6),
    "cage a0b-b-": ("Oh", "C2v", 12),
    "cage a-a-a-": ("Oh", "D3", 8),
    "cage a+a+a+": ("Oh", "Th", 2),
    "cage a+b-b-": ("Oh", "Cs", 24),
}


@pytest.mark.parametrize("dataset", ["polyhedra", "cages"])
def test_shapes_lose_the_symmetries_that_they_are_said_to_lose(dataset: str) -> None:
    of = templates(dataset)
    full = of.kernel.point_groups(of.x)
    kept = of.kernel.point_groups(Clouds(of.x.positions + of.y, of.x.types, of.x.mask, of.x.vectors))
    counts = of.orbits.counts.tolist()
    assert {name: found for name, *found in zip(of.names, full, kept, counts, strict=True)} == {
        name: list(KNOWN[name]) for name in of.names
    }
    for shape in range(len(of.names)):  # |G_x| = |orbit| |G_x and G_y|
        assert len(of.cosets.of(shape)) == counts[shape] * len(of.coupled.of(shape))
    assert [shape.name for shape in shapes(dataset)] == of.names
    assert all(abs(float(s.positions.square().sum(1).mean()) - 1) < 1e-12 for s in shapes(dataset))


def test_the_octahedra_of_a_cage_turn_as_one_piece() -> None:
    """To first order the bridges of a corner keep their distances from it, and share their displacement."""
    for shape in shapes("cages"):
        p, y, corners = shape.positions, shape.displacement, shape.types == 1
        assert not y[corners].any()
        for corner in p[corners]:
            near = ((p - corner).norm(dim=1) < 1.01 * (p[corners][0] - p[corners][1]).norm() / 2) & (shape.types == 2)
            assert int(near.sum()) == 3
            assert float(((p[near] - corner) * y[near]).sum(1).abs().max()) < 1e-12
    assert set(GLAZER) == {name.removeprefix("cage ") for name in templates("cages").names}


@pytest.mark.parametrize("dataset", DATASETS)
def test_floors_are_those_of_the_mean_over_the_symmetries(dataset: str) -> None:
    of = templates(dataset)
    for shape, floor in enumerate(of.floors):
        G = of.kernel.stabilizer(of.x.select(torch.tensor([shape])))[0]
        images = VectorAction(of.group)(G, of.y[shape, None, :, None].expand(len(G), -1, -1, -1)).squeeze(2)
        assert float(relative_error(images.mean(0), of.y[shape])) == pytest.approx(float(floor), abs=1e-9)
    by_hand = {"triangle": 2 / 3, "pentagon": 4 / 5, "cube": 7 / 8, "octahedron": 1.0, "icosahedron": 11 / 12}
    for name, floor in by_hand.items():
        if name in of.names:
            assert float(of.floors[of.names.index(name)]) == pytest.approx(floor)


@pytest.mark.parametrize("dataset", DATASETS)
def test_draws_of_training_are_those_of_the_kernel(dataset: str) -> None:
    of = templates(dataset)
    which = torch.arange(len(of.names))
    samples = of.sample(which, torch.full((len(which),), 0.8), generator=torch.Generator().manual_seed(0))
    coupled = CoupledPointKernel(of.kernel)
    for table, log_prob in (
        (of.cosets, lambda g: of.kernel.log_prob(g, samples.x)),
        (of.coupled, lambda g: coupled.log_prob(g, samples.x, samples.y)),
    ):
        g = of.group.compose(samples.h, table.draw(samples.which, torch.Generator().manual_seed(1)))
        assert torch.allclose(log_prob(g), -table.counts.float().log())
    wrong = of.group.compose(samples.h, of.cosets.draw(samples.which, torch.Generator().manual_seed(1)))
    assert bool((coupled.log_prob(wrong, samples.x, samples.y) == -torch.inf).any())  # the twin: it knows no target


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_orbit_of_a_sample_is_that_of_the_library_s_loss(dataset: str) -> None:
    of = templates(dataset)
    samples = of.sample(
        torch.arange(len(of.names)), torch.ones(len(of.names)), generator=torch.Generator().manual_seed(0)
    )
    y = torch.randn(samples.y.shape, generator=torch.Generator().manual_seed(1)) * samples.x.mask[:, :, None]
    orbit, there = of.orbit(samples)
    own = relative_error(y[:, None], orbit).masked_fill(~there, torch.inf).amin(1)
    expected = orbit_minimum(
        lambda a, b: relative_error(a.squeeze(2), b.squeeze(2)),
        y[:, :, None],
        samples.y[:, :, None],
        samples.x,
        of.kernel,
        VectorAction(of.group),
    )
    assert torch.allclose(own, expected, rtol=1e-3)
    assert torch.allclose(
        relative_error(samples.y[:, None], orbit).masked_fill(~there, 9).amin(1), torch.zeros(1), atol=1e-6
    )
    assert bool((own < relative_error(y, samples.y) - 1e-3).any())


def test_entries_are_drawn_evenly_from_the_list_of_their_shape() -> None:
    table = Table(torch.tensor([0, 1, 1, 1]), torch.tensor([5, 6, 7, 8]))
    drawn = table.draw(torch.ones(3000, dtype=torch.int64), torch.Generator().manual_seed(0))
    counts = drawn.bincount(minlength=9)[6:]
    assert int(counts.sum()) == 3000
    assert float((counts - 1000).abs().max()) < 4 * math.sqrt(1000)
    assert table.draw(torch.zeros(4, dtype=torch.int64), None).tolist() == [5] * 4
    assert table.of(1).tolist() == [6, 7, 8]
    assert repr(table) == "Table(4 entries of 2 shapes)"


def test_scales_of_validation_and_test_are_never_seen_in_training() -> None:
    scale = training_scales(5000, torch.Generator().manual_seed(0))
    (low, high), (start, end) = SCALES, HELD_SCALES
    assert low <= float(scale.min()) < low + 0.01
    assert high - 0.01 < float(scale.max()) <= high
    assert not bool(((scale > start) & (scale < end)).any())
    samples = held_samples("polyhedra", "test", 2)
    radius = (samples.x.positions.square().sum((1, 2)) / samples.x.sizes).sqrt()
    assert start <= float(radius.min())
    assert float(radius.max()) <= end
    assert samples.which.tolist() == [shape for shape in range(17) for _ in range(2)]


@pytest.mark.parametrize("dataset", DATASETS)
def test_validation_and_test_have_no_sample_in_common(dataset: str) -> None:
    tried, judged = (held_samples(dataset, part, 3) for part in PARTS)
    assert torch.equal(tried.which, judged.which)
    assert torch.equal(tried.x.positions, held_samples(dataset, PARTS[0], 3).x.positions)
    radii = [(s.x.positions.square().sum((1, 2)) / s.x.sizes).sqrt() for s in (tried, judged)]
    assert float((radii[0][:, None] - radii[1]).abs()[tried.which[:, None] == judged.which].min()) > 1e-6


def test_a_batch_is_the_same_every_time_and_differs_from_all_others() -> None:
    def batch(seed: int, step: int, rank: int = 0) -> torch.Tensor:
        stream = TrainingStream("polyhedra", seed=seed, batch=3, steps=range(step, step + 1), rank=rank)
        assert len(stream) == 1
        return stream[0][1].x.positions

    assert torch.equal(batch(0, 5), batch(0, 5))
    found = [batch(*key) for key in ((0, 5), (1, 5), (0, 6), (0, 5, 1))]
    assert all(not torch.equal(a, b) for a, b in itertools.combinations(found, 2))


def test_samples_are_whole_shapes_that_were_moved() -> None:
    of = templates("polyhedra")
    samples = held_samples("polyhedra", "test", 1)
    back = of.kernel.move(of.group.inverse(samples.h), samples.x)
    scale = (samples.x.positions.square().sum((1, 2)) / samples.x.sizes).sqrt()
    assert torch.allclose(back.positions, of.x.positions.float() * scale[:, None, None], atol=1e-5)
    assert torch.equal(back.mask, of.x.mask)
    assert repr(of) == "Templates(17 shapes of 3 to 12 points)"
