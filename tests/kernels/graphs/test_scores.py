"""Learned scores of nodes: the Plackett-Luce law by enumeration, ties, padding, gradients."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from sympe.actions import Action, EdgeAction, GridAction, NodeAction
from sympe.encodings import SymPE
from sympe.graphs import DenseGraphs, Graphs
from sympe.groups import P4M, Permutations
from sympe.kernels import NodeScoreKernel


class Neighbours(nn.Module):
    """Scores that move with the graph: a learned multiple of the numbers of neighbours and of triangles."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.7, -0.4]))

    def forward(self, x: Graphs) -> Tensor:
        a = x.dense().pairs.ne(0).float()
        triangles = torch.einsum("bij,bjk,bki->bi", a, a, a)
        return self.weight[0] * a.sum(2) + self.weight[1] * triangles


class Fixed(nn.Module):
    def __init__(self, scores: Tensor) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, x: Graphs) -> Tensor:
        return self.scores


PAW = torch.tensor([[[0, 1, 1, 1], [1, 0, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]]])  # a triangle with a tail


def everything(n: int) -> Tensor:
    return torch.tensor(list(itertools.permutations(range(n))))


def test_the_law_is_that_of_plackett_and_luce() -> None:
    scores = torch.tensor([[0.3, -0.2, 1.1]])
    kernel = NodeScoreKernel(Fixed(scores), 3, temperature=0.5)
    x = DenseGraphs.from_features(torch.zeros(1, 3, 3, dtype=torch.int64))
    weights = [math.exp(s / 0.5) for s in scores[0].tolist()]
    total = 0.0
    for g in everything(3):
        left, p = list(weights), 1.0
        for i in g.tolist():
            p *= weights[i] / sum(left)
            left.remove(weights[i])
        assert float(kernel.log_prob(g[None], x)) == pytest.approx(math.log(p), abs=1e-5)
        total -= p * math.log(p)
    assert float(kernel.entropy(x)) == pytest.approx(total, abs=1e-5)


def test_samples_follow_the_law() -> None:
    kernel = NodeScoreKernel(Neighbours(), 4)
    x = DenseGraphs.from_features(PAW).select(torch.zeros(4800, dtype=torch.int64))
    g = kernel.sample(x, generator=torch.Generator().manual_seed(0))
    every = everything(4)
    p = kernel.log_prob(every, x.select(torch.arange(24))).detach().double().exp()
    digits = torch.tensor([1, 4, 16, 64])
    numbers, order = (every * digits).sum(1).sort()
    counts = torch.searchsorted(numbers, (g * digits).sum(1)).bincount(minlength=24)
    expected = 4800 * p[order]
    assert float(((counts - expected) ** 2 / expected).sum()) < 75  # 23 degrees of freedom: false alarm 2e-7
    assert float(((counts - 200.0) ** 2 / 200).sum()) > 75  # the twin: uniform


def test_equivariant_in_distribution() -> None:
    kernel = NodeScoreKernel(Neighbours(), 4)
    every = everything(4)
    x = DenseGraphs.from_features(PAW).select(torch.zeros(24, dtype=torch.int64))
    log_p = kernel.log_prob(every, x)
    torch.testing.assert_close(log_p.exp().sum(), torch.tensor(1.0))
    for h in every:
        moved = kernel.log_prob(kernel.group.compose(h, every), x.relabel(h.expand_as(every)))
        torch.testing.assert_close(moved, log_p)
    broken = NodeScoreKernel(Fixed(torch.arange(4.0).expand(24, 4)), 4)  # the twin: scores that stay where they are
    h = every[5]
    moved = broken.log_prob(kernel.group.compose(h, every), x.relabel(h.expand_as(every)))
    assert not torch.allclose(moved, broken.log_prob(every, x))


def test_padding_stays_and_does_not_count() -> None:
    pairs = torch.zeros(2, 5, 5, dtype=torch.int64)
    pairs[:, :4, :4] = PAW
    x = DenseGraphs.from_features(pairs, None, torch.arange(5) < torch.tensor([[4], [5]]))
    kernel = NodeScoreKernel(Neighbours(), 6)
    g = kernel.sample(x, generator=torch.Generator().manual_seed(0))
    assert torch.equal(g[0, 4:], torch.tensor([4, 5]))
    assert int(g[1, 5]) == 5
    alone = NodeScoreKernel(Neighbours(), 4)
    torch.testing.assert_close(kernel.entropy(x)[:1], alone.entropy(DenseGraphs.from_features(PAW)))
    assert kernel.log_prob(g.flip(1), x).tolist() == [-torch.inf] * 2
    soft = kernel.sample_relaxed(x, generator=torch.Generator().manual_seed(0))[1]
    assert torch.equal(soft[0, 4:], torch.zeros(2, 6))
    assert torch.equal(soft[0, :, 4:], torch.zeros(6, 2))
    torch.testing.assert_close(soft.sum(1), torch.tensor([[1.0, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0]]))


