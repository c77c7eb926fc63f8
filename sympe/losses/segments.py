"""The least of several numbers for each of many rows, in one batch."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def least(values: Float[Tensor, " listed"], rows: Int64[Tensor, " listed"], count: int) -> Int64[Tensor, " count"]:
    """The place of the least value of each row, the first if several share it; NaN counts as infinite.

    Every row has a value.

    Example:
        >>> least(torch.tensor([3.0, 1.0, 1.0, 5.0]), torch.tensor([0, 0, 0, 1]), 2)
        tensor([1, 3])
    """
    values = values.detach().nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf)
    best = values.new_full((count,), torch.inf).scatter_reduce(0, rows, values, "amin")
    place = torch.arange(len(rows), device=rows.device)
    place = torch.where(values == best[rows], place, len(rows))
    found: Tensor = torch.full_like(best, len(rows), dtype=torch.int64).scatter_reduce(0, rows, place, "amin")
    return found
