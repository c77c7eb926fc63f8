"""How well graphs are reconstructed: on all test graphs, and on the most symmetric ones."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from sympe.experiments.autoencoder.data import DRAWS, dataset
from sympe.experiments.autoencoder.model import Autoencoder
from sympe.graphs import DenseGraphs
from sympe.kernels import GraphKernel
from sympe.randomness import seeded

SHOWN = 4
"""Most symmetric test graphs that are drawn."""


def reconstruction_loss(graphs: DenseGraphs, logits: Float[Tensor, "batch nodes nodes"]) -> Float[Tensor, " batch"]:
    """The binary cross-entropy of each graph in nats, summed over its ordered pairs of different nodes.

    Example:
        >>> graphs = DenseGraphs.from_features(torch.tensor([[[0, 1], [1, 0]]]))
        >>> reconstruction_loss(graphs, torch.zeros(1, 2, 2))  # two pairs, log 2 each
        tensor([1.3863])
    """
    losses = binary_cross_entropy_with_logits(logits, graphs.pairs.ne(0).to(logits.dtype), reduction="none")
    return (losses * pairs_of(graphs)).sum((1, 2))


def pairs_of(graphs: DenseGraphs) -> Bool[Tensor, "batch nodes nodes"]:
    """The ordered pairs of different nodes."""
    n = graphs.mask.shape[1]
    return graphs.mask[:, :, None] & graphs.mask[:, None] & ~torch.eye(n, dtype=torch.bool, device=graphs.device)


@torch.no_grad()
def logits_of(
    model: Autoencoder, graphs: DenseGraphs, generator: torch.Generator
) -> Float[Tensor, "batch nodes nodes"]:
    """The logits of all pairs for one draw each, size by size; 0 in the padding."""
    logits = torch.zeros(graphs.pairs.shape)
    device = next(model.parameters()).device
    for size in graphs.sizes.unique().tolist():
        rows = (graphs.sizes == size).nonzero().squeeze(1)
        some = graphs.select(rows).trimmed()
        logits[rows[:, None, None], torch.arange(size)[:, None], torch.arange(size)] = model(
            some.to(device), generator=generator
        ).cpu()
    return logits


def metrics(graphs: DenseGraphs, logits: Float[Tensor, "batch nodes nodes"]) -> dict[str, float]:
    """The three numbers of the table.

    - ``bce``: :func:`reconstruction_loss`, the mean over graphs.
    - ``error_percent``: of all ordered pairs of different nodes in all graphs, how many are predicted wrongly at 1/2.
    - ``f1``: of predicted edges, over the same pairs.

    Example:
        >>> graphs = DenseGraphs.from_features(torch.tensor([[[0, 1, 0], [1, 0, 0], [0, 0, 0]]]))
        >>> logits = torch.tensor([[[0.0, 5, 5], [5, 0, -5], [5, -5, 0]]])  # one edge right, one too many
        >>> {key: round(value, 3) for key, value in metrics(graphs, logits).items()}
        {'bce': 10.04, 'error_percent': 33.333, 'f1': 0.667}
    """
    pairs, edges, predicted = pairs_of(graphs), graphs.pairs.ne(0), logits > 0
    wrong = (edges != predicted) & pairs
    right = (edges & predicted & pairs).sum()
    named = (edges & pairs).sum() + (predicted & pairs).sum()
    return {
        "bce": float(reconstruction_loss(graphs, logits).double().mean()),
        "error_percent": 100 * float(wrong.sum()) / max(1, int(pairs.sum())),
        "f1": 2 * float(right) / max(1, int(named)),
    }


def evaluate(model: Autoencoder, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The metrics on the test graphs, and what the figures need."""
    graphs = dataset(name, "test")
    logits = logits_of(model, graphs, seeded(DRAWS, "test"))
    entropy = GraphKernel(graphs.mask.shape[1]).entropy(graphs)
    shown = entropy.argsort(descending=True, stable=True)[:SHOWN]
    numbers: dict[str, Any] = metrics(graphs, logits)
    numbers["count"] = len(graphs)
    numbers["symmetric_percent"] = 100 * float((entropy > 1e-6).float().mean())
    for key, rows in (("asymmetric", entropy <= 1e-6), ("symmetric", entropy > 1e-6)):
        index = rows.nonzero().squeeze(1)
        numbers[key] = metrics(graphs.select(index), logits[index]) if len(index) else None
    arrays = {
        "bce": reconstruction_loss(graphs, logits),
        "entropy": entropy,
        "sizes": graphs.sizes,
        "shown_edges": graphs.pairs[shown].ne(0),
        "shown_logits": logits[shown],
        "shown_sizes": graphs.sizes[shown],
    }
    return numbers, arrays
