"""The geometry of VectorGNN: what turns, what stays, what padding does, and what symmetry leaves alike."""

import math

import pytest
import torch
from torch import Tensor

from sympe.nn import VectorGNN

Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


def make(seed: int = 0, **sizes: int) -> VectorGNN:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return VectorGNN(2, 3, 2, **{"width": 8, "vectors": 4, "layers": 2, **sizes}).double()


def inputs(sizes: list[int], dim: int = 3, seed: int = 0) -> Inputs:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(len(sizes), max(sizes), *shape, generator=generator, dtype=torch.float64)

    mask = torch.arange(max(sizes)) < torch.tensor(sizes)[:, None]
    return normal(2), normal(dim), normal(3, dim), mask


@pytest.mark.parametrize("dim", [2, 3])
def test_features_stay_and_vectors_turn(dim: int) -> None:
    net, (nodes, x, v, mask) = make(), inputs([5, 3, 1], dim)
    h, y = net(nodes, x, v, mask)
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        R, _ = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64))
        t = torch.randn(dim, generator=generator, dtype=torch.float64)
        moved = net(nodes, x @ R.mT + t, v @ R.mT, mask)
        torch.testing.assert_close(moved, (h, y @ R.mT), rtol=0, atol=1e-10)
        still = net(nodes, x @ R.mT + t, v, mask)[1]  # the twin: vectors that do not turn
        assert not torch.allclose(still, y @ R.mT, atol=1e-3)


def test_it_is_equivariant_under_relabelling() -> None:
    net, (nodes, x, v, mask) = make(), inputs([6])
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0))
    h, y = net(nodes, x, v, mask)
    moved = net(nodes[:, order], x[:, order], v[:, order], mask)
    torch.testing.assert_close(moved, (h[:, order], y[:, order]), rtol=0, atol=1e-10)


def test_padding_is_not_seen_and_comes_out_as_zeros() -> None:
    net, (nodes, x, v, mask) = make(), inputs([6, 4])
    h, y = net(nodes, x, v, mask)
    alone = net(nodes[1:, :4], x[1:, :4], v[1:, :4], mask[1:, :4])
    torch.testing.assert_close((h[1:, :4], y[1:, :4]), alone, rtol=0, atol=1e-10)
    assert not h[1, 4:].any()
    assert not y[1, 4:].any()


def test_points_that_a_symmetry_maps_to_each_other_come_out_alike_without_vectors() -> None:
    angle = torch.arange(5, dtype=torch.float64) * (2 * math.pi / 5)
    x = torch.stack([angle.cos(), angle.sin(), 0 * angle], 1)[None]
    nodes, mask = torch.ones(1, 5, 2, dtype=torch.float64), torch.ones(1, 5, dtype=torch.bool)
    net, none = make(), torch.zeros(1, 5, 3, 3, dtype=torch.float64)
    h, y = net(nodes, x, none, mask)
    assert torch.allclose(h, h[:, :1].expand_as(h), atol=1e-10)
    assert torch.allclose((y * x[:, :, None]).sum(-1), (y * x[:, :, None]).sum(-1)[:, :1], atol=1e-10)
    one = none.clone()
    one[0, 0, 0, 0] = 1.0
    h, _ = net(nodes, x, one, mask)
    assert not torch.allclose(h, h[:, :1].expand_as(h), atol=1e-3)


def test_gradients_are_finite_where_points_coincide() -> None:
    net, (nodes, x, v, mask) = make(), inputs([4])
    x = torch.zeros_like(x, requires_grad=True)
    h, y = net(nodes, x, v, mask)
    (h.sum() + y.square().sum()).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.usefixtures("unchecked")
def test_what_does_not_fit_is_refused() -> None:
    for name in ("vector_channels", "out_channels", "vectors", "node_channels", "width", "layers"):
        sizes = {"node_channels": 2, "vector_channels": 3, "out_channels": 1, name: 0}
        with pytest.raises(ValueError, match=f"{name}: expected at least 1, got 0"):
            VectorGNN(**sizes)
    net, (nodes, x, v, mask) = make(), inputs([4])
    with pytest.raises(ValueError, match=r"positions: expected shape \(1, 4, d\), got \(1, 3, 3\)"):
        net(nodes, x[:, :3], v, mask)
    with pytest.raises(ValueError, match=r"vectors: expected shape \(1, 4, 3, 3\), got \(1, 4, 2, 3\)"):
        net(nodes, x, v[:, :, :2], mask)
    with pytest.raises(ValueError, match=r"nodes: expected shape \(batch, n, 2\)"):
        net(nodes[:, :, :1], x, v, mask)
