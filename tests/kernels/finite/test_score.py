import math

import pytest
import torch
from torch import nn

from sympe.actions import BondAction, DirectSum, GridAction, RegularAction
from sympe.groups import P4M, Cyclic
from sympe.kernels import ScoreKernel
from sympe.nn import P4MNet
from sympe.testing import assert_equivariant_in_distribution
from tests.catalogue import symmetric_inputs


def ising(group: P4M) -> DirectSum:
    return DirectSum(BondAction(group), GridAction(group))


def network(field: object = GridAction, seed: int = 0) -> P4MNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return P4MNet(field, channels=4, blocks=1, out="regular")  # type: ignore[arg-type]


class Table(nn.Module):
    """Scores that are parameters, the same for every x; equivariant for none but they are known."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.tensor(scores))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scores.expand(len(x), -1)


class Itself(nn.Module):
    """A function on the group is its own score."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("temperature", [2.0, 0.3, 0.0])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("field", [GridAction, ising])
def test_scores_of_a_p4m_network_give_an_equivariant_law(field: object, size: int, temperature: float) -> None:
    action = field(P4M(size))  # type: ignore[operator]
    kernel = ScoreKernel(network(field), action.group, temperature=temperature)
    x = symmetric_inputs(action).float()[[0, 1, 2, 5, -1]]
    assert_equivariant_in_distribution(kernel, action, x, max_elements=20)


def test_a_symmetric_input_keeps_its_ties_at_temperature_zero() -> None:
    action = GridAction(P4M(4))
    kernel = ScoreKernel(network(), action.group, temperature=0.0)
    x = torch.zeros(2, 1, 4, 4)
    x[1, :, ::2] = 1.0
    # ties are unions of cosets of the stabilizer: all 128 elements, and a multiple of the 32 of the stripes
    assert float(kernel.entropy(x[:1]).exp().round()) == 128
    assert float(kernel.entropy(x[1:]).exp().round()) % 32 == 0


@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_the_law_is_the_softmax_of_the_scores(temperature: float) -> None:
    scores = [0.5, -1.0, 2.0, 0.0]
    kernel = ScoreKernel(Table(scores), Cyclic(4), temperature=temperature)
    x = torch.zeros(4, 3)
    weights = [math.exp(s / temperature) for s in scores]
    p = [w / sum(weights) for w in weights]
    torch.testing.assert_close(kernel.log_prob(torch.arange(4), x), torch.tensor(p).log())
    torch.testing.assert_close(kernel.log_probs(x)[0], torch.tensor(p).log())
    entropy = -sum(q * math.log(q) for q in p)
    torch.testing.assert_close(kernel.entropy(x), torch.full((4,), entropy))


@pytest.mark.parametrize(
    ("scores", "tolerance", "ties"),
    [
        ([1.0, 3.0, 3.0, 2.0], 0.0, [1, 2]),
        ([1.0, 3.0, 3.0 - 1e-6, 2.0], 1e-5, [1, 2]),
        ([1.0, 3.0, 3.0 - 1e-4, 2.0], 1e-5, [1]),
        ([3.0, 3.4, 3.8, 1.0], 0.5, [0, 1, 2]),  # a chain
        ([0.0, 0.0, 0.0, 0.0], 0.0, [0, 1, 2, 3]),
        ([5.0, 1.0, 1.0, 1.0], 0.5, [0]),  # ties below the largest do not count
    ],
)
def test_at_temperature_zero_the_law_is_uniform_over_the_largest(
    scores: list[float], tolerance: float, ties: list[int]
) -> None:
    kernel = ScoreKernel(Table(scores), Cyclic(4), temperature=0.0, tolerance=tolerance)
    x = torch.zeros(1, 2)
    expected = torch.tensor([-math.log(len(ties)) if g in ties else -math.inf for g in range(4)])
    torch.testing.assert_close(kernel.log_probs(x)[0], expected)
    torch.testing.assert_close(kernel.entropy(x), torch.tensor([math.log(len(ties))]))
    draws = kernel.sample(x.expand(400, 2), generator=seeded(0))
    assert set(draws.tolist()) == set(ties)  # one of at most 4 missed with probability below 4 (3/4)^400 < 1e-49


@pytest.mark.parametrize("temperature", [1.0, 0.25, 0.0])
def test_samples_are_one_hot_in_value_and_follow_the_same_draw(temperature: float) -> None:
    kernel = ScoreKernel(network(), P4M(2), temperature=temperature)
    x = torch.randn(50, 1, 2, 2, generator=seeded(0))
    w = kernel.sample_weights(x, generator=seeded(1))
    g = kernel.sample(x, generator=seeded(1))
    torch.testing.assert_close(w, nn.functional.one_hot(g, 32).float())


