r"""The exact inversion kernel of isometries and permutations on point clouds.

The graph of distances (:mod:`sympe.kernels.points.cloud`) gives the permutations, a frame along the canonical order the
isometry. With h from the coset of the graph, :math:`q_r = p_{h[r]}` are the points in canonical order, and the columns
of R are those of Gram-Schmidt along :math:`q_1, q_2, \dots`, the k missing ones by Haar on O(k). Then
:math:`R^{-1} q` is the same for every element (R, h), for another element s h of the coset has points :math:`R_s q` and
so the frame :math:`R_s R`. Hence

.. math:: |G_x| = |\mathrm{Aut}(D)| \cdot |O(k)|, \qquad k = d - \mathrm{rank} .

**Without reflections** (SO(d), SE(d)): if k >= 1, the last free column takes the sign. If k = 0, either frames of both
signs are there and half of the elements are left, or the cloud is chiral and one of its mirror images has frames of
sign -1 only: there R P, with one fixed reflection P, and the canonical form :math:`P^{-1} \gamma`. So the mirror images
of a chiral cloud have different canonical forms.

**With translations** (E(d), SE(d)) the cloud is centred first, and the translation of g is its centre. Without them the
group fixes the origin, and so the symmetries are those about the origin.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sympe.graphs import Clouds
from sympe.groups import DirectProduct, Isometries, Permutations
from sympe.groups.checks import check_integer, check_kind
from sympe.kernels.base import InversionKernel, check_count
from sympe.kernels.graphs.hard import hard_parts
from sympe.kernels.points.cloud import distances
from sympe.kernels.points.cosets import Cosets
from sympe.kernels.points.frame import fixed_directions, haar_directions
from sympe.kernels.points.names import point_groups
from sympe.tolerance import Tolerance

_CLOSE = 1e-3
"""How far the numbers of an R may be from those of the frame to be the same."""


class PointKernel(InversionKernel):
    r"""The exact inversion kernel on point clouds: uniform on C(x), with entropy :math:`\log |G_x|`.

    .. math:: g = (R, t, h), \qquad g^{-1} x = \gamma(x) .

    Symmetry is judged by distances: two are equal where they, or others between them in a row without a larger gap, are
    within the tolerance. So a point that is moved by :math:`\delta` along a distance :math:`\ell` shows where
    :math:`\delta` exceeds the tolerance, one that is moved across it where :math:`\delta^2 / 2 \ell` does. g jumps
    where a cloud gains a symmetry. Of a cloud that is thin, but thicker than the tolerance, distances may not tell the
    heights: C(x) then has what permutes the distances, :meth:`misfit` is large, and without reflections the number of
    its elements need not be the order of a group.

    Which points are more alike than their places says the type. Points of one type that coincide exchange freely.

    Arguments:
        group: :class:`~sympe.groups.Orthogonal`, ``SpecialOrthogonal`` (mirror images differ), ``Euclidean`` or
            ``SpecialEuclidean``, with d = 2 or 3. The group of the kernel is its product with the permutations.
        max_nodes: the most points of a cloud; smaller ones are padded, and the padding stays in place.
        tolerance: the largest gap between distances that count as equal, in the units of the positions; or a
            :class:`~sympe.Tolerance`, whose relative part is of the largest distance of a cloud. It is never less than
            the rounding of the positions.
        vector_scale: s of the points :math:`p_i + s f_i` that stand for vectors, in units of the positions over those
            of the vectors.

    Raises:
        TypeError: if ``group`` is no group of isometries.
        ValueError: if ``max_nodes < 1``, or ``tolerance`` or ``vector_scale`` is negative or not finite; on use, if a
            cloud has more points than ``max_nodes`` or another d.

    References:
        Lawrence et al. (arXiv 2503.21985), Section 4; Puny et al., "Frame averaging", ICLR 2022.

    Example:
        A square in the plane, and in space:

        >>> square = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]])
        >>> from sympe.groups import Orthogonal, SpecialOrthogonal
        >>> PointKernel(Orthogonal(2), max_nodes=4).entropy(Clouds.from_positions(square)).exp().round()
        tensor([8.])
        >>> x = Clouds.from_positions(torch.nn.functional.pad(square, (0, 1)))
        >>> kernel = PointKernel(Orthogonal(3), max_nodes=4)
        >>> kernel.entropy(x).exp().round(), kernel.point_groups(x)
        (tensor([16.]), ['D4h'])
        >>> R, p = kernel.group.components(kernel.sample(x))
        >>> R.shape, p.shape
        (torch.Size([1, 3, 3]), torch.Size([1, 4]))

        In an encoding (:class:`~sympe.encodings.SymPE`), v has vectors at the points, numbers, or irreps of e3nn:

        >>> from sympe.actions import VectorAction
        >>> VectorAction(kernel.group, channels=8).shape
        (4, 8, 3)
    """

    def __init__(
        self,
        group: Isometries,
        max_nodes: int,
        *,
        tolerance: float | Tolerance = 1e-3,
        vector_scale: float = 1.0,
    ) -> None:
        check_kind("group", group, Isometries, "such as Orthogonal(3)")
        check_integer("max_nodes", max_nodes)
        if not 0 < vector_scale < math.inf:
            raise ValueError(f"vector_scale: expected a positive number, got {vector_scale}")
        self.isometries = group
        self.tolerance = tolerance if isinstance(tolerance, Tolerance) else Tolerance(0.0, tolerance)
        self.vector_scale = float(vector_scale)
        self._group = DirectProduct(group, Permutations(max_nodes))

    def __repr__(self) -> str:
        return f"PointKernel({self.isometries!r}, max_nodes={self.max_nodes}, tolerance={self._said})"

    @property
    def _said(self) -> str:
        only_absolute = self.tolerance.relative == 0
        return f"{self.tolerance.absolute:g}" if only_absolute else repr(self.tolerance)

    @property
    def form(self) -> dict[str, str]:
        """The isometries, the tolerance and the scale of vectors, and who settles hard parts as for GraphKernel."""
        return {
            "kernel": "PointKernel",
            "isometries": repr(self.isometries),
            "tolerance": self._said,
            "vector_scale": f"{self.vector_scale:g}",
            **hard_parts(),
        }

    @property
    def group(self) -> DirectProduct:
        """The isometries and the permutations of ``max_nodes`` points."""
        return self._group

    @property
    def max_nodes(self) -> int:
        """The most points of a cloud."""
        return self._group.element_shape[0] - math.prod(self.isometries.element_shape)

    def sample(self, x: Clouds, *, generator: torch.Generator | None = None) -> Float[Tensor, "batch numbers"]:
        """Draw a uniform element of C(x) for every cloud; the padding stays in place."""
        cosets = self._cosets(x)
        order = cosets.sample(generator)
        columns = cosets.frames(_rows(x), order)
        directions = partial(haar_directions, generator=generator)
        return self._packed(x, cosets, _rows(x), columns.completed(directions, proper=self.isometries.is_proper), order)

    def canonicalize(self, x: Clouds) -> Float[Tensor, "batch numbers"]:
        """One element of C(x) for every cloud, always the same for the same points in the same order.

        It is no equivariant map: which element it gives depends on the order of the points, and on the axes where
        columns are free.
        """
        cosets = self._cosets(x)
        columns = cosets.frames(_rows(x), cosets.first)
        R = columns.completed(fixed_directions, proper=self.isometries.is_proper)
        return self._packed(x, cosets, _rows(x), R, cosets.first)

    def move(self, g: Float[Tensor, "batch numbers"], x: Clouds) -> Clouds:
        """``g x``: point i becomes point p[i], at R x_i + t."""
        self.group.check(g)
        isometry, p = self.group.components(g)
        return x.moved(self.isometries.rotation(isometry), self.isometries.translation(isometry), p)

    def entropy(self, x: Clouds) -> Float[Tensor, " batch"]:
        """``log |G_x|`` in nats; infinite where isometries are free to turn, as for points on one line in space."""
        cosets = self._cosets(x)
        free = cosets.frames(_rows(x), cosets.first).free
        return (cosets.log_counts() + self._log_free(free)).to(torch.get_default_dtype())

    def log_prob(self, g: Float[Tensor, "batch numbers"], x: Clouds) -> Float[Tensor, " batch"]:
        """``-log |G_x|`` on C(x), minus infinity elsewhere; R counts as that of the frame up to 1e-3.

        Where isometries are free to turn (``entropy`` is infinite) it is the discrete part: the density over Haar on
        the free columns.

        Raises:
            TypeError: if ``g`` is no tensor of floats.
            ValueError: if ``g`` holds no elements of the group.
        """
        self.group.check(g)
        cosets = self._cosets(x)
        isometry, p = self.group.components(g)
        place = torch.arange(self.max_nodes, device=x.device)
        fixes = ((p == place) | (place < x.sizes[:, None])).all(1)
        order = cosets.with_ghosts(torch.where(fixes[:, None], p, place))
        columns = cosets.frames(_rows(x), order)
        own = columns.completed(fixed_directions, proper=self.isometries.is_proper)
        given = place.new_tensor(range(own.shape[-1])) < columns.rank[:, None]
        R = self.isometries.rotation(isometry)
        right = fixes & cosets.contains(order) & (((R - own).abs() * given[:, None]).amax((1, 2)) <= _CLOSE)
        if self.isometries.is_proper:
            right &= (columns.handedness >= 0) | ~cosets.handed()
        if self.isometries.translates:
            off = (self.isometries.translation(isometry) - cosets.found.centers).norm(dim=-1)
            right &= off <= cosets.found.gaps
        log_count = cosets.log_counts() + self._log_free(columns.free).nan_to_num(posinf=0.0)
        return torch.where(right, -log_count, -torch.inf).to(torch.get_default_dtype())

    def list_coset(self, x: Clouds, *, limit: int) -> tuple[Int64[Tensor, " listed"], Float[Tensor, "listed numbers"]]:
        """C(x) as two parallel lists.

        Raises:
            ValueError: if the C(x) of a cloud has more than ``limit`` elements, or infinitely many.
        """
        cosets = self._cosets(x)
        free = cosets.frames(_rows(x), cosets.first).free
        count = cosets.log_counts() + self._log_free(free)
        if bool(count.isinf().any()):
            row = int(count.isinf().nonzero()[0])
            raise ValueError(f"x: C(x) of cloud {row} has infinitely many elements: its points lie on one line")
        check_count(count, limit)
        rows, order = cosets.every()
        columns = cosets.frames(rows, order)
        R = columns.completed(fixed_directions, proper=self.isometries.is_proper)
        if not self.isometries.is_proper:  # the one free column of planar clouds has either sign
            again = (columns.free == 1).nonzero().squeeze(1)
            flipped = torch.cat([R[again, :, :-1], -R[again, :, -1:]], -1)
            R, order, rows = torch.cat([R, flipped]), torch.cat([order, order[again]]), torch.cat([rows, rows[again]])
            rows, by = rows.sort(stable=True)
            R, order = R[by], order[by]
        return rows, self._packed(x, cosets, rows, R, order)

    def stabilizer(self, x: Clouds, *, limit: int = 1024) -> list[Float[Tensor, "order numbers"]]:
        """The elements of :math:`G_x` for each cloud, the identity among them.

        Raises:
            ValueError: if there are more than ``limit``, or infinitely many.

        Example:
            >>> from sympe.groups import SpecialOrthogonal
            >>> pair = Clouds.from_positions(torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]]))
            >>> kernel = PointKernel(SpecialOrthogonal(2), max_nodes=2)
            >>> [p.tolist() for p in kernel.group.components(kernel.stabilizer(pair)[0])[1]]
            [[0, 1], [1, 0]]
        """
        rows, g = self.list_coset(x, limit=limit)
        first = torch.searchsorted(rows, _rows(x))
        back = self.group.inverse(g[first])[rows]
        return list(self.group.compose(g, back).split(torch.bincount(rows, minlength=len(x)).tolist()))

    def orbits(self, x: Clouds) -> Int64[Tensor, "batch max_nodes"]:
        """The orbits of the points under :math:`G_x`: the least point of each one's orbit; in the padding, itself."""
        return self._padded(x, _rows(x), self._cosets(x).orbits())

    def misfit(self, x: Clouds, *, limit: int = 1024) -> Float[Tensor, " batch"]:
        r"""How far :math:`G_x` moves the points, at most: the error of the symmetries that the tolerance sees.

        In the units of the positions. For exact symmetries it is their rounding. It may exceed the tolerance by far
        where points leave a plane or a line: distances hardly change then.

        Raises:
            ValueError: if :math:`G_x` has more than ``limit`` elements, or infinitely many.

        Example:
            >>> from sympe.groups import Orthogonal
            >>> bent = Clouds.from_positions(torch.tensor([[[1.0, 0.0], [0.0, 0.02], [-1.0, 0.0]]]))
            >>> PointKernel(Orthogonal(2), max_nodes=3, tolerance=0.1).misfit(bent)  # as if on one line
            tensor([0.0400])
        """
        rows, g = self.list_coset(x, limit=limit)
        form = self.move(self.group.inverse(g), x.select(rows)).positions
        first = form[torch.searchsorted(rows, _rows(x))][rows]
        off = (form - first).norm(dim=-1).flatten(1).amax(1)
        worst: Tensor = off.new_zeros(len(x)).scatter_reduce(0, rows, off, "amax")
        return worst

    def point_groups(self, x: Clouds) -> list[str]:
        """The point group of each cloud in space, after Schoenflies, about its centre.

        Reflections are included, and the centre is that of the points, whatever the kernel's group. Points on one line
        have D*h or C*v, a single point Kh.

        Where symmetries are not exact it is the group that comes nearest.

        Raises:
            ValueError: if the clouds are not in space, or the tolerance makes symmetries that no point group has.

        Example:
            >>> from sympe.groups import Euclidean
            >>> water = torch.tensor([[[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]]])
            >>> kernel = PointKernel(Euclidean(3), max_nodes=3)
            >>> kernel.point_groups(Clouds.from_positions(water, torch.tensor([[8, 1, 1]])))
            ['C2v']
        """
        if self.isometries.dimension != 3:
            raise ValueError(f"x: expected clouds in space for the names of point groups, got d = {x.dimension}")
        cosets = self._cosets(x, proper=False, centered=True)
        found, free = cosets.found, cosets.frames(_rows(x), cosets.first).free
        return point_groups(found.points, found.mask, found.gaps, free, *cosets.symmetries())

    def _cosets(self, x: Clouds, *, proper: bool | None = None, centered: bool | None = None) -> Cosets:
        """The elements of C(D), after checks."""
        check_kind("x", x, Clouds)
        if x.dimension != self.isometries.dimension:
            raise ValueError(f"x: expected points of d = {self.isometries.dimension}, got d = {x.dimension}")
        if len(x) and int(x.sizes.max()) > self.max_nodes:
            row = int(x.sizes.argmax())
            raise ValueError(
                f"x: expected clouds of at most max_nodes = {self.max_nodes} points; "
                f"cloud {row} has {int(x.sizes[row])}"
            )
        n = min(self.max_nodes, x.mask.shape[1])
        x = Clouds(x.positions[:, :n], x.types[:, :n], x.mask[:, :n], x.vectors[:, :n])
        centered = self.isometries.translates if centered is None else centered
        found = distances(x, self.tolerance, self.vector_scale, centered=centered)
        return Cosets(found, proper=self.isometries.is_proper if proper is None else proper)

    def _log_free(self, free: Int64[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """Logarithms of |O(k)|, or log |SO(k)|."""
        order = torch.tensor([1.0, 1.0 if self.isometries.is_proper else 2.0, torch.inf, torch.inf])
        return order.double().log().to(free.device)[free]

    def _packed(self, x: Clouds, cosets: Cosets, rows: Tensor, R: Tensor, order: Tensor) -> Tensor:
        """Elements in the precision of the positions, from matrices and orders of the points and ghosts."""
        t = cosets.found.centers[rows]
        return self.group.pack(self.isometries.element(R, t).to(x.dtype), self._padded(x, rows, order))

    def _padded(self, x: Clouds, rows: Tensor, values: Tensor) -> Tensor:
        """Numbers of points, without those of ghosts, in rows that go on with the padding in place."""
        place = torch.arange(self.max_nodes, device=values.device)
        n = min(self.max_nodes, values.shape[1])
        if not x.vectors.shape[2]:  # without ghosts the padding is in its place
            return values if n == self.max_nodes else torch.cat([values, place[n:].expand(len(values), -1)], 1)
        out = place.repeat(len(rows), 1)
        out[:, :n] = torch.where(place[:n] < x.sizes[rows][:, None], values[:, :n], place[:n])
        return out


def _rows(x: Clouds) -> Int64[Tensor, " batch"]:
    return torch.arange(len(x), device=x.device)
