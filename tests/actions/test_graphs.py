"""Permutations on graphs, held against loops over the definition and against permutation matrices."""

import itertools
import re

import pytest
import torch

from sympe.actions import EdgeAction, NodeAction, PermutationAction
from sympe.groups import Cyclic, Permutations, generate_permutations
from tests.catalogue import symmetric_generators


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("degree", range(1, 5))
def test_features_go_where_their_nodes_go(degree: int) -> None:
    group = Permutations(degree)
    x = torch.randn(degree, 2, generator=seeded(0))
    E = torch.randn(degree, degree, 3, generator=seeded(1))
    for p in group.elements():
        px, pE = NodeAction(group, 2)(p, x), EdgeAction(group, 3)(p, E)
        for i, j in itertools.product(range(degree), repeat=2):
            assert torch.equal(px[p[i]], x[i])
            assert torch.equal(pE[p[i], p[j]], E[i, j])


@pytest.mark.parametrize("degree", range(2, 6))
def test_it_is_multiplication_by_permutation_matrices(degree: int) -> None:
    group = Permutations(degree)
    p = group.elements()
    M = torch.eye(degree, dtype=torch.float64)[p].mT  # M e_i = e_p[i]
    x = torch.randn(degree, 2, generator=seeded(0), dtype=torch.float64)
    E = torch.randn(degree, degree, 1, generator=seeded(1), dtype=torch.float64)
    assert torch.equal(NodeAction(group, 2)(p, x), M @ x)
    assert torch.equal(EdgeAction(group)(p, E).squeeze(-1), M @ E.squeeze(-1) @ M.mT)


@pytest.mark.parametrize("degree", range(2, 6))
def test_nodes_move_as_the_points_of_the_finite_group(degree: int) -> None:
    points = PermutationAction.generate(symmetric_generators(degree), channels=3)
    p = generate_permutations(symmetric_generators(degree))
    x = torch.randn(7, 1, degree, 3, generator=seeded(0))
    moved = NodeAction(Permutations(degree), 3)(p, x)
    assert torch.equal(moved, points(points.group.elements(), x.mT).mT)


def test_the_diagonal_of_the_edges_moves_as_nodes_do() -> None:
    group = Permutations(5)
    g, x = group.sample((4,), generator=seeded(0)), torch.randn(5, 2, generator=seeded(1))
    E = torch.diag_embed(x.mT).movedim(0, -1)
    assert torch.equal(EdgeAction(group, 2)(g, E).diagonal(dim1=1, dim2=2).mT, NodeAction(group, 2)(g, x))


@pytest.mark.parametrize("degree", range(2, 5))
def test_edges_are_faithful_without_the_diagonal(degree: int) -> None:
    group = Permutations(degree)
    E = torch.arange(degree**2).view(degree, degree, 1) * ~torch.eye(degree, dtype=torch.bool)[:, :, None]
    moved = EdgeAction(group)(group.elements(), E)
    assert len(moved.flatten(1).unique(dim=0)) == group.order


@pytest.mark.parametrize("make", [NodeAction, EdgeAction])
def test_the_gradient_is_the_inverse_move(make: type[NodeAction] | type[EdgeAction]) -> None:
    group = Permutations(4)
    action = make(group, 2)
    g = group.sample((6,), generator=seeded(0))
    v = torch.randn(action.shape, generator=seeded(1), requires_grad=True)
    c = torch.randn(6, *action.shape, generator=seeded(2))
    (gradient,) = torch.autograd.grad((action(g, v) * c).sum(), v)
    torch.testing.assert_close(gradient, action(group.inverse(g), c).sum(0))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.float64, torch.complex64])
@pytest.mark.parametrize("make", [NodeAction, EdgeAction])
def test_the_dtype_stays(make: type[NodeAction] | type[EdgeAction], dtype: torch.dtype) -> None:
    action = make(Permutations(3))
    x = (torch.arange(action.size) % 2).reshape(action.shape).to(dtype)
    g = torch.tensor([1, 2, 0])
    moved = action(g, x)
    assert moved.dtype == dtype
    assert torch.equal(moved.to(torch.complex64), action(g, x.to(torch.complex64)))


def test_elements_that_fix_the_padding_move_a_small_graph_in_a_large_one() -> None:
    """A graph of 3 nodes padded to 5: a copy of S_3 acts on it, and the padding stays where it is."""
    small, large = Permutations(3), Permutations(5)
    p = small.elements()
    padded = torch.cat([p, torch.tensor([3, 4]).expand(len(p), 2)], -1)
    large.check(padded)
    x, E = torch.randn(3, 2, generator=seeded(0)), torch.randn(3, 3, 1, generator=seeded(1))
    wide_x, wide_E = torch.zeros(5, 2), torch.zeros(5, 5, 1)
    wide_x[:3], wide_E[:3, :3] = x, E
    moved_x, moved_E = NodeAction(large, 2)(padded, wide_x), EdgeAction(large)(padded, wide_E)
    assert torch.equal(moved_x[:, :3], NodeAction(small, 2)(p, x))
    assert torch.equal(moved_E[:, :3, :3], EdgeAction(small)(p, E))
    assert int(moved_x[:, 3:].count_nonzero()) == 0
    assert int(moved_E[:, 3:].count_nonzero() + moved_E[:, :, 3:].count_nonzero()) == 0


@pytest.mark.parametrize("make", [NodeAction, EdgeAction])
def test_no_channel_is_an_error(make: type) -> None:
    with pytest.raises(ValueError, match="channels: expected at least 1, got 0"):
        make(Permutations(3), 0)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("make", [NodeAction, EdgeAction])
def test_another_group_is_an_error(make: type) -> None:
    with pytest.raises(TypeError, match=r"group: expected an instance of Permutations .*, got Cyclic"):
        make(Cyclic(3))


@pytest.mark.parametrize("make", [NodeAction, EdgeAction])
@pytest.mark.parametrize("shape", [(2,), (4,), (3, 1), ()])
def test_elements_of_another_degree_are_an_error(make: type, shape: tuple[int, ...]) -> None:
    action = make(Permutations(3))
    message = re.escape(f"g: expected shape (*batch, 3), got {shape}")
    with pytest.raises(ValueError, match=message):  # the last would broadcast
        action(torch.zeros(shape, dtype=torch.int64), torch.zeros(action.shape))
