"""The graph transformer: its equations by loops, equivariance, padding."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sympe.actions import EdgeAction, NodeAction
from sympe.groups import Permutations
from sympe.nn import GraphTransformer, graph_transformer
from sympe.nn.graph_transformer import Layer, pooled
from sympe.testing import assert_equivariant

F, A, C, TYPES = 3, 4, 2, (2, 3)
Graphs = tuple[Tensor, Tensor, Tensor, Tensor]


def make(**options: int) -> GraphTransformer:
    """A small network with generic parameters."""
    torch.manual_seed(0)
    widths = {"layers": 2, "node_width": 4, "edge_width": 3, "graph_width": 5, "heads": 2, "node_hidden": 6}
    net = GraphTransformer(F, A, C, *TYPES, **{**widths, "edge_hidden": 7, "graph_hidden": 4, **options}).double()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return net


def random_graphs(sizes: list[int], n: int) -> Graphs:
    """Directed features, loops included, generic everywhere, the padding included."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((len(sizes), n, F), (len(sizes), n, n, A), (len(sizes), C))
    nodes, edges, graphs = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    return nodes, edges, graphs, torch.arange(n) < torch.tensor(sizes).view(-1, 1)


def layer_by_loops(layer: Layer, x: Tensor, e: Tensor, y: Tensor, *, twin: str = "") -> tuple[Tensor, Tensor, Tensor]:
    """One layer on one graph, node by node, as the module says."""
    n, width = x.shape
    d = width if twin == "one head" else 2
    rows = layer.from_nodes(x)
    Q, K, V = rows[:, :width], rows[:, width : 2 * width], rows[:, 2 * width :]
    M_X, A_X, M_Y, A_Y = layer.from_graph(y).view(4, width)
    new_x, new_e = [], torch.zeros_like(e)
    for i in range(n):
        scores = []
        for j in range(n):
            M_E, A_E = layer.from_edges(e[i, j]).view(2, width)
            s = Q[i] * K[j] / math.sqrt(d) * (1 + M_E) + A_E
            new_e[i, j] = layer.to_edges((1 + M_Y) * s + A_Y)
            scores.append(s)
        attention = torch.stack(scores).exp()
        attention = attention / attention.sum(1 if twin == "over channels" else 0, keepdim=True)
        heard = (attention * V).sum(0)
        new_x.append(layer.to_nodes((1 + M_X) * heard + A_X))
    flat = e.reshape(n * n, -1)

    def summary(z: Tensor) -> Tensor:
        variance = z.var(0, correction=0)
        spread = variance.sqrt() if twin == "deviation" else variance
        return torch.cat([z.mean(0), z.amin(0), z.amax(0), spread])

    parts = zip(layer.to_graph, (y, summary(x), summary(flat)), strict=True)
    new_y = layer.mix_graph(sum(linear(part) for linear, part in parts))
    out = []
    ends = (layer.node_end, layer.edge_end, layer.graph_end)
    for old, change, end in zip((x, e, y), (torch.stack(new_x), new_e, new_y), ends, strict=True):
        value = end.first_norm(old + change)
        out.append(end.second_norm(value + end.network(value)))
    return out[0], out[1], out[2]


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_layer_is_the_loop_over_the_equations(n: int) -> None:
    layer = make().layers[0]
    x, e, y = (torch.randn(s, dtype=torch.float64) for s in ((1, n, 4), (1, n, n, 3), (1, 5)))
    none = torch.zeros(1, n, dtype=torch.bool), torch.zeros(1, n * n, dtype=torch.bool)
    found = layer(x, e, y, *none)
    for one, other in zip(found, layer_by_loops(layer, x[0], e[0], y[0]), strict=True):
        torch.testing.assert_close(one[0], other)
    if n > 1:
        for twin in ("one head", "over channels", "deviation"):
            wrong = layer_by_loops(layer, x[0], e[0], y[0], twin=twin)
            assert any(float((a[0] - b).detach().abs().max()) > 1e-4 for a, b in zip(found, wrong, strict=True)), twin


def packed(graphs: Graphs) -> Tensor:
    """Features of pairs, and on the diagonal of further channels those of nodes and graph, and the mask."""
    nodes, edges, whole, mask = graphs
    n = nodes.shape[1]
    rows = torch.cat([nodes, whole.unsqueeze(1).expand(-1, n, -1), mask.unsqueeze(-1)], -1)
    return torch.cat([edges, rows.mT.diag_embed().movedim(1, -1)], -1)


def on_packed(net: GraphTransformer, out: int) -> Callable[[Tensor], Tensor]:
    def function(x: Tensor) -> Tensor:
        nodes, whole, mask = x[..., A:].diagonal(dim1=1, dim2=2).mT.split([F, C, 1], -1)
        return net(nodes, x[..., :A], whole[:, 0], mask.squeeze(-1) > 0.5)[out]

    return function


