import math

import pytest
import torch
from torch import nn

from sympe.actions import GlobalVectorAction
from sympe.encodings import SymPE
from sympe.groups import Euclidean, Isometries, Orthogonal, SpecialOrthogonal
from sympe.kernels import LearnedFrameKernel
from sympe.testing import equivariance_test


class Vectors(nn.Module):
    """Linear combinations of the vectors in x and z with invariant weights: equivariant in both."""

    def __init__(self, d: int, noise: float = 1.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(d, 2 + d, generator=generator))
        self.noise = noise

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        every = torch.cat([x, self.noise * z], 1)
        return self.weight @ every


def kernel_of(group: Isometries, **options: float) -> LearnedFrameKernel:
    d = group.dimension
    return LearnedFrameKernel(Vectors(d, **options), group, noise=(d,))


@pytest.mark.parametrize("group", [Orthogonal(2), SpecialOrthogonal(2), Orthogonal(3), SpecialOrthogonal(3)], ids=repr)
def test_equivariant_in_distribution_on_symmetric_inputs(group: Isometries) -> None:
    kernel = kernel_of(group)
    d = group.dimension
    x = torch.stack(
        [torch.zeros(2, d), torch.ones(2, d), torch.randn(2, d, generator=torch.Generator().manual_seed(1))]
    )
    generator = torch.Generator().manual_seed(0)
    found = equivariance_test(
        kernel.sample, group, GlobalVectorAction(group, 2), group.compose, x, max_elements=3, generator=generator
    )
    assert not found.rejected, found.verdict
    group.check(kernel.sample(x, generator=generator))


class Axis(LearnedFrameKernel):
    """Twin: a last vector that is always the same."""

    def _vectors(self, x: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
        vectors = super()._vectors(x, generator).clone()
        vectors[:, 0] = torch.eye(vectors.shape[-1])[0]
        return vectors


def test_a_frame_with_a_fixed_axis_is_rejected() -> None:
    group = SpecialOrthogonal(3)
    twin = Axis(Vectors(3), group, noise=(3,))
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(1, 2, 3)
    assert equivariance_test(
        twin.sample, group, GlobalVectorAction(group, 2), group.compose, x, max_elements=3, generator=generator
    ).rejected


def test_gradients_reach_the_network_through_sympe() -> None:
    group = SpecialOrthogonal(3)
    kernel = kernel_of(group)
    encoding = SymPE(kernel, GlobalVectorAction(group, 2))
    encoding(torch.zeros(4, 2, 3)).square().mul(torch.arange(3.0)).sum().backward()  # type: ignore[no-untyped-call]
    assert isinstance(kernel.network, Vectors)
    assert kernel.network.weight.grad is not None
    assert bool((kernel.network.weight.grad.abs() > 0).any())
    assert encoding.v.grad is not None
    assert "LearnedFrameKernel" in repr(encoding)


def test_without_noise_a_symmetric_input_is_an_error_that_says_why() -> None:
    kernel = kernel_of(Orthogonal(3), noise=0.0)
    with pytest.raises(ValueError, match="network: expected 3 linearly independent vectors, but those of input 1 were"):
        LearnedFrameKernel(lambda x, z: x[:, :1] + x[:, 1:] * z, Orthogonal(3), noise=(3,)).sample(
            torch.stack([torch.ones(2, 3), torch.zeros(2, 3)])
        )
    with pytest.raises(ValueError, match="network: expected 3 linearly independent vectors"):
        kernel.sample(torch.ones(1, 2, 3))


def test_what_is_not_known_and_what_does_not_fit() -> None:
    kernel, x = kernel_of(Orthogonal(3)), torch.zeros(1, 2, 3)
    with pytest.raises(NotImplementedError, match="the density of Gram-Schmidt of a network is not known"):
        kernel.log_prob(torch.eye(3)[None], x)
    with pytest.raises(NotImplementedError, match="the entropy of Gram-Schmidt of a network is not known"):
        kernel.entropy(x)
    with pytest.raises(ValueError, match=r"group: expected Orthogonal or SpecialOrthogonal, got Euclidean\(3\)"):
        LearnedFrameKernel(Vectors(3), Euclidean(3), noise=(3,))
    with pytest.raises(ValueError, match=r"network: expected vectors of shape \(1, 2, 2\), got \(1, 3, 2\)"):
        LearnedFrameKernel(lambda x, z: z, Orthogonal(2), noise=(3,)).sample(torch.zeros(1, 2))
    assert repr(kernel) == "LearnedFrameKernel(Orthogonal(3), noise=(3,))"
    assert math.isinf(kernel.group.order)
