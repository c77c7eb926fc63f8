"""The bound of a coupled model against its exact likelihood; samples and what is said of them."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest
import torch

from sympe.diffusion import Features, Unmasking, denoising_loss, unmasking_nll
from sympe.experiments.molecules import chains, evaluation, tables
from sympe.experiments.molecules import model as model_module
from sympe.experiments.molecules.chains import Chain, chains_of
from sympe.experiments.molecules.chemistry import molecule_from_types, smiles_of, types_of
from sympe.experiments.molecules.config import CODE_VERSION
from sympe.experiments.molecules.data import Molecules
from sympe.experiments.molecules.evaluation import bound, drawing, entropies, estimate, sample, shuffling
from sympe.experiments.molecules.model import MoleculeModel, Statistics
from sympe.experiments.molecules.quality import sample_metrics, smiles
from sympe.files.smiles import molecule_from_smiles
from sympe.graphs import DenseGraphs
from sympe.testing.laws import require_fit
from tests.diffusion.test_bound import every_graph, log_probability
from tests.experiments.molecules.test_model import COUNTS, TINY, build, ring

PAIR = Statistics(torch.tensor([1, 1]), torch.tensor([1, 1]), torch.tensor([0, 0, 1]))


def molecules_of(x: DenseGraphs) -> Molecules:
    kinds = x.colors.to(torch.int8), x.pairs.to(torch.int8)
    return Molecules(*kinds, x.sizes, [""] * len(x), [], ("C", "O"))


@torch.no_grad()
def exact_likelihoods(
    model: MoleculeModel, times: Sequence[int] | None = None, temperature: float = 1.0
) -> torch.Tensor:
    """p(x_0) of every graph of two nodes, by a coupled model in a chain, every sum carried out."""
    kernel, noise = model.encoding.kernel, model.noise
    graphs = every_graph(noise.nodes.types)
    count = len(graphs)
    x, y = graphs.select(torch.arange(count).repeat_interleave(count)), graphs.select(torch.arange(count).repeat(count))
    limit = Features(noise.nodes.limit.expand(count, 2, -1), noise.edges.limit.expand(count, 2, 2, -1))
    result = torch.zeros(count)
    for order in ([0, 1], [1, 0]):
        g = torch.tensor([order])
        drawn = -math.log(2) if model.encoding.forgets else kernel.log_prob(g.expand(count, 2), graphs)
        p = (log_probability(limit, graphs) + drawn).exp()
        for t, s in itertools.pairwise(times or range(noise.steps, -1, -1)):
            now = torch.full((count * count,), t)
            logits = Features(*(part / temperature for part in model(x, now, g=g.expand(len(x), 2))))
            step = noise.reverse_probabilities(noise.predict(logits, x, now), x, torch.full_like(now, s), now)
            p = p @ log_probability(step, y).exp().view(count, count).nan_to_num(0.0)
        result += p
    return result


def number_of(model: MoleculeModel, colors: list[int]) -> int:
    """Which of the graphs with noisy types is that of two clean atoms and a bond."""
    graphs = every_graph(model.noise.nodes.types)
    right = (graphs.colors == torch.tensor(colors)).all(1) & (graphs.pairs[:, 0, 1] == 1)
    return int(right.nonzero())


@pytest.fixture(
    scope="module", name="coupled", params=["absorbing", "marginal", "haar"], ids=["absorbing", "marginal", "haar"]
)
def fixture_coupled(request: pytest.FixtureRequest) -> MoleculeModel:
    """A coupled model that has learned a C, an O and a bond, in either order, and sometimes two C and a bond."""
    kind = {"encoding": "haar"} if request.param == "haar" else {"transition": request.param}
    config = dataclasses.replace(TINY, coupled=True, times=3, **kind)
    torch.manual_seed(0)
    model = MoleculeModel(config, PAIR)
    numbers = torch.tensor([number_of(model, colors) for colors in ([0, 1], [1, 0], [0, 0])])
    clean = every_graph(model.noise.nodes.types).select(numbers.repeat_interleave(torch.tensor([24, 24, 16])))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    generator = torch.Generator().manual_seed(0)
    for _ in range(150):
        t = torch.randint(1, 4, (64,), generator=generator)
        last = model.noise.sample_limit(clean.sizes, generator=generator)
        g = model.encoding.of_chain(last, clean, generator=generator)
        loss = denoising_loss(model(model.noise.sample(clean, t, last=last, generator=generator), t, g=g), clean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@pytest.mark.slow
@torch.no_grad()
def test_the_bound_of_a_coupled_model_is_one(coupled: MoleculeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where x_T has a symmetry that x_0 has not, and where x_0 has one that x_T has not."""
    monkeypatch.setattr(evaluation, "at_once", lambda device: 5000)  # of two atoms: faster
    p = exact_likelihoods(coupled)
    assert float(p.sum()) == pytest.approx(1, abs=1e-5)
    assert float(sum(p[number_of(coupled, colors)] for colors in ([0, 1], [1, 0], [0, 0]))) > 0.9, "it has learned"
    for colors in ([0, 1], [0, 0]):
        number = number_of(coupled, colors)
        exact = -math.log(float(p[number]))
        assert exact > 0.6, "three labelled graphs share the probability"
        copies = molecules_of(every_graph(coupled.noise.nodes.types).select(torch.full((20_000,), number)))
        found = bound(coupled, copies, times=3, generator=torch.Generator().manual_seed(0))
        error = float(found.std()) / math.sqrt(len(copies))
        assert float(found.mean()) > exact - 5 * error - 1e-4
        assert float(found.mean()) < exact + 0.3, "it is nearly tight for a model that has learned"
        if coupled.config.transition == "absorbing" and colors == [0, 1]:
            assert float(found.mean()) - math.log(2) < exact - 0.3, "without the price of g it would not be a bound"


