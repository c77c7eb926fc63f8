"""The score and the rotation of Kabsch's problem, against singular values and many rotations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sympe.groups import Orthogonal, SpecialOrthogonal
from sympe.losses.rotations import best_rotation, overlap, scores, slope

SPECTRA = [(3.0, 2.0, 1.0), (3.0, 2.0, -1.0), (1.0, 1.0, 1.0), (1.0, 1.0, -1.0), (1.0, 0.5, -0.5), (1.0, 0.5, 0.5)]
SPECTRA += [(1.0, 0.3, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 0.0), (1.0, 1.0, 0.0), (1.0, 1e-3, -1e-5), (2e3, 1.0, 1e-2)]


def matrices(count: int = 20) -> tuple[Tensor, Tensor]:
    """Matrices with given singular values, the last with the sign of the determinant."""
    generator = torch.Generator().manual_seed(0)
    values = torch.tensor(SPECTRA, dtype=torch.float64).repeat_interleave(count, 0)
    left, right = (SpecialOrthogonal(3).sample((len(values),), generator=generator).double() for _ in range(2))
    left, right = (torch.linalg.qr(part)[0] for part in (left, right))
    left, right = (part * part.det()[:, None, None] for part in (left, right))
    return left @ torch.diag_embed(values) @ right, values


@pytest.mark.parametrize("reflect", [False, True])
def test_the_overlap_is_the_sum_of_singular_values(reflect: bool) -> None:
    M, values = matrices()
    expected = values.abs().sum(1) if reflect else values.sum(1)
    error = (overlap(M.flatten(1), reflect=reflect) - expected).abs() / values[:, 0].clamp(min=1e-9)
    flat = (values[:, 1] + (values[:, 2].abs() if reflect else values[:, 2])) < 1e-2
    assert error[~flat].max() < 1e-12
    assert error.max() < 1e-7
    random = torch.randn(1000, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    s = torch.linalg.svdvals(random)
    expected = s.sum(1) if reflect else s[:, 0] + s[:, 1] + random.det().sign() * s[:, 2]
    torch.testing.assert_close(overlap(random.flatten(1), reflect=reflect), expected, rtol=1e-9, atol=1e-9)
    with pytest.raises(AssertionError):  # the other one is another number
        torch.testing.assert_close(overlap(random.flatten(1), reflect=not reflect), expected)


def test_a_rotation_loses_at_least_what_the_gap_says() -> None:
    M, values = matrices()
    R, score, gap = slope(M.flatten(1), reflect=False)
    assert torch.equal(scores(M.flatten(1), reflect=False)[0], score)
    sharp = gap > 0
    assert sharp.sum() > 100
    torch.testing.assert_close(gap[sharp], (values[:, 1] + values[:, 2])[sharp], rtol=1e-7, atol=1e-7)
    others = SpecialOrthogonal(3).sample((2000, 1), generator=torch.Generator().manual_seed(3)).double()
    best = R.T.unflatten(1, (3, 3))
    away = 3 - (best * others).sum((2, 3))  # y squared
    lost = score - (others * M).sum((2, 3))
    assert (lost >= 0.5 * away * gap - 1e-4 * M.abs().amax((1, 2))).all()
    with pytest.raises(AssertionError):  # it is no less than that
        assert (lost >= 0.6 * away * gap - 1e-4 * M.abs().amax((1, 2))).all()


@pytest.mark.parametrize("reflect", [False, True])
def test_no_rotation_is_better_than_the_best(reflect: bool) -> None:
    M, _ = matrices()
    R = best_rotation(M, reflect=reflect)
    torch.testing.assert_close(R @ R.mT, torch.eye(3).double().expand_as(R))
    if not reflect:
        torch.testing.assert_close(R.det(), torch.ones(len(R)).double())
    best = (R * M).sum((1, 2))
    few = torch.cat([best_rotation(part, reflect=reflect) for part in M.split(7)])
    torch.testing.assert_close((few * M).sum((1, 2)), best, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(best, overlap(M.flatten(1), reflect=reflect), rtol=1e-7, atol=1e-7)
    group = Orthogonal(3) if reflect else SpecialOrthogonal(3)
    others = group.sample((2000,), generator=torch.Generator().manual_seed(2)).double()
    assert ((others[:, None] * M).sum((2, 3)) <= best + 1e-4 * M.abs().amax((1, 2))).all()
