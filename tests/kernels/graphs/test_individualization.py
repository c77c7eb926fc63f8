"""The coset of small graphs against brute force over all permutations, and known automorphism groups."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import networkx as nx
import pytest
import torch
from torch import Tensor

from sympe.kernels.graphs import individualization
from sympe.kernels.graphs.individualization import Heard, Leaves, mix, refine, search_graphs

ISOMORPHISM_CLASSES = {1: 1, 2: 2, 3: 4, 4: 11, 5: 34, 6: 156}  # of undirected graphs, OEIS A000088


def every_graph(n: int, *, directed: bool = False) -> Tensor:
    slots = [(i, j) for i in range(n) for j in range(n) if (i != j if directed else i < j)]
    bits = torch.arange(2 ** len(slots))[:, None] >> torch.arange(len(slots)) & 1
    pairs = torch.zeros(len(bits), n, n, dtype=torch.int64)
    for column, (i, j) in enumerate(slots):
        pairs[:, i, j] = bits[:, column]
        if not directed:
            pairs[:, j, i] = bits[:, column]
    return pairs


def graph(n: int, edges: Iterable[tuple[int, int]]) -> Tensor:
    pairs = torch.zeros(n, n, dtype=torch.int64)
    for i, j in edges:
        pairs[i, j] = pairs[j, i] = 1
    return pairs


def full(pairs: Tensor, nodes: Tensor | None = None, **options: int) -> Leaves:
    batch, n, _ = pairs.shape
    nodes = torch.zeros(batch, n, dtype=torch.int64) if nodes is None else nodes
    return search_graphs(pairs, nodes, torch.ones(batch, n, dtype=torch.bool), **options)


def relabelled(pairs: Tensor, nodes: Tensor, leaves: Leaves) -> Tensor:
    """Every canonical form as one row: (g^-1 x)[r, s] = x[g_r, g_s]."""
    order = leaves.orders
    edges = pairs[leaves.rows[:, None, None], order[:, :, None], order[:, None]].flatten(1)
    return torch.cat([edges, nodes[leaves.rows[:, None], order]], 1)


def check_cosets(pairs: Tensor, nodes: Tensor, leaves: Leaves) -> int:
    """C(x) = c G_γ(x) for every x of a batch that is closed under S_n; the number of canonical forms."""
    batch, n = nodes.shape
    assert not leaves.too_many.any()
    assert (leaves.rows.diff() >= 0).all()
    assert torch.equal(leaves.orders.sort(1).values, torch.arange(n).expand(len(leaves.orders), n)), "not permutations"
    assert len(torch.cat([leaves.rows[:, None], leaves.orders], 1).unique(dim=0)) == len(leaves.rows), "a leaf twice"
    stabilizer = torch.zeros(batch, dtype=torch.int64)
    for p in itertools.permutations(range(n)):
        q = torch.tensor(p)
        stabilizer += (pairs[:, q][:, :, q] == pairs).flatten(1).all(1) & (nodes[:, q] == nodes).all(1)
    assert torch.equal(leaves.rows.bincount(minlength=batch), stabilizer), "|C(x)| is not |G_x|"
    forms = relabelled(pairs, nodes, leaves)
    first = torch.searchsorted(leaves.rows, torch.arange(batch))
    assert torch.equal(forms, forms[first][leaves.rows]), "two leaves of a graph differ"
    # canonical: as many forms as orbits, by Burnside's orbit counting sum over x of |G_x| / n!
    distinct = len(forms.unique(dim=0))
    orbits = int(stabilizer.sum()) / len(list(itertools.permutations(range(n))))
    assert distinct == orbits, f"{distinct} canonical forms of {orbits} orbits"
    return distinct


def test_mix_is_one_step_of_splitmix64() -> None:
    """The first outputs of the reference implementation for the states 0 and 1234567, and no number shared with ~x."""
    expected = [0xE220A8397B1DCDAF, 6457827717110365317]
    assert [h % 2**64 for h in mix(torch.tensor([0, 1234567])).tolist()] == expected
    x = torch.randint(-(2**62), 2**62, (1000,), generator=torch.Generator().manual_seed(0))
    golden = 0x9E3779B97F4A7C15 - 2**64
    assert (mix(x - golden) != mix(~x - golden)).all()


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, pytest.param(6, marks=pytest.mark.slow)])
def test_every_graph(n: int) -> None:
    pairs = every_graph(n)
    nodes = torch.zeros(pairs.shape[:2], dtype=torch.int64)
    leaves = full(pairs, limit=1000)
    assert check_cosets(pairs, nodes, leaves) == ISOMORPHISM_CLASSES[n]


def test_directed_and_coloured() -> None:
    pairs = every_graph(3, directed=True)
    colours = torch.cartesian_prod(*[torch.arange(2)] * 3)
    pairs, nodes = pairs.repeat_interleave(len(colours), 0), colours.repeat(len(pairs), 1)
    check_cosets(pairs, nodes, full(pairs, nodes))


def test_edge_colours_and_self_loops() -> None:
    values = torch.cartesian_prod(*[torch.tensor([0, 1, -7])] * 3, *[torch.tensor([0, 1])] * 3)
    pairs = torch.zeros(len(values), 3, 3, dtype=torch.int64)
    for column, (i, j) in enumerate([(0, 1), (0, 2), (1, 2), (0, 0), (1, 1), (2, 2)]):
        pairs[:, i, j] = pairs[:, j, i] = values[:, column]
    check_cosets(pairs, torch.zeros(len(pairs), 3, dtype=torch.int64), full(pairs))


def test_broken_cosets_are_found() -> None:
    pairs = every_graph(4)
    nodes = torch.zeros(pairs.shape[:2], dtype=torch.int64)
    leaves = full(pairs)
    last = torch.ones(len(leaves.rows), dtype=torch.bool)
    last[-1] = False
    with pytest.raises(AssertionError, match="not"):
        check_cosets(pairs, nodes, Leaves(leaves.rows[last], leaves.orders[last], leaves.too_many))
    with pytest.raises(AssertionError, match="differ"):  # g^-1 for g: nothing crashes, and it is not canonical
        check_cosets(pairs, nodes, Leaves(leaves.rows, leaves.orders.argsort(1), leaves.too_many))
    with pytest.raises(AssertionError, match="twice"):
        check_cosets(pairs, nodes, Leaves(leaves.rows, leaves.orders[:1].expand_as(leaves.orders), leaves.too_many))
    by_position = torch.arange(4).expand(len(pairs), 4)  # a map that breaks ties by position has only one leaf
    with pytest.raises(AssertionError, match="is not"):
        check_cosets(pairs, nodes, Leaves(torch.arange(len(pairs)), by_position, leaves.too_many))


def petersen() -> Tensor:
    ring = [(i, (i + 1) % 5) for i in range(5)]
    return graph(10, ring + [(i, i + 5) for i in range(5)] + [(5 + i, 5 + (i + 2) % 5) for i in range(5)])


def circulant(n: int, *steps: int) -> Tensor:
    return graph(n, [(i, (i + s) % n) for i in range(n) for s in steps])


def rook(side: int) -> Tensor:
    cells = list(itertools.product(range(side), repeat=2))
    same = [
        (a, b)
        for a, b in itertools.combinations(range(side**2), 2)
        if (cells[a][0] == cells[b][0]) != (cells[a][1] == cells[b][1])
    ]
    return graph(side**2, same)


def shrikhande() -> Tensor:
    steps = [(0, 1), (1, 0), (1, 1)]
    return graph(16, [(4 * a + b, (a + p) % 4 * 4 + (b + q) % 4) for a in range(4) for b in range(4) for p, q in steps])


@pytest.mark.parametrize(
    ("pairs", "order"),
    [
        (petersen(), 120),
        (circulant(8, 1), 16),
        (circulant(13, 1, 3, 4), 78),  # Paley(13)
        (graph(8, [(a, b) for a in range(8) for b in range(a) if (a ^ b).bit_count() == 1]), 48),  # the cube
        (graph(6, [(a, b) for a in range(3) for b in range(3, 6)]), 72),
        (rook(3), 72),
        (rook(4), 1152),  # strongly regular with the parameters of the next
        (shrikhande(), 192),
        (torch.block_diag(circulant(3, 1), circulant(3, 1)), 72),
        (graph(7, [(0, 1), (0, 2), (1, 3), (1, 4), (2, 5), (2, 6)]), 8),  # a binary tree
    ],
)
def test_known_groups(pairs: Tensor, order: int) -> None:
    """The group's order, and a canonical form that a random relabelling does not change."""
    n = len(pairs)
    generator = torch.Generator().manual_seed(n)
    copies = torch.stack([pairs[p][:, p] for p in (torch.randperm(n, generator=generator) for _ in range(4))])
    leaves = full(copies, limit=3000)
    assert leaves.rows.bincount().tolist() == [order] * 4
    forms = relabelled(copies, torch.zeros(4, n, dtype=torch.int64), leaves)
    assert len(forms.unique(dim=0)) == 1
    inverse = leaves._replace(orders=leaves.orders.argsort(1))  # the twin: g^-1 for g is not canonical
    assert len(relabelled(copies, torch.zeros(4, n, dtype=torch.int64), inverse).unique(dim=0)) > 1


