"""The bound against the exact likelihood, on graphs so small that every trajectory can be enumerated."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

from sympe.diffusion import (
    CategoricalNoise,
    Features,
    GraphNoise,
    cosine_schedule,
    nll,
    nll_digress,
    reverse_times,
    sample_graphs,
    training_loss,
)
from sympe.diffusion.bound import denoising_loss
from sympe.diffusion.graphs import drawn, log_joint
from sympe.graphs import DenseGraphs
from sympe.testing.laws import require_fit

STEPS = 3
LOG_SIZES = torch.tensor([-torch.inf, -torch.inf, math.log(0.25), math.log(0.75)], dtype=torch.float64)


def graph_noise(kind: str) -> GraphNoise:
    """Two types of nodes and two of edges."""
    one = {
        "uniform": CategoricalNoise.uniform(2),
        "marginal": CategoricalNoise.marginal(torch.tensor([3, 1])),
        "absorbing": CategoricalNoise.absorbing(2),
    }[kind]
    return GraphNoise(one, one, cosine_schedule(STEPS)).double()


def log_probability(probabilities: Features, x: DenseGraphs) -> torch.Tensor:
    """Of all types of ``x``."""
    return log_joint(Features(probabilities.nodes.log(), probabilities.edges.log()), x)


def every_graph(types: int, n: int = 2) -> DenseGraphs:
    """All labelled graphs with n nodes."""
    pairs = torch.ones(n, n).triu(1).nonzero()
    table = torch.cartesian_prod(*[torch.arange(types)] * (n + len(pairs)))
    edges = torch.zeros(len(table), n, n, dtype=torch.int64)
    for column, (i, j) in enumerate(pairs.tolist()):
        edges[:, i, j] = edges[:, j, i] = table[:, n + column]
    return DenseGraphs(edges, table[:, :n], torch.ones(len(table), n, dtype=torch.bool))


class Table:
    """A denoiser with logits of its own for every noisy graph, time, and state of its randomness."""

    def __init__(self, types: int, states: int = 1, n: int = 2) -> None:
        self.types, self.states, self.n = types, states, n
        generator = torch.Generator().manual_seed(3)
        count = types ** (n + n * (n - 1) // 2)
        shape = (states, STEPS + 1, count)
        self.nodes = 2 * torch.randn(*shape, n, 2, generator=generator, dtype=torch.float64)
        edges = 2 * torch.randn(*shape, n, n, 2, generator=generator, dtype=torch.float64)
        self.edges = edges + edges.transpose(3, 4)

    def number(self, x: DenseGraphs) -> torch.Tensor:
        """Which of :func:`every_graph` each graph is."""
        i, j = torch.ones(self.n, self.n).triu(1).nonzero().T
        digits = torch.cat([x.colors, x.pairs[:, i, j]], 1)
        weights = self.types ** torch.arange(digits.shape[1] - 1, -1, -1)
        return (digits * weights).sum(1)

    def at(self, state: torch.Tensor, x: DenseGraphs, t: torch.Tensor) -> Features:
        key = state, t, self.number(x)
        return Features(self.nodes[key], self.edges[key])

    def __call__(self, x: DenseGraphs, t: torch.Tensor, *, generator: torch.Generator | None = None) -> Features:
        return self.at(torch.randint(self.states, (len(x),), generator=generator), x, t)


def likelihoods(table: Table, noise: GraphNoise, times: Sequence[int] = range(STEPS, -1, -1)) -> torch.Tensor:
    """p(x_0) of every graph with noisy types, given its size: the product of the matrices p(x_s | x_t)."""
    graphs = every_graph(noise.nodes.types)
    limit = Features(noise.nodes.limit.expand(len(graphs), 2, -1), noise.edges.limit.expand(len(graphs), 2, 2, -1))
    p = log_probability(limit, graphs).exp()
    for t, s in itertools.pairwise(times):
        p = p @ step_matrix(table, noise, t, s)
    return p


def step_matrix(table: Table, noise: GraphNoise, t: int, s: int) -> torch.Tensor:
    """Entry [x, y] is p(x_s = y | x_t = x), averaged over the states; 0 in rows that never occur."""
    graphs = every_graph(noise.nodes.types)
    count = len(graphs)
    x, y = graphs.select(torch.arange(count).repeat_interleave(count)), graphs.select(torch.arange(count).repeat(count))
    now, then = torch.full((count * count,), t), torch.full((count * count,), s)
    matrices = []
    for state in range(table.states):
        prediction = noise.predict(table.at(torch.full_like(now, state), x, now), x, now)
        matrices.append(log_probability(noise.reverse_probabilities(prediction, x, then, now), y).exp())
    return torch.stack(matrices).mean(0).view(count, count).nan_to_num(0.0)


def exact_bound(
    table: Table,
    noise: GraphNoise,
    number: int,
    average: str = "divergence",
    times: Sequence[int] = range(STEPS, -1, -1),
) -> float:
    """The bound of a chain for one clean graph, every expectation a sum; log p(n) left out.

    Over the states of the denoiser goes the mean of the divergence (one draw), of the "joint" probabilities (infinitely
    many draws), or of the "marginals" of each variable (which is not a model of the denoiser at all).
    """
    graphs = every_graph(noise.nodes.types)
    count = len(graphs)
    x0 = graphs.select(torch.full((count,), number))
    result = 0.0
    for t, s in itertools.pairwise(times):
        now, then = torch.full((count,), t), torch.full((count,), s)
        alpha = noise.schedule[now]
        q_t = log_probability(
            Features(
                noise.nodes.forward_probabilities(x0.colors, alpha[:, None]),
                noise.edges.forward_probabilities(x0.pairs, alpha[:, None, None]),
            ),
            graphs,
        ).exp()
        for row in q_t.nonzero().squeeze(1).tolist():
            x = graphs.select(torch.full((count,), row))
            q = log_probability(noise.reverse_probabilities(noise.certain(x0), x, then, now), graphs).exp()
            steps = []
            for state in range(table.states):
                prediction = noise.predict(table.at(torch.full_like(now, state), x, now), x, now)
                steps.append(noise.reverse_probabilities(prediction, x, then, now))
            joint = torch.stack([log_probability(step, graphs).exp() for step in steps])
            if average == "joint":
                joint = joint.mean(0, keepdim=True)
            elif average == "marginals":
                mean = Features(*(torch.stack(parts).mean(0) for parts in zip(*steps, strict=True)))
                joint = log_probability(mean, graphs).exp()[None]
            keep = q > 0
            result += float(q_t[row]) * float((q[keep] * (q[keep] / joint[:, keep]).log()).sum(1).mean())
    return result


@pytest.fixture(params=["uniform", "marginal", "absorbing"], name="noise")
def fixture_noise(request: pytest.FixtureRequest) -> GraphNoise:
    return graph_noise(request.param)


@pytest.fixture(params=[1, 3], name="table")
def fixture_table(request: pytest.FixtureRequest, noise: GraphNoise) -> Table:
    return Table(noise.nodes.types, request.param)


def clean_graphs(table: Table) -> Iterator[tuple[int, DenseGraphs]]:
    """Clean graphs up to isomorphism or so, with their numbers among the noisy ones."""
    graphs = every_graph(2)
    for row in (0, 3, 5):
        one = graphs.select(torch.tensor([row]))
        yield int(table.number(one)), one


def test_probabilities_of_clean_graphs_sum_to_one(table: Table, noise: GraphNoise) -> None:
    p = likelihoods(table, noise)
    assert float(p.sum()) == pytest.approx(1)
    clean = table.number(every_graph(2))
    assert float(p[clean].sum()) == pytest.approx(1), "a sample still has noise"


@pytest.mark.slow
def test_it_is_a_bound_and_the_estimate_is_unbiased(table: Table, noise: GraphNoise) -> None:
    p = likelihoods(table, noise)
    for number, clean in clean_graphs(table):
        exact, bound = -math.log(float(p[number])), exact_bound(table, noise, number)
        assert bound >= exact - 1e-9
        copies = clean.select(torch.zeros(20_000, dtype=torch.int64))
        found = nll(table, noise, copies, LOG_SIZES, generator=torch.Generator().manual_seed(0)) + LOG_SIZES[2]
        error = float(found.std()) / math.sqrt(len(copies))
        assert abs(float(found.mean()) - bound) < 5 * error + 1e-9  # false alarm 6e-7
        few = nll(table, noise, copies, LOG_SIZES, times=2, generator=torch.Generator().manual_seed(1)) + LOG_SIZES[2]
        assert abs(float(few.mean()) - bound) < 5 * float(few.std()) / math.sqrt(len(copies)) + 1e-9


def test_without_the_reconstruction_it_is_no_bound(noise: GraphNoise) -> None:
    """The broken twin: a denoiser that knows the graph until t = 2 and guesses at t = 1 pays for its guess alone."""
    table = Table(noise.nodes.types)
    graphs = every_graph(2)
    table.nodes[:, 2:] = 1e3 * torch.nn.functional.one_hot(graphs.colors[5], 2)
    table.edges[:, 2:] = 1e3 * torch.nn.functional.one_hot(graphs.pairs[5], 2)
    number = int(table.number(graphs)[5])
    whole = exact_bound(table, noise, number)
    table.nodes[:, 1] = table.nodes[:, 2]
    table.edges[:, 1] = table.edges[:, 2]
    without = exact_bound(table, noise, number)  # a perfect last step costs nothing, as one that is left out
    assert without < 1e-9 < 0.01 < whole
    assert -math.log(float(likelihoods(table, noise)[number])) == pytest.approx(0.0, abs=1e-9), "tight where it knows"


@pytest.mark.slow
def test_more_draws_tighten_it(noise: GraphNoise) -> None:
    """With three states: the estimates fall with K, and stay above the exact value."""
    table = Table(noise.nodes.types, states=3)
    p = likelihoods(table, noise)
    number, clean = next(iter(clean_graphs(table)))
    copies = clean.select(torch.zeros(20_000, dtype=torch.int64))
    means, errors = [], []
    for draws in (1, 2, 8, 32):
        found = nll(table, noise, copies, LOG_SIZES, draws=draws, generator=torch.Generator().manual_seed(draws))
        means.append(float((found + LOG_SIZES[2]).mean()))
        errors.append(float(found.std()) / math.sqrt(len(copies)))
    assert means[0] > means[1] > means[2] > means[3]
    assert means[3] > -math.log(float(p[number])) - 5 * errors[3]
    # with the randomness averaged out, one step is the row of the averaged matrix: the limit of many draws
    limit = exact_bound(table, noise, number, "joint")
    assert means[3] > limit - 5 * errors[3]
    assert means[3] - limit < 0.2 * (means[0] - limit)
    assert errors[3] < errors[0], "x_s is sampled for the gain of the mixture alone"


def test_draws_that_are_all_alike_gain_nothing(noise: GraphNoise) -> None:
    table, x = Table(noise.nodes.types), every_graph(2)
    one, four = (
        nll(table, noise, x, LOG_SIZES, times=1, draws=draws, generator=torch.Generator().manual_seed(0))
        for draws in (1, 4)
    )
    assert torch.allclose(one, four)


def test_averaging_marginals_is_another_model(noise: GraphNoise) -> None:
    """The broken twin of many draws: a product of averaged marginals forgets what g correlates."""
    table = Table(noise.nodes.types, states=3)
    number = int(table.number(every_graph(2).select(torch.tensor([0]))))
    joint, marginals = (exact_bound(table, noise, number, average) for average in ("joint", "marginals"))
    assert abs(joint - marginals) > 1e-3


@pytest.mark.slow
def test_g_that_does_not_know_the_graph_cannot_lower_the_best_bound(noise: GraphNoise) -> None:
    """A carbon, an oxygen and a bond, in either order: the marginals given x_t are best, and they do not need g."""
    graphs, noisy = every_graph(2), every_graph(noise.nodes.types)
    twins = graphs.select(torch.tensor([3, 5]))
    assert twins.colors.tolist() == [[0, 1], [1, 0]]
    best = Table(noise.nodes.types)
    numbers = best.number(twins).tolist()
    for t in range(1, STEPS + 1):
        weights = []
        for number in (3, 5):
            x0, alpha = graphs.select(torch.full((len(noisy),), number)), noise.schedule[torch.full((len(noisy),), t)]
            nodes = noise.nodes.forward_probabilities(x0.colors, alpha[:, None])
            edges = noise.edges.forward_probabilities(x0.pairs, alpha[:, None, None])
            weights.append(log_probability(Features(nodes, edges), noisy).exp() + 1e-12)
        share = torch.stack(weights) / sum(weights)  # P(x_0 | x_t)
        best.nodes[0, t] = torch.einsum(
            "ax,anc->xnc", share, torch.nn.functional.one_hot(twins.colors, 2).double()
        ).log()
        best.edges[0, t] = torch.einsum(
            "ax,anmc->xnmc", share, torch.nn.functional.one_hot(twins.pairs, 2).double()
        ).log()
    best.nodes.clamp_(min=-50)
    best.edges.clamp_(min=-50)

    def mean(table: Table) -> float:
        return sum(exact_bound(table, noise, number) for number in numbers) / 2

    floor = mean(best)
    for seed in range(3):
        for scale in (0.1, 1.0):
            generator, other = torch.Generator().manual_seed(seed), Table(noise.nodes.types, states=2)
            other.nodes = best.nodes + scale * torch.randn(other.nodes.shape, generator=generator, dtype=torch.float64)
            other.edges = best.edges.expand_as(other.edges)
            assert mean(other) > floor + 1e-4
    assert floor > math.log(2) + 0.01, (
        "and they miss the entropy of the graphs: given x_t the atoms are not independent"
    )


def test_digress_counts_pairs_twice_and_is_another_number() -> None:
    noise = graph_noise("marginal")
    table = Table(2)
    (_, clean), *_ = clean_graphs(table)
    copies = clean.select(torch.zeros(20_000, dtype=torch.int64))

    def certain(x: DenseGraphs, t: torch.Tensor, *, generator: torch.Generator | None = None) -> Features:
        return Features(
            1e3 * torch.nn.functional.one_hot(copies.colors, 2).double(),
            1e3 * torch.nn.functional.one_hot(copies.pairs, 2).double(),
        )

    generator = torch.Generator().manual_seed(0)
    for number in (nll, nll_digress):  # a denoiser that knows the graph: only its size costs
        assert torch.allclose(number(certain, noise, copies, LOG_SIZES, generator=generator), -LOG_SIZES[2])

    edges = GraphNoise(CategoricalNoise(torch.ones(1)), noise.edges, noise.schedule).double()
    copies = DenseGraphs(copies.pairs, torch.zeros_like(copies.colors), copies.mask)

    def guess(x: DenseGraphs, t: torch.Tensor, *, generator: torch.Generator | None = None) -> Features:
        return Features(torch.zeros(*x.colors.shape, 1).double(), torch.zeros(*x.pairs.shape, 2).double())

    schedule, limit = noise.schedule, noise.edges.limit
    expected, once = 0.0, 0.0
    for t in range(1, STEPS + 1):  # one pair without an edge, by matrices
        first = schedule[t - 1] * torch.eye(2) + (1 - schedule[t - 1]) * limit
        ratio = schedule[t] / schedule[t - 1]
        second = ratio * torch.eye(2) + (1 - ratio) * limit
        for x in (0, 1):
            weight = first[0] @ second[:, x]
            q = first[0] * second[:, x] / weight
            p = second[:, x] * (torch.tensor([0.5, 0.5]).double() @ first)
            mixed = torch.zeros(2, dtype=torch.float64)
            for clean_type in (0, 1):
                joint = first[clean_type] * second[:, x]
                mixed += 0.5 * joint / joint.sum()
            for model, weight_of_pair in ((p / p.sum(), 2), (mixed, 1)):
                keep = q > 0
                cost = float(weight) * weight_of_pair * float((q[keep] * (q[keep] / model[keep]).log()).sum())
                expected, once = (expected + cost, once) if weight_of_pair == 2 else (expected, once + cost)
    for number, exact in ((nll_digress, expected), (nll, once)):
        found = number(guess, edges, copies, LOG_SIZES, generator=torch.Generator().manual_seed(0)) + LOG_SIZES[2]
        assert abs(float(found.mean()) - exact) < 5 * float(found.std()) / math.sqrt(len(copies)) + 1e-9
    assert abs(expected - 2 * once) > 0.01, "not only the pairs are counted differently"


def test_digress_has_the_chain_that_is_sampled_under_absorbing_noise_alone(noise: GraphNoise) -> None:
    table, x = Table(noise.nodes.types), every_graph(noise.nodes.types)
    same = []
    for time in range(1, STEPS + 1):
        t = torch.full((len(x),), time)
        some = x if time < STEPS else noise.sample_limit(x.sizes)
        prediction = noise.predict(table(some, t), some, t)
        true = noise.reverse_probabilities(prediction, some, t - 1, t)
        theirs = noise.digress_probabilities(prediction, some, t - 1, t)
        assert torch.allclose(theirs.nodes.sum(-1), torch.ones(()).double()), "its steps are a chain, too"
        same.append(torch.allclose(true.nodes, theirs.nodes))
        same.append(torch.allclose(true.edges[:, 0, 1], theirs.edges[:, 0, 1]))
    assert all(same) == (noise.nodes.types == 3), "only absorbing noise has a type of its own"


@pytest.mark.parametrize("times", [(3, 2, 1, 0), (3, 2, 0), (3, 0)])
def test_samples_have_the_exact_distribution(noise: GraphNoise, times: tuple[int, ...]) -> None:
    """In all steps, or in fewer."""
    table = Table(noise.nodes.types, states=2)
    p = likelihoods(table, noise, times)
    generator = torch.Generator().manual_seed(0)
    start = noise.sample_limit(torch.full((20_000,), 2), generator=generator)
    found = sample_graphs(table, noise, start, steps=len(times) - 1, generator=generator)
    noise.check(found)
    counts = table.number(found).bincount(minlength=len(p))
    assert bool((counts[p == 0] == 0).all())
    require_fit(counts, p, 1e-6, "samples")
    with pytest.raises(AssertionError, match="samples: "):
        require_fit(counts, p.roll(1), 1e-6, "samples")


@pytest.mark.parametrize("times", [(3, 2, 0), (3, 1, 0), (3, 0)])
def test_a_chain_of_few_steps_has_a_bound_of_its_own(noise: GraphNoise, times: tuple[int, ...]) -> None:
    """Its mean is the sum over its coarse steps, and no less than the negative log-likelihood of what it samples."""
    table = Table(noise.nodes.types, states=2)
    p = likelihoods(table, noise, times)
    apart = 0.0
    for number, x in clean_graphs(table):
        exact, whole = exact_bound(table, noise, number, times=times), exact_bound(table, noise, number)
        assert exact > -math.log(float(p[number])) - 1e-6
        copies = x.select(torch.zeros(4000, dtype=torch.int64))
        found = nll(table, noise, copies, LOG_SIZES, chain=times, generator=torch.Generator().manual_seed(number))
        found = found + LOG_SIZES[2]
        error = float(found.std()) / math.sqrt(len(copies))
        assert abs(float(found.mean()) - exact) < 5 * error + 1e-4  # false alarm below 1e-6 a graph
        apart = max(apart, abs(exact - whole) / max(error, 1e-3))
    assert apart > 10, "the twin: the bound of all steps is another number"


def test_the_times_of_a_chain_may_be_given() -> None:
    noise, table = graph_noise("absorbing"), Table(3, states=2)
    start = noise.sample_limit(torch.full((500,), 2), generator=torch.Generator().manual_seed(1))
    by_number, by_times, others = (
        sample_graphs(table, noise, start, steps=steps, generator=torch.Generator().manual_seed(0))
        for steps in (2, [3, 2, 0], [3, 1, 0])
    )
    assert torch.equal(by_number.pairs, by_times.pairs)
    assert torch.equal(by_number.colors, by_times.colors)
    assert not torch.equal(by_number.pairs, others.pairs)


@pytest.mark.parametrize("spacing", ["times", "entries"])
def test_times_fall_from_the_last_to_0(spacing: str) -> None:
    limits = CategoricalNoise.uniform(3), CategoricalNoise.uniform(2)
    for last in (7, 50):
        noise = GraphNoise(*limits, cosine_schedule(last))
        for steps in range(1, last + 1):
            times = reverse_times(noise, steps, spacing)
            assert (times[0], times[-1], len(times)) == (last, 0, steps + 1)
            assert all(t > s for t, s in itertools.pairwise(times))


def test_equal_shares_are_equal() -> None:
    noise = GraphNoise(CategoricalNoise.uniform(3), CategoricalNoise.uniform(2), cosine_schedule(1000))
    for steps in (2, 5, 20):
        shares = noise.schedule[torch.tensor(reverse_times(noise, steps, "entries"))].diff()
        assert bool(((shares - 1 / steps).abs() < 0.002).all())
        twin = noise.schedule[torch.tensor(reverse_times(noise, steps))].diff()
        assert not bool(((twin - 1 / steps).abs() < 0.002).all()) or steps == 2


def test_x_T_may_be_known(noise: GraphNoise) -> None:
    x = every_graph(2).select(torch.arange(8).repeat(4))
    t = torch.arange(4).repeat_interleave(8)
    last = noise.sample_limit(x.sizes)
    seeds = [torch.Generator().manual_seed(0) for _ in range(2)]
    free, known = noise.sample(x, t, generator=seeds[0]), noise.sample(x, t, last=last, generator=seeds[1])
    for parts in ((free.colors, known.colors, last.colors), (free.pairs, known.pairs, last.pairs)):
        assert torch.equal(parts[1][:24], parts[0][:24])
        assert torch.equal(parts[1][24:], parts[2][24:])
    with pytest.raises(ValueError, match=r"last: expected graphs of the sizes of x, \[2, 2.*\], with the same padding"):
        noise.sample(x, t, last=noise.sample_limit(x.sizes + 1))


def test_padding_stays_empty_and_costs_nothing(noise: GraphNoise) -> None:
    small = every_graph(2).select(torch.tensor([5]))
    padded = DenseGraphs(
        torch.nn.functional.pad(small.pairs, (0, 2, 0, 2)),
        torch.nn.functional.pad(small.colors, (0, 2)),
        torch.nn.functional.pad(small.mask, (0, 2)),
    )

    def guess(x: DenseGraphs, t: torch.Tensor, *, generator: torch.Generator | None = None) -> Features:
        return Features(torch.zeros(*x.colors.shape, 2).double(), torch.zeros(*x.pairs.shape, 2).double())

    values = [
        nll(guess, noise, x.select(torch.zeros(20_000, dtype=torch.int64)), LOG_SIZES, generator=generator)
        for x, generator in ((small, torch.Generator().manual_seed(0)), (padded, torch.Generator().manual_seed(1)))
    ]
    error = math.hypot(*(float(value.std()) / math.sqrt(20_000) for value in values))
    assert abs(float(values[0].mean() - values[1].mean())) < 5 * error + 1e-9
    noisy = noise.sample(padded, torch.tensor([STEPS]))
    assert noisy.colors[0, 2:].tolist() == [0, 0]
    assert int(noisy.pairs[0, 2:].sum()) == int(noisy.pairs[0, :, 2:].sum()) == 0


def test_the_loss_is_that_of_the_true_types() -> None:
    noise = graph_noise("marginal")
    x = every_graph(2)

    def knows(y: DenseGraphs, t: torch.Tensor, *, generator: torch.Generator | None = None) -> Features:
        return Features(
            10 * torch.nn.functional.one_hot(x.colors, 2).double(),
            10 * torch.nn.functional.one_hot(x.pairs, 2).double(),
        )

    known = math.log1p(math.exp(-10))
    assert float(training_loss(knows, noise, x)) == pytest.approx(6 * known)
    assert float(training_loss(knows, noise, x, edge_weight=1.0)) == pytest.approx(2 * known)
    single = DenseGraphs(x.pairs[:, :1, :1], x.colors[:, :1], x.mask[:, :1])

    def guess(y: DenseGraphs, t: torch.Tensor, *, generator: torch.Generator | None = None) -> Features:
        return Features(torch.zeros(*y.colors.shape, 2), torch.zeros(*y.pairs.shape, 2))

    assert float(training_loss(guess, noise, single)) == pytest.approx(math.log(2)), "graphs without pairs"


def test_graphs_without_nodes_cost_nothing() -> None:
    none = DenseGraphs(torch.zeros(2, 0, 0).long(), torch.zeros(2, 0).long(), torch.zeros(2, 0, dtype=torch.bool))
    logits = Features(torch.zeros(2, 0, 2, requires_grad=True), torch.zeros(2, 0, 0, 2))
    loss = denoising_loss(logits, none)
    assert float(loss.detach()) == 0
    loss.backward()


class Far:
    """Logits so far apart that the smaller probability is 0 in every floating-point format."""

    def __init__(self, gap: float) -> None:
        self.gap = gap

    def __call__(self, x: DenseGraphs, t: torch.Tensor, *, generator: torch.Generator | None = None) -> Features:
        logits = torch.tensor([self.gap, 0.0])
        return Features(logits.expand(*x.colors.shape, 2), logits.expand(*x.pairs.shape, 2))


@pytest.mark.parametrize("draws", [1, 3])
@pytest.mark.parametrize("gap", [50.0, 104.0, 1e3, 1e6])
def test_logits_far_apart_cost_their_difference(gap: float, draws: int) -> None:
    """Under absorbing noise in one step, of a graph that is nothing of what is predicted: two nodes and a pair."""
    noise = CategoricalNoise.absorbing(2)
    x = every_graph(2).select(torch.tensor([7]))
    found = nll(Far(gap), GraphNoise(noise, noise, torch.tensor([1.0, 0.0])), x, LOG_SIZES, draws=draws)
    assert float(found) == pytest.approx(3 * gap - math.log(0.25), rel=1e-12)


@pytest.mark.slow
def test_single_precision_adds_nothing_over_many_steps() -> None:
    """At T = 500, against a network and a noise in double precision: it was 0.004 nats too high a molecule."""
    limit = CategoricalNoise.marginal(torch.tensor([3, 1]))
    noise = GraphNoise(limit, limit, cosine_schedule(500))
    x = DenseGraphs(torch.zeros(4, 9, 9).long(), torch.zeros(4, 9).long(), torch.ones(4, 9, dtype=torch.bool))
    sizes = torch.full((10,), math.log(0.1))
    found = nll(Far(3.0), noise, x, sizes, generator=torch.Generator().manual_seed(0))
    exact = nll(Far(3.0), _wide(noise), x, sizes, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-4)


def _wide(noise: GraphNoise) -> GraphNoise:
    """With float32's own numbers, so that the same graphs are drawn."""

    class Wide(GraphNoise):
        def sample(self, x: DenseGraphs, t: torch.Tensor, **options: Any) -> DenseGraphs:
            return noise.sample(x, t, **options)

    return Wide(copy.deepcopy(noise.nodes), copy.deepcopy(noise.edges), noise.schedule).double()