@pytest.mark.slow
@torch.no_grad()
def test_so_is_that_of_a_chain_of_few_steps(coupled: MoleculeModel) -> None:
    for times in ([3, 1, 0], [3, 0]):
        p = exact_likelihoods(coupled, times)
        for colors in ([0, 1], [0, 0]):
            number = number_of(coupled, colors)
            exact = -math.log(float(p[number]))
            copies = molecules_of(every_graph(coupled.noise.nodes.types).select(torch.full((5_000,), number)))
            found = bound(coupled, copies, times=None, chain=times, generator=torch.Generator().manual_seed(0))
            error = float(found.std()) / math.sqrt(len(copies))
            assert float(found.mean()) > exact - 5 * error - 1e-4
            assert float(found.mean()) < exact + 0.3 + 5 * error, "it is nearly tight for a model that has learned"


@torch.no_grad()
def test_coupled_models_sample_their_exact_distribution(coupled: MoleculeModel) -> None:
    require_law(exact_likelihoods(coupled), coupled)


@torch.no_grad()
def test_at_a_temperature_the_law_is_that_of_divided_logits(coupled: MoleculeModel) -> None:
    plain = exact_likelihoods(coupled)
    for temperature in (0.5, 2.0):
        divided = exact_likelihoods(coupled, temperature=temperature)
        require_law(divided, coupled, temperature=temperature)
        with pytest.raises(AssertionError, match="samples: "):
            require_law(plain, coupled, temperature=temperature)  # a twin that divides in samples alone
        with pytest.raises(AssertionError, match="samples: "):
            require_law(divided, coupled)  # a twin that divides in the law alone


def require_law(p: torch.Tensor, model: MoleculeModel, **how: Any) -> None:
    """Samples of graphs of two nodes follow the law; a false alarm once in a million."""
    graphs = sample(model, 4000, generator=torch.Generator().manual_seed(0), **how)
    types = round(len(p) ** (1 / 3))
    numbers = (torch.cat([graphs.colors, graphs.pairs[:, 0, 1:]], 1) * torch.tensor([types**2, types, 1])).sum(1)
    require_fit(numbers.bincount(minlength=len(p)), p, 1e-6, "samples")