def test_it_is_equivariant_under_relabelling() -> None:
    """All 24 permutations of four places, real or padding, in three sizes; nodes, then pairs."""
    net, group = make(), Permutations(4)
    x = packed(random_graphs([4, 3, 1], 4))
    actions = NodeAction(group, TYPES[0]), EdgeAction(group, TYPES[1])
    for out, action in enumerate(actions):
        assert_equivariant(on_packed(net, out), EdgeAction(group, x.shape[-1]), action, x, tolerance=1e-10)

    def ordered(x: Tensor) -> Tensor:
        return on_packed(net, 0)(x) * torch.arange(1, 5).view(-1, 1)

    with pytest.raises(AssertionError, match="differs from g f"):
        assert_equivariant(ordered, EdgeAction(group, x.shape[-1]), actions[0], x, tolerance=1e-10)


@pytest.mark.parametrize("garbage", [7.0, math.inf, math.nan])
def test_padding_does_not_matter(garbage: float) -> None:
    net, sizes, n = make(), [0, 1, 2, 5], 6
    nodes, edges, whole, mask = random_graphs(sizes, n)
    pairs = mask.unsqueeze(2) & mask.unsqueeze(1)
    filled = nodes.masked_fill(~mask.unsqueeze(-1), garbage), edges.masked_fill(~pairs.unsqueeze(-1), garbage)
    together = net(*filled, whole, mask)
    for b, size in enumerate(sizes):
        one = slice(b, b + 1)
        alone = net(nodes[one, :size], edges[one, :size, :size], whole[one], mask[one, :size])
        torch.testing.assert_close(together[0][b, :size], alone[0][0])
        torch.testing.assert_close(together[1][b, :size, :size], alone[1][0])
        assert not bool(together[0][b, size:].any())  # NaN would be true
        assert not bool(together[1][b, size:].any())
        assert not bool(together[1][b, :, size:].any())
    more = net(nodes, edges, whole, torch.arange(n) < torch.tensor(sizes).view(-1, 1) + 1)
    assert not torch.allclose(more[0][3, :5], together[0][3, :5])  # twin: padding that claims to be real


def test_logits_of_pairs_are_symmetric_and_start_from_the_input() -> None:
    nodes, edges, whole, mask = random_graphs([4, 2], 4)
    net = make()
    _, pairs = net(nodes, edges, whole, mask)
    assert torch.equal(pairs, pairs.transpose(1, 2))
    assert not bool(pairs.diagonal(dim1=1, dim2=2).any())
    with torch.no_grad():
        for head in (net.nodes_out, net.edges_out):
            for p in head.parameters():
                p.zero_()
    x, e = net(nodes, edges, whole, mask)
    real = mask.unsqueeze(2) & mask.unsqueeze(1) & ~torch.eye(4, dtype=torch.bool)
    torch.testing.assert_close(x[mask], nodes[mask][:, : TYPES[0]])
    torch.testing.assert_close(e[real], ((edges + edges.transpose(1, 2)) / 2)[real][:, : TYPES[1]])


def test_every_parameter_gets_a_gradient() -> None:
    net = make()
    x, e = net(*random_graphs([4, 2], 4))
    (x.square().sum() + e.square().sum()).backward()
    for name, p in net.named_parameters():
        assert p.grad is not None, name
        assert float(p.grad.abs().sum()) > 0, name
        assert bool(p.grad.isfinite().all()), name


def test_nothing_in_nothing_out() -> None:
    net = make()
    for sizes, n in (([0, 0], 0), ([0], 3)):
        x, e = net(*random_graphs(sizes, n))
        assert x.shape == (len(sizes), n, TYPES[0])
        assert e.shape == (len(sizes), n, n, TYPES[1])
        assert not bool(x.any())
    x, _ = net(*(part[:0] for part in random_graphs([2], 2)))
    assert x.shape == (0, 2, TYPES[0])


def test_pooling_of_nothing_is_zero() -> None:
    assert torch.equal(pooled(torch.ones(1, 3, 2), torch.ones(1, 3, dtype=torch.bool)), torch.zeros(1, 8))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own, as it traces
