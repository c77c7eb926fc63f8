"""The elements that bring graphs of distances to canonical form, many clouds at once."""

from __future__ import annotations

import torch
from torch import Tensor

from sympe.kernels.graphs import cosets
from sympe.kernels.graphs.individualization import Leaves, search
from sympe.kernels.points.cloud import Distances

_TOGETHER = 2**18
"""So many pairs of nodes are searched at once, padding and all; more are by size."""


def list_clouds(found: Distances) -> Leaves:
    """The cosets of clouds; ``too_many`` is set for those that are too large or too symmetric to list."""
    n, device = found.mask.shape[1], found.mask.device
    sizes = found.mask.sum(1)
    if len(found) * n * n <= _TOGETHER and n <= cosets.SMALL:
        return search(*found.heard(), limit=cosets._LIMIT)
    rows = [torch.zeros(0, dtype=torch.int64, device=device)]
    orders: list[Tensor] = []
    too_many = sizes > cosets.SMALL
    places = torch.arange(n, device=device)
    width = (sizes + 7) // 8 * 8
    for nodes in width[~too_many].unique().tolist():  # by size, so that a small cloud does not pay for a large one
        for part in (
            ((width == nodes) & (sizes <= cosets.SMALL))
            .nonzero()
            .squeeze(1)
            .split(max(1, cosets._CHUNK // max(1, nodes**2)))
        ):
            leaves = search(*found.select(part, min(n, nodes)).heard(), limit=cosets._LIMIT)
            too_many[part] = leaves.too_many
            rows.append(part[leaves.rows])
            orders.append(torch.cat([leaves.orders, places[min(n, nodes) :].expand(len(leaves.rows), -1)], 1))
    row, by = torch.cat(rows).sort(stable=True)
    return Leaves(row, torch.cat([places.expand(0, -1), *orders])[by], too_many)
