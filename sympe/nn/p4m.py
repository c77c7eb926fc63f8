r"""Group convolutions on the periodic square lattice (Cohen and Welling 2016), for :class:`~sympe.groups.P4M`.

A feature in the regular representation is a function on the group, a tensor ``(batch, channels, 8, L, L)`` with
:math:`(h\phi)[g] = \phi[h^{-1} g]`. An equivariant linear map from a field x to such features is

.. math:: y[g] = \sum_j \psi[g^{-1} j]\, x[j], \qquad g = t\,\rho, \quad \rho \in D_4,

that is, an ordinary periodic cross-correlation with the eight filters :math:`\rho\psi`. The filters are moved by the
very actions that move the data (:mod:`sympe.actions`), on a torus just large enough to hold the window, so the
conventions stand in one place. They are expanded once a call, whatever the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from sympe.actions import FiniteAction, RegularAction
from sympe.groups import P4M
from sympe.groups.eager import on_cpu

POINTS = 8
Field = Callable[[P4M], FiniteAction]


@on_cpu
def window_table(field: Field, kernel_size: int) -> Int64[Tensor, "8 entries"]:
    """How the point group moves a filter: entry e of the filter moved by point element k is entry ``table[k, e]``.

    Entries are those of ``field`` with offsets ``-kernel_size // 2 .. kernel_size // 2`` in both directions. Those
    that some point element moves out of the window point one past the end, to a zero.
    """
    torus = P4M(2 * kernel_size + 1)
    n, radius = torus.size, kernel_size // 2
    action = field(torus)
    rows = action.size // n**2
    offsets = torch.arange(-radius, radius + 1) % n
    window = ((torch.arange(rows)[:, None, None] * n + offsets[:, None]) * n + offsets).flatten()
    position = torch.full((action.size,), -1)
    position[window] = torch.arange(len(window))
    points = torch.arange(POINTS) * n**2
    table = position[action.source(points[:, None], window)]
    inside = (table >= 0).all(0)
    return torch.where(inside, table, len(window))


class _Windowed(nn.Module):
    """A layer with a table of indices that follows its weight, and that ``to_empty`` does not empty as it does buffers.

    Arguments:
        table: from :func:`window_table`.
    """

    weight: nn.Parameter

    def __init__(self, table: Int64[Tensor, "8 entries"]) -> None:
        super().__init__()
        device = torch.get_default_device()
        self.table = table if device.type == "meta" else table.to(device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> _Windowed:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if not self.weight.is_meta:
            self.table = self.table.to(self.weight.device)
        return self


class LiftingConv(_Windowed):
    r"""The equivariant map from fields on the lattice to regular features.

    Arguments:
        field: the action of a P4M group on the input, for example
            ``lambda group: DirectSum(BondAction(group), GridAction(group, 4))``. Its shape is ``(rows, L, L)``.
        out_channels: number of regular features.
        kernel_size: side of the window, odd.

    Raises:
        ValueError: if ``kernel_size`` is even, below 1, or too small for the field.

    Example:
        >>> import torch
        >>> from sympe.actions import GridAction
        >>> LiftingConv(lambda group: GridAction(group, 2), 5)(torch.zeros(3, 2, 6, 6)).shape
        torch.Size([3, 5, 8, 6, 6])
    """

    def __init__(self, field: Field, out_channels: int, kernel_size: int = 3) -> None:
        _check_kernel_size(kernel_size)
        table = window_table(field, kernel_size)
        entries = table.shape[1]
        if bool((table == entries).all()):
            raise ValueError(f"kernel_size: a window of {kernel_size} holds no entry of this field in all orientations")
        super().__init__(table)
        self.kernel_size = kernel_size
        self.in_rows = entries // kernel_size**2
        self.weight = nn.Parameter(torch.randn(out_channels, entries) / math.sqrt(entries))
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Float[Tensor, "batch rows L L"]) -> Float[Tensor, "batch channels 8 L L"]:
        """Correlate ``x`` with every filter in its eight orientations."""
        size = self.kernel_size
        if x.ndim != 4 or x.shape[1] != self.in_rows or x.shape[2] != x.shape[3]:
            raise ValueError(f"x: expected shape (batch, {self.in_rows}, L, L), got {tuple(x.shape)}")
        filters = F.pad(self.weight, (0, 1))[:, self.table].reshape(-1, self.in_rows, size, size)
        return _regular(_correlate(x, filters), self.bias)


class GroupConv(_Windowed):
    r"""The equivariant map from regular features to regular features, :math:`y[g] = \sum_h \psi[g^{-1} h]\, \phi[h]`.

    Arguments:
        in_channels: number of regular features that come in.
        out_channels: number that go out.
        kernel_size: side of the window, odd.

    Raises:
        ValueError: if ``kernel_size`` is even or below 1.

    Example:
        >>> import torch
        >>> GroupConv(2, 5)(torch.zeros(3, 2, 8, 6, 6)).shape
        torch.Size([3, 5, 8, 6, 6])
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3) -> None:
        _check_kernel_size(kernel_size)
        super().__init__(window_table(RegularAction, kernel_size))  # rows are the eight point elements
        self.kernel_size = kernel_size
        self.in_channels = in_channels
        entries = self.table.shape[1]
        scale = math.sqrt(in_channels * entries)
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, entries) / scale)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, x: Float[Tensor, "batch channels 8 L L"]) -> Float[Tensor, "batch out 8 L L"]:
        """Correlate on the group."""
        if x.ndim != 5 or tuple(x.shape[1:3]) != (self.in_channels, POINTS) or x.shape[3] != x.shape[4]:
            raise ValueError(f"x: expected shape (batch, {self.in_channels}, {POINTS}, L, L), got {tuple(x.shape)}")
        size = self.kernel_size
        filters = self.weight[:, :, self.table].transpose(1, 2)  # out, orientation, in, (8, size, size)
        filters = filters.reshape(-1, self.in_channels * POINTS, size, size)
        return _regular(_correlate(x.flatten(1, 2), filters), self.bias)


