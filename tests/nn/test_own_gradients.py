"""The hand-written backward passes against PyTorch's own, through the equations as they are written."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sympe.nn import own_gradients
from sympe.nn.own_gradients import pair_attention, residual_network

SIZES = [4, 2, 1]


def inputs() -> list[Tensor]:
    """q, k, v, e, the weight and the bias."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 4, 5), (3, 4, 5), (3, 4, 5), (3, 4, 4, 6), (10, 6), (10,)]
    return [torch.randn(s, generator=generator, dtype=torch.float64, requires_grad=True) for s in shapes]


def plain_attention(
    q: Tensor, k: Tensor, v: Tensor, e: Tensor, weight: Tensor, bias: Tensor, padding: Tensor | None
) -> tuple[Tensor, Tensor]:
    m, a = (e @ weight.mT + bias).chunk(2, -1)
    s = q[:, :, None] * k[:, None] * (1 + m) + a
    seen = s if padding is None else s.masked_fill(padding[:, None, :, None], -torch.inf)
    return (seen.softmax(2) * v[:, None]).sum(2), s


def gradients(function: Callable[..., tuple[Tensor, ...]], parts: list[Tensor], *rest: object) -> list[Tensor]:
    """Of a sum with different weights for all entries of all results."""
    results = function(*parts, *rest)
    total = sum((r * torch.linspace(-1, 2, r.numel(), dtype=r.dtype).view_as(r)).sum() for r in results)
    return list(torch.autograd.grad(total, parts))


@pytest.mark.parametrize("padded", [True, False])
def test_attention_is_the_formula(padded: bool) -> None:
    padding = torch.arange(4) >= torch.tensor(SIZES)[:, None] if padded else None
    parts = inputs()
    torch.testing.assert_close(pair_attention(*parts, padding), plain_attention(*parts, padding))
    torch.testing.assert_close(
        gradients(pair_attention, parts, padding), gradients(plain_attention, parts, padding), rtol=1e-10, atol=1e-10
    )


def test_a_wrong_backward_pass_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken twin: a gradient of the keys that is one of the queries."""
    original = own_gradients._PairAttention.backward

    def swapped(ctx: object, *of: Tensor) -> tuple[Tensor | None, ...]:
        q, k, *rest = original(ctx, *of)
        return k, q, *rest

    monkeypatch.setattr(own_gradients._PairAttention, "backward", staticmethod(swapped))
    parts = inputs()
    with pytest.raises(AssertionError):
        torch.testing.assert_close(gradients(pair_attention, parts, None), gradients(plain_attention, parts, None))


def test_the_residual_network_is_the_formula() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 5)).double()
    x = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    parts = [x, *network.parameters()]

    def own(*_: Tensor) -> tuple[Tensor]:
        return (residual_network(x, *network.parameters()),)

    def plain(*_: Tensor) -> tuple[Tensor]:
        return (x + network(x),)

    torch.testing.assert_close(own(), plain())
    assert 0 < int((network[0](x) < 0).sum()) < 42  # some of the ReLUs let pass, and some do not
    torch.testing.assert_close(gradients(own, parts), gradients(plain, parts), rtol=1e-10, atol=1e-10)


def test_inputs_stay_as_they_are_and_results_may_be_used_twice() -> None:
    parts = inputs()
    before = [part.detach().clone() for part in parts]
    heard, scores = pair_attention(*parts, None)
    W_1, W_2 = (torch.ones(shape, dtype=torch.float64) / 8 for shape in ((7, 5), (5, 7)))
    out = residual_network(heard, W_1, W_1[:, 0], W_2, W_2[:, 0])
    kept = [r.detach().clone() for r in (heard, scores, out)]
    total = out.square().sum() + scores.square().sum() + (scores * heard[:, None]).sum()
    once = torch.autograd.grad(total, parts, retain_graph=True)
    twice = torch.autograd.grad(total, parts)  # nothing that was kept for it was overwritten
    torch.testing.assert_close(once, twice, rtol=0, atol=0)
    for part, copy in zip([*parts, heard, scores, out], [*before, *kept], strict=True):
        assert torch.equal(part, copy)


def test_a_second_derivative_is_refused() -> None:
    parts = inputs()
    heard, _ = pair_attention(*parts, None)
    (of_q,) = torch.autograd.grad(heard.square().sum(), parts[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        of_q.sum().backward()


def test_autocast_lowers_the_precision() -> None:
    parts = [part.detach().float().requires_grad_() for part in inputs()]
    weights = [part for linear in (nn.Linear(5, 7), nn.Linear(7, 5)) for part in linear.parameters()]
    with torch.autocast("cpu", torch.bfloat16):
        heard, scores = pair_attention(*parts, None)
        out = residual_network(parts[0], *weights)
    assert {r.dtype for r in (heard, scores, out)} == {torch.bfloat16}
    (heard.float().sum() + scores.float().sum() + out.float().sum()).backward()
    exact = plain_attention(*parts, None)
    torch.testing.assert_close((heard.float(), scores.float()), exact, rtol=0.1, atol=0.1)
    assert all(part.grad is not None and part.grad.dtype == torch.float32 for part in parts)