TABLES = [torch.tensor(table) for table in ([[0, 1], [1, 2]], [[1, 0], [0, 0]], [[0, 1], [1, 0]])]


@torch.no_grad()
def test_the_bound_by_places_is_one_and_samples_follow_the_law(coupled: MoleculeModel) -> None:
    """p(x_0) is the mean over g of p(x_0 | g), each a law of its own; the bound has no noise but that of g."""
    if coupled.config.transition != "absorbing":
        with pytest.raises(ValueError, match=r"noise: expected absorbing noise, for another masks nothing; got \["):
            sample(coupled, 2, steps=Unmasking(TABLES[0]))
        return
    clean = every_graph(2)
    for table in map(Unmasking, TABLES):
        each = [
            unmasking_nll(drawing(coupled, None, g), coupled.noise, clean, coupled.log_sizes, table, g)
            for g in (torch.tensor([[0, 1]]).expand(8, 2), torch.tensor([[1, 0]]).expand(8, 2))
        ]
        p = (-torch.stack(each)).exp().mean(0)
        assert float(p.sum()) == pytest.approx(1, abs=1e-5)
        copies = molecules_of(clean.select(torch.arange(8).repeat_interleave(50)))
        found = bound(coupled, copies, times=None, chain=table, generator=torch.Generator().manual_seed(0)).view(8, 50)
        assert bool((found.mean(1) > -p.log() - 1e-4).all()), "where a graph has a symmetry g is drawn, else it is sure"
        price = math.log(2) * (clean.colors[:, 0] != clean.colors[:, 1])
        assert not bool((found.mean(1) - price > -p.log() - 1e-4).all()), "a twin that forgets the price"
        require_law(p, coupled, steps=table)


@torch.no_grad()
def test_the_table_that_a_row_was_trained_on_is_its_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "tables", lambda: {"depth-first": {3: TABLES[0].tolist()}})
    monkeypatch.setattr(model_module, "tables", tables.tables)
    config = dataclasses.replace(TINY, transition="places", times=3, coupled=True, order="depth-first")
    model = MoleculeModel(config, PAIR).eval()
    copies = molecules_of(every_graph(2).select(torch.arange(8)))

    def judged(chain: object) -> torch.Tensor:
        return bound(model, copies, times=20, chain=chain, generator=torch.Generator().manual_seed(0))

    assert torch.equal(judged(None), judged(model.unmasking))
    assert not torch.allclose(judged(None), judged(Unmasking(TABLES[1])))
    assert list(chains_of(model)) == [Chain(3, "places")]
    graphs = [sample(model, 9, steps=s, generator=torch.Generator().manual_seed(0)) for s in (None, 3, model.unmasking)]
    assert all(torch.equal(graphs[0].pairs, x.pairs) and torch.equal(graphs[0].colors, x.colors) for x in graphs)
    for steps in (1, 4):
        with pytest.raises(ValueError, match=f"steps: expected 3, those that the row knows; got {steps}"):
            sample(model, 9, steps=steps)
    for call in (judged, lambda chain: sample(model, 9, steps=chain)):
        with pytest.raises(
            ValueError, match=r"chain: qm9-places-3-.* knows a table of places and no times, got \[3, 0\]"
        ):
            call([3, 0])
    x, t = copies.graphs(torch.arange(8)), torch.full((8,), 2)
    for call in (
        lambda: model.noisy(x, t),
        lambda: model.loss(model(x, t, g=torch.tensor([[0, 1]]).expand(8, 2)), x, t),
    ):
        with pytest.raises(ValueError, match="g: a row with a table of places needs the g of the trajectory, got none"):
            call()
    monkeypatch.setattr(model_module, "tables", lambda: {"depth-first": {3: TABLES[0].roll(1, 0).roll(1, 1).tolist()}})
    other = MoleculeModel(config, PAIR)
    assert not torch.equal(other.unmasking.table, model.unmasking.table)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.unmasking.table, model.unmasking.table), "a file keeps the table that it was trained on"
    monkeypatch.setattr(model_module, "tables", lambda: {"depth-first": {3: [[0, 1, 0], [1, 2, 1], [0, 1, 0]]}})
    assert torch.equal(MoleculeModel(config, PAIR).unmasking.table, TABLES[0]), (
        "molecules of two atoms have the first two places"
    )
    with pytest.raises(ValueError, match="statistics: expected molecules of up to 3 atoms, as many as the table has"):
        MoleculeModel(config, COUNTS)


