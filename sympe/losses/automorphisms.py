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
    graph = x.graph
    has = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    has[graph[tied]] = True
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
        s = torch.cat([torch.nn.functional.pad(s, (0, 0)), kernel.group.compose(g, kernel.group.inverse(start)[of])])
        row, order = torch.cat([row, hard[of]]).sort(stable=True)
        s = s[order]
    return row, s


def _refined(x: SparseGraphs) -> tuple[Int64[Tensor, " nodes"], Bool[Tensor, " nodes"]]:
    """Colours, refined a few times, and which nodes share theirs with another of their graph."""
    i, j = x.arcs
    weights = mix(x.arc_colors)
    colors = mix(x.colors + mix(x.graph))
    for _ in range(ROUNDS):
        heard = torch.zeros_like(colors).index_add_(0, i, colors.index_select(0, j).mul_(weights))
        colors = mix(heard.add_(colors, alpha=WEIGHTS[0]))
    ordered, order = colors.sort()
    same = ordered[1:] == ordered[:-1]
    tied = torch.zeros(len(colors), dtype=torch.bool, device=x.device)
    tied[order[1:][same]] = True
    tied[order[:-1][same]] = True
    return colors, tied


def _joined(
    x: SparseGraphs, colors: Tensor, tied: Tensor, chosen: Bool[Tensor, " batch"], *, limit: int
) -> tuple[Int64[Tensor, " listed"], Int64[Tensor, "listed nodes"], Bool[Tensor, " batch"]]:
    """The automorphisms of some graphs, and which of them have too many maps on the way."""
    n = int(x.sizes.max()) if len(x) else 0
    home = chosen.nonzero().squeeze(1)
    some = x.select(home)
    widest = int(some.sizes.max()) if len(home) else 0
    inside = chosen[x.graph]
    place = (some.graph, torch.arange(len(some.colors), device=x.device) - some.starts[some.graph])
    shape = (len(home), widest)
    color, loose = torch.zeros(shape, dtype=torch.int64, device=x.device), torch.zeros(shape, dtype=torch.bool)
    loose = loose.to(x.device)
    color[place], loose[place] = colors[inside], tied[inside]
    pairs = some.dense().pairs
    pairs = pairs * WEIGHTS[0] + pairs.mT * WEIGHTS[1]
    count, order = loose.sum(1), (~loose).to(torch.uint8).argsort(dim=1, stable=True)

    nodes = torch.arange(widest, device=x.device)
    row = torch.arange(len(home), device=x.device)
    s, free = nodes.repeat(len(home), 1), loose.clone()
    known = ~loose
    wide = torch.zeros(len(home), dtype=torch.bool, device=x.device)
    rows, images = [row[:0]], [s[:0]]
    for k in range(widest + 1):
        done = count[row] == k
        rows.append(row[done])
        images.append(s[done])
        left = ~done & ~wide[row]
        row, s, free = row[left], s[left], free[left]
        if not len(row):
            break
        v = order[row, k]
        known = known | (torch.zeros_like(known).scatter_(1, order[:, k : k + 1], True))
        of, w = (free & (color[row] == color[row, v][:, None])).nonzero(as_tuple=True)
        row, v, s, free = row[of], v[of], s[of], free[of]
        s[torch.arange(len(of), device=x.device), v] = w
        fits = ((pairs[row, w].gather(1, s) == pairs[row, v]) | ~known[row]).all(1)
        free[torch.arange(len(of), device=x.device), w] = False
        row, s, free = row[fits], s[fits], free[fits]
        wide |= row.bincount(minlength=len(home)) > limit
    row, by = torch.cat(rows).sort(stable=True)
    keep = ~wide[row]
    row, s = row[keep], torch.cat(images)[by[keep]]
    s = torch.cat([s, torch.arange(widest, n, device=x.device).expand(len(s), -1)], 1)
    too_wide = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    too_wide[home[wide]] = True
    return home[row], s, too_wide
