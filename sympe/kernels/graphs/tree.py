r"""Canonical labellings and automorphisms of one connected, hard graph at a time, where igraph is not installed.

The tree of individualization and refinement (:mod:`sympe.kernels.graphs.individualization`) is searched depth first,
and automorphisms cut it. A leaf is a sequence of hashes, of what each round of refinement on its path changed, and the
graph relabelled by its colours; the least leaf is the canonical form. From the deepest node of the best path upwards,
each node of the cell that was chosen from is compared with the one that is on the path, unless a symmetry that is known
takes it to one that was compared before. It is worse, it is better, or there is a new symmetry; so when all are done,

.. math:: |G_x| = \prod_k |\text{orbit of node } k \text{ of the path}| ,

each under the symmetries that fix the nodes before it. Hashes decide which leaf is the least, but no two different
graphs are taken for one: a symmetry is compared arc by arc.

It finds another form than BLISS (:mod:`sympe.kernels.graphs.bliss`), and is slower.

References:
    McKay & Piperno, "Practical graph isomorphism, II", J. Symbolic Computation 2014; Darga, Sakallah & Markov, "Faster
    symmetry discovery using sparsity of symmetries", DAC 2008 (to guess a symmetry from two partitions).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.extras import missing
from sympe.graphs import SparseGraphs
from sympe.kernels.graphs.bliss import Draw
from sympe.kernels.graphs.refinement import Cells, refine_graphs

_TRIES = 2**14
"""Nodes of the tree that are refined before a graph is given up."""

_NESTED = 64
"""How often a search may need another one below it."""


class SearchedGraph:
    """One graph, ready to be searched.

    Arguments:
        graph: a batch of one.

    Raises:
        ImportError: on use, if the search takes too long; says that igraph would do it.
        ValueError: if ``graph`` is not one graph.

    Example:
        >>> edges = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])
        >>> ring = SparseGraphs.from_features(torch.cat([edges, edges.flip(0)], 1), torch.tensor([4]))
        >>> SearchedGraph(ring).automorphisms()
        8
    """

    def __init__(self, graph: SparseGraphs) -> None:
        if len(graph) != 1:
            raise ValueError(f"graph: expected a batch of one, got {len(graph)}")
        self.nodes = int(graph.sizes[0])
        self._graph = SparseGraphs(*(part.cpu() for part in (graph.sizes, graph.colors, graph.arcs, graph.arc_colors)))

    def __repr__(self) -> str:
        return f"SearchedGraph({self.nodes} nodes)"

    def canonical_order(self) -> Int64[Tensor, " nodes"]:
        """The node at each canonical place: an element of C(x), always the same one for the same numbering."""
        return self._tree.order

    def sample(self, draw: Draw) -> Int64[Tensor, " nodes"]:
        """A uniform element of C(x), found on a Haar-relabelled copy; ``draw`` gives uniform numbers."""
        u = draw(self._graph.colors.shape, self._graph.colors).argsort(stable=True)
        return u.argsort()[_Tree(self._graph.relabel(u[None])).order]

    def automorphisms(self) -> int:
        """The order of the automorphism group, exactly."""
        return self._tree.automorphisms

    def generators(self) -> Int64[Tensor, "count nodes"]:
        """Generators of the automorphism group."""
        return torch.from_numpy(np.array(self._tree.generators, dtype=np.int64).reshape(-1, self.nodes))

    @cached_property
    def _tree(self) -> _Tree:
        return _Tree(self._graph)


class _Orbits:
    """Orbits of nodes under symmetries as they are found."""

    def __init__(self, n: int) -> None:
        self.up = list(range(n))
        self.joined = 0

    def __getitem__(self, node: int) -> int:
        """The number of the orbit of a node."""
        up = self.up
        while up[node] != node:
            up[node] = node = up[up[node]]
        return node

    def join(self, images: list[int]) -> None:
        """Join every node and its image."""
        for node, image in enumerate(images):
            if node != image:
                self.up[self[node]] = self[image]
        self.joined += 1

    def size(self, node: int) -> int:
        """How many nodes the orbit of a node has."""
        own = self[node]
        return sum(self[other] == own for other in range(len(self.up)))


class _Level:
    """A node of the tree on the best path.

    Arguments:
        cells: its partition.
        nodes: the cell that one is chosen from.
        trace: what refinement changed after that, round by round.
    """

    def __init__(self, cells: Cells, nodes: list[int], trace: list[int]) -> None:
        self.cells, self.nodes, self.trace = cells, nodes, trace
        self.chosen = nodes[0]
        self.orbits = _Orbits(len(cells.colors))  # under the known symmetries that fix what was chosen before
        self._tried = [self.chosen]

    def left(self) -> Iterator[int]:
        """The nodes that no known symmetry takes to one that was tried, as they are from then on."""
        joined, tried = -1, set[int]()
        for node in self.nodes:
            if joined != self.orbits.joined:
                joined, tried = self.orbits.joined, {self.orbits[other] for other in self._tried}
            if self.orbits[node] not in tried:
                self._tried.append(node)
                tried.add(self.orbits[node])
                yield node


class _Path(NamedTuple):
    """The way from a node of the tree to a leaf."""

    levels: list[_Level]
    leaf: Cells


class _Tree:
    """The search of one graph, on the CPU: a canonical order, generators, and the order of the group.

    Arguments:
        graph: a batch of one.
    """

    def __init__(self, graph: SparseGraphs) -> None:
        self._left = _TRIES
        self._nodes = len(graph.colors)
        arcs = graph.arcs.numpy()
        by = (arcs[0] * self._nodes + arcs[1]).argsort()
        self._arcs, self._arc_colors, self._colors = arcs[:, by], graph.arc_colors.numpy()[by], graph.colors.numpy()
        self._keys = self._arcs[0] * self._nodes + self._arcs[1]
        self.generators: list[np.ndarray] = []
        path = self._best(Cells.of(graph, refine_graphs(graph)), 1, 0)
        self.automorphisms = math.prod(level.orbits.size(level.chosen) for level in path.levels)
        self.order = path.leaf.colors.argsort()

    def _best(self, cells: Cells, depth: int, nested: int) -> _Path:
        """The path to the least leaf below a node of the tree, with the symmetries that fix that node."""
        if nested > _NESTED:
            raise self._given_up()
        path = self._down(cells, depth)
        k = len(path.levels)
        while k:
            k -= 1
            level, below = path.levels[k], _Path(path.levels[k + 1 :], path.leaf)
            if below.levels:
                level.orbits.join(below.levels[0].orbits.up)
            for node in level.left():
                sign, child, trace = self._child(level.cells, node, depth + k, level.trace)
                moves, other = None, None
                if sign == 0:
                    sign, moves = self._follow(child, below, depth + k + 1)
                    if sign == 0 and moves is None:
                        other = self._best(child, depth + k + 1, nested + 1)
                        if other.levels:
                            level.orbits.join(other.levels[0].orbits.up)
                        sign, moves = self._compare(other, below)
                if moves is not None:
                    self.generators.append(moves)
                    level.orbits.join(moves.tolist())
                if sign < 0:
                    below = other or self._down(child, depth + k + 1)
                    level.chosen, level.trace = node, trace
                    path = _Path([*path.levels[: k + 1], *below.levels], below.leaf)
                    if other is None:  # the levels below are new
                        k = len(path.levels)
                        break
        return path

    def _down(self, cells: Cells, depth: int) -> _Path:
        """Any path to a leaf."""
        levels: list[_Level] = []
        while cells.count < self._nodes:
            nodes = _smallest_cell(cells)
            _, child, trace = self._child(cells, nodes[0], depth + len(levels))
            levels.append(_Level(cells, nodes, trace))
            cells = child
        return _Path(levels, cells)

    def _child(
        self, cells: Cells, node: int, depth: int, known: list[int] | None = None
    ) -> tuple[int, Cells, list[int]]:
        """Choose a node and refine, until it is known to be worse.

        Arguments:
            cells: the partition before.
            node: of a cell of several.
            depth: how many were chosen with it.
            known: the trace to compare with.

        Returns:
            -1, 0, or 1 where the trace is less than, equal to, or greater than that one; the partition; the trace.
        """
        self._left -= 1
        if self._left < 0:
            raise self._given_up()
        child, changed = cells.copy(), [node]
        child.choose(node, depth)
        trace: list[int] = []
        sign = 0
        while changed and child.count < self._nodes:
            changed = child.next_round(changed)
            trace.append(child.hash_of(changed))
            if known is not None and sign == 0:
                before = known[len(trace) - 1] if len(trace) <= len(known) else -1
                sign = (trace[-1] > before) - (trace[-1] < before)
                if sign > 0:
                    return sign, child, trace
        return -1 if sign == 0 and known is not None and len(trace) < len(known) else sign, child, trace

    def _follow(self, cells: Cells, best: _Path, depth: int) -> tuple[int, np.ndarray | None]:
        """Compare what is below a node of the tree with the best path below a sibling, along one path.

        Returns:
            -1 where it is better, 1 where it is worse; 0 and a symmetry, or 0 and None where one path does not tell.
        """
        for k, level in enumerate(best.levels):
            moves = _moves(level.cells, cells)
            if self._is_symmetry(moves):
                return 0, moves
            if cells.count == self._nodes:
                return 0, None
            nodes = _smallest_cell(cells)
            if level.chosen in nodes:
                nodes = [level.chosen, *nodes]
            for node in nodes:
                sign, child, _ = self._child(cells, node, depth + k, level.trace)
                if sign < 0:
                    return sign, None
                if sign == 0:
                    cells = child
                    break
            else:  # there may be another way to come so far, but for the first step
                return int(k == 0), None
        moves = _moves(best.leaf, cells)
        return 0, moves if self._is_symmetry(moves) else None

    def _compare(self, path: _Path, best: _Path) -> tuple[int, np.ndarray | None]:
        """-1, 0, or 1 where the first leaf is less than, equal to, or greater than the other; a symmetry if equal."""
        one, other = ([level.trace for level in way.levels] for way in (path, best))
        if one != other:
            return (one > other) - (one < other), None
        form, known = self._form(path.leaf), self._form(best.leaf)
        return (form > known) - (form < known), _moves(best.leaf, path.leaf) if form == known else None

    def _form(self, leaf: Cells) -> tuple[bytes, ...]:
        """The relabelled graph."""
        order = leaf.colors.numpy().argsort()
        place = order.argsort()
        keys = place[self._arcs[0]] * self._nodes + place[self._arcs[1]]
        by = keys.argsort()
        return self._colors[order].tobytes(), keys[by].tobytes(), self._arc_colors[by].tobytes()

    def _is_symmetry(self, moves: np.ndarray) -> bool:
        """Whether this permutation takes every node and every arc to one of its colour."""
        if not np.array_equal(self._colors[moves], self._colors):
            return False
        keys = moves[self._arcs[0]] * self._nodes + moves[self._arcs[1]]
        at = self._keys.searchsorted(keys).clip(max=max(len(keys) - 1, 0))
        return np.array_equal(self._keys[at], keys) and np.array_equal(self._arc_colors[at], self._arc_colors)

    def _given_up(self) -> ImportError:
        part = (
            f"x: a connected part of {self._nodes} nodes, which refinement and a search of {_TRIES} steps cannot settle"
        )
        return ImportError(
            f"{missing(f'{part}, needs', 'igraph', 'graphs')}; "
            "GraphRefinementKernel does without, with more entropy where nodes only look alike"
        )


def _smallest_cell(cells: Cells) -> list[int]:
    """The nodes of the smallest cell of several nodes; of these the one of least colour."""
    colors, size = cells.colors.numpy(), cells.size.numpy()[cells.cell.numpy()]
    smallest = size == size[size > 1].min()
    nodes: list[int] = (smallest & (colors == colors[smallest].min())).nonzero()[0].tolist()
    return nodes


def _moves(one: Cells, other: Cells) -> np.ndarray:
    """A permutation that takes cells to those of the same colour, if there are as many, and stays where it can."""
    a, b = one.colors.numpy(), other.colors.numpy()
    moves = np.arange(len(a))
    moved = (a != b).nonzero()[0]
    moves[moved[a[moved].argsort(kind="stable")]] = moved[b[moved].argsort(kind="stable")]
    return moves