class P4MNet(nn.Module):
    r"""A residual group-convolutional network from fields on a torus to one scalar field (or regular feature).

    Lifting, then residual blocks ``x + conv(sin(x))``, then a read-out: the sine, the mean over the eight point
    elements, which is a scalar field, and a linear map over channels.

    The activation is the sine because the input is a positional code. Networks of rectifiers prefer functions
    that are smooth in their inputs and almost constant over the lattice; sines of inputs of a few units
    (Sitzmann et al. 2020) tell sites, and couplings, apart from the first step on. Scale the inputs accordingly.

    Arguments:
        field: the action of a P4M group on the input (see :class:`LiftingConv`).
        channels: number of regular features in every layer.
        blocks: number of residual blocks.
        out: ``"scalar"`` for ``(batch, 1, L, L)``, ``"regular"`` for one score per group element, ``(batch, 8, L, L)``.

    Raises:
        ValueError: if ``out`` is neither, or ``channels`` or ``blocks`` is below 1.

    References:
        Cohen, Welling, "Group Equivariant Convolutional Networks", ICML 2016.
        Sitzmann et al., "Implicit Neural Representations with Periodic Activation Functions", NeurIPS 2020.

    Example:
        >>> import torch
        >>> from sympe.actions import BondAction
        >>> P4MNet(BondAction, channels=4, blocks=1)(torch.zeros(2, 2, 6, 6)).shape
        torch.Size([2, 1, 6, 6])
    """

    def __init__(self, field: Field, *, channels: int, blocks: int, out: str = "scalar") -> None:
        super().__init__()
        if out not in ("scalar", "regular"):
            raise ValueError(f'out: expected "scalar" or "regular", got {out!r}')
        if channels < 1 or blocks < 1:
            raise ValueError(f"channels, blocks: expected at least 1, got {channels}, {blocks}")
        self.out = out
        self.lift: nn.Module = LiftingConv(field, channels)
        self.convs = nn.ModuleList(GroupConv(channels, channels) for _ in range(blocks))
        self.read = nn.Linear(channels, 1)

    def forward(self, x: Float[Tensor, "batch rows L L"]) -> Float[Tensor, "batch out L L"]:
        """Evaluate the network."""
        y = self.lift(x)
        for conv in self.convs:
            y = y + conv(y.sin())
        y = y.sin()
        if self.out == "scalar":
            y = y.mean(2, keepdim=True)
        out: Tensor = torch.einsum("bcpxy,c->bpxy", y, self.read.weight[0]) + self.read.bias
        return out


def _check_kernel_size(kernel_size: int) -> None:
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size: expected an odd number, at least 1, got {kernel_size}")


def _correlate(x: Tensor, filters: Tensor) -> Tensor:
    """Periodic cross-correlation, ``y[i] = sum_d filters[d] x[i + d]``."""
    radius = filters.shape[-1] // 2
    if x.shape[-1] < radius:
        raise ValueError(
            f"x: expected L >= {radius} for kernel_size {filters.shape[-1]}, so that the window wraps at most once, "
            f"got shape {tuple(x.shape)}"
        )
    return F.conv2d(F.pad(x, (radius,) * 4, mode="circular"), filters)


def _regular(y: Tensor, bias: Tensor) -> Tensor:
    """Split the channel dimension into features and point elements and add one bias a feature."""
    features: Tensor = y.unflatten(1, (-1, POINTS))
    return features + bias.view(-1, 1, 1, 1)
