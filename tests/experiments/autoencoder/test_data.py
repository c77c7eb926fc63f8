"""The generated graphs: sizes, edge frequencies, blocks, copies; the batches of a training."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from sympe.encodings import NoiseEncoding
from sympe.experiments.autoencoder.config import DATASETS, ENCODINGS, ORDERS, AutoencoderConfig
from sympe.experiments.autoencoder.data import COUNTS, dataset, training_batches
from sympe.experiments.autoencoder.model import build_encoding
from sympe.graphs import DenseGraphs
from sympe.kernels import GraphKernel


def frequency(edges: torch.Tensor, pairs: torch.Tensor, expected: float) -> float:
    """How many standard deviations the frequency of edges among independent pairs is off."""
    count = int(pairs.sum())
    return (float(edges[pairs].sum()) - count * expected) / math.sqrt(count * expected * (1 - expected))


def upper(graphs: DenseGraphs) -> torch.Tensor:
    return (graphs.mask[:, :, None] & graphs.mask[:, None]).triu(1)


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("split", COUNTS)
def test_graphs_are_simple_and_the_same_every_time(name: str, split: str) -> None:
    graphs = dataset(name, split)
    again = dataset.__wrapped__(name, split)
    assert torch.equal(graphs.pairs, again.pairs)
    checked = DenseGraphs.from_features(graphs.pairs, None, graphs.mask)  # symmetric, no holes
    assert torch.equal(checked.pairs, graphs.pairs)
    assert graphs.pairs.diagonal(dim1=1, dim2=2).sum() == 0
    assert len(graphs) == COUNTS[split]


def test_er_graphs() -> None:
    graphs = dataset("er", "train")
    assert graphs.sizes.tolist() == [7 + i % 10 for i in range(5000)]
    assert abs(frequency(graphs.pairs != 0, upper(graphs), 0.25)) < 5  # false alarm 6e-7
    assert abs(frequency(graphs.pairs != 0, upper(graphs), 0.26)) > 5  # the twin


def test_community_graphs() -> None:
    graphs = dataset("community", "train")
    assert 12 <= int(graphs.sizes.min()) <= int(graphs.sizes.max()) <= 20
    first = torch.stack(
        [size_of_first_block(g, int(n)) for g, n in zip(graphs.pairs[:300], graphs.sizes, strict=False)]
    )
    place = torch.arange(20)
    inside = place < first[:, None]
    across = (inside[:, :, None] ^ inside[:, None]) & upper(graphs.select(torch.arange(300)))
    edges = graphs.pairs[:300] != 0
    assert (edges & across).flatten(1).any(1).all(), "a graph without an edge across"
    within = upper(graphs.select(torch.arange(300))) & ~across
    assert abs(frequency(edges, within, 0.7)) < 5


def size_of_first_block(pairs: torch.Tensor, n: int) -> torch.Tensor:
    """The cut of 6 to 10 nodes with the least share of edges across."""
    best = min(range(max(6, n - 10), min(10, n - 6) + 1), key=lambda m: float(pairs[:m, m:n].float().mean()))
    return torch.tensor(best)


def copies(name: str) -> float:
    """The share of test graphs that are in the training set, with the same labels."""
    seen = {row.numpy().tobytes() for row in dataset(name, "train").pairs}
    return sum(row.numpy().tobytes() in seen for row in dataset(name, "test").pairs) / 500


def test_most_graphs_of_the_released_generator_are_copies_and_those_of_the_others_are_not() -> None:
    assert 0.5 < copies("community-released") < 0.9
    assert copies("community") == 0
    assert copies("er") < 0.02  # the smallest graphs may repeat


def test_unknown_names_are_listed() -> None:
    with pytest.raises(ValueError, match="name: expected one of er, community, community-released; got 'tree'"):
        dataset("tree", "test")
    with pytest.raises(ValueError, match="split: expected one of train, validation, test; got 'dev'"):
        dataset("er", "dev")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_batches_are_of_one_size_and_decided_by_seed_and_step(encoding: str) -> None:
    config = AutoencoderConfig(encoding=encoding, width=8, batch=8)
    made = build_encoding(config)
    one = training_batches("er", made, seed=1, batch=8, steps=range(50, 54))
    two = training_batches("er", made, seed=1, batch=8, steps=range(50, 54))
    other = training_batches("er", made, seed=2, batch=8, steps=range(50, 54))
    assert [step for step, _, _ in one] == [50, 51, 52, 53]
    for (_, graphs, g), (_, same, h) in zip(one, two, strict=True):
        assert graphs.sizes.tolist() == [graphs.mask.shape[1]] * 8
        assert torch.equal(graphs.pairs, same.pairs)
        assert (g is None) == (h is None)
        if g is not None:
            assert torch.equal(g, h)
            assert torch.equal(g.sort(1).values, torch.arange(16).expand(8, 16))
    assert any(not torch.equal(a.sizes, b.sizes) for (_, a, _), (_, b, _) in zip(one, other, strict=True))


def test_g_goes_with_its_own_batch_where_a_size_has_few_graphs() -> None:
    few = 600  # the train set has 500 graphs of each size
    made = build_encoding(AutoencoderConfig(encoding="sympe", width=8))
    batches = training_batches("er", made, seed=1, batch=few, steps=range(3))
    kernel = GraphKernel(16, order=ORDERS["sympe"])
    for _, graphs, g in batches:
        assert g is not None
        assert len(graphs) == len(g) == 500
        assert bool(kernel.log_prob(g, graphs).isfinite().all()), "g was drawn for other graphs"


def test_every_graph_has_the_same_chance() -> None:
    sizes = [
        int(graphs.sizes[0])
        for _, graphs, _ in training_batches("er", NoiseEncoding((16, 8)), seed=0, batch=1, steps=range(2000))
    ]
    counts = torch.tensor(sizes).bincount(minlength=17)[7:]
    statistic = float(((counts - 200.0) ** 2 / 200).sum())
    assert statistic < 52  # 9 degrees of freedom: false alarm below 1e-7


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("encoding", "random", "encoding: expected one of none, noise, .*; got 'random'"),
        ("dataset", "tree", "dataset: expected one of er, .*; got 'tree'"),
        ("backbone", "mlp", "backbone: expected one of egnn, gnn; got 'mlp'"),
        ("steps", 0, "steps: expected at least 1, got 0"),
        ("learning_rate", 0.0, r"learning_rate: expected a positive, finite number, got 0\.0"),
        ("shrink", 1.0, r"shrink: expected a share in \[0, 1\), got 1\.0"),
        ("seed", -1, r"seed: expected at least 0 and less than 2\^63, got -1"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_a_config_that_cannot_be_is_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(AutoencoderConfig(), **{name: value})
