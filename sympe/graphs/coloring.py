"""Colours from features: integers as they are or hashed, floats by clusters of nearly equal values."""

from __future__ import annotations

import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from sympe.tolerance import Tolerance, largest_of_groups

_SPLITMIX = tuple(c - 2**64 for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))  # as signed numbers


def mix(x: Int64[Tensor, "..."]) -> Int64[Tensor, "..."]:
    """A pseudo-random bijection of 64-bit integers: one step of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).

    Example:
        >>> len(mix(torch.arange(1000)).unique())
        1000
    """
    x = x + _SPLITMIX[0]  # 0 would stay 0, and nodes of colour 0 would never be heard
    x.bitwise_xor_(_shift(x, 30)).mul_(_SPLITMIX[1])
    x.bitwise_xor_(_shift(x, 27)).mul_(_SPLITMIX[2])
    return x.bitwise_xor_(_shift(x, 31))


def _shift(x: Tensor, bits: int) -> Tensor:
    """The logical right shift: with torch's own, which copies the sign, x and ~x would share a hash."""
    return (x >> bits).bitwise_and_(2 ** (64 - bits) - 1)


def hashed(channels: Int64[Tensor, "count channels"]) -> Int64[Tensor, " count"]:
    """One positive colour for each row: equal rows share it, others do so with a probability of about 2^-62.

    Example:
        >>> a, b, c = hashed(torch.tensor([[1, 2], [2, 1], [1, 2]])).tolist()
        >>> a == c, a == b
        (True, False)
    """
    color = torch.zeros(len(channels), dtype=torch.int64, device=channels.device)
    for channel in channels.unbind(1):
        color = mix(mix(color) + mix(channel))
    return _shift(color, 2) | 1


def clusters(
    values: Shaped[Tensor, " count"], group: Int64[Tensor, " count"], tolerance: Tolerance, name: str | None = None
) -> Int64[Tensor, " count"]:
    """The rank of each value among the clusters of its group, from 0.

    Sorted values belong to one cluster as long as neighbours differ by at most the tolerance, on the scale of the
    largest of their group. So values that are equal up to the tolerance always share a rank, in whatever order they
    come, and whatever the other groups hold.

    Arguments:
        values: finite numbers.
        group: which values are ranked together.
        tolerance: the largest gap inside a cluster.
        name: of what a user gave, for a warning about its units.

    Returns:
        Integers of shape ``(count,)``.

    Example:
        >>> clusters(torch.tensor([0.3, 0.1, 0.3001, 0.5]), torch.tensor([0, 0, 0, 1]), Tolerance(0.0, 1e-3))
        tensor([1, 0, 1, 0])
    """
    if len(values) == 0:
        return torch.zeros(0, dtype=torch.int64, device=values.device)
    order = values.argsort(stable=True)
    order = order[group[order].argsort(stable=True)]
    value, of = values[order], group[order]
    first = torch.ones_like(of, dtype=torch.bool)
    first[1:] = of[1:] != of[:-1]
    gap = torch.zeros_like(first)
    largest = largest_of_groups(values, group, int(group.max()) + 1)
    if name is not None:
        tolerance.check_units(name, largest)
    gap[1:] = value.diff() > tolerance.gap(largest)[of[1:]]
    ranks = (gap & ~first).cumsum(0)
    start = torch.where(first, ranks, 0).cummax(0).values
    out = torch.empty_like(ranks)
    out[order] = ranks - start
    return out


def check_features(name: str, features: Tensor, tolerance: Tolerance | None) -> None:
    """Raise unless colours can be made of ``features``.

    Raises:
        TypeError: if the numbers are complex.
        ValueError: if floats come without a tolerance, or a value is not finite.
    """
    if features.is_complex():
        raise TypeError(f"{name}: expected real numbers, got {features.dtype}")
    if features.is_floating_point():
        if tolerance is None:
            raise ValueError(
                f"{name}: floats need a tolerance (0 tells all different values apart); got {features.dtype}"
            )
        if not bool(features.isfinite().all()):
            raise ValueError(f"{name}: expected finite values, got NaN or infinity")
