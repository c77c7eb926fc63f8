r"""A kernel for graphs without any exact search: refine, individualize a random node, refine again, and so on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sympe.graphs import Graphs, SparseGraphs
from sympe.graphs.checks import check_sizes, fixes_padding
from sympe.graphs.coloring import mix
from sympe.groups import Permutations
from sympe.groups.checks import check_integer
from sympe.kernels.base import Kernel, uniform
from sympe.kernels.graphs.hashes import individualize
from sympe.kernels.graphs.refinement import Decomposition, decompose, dense_rank, lexsort, refine_graphs

_WIDTH = 4096
"""Random paths of a component that are listed for the entropy."""

_AT_ONCE = 2**20
"""Arcs that are refined at once for it."""


class GraphRefinementKernel(Kernel):
    r"""Colour refinement, with ties settled at random; its entropy is at least that of the exact kernel.

    Refinement gives every node a colour. Where all colours differ their order is canonical, and this kernel *is* the
    exact one, with entropy 0. Nodes of free cells (:mod:`sympe.kernels.graphs.refinement`) are shuffled, which is exact
    as well. In what is left a uniform node of the smallest tied cell (of these, the one of least colour) is given a
    colour of its own and comes first in its cell, then all is refined again, until no node is tied. Connected
    components are treated at the same time and put in the order of their refined colours, those with the same colours
    at random.

    A choice among nodes that an automorphism exchanges costs no more than it must; a choice among others, which only
    look alike to refinement, adds entropy. Unlike :class:`~sympe.kernels.GraphKernel` it runs on any device, never
    calls BLISS, and its time does not explode on hard graphs.

    Arguments:
        max_nodes: the degree of the group; smaller graphs are padded, and the padding stays where it is.

    Raises:
        ValueError: if ``max_nodes < 1``; on use, if a graph has more than ``max_nodes`` nodes.

    Example:
        Refinement cannot tell a prism from the complete bipartite graph K_3,3; their groups have 12 and 72 elements:

        >>> import torch
        >>> from sympe.graphs import SparseGraphs
        >>> prism = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3), (0, 3), (1, 4), (2, 5)]
        >>> bipartite = [(a, b) for a in (6, 7, 8) for b in (9, 10, 11)]
        >>> edges = torch.tensor(prism + bipartite).T
        >>> x = SparseGraphs.from_features(torch.cat([edges, edges.flip(0)], 1), torch.tensor([12]))
        >>> GraphRefinementKernel(max_nodes=12).entropy(x).exp().round(), 2 * 12 * 72
        (tensor([1728.]), 1728)
    """

    def __init__(self, max_nodes: int) -> None:
        check_integer("max_nodes", max_nodes)
        self._group = Permutations(max_nodes)

    def __repr__(self) -> str:
        return f"GraphRefinementKernel(max_nodes={self.group.degree})"

    @property
    def group(self) -> Permutations:
        """The permutations of ``max_nodes`` nodes."""
        return self._group

    def sample(self, x: Graphs, *, generator: torch.Generator | None = None) -> Int64[Tensor, "batch max_nodes"]:
        """Draw an order of the nodes of every graph; the padding stays in place."""
        sizes = check_sizes(x, self.group.degree)
        x = x.sparse()
        found = decompose(x)
        parts = found.components
        places, _ = _individualize(parts, uniform(parts.colors.shape, parts.colors, generator))
        among = uniform(parts.sizes.shape, parts.sizes, generator)
        rank = lexsort(_invariants(parts), among).argsort()
        order = found.order(x.graph, rank, places, uniform(x.colors.shape, x.colors, generator))
        g = self.group.identity((len(x),), device=x.device)
        g[torch.arange(self.group.degree, device=x.device) < sizes[:, None]] = order - x.starts[x.graph]
        return g

    def log_prob(self, g: Int64[Tensor, "batch max_nodes"], x: Graphs) -> Float[Tensor, " batch"]:
        """The probability of the only choices that lead to ``g``; minus infinity if there are none."""
        check_sizes(x, self.group.degree)
        self.group.check(g)
        allowed = fixes_padding(g, x)
        g = torch.where(allowed[:, None], g, torch.arange(self.group.degree, device=g.device))
        x = x.sparse()
        found = decompose(x)
        parts = found.components
        graph, part = x.graph, parts.graph
        position = self.group.inverse(g)[graph, torch.arange(len(graph), device=g.device) - x.starts[graph]]
        places, log_p = _individualize(parts, position[found.nodes].double())
        # as the nodes stand in g: free ones by colour, then components by colours, each in one piece and in its order
        start = torch.full_like(parts.sizes, self.group.degree)
        start = start.scatter_reduce(0, part, position[found.nodes], "amin")
        together = position[found.nodes] == start[part] + places
        allowed[graph[found.nodes[~together]]] = False
        kind = _invariants(parts)
        order = found.order(graph, lexsort(kind, start).argsort(), places, position)
        wrong = position[order] != torch.arange(len(graph), device=g.device) - x.starts[graph]
        allowed[graph[order[wrong]]] = False
        total = found.shuffles(graph, len(x), kind)
        total = -total.index_add(0, found.graph, -log_p)
        return torch.where(allowed, total, -torch.inf).to(torch.get_default_dtype())

    def entropy(self, x: Graphs) -> Float[Tensor, " batch"]:
        """The exact entropy in nats.

        Raises:
            ValueError: if a component has more than 4,096 random paths; it is named, and where it is.
        """
        check_sizes(x, self.group.degree)
        x = x.sparse()
        found = decompose(x)
        total = found.shuffles(x.graph, len(x), _invariants(found.components))
        return total.index_add(0, found.graph, _path_entropy(found)).to(torch.get_default_dtype())


def _individualize(parts: SparseGraphs, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The place of each node in its component, and the log-probability of the choices made there.

    Of the nodes that may be chosen the one with the least value of ``wanted`` is. It comes before the rest of its cell,
    so that the choices can be read off the places.
    """
    refine = partial(refine_graphs, parts)
    colors = refine(parts.colors)
    rank, size = dense_rank(parts.graph, colors)
    log_p = torch.zeros(len(parts), dtype=torch.float64, device=parts.device)
    depth = 0
    while bool((size > 1).any()):
        depth += 1
        part, cell = _cells_to_split(rank, size, parts.graph)
        log_p[part] -= size[cell].double().log()
        chosen = _first_of_cells(rank, cell, wanted, len(size))
        colors, rank, size = _split(colors, rank, chosen, depth, refine)
    return rank - parts.starts[parts.graph], log_p


