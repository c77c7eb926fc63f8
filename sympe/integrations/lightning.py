"""Lightning: a callback that says, in the logs of a training, what a model that breaks no symmetry could reach.

Of graphs whose nodes have labels, for example::

    kernel = GraphKernel(max_nodes=32)
    monitor = SymmetryMonitor(
        lambda batch: node_floor(kernel, to_graphs(batch), batch.y),  # sympe.report.node_floor
        entropy=lambda batch: kernel.entropy(to_graphs(batch)),
        loss="train_loss",
    )
    trainer = lightning.Trainer(callbacks=[monitor])
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from sympe.groups.checks import check_callable


class FloorLike(Protocol):
    """What the callback needs of :class:`sympe.report.Floor`."""

    @property
    def mean(self) -> float:
        """The least mean loss."""

    def is_reached(self, loss: float) -> bool:
        """Whether symmetries have to be broken, and a loss does not show that they were."""

    def join(self, other: Any) -> None:
        """Add the targets of another floor."""

    def verdict(self, loss: float) -> str:
        """What a loss says, in words."""


class SymmetryMonitor(Callback):
    r"""Log the floor of a loss and how symmetric its inputs are, and warn where the loss stays at the floor.

    From the first batches of every epoch: ``symmetry_floor``, the least mean loss of any deterministic equivariant
    model on their targets, and ``symmetry_entropy``, the mean of :math:`\log |G_x|` in nats. At the end of an epoch
    the logged loss is held against the floor; if it is no better after ``patience`` epochs, and symmetries have to be
    broken, a warning says what to do, once.

    Arguments:
        floor: the floor of a batch of the training, as from :func:`sympe.report.node_floor`.
        entropy: the entropies of the kernel on its inputs; None logs none.
        loss: the name by which the module logs its mean loss: a cross-entropy in nats where targets are integers, a
            squared error where they are floats, a node.
        patience: epochs before the warning.
        batches: of an epoch, that are looked at.

    Raises:
        TypeError: if ``floor`` or ``entropy`` cannot be called.
        ValueError: if ``patience`` or ``batches`` is below 1; in a training, if the module logs no such loss.
    """

    def __init__(
        self,
        floor: Callable[[Any], FloorLike],
        *,
        entropy: Callable[[Any], Tensor] | None = None,
        loss: str = "loss",
        patience: int = 5,
        batches: int = 4,
    ) -> None:
        check_callable("floor", floor)
        if entropy is not None:
            check_callable("entropy", entropy)
        for name, number in (("patience", patience), ("batches", batches)):
            if number < 1:
                raise ValueError(f"{name}: expected at least 1, got {number}")
        self.floor = floor
        self.entropy = entropy
        self.loss = loss
        self.patience = patience
        self.batches = batches
        self._found: FloorLike | None = None
        self._entropies: list[Tensor] = []
        self._warned = False

    def __repr__(self) -> str:
        return f"SymmetryMonitor(loss={self.loss!r}, patience={self.patience})"

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Begin anew."""
        self._found, self._entropies = None, []

    @torch.no_grad()
    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Look at the first batches."""
        if batch_idx >= self.batches:
            return
        floor = self.floor(batch)
        if self._found is not None:
            floor.join(self._found)
        self._found = floor
        if self.entropy is not None:
            self._entropies.append(self.entropy(batch).cpu())

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Log, and warn.

        Raises:
            ValueError: if the module logs no such loss.
        """
        if self._found is None:
            return
        pl_module.log("symmetry_floor", self._found.mean, batch_size=1)
        if self._entropies:
            pl_module.log("symmetry_entropy", torch.cat(self._entropies).mean(), batch_size=1)
        if self.loss not in trainer.callback_metrics:
            known = ", ".join(sorted(trainer.callback_metrics)) or "none"
            raise ValueError(f"loss: the module logs no {self.loss!r}, but {known}")
        value = float(trainer.callback_metrics[self.loss])
        late = trainer.current_epoch + 1 >= self.patience
        if late and not self._warned and self._found.is_reached(value):
            self._warned = True
            warnings.warn(f"{self.loss}: {self._found.verdict(value)}", stacklevel=2)
