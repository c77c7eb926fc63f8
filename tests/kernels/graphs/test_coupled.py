"""The coupled kernel of graphs, on all pairs of small ones, by enumeration."""

from __future__ import annotations

import math

import networkx as nx
import pytest
import torch
from torch import Tensor

from sympe.graphs import DenseGraphs
from sympe.groups import Permutations
from sympe.kernels import CoupledGraphKernel, GraphKernel
from sympe.kernels.graphs.coupled import joined
from tests.kernels.graphs.test_graph import every_graph, way  # noqa: F401  # the fixture runs all three ways


def pairs_of_graphs(n: int) -> tuple[DenseGraphs, DenseGraphs]:
    """Every graph x with every graph y that has some colours of nodes as well."""
    graphs = every_graph(n)
    colors = torch.tensor([[0] * n, [1] + [0] * (n - 1), [1, 2] + [0] * (n - 2)])
    count = len(graphs)
    first = graphs.repeat_interleave(count * len(colors), 0)
    second = graphs.repeat_interleave(len(colors), 0).repeat(count, 1, 1)
    x = DenseGraphs.from_features(first)
    return x, DenseGraphs.from_features(second, colors.repeat(count * count, 1))


def laws(kernel: CoupledGraphKernel, x: DenseGraphs, y: DenseGraphs) -> Tensor:
    """κ(g | x, y) of every pair and every g."""
    elements = kernel.group.elements()
    rows = torch.arange(len(x)).repeat_interleave(len(elements))
    log_p = kernel.log_prob(elements.repeat(len(x), 1), x.select(rows), y.select(rows))
    return log_p.double().exp().view(len(x), len(elements))


@pytest.fixture(scope="module")
def exchanged() -> Tensor:
    """Entry [u, g] is the number of the element ug of S_3."""
    group = Permutations(3)
    elements = group.elements()
    products = group.compose(elements[:, None].expand(6, 6, 3), elements.expand(6, 6, 3))
    return (products[:, :, None] == elements).all(3).long().argmax(2)


@pytest.mark.parametrize("order", ["refined", "breadth-first", "depth-first", "fiedler"])
def test_the_law_on_all_small_pairs(order: str, way: str, exchanged: Tensor) -> None:  # noqa: F811
    x, y = pairs_of_graphs(3)
    kernel = CoupledGraphKernel(GraphKernel(3, order=order))
    p = laws(kernel, x, y)
    elements = kernel.group.elements()
    assert torch.allclose(p.sum(1), torch.ones(len(x), dtype=torch.float64))
    # uniform on as many elements as fix both, all of them in C(x)
    fixed = torch.stack(
        [same(x.relabel(g.expand(len(x), -1)), x) & same(y.relabel(g.expand(len(x), -1)), y) for g in elements], 1
    ).sum(1)
    assert torch.equal((p > 0).sum(1), fixed)
    assert torch.allclose(kernel.entropy(x, y).double(), fixed.double().log(), atol=1e-6)
    alone = torch.stack([kernel.kernel.log_prob(g.expand(len(x), -1), x) for g in elements], 1)
    assert bool(alone[p > 0].isfinite().all()), "an element is not in C(x)"
    # equivariant in the pair
    for u in range(1, 6):
        moved = laws(kernel, *(z.relabel(elements[u].expand(len(x), -1)) for z in (x, y)))
        assert torch.allclose(moved[:, exchanged[u]], p), "κ(ug | ux, uy) differs from κ(g | x, y)"
    # averaged over the targets that the symmetries of x exchange it is the kernel of x
    total, count = torch.zeros_like(p), torch.zeros(len(x), 1)
    for s in elements:
        keeps = same(x.relabel(s.expand(len(x), -1)), x)
        rows = keeps.nonzero().squeeze(1)
        total[rows] += laws(kernel, x.select(rows), y.relabel(s.expand(len(x), -1)).select(rows))
        count += keeps[:, None]
    assert torch.allclose(total / count, alone.double().exp(), atol=1e-6)


def same(x: DenseGraphs, y: DenseGraphs) -> Tensor:
    return (x.pairs == y.pairs).flatten(1).all(1) & (x.colors == y.colors).all(1)


def test_the_joint_kernel_alone_is_not_coupled(way: str) -> None:  # noqa: F811
    """The broken twin: canonical for the pair is not canonical for x."""
    x, y = pairs_of_graphs(3)
    kernel = GraphKernel(3)
    g = kernel.canonicalize(joined(x, y))
    assert not bool(kernel.log_prob(g, x).isfinite().all())


def test_samples_follow_the_law(way: str) -> None:  # noqa: F811
    ring = DenseGraphs.from_features(torch.tensor(nx.to_numpy_array(nx.cycle_graph(4), dtype=int))[None])
    marked = DenseGraphs.from_features(ring.pairs, torch.tensor([[1, 0, 0, 0]]))
    kernel = CoupledGraphKernel(GraphKernel(4))
    many = torch.zeros(2000, dtype=torch.int64)
    g = kernel.sample(ring.select(many), marked.select(many), generator=torch.Generator().manual_seed(0))
    assert bool(kernel.log_prob(g, ring.select(many), marked.select(many)).isfinite().all())
    found, counts = g.unique(dim=0, return_counts=True)
    assert len(found) == 2  # the reflection that keeps the mark
    assert abs(int(counts[0]) - 1000) < 120  # 5.4 standard deviations: false alarm 8e-8
    forms = marked.select(many).relabel(g.argsort(1))
    assert len(forms.colors.unique(dim=0)) == 1, "the target is not canonical"


