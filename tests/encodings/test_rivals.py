import math

import pytest
import torch

from sympe.encodings import NoEncoding, NoiseEncoding


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_noise_is_normal_and_independent_for_every_input(scale: float) -> None:
    z = NoiseEncoding((2, 5, 5), scale=scale)(torch.zeros(2000, 1, 5, 5), generator=seeded(0)).double() / scale
    n = z.numel()  # 100,000: standard errors below; false alarm of 5 of them 6e-7 each
    assert abs(float(z.mean())) < 5 / math.sqrt(n)
    assert abs(float(z.square().mean()) - 1) < 5 * math.sqrt(2 / n)
    assert abs(float(z.pow(4).mean()) - 3) < 5 * math.sqrt(96 / n)
    assert abs(float((z[1:] * z[:-1]).mean())) < 5 / math.sqrt(n - 50)
    assert len(z.unique()) > 0.99 * n


def test_noise_ignores_the_input() -> None:
    noise = NoiseEncoding((2, 3))
    a, b = torch.zeros(4, 1), torch.randn(4, 1)
    assert torch.equal(noise(a, generator=seeded(1)), noise(b, generator=seeded(1)))


def test_nothing_is_nothing() -> None:
    features = NoEncoding((4, 3, 3))(torch.randn(5, 1, 3, 3))
    assert torch.equal(features, torch.zeros(5, 4, 3, 3))


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
def test_a_bad_scale_is_an_error(scale: float) -> None:
    with pytest.raises(ValueError, match=f"scale: expected a positive number, got {scale}"):
        NoiseEncoding((2,), scale=scale)
