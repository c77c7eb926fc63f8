"""The automorphisms of many small graphs: maps that are built node by node.

Colours are refined a few times first. A node whose colour no other node of its graph has stays where it is, and most
molecules without their hydrogens have no others. The rest are mapped one after the other, to each node of their colour
that is free and whose pairs with the images so far have the right colours: what is left after the last node is all
automorphisms, each once. Graphs that are large, or whose lists grow long, are left to
:class:`~sympe.kernels.GraphKernel`.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from sympe.graphs import SparseGraphs
from sympe.graphs.coloring import mix
from sympe.kernels import GraphKernel

ROUNDS = 4
"""Of refinement; more would leave fewer nodes that have to be mapped."""

SMALL = 32
"""The most nodes of a graph that is not left to the kernel."""

WIDE = 256
"""The most maps of one graph, whole or not, before it is left to the kernel."""

WEIGHTS = tuple(c - 2**64 for c in (0x9E3779B97F4A7C15, 0xD1B54A32D192ED03, 0xABC98388FB8FAC03, 0x8CB92BA72F3D8DD7))
"""Odd numbers, as signed ones, to tell the parts of a hash apart."""


def automorphisms(x: SparseGraphs, *, limit: int) -> tuple[Int64[Tensor, " listed"], Int64[Tensor, "listed nodes"]]:
    """All automorphisms of the graphs that may have others than the identity, which the rest have alone.

    Returns:
        The graph of each, ascending, and where it takes each node; padding stays.

    Raises:
        ValueError: if a graph has more than ``limit``, or ``limit`` is below 1.

    Example:
        A path, which can be reversed, and one with two kinds of ends:

        >>> arcs = torch.tensor([[0, 1, 1, 2, 3, 4, 4, 5], [1, 0, 2, 1, 4, 3, 5, 4]])
        >>> x = SparseGraphs.from_features(arcs, torch.tensor([3, 3]), torch.tensor([0, 0, 0, 1, 0, 0]))
        >>> rows, images = automorphisms(x, limit=10)
        >>> rows.tolist(), images.tolist()
        ([0, 0], [[0, 1, 2], [2, 1, 0]])
    """
    if limit < 1:
        raise ValueError(f"limit: expected at least 1, got {limit}")
    n = int(x.sizes.max()) if len(x) else 0
    colors, tied = _refined(x)
    has = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    has[x.graph[tied]] = True
    hard = has & (x.sizes > SMALL)
    row, s, wide = _joined(x, colors, tied, has & ~hard, limit=min(limit, WIDE))
    hard = (hard | wide).nonzero().squeeze(1)
    if len(hard):
        kernel = GraphKernel(n, order="refined")
        try:
            of, g = kernel.list_coset(x.select(hard), limit=limit)
        except ValueError:
            kernel.list_coset(x, limit=limit)  # names the graph by its place among all
            raise
        start = g[torch.searchsorted(of, torch.arange(len(hard), device=x.device))]
        s = torch.cat([s, kernel.group.compose(g, kernel.group.inverse(start)[of])])
        row, order = torch.cat([row, hard[of]]).sort(stable=True)
        s = s[order]
    return row, s


def _refined(x: SparseGraphs) -> tuple[Int64[Tensor, " nodes"], Bool[Tensor, " nodes"]]:
    """Colours, refined a few times, and which nodes share theirs with another of their graph.

    With ``refine_graphs``, which goes on to the end, the RMSD of 1,000 molecules takes half as long again.
    """
    i, j = x.arcs
    weights = mix(x.arc_colors)
    colors = mix(x.colors + mix(x.graph))
    for _ in range(ROUNDS):
        heard = torch.zeros_like(colors).index_add_(0, i, colors.index_select(0, j).mul_(weights))
        colors = mix(heard.add_(colors, alpha=WEIGHTS[0]))
    ordered, order = colors.sort()
    same = ordered[1:] == ordered[:-1]
    shared = torch.zeros(len(colors), dtype=torch.bool, device=x.device)
    shared[1:] = same
    shared[:-1] |= same
    return colors, torch.zeros_like(shared).scatter_(0, order, shared)


def _joined(
    x: SparseGraphs, colors: Tensor, tied: Tensor, chosen: Bool[Tensor, " batch"], *, limit: int
) -> tuple[Int64[Tensor, " listed"], Int64[Tensor, "listed nodes"], Bool[Tensor, " batch"]]:
    """The automorphisms of some graphs, and which of them have too many maps on the way."""
    home = chosen.nonzero().squeeze(1)
    n, count = int(x.sizes.max()) if len(x) else 0, len(home)
    alive = count
    too_wide = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    if not count:
        return home, home.new_zeros(0, n), too_wide
    color, order, rank, pairs = _packed(x, colors, tied, home, n)
    same = (color[:, :, None] == color[:, None]).view(-1, n)
    row = torch.arange(count, device=x.device)
    s = torch.arange(n, device=x.device).repeat(count, 1)
    wide = torch.zeros(count, dtype=torch.bool, device=x.device)
    for k in range(int((rank >= 0).sum(1).max())):
        first = row * n
        v = order[:, k].index_select(0, row)
        of, w = same.index_select(0, first + v).nonzero(as_tuple=True)
        row, first, v = row.index_select(0, of), first.index_select(0, of), v.index_select(0, of)
        s = s.index_select(0, of).scatter_(1, v[:, None], w[:, None])
        there, here = pairs.index_select(0, first + w).gather(1, s), pairs.index_select(0, first + v)
        fits = ((there == here) | (rank > k).index_select(0, row)).all(1).nonzero().squeeze(1)
        row, s = row.index_select(0, fits), s.index_select(0, fits)
        if len(row) > limit + alive - 1:  # for each graph has one
            wide |= row.bincount(minlength=count) > limit
            narrow = (~wide[row]).nonzero().squeeze(1)
            row, s = row[narrow], s[narrow]
            alive = count - int(wide.sum())
    too_wide[home[wide]] = True
    return home[row], s, too_wide


def _packed(
    x: SparseGraphs, colors: Tensor, tied: Tensor, home: Int64[Tensor, " chosen"], n: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Some graphs side by side.

    Returns:
        Colours, those of padding their own; the nodes, tied ones first; the place of tied ones in this order, -1 for
        others; what each pair is, both ways, row by row, and for a node and itself like nothing else.
    """
    place = torch.full((len(x),), -1, device=x.device)
    place[home] = torch.arange(len(home), device=x.device)
    spot = place * n - x.starts
    at = spot.index_select(0, x.graph) + torch.arange(len(colors), device=x.device)
    node = (place.index_select(0, x.graph) >= 0).nonzero().squeeze(1)
    nodes = torch.arange(n, device=x.device)
    color, loose = nodes.repeat(len(home)), torch.zeros(len(home) * n, dtype=torch.bool, device=x.device)
    where = at.index_select(0, node)
    color[where], loose[where] = colors.index_select(0, node), tied.index_select(0, node)
    loose = loose.view(-1, n)
    order = (~loose).to(torch.uint8).argsort(dim=1, stable=True)
    rank = torch.where(loose, loose.cumsum(1) - 1, -1)
    i, j = x.arcs
    of = place.index_select(0, x.graph.index_select(0, i))
    arc = (of >= 0).nonzero().squeeze(1)
    i, j, of = i.index_select(0, arc), j.index_select(0, arc), of.index_select(0, arc)
    pairs = torch.zeros(len(home) * n, n, dtype=torch.int64, device=x.device)
    row = at.index_select(0, i)
    pairs.view(-1)[row * n + at.index_select(0, j) - of * n] = x.arc_colors.index_select(0, arc)
    pairs = pairs.view(-1, n, n)
    pairs = pairs * WEIGHTS[0] + pairs.mT * WEIGHTS[1]
    pairs.diagonal(dim1=1, dim2=2).add_(WEIGHTS[2])
    return color.view(-1, n), order, rank, pairs.view(-1, n)
