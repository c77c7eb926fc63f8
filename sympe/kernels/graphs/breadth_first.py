r"""Breadth-first orders of large batches of sparse graphs, in time that follows their nodes and edges.

Each connected component starts at an end of a longest shortest path. To find one takes all distances. Components of up
to 2,048 nodes are treated exactly: a set of nodes is a row of bits, and all nodes spread theirs to their neighbours at
the same time. Of larger ones a few searches give bounds of all eccentricities, with the best start found so far; that
is nearly always an end of a longest shortest path, and always the same one for the same canonical form.

References:
    Takes & Kosters, "Determining the diameter of small world networks", CIKM 2011 (bounds of eccentricities).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EXACT = 2048
"""Components of up to this many nodes start at an exact end of a longest shortest path."""

_WORD = 64

_SEARCHES = 8
"""Breadth-first searches of a component of more nodes than a word has bits, before all its nodes are looked at."""

_WIDE = 256
"""Levels of this many nodes are worth the overhead of arrays."""

_AT_ONCE = 2**23
"""Words that are gathered at once."""


@dataclass(frozen=True)
class Neighbours:
    """The neighbours of every node, in rows of one array; those of one node by ascending degree, then number.

    Arguments:
        ends: where each node's neighbours start, with the total at the end.
        nodes: the neighbours.
    """

    ends: np.ndarray
    nodes: np.ndarray

    @staticmethod
    def of(a: np.ndarray, b: np.ndarray, count: int) -> Neighbours:
        """From the pairs (a, b) and (b, a), which may be given more than once; loops are left out."""
        key = np.sort(np.concatenate([a * count + b, b * count + a])[np.tile(a != b, 2)])
        key = key[np.diff(key, prepend=-1) != 0]  # np.unique takes seven times as long
        a, b = key // max(count, 1), key % max(count, 1)
        degree = np.bincount(a, minlength=count)
        # sorted by b, and so by number within one degree; then by degree and a, each time without changing ties
        order = np.argsort(degree[b], kind="stable")
        order = order[np.argsort(a[order], kind="stable")]
        return Neighbours(np.concatenate([[0], degree.cumsum()]), b[order])

    @property
    def degrees(self) -> np.ndarray:
        """How many each node has."""
        return np.diff(self.ends)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def heard(self, nodes: np.ndarray) -> np.ndarray:
        """The neighbours of all the given nodes, one after the other."""
        count = self.ends[nodes + 1] - self.ends[nodes]
        shift = np.repeat(self.ends[nodes] - (count.cumsum() - count), count)
        return self.nodes[shift + np.arange(len(shift))]


def search(neighbours: Neighbours, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Breadth first from several nodes at once: the nodes as they are reached, and where each level starts.

    Neighbours are visited in the order in which they are listed.

    Example:
        >>> path = Neighbours.of(np.array([0, 1, 2]), np.array([1, 2, 3]), 4)
        >>> order, levels = search(path, np.array([1]))
        >>> order.tolist(), levels.tolist()
        ([1, 0, 2, 3], [0, 1, 3, 4])
    """
    seen = bytearray(len(neighbours))
    mark = np.frombuffer(seen, dtype=np.uint8)
    first = np.zeros(len(neighbours), dtype=np.int64)
    ends, nodes = neighbours.ends.data, neighbours.nodes.data
    mark[starts] = 1
    level: np.ndarray | list[int] = starts
    parts: list[np.ndarray] = []
    found: list[int] = []  # by narrow levels, since the last wide one
    levels = [0]
    while len(level):
        levels.append(levels[-1] + len(level))
        if len(level) >= _WIDE:
            parts += [np.array(found, dtype=np.int64), np.asarray(level, dtype=np.int64)]
            found = []
            reached = neighbours.heard(parts[-1])
            reached = reached[mark[reached] == 0]
            first[reached[::-1]] = np.arange(len(reached))[::-1]  # the last writer is the first visit
            level = reached[first[reached] == np.arange(len(reached))]
            mark[level] = 1
            continue
        below = level if isinstance(level, list) else level.tolist()
        found += below
        level = []
        for node in below:
            for other in nodes[ends[node] : ends[node + 1]]:
                if not seen[other]:
                    seen[other] = 1
                    level.append(other)
    parts.append(np.array(found, dtype=np.int64))
    return np.concatenate(parts), np.array(levels)


