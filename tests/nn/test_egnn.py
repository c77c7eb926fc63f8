"""The geometry of EGNN: rotations, translations, distances. What it shares with GNN is in test_gnn."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sympe.nn import EGNN
from tests.nn.test_gnn import LAYERS, WIDTH, A, D, F, Graphs, edge_list, gap, make, random_graphs, received

DIMENSIONS = [1, 2, 3, 8]
Network = Callable[..., tuple[Tensor, Tensor]]


def rotation(dim: int, seed: int, *, sign: int) -> Tensor:
    """A random orthogonal matrix of determinant ``sign``."""
    generator = torch.Generator().manual_seed(seed)
    R, _ = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64))
    R[:, 0] *= sign * R.det()
    return R


def assert_euclidean(net: Network, graphs: Graphs, *, shift: float = 0.0, tolerance: float = 1e-9) -> None:
    """h is invariant and x moves along: under rotations, reflections and a translation of about ``shift``."""
    nodes, x, edges, mask = graphs
    h, z = net(nodes, x, edges, mask)
    dim = x.shape[-1]
    t = shift * torch.randn(dim, generator=torch.Generator().manual_seed(1), dtype=x.dtype)
    for seed, sign in enumerate((1, 1, -1, -1)):
        R = rotation(dim, seed, sign=sign)
        h_moved, z_moved = net(nodes, x @ R.mT + t, edges, mask)
        expected = (z @ R.mT + t) * mask.unsqueeze(-1)
        assert gap(h_moved, h) <= tolerance, "the features are not invariant"
        assert gap(z_moved, expected) <= tolerance, "the coordinates are not equivariant"


@pytest.mark.parametrize("shrink", [0.0, 0.1])
@pytest.mark.parametrize("dim", DIMENSIONS)
def test_it_is_equivariant_under_rotations_and_reflections(dim: int, shrink: float) -> None:
    net, graphs = make(EGNN, shrink=shrink), random_graphs([5, 3, 1], 5, dim=dim)
    assert_euclidean(net, graphs)
    assert not torch.allclose(net(*graphs)[1], graphs.coordinates * graphs.mask.unsqueeze(-1), atol=1e-2)  # it moves


@pytest.mark.parametrize("dim", DIMENSIONS)
def test_it_is_equivariant_under_translations(dim: int) -> None:
    assert_euclidean(make(EGNN), random_graphs([5, 3, 1], 5, dim=dim), shift=1.0)


def test_shrinking_breaks_translations() -> None:
    with pytest.raises(AssertionError, match="the coordinates are not equivariant"):
        assert_euclidean(make(EGNN, shrink=1e-3), random_graphs([1], 1), shift=1.0)
    with pytest.raises(AssertionError, match="the coordinates are not equivariant"):
        assert_euclidean(make(EGNN, shrink=1e-3), random_graphs([5, 3], 5), shift=1.0)


def test_broken_twins_are_not_equivariant() -> None:
    net, graphs = make(EGNN), random_graphs([4, 3], 4)

    def axes(nodes: Tensor, x: Tensor, edges: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return net(nodes, x * torch.tensor([1, 2, 3]), edges, mask)

    def absolute(nodes: Tensor, x: Tensor, edges: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        h, z = net(nodes, x, edges, mask)
        return h, z + z.norm(dim=-1, keepdim=True) * x

    def peeking(nodes: Tensor, x: Tensor, edges: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return net(nodes + x[..., :1], x, edges, mask)

    for twin in (axes, peeking):
        with pytest.raises(AssertionError, match="the features are not invariant"):
            assert_euclidean(twin, graphs)
    assert_euclidean(absolute, graphs)  # O(n) alone cannot see the origin
    with pytest.raises(AssertionError, match="the coordinates are not equivariant"):
        assert_euclidean(absolute, graphs, shift=1.0)


def test_far_from_the_origin_distances_stay_exact() -> None:
    """Inner products of length 1e14 would leave distances without a single digit."""
    net, graphs = make(EGNN), random_graphs([5], 5)
    assert_euclidean(net, graphs, shift=1e7, tolerance=1e-5)
    x = graphs.coordinates + 1e7
    products = x @ x.mT
    squares = products.diagonal(dim1=1, dim2=2)
    distances = squares.unsqueeze(2) + squares.unsqueeze(1) - 2 * products
    true = (x.unsqueeze(2) - x.unsqueeze(1)).square().sum(-1)
    assert gap(distances, true) > 1e-3


def loops(net: EGNN, nodes: Tensor, x: Tensor, edges: Tensor, *, twin: str = "") -> tuple[Tensor, Tensor]:
    """The network on one graph without padding, by loops over the equations."""
    n, h = len(x), net.embed(nodes)
    for layer, phi_x in zip(net.layers, net.moves, strict=True):
        p = torch.zeros(n, n, 1 + edges.shape[-1], dtype=x.dtype)
        for i in range(n):
            for j in range(n):
                square = sum((x[i] - x[j]) ** 2)
                p[i, j, 0] = square.sqrt() if twin == "not squared" else square
                p[i, j, 1:] = edges[j, i] if twin == "edges reversed" else edges[i, j]
        h_new, m = received(layer, h, p, twin=twin)
        rows = []
        for i in range(n):
            moves = [(x[i] - x[j]) * phi_x(m[i, j]) for j in range(n) if j != i]
            count = 1 if twin == "sum" else n if twin == "mean over all" else max(1, n - 1)
            total = torch.stack(moves).sum(0) / count if moves else torch.zeros_like(x[i])
            moved = x[i] - total if twin == "backwards" else x[i] + total
            rows.append(moved - net.shrink * (x[i] if twin == "old shrink" else moved))
        x, h = torch.stack(rows), h_new
    return h, x


@pytest.mark.parametrize("shrink", [0.0, 0.1])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_it_is_the_loop_over_the_equations(n: int, shrink: float) -> None:
    net, graphs = make(EGNN, shrink=shrink), random_graphs([n], n)
    h, z = net(*graphs)
    expected = loops(net, graphs.nodes[0], graphs.coordinates[0], graphs.edges[0])
    torch.testing.assert_close((h[0], z[0]), expected, rtol=0, atol=1e-10)


TWINS = ["swapped", "itself", "mean of messages", "not squared", "edges reversed", "sum", "mean over all", "backwards"]


@pytest.mark.parametrize("twin", [*TWINS, "old shrink"])
def test_other_equations_give_something_else(twin: str) -> None:
    net, graphs = make(EGNN, shrink=0.1), random_graphs([4], 4)
    h, z = net(*graphs)
    h_twin, z_twin = loops(net, graphs.nodes[0], graphs.coordinates[0], graphs.edges[0], twin=twin)
    assert gap(h[0], h_twin) > 1e-3
    assert gap(z[0], z_twin) > 1e-3


@pytest.mark.parametrize("shrink", [0.0, 0.1])
def test_a_node_alone_stays_where_it_is_but_for_the_shrink(shrink: float) -> None:
    graphs = random_graphs([1], 3)
    _, z = make(EGNN, shrink=shrink)(*graphs)
    torch.testing.assert_close(z[0, 0], (1 - shrink) ** LAYERS * graphs.coordinates[0, 0])
    assert not bool(z[0, 1:].any())


def gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    (result,) = torch.autograd.grad(function(leaf).sum(), leaf)
    return result


def test_gradients_are_finite_where_points_coincide() -> None:
    net = make(EGNN)
    zeros = edge_list(4, [(0, 1), (1, 2)])
    two = random_graphs([4], 4)
    two.coordinates[0, 1] = two.coordinates[0, 0]
    for graphs in (zeros, two):
        net.zero_grad()
        h, z = net(*graphs)
        (h.sin().sum() + z.sin().sum()).backward()
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in net.parameters())
        by_x = gradient(lambda x, g=graphs: torch.cat(net(g.nodes, x, g.edges, g.mask), -1).sin(), graphs.coordinates)  # type: ignore[misc]
        assert bool(by_x.isfinite().all())
        assert float(by_x.abs().max()) > 0

    def root(x: Tensor) -> Tensor:
        """Twin: distances that are not squared."""
        return (x.unsqueeze(2) - x.unsqueeze(1)).square().sum(-1).sqrt()

    assert bool(gradient(root, zeros.coordinates).isnan().any())


def test_points_that_coincide_stay_together_and_others_break_the_symmetry() -> None:
    net, cycle = make(EGNN), edge_list(5, [(i, (i + 1) % 5) for i in range(5)])
    h, z = net(*cycle)
    assert not bool(z.any())
    torch.testing.assert_close(h, h[:, :1].expand_as(h), rtol=0, atol=1e-12)
    x = torch.randn(1, 5, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    h, _ = net(*cycle._replace(coordinates=x))
    assert min(gap(h[0, i], h[0, j]) for i in range(5) for j in range(i)) > 1e-4


def test_a_new_network_hardly_moves_the_points() -> None:
    torch.manual_seed(0)
    net, graphs = EGNN(F, A, width=WIDTH, layers=LAYERS).double(), random_graphs([5], 5)
    moved = gap(net(*graphs)[1], graphs.coordinates)
    assert 0 < moved < 1e-2
    bound = 0.001 * math.sqrt(6 / (WIDTH + 1))  # Xavier's
    for phi_x in net.moves:
        assert phi_x[-1].bias is None
        assert 0 < float(phi_x[-1].weight.detach().abs().max()) <= bound
    assert gap(make(EGNN)(*graphs)[1], graphs.coordinates) > 1e-2  # twin: ordinary weights


@pytest.mark.parametrize("shrink", [-0.1, 1.0, math.inf, math.nan])
def test_a_wrong_shrink_is_an_error(shrink: float) -> None:
    with pytest.raises(ValueError, match=f"^shrink: expected at least 0 and below 1, got {shrink}$"):
        EGNN(1, 1, shrink=shrink)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("shape", [(2, 4), (1, 4, 3), (2, 5, 3), (2, 4, 3, 1)])
def test_wrong_coordinates_are_an_error(shape: tuple[int, ...]) -> None:
    graphs = random_graphs([4, 2], 4)
    with pytest.raises(ValueError, match=r"^coordinates: expected shape \(2, 4, D\), got \(") as error:
        make(EGNN)(*graphs._replace(coordinates=torch.zeros(shape)))
    assert str(shape) in str(error.value)