@torch.no_grad()
def test_a_row_with_a_table_is_trained_on_its_bound_and_moves_with_the_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The losses at all times make the bound; with the nodes in any order, g along, it is the same."""
    table = [[0, 1, 2, 3], [1, 2, 0, 3], [2, 0, 1, 0], [3, 3, 0, 3]]
    monkeypatch.setattr(tables, "tables", lambda: {"depth-first": {4: table}})
    monkeypatch.setattr(model_module, "tables", tables.tables)
    model = build(transition="places", times=4, coupled=True, order="depth-first").eval()
    chain = torch.ones(3, dtype=torch.int64).diag(1)
    pairs, colors = (chain + chain.T).expand(6, 4, 4), torch.tensor([0, 1, 1, 0]).expand(6, 4)
    some = molecules_of(DenseGraphs(pairs, colors, torch.ones(6, 4, dtype=torch.bool)))
    x = some.graphs(torch.arange(6))
    g = model.encoding.of_chain(model.noise.sample_limit(x.sizes), x, generator=torch.Generator().manual_seed(0))
    assert len(g.unique(dim=0)) > 1, "it has a symmetry"
    found = unmasking_nll(drawing(model, None, g), model.noise, x, model.log_sizes, model.unmasking, g)
    losses = []
    for now in range(1, 5):
        t = torch.full((6,), now)
        losses.append(model.loss(model(model.noisy(x, t, g=g), t, g=g), x, t, g))
    torch.testing.assert_close(sum(losses) - model.log_sizes[4], found.mean().float())
    plain, other = (
        bound(model, some, times=None, shuffled=shuffled, generator=torch.Generator().manual_seed(0))
        for shuffled in (False, True)
    )
    torch.testing.assert_close(plain, other)
    along = entropies(model, some, [0, 2, 4], torch.Generator().manual_seed(0))
    assert float(along["mean"][-1]) == pytest.approx(math.log(24), abs=1e-5)


def test_tables_change_with_the_code_version_alone() -> None:
    """Rows know a table by its number of steps: with another table they would be other rows of the same name."""
    found = hashlib.sha256(json.dumps(tables.tables(), sort_keys=True).encode()).hexdigest()[:16]
    assert (CODE_VERSION, found) == (3, "80e409a5e47eb5af")
    for own in tables.tables().values():
        assert all(Unmasking(torch.tensor(table)).steps == steps for steps, table in own.items())


def test_places_without_a_coupled_g_are_refused() -> None:
    with pytest.raises(ValueError, match=r"chain: places are those of a coupled g, which qm9-marginal-.* has not; got"):
        sample(build(), 2, steps=Unmasking(TABLES[0]))


def test_coupled_rows_under_absorbing_noise_have_chains_by_places(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (chains, model_module):
        monkeypatch.setattr(module, "tables", lambda: {"depth-first": {3: TABLES[0].tolist()}})
    monkeypatch.setattr(chains, "CHAINS", (Chain(3, "places"),))
    place = Chain(3, "places")
    for order, own, transition in (
        ("depth-first", True, "absorbing"),
        ("breadth-first", True, "absorbing"),
        ("depth-first", False, "absorbing"),
        ("depth-first", True, "marginal"),
    ):
        model = MoleculeModel(dataclasses.replace(TINY, coupled=own, order=order, transition=transition), PAIR)
        assert (place in chains_of(model)) == ((order, own, transition) == ("depth-first", True, "absorbing"))
    assert place not in chains_of(build(coupled=True, order="depth-first", transition="absorbing")), "of four atoms"


@torch.no_grad()
def test_at_the_end_the_graph_is_the_one_that_g_was_drawn_from() -> None:
    """A denoiser that is good only where g does not canonicalize x_T is never good: it must not seem so."""
    model = MoleculeModel(dataclasses.replace(TINY, coupled=True, times=1), PAIR).eval()
    kernel, seen = model.encoding.kernel, []
    model.register_forward_pre_hook(
        lambda module, inputs, options: seen.append(kernel.log_prob(options["g"], inputs[0])), with_kwargs=True
    )
    copies = molecules_of(every_graph(2).select(torch.full((200,), 3)))
    bound(model, copies, times=1, generator=torch.Generator().manual_seed(0))
    sample(model, 200, generator=torch.Generator().manual_seed(0))
    assert bool(torch.cat(seen).isfinite().all())
    seen.clear()
    x = copies.graphs(torch.arange(200))
    last = model.noise.sample_limit(x.sizes)  # the twin: another x_T than the one that is denoised
    g = model.encoding.of_chain(last, x)
    model(model.noise.sample(x, torch.ones(200).long()), torch.ones(200).long(), g=g)
    assert not bool(torch.cat(seen).isfinite().all())


def test_the_bound_comes_in_the_order_of_the_molecules() -> None:
    rare = PAIR._replace(size_counts=torch.tensor([0, 1, 10**9]))
    model = MoleculeModel(TINY, rare).eval()
    sizes = torch.tensor([2, 1, 2, 1, 1])
    colors, pairs = torch.zeros(5, 2, dtype=torch.int8), torch.zeros(5, 2, 2, dtype=torch.int8)
    found = bound(model, Molecules(colors, pairs, sizes, [""] * 5, [], ("C", "O")), times=3)
    assert ((found > 20) == (sizes == 1)).all(), "one atom is rare: 20.7 nats"


def test_all_encodings_are_judged_on_the_same_noisy_molecules() -> None:
    some = molecules_of(every_graph(2, 3).select(torch.arange(20, 36)))

    def seen(encoding: str, seed: int = 0, **choices: object) -> list[torch.Tensor]:
        model, noisy = build(encoding=encoding, **choices), []

        def see(module: torch.nn.Module, inputs: tuple[DenseGraphs, torch.Tensor]) -> None:
            x, t = inputs
            before = t < model.noise.steps  # at T coupled rows have the x_T of their g
            noisy.append(torch.cat([x.pairs[before].flatten(), t]))

        model.register_forward_pre_hook(see)
        bound(model, some, times=4, generator=torch.Generator().manual_seed(seed))
        return noisy

    none = seen("none")
    for other in (
        seen("noise"),
        seen("sympe-nodes-edges"),
        seen("sympe-scores"),
        seen("sympe-nodes-edges", coupled=True),
    ):
        assert all(torch.equal(a, b) for a, b in zip(none, other, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(none, seen("none", seed=1), strict=True))


def test_the_order_of_the_nodes_tells_an_equivariant_model_nothing() -> None:
    """The same bound, molecule by molecule, where nothing is drawn; by a lucky solver's signs, another one."""
    chain = torch.ones(3, dtype=torch.int64).diag(1)
    pairs, colors = (chain + chain.T).expand(8, 4, 4), torch.tensor([0, 0, 1, 1]).expand(8, 4)
    some = molecules_of(DenseGraphs(pairs, colors, torch.ones(8, 4, dtype=torch.bool)))

    def change(encoding: str, **choices: object) -> torch.Tensor:
        model = build(encoding=encoding, **choices).eval()
        plain, other = (
            bound(model, some, times=10, shuffled=shuffled, generator=torch.Generator().manual_seed(0))
            for shuffled in (False, True)
        )
        return (other - plain).abs().max()

    assert change("none") < 1e-4
    assert change("structure") < 1e-4
    assert change("stock") > 1e-3


