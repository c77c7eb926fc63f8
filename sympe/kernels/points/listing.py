"""The elements that bring graphs of distances to canonical form, many clouds at once.

Where types and distances from the centre tell all points apart there is one, and no other distance is ranked. Up to
64 nodes the others are those of :class:`~sympe.kernels.GraphKernel`. Beyond, colours are refined once, which settles
clouds without symmetries, and then by the distances from one point after another: three that span space tell all others
apart, up to a reflection. So memory is that of the distances.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from sympe.kernels.graphs import cosets
from sympe.kernels.graphs.individualization import Leaves, search
from sympe.kernels.points.cloud import Distances

LARGEST = 1024
"""Clouds of up to this many nodes are searched in batches."""

_CHUNK = 2**18
"""Pairs of nodes that are searched at once: as many as the cache of a CPU takes."""

_ON_GPU = 2**5
"""So many times as many on a GPU."""


def list_clouds(found: Distances) -> Leaves:
    """The cosets of clouds; ``too_many`` is set for those that are too large or too symmetric to list.

    The orders of settled clouds are arbitrary: distances from the centre are still to sort them.
    """
    sizes, n = found.mask.sum(1), found.mask.shape[1]
    places = torch.arange(n, device=sizes.device)
    rows = [found.settled.nonzero().squeeze(1)]
    orders, too_many = [places.expand(len(rows[0]), n)], ~found.settled
    if len(rows[0]) == len(found):
        return Leaves(rows[0], orders[0], too_many)
    for part, nodes in _parts(sizes, too_many):
        large = nodes > cosets.SMALL
        limit = max(cosets._LIMIT, 2 * nodes) if large else cosets._LIMIT
        leaves = search(*found.select(part, nodes).heard(), limit=limit, distances=large)
        too_many[part] = leaves.too_many
        rows.append(part[leaves.rows])
        orders.append(torch.cat([leaves.orders, places[leaves.orders.shape[1] :].expand(len(leaves.rows), -1)], 1))
    row, by = torch.cat(rows).sort(stable=True)
    return Leaves(row, torch.cat(orders)[by], too_many)


def _parts(
    sizes: Int64[Tensor, " batch"], left: Bool[Tensor, " batch"]
) -> Iterator[tuple[Int64[Tensor, " part"], int]]:
    """The rows that are left, up to the largest size, and how many nodes they have at most: a multiple of 8 if many.

    Small ones go with others of about their size, so that they do not pay for large ones.
    """
    chunk = _CHUNK if sizes.device.type == "cpu" else _CHUNK * _ON_GPU
    size, by = torch.where(left & (sizes <= LARGEST), sizes, 0).sort(descending=True)
    known: list[int] = size.tolist()
    start, stop = 0, known.index(0) if 0 in known else len(known)
    while start < stop:
        nodes = known[start] if known[start] <= cosets.SMALL else (known[start] + 7) // 8 * 8
        end = min(stop, start + max(1, chunk // nodes**2))
        if nodes > cosets.SMALL:  # the limit depends on the size
            end = next((at for at in range(start, end) if known[at] <= nodes - 8), end)
        yield by[start:end], nodes
        start = end
