"""The symmetric group on index tensors, without a table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.groups.base import Group
from sympe.groups.checks import check_elements, check_integer
from sympe.groups.eager import require
from sympe.randomness import draw_numbers

MAX_LISTED_DEGREE = 8


@dataclass(frozen=True)
class Permutations(Group):
    r"""The symmetric group :math:`S_n`; an element is an ``int64`` tensor ``p`` of shape ``(n,)`` that sends i to p[i].

    .. math:: (g h)[i] = g[h[i]] .

    Nothing of size :math:`n!` or :math:`n \times n` is ever made, but for :meth:`elements`. Subgroups given by
    generators, and data that need an index for each element, are for
    :meth:`FiniteGroup.from_permutations <sympe.groups.FiniteGroup.from_permutations>`.

    Arguments:
        degree: the number n of points, at least 1.

    Raises:
        TypeError: if ``degree`` is no integer.
        ValueError: if ``degree < 1``.

    Example:
        >>> import torch
        >>> group = Permutations(3)
        >>> cycle, swap = torch.tensor([1, 2, 0]), torch.tensor([1, 0, 2])
        >>> group.compose(cycle, swap)
        tensor([2, 1, 0])
        >>> group.inverse(cycle)
        tensor([2, 0, 1])
    """

    degree: int

    def __post_init__(self) -> None:
        check_integer("degree", self.degree)

    @property
    def order(self) -> int:
        """The number of elements, ``degree!``."""
        return math.factorial(self.degree)

    @property
    def element_shape(self) -> tuple[int, ...]:
        """``(degree,)``."""
        return (self.degree,)

    def identity(
        self, shape: Sequence[int] = (), *, device: torch.device | str | None = None
    ) -> Int64[Tensor, "*batch degree"]:
        """The permutation that moves nothing, repeated to batch shape ``shape``."""
        return torch.arange(self.degree, device=device).repeat(*shape, 1)

    def elements(self, *, device: torch.device | str | None = None) -> Int64[Tensor, "order degree"]:
        """All permutations in lexicographic order, the identity first.

        Raises:
            ValueError: if ``degree`` is above 8.
        """
        if self.degree > MAX_LISTED_DEGREE:
            raise ValueError(f"degree: expected at most {MAX_LISTED_DEGREE} to list all elements, got {self.degree}")
        return torch.tensor(list(itertools.permutations(range(self.degree))), device=device)

    def compose(
        self, g: Int64[Tensor, "*#batch degree"], h: Int64[Tensor, "*#batch degree"]
    ) -> Int64[Tensor, "*batch degree"]:
        """The product ``g h``, which applies ``h`` first."""
        g, h = torch.broadcast_tensors(g, h)
        return g.gather(-1, h)

    def inverse(self, g: Int64[Tensor, "*batch degree"]) -> Int64[Tensor, "*batch degree"]:
        """The inverse of ``g``."""
        points = torch.arange(self.degree, device=g.device).expand_as(g)
        return torch.empty_like(g).scatter(-1, g, points)  # in place it has no rule for vmap

    def sample(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Int64[Tensor, "*batch degree"]:
        """Draw independent uniform permutations of batch shape ``shape``.

        They sort uniform numbers in double precision, of which two are equal with probability below
        ``degree**2 / 2**54``.
        """
        keys = draw_numbers(torch.rand, (*shape, self.degree), generator=generator, device=device, dtype=torch.float64)
        return keys.argsort(-1)

    def check(self, g: Tensor, name: str = "g") -> None:
        """Refuse what is no batch of permutations; under compilers and transforms values are not looked at.

        Raises:
            TypeError: if ``g`` is no tensor of int64.
            ValueError: if it has another shape, or a row is no permutation.

        Example:
            >>> Permutations(3).check(torch.tensor([[0, 1, 2], [2, 0, 1]]))
        """
        check_elements(g, name, lambda: f"permutations of shape (*batch, {self.degree})")
        if g.shape[-1:] != (self.degree,):
            raise ValueError(f"{name}: expected shape (*batch, {self.degree}), got {tuple(g.shape)}")
        places = g.clamp(0, self.degree - 1)
        hit = torch.zeros(g.shape, dtype=torch.bool, device=g.device).scatter(-1, places, True)
        right = hit.all(-1) & (g == places).all(-1)
        require(right, lambda: f"{name}: expected permutations of range({self.degree}), got {_shown(g, right)}")


def _shown(g: Tensor, right: Tensor) -> str:
    """The first row that is no permutation."""
    wrong = g[~right][0].tolist() if g.ndim > 1 else g.tolist()
    return f"{wrong}" if len(wrong) <= 20 else f"{str(wrong[:20])[:-1]}, ...]"
