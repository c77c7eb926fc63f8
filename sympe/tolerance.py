r"""Which numbers count as equal: one convention for kernels, graphs of features, answers and tests.

Two neighbours among the sorted numbers that are compared with each other (the entries that the group can exchange, one
channel of one graph) count as equal if they differ by at most

.. math:: \max(\text{absolute},\; \text{relative} \cdot \max_i |x_i|),

the maximum over these numbers. It is taken input by input, so an input has the same symmetries alone and in a batch,
and it is invariant, so they move with the input. Rounding is relative: sums of numbers of about 100 in single precision
differ by 1e-5 as their order changes, and with an absolute 1e-6 an input would lose its symmetries without a word. The
absolute part is for what should be 0 and is not quite.

Where a tolerance is asked for, a number t does: it is relative, :math:`\text{relative} = t`, with
:math:`\text{absolute} = \min(t, 10^{-6})`. So 0 compares exactly. Integers are always compared exactly.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Tolerance:
    """The largest gap between numbers that count as equal.

    Arguments:
        relative: of the largest entry, by size, among the numbers that are compared with each other.
        absolute: in their units; the larger of the two counts. ``Tolerance(0.0, 0.01)`` is absolute alone,
            ``Tolerance(1e-6, 0.0)`` relative alone, for data in small units (coordinates in metres).

    Raises:
        TypeError: if one of them is no number.
        ValueError: if one of them is negative or not finite.

    Example:
        >>> Tolerance(absolute=0.5).gap(torch.tensor([0.0, 1e6])).tolist()
        [0.5, 1.0]
        >>> Tolerance.of(1e-3)
        Tolerance(relative=0.001, absolute=1e-06)
    """

    relative: float = 1e-6
    absolute: float = 1e-6

    def __post_init__(self) -> None:
        for name, value in (("relative", self.relative), ("absolute", self.absolute)):
            _check(f"tolerance.{name}", value)

    @staticmethod
    def of(tolerance: float | Tolerance) -> Tolerance:
        """The tolerance that a number stands for: relative, and 1e-6 or less in absolute terms.

        Raises:
            TypeError: if it is neither a number nor a tolerance.
            ValueError: if it is negative or not finite.
        """
        if isinstance(tolerance, Tolerance):
            return tolerance
        _check("tolerance", tolerance)
        return Tolerance(tolerance, min(tolerance, 1e-6))

    def gap(self, largest: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The largest gap between equal numbers of which the largest, by size, is given."""
        return (self.relative * largest).clamp(min=self.absolute)

    def __str__(self) -> str:
        """The number that stands for it, if one does."""
        return f"{self.relative:g}" if self == Tolerance.of(self.relative) else repr(self)

    def check_units(self, name: str, largest: Float[Tensor, "..."]) -> None:
        """Warn where numbers other than 0 all count as equal, for they are smaller than the absolute part.

        What may be the rounding of numbers of about 1 in double precision is left out.

        Arguments:
            name: of the argument that holds the numbers.
            largest: the largest by size of all that are compared with each other.
        """
        if bool(((largest > 1e-14) & (largest <= self.absolute)).any()):
            warnings.warn(
                f"{name}: there are inputs whose entries, or those of a channel, are all of size {self.absolute:g} or "
                "less, but not 0; they count as equal. Where they are no rounding, give tolerance="
                f"Tolerance({self.relative:g}, 0.0), which is relative alone, or choose other units",
                stacklevel=3,
            )


def _check(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name}: expected a number or a Tolerance, got {type(value).__name__}")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name}: expected a finite number >= 0, got {value}")


def largest_of_groups(values: Tensor, group: Tensor, count: int) -> Tensor:
    """The largest entry by size of each of ``count`` groups, 0 for one without entries.

    Example:
        >>> largest_of_groups(torch.tensor([1.0, -3.0, 2.0]), torch.tensor([0, 0, 2]), 3)
        tensor([3., 0., 2.])
    """
    return torch.zeros(count, dtype=values.dtype, device=values.device).scatter_reduce(0, group, values.abs(), "amax")
