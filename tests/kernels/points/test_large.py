"""Clouds of more than 64 points: settled in batches, without BLISS, the same alone, in a batch and padded."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from sympe.graphs import Clouds
from sympe.groups import DirectProduct, Euclidean, Orthogonal, Permutations, SpecialEuclidean
from sympe.kernels.graphs import bliss, cosets
from sympe.kernels.graphs.individualization import Heard, Leaves, Shared
from sympe.kernels.points import PointKernel, cloud, listing
from sympe.kernels.points.names import schoenflies
from sympe.kernels.points.ranks import FINE, rank_lengths
from tests.kernels.points.laws import form, random_elements, seeded
from tests.kernels.points.shapes import CUBIC, PHI, orbit, ring


def generic(n: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(n, 3, generator=seeded(seed), dtype=torch.float64)


def lattice(*sizes: int) -> Tensor:
    return torch.cartesian_prod(*(torch.arange(size) for size in sizes)).double()


def shells(n: int) -> Tensor:
    points = generic(n, seed=1)
    points = points / points.norm(dim=1, keepdim=True)
    return points * torch.tensor([4.0, 7.0]).repeat_interleave(n // 2)[:, None]


LARGE = {
    "generic": (generic(90), 1),
    "two shells": (shells(80), 1),
    "a square of a lattice": (torch.nn.functional.pad(lattice(9, 9), (0, 1)), 16),
    "a cube of a lattice": (lattice(5, 5, 5), 48),
    "a ring": (ring(70, 20.0), 280),
    "soccer balls": (torch.cat([k * orbit(CUBIC["I"], (0, 1, 3 * PHI)) for k in range(1, 7)]), 120),
    "72 of one hand": (torch.cat([k * orbit(CUBIC["O"], (2.3, 1.1, 0.4)) for k in (1, 2, 3)]), 24),
}


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is taken apart or given to BLISS."""

    def refuse(*_: object) -> None:
        raise AssertionError("a cloud was not settled in the batch")

    monkeypatch.setattr(bliss.BlissGraph, "__init__", refuse)
    monkeypatch.setattr(cosets.Decomposed, "__init__", refuse)


def padded(points: list[Tensor], nodes: int) -> Clouds:
    mask = torch.arange(nodes) < torch.tensor([[len(one)] for one in points])
    rows = [torch.nn.functional.pad(one, (0, 0, 0, nodes - len(one))) for one in points]
    return Clouds.from_positions(torch.stack(rows), mask=mask)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("name", LARGE)
