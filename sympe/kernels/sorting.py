"""Sorting the rows of small batches: on a CPU by NumPy, which takes less time than ``torch.sort``."""

from __future__ import annotations

from jaxtyping import Int64
from torch import Tensor


def sort_rows(x: Int64[Tensor, "rows columns"]) -> Int64[Tensor, "rows columns"]:
    """Every row in ascending order; ``x`` may be overwritten.

    Example:
        >>> import torch
        >>> sort_rows(torch.tensor([[3, 1, 2], [0, 5, 4]])).tolist()
        [[1, 2, 3], [0, 4, 5]]
    """
    if x.device.type != "cpu":
        return x.sort(dim=1).values
    x.numpy().sort(axis=1)
    return x