def test_two_graphs_that_refinement_ties_are_told_apart() -> None:
    both = torch.stack([rook(4), shrikhande()])
    leaves = full(both, limit=3000)
    forms = relabelled(both, torch.zeros(2, 16, dtype=torch.int64), leaves)
    assert len(forms.unique(dim=0)) == 2


def test_padding_and_the_rest_of_the_batch_do_not_matter() -> None:
    path = graph(3, [(0, 1), (1, 2)])
    alone = full(path[None])
    pairs = torch.zeros(2, 7, 7, dtype=torch.int64)
    pairs[0, :3, :3] = path
    pairs[1] = circulant(7, 1)
    nodes = torch.full((2, 7), 5)
    nodes[0, :3] = 0
    nodes[1] = 0
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[0, 3:] = False
    leaves = search_graphs(pairs, nodes, mask)
    assert leaves.rows.tolist() == [0] * 2 + [1] * 14
    own = leaves.orders[:2]
    assert torch.equal(own[:, 3:], torch.arange(3, 7).expand(2, 4)), "padding moved"
    assert sorted(own[:, :3].tolist()) == sorted(alone.orders.tolist())


def test_wide_trees_are_given_up_and_named() -> None:
    pairs = torch.stack([torch.zeros(6, 6, dtype=torch.int64), graph(6, [(0, 1), (1, 2), (2, 3), (3, 4), (1, 5)])])
    leaves = full(pairs, limit=100)
    assert leaves.too_many.tolist() == [True, False]
    assert leaves.rows.tolist() == [1, 1]
    assert full(pairs, limit=720).rows.bincount().tolist() == [720, 2]