def test_drawn_graphs_are_undirected() -> None:
    p = Features(torch.full((7, 5, 3), 1 / 3), torch.full((7, 5, 5, 3), 1 / 3))
    x = drawn(p, torch.ones(7, 5, dtype=torch.bool), torch.Generator().manual_seed(0))
    assert torch.equal(x.pairs, x.pairs.transpose(1, 2))
    assert int(x.pairs.diagonal(dim1=1, dim2=2).sum()) == 0
    assert x.pairs.unique().tolist() == x.colors.unique().tolist() == [0, 1, 2]


def test_errors() -> None:
    noise, table = graph_noise("absorbing"), Table(3)
    x = every_graph(2)
    with pytest.raises(ValueError, match="draws: expected at least 1, got 0"):
        nll(table, noise, x, LOG_SIZES, draws=0)
    with pytest.raises(ValueError, match="times: expected 1 to 3, got 4"):
        nll(table, noise, x, LOG_SIZES, times=4)
    with pytest.raises(ValueError, match="log_sizes: graph 0 has 2 nodes, a size of probability 0"):
        nll(table, noise, x, torch.tensor([0.0, 0.0]))
    with pytest.raises(ValueError, match="x: expected edge types 0 to 1, got 0 to 2"):
        nll(table, noise, DenseGraphs(2 * x.pairs, x.colors, x.mask), LOG_SIZES)
    with pytest.raises(ValueError, match="x: expected node types 0 to 1, got 0 to 2"):
        nll_digress(table, noise, DenseGraphs(x.pairs, 2 * x.colors, x.mask), LOG_SIZES)
    with pytest.raises(ValueError, match="x: expected undirected graphs without self-loops"):
        noise.check(DenseGraphs(x.pairs.triu(), x.colors, x.mask))
    with pytest.raises(ValueError, match="x: expected undirected graphs without self-loops"):
        noise.check(DenseGraphs(torch.ones_like(x.pairs), x.colors, x.mask))
    with pytest.raises(ValueError, match="steps: expected 1 to 3, got 9"):
        sample_graphs(table, noise, noise.sample_limit(torch.tensor([2])), steps=9)
    for chain in ([3, 1], [2, 0], [3, 1, 1, 0], [3], [3, 0, 1]):
        with pytest.raises(ValueError, match="chain: expected times that fall from 3 to 0, got "):
            nll(table, noise, x, LOG_SIZES, chain=chain)
        with pytest.raises(ValueError, match="chain: expected times that fall from 3 to 0, got "):
            sample_graphs(table, noise, noise.sample_limit(torch.tensor([2])), steps=chain)
    with pytest.raises(ValueError, match="times: expected 1 to 2, got 3"):
        nll(table, noise, x, LOG_SIZES, chain=[3, 1, 0], times=3)
    with pytest.raises(ValueError, match="steps: expected 1 to 3, got 0"):
        reverse_times(noise, 0)
    with pytest.raises(ValueError, match="x: expected graphs of at least 1 node, got one of 0"):
        sample_graphs(table, noise, noise.sample_limit(torch.tensor([2, 0])))
    for schedule in ([1.0], [1.0, 0.5], [0.9, 0.0], [1.0, 0.2, 0.5, 0.0], [1.0, 0.0, 0.0]):
        with pytest.raises(ValueError, match="schedule: expected shares that fall from 1 to 0, got "):
            GraphNoise(noise.nodes, noise.edges, torch.tensor(schedule))
