"""The exact kernel of S_n: all small graphs by enumeration, large symmetric ones against nauty and known orders."""

from __future__ import annotations

import itertools
import math
import sys

import networkx as nx
import pynauty
import pytest
import torch
from torch import Tensor

from sympe.actions import EdgeAction
from sympe.graphs import DenseGraphs, Graphs, SparseGraphs
from sympe.graphs.checks import equal_graphs
from sympe.graphs.coloring import mix
from sympe.groups import Permutations
from sympe.kernels import CachedGraphKernel, GraphHaarKernel, GraphKernel, GraphRefinementKernel
from sympe.kernels.graphs import bliss, cosets
from sympe.kernels.graphs.hashes import color
from sympe.kernels.graphs.orders import NODE_ORDERS
from sympe.testing import assert_equivariant_in_distribution

WAYS = ["listed", "apart", "bliss", "search"]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All four ways through the code, for the same small graphs."""
    if request.param == "apart":
        monkeypatch.setattr(cosets, "_LIMIT", 3)
    if request.param in ("bliss", "search"):
        monkeypatch.setattr(cosets, "_LIMIT", 0)
        monkeypatch.setattr(cosets, "SMALL", -1)
    if request.param == "search":
        monkeypatch.setitem(sys.modules, "igraph", None)
    return str(request.param)


@pytest.fixture(params=["bliss", "search"])
def hard(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hard parts with igraph and without."""
    if request.param == "search":
        monkeypatch.setitem(sys.modules, "igraph", None)


class OnMatrices:
    """A kernel on graphs as one on integer matrices (batch, n, n, 1), colours of nodes on the diagonal."""

    def __init__(self, kernel: GraphKernel) -> None:
        self.kernel = kernel
        self.group = kernel.group

    def graphs(self, x: Tensor) -> DenseGraphs:
        return DenseGraphs.from_features(x, directed=True)

    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return self.kernel.sample(self.graphs(x), generator=generator)

    def log_prob(self, g: Tensor, x: Tensor) -> Tensor:
        return self.kernel.log_prob(g, self.graphs(x))

    def entropy(self, x: Tensor) -> Tensor:
        return self.kernel.entropy(self.graphs(x))


def every_graph(n: int) -> Tensor:
    slots = list(itertools.combinations(range(n), 2))
    bits = torch.arange(2 ** len(slots))[:, None] >> torch.arange(len(slots)) & 1
    pairs = torch.zeros(len(bits), n, n, dtype=torch.int64)
    for column, (i, j) in enumerate(slots):
        pairs[:, i, j] = pairs[:, j, i] = bits[:, column]
    return pairs