@pytest.mark.parametrize("batch", [1, 3])  # one graph has the same memory layout with the batch last
@pytest.mark.parametrize("color", [1, 1000])
def test_the_graphs_are_left_as_they_are(batch: int, color: int) -> None:
    pairs = color * circulant(5, 1).repeat(batch, 1, 1)
    nodes, mask = torch.zeros(batch, 5, dtype=torch.int64), torch.ones(batch, 5, dtype=torch.bool)
    before = pairs.clone()
    search_graphs(pairs, nodes, mask)
    assert torch.equal(pairs, before)
    assert not bool(nodes.any())


def test_an_empty_batch_has_no_leaves() -> None:
    leaves = full(torch.zeros(0, 4, 4, dtype=torch.int64))
    assert leaves.orders.shape == (0, 4)


def test_refinement_of_a_path_separates_distances_from_the_ends() -> None:
    weights = mix(graph(5, [(i, i + 1) for i in range(4)])) * graph(5, [(i, i + 1) for i in range(4)])
    colors = refine(Heard(weights[:, :, None]), torch.full((5, 1), 12345))[:, 0]
    assert colors[0] == colors[4]
    assert colors[1] == colors[3]
    assert len(colors.unique()) == 3


def regular(degree: int, n: int, count: int, seed: int = 0) -> Tensor:
    graphs = [nx.random_regular_graph(degree, n, seed=seed + number) for number in range(count)]
    return torch.stack([torch.from_numpy(nx.to_numpy_array(one)).long() for one in graphs])


