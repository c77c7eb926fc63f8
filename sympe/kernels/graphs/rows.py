"""Rows of numbers as integers of the same order: floats by clusters (:mod:`sympe.tolerance`), then without hashes."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int64, Shaped
from torch import Tensor

from sympe.kernels.finite.orbit import comparable
from sympe.kernels.finite.search import rank_entries
from sympe.tolerance import Tolerance


def rank_numbers(
    name: str,
    values: Shaped[Tensor, "batch elements channels"],
    mask: Bool[Tensor, "batch elements"],
    tolerance: Tolerance,
) -> Int64[Tensor, "batch elements channels"]:
    """The rank of every number in its input and channel; in the padding, anything below the number of elements.

    Raises:
        TypeError: if the numbers are complex.
        ValueError: if one is NaN or infinite.

    Example:
        >>> rank_numbers("x", torch.tensor([[[0.5, 7], [0.1, 7]]]), torch.ones(1, 2).bool(), Tolerance())
        tensor([[[1, 0],
                 [0, 0]]])
    """
    if values.is_complex():
        raise TypeError(f"{name}: expected numbers that have an order, got {values.dtype}; give torch.view_as_real(x)")
    values = comparable(values.detach())
    if values.is_floating_point() and values.dtype.itemsize < 4:
        values = values.float()
    if values.numel() == 0:
        return torch.zeros(values.shape, dtype=torch.int64, device=values.device)
    first = torch.where(mask[:, :1, None], values[:, :1], 0)
    values = torch.where(mask[:, :, None], values, first)  # more of what is there: no other rank, no other largest
    if values.is_floating_point():
        if not bool(values.isfinite().all()):
            raise ValueError(f"{name}: expected finite entries, got NaN or infinity")
        tolerance.check_units(name, values.abs().amax(1))
    batch, n, channels = values.shape
    rows = values.transpose(1, 2).reshape(batch * channels, n)
    return _rank(rows, tolerance).view(batch, channels, n).transpose(1, 2)


def rank_rows(
    ranks: Int64[Tensor, "batch elements channels"], mask: Bool[Tensor, "batch elements"], degree: int
) -> Int64[Tensor, "batch degree"]:
    """A number for each element, the same for equal rows, and ordered as they are; last and alone in the padding.

    Example:
        >>> rank_rows(torch.tensor([[[1, 0], [0, 0], [1, 0]]]), torch.ones(1, 3).bool(), 4)
        tensor([[1, 0, 1, 6]])
    """
    batch, n, _ = ranks.shape
    key = torch.zeros(batch, n, dtype=torch.int64, device=ranks.device)
    at_once = max(1, 62 // max(1, n.bit_length()) - 1)  # digits of base n, next to the key, in 62 bits
    for part in ranks.split(at_once, 2) if n else ():
        for channel in part.unbind(2):
            key = key * n + channel
        key = _rank(key, Tolerance(0.0, 0.0))
    place = torch.arange(degree, device=ranks.device).repeat(batch, 1)
    classes = n + place
    classes[:, :n] = torch.where(mask, key, classes[:, :n])
    return classes


def _rank(rows: Tensor, tolerance: Tolerance) -> Tensor:
    """The ranks of the numbers of each row."""
    return rank_entries(rows, torch.zeros(rows.shape[1], dtype=torch.int64, device=rows.device), tolerance)
