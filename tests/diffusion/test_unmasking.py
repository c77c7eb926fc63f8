"""Chains by places: their likelihood is that of their samples, they move with g, and the search finds its answer."""

from __future__ import annotations

import itertools

import pytest
import torch

from sympe.diffusion import (
    CategoricalNoise,
    Features,
    GraphNoise,
    Unmasking,
    cosine_schedule,
    fit_unmasking,
    sample_by_unmasking,
    unmasking_nll,
)
from sympe.graphs import DenseGraphs
from tests.diffusion.test_bound import LOG_SIZES, STEPS, Table, every_graph, graph_noise

TABLES = (
    Unmasking(torch.tensor([[0, 0], [0, 0]])),
    Unmasking(torch.tensor([[0, 1], [1, 0]])),
    Unmasking(torch.tensor([[0, 1], [1, 2]])),
    Unmasking(torch.tensor([[1, 0], [0, 0]])),
)
BOTH = torch.tensor([[0, 1], [1, 0]])


class Told(Table):
    """A denoiser that knows g: another state for every g."""

    def __init__(self, g: torch.Tensor) -> None:
        super().__init__(types=3, states=2)
        self.g = g

    def __call__(self, x: DenseGraphs, t: torch.Tensor, *, generator: torch.Generator | None = None) -> Features:
        return self.at(self.g[:, 0], x, t)


def likelihoods(table: Unmasking, g: torch.Tensor, judged: torch.Tensor | None = None) -> torch.Tensor:
    """p(x_0 | g) of every clean graph of two nodes, and p(n) times that."""
    x = every_graph(2)
    g = g.expand(len(x), 2)
    judged = g if judged is None else judged.expand(len(x), 2)
    return (-unmasking_nll(Told(g), graph_noise("absorbing"), x, LOG_SIZES, table, judged)).exp()


@pytest.mark.parametrize("table", TABLES, ids=str)
@pytest.mark.parametrize("g", BOTH, ids=str)
def test_every_g_has_a_law_and_samples_follow_it(table: Unmasking, g: torch.Tensor) -> None:
    """False alarms: with six standard errors of eight frequencies below 1e-7."""
    law = likelihoods(table, g)
    torch.testing.assert_close(law.sum(), torch.tensor(0.25, dtype=torch.float64))  # p(n = 2)
    law = 4 * law
    count, noise = 4000, graph_noise("absorbing")
    masked = noise.sample_limit(torch.full((count,), 2))
    found = sample_by_unmasking(
        Told(g.expand(count, 2)), noise, masked, table, g.expand(count, 2), generator=torch.Generator().manual_seed(0)
    )
    clean = every_graph(2)
    same = (found.colors[:, None] == clean.colors).all(2) & (found.pairs[:, None] == clean.pairs).all(3).all(2)
    frequency = same.double().mean(0)

    def fits(law: torch.Tensor) -> bool:
        return bool(((frequency - law).abs() < 6 * (law * (1 - law) / count).sqrt()).all())

    assert fits(law)
    if table.steps > 1:
        assert not all(fits(4 * likelihoods(other, g)) for other in TABLES), "a twin: another chain has another law"


def test_a_step_is_judged_on_what_came_before_it_alone() -> None:
    """By hand: the two nodes first, then the pair."""
    x, g = every_graph(2), BOTH[:1].expand(8, 2)
    told, noise = Told(g), graph_noise("absorbing")
    masked = DenseGraphs(torch.tensor([[0, 2], [2, 0]]).expand(8, 2, 2), torch.full((8, 2), 2), x.mask)
    half = DenseGraphs(masked.pairs, x.colors, x.mask)
    times = TABLES[1].times(noise)
    assert times.tolist() == [STEPS, 1]  # none known; two of three
    first, then = told(masked, times[:1].expand(8)), told(half, times[1:].expand(8))
    nodes = first.nodes.log_softmax(2).gather(2, x.colors[..., None]).sum((1, 2))
    pair = then.edges.log_softmax(3)[torch.arange(8), 0, 1, x.pairs[:, 0, 1]]
    expected = -(nodes + pair + LOG_SIZES[2])
    torch.testing.assert_close(unmasking_nll(told, noise, x, LOG_SIZES, TABLES[1], g), expected)


def test_what_is_masked_moves_with_the_graph_and_g() -> None:
    generator = torch.Generator().manual_seed(0)
    noise, n = graph_noise("absorbing"), 4
    upper = torch.randint(2, (6, n, n), generator=generator).triu(1)
    mask = torch.arange(n) < torch.tensor([4, 4, 4, 3, 2, 1])[:, None]
    pairs = (upper + upper.transpose(1, 2)) * mask[:, :, None] * mask[:, None]
    x = DenseGraphs(pairs, torch.randint(2, (6, n), generator=generator) * mask, mask)
    table = Unmasking(torch.tensor([[0, 1, 2, 3], [1, 2, 0, 3], [2, 0, 1, 0], [3, 3, 0, 3]]))
    identity = torch.arange(n).expand(6, n)

    def drawn() -> torch.Tensor:
        rows = [
            torch.cat([torch.randperm(int(size), generator=generator), torch.arange(int(size), n)]) for size in x.sizes
        ]
        return torch.stack(rows)

    g, h = drawn(), drawn()
    differs = False
    for number in range(table.steps):
        step = torch.full((6,), number)
        moved = table.before(noise, x, g, step).relabel(h)
        again = table.before(noise, x.relabel(h), h.gather(1, g), step)
        assert torch.equal(moved.pairs, again.pairs)
        assert torch.equal(moved.colors, again.colors)
        forgets = table.before(noise, x.relabel(h), identity, step)
        differs = differs or not torch.equal(moved.pairs, forgets.pairs)
    assert differs, "a twin that forgets g"
    settled = table.of(g)
    assert torch.equal(settled[torch.arange(6), g[:, 2], g[:, 0]], table.table[2, 0].expand(6))
    assert torch.equal(settled[torch.arange(6), g[:, 1], g[:, 1]], table.table[1, 1].expand(6))