@torch.no_grad()
def test_a_shuffled_model_takes_its_g_along() -> None:
    model, x = build(coupled=True).eval(), ring(4, padding=0)
    g, t = torch.tensor([[2, 0, 3, 1]]), torch.tensor([5])
    plain = drawing(model, None, g)(x, t)
    for seed in range(5):
        found = shuffling(model, torch.Generator().manual_seed(seed), g)(x, t)
        torch.testing.assert_close(found, plain, atol=1e-5, rtol=0)


@pytest.mark.slow
@torch.no_grad()
def test_more_draws_are_refused_where_they_mean_nothing(coupled: MoleculeModel) -> None:
    some = molecules_of(every_graph(2).select(torch.arange(4)))
    for model, digress in ((coupled, False), (build(), True)):
        with pytest.raises(ValueError, match="draws: expected 1 for nll_digress and for coupled rows, got 2"):
            bound(model, some, times=3, draws=2, digress=digress)


def test_the_standard_error_is_that_of_the_draws_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    own = 100 * torch.randn(1000, generator=generator)  # of the molecules: no error of the draws
    parts = [own + torch.randn(1000, generator=generator) for _ in range(2)]
    mean, error = estimate(parts)
    assert abs(mean - float(own.mean())) < 5 * error
    assert error == pytest.approx(1 / math.sqrt(2000), rel=0.1)


