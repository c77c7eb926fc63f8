r"""The two operations in which a graph transformer spends its time, with backward passes of their own.

Both are bound by memory more than by arithmetic, for there are n² vectors a graph and each elementwise operation reads
and writes them all. In place, on contiguous arrays, and with sums taken by the matrix products beside them, they take
fewer passes over memory than PyTorch's automatic gradients. Both are differentiable once.

*Attention* of every node to every node, channel by channel:

.. math:: m_{ij} = 1 + W_m e_{ij} + b_m, \qquad a_{ij} = W_a e_{ij} + b_a, \qquad
    s_{ij} = q_i \odot k_j \odot m_{ij} + a_{ij}, \qquad h_i = \sum_j \mathrm{softmax}_j(s_{ij}) \odot v_j .

With :math:`p = \mathrm{softmax}(s)` and gradients :math:`\bar h, \bar s` of the two results,

.. math:: \sigma_{ij} = \bar s_{ij}
    + p_{ij} \odot \Bigl(\bar h_i \odot v_j - \sum_l p_{il} \odot \bar h_i \odot v_l\Bigr)

is the gradient of s, that of a as well, and the others follow from it.

The *residual network* of two layers is :math:`x + W_2\, \mathrm{relu}(W_1 x + b_1) + b_2`.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable


def pair_attention(
    query: Float[Tensor, "batch n width"],
    key: Float[Tensor, "batch n width"],
    value: Float[Tensor, "batch n width"],
    edges: Float[Tensor, "batch n n edge_width"],
    weight: Float[Tensor, "twice_width edge_width"],
    bias: Float[Tensor, " twice_width"],
    padding: Bool[Tensor, "batch n"] | None,
) -> tuple[Float[Tensor, "batch n width"], Float[Tensor, "batch n n width"]]:
    """The features h that nodes hear and the scores s.

    Arguments:
        query: q.
        key: k.
        value: v.
        edges: e.
        weight: W_m and W_a, one below the other.
        bias: b_m and b_a.
        padding: nodes that nobody hears; None where all nodes are real.

    Example:
        >>> x, e = torch.ones(1, 3, 2), torch.ones(1, 3, 3, 5)
        >>> out = torch.tensor([[False, False, True]])
        >>> heard, scores = pair_attention(x, x, x, e, torch.zeros(4, 5), torch.zeros(4), out)
        >>> heard.shape, scores.shape
        (torch.Size([1, 3, 2]), torch.Size([1, 3, 3, 2]))
    """
    heard, scores = _apply(_PairAttention, query, key, value, edges, weight, bias, padding)
    return heard, scores


def residual_network(
    x: Float[Tensor, "*batch width"],
    W_1: Float[Tensor, "hidden width"],
    b_1: Float[Tensor, " hidden"],
    W_2: Float[Tensor, "width hidden"],
    b_2: Float[Tensor, " width"],
) -> Float[Tensor, "*batch width"]:
    """The sum of x and of what a network of two layers makes of it.

    Arguments:
        x: features.
        W_1: weight of the first layer, as of ``torch.nn.Linear``.
        b_1: its bias.
        W_2: weight of the second layer.
        b_2: its bias.

    Example:
        >>> network = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4))
        >>> x = torch.ones(2, 3, 4)
        >>> torch.allclose(residual_network(x, *network.parameters()), x + network(x))
        True
    """
    out: Tensor = _apply(_ResidualNetwork, x, W_1, b_1, W_2, b_2)
    return out


def _apply(function: Any, *inputs: Tensor | None) -> Any:
    """Run in the type of autocast, if it is on: what is inside knows one type only."""
    device = next(part.device.type for part in inputs if part is not None)
    if torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
        inputs = tuple(part.to(dtype) if part is not None and part.is_floating_point() else part for part in inputs)
    with torch.autocast(device, enabled=False):
        return function.apply(*inputs)


class _PairAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, Tensor]:
        query, key, value, edges, weight, bias, padding = inputs
        flat, shape = edges.flatten(0, 2), (*edges.shape[:3], query.shape[2])
        (W_m, W_a), (b_m, b_a) = weight.chunk(2), bias.chunk(2)
        m = torch.addmm(b_m + 1, flat, W_m.mT).view(shape)
        products = query.unsqueeze(2) * key.unsqueeze(1)
        scores = torch.addmm(b_a, flat, W_a.mT).view(shape).addcmul_(products, m)
        seen = scores if padding is None else scores.masked_fill(padding[:, None, :, None], -1e9)
        shares = seen.softmax(2)
        heard = (shares * value.unsqueeze(1)).sum(2)
        ctx.save_for_backward(query, key, value, flat, weight, m, products, shares)
        return heard, scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, flat, weight, m, products, shares = ctx.saved_tensors
        of_heard, of_scores = gradients[0].unsqueeze(2), gradients[1]
        W_m, W_a = weight.chunk(2)
        sigma = of_heard * value.unsqueeze(1)
        work = shares * sigma
        sigma.sub_(work.sum(2, keepdim=True)).mul_(shares).add_(of_scores)
        of_value = torch.mul(shares, of_heard, out=work).sum(1)
        of_a, of_m = sigma.flatten(0, 2), torch.mul(sigma, products, out=work).flatten(0, 2)
        of_weight = torch.cat([of_m.mT @ flat, of_a.mT @ flat])
        of_bias = torch.cat([of_m.sum(0), of_a.sum(0)])
        of_edges = torch.addmm(of_a @ W_a, of_m, W_m).view(*m.shape[:3], -1)
        sigma.mul_(m)
        of_query = torch.mul(sigma, key.unsqueeze(1), out=work).sum(2)
        of_key = sigma.mul_(query.unsqueeze(2)).sum(1)
        return of_query, of_key, of_value, of_edges, of_weight, of_bias, None


class _ResidualNetwork(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        x, W_1, b_1, W_2, b_2 = inputs
        flat = x.flatten(0, -2)
        hidden = torch.addmm(b_1, flat, W_1.mT).relu_()
        ctx.save_for_backward(flat, hidden, W_1, W_2)
        return torch.addmm(b_2, hidden, W_2.mT).add_(flat).view_as(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        flat, hidden, W_1, W_2 = ctx.saved_tensors
        of_out = gradients[0].flatten(0, -2)
        of_W_2 = of_out.mT @ hidden
        of_hidden = (of_out @ W_2).mul_(hidden.sign())  # 1 where the ReLU let pass
        of_x = torch.addmm(of_out, of_hidden, W_1).view_as(gradients[0])
        return of_x, of_hidden.mT @ flat, of_hidden.sum(0), of_W_2, of_out.sum(0)
