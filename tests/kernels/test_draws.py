"""A draw moves v: by the same g, with the same random numbers and gradients as the formulas written out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sympe.actions import Action, BondAction, DirectSum, EdgeAction, FiniteAction, GridAction, NodeAction, RegularAction
from sympe.encodings import GraphSymPE, PartialSymPE, SymPE
from sympe.graphs import DenseGraphs, Graphs
from sympe.groups import P4M, FiniteGroup, Permutations
from sympe.kernels import GraphKernel, HaarKernel, Kernel, NodeScoreKernel, OrbitKernel, PartialKernel, ScoreKernel
from sympe.nn import P4MNet
from tests.catalogue import ACTIONS

GROUP = P4M(3)
FIELD = GridAction(GROUP)
PAW = DenseGraphs.from_features(torch.tensor([[[0, 1, 1, 1], [1, 0, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]]]))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scores() -> ScoreKernel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ScoreKernel(P4MNet(GridAction, channels=2, blocks=1, out="regular"), GROUP)


class Degrees(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.7))

    def forward(self, x: Graphs) -> Tensor:
        return self.weight * x.dense().pairs.ne(0).float().sum(2)


@pytest.mark.parametrize("kernel", [OrbitKernel(FIELD), HaarKernel(GROUP), PartialKernel(OrbitKernel(FIELD), [1])])
def test_a_plain_draw_is_a_sample(kernel: Kernel) -> None:
    x, v = torch.zeros(6, 1, 3, 3), torch.randn(1, 3, 3, generator=seeded(1))
    draw = kernel.draw(x, generator=seeded(0))
    g = kernel.sample(x, generator=seeded(0))
    assert torch.equal(draw.g, g)
    assert torch.equal(draw.move(FIELD, v), FIELD(g, v))


@pytest.mark.parametrize("action", [GridAction(GROUP, 2), BondAction(GROUP), RegularAction(GROUP)])
def test_a_weighted_draw_is_the_mixture_of_all_g_v(action: FiniteAction) -> None:
    kernel, v = scores(), torch.randn(action.shape, generator=seeded(1)).requires_grad_()
    x = torch.randn(6, 1, 3, 3, generator=seeded(2))
    c = torch.randn(6, *action.shape, generator=seeded(3))
    found = kernel.draw(x, generator=seeded(0)).move(action, v)
    w = kernel.sample_weights(x, generator=seeded(0))
    expected = torch.tensordot(w, action(GROUP.elements(), v), dims=1)  # what SymPE did by itself
    assert torch.equal(found, expected)
    assert torch.equal(kernel.draw(x, generator=seeded(0)).g, kernel.sample(x, generator=seeded(0)))
    parameters = [v, *kernel.parameters()]
    for one, two in zip(*(torch.autograd.grad((y * c).sum(), parameters) for y in (found, expected)), strict=True):
        torch.testing.assert_close(one, two)
        assert float(one.abs().max()) > 0


@pytest.mark.parametrize("kind", [NodeAction, EdgeAction])
def test_a_soft_draw_adds_the_gradient_of_the_soft_permutation(kind: type[NodeAction] | type[EdgeAction]) -> None:
    kernel = NodeScoreKernel(Degrees(), 4)
    action = kind(kernel.group, 2)
    v = torch.randn(action.shape, generator=seeded(1)).requires_grad_()
    found = kernel.draw(PAW, generator=seeded(0)).move(action, v)
    g, soft = kernel.sample_relaxed(PAW, generator=seeded(0))
    fixed = v.detach()
    spread = soft @ fixed if kind is NodeAction else torch.einsum("bir,bjs,rsc->bijc", soft, soft, fixed)
    expected = action(g, v) + (spread - spread.detach())
    assert torch.equal(found, expected)
    assert torch.equal(kernel.draw(PAW, generator=seeded(0)).g, kernel.sample(PAW, generator=seeded(0)))
    parameters = [v, *kernel.parameters()]
    c = torch.randn(found.shape, generator=seeded(2))
    for one, two in zip(*(torch.autograd.grad((y * c).sum(), parameters) for y in (found, expected)), strict=True):
        torch.testing.assert_close(one, two)
        assert float(one.abs().max()) > 0


def test_gradients_reach_the_scores_through_nodes_and_through_edges() -> None:
    kernel = NodeScoreKernel(Degrees(), 4)
    encoding = GraphSymPE(kernel, 2, 3)
    nodes, edges = encoding(PAW, generator=seeded(0))
    g = kernel.sample(PAW, generator=seeded(0))
    for one, two in zip((nodes, edges), encoding.moved(g), strict=True):
        torch.testing.assert_close(one, two)
    for features in (nodes, edges):
        weight = torch.randn(features.shape, generator=seeded(1))
        (gradient,) = torch.autograd.grad((features * weight).sum(), kernel.parameters(), retain_graph=True)
        assert float(gradient.abs()) > 0
    # the twin: features of a g that is given have nothing to tell the scores
    given = encoding.moved(g)[0].sum()
    assert torch.autograd.grad(given, kernel.parameters(), allow_unused=True) == (None,)


def test_moved_gives_the_features_of_the_draw() -> None:
    x = torch.ones(5, 1, 3, 3)
    mirror = GROUP.pack(s=1, k=0, p=0, q=0)
    for encoding in (
        SymPE(OrbitKernel(FIELD), GridAction(GROUP, 2)),
        PartialSymPE(PartialKernel(OrbitKernel(FIELD), [mirror]), GridAction(GROUP, 2)),
    ):
        g = encoding.kernel.sample(x, generator=seeded(0))
        assert torch.equal(encoding.moved(g), encoding(x, generator=seeded(0)))
        assert not torch.equal(encoding.moved(GROUP.compose(torch.tensor(3), g)), encoding(x, generator=seeded(0)))
    graphs = GraphSymPE(GraphKernel(5), 2, 3)
    g = graphs.kernel.sample(PAW, generator=seeded(0))
    for one, two in zip(graphs.moved(g), graphs(PAW, generator=seeded(0)), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("name", ACTIONS)
def test_an_orbit_is_all_g_v(name: str) -> None:
    action = ACTIONS[name]
    v = torch.randn(action.shape, generator=seeded(0))
    expected = action(action.group.elements(), v)
    for _ in range(2):  # the second time by the table that is kept
        assert torch.equal(action.orbit(v), expected)


def test_the_table_of_an_orbit_serves_gradients_wherever_it_was_made() -> None:
    action = DirectSum(BondAction(P4M(2)), GridAction(P4M(2)))
    v = torch.randn(action.shape)
    with torch.inference_mode():
        action.orbit(v)
    v.requires_grad_()
    (gradient,) = torch.autograd.grad(action.orbit(v).sum(), v)
    assert torch.equal(gradient, torch.full(action.shape, float(action.group.order)))


def test_the_state_of_an_encoding_is_v_the_kernel_and_its_form() -> None:
    encoding = SymPE(scores(), GridAction(GROUP, 2))
    encoding(torch.zeros(2, 1, 3, 3))
    assert {name.split(".")[0] for name in encoding.state_dict()} == {"v", "kernel", "_extra_state"}
    assert not list(encoding.buffers(recurse=False))


class Alone(Action):
    """An action of a finite group that does not say so."""

    group = property(lambda self: GROUP)
    shape = property(lambda self: (1, 3, 3))
    is_faithful = property(lambda self: True)

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        return FIELD(g, x)


class Elsewhere(Action):
    """An action of permutations that soft ones do not know."""

    group = property(lambda self: Permutations(4))
    shape = property(lambda self: (1,))
    is_faithful = property(lambda self: True)

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        return x


def test_what_a_draw_cannot_move_is_named() -> None:
    assert isinstance(GROUP, FiniteGroup)
    assert SymPE(OrbitKernel(FIELD), Alone())(torch.zeros(2, 1, 3, 3)).shape == (2, 1, 3, 3)
    with pytest.raises(TypeError, match="action: expected a FiniteAction with this kernel, got Alone"):
        SymPE(scores(), Alone())(torch.zeros(2, 1, 3, 3))
    with pytest.raises(ValueError, match="action: expected NodeAction or EdgeAction with this kernel, got Elsewhere"):
        SymPE(NodeScoreKernel(Degrees(), 4), Elsewhere())(PAW)
    with pytest.raises(ValueError, match=r"v: expected shape \(1, 3, 3\), got \(2, 3, 3\)"):
        FIELD.orbit(torch.zeros(2, 3, 3))
