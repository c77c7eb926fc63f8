"""Batches of graphs: colours from features, errors, the two forms, relabelling."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sympe.actions import EdgeAction, NodeAction
from sympe.graphs import DenseGraphs, SparseGraphs, relabel
from sympe.graphs.checks import equal_graphs
from sympe.graphs.coloring import clusters, hashed, mix
from sympe.groups import Permutations
from sympe.tolerance import Tolerance


def ragged(directed: bool = False) -> DenseGraphs:
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randint(0, 3, (6, 5, 5), generator=generator)
    if not directed:
        pairs = pairs.triu() + pairs.triu(1).transpose(1, 2)
    nodes = torch.randint(0, 2, (6, 5), generator=generator)
    mask = torch.arange(5) < torch.tensor([5, 0, 1, 3, 4, 5])[:, None]
    return DenseGraphs.from_features(pairs, nodes, mask, directed=directed)


def same(a: Tensor) -> list[list[int]]:
    """Which entries share a colour."""
    return (a.flatten()[:, None] == a.flatten()).long().tolist()


def test_padding_is_cleared_and_sizes_are_counted() -> None:
    x = ragged()
    assert x.sizes.tolist() == [5, 0, 1, 3, 4, 5]
    outside = ~(x.mask[:, :, None] & x.mask[:, None])
    assert x.pairs[outside].abs().sum() == 0
    assert x.colors[~x.mask].abs().sum() == 0


@pytest.mark.parametrize("directed", [False, True])
def test_dense_and_sparse_say_the_same(directed: bool) -> None:
    x = ragged(directed)
    back = x.sparse().dense()
    assert torch.equal(back.pairs, x.pairs)
    assert torch.equal(back.colors, x.colors)
    assert torch.equal(back.mask, x.mask)
    assert bool(equal_graphs(x, x.sparse()).all())
    assert x.dense() is x


@pytest.mark.parametrize("directed", [False, True])
def test_relabelling_is_the_action_on_nodes_and_edges(directed: bool) -> None:
    x = ragged(directed)
    generator = torch.Generator().manual_seed(1)
    p = torch.stack(
        [torch.cat([torch.randperm(int(n), generator=generator), torch.arange(int(n), 7)]) for n in x.sizes]
    )
    moved = x.relabel(p)
    group = Permutations(5)
    assert torch.equal(moved.pairs[..., None], EdgeAction(group)(p[:, :5], x.pairs[..., None]))
    assert torch.equal(moved.colors[..., None], NodeAction(group)(p[:, :5], x.colors[..., None]))
    lists = x.sparse().relabel(p)
    assert bool(equal_graphs(moved, lists).all())
    assert torch.equal(lists.dense().pairs, moved.pairs)
    keys = lists.arcs[0] * len(lists.colors) + lists.arcs[1]
    assert bool((keys.diff() > 0).all()), "arcs are not sorted"
    assert not bool(equal_graphs(x, moved).all())  # the twin: something moved


def test_selection() -> None:
    x = ragged()
    index = torch.tensor([0, 3, 5])
    one, two = x.select(index), x.sparse().select(index)
    assert bool(equal_graphs(one, two).all())
    assert two.sizes.tolist() == [5, 3, 5]


@pytest.mark.parametrize("index", [[1, 0], [0, 0], [2, 1, 3, 3, 0], [], [5, 4, 4]])
def test_lists_are_selected_in_any_order_and_often(index: list[int]) -> None:
    x = ragged()
    chosen = torch.tensor(index, dtype=torch.int64)
    one, two = x.select(chosen), x.sparse().select(chosen)
    assert bool(equal_graphs(one, two).all())
    assert two.sizes.tolist() == x.sizes[chosen].tolist()
    keys = two.arcs[0] * max(len(two.colors), 1) + two.arcs[1]
    assert bool((keys.diff() > 0).all()), "arcs are not sorted"


@pytest.mark.parametrize("p", [[3, 2, 1, 0], [1, 0, 3, 2], [0, 0, 2, 3], [1, 2, 3, 4]])
def test_relabelling_leaves_the_padding_where_it_is(p: list[int]) -> None:
    """Else nodes went into it without a word, and the graph lost its arcs."""
    x = DenseGraphs.from_features((1 - torch.eye(4).long())[None], None, torch.arange(4)[None] < 3)
    for graphs in (x, x.sparse()):
        with pytest.raises(
            ValueError, match="p: expected permutations that leave the padding where it is; that of graph"
        ):
            relabel(torch.tensor([p]), graphs)
        assert bool(equal_graphs(graphs.relabel(torch.tensor([[2, 0, 1, 3]])), x).all())


def test_batches_of_any_width_become_one() -> None:
    x = ragged()
    parts = [x.select(torch.tensor(rows)).trimmed() for rows in ([1, 2], [3, 0], [4, 5])]
    whole = DenseGraphs.concatenate(parts)
    assert [part.mask.shape[1] for part in parts] == [1, 5, 5]
    assert torch.equal(whole.pairs, x.pairs[[1, 2, 3, 0, 4, 5]])
    assert torch.equal(whole.colors, x.colors[[1, 2, 3, 0, 4, 5]])
    assert torch.equal(whole.mask, x.mask[[1, 2, 3, 0, 4, 5]])
    with pytest.raises(ValueError, match="parts: expected at least one batch, got none"):
        DenseGraphs.concatenate([])


def test_equal_graphs_sees_every_difference() -> None:
    x = ragged()
    for change in ("color", "arc", "arc color", "no arc"):
        pairs, colors = x.pairs.clone(), x.colors.clone()
        if change == "color":
            colors[4, 0] += 1
        elif change == "arc":
            pairs[4] = torch.where((x.pairs[4] == 0) & x.mask[4] & x.mask[4][:, None], 7, x.pairs[4])
        elif change == "arc color":
            pairs[4] *= 2
        else:
            pairs[4] = 0
        other = DenseGraphs(pairs, colors, x.mask)
        assert equal_graphs(x, other).tolist() == [True] * 4 + [False, True], change


def test_integers_and_booleans_are_compared_as_they_are() -> None:
    edges = torch.tensor([[[0, 1], [1, 0]]])
    for dtype in (torch.bool, torch.uint8, torch.int32):
        x = DenseGraphs.from_features(edges.to(dtype), torch.tensor([[5, 6]], dtype=torch.int16))
        assert torch.equal(x.pairs, edges)
        assert x.colors.tolist() == [[5, 6]]


def test_channels_make_one_colour_and_zeros_no_edge() -> None:
    edges = torch.zeros(1, 3, 3, 2, dtype=torch.int64)
    edges[0, 0, 1] = edges[0, 1, 0] = torch.tensor([0, 1])
    edges[0, 0, 2] = edges[0, 2, 0] = torch.tensor([1, 0])
    x = DenseGraphs.from_features(edges)
    assert int((x.pairs != 0).sum()) == 4
    assert x.pairs[0, 0, 1] != x.pairs[0, 0, 2]
    nodes = torch.tensor([[[1, 2], [2, 1], [1, 2]]])
    assert same(DenseGraphs.from_features(edges, nodes).colors) == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]


def test_floats_are_clustered_in_each_graph_and_channel() -> None:
    values = torch.tensor([[0.0, 1.0, 1.0 + 5e-4, 2.0], [0.0, 1.0, 1.0 + 5e-3, 0.0]])
    edges = torch.zeros(2, 4, 4)
    x = DenseGraphs.from_features(edges, values, tolerance=1e-3)
    assert same(x.colors[0]) == [[1, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]]
    assert same(x.colors[1]) == [[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1]]
    alone = DenseGraphs.from_features(edges[1:], values[1:], tolerance=1e-3)
    assert torch.equal(alone.colors, x.colors[1:]), "the batch matters"
    exact = DenseGraphs.from_features(edges, values, tolerance=0.0)
    assert len(exact.colors[0].unique()) == 4


def test_float_edges_near_zero_are_no_edges() -> None:
    edges = torch.tensor([[[0.0, 1e-9, 1.0], [1e-9, 0.0, 1.0 - 1e-9], [1.0, 1.0 - 1e-9, 0.0]]], dtype=torch.float64)
    x = DenseGraphs.from_features(edges, tolerance=1e-6)
    assert (x.pairs != 0).long().tolist() == [[[0, 0, 1], [0, 0, 1], [1, 1, 0]]]
    assert len(x.pairs.unique()) == 2
    assert len(DenseGraphs.from_features(edges, tolerance=0.0).pairs.unique()) == 4


def test_clusters_are_chains_of_small_gaps() -> None:
    values = torch.tensor([0.0, 0.9, 1.8, 3.0])
    group = torch.zeros(4, dtype=torch.int64)
    joined = Tolerance(absolute=1.0)
    assert clusters(values, group, joined).tolist() == [0, 0, 0, 1]
    assert clusters(values.flip(0), group, joined).tolist() == [1, 0, 0, 0]
    assert clusters(values[:0], group[:0], joined).tolist() == []
    assert clusters(values, torch.tensor([1, 0, 1, 0]), joined).tolist() == [0, 0, 1, 1]


def test_hashes_tell_rows_apart() -> None:
    rows = torch.cartesian_prod(torch.arange(-20, 20), torch.arange(40), torch.arange(3))
    assert len(hashed(rows).unique()) == len(rows)
    assert int(hashed(rows).min()) > 0
    assert len(mix(torch.arange(-500, 500)).unique()) == 1000


def test_arcs_may_come_in_any_order_and_repeat() -> None:
    arcs = torch.tensor([[1, 0, 2, 1, 1], [0, 1, 1, 2, 0]])
    x = SparseGraphs.from_features(arcs, torch.tensor([3]), directed=True)
    assert x.arcs.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
    assert same(x.arc_colors) == [[1, 0, 1, 1], [0, 1, 0, 0], [1, 0, 1, 1], [1, 0, 1, 1]]  # (1, 0) is there twice
    features = torch.tensor([1, 1, 1, 1, 2])
    colored = SparseGraphs.from_features(arcs, torch.tensor([3]), None, features, directed=True)
    swapped = SparseGraphs.from_features(arcs, torch.tensor([3]), None, torch.tensor([2, 1, 1, 1, 1]), directed=True)
    assert torch.equal(colored.arc_colors, swapped.arc_colors)  # a multiset has no order
    with pytest.raises(ValueError, match="each arc of undirected graphs with its reverse"):
        SparseGraphs.from_features(arcs, torch.tensor([3]))


def test_sparse_features_of_any_kind() -> None:
    arcs = torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]])
    sizes = torch.tensor([2, 2])
    nodes = torch.tensor([[0.1, 1], [0.1 + 1e-8, 1], [0.5, 1], [0.7, 1]])
    x = SparseGraphs.from_features(arcs, sizes, nodes, torch.tensor([0.5, 0.5, 0.0, 0.0]), tolerance=1e-6)
    assert x.colors[0] == x.colors[1]
    assert x.colors[2] != x.colors[3]
    assert len(x.arcs[0]) == 4  # an arc with features 0 is an arc


DENSE_ERRORS = [
    ({"edges": torch.zeros(2, 3, dtype=torch.int64)}, ValueError, r"edges: expected shape \(batch, nodes, nodes\[, "),
    ({"edges": torch.zeros(2, 3, 4, dtype=torch.int64)}, ValueError, r"edges: expected shape .* got \(2, 3, 4\)"),
    ({"mask": torch.ones(2, 3)}, TypeError, r"mask: expected booleans, got torch\.float32"),
    ({"mask": torch.ones(3, 3, dtype=torch.bool)}, ValueError, r"mask: expected shape \(2, 3\), got \(3, 3\)"),
    (
        {"mask": torch.tensor([[True, False, True]] * 2)},
        ValueError,
        "mask: expected the real nodes before the padding",
    ),
    ({"nodes": torch.zeros(2, 4, dtype=torch.int64)}, ValueError, r"nodes: expected shape \(2, 3\)"),
    ({"nodes": torch.zeros(2, 3)}, ValueError, "nodes: floats need a tolerance"),
    ({"nodes": torch.full((2, 3), torch.nan), "tolerance": 0.1}, ValueError, "nodes: expected finite values, got NaN"),
    (
        {"nodes": torch.zeros(2, 3), "tolerance": -1.0},
        ValueError,
        r"tolerance: expected a finite number >= 0, got -1\.0",
    ),
    ({"nodes": torch.zeros(2, 3, dtype=torch.complex64)}, TypeError, "nodes: expected real numbers"),
    ({"edges": torch.tensor([[[0, 1, 0]] * 3] * 2)}, ValueError, r"graph 0 is not \(directed=True\?\)"),
]


@pytest.mark.parametrize(("change", "kind", "message"), DENSE_ERRORS)
def test_dense_errors(change: dict[str, object], kind: type[Exception], message: str, unchecked: None) -> None:
    arguments: dict[str, object] = {"edges": torch.zeros(2, 3, 3, dtype=torch.int64)}
    DenseGraphs.from_features(**arguments)
    with pytest.raises(kind, match=message):
        DenseGraphs.from_features(**(arguments | change))


SPARSE_ERRORS = [
    ({"arcs": torch.zeros(2, 2)}, TypeError, r"arcs: expected integers, got torch\.float32"),
    ({"sizes": torch.ones(2, dtype=torch.bool)}, TypeError, r"sizes: expected integers, got torch\.bool"),
    ({"arcs": torch.zeros(3, 2, dtype=torch.int64)}, ValueError, r"arcs: expected shape \(2, arcs\), got \(3, 2\)"),
    ({"sizes": torch.tensor([5, -1])}, ValueError, r"sizes: expected a vector of numbers >= 0, got \[5, -1\]"),
    ({"arcs": torch.tensor([[0, 4], [4, 0]])}, ValueError, r"arcs: expected nodes in 0\.\.3, got 0\.\.4"),
    ({"arcs": torch.tensor([[1, 2], [2, 1]])}, ValueError, "got an arc between two graphs of the batch"),
    ({"arcs": torch.tensor([[0], [1]])}, ValueError, r"with its reverse \(directed=True\?\)"),
    ({"features": torch.tensor([1, 2])}, ValueError, r"with its reverse \(directed=True\?\)"),
    ({"nodes": torch.zeros(3, dtype=torch.int64)}, ValueError, r"nodes: expected shape \(4,\) or \(4, channels\)"),
    ({"features": torch.zeros(2)}, ValueError, "features: floats need a tolerance"),
    ({"features": torch.tensor([0.0, torch.inf]), "tolerance": 0.1}, ValueError, "features: expected finite values"),
]


@pytest.mark.parametrize(("change", "kind", "message"), SPARSE_ERRORS)
def test_sparse_errors(change: dict[str, object], kind: type[Exception], message: str, unchecked: None) -> None:
    arguments: dict[str, object] = {"arcs": torch.tensor([[0, 1], [1, 0]]), "sizes": torch.tensor([2, 2])}
    SparseGraphs.from_features(**arguments)
    with pytest.raises(kind, match=message):
        SparseGraphs.from_features(**(arguments | change))


def test_permutations_that_do_not_fit_are_refused() -> None:
    x = ragged()
    for form in (x, x.sparse()):
        with pytest.raises(ValueError, match=r"p: expected shape \(6, nodes >= 5\), got \(6, 4\)"):
            form.relabel(torch.arange(4).expand(6, 4))


def test_other_devices() -> None:
    x = ragged()
    assert x.to("meta").device.type == x.sparse().to("meta").device.type == "meta"
    assert torch.equal(x.to("cpu").pairs, x.pairs)