@pytest.mark.parametrize("temperature", [1.0, 0.25, 0.0])
def test_straight_through_gradients_are_those_of_the_softmax(temperature: float) -> None:
    kernel = ScoreKernel(network(), P4M(2), temperature=temperature)
    x = torch.randn(5, 1, 2, 2, generator=seeded(0))
    c = torch.randn(5, 32, generator=seeded(1))
    parameters = list(kernel.parameters())
    through = torch.autograd.grad((kernel.sample_weights(x, generator=seeded(2)) * c).sum(), parameters)
    soft = (kernel.scores(x) / (temperature or 1.0)).softmax(1)
    expected = torch.autograd.grad((soft * c).sum(), parameters)
    for one, two in zip(through, expected, strict=True):
        torch.testing.assert_close(one, two)
    assert sum(float(gradient.abs().sum()) for gradient in through) > 0


def test_log_prob_and_entropy_are_differentiable() -> None:
    kernel = ScoreKernel(Table([0.5, -1.0, 2.0]), Cyclic(3))
    x = torch.zeros(1, 1)
    (scores,) = kernel.parameters()
    p = kernel.log_probs(x)[0].exp().detach()
    (gradient,) = torch.autograd.grad(kernel.log_prob(torch.tensor([1]), x).sum(), scores)
    torch.testing.assert_close(gradient, torch.tensor([0.0, 1.0, 0.0]) - p)
    (gradient,) = torch.autograd.grad(kernel.entropy(x).sum(), scores)
    torch.testing.assert_close(gradient, -p * (p.log() - (p * p.log()).sum()))


def test_entropy_has_finite_gradients_where_scores_are_far_apart() -> None:
    kernel = ScoreKernel(Table([500.0, 0.0, -500.0]), Cyclic(3))
    entropy = kernel.entropy(torch.zeros(1, 1))
    assert float(entropy.detach()) == 0
    (gradient,) = torch.autograd.grad(entropy.sum(), list(kernel.parameters()))
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-38])
def test_a_temperature_near_zero_is_the_limit(temperature: float) -> None:
    kernel = ScoreKernel(Table([3.0, 1.0, 3.0]), Cyclic(3), temperature=temperature)
    x = torch.zeros(1, 1)
    torch.testing.assert_close(kernel.log_probs(x)[0].exp(), torch.tensor([0.5, 0.0, 0.5]))
    torch.testing.assert_close(kernel.entropy(x), torch.tensor([math.log(2)]))


def test_sample_has_no_gradient() -> None:
    kernel = ScoreKernel(network(), P4M(2))
    assert not kernel.sample(torch.zeros(1, 1, 2, 2)).requires_grad


def test_the_network_is_a_submodule() -> None:
    kernel = ScoreKernel(network(), P4M(2))
    other = ScoreKernel(network(seed=1), P4M(2))
    x = torch.randn(3, 1, 2, 2)
    assert not torch.allclose(other.scores(x), kernel.scores(x))
    other.load_state_dict(kernel.state_dict())
    assert torch.equal(other.scores(x), kernel.scores(x))


def test_scores_that_move_with_x_give_an_equivariant_law_on_any_group() -> None:
    action = RegularAction(Cyclic(7))
    kernel = ScoreKernel(Itself(), Cyclic(7), temperature=0.7)
    assert_equivariant_in_distribution(kernel, action, symmetric_inputs(action).float() / 3)


@pytest.mark.parametrize("name", ["temperature", "tolerance"])
@pytest.mark.parametrize("value", [-1.0, math.inf, math.nan])
def test_a_bad_temperature_or_tolerance_is_an_error(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected a finite number >= 0, got {value}"):
        ScoreKernel(Table([0.0]), Cyclic(1), **{name: value})


def test_the_wrong_number_of_scores_is_an_error() -> None:
    kernel = ScoreKernel(Table([0.0, 1.0]), Cyclic(3))
    with pytest.raises(ValueError, match=r"network: expected 3 scores for each of 4 inputs, got \(4, 2\)"):
        kernel.sample(torch.zeros(4, 1))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_scores_that_are_not_finite_are_an_error(value: float) -> None:
    kernel = ScoreKernel(Table([0.0, value]), Cyclic(2))
    with pytest.raises(ValueError, match="network: expected finite scores, got NaN or infinity"):
        kernel.sample(torch.zeros(4, 1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_entropy_of_other_precisions(dtype: torch.dtype) -> None:
    kernel = ScoreKernel(torch.nn.Identity(), Cyclic(4))
    assert float(kernel.entropy(torch.zeros(1, 4, dtype=dtype)).exp()) == pytest.approx(4, rel=0.02)


def test_a_tiny_temperature_is_the_argmax() -> None:
    kernel = ScoreKernel(torch.nn.Identity(), Cyclic(3), temperature=1e-38)
    assert kernel.sample(torch.tensor([[0.0, 100.0, 50.0]])).tolist() == [1]


def test_weights_at_small_temperatures_in_half_precision_are_finite() -> None:
    kernel = ScoreKernel(Table([0.0, 5.0, 10.0, 15.0]).half(), Cyclic(4), temperature=1e-4)
    weights = kernel.sample_weights(torch.zeros(3, 1).half())
    assert weights.tolist() == [[0.0, 0.0, 0.0, 1.0]] * 3
