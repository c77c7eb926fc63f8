"""C(x) of any graphs: listed where they are small, else taken apart, with BLISS or a search for what is left.

Three ways, chosen by the isomorphism class alone:

1. up to 64 nodes and 256 automorphisms or so: the whole coset is listed by a batched search;
2. else the graph is refined and taken apart, and its components are searched in the same batched way;
3. components that are too large or too symmetric for that are given to BLISS one by one, but for those whose nodes
   have colours of their own, which are their order. Where igraph is not installed they are taken apart again, as far as
   that goes, and searched (:mod:`sympe.kernels.graphs.tree`). That gives another canonical form than BLISS.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sympe.graphs import DenseGraphs, Graphs, SparseGraphs
from sympe.graphs.checks import equal_graphs
from sympe.graphs.coloring import mix
from sympe.kernels.graphs.bliss import BlissGraph, Draw
from sympe.kernels.graphs.hard import has_igraph
from sympe.kernels.graphs.individualization import Leaves, search_graphs
from sympe.kernels.graphs.refinement import decompose, dense_rank, lexsort
from sympe.kernels.graphs.tree import SearchedGraph

SMALL = 64
"""Graphs of up to this many nodes are searched in batches."""

_LIMIT = 256
"""Width of the search: cosets of more elements are not listed."""

_CHUNK = 2**22
"""Pairs of nodes that are searched at once."""


def first_choice(shape: torch.Size, x: Tensor) -> Tensor:
    """Instead of uniform numbers: settles every choice by the order of the nodes, the same way every time."""
    return torch.zeros(shape, dtype=torch.float64, device=x.device)


def list_cosets(x: Graphs, among: Bool[Tensor, " batch"] | None = None) -> Leaves:
    """The cosets of small graphs; ``too_many`` is set for those that are large, too symmetric, or not ``among``."""
    sizes = x.sizes
    if among is None and isinstance(x, DenseGraphs) and x.mask.shape[1] <= min(16, SMALL) and x.pairs.numel() <= _CHUNK:
        return search_graphs(x.pairs, x.colors, x.mask, limit=_LIMIT)
    wanted = sizes <= SMALL if among is None else (sizes <= SMALL) & among
    widest = int(sizes[wanted].max()) if bool(wanted.any()) else 0

    def search_part(part: Tensor, _: int) -> Leaves:
        some = x.select(part).dense().trimmed()
        return search_graphs(some.pairs, some.colors, some.mask, limit=_LIMIT)

    return list_by_size(sizes, wanted, search_part, nodes=widest, chunk=_CHUNK)


def list_by_size(
    sizes: Int64[Tensor, " batch"],
    wanted: Bool[Tensor, " batch"],
    search_part: Callable[[Tensor, int], Leaves],
    *,
    nodes: int,
    chunk: int,
) -> Leaves:
    """The cosets of a batch, searched by size, so that a small graph does not pay for a large one.

    Arguments:
        sizes: how many nodes each graph has.
        wanted: which are searched; ``too_many`` is set for the others.
        search_part: gives the cosets of some rows of the batch, of at most so many nodes.
        nodes: the columns of the orders.
        chunk: pairs of nodes that are searched at once.
    """
    rows = [torch.zeros(0, dtype=torch.int64, device=sizes.device)]
    orders: list[Tensor] = []
    places, too_many = torch.arange(nodes, device=sizes.device), ~wanted
    width = (sizes + 7) // 8 * 8
    for n in width[wanted].unique().tolist():
        for part in ((width == n) & wanted).nonzero().squeeze(1).split(max(1, chunk // max(1, n * n))):
            leaves = search_part(part, n)
            too_many[part] = leaves.too_many
            rows.append(part[leaves.rows])
            padding = places[leaves.orders.shape[1] :].expand(len(leaves.rows), -1)
            orders.append(torch.cat([leaves.orders, padding], 1))
    row, by = torch.cat(rows).sort(stable=True)
    return Leaves(row, torch.cat([places.expand(0, -1), *orders])[by], too_many)


def choose(listed: Leaves, draw: Draw) -> Int64[Tensor, "graphs nodes"]:
    """A uniform element of the coset of every graph that is listed."""
    count = torch.bincount(listed.rows, minlength=len(listed.too_many))
    first = (count.cumsum(0) - count)[count > 0]
    count = count[count > 0]
    u = draw(count.shape, listed.rows)
    return listed.orders[first + torch.minimum((u * count).long(), count - 1)]


class Pieces:
    """Graphs with their automorphisms: listed, by BLISS or a search, or none as all colours differ.

    Arguments:
        graphs: the graphs; connected and refined, or BLISS and the search may be slow.
        among: which may be listed.
    """

    def __init__(self, graphs: SparseGraphs, among: Bool[Tensor, " batch"]) -> None:
        self.graphs = graphs
        self.listed = list_cosets(graphs, among)
        rank, size = dense_rank(graphs.graph, graphs.colors)
        tied = torch.zeros(len(graphs), dtype=torch.bool, device=graphs.device)
        tied[graphs.graph[size[rank] > 1]] = True
        hard = self.listed.too_many & tied
        self.again = torch.zeros_like(hard)
        if bool(hard.any()) and not has_igraph():
            self.again[hard] = _falls_apart(graphs.select(hard.nonzero().squeeze(1)))
        self.hard = (hard & ~self.again).nonzero().squeeze(1).tolist()

    def places(self, draw: Draw) -> Int64[Tensor, " nodes"]:
        """The canonical place of every node, for a uniform element of each coset."""
        graphs = self.graphs
        place = lexsort(graphs.graph, graphs.colors).argsort() - graphs.starts[graphs.graph]  # where colours differ
        order = choose(self.listed, draw)
        easy = (~self.listed.too_many).nonzero().squeeze(1)
        spot = torch.arange(order.shape[1], device=order.device).expand_as(order)
        real = spot < graphs.sizes[easy][:, None]
        place[(graphs.starts[easy][:, None] + order)[real]] = spot[real]
        for row in self.hard:
            g = self._part(row).sample(draw).to(place.device)
            place[graphs.starts[row] + g] = torch.arange(len(g), device=place.device)
        if bool(self.again.any()):
            within = self.again[graphs.graph]
            start = graphs.starts[graphs.graph[within]]
            node = torch.arange(len(within), device=place.device)[within]
            place[start + self._apart.orders(draw)] = node - start
        return place

    def log_orders(self) -> Float[Tensor, " batch"]:
        """The logarithms of the orders of the automorphism groups."""
        out = torch.bincount(self.listed.rows, minlength=len(self.graphs)).clamp(min=1).double().log()
        for row in self.hard:
            out[row] = math.log(self._part(row).automorphisms())
        if bool(self.again.any()):
            out[self.again] = self._apart.log_orders()
        return out

    def orbits(self) -> Int64[Tensor, " nodes"]:
        """The least node of the orbit of each node, numbered over the batch."""
        out = torch.arange(len(self.graphs.colors), device=self.graphs.device)
        starts = self.graphs.starts
        for row, moved in enumerate(self.generators()):
            start, nodes = int(starts[row]), int(self.graphs.sizes[row])
            if len(moved):
                out[start : start + nodes] = start + least_of_orbits(moved)
        return out

    def generators(self) -> list[Int64[Tensor, "count nodes"]]:
        """Generators of each automorphism group."""
        found = []
        count = torch.bincount(self.listed.rows, minlength=len(self.graphs)).tolist()
        of = self.listed.orders.split(count)
        hard = set(self.hard)
        again = self.again.nonzero().squeeze(1).tolist()
        apart = dict(zip(again, self._apart.generators(), strict=True)) if again else {}
        for row, nodes in enumerate(self.graphs.sizes.tolist()):
            if row in hard:
                found.append(self._part(row).generators().to(self.graphs.device))
            elif row in apart:
                found.append(apart[row])
            else:
                orders = of[row][:, :nodes]
                first = orders[:1].expand(max(0, len(orders) - 1), -1)
                found.append(torch.empty_like(first).scatter_(1, first, orders[1:]))
        return found

    @cached_property
    def _apart(self) -> Decomposed:
        return Decomposed(self.graphs.select(self.again.nonzero().squeeze(1)))

    def _part(self, row: int) -> BlissGraph | SearchedGraph:
        graph = self.graphs.select(torch.tensor([row], device=self.graphs.device))
        return BlissGraph(graph) if has_igraph() else SearchedGraph(graph)


class Decomposed:
    """Graphs that are refined and taken apart (:mod:`sympe.kernels.graphs.refinement`), with their automorphisms.

    Arguments:
        x: graphs that were found too large or too symmetric to list.
    """

    def __init__(self, x: SparseGraphs) -> None:
        self.x = x
        self.found = decompose(x)
        parts = self.found.components
        # a component that is a whole graph of listable size was tried before
        self.pieces = Pieces(parts, (parts.sizes < x.sizes[self.found.graph]) | (parts.sizes > SMALL))

    def orders(self, draw: Draw) -> Int64[Tensor, " nodes"]:
        """The nodes of each graph in canonical order, numbered in their graph, for a uniform element of C(x).

        First the free cells by colour, each shuffled; then the components by kind, those of one kind shuffled.
        """
        found, graph = self.found, self.x.graph
        places = self.pieces.places(draw)
        kinds = self._kinds(places)
        rank = lexsort(kinds, draw(kinds.shape, kinds)).argsort()
        order = found.order(graph, rank, places, draw(graph.shape, graph))
        return order - self.x.starts[graph]  # sorted by graph: nodes and places of a graph are the same range

    def log_orders(self) -> Float[Tensor, " batch"]:
        """The logarithms of the orders of the automorphism groups."""
        kinds = self._kinds(self.pieces.places(first_choice))
        total = self.found.shuffles(self.x.graph, len(self.x), kinds)
        return total.index_add(0, self.found.graph, self.pieces.log_orders())

    def orbits(self) -> Int64[Tensor, " nodes"]:
        """The least node of the orbit of each node, numbered over the batch."""
        found = self.found
        places = self.pieces.places(first_choice)
        orbit = self.pieces.orbits()
        # the orbit of a component by its least place: the same number in components of one kind
        least = torch.full_like(places, len(places)).scatter_reduce(0, orbit, places, "amin")[orbit]
        kind, _ = dense_rank(found.graph, self._kinds(places))
        major, minor = found.colors.clone(), torch.full_like(self.x.graph, -1)
        major[found.nodes] = kind[found.components.graph]
        minor[found.nodes] = least
        _, key = torch.stack([self.x.graph, major, minor]).unique(dim=1, return_inverse=True)
        node = torch.arange(len(key), device=key.device)
        return torch.full_like(key, len(key)).scatter_reduce(0, key, node, "amin")[key]

    def generators(self) -> list[Int64[Tensor, "count nodes"]]:
        """Generators of each automorphism group."""
        found, x = self.found, self.x
        places = self.pieces.places(first_choice)
        kind, _ = dense_rank(found.graph, self._kinds(places))
        inside = self.pieces.generators()
        starts = found.components.starts
        local = found.nodes - x.starts[x.graph[found.nodes]]
        by_place = torch.empty_like(local)
        by_place[starts[found.components.graph] + places] = local
        spans = [(start, start + n) for start, n in zip(starts.tolist(), found.components.sizes.tolist(), strict=True)]
        moves: list[list[Tensor]] = [[] for _ in range(len(x))]
        identity = [torch.arange(n, device=x.device) for n in x.sizes.tolist()]
        last: dict[int, int] = {}
        for part, row in enumerate(found.graph.tolist()):
            a, b = spans[part]
            for g in inside[part]:
                p = identity[row].clone()
                p[local[a:b]] = local[a:b][g]
                moves[row].append(p)
            before = last.get(int(kind[part]))
            if before is not None:  # exchange with the one before of its kind
                one, other = by_place[a:b], by_place[slice(*spans[before])]
                p = identity[row].clone()
                p[one], p[other] = other, one
                moves[row].append(p)
            last[int(kind[part])] = part
        cell, size = dense_rank(x.graph, found.colors)
        for number in ((size > 1).nonzero().squeeze(1)).tolist():
            nodes = (cell == number).nonzero().squeeze(1)
            if not bool(found.free[nodes[0]]):
                continue
            row = int(x.graph[nodes[0]])
            nodes = nodes - x.starts[row]
            swap, cycle = identity[row].clone(), identity[row].clone()
            swap[nodes[:2]] = nodes[:2].flip(0)
            cycle[nodes] = nodes.roll(1)
            moves[row] += [swap, cycle] if len(nodes) > 2 else [swap]
        return [
            torch.stack(m) if m else torch.zeros((0, len(i)), dtype=torch.int64, device=x.device)
            for m, i in zip(moves, identity, strict=True)
        ]

    def _kinds(self, places: Tensor) -> Tensor:
        """A hash of the canonical form of each component: equal for isomorphic ones.

        Raises:
            ValueError: if others of one graph share it.
        """
        parts = self.found.components
        hashes = torch.zeros(len(parts), dtype=torch.int64, device=places.device)
        hashes.index_add_(0, parts.graph, mix(mix(places) + parts.colors))
        i, j = places[parts.arcs]
        hashes.index_add_(0, parts.graph[parts.arcs[0]], mix(mix(mix(i) + j) + parts.arc_colors))
        order = lexsort(self.found.graph, hashes)
        same = (self.found.graph[order].diff() == 0) & (hashes[order].diff() == 0)
        one, other = order[:-1][same], order[1:][same]
        if len(one) and not _isomorphic(parts, places, one, other):
            raise ValueError("x: two components of a graph share a hash, and are not isomorphic; give other colours")
        return hashes


def _falls_apart(parts: SparseGraphs) -> Bool[Tensor, " batch"]:
    """Which connected parts fall apart by themselves: several of a kind hid that a node is alone in its cell.

    Each time that happens there are two of a kind at least, so a part of n nodes falls apart at most log2(n) times.
    """
    found = decompose(parts)
    several = torch.bincount(found.graph, minlength=len(parts)) > 1
    several[parts.graph[found.free]] = True
    return several


def _isomorphic(parts: SparseGraphs, places: Tensor, one: Tensor, other: Tensor) -> bool:
    """Whether some components have the same canonical forms as others."""
    place = parts.starts[parts.graph] + places
    colors = torch.empty_like(parts.colors)
    colors[place] = parts.colors
    arcs = place[parts.arcs]
    by = lexsort(*arcs)
    forms = SparseGraphs(parts.sizes, colors, arcs[:, by], parts.arc_colors[by])
    a, b = forms.select(one), forms.select(other)
    return torch.equal(a.sizes, b.sizes) and bool(equal_graphs(a, b).all())


def least_of_orbits(generators: Int64[Tensor, "count nodes"]) -> Int64[Tensor, " nodes"]:
    """The least point of the orbit of each point under a group given by generators.

    Example:
        >>> least_of_orbits(torch.tensor([[1, 0, 2, 3], [0, 1, 3, 2]]))
        tensor([0, 0, 2, 2])
    """
    label = torch.arange(generators.shape[1], device=generators.device)
    while True:
        new = label
        for p in generators:
            least = torch.minimum(new, new[p])
            new = least.scatter_reduce(0, p, least, "amin")
        if torch.equal(new, label):
            return label
        label = new
