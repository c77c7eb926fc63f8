"""The model keeps or breaks symmetries as it says, and the metrics are right."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from sympe.encodings import SymPE
from sympe.experiments.autoencoder.config import BACKBONES, ENCODINGS, AutoencoderConfig
from sympe.experiments.autoencoder.data import dataset
from sympe.experiments.autoencoder.evaluation import evaluate, logits_of, metrics, pairs_of, reconstruction_loss
from sympe.experiments.autoencoder.model import Autoencoder
from sympe.graphs import DenseGraphs
from sympe.randomness import seeded


def small(encoding: str, backbone: str = "egnn") -> Autoencoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Autoencoder(AutoencoderConfig(encoding=encoding, backbone=backbone, width=8, layers=2))


def ring(n: int) -> DenseGraphs:
    i = torch.arange(n)
    pairs = torch.zeros(1, n, n, dtype=torch.int64)
    pairs[0, i, (i + 1) % n] = pairs[0, (i + 1) % n, i] = 1
    return DenseGraphs.from_features(pairs)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_ring_is_all_alike_to_symmetric_encodings_only(encoding: str, backbone: str) -> None:
    model = small(encoding, backbone)
    with torch.no_grad():
        h = torch.stack([model(ring(8), generator=seeded(i))[0] for i in range(2)])
    off_diagonal = h[:, ~torch.eye(8, dtype=torch.bool)]
    spread = float((off_diagonal.amax(1) - off_diagonal.amin(1)).min())
    # all 7 eigenvectors as coordinates: a regular simplex, and the EGNN sees distances only
    simplex = encoding == "laplacian" and backbone == "egnn"
    if encoding in ("none", "random_walk") or simplex:
        assert spread < 1e-5
    else:
        assert spread > 1e-4


@pytest.mark.parametrize("backbone", BACKBONES)
def test_relabelling_graph_and_g_together_relabels_the_logits(backbone: str) -> None:
    model = small("sympe", backbone)
    assert isinstance(model.encoding, SymPE)
    graphs = dataset("er", "test").select(torch.arange(6, 10))
    generator = seeded("test")
    g = model.encoding.kernel.sample(graphs, generator=generator)
    p = torch.stack(
        [torch.cat([torch.randperm(int(n), generator=generator), torch.arange(int(n), 16)]) for n in graphs.sizes]
    )
    logits = model.decode(graphs, model.encoding.moved(g))
    moved = model.decode(graphs.relabel(p), model.encoding.moved(p.gather(1, g)))
    row = torch.arange(4)[:, None, None]
    real = pairs_of(graphs)
    torch.testing.assert_close(moved[row, p[:, :, None], p[:, None]][real], logits[real], rtol=1e-4, atol=1e-4)
    unmoved = model.decode(graphs.relabel(p), model.encoding.moved(g))  # the twin
    assert not torch.allclose(unmoved[row, p[:, :, None], p[:, None]][real], logits[real], rtol=1e-4, atol=1e-4)


def test_padding_does_not_matter() -> None:
    model = small("noise")
    graphs = dataset("er", "test").select(torch.tensor([0, 1]))
    start = torch.randn(2, 16, 8, generator=seeded(0))
    whole = model.decode(graphs, start)
    one = DenseGraphs(graphs.pairs[:1, :7, :7], graphs.colors[:1, :7], graphs.mask[:1, :7])
    torch.testing.assert_close(model.decode(one, start[:1]), whole[:1, :7, :7])


@pytest.mark.parametrize("encoding", ["sympe", "sympe-refinement", "haar", "sympe-scores"])
def test_gradients_reach_v_and_learned_kernels(encoding: str) -> None:
    model = small(encoding)
    graphs = dataset("er", "test").select(torch.arange(4))
    reconstruction_loss(graphs, model(graphs, generator=seeded(0))).mean().backward()
    for name, parameter in model.named_parameters():
        if name.startswith(("encoding.v", "decoder", "encoding.kernel.network.score.weight")):
            assert parameter.grad is not None
            assert float(parameter.grad.abs().sum()) > 0, name
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())


def test_metrics_by_hand() -> None:
    edges = torch.tensor([[[0, 1, 0], [1, 0, 1], [0, 1, 0]], [[0, 1, 0], [1, 0, 0], [0, 0, 0]]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    graphs = DenseGraphs.from_features(edges, None, mask)
    logits = torch.tensor([[[9.0, 2, 2], [2, 9, -1], [2, -1, 9]], [[9.0, 1, 9], [1, 9, 9], [9, 9, 9]]])
    softplus = lambda z: math.log1p(math.exp(z))  # noqa: E731
    first = 2 * (softplus(-2) + softplus(2) + softplus(1))
    second = 2 * softplus(-1)
    losses = reconstruction_loss(graphs, logits)
    assert losses.tolist() == pytest.approx([first, second], rel=1e-5)
    found = metrics(graphs, logits)
    assert found["bce"] == pytest.approx((first + second) / 2, rel=1e-5)
    assert found["error_percent"] == pytest.approx(100 * 4 / 8)  # pairs 02 and 12 of the first, in both orders
    assert found["f1"] == pytest.approx(2 * 4 / (6 + 6))


def test_logits_of_a_whole_split_are_those_of_its_graphs() -> None:
    model = small("random_walk")
    graphs = dataset("er", "test").select(torch.arange(20))
    logits = logits_of(model, graphs, seeded(0))
    for i, j in itertools.product(range(3), range(2)):
        one = graphs.select(torch.tensor([i + 10 * j]))
        with torch.no_grad():
            alone = model(one)
        real = pairs_of(one)
        torch.testing.assert_close(logits[i + 10 * j][real[0]], alone[real])


def test_evaluation_describes_the_most_symmetric_graphs() -> None:
    numbers, arrays = evaluate(small("none"), "er")
    assert numbers["count"] == 500
    assert 40 < numbers["symmetric_percent"] < 55
    assert float(arrays["entropy"].max()) > 3
    assert arrays["shown_sizes"].shape == (4,)
    both = numbers["symmetric_percent"] / 100
    mean = both * numbers["symmetric"]["bce"] + (1 - both) * numbers["asymmetric"]["bce"]
    assert mean == pytest.approx(numbers["bce"], rel=1e-4)
