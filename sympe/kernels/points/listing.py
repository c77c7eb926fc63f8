"""The elements that bring graphs of distances to canonical form, many clouds at once.

Up to 64 nodes they are those of :class:`~sympe.kernels.GraphKernel`. Beyond, colours are refined once, which settles
clouds without symmetries, and then by the distances from one point after another: three that span space tell all others
apart, up to a reflection. So memory is that of the distances.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sympe.kernels.graphs import cosets
from sympe.kernels.graphs.individualization import Leaves, search
from sympe.kernels.points.cloud import Distances

LARGEST = 1024
"""Clouds of up to this many nodes are searched in batches."""

_TOGETHER = 2**18
"""Pairs of nodes that are searched at once without a look at sizes, padding and all."""

_CHUNK = 2**20
"""Pairs of nodes that are searched at once."""


def list_clouds(found: Distances) -> Leaves:
    """The cosets of clouds; ``too_many`` is set for those that are too large or too symmetric to list."""
    n, device = found.mask.shape[1], found.mask.device
    if len(found) * n * n <= _TOGETHER and n <= cosets.SMALL:
        return search(*found.heard(), limit=cosets._LIMIT)
    rows = [torch.zeros(0, dtype=torch.int64, device=device)]
    orders: list[Tensor] = []
    places, width = torch.arange(n, device=device), (found.mask.sum(1) + 7) // 8 * 8
    too_many = torch.ones_like(width, dtype=torch.bool)
    for nodes in width.unique().tolist():  # by size, so that a small cloud does not pay for a large one
        if nodes > LARGEST:
            continue
        for part in (width == nodes).nonzero().squeeze(1).split(max(1, _CHUNK // max(1, nodes**2))):
            some, large = found.select(part, min(n, nodes)), nodes > cosets.SMALL
            leaves = search(
                *some.heard(), limit=max(cosets._LIMIT, 2 * nodes) if large else cosets._LIMIT, distances=large
            )
            too_many[part] = leaves.too_many
            rows.append(part[leaves.rows])
            orders.append(torch.cat([leaves.orders, places[min(n, nodes) :].expand(len(leaves.rows), -1)], 1))
    row, by = torch.cat(rows).sort(stable=True)
    return Leaves(row, torch.cat([places.expand(0, -1), *orders])[by], too_many)
