"""The least loss over G_x, against all elements of small groups, and its laws."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import networkx as nx
import pytest
import torch
from torch import Tensor

from sympe.actions import (
    Action,
    BondAction,
    EdgeAction,
    GridAction,
    ImageAction,
    NodeAction,
    PointAction,
    ScalarAction,
    VectorAction,
)
from sympe.graphs import Clouds, DenseGraphs
from sympe.groups import P4M, Dihedral, Euclidean, Isometries, Orthogonal, Permutations, SpecialOrthogonal
from sympe.kernels import GraphHaarKernel, GraphKernel, InversionKernel, OrbitKernel
from sympe.kernels.points import PointKernel
from sympe.losses import orbit_minimum

Minimum = Callable[..., Tensor]


def squares(prediction: Any, target: Any) -> Tensor:
    """Invariant under isometries and permutations."""
    if isinstance(prediction, tuple):
        return sum((squares(*pair) for pair in zip(prediction, target, strict=True)), start=torch.tensor(0.0))
    return (prediction - target).square().flatten(1).sum(1)


@dataclass
class Case:
    """Inputs with the elements that fix each of them, found one by one."""

    x: Any
    kernel: InversionKernel
    action: Action
    symmetries: list[Tensor]

    def row(self, i: int) -> Any:
        at = torch.tensor([i])
        return self.x[at] if isinstance(self.x, Tensor) else self.x.select(at)


def lattices(seed: int) -> Case:
    generator = torch.Generator().manual_seed(seed)
    action = GridAction(P4M(3))
    x = torch.randn(4, 1, 3, 3, generator=generator)
    x[0], x[1] = 0, 0
    x[1, 0, 1, 1] = 1
    x[2] = x[2].mean(2, keepdim=True)
    every = action.group.elements()
    fixed = [every[(action(every, one) == one).flatten(1).all(1)] for one in x]
    return Case(x, OrbitKernel(action), BondAction(action.group), fixed)


def images(seed: int) -> Case:
    action = ImageAction(Dihedral(4), 1, 4)
    x = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    x[0] = x[0] + x[0].flip(1)
    x[1] = 1
    every = action.group.elements()
    fixed = [every[(action(every, one) == one).flatten(1).all(1)] for one in x]
    return Case(x, OrbitKernel(action), action, fixed)


def graphs(seed: int, action: type[NodeAction] | type[EdgeAction]) -> Case:
    """A random regular graph, an empty one, a star, a random one, of several sizes."""
    made = [
        nx.random_regular_graph(3, 6, seed=seed),
        nx.empty_graph(4),
        nx.star_graph(3),
        nx.gnp_random_graph(6, 0.5, seed),
    ]
    edges, mask = torch.zeros(len(made), 6, 6).long(), torch.zeros(len(made), 6, dtype=torch.bool)
    for row, graph in enumerate(made):
        n = len(graph)
        edges[row, :n, :n] = torch.tensor(nx.to_numpy_array(graph)).long()
        mask[row, :n] = True
    fixed = []
    for row, graph in enumerate(made):
        n = len(graph)
        every = torch.tensor([[*p, *range(n, 6)] for p in itertools.permutations(range(n))])
        fixed.append(every[(edges[row][every[:, :, None], every[:, None]] == edges[row]).flatten(1).all(1)])
    kernel = GraphKernel(6)
    return Case(DenseGraphs.from_features(edges, mask=mask), kernel, action(kernel.group, channels=2), fixed)


def clouds(seed: int, isometries: Isometries, action: type[Action]) -> Case:
    """Generic points, and a square (with its centre of another type, away from the origin in E(d))."""
    generator = torch.Generator().manual_seed(seed)
    d = isometries.dimension
    corners = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0], [0.0, 0.0]])
    symmetric = corners.double()
    if d == 3:
        symmetric = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1], [0, 0, 0]]).double()
    generic, turn = torch.randn(5, d, generator=generator).double(), torch.randn(d, d, generator=generator).double()
    positions = torch.stack([symmetric @ torch.linalg.qr(turn)[0].T, generic])
    if isometries.translates:
        positions = positions + 2.0
    types = torch.tensor([[6, 6, 6, 6, 1], [6, 6, 6, 6, 1]])
    kernel = PointKernel(isometries, max_nodes=5)
    fixed = []
    for points, kinds in zip(positions, types, strict=True):
        c = points.mean(0) if isometries.translates else torch.zeros(d).double()
        X, found = points - c, []
        for p in itertools.permutations(range(5)):
            order = torch.tensor(p)
            R = torch.linalg.lstsq(X, X[order]).solution.T
            orthogonal = (R @ R.T - torch.eye(d)).abs().max() < 1e-5
            same = torch.equal(kinds, kinds[order]) and (X @ R.T - X[order]).abs().max() < 1e-5
            if same and orthogonal and (R.det() > 0 or not isometries.is_proper):
                found.append(kernel.group.pack(isometries.element(R, c - R @ c), order))
        fixed.append(torch.stack(found))
    return Case(Clouds.from_positions(positions, types), kernel, action(kernel.group), fixed)


CASES = {
    "lattices": lattices(0),
    "images": images(0),
    "nodes": graphs(0, NodeAction),
    "edges": graphs(1, EdgeAction),
    "positions in E(2)": clouds(0, Euclidean(2), PointAction),
    "positions in E(3)": clouds(1, Euclidean(3), PointAction),
    "vectors in O(3)": clouds(2, Orthogonal(3), VectorAction),
    "vectors in SO(3)": clouds(3, SpecialOrthogonal(3), VectorAction),
    "labels in O(2)": clouds(4, Orthogonal(2), ScalarAction),
}


def law(minimum: Minimum, case: Case, seed: int = 0) -> None:
    """The least over all symmetries, unchanged as the target moves by one, and as everything moves by any h."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(case.x), *case.action.shape)
    y_hat, y = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    y_hat.requires_grad_()
    value = minimum(squares, y_hat, y, case.x, case.kernel, case.action)
    (slope,) = torch.autograd.grad(value.sum(), y_hat)
    for i, fixed in enumerate(case.symmetries):
        moved = case.action(fixed, y[i])
        every = squares(y_hat[i].detach(), moved)
        best = int(every.argmin())
        torch.testing.assert_close(value[i].detach(), every[best])
        torch.testing.assert_close(slope[i], 2 * (y_hat[i].detach() - moved[best]))
        for s in fixed[:: max(1, len(fixed) // 12)]:
            z = y.clone()
            z[i] = case.action(s, y[i])
            again = minimum(squares, y_hat, z, case.x, case.kernel, case.action)
            torch.testing.assert_close(again, value)
            torch.testing.assert_close(torch.autograd.grad(again.sum(), y_hat)[0], slope)
        alone = minimum(squares, y_hat[i : i + 1], y[i : i + 1], case.row(i), case.kernel, case.action)
        torch.testing.assert_close(alone[0], value[i])
    h = case.kernel.sample(case.x, generator=generator)  # moves no padding
    if not isinstance(case.kernel, PointKernel):
        h = case.kernel.group.compose(h, case.kernel.sample(case.x, generator=generator))
    there = case.kernel.move(h, case.x)
    moved_value = minimum(squares, case.action(h, y_hat), case.action(h, y), there, case.kernel, case.action)
    torch.testing.assert_close(moved_value, value)


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_least_over_all_symmetries_and_keeps_its_laws(name: str) -> None:
    case = CASES[name]
    assert max(map(len, case.symmetries)) > 1
    law(orbit_minimum, case)


@pytest.mark.parametrize("name", CASES)
def test_for_an_equivariant_model_it_is_the_least_over_the_g_that_the_model_may_draw(name: str) -> None:
    """min over s of l(f(x, g), s y) is min over g' in C(x) of l(f(x, g'), y); not if f forgets to turn with g."""
    case = CASES[name]
    generator = torch.Generator().manual_seed(0)
    v, y = torch.randn(2, *case.action.shape, generator=generator).double()
    target = y.expand(len(case.x), *y.shape)
    rows, every = case.kernel.list_coset(case.x, limit=1024)
    drawn = case.kernel.sample(case.x, generator=generator)
    for model, equivariant in ((lambda gv: gv, True), (lambda gv: gv.tanh() + v, False)):
        best = minimum_of(squares(model(case.action(every, v)), target[rows]), rows, len(target))
        found = orbit_minimum(squares, model(case.action(drawn, v)), target, case.x, case.kernel, case.action)
        assert torch.allclose(found, best) == equivariant


def minimum_of(values: Tensor, rows: Tensor, count: int) -> Tensor:
    return torch.stack([values[rows == row].min() for row in range(count)])


def over_the_coset(loss: Any, prediction: Any, target: Tensor, x: Any, kernel: Any, action: Any) -> Tensor:
    """Wrong on purpose: C(x) in place of G_x."""
    rows, g = kernel.list_coset(x, limit=1024)
    value = loss(prediction[rows], action(g, target[rows]))
    return torch.stack([value[rows == i].min() for i in range(len(x))])


def as_it_stands(loss: Any, prediction: Any, target: Tensor, x: Any, kernel: Any, action: Any) -> Tensor:
    """Wrong on purpose: no symmetry at all."""
    return loss(prediction, target)


def over_the_whole_group(loss: Any, prediction: Any, target: Tensor, x: Any, kernel: Any, action: Any) -> Tensor:
    """Wrong on purpose: more elements than fix x."""
    g = kernel.group.sample((200,), generator=torch.Generator().manual_seed(0))
    return torch.stack([loss(prediction[i], action(g, target[i])).min() for i in range(len(x))])


TWINS = [(twin, name) for twin in (over_the_coset, as_it_stands, over_the_whole_group) for name in CASES]
TWINS = [(twin, name) for twin, name in TWINS if not (twin is over_the_whole_group and "E(" in name)]  # no Haar there


@pytest.mark.parametrize(("twin", "name"), TWINS)
def test_what_takes_other_elements_is_rejected(twin: Minimum, name: str) -> None:
    with pytest.raises(AssertionError):
        law(twin, CASES[name])


def test_targets_may_have_fewer_nodes_than_the_kernel_and_come_as_tuples() -> None:
    case = CASES["nodes"]
    wide = GraphKernel(9)
    generator = torch.Generator().manual_seed(0)
    nodes, edges = torch.randn(2, 4, 6, 2, generator=generator), torch.randn(2, 4, 6, 6, 3, generator=generator)
    narrow = orbit_minimum(squares, nodes[0], nodes[1], case.x, case.kernel, case.action)
    padded = orbit_minimum(squares, nodes[0], nodes[1], case.x, wide, NodeAction(wide.group, 2))
    torch.testing.assert_close(padded, narrow)
    actions = (NodeAction(wide.group, 2), EdgeAction(wide.group, 3))
    both = orbit_minimum(squares, (nodes[0], edges[0]), (nodes[1], edges[1]), case.x, wide, actions)
    for i, fixed in enumerate(case.symmetries):
        moved = (
            NodeAction(case.kernel.group, 2)(fixed, nodes[1, i]),
            EdgeAction(case.kernel.group, 3)(fixed, edges[1, i]),
        )
        every = squares(nodes[0, i], moved[0]) + squares(edges[0, i], moved[1])
        torch.testing.assert_close(both[i], every.min())


def test_translations_leave_the_padding_of_clouds() -> None:
    pair = torch.tensor([[[1.0, 0.0], [3.0, 0.0], [0.0, 0.0]]])
    x = Clouds.from_positions(pair, mask=torch.tensor([[True, True, False]]))
    kernel = PointKernel(Euclidean(2), max_nodes=5)
    y, turned = torch.tensor([[[[1.0, 0.0], [3.0, 1.0], [0.0, 0.0]]], [[[1.0, -1.0], [3.0, 0.0], [0.0, 0.0]]]])
    assert orbit_minimum(squares, turned, y, x, kernel, PointAction(kernel.group)) < 1e-10
    vectors = torch.tensor([[[[1.0, 2.0]], [[0.0, 0.0]], [[0.0, 0.0]]]])
    back = -vectors[:, [1, 0, 2]]
    assert orbit_minimum(squares, back, vectors, x, kernel, VectorAction(kernel.group)) < 1e-10


def test_gradients_are_finite_where_the_loss_is_not_smooth_and_elsewhere_untouched() -> None:
    case = CASES["images"]
    y = torch.randn(3, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    value = orbit_minimum(squares, y, y.detach(), case.x, case.kernel, case.action)
    assert torch.equal(value.detach(), torch.zeros(3).double())
    assert torch.equal(torch.autograd.grad(value.sum(), y)[0], torch.zeros_like(y))


def test_an_empty_batch_and_nan() -> None:
    case = CASES["images"]
    nothing = torch.zeros(0, 1, 4, 4)
    assert orbit_minimum(squares, nothing, nothing, nothing, case.kernel, case.action).shape == (0,)
    y = torch.full((3, 1, 4, 4), torch.nan)
    assert orbit_minimum(squares, y, y, case.x, case.kernel, case.action).isnan().all()


def test_what_cannot_be_used_is_refused(unchecked: None) -> None:
    case = CASES["nodes"]
    y = torch.randn(4, 6, 2)
    x, kernel, action = case.x, case.kernel, case.action
    with pytest.raises(TypeError, match="loss: expected something to call"):
        orbit_minimum(3, y, y, x, kernel, action)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="kernel: expected an instance of InversionKernel"):
        orbit_minimum(squares, y, y, x, GraphHaarKernel(6), action)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="action: expected an instance of Action"):
        orbit_minimum(squares, y, y, x, kernel, None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"action: expected an action of the kernel's Permutations\(degree=6\)"):
        orbit_minimum(squares, y, y, x, kernel, NodeAction(Permutations(5), 2))
    with pytest.raises(ValueError, match="action: expected one for each of 2 targets, got 1"):
        orbit_minimum(squares, (y, y), (y, y), x, kernel, action)
    with pytest.raises(ValueError, match="target: expected one for each of 4 inputs, got 3"):
        orbit_minimum(squares, y, y[:3], x, kernel, action)
    with pytest.raises(ValueError, match="prediction: expected one for each of 4 inputs, got 3"):
        orbit_minimum(squares, y[:3], y, x, kernel, action)
    with pytest.raises(ValueError, match=r"loss: expected one number for each of \d+ pairs, got \(\)"):
        orbit_minimum(lambda a, b: (a - b).sum(), y, y, x, kernel, action)
    with pytest.raises(ValueError, match=r"x: C\(x\) of input 1 has 24 elements, more than limit = 20"):
        orbit_minimum(squares, y, y, x, kernel, action, limit=20)
    with pytest.raises(ValueError, match="target: expected at least 6 nodes, as x has, got 5"):
        orbit_minimum(squares, y[:, :5], y[:, :5], x, kernel, action)
    with pytest.raises(ValueError, match=r"target: expected shape \(\*batch, 6, 2\)"):
        orbit_minimum(squares, y[..., :1], y[..., :1], x, kernel, action)
    with pytest.raises(ValueError, match=r"target: expected shape \(\*batch, 6, 2\)"):
        orbit_minimum(squares, y, y[..., 0], x, kernel, action)
