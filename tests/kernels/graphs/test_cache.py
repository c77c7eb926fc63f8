"""The cache draws what the kernel draws, and remembers by content."""

from __future__ import annotations

import pytest
import torch

from sympe.experiments.autoencoder.data import dataset
from sympe.graphs import DenseGraphs, content_hash
from sympe.kernels import CachedGraphKernel, GraphKernel
from sympe.kernels.base import check_count
from sympe.kernels.graphs.orders import NODE_ORDERS


def graphs() -> DenseGraphs:
    """Some random graphs, and one with too many automorphisms to list."""
    x = dataset("er", "test").select(torch.arange(60))
    pairs, mask = x.pairs.clone(), x.mask.clone()
    pairs[7] = 0
    return DenseGraphs.from_features(pairs, None, mask)


@pytest.mark.parametrize("order", NODE_ORDERS)
def test_it_draws_what_the_kernel_draws_whatever_it_has_seen(order: str) -> None:
    x = graphs()
    kernel = GraphKernel(16, order=order)
    assert kernel.cosets(x).too_many.nonzero().flatten().tolist() == [7]
    cached = CachedGraphKernel(kernel)
    cached.sample(x.select(torch.arange(20, 40)), generator=torch.Generator().manual_seed(9))
    for seed in (0, 0, 1):
        expected = kernel.sample(x, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(cached.sample(x, generator=torch.Generator().manual_seed(seed)), expected)
        assert torch.equal(cached.sample(x.sparse(), generator=torch.Generator().manual_seed(seed)), expected)
    torch.testing.assert_close(cached.log_prob(expected, x), -cached.entropy(x))


def test_graphs_are_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x = graphs()
    kernel = GraphKernel(16)
    asked: list[int] = []
    original = GraphKernel.cosets
    monkeypatch.setattr(GraphKernel, "cosets", lambda self, x: asked.append(len(x)) or original(self, x))
    cached = CachedGraphKernel(kernel)
    for _ in range(3):
        cached.sample(x)
    assert asked == [60]
    small = CachedGraphKernel(kernel, max_elements=1)  # forgets everything whenever something is new
    for index in (torch.arange(3), torch.arange(3, 6), torch.arange(3)):
        small.sample(x.select(index))
    assert asked == [60, 3, 3, 3]


def test_cosets_are_the_support_of_the_kernel() -> None:
    x = graphs().select(torch.arange(7))
    for order in NODE_ORDERS:
        kernel = GraphKernel(18, order=order)
        listed = kernel.cosets(x)
        assert bool((kernel.log_prob(listed.orders, x.select(listed.rows)) > -torch.inf).all())
        torch.testing.assert_close(listed.rows.bincount(minlength=7).double().log().float(), kernel.entropy(x))
        assert len(torch.cat([listed.rows[:, None], listed.orders], 1).unique(dim=0)) == len(listed.rows)


def test_hashes_are_of_the_content() -> None:
    x = dataset("er", "test")
    hashes = content_hash(x)
    assert torch.equal(content_hash(x.sparse()), hashes)
    cut = DenseGraphs(x.pairs[:1, :7, :7], x.colors[:1, :7], x.mask[:1, :7])
    assert torch.equal(content_hash(cut), hashes[:1])
    assert len(hashes.unique()) == len(x.pairs.flatten(1).unique(dim=0))
    one = x.select(torch.tensor([3]))
    for changed in (
        DenseGraphs(one.pairs * 2, one.colors, one.mask),
        DenseGraphs(one.pairs, one.colors + one.mask.long(), one.mask),
        DenseGraphs(
            torch.where(one.mask[:, :, None] & one.mask[:, None], one.pairs.roll(1, 1), 0), one.colors, one.mask
        ),
    ):
        assert int(content_hash(changed)) != int(content_hash(one))
    empty = DenseGraphs.from_features(
        torch.zeros(2, 4, 4, dtype=torch.int64), None, torch.arange(4) < torch.tensor([[2], [3]])
    )
    assert len(content_hash(empty).unique()) == 2  # the number of nodes counts


def test_hashes_read_every_bit_of_every_colour() -> None:
    """Floats' bits as integers differ in high bits: a hash linear in them gave 1,339 hashes for 2,145 graphs."""
    values = torch.linspace(0, 1, 66).view(torch.int32).long() << 32
    i, j = torch.ones(66, 66).triu().nonzero().T
    pairs = torch.zeros(len(i), 3, 3, dtype=torch.int64)
    pairs[:, 0, 1] = pairs[:, 1, 0] = values[i]
    pairs[:, 1, 2] = pairs[:, 2, 1] = values[j]
    x = DenseGraphs.from_features(pairs)
    assert len(content_hash(x).unique()) == len(pairs.flatten(1).unique(dim=0))
    assert torch.equal(content_hash(x.sparse()), content_hash(x))


def test_errors() -> None:
    with pytest.raises(ValueError, match="max_elements: expected at least 1, got 0"):
        CachedGraphKernel(GraphKernel(3), max_elements=0)
    with pytest.raises(ValueError, match="x: expected graphs of at most max_nodes = 3 nodes"):
        CachedGraphKernel(GraphKernel(3)).sample(graphs())


def test_known_and_new_graphs_in_one_batch_after_it_forgot() -> None:
    x = graphs().select(torch.arange(6))
    kernel = GraphKernel(16)
    small = CachedGraphKernel(kernel, max_elements=1)
    small.sample(x.select(torch.arange(4)))
    for index in (torch.arange(6), torch.tensor([0, 5])):
        some = x.select(index)
        expected = kernel.sample(some, generator=torch.Generator().manual_seed(0))
        assert torch.equal(small.sample(some, generator=torch.Generator().manual_seed(0)), expected)


def test_it_lists_no_more_than_the_limit() -> None:
    square = DenseGraphs.from_features(torch.tensor([[[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]]))
    cached = CachedGraphKernel(GraphKernel(4))
    assert len(cached.list_coset(square, limit=8)[1]) == 8
    with pytest.raises(ValueError, match=r"x: C\(x\) of input 0 has 8 elements, more than limit = 7"):
        cached.list_coset(square, limit=7)
    with pytest.raises(ValueError, match="limit: expected at least 1, got 0"):
        cached.list_coset(square, limit=0)


def test_counts_are_told_apart_to_the_last_element() -> None:
    check_count(torch.tensor([1_000_000.0]).double().log(), 1_000_000)
    with pytest.raises(ValueError, match="has 1,000,001 elements, more than limit = 1000000"):
        check_count(torch.tensor([1_000_001.0]).double().log(), 1_000_000)