@pytest.mark.usefixtures("unchecked")
def test_it_compiles_into_one_graph_for_all_masks() -> None:
    net, traces = make(), []

    def backend(module: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., object]:
        traces.append(module)
        return module.forward

    compiled = torch.compile(net, fullgraph=True, backend=backend)
    for sizes in ([4, 2], [1, 0], [3, 3]):
        graphs = random_graphs(sizes, 4)
        torch.testing.assert_close(compiled(*graphs), net(*graphs))
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": 0}, "layers: expected at least 1, got 0"),
        ({"edge_hidden": 0}, "edge_hidden: expected at least 1, got 0"),
        ({"heads": 3}, "heads: expected a divisor of node_width = 4, got 3"),
    ],
)
def test_wrong_sizes(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_more_types_than_channels() -> None:
    with pytest.raises(ValueError, match="node_types: expected at most the 3 channels that go in, got 4"):
        GraphTransformer(3, 4, 1, 4, 4)
    with pytest.raises(ValueError, match="edge_types: expected at most the 4 channels that go in, got 5"):
        GraphTransformer(3, 4, 1, 3, 5)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("place", "shape", "message"),
    [
        (0, (2, 4, 2), r"nodes: expected shape \(batch, n, 3\), got \(2, 4, 2\)"),
        (1, (2, 4, 4, 2), r"edges: expected shape \(2, 4, 4, 4\), got \(2, 4, 4, 2\)"),
        (2, (2, 1), r"graphs: expected shape \(2, 2\), got \(2, 1\)"),
        (3, (2, 4), r"mask: expected torch.bool of shape \(2, 4\), got torch.float64 \(2, 4\)"),
    ],
)
def test_wrong_shapes(place: int, shape: tuple[int, ...], message: str) -> None:
    graphs = list(random_graphs([4, 2], 4))
    graphs[place] = torch.zeros(shape, dtype=torch.float64)
    with pytest.raises(ValueError, match=message):
        make()(*graphs)


def a_call(sizes: list[int]) -> tuple[GraphTransformer, Graphs, Callable[..., Tensor]]:
    """A network, its input, and one number of all that comes out as a function of features and parameters."""
    net, graphs = make(), random_graphs(sizes, 3)

    def number(nodes: Tensor, edges: Tensor, y: Tensor, mask: Tensor, parameters: dict[str, Tensor]) -> Tensor:
        out = torch.func.functional_call(net, parameters, (nodes, edges, y, mask))
        return sum((part * torch.linspace(-1, 2, part[0].numel()).view(part.shape[1:])).sum() for part in out)

    return net, graphs, number


@pytest.mark.parametrize("sizes", [[3, 3], [3, 2]])
def test_function_transforms_go_through(sizes: list[int]) -> None:
    net, (nodes, edges, y, mask), number = a_call(sizes)
    parameters = {name: p.detach() for name, p in net.named_parameters()}

    def one(x: Tensor, e: Tensor, c: Tensor, p: dict[str, Tensor]) -> Tensor:
        return number(x[None], e[None], c[None], mask[1:], p)

    each = torch.func.vmap(torch.func.grad(one, argnums=3), in_dims=(0, 0, 0, None))(nodes, edges, y, parameters)
    for b in range(2):
        total = number(nodes[b, None], edges[b, None], y[b, None], mask[1:], dict(net.named_parameters()))
        expected = torch.autograd.grad(total, list(net.parameters()))
        torch.testing.assert_close([part[b] for part in each.values()], list(expected))

    def of_nodes(x: Tensor) -> Tensor:
        return number(x, edges, y, mask, parameters)

    slope = torch.func.jvp(of_nodes, (nodes,), (torch.ones_like(nodes),))[1]
    torch.testing.assert_close(slope, torch.func.grad(of_nodes)(nodes).sum())


def test_vmap_over_graphs_of_several_sizes() -> None:
    net, (nodes, edges, y, mask), number = a_call([3, 2])
    parameters = {name: p.detach() for name, p in net.named_parameters()}

    def one(x: Tensor, e: Tensor, c: Tensor, m: Tensor, p: dict[str, Tensor]) -> Tensor:
        return number(x[None], e[None], c[None], m[None], p)

    each = torch.func.vmap(torch.func.grad(one, argnums=4), in_dims=(0, 0, 0, 0, None))(
        nodes, edges, y, mask, parameters
    )
    for b in range(2):
        total = number(nodes[b, None], edges[b, None], y[b, None], mask[b, None], dict(net.named_parameters()))
        expected = torch.autograd.grad(total, list(net.parameters()))
        torch.testing.assert_close([part[b] for part in each.values()], list(expected))


@pytest.mark.parametrize("sizes", [[3, 3], [3, 2]])
def test_second_derivatives_are_right(sizes: list[int]) -> None:
    net, (nodes, edges, y, mask), _ = a_call(sizes)
    parts = [part.clone().requires_grad_() for part in (nodes, edges, y)]
    assert torch.autograd.gradgradcheck(lambda *p: net(*p, mask), parts, fast_mode=True)


@pytest.mark.slow
def test_an_attention_that_is_differentiable_once_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken twin: a backward pass that autograd cannot see through."""

    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx: object, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx: object, *gradients: Tensor) -> Tensor:
            return gradients[0]

    original = graph_transformer.pair_attention
    monkeypatch.setattr(graph_transformer, "pair_attention", lambda q, *rest: original(Once.apply(q), *rest))
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        test_second_derivatives_are_right([3, 2])
    with pytest.raises(RuntimeError, match="setup_context"):
        test_function_transforms_go_through([3, 2])
