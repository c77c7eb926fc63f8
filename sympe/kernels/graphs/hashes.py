"""Hashes of colours that all searches of graphs share, in wrapping arithmetic of 64 bits.

Sums of hashes do not depend on the order of the nodes, as those of floats would. A *colour* is a hash without two of
its bits, so that there are numbers above all colours, for padding. Which canonical form a graph gets hangs on every
value here, and so does what a trained v means.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.graphs.coloring import mix

_Hash = TypeVar("_Hash", Tensor, int)

PADDING = 2**62
"""Colours of padding start here; those of nodes stay below."""

_BITS = 2**64 - 1

_TOLD_APART = 2**20
"""Colours of smaller numbers are all different."""

_REVERSED, _CHOSEN = 0x5851F42D4C957F2D, 0x14057B7EF767814F


def color(hashes: Int64[Tensor, "..."]) -> Int64[Tensor, "..."]:
    """Colours of nodes from hashes of what is known of them."""
    return mix(hashes) >> 2


def first_color(values: Int64[Tensor, "..."], hashes: Int64[Tensor, "..."]) -> Int64[Tensor, "..."]:
    """Colours of nodes from hashes of values that a user may have chosen.

    Raises:
        ValueError: if two different ones would get the same colour, as hashes lose two bits.

    Example:
        >>> numbers = torch.tensor([5, 9007515109826750759])
        >>> first_color(numbers, numbers)
        Traceback (most recent call last):
        ...
        ValueError: x: two colours of nodes share a hash; give smaller numbers
    """
    colors = color(hashes)
    large = values.numel() and max(-int(values.min()), int(values.max())) >= _TOLD_APART
    if large and len(hashes.unique()) != len(colors.unique()):
        raise ValueError("x: two colours of nodes share a hash; give smaller numbers")
    return colors


def color_one(value: int) -> int:
    """:func:`color` of one number, without the overhead of tensors; any number stands for its lowest 64 bits.

    Example:
        >>> color_one(-5 + 2**64) == int(color(torch.tensor(-5)))
        True
    """
    value = mix_one(value)
    return (value - (value >> 63 << 64)) >> 2


def mix_one(value: int) -> int:
    """:func:`~sympe.graphs.coloring.mix` of one number, as a number of 64 bits without a sign.

    Example:
        >>> mix_one(7) == int(mix(torch.tensor(7))) % 2**64
        True
    """
    value = (value + 0x9E3779B97F4A7C15) & _BITS
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _BITS
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _BITS
    return value ^ (value >> 31)


def weight(arc_colors: Int64[Tensor, "..."]) -> Int64[Tensor, "..."]:
    """Hashes of the colours of arcs, by which what is heard is multiplied: 0 for none of them, or none would hear it.

    Example:
        >>> bool((weight(torch.tensor([7046029254386353131, 1])) != 0).all())  # the first is what mix takes to 0
        True
    """
    hashes = mix(arc_colors)
    return torch.where(hashes == 0, _CHOSEN, hashes)


def both_ways(there: _Hash, back: _Hash) -> _Hash:
    """One hash of what is heard along arcs and against them; of integers too, as :func:`color_one` takes them."""
    return there + _REVERSED * back


def whole(colors: Int64[Tensor, "n batch"]) -> Int64[Tensor, " batch"]:
    """A hash of all colours of each graph, the same with any padding."""
    return torch.where(colors < PADDING, colors, 0).sum(0)


def individualize(
    colors: Int64[Tensor, "n ..."],
    node: Int64[Tensor, "chosen ..."],
    depth: int,
    refine: Callable[[Tensor], Tensor],
) -> Int64[Tensor, "n ..."]:
    """Give nodes a colour of their own and refine again.

    Arguments:
        colors: the colours along the first dimension.
        node: places along it, as for ``torch.gather``.
        depth: how many were chosen before and with these; without it the second of one cell would get the colour of
            the first.
        refine: maps colours to finer ones.

    Example:
        >>> colors = individualize(torch.zeros(3, dtype=torch.int64), torch.tensor([1]), 100, lambda colors: colors)
        >>> (colors != 0).tolist()
        [False, True, False]
    """
    step = (depth * _CHOSEN + 2**63) % 2**64 - 2**63  # a number of Python's does not wrap by itself
    return refine(colors.scatter(0, node, color(colors.gather(0, node) + step)))


def chosen_one(value: int, depth: int) -> int:
    """The colour that :func:`individualize` gives one node, without the overhead of tensors.

    Example:
        >>> colors = individualize(torch.tensor([7, 7]), torch.tensor([1]), 2, lambda colors: colors)
        >>> chosen_one(7, 2) == int(colors[1])
        True
    """
    return color_one(value + depth * _CHOSEN)