def test_a_sharp_soft_permutation_is_the_permutation() -> None:
    kernel = NodeScoreKernel(Fixed(torch.tensor([[1.0, 3.0, 2.0]])), 3, temperature=1e-3, softness=1e-2)
    x = DenseGraphs.from_features(torch.zeros(1, 3, 3, dtype=torch.int64))
    g, soft = kernel.sample_relaxed(x, generator=torch.Generator().manual_seed(0))
    assert g.tolist() == [[1, 2, 0]]
    torch.testing.assert_close(soft[0], torch.eye(3)[g.argsort(1)[0]])


@pytest.mark.parametrize("kind", [NodeAction, EdgeAction])
def test_sympe_moves_v_in_value_and_reaches_the_network_in_gradient(kind: type) -> None:
    kernel = NodeScoreKernel(Neighbours(), 4)
    encoding = SymPE(kernel, kind(kernel.group, 3), generator=torch.Generator().manual_seed(0))
    x = DenseGraphs.from_features(PAW)
    features = encoding(x, generator=torch.Generator().manual_seed(1))
    g = kernel.sample(x, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(features, encoding.action(g, encoding.v))
    features.square().cumsum(1).sum().backward()
    assert kernel.network.weight.grad is not None
    assert float(kernel.network.weight.grad.abs().sum()) > 0
    hard = torch.zeros_like(encoding.v).requires_grad_()
    encoding.action(g, hard).square().cumsum(1).sum().backward()
    assert encoding.v.grad is not None
    v = encoding.v.detach().clone().requires_grad_()
    encoding.action(g, v).square().cumsum(1).sum().backward()
    torch.testing.assert_close(encoding.v.grad, v.grad)  # v learns from the permutation itself


def test_errors() -> None:
    x = DenseGraphs.from_features(PAW)
    with pytest.raises(ValueError, match=r"temperature: expected a positive number, got 0\.0"):
        NodeScoreKernel(Neighbours(), 4, temperature=0.0)
    with pytest.raises(ValueError, match=r"softness: expected a positive number, got -1\.0"):
        NodeScoreKernel(Neighbours(), 4, softness=-1.0)
    with pytest.raises(ValueError, match=r"network: expected scores of shape \(1, 4 to 4\), got \(1, 3\)"):
        NodeScoreKernel(Fixed(torch.zeros(1, 3)), 4).sample(x)
    with pytest.raises(ValueError, match="network: expected finite scores, got NaN or infinity"):
        NodeScoreKernel(Fixed(torch.full((1, 4), torch.nan)), 4).sample(x)
    with pytest.raises(ValueError, match="x: the entropy is known for graphs of at most 8 nodes; graph 0 has 9"):
        NodeScoreKernel(Neighbours(), 9).entropy(DenseGraphs.from_features(torch.zeros(1, 9, 9, dtype=torch.int64)))
    with pytest.raises(ValueError, match="action: expected NodeAction or EdgeAction with this kernel, got Other"):
        SymPE(NodeScoreKernel(Neighbours(), 4), Other(Permutations(4)))(x)
    with pytest.raises(ValueError, match="action: expected an action of the kernel's"):
        SymPE(NodeScoreKernel(Neighbours(), 4), GridAction(P4M(2)))


class Other(Action):
    """An action of permutations on something else."""

    def __init__(self, group: Permutations) -> None:
        self._group = group

    group = property(lambda self: self._group)
    shape = property(lambda self: (1,))
    is_faithful = property(lambda self: True)  # so that nothing is warned of

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize("temperature", [1e-4, 1e-6, 1e-8])
def test_equal_nodes_are_equally_likely_at_small_temperatures(temperature: float) -> None:
    """In single precision scores of 30 / T swallow the noise: node 0 came first in 28 % at 1e-6, in place of 12.5."""
    x = DenseGraphs.from_features(torch.zeros(20_000, 8, 8, dtype=torch.int64))
    kernel = NodeScoreKernel(Fixed(torch.full((20_000, 8), 30.0)), 8, temperature=temperature)
    first = kernel.sample(x, generator=torch.Generator().manual_seed(0))[:, 0].bincount(minlength=8)
    expected = 20_000 / 8
    assert float(((first - expected) ** 2 / expected).sum()) < 35  # chi-square of 7: false alarm 1e-5
    small = NodeScoreKernel(Fixed(torch.tensor([[30.0, 30.0, 30.0 - temperature]])), 3, temperature=temperature)
    three = DenseGraphs.from_features(torch.zeros(1, 3, 3, dtype=torch.int64))
    total = sum(small.log_prob(torch.tensor([p]), three).exp() for p in itertools.permutations(range(3)))
    assert float(total) == pytest.approx(1, abs=1e-6)


def test_softness_spreads() -> None:
    """The soft permutation by hand: two nodes, perturbed scores a and b, weights of exp(-|a - b| / softness)."""
    x = DenseGraphs.from_features(torch.zeros(1, 2, 2, dtype=torch.int64))
    spread = []
    for softness in (0.5, 1.0, 4.0):
        kernel = NodeScoreKernel(Fixed(torch.tensor([[0.3, 0.1]])), 2, softness=softness)
        g, soft = kernel.sample_relaxed(x, generator=torch.Generator().manual_seed(0))
        spread.append(softness * float((soft[0, g[0, 0], 0] / soft[0, g[0, 1], 0]).log()))
    assert spread == pytest.approx([spread[0]] * 3, rel=1e-5)
    assert spread[0] > 0