def tied_graphs(kind: str) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs, colours and mask of regular graphs of 20 and 24 nodes, and of a ring, padded."""
    generator = torch.Generator().manual_seed(0)
    pairs = torch.zeros(9, 27, 27, dtype=torch.int64)
    pairs[:4, :24, :24], pairs[4:8, :20, :20], pairs[8, :25, :25] = (
        regular(3, 24, 4),
        regular(4, 20, 4),
        circulant(25, 1),
    )
    if (
        kind == "one way"
    ):  # each edge once, along a walk round each piece: in- and out-degrees of 4-regular graphs agree
        pairs[4:8] = 0
        for row in range(4, 8):
            walk = list(nx.eulerian_circuit(nx.random_regular_graph(4, 20, seed=row)))
            pairs[row, [a for a, _ in walk], [b for _, b in walk]] = 1
    if kind == "coloured":
        pairs *= 10**12
        pairs[:, range(27), range(27)] = 3
    sizes = torch.tensor([24] * 4 + [20] * 4 + [25])
    mask = torch.arange(27) < sizes[:, None]
    pairs *= mask[:, :, None] & mask[:, None]
    for row, n in enumerate(sizes.tolist()):
        p = torch.randperm(n, generator=generator)
        pairs[row, :n, :n] = pairs[row, p][:, p]
    return pairs, torch.zeros(9, 27, dtype=torch.int64), mask


def every_way(monkeypatch: pytest.MonkeyPatch, graphs: tuple[Tensor, Tensor, Tensor]) -> list[Leaves]:
    """Found with all pairs, with neighbours, with sorted colours, and one child at a time."""
    never = 10**9
    found = []
    for sparse, large, at_once in ((1, never, 2**40), (never, 0, 2**40), (1, 0, 2**40), (1, 0, 1), (4, 16, 2**12)):
        monkeypatch.setattr(individualization, "_SPARSE", sparse)
        monkeypatch.setattr(individualization, "_LARGE", large)
        monkeypatch.setattr(individualization, "_AT_ONCE", at_once)
        found.append(search_graphs(*graphs))
    return found


@pytest.mark.parametrize("kind", ["plain", "coloured", "one way"])
def test_every_way_through_the_search_finds_the_same_leaves(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *others = every_way(monkeypatch, tied_graphs(kind))
    assert len(first.rows) >= 9 + 49
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_neighbours_without_one_of_them_give_other_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Heard.without_zeros

    def one_less(weights: Heard, wanted: Tensor) -> Heard:
        found = listed(weights, wanted)
        return found if found.near is None else Heard(found.weights[1:], found.near[1:])

    monkeypatch.setattr(Heard, "without_zeros", one_less)
    first, *others = every_way(monkeypatch, tied_graphs("plain"))
    assert not all(torch.equal(first.orders, other.orders) for other in others)


def test_a_few_neighbours_are_listed_and_many_are_not() -> None:
    weights = Heard(regular(3, 16, 2).permute(1, 2, 0).contiguous())
    found = weights.without_zeros(torch.tensor([1]))
    assert found.weights.shape == (3, 16, 2)
    assert found.near is not None
    dense = torch.zeros(16, 16, dtype=torch.int64)
    dense[found.near[:, :, 1], torch.arange(16)] = found.weights[:, :, 1]
    assert torch.equal(dense, weights.weights[:, :, 1])
    assert Heard(regular(5, 16, 2).permute(1, 2, 0)).without_zeros(torch.arange(2)).near is None
    assert weights.without_zeros(torch.arange(0)).near is None


MEMORY = """
import resource, sys
import torch
from sympe.graphs import DenseGraphs
from sympe.kernels import GraphKernel
x = DenseGraphs.from_features(torch.load(sys.argv[1]).repeat(64, 1, 1))
kernel = GraphKernel(64)
kernel.sample(x.select(torch.arange(2)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
kernel.sample(x)
print(len(x), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20)
"""


@pytest.mark.slow
def test_a_thousand_cubic_graphs_take_less_than_a_gigabyte(tmp_path: Path) -> None:
    torch.save(regular(3, 64, 16), tmp_path / "graphs.pt")
    command = [sys.executable, "-c", MEMORY, str(tmp_path / "graphs.pt")]
    count, gib = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert int(count) == 1024
    assert float(gib) < 0.5  # 5 with all children at once
