r"""The least loss over all permutations of free rows: sets, and points that nothing tells apart.

Where x says nothing of the order of n rows, :math:`G_x` is all of :math:`S_n`, too many to list. For a loss that is a
sum over rows the least is an assignment problem, which is solved exactly in :math:`O(n^3)`:

.. math:: \min_{s \in S_n} \sum_i \ell(\hat y_{s(i)}, y_i) .
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sympe.extras import missing
from sympe.groups.checks import check_callable


def assignment_minimum(
    loss: Callable[[Tensor, Tensor], Tensor],
    prediction: Tensor,
    target: Tensor,
    *,
    types: Int64[Tensor, "batch rows"] | None = None,
    mask: Bool[Tensor, "batch rows"] | None = None,
) -> Float[Tensor, " batch"]:
    """The least sum of losses over all ways to give every row of the prediction one of the target.

    The assignment is found on the CPU, one set after the other (SciPy's ``linear_sum_assignment``); gradients are those
    of the loss at it. For rows that an x tells apart in part, such as nodes of a graph, take
    :func:`~sympe.losses.orbit_minimum`: with graphs without edges and few nodes it gives the same.

    Arguments:
        loss: takes rows of a prediction and of a target, of any batch shapes that broadcast, to one number for each
            pair: ``lambda a, b: (a - b).square().sum(-1)``.
        prediction: ``(batch, rows, ...)``.
        target: likewise.
        types: only rows of one type are exchanged, such as atoms of one element; None if all are.
        mask: which rows are real; None if all are. The others cost nothing.

    Returns:
        The least sums, in the units of ``loss``.

    Raises:
        ValueError: if a shape is another, or a loss of real rows is not finite.
        ImportError: if SciPy is missing.

    References:
        Crouse, "On implementing 2D rectangular assignment algorithms", IEEE Trans. Aerosp. Electron. Syst. 52, 2016.

    Example:
        >>> distance = lambda a, b: (a - b).abs().sum(-1)
        >>> target = torch.tensor([[[1.0], [2.0], [3.0]]])
        >>> assignment_minimum(distance, torch.tensor([[[3.5], [1.0], [2.0]]]), target)
        tensor([0.5000])
    """
    check_callable("loss", loss)
    shape = tuple(prediction.shape[:2])
    if prediction.ndim < 2 or target.shape[:2] != shape:
        raise ValueError(f"target: expected as many rows as the prediction, {shape}, got {tuple(target.shape[:2])}")
    for name, given in (("types", types), ("mask", mask)):
        if given is not None and given.shape != shape:
            raise ValueError(f"{name}: expected shape {shape}, got {tuple(given.shape)}")
    real = torch.ones(shape, dtype=torch.bool, device=prediction.device) if mask is None else mask
    kinds = real.long() if types is None else types
    with torch.no_grad():
        costs = loss(prediction[:, :, None], target[:, None])
        if costs.shape != (*shape, shape[1]):
            raise ValueError(f"loss: expected losses of shape {(*shape, shape[1])}, got {tuple(costs.shape)}")
        both = real[:, :, None] & real[:, None]
        wrong = (~costs.isfinite() & both).flatten(1).any(1)
        if bool(wrong.any()):
            raise ValueError(f"loss: expected finite numbers; set {int(wrong.nonzero()[0])} has others")
        apart = (real[:, :, None] != real[:, None]) | both & (kinds[:, :, None] != kinds[:, None])
        chosen = _assigned(costs.double().masked_fill(~both, 0).masked_fill(apart, torch.inf)).to(prediction.device)
    rows = torch.arange(len(chosen), device=chosen.device)[:, None]
    picked = loss(prediction, target[rows, chosen])
    return torch.where(real, picked, 0).sum(1)


def _assigned(costs: Float[Tensor, "batch rows rows"]) -> Int64[Tensor, "batch rows"]:
    """The column that each row is given."""
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise missing("assignment_minimum needs", "scipy", "experiments") from error
    found = [torch.from_numpy(linear_sum_assignment(table)[1]).long() for table in costs.cpu().numpy()]
    return torch.stack(found) if found else torch.zeros(costs.shape[:2], dtype=torch.int64)
