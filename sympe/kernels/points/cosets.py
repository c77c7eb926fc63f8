"""The elements that bring the graphs of clouds to canonical form, of both hands or of one."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sympe.graphs import DenseGraphs
from sympe.graphs.checks import equal_graphs
from sympe.kernels.base import uniform
from sympe.kernels.graphs import GraphKernel
from sympe.kernels.graphs.bliss import Draw
from sympe.kernels.graphs.cosets import choose, first_choice, least_of_orbits
from sympe.kernels.graphs.graph import generated
from sympe.kernels.graphs.individualization import Leaves
from sympe.kernels.points.cloud import Distances
from sympe.kernels.points.frame import Frames, frames
from sympe.kernels.points.listing import list_clouds
from sympe.kernels.points.names import on_places, places
from sympe.kernels.sorting import sort_rows


class Cosets:
    r"""C(D) of every cloud, or, without reflections, the half of it whose frames have one sign.

    The canonical order is that of the graph, but farthest from the centre first, so that frames are well determined and
    a place says how far out its point is.

    Arguments:
        found: the clouds as graphs.
        proper: whether mirror images differ. Then only the elements whose frame has sign 1 count, or all where the
            cloud is chiral, or its frames have free columns.
    """

    def __init__(self, found: Distances, *, proper: bool) -> None:
        self.found = found
        self.proper = proper
        self.kernel = GraphKernel(found.points.shape[1], order="refined")
        leaves = list_clouds(found)
        rows, orders = leaves.rows, self._radial(leaves.rows, leaves.orders)
        several = (torch.bincount(rows, minlength=len(found)) > 1)[rows] if proper else None
        if several is not None and bool(several.any()):
            sign = torch.zeros_like(found.gaps[rows])
            sign[several] = self.frames(rows[several], orders[several]).handedness
            right = torch.zeros_like(found.gaps).index_add(0, rows, (sign > 0).to(sign.dtype)) > 0
            kept = ~right[rows] | (sign > 0)
            rows, orders = rows[kept], orders[kept]
        self.listed = Leaves(rows, orders, leaves.too_many)
        self.large = leaves.too_many.nonzero().squeeze(1)

    def frames(self, rows: Int64[Tensor, " orders"], orders: Int64[Tensor, "orders nodes"]) -> Frames:
        """The frames along orders of the points of the clouds of these rows."""
        planes = self._planes.index_select(1, rows)
        return frames(planes.gather(2, orders.expand(len(planes), -1, -1)), self.found.gaps[rows])

    def sample(self, generator: torch.Generator | None) -> Int64[Tensor, "batch nodes"]:
        """A uniform element for every cloud."""
        return self._elements(
            lambda shape, like: uniform(shape, like, generator),
            lambda graphs: self.kernel.sample(graphs, generator=generator),
        )

    @cached_property
    def first(self) -> Int64[Tensor, "batch nodes"]:
        """One element for every cloud, always the same for the same labelling."""
        return self._elements(first_choice, self.kernel.canonicalize)

    def log_counts(self) -> Float[Tensor, " batch"]:
        """The logarithms of the numbers of elements."""
        count = torch.bincount(self.listed.rows, minlength=len(self.found)).double().log()
        if len(self.large):
            count[self.large] = self.kernel.entropy(self._large.graphs).double()
            count[self.large[self._achiral]] -= math.log(2)
        return count

    def contains(self, orders: Int64[Tensor, "batch nodes"]) -> Bool[Tensor, " batch"]:
        """Whether these belong to C(D), whatever their sign."""
        graphs, group = self.found.graphs, self.kernel.group
        return equal_graphs(graphs.relabel(group.inverse(orders)), graphs.relabel(group.inverse(self.first)))

    def handed(self) -> Bool[Tensor, " batch"]:
        """Whether there are frames of sign 1, so that those of sign -1 do not count."""
        return self.frames(torch.arange(len(self.found), device=self.first.device), self.first).handedness > 0

    def orbits(self) -> Int64[Tensor, "batch nodes"]:
        """The least node of the orbit of each node under the symmetries that count."""
        orders, n = self.listed.orders, self.found.points.shape[1]
        node = torch.arange(n, device=orders.device)
        out = node.repeat(len(self.found), 1)
        # node i takes the same places as the others of its orbit
        least = torch.full((len(out) * n,), n, dtype=torch.int64, device=orders.device)
        place = node.expand_as(orders).flatten()
        least = least.scatter_reduce(0, (self.listed.rows[:, None] * n + orders).flatten(), place, "amin").view(-1, n)
        first = torch.full((len(out), n + 1), n, dtype=torch.int64, device=orders.device)
        first = first.scatter_reduce(1, least, node.expand_as(least), "amin")
        out = torch.where(self.listed.too_many[:, None], out, first.gather(1, least))
        for row, moves in zip(self.large.tolist(), self._generators, strict=True):
            if len(moves):
                out[row] = least_of_orbits(moves)
        return out

    def every(self) -> tuple[Int64[Tensor, " listed"], Int64[Tensor, "listed nodes"]]:
        """All elements, as two parallel lists; see that they are few before."""
        rows, orders = [self.listed.rows], [self.listed.orders]
        for row, moves in zip(self.large, self._generators, strict=True):
            symmetries = generated(moves, self.first[row])
            orders.append(symmetries.gather(1, self.first[row].expand(len(symmetries), -1)))
            rows.append(row.expand(len(symmetries)))
        row, by = torch.cat(rows).sort(stable=True)
        return row, torch.cat(orders)[by]

    @cached_property
    def _planes(self) -> Float[Tensor, "d batch nodes"]:
        """The points, one coordinate after the other."""
        return self.found.points.permute(2, 0, 1).contiguous()

    @cached_property
    def _outwards(self) -> Int64[Tensor, "batch nodes"]:
        """Numbers by which points come before ghosts before padding, farthest first."""
        found, n = self.found, self.found.points.shape[1]
        ghost = torch.arange(n, device=found.mask.device) >= found.owners[:, None]
        return (ghost * (n + 1) + n - found.radius).masked_fill_(~found.mask, 2 * n + 2)

    @cached_property
    def _large(self) -> Distances:
        return self.found.select(self.large)

    @cached_property
    def _moves(self) -> list[tuple[Tensor, Tensor]]:
        """Generators of the symmetries of each cloud that is not listed, and which of them are reflections."""
        if not len(self.large):
            return []
        found = []
        every = self.kernel.generators(self._large.graphs)
        start = self._radial(self.large, self.kernel.canonicalize(self._large.graphs))
        for row, c, moves in zip(self.large, start, every, strict=True):
            orders = torch.cat([c[None], moves.gather(1, c.expand(len(moves), -1))])
            sign = self.frames(row.expand(len(orders)), orders).handedness
            found.append((moves, sign[1:] * sign[0] < 0))
        return found

    @cached_property
    def _achiral(self) -> Bool[Tensor, " large"]:
        """Of the clouds that are not listed, those of which half of the symmetries do not count."""
        if not self.proper:
            return torch.zeros_like(self.large, dtype=torch.bool)
        return torch.tensor([bool(odd.any()) for _, odd in self._moves], device=self.large.device, dtype=torch.bool)

    def symmetries(self) -> tuple[Int64[Tensor, " elements"], Int64[Tensor, "elements nodes"]]:
        """All symmetries that count, as two parallel lists; of clouds that are not listed, those of their places."""
        rows, orders = self.listed.rows, self.listed.orders
        count = torch.bincount(rows, minlength=len(self.found))
        first = orders[(count.cumsum(0) - count)[rows]]
        every, moves = [rows], [torch.empty_like(orders).scatter_(1, first, orders)]
        if not len(self.large):
            return every[0], moves[0]
        for row, generators in zip(self.large, self._generators, strict=True):
            found = self.found.select(row[None])
            moves.append(on_places(generators, places(found.points, found.mask, found.gaps)[0]))
            every.append(row.expand(len(moves[-1])))
        rows, by = torch.cat(every).sort(stable=True)
        return rows, torch.cat(moves)[by]

    def with_ghosts(self, p: Int64[Tensor, "batch max_nodes"]) -> Int64[Tensor, "batch nodes"]:
        """Orders of points and ghosts, from the points alone: a ghost goes with its owner."""
        nodes, of = self.found.points.shape[1], self.found.owners[:, None]
        place = torch.arange(nodes, device=p.device)
        first = self.first
        at = first.argsort(1)  # the canonical place of each
        local = (first - of).clamp(min=0)
        channel = local // of.clamp(min=1)
        owner = torch.where(place < of, place, at.gather(1, local % of.clamp(min=1)))
        new = p[:, : min(nodes, p.shape[1])].gather(1, owner)
        out = torch.where(place < of, new, of + channel * of + new)
        return torch.where(self.found.mask, out, place)

    @property
    def _generators(self) -> list[Int64[Tensor, "count nodes"]]:
        """Generators of the symmetries that count, of the clouds that are not listed: by Schreier in index 2."""
        if not self.proper:
            return [moves for moves, _ in self._moves]
        found = []
        for moves, odd in self._moves:
            even = moves[~odd]
            if bool(odd.any()):
                swap = moves[odd][0]
                back = swap.argsort()
                turned = swap[even[:, back]]
                even = torch.cat([even, turned, moves[odd][:, back], swap[moves[odd]]])
            found.append(even)
        return found

    def _elements(self, draw: Draw, draw_large: Callable[[DenseGraphs], Tensor]) -> Tensor:
        if not len(self.large):
            listed = self.listed
            return listed.orders if len(listed.orders) == len(self.found) else choose(listed, draw)
        out = torch.arange(self.found.points.shape[1], device=self.large.device).repeat(len(self.found), 1)
        out[~self.listed.too_many] = choose(self.listed, draw)
        order = self._radial(self.large, draw_large(self._large.graphs))
        wrong = self._achiral & (self.frames(self.large, order).handedness < 0)
        for at in wrong.nonzero().squeeze(1).tolist():  # one reflection takes one half of C(D) to the other
            moves, odd = self._moves[at]
            order[at] = moves[odd][0][order[at]]
        out[self.large] = order
        return out

    def _radial(self, rows: Tensor, orders: Tensor) -> Tensor:
        """Points before ghosts before padding, farthest first, else as they come."""
        n = orders.shape[1]
        bits, node = n.bit_length(), torch.arange(n, device=orders.device)
        keys = self._outwards.index_select(0, rows).gather(1, orders)
        return orders.gather(1, sort_rows(torch.add(node, keys, alpha=2**bits)).bitwise_and_(2**bits - 1))
