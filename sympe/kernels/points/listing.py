"""The elements that bring graphs of distances to canonical form, many clouds at once.

Up to 64 nodes they are those of :class:`~sympe.kernels.GraphKernel`. Beyond, colours are refined once, which settles
clouds without symmetries, and then by the distances from one point after another: three that span space tell all others
apart, up to a reflection. So memory is that of the distances.
"""

from __future__ import annotations

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
    n = found.mask.shape[1]
    if len(found) * n * n <= _TOGETHER and n <= cosets.SMALL:
        return search(*found.heard(), limit=cosets._LIMIT)

    def search_part(part: Tensor, nodes: int) -> Leaves:
        some, large = found.select(part, min(n, nodes)), nodes > cosets.SMALL
        limit = max(cosets._LIMIT, 2 * nodes) if large else cosets._LIMIT
        return search(*some.heard(), limit=limit, distances=large)

    sizes = found.mask.sum(1)
    return cosets.list_by_size(sizes, sizes <= LARGEST, search_part, nodes=n, chunk=_CHUNK)