def random_matrices(n: int, count: int, *, directed: bool) -> Tensor:
    generator = torch.Generator().manual_seed(n)
    pairs = torch.randint(0, 3, (count, n, n), generator=generator)
    pairs *= torch.rand(count, n, n, generator=generator) < 0.6
    if not directed:
        pairs = pairs.triu() + pairs.triu(1).transpose(1, 2)
    pairs[: count // 2, range(n), range(n)] = 0
    return pairs


def matrix(graph: nx.Graph) -> Tensor:
    n = graph.number_of_nodes()
    return torch.from_numpy(nx.to_numpy_array(graph, nodelist=sorted(graph), weight=None)).long().view(1, n, n)


def sparse(graph: nx.Graph) -> SparseGraphs:
    graph = nx.convert_node_labels_to_integers(graph)
    edges = torch.tensor([(i, j) for i, j in graph.edges], dtype=torch.int64).view(-1, 2).T
    both = torch.cat([edges, edges.flip(0)], 1)
    return SparseGraphs.from_features(both, torch.tensor([graph.number_of_nodes()]))


def automorphisms(pairs: Tensor) -> Tensor:
    """By brute force, for one matrix."""
    n = len(pairs)
    every = torch.tensor(list(itertools.permutations(range(n))))
    kept = (pairs[every[:, :, None], every[:, None]] == pairs).flatten(1).all(1)
    return every[kept]


SMALL = {
    **{f"{n} nodes": every_graph(n) for n in (1, 2, 3, 4)},
    "5 nodes": every_graph(5)[::31],
    "coloured, 4 nodes": random_matrices(4, 40, directed=False),
    "directed, 4 nodes": random_matrices(4, 40, directed=True),
    "coloured, 5 nodes": random_matrices(5, 10, directed=False),
}


@pytest.mark.slow
@pytest.mark.parametrize("order", NODE_ORDERS)
@pytest.mark.parametrize("name", SMALL)
def test_cosets_of_all_small_graphs(name: str, order: str, way: str) -> None:
    pairs = SMALL[name] if order == "refined" else SMALL[name][:20][:: 2 if "5" in name else 1]
    batch, n, _ = pairs.shape
    kernel = GraphKernel(n, order=order)
    if (order, way) == ("bliss", "search"):
        with pytest.raises(ImportError, match="needs igraph"):
            kernel.sample(DenseGraphs.from_features(pairs, directed=True))
        return
    every = torch.tensor(list(itertools.permutations(range(n))))
    x = DenseGraphs.from_features(pairs, directed=True)
    groups = [automorphisms(one) for one in pairs]
    sizes = torch.tensor([len(group) for group in groups])
    torch.testing.assert_close(kernel.entropy(x), sizes.double().log().float())
    rows = torch.arange(batch).repeat_interleave(len(every))
    log_p = kernel.log_prob(every.repeat(batch, 1), x.select(rows)).view(batch, len(every))
    assert torch.equal((log_p > -torch.inf).sum(1), sizes), "|C(x)| is not |G_x|"
    torch.testing.assert_close(log_p.double().exp().sum(1), torch.ones(batch).double())
    generator = torch.Generator().manual_seed(0)
    form = x.relabel(kernel.sample(x, generator=generator).argsort(1))
    p = torch.stack([torch.randperm(n, generator=generator) for _ in range(batch)])
    moved = x.relabel(p)
    again = moved.relabel(kernel.sample(moved, generator=generator).argsort(1))
    assert bool(equal_graphs(form, again).all()), "the form depends on the labels"
    assert bool(equal_graphs(form, x.sparse().relabel(kernel.sample(x.sparse()).argsort(1))).all())
    inverse = moved.relabel(kernel.sample(moved, generator=generator))  # the twin: g^-1 in place of g
    assert n < 4 or not bool(equal_graphs(form, inverse).all())


@pytest.mark.parametrize("n", [3, 4, 5])
def test_there_are_as_many_forms_as_isomorphism_classes(n: int, way: str) -> None:
    x = DenseGraphs.from_features(every_graph(n))
    form = x.relabel(GraphKernel(n).sample(x, generator=torch.Generator().manual_seed(0)).argsort(1))
    assert len(form.pairs.flatten(1).unique(dim=0)) == {3: 4, 4: 11, 5: 34}[n]  # OEIS A000088


@pytest.mark.slow
def test_all_graphs_of_six_nodes() -> None:
    x = DenseGraphs.from_features(every_graph(6))
    kernel = GraphKernel(6)
    form = x.relabel(kernel.sample(x, generator=torch.Generator().manual_seed(0)).argsort(1))
    forms, which = form.pairs.flatten(1).unique(dim=0, return_inverse=True)
    assert len(forms) == 156
    # orbit and stabilizer: |G_x| times the number of labelled copies is 6!
    assert torch.equal(kernel.entropy(x).exp().round().long() * which.bincount()[which], torch.full((2**15,), 720))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["listed", "apart", "bliss"], indirect=True)  # the search: test_tree.py
