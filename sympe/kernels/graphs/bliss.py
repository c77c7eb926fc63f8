"""Canonical labellings and automorphisms of one connected, hard graph at a time, by BLISS (igraph).

Where igraph is not installed, :mod:`sympe.kernels.graphs.tree` does the same.

BLISS knows colours of nodes only. If the pairs have more than one colour, or one direction differs from the other, an
edge becomes a node of its own: one between i and j if both directions have the same colour, else two in a row, each
next to the end that it starts from, one of them perhaps for "no arc".

References:
    Junttila & Kaski, "Engineering an efficient canonical labeling tool for large and sparse graphs", ALENEX 2007.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.extras import missing
from sympe.graphs import SparseGraphs

Draw = Callable[[torch.Size, Tensor], Tensor]
"""Gives numbers in [0, 1) in double precision, of a shape, on the device of a tensor."""


class BlissGraph:
    """One graph, ready for BLISS.

    Arguments:
        graph: a batch of one.

    Raises:
        ImportError: if igraph is missing or older than 1.0, which returned the inverse permutation.
        ValueError: if ``graph`` is not one graph.
    """

    def __init__(self, graph: SparseGraphs) -> None:
        if len(graph) != 1:
            raise ValueError(f"graph: expected a batch of one, got {len(graph)}")
        self.nodes = n = int(graph.sizes[0])
        i, j = graph.arcs
        loop = i == j
        loops = torch.zeros(n, dtype=torch.int64)
        loops[i[loop].cpu()] = graph.arc_colors[loop].cpu()
        colors = torch.stack([graph.colors.cpu(), loops], 1).unique(dim=0, return_inverse=True)[1]
        i, j, c = (part[~loop].cpu() for part in (i, j, graph.arc_colors))
        back = _reverse(i, j, c, n)
        once = (back == c) & (i < j)
        if bool((back == c).all()) and len(c.unique()) <= 1:
            edges = torch.stack([i, j])[:, once]
        else:
            edges, colors = _with_edge_nodes(i, j, c, back, once, colors)
        self._edges, self._colors = edges, colors

    def canonical_order(self) -> Int64[Tensor, " nodes"]:
        """The node at each canonical place: an element of C(x), always the same one for the same numbering."""
        return self._order(torch.arange(len(self._colors)))

    def sample(self, draw: Draw) -> Int64[Tensor, " nodes"]:
        """A uniform element of C(x), found on a Haar-relabelled copy; ``draw`` gives uniform numbers."""
        return self._order(draw(self._colors.shape, self._colors).argsort(stable=True))

    def _order(self, u: Tensor) -> Tensor:
        """u^-1 c(u x), without the nodes that stand for edges."""
        colors = torch.empty_like(self._colors)
        colors[u] = self._colors
        c = torch.tensor(
            _graph(u[self._edges], colors, self.nodes).canonical_permutation(color=colors.tolist()), dtype=torch.int64
        )
        g = u.argsort()[c]
        return g[g < self.nodes]

    def automorphisms(self) -> int:
        """The order of the automorphism group, exactly."""
        graph, colors = _graph(self._edges, self._colors, self.nodes), self._colors.tolist()
        limit = sys.get_int_max_str_digits()
        sys.set_int_max_str_digits(0)  # igraph makes the number of its digits, and Python refuses more than 4,300
        try:
            return int(graph.count_automorphisms(color=colors))
        finally:
            sys.set_int_max_str_digits(limit)

    def generators(self) -> Int64[Tensor, "count nodes"]:
        """Generators of the automorphism group."""
        found = _graph(self._edges, self._colors, self.nodes).automorphism_group(color=self._colors.tolist())
        return torch.tensor(found, dtype=torch.int64).reshape(-1, len(self._colors))[:, : self.nodes]


def _with_edge_nodes(
    i: Tensor, j: Tensor, c: Tensor, back: Tensor, once: Tensor, colors: Tensor
) -> tuple[Tensor, Tensor]:
    """Edges of the graph with nodes for edges, and the colours of its nodes."""
    n = len(colors)
    kinds = c.unique()
    kind = int(colors.max()) + 1 + torch.searchsorted(kinds, c)
    s = n + torch.arange(int(once.sum()))
    first = (back != c) & ((back == 0) | (i < j))  # each asymmetric pair once, by an arc that it has
    arc = n + len(s) + torch.arange(int(first.sum()))
    other = arc + len(arc)
    nothing = int(colors.max()) + 1 + 2 * len(kinds)
    reverse = torch.where(back == 0, nothing, int(colors.max()) + 1 + len(kinds) + torch.searchsorted(kinds, back))
    pairs = [(i[once], s), (s, j[once]), (i[first], arc), (arc, other), (other, j[first])]
    edges = torch.cat([torch.stack(pair) for pair in pairs], 1)
    return edges, torch.cat([colors, kind[once], kind[first] + len(kinds), reverse[first]])


def _reverse(i: Tensor, j: Tensor, value: Tensor, n: int) -> Tensor:
    """The value of arc (j, i) for every arc (i, j), 0 where there is none."""
    keys, order = (i * n + j).sort()
    wanted = j * n + i
    place = torch.searchsorted(keys, wanted).clamp(max=max(len(keys) - 1, 0))
    if len(keys) == 0:
        return value
    return torch.where(keys[place] == wanted, value[order[place]], 0)


def _graph(edges: Tensor, colors: Tensor, nodes: int) -> Any:
    """An igraph.Graph; without that package hard parts are searched, and only the order "bliss" comes here."""
    try:
        import igraph
    except ImportError as error:
        said = missing(f"x: the order 'bliss' of a graph of {nodes} nodes needs", "igraph", "graphs")
        raise ImportError(f"{said}; the other orders do without") from error
    if int(igraph.__version__.split(".")[0]) < 1:
        raise ImportError(f"igraph: expected version 1.0 or newer, got {igraph.__version__}: it returns the inverse")
    return igraph.Graph(n=len(colors), edges=edges.T.tolist())