def _split(
    colors: Tensor, rank: Tensor, chosen: Tensor, depth: int, refine: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Colours, ranks and sizes of the cells after the chosen nodes are individualized, each before its cell."""
    colors = individualize(colors, chosen, depth, refine)
    later = torch.ones_like(rank)
    later[chosen] = 0
    return colors, *dense_rank(rank, later, colors)


def _cells_to_split(rank: Tensor, size: Tensor, graph: Tensor) -> tuple[Tensor, Tensor]:
    """The graphs with ties, and of each the smallest tied cell, the first one of that size."""
    first = torch.full_like(size, len(rank)).scatter_reduce(
        0, rank, torch.arange(len(rank), device=rank.device), "amin"
    )
    part = graph[first]
    tied = (size > 1).nonzero().squeeze(1)
    order = tied[lexsort(part[tied], size[tied], tied)]
    new = torch.ones_like(order, dtype=torch.bool)
    new[1:] = part[order].diff() != 0
    return part[order[new]], order[new]


def _first_of_cells(rank: Tensor, cell: Tensor, wanted: Tensor, cells: int) -> Tensor:
    """The node of each of the given cells with the least wanted value."""
    least = torch.full((cells,), torch.inf, dtype=wanted.dtype, device=wanted.device)
    least = least.scatter_reduce(0, rank, wanted, "amin")
    number = torch.full((cells,), len(rank), dtype=torch.int64, device=rank.device)
    best = (wanted == least[rank]).nonzero().squeeze(1)
    return number.scatter_reduce(0, rank[best], best, "amin")[cell]


def _invariants(parts: SparseGraphs) -> Tensor:
    """A hash of the multiset of colours of each component, before any choice."""
    hashes = torch.zeros(len(parts), dtype=torch.int64, device=parts.device)
    return hashes.index_add_(0, parts.graph, mix(parts.colors))


def _path_entropy(found: Decomposition) -> Tensor:
    """The mean of -log p over the random choices in each component, by listing all of them."""
    entropy = torch.zeros(len(found.components), dtype=torch.float64, device=found.components.device)
    for number in range(len(found.components)):
        one = found.components.select(torch.tensor([number], device=entropy.device))
        n, paths, depth = int(one.sizes[0]), 1, 0
        refine = partial(_refine_copies, one)
        colors, path = refine(one.colors), one.graph
        rank, size = dense_rank(path, colors)
        weight = torch.ones(1, dtype=torch.float64, device=entropy.device)
        while bool((size > 1).any()):
            depth += 1
            tied, cell = _cells_to_split(rank, size, path)
            entropy[number] += (weight[tied] * size[cell].double().log()).sum()
            among = torch.zeros_like(size, dtype=torch.bool)
            among[cell] = True
            node = among[rank].nonzero().squeeze(1)  # one path goes on by each of them
            paths += len(node) - len(tied)
            if paths > _WIDTH:
                raise ValueError(
                    f"x: the entropy of graph {int(found.graph[number])} takes more than {_WIDTH} random paths "
                    f"of a component with {n} nodes"
                )
            parent, child = path[node], torch.arange(len(node), device=node.device)
            weight = weight[parent] / size[rank[node]]
            colors = colors.view(-1, n)[parent].flatten()
            rank = (rank.view(-1, n)[parent] + child[:, None] * len(size)).flatten()
            path = child.repeat_interleave(n)
            colors, rank, size = _split(colors, rank, child * n + node % n, depth, refine)
    return entropy


def _refine_copies(one: SparseGraphs, colors: Tensor) -> Tensor:
    """Refined colours of copies of one graph, from different ones for each of them."""
    n = int(one.sizes[0])
    finer = []
    for some in colors.split(n * max(1, _AT_ONCE // max(n, len(one.arc_colors)))):
        count = len(some) // n
        start = torch.arange(count, device=some.device).repeat_interleave(len(one.arc_colors)) * n
        copies = SparseGraphs(
            one.sizes.repeat(count), some, one.arcs.repeat(1, count) + start, one.arc_colors.repeat(count)
        )
        finer.append(refine_graphs(copies, some))
    return torch.cat(finer)
