"""Randomized canonicalization, by enumeration: its law, its mean, and the map alone as the broken twin."""

from __future__ import annotations

import itertools

import networkx as nx
import pytest
import torch
from torch import Tensor, nn

from sympe.actions import EdgeAction, FiniteAction, GridAction, NodeAction, RegularAction, TrivialAction
from sympe.encodings import CanonicalEncoding, Canonicalized
from sympe.graphs import DenseGraphs, Graphs, SparseGraphs, relabel
from sympe.groups import P4M, Cyclic, Permutations
from sympe.kernels import CachedGraphKernel, GraphHaarKernel, GraphKernel, HaarKernel, OrbitKernel
from sympe.testing import equivariance_test
from tests.catalogue import MIXING, symmetric_inputs, symmetric_vectors

FIELD = GridAction(P4M(3))


class CNN(nn.Module):
    """Zero-padded: equivariant under nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1)).double()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out


class Transformer(nn.Module):
    """Attention among nodes that know their number and their row of the adjacency matrix."""

    def __init__(self, nodes: int) -> None:
        super().__init__()
        self.nodes = nodes
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.inside = nn.Linear(2 * nodes, 8).double()
        self.layers = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False).double()

    def forward(self, x: Graphs) -> Tensor:
        x = x.dense()
        n = x.mask.shape[1]
        rows = nn.functional.pad(x.pairs.double(), (0, self.nodes - n))
        numbers = torch.eye(n, self.nodes, dtype=torch.float64).expand(len(x), n, self.nodes)
        out: Tensor = self.layers(self.inside(torch.cat([rows, numbers], 2)), src_key_padding_mask=~x.mask)
        return out.masked_fill(~x.mask[:, :, None], 0)


def seeded_module(make: type[nn.Module], *arguments: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make(*arguments).eval()


def graphs_of(*graphs: nx.Graph) -> DenseGraphs:
    n = max(len(graph) for graph in graphs)
    pairs = torch.zeros(len(graphs), n, n, dtype=torch.int64)
    mask = torch.zeros(len(graphs), n, dtype=torch.bool)
    for row, graph in enumerate(graphs):
        pairs[row, : len(graph), : len(graph)] = torch.tensor(nx.to_numpy_array(graph, dtype=int))
        mask[row, : len(graph)] = True
    return DenseGraphs.from_features(pairs, None, mask)


SMALL = graphs_of(nx.cycle_graph(5), nx.star_graph(3), nx.path_graph(4), nx.complete_graph(3), nx.house_graph())


def sorted_rows(y: Tensor) -> Tensor:
    """The rows in lexicographic order, rounded: two multisets of outcomes are equal iff these are."""
    rows = y.flatten(1)
    for column in reversed(range(rows.shape[1])):
        rows = rows[(rows[:, column] * 1e6).round().argsort(stable=True)]
    return rows


def outcomes(model: Canonicalized, x: Tensor) -> Tensor:
    """All equally probable y of one x, by listing C(x)."""
    assert isinstance(model.kernel, OrbitKernel)
    _, g = model.kernel.list_coset(x, limit=10**6)
    group = model.kernel.group
    y: Tensor = model.action_out(g, model.network(model.action_in(group.inverse(g), x.expand(len(g), *x.shape[1:]))))
    return y


@pytest.mark.slow
def test_the_law_is_equivariant_and_that_of_the_network_alone_is_not() -> None:
    cnn = seeded_module(CNN)
    model = Canonicalized(cnn, OrbitKernel(FIELD), FIELD, FIELD)
    for x in symmetric_inputs(FIELD).split(1):
        law = outcomes(model, x)
        forms = model.action_in(
            FIELD.group.inverse(model.kernel.list_coset(x, limit=99)[1]), x.expand(len(law), 1, 3, 3)
        )
        assert torch.equal(forms, forms[:1].expand_as(forms)), "F sees more than one canonical form"
        draw = model(x.expand(20, 1, 3, 3), generator=torch.Generator().manual_seed(0))
        distance = (draw[:, None] - law).detach().abs().flatten(2).amax(2).amin(1)
        assert float(distance.max()) < 1e-9, "a draw is not an outcome of the law"
        for h in FIELD.group.elements().split(1):
            moved = outcomes(model, FIELD(h, x))
            torch.testing.assert_close(sorted_rows(moved), sorted_rows(FIELD(h.expand(len(law)), law)))
    x, h = torch.randn(1, 1, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), torch.tensor([5])
    assert float((cnn(FIELD(h, x)) - FIELD(h, cnn(x))).detach().abs().max()) > 1e-3  # the twin


def orbit_mean(network: nn.Module, action: FiniteAction, x: Tensor, out: FiniteAction) -> Tensor:
    """The mean of g F(g^-1 x) over C(x), element by element."""
    mask = OrbitKernel(action).coset(x)
    rows = []
    for row in range(len(x)):
        ys = [
            out(g[None], network(action(action.group.inverse(g)[None], x[row : row + 1])))
            for g in mask[row].nonzero().squeeze(1)
        ]
        rows.append(torch.stack(ys).mean(0))
    return torch.cat(rows)


@pytest.mark.slow
def test_the_mean_of_a_plain_cnn_is_its_orbit_mean_and_exactly_equivariant() -> None:
    cnn = seeded_module(CNN)
    model = Canonicalized(cnn, OrbitKernel(FIELD), FIELD, FIELD)
    x = symmetric_inputs(FIELD)
    y = model.mean(x)
    torch.testing.assert_close(y, orbit_mean(cnn, FIELD, x, FIELD))
    torch.testing.assert_close(torch.cat([model.mean(one) for one in x.split(1)]), y)
    for h in FIELD.group.elements():
        many = h.expand(len(x))
        torch.testing.assert_close(model.mean(FIELD(many, x)), FIELD(many, y))
    assert float((y - model(x)).detach().abs().max()) > 1e-3, "a draw is not the mean where x has symmetries"


def test_invariants_and_actions_that_mix_entries() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(2, 3)).double()
    action = MIXING["D_6 on the plane"]
    out = TrivialAction(action.group, (3,))
    model = Canonicalized(network, OrbitKernel(action), action, out)
    x = symmetric_vectors(action).double()
    y = model.mean(x)
    for h in action.group.elements():
        torch.testing.assert_close(model.mean(action(h.expand(len(x)), x)), y, atol=1e-5, rtol=1e-5)


def permuted(n: int, size: int) -> list[Tensor]:
    """All permutations of the first ``size`` of n."""
    return [torch.tensor([*p, *range(size, n)]) for p in itertools.permutations(range(size))]


@pytest.mark.slow
@pytest.mark.parametrize("order", ["refined", "breadth-first"])
def test_graphs_the_mean_of_a_plain_transformer_is_its_orbit_mean(order: str) -> None:
    kernel = GraphKernel(6, order=order)
    transformer = seeded_module(Transformer, 6)
    action = NodeAction(kernel.group, 8)
    model = Canonicalized(transformer, kernel, relabel, action)
    y = model.mean(SMALL)
    assert y.shape == (len(SMALL), 6, 8)
    for row, size in enumerate(SMALL.sizes.tolist()):
        one = SMALL.select(torch.tensor([row])).trimmed()
        torch.testing.assert_close(model.mean(one), y[row : row + 1])  # alone as in a batch
        torch.testing.assert_close(model.mean(one.sparse()), y[row : row + 1])
        elements = [p for p in permuted(6, size) if bool(kernel.log_prob(p[None], one).isfinite())]
        each = [
            action(p[None], nn.functional.pad(transformer(one.relabel(p.argsort()[None])), (0, 0, 0, 6 - size)))
            for p in elements
        ]
        torch.testing.assert_close(torch.cat(each).mean(0, keepdim=True), y[row : row + 1])
        for h in permuted(6, size)[1::7]:
            torch.testing.assert_close(model.mean(one.relabel(h[None])), action(h[None], y[row : row + 1]))
    h = torch.tensor([[1, 0, 2, 3, 4, 5]])
    one = SMALL.select(torch.tensor([4]))
    alone, moved = transformer(one), transformer(one.relabel(h))
    assert float((moved[:, [1, 0, 2, 3, 4]] - alone).detach().abs().max()) > 1e-3  # the twin


def test_two_draws_differ_by_a_symmetry() -> None:
    kernel = GraphKernel(5)
    group = kernel.group
    x = graphs_of(nx.cycle_graph(5))
    many = x.select(torch.zeros(40, dtype=torch.int64))
    y = Canonicalized(seeded_module(Transformer, 5), kernel, relabel, NodeAction(group, 8))(
        many, generator=torch.Generator().manual_seed(0)
    )
    symmetries = [p for p in group.elements() if torch.equal(x.relabel(p[None]).pairs, x.pairs)]
    assert len(symmetries) == 10
    moved = torch.stack([NodeAction(group, 8)(s[None], y[:1])[0] for s in symmetries])
    assert float((y[:, None] - moved).detach().abs().flatten(2).amax(2).amin(1).max()) < 1e-9
    assert float((y - y[:1]).detach().abs().max()) > 1e-3


@pytest.mark.slow
def test_large_graphs_of_few_symmetries_are_listed() -> None:
    """Too large for the batched search: from generators, as many as there are, all in C(x)."""
    ring, ladder = nx.cycle_graph(70), nx.random_labeled_tree(80, seed=3)
    x = graphs_of(ring, nx.path_graph(3), ladder, *(nx.random_regular_graph(3, 12, seed=s) for s in range(4)))
    kernel = GraphKernel(80, order="refined")
    counts = kernel.entropy(x).double().exp().round().long()
    limit = int(counts.max())
    rows, g = kernel.list_coset(x, limit=limit)
    assert torch.equal(rows.bincount(minlength=len(x)), counts)
    assert counts[:2].tolist() == [140, 2]
    repeated = x.select(rows)
    assert bool(kernel.log_prob(g, repeated).isfinite().all())
    assert len(torch.cat([rows[:, None], g], 1).unique(dim=0)) == len(g), "an element is there twice"
    with pytest.raises(
        ValueError, match=f"x: C\\(x\\) of input {int(counts.argmax())} has {limit:,} elements, more than"
    ):
        kernel.list_coset(x, limit=limit - 1)


def places(x: Graphs) -> Tensor:
    """As order-dependent as can be: the number of each node."""
    dense = x.dense()
    return torch.arange(dense.mask.shape[1]).double().expand(dense.mask.shape)[:, :, None] * dense.mask[:, :, None]


@pytest.mark.parametrize("cached", [False, True])
def test_features_on_canonical_forms_are_equivariant_in_distribution(cached: bool) -> None:
    n = 8
    kernel: GraphKernel | CachedGraphKernel = CachedGraphKernel(GraphKernel(n)) if cached else GraphKernel(n)
    action = NodeAction(kernel.group, 1)
    encoding = CanonicalEncoding(kernel, places, action)
    x = graphs_of(nx.cycle_graph(n), nx.random_regular_graph(3, n, seed=1), nx.cubical_graph(), nx.path_graph(n))
    options = {"samples": 60, "max_elements": 4, "generator": torch.Generator().manual_seed(0)}
    assert not equivariance_test(encoding, kernel.group, relabel, action, x, **options).rejected

    def alone(x: Graphs, *, generator: torch.Generator | None = None) -> Tensor:
        return places(x)

    assert equivariance_test(alone, kernel.group, relabel, action, x, **options).rejected
    g = kernel.sample(x, generator=torch.Generator().manual_seed(5))
    assert torch.equal(encoding(x, generator=torch.Generator().manual_seed(5)), encoding.given(g, x))
    for h in (kernel.group.sample((len(x),), generator=torch.Generator().manual_seed(6)) for _ in range(3)):
        moved = encoding.given(kernel.group.compose(h, g), x.relabel(h))
        assert torch.equal(moved, action(h, encoding.given(g, x))), "it is not jointly equivariant in (x, g)"


def test_padding_form_and_batch_do_not_matter() -> None:
    graphs = [nx.random_regular_graph(3, size, seed=s) for s, size in enumerate((8, 10, 12, 14, 8, 10))]
    x = graphs_of(*graphs, nx.petersen_graph())
    kernel = GraphKernel(16)
    encoding = CanonicalEncoding(kernel, places, NodeAction(kernel.group, 1))
    g = kernel.sample(x, generator=torch.Generator().manual_seed(0))
    together = encoding.given(g, x)
    for row in range(len(x)):
        one = x.select(torch.tensor([row])).trimmed()
        for form in (one, one.sparse()):
            assert torch.equal(encoding.given(g[row : row + 1], form), together[row : row + 1])


def test_pairs_and_finite_groups() -> None:
    kernel = GraphKernel(5)
    edges = EdgeAction(kernel.group, 1)

    def upper(x: Graphs) -> Tensor:
        return torch.ones(3, 3).triu().expand(len(x), 3, 3)[..., None]

    first = CanonicalEncoding(kernel, upper, edges)(graphs_of(nx.path_graph(3)))
    assert first.shape == (1, 5, 5, 1)
    assert float(first.sum()) == 6.0  # padded with zeros
    regular = RegularAction(Cyclic(4))
    number = CanonicalEncoding(OrbitKernel(regular), lambda x: torch.arange(4.0).expand(len(x), 1, 4), regular)
    x = torch.tensor([[[3.0, 1.0, 2.0, 0.0]]])
    for shift in range(4):
        moved = number(regular(torch.tensor([shift]), x))
        assert torch.equal(moved, regular(torch.tensor([shift]), number(x)))  # x has no symmetry: a function


@pytest.mark.usefixtures("unchecked")
def test_errors() -> None:
    cnn, action = CNN(), FIELD
    with pytest.raises(TypeError, match=r"kernel: expected an instance of Kernel \(or of CoupledKernel\), got CNN"):
        Canonicalized(cnn, cnn, action, action)  # type: ignore[arg-type]
    other = GridAction(P4M(4))
    for name, actions in (("action_in", (other, action)), ("action_out", (action, other))):
        with pytest.raises(ValueError, match=f"{name}: expected an action of the kernel's P4M"):
            Canonicalized(cnn, OrbitKernel(action), *actions)
    with pytest.raises(ValueError, match="limit: expected at least 1, got 0"):
        Canonicalized(cnn, OrbitKernel(action), action, action, limit=0)
    x = torch.zeros(2, 1, 3, 3, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"x: C\(x\) of input 0 has 72 elements, more than limit = 71"):
        Canonicalized(cnn, OrbitKernel(action), action, action, limit=71).mean(x)
    assert Canonicalized(cnn, OrbitKernel(action), action, action, limit=72).mean(x).shape == x.shape
    with pytest.raises(TypeError, match=r"kernel: expected one that lists C\(x\) for the mean, got HaarKernel"):
        Canonicalized(cnn, HaarKernel(action.group), action, action).mean(x)
    empty = DenseGraphs.from_features(torch.zeros(1, 30, 30, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"x: C\(x\) of input 0 has about 10\^32 elements, more than limit = 1024"):
        GraphKernel(30).list_coset(empty, limit=1024)
    with pytest.raises(TypeError, match="kernel: expected an instance of InversionKernel, got GraphHaarKernel"):
        CanonicalEncoding(GraphHaarKernel(4), places, NodeAction(Permutations(4), 1))
    with pytest.raises(TypeError, match="action: expected an instance of Action, got CNN"):
        CanonicalEncoding(GraphKernel(4), places, cnn)
    with pytest.raises(ValueError, match="action: expected an action of the kernel's"):
        CanonicalEncoding(GraphKernel(4), places, NodeAction(Permutations(5), 1))
    encoding = CanonicalEncoding(GraphKernel(4), lambda x: torch.zeros(len(x), 4, 2), NodeAction(Permutations(4), 1))
    with pytest.raises(ValueError, match=r"features: expected shape \(1, 4, 1\), got \(1, 4, 2\)"):
        encoding(graphs_of(nx.path_graph(4)))


def test_only_nodes_are_padded() -> None:
    """A field of another size is a mistake, not a small graph."""
    short = Canonicalized(lambda x: x[:, :, :2], OrbitKernel(FIELD), FIELD, FIELD)
    with pytest.raises(ValueError, match=r"x: expected shape \(\*batch, 1, 3, 3\), got \(2, 1, 2, 3\)"):
        short(torch.zeros(2, 1, 3, 3))
    kernel = GraphKernel(3)
    with pytest.raises(ValueError, match=r"nodes|shape"):
        Canonicalized(lambda x: torch.zeros(len(x), 4, 2), kernel, relabel, NodeAction(kernel.group, 2))(
            graphs_of(nx.path_graph(3))
        )


def test_they_say_what_they_are() -> None:
    model = Canonicalized(CNN(), OrbitKernel(FIELD), FIELD, FIELD)
    assert repr(model.kernel) in repr(model)
    assert "limit=1024" in repr(model)
    encoding = CanonicalEncoding(GraphKernel(4), places, NodeAction(Permutations(4), 1))
    assert repr(encoding) == f"CanonicalEncoding({encoding.kernel!r}, {encoding.action!r})"
    assert isinstance(graphs_of(nx.path_graph(3)).sparse(), SparseGraphs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_mean_in_half_precision_does_not_stop_growing(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    """968 ones: summed in bfloat16 they are 256."""
    action = GridAction(P4M(11))
    out = TrivialAction(action.group, shape)
    model = Canonicalized(lambda x: torch.ones(len(x), *shape, dtype=dtype), OrbitKernel(action), action, out)
    mean = model.mean(torch.zeros(2, 1, 11, 11))
    assert mean.dtype == dtype
    assert mean.tolist() == torch.ones(2, *shape).tolist()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_invariants_of_graphs(unchecked: None, count: int) -> None:
    """They stay as they are; an action of a finite group is none of S_n."""
    kernel = GraphKernel(3)
    x = graphs_of(*[nx.path_graph(3)] * count)
    model = Canonicalized(lambda x: x.pairs.flatten(1)[:, :4].double(), kernel, relabel, None)
    y = model(x)
    assert y.shape == (count, 4)
    for p in permuted(3, 3):
        assert torch.equal(model(x.relabel(p.expand(count, -1))), y)
    with pytest.raises(TypeError, match=r"group: expected an instance of FiniteGroup, got Permutations"):
        TrivialAction(kernel.group, (4,))


def test_the_mean_of_sparse_graphs_is_that_of_dense_ones() -> None:
    x = graphs_of(nx.cycle_graph(5), nx.path_graph(4), nx.star_graph(3))
    network = lambda x: (x.dense().pairs * torch.arange(5)).sum(2, keepdim=True).double()  # noqa: E731
    kernel = GraphKernel(5)
    model = Canonicalized(network, kernel, relabel, NodeAction(kernel.group))
    torch.testing.assert_close(model.mean(x.sparse()), model.mean(x))