def test_large_clouds_are_settled_in_the_batch(name: str) -> None:
    points, order = LARGE[name]
    kernel = PointKernel(Orthogonal(3), len(points))
    x = Clouds.from_positions((points - points.mean(0))[None])
    many = x.select(torch.zeros(8, dtype=torch.int64))
    h = random_elements(kernel, many, seed=3)
    hx = kernel.move(h, many)
    assert kernel.entropy(hx).exp().tolist() == pytest.approx([order] * 8, rel=1e-5)
    own = form(kernel, kernel.canonicalize(x), x)
    samples = kernel.sample(hx, generator=seeded(4))
    assert torch.allclose(form(kernel, samples, hx), own.expand(8, -1), atol=1e-8)
    assert torch.allclose(kernel.log_prob(samples, hx).exp() * order, torch.ones(8), rtol=1e-4)
    one = kernel.sample(x.select(torch.zeros(60, dtype=torch.int64)), generator=seeded(5))
    found = len(kernel.group.components(one)[1].unique(dim=0))
    assert found == 1 if order == 1 else found > min(order // (2 if points[:, 2].any() else 4), 40) / 2


def test_a_search_that_loses_elements_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    search = listing.search

    def half(*args: object, **how: object) -> Leaves:
        leaves = search(*args, **how)  # type: ignore[arg-type]
        return Leaves(leaves.rows[::2], leaves.orders[::2], leaves.too_many)

    monkeypatch.setattr(listing, "search", half)
    with pytest.raises(AssertionError):
        test_large_clouds_are_settled_in_the_batch("a cube of a lattice")


@pytest.mark.usefixtures("alone")
def test_generic_clouds_of_hundreds_of_points() -> None:
    """Of 200 and 500 points, in both hands, and in a batch with small ones."""
    points = [generic(n, seed=n) for n in (12, 200, 70, 500)]
    x = padded(points, 500)
    kernel = PointKernel(SpecialEuclidean(3), 510, tolerance=1e-9)
    assert kernel.entropy(x).tolist() == [0.0] * 4
    assert kernel.point_groups(x) == ["C1"] * 4
    g = kernel.canonicalize(x)
    assert torch.equal(kernel.sample(x, generator=seeded(0)), g)
    assert kernel.log_prob(g, x).tolist() == [0.0] * 4


@pytest.mark.usefixtures("alone")
def test_alone_in_a_batch_and_padded() -> None:
    points = [LARGE[name][0] for name in LARGE] + [generic(20), orbit(CUBIC["O"], (1, 1, 1))]
    x = padded(points, 360)
    kernel = PointKernel(Euclidean(3), 361)
    together = kernel.canonicalize(x)
    for row, one in enumerate(points):
        own = kernel.canonicalize(Clouds.from_positions(one[None]))
        assert torch.allclose(own[0], together[row], atol=1e-9)
    assert torch.equal(kernel.canonicalize(x.select(torch.tensor([3, 7]))), together[[3, 7]])


@pytest.mark.parametrize("at_once", [1, 300, 2**16])
def test_lengths_are_ranked_in_parts_of_the_batch(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = Clouds.concatenate([Clouds.from_positions(generic(n, seed=n)[None]) for n in (3, 9, 9, 4, 1)])
    kernel = PointKernel(Euclidean(3), 9)
    expected = kernel.canonicalize(x)
    monkeypatch.setitem(cloud._AT_ONCE, "cpu", at_once)
    assert torch.equal(kernel.canonicalize(x), expected)
    close = Clouds.from_positions(torch.tensor([[[0.0, 0, 0], [1, 0, 0]], [[0, 0, 0], [1e-4, 0, 0]]]))
    with pytest.warns(UserWarning, match=r"x: points 0 and 1 of cloud 1 are 0\.0001 apart"):
        kernel.canonicalize(close)


@pytest.mark.parametrize("factor", [1, 2**30])
@pytest.mark.parametrize("whole", [True, False])
def test_ranks_are_those_of_sorted_lengths(factor: int, whole: bool) -> None:
    """In one sort of one integer each, and in two sorts where these would be too long."""
    generator = seeded(6)
    parts = torch.randint(0, 40, (30, 7), generator=generator) * (FINE // 2) * factor
    kinds = torch.randint(0, 3, (30, 7), generator=generator)
    real = None if whole else torch.rand(30, 7, generator=generator) < 0.7
    found, _ = rank_lengths(parts * (1 if factor == 1 else 2), kinds, real)
    step = 1 if factor == 1 else 0
    for column in range(7):
        rows = [row for row in range(30) if real is None or real[row, column]]
        keys = {row: (int(kinds[row, column]), int(parts[row, column]) // (FINE // 2) // factor) for row in rows}
        rank, ranks = 0, {}
        before = None
        for key in sorted(set(keys.values())):
            apart = before is None or key[0] != before[0] or key[1] - before[1] > (2 if step else 0)
            rank += apart
            ranks[key], before = rank, key
        expected = [ranks[keys[row]] if row in keys else 0 for row in range(30)]
        assert found[:, column].tolist() == expected


def test_products_of_matrices_are_sums_of_what_is_heard() -> None:
    """In integers that wrap."""
    generator = seeded(7)
    weights = torch.randint(-(2**62), 2**62, (9, 9, 4), generator=generator)
    graph = torch.tensor([3, 1, 1, 3, 3, 1, 1, 1, 3, 3, 3, 1])
    colors = torch.randint(-(2**62), 2**62, (9, len(graph)), generator=generator)
    heard = Heard(weights)
    shared = heard.shared(graph)
    assert isinstance(shared, Shared)
    assert len(shared.weights) == 2
    assert torch.equal(shared.of(graph).sums(colors), heard.of(graph).sums(colors))
    node = torch.randint(0, 9, (len(graph),), generator=generator)
    assert torch.equal(shared.each(node, graph), heard.each(node, graph))
    assert heard.shared(torch.tensor([0, 1, 2])) is heard


@pytest.mark.parametrize("counts", [(2, 1, 1, 1, 0), (6, 2, 0, 0, 0), (4, 2, 4, 2, 0)])
def test_numbers_of_elements_that_no_group_has(counts: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="x: expected the symmetries of a point group, got"):
        schoenflies(*counts)


def test_products_with_permutations_of_many_points() -> None:
    """200! is larger than any float."""
    group = DirectProduct(Orthogonal(3), Permutations(200))
    assert group.order == float("inf")
    assert group.is_continuous
    group.check(group.sample((2,), generator=seeded(0)))
    both = DirectProduct(Permutations(3), Permutations(4))
    assert both.order == 6 * 24 == len(list(itertools.product(range(6), range(24))))
