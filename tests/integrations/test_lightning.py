"""The callback says where a training stays at the floor of models that break no symmetry."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from torch import nn
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

from sympe.actions import NodeAction
from sympe.encodings import SymPE
from sympe.integrations.lightning import SymmetryMonitor
from sympe.integrations.pyg import NodeEncoding, to_graphs
from sympe.kernels import CoupledGraphKernel, GraphKernel
from sympe.report import node_floor

FLOOR = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
RING = torch.tensor([[0, 1, 2, 3, 1, 2, 3, 0], [1, 2, 3, 0, 0, 1, 2, 3]])


class Marks(lightning.LightningModule):
    """Which of four equal nodes is marked?"""

    def __init__(self, coupled: bool) -> None:
        super().__init__()
        kernel: Any = CoupledGraphKernel(GraphKernel(4)) if coupled else GraphKernel(4)
        self.coupled = coupled
        self.encoding = NodeEncoding(SymPE(kernel, NodeAction(kernel.group, 8)))
        self.head = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))

    def training_step(self, batch: Data, batch_idx: int) -> torch.Tensor:
        h = self.encoding(batch, target=batch.y) if self.coupled else self.encoding(batch)
        loss = nn.functional.cross_entropy(self.head(h), batch.y)
        self.log("loss", loss, on_epoch=True, on_step=False, batch_size=len(batch))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.03)


def fit(module: Marks, monitor: SymmetryMonitor, folder: Path, epochs: int) -> lightning.Trainer:
    turns = [Data(edge_index=RING, num_nodes=4, y=torch.tensor([1, 0, 0, 0]).roll(n)) for n in range(4)]
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
        callbacks=[monitor],
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*isinstance.*LeafSpec.*")
        trainer.fit(module, DataLoader(turns * 4, batch_size=8))
    return trainer


def monitor(**options: Any) -> SymmetryMonitor:
    kernel = GraphKernel(4)
    return SymmetryMonitor(
        lambda batch: node_floor(kernel, to_graphs(batch), batch.y),
        entropy=lambda batch: kernel.entropy(to_graphs(batch)),
        **options,
    )


def test_a_training_that_stays_at_the_floor_is_warned_about(tmp_path: Path) -> None:
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match="loss: 0.[56].* is no better than 0.5623, .*: train with a coupled kernel"):
        trainer = fit(Marks(coupled=False), monitor(patience=3), tmp_path, epochs=4)
    assert float(trainer.callback_metrics["symmetry_floor"]) == pytest.approx(FLOOR, abs=1e-6)
    assert float(trainer.callback_metrics["symmetry_entropy"]) == pytest.approx(math.log(8), abs=1e-5)


@pytest.mark.slow
def test_one_that_breaks_symmetries_is_not(tmp_path: Path) -> None:
    torch.manual_seed(0)
    trainer = fit(Marks(coupled=True), monitor(patience=15), tmp_path, epochs=16)  # a warning would be an error
    assert float(trainer.callback_metrics["loss"]) < 0.5 * FLOOR


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="loss: the module logs no 'nll', but loss, symmetry_entropy, symmetry_floor"):
        fit(Marks(coupled=True), monitor(loss="nll"), tmp_path, epochs=1)
    with pytest.raises(ValueError, match="patience: expected at least 1, got 0"):
        monitor(patience=0)
    with pytest.raises(ValueError, match="batches: expected at least 1, got 0"):
        monitor(batches=0)


@pytest.mark.usefixtures("unchecked")
def test_other_kinds_are_refused() -> None:
    with pytest.raises(TypeError, match="floor: expected something to call, got int"):
        SymmetryMonitor(4)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="entropy: expected something to call, got GraphKernel"):
        SymmetryMonitor(len, entropy=GraphKernel(4))  # type: ignore[arg-type]
    assert repr(monitor()) == "SymmetryMonitor(loss='loss', patience=5)"
