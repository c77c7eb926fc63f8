import pytest
import torch

from sympe import kernels
from sympe.actions import Action, GridAction, RegularAction
from sympe.groups import P4M, Cyclic
from sympe.kernels import (
    CachedGraphKernel,
    GraphHaarKernel,
    GraphKernel,
    GraphRefinementKernel,
    HaarConjugated,
    HaarKernel,
    Kernel,
    LearnedFrameKernel,
    MatrixKernel,
    NodeScoreKernel,
    OrbitKernel,
    PartialKernel,
    PointKernel,
    RelaxedKernel,
    ScoreKernel,
    SetKernel,
)
from sympe.kernels.base import uniform
from sympe.nn import P4MNet
from sympe.testing import assert_equivariant_in_distribution
from tests.catalogue import public_leaves, symmetric_inputs

FIELD = GridAction(P4M(2))


def first_maximum(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1).argmax(1)


def network() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return P4MNet(GridAction, channels=4, blocks=1, out="regular")


KERNELS: dict[str, tuple[Kernel, Action]] = {
    "Haar": (HaarKernel(FIELD.group), FIELD),
    "orbit": (OrbitKernel(FIELD), FIELD),
    "partial": (PartialKernel(OrbitKernel(FIELD), [1, 5]), FIELD),
    "conjugated": (
        HaarConjugated(first_maximum, RegularAction(Cyclic(6))),
        RegularAction(Cyclic(6)),
    ),
    "score": (ScoreKernel(network(), FIELD.group), FIELD),
    "largest score": (ScoreKernel(network(), FIELD.group, temperature=0.0), FIELD),
}


ON_GRAPHS = {
    CachedGraphKernel,
    GraphKernel,
    GraphHaarKernel,
    GraphRefinementKernel,
    MatrixKernel,
    NodeScoreKernel,
    SetKernel,
}  # each has a file of tests
ON_POINTS = {LearnedFrameKernel, PointKernel}  # these, too


def test_the_list_holds_every_public_kernel() -> None:
    assert public_leaves(kernels, Kernel) == ({type(kernel) for kernel, _ in KERNELS.values()} | ON_GRAPHS | ON_POINTS)


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_is_equivariant_in_distribution(name: str) -> None:
    kernel, action = KERNELS[name]
    assert kernel.group == action.group
    assert_equivariant_in_distribution(kernel, action, symmetric_inputs(action).float())


@pytest.mark.parametrize("name", KERNELS)
def test_sample_is_determined_by_its_generator_and_leaves_the_global_one_alone(name: str) -> None:
    kernel, action = KERNELS[name]
    x = torch.zeros(30, *action.shape)
    before = torch.get_rng_state()
    one, two, three = (kernel.sample(x, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert one.shape == (30,)
    assert one.dtype == torch.int64
    assert torch.equal(one, two)
    assert not torch.equal(one, three)
    kernel.entropy(x)
    kernel.log_prob(one, x)
    if isinstance(kernel, RelaxedKernel):
        kernel.sample_weights(x, generator=torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", KERNELS)
def test_sample_without_generator_follows_the_global_seed(name: str) -> None:
    kernel, action = KERNELS[name]
    x = torch.zeros(30, *action.shape)
    torch.manual_seed(5)
    one = kernel.sample(x)
    torch.manual_seed(5)
    assert torch.equal(one, kernel.sample(x))


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_stores_nothing_between_calls(name: str) -> None:
    kernel, action = KERNELS[name]
    before = dict(vars(kernel))
    kernel.sample(torch.zeros(3, *action.shape))
    assert vars(kernel) == before


@pytest.mark.parametrize("name", KERNELS)
def test_an_empty_batch_gives_empty_results(name: str) -> None:
    kernel, action = KERNELS[name]
    x, none = torch.zeros(0, *action.shape), torch.zeros(0, dtype=torch.int64)
    assert kernel.sample(x).shape == kernel.entropy(x).shape == kernel.log_prob(none, x).shape == (0,)


def test_only_the_score_kernel_is_relaxed() -> None:
    assert {type(kernel) for kernel, _ in KERNELS.values() if isinstance(kernel, RelaxedKernel)} == {ScoreKernel}


def test_uniform_numbers_are_doubles_in_the_unit_interval() -> None:
    x = torch.zeros(1)
    numbers = uniform(torch.Size((1000,)), x, torch.Generator().manual_seed(0))
    assert numbers.dtype == torch.float64
    assert 0 <= float(numbers.min()) < 0.02  # false alarm 0.98^1000 < 2e-9
    assert 0.98 < float(numbers.max()) < 1
