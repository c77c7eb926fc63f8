"""One convention for equal numbers: relative, input by input, with an absolute part for what should be 0."""

from __future__ import annotations

import math

import pytest
import torch

from sympe.actions import DirectSum, GridAction, MatrixAction, NodeAction
from sympe.answers import orbit
from sympe.graphs import DenseGraphs, SparseGraphs
from sympe.groups import P4M, Cyclic
from sympe.kernels import GraphKernel, OrbitKernel
from sympe.tolerance import Tolerance

FIELDS = OrbitKernel(GridAction(P4M(3)))


def rounded(scale: float) -> torch.Tensor:
    """A constant field in single precision whose entries were summed in different orders."""
    parts = torch.rand(9, 50, generator=torch.Generator().manual_seed(0))
    parts = parts[0].expand(9, 50).gather(1, parts.argsort(1))
    x = scale * torch.stack([sum(row.unbind(), torch.zeros(())) for row in parts]).view(1, 1, 3, 3) / 25
    assert len(x.unique()) > 1
    return x


@pytest.mark.parametrize("scale", [0.1, 1.0, 100.0, 1e6])
def test_sums_in_another_order_keep_their_symmetries_at_every_scale(scale: float) -> None:
    x = rounded(scale)
    assert float(FIELDS.entropy(x).exp().round()) == 72
    x[..., 0, 0] *= 1 + 1e-4
    assert float(FIELDS.entropy(x).exp().round()) == 8
    # the twin: an absolute tolerance loses them
    if scale >= 100:
        absolute = OrbitKernel(FIELDS.action, tolerance=Tolerance(0.0, 1e-6))
        assert float(absolute.entropy(rounded(scale)).exp().round()) < 72


def test_an_input_is_judged_alone() -> None:
    """The scale is its own, not that of the batch."""
    x = torch.cat([1e6 * torch.ones(1, 1, 3, 3), torch.ones(1, 1, 3, 3)])
    x[1, 0, 0, 0] += 1e-3
    assert FIELDS.entropy(x).exp().round().tolist() == [72.0, 8.0]
    nodes = torch.tensor([[1e6, 1e6], [1.0, 1.001]])
    pairs = torch.zeros(2, 2, 2, dtype=torch.int64)
    dense = DenseGraphs.from_features(pairs, nodes, tolerance=1e-6)
    sparse = SparseGraphs.from_features(
        torch.zeros(2, 0, dtype=torch.int64), torch.tensor([2, 2]), nodes.flatten(), tolerance=1e-6
    )
    for graphs in (dense, sparse):
        assert GraphKernel(2).entropy(graphs).exp().round().tolist() == [2.0, 1.0]


def test_a_channel_is_judged_on_its_own_scale() -> None:
    """Where the group does not mix it with a larger one: fields side by side, blocks of matrices, answers."""
    x = torch.cat([torch.full((1, 1, 3, 3), 1e6), torch.ones(1, 1, 3, 3)], 1)
    x[0, 1, 0, 0] += 1e-3
    assert float(OrbitKernel(GridAction(P4M(3), 2)).entropy(x).exp().round()) == 8
    swap = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    blocks = DirectSum(*[MatrixAction(Cyclic(2), swap)] * 2)
    assert float(OrbitKernel(blocks).entropy(torch.tensor([[1e6, 1e6, 1.0, 1.001]]))) == 0
    assert float(OrbitKernel(MatrixAction(Cyclic(2), swap)).entropy(torch.tensor([[1e6, 1e6 + 0.5]]))) > 0.6
    kernel, y = GraphKernel(2), torch.tensor([[[1e6, 1.0], [1e6, 1.001]]])
    (found,) = orbit(DenseGraphs.from_features(torch.zeros(1, 2, 2).long()), y, kernel, NodeAction(kernel.group, 2))
    assert len(found.values) == 2


def test_small_units_need_a_relative_tolerance_and_a_graph_says_so() -> None:
    metres = torch.tensor([[1e-10, 2e-10]])
    pairs = torch.zeros(1, 2, 2, dtype=torch.int64)
    with pytest.warns(UserWarning, match=r"nodes: .* of size 1e-06 or less, but not 0; they count as equal"):
        DenseGraphs.from_features(pairs, metres, tolerance=1e-6)
    exact = DenseGraphs.from_features(pairs, metres, tolerance=Tolerance(1e-6, 0.0))
    assert float(GraphKernel(2).entropy(exact)) == 0


@pytest.mark.parametrize("value", [-1.0, math.inf, math.nan])
def test_a_number_out_of_range_is_an_error(value: float) -> None:
    with pytest.raises(ValueError, match=f"tolerance: expected a finite number >= 0, got {value}"):
        Tolerance.of(value)
    with pytest.raises(ValueError, match=r"tolerance\.absolute: expected a finite number >= 0"):
        Tolerance(1e-6, value)


@pytest.mark.parametrize("value", ["1e-3", None, True, torch.tensor(1e-3)])
def test_what_is_no_number_is_an_error(unchecked: None, value: object) -> None:
    with pytest.raises(TypeError, match="tolerance: expected a number or a Tolerance, got"):
        Tolerance.of(value)  # type: ignore[arg-type]


def test_a_tolerance_prints_as_the_number_that_stands_for_it() -> None:
    assert str(Tolerance.of(1e-3)) == "0.001"
    assert str(Tolerance.of(0.0)) == "0"
    assert str(Tolerance(0.0, 0.5)) == "Tolerance(relative=0.0, absolute=0.5)"
