"""The least loss of any deterministic equivariant model on the targets of a data set."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.graphs import DenseGraphs, Graphs
from sympe.kernels import GraphKernel


@dataclass
class Floor:
    """The least mean loss of a deterministic equivariant model on one target, summed up over inputs.

    Arguments:
        kind: "squared error" (summed over columns) or "cross-entropy" (in nats).
        count: targets so far.
        loss: the sum of their least losses.
        wrong: of classes, the least number of wrong predictions.
        columns: of floats, for each column the sums of least losses, of values, of their squares, and of the squares
            of what rounding may do.
    """

    kind: str
    count: int = 0
    loss: float = 0.0
    wrong: int = 0
    columns: Tensor = field(default_factory=lambda: torch.zeros(0, 4, dtype=torch.float64))

    def add(self, orbits: Int64[Tensor, " n"], targets: Tensor) -> None:
        """Add the targets of one input, one for each member of its orbits.

        Arguments:
            orbits: the number of each member's orbit.
            targets: ``(n,)``, or of floats also ``(n, columns)``.

        Raises:
            ValueError: if there are not as many targets as orbits have members, a target is not finite, or floats have
                not as many columns as those before.

        Example:
            >>> floor = Floor("squared error")
            >>> floor.add(torch.tensor([0, 1, 1]), torch.tensor([5.0, 0.0, 1.0]))
            >>> floor.loss  # nodes 1 and 2 are alike, and their targets are not
            0.5
        """
        self.check(len(orbits), targets)
        orbit = orbits.unique(return_inverse=True)[1]
        size = orbit.bincount()
        self.count += len(orbits)
        if self.kind == "squared error":
            y = targets.double().reshape(len(targets), width_of(targets))
            first = torch.full_like(size, len(y)).scatter_reduce(0, orbit, torch.arange(len(y)), "amin")
            apart = y - y[first[orbit]]  # 0 where targets are equal, which a mean of large values would round away
            mean = torch.zeros(len(size), y.shape[1], dtype=y.dtype).index_add_(0, orbit, apart) / size[:, None]
            losses = (apart - mean[orbit]).square().sum(0)
            rounding = (4 * torch.finfo(targets.dtype).eps * y).square().sum(0)
            sums = torch.stack([losses, y.sum(0), y.square().sum(0), rounding], 1)
            self.columns = self.columns + sums if len(self.columns) else sums
            self.loss += float(losses.sum())
            return
        classes = targets.to(torch.int64).unique(return_inverse=True)[1]
        counts = torch.zeros(len(size), int(classes.max()) + 1 if len(classes) else 1, dtype=torch.float64)
        counts.index_put_((orbit, classes), torch.ones(len(orbit), dtype=counts.dtype), accumulate=True)
        self.loss += float((size * torch.special.entr(counts / size[:, None]).sum(1)).sum())
        self.wrong += int((size - counts.amax(1)).sum()) if len(size) else 0

    def check(self, count: int, targets: Tensor) -> None:
        """Raise unless :meth:`add` can take the targets of an input with ``count`` members.

        Raises:
            ValueError: as :meth:`add` does.
        """
        if targets.dim() == 0 or len(targets) != count:
            raise ValueError(f"targets: expected {count}, got {len(targets) if targets.dim() else 'a scalar'}")
        kind = "squared error" if targets.is_floating_point() else "cross-entropy"
        if targets.is_complex() or self.kind != kind:
            raise ValueError(f"targets: expected {self.kind} targets like those before, got {targets.dtype}")
        if targets.is_floating_point() and not bool(targets.isfinite().all()):
            raise ValueError("targets: expected finite values, got NaN or infinity")
        width = width_of(targets)
        expected = 1 if kind == "cross-entropy" else len(self.columns)
        if expected and width != expected:
            raise ValueError(f"targets: expected {expected} columns like those before, got {width}")

    def join(self, other: Floor) -> None:
        """Add all targets of another floor of the same kind.

        Raises:
            ValueError: if the other is of another kind, or has other columns.
        """
        if self.kind != other.kind or (len(self.columns) and self.columns.shape != other.columns.shape):
            raise ValueError(f"targets: expected {self.kind} targets like those before, got {other.kind}")
        self.count += other.count
        self.loss += other.loss
        self.wrong += other.wrong
        self.columns = self.columns + other.columns if len(self.columns) else other.columns

    @property
    def needs_breaking(self) -> bool:
        """Whether targets vary inside orbits, by more than rounding."""
        if self.kind == "cross-entropy":
            return self.wrong > 0
        losses, values, squares, rounding = self.columns.unbind(1)
        varies = (squares - values.square() / max(1, self.count)).clamp(min=0)
        return bool((losses > 1e-12 * varies + rounding).any())

    @property
    def mean(self) -> float:
        """The least mean loss."""
        return self.loss / self.count if self.count else 0.0

    def is_reached(self, loss: float, *, margin: float = 0.05) -> bool:
        """Whether symmetries have to be broken, and a mean loss does not show that they were; as :meth:`verdict`."""
        return self.needs_breaking and loss >= (1 - margin) * self.mean

    def verdict(self, loss: float, *, margin: float = 0.05) -> str:
        """What a mean loss that a model reached says, in words.

        Arguments:
            loss: of the kind of this floor, the mean over the same targets.
            margin: share of the floor by which a loss has to be below it, so that symmetries count as broken.

        Example:
            >>> floor = Floor("cross-entropy")
            >>> floor.add(torch.tensor([0, 0, 0, 0]), torch.tensor([1, 0, 0, 0]))
            >>> print(floor.verdict(0.01))
            0.01 is below 0.5623, the least cross-entropy without breaking a symmetry
            >>> floor.verdict(0.57)[:30]
            '0.57 is no better than 0.5623,'
        """
        if not self.needs_breaking:
            return f"no symmetry has to be broken: equal members have equal targets (least {self.kind} {self.mean:.4g})"
        floor = f"{self.mean:.4g}, the least {self.kind} without breaking a symmetry"
        if not self.is_reached(loss, margin=margin):
            return f"{loss:.4g} is below {floor}"
        return (
            f"{loss:.4g} is no better than {floor}: train with a coupled kernel and target=y, or with a loss that is "
            "the same for all equally right answers"
        )

    def summary(self) -> dict[str, Any]:
        """Means, for JSON."""
        result: dict[str, Any] = {"kind": self.kind, "targets": self.count, "least_loss": self.mean}
        if self.kind == "cross-entropy":
            result["least_error_percent"] = 100 * self.wrong / self.count if self.count else 0.0
        return result


def width_of(targets: Tensor) -> int:
    """How many columns targets have."""
    return math.prod(targets.shape[1:])


def node_floor(kernel: GraphKernel, x: Graphs, targets: Tensor) -> Floor:
    """The least loss of a deterministic equivariant model on targets of the nodes of a batch of graphs.

    Arguments:
        kernel: of the graphs.
        x: the graphs.
        targets: of dense graphs ``(batch, nodes)`` or ``(batch, nodes, columns)``, of sparse ones ``(nodes,)`` or
            ``(nodes, columns)``: integers are classes, floats vectors.

    Raises:
        ValueError: if there are not as many targets as nodes, or one is not finite.

    Example:
        >>> from sympe.graphs import DenseGraphs
        >>> square = DenseGraphs.from_features(torch.tensor([[[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]]]))
        >>> round(node_floor(GraphKernel(4), square, torch.tensor([[1, 0, 0, 0]])).mean, 4)
        0.5623
    """
    orbits = kernel.orbits(x)
    orbits = orbits + torch.arange(len(x), device=x.device)[:, None] * orbits.shape[1]
    real = torch.arange(orbits.shape[1], device=x.device) < x.sizes[:, None]
    if isinstance(x, DenseGraphs):
        if targets.dim() not in (2, 3) or targets.shape[:2] != x.mask.shape:
            raise ValueError(
                f"targets: expected shape {tuple(x.mask.shape)} or (*, columns), got {tuple(targets.shape)}"
            )
        targets = targets[x.mask]
    floor = Floor("squared error" if targets.is_floating_point() else "cross-entropy")
    floor.add(orbits[real].cpu(), targets.detach().cpu())
    return floor
