"""The set of answers, against all elements of the stabilizer."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from sympe.actions import EdgeAction, GridAction, MatrixAction, NodeAction, RegularAction
from sympe.answers import orbit
from sympe.encodings import SymPE
from sympe.graphs import DenseGraphs
from sympe.groups import P4M, Cyclic, Permutations
from sympe.kernels import GraphKernel, OrbitKernel
from tests.catalogue import ACTIONS, rotations, symmetric_inputs, symmetric_vectors

SMALL = {name: action for name, action in ACTIONS.items() if action.group.order <= 100}


@pytest.mark.parametrize("name", SMALL)
def test_it_is_every_symmetry_of_x_applied_to_y(name: str) -> None:
    action = SMALL[name]
    x = symmetric_inputs(action) if action.permutes_entries else symmetric_vectors(action)
    kernel = OrbitKernel(action, tolerance=1e-4)
    answer = RegularAction(action.group)
    y = torch.randint(3, (len(x), *answer.shape), generator=torch.Generator().manual_seed(0))
    for row, found in enumerate(orbit(x, y, kernel, answer)):
        mask = kernel.stabilizer(x[row : row + 1])[0]
        moved = answer(mask.nonzero().flatten(), y[row])
        expected, count = moved.flatten(1).unique(dim=0, return_counts=True)
        assert {tuple(v) for v in found.values.flatten(1).tolist()} == {tuple(v) for v in expected.tolist()}
        assert len(found.values) == len(expected)
        assert torch.equal(found.values[0], y[row])
        torch.testing.assert_close(found.weights.sort().values, (count / count.sum()).sort().values)
        assert float(found.weights.sum()) == pytest.approx(1)
        both = int((mask & OrbitKernel(answer).stabilizer(y[row : row + 1])[0]).sum())
        assert len(found.values) == int(mask.sum()) // both


def test_graphs_against_all_permutations() -> None:
    group = Permutations(5)
    ring = torch.zeros(5, 5, dtype=torch.int64)
    for i in range(5):
        ring[i, (i + 1) % 5] = ring[(i + 1) % 5, i] = 1
    star = torch.zeros(5, 5, dtype=torch.int64)
    star[0, 1:4] = star[1:4, 0] = 1
    mask = torch.tensor([[True] * 5, [True] * 4 + [False]])
    x = DenseGraphs.from_features(torch.stack([ring, star]), mask=mask)
    kernel, edges = GraphKernel(5), EdgeAction(group)
    y = torch.randint(2, (2, 5, 5, 1), generator=torch.Generator().manual_seed(0)) * x.pairs[..., None]
    every = torch.tensor(list(itertools.permutations(range(5))))
    for row, found in enumerate(orbit(x, y, kernel, edges)):
        some = every if row == 0 else every[every[:, 4] == 4]  # the padding stays
        one = x.select(torch.full((len(some),), row)).relabel(some)
        fixes = (one.pairs == x.pairs[row]).flatten(1).all(1)
        moved = edges(some[fixes], y[row]).flatten(1).unique(dim=0)
        assert {tuple(v) for v in found.values.flatten(1).tolist()} == {tuple(v) for v in moved.tolist()}


def test_they_are_the_answers_of_the_model_for_all_g() -> None:
    """One draw of f(x, g) = g v gives them all, without another call."""
    action = GridAction(P4M(2))
    kernel = OrbitKernel(action)
    x = torch.zeros(1, 1, 2, 2)
    encoding = SymPE(kernel, RegularAction(P4M(2)), generator=torch.Generator().manual_seed(0))
    (found,) = orbit(x, encoding(x).detach(), kernel, encoding.action)
    support = kernel.coset(x)[0].nonzero().flatten()
    expected = encoding.action(support, encoding.v).detach().flatten(1)
    distance = (found.values.flatten(1)[:, None] - expected).abs().amax(2)
    assert len(found.values) == len(expected) == 32
    assert bool((distance.amin(0) < 1e-6).all())


def test_answers_that_differ_by_rounding_are_one() -> None:
    action: MatrixAction = rotations(12)
    x, y = torch.zeros(1, 2), torch.tensor([[math.cos(math.pi / 12), math.sin(math.pi / 12)]])
    (found,) = orbit(x, y, OrbitKernel(action), action, tolerance=1e-5)
    assert len(found.values) == 12  # a mirror fixes y
    (large,) = orbit(x, 1e4 * y, OrbitKernel(action), action)
    assert len(large.values) == 12
    # the broken twin: sums of rounded products are not the same numbers
    with pytest.raises(ValueError, match=r"tolerance: it finds .* answers to input 0, which do not divide its 24"):
        orbit(x, y, OrbitKernel(action), action, tolerance=0.0)


@pytest.mark.usefixtures("unchecked")
def test_errors() -> None:
    action = RegularAction(Cyclic(4))
    kernel, x = OrbitKernel(action), torch.zeros(1, 1, 4)
    with pytest.raises(ValueError, match=r"action: expected an action of the kernel's Cyclic\(n=4\)"):
        orbit(x, x, kernel, RegularAction(Cyclic(5)))
    with pytest.raises(ValueError, match="y: expected one answer for each of 1 inputs, got 2"):
        orbit(x, torch.zeros(2, 1, 4), kernel, action)
    with pytest.raises(ValueError, match="y: expected finite answers, got NaN or infinity"):
        orbit(x, torch.full((1, 1, 4), torch.nan), kernel, action)
    with pytest.raises(ValueError, match="most: input 0 has more than 3 answers; got 4"):
        orbit(x, torch.arange(4.0).view(1, 1, 4), kernel, action, most=3)
    nodes = NodeAction(Permutations(3))
    empty = DenseGraphs.from_features(torch.zeros(0, 3, 3, dtype=torch.int64))
    assert orbit(empty, torch.zeros(0, 3, 1), GraphKernel(3), nodes) == []


def test_answers_are_the_same_however_many_are_moved_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    action = GridAction(P4M(16))
    kernel, x = OrbitKernel(action), torch.zeros(1, 1, 16, 16)
    y = torch.zeros_like(x)
    y[0, 0, 3, 5] = 1.0
    (whole,) = orbit(x, y, kernel, action)
    monkeypatch.setattr("sympe.answers._ENTRIES", 2**17)
    (found,) = orbit(x, y, kernel, action)
    assert torch.equal(found.values[0], y[0])
    assert torch.equal(found.values.flatten(1).sum(0), torch.ones(256))
    assert len(found.values) == len(whole.values) == 256
    # too many are refused after the first 512 of 2,048
    with pytest.raises(ValueError, match="most: input 0 has more than 100 answers; got 256 so far"):
        orbit(x, y, kernel, action, most=100)
