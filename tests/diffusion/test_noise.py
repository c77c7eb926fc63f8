"""One categorical variable: matrices and Bayes' rule against the closed forms."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from sympe.diffusion import CategoricalNoise, cosine_schedule
from sympe.diffusion.noise import draw

NOISES = {
    "uniform": CategoricalNoise.uniform(4),
    "marginal": CategoricalNoise.marginal(torch.tensor([5, 0, 3, 2])),
    "absorbing": CategoricalNoise.absorbing(3),
}
SCHEDULE = cosine_schedule(6).double()


def matrix(noise: CategoricalNoise, alpha: float) -> torch.Tensor:
    """Entry [x, y] is the probability to go from x to y."""
    return alpha * torch.eye(4, dtype=torch.float64) + (1 - alpha) * noise.limit.double()


@pytest.fixture(params=NOISES, name="noise")
def fixture_noise(request: pytest.FixtureRequest) -> CategoricalNoise:
    return NOISES[request.param].double()


def test_the_schedule_falls_from_one_to_zero() -> None:
    for steps in (1, 2, 500):
        schedule = cosine_schedule(steps)
        assert schedule[0] == 1
        assert schedule[-1] == 0
        assert bool((schedule.diff() < 0).all())
        t = steps // 2
        exact = (math.cos((t / steps + 0.008) / 1.008 * math.pi / 2) / math.cos(0.008 / 1.008 * math.pi / 2)) ** 2
        assert float(schedule[t]) == pytest.approx(exact, rel=1e-5)


def test_steps_compose(noise: CategoricalNoise) -> None:
    """Going to s and from there to t is going to t: products of matrices."""
    product = torch.eye(4, dtype=torch.float64)
    for s, t in itertools.pairwise(SCHEDULE):
        product = product @ matrix(noise, float(t / s))
        assert torch.allclose(noise.forward_probabilities(torch.arange(4), t.expand(4)), product)


@pytest.mark.parametrize(("s", "t"), [(0, 1), (0, 6), (2, 3), (1, 5), (5, 6)])
def test_reverse_steps_are_bayes_rule(noise: CategoricalNoise, s: int, t: int) -> None:
    first, second = matrix(noise, float(SCHEDULE[s])), matrix(noise, float(SCHEDULE[t] / SCHEDULE[s]))
    clean, x = torch.cartesian_prod(torch.arange(4), torch.arange(4)).unbind(1)
    certain = torch.eye(4, dtype=torch.float64)[clean]
    found = noise.reverse_probabilities(certain, x, SCHEDULE[s].expand(16), SCHEDULE[t].expand(16))
    joint = first[clean] * second[:, x].T
    possible = joint.sum(1) > 0
    assert torch.allclose(found[possible], joint[possible] / joint[possible].sum(1, keepdim=True))
    assert bool((found[~possible] == 0).all())
    assert bool(possible.all()) == (noise is NOISES["uniform"]), "impossible pairs are tested as well"
    digress = noise.digress_probabilities(certain[possible], x[possible], SCHEDULE[s], SCHEDULE[t])
    assert torch.allclose(digress, found[possible]), "for the clean value itself the two conventions agree"


@pytest.mark.parametrize(("s", "t"), [(0, 1), (2, 3), (5, 6)])
def test_a_prediction_mixes_the_posteriors(noise: CategoricalNoise, s: int, t: int) -> None:
    x = torch.arange(4)
    x = x[noise.limit[x] > 0] if t == 6 else x  # values that occur
    logits = torch.randn(len(x), noise.clean_types, generator=torch.Generator().manual_seed(0)).double()
    alpha_s, alpha_t = SCHEDULE[s], SCHEDULE[t]
    p = noise.restrict(logits, x, alpha_t)
    assert torch.allclose(p.sum(1), torch.ones(len(x), dtype=torch.float64))
    assert bool((p[:, noise.clean_types :] == 0).all())
    every = torch.eye(4, dtype=torch.float64)
    posterior = torch.stack(
        [noise.reverse_probabilities(every[c].expand(len(x), 4), x, alpha_s, alpha_t) for c in range(4)], 1
    )
    found = noise.reverse_probabilities(p, x, alpha_s, alpha_t)
    assert torch.allclose(found, (p[..., None] * posterior).sum(1))
    assert torch.allclose(found.sum(1), torch.ones(len(x), dtype=torch.float64))
    if s == 2 and noise.clean_types == 4:  # the twin: as DiGress has it, another distribution
        assert not torch.allclose(noise.digress_probabilities(p, x, alpha_s, alpha_t), found, atol=1e-3)


def test_an_unrestricted_prediction_loses_probability() -> None:
    """The broken twin: under absorbing noise a type that is not masked can only come from itself."""
    noise = NOISES["absorbing"].double()
    uniform = torch.full((1, 4), 0.25, dtype=torch.float64)
    found = noise.reverse_probabilities(uniform, torch.tensor([0]), SCHEDULE[2], SCHEDULE[3])
    assert float(found.sum()) == pytest.approx(0.25)


def test_draws_never_have_probability_zero() -> None:
    p = torch.tensor([[0.0, 0.3, 0.7], [1.0, 0.0, 0.0]])
    drawn = draw(p[:, None].expand(2, 10_000, 3), torch.Generator().manual_seed(0))
    assert drawn.shape == (2, 10_000)
    assert bool((drawn[0] > 0).all())
    assert bool((drawn[1] == 0).all())
    assert abs(float((drawn[0] == 1).double().mean()) - 0.3) < 0.025  # 5 standard deviations
    assert draw(torch.zeros(0, 3)).shape == (0,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CategoricalNoise(torch.tensor([0.5, 0.6])), "limit: expected a vector of probabilities, got "),
        (lambda: CategoricalNoise(torch.tensor([1.5, -0.5])), "limit: expected a vector of probabilities, got "),
        (lambda: CategoricalNoise(torch.tensor([1.0]), clean_types=2), "clean_types: expected 1 to 1, got 2"),
        (lambda: CategoricalNoise.uniform(0), "types: expected at least 1, got 0"),
        (lambda: CategoricalNoise.absorbing(0), "types: expected at least 1, got 0"),
        (lambda: CategoricalNoise.marginal(torch.zeros(3)), "counts: expected a vector of counts, not all 0, got "),
        (lambda: CategoricalNoise.marginal(torch.tensor([2, -1])), "counts: expected a vector of counts, "),
        (lambda: cosine_schedule(0), "steps: expected at least 1, got 0"),
    ],
)
def test_errors(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]
