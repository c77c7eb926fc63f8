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
    graph = x.graph
    n = int(x.sizes.max()) if len(x) else 0
    at = torch.arange(len(graph), device=x.device) + (n * torch.arange(len(x), device=x.device) - x.starts)[graph]
    color, tied = _refined(x, at, n)
    has = tied.any(1)
    hard = has & (x.sizes > SMALL)
    home = (has & ~hard).nonzero().squeeze(1)
    row, s, wide = _joined(x, color, tied, at, home, limit=min(limit, WIDE))
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
        row = torch.cat([row, hard[of]])
    row, order = row.sort(stable=True)
    return row, s[order]


def _refined(
    x: SparseGraphs, at: Int64[Tensor, " nodes"], n: int
) -> tuple[Int64[Tensor, "batch places"], Bool[Tensor, "batch places"]]:
    """Colours, refined a few times, and which nodes share theirs with another of their graph; n of each graph.

    With ``refine_graphs``, which goes on to the end, the RMSD of 1,000 molecules takes half as long again.
    """
    i, j = x.arcs
    weights = mix(x.arc_colors)
    colors = mix(x.colors)
    for _ in range(ROUNDS):
        heard = torch.zeros_like(colors).index_add_(0, i, colors.index_select(0, j).mul_(weights))
        colors = mix(heard.add_(colors, alpha=WEIGHTS[0]))
    color = torch.arange(n, device=x.device).repeat(len(x))  # those of padding are their own
    color = color.index_copy_(0, at, colors).view(len(x), n)
    ordered, order = color.sort(1)
    same = ordered[:, 1:] == ordered[:, :-1]
    shared = torch.zeros_like(color, dtype=torch.bool)
    shared[:, 1:] = same
    shared[:, :-1] |= same
    return color, torch.zeros_like(shared).scatter_(1, order, shared)


def _joined(
    x: SparseGraphs, color: Tensor, tied: Tensor, at: Tensor, home: Int64[Tensor, " chosen"], *, limit: int
) -> tuple[Int64[Tensor, " listed"], Int64[Tensor, "listed nodes"], Bool[Tensor, " batch"]]:
    """The automorphisms of some graphs, and which of them have too many maps on the way."""
    n = color.shape[1]
    too_wide = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    if not len(home):
        return home, home.new_zeros(0, n), too_wide
    number, order = tied[home].sum(1).sort(descending=True, stable=True)
    home = home[order]
    order, rank, pairs = _packed(x, tied[home], at, home)
    color = color[home]
    same = (color[:, :, None] == color[:, None]).view(-1, n)
    row = torch.arange(len(home), device=x.device)
    s = torch.arange(n, device=x.device).repeat(len(home), 1)
    wide = torch.zeros_like(row, dtype=torch.bool)
    rows, maps = [], []
    for k, left in enumerate((len(home) - number.bincount().cumsum(0)[:-1]).tolist()):
        if left < len(home):  # the others have no more tied nodes
            at_end = int(torch.searchsorted(row, left))
            rows.append(row[at_end:])
            maps.append(s[at_end:])
            row, s = row[:at_end], s[:at_end]
        first = row * n
        v = order[:, k].index_select(0, row)
        of, w = same.index_select(0, first + v).nonzero(as_tuple=True)
        row, first, v = row.index_select(0, of), first.index_select(0, of), v.index_select(0, of)
        s = s.index_select(0, of).scatter_(1, v[:, None], w[:, None])
        there, here = pairs.index_select(0, first + w).gather(1, s), pairs.index_select(0, first + v)
        fits = ((there == here) | (rank > k).index_select(0, row)).all(1).nonzero().squeeze(1)
        row, s = row.index_select(0, fits), s.index_select(0, fits)
        if len(row) > limit and bool((row[limit:] == row[:-limit]).any()):
            wide |= row.bincount(minlength=len(home)) > limit
            narrow = (~wide[row]).nonzero().squeeze(1)
            row, s = row[narrow], s[narrow]
    too_wide[home[wide]] = True
    return home[torch.cat([*rows, row])], torch.cat([*maps, s]), too_wide


def _packed(x: SparseGraphs, tied: Tensor, at: Tensor, home: Int64[Tensor, " chosen"]) -> tuple[Tensor, Tensor, Tensor]:
    """Some graphs side by side.

    Returns:
        The nodes, tied ones first; the place of tied ones in this order, -1 for others; what each pair is, both ways,
        row by row, and for a node and itself like nothing else.
    """
    n = tied.shape[1]
    order = (~tied).to(torch.uint8).argsort(dim=1, stable=True)
    rank = torch.where(tied, tied.cumsum(1) - 1, -1)
    place = torch.full((len(x),), -1, device=x.device)
    place[home] = torch.arange(len(home), device=x.device)
    i, j = (at.index_select(0, end) for end in x.arcs)
    of = i.div(n, rounding_mode="floor")
    move = place.index_select(0, of)
    arc = (move >= 0).nonzero().squeeze(1)
    i, j, of, move = (part.index_select(0, arc) for part in (i, j, of, move))
    pairs = torch.zeros(len(home) * n, n, dtype=torch.int64, device=x.device)
    pairs.view(-1)[(i + (move - of) * n) * n + j - of * n] = x.arc_colors.index_select(0, arc)
    pairs = pairs.view(-1, n, n)
    pairs = pairs * WEIGHTS[0] + pairs.mT * WEIGHTS[1]
    pairs.diagonal(dim1=1, dim2=2).add_(WEIGHTS[2])
    return order, rank, pairs.view(-1, n)
