r"""The least loss over the symmetries of the input.

Where x has symmetries, the targets y and s y, :math:`s \in G_x`, are equally right: which of them stands in the data is
chance. A loss that insists on the one is least at the average of all, which has every symmetry of x. The least loss
over the orbit asks for any one of them,

.. math:: \ell_x(\hat y, y) = \min_{s \in G_x} \ell(\hat y, s y), \qquad
          G_x = \{ g\, g_0^{-1} : g \in C(x) \} \ \text{for any}\ g_0 \in C(x).

It does not change as y becomes s y, and if :math:`\ell` is invariant, so is this one: (h x, h ŷ, h y) has the loss of
(x, ŷ, y). A coupled kernel (:mod:`sympe.kernels.coupled`) is the other cure.

A model that is a function of x alone commits itself to one of the equivalent targets. For one with a g of C(x), jointly
equivariant, :math:`f(s x, s g) = s f(x, g)`, the two cures are one thing with two rules: if :math:`\ell` does not
change as s of :math:`G_x` moves both its arguments, then :math:`\ell(f(x, g), s y) = \ell(f(x, s^{-1} g), y)`, and

.. math:: \min_{s \in G_x} \ell(f(x, g), s y) = \min_{g' \in C(x)} \ell(f(x, g'), y),

so that the least loss over the orbit is training with the g of C(x) that suits the model best, where the coupled kernel
takes the one that a canonical form of the target prescribes. Such a g is equivariant in (x, y) and, where y given x has
an equivariant law and ties are settled at random, averages to the inversion kernel, too: in use, samples are as even
over the orbit as those of a coupled model. The rule of a form is arbitrary between inputs of different kinds: where a
model shall serve kinds that it was not trained on, let it choose by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sympe.actions import Action
from sympe.graphs import Clouds, DenseGraphs, SparseGraphs
from sympe.groups.checks import check_callable, check_kind
from sympe.kernels import InversionKernel
from sympe.losses.segments import least

Targets = Tensor | tuple[Tensor, ...]


def orbit_minimum(
    loss: Callable[[Any, Any], Tensor],
    prediction: Targets,
    target: Targets,
    x: Any,
    kernel: InversionKernel,
    action: Action | tuple[Action, ...],
    *,
    limit: int = 1024,
) -> Float[Tensor, " batch"]:
    r"""The least loss of a prediction against the targets that the symmetries of x make equivalent.

    .. math:: \min_{s \in G_x} \ell(\hat y, s y)

    All of :math:`G_x` is tried, in one batch without gradients; the best s is evaluated once more with them. They are
    those of the loss at that s: where several s tie, at one of them. For floats and points :math:`G_x` is that of the
    kernel's tolerance.

    Arguments:
        loss: takes predictions and targets of one batch size to one number each; invariant for the law in x above.
        prediction: ``(batch, ...)``, or a tuple of such, as ``loss`` takes it.
        target: ``(batch, *action.shape)``; of graphs and clouds also with fewer nodes than the kernel's. The padding
            of clouds stays as it is. A tuple with one action for each, such as features of nodes and edges.
        x: the inputs, as the kernel takes them.
        kernel: an exact kernel, which lists C(x).
        action: how the kernel's group moves the target.
        limit: the largest :math:`G_x`. For sets and graphs of free nodes, where it is n!, take
            :func:`~sympe.losses.assignment_minimum`.

    Returns:
        The least losses, in the units of ``loss``.

    Raises:
        TypeError: if the kernel is not exact, or an action is no action.
        ValueError: if an action is not of the kernel's group, there is not one action for each target, one target and
            prediction for each x, a target has another shape, ``loss`` gives another shape than one number for each,
            or :math:`G_x` has more than ``limit`` elements.

    Example:
        Stripes on a uniform lattice, shifted by one site: no loss.

        >>> from sympe.actions import GridAction
        >>> from sympe.groups import P4M
        >>> from sympe.kernels import OrbitKernel
        >>> action = GridAction(P4M(4))
        >>> x = torch.zeros(1, 1, 4, 4)
        >>> y = torch.tensor([1.0, -1.0]).repeat(2).expand(1, 1, 4, 4)
        >>> squared = lambda a, b: (a - b).square().flatten(1).mean(1)
        >>> orbit_minimum(squared, y.roll(1, 3), y, x, OrbitKernel(action), action), squared(y.roll(1, 3), y)
        (tensor([0.]), tensor([4.]))
    """
    check_callable("loss", loss)
    check_kind("kernel", kernel, InversionKernel)
    targets, predictions = _as_tuple(target), _as_tuple(prediction)
    actions = action if isinstance(action, tuple) else (action,)
    for one in actions:
        check_kind("action", one, Action)
        if one.group != kernel.group:
            raise ValueError(f"action: expected an action of the kernel's {kernel.group!r}, got {one.group!r}")
    if len(actions) != len(targets):
        raise ValueError(f"action: expected one for each of {len(targets)} targets, got {len(actions)}")
    for name, parts in (("prediction", predictions), ("target", targets)):
        for part in parts:
            if len(part) != len(x):
                raise ValueError(f"{name}: expected one for each of {len(x)} inputs, got {len(part)}")
    rows, g = kernel.list_coset(x, limit=limit)
    place = torch.arange(len(x), device=rows.device)
    first = g[torch.searchsorted(rows, place)]
    s = kernel.group.compose(g, kernel.group.inverse(first)[rows])

    def evaluated(s: Tensor, rows: Tensor) -> Tensor:
        moved = tuple(_moved(one, s, y[rows], x, rows) for one, y in zip(actions, targets, strict=True))
        given = tuple(part[rows] for part in predictions)
        value = loss(
            given if isinstance(prediction, tuple) else given[0], moved if isinstance(target, tuple) else moved[0]
        )
        if value.shape != rows.shape:
            raise ValueError(f"loss: expected one number for each of {len(rows)} pairs, got {tuple(value.shape)}")
        return value

    with torch.no_grad():
        best = least(evaluated(s, rows), rows, len(x))
    return evaluated(s[best], place)


def _as_tuple(parts: Targets) -> tuple[Tensor, ...]:
    return parts if isinstance(parts, tuple) else (parts,)


def _moved(action: Action, s: Tensor, y: Tensor, x: Any, rows: Tensor) -> Tensor:
    """``s y``; of graphs and clouds with as many nodes as y has, and the padding of clouds as it was."""
    if not isinstance(x, DenseGraphs | SparseGraphs | Clouds) or y.dim() != len(action.shape) + 1:
        action.check(y, "target")
        return action(s, y)
    own = y.shape[1:]
    missing = [max(wide - has, 0) for has, wide in zip(own[:-1], action.shape[:-1], strict=True)]
    if isinstance(x, Clouds):  # only the points are padded, not vectors at a point
        missing[1:] = [0] * (len(missing) - 1)
    if int(x.sizes.max() if len(x) else 0) > own[0]:
        raise ValueError(f"target: expected at least {int(x.sizes.max())} nodes, as x has, got {own[0]}")
    wide = nn.functional.pad(y, [part for number in (*missing, 0)[::-1] for part in (0, number)])
    action.check(wide, "target")
    moved = action(s, wide)[tuple(slice(number) for number in (len(y), *own))]
    if isinstance(x, Clouds):  # translations move padding, too
        real = torch.arange(own[0], device=y.device) < x.sizes[rows][:, None]
        moved = torch.where(real.view(*real.shape, *[1] * (y.dim() - 2)), moved, y)
    return moved
