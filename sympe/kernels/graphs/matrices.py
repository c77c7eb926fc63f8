r"""The inversion kernel of row and column permutations of a matrix, alone and coupled, by graphs with two sides.

Rows and columns are the nodes of a graph, coloured by their side, and entry (i, j) colours the edge of row i and column
j. Its symmetries are the pairs of a row and a column permutation that fix the matrix. The factors act on the same data,
so per factor is wrong: no swap of the rows of a 2 × 2 identity fixes it, and none of its columns, but both together do.

The commonest entry of a matrix is left out of its graph, which changes no symmetry and makes it sparse.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from sympe.actions import ArrayAction
from sympe.graphs import DenseGraphs
from sympe.groups import DirectProduct, Permutations
from sympe.groups.checks import check_integer, check_kind
from sympe.kernels.base import InversionKernel
from sympe.kernels.coupled import CoupledKernel
from sympe.kernels.graphs.graph import GraphKernel
from sympe.kernels.graphs.hard import hard_parts
from sympe.kernels.graphs.rows import rank_numbers, rank_rows
from sympe.tolerance import Tolerance


class MatrixKernel(InversionKernel):
    r"""The exact inversion kernel of :math:`S_n \times S_m` on matrices: rows and columns in any order.

    .. math:: \kappa(g \mid x) = \frac{1}{|G_x|} \quad \text{if } g^{-1} x = \gamma(x), \text{ else } 0,
              \qquad (g\,x)[g_1[i], g_2[j]] = x[i, j] .

    x is a tensor ``(batch, rows, columns)`` or ``(batch, rows, columns, channels)``. The action on the latter, and on
    v, is :class:`~sympe.actions.ArrayAction`. It is exact as :class:`GraphKernel` is.

    Arguments:
        rows: n.
        columns: m.
        order: which canonical form: one of :data:`~sympe.kernels.graphs.orders.NODE_ORDERS`, of the graph of rows and
            columns.
        tolerance: largest gap between floats that count as equal, relative to the largest of their channel in their
            matrix (:mod:`sympe.tolerance`); 0 for exact comparison.

    Raises:
        TypeError: if ``tolerance`` is no number; on use, if x is no tensor, or complex.
        ValueError: if ``rows`` or ``columns`` is below 1, ``order`` is unknown or ``tolerance`` is negative; on use, if
            a shape is another, or an entry is NaN or infinite.

    References:
        Hartford et al., "Deep Models of Interactions Across Sets", ICML 2018, for networks on such data.

    Example:
        The identity has the symmetries that move rows and columns alike:

        >>> import torch
        >>> kernel = MatrixKernel(2, 2)
        >>> kernel.entropy(torch.stack([torch.eye(2), torch.ones(2, 2)])).exp().round()
        tensor([2., 4.])
        >>> from sympe.actions import ArrayAction
        >>> from sympe.encodings import SymPE
        >>> SymPE(kernel, ArrayAction(kernel.group, channels=8))(torch.eye(2)[None]).shape
        torch.Size([1, 2, 2, 8])
    """

    def __init__(
        self, rows: int, columns: int, *, order: str = "breadth-first", tolerance: float | Tolerance = 1e-6
    ) -> None:
        check_integer("rows", rows)
        check_integer("columns", columns)
        self._group = DirectProduct(Permutations(rows), Permutations(columns))
        self.shape = (rows, columns)
        self.tolerance = Tolerance.of(tolerance)
        self._graphs = GraphKernel(rows + columns, order=order)

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"MatrixKernel({rows}, {columns}, order={self.order!r}, tolerance={self.tolerance})"

    @property
    def order(self) -> str:
        """Which canonical form."""
        return self._graphs.order

    @property
    def form(self) -> dict[str, str]:
        """The order and the tolerance, and who settles hard parts as for :class:`GraphKernel`."""
        return {"kernel": "MatrixKernel", "order": self.order, "tolerance": str(self.tolerance), **hard_parts()}

    @property
    def group(self) -> DirectProduct:
        """The pairs of a permutation of the rows and one of the columns."""
        return self._group

    def sample(
        self, x: Shaped[Tensor, "batch rows columns *channels"], *, generator: torch.Generator | None = None
    ) -> Int64[Tensor, "batch both"]:
        """Draw a uniform element of C(x) for every matrix."""
        return self._split(self._graphs.sample(self._graph(self.ranks(x)), generator=generator))

    def canonicalize(self, x: Shaped[Tensor, "batch rows columns *channels"]) -> Int64[Tensor, "batch both"]:
        """One element of C(x) for every matrix, always the same for the same matrix; it is not equivariant.

        Example:
            >>> x = torch.tensor([[[1, 2, 1], [2, 2, 2]]])
            >>> kernel = MatrixKernel(2, 3)
            >>> c = kernel.group.inverse(kernel.canonicalize(x))
            >>> swapped = x[:, [1, 0]][:, :, [2, 0, 1]]
            >>> torch.equal(kernel.move(c, x), kernel.move(kernel.group.inverse(kernel.canonicalize(swapped)), swapped))
            True
        """
        return self._split(self._graphs.canonicalize(self._graph(self.ranks(x))))

    def log_prob(
        self, g: Int64[Tensor, "batch both"], x: Shaped[Tensor, "batch rows columns *channels"]
    ) -> Float[Tensor, " batch"]:
        """``-log |G_x|`` on C(x), minus infinity elsewhere.

        Raises:
            ValueError: if ``g`` does not hold a pair of permutations for each matrix.
        """
        ranks = self.ranks(x)
        self.group.check(g)
        if g.shape != (len(x), *self.group.element_shape):
            raise ValueError(f"g: expected one element for each of {len(x)} matrices, got shape {tuple(g.shape)}")
        graph = self._graph(ranks)
        c = self._split(self._graphs.canonicalize(graph))  # any element of C(x) leads to the same form
        one, other = (self.move(self.group.inverse(h), ranks) for h in (g, c))
        return torch.where((one == other).flatten(1).all(1), -self._graphs.entropy(graph), -torch.inf)

    def entropy(self, x: Shaped[Tensor, "batch rows columns *channels"]) -> Float[Tensor, " batch"]:
        """``log |G_x|``, in nats."""
        return self._graphs.entropy(self._graph(self.ranks(x)))

    def orbits(self, x: Shaped[Tensor, "batch rows columns *channels"]) -> Int64[Tensor, "batch both"]:
        """The first row of each row's orbit under G_x, then the first column of each column's.

        Example:
            >>> MatrixKernel(2, 3).orbits(torch.tensor([[[1, 2, 1], [1, 2, 1]]]))
            tensor([[0, 0, 0, 1, 0]])
        """
        return self._apart(self._graphs.orbits(self._graph(self.ranks(x))))

    def generators(self, x: Shaped[Tensor, "batch rows columns *channels"]) -> list[Int64[Tensor, "count both"]]:
        """Generators of G_x for each matrix, more than needed; none where it is trivial.

        Example:
            >>> MatrixKernel(2, 2).generators(torch.eye(2)[None])
            [tensor([[1, 0, 1, 0]])]
        """
        return [self._apart(some) for some in self._graphs.generators(self._graph(self.ranks(x)))]

    def move(
        self, g: Int64[Tensor, "batch both"], x: Shaped[Tensor, "batch rows columns *channels"]
    ) -> Shaped[Tensor, "batch rows columns *channels"]:
        """``g x``."""
        entries = self._checked("x", x)
        return ArrayAction(self.group, entries.shape[3])(g, entries).view(x.shape)

    def list_coset(
        self, x: Shaped[Tensor, "batch rows columns *channels"], *, limit: int
    ) -> tuple[Int64[Tensor, " listed"], Int64[Tensor, "listed both"]]:
        """C(x) as two parallel lists: the row of the batch, ascending, and an element of that row's C(x).

        Raises:
            ValueError: if the C(x) of a matrix has more than ``limit`` elements; says how many.
        """
        row, g = self._graphs.list_coset(self._graph(self.ranks(x)), limit=limit)
        return row, self._split(g)

    def ranks(self, x: Shaped[Tensor, "batch rows columns *channels"]) -> Int64[Tensor, "batch rows columns"]:
        """What entries are compared by: the same for equal ones of a matrix, and so sorted.

        Example:
            >>> MatrixKernel(1, 3).ranks(torch.tensor([[[0.5, 0.1, 0.5]]]))
            tensor([[[1, 0, 1]]])
        """
        entries = self._checked("x", x).flatten(1, 2)
        every = torch.ones(entries.shape[:2], dtype=torch.bool, device=x.device)
        ranks = rank_numbers("x", entries, every, self.tolerance)
        return rank_rows(ranks, every, entries.shape[1]).view(x.shape[:3])

    def _checked(self, name: str, x: Tensor) -> Tensor:
        """With a dimension of channels."""
        check_kind(name, x, Tensor)
        if x.dim() not in (3, 4) or x.shape[1:3] != self.shape:
            rows, columns = self.shape
            raise ValueError(f"{name}: expected shape (batch, {rows}, {columns}[, channels]), got {tuple(x.shape)}")
        return x if x.dim() == 4 else x[..., None]

    def _graph(self, ranks: Tensor) -> DenseGraphs:
        n, m = self.shape
        entry = ranks.flatten(1)
        counts = torch.zeros_like(entry).scatter_add_(1, entry, torch.ones_like(entry))
        entry = torch.where(entry == counts.argmax(1, keepdim=True), 0, entry + 1)
        pairs = torch.zeros(len(ranks), n + m, n + m, dtype=torch.int64, device=ranks.device)
        pairs[:, :n, n:] = entry.view(ranks.shape)
        pairs[:, n:, :n] = entry.view(ranks.shape).transpose(1, 2)
        side = (torch.arange(n + m, device=ranks.device) < n).long().repeat(len(ranks), 1)
        return DenseGraphs(pairs, side, torch.ones_like(side, dtype=torch.bool))

    def _split(self, g: Int64[Tensor, "batch both"]) -> Int64[Tensor, "batch both"]:
        """Orders of rows and columns mixed, as those of the rows and those of the columns."""
        n = self.shape[0]
        return self._apart(g.gather(1, (g >= n).long().argsort(dim=1, stable=True)))

    def _apart(self, both: Int64[Tensor, "count both"]) -> Int64[Tensor, "count both"]:
        """Numbers of nodes as those of rows, then those of columns, each from 0."""
        n = self.shape[0]
        return torch.cat([both[:, :n], both[:, n:] - n], 1)


class CoupledMatrixKernel(CoupledKernel):
    r"""The coupled kernel of :math:`S_n \times S_m` on a matrix x and a target y of the same rows and columns.

    Arguments:
        kernel: the kernel of x, from which sampling will draw.
        tolerance: which floats of y count as equal (:mod:`sympe.tolerance`).

    Raises:
        TypeError: if ``kernel`` is no :class:`MatrixKernel`.

    Example:
        Entries that are all equal, and a target that marks one of them:

        >>> import torch
        >>> kernel = CoupledMatrixKernel(MatrixKernel(2, 3))
        >>> x, y = torch.zeros(1, 2, 3), torch.tensor([[[0, 1, 0], [0, 0, 0]]])
        >>> kernel.kernel.entropy(x).exp().round(), kernel.entropy(x, y).exp().round()
        (tensor([12.]), tensor([2.]))

        Labels of the rows are a target with equal columns:

        >>> kernel.entropy(x, torch.tensor([[0, 1]])[:, :, None].expand(1, 2, 3)).exp().round()
        tensor([6.])
    """

    def __init__(self, kernel: MatrixKernel, *, tolerance: float | Tolerance = 1e-6) -> None:
        check_kind("kernel", kernel, MatrixKernel)
        self._kernel = kernel
        rows, columns = kernel.shape
        self._target = MatrixKernel(rows, columns, order=kernel.order, tolerance=tolerance)
        self._joint = MatrixKernel(rows, columns, order="refined")

    @property
    def kernel(self) -> MatrixKernel:
        """The kernel of x, from which sampling draws."""
        return self._kernel

    @property
    def group(self) -> DirectProduct:
        """The pairs of a permutation of the rows and one of the columns."""
        return self._kernel.group

    def sample(
        self,
        x: Shaped[Tensor, "batch rows columns *channels"],
        y: Shaped[Tensor, "batch rows columns *others"],
        *,
        generator: torch.Generator | None = None,
    ) -> Int64[Tensor, "batch both"]:
        """Draw a uniform element of C(x, y) for every pair.

        Raises:
            TypeError: if one is no tensor.
            ValueError: if a shape is another, or there are not as many targets as matrices.
        """
        h = self._joint.sample(self._both(x, y), generator=generator)
        return self.group.compose(h, self._last(h, x, y))

    def log_prob(
        self,
        g: Int64[Tensor, "batch both"],
        x: Shaped[Tensor, "batch rows columns *channels"],
        y: Shaped[Tensor, "batch rows columns *others"],
    ) -> Float[Tensor, " batch"]:
        r""":math:`-\log |G_x \cap G_y|` on C(x, y), minus infinity elsewhere."""
        both = self._both(x, y)
        self.group.check(g)
        k = self._last(self._joint.canonicalize(both), x, y)
        return self._joint.log_prob(self.group.compose(g, self.group.inverse(k)), both)

    def entropy(
        self,
        x: Shaped[Tensor, "batch rows columns *channels"],
        y: Shaped[Tensor, "batch rows columns *others"],
    ) -> Float[Tensor, " batch"]:
        r""":math:`\log |G_x \cap G_y|`, in nats."""
        return self._joint.entropy(self._both(x, y))

    def _both(self, x: Tensor, y: Tensor) -> Tensor:
        self._target._checked("target", y)
        if len(x) != len(y):
            raise ValueError(f"target: expected one for each of {len(x)} matrices, got {len(y)}")
        return torch.stack([self._kernel.ranks(x), self._target.ranks(y)], 3)

    def _last(self, h: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """K = A c(A^-1 h^-1 x), with A = c(h^-1 y), as for graphs (:mod:`sympe.kernels.graphs.coupled`)."""
        group = self.group
        A = self._target.canonicalize(self._target.move(group.inverse(h), y))
        moved = self._kernel.move(group.inverse(group.compose(h, A)), x)
        return group.compose(A, self._kernel.canonicalize(moved))
