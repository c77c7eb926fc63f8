"""The representation theorem and its limits, on all pairs of a few small sets, without sampling."""

from __future__ import annotations

import itertools

import pytest
import torch
from scipy.optimize import linprog
from torch import Tensor

from sympe.groups import Cyclic, FiniteGroup, generate_permutations
from sympe.theory import (
    FiniteSet,
    distance_without_breaking,
    entropy,
    is_jointly_equivariant,
    law_of,
    represent,
    symmetrized,
    violation,
)

SWAP, TURN = [1, 0, 2], [1, 2, 0]
S3 = FiniteGroup.from_permutations([SWAP, TURN])


def sets() -> dict[str, FiniteSet]:
    """Sets on which S_3 acts: with every kind of stabilizer, and one with several orbits."""
    points = generate_permutations([SWAP, TURN])
    sign = torch.tensor([[0, 1] if round(float(torch.linalg.det(torch.eye(3)[p]))) == 1 else [1, 0] for p in points])
    one = torch.zeros(6, 1, dtype=torch.int64)
    return {
        "a point": FiniteSet(S3, one),
        "signs": FiniteSet(S3, sign),
        "three points": FiniteSet(S3, points),
        "the group": FiniteSet.regular(S3),
        "all of these": FiniteSet(S3, torch.cat([one, 1 + sign, 3 + points, 6 + FiniteSet.regular(S3).moves], 1)),
    }


PAIRS = list(itertools.product(sets(), sets()))


def random_law(x: FiniteSet, y: FiniteSet) -> Tensor:
    """An equivariant distribution; some of its probabilities are 0."""
    p = torch.rand(len(x), len(y), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p = torch.where(p < 0.3, 0.0, p) + 1e-3 * (torch.arange(len(y)) == 0)
    return symmetrized(p / p.sum(1, keepdim=True), x, y)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_every_equivariant_law_has_an_f_and_every_f_a_law(first: str, second: str) -> None:
    x, y = sets()[first], sets()[second]
    p = random_law(x, y)
    assert violation(p, x, y) < 1e-12
    f, lengths = represent(p, x, y)
    assert is_jointly_equivariant(f, x, y)
    assert float(lengths.sum()) == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(law_of(f, lengths, x.inversion_kernel, y), p, rtol=0, atol=1e-12)
    # the other direction: an f is a free choice of F on the canonical points, whatever it is
    generator = torch.Generator().manual_seed(1)
    F = torch.randint(len(y), (len(x), 4), generator=generator)[x.canonical]
    f = torch.where(x.cosets[:, :, None], y.moves[:, F].transpose(0, 1), -1)
    assert is_jointly_equivariant(f, x, y)
    law = law_of(f, torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64), x.inversion_kernel, y)
    assert violation(law, x, y) < 1e-12


def test_an_f_that_is_not_jointly_equivariant_is_told() -> None:
    """The broken twins: one value that differs, and g^-1 in the place of g."""
    x, y = sets()["three points"], sets()["the group"]
    f, _ = represent(random_law(x, y), x, y)
    wrong = f.clone()
    inside = (f >= 0).nonzero()[0]
    wrong[tuple(inside)] = (wrong[tuple(inside)] + 1) % len(y)
    assert not is_jointly_equivariant(wrong, x, y)
    back = S3.inverse(S3.elements())
    F = torch.zeros(len(x), 1, dtype=torch.int64)
    inverted = torch.where(x.cosets[:, :, None], y.moves[back][:, F].transpose(0, 1), -1)
    assert not is_jointly_equivariant(inverted, x, y)


def test_first_index_ties_reach_every_law_but_give_others_too() -> None:
    for first, second in PAIRS:
        x, y = sets()[first], sets()[second]
        p = random_law(x, y)
        f, lengths = represent(p, x, y)
        torch.testing.assert_close(law_of(f, lengths, x.first_index_kernel, y), p, rtol=0, atol=1e-12)
    x, y = sets()["a point"], sets()["the group"]
    f = torch.where(x.cosets, S3.elements(), -1)[:, :, None]  # f(x, g) = g
    assert is_jointly_equivariant(f, x, y)
    one = torch.ones(1, dtype=torch.float64)
    assert violation(law_of(f, one, x.inversion_kernel, y), x, y) < 1e-12
    assert violation(law_of(f, one, x.first_index_kernel, y), x, y) == 1