@pytest.mark.parametrize("name", ["4 nodes", "coloured, 4 nodes", "directed, 4 nodes"])
def test_equivariant_in_distribution(name: str, way: str) -> None:
    kernel = GraphKernel(4)
    x = SMALL[name][:: max(1, len(SMALL[name]) // 12), :, :, None]
    assert_equivariant_in_distribution(OnMatrices(kernel), EdgeAction(kernel.group), x, max_elements=8, draws=400)


def test_bliss_without_a_haar_relabelling_is_not_uniform(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken twin of the test above."""
    monkeypatch.setattr(cosets, "_LIMIT", 0)
    monkeypatch.setattr(cosets, "SMALL", -1)
    monkeypatch.setattr(bliss.BlissGraph, "sample", lambda self, generator=None: self.canonical_order())
    ring = torch.tensor([[[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]])[..., None]
    kernel = GraphKernel(4)
    with pytest.raises(AssertionError, match="does not follow log_prob"):
        assert_equivariant_in_distribution(
            OnMatrices(kernel), EdgeAction(kernel.group), ring, max_elements=8, draws=400
        )


@pytest.mark.parametrize("name", ["4 nodes", "5 nodes", "coloured, 4 nodes", "directed, 4 nodes"])
def test_orbits_and_generators_by_enumeration(name: str, way: str) -> None:
    pairs = SMALL[name][::3]
    batch, n, _ = pairs.shape
    kernel = GraphKernel(n + 2)
    x = DenseGraphs.from_features(pairs, directed=True)
    orbits, generators = kernel.orbits(x), kernel.generators(x)
    assert torch.equal(orbits[:, n:], torch.tensor([n, n + 1]).expand(batch, 2))
    for one, orbit, moves in zip(pairs, orbits, generators, strict=True):
        group = automorphisms(one)
        assert torch.equal(orbit[:n], torch.stack([group[:, i].min() for i in range(n)]))
        assert torch.equal(moves[:, n:], torch.tensor([n, n + 1]).expand(len(moves), 2))
        assert closure(moves[:, :n].tolist(), n) == {tuple(p) for p in group.tolist()}


def closure(generators: list[list[int]], n: int) -> set[tuple[int, ...]]:
    found = {tuple(range(n))}
    new = list(found)
    while new:
        new = [q for p in new for g in generators if (q := tuple(g[i] for i in p)) not in found]
        found.update(new)
    return found


def cfi(twisted: bool) -> nx.Graph:
    """Cai-Fürer-Immerman gadgets over K_4: a pair that refinement cannot tell apart."""
    base = nx.complete_graph(4)
    graph = nx.Graph()
    for v in base:
        edges = [tuple(sorted(e)) for e in base.edges(v)]
        for e in edges:
            graph.add_nodes_from([("a", v, e), ("b", v, e)])
        for k in (0, 2):
            for subset in itertools.combinations(edges, k):
                for e in edges:
                    graph.add_edge(("m", v, subset), ("a" if e in subset else "b", v, e))
    for number, (u, v) in enumerate(base.edges):
        e = tuple(sorted((u, v)))
        cross = twisted and number == 0
        graph.add_edge(("a", u, e), ("b" if cross else "a", v, e))
        graph.add_edge(("b", u, e), ("a" if cross else "b", v, e))
    return nx.convert_node_labels_to_integers(graph, ordering="sorted")


def rook(n: int) -> nx.Graph:
    return nx.convert_node_labels_to_integers(nx.line_graph(nx.complete_bipartite_graph(n, n)))


def shrikhande() -> nx.Graph:
    steps = [(0, 1), (1, 0), (1, 1)]
    nodes = itertools.product(range(4), repeat=2)
    edges = [((a, b), ((a + c) % 4, (b + d) % 4)) for a, b in nodes for c, d in steps]
    return nx.convert_node_labels_to_integers(nx.Graph(edges))


def paley(q: int) -> nx.Graph:
    squares = {i * i % q for i in range(1, q)}
    return nx.Graph([(a, b) for a, b in itertools.combinations(range(q), 2) if (a - b) % q in squares])


def copies(*parts: tuple[int, nx.Graph]) -> nx.Graph:
    return nx.disjoint_union_all([part for count, part in parts for _ in range(count)])


factorial = lambda n: math.lgamma(n + 1)  # noqa: E731
FAMILIES: dict[str, tuple[nx.Graph, float]] = {
    "Petersen": (nx.petersen_graph(), math.log(120)),
    "Shrikhande": (shrikhande(), math.log(192)),
    "rook 4 x 4": (rook(4), math.log(1152)),
    "Paley 13": (paley(13), math.log(78)),
    "Paley 61": (paley(61), math.log(61 * 30)),
    "ring of 100": (nx.cycle_graph(100), math.log(200)),
    "Q_5": (nx.hypercube_graph(5), math.log(2**5 * 120)),
    "Q_7": (nx.hypercube_graph(7), math.log(2**7 * 5040)),
    "torus 9 x 9": (nx.grid_2d_graph(9, 9, periodic=True), math.log(9 * 9 * 8)),
    "binary tree": (nx.balanced_tree(2, 8), 255 * math.log(2)),
    "star": (nx.star_graph(1000), factorial(1000)),
    "empty": (nx.empty_graph(500), factorial(500)),
    "complete": (nx.complete_graph(70), factorial(70)),
    "complete bipartite": (nx.complete_bipartite_graph(40, 40), 2 * factorial(40) + math.log(2)),
    "complete multipartite": (
        nx.complete_multipartite_graph(5, 5, 5, 9),
        3 * factorial(5) + factorial(9) + factorial(3),
    ),
    "30 Petersens": (copies((30, nx.petersen_graph())), 30 * math.log(120) + factorial(30)),
    "nodes, edges, triangles": (
        copies((40, nx.empty_graph(1)), (20, nx.path_graph(2)), (5, nx.complete_graph(3))),
        factorial(40) + 20 * math.log(2) + factorial(20) + 5 * math.log(6) + factorial(5),
    ),
    "two kinds of 16 nodes": (
        copies((2, rook(4)), (3, shrikhande())),
        2 * math.log(1152) + factorial(2) + 3 * math.log(192) + factorial(3),
    ),
}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.usefixtures("hard")
def test_symmetric_families_have_their_known_orders(name: str) -> None:
    graph, expected = FAMILIES[name]
    x = sparse(graph)
    check_large(x, expected)


@pytest.mark.slow
def test_orders_of_thousands_of_digits() -> None:
    """Python makes no integer of more than 4,300 digits by itself; here are a ring of four and 500 leaves on each."""
    x = sparse(nx.compose(nx.cycle_graph(4), nx.from_edgelist([(i % 4, i) for i in range(4, 2004)])))
    limit = sys.get_int_max_str_digits()
    assert float(GraphKernel(2004).entropy(x)) == pytest.approx(math.log(8) + 4 * factorial(500), rel=1e-6)
    assert sys.get_int_max_str_digits() == limit


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        pytest.param(cfi(False), None, id="CFI"),
        pytest.param(cfi(True), None, id="twisted CFI"),
        *(pytest.param(nx.random_labeled_tree(300, seed=s), None, id=f"tree {s}") for s in (0, 1)),
        *(pytest.param(nx.random_regular_graph(3, 200, seed=s), None, id=f"cubic {s}") for s in (0, 1)),
        *(pytest.param(nx.gnp_random_graph(120, 0.02, seed=s), None, id=f"sparse {s}") for s in (0, 1)),
        pytest.param(nx.complement(nx.gnp_random_graph(80, 0.03, seed=2)), None, id="dense"),
    ],
)
@pytest.mark.usefixtures("hard")
def test_graphs_have_the_orders_that_nauty_finds(graph: nx.Graph, expected: None) -> None:
    check_large(sparse(graph), nauty_log_order(graph))


def nauty_log_order(graph: nx.Graph) -> float:
    graph = nx.convert_node_labels_to_integers(graph)
    g = pynauty.Graph(len(graph), adjacency_dict={v: list(graph[v]) for v in graph})
    _, mantissa, exponent, _, _ = pynauty.autgrp(g)
    return math.log(mantissa) + exponent * math.log(10)


def check_large(x: SparseGraphs, expected: float) -> None:
    n = int(x.sizes[0])
    kernel = GraphKernel(n)
    assert float(kernel.entropy(x)) == pytest.approx(expected, rel=1e-6, abs=1e-5)
    generator = torch.Generator().manual_seed(0)
    form = x.relabel(kernel.sample(x, generator=generator).argsort(1))
    for _ in range(2):
        moved = x.relabel(torch.randperm(n, generator=generator)[None])
        g = kernel.sample(moved, generator=generator)
        assert torch.equal(g.sort(1).values, torch.arange(n)[None])
        assert bool(equal_graphs(form, moved.relabel(g.argsort(1))))
        assert float(kernel.log_prob(g, moved)) == pytest.approx(-expected, rel=1e-6, abs=1e-5)
    orbits = kernel.orbits(x)[0]
    (generators,) = kernel.generators(x)
    for p in generators[:20]:
        assert bool(equal_graphs(x, x.relabel(p[None])))
        assert torch.equal(orbits[p], orbits)
    assert torch.equal(cosets.least_of_orbits(generators), orbits)


@pytest.mark.parametrize("n", [4, 5, 100])
def test_directed_rings_have_no_reflections(n: int, way: str) -> None:
    i = torch.arange(n)
    x = SparseGraphs.from_features(torch.stack([i, (i + 1) % n]), torch.tensor([n]), directed=True)
    check_large(x, math.log(n))
    back = SparseGraphs.from_features(torch.stack([(i + 1) % n, i]), torch.tensor([n]), directed=True)
    kernel = GraphKernel(n)
    assert bool(equal_graphs(*(z.relabel(kernel.sample(z).argsort(1)) for z in (x, back))))  # the same ring
    both = SparseGraphs.from_features(  # colours 1 forth and 2 back
        torch.stack([torch.cat([i, (i + 1) % n]), torch.cat([(i + 1) % n, i])]),
        torch.tensor([n]),
        None,
        torch.cat([torch.ones_like(i), 2 * torch.ones_like(i)]),
        directed=True,
    )
    check_large(both, math.log(n))


def test_a_loop_is_not_a_neighbour_of_the_same_colour(way: str) -> None:
    """Every node hears one node of its own colour: itself, or the other end of its edge."""
    pairs = torch.tensor([[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]])
    check_large(DenseGraphs.from_features(pairs).sparse(), math.log(4))


def test_a_permutation_that_moves_the_padding_is_impossible_even_where_all_others_are_possible() -> None:
    x = DenseGraphs.from_features(torch.zeros(1, 2, 2, dtype=torch.int64))
    kernel = GraphKernel(3)
    found = kernel.log_prob(torch.tensor([[2, 1, 0]]), x)
    assert found.tolist() == [-torch.inf]
    assert kernel.log_prob(torch.tensor([[1, 0, 2]]), x).exp().tolist() == pytest.approx([0.5])


@pytest.mark.usefixtures("hard")
def test_pairs_that_refinement_cannot_tell_apart_have_different_forms() -> None:
    for one, other in ((shrikhande(), rook(4)), (cfi(False), cfi(True))):
        a, b = sparse(one), sparse(other)
        kernel = GraphKernel(int(a.sizes[0]))
        forms = [x.relabel(kernel.sample(x).argsort(1)) for x in (a, b)]
        assert not bool(equal_graphs(*forms))


@pytest.mark.slow
def test_large_groups_are_sampled_uniformly() -> None:
    """Node 0 of a symmetric graph takes every place of its orbit equally often."""
    for name in ("Petersen", "nodes, edges, triangles", "two kinds of 16 nodes"):
        x = sparse(FAMILIES[name][0])
        n = int(x.sizes[0])
        kernel = GraphKernel(n)
        orbit = kernel.orbits(x)[0]
        members = (orbit == 0).nonzero().squeeze(1)
        draws = 10 * len(members)
        generator = torch.Generator().manual_seed(1)
        place = kernel.sample(x.select(torch.zeros(draws, dtype=torch.int64)), generator=generator).argsort(1)[:, 0]
        counts = place.bincount(minlength=n)
        assert int((counts > 0).sum()) <= len(members)
        counts = counts[counts > 0].double()
        statistic = float(((counts - 10) ** 2 / 10).sum()) + 10 * (len(members) - len(counts))
        freedom = len(members) - 1
        assert statistic < freedom + 6 * math.sqrt(2 * freedom)  # false alarm below 1e-6


@pytest.mark.usefixtures("hard")
def test_a_graph_does_not_depend_on_its_company_nor_on_its_form() -> None:
    graphs = [nx.petersen_graph(), nx.path_graph(5), nx.star_graph(20), nx.empty_graph(1), nx.cycle_graph(70)]
    arcs, start = [], 0
    for graph in graphs:
        one = sparse(graph)
        arcs.append(one.arcs + start)
        start += len(graph)
    together = SparseGraphs.from_features(torch.cat(arcs, 1), torch.tensor([len(graph) for graph in graphs]))
    kernel = GraphKernel(80)
    g = kernel.sample(together, generator=torch.Generator().manual_seed(0))
    for row, graph in enumerate(graphs):
        n = len(graph)
        assert torch.equal(g[row, n:], torch.arange(n, 80))
        for alone in (sparse(graph), sparse(graph).dense()):
            assert float(kernel.log_prob(g[row : row + 1], alone)) == pytest.approx(-float(kernel.entropy(alone)))
    torch.testing.assert_close(kernel.log_prob(g, together), -kernel.entropy(together))
    swapped = g.clone()
    swapped[0, [0, 79]] = swapped[0, [79, 0]]  # a node and the padding
    assert kernel.log_prob(swapped, together)[0] == -torch.inf


@pytest.mark.parametrize("order", ["refined", "fiedler"])
def test_padding_beyond_the_largest_graph_does_not_matter(order: str) -> None:
    """More than 16 places: graphs are searched by size, and the padding is no size of any of them."""
    generator = torch.Generator().manual_seed(0)
    upper = (torch.rand(5, 20, 20, generator=generator) < 0.4).triu(1)
    mask = torch.arange(20) < torch.tensor([18, 12, 3, 17, 7])[:, None]
    edges = (upper | upper.mT) & mask[:, :, None] & mask[:, None]
    wide = DenseGraphs.from_features(edges, mask=mask)
    kernel = GraphKernel(20, order=order)
    assert torch.equal(kernel.canonicalize(wide), kernel.canonicalize(wide.trimmed()))
    whole, trimmed = kernel.cosets(wide), kernel.cosets(wide.trimmed())
    assert torch.equal(whole.orders, trimmed.orders)
    assert torch.equal(kernel.orbits(wide), kernel.orbits(wide.trimmed()))


@pytest.fixture(scope="module")
def cubic() -> list[DenseGraphs]:
    """Graphs that refinement does not settle: the search individualizes nodes of all of them, side by side."""
    return [DenseGraphs.from_features(matrix(nx.random_regular_graph(3, 8 + 2 * (s % 4), seed=s))) for s in range(40)]


@pytest.mark.parametrize("order", ["refined", "breadth-first"])
@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_graphs_to_individualize_do_not_depend_on_the_padding(cubic: list[DenseGraphs], form: str, order: str) -> None:
    """Before padding was left out of the hashes of whole graphs, 20 of the 40 had another form in the batch.

    Each place of padding added about 2^62 to a sum that wraps at 2^64: those of 8 and 12 nodes were right by chance.
    """
    kernel = GraphKernel(16, order=order)
    larger = DenseGraphs.from_features(matrix(nx.random_regular_graph(3, 16, seed=0)))
    together: Graphs = DenseGraphs.concatenate([*cubic, larger])
    together = together.sparse() if form == "sparse" else together
    rows = torch.arange(len(together))
    alone = torch.cat([kernel.sample(x, generator=torch.Generator().manual_seed(0)) for x in [*cubic, larger]])
    assert bool(equal_forms(kernel.canonicalize(together), alone, together).all())
    g = kernel.sample(together, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(kernel.log_prob(alone, together), -kernel.entropy(together))
    for row, x in enumerate(cubic):
        one = x if form == "dense" else x.sparse()
        torch.testing.assert_close(kernel.log_prob(g[row : row + 1], one), -kernel.entropy(one))
    # what the cache keeps of small batches is what the kernel finds in the whole
    cached = CachedGraphKernel(kernel)
    for part in rows.split(7):
        cached.sample(together.select(part), generator=torch.Generator().manual_seed(2))
    assert torch.equal(cached.sample(together, generator=torch.Generator().manual_seed(1)), g)
    exchanged = alone.clone()  # the twin: another labelling of the same graphs
    exchanged[:, :8] = exchanged[:, :8].flip(1)
    assert not bool(equal_forms(kernel.canonicalize(together), exchanged, together).all())


def equal_forms(g: Tensor, h: Tensor, x: Graphs) -> Tensor:
    return equal_graphs(x.relabel(g.argsort(1)), x.relabel(h.argsort(1)))


@pytest.mark.parametrize("seed", range(4))
def test_isomorphic_components_in_different_chunks_are_of_one_kind(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only one that shares a chunk with a larger one is padded: all four had another entropy before."""
    monkeypatch.setattr(cosets, "_CHUNK", 2 * 16**2)
    part, larger = (nx.random_regular_graph(3, n, seed=seed) for n in (10, 12))
    alone = [nauty_log_order(graph) for graph in (part, larger)]
    x = sparse(copies((5, part), (1, larger), (2, part)))
    check_large(x, 7 * alone[0] + alone[1] + factorial(7))


def test_no_graphs_and_no_nodes() -> None:
    kernel = GraphKernel(3)
    none = DenseGraphs.from_features(torch.zeros(0, 2, 2, dtype=torch.int64))
    assert kernel.sample(none).shape == (0, 3)
    assert kernel.entropy(none).shape == kernel.log_prob(kernel.sample(none), none).shape == (0,)
    for empty in (
        DenseGraphs.from_features(torch.zeros(2, 0, 0, dtype=torch.int64)),
        SparseGraphs.from_features(torch.zeros(2, 0, dtype=torch.int64), torch.tensor([0, 0])),
    ):
        g = kernel.sample(empty)
        assert torch.equal(g, torch.arange(3).expand(2, 3))
        assert torch.equal(kernel.entropy(empty), torch.zeros(2))
        assert torch.equal(kernel.log_prob(g, empty), torch.zeros(2))
        assert kernel.orbits(empty).tolist() == [[0, 1, 2]] * 2


def test_the_global_generator_is_left_alone_and_a_seed_decides() -> None:
    x: Graphs = sparse(FAMILIES["30 Petersens"][0])
    kernel = GraphKernel(300)
    before = torch.get_rng_state()
    one, two = (kernel.sample(x, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    kernel.entropy(x), kernel.log_prob(one, x), kernel.orbits(x), kernel.generators(x)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, two)
    assert not torch.equal(one, kernel.sample(x, generator=torch.Generator().manual_seed(4)))


def test_errors(unchecked: None) -> None:
    with pytest.raises(ValueError, match=r"order: expected one of refined, degree, .*; got 'best'"):
        GraphKernel(3, order="best")
    x = sparse(nx.path_graph(4))
    for kernel in (GraphKernel(3), GraphHaarKernel(3)):
        with pytest.raises(ValueError, match="x: expected graphs of at most max_nodes = 3 nodes; graph 0 has 4"):
            kernel.sample(x)
        with pytest.raises(TypeError, match="x: expected DenseGraphs or SparseGraphs, got int"):
            kernel.entropy(3)
    large = SparseGraphs.from_features(torch.zeros(2, 0, dtype=torch.int64), torch.tensor([2049]))
    with pytest.raises(ValueError, match="x: the order 'fiedler' is for graphs of at most 2048 nodes, got one of 2049"):
        GraphKernel(2049, order="fiedler").sample(large)
    with pytest.raises(ValueError, match=r"g: expected permutations of range\(4\)"):
        GraphKernel(4).log_prob(torch.zeros(1, 4, dtype=torch.int64), x)


def test_the_haar_kernel_is_uniform_and_leaves_the_padding() -> None:
    x = DenseGraphs.from_features(
        torch.zeros(3, 4, 4, dtype=torch.int64), None, torch.arange(4) < torch.tensor([[4], [3], [0]])
    )
    kernel = GraphHaarKernel(5)
    torch.testing.assert_close(kernel.entropy(x).exp(), torch.tensor([24.0, 6, 1]))
    every = Permutations(5).elements()
    p = torch.stack([kernel.log_prob(g.expand(3, 5), x) for g in every], 1).exp()
    torch.testing.assert_close(p.sum(1), torch.ones(3))
    many = x.select(torch.ones(1200, dtype=torch.int64))
    g = kernel.sample(many, generator=torch.Generator().manual_seed(0))
    assert torch.equal(g[:, 3:], torch.tensor([3, 4]).expand(1200, 2))
    counts = (g[:, 0] * 3 + g[:, 1]).bincount(minlength=9)
    counts = counts[counts > 0].double()
    assert len(counts) == 6
    assert float(((counts - 200) ** 2 / 200).sum()) < 40  # 5 degrees of freedom: false alarm 1e-7


def test_listed_cosets_are_in_the_order_of_the_rows() -> None:
    """Also where some graphs are searched and others taken apart."""
    large = nx.path_graph(70)
    x = DenseGraphs.concatenate(
        [
            DenseGraphs.from_features(torch.from_numpy(nx.to_numpy_array(g)).long()[None])
            for g in (large, nx.cycle_graph(4))
        ]
        * 2
    )
    rows, g = GraphKernel(70, order="refined").list_coset(x, limit=10)
    assert rows.tolist() == [0] * 2 + [1] * 8 + [2] * 2 + [3] * 8
    assert bool((GraphKernel(70, order="refined").log_prob(g, x.select(rows)) > -torch.inf).all())


def test_an_edge_whose_colour_hashes_to_nothing_is_an_edge() -> None:
    """7046029254386353131 is what the hash takes to 0: a path of three nodes with it at one end has two symmetries."""
    value = 7046029254386353131
    edges = torch.tensor([[[0, value, 0], [value, 0, value], [0, value, 0]]])
    kernel = GraphKernel(3)
    x = DenseGraphs.from_features(edges)
    for graphs in (x, x.sparse()):
        assert float(kernel.entropy(graphs).exp()) == pytest.approx(2)
        rough = GraphRefinementKernel(3)
        assert float(rough.log_prob(rough.sample(graphs), graphs).exp()) == pytest.approx(0.5)
    large = nx.to_numpy_array(nx.cycle_graph(70))
    ring = SparseGraphs(
        torch.tensor([70]), torch.zeros(70).long(), torch.from_numpy(large).nonzero().T, torch.full((140,), value)
    )
    assert float(GraphKernel(70).entropy(ring)) == pytest.approx(math.log(140))


def test_colours_that_share_a_hash_are_refused() -> None:
    """They counted as equal in the search, and not in ``log_prob``."""
    nodes = torch.tensor([[5, 9007515109826750759, 5]])
    x = DenseGraphs.from_features(torch.zeros(1, 3, 3, dtype=torch.int64), nodes)
    with pytest.raises(ValueError, match="x: two colours of nodes share a hash; give smaller numbers"):
        GraphKernel(3).entropy(x)
    other = torch.tensor([[5, 9007515109826750758, 5]])
    y = DenseGraphs.from_features(torch.zeros(1, 3, 3, dtype=torch.int64), other)
    assert float(GraphKernel(3).entropy(y).exp()) == pytest.approx(2)


def test_small_colours_have_different_hashes() -> None:
    numbers = torch.arange(-(2**20), 2**20)
    for hashes in (numbers, mix(numbers)):
        assert len(color(hashes).unique()) == 2**21


def test_components_that_share_a_hash_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """With hashes of two bits most of these graphs have two components with one; the twin exchanges any such."""
    graphs = [
        sparse(nx.disjoint_union_all([nx.random_regular_graph(3, 8 + 2 * (i % 3), seed=i) for i in range(2 + more)]))
        for more in range(12)
    ]
    kernel = GraphKernel(200)
    wanted = [float(kernel.entropy(x)) for x in graphs]
    monkeypatch.setattr(cosets, "SMALL", 12)
    original = cosets.mix
    assert [float(kernel.entropy(x)) for x in graphs] == pytest.approx(wanted)
    monkeypatch.setattr(cosets, "mix", lambda x: original(x) & 3)
    refused = 0
    for x, entropy in zip(graphs, wanted, strict=True):
        try:
            found = float(kernel.entropy(x))
        except ValueError:
            refused += 1
            with pytest.raises(ValueError, match="two components of a graph share a hash, and are not isomorphic"):
                kernel.sample(x)
        else:
            assert found == pytest.approx(entropy)
    assert 0 < refused < len(graphs)
    monkeypatch.setattr(cosets, "_isomorphic", lambda *args: True)
    assert [float(kernel.entropy(x)) for x in graphs] != pytest.approx(wanted)
