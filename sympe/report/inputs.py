"""What is looked at: graphs, fields on lattices, and what could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sympe.graphs import Clouds, SparseGraphs
from sympe.graphs.coloring import clusters
from sympe.tolerance import Tolerance


@dataclass(frozen=True)
class Bad:
    """An input that could not be read.

    Arguments:
        name: where it is: a file and a line.
        reason: what is wrong.
    """

    name: str
    reason: str


class Spread(NamedTuple):
    """What a tolerance made of the floats of one channel of one input.

    Arguments:
        channel: what it is called.
        spread: the largest value minus the least.
        clusters: how many values count as different.

    Example:
        >>> Spread.of("x", torch.tensor([0.1, 0.1, 0.4]), tolerance=1e-3).clusters
        2
    """

    channel: str
    spread: float
    clusters: int

    @classmethod
    def of(cls, channel: str, values: Float[Tensor, " count"], *, tolerance: float | Tolerance) -> Spread:
        """Of finite values, one or more."""
        ranks = clusters(values, torch.zeros(len(values), dtype=torch.int64), Tolerance.of(tolerance))
        return cls(channel, float(values.max()) - float(values.min()), int(ranks.max()) + 1)


@dataclass(frozen=True)
class GraphInput:
    """One graph, with targets if there are any.

    Arguments:
        name: where it is: a file and a line.
        graph: a batch of one.
        node_targets: ``(nodes[, columns])`` classes or floats.
        edge_targets: ``(arcs[, columns])`` classes or floats, in the order of the graph's arcs.
        spreads: what the tolerance made of the floats that became colours.
    """

    name: str
    graph: SparseGraphs
    node_targets: Tensor | None = None
    edge_targets: Tensor | None = None
    spreads: tuple[Spread, ...] = ()


@dataclass(frozen=True)
class CloudInput:
    """One cloud of points, with the group E(d) and the permutations of its points.

    Arguments:
        name: where it is: a file and a number.
        cloud: a batch of one.
        node_targets: ``(points[, columns])`` classes or floats that do not turn with the cloud.
    """

    name: str
    cloud: Clouds
    node_targets: Tensor | None = None


@dataclass(frozen=True)
class LatticeInput:
    """One field on a periodic square lattice, with the group P4M.

    Arguments:
        name: where it is: a file and a number.
        field: ``(3, L, L)`` couplings and field of an Ising Hamiltonian if ``bonds``, else ``(channels, L, L)``
            scalars.
        bonds: whether the first two channels are bonds.
        node_targets: ``([columns,] L, L)`` classes or floats.
    """

    name: str
    field: Tensor
    bonds: bool
    node_targets: Tensor | None = None
