"""The interfaces :class:`Action` and :class:`FiniteAction`, and the one implementation that permutes entries."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator
from functools import cached_property

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from sympe.groups import FiniteGroup, Group
from sympe.groups.eager import on_cpu

CHUNK = 2**22


SIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.uint64: torch.int64}
"""Integers that torch stores but hardly computes with, and those of the same bits with which it does."""


def gather(x: Shaped[Tensor, "..."], dim: int, index: Int64[Tensor, "..."]) -> Shaped[Tensor, "..."]:
    """``x.gather(dim, index)`` for numbers of any type.

    Example:
        >>> gather(torch.tensor([7, 65535], dtype=torch.uint16), 0, torch.tensor([1, 0])).tolist()
        [65535, 7]
    """
    if x.dtype not in SIGNED:
        return x.gather(dim, index)
    return x.view(SIGNED[x.dtype]).gather(dim, index).view(x.dtype)


def take(x: Shaped[Tensor, "..."], source: Int64[Tensor, "..."], dim: int) -> Shaped[Tensor, "..."]:
    """Gather along ``dim``; what is broadcast is not copied before.

    Example:
        >>> take(torch.tensor([[1, 2], [3, 4]]), torch.tensor([[1], [0]]), 0)
        tensor([[3, 4],
                [1, 2]])
    """
    source, x = torch.broadcast_tensors(source, x)
    return gather(x, dim, source)


class Action(abc.ABC):
    r"""A linear left action of a group on tensors of one shape.

    ``action(g, x)`` takes ``g`` of shape ``*batch`` + ``group.element_shape`` and ``x`` of shape ``*batch`` +
    ``shape``, broadcasts the batch shapes and is differentiable in ``x``.
    """

    @property
    @abc.abstractmethod
    def group(self) -> Group:
        """The group that acts."""

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of one x, without batch."""

    @property
    @abc.abstractmethod
    def is_faithful(self) -> bool:
        """Whether only the identity fixes every x."""

    @property
    def channels_last(self) -> bool:
        """Whether channels are the last dimension of x, as for nodes and points, and not the first, as for fields."""
        return False

    @property
    def fixing(self) -> str:
        """What fixes every x, or some conjugate of it each x, in words; of no account where the action is faithful."""
        return "some elements"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.group!r}, shape={self.shape})"

    @abc.abstractmethod
    def __call__(self, g: Shaped[Tensor, "..."], x: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """Move ``x`` by ``g``.

        Raises:
            TypeError: if ``g`` is no tensor of elements, or ``x`` no tensor.
            ValueError: if the trailing dimensions of ``x`` are not :attr:`shape`, or ``g`` holds something else than
                elements of the group.
        """

    @property
    def size(self) -> int:
        """The number of entries of one x."""
        return math.prod(self.shape)

    def check(self, x: Tensor, name: str = "x") -> None:
        """Refuse what is no tensor of shape ``*batch`` + :attr:`shape`.

        Raises:
            TypeError: if ``x`` is no tensor.
            ValueError: if it has another shape.
        """
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: expected a tensor, got {type(x).__name__}")
        if x.ndim < len(self.shape) or tuple(x.shape[x.ndim - len(self.shape) :]) != self.shape:
            raise ValueError(
                f"{name}: expected shape (*batch, {', '.join(map(str, self.shape))}), got {tuple(x.shape)}"
            )


class FiniteAction(Action):
    """An action of a :class:`~sympe.groups.FiniteGroup`: its elements are indices, all can be listed and searched."""

    @property
    @abc.abstractmethod
    def group(self) -> FiniteGroup:
        """The group that acts."""

    @property
    @abc.abstractmethod
    def permutes_entries(self) -> bool:
        """Whether every element only rearranges the entries of x; then :meth:`source` says how."""

    @property
    def precision(self) -> float:
        """How far off g (h x) may be from (g h) x in double precision, over the largest entry of x."""
        return 0.0 if self.permutes_entries else torch.finfo(torch.float64).eps * self.size

    @abc.abstractmethod
    def source(self, g: Int64[Tensor, "*#batch"], entry: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        r"""The flat entry of x that lands at flat entry ``entry`` of g x: ``(g x)[entry] = x[source]``.

        Raises:
            TypeError: if the action does not permute entries.
        """

    def orbit(self, v: Shaped[Tensor, "..."]) -> Shaped[Tensor, "order ..."]:
        """All g v of one v, in the order of the elements.

        For an action that permutes entries, where they come from is looked up once for each device, and kept.

        Raises:
            ValueError: if ``v`` does not have the shape :attr:`shape`.

        Example:
            >>> from sympe.actions import RegularAction
            >>> from sympe.groups import Cyclic
            >>> RegularAction(Cyclic(3)).orbit(torch.tensor([[10, 20, 30]]))[:, 0].tolist()
            [[10, 20, 30], [30, 10, 20], [20, 30, 10]]
        """
        if tuple(v.shape) != self.shape:
            raise ValueError(f"v: expected shape {self.shape}, got {tuple(v.shape)}")
        if not self.permutes_entries:
            return self(self.group.elements(device=v.device), v)
        source = self._sources.get(v.device)
        if source is None:
            with torch.inference_mode(False):  # a table that is made there would be of no use to gradients later
                every = self.group.elements(device=v.device)[:, None]
                source = self.source(every, torch.arange(self.size, device=v.device))
            self._sources[v.device] = source
        moved: Tensor = gather(v.flatten().expand(source.shape), 1, source).unflatten(1, self.shape)
        return moved

    @cached_property
    def _sources(self) -> dict[torch.device, Tensor]:
        """The tables of :meth:`orbit`, by device."""
        return {}

    @on_cpu
    def trivial_elements(self) -> Int64[Tensor, " count"]:
        """The elements that fix every x (the kernel of the homomorphism), identity first.

        The action is faithful iff there is only one; for a finite group that is also when a generic x has a
        trivial stabilizer.
        """
        alive = self.group.elements()
        for basis in self._probes():
            keep = []
            for part in alive.split(max(1, CHUNK // max(1, basis.numel()))):
                if self.permutes_entries:
                    keep.append((self.source(part[:, None], basis) == basis).all(1))
                else:
                    moved = self(part[:, None], basis)
                    keep.append(torch.isclose(moved, basis, rtol=0, atol=1e-5).flatten(1).all(1))
            kept = torch.cat(keep)
            kept[0] = True  # the identity, by definition
            alive = alive[kept]
        return alive

    @property
    def is_faithful(self) -> bool:
        """Whether only the identity fixes every x."""
        return len(self.trivial_elements()) == 1

    @property
    def fixing(self) -> str:
        """How many elements fix every x."""
        return f"{len(self.trivial_elements())} elements"

    def _probes(self) -> Iterator[Tensor]:
        """Few entries first, so that almost every element has dropped out before the many."""
        entries = torch.arange(self.size)
        for part in (entries[:4], entries[4:]):
            if self.permutes_entries:
                yield part
            else:
                yield torch.eye(self.size, dtype=torch.float64)[part].reshape(-1, *self.shape)


class EntryAction(FiniteAction):
    """A finite action that permutes entries; a leaf gives :meth:`source` and this class moves the data by it."""

    @property
    def permutes_entries(self) -> bool:
        """True."""
        return True

    def __call__(self, g: Int64[Tensor, "*#batch"], x: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """Move ``x`` by ``g``: one gather along the flattened entries."""
        self.check(x)
        self.group.check(g)
        batch = x.shape[: x.ndim - len(self.shape)]
        entries = torch.arange(self.size, device=x.device)
        source = self.source(g.to(x.device).unsqueeze(-1), entries)
        source, flat = torch.broadcast_tensors(source, x.reshape(*batch, self.size))
        return gather(flat, -1, source).reshape(*source.shape[:-1], *self.shape)
