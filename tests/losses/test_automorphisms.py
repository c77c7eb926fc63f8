"""The automorphisms of small graphs: all that permutations find, each once, whichever way they are listed."""

from __future__ import annotations

import itertools
from typing import Any

import networkx as nx
import pytest
import torch
from torch import Tensor

from sympe.graphs import DenseGraphs, SparseGraphs
from sympe.losses import automorphisms as module
from sympe.losses.automorphisms import automorphisms


def graphs() -> tuple[SparseGraphs, list[Tensor]]:
    """Regular ones, trees and sparse ones, of which some have loops or one-way arcs; and the adjacency of each."""
    generator = torch.Generator().manual_seed(0)
    made = [nx.random_regular_graph(3, 6, seed=seed) for seed in range(4)]
    made += [nx.gnp_random_graph(6, 0.3, seed=seed) for seed in range(6)]
    made += [nx.random_labeled_tree(7, seed=1), nx.cycle_graph(6), nx.empty_graph(1), nx.empty_graph(4)]
    made += [nx.disjoint_union(nx.path_graph(3), nx.path_graph(3)), nx.complete_graph(4), nx.path_graph(2)]
    found = []
    for graph in made:
        pairs = torch.tensor(nx.to_numpy_array(graph)).long()
        n = len(pairs)
        loops = torch.diag(torch.randint(2, (n,), generator=generator))
        found += [pairs, pairs + loops, pairs * torch.randint(3, (n, n), generator=generator)]
    n = max(map(len, found))
    edges, mask = torch.zeros(len(found), n, n).long(), torch.zeros(len(found), n, dtype=torch.bool)
    for row, pairs in enumerate(found):
        edges[row, : len(pairs), : len(pairs)], mask[row, : len(pairs)] = pairs, True
    return DenseGraphs.from_features(edges, mask=mask, directed=True).sparse(), found


def by_force(pairs: Tensor) -> set[tuple[int, ...]]:
    every = torch.tensor(list(itertools.permutations(range(len(pairs)))))
    same = (pairs[every[:, :, None], every[:, None]] == pairs).flatten(1).all(1)
    return {tuple(p) for p in every[same].tolist()}


def law() -> None:
    x, found = graphs()
    rows, images = automorphisms(x, limit=1000)
    assert torch.equal(rows, rows.sort().values)
    for row, pairs in enumerate(found):
        n = len(pairs)
        listed = [tuple(image[:n]) for image in images[rows == row].tolist()]
        assert len(listed) == len(set(listed))
        assert set(listed or [tuple(range(n))]) == by_force(pairs)
        assert all(image[n:] == list(range(n, len(image))) for image in images[rows == row].tolist())
        alone, images_alone = automorphisms(x.select(torch.tensor([row])), limit=1000)
        assert len(alone) == len(listed)
        assert {tuple(image) for image in images_alone.tolist()} == set(listed)


@pytest.mark.parametrize(("small", "wide"), [(32, 256), (0, 256), (32, 3), (5, 8)])
def test_they_are_all_whoever_lists_them(small: int, wide: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL", small)
    monkeypatch.setattr(module, "WIDE", wide)
    law()


def test_a_twin_that_looks_at_colours_only_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = module._packed

    def blind(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
        order, rank, pairs = packed(*args)
        return order, rank, torch.zeros_like(pairs)

    monkeypatch.setattr(module, "_packed", blind)
    with pytest.raises(AssertionError):
        law()


def test_more_than_the_limit_are_refused_by_the_number_of_the_graph() -> None:
    edges = torch.zeros(2, 5, 5).long()
    edges[1] = 1 - torch.eye(5).long()
    edges[0, 0, 1] = edges[0, 1, 2] = edges[0, 2, 3] = edges[0, 3, 4] = 1
    x = DenseGraphs.from_features(edges, directed=True).sparse()
    rows, images = automorphisms(x, limit=120)
    assert rows.tolist() == [1] * 120
    assert images.shape == (120, 5)
    with pytest.raises(ValueError, match="input 1 has 120 elements, more than limit = 119"):
        automorphisms(x, limit=119)
    with pytest.raises(ValueError, match="limit: expected at least 1, got 0"):
        automorphisms(x, limit=0)