def graphs_of(*texts: str, hydrogens: bool = False) -> DenseGraphs:
    atoms = ("H", "C", "N", "O") if hydrogens else ("C", "N", "O")
    parts = []
    for text in texts:
        colors, pairs = types_of(molecule_from_smiles(text, hydrogens=hydrogens), atoms)
        parts.append(DenseGraphs(pairs[None], colors[None], torch.ones(1, len(colors), dtype=torch.bool)))
    return DenseGraphs.concatenate(parts)


def test_metrics_of_samples() -> None:
    complete = 1 - torch.eye(6, dtype=torch.int64)[None]  # carbons with five bonds
    five = DenseGraphs(complete, torch.zeros(1, 6, dtype=torch.int64), torch.ones(1, 6, dtype=torch.bool))
    graphs = DenseGraphs.concatenate([graphs_of("CCO", "OCC", "C=O", "C.O"), five])
    found = smiles(graphs, ("C", "N", "O"))
    assert found == ["CCO", "CCO", "C=O", "C", None]
    metrics = sample_metrics(graphs, found, ("C", "N", "O"), {"C=O"})
    assert metrics == {
        "samples": 5,
        "validity": 0.8,
        "uniqueness": 0.75,
        "novelty": pytest.approx(2 / 3),
        "connected": 0.8,
        "valid_connected": 0.6,
    }
    assert sample_metrics(graphs, found, ("C", "N", "O"), None)["novelty"] is None
    assert sample_metrics(five, [None], ("C", "N", "O"), {"C"})["uniqueness"] == 0


