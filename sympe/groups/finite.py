"""Finite groups: the interface, and the leaf that holds a Cayley table."""

from __future__ import annotations

import abc
import zlib
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from sympe.groups.base import Group
from sympe.groups.checks import check_elements
from sympe.groups.eager import on_cpu, require
from sympe.randomness import draw_numbers
from sympe.tolerance import Tolerance

MAX_TABLE_ORDER = 20_000


class FiniteGroup(Group):
    r"""A finite group; an element is an ``int64`` index in ``range(order)`` and 0 is the identity.

    ``FiniteGroup`` is an interface. Make one from data with :meth:`from_table`, :meth:`from_permutations` or
    :meth:`from_matrices`, or take :class:`~sympe.groups.Cyclic`, :class:`~sympe.groups.Dihedral`,
    :class:`~sympe.groups.P4M`, :class:`~sympe.groups.Product`.

    Example:
        >>> from sympe.groups import FiniteGroup
        >>> quaternions = FiniteGroup.from_permutations(
        ...     [[1, 2, 3, 0, 5, 6, 7, 4], [4, 7, 6, 5, 2, 1, 0, 3]]
        ... )
        >>> quaternions.order
        8
    """

    @property
    def fingerprint(self) -> str:
        """What tells the group from others, with the order of its elements: it goes into checkpoints."""
        return repr(self)

    @property
    @abc.abstractmethod
    def order(self) -> int:
        """The number of elements."""

    @property
    @abc.abstractmethod
    def generators(self) -> tuple[int, ...]:
        """Elements that generate the group; empty for the trivial group."""

    @property
    @abc.abstractmethod
    def layout(self) -> tuple[int, ...]:
        """The shape of a function on the group, flattened in the order of the elements."""

    @property
    def element_shape(self) -> tuple[int, ...]:
        """``()``: one element is one index."""
        return ()

    def identity(
        self, shape: Sequence[int] = (), *, device: torch.device | str | None = None
    ) -> Int64[Tensor, "*batch"]:
        """The neutral element 0, repeated to batch shape ``shape``."""
        return torch.zeros(tuple(shape), dtype=torch.int64, device=device)

    def elements(self, *, device: torch.device | str | None = None) -> Int64[Tensor, " order"]:
        """All elements, in order."""
        return torch.arange(self.order, device=device)

    def sample(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Int64[Tensor, "*batch"]:
        """Draw independent uniform elements of batch shape ``shape``."""
        return draw_numbers(torch.randint, self.order, tuple(shape), generator=generator, device=device)

    def check(self, g: Tensor, name: str = "g") -> None:
        """Refuse what is no batch of elements; under compilers and transforms values are not looked at.

        Raises:
            TypeError: if ``g`` is no tensor of int64.
            ValueError: if an entry is not in ``range(order)``.

        Example:
            >>> from sympe.groups import Cyclic
            >>> Cyclic(4).check(torch.tensor([0, 3]))
        """
        check_elements(g, name, lambda: f"elements of {self!r}, in range({self.order})")
        inside = (g >= 0) & (g < self.order)
        require(
            inside, lambda: f"{name}: expected elements of {self!r}, in range({self.order}), got {int(g[~inside][0])}"
        )

    @staticmethod
    def from_table(table: Tensor | Sequence[Sequence[int]]) -> FiniteGroup:
        """The group whose Cayley table is ``table[g][h] = g h``.

        Arguments:
            table: ``(order, order)`` integers; the identity must be element 0.

        Raises:
            ValueError: if ``table`` is not the table of a group with identity 0.
        """
        return TableGroup(torch.as_tensor(table, device=None if isinstance(table, Tensor) else "cpu"))

    @staticmethod
    def from_permutations(generators: Sequence[Sequence[int]]) -> FiniteGroup:
        """The permutation group that ``generators`` generate; ``p`` sends ``i`` to ``p[i]``.

        Arguments:
            generators: permutations of ``range(degree)``. Elements are ordered as
                :func:`generate_permutations` lists them.

        Raises:
            ValueError: if a generator is not a permutation, or their degrees differ.
        """
        points = _permutation_tensor(generators)
        return TableGroup(_close(points, lambda a, b: a.gather(-1, b.expand_as(a)), 0.0)[1])

    @staticmethod
    def from_matrices(generators: Sequence[Tensor], *, tolerance: float | Tolerance = 1e-6) -> FiniteGroup:
        """The finite group that square matrices generate.

        Arguments:
            generators: ``(dim, dim)`` matrices. Elements are ordered as :func:`generate_matrices` lists them.
            tolerance: largest entry-wise distance at which two products are the same element, relative to the largest
                entry of the generators.

        Raises:
            ValueError: if a matrix is not square or finite, or the group has more than 20,000 elements.
        """
        matrices = _matrix_tensor(generators)
        return TableGroup(_close(matrices, torch.matmul, _matrix_gap(matrices, tolerance))[1])


class TableGroup(FiniteGroup):
    r"""A finite group given by its Cayley table; made by the constructors of :class:`FiniteGroup`.

    Arguments:
        table: ``(order, order)`` integers, ``table[g, h] = g h``, with identity 0.

    Raises:
        ValueError: if ``table`` is not a group table; associativity is checked by Light's test, exactly.

    Example:
        >>> import torch
        >>> klein = TableGroup(torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]]))
        >>> klein.compose(torch.tensor([1, 2]), torch.tensor(3))
        tensor([2, 1])
    """

    @on_cpu
    def __init__(self, table: Int[Tensor, "order order"]) -> None:
        if table.ndim != 2 or table.shape[0] != table.shape[1] or table.shape[0] == 0:
            raise ValueError(f"table: expected a square (order, order) tensor, got shape {tuple(table.shape)}")
        if table.is_floating_point() or table.dtype == torch.bool:
            raise ValueError(f"table: expected integers, got {table.dtype}")
        table = table.to(torch.int64).clone()
        every = torch.arange(table.shape[0], device=table.device)
        if not (torch.equal(table[0], every) and torch.equal(table[:, 0], every)):
            raise ValueError("table: expected element 0 to be the identity, but row or column 0 moves something")
        for axis, name in ((0, "column"), (1, "row")):
            if not torch.equal(table.sort(axis).values, every.unsqueeze(1 - axis).expand_as(table)):
                raise ValueError(f"table: expected every {name} to list each element once")
        generators = _greedy_generators(table)
        for a in generators:  # Light's test: (x a) y = x (a y) for all x, y and generating a
            if not torch.equal(table[table[:, a]], table[:, table[a]]):
                raise ValueError(f"table: not associative, (x {a}) y differs from x ({a} y) for some x, y")
        self._generators = generators
        self._table = table
        self._inverses = table.argmin(1)

    def __repr__(self) -> str:
        return f"TableGroup(order={self.order})"

    @property
    def fingerprint(self) -> str:
        """The order, and a checksum of the table."""
        return f"TableGroup(order={self.order}, crc32={zlib.crc32(self._table.cpu().numpy().tobytes()):08x})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TableGroup) and torch.equal(self._table, other._table)

    def __hash__(self) -> int:
        return hash((self.order, self.generators))

    @property
    def order(self) -> int:
        """The number of elements."""
        return self._table.shape[0]

    @property
    def generators(self) -> tuple[int, ...]:
        """A generating set, found greedily."""
        return self._generators

    @property
    def layout(self) -> tuple[int, ...]:
        """``(order,)``."""
        return (self.order,)

    def compose(self, g: Int64[Tensor, "*#batch"], h: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """The product ``g h``, which applies ``h`` first."""
        return self._table.to(g.device)[g, h]

    def inverse(self, g: Int64[Tensor, "*batch"]) -> Int64[Tensor, "*batch"]:
        """The inverse of ``g``."""
        return self._inverses.to(g.device)[g]


def generate_permutations(generators: Sequence[Sequence[int]]) -> Int64[Tensor, "order degree"]:
    """All permutations that ``generators`` generate, identity first, breadth first.

    Raises:
        ValueError: if a generator is not a permutation, or their degrees differ.

    Example:
        >>> generate_permutations([[1, 2, 0]])
        tensor([[0, 1, 2],
                [1, 2, 0],
                [2, 0, 1]])
    """
    return _close(_permutation_tensor(generators), lambda a, b: a.gather(-1, b.expand_as(a)), 0.0)[0]


def generate_matrices(
    generators: Sequence[Tensor], *, tolerance: float | Tolerance = 1e-6
) -> Float[Tensor, "order dim dim"]:
    """All matrices that ``generators`` generate, identity first, breadth first.

    Raises:
        ValueError: if a matrix is not square or finite, or the group has more than 20,000 elements.

    Example:
        >>> import torch
        >>> generate_matrices([torch.tensor([[0.0, -1.0], [1.0, 0.0]])]).shape
        torch.Size([4, 2, 2])
    """
    matrices = _matrix_tensor(generators)
    return _close(matrices, torch.matmul, _matrix_gap(matrices, tolerance))[0]


@on_cpu
def generated_subgroup(group: FiniteGroup, generators: Sequence[int]) -> Int64[Tensor, " count"]:
    """All elements of the subgroup that some elements generate, ascending.

    Raises:
        TypeError: if one is no integer.
        ValueError: if one is no element of the group.

    Example:
        >>> from sympe.groups import Cyclic
        >>> generated_subgroup(Cyclic(12), [8])
        tensor([0, 4, 8])
    """
    for g in generators:
        if isinstance(g, bool) or not isinstance(g, int):
            raise TypeError(f"generators: expected integers, got {type(g).__name__}")
        if not 0 <= g < group.order:
            raise ValueError(f"generators: expected elements in range({group.order}), got {g}")
    steps = torch.tensor([0, *generators])
    found = steps[:1]
    while True:
        more = group.compose(found[:, None], steps).unique()
        if len(more) == len(found):
            return found
        found = more


@on_cpu
def _permutation_tensor(generators: Sequence[Sequence[int]]) -> Tensor:
    if len(generators) == 0:
        raise ValueError("generators: expected at least one permutation, got none")
    for number in generators:
        if isinstance(number, int):
            raise TypeError(
                f"generators: expected a list of permutations, such as [[1, 2, 0]], got {number} among them"
            )
    degrees = {len(p) for p in generators}
    if len(degrees) != 1:
        raise ValueError(f"generators: expected permutations of one degree, got degrees {sorted(degrees)}")
    points = torch.stack([torch.as_tensor(p, dtype=torch.int64) for p in generators])
    every = torch.arange(points.shape[1])
    for p in points:
        if not torch.equal(p.sort().values, every):
            raise ValueError(f"generators: expected permutations of range({len(every)}), got {p.tolist()}")
    return points


@on_cpu
def _matrix_tensor(generators: Sequence[Tensor]) -> Tensor:
    if len(generators) == 0:
        raise ValueError("generators: expected at least one matrix, got none")
    shapes = sorted({tuple(m.shape) for m in generators})
    if len(shapes) != 1:
        raise ValueError(f"generators: expected matrices of one shape, got {', '.join(map(str, shapes))}")
    matrices = torch.stack([torch.as_tensor(m, dtype=torch.float64) for m in generators])
    if matrices.ndim != 3 or matrices.shape[1] != matrices.shape[2]:
        raise ValueError(f"generators: expected square matrices, got shape {tuple(matrices.shape[1:])}")
    if not matrices.isfinite().all():
        raise ValueError("generators: expected finite matrices, got NaN or infinity")
    return matrices


def _matrix_gap(matrices: Tensor, tolerance: float | Tolerance) -> float:
    return float(Tolerance.of(tolerance).gap(matrices.abs().amax()))


@on_cpu
def _close(generators: Tensor, multiply: Callable[[Tensor, Tensor], Tensor], gap: float) -> tuple[Tensor, Tensor]:
    """Close ``generators`` under ``multiply``: the elements, breadth first, and their Cayley table."""
    if generators.is_floating_point():
        identity = torch.eye(generators.shape[-1], dtype=generators.dtype)
    else:
        identity = torch.arange(generators.shape[-1])
    elements = identity.unsqueeze(0)
    parent: list[tuple[int, int]] = []  # element g >= 1 is element parent[g - 1][0] times one generator
    right: list[list[int]] = [[] for _ in generators]  # right[s][g] = index of g s
    g = 0
    while g < len(elements):
        for s, step in enumerate(generators):
            product = multiply(elements[g], step)
            if not product.isfinite().all():
                raise ValueError("generators: their products diverge, so they generate no finite group")
            distance = (elements - product).abs().flatten(1).amax(1)
            known = int(distance.argmin())
            if distance[known] > gap:
                known = len(elements)
                elements = torch.cat([elements, product.unsqueeze(0)])
                parent.append((g, s))
                if known >= MAX_TABLE_ORDER:
                    raise ValueError(f"generators: they generate more than {MAX_TABLE_ORDER} elements")
            right[s].append(known)
        g += 1
    steps = torch.tensor(right)
    table = torch.empty(len(elements), len(elements), dtype=torch.int64)
    table[:, 0] = torch.arange(len(elements))
    for h, (before, s) in enumerate(parent, start=1):  # g (h' s) = (g h') s
        table[:, h] = steps[s][table[:, before]]
    return elements, table


def _greedy_generators(table: Tensor) -> tuple[int, ...]:
    """Take the first element outside the subgroup so far, until the subgroup is everything."""
    generators: list[int] = []
    inside = torch.zeros(table.shape[0], dtype=torch.bool)
    inside[0] = True
    while not inside.all():
        generators.append(int((~inside).to(torch.uint8).argmax()))
        size = 0
        while size != int(inside.sum()):
            size = int(inside.sum())
            inside[table[inside][:, generators].flatten()] = True
    return tuple(generators)
