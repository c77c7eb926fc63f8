"""The search of hard parts where igraph is not installed: against BLISS, by enumeration, and with broken twins."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator

import networkx as nx
import numpy as np
import pytest
import torch
from torch import Tensor

from sympe.graphs import DenseGraphs, SparseGraphs
from sympe.graphs.checks import equal_graphs
from sympe.kernels import GraphKernel
from sympe.kernels.graphs import tree
from sympe.kernels.graphs.bliss import BlissGraph
from sympe.kernels.graphs.cosets import least_of_orbits
from sympe.kernels.graphs.tree import SearchedGraph
from sympe.randomness import seeded
from tests.kernels.graphs.test_graph import cfi, copies, paley, rook, shrikhande

Law = Callable[[SparseGraphs], None]


def graph(
    edges: nx.Graph, *, colors: int = 1, kinds: int = 1, loops: float = 0.0, directed: bool = False
) -> SparseGraphs:
    """With random colours of nodes, of edges or, if directed, of arcs, and loops."""
    edges = nx.convert_node_labels_to_integers(edges)
    n, generator = len(edges), seeded(0)
    pairs = torch.from_numpy(nx.to_numpy_array(edges, weight=None)).long()
    value = torch.randint(1, kinds + 1, (n, n), generator=generator)
    pairs *= value if directed else value.triu() + value.triu(1).T
    pairs += torch.diag(torch.rand(n, generator=generator) < loops)
    arcs = pairs.nonzero().T
    nodes = torch.randint(colors, (n,), generator=generator)
    return SparseGraphs.from_features(arcs, torch.tensor([n]), nodes, pairs[*arcs], directed=directed)


def torus(*sides: int) -> nx.Graph:
    return nx.grid_graph(list(sides), periodic=True)


def crown(n: int) -> nx.Graph:
    return nx.from_edgelist([(i, n + j) for i in range(n) for j in range(n) if i != j])


def latin(n: int, swaps: int) -> nx.Graph:
    """The strongly regular graph of a Latin square, a cyclic one with subsquares of order 2 turned."""
    generator = np.random.default_rng(0)
    square = np.add.outer(np.arange(n), np.arange(n)) % n
    for _ in range(swaps):
        (i, k), (j, m) = generator.choice(n, 2, replace=False), generator.choice(n, 2, replace=False)
        if square[i, j] == square[k, m] and square[i, m] == square[k, j]:
            square[[i, i, k, k], [j, m, j, m]] = square[[i, i, k, k], [m, j, m, j]]
    cells = list(itertools.product(range(n), range(n)))
    return nx.from_edgelist(
        (a, b) for a, b in itertools.combinations(cells, 2) if a[0] == b[0] or a[1] == b[1] or square[a] == square[b]
    )


def cubic(n: int, seed: int = 0) -> nx.Graph:
    return nx.random_regular_graph(3, n, seed=seed)


def with_hubs(part: nx.Graph, count: int) -> nx.Graph:
    """Copies, each with a node that is joined to all of it."""
    part = part.copy()
    part.add_edges_from([(node, "hub") for node in list(part)])
    return copies((count, nx.convert_node_labels_to_integers(part)))


ring = nx.cycle_graph
i = torch.arange(70)
GRAPHS: dict[str, SparseGraphs] = {
    "ring of 200": graph(ring(200)),
    "ring of 1,000": graph(ring(1000)),
    "directed ring": SparseGraphs.from_features(torch.stack([i, (i + 1) % 70]), torch.tensor([70]), directed=True),
    "torus 15 x 15": graph(torus(15, 15)),
    "torus 4 x 5 x 6": graph(torus(4, 5, 6)),
    "ladder": graph(nx.circular_ladder_graph(60)),
    "Möbius ladder": graph(nx.circulant_graph(80, [1, 40])),
    "circulant": graph(nx.circulant_graph(100, [1, 5, 17])),
    "hypercube": graph(nx.hypercube_graph(7)),
    "crown": graph(crown(40)),
    "grid": graph(nx.grid_2d_graph(8, 12)),
    "binary tree": graph(nx.full_rary_tree(2, 127)),
    "Paley 101": graph(paley(101)),
    "rook 10 x 10": graph(rook(10)),
    "triangular": graph(nx.line_graph(nx.complete_graph(13))),
    "Kneser": graph(nx.kneser_graph(9, 3)),
    "Shrikhande": graph(shrikhande()),
    "Latin square": graph(latin(8, 0)),
    "Latin square, turned": graph(latin(6, 300)),
    "CFI": graph(cfi(False)),
    "twisted CFI": graph(cfi(True)),
    **{f"{d} neighbours, {n}": graph(nx.random_regular_graph(d, n, seed=d)) for d, n in ((3, 100), (5, 80), (8, 300))},
    **{f"cubic, {n}, {seed}": graph(cubic(n, seed)) for n in (8, 10, 12) for seed in range(3)},
    "prism and ladder": graph(copies((3, ring(70)), (2, nx.circular_ladder_graph(35)))),
    "copies of cubic graphs": graph(copies((3, cubic(12, 1)), (2, cubic(12, 2)))),
    "lookalikes": graph(copies((2, rook(4)), (2, shrikhande()))),
    "CFI and twisted CFI": graph(copies((1, cfi(False)), (1, cfi(True)))),
    "two of both, with hubs": graph(with_hubs(copies((1, cfi(False)), (1, cfi(True))), 2)),
    "Petersens on a ring": graph(nx.cartesian_product(nx.petersen_graph(), ring(9))),
    "coloured nodes": graph(torus(6, 6), colors=2),
    "coloured edges": graph(ring(6), kinds=2),
    "coloured arcs": graph(cubic(40), kinds=2, directed=True),
    "loops": graph(torus(5, 5), loops=0.1),
    "all of it": graph(torus(4, 4), colors=2, kinds=2, loops=0.1, directed=True),
    "no arcs": graph(nx.empty_graph(6)),
    "one node": graph(nx.empty_graph(1)),
}
SMALL: dict[str, SparseGraphs] = {
    "K_2,3": graph(nx.complete_bipartite_graph(2, 3)),
    "ring": graph(ring(5)),
    "edge and triangle": graph(copies((1, nx.path_graph(2)), (1, ring(3)))),
    "coloured": graph(ring(5), colors=2),
    "coloured edges": graph(nx.complete_graph(5), kinds=2),
    "coloured arcs": graph(nx.complete_graph(5), kinds=2, directed=True),
    "loops": graph(ring(5), loops=0.4),
    "tournament": SparseGraphs.from_features(
        torch.tensor([[a, (a + d) % 5] for a in range(5) for d in (1, 2)]).T, torch.tensor([5]), directed=True
    ),
}
LARGER: dict[str, SparseGraphs] = {
    "K_3,3": graph(nx.complete_bipartite_graph(3, 3)),
    "prism": graph(nx.circular_ladder_graph(3)),
    "Petersen": graph(nx.petersen_graph()),
    "ring and triangles": graph(copies((1, ring(6)), (1, ring(3)))),
    **{f"cubic, {n}, {seed}": graph(cubic(n, seed)) for n in (8, 10) for seed in range(3)},
}
"""With nodes that look alike and are not, some of them."""


def relabelled(x: SparseGraphs, p: Tensor) -> SparseGraphs:
    return x.relabel(p[None])


def form(x: SparseGraphs, g: Tensor) -> SparseGraphs:
    return relabelled(x, g.argsort())


def check_form(x: SparseGraphs) -> None:
    """The form is that of every relabelled copy."""
    first = form(x, SearchedGraph(x).canonical_order())
    for seed in range(3):
        y = relabelled(x, torch.randperm(len(x.colors), generator=seeded(seed)))
        assert bool(equal_graphs(first, form(y, SearchedGraph(y).canonical_order())).all()), "the form differs"


def check_group(x: SparseGraphs) -> None:
    """The group is that of BLISS: its order, and the orbits that its generators have."""
    searched, bliss = SearchedGraph(x), BlissGraph(x)
    moves = searched.generators()
    assert all(bool(equal_graphs(x, relabelled(x, p)).all()) for p in moves), "no symmetry"
    assert searched.automorphisms() == bliss.automorphisms()
    assert torch.equal(least_of_orbits(moves), least_of_orbits(bliss.generators()))
    if bliss.automorphisms() <= 400:
        assert len(generated(moves)) == bliss.automorphisms()


def generated(moves: Tensor) -> set[tuple[int, ...]]:
    """All products."""
    found = {tuple(range(moves.shape[1]))}
    new = found
    while new:
        new = {tuple(p[i] for i in q) for p in new for q in moves.tolist()} - found
        found |= new
    return found


@pytest.mark.parametrize("name", GRAPHS)
def test_the_group_is_that_of_bliss_and_the_form_that_of_all_copies(name: str) -> None:
    check_group(GRAPHS[name])
    check_form(GRAPHS[name])


def test_forms_of_lookalikes_differ() -> None:
    for a, b in [("CFI", "twisted CFI"), ("cubic, 10, 0", "cubic, 10, 1"), ("Shrikhande", "rook 4 x 4")]:
        one, other = GRAPHS[a], graph(rook(4)) if b.startswith("rook") else GRAPHS[b]
        assert BlissGraph(one).nodes == BlissGraph(other).nodes
        forms = [form(x, SearchedGraph(x).canonical_order()) for x in (one, other)]
        assert not bool(equal_graphs(*forms).all())


def automorphisms(x: SparseGraphs) -> Tensor:
    """By brute force."""
    pairs = x.dense().pairs[0].numpy()
    colors = x.colors.tolist()

    def grown(start: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        at = len(start)
        if at == len(colors):
            yield start
            return
        for node in set(range(len(colors))) - set(start):
            images = [*start, node]
            if (
                colors[node] == colors[at]
                and (pairs[node, images] == pairs[at, : at + 1]).all()
                and (pairs[images, node] == pairs[: at + 1, at]).all()
            ):
                yield from grown((*start, node))

    return torch.tensor(sorted(grown(())))


def drawn(x: SparseGraphs, u: Tensor) -> tuple[int, ...]:
    """What is drawn where the relabelling is u."""
    place = u.argsort().double() / len(u)
    g: list[int] = SearchedGraph(x).sample(lambda shape, _: place.view(shape)).tolist()
    return tuple(g)


def check_uniform(x: SparseGraphs) -> None:
    """All relabellings, each once: every element of C(x) comes equally often, and there are |G_x| of them."""
    every = itertools.permutations(range(len(x.colors)))
    found = [drawn(x, torch.tensor(u)) for u in every]
    kinds = set(found)
    assert len(kinds) == len(automorphisms(x))
    assert {found.count(g) for g in kinds} == {len(found) // len(kinds)}, "not uniform"
    first = form(x, torch.tensor(found[0]))
    assert all(bool(equal_graphs(first, form(x, torch.tensor(g))).all()) for g in kinds)


@pytest.mark.parametrize("name", SMALL)
def test_draws_are_uniform_on_the_coset(name: str) -> None:
    check_uniform(SMALL[name])


def check_coset(x: SparseGraphs) -> None:
    """The relabellings of one coset of G_x draw each element of C(x) once, and all cosets the same C(x)."""
    group = automorphisms(x)
    cosets = set()
    for seed in range(3):
        u = torch.randperm(len(x.colors), generator=seeded(seed))
        found = frozenset(drawn(x, a.argsort()[u.argsort()].argsort()) for a in group)
        assert len(found) == len(group), "not uniform"
        cosets.add(found)
    assert len(cosets) == 1, "several forms"
    (found,) = cosets
    c = torch.tensor(min(found))
    assert found == {tuple(a[c].tolist()) for a in group}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGER)
def test_draws_are_uniform_on_the_coset_of_larger_graphs(name: str) -> None:
    check_coset(LARGER[name])


def test_twin_without_relabelling_is_not_uniform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SearchedGraph, "sample", lambda self, draw: self.canonical_order())
    with pytest.raises(AssertionError, match=r"not uniform|assert 1 == 10"):
        check_uniform(SMALL["ring"])
    with pytest.raises(AssertionError, match="not uniform"):
        check_coset(LARGER["Petersen"])


def broken(name: str) -> dict[str, tuple[type, str, object]]:
    return {
        "cells are orbits": (tree._Level, "left", lambda self: iter(())),
        "the first leaf is taken": (tree._Tree, "_best", lambda self, cells, depth, nested: self._down(cells, depth)),
        "equal hashes are symmetries": (tree._Tree, "_is_symmetry", lambda self, moves: True),
        "symmetries are not seen": (tree._Tree, "_follow", lambda self, cells, best, depth: (1, None)),
        "what one path does not tell is worse": (tree._Tree, "_compare", lambda self, path, best: (1, None)),
    }[name]


@pytest.mark.parametrize(
    ("twin", "name", "law"),
    [
        ("cells are orbits", "5 neighbours, 80", check_form),
        ("cells are orbits", "ring of 200", check_group),
        ("the first leaf is taken", "5 neighbours, 80", check_form),
        ("the first leaf is taken", "hypercube", check_group),
        ("equal hashes are symmetries", "Latin square, turned", check_group),
        ("equal hashes are symmetries", "lookalikes", check_group),
        ("symmetries are not seen", "ring of 200", check_group),
        ("what one path does not tell is worse", "CFI and twisted CFI", check_form),
        ("what one path does not tell is worse", "two of both, with hubs", check_group),
    ],
)
def test_broken_twins(twin: str, name: str, law: Law, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(*broken(twin))
    with pytest.raises(AssertionError):
        check_copies(law, GRAPHS[name])


def check_copies(law: Law, x: SparseGraphs) -> None:
    for seed in range(4):
        law(relabelled(x, torch.randperm(len(x.colors), generator=seeded(seed))))


def test_what_one_path_does_not_tell_is_searched_with_all_outcomes(monkeypatch: pytest.MonkeyPatch) -> None:
    signs, compare = set(), tree._Tree._compare

    def noted(self: tree._Tree, path: tree._Path, best: tree._Path) -> tuple[int, np.ndarray | None]:
        found = compare(self, path, best)
        signs.add(found[0])
        return found

    monkeypatch.setattr(tree._Tree, "_compare", noted)
    for name, seed in itertools.product(("CFI and twisted CFI", "two of both, with hubs"), range(6)):
        x = GRAPHS[name]
        SearchedGraph(relabelled(x, torch.randperm(len(x.colors), generator=seeded(seed)))).automorphisms()
    assert signs == {-1, 0, 1}


def test_what_takes_too_long_is_given_up_and_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        r"part of {} nodes, which refinement and a search of {} steps cannot settle, needs igraph: "
        r"pip install 'igraph>=.*; GraphRefinementKernel does without"
    )
    monkeypatch.setattr(tree, "_TRIES", 20)
    with pytest.raises(ImportError, match=said.format(100, 20)):
        SearchedGraph(GRAPHS["rook 10 x 10"]).canonical_order()
    monkeypatch.setattr(tree, "_TRIES", 1000)
    SearchedGraph(GRAPHS["rook 10 x 10"]).canonical_order()
    monkeypatch.setattr(tree, "_NESTED", -1)
    with pytest.raises(ImportError, match=said.format(100, 1000)):
        SearchedGraph(GRAPHS["rook 10 x 10"]).canonical_order()


def test_one_graph_at_a_time() -> None:
    x = GRAPHS["Petersens on a ring"]
    assert repr(SearchedGraph(x)) == "SearchedGraph(90 nodes)"
    for number in (0, 2):
        with pytest.raises(ValueError, match=f"graph: expected a batch of one, got {number}"):
            SearchedGraph(x.select(torch.zeros(number, dtype=torch.int64)))


PARTS: dict[str, nx.Graph] = {
    "ring": ring(200),
    "torus": torus(15, 15),
    "cubic": cubic(100),
    "Paley": paley(101),
    "trees in a tree": nx.balanced_tree(2, 7),
    "rings, Paley, path": copies((3, ring(70)), (2, paley(73)), (1, nx.path_graph(30)), (4, nx.petersen_graph())),
    "trees on rings": nx.corona_product(ring(8), nx.balanced_tree(2, 3)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_kernels_with_and_without_igraph_agree(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entropy, orbits and groups are the same; the form is another, with the same laws."""
    x, n = graph(PARTS[name]), len(PARTS[name])
    kernel = GraphKernel(n + 2)
    entropy, orbits = kernel.entropy(x), kernel.orbits(x)
    y = relabelled(x, torch.randperm(n, generator=seeded(1)))
    monkeypatch.setitem(sys.modules, "igraph", None)
    assert torch.equal(kernel.entropy(x), entropy)
    assert torch.equal(kernel.orbits(x), orbits)
    (moves,) = kernel.generators(x)
    assert torch.equal(least_of_orbits(moves) if len(moves) else torch.arange(n + 2), orbits[0])
    assert all(bool(equal_graphs(x, x.relabel(p[None])).all()) for p in moves[:30])
    g, h = kernel.sample(x, generator=seeded(0)), kernel.sample(y, generator=seeded(0))
    inverse = kernel.group.inverse
    assert bool(equal_graphs(x.relabel(inverse(g)), y.relabel(inverse(h))).all())
    assert torch.equal(kernel.log_prob(g, x), -entropy)
    other = g.clone()
    other[:, :n] = torch.randperm(n, generator=seeded(2))
    assert kernel.log_prob(other, x).tolist() == [-torch.inf]
    if float(entropy) < 7:
        rows, listed = kernel.list_coset(x, limit=1100)
        assert len(rows) == round(float(entropy.exp()))
        assert len(listed.unique(dim=0)) == len(listed)
        assert torch.equal(kernel.log_prob(listed[:20], x.select(rows[:20])), -entropy.expand(len(rows[:20])))


def test_alone_in_a_batch_and_padded_the_form_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "igraph", None)
    parts = [graph(one) for one in (ring(70), nx.balanced_tree(2, 7), cubic(70), nx.petersen_graph(), paley(73))]
    dense = [one.dense() for one in parts]
    kernel = GraphKernel(260)
    wide = DenseGraphs.concatenate(dense)
    together = wide.sparse()
    inverse = kernel.group.inverse
    form = together.relabel(inverse(kernel.sample(together, generator=seeded(0))))
    assert bool(equal_graphs(form, wide.relabel(inverse(kernel.canonicalize(wide)))).all())
    for row, (one, other) in enumerate(zip(parts, dense, strict=True)):
        own = form.select(torch.tensor([row]))
        for x in (one, other):
            assert bool(equal_graphs(own, x.relabel(inverse(kernel.canonicalize(x)))).all())
            assert torch.equal(kernel.entropy(x), kernel.entropy(together)[row : row + 1])
