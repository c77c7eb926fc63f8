"""The cache draws what the kernel draws, and remembers by content."""

from __future__ import annotations

import pytest
import torch

from sympe.experiments.autoencoder.data import dataset
from sympe.graphs import DenseGraphs, contents
from sympe.graphs.coloring import mix
from sympe.kernels import CachedGraphKernel, CoupledGraphKernel, GraphKernel
from sympe.kernels.base import check_count
from sympe.kernels.graphs import cache
from sympe.kernels.graphs.hashes import mix_one
from sympe.kernels.graphs.orders import NODE_ORDERS
from sympe.randomness import seeded


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


def test_contents_tell_graphs_apart_and_nothing_else() -> None:
    x = dataset("er", "test")
    keys = contents(x)
    assert contents(x.sparse()) == keys
    cut = DenseGraphs(x.pairs[:1, :7, :7], x.colors[:1, :7], x.mask[:1, :7])
    assert contents(cut) == keys[:1]
    assert len(set(keys)) == len(x.pairs.flatten(1).unique(dim=0))
    one = x.select(torch.tensor([3]))
    for changed in (
        DenseGraphs(one.pairs * 2, one.colors, one.mask),
        DenseGraphs(one.pairs, one.colors + one.mask.long(), one.mask),
        DenseGraphs(one.pairs + (one.pairs != 0) * 2**16, one.colors, one.mask),  # the same in 16 bits
        DenseGraphs(one.pairs + (one.pairs != 0) * 2**62, one.colors, one.mask),
        DenseGraphs(
            torch.where(one.mask[:, :, None] & one.mask[:, None], one.pairs.roll(1, 1), 0), one.colors, one.mask
        ),
    ):
        assert contents(changed) != contents(one)
        assert contents(DenseGraphs.concatenate([changed, one])) == contents(changed) + contents(one)
    empty = DenseGraphs.from_features(
        torch.zeros(3, 4, 4, dtype=torch.int64), None, torch.arange(4) < torch.tensor([[0], [2], [3]])
    )
    assert len(set(contents(empty))) == 3  # the number of nodes counts


def unmixed(value: int) -> int:
    """The number that :func:`~sympe.graphs.coloring.mix` takes to ``value``."""
    bits = 2**64 - 1
    value &= bits
    for shift, factor in ((31, 0x94D049BB133111EB), (27, 0xBF58476D1CE4E5B9), (30, 1)):
        whole = value
        for _ in range(3):
            whole = value ^ (whole >> shift)
        value = whole * pow(factor, -1, 2**64) & bits
    value = (value - 0x9E3779B97F4A7C15) & bits
    return value - (value >> 63 << 64)


def test_two_graphs_that_shared_a_hash_do_not_share_an_answer() -> None:
    """The hash was linear in the mixed colours of nodes, and whoever came second was drawn from the coset of the first.

    Here are sixteen pairs of nodes without an edge that shared one; each has one canonical order, not all the same.
    """
    one, two = (mix_one(place) for place in (0, 1))
    pairs = [[unmixed(mix_one(5) + k * two), unmixed(mix_one(9) - k * one)] for k in range(16)]
    colors = torch.tensor(pairs)
    summed = (mix(torch.arange(2)) * mix(colors)).sum(1)
    assert len(colors.unique(dim=0)) == 16
    assert len(summed.unique()) == 1
    x = DenseGraphs.from_features(torch.zeros(16, 2, 2, dtype=torch.int64), colors)
    kernel = GraphKernel(2)
    expected = kernel.canonicalize(x)
    assert len(expected.unique(dim=0)) == 2
    for turn in (torch.arange(16), torch.arange(16).flip(0)):
        cached = CachedGraphKernel(kernel)
        drawn = torch.cat([cached.sample(x.select(turn[row : row + 1])) for row in range(16)])
        assert torch.equal(drawn, expected[turn])
    y = DenseGraphs.from_features(torch.ones(16, 2, 2, dtype=torch.int64))
    coupled = CoupledGraphKernel(kernel)
    assert bool(coupled.log_prob(coupled.sample(x, y), x, y).isfinite().all())
    assert bool((kernel.log_prob(coupled.sample(x, y), x) > -torch.inf).all())


def test_keys_of_few_bits_do_not_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: a cache that trusts short hashes gives one graph the answer of another."""
    x = graphs().select(torch.arange(7))
    expected = GraphKernel(16).sample(x, generator=seeded(0))
    assert torch.equal(CachedGraphKernel(GraphKernel(16)).sample(x, generator=seeded(0)), expected)
    monkeypatch.setattr(cache, "contents", lambda x: [key[:1] for key in contents(x)])
    assert not torch.equal(CachedGraphKernel(GraphKernel(16)).sample(x, generator=seeded(0)), expected)


def test_colliding_hashes_of_python_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dictionary compares its keys, whatever their hashes."""

    class Colliding(bytes):
        def __hash__(self) -> int:
            return 0

    x = graphs()
    expected = GraphKernel(16).sample(x, generator=seeded(0))
    monkeypatch.setattr(cache, "contents", lambda x: [Colliding(key) for key in contents(x)])
    cached = CachedGraphKernel(GraphKernel(16))
    for _ in range(2):
        assert torch.equal(cached.sample(x, generator=seeded(0)), expected)


def test_large_graphs_are_not_kept() -> None:
    """Nor is their content looked at, of which a graph of n nodes has n (n + 1) numbers."""
    large = DenseGraphs.from_features(torch.zeros(1, 70, 70, dtype=torch.int64))
    none = DenseGraphs.from_features(torch.zeros(1, 0, 0, dtype=torch.int64))
    x = DenseGraphs.concatenate([large, graphs().select(torch.arange(3)), none])
    kernel = GraphKernel(70)
    for limit in (1, 10**6):
        cached = CachedGraphKernel(kernel, max_elements=limit)
        for _ in range(3):
            assert torch.equal(cached.sample(x, generator=seeded(0)), kernel.sample(x, generator=seeded(0)))
        assert set(cached._spans) == {cache._LARGE, *contents(graphs().select(torch.arange(3))), *contents(none)}
    symmetric = DenseGraphs.from_features(torch.zeros(1, 12, 12, dtype=torch.int64))
    small = CachedGraphKernel(GraphKernel(12), max_elements=1)  # graphs that are not listed count as well
    for color in range(5):
        small.sample(DenseGraphs(symmetric.pairs, symmetric.colors + color, symmetric.mask))
    assert len(small._spans) <= 3


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_graph_without_nodes_changes_no_draw_of_the_others(place: int) -> None:
    """The kernel lists it, so that it takes a number of the generator; it took none here."""
    none = DenseGraphs.from_features(torch.zeros(1, 0, 0, dtype=torch.int64))
    parts = [DenseGraphs.from_features(torch.zeros(1, 4, 4, dtype=torch.int64)) for _ in range(2)]
    parts.insert(place, none)
    x, kernel = DenseGraphs.concatenate(parts), GraphKernel(4)
    cached = CachedGraphKernel(kernel)
    for seed in range(5):
        assert torch.equal(cached.sample(x, generator=seeded(seed)), kernel.sample(x, generator=seeded(seed)))


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