def test_the_bound_is_tight_for_the_right_model() -> None:
    """y uniform over what the symmetries of x make of it: g tells y, and the price is log of their number."""
    x, y = pairs_of_graphs(3)
    kernel = CoupledGraphKernel(GraphKernel(3))
    price = kernel.entropy(x, y) - kernel.kernel.entropy(x)
    elements = kernel.group.elements()
    keeps = torch.stack([same(x.relabel(s.expand(len(x), -1)), x) for s in elements], 1)
    targets = torch.stack(
        [
            y.relabel(s.expand(len(x), -1)).pairs.flatten(1) * 1000
            + y.relabel(s.expand(len(x), -1)).colors.repeat(1, 3)
            for s in elements
        ],
        1,
    )
    for row in range(0, len(x), 7):
        orbit = len(targets[row][keeps[row]].unique(dim=0))
        assert float(price[row]) == pytest.approx(-math.log(orbit), abs=1e-5)


def test_large_and_ragged_graphs() -> None:
    """Complete graphs, too symmetric to be listed, beside small ones: the target settles all but its own symmetry."""
    n = 9
    sizes = torch.tensor([9, 5, 1])
    mask = torch.arange(n) < sizes[:, None]
    both = mask[:, :, None] & mask[:, None] & ~torch.eye(n, dtype=torch.bool)
    x = DenseGraphs.from_features(both.long(), None, mask)
    path = torch.tensor(nx.to_numpy_array(nx.path_graph(n), dtype=int))
    y = DenseGraphs.from_features(path * both, None, mask)
    kernel = CoupledGraphKernel(GraphKernel(12))
    assert torch.allclose(kernel.entropy(x, y), torch.tensor([2.0, 2.0, 1.0]).log())
    u = Permutations(12)
    g = kernel.sample(x, y, generator=torch.Generator().manual_seed(0))
    moves = torch.stack([torch.cat([torch.randperm(int(size)), torch.arange(int(size), 12)]) for size in sizes])
    moved = u.compose(moves, g)
    log_p = kernel.log_prob(moved, x.relabel(moves), y.relabel(moves))
    assert torch.allclose(log_p, kernel.log_prob(g, x, y))
    assert bool(log_p.isfinite().all())
    alone = [kernel.log_prob(g[i : i + 1], *(z.select(torch.tensor([i])) for z in (x, y))) for i in range(3)]
    assert torch.allclose(torch.cat(alone), log_p), "it depends on the rest of the batch"


@pytest.mark.parametrize("order", ["breadth-first", "depth-first", "fiedler", "degree"])
def test_where_x_has_all_symmetries_g_is_the_order_of_the_target(order: str) -> None:
    """So that what a network learns about one target's places holds for those of another."""
    n = 6
    x = DenseGraphs.from_features(1 - torch.eye(n, dtype=torch.int64)[None])
    asymmetric = [graph for graph in nx.graph_atlas_g() if len(graph) == n and nx.is_connected(graph)]
    tables = torch.stack([torch.tensor(nx.to_numpy_array(graph, dtype=int)) for graph in asymmetric])
    y = DenseGraphs.from_features(tables)
    kernel = GraphKernel(n, order=order)
    rigid = kernel.entropy(y) < 1e-6
    assert int(rigid.sum()) == 8
    y = y.select(rigid.nonzero().squeeze(1))
    x = x.select(torch.zeros(len(y), dtype=torch.int64))
    group = kernel.group
    own = kernel.canonicalize(y)  # the only element of C(y)
    apart = group.compose(group.inverse(own), CoupledGraphKernel(kernel).sample(x, y))
    assert bool((apart == apart[0]).all())
    joint = GraphKernel(n, order=order).sample(joined(x, y))  # the twin: of the pair, which is a complete graph
    apart = group.compose(group.inverse(own), joint)
    assert not bool((apart == apart[0]).all())


def test_canonicalizers_are_deterministic(way: str) -> None:  # noqa: F811
    x = DenseGraphs.from_features(every_graph(4))
    kernel = GraphKernel(4)
    g = kernel.canonicalize(x)
    assert torch.equal(g, kernel.canonicalize(x))
    alone = [kernel.canonicalize(x.select(torch.tensor([row]))) for row in range(len(x))]
    assert torch.equal(g, torch.cat(alone)), "it depends on the rest of the batch"
    assert bool(kernel.log_prob(g, x).isfinite().all())


def test_errors() -> None:
    kernel = CoupledGraphKernel(GraphKernel(4))
    x, y = (DenseGraphs.from_features(torch.zeros(1, n, n, dtype=torch.int64)) for n in (3, 2))
    with pytest.raises(ValueError, match=r"target: expected graphs of the sizes of x, \[3\], got \[2\]"):
        kernel.sample(x, y)
    for form in (x, x.sparse()):
        values = torch.tensor([[0.0, 1.0, torch.nan]])
        with pytest.raises(ValueError, match="target: expected finite values"):
            kernel.sample(form, values if form is x else values[0])
    large = DenseGraphs.from_features(torch.zeros(1, 5, 5, dtype=torch.int64))
    with pytest.raises(ValueError, match="x: expected graphs of at most max_nodes = 4 nodes; graph 0 has 5"):
        kernel.entropy(large, large)
