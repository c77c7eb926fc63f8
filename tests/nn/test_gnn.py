"""Message passing: the laws of GNN, and those that EGNN shares with it. Its geometry is in test_egnn."""

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from sympe.actions import EdgeAction, NodeAction
from sympe.groups import Permutations
from sympe.nn import EGNN, GNN
from sympe.nn.gnn import MessagePassing, other_nodes, standardized, weighted_sum
from sympe.testing import assert_equivariant

F, A, D, WIDTH, LAYERS = 2, 3, 3, 5, 2
NETWORKS = [GNN, EGNN]


class Graphs(NamedTuple):
    nodes: Tensor
    coordinates: Tensor
    edges: Tensor
    mask: Tensor


def random_graphs(sizes: list[int], n: int, *, dim: int = D, seed: int = 0) -> Graphs:
    """Directed graphs with loops in double precision, generic everywhere, the padding included."""
    batch, generator = len(sizes), torch.Generator().manual_seed(seed)
    shapes = ((batch, n, F), (batch, n, dim), (batch, n, n, A))
    nodes, coordinates, edges = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    return Graphs(nodes, coordinates, edges, torch.arange(n) < torch.tensor(sizes).view(-1, 1))


def make(kind: type[nn.Module], *, edge_channels: int = A, width: int = WIDTH, **options: float) -> nn.Module:
    """A network with generic parameters; the moves of a new EGNN are too small to see."""
    torch.manual_seed(0)
    net = kind(F, edge_channels, width=width, layers=LAYERS, **options).double()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return net


def run(net: nn.Module, graphs: Graphs) -> Tensor:
    """The new features, and beside them the new coordinates if there are any."""
    if isinstance(net, GNN):
        return net(graphs.nodes, graphs.edges, graphs.mask)
    return torch.cat(net(*graphs), -1)


def gap(a: Tensor, b: Tensor) -> float:
    """The largest difference of two entries."""
    return float((a - b).detach().abs().max())


def edge_list(n: int, edges: list[tuple[int, int]]) -> Graphs:
    """One undirected graph with equal nodes, all coordinates 0."""
    a = torch.zeros(1, n, n, A, dtype=torch.float64)
    for i, j in edges:
        a[0, i, j] = a[0, j, i] = 1
    ones, zeros = (torch.full((1, n, c), float(v), dtype=torch.float64) for c, v in ((F, 1), (D, 0)))
    return Graphs(ones, zeros, a, torch.ones(1, n, dtype=torch.bool))


def silu(y: Tensor) -> Tensor:
    return y / (1 + (-y).exp())


def received(layer: nn.Module, h: Tensor, p: Tensor, *, twin: str = "") -> tuple[Tensor, Tensor]:
    """New features and messages of one graph without padding, by loops over the equations, phi_e not split."""
    n = len(h)
    m = torch.zeros(n, n, h.shape[1], dtype=h.dtype)
    rows = []
    for i in range(n):
        for j in range(n):
            pair = [h[j], h[i]] if twin == "swapped" else [h[i], h[j]]
            m[i, j] = silu(layer.message(silu(layer.pair(torch.cat([*pair, p[i, j]])))))
        heard = [m[i, j] for j in range(n) if j != i or twin == "itself"]
        total = torch.stack(heard).sum(0) if heard else torch.zeros_like(h[i])
        total = total / max(1, n - 1) if twin == "mean of messages" else total
        change = layer.node(torch.cat([h[i], total]))
        rows.append(change if twin == "no residual" else h[i] + change)
    return torch.stack(rows), m


