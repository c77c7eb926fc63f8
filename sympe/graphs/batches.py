"""Batches of graphs whose nodes and ordered pairs of nodes have integer colours, in two forms.

A colour is a label: only equality counts, within a graph and between graphs. The pair (i, i) is a self-loop; colour 0
of a pair says that there is no arc from i to j. Undirected graphs have symmetric colours.

Permutations act by relabelling: what pair (i, j) had, (p[i], p[j]) has after (see :mod:`sympe.actions.graphs`).

Features become colours once, at the door: integers and booleans are compared as they are, floats by clusters of nearly
equal values within each graph and channel (:func:`~sympe.graphs.coloring.clusters`), so that a float's colour is a rank
in its graph and does not depend on the rest of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Bool, Int64
from torch import Tensor, nn

from sympe.graphs.coloring import check_features, clusters, hashed, mix
from sympe.tolerance import Tolerance


@dataclass(frozen=True)
class DenseGraphs:
    """A batch of coloured graphs, padded at the end to one number of nodes.

    Use :meth:`from_features`, which checks what it gets; here colours are taken as they are.

    Arguments:
        pairs: ``pairs[b, i, j]`` is the colour of the arc from i to j, 0 where there is none and in the padding.
        colors: colours of the nodes, 0 in the padding.
        mask: which nodes are real.

    Example:
        >>> path = torch.tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
        >>> graphs = DenseGraphs.from_features(path[None])
        >>> len(graphs), graphs.sizes.tolist(), graphs.sparse().arcs.tolist()
        (1, [3], [[0, 1, 1, 2], [1, 0, 2, 1]])
    """

    pairs: Int64[Tensor, "batch nodes nodes"]
    colors: Int64[Tensor, "batch nodes"]
    mask: Bool[Tensor, "batch nodes"]

    @classmethod
    def from_features(
        cls,
        edges: Tensor,
        nodes: Tensor | None = None,
        mask: Tensor | None = None,
        *,
        directed: bool = False,
        tolerance: float | Tolerance | None = None,
    ) -> DenseGraphs:
        """Colours from node and edge features.

        A pair is an edge where a channel differs from 0; the diagonal holds self-loops. Integers and booleans are
        compared as they are. Floats are clustered, within each graph and channel (see
        :func:`sympe.graphs.coloring.clusters`): for them the colour is a rank in its graph.

        Arguments:
            edges: ``(batch, nodes, nodes)`` or ``(batch, nodes, nodes, channels)``.
            nodes: ``(batch, nodes)`` or ``(batch, nodes, channels)``; None for equal nodes.
            mask: ``(batch, nodes)``, True for the real nodes, which come first; None if all are.
            directed: whether ``edges`` may be asymmetric.
            tolerance: largest gap between floats that count as equal, relative to the largest of their channel in
                their graph (:mod:`sympe.tolerance`); needed for floats only.

        Raises:
            TypeError: if the mask is not boolean, or a feature is complex.
            ValueError: if a shape is another, real nodes come after padding, an undirected graph is not symmetric,
                floats come without tolerance, or a value is not finite.
        """
        if edges.dim() not in (3, 4) or edges.shape[1] != edges.shape[2]:
            raise ValueError(f"edges: expected shape (batch, nodes, nodes[, channels]), got {tuple(edges.shape)}")
        batch, n = edges.shape[:2]
        if mask is None:
            mask = torch.ones(batch, n, dtype=torch.bool, device=edges.device)
        if mask.dtype != torch.bool:
            raise TypeError(f"mask: expected booleans, got {mask.dtype}")
        if mask.shape != (batch, n):
            raise ValueError(f"mask: expected shape {(batch, n)}, got {tuple(mask.shape)}")
        if bool((mask[:, 1:] & ~mask[:, :-1]).any()):
            raise ValueError("mask: expected the real nodes before the padding, got a hole")
        if nodes is None:
            colors = torch.zeros(batch, n, dtype=torch.int64, device=edges.device)
        else:
            if nodes.dim() not in (2, 3) or nodes.shape[:2] != (batch, n):
                raise ValueError(f"nodes: expected shape {(batch, n)} or (*, channels), got {tuple(nodes.shape)}")
            colors = _dense_colors("nodes", nodes, mask, tolerance)
        both = mask[:, :, None] & mask[:, None]
        pairs = _dense_colors("edges", edges, both, tolerance)
        if not directed and not torch.equal(pairs, pairs.transpose(1, 2)):
            row = int((pairs != pairs.transpose(1, 2)).flatten(1).any(1).nonzero()[0])
            raise ValueError(
                f"edges: expected symmetric features of undirected graphs; graph {row} is not (directed=True?)"
            )
        return cls(pairs, colors, mask)

    def __repr__(self) -> str:
        return f"DenseGraphs({short_sizes(self.sizes)}, padded to {self.mask.shape[1]})"

    def __len__(self) -> int:
        return len(self.mask)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.mask.device

    @property
    def sizes(self) -> Int64[Tensor, " batch"]:
        """The number of nodes of each graph."""
        return self.mask.sum(1)

    def dense(self) -> DenseGraphs:
        """Itself."""
        return self

    def sparse(self) -> SparseGraphs:
        """The same graphs as lists of nodes and arcs."""
        sizes = self.sizes
        graph, i, j = self.pairs.nonzero(as_tuple=True)
        start = (sizes.cumsum(0) - sizes)[graph]
        return SparseGraphs(sizes, self.colors[self.mask], torch.stack([start + i, start + j]), self.pairs[graph, i, j])

    def relabel(self, p: Int64[Tensor, "batch nodes"]) -> DenseGraphs:
        """Move the graphs by permutations: node i becomes node p[i].

        Arguments:
            p: permutations that fix the padding (``p[i] = i`` from the size of the graph on), at least as long as the
                largest graph; padding beyond them stays as well.

        Raises:
            ValueError: if there are not as many as graphs, one is too short, or one is no permutation or moves padding.
        """
        n = self.mask.shape[1]
        _check_places(p, self.sizes)
        place = torch.arange(max(n, p.shape[1]), device=p.device).repeat(len(p), 1)
        source = place.scatter(1, p, place[:, : p.shape[1]])[:, :n]
        rows = torch.arange(len(self), device=self.device)[:, None]
        pairs = self.pairs[rows[:, :, None], source[:, :, None], source[:, None]]
        return DenseGraphs(pairs, self.colors.gather(1, source), self.mask)

    def select(self, index: Int64[Tensor, " chosen"]) -> DenseGraphs:
        """The graphs at the given places of the batch, in that order."""
        return DenseGraphs(self.pairs[index], self.colors[index], self.mask[index])

    def trimmed(self) -> DenseGraphs:
        """Without the padding that all of them have.

        Example:
            >>> mask = torch.arange(9) < torch.tensor([[3], [5]])
            >>> graphs = DenseGraphs.from_features(torch.zeros(2, 9, 9).long(), mask=mask)
            >>> graphs.trimmed().mask.shape
            torch.Size([2, 5])
        """
        n = int(self.sizes.max()) if len(self) else 0
        return DenseGraphs(self.pairs[:, :n, :n], self.colors[:, :n], self.mask[:, :n])

    @classmethod
    def concatenate(cls, parts: Sequence[DenseGraphs]) -> DenseGraphs:
        """All graphs of several batches as one, padded to the largest.

        Raises:
            ValueError: if there is no batch.

        Example:
            >>> pair, triangle = (DenseGraphs.from_features(1 - torch.eye(n).long()[None]) for n in (2, 3))
            >>> DenseGraphs.concatenate([pair, triangle]).sizes
            tensor([2, 3])
        """
        if not parts:
            raise ValueError("parts: expected at least one batch, got none")
        n = max(part.mask.shape[1] for part in parts)
        rests = [n - part.mask.shape[1] for part in parts]
        return cls(
            torch.cat([nn.functional.pad(x.pairs, (0, rest, 0, rest)) for x, rest in zip(parts, rests, strict=True)]),
            torch.cat([nn.functional.pad(x.colors, (0, rest)) for x, rest in zip(parts, rests, strict=True)]),
            torch.cat([nn.functional.pad(x.mask, (0, rest)) for x, rest in zip(parts, rests, strict=True)]),
        )

    def to(self, device: torch.device | str) -> DenseGraphs:
        """The same graphs on another device."""
        return DenseGraphs(self.pairs.to(device), self.colors.to(device), self.mask.to(device))


@dataclass(frozen=True)
class SparseGraphs:
    """A batch of coloured graphs as lists of nodes and arcs, one graph after the other: for large ones.

    Use :meth:`from_features`, which checks what it gets; here colours are taken as they are.

    Arguments:
        sizes: the number of nodes of each graph.
        colors: colours of the nodes.
        arcs: first and second node of every arc, numbered over the whole batch; sorted by them, without repetition.
        arc_colors: colours of the arcs, not 0.

    Example:
        >>> graphs = SparseGraphs.from_features(torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), torch.tensor([3]))
        >>> len(graphs), graphs.dense().pairs.ne(0).long().tolist()
        (1, [[[0, 1, 0], [1, 0, 1], [0, 1, 0]]])
    """

    sizes: Int64[Tensor, " batch"]
    colors: Int64[Tensor, " nodes"]
    arcs: Int64[Tensor, "2 arcs"]
    arc_colors: Int64[Tensor, " arcs"]

    @classmethod
    def from_features(
        cls,
        arcs: Tensor,
        sizes: Tensor,
        nodes: Tensor | None = None,
        features: Tensor | None = None,
        *,
        directed: bool = False,
        tolerance: float | Tolerance | None = None,
    ) -> SparseGraphs:
        """Colours from node and arc features.

        Every arc is there, whatever its features. Arcs that are listed more than once are one arc with the multiset
        of their colours.

        Arguments:
            arcs: ``(2, arcs)``, first and second node, numbered over the whole batch (PyG's ``edge_index``). An
                undirected edge is two arcs, a self-loop one.
            sizes: ``(batch,)``, the number of nodes of each graph.
            nodes: ``(nodes,)`` or ``(nodes, channels)``; None for equal nodes.
            features: ``(arcs,)`` or ``(arcs, channels)``; None for equal arcs.
            directed: whether arcs may lack their reverse.
            tolerance: largest gap between floats that count as equal, relative to the largest of their channel in
                their graph (:mod:`sympe.tolerance`); needed for floats only.

        Raises:
            TypeError: if arcs or sizes are not integers, or a feature is complex.
            ValueError: if a shape is another, a node is out of range, an arc leaves its graph, an undirected graph is
                not symmetric, floats come without tolerance, or a value is not finite.
        """
        for name, tensor in (("arcs", arcs), ("sizes", sizes)):
            if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
                raise TypeError(f"{name}: expected integers, got {tensor.dtype}")
        if arcs.dim() != 2 or len(arcs) != 2:
            raise ValueError(f"arcs: expected shape (2, arcs), got {tuple(arcs.shape)}")
        if sizes.dim() != 1 or bool((sizes < 0).any()):
            raise ValueError(f"sizes: expected a vector of numbers >= 0, got {_short(sizes)}")
        arcs, sizes = arcs.long(), sizes.long()
        total = int(sizes.sum())
        if arcs.numel() and (int(arcs.min()) < 0 or int(arcs.max()) >= total):
            raise ValueError(f"arcs: expected nodes in 0..{total - 1}, got {int(arcs.min())}..{int(arcs.max())}")
        graph = torch.arange(len(sizes), device=sizes.device).repeat_interleave(sizes)
        if bool((graph[arcs[0]] != graph[arcs[1]]).any()):
            raise ValueError("arcs: expected both nodes in one graph, got an arc between two graphs of the batch")
        colors = torch.zeros(total, dtype=torch.int64, device=sizes.device)
        if nodes is not None:
            colors = _list_colors("nodes", nodes, graph, tolerance)
        arc_colors = torch.ones(arcs.shape[1], dtype=torch.int64, device=sizes.device)
        if features is not None:
            arc_colors = hashed(_list_colors("features", features, graph[arcs[0]], tolerance)[:, None])
        keys, arc_colors = _united(arcs[0] * total + arcs[1], arc_colors)
        arcs = torch.stack([keys // max(total, 1), keys % max(total, 1)])
        graphs = cls(sizes, colors, arcs, arc_colors)
        if not directed and graphs.is_directed:
            raise ValueError("arcs: expected each arc of undirected graphs with its reverse (directed=True?)")
        return graphs

    @property
    def is_directed(self) -> bool:
        """Whether an arc lacks its reverse, of the same colour."""
        i, j = self.arcs
        keys = i * len(self.colors) + j  # ascending
        back = (j * len(self.colors) + i).sort()
        return not (torch.equal(back.values, keys) and torch.equal(self.arc_colors[back.indices], self.arc_colors))

    def __repr__(self) -> str:
        return f"SparseGraphs({short_sizes(self.sizes)}, {self.arcs.shape[1]} arcs)"

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.sizes.device

    @property
    def graph(self) -> Int64[Tensor, " nodes"]:
        """The graph of each node."""
        return torch.arange(len(self), device=self.device).repeat_interleave(self.sizes)

    @property
    def starts(self) -> Int64[Tensor, " batch"]:
        """The first node of each graph."""
        return self.sizes.cumsum(0) - self.sizes

    def dense(self) -> DenseGraphs:
        """The same graphs, padded to the largest of them."""
        n = int(self.sizes.max()) if len(self) else 0
        mask = torch.arange(n, device=self.device) < self.sizes[:, None]
        colors = torch.zeros(mask.shape, dtype=torch.int64, device=self.device)
        colors[mask] = self.colors
        pairs = torch.zeros((*mask.shape, n), dtype=torch.int64, device=self.device)
        graph = self.graph[self.arcs[0]]
        i, j = self.arcs - self.starts[graph]
        pairs[graph, i, j] = self.arc_colors
        return DenseGraphs(pairs, colors, mask)

    def sparse(self) -> SparseGraphs:
        """Itself."""
        return self

    def relabel(self, p: Int64[Tensor, "batch places"]) -> SparseGraphs:
        """Move the graphs by permutations: node i becomes node p[i].

        Arguments:
            p: permutations that fix the padding (``p[i] = i`` from the size of the graph on), at least as long as the
                largest graph; padding beyond them stays as well.

        Raises:
            ValueError: if there are not as many as graphs, one is too short, or one is no permutation or moves padding.
        """
        _check_places(p, self.sizes)
        graph = self.graph
        place = torch.arange(len(graph), device=self.device) - self.starts[graph]
        moved = p[graph, place] + self.starts[graph]
        colors = torch.empty_like(self.colors)
        colors[moved] = self.colors
        keys, order = (moved[self.arcs[0]] * len(graph) + moved[self.arcs[1]]).sort()
        arcs = torch.stack([keys // max(len(graph), 1), keys % max(len(graph), 1)])
        return SparseGraphs(self.sizes, colors, arcs, self.arc_colors[order])

    def select(self, index: Int64[Tensor, " chosen"]) -> SparseGraphs:
        """The graphs at the given places of the batch, in that order.

        They may repeat.

        Example:
            >>> x = SparseGraphs.from_features(torch.tensor([[0, 1, 3, 4], [1, 0, 4, 3]]), torch.tensor([3, 2]))
            >>> x.select(torch.tensor([1, 1, 0])).sizes
            tensor([2, 2, 3])
        """
        graph = self.graph[self.arcs[0]]
        counts = torch.bincount(graph, minlength=len(self))
        sizes = self.sizes[index]
        node, arc = ranges(self.starts[index], sizes), ranges((counts.cumsum(0) - counts)[index], counts[index])
        shift = (sizes.cumsum(0) - sizes - self.starts[index]).repeat_interleave(counts[index])
        return SparseGraphs(sizes, self.colors[node], self.arcs[:, arc] + shift, self.arc_colors[arc])

    def to(self, device: torch.device | str) -> SparseGraphs:
        """The same graphs on another device."""
        parts = (self.sizes, self.colors, self.arcs, self.arc_colors)
        return SparseGraphs(*(part.to(device) for part in parts))


Graphs: TypeAlias = DenseGraphs | SparseGraphs
"""Either form; :meth:`dense` and :meth:`sparse` lead from one to the other, with the same colours."""


def relabel(g: Int64[Tensor, "batch places"], x: Graphs) -> Graphs:
    """``g x``: how permutations move graphs, in the manner of an action; node i becomes node g[i].

    Example:
        >>> path = DenseGraphs.from_features(torch.tensor([[[0, 1, 0], [1, 0, 1], [0, 1, 0]]]))
        >>> relabel(torch.tensor([[1, 0, 2]]), path).dense().pairs[0].sum(0)  # the middle is node 0 now
        tensor([2, 1, 1])
    """
    return x.relabel(g)


def _united(keys: Tensor, colors: Tensor) -> tuple[Tensor, Tensor]:
    """Sorted keys without repetition; the colour of a repeated one is a hash of the multiset of its colours."""
    keys, order = keys.sort()
    colors = colors[order]
    unique, inverse, count = keys.unique_consecutive(return_inverse=True, return_counts=True)
    if len(unique) == len(keys):
        return keys, colors
    first = count.cumsum(0) - count
    summed = torch.zeros_like(unique).index_add_(0, inverse, mix(colors))
    return unique, torch.where(count == 1, colors[first], hashed(summed[:, None]))


def _check_places(p: Tensor, sizes: Tensor) -> None:
    nodes = int(sizes.max()) if len(sizes) else 0
    if p.dim() != 2 or p.shape[0] != len(sizes) or p.shape[1] < nodes:
        raise ValueError(f"p: expected shape ({len(sizes)}, nodes >= {nodes}), got {tuple(p.shape)}")
    place = torch.arange(p.shape[1], device=p.device)
    wrong = ((p != place) & (place >= sizes[:, None])) | (p.sort(1).values != place)
    if bool(wrong.any()):
        row = int(wrong.any(1).nonzero()[0])
        raise ValueError(
            f"p: expected permutations that leave the padding where it is; that of graph {row}, which has "
            f"{int(sizes[row])} nodes, is {_short(p[row])}"
        )


def ranges(start: Int64[Tensor, " parts"], count: Int64[Tensor, " parts"]) -> Int64[Tensor, " total"]:
    """All numbers from each start on, so many.

    Example:
        >>> ranges(torch.tensor([5, 0]), torch.tensor([2, 3]))
        tensor([5, 6, 0, 1, 2])
    """
    first = (start - count.cumsum(0) + count).repeat_interleave(count)
    return first + torch.arange(len(first), device=first.device)


def short_sizes(sizes: Tensor, what: str = "nodes") -> str:
    """How many graphs or clouds there are, and of which sizes."""
    kind = "graphs " if what == "nodes" else ""
    if not len(sizes):
        return f"no {kind or 'clouds'}".rstrip()
    least, most = int(sizes.min()), int(sizes.max())
    return f"{len(sizes)} {kind}of {least if least == most else f'{least}-{most}'} {what}"


def _short(x: Tensor) -> str:
    return f"{x.tolist()}" if x.numel() <= 8 else f"shape {tuple(x.shape)} with minimum {x.min().item()}"


def _list_colors(name: str, features: Tensor, graph: Tensor, tolerance: float | Tolerance | None) -> Tensor:
    """One colour for each row."""
    if features.dim() not in (1, 2) or len(features) != len(graph):
        raise ValueError(
            f"{name}: expected shape ({len(graph)},) or ({len(graph)}, channels), got {tuple(features.shape)}"
        )
    tolerance = None if tolerance is None else Tolerance.of(tolerance)
    check_features(name, features, tolerance)
    if features.dim() == 1:
        features = features[:, None]
    if tolerance is not None and features.is_floating_point():
        channels = [clusters(values, graph, tolerance, name) for values in features.unbind(1)]
        features = torch.stack(channels, 1) if channels else features.new_zeros(features.shape, dtype=torch.int64)
    features = features.long()
    return features[:, 0] if features.shape[1] == 1 else hashed(features)


def _dense_colors(name: str, features: Tensor, real: Tensor, tolerance: float | Tolerance | None) -> Tensor:
    """Colours of the shape of ``real``, 0 outside of it and where all features are 0."""
    tolerance = None if tolerance is None else Tolerance.of(tolerance)
    if features.dim() == real.dim():
        features = features[..., None]
    if not features.is_floating_point():
        check_features(name, features, tolerance)
        features = features.long()
        if features.shape[-1] == 1:
            return torch.where(real, features[..., 0], 0)
        return torch.where(real & (features != 0).any(-1), hashed(features.flatten(0, -2)).view(real.shape), 0)
    features = features[real]
    check_features(name, features, tolerance)
    assert tolerance is not None
    batch = len(real)
    index = torch.arange(batch, device=real.device)
    graph = index.view(-1, *[1] * (real.dim() - 1)).expand(real.shape)[real]
    ranks = torch.zeros(features.shape, dtype=torch.int64, device=real.device)
    for channel, values in enumerate(features.unbind(-1)):  # with a 0 in each graph, whose rank is that of 0
        rank = clusters(torch.cat([values, values.new_zeros(batch)]), torch.cat([graph, index]), tolerance, name)
        ranks[:, channel] = rank[: len(values)] - rank[len(values) :][graph]
    colors = torch.zeros(real.shape, dtype=torch.int64, device=real.device)
    colors[real] = torch.where((ranks != 0).any(-1), hashed(ranks), 0)
    return colors


def contents(x: Graphs) -> list[bytes]:
    """Each graph with its labels, as bytes: the same for equal graphs, whatever their padding and form, and no others.

    Of a graph of n nodes they are n (n + 1) numbers: for small graphs.

    Example:
        >>> x = SparseGraphs.from_features(torch.tensor([[0, 1, 3, 4], [1, 0, 4, 3]]), torch.tensor([3, 3]))
        >>> a, b = contents(x)
        >>> a == b, contents(x.dense()) == [a, b]
        (True, True)
    """
    x = x.dense()
    n = x.mask.shape[1]
    # node by node: its colour, and its pairs with those before it and with itself; so padding comes last
    place = torch.arange(n)
    shell = torch.cat([torch.maximum(place[:, None], place).flatten(), place]).argsort(stable=True)
    words = torch.cat([x.pairs.flatten(1), x.colors], 1)[:, shell.to(x.device)]
    short = words.short()
    wide = (short != words).any(1).tolist()
    width = n * (n + 1)
    rows = [(row * width, row * width + size * (size + 1)) for row, size in enumerate(x.sizes.tolist())]
    packed = short.cpu().numpy().tobytes()
    if not any(wide):
        return [packed[2 * first : 2 * last] for first, last in rows]
    whole = words.cpu().numpy().tobytes()  # of an odd number of bytes, as those of short numbers never are
    return [
        b"w" + whole[8 * first : 8 * last] if long else packed[2 * first : 2 * last]
        for long, (first, last) in zip(wide, rows, strict=True)
    ]
