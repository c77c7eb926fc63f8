"""The denoisers: equivariant for a given g, in distribution over g; the same network in every row."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from pathlib import Path

import pytest
import torch

from sympe.experiments.molecules.config import ENCODINGS, WITH_COUPLING, MoleculesConfig
from sympe.experiments.molecules.model import MoleculeModel, Statistics
from sympe.experiments.molecules.reading import load_molecules
from sympe.graphs import DenseGraphs

COUNTS = Statistics(torch.tensor([6, 2]), torch.tensor([8, 6, 2]), torch.tensor([0, 0, 1, 1, 3]))
TINY = MoleculesConfig(
    steps=100,
    batch=4,
    times=10,
    layers=2,
    node_width=8,
    edge_width=8,
    graph_width=8,
    heads=2,
    node_hidden=8,
    edge_hidden=8,
    graph_hidden=8,
)
DRAWN = ("noise", "laplacian", "sympe-scores")


def build(**choices: object) -> MoleculeModel:
    torch.manual_seed(0)
    return MoleculeModel(dataclasses.replace(TINY, **choices), COUNTS)


def ring(n: int = 4, padding: int = 0) -> DenseGraphs:
    """A ring of equal nodes with equal edges: 2 n automorphisms."""
    step = torch.eye(n, dtype=torch.int64).roll(1, 0)
    pairs = torch.nn.functional.pad(step + step.T, (0, padding, 0, padding))[None]
    mask = (torch.arange(n + padding) < n)[None]
    return DenseGraphs(pairs, torch.zeros(1, n + padding, dtype=torch.int64), mask)


def moved(model: MoleculeModel, x: DenseGraphs, p: torch.Tensor, g: torch.Tensor | None = None) -> torch.Tensor:
    """The logits for the relabelled graph, with g along, moved back."""
    p = p[None]
    h = None if g is None else p.gather(1, g[None])
    logits = model(x.relabel(p), torch.tensor([5]), g=h)
    return torch.cat([logits.nodes[0, p[0]].flatten(), logits.edges[0, p[0][:, None], p[0]].flatten()])


@pytest.mark.parametrize("encoding", [e for e in ENCODINGS if e not in DRAWN])
def test_denoisers_are_equivariant_in_x_and_g(encoding: str) -> None:
    model = build(encoding=encoding)
    x = ring()
    x.pairs[0, 0, 1] = x.pairs[0, 1, 0] = 2  # so that the spectrum of the stock features is simple
    x.pairs[0, 0, 2] = x.pairs[0, 2, 0] = 1
    g = torch.tensor([2, 0, 3, 1]) if model.encoding.kernel is not None else None
    reference = moved(model, x, torch.arange(4), g)
    found = [moved(model, x, torch.tensor(p), g) for p in itertools.permutations(range(4))]
    same = [torch.allclose(logits, reference, atol=1e-5) for logits in found]
    if encoding == "stock":
        assert not all(same), "its eigenvectors depend on the solver's signs"
    else:
        assert all(same)
    if g is not None:  # the broken twin: g stays behind
        x_moved = x.relabel(torch.tensor([[1, 0, 2, 3]]))
        logits = model(x_moved, torch.tensor([5]), g=g[None])
        back = torch.tensor([1, 0, 2, 3])
        twin = torch.cat([logits.nodes[0, back].flatten(), logits.edges[0, back[:, None], back].flatten()])
        assert not torch.allclose(twin, reference, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "encoding", ["sympe-nodes", "sympe-nodes-edges", "structure+sympe", "canonical", "canonical+sympe"]
)
def test_the_law_of_the_logits_is_equivariant(encoding: str) -> None:
    model = build(encoding=encoding)
    x = ring()
    assert model.encoding.kernel is not None

    def law(x: DenseGraphs, p: torch.Tensor) -> torch.Tensor:
        """All logits that can come for a relabelled graph, moved back, in a standard order."""
        orders = model.encoding.kernel.cosets(x.relabel(p[None])).orders
        assert len(orders) == 8
        rows = []
        for g in orders:
            logits = model(x.relabel(p[None]), torch.tensor([5]), g=g[None])
            rows.append(torch.cat([logits.nodes[0, p].flatten(), logits.edges[0, p[:, None], p].flatten()]))
        table = torch.stack(rows).detach()
        weights = torch.randn(table.shape[1], generator=torch.Generator().manual_seed(0))
        return table[(table @ weights).argsort()]

    reference = law(x, torch.arange(4))
    assert float((reference[1:] - reference[:-1]).abs().amax(1).min()) > 1e-6, "the symmetry is broken"
    for p in itertools.permutations(range(4)):
        assert torch.allclose(law(x, torch.tensor(p)), reference, atol=1e-5)


@pytest.mark.parametrize("encoding", ["none", "cycles", "structure"])
def test_nothing_is_broken_without_an_encoding(encoding: str) -> None:
    logits = build(encoding=encoding)(ring(), torch.tensor([5]))
    assert torch.allclose(logits.nodes, logits.nodes[:, :1].expand_as(logits.nodes), atol=1e-6)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_padding_makes_no_difference(encoding: str) -> None:
    model = build(encoding=encoding)
    for some in (ring(3), ring(3, padding=1)):
        logits = model(some, torch.tensor([5]), generator=torch.Generator().manual_seed(0))
        assert logits.nodes.shape[1] == logits.edges.shape[1] == some.mask.shape[1]
        assert bool((logits.nodes[~some.mask] == 0).all())
    if encoding in ("none", "cycles", "structure"):
        short, long = (model(x, torch.tensor([5])) for x in (ring(3), ring(3, padding=1)))
        assert torch.allclose(short.nodes, long.nodes[:, :3], atol=1e-6)
    told = model.encoding(ring(3, padding=1))
    assert bool((told.nodes[:, 3] == 0).all())
    assert bool((told.edges[:, 3] == 0).all())
    assert torch.equal(told.edges, told.edges.transpose(1, 2))


def test_every_row_has_the_same_network() -> None:
    models = [build(encoding=encoding) for encoding in ENCODINGS]
    assert len({sum(p.numel() for p in model.network.parameters()) for model in models}) == 1
    assert len({(model.network.channels, model.network.types) for model in models}) == 1


def test_g_is_asked_for_and_refused() -> None:
    coupled = build(coupled=True)
    with pytest.raises(ValueError, match="g: a coupled encoding needs the g of the trajectory, got none"):
        coupled(ring(), torch.tensor([5]))
    with pytest.raises(ValueError, match="g: the encoding noise takes none"):
        build(encoding="noise")(ring(), torch.tensor([5]), g=torch.arange(4)[None])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("encoding", "some", "encoding: expected one of none, "),
        ("dataset", "zinc", "dataset: expected one of qm9, qm9-h, moses; got 'zinc'"),
        ("transition", "masked", "transition: expected one of marginal, uniform, absorbing, places; got 'masked'"),
        ("transition", "places", "of a coupled g and of qm9, expected coupled rows of it; got coupled=False on qm9"),
        ("precision", "16", "precision: expected one of 32-true, bf16-mixed; got '16'"),
        ("steps", 0, "steps: expected at least 1, got 0"),
        ("encoding_channels", 5, "encoding_channels: expected at least 6, for the features of all rows; got 5"),
        ("learning_rate", 0.0, "learning_rate: expected a positive, finite number, got 0.0"),
        ("warmup", 0.001, "warmup: expected more than one step, got 0.001 of 100"),
        ("average", 1.0, "average: expected a share in \\[0, 1\\), got 1.0"),
        ("seed", -1, r"seed: expected at least 0 and less than 2\^63, got -1"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_configs_out_of_range(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TINY, **{name: value})


def test_tables_of_places_that_there_are_not_are_refused() -> None:
    places = dataclasses.replace(TINY, transition="places", coupled=True, order="depth-first")
    with pytest.raises(
        ValueError, match="times: expected the steps of a table of depth-first places, 2, 5, 10, 20; got 7"
    ):
        dataclasses.replace(places, times=7)
    with pytest.raises(
        ValueError, match="times: expected the steps of a table of bliss places, of which there is none; "
    ):
        dataclasses.replace(places, order="bliss")
    with pytest.raises(ValueError, match="expected coupled rows of it; got coupled=True on moses"):
        dataclasses.replace(places, dataset="moses")


def test_only_some_encodings_can_be_coupled() -> None:
    for encoding in ENCODINGS:
        if encoding in WITH_COUPLING:
            model = build(encoding=encoding, coupled=True)
            last = model.noise.sample_limit(torch.tensor([4, 3]))
            g = model.encoding.of_chain(last)
            assert model(last, torch.tensor([10, 10]), g=g).nodes.shape == (2, 4, 2)
        else:
            with pytest.raises(ValueError, match=re.escape(f"structure+sympe; got '{encoding}'")):
                build(encoding=encoding, coupled=True)
    with pytest.raises(ValueError, match="g: the encoding haar is not coupled, it draws g anew at each time"):
        build(encoding="haar").encoding.of_chain(ring())


def test_coupled_haar_forgets_x_T_and_pays_for_all_orders() -> None:
    model = build(encoding="haar", coupled=True)
    clean = ring().select(torch.zeros(2000, dtype=torch.int64))
    last = model.noise.sample_limit(clean.sizes)
    price = model.encoding.price(last, clean)
    assert torch.allclose(price, torch.tensor(math.log(24 / 8)).expand(2000), atol=1e-5)
    order = model.encoding.of_chain(last, clean)[:, :4]
    number = (order * torch.tensor([64, 16, 4, 1])).sum(1)
    assert len(number.unique()) == 8, "the orders that bring the ring to its canonical form"
    free = model.encoding.of_chain(last)[:, :4]
    assert len((free * torch.tensor([64, 16, 4, 1])).sum(1).unique()) == 24
    other = build(coupled=True)  # the twin: with x_T in mind there is hardly anything left to choose
    assert float(other.encoding.price(last, clean).mean()) < 0.5


def test_statistics_count_each_pair_once(tmp_path: Path) -> None:
    (tmp_path / "a.smi").write_text("CO\nCCO\nC#N\n" * 4)
    molecules = load_molecules("qm9", "train", data=tmp_path / "a.smi", cache=tmp_path)
    molecules = molecules.subset(torch.tensor([molecules.smiles.index(text) for text in ("CO", "CCO", "C#N")]))
    counts = Statistics.of(molecules)
    assert counts.node_counts.tolist() == [4, 1, 2, 0]
    assert counts.edge_counts.tolist() == [1, 3, 0, 1]
    assert counts.size_counts.tolist() == [0, 0, 2, 1]
