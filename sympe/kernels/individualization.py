r"""The coset C(x) of small graphs, many at once: colour refinement, then individualization of what it leaves tied.

A graph is given by integer colours of its nodes and of its ordered pairs; a permutation p in S_n takes pair (i, j) to
(p_i, p_j). *Refinement* replaces every node's colour by a hash of its colour and of the multiset of (pair colour,
neighbour's colour), until the partition of the nodes stands still. If every node has a colour of its own then, their
order by colour is canonical. If not, the smallest cell of tied nodes (of these the one of least colour) is
*individualized*: one child for each of its nodes, in which that node gets a new colour. At every level only the
children with the least hash of all their colours are kept. The leaves of this tree are orders of the nodes, and all of
it depends on the isomorphism class alone. So the leaves whose relabelled graphs agree are one coset
:math:`C(x) = G_x c(x)`, found without knowing the group.

Colours are 64-bit hashes in wrapping integer arithmetic: sums do not depend on the order of the nodes, as those of
floats would. Two different things share a hash with a probability of about :math:`2^{-62}`. In refinement that only
leaves more to individualize; between leaves it would add an element that does not belong to C(x).

Arrays have the batch last, ``(n, n, batch)``, so that every operation runs along contiguous memory.

References:
    McKay & Piperno, "Practical graph isomorphism, II", J. Symbolic Computation 2014 (refinement and individualization).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from sympe.graphs.coloring import mix

PADDING = 2**62
"""Colours of padding start here; those of nodes stay below."""

_REVERSED, _CHOSEN = 0x5851F42D4C957F2D, 0x14057B7EF767814F


class Leaves(NamedTuple):
    """The cosets of a batch of graphs, as two parallel lists, and the graphs that were given up.

    Arguments:
        rows: the graph of each leaf, ascending.
        orders: ``orders[t, r]`` is the node at canonical place r: an element of C(x). Padding stays in place.
        too_many: the graphs with more than ``limit`` nodes on some level of their tree; they have no leaf here.
    """

    rows: Int64[Tensor, " leaves"]
    orders: Int64[Tensor, "leaves n"]
    too_many: Bool[Tensor, " batch"]


def search_graphs(
    pairs: Int64[Tensor, "batch n n"],
    nodes: Int64[Tensor, "batch n"],
    mask: Bool[Tensor, "batch n"],
    *,
    limit: int = 256,
) -> Leaves:
    """The coset C(x) of every graph of the batch.

    Arguments:
        pairs: colour of the ordered pair (i, j), 0 where there is no edge; a self-loop is at (i, i). Symmetric for an
            undirected graph.
        nodes: colour of each node.
        mask: which nodes are real; the real ones come first. What stands at the others does not matter.
        limit: largest width of a graph's tree.

    Example:
        >>> path = torch.tensor([[[0, 1, 0], [1, 0, 1], [0, 1, 0]]])
        >>> leaves = search_graphs(path, torch.zeros(1, 3, dtype=torch.int64), torch.ones(1, 3, dtype=torch.bool))
        >>> len(leaves.rows)  # the path of three nodes and its reverse
        2
    """
    batch, n = nodes.shape
    real = mask.T.contiguous()
    both = torch.where(real & real[:, None], pairs.permute(1, 2, 0), 0).contiguous()
    hashed = torch.where(both == 0, 0, mix(both))
    weights = hashed + _REVERSED * hashed.transpose(0, 1)  # [j, i]: what i hears from j, itself included
    padding = PADDING + torch.arange(n, device=nodes.device)[:, None]
    start = mix(nodes.T) >> 2
    root = torch.arange(batch, device=nodes.device)
    too_many = torch.zeros(batch, dtype=torch.bool, device=nodes.device)
    colors = refine(weights, torch.where(real, start, padding))
    depth = 0
    while (cell := _smallest_cell(colors)) is not None:
        depth += 1  # in the new colour, for else the second node chosen of one cell gets that of the first
        tied = cell.any(0)
        width = torch.where(tied, cell.sum(0), 1)
        total = torch.zeros(batch, dtype=torch.int64, device=nodes.device).index_add_(0, root, width)
        too_many |= total > limit
        node, parent = (cell & ~too_many[root]).nonzero(as_tuple=True)
        done = (~tied & ~too_many[root]).nonzero().squeeze(1)
        child = colors[:, parent]
        place = torch.arange(len(parent), device=nodes.device)
        child[node, place] = mix(child[node, place] + depth * _CHOSEN) >> 2
        child = refine(weights[:, :, root[parent]], child)
        root = torch.cat([root[done], root[parent]])
        colors = torch.cat([colors[:, done], child], 1)
        kept = _least(mix(colors).sum(0), root, batch)
        root, colors = root[kept], colors[:, kept]
    # one more step makes the colours of a leaf a hash of the whole relabelled graph
    kept = _least(mix(_step(weights[:, :, root], colors)).sum(0), root, batch)
    root, order = root[kept].sort(stable=True)
    return Leaves(root, colors[:, kept][:, order].argsort(0).T.contiguous(), too_many)


def refine(weights: Int64[Tensor, "n n batch"], colors: Int64[Tensor, "n batch"]) -> Int64[Tensor, "n batch"]:
    """Refine until every partition stands still or is discrete; each graph by itself, whatever the rest of the batch.

    Arguments:
        weights: hash of what i hears from j at [j, i]; 0 for nothing.
        colors: below :data:`PADDING` for nodes; padding has colours of its own from there on, and keeps them.
    """
    n, batch = colors.shape
    colors = colors.clone()
    active = torch.arange(batch, device=colors.device)
    ties = _ties(colors)
    left = ties > n
    while bool(left.any()):
        if not bool(left.all()):
            active, ties, weights = active[left], ties[left], weights[:, :, left]
        finer = _step(weights, colors[:, active])
        now = _ties(finer)
        moved = now < ties
        colors[:, active[moved]] = finer[:, moved]
        left = moved & (now > n)
        ties = now
    return colors


def _step(weights: Tensor, colors: Tensor) -> Tensor:
    heard = (weights * mix(colors)[:, None]).sum(0)
    return torch.where(colors < PADDING, mix(mix(colors) + heard) >> 2, colors)


def _ties(colors: Tensor) -> Tensor:
    """How many ordered pairs of nodes share a colour, n of them being a node with itself."""
    return (colors[:, None] == colors).sum((0, 1))


def _smallest_cell(colors: Tensor) -> Tensor | None:
    """The nodes to individualize in each graph, or None if all partitions are discrete."""
    size = (colors[:, None] == colors).sum(0)
    tied = size > 1
    if not bool(tied.any()):
        return None
    smallest = torch.where(tied, size, colors.shape[0] + 1).amin(0)
    candidates = tied & (size == smallest)
    least = torch.where(candidates, colors, PADDING).amin(0)
    return candidates & (colors == least)


def _least(value: Tensor, root: Tensor, batch: int) -> Tensor:
    """Which entries have the least value among those of the same root."""
    least = torch.full((batch,), torch.iinfo(torch.int64).max, device=value.device)
    least = least.scatter_reduce(0, root, value, "amin")
    return value == least[root]
