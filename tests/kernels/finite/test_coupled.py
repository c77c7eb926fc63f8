"""The coupled kernel of finite groups, by enumeration."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sympe.actions import DirectSum, GridAction, MatrixAction
from sympe.groups import P4M, Cyclic
from sympe.kernels import CoupledOrbitKernel, OrbitKernel


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_the_law_on_finite_groups(size: int) -> None:
    group = P4M(size)
    action = GridAction(group)
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(2, (16, 1, size, size), generator=generator).double()
    x[:3] = 0.0
    y = torch.randint(3, (16, 1, size, size), generator=generator).double()
    kernel = CoupledOrbitKernel(action, action)
    elements = group.elements()

    def law(x: Tensor, y: Tensor) -> Tensor:
        every = elements.repeat(len(x))
        return kernel.log_prob(every, repeated(x), repeated(y)).double().exp().view(len(x), len(elements))

    def repeated(x: Tensor) -> Tensor:
        return x.repeat_interleave(len(elements), 0)

    p = law(x, y)
    assert torch.allclose(p.sum(1), torch.ones(16).double())
    stabilizer = kernel.kernel.stabilizer(x) & kernel.kernel.stabilizer(y)
    assert torch.equal((p > 0).sum(1), stabilizer.sum(1))
    assert torch.allclose(kernel.entropy(x, y).double(), stabilizer.sum(1).double().log(), atol=1e-6)
    q = torch.stack([kernel.kernel.log_prob(g.expand(16), x) for g in elements], 1).double().exp()  # one by one
    assert bool((q[p > 0] > 0).all()), "an element is not in C(x)"
    averaged, count = torch.zeros_like(p), torch.zeros(16, 1)
    for u in elements:
        many = u.expand(16)
        moved = law(action(many, x), action(many, y))
        assert torch.allclose(moved[:, group.compose(u.expand(len(elements)), elements)], p), "it is not equivariant"
        keeps = (action(many, x) == x).flatten(1).all(1)
        averaged[keeps] += law(x[keeps], action(many, y)[keeps])
        count += keeps[:, None]
    assert torch.allclose(averaged / count, q, atol=1e-6), "averaged over y it is not the kernel of x"
    g = kernel.sample(x, y, generator=torch.Generator().manual_seed(0))
    assert bool(kernel.log_prob(g, x, y).isfinite().all())
    # the twin: canonical for the pair is not canonical for x
    h = OrbitKernel(DirectSum(action, action)).canonicalize(torch.cat([x, y], 1))
    assert not bool(kernel.kernel.log_prob(h, x).isfinite().all())


def test_samples_on_finite_groups_are_uniform() -> None:
    action = GridAction(P4M(3))
    kernel = CoupledOrbitKernel(action, action)
    x, y = torch.zeros(4000, 1, 3, 3), torch.eye(9)[:1].view(1, 1, 3, 3).repeat(4000, 1, 1, 1)
    g = kernel.sample(x, y, generator=torch.Generator().manual_seed(0))
    counts = g.unique(return_counts=True)[1].double()
    assert len(counts) == 8
    assert float(((counts - 500) ** 2 / 500).sum()) < 45  # 7 degrees of freedom: false alarm 1e-7


@pytest.mark.parametrize(
    ("x_type", "low"), [(torch.bfloat16, 256), (torch.float32, 2**24), (torch.float64, 2**53), (torch.int32, 2**31)]
)
def test_targets_of_another_type_lose_no_digit(x_type: torch.dtype, low: int) -> None:
    """One site has the value after the others': eight symmetries are left of 72, as by integers alone."""
    action = GridAction(P4M(3))
    y = torch.full((1, 1, 3, 3), low)
    y[0, 0, 1, 2] += 1
    kernel = CoupledOrbitKernel(action, action)
    for x in (torch.zeros(1, 1, 3, 3).to(x_type), torch.zeros(1, 1, 3, 3).long()):
        assert float(kernel.entropy(x, y).exp().round()) == 8
        g = kernel.sample(x, y)
        assert float(kernel.log_prob(g, x, y).exp()) == pytest.approx(1 / 8)


def test_integers_beside_floats_are_compared_as_they_are_whatever_the_batch() -> None:
    """Ranks in the batch, compared as floats, made 8 symmetries 32: 100 and 101 were the last of many integers."""
    action = GridAction(P4M(2))
    kernel = CoupledOrbitKernel(action, action, tolerance=0.1)
    x = torch.cat([torch.tensor([[[[100, 101], [100, 100]]]]), torch.arange(40).view(10, 1, 2, 2)])
    y = torch.zeros(11, 1, 2, 2)
    assert float(kernel.entropy(x[:1], y[:1]).exp().round()) == 8
    torch.testing.assert_close(kernel.entropy(x, y), kernel.kernel.entropy(x))
    g = kernel.sample(x, y)
    torch.testing.assert_close(kernel.kernel.log_prob(g, x), -kernel.entropy(x, y))
    nan = torch.full_like(y, torch.nan)
    with pytest.raises(ValueError, match="target: expected finite entries, got NaN or infinity"):
        kernel.sample(x, nan)
    with pytest.raises(ValueError, match="target: expected shape"):
        kernel.sample(x, y[:, :, :1])


def test_integers_that_are_mixed_keep_their_values_beside_floats() -> None:
    """Their ranks did not change sign with them: -3 alone had rank 0, and counted as symmetric."""
    sign = MatrixAction(Cyclic(2), torch.tensor([1.0, -1.0]).view(2, 1, 1))
    kernel = CoupledOrbitKernel(sign, sign)
    x, y = torch.tensor([[-3], [5], [0]]), torch.zeros(3, 1)
    assert kernel.entropy(x, y).exp().round().tolist() == [1, 1, 2]
    assert kernel.entropy(x[:1], y[:1]).exp().round().tolist() == [1]