def test_stability_of_samples_with_hydrogens() -> None:
    graphs = graphs_of("C", "O", "C", hydrogens=True)
    graphs.pairs[0, 1, 0] = graphs.pairs[0, 0, 1] = 0  # one hydrogen less: it and the carbon are not stable
    metrics = sample_metrics(graphs, ["C", "O", "C"], ("H", "C", "N", "O"), set())
    assert metrics["atom_stability"] == pytest.approx(11 / 13)
    assert metrics["molecule_stability"] == pytest.approx(2 / 3)
    benzene = sample_metrics(graphs_of("c1ccccc1", hydrogens=True), ["c1ccccc1"], ("H", "C", "N", "O"), set())
    assert benzene["atom_stability"] == 1, "kekulized"
    water = molecule_from_types(graphs.colors[1, :3], graphs.pairs[1, :3, :3], ("H", "C", "N", "O"))
    assert smiles_of(water) is not None


def test_entropy_grows_from_the_molecule_to_log_n_under_absorbing_noise() -> None:
    model = build(transition="absorbing")
    pair = molecules_of(every_graph(2, 3).select(torch.arange(20, 36)))
    found = entropies(model, pair, [0, 5, 10], torch.Generator().manual_seed(0))
    assert float(found["mean"][-1]) == pytest.approx(math.log(6), abs=1e-5)
    assert float(found["uniform"]) == pytest.approx(math.log(6), abs=1e-5)
    assert float(found["mean"][0]) < float(found["mean"][-1])
    assert float(found["symmetric"][-1]) == 1


def test_samples_are_refused_and_sized() -> None:
    model = build()
    for temperature in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"temperature: expected a positive, finite number, got {temperature}"):
            sample(model, 1, temperature=temperature)
    with pytest.raises(ValueError, match="count: expected at least 1, got 0"):
        sample(model, 0)
    shown: list[int] = []

    def watch(numbers: Iterable[int]) -> Iterator[int]:
        for number in numbers:
            shown.append(number)
            yield number

    drawn = sample(model, 600, steps=2, generator=torch.Generator().manual_seed(0), progress=watch).sizes
    assert shown == list(range(20)), "ten parts, two steps each"
    assert not torch.equal(drawn, drawn.sort().values), "they are drawn by size, but come in any order"
    sizes = drawn.bincount(minlength=5)
    expected = torch.tensor([0, 0, 120.0, 120.0, 360.0])
    assert float(((sizes - expected)[2:].square() / expected[2:]).sum()) < 28  # false alarm below 1e-6


@pytest.fixture(name="threads")
def fixture_threads() -> Iterator[int]:
    """Torch has two threads, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


def test_samples_do_not_depend_on_the_number_of_threads(threads: int) -> None:
    model, count = build(encoding="noise"), 3 * evaluation.DRAWN  # every number that is drawn matters
    seen: list[tuple[int, int]] = []
    model.register_forward_hook(lambda *_: seen.append((threading.get_ident(), torch.get_num_threads())))

    def drawn(seed: int = 0) -> DenseGraphs:
        return sample(model, count, steps=3, generator=torch.Generator().manual_seed(seed))

    several = drawn()
    assert len({thread for thread, _ in seen}) == threads
    assert {number for _, number in seen} == {1}, "each with one thread of torch"
    assert torch.get_num_threads() == threads
    torch.set_num_threads(1)
    seen.clear()
    alone = drawn()
    assert len({thread for thread, _ in seen}) == 1
    assert torch.equal(several.colors, alone.colors)
    assert torch.equal(several.pairs, alone.pairs)
    assert not torch.equal(drawn(seed=1).pairs, alone.pairs)
    same = alone.select((alone.sizes == 4).nonzero().squeeze(1))  # most of three parts
    parts = same.pairs[: 2 * (len(same) // 2)].flatten(1).chunk(2)
    assert not torch.equal(*parts), "no part is a copy of another"


def test_an_error_in_one_part_ends_the_others(threads: int) -> None:
    model, calls = build(), []

    def fail(*_: object) -> None:
        calls.append(1)
        raise RuntimeError("one part fails")

    model.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="one part fails"):
        sample(model, 20 * evaluation.DRAWN, generator=torch.Generator().manual_seed(0))
    assert len(calls) <= threads, "no part goes on"
    assert torch.get_num_threads() == threads