@pytest.mark.parametrize(("first", "second"), [pair for pair in PAIRS if "all of these" not in pair])
def test_without_g_the_distance_is_that_of_the_best_mixture_of_all_equivariant_maps(first: str, second: str) -> None:
    x, y = sets()[first], sets()[second]
    maps = torch.cartesian_prod(*[torch.arange(len(y))] * len(x)).view(-1, len(x)) if len(x) < 6 else regular_maps(x, y)
    moved = maps[:, x.moves]  # (map, g, x): f(g x)
    equivariant = (moved == y.moves[:, maps].transpose(0, 1)).flatten(1).all(1)
    p = random_law(x, y)
    found = distance_without_breaking(p, x, y)
    for point in range(len(x)):
        reached = maps[equivariant, point].unique()
        assert float(found[point]) == pytest.approx(least_distance(p[point], reached), abs=1e-7)


def regular_maps(x: FiniteSet, y: FiniteSet) -> Tensor:
    """The maps from the group that may be equivariant: by the image of the identity. (All 6^6 would be too many.)"""
    assert torch.equal(x.moves[:, 0], S3.elements())
    return y.moves.T.contiguous()


def least_distance(p: Tensor, reached: Tensor) -> float:
    """By linear programming: the least total variation between p and a distribution on the reached points."""
    if not len(reached):
        return 1.0
    n, k = len(p), len(reached)
    place = torch.zeros(n, k, dtype=torch.float64)
    place[reached, torch.arange(k)] = 1
    eye = torch.eye(n, dtype=torch.float64)
    above = torch.cat([torch.cat([place, -eye], 1), torch.cat([-place, -eye], 1)])  # |place q - p| <= gap
    result = linprog(
        [0.0] * k + [0.5] * n,
        A_ub=above.numpy(),
        b_ub=torch.cat([p, -p]).numpy(),
        A_eq=[[1.0] * k + [0.0] * n],
        b_eq=[1.0],
    )
    return float(result.fun)


def test_noise_with_trivial_common_stabilizers_takes_the_place_of_g_and_costs_more() -> None:
    for first, second in PAIRS:
        x, y, z = sets()[first], sets()[second], sets()["the group"]
        pair = FiniteSet.product(x, z)
        assert bool((pair.stabilizers.sum(1) == 1).all())
        p = random_law(x, y)
        f, lengths = represent(p.repeat_interleave(len(z), 0), pair, y)
        law = law_of(f, lengths, pair.inversion_kernel, y).view(len(x), len(z), len(y)).mean(1)  # Z is uniform
        torch.testing.assert_close(law, p, rtol=0, atol=1e-12)
        noise = entropy(torch.full((len(x), len(z)), 1 / len(z), dtype=torch.float64))
        own = entropy(x.inversion_kernel)
        torch.testing.assert_close(own.exp(), x.stabilizers.sum(1).double())
        assert bool((noise >= own - 1e-12).all())
    # signs alone leave rotations of a single point unbroken
    short = FiniteSet.product(sets()["a point"], sets()["signs"])
    assert bool((short.stabilizers.sum(1) == 3).all())


def test_the_kernel_is_equivariant_and_the_first_index_is_not() -> None:
    for x in sets().values():
        assert violation(x.inversion_kernel, x, FiniteSet.regular(S3)) < 1e-12
        free = bool((x.stabilizers.sum(1) == 1).all())
        assert (violation(x.first_index_kernel, x, FiniteSet.regular(S3)) == 0) == free


@pytest.mark.usefixtures("unchecked")
def test_errors() -> None:
    with pytest.raises(ValueError, match="permutations: not a homomorphism"):
        FiniteSet(Cyclic(3), torch.tensor([[0, 1], [1, 0], [0, 1]]))
    x, y = sets()["three points"], sets()["signs"]
    other = FiniteSet.regular(Cyclic(6))
    with pytest.raises(ValueError, match="b: expected a set on which"):
        FiniteSet.product(x, other)
    half = torch.full((3, 2), 0.5)
    with pytest.raises(ValueError, match="y: expected a set on which"):
        violation(half, x, other)
    with pytest.raises(ValueError, match=r"p: expected shape \(3, 2\), got \(2, 3\)"):
        symmetrized(half.T, x, y)
    with pytest.raises(ValueError, match="p: expected rows of probabilities that sum to 1"):
        distance_without_breaking(half + 0.1, x, y)
    with pytest.raises(ValueError, match=r"p: expected P\(gy \| gx\) = P\(y \| x\), got a difference of"):
        represent(torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]]), x, y)
    f, lengths = represent(symmetrized(half, x, y), x, y)
    with pytest.raises(ValueError, match="kernel: expected no weight outside"):
        law_of(f, lengths, torch.full((3, 6), 1 / 6), y)
