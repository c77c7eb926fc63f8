r"""The inversion kernel of the symmetric group on sets, alone and coupled: sorting, with ties in random order.

A set is a tensor of one row an element, moved as node features are (:class:`~sympe.actions.NodeAction`). The canonical
form has its rows in lexicographic order, so C(x) are the permutations that sort them, and equal rows may stand in any
order:

.. math:: |G_x| = \prod_{r} m_r! ,

where row r is there :math:`m_r` times. Floats are ranks first, channel by channel (:mod:`sympe.tolerance`), and
everything after is exact: nothing is hashed. An input of n elements takes :math:`O(n \log n)` time and :math:`O(n)`
memory a channel.
"""

from __future__ import annotations

import itertools

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from sympe.graphs.sets import Sets
from sympe.groups import Permutations
from sympe.groups.checks import check_integer, check_kind
from sympe.kernels.base import InversionKernel, check_count, uniform
from sympe.kernels.coupled import CoupledKernel
from sympe.kernels.graphs.rows import rank_numbers, rank_rows
from sympe.tolerance import Tolerance


class SetKernel(InversionKernel):
    r"""The exact inversion kernel of :math:`S_n` on sets: uniform on the orders that sort the rows of x.

    .. math:: \kappa(g \mid x) = \prod_r \frac{1}{m_r!} \quad \text{if } x_{g[0]} \le x_{g[1]} \le \dots,
              \text{ else } 0 ,

    where row r is there :math:`m_r` times and rows are compared lexicographically. Elements that are all different get
    their place in sorted order; equal ones are told apart at random.

    x is a tensor ``(batch, elements, channels)``, or :class:`~sympe.graphs.Sets` where sizes differ. The action on
    such tensors, and on v, is :class:`~sympe.actions.NodeAction`.

    Arguments:
        max_elements: the degree of the group; smaller sets are padded, and the padding stays where it is.
        tolerance: largest gap between floats that count as equal, relative to the largest of their channel in their
            set (:mod:`sympe.tolerance`); 0 for exact comparison.

    Raises:
        TypeError: if ``tolerance`` is no number; on use, if x is no sets, or complex.
        ValueError: if ``max_elements < 1`` or ``tolerance`` is negative; on use, if a set has more elements, or an
            entry is NaN or infinite.

    References:
        Lawrence et al. (arXiv 2503.21985), Section 3: inversion kernel.

    Example:
        Three of four elements are equal, and a v that tells them apart:

        >>> import torch
        >>> from sympe.actions import NodeAction
        >>> from sympe.encodings import SymPE
        >>> from sympe.groups import Permutations
        >>> kernel = SetKernel(4)
        >>> x = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [0.0, 5.0], [1.0, 0.0]]])
        >>> kernel.entropy(x).exp().round(), kernel.sample(x)[0, 0]
        (tensor([6.]), tensor(2))
        >>> SymPE(kernel, NodeAction(Permutations(4), channels=8))(x).shape
        torch.Size([1, 4, 8])
    """

    def __init__(self, max_elements: int, *, tolerance: float | Tolerance = 1e-6) -> None:
        check_integer("max_elements", max_elements)
        self._group = Permutations(max_elements)
        self.tolerance = Tolerance.of(tolerance)

    def __repr__(self) -> str:
        return f"SetKernel(max_elements={self.group.degree}, tolerance={self.tolerance})"

    @property
    def form(self) -> dict[str, str]:
        """The tolerance."""
        return {"kernel": "SetKernel", "tolerance": str(self.tolerance)}

    @property
    def group(self) -> Permutations:
        """The permutations of ``max_elements`` elements."""
        return self._group

    def sample(
        self, x: Shaped[Tensor, "batch elements channels"] | Sets, *, generator: torch.Generator | None = None
    ) -> Int64[Tensor, "batch max_elements"]:
        """Draw a uniform element of C(x) for every set; the padding stays in place."""
        return _sorting(self._classes(x), generator)

    def canonicalize(self, x: Shaped[Tensor, "batch elements channels"] | Sets) -> Int64[Tensor, "batch max_elements"]:
        """One element of C(x) for every set, with equal elements in the order they have: not equivariant.

        Example:
            >>> SetKernel(3).canonicalize(torch.tensor([[[7], [5], [5]]]))
            tensor([[1, 2, 0]])
        """
        return self._classes(x).argsort(dim=1, stable=True)

    def log_prob(
        self, g: Int64[Tensor, "batch max_elements"], x: Shaped[Tensor, "batch elements channels"] | Sets
    ) -> Float[Tensor, " batch"]:
        """``-log |G_x|`` on C(x), minus infinity elsewhere.

        Raises:
            ValueError: if ``g`` does not hold a permutation of ``max_elements`` elements for each set.
        """
        return _log_prob(self.group, g, self._classes(x))

    def entropy(self, x: Shaped[Tensor, "batch elements channels"] | Sets) -> Float[Tensor, " batch"]:
        """``log |G_x|``, in nats: the sum of the log m! over all rows that are there m times."""
        return _entropy(self._classes(x))

    def orbits(self, x: Shaped[Tensor, "batch elements channels"] | Sets) -> Int64[Tensor, "batch max_elements"]:
        """The first element that is equal to each element; in the padding, itself.

        They say what G_x is: all permutations that keep every element in its orbit, of each orbit any.

        Example:
            >>> SetKernel(4).orbits(torch.tensor([[[7], [5], [7]]]))
            tensor([[0, 1, 0, 3]])
        """
        classes = self._classes(x)
        place = torch.arange(classes.shape[1], device=classes.device).expand_as(classes)
        first = torch.full((len(classes), 2 * classes.shape[1]), classes.shape[1], device=classes.device)
        return first.scatter_reduce(1, classes, place, "amin").gather(1, classes)

    def move(
        self, g: Int64[Tensor, "batch max_elements"], x: Shaped[Tensor, "batch elements channels"] | Sets
    ) -> Shaped[Tensor, "batch elements channels"] | Sets:
        """``g x``: element i becomes element g[i]."""
        sets = self._checked(x)
        moved = sets.relabel(g)
        return moved if isinstance(x, Sets) else moved.elements

    def list_coset(
        self, x: Shaped[Tensor, "batch elements channels"] | Sets, *, limit: int
    ) -> tuple[Int64[Tensor, " listed"], Int64[Tensor, "listed max_elements"]]:
        """C(x) as two parallel lists: the row of the batch, ascending, and an element of that row's C(x).

        Raises:
            ValueError: if the C(x) of a set has more than ``limit`` elements; says how many.

        Example:
            >>> SetKernel(3).list_coset(torch.tensor([[[7], [5], [5]]]), limit=2)[1]
            tensor([[1, 2, 0],
                    [2, 1, 0]])
        """
        classes = self._classes(x)
        check_count(_entropy(classes).double(), limit)
        rows, cosets = [], [classes[:0]]
        for row, (of, c) in enumerate(zip(classes, classes.argsort(dim=1, stable=True), strict=True)):
            coset = c[None]
            places = torch.arange(len(c), device=c.device)
            for block in places.split(of[c].unique_consecutive(return_counts=True)[1].tolist()):
                ways = torch.tensor(list(itertools.permutations(range(len(block)))), device=c.device)
                coset = coset.repeat_interleave(len(ways), 0)
                coset[:, block] = c[block][ways].repeat(len(coset) // len(ways), 1)
            cosets.append(coset)
            rows += [row] * len(coset)
        return torch.tensor(rows, dtype=torch.int64, device=classes.device), torch.cat(cosets)

    def _classes(self, x: Tensor | Sets) -> Tensor:
        sets = self._checked(x)
        return rank_rows(rank_numbers("x", sets.elements, sets.mask, self.tolerance), sets.mask, self.group.degree)

    def _checked(self, x: Tensor | Sets) -> Sets:
        if not isinstance(x, Sets):
            if not isinstance(x, Tensor):
                raise TypeError(f"x: expected a tensor or Sets, got {type(x).__name__}")
            if x.dim() != 3:
                raise ValueError(f"x: expected shape (batch, elements, channels), got {tuple(x.shape)}")
            x = Sets(x, torch.ones(x.shape[:2], dtype=torch.bool, device=x.device))
        if x.mask.shape[1] > self.group.degree:
            raise ValueError(
                f"x: expected sets of at most max_elements = {self.group.degree} elements, got {x.mask.shape[1]}"
            )
        return x


class CoupledSetKernel(CoupledKernel):
    r"""The coupled kernel of the symmetric group on a set x and a target y of its elements.

    Uniform on the orders that sort the rows of x, and among equal ones those of y: so the canonical y has its values
    in ascending order wherever x does not say which is which.

    Arguments:
        kernel: the kernel of x, from which sampling will draw.
        tolerance: which floats of y count as equal (:mod:`sympe.tolerance`).

    Raises:
        TypeError: if ``kernel`` is no :class:`SetKernel`.

    Example:
        Three equal elements, and a target that marks one of them:

        >>> import torch
        >>> kernel = CoupledSetKernel(SetKernel(3))
        >>> x, y = torch.zeros(1, 3, 2), torch.tensor([[0, 1, 0]])
        >>> kernel.kernel.entropy(x).exp().round(), kernel.entropy(x, y).exp().round(), kernel.sample(x, y)[0, 2]
        (tensor([6.]), tensor([2.]), tensor(1))
    """

    def __init__(self, kernel: SetKernel, *, tolerance: float | Tolerance = 1e-6) -> None:
        check_kind("kernel", kernel, SetKernel)
        self._kernel = kernel
        self._tolerance = Tolerance.of(tolerance)

    @property
    def kernel(self) -> SetKernel:
        """The kernel of x, from which sampling draws."""
        return self._kernel

    @property
    def group(self) -> Permutations:
        """The permutations of ``max_elements`` elements."""
        return self._kernel.group

    def sample(
        self,
        x: Shaped[Tensor, "batch elements channels"] | Sets,
        y: Shaped[Tensor, "batch elements *channels"],
        *,
        generator: torch.Generator | None = None,
    ) -> Int64[Tensor, "batch max_elements"]:
        """Draw a uniform element of C(x, y) for every pair; the padding stays in place.

        Raises:
            TypeError: if y is no tensor.
            ValueError: if y has another shape than ``(batch, elements)`` or ``(batch, elements, channels)``.
        """
        return _sorting(self._classes(x, y), generator)

    def log_prob(
        self,
        g: Int64[Tensor, "batch max_elements"],
        x: Shaped[Tensor, "batch elements channels"] | Sets,
        y: Shaped[Tensor, "batch elements *channels"],
    ) -> Float[Tensor, " batch"]:
        r""":math:`-\log |G_x \cap G_y|` on C(x, y), minus infinity elsewhere."""
        return _log_prob(self.group, g, self._classes(x, y))

    def entropy(
        self, x: Shaped[Tensor, "batch elements channels"] | Sets, y: Shaped[Tensor, "batch elements *channels"]
    ) -> Float[Tensor, " batch"]:
        r""":math:`\log |G_x \cap G_y|`, in nats."""
        return _entropy(self._classes(x, y))

    def _classes(self, x: Tensor | Sets, y: Tensor) -> Tensor:
        sets = self._kernel._checked(x)
        check_kind("target", y, Tensor, "values of the elements")
        if y.dim() not in (2, 3) or y.shape[:2] != sets.mask.shape:
            raise ValueError(f"target: expected shape {tuple(sets.mask.shape)} or (*, channels), got {tuple(y.shape)}")
        y = y[:, :, None] if y.dim() == 2 else y
        first = rank_numbers("x", sets.elements, sets.mask, self._kernel.tolerance)
        then = rank_numbers("target", y, sets.mask, self._tolerance)
        return rank_rows(torch.cat([first, then], 2), sets.mask, self.group.degree)


def _sorting(classes: Tensor, generator: torch.Generator | None) -> Tensor:
    """A uniform one of the permutations that sort each row."""
    shuffled = uniform(classes.shape, classes, generator).argsort(1)
    return shuffled.gather(1, classes.gather(1, shuffled).argsort(dim=1, stable=True))


def _log_prob(group: Permutations, g: Tensor, classes: Tensor) -> Tensor:
    group.check(g)
    if len(g) != len(classes) or g.dim() != 2:
        raise ValueError(f"g: expected one permutation for each of {len(classes)} sets, got shape {tuple(g.shape)}")
    ascending = (classes.gather(1, g).diff(dim=1) >= 0).all(1)
    return torch.where(ascending, -_entropy(classes), -torch.inf)


def _entropy(classes: Tensor) -> Tensor:
    counts = torch.zeros(len(classes), 2 * classes.shape[1], dtype=torch.float64, device=classes.device)
    counts.scatter_add_(1, classes, torch.ones_like(classes, dtype=torch.float64))
    return torch.lgamma(counts + 1).sum(1).to(torch.get_default_dtype())