def test_padding_is_neither_masked_nor_counted() -> None:
    noise, table = graph_noise("absorbing"), TABLES[2]
    small = DenseGraphs(torch.zeros(1, 2, 2).long(), torch.ones(1, 2).long(), torch.tensor([[True, True]]))
    padded = DenseGraphs(torch.zeros(1, 4, 4).long(), torch.tensor([[1, 1, 0, 0]]), torch.arange(4)[None] < 2)
    larger = Unmasking(torch.tensor([[0, 1, 0, 0], [1, 2, 0, 0], [0, 0, 0, 3], [0, 0, 3, 0]]))
    alone, among = torch.arange(2)[None], torch.arange(4)[None]
    for number in range(3):
        step = torch.tensor([number])
        a, b = table.before(noise, small, alone, step), larger.before(noise, padded, among, step)
        assert torch.equal(a.pairs, b.pairs[:, :2, :2])
        assert torch.equal(a.colors, b.colors[:, :2])
        assert not bool(b.colors[:, 2:].any() or b.pairs[:, 2:].any())
        logits = Features(torch.randn(1, 4, 2), torch.randn(1, 4, 4, 2))
        cut = Features(logits.nodes[:, :2], logits.edges[:, :2, :2])
        torch.testing.assert_close(
            table.log_likelihood(cut, small, alone, step), larger.log_likelihood(logits, padded, among, step)
        )


def test_the_search_takes_apart_what_belongs_together() -> None:
    """Two nodes of equal types and a pair at random; the denoiser knows the law. Apart, they cost one coin less."""
    x, g = every_graph(2), BOTH[:1]
    equal = x.colors[:, 0] == x.colors[:, 1]
    x = x.select(equal.nonzero().squeeze(1))
    noise = graph_noise("absorbing")

    def knows(x: DenseGraphs, t: torch.Tensor, *, generator: torch.Generator | None = None) -> Features:
        other = x.colors.flip(1)[..., None]
        certain = 20.0 * (torch.arange(2) == other)
        return Features(torch.where(other < 2, certain, 0.0), torch.zeros(*x.pairs.shape, 2))

    start = Unmasking(torch.tensor([[0, 1], [1, 0]]))
    g = g.expand(len(x), 2)
    found = fit_unmasking(knows, noise, x, g, start, generator=torch.Generator().manual_seed(0))
    before, after = (unmasking_nll(knows, noise, x, LOG_SIZES, table, g).mean() for table in (start, found))
    coin = torch.tensor(2.0, dtype=torch.float64).log()
    torch.testing.assert_close(before - after, coin, atol=1e-6, rtol=0)
    assert found.table[0, 0] != found.table[1, 1]
    assert found.steps == start.steps
    again = fit_unmasking(knows, noise, x, g, found)
    assert torch.equal(again.table, found.table), "there is nothing left to win"


def test_a_denoiser_is_told_the_nearest_time() -> None:
    table = Unmasking(torch.tensor([[0, 1, 2], [1, 0, 1], [2, 1, 2]]))  # 2, 2 and 2 of 6
    noise = GraphNoise(CategoricalNoise.absorbing(2), CategoricalNoise.absorbing(2), cosine_schedule(100))
    assert table.times(noise).tolist() == [100, 61, 39]
    own = GraphNoise(CategoricalNoise.absorbing(2), CategoricalNoise.absorbing(2), table.shares.flip(0))
    assert table.times(own).tolist() == [3, 2, 1]


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(ValueError, match=r"table: expected a symmetric matrix of whole numbers, got \[\[0, 1\]"):
        Unmasking(torch.tensor([[0, 1], [0, 1]]))
    for wrong in ([[0, 2], [2, 0]], [[1, 1], [1, 1]], [[-1, 0], [0, 0]]):
        with pytest.raises(ValueError, match=r"table: expected every step from 0 to k - 1 at least once, got \["):
            Unmasking(torch.tensor(wrong))
    with pytest.raises(ValueError, match="g: expected permutations of 2 places, got 3"):
        TABLES[0].of(torch.arange(3)[None])


@pytest.mark.parametrize("kind", ["uniform", "marginal"])
def test_noise_that_masks_nothing_is_refused(kind: str) -> None:
    x = every_graph(2)
    with pytest.raises(ValueError, match=r"noise: expected absorbing noise, for another masks nothing; got \["):
        TABLES[0].before(graph_noise(kind), x, BOTH[:1].expand(8, 2), torch.zeros(8).long())
    with pytest.raises(ValueError, match="noise: expected absorbing noise"):
        TABLES[0].times(graph_noise(kind))


def test_searches_that_do_nothing_are_refused() -> None:
    x, g = every_graph(2), BOTH[:1].expand(8, 2)
    with pytest.raises(ValueError, match="sweeps: expected at least 1, got 0"):
        fit_unmasking(Told(g), graph_noise("absorbing"), x, g, TABLES[0], sweeps=0)


def test_tables_of_one_law_are_told_apart() -> None:
    """What the exact tests above rest on: the laws of different tables differ."""
    laws = [likelihoods(table, BOTH[0]) for table in TABLES]
    assert all(not torch.allclose(a, b) for a, b in itertools.combinations(laws, 2))