def loops(net: nn.Module, nodes: Tensor, edges: Tensor, *, twin: str = "") -> Tensor:
    h = net.embed(nodes)
    for layer in net.layers:
        h, _ = received(layer, h, edges, twin=twin)
    return h


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_it_is_the_loop_over_the_equations(n: int) -> None:
    net, graphs = make(GNN), random_graphs([n], n)
    expected = loops(net, graphs.nodes[0], graphs.edges[0])
    torch.testing.assert_close(run(net, graphs)[0], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("twin", ["swapped", "itself", "mean of messages", "no residual"])
def test_other_equations_give_something_else(twin: str) -> None:
    net, graphs = make(GNN), random_graphs([4], 4)
    expected = loops(net, graphs.nodes[0], graphs.edges[0], twin=twin)
    assert gap(run(net, graphs)[0], expected) > 1e-3


def packed(graphs: Graphs) -> Tensor:
    """Edges, and on the diagonal of further channels all that belongs to nodes, the mask too. They move together."""
    rows = torch.cat([graphs.nodes, graphs.coordinates, graphs.mask.unsqueeze(-1)], -1)
    return torch.cat([graphs.edges, rows.mT.diag_embed().movedim(1, -1)], -1)


def on_packed(net: nn.Module) -> Callable[[Tensor], Tensor]:
    def function(x: Tensor) -> Tensor:
        nodes, coordinates, mask = x[..., A:].diagonal(dim1=1, dim2=2).mT.split([F, D, 1], -1)
        return run(net, Graphs(nodes, coordinates, x[..., :A], mask.squeeze(-1) > 0.5))

    return function


@pytest.mark.parametrize("kind", NETWORKS)
def test_it_is_equivariant_under_relabelling(kind: type[nn.Module]) -> None:
    """All 24 permutations of four places, real or padding, in three sizes and one symmetric graph."""
    net, group = make(kind), Permutations(4)
    x = torch.cat([packed(random_graphs([4, 3, 1], 4)), packed(edge_list(4, [(0, 1), (1, 2), (2, 3), (3, 0)]))])
    channels = run(net, random_graphs([4], 4)).shape[-1]
    actions = EdgeAction(group, x.shape[-1]), NodeAction(group, channels)
    assert_equivariant(on_packed(net), *actions, x, tolerance=1e-10)

    def ordered(x: Tensor) -> Tensor:
        return on_packed(net)(x) * torch.arange(1, 5).view(-1, 1)

    with pytest.raises(AssertionError, match="differs from g f"):
        assert_equivariant(ordered, *actions, x, tolerance=1e-10)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("garbage", [7.0, 1e30, math.inf, math.nan])
def test_padding_does_not_matter(kind: type[nn.Module], garbage: float) -> None:
    """Each graph alone without padding, and all in a wider batch full of garbage, which comes out as zeros."""
    net, sizes, n = make(kind), [0, 1, 2, 5], 6
    graphs = random_graphs(sizes, n)
    pairs = graphs.mask.unsqueeze(2) & graphs.mask.unsqueeze(1)
    padded = Graphs(
        graphs.nodes.masked_fill(~graphs.mask.unsqueeze(-1), garbage),
        graphs.coordinates.masked_fill(~graphs.mask.unsqueeze(-1), garbage),
        graphs.edges.masked_fill(~pairs.unsqueeze(-1), garbage),
        graphs.mask,
    )
    together = run(net, padded)
    for b, size in enumerate(sizes):
        one = slice(b, b + 1)
        alone = Graphs(
            graphs.nodes[one, :size],
            graphs.coordinates[one, :size],
            graphs.edges[one, :size, :size],
            graphs.mask[one, :size],
        )
        torch.testing.assert_close(together[b, :size], run(net, alone)[0], rtol=0, atol=1e-10)
        assert not bool(together[b, size:].any())  # NaN would be true
    one_more = padded._replace(mask=torch.arange(n) < torch.tensor(sizes).view(-1, 1) + 1)
    assert not torch.allclose(run(net, one_more)[3, :5], together[3, :5])  # twin: padding that claims to be real


@pytest.mark.parametrize("kind", NETWORKS)
def test_loops_are_not_read(kind: type[nn.Module]) -> None:
    net, graphs = make(kind), random_graphs([4], 4)
    loop = graphs.edges.clone()
    loop[:, range(4), range(4)] = math.nan
    assert torch.equal(run(net, graphs._replace(edges=loop)), run(net, graphs))
    edge = graphs.edges.clone()
    edge[:, 0, 1] += 1
    assert not torch.allclose(run(net, graphs._replace(edges=edge)), run(net, graphs))


@pytest.mark.parametrize("kind", NETWORKS)
def test_no_nodes_and_no_graphs(kind: type[nn.Module]) -> None:
    net = make(kind)
    channels = run(net, random_graphs([1], 1)).shape[-1]
    for sizes, n in (([0, 0], 0), ([], 4), ([], 0), ([0], 3), ([1], 1)):
        y = run(net, random_graphs(sizes, n)) if sizes else run(net, Graphs(*(t[:0] for t in random_graphs([n], n))))
        assert y.shape == (len(sizes), n, channels)
        assert bool(y.isfinite().all())


CYCLE = [(i, (i + 1) % 6) for i in range(6)]
PRISM = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5)]


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("edges", [[], CYCLE, PRISM, [(i, j) for i in range(6) for j in range(i)]])
def test_nodes_that_a_symmetry_exchanges_come_out_equal(kind: type[nn.Module], edges: list[tuple[int, int]]) -> None:
    y = run(make(kind), edge_list(6, edges))
    torch.testing.assert_close(y, y[:, :1].expand_as(y), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", NETWORKS)
def test_other_nodes_come_out_different(kind: type[nn.Module]) -> None:
    """Twin: a path, whose nodes come in three kinds."""
    y = run(make(kind), edge_list(6, CYCLE[:-1]))[0]
    torch.testing.assert_close(y, y.flip(0), rtol=0, atol=1e-12)
    assert min(gap(y[i], y[j]) for i, j in ((0, 1), (0, 2), (1, 2))) > 1e-6


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_parameter_gets_a_gradient(kind: type[nn.Module]) -> None:
    net = make(kind)
    run(net, random_graphs([4, 2], 4)).square().sum().backward()
    for name, p in net.named_parameters():
        assert p.grad is not None, name
        assert float(p.grad.abs().sum()) > 0, name
        assert bool(p.grad.isfinite().all()), name


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_gradient_is_right(kind: type[nn.Module]) -> None:
    net, graphs = make(kind, width=3), random_graphs([3, 1], 3)
    inputs = tuple(t.requires_grad_() for t in graphs[:3])
    assert torch.autograd.gradcheck(lambda *x: run(net, Graphs(*x, graphs.mask)), inputs)
    net.zero_grad()
    (weight,) = (p for name, p in net.named_parameters() if name == "layers.0.pair.weight")
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def loss(step: float) -> Tensor:
        shifted = {"layers.0.pair.weight": weight + step * direction}
        if isinstance(net, GNN):
            return torch.func.functional_call(net, shifted, (graphs.nodes, graphs.edges, graphs.mask)).sin().sum()
        return torch.cat(torch.func.functional_call(net, shifted, tuple(graphs)), -1).sin().sum()

    loss(0.0).backward()
    assert weight.grad is not None
    difference = (loss(1e-5) - loss(-1e-5)).item() / 2e-5
    assert math.isclose(difference, float((weight.grad * direction).sum()), rel_tol=1e-5)


@pytest.mark.parametrize("kind", NETWORKS)
def test_edges_may_have_no_features(kind: type[nn.Module]) -> None:
    net, graphs = make(kind, edge_channels=0), random_graphs([4, 2], 4)
    y = run(net, graphs._replace(edges=graphs.edges[..., :0]))
    assert len(y[0].unique(dim=0)) == 4


@pytest.mark.parametrize("kind", NETWORKS)
def test_state_survives_a_round_trip(kind: type[nn.Module]) -> None:
    graphs, one, two = random_graphs([3], 3), make(kind), kind(F, A, width=WIDTH, layers=LAYERS).double()
    assert not torch.allclose(run(one, graphs), run(two, graphs))
    two.load_state_dict(one.state_dict())
    assert torch.equal(run(one, graphs), run(two, graphs))


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", NETWORKS)
def test_it_compiles_into_one_graph_for_all_masks(kind: type[nn.Module]) -> None:
    net, traces = make(kind), []

    def backend(module: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., object]:
        traces.append(module)
        return module.forward

    compiled = torch.compile(lambda *graphs: run(net, Graphs(*graphs)), fullgraph=True, backend=backend)
    for sizes in ([4, 2], [1, 0], [3, 3]):
        graphs = random_graphs(sizes, 4)
        torch.testing.assert_close(compiled(*graphs), run(net, graphs))
    assert len(traces) == 1


def test_the_sum_is_weighted() -> None:
    weight, x = torch.randn(2, 3, 3), torch.randn(2, 3, 3, 4)
    torch.testing.assert_close(weighted_sum(weight, x), (weight.unsqueeze(-1) * x).sum(2))
    assert not torch.allclose(weighted_sum(weight, x), weighted_sum(weight.mT, x))


def test_pairs_are_of_two_real_nodes() -> None:
    mask = torch.tensor([[True, False, True], [False, False, True]])
    assert other_nodes(mask).nonzero().tolist() == [[0, 0, 2], [0, 2, 0]]


def test_concatenated_pairs_are_not_stored() -> None:
    """Nothing of the width of a concatenation is kept for the backward pass, where an unsplit layer keeps it."""
    width, n = 8, 6

    def widest(call: Callable[[], object]) -> int:
        shapes: list[torch.Size] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: (shapes.append(t.shape), t)[1], lambda t: t):
            call()
        return max(s[-1] for s in shapes if s.numel() >= n**2 and len(s) > 0 and s.numel() // s[-1] >= n**2)

    layer, h, p = MessagePassing(width, 2), torch.randn(1, n, width), torch.randn(1, n, n, 2)
    pairs = [h.unsqueeze(2).expand(1, n, n, width), h.unsqueeze(1).expand(1, n, n, width), p]
    assert widest(lambda: layer(h.requires_grad_(), p, torch.ones(1, n, n))) == width
    assert widest(lambda: layer.pair(torch.cat(pairs, -1))) == 2 * width + 2


SIZES = [
    ("node_channels", 1, (0, 3, 4, 1)),
    ("edge_channels", 0, (1, -1, 4, 1)),
    ("width", 1, (1, 3, 0, 1)),
    ("layers", 1, (1, 3, 4, 0)),
]


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize(("name", "least", "sizes"), SIZES)
def test_a_wrong_size_is_an_error(kind: type[nn.Module], name: str, least: int, sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected at least {least}, got {least - 1}$"):
        kind(*sizes[:2], width=sizes[2], layers=sizes[3])


WRONG = [
    ("nodes", (2, 4, 3), r"shape \(batch, n, 2\), got \(2, 4, 3\)"),
    ("nodes", (4, 2), r"shape \(batch, n, 2\), got \(4, 2\)"),
    ("edges", (2, 4, 4, 1), r"shape \(2, 4, 4, 3\), got \(2, 4, 4, 1\)"),
    ("edges", (2, 4, 5, 3), r"shape \(2, 4, 4, 3\), got \(2, 4, 5, 3\)"),
    ("edges", (1, 4, 4, 3), r"shape \(2, 4, 4, 3\), got \(1, 4, 4, 3\)"),
    ("edges", (2, 4, 4), r"shape \(2, 4, 4, 3\), got \(2, 4, 4\)"),
    ("mask", (1, 4), r"torch.bool of shape \(2, 4\), got torch.bool \(1, 4\)"),
    ("mask", (2, 4, 1), r"torch.bool of shape \(2, 4\), got torch.bool \(2, 4, 1\)"),
]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize(("name", "shape", "message"), WRONG)
def test_a_wrong_shape_is_an_error(kind: type[nn.Module], name: str, shape: tuple[int, ...], message: str) -> None:
    graphs = random_graphs([4, 2], 4)
    wrong = torch.zeros(shape, dtype=getattr(graphs, name).dtype)
    with pytest.raises(ValueError, match=f"^{name}: expected {message}$"):
        run(make(kind), graphs._replace(**{name: wrong}))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_mask_of_numbers_is_an_error(kind: type[nn.Module]) -> None:
    graphs = random_graphs([4, 2], 4)
    with pytest.raises(ValueError, match=r"^mask: expected torch.bool of shape \(2, 4\), got torch.float64 \(2, 4\)$"):
        run(make(kind), graphs._replace(mask=graphs.mask.double()))


def test_standardized_scores_have_derivatives_where_they_are_equal() -> None:
    mask = torch.tensor([[True, True, False], [True, False, False], [False, False, False]])
    s = torch.ones(3, 3, requires_grad=True)
    found = standardized(s, mask)
    assert bool((found[mask] == 0).all())
    found.sum().backward()
    assert s.grad is not None
    assert bool(s.grad.isfinite().all())