def cuthill_mckee(neighbours: Neighbours, graph: np.ndarray, component: np.ndarray) -> np.ndarray:
    """Component by component, those of larger diameter first, each breadth first from an end of it.

    Of several ends the one with fewest neighbours is taken, then the one with the least number; the same decides
    between components.

    Arguments:
        neighbours: of all nodes of all graphs.
        graph: of each node, ascending.
        component: of each node, numbered from 0.

    Returns:
        The nodes in that order, graph by graph.
    """
    degree = neighbours.degrees
    by = np.argsort(component, kind="stable")
    sizes = np.bincount(component)
    first = sizes.cumsum() - sizes
    local = np.empty_like(by)
    local[by] = np.arange(len(by)) - np.repeat(first, sizes)
    eccentricity = _of_small(neighbours, local, sizes[component] <= _WORD)
    best = np.lexsort((np.arange(len(by)), degree, -eccentricity, component))
    start = best[first]  # of small components
    for number in (sizes > _WORD).nonzero()[0].tolist():
        nodes = by[first[number] : first[number] + sizes[number]]
        inside = Neighbours(np.concatenate([[0], degree[nodes].cumsum()]), local[neighbours.heard(nodes)])
        node, eccentricity[nodes] = _far_end(inside)
        start[number] = nodes[node]
    turn = np.lexsort((start, degree[start], -np.maximum(eccentricity[start], 1), graph[start]))
    rank = np.empty_like(turn)
    rank[turn] = np.arange(len(turn))
    order, _ = search(neighbours, start)
    return order[np.argsort(rank[component[order]], kind="stable")]


def _of_small(neighbours: Neighbours, local: np.ndarray, small: np.ndarray) -> np.ndarray:
    """The eccentricities of the nodes of small components, all at once; 0 for other nodes."""
    out = np.zeros(len(neighbours), dtype=np.int64)
    nodes = (small & (neighbours.degrees > 0)).nonzero()[0]
    if not len(nodes):
        return out
    reach = np.zeros(len(neighbours), dtype=np.uint64)
    reach[nodes] = np.uint64(1) << local[nodes].astype(np.uint64)
    heard, count = neighbours.heard(nodes), neighbours.degrees[nodes]
    ends = count.cumsum() - count
    for step in range(1, _WORD):
        wider = reach[nodes] | np.bitwise_or.reduceat(reach[heard], ends)
        grown = wider != reach[nodes]
        if not grown.any():
            break
        reach[nodes] = wider
        out[nodes[grown]] = step
    return out


def _far_end(neighbours: Neighbours) -> tuple[int, int]:
    """The node of one connected component to start from, and its eccentricity."""
    n = len(neighbours)
    rank = np.empty(n, dtype=np.int64)
    rank[np.argsort(neighbours.degrees, kind="stable")] = np.arange(n)
    lower, upper = np.zeros(n, dtype=np.int64), np.full(n, n)
    node = int(rank.argmin())
    best, longest = node, -1
    for number in range(_SEARCHES):
        order, levels = search(neighbours, np.array([node]))
        distance = np.empty(n, dtype=np.int64)
        distance[order] = np.repeat(np.arange(len(levels) - 1), np.diff(levels))
        eccentricity = len(levels) - 2
        lower = np.maximum(lower, np.maximum(distance, eccentricity - distance))
        upper = np.minimum(upper, eccentricity + distance)
        upper[node] = eccentricity
        if (-eccentricity, rank[node]) < (-longest, rank[best]):
            best, longest = node, eccentricity
        left = ((upper > longest) | ((upper == longest) & (rank < rank[best]))).nonzero()[0]
        if not len(left):
            return best, longest
        key = lower[left] if number % 2 else -upper[left]
        node = int(left[np.lexsort((rank[left], key))[0]])
    if n > EXACT:
        return best, longest
    nodes = np.concatenate([[best], left])
    found = np.concatenate([[longest], _eccentricities(neighbours, left)])
    choice = np.lexsort((rank[nodes], -found))[0]
    return int(nodes[choice]), int(found[choice])


def _eccentricities(neighbours: Neighbours, sources: np.ndarray) -> np.ndarray:
    """The eccentricities of some nodes of one connected component: who has heard of whom, in bits."""
    n = len(neighbours)
    out = np.zeros(len(sources), dtype=np.int64)
    at_once = _WORD * max(1, _AT_ONCE // len(neighbours.nodes))
    bits = np.arange(_WORD, dtype=np.uint64)
    for begin in range(0, len(sources), at_once):
        some = sources[begin : begin + at_once]
        word, bit = np.divmod(np.arange(len(some)), _WORD)
        known = np.zeros((n, word[-1] + 1), dtype=np.uint64)
        known[some, word] = np.uint64(1) << bits[bit]
        for step in range(1, n):
            wider = known | np.bitwise_or.reduceat(known[neighbours.nodes], neighbours.ends[:-1], axis=0)
            news = np.bitwise_or.reduce(wider & ~known, axis=0)
            if not news.any():
                break
            known = wider
            out[begin : begin + at_once][(news[word] >> bits[bit]) & np.uint64(1) == 1] = step
    return out
