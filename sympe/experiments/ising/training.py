"""Train one row: the free energy per spin, cooled to the energy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from sympe.experiments.ising.config import CODE_VERSION, IsingConfig
from sympe.experiments.ising.data import ENCODING, TrainingStream, evaluation_set, seeded
from sympe.experiments.ising.evaluation import evaluate, show
from sympe.experiments.ising.hamiltonian import energy_per_spin, free_energy_per_spin
from sympe.experiments.ising.model import IsingModel
from sympe.experiments.runs import data_hash
from sympe.experiments.training import RowTask, read_config, restore


class IsingTask(RowTask):
    """The free energy per spin as the loss, cooled to the energy; Adam with a one-cycle schedule.

    Arguments:
        config: the row.
    """

    config: IsingConfig
    model: IsingModel

    def __init__(self, config: IsingConfig) -> None:
        with torch.random.fork_rng(devices=[]):  # the initial weights come from the seed, and nothing else does
            torch.manual_seed(config.seed)
            model = IsingModel(config)
        super().__init__(config, model, model.model.encoding)

    def training_step(self, batch: Sequence[Any], batch_idx: int) -> dict[str, Tensor]:
        """The mean free energy per spin of one draw for each Hamiltonian, and its energy for the curve."""
        step, fields = batch
        generator = seeded(self.config.seed, ENCODING, step, self.global_rank)
        spins = self.model(fields, generator=generator)
        loss = free_energy_per_spin(fields, spins, self.config.temperature_at(step)).mean()
        return {"loss": loss, "curve": energy_per_spin(fields, spins.detach()).mean()}

    def configure_optimizers(self) -> Any:
        """Adam; v has its own learning rate, and everything follows one cycle."""
        config = self.config
        encoding = [p for name, p in self.model.named_parameters() if name.endswith("encoding.v")]
        own = {id(p) for p in encoding}
        rates = [config.learning_rate, config.learning_rate * config.encoding_rate]
        groups: list[dict[str, Any]] = [{"params": [p for p in self.model.parameters() if id(p) not in own]}]
        if encoding:
            groups.append({"params": encoding})
        optimizer = torch.optim.Adam(groups, lr=config.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rates[: len(groups)], total_steps=config.steps, pct_start=config.warmup
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train_dataloader(self) -> DataLoader[tuple[int, Tensor]]:
        """The batches of this block of steps."""
        config = self.config
        stream = TrainingStream(
            config.variant,
            config.size,
            seed=config.seed,
            batch=config.batch // self.trainer.world_size,
            steps=self.block(),
            rank=self.global_rank,
        )
        return DataLoader(stream, batch_size=None)

    def judge(self, out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        """Gaps to the exact ground energies on the evaluation set, and what the figures show."""
        config = self.config
        numbers = evaluate(self.model, config, cache=out / "runs" / "ground")
        numbers["loss"] = "energy per spin, cooled from the mean-field free energy"
        numbers["data_hash"] = data_hash(evaluation_set(config.variant, config.evaluation, config.size))
        return numbers, show(self.model, config)


def load(run: Path) -> IsingTask:
    """The trained module of a run directory, from its config and last checkpoint.

    Raises:
        FileNotFoundError: if ``run`` is no run directory or has no checkpoint yet.
        ValueError: if it is of another code version, or the checkpoint is damaged or does not fit the config.
    """
    task = IsingTask(read_config(run, IsingConfig, CODE_VERSION))
    restore(task, run / "last.ckpt")
    return task


def evaluate_run(run: Path) -> dict[str, Any]:
    """Evaluate the last checkpoint of a run directory."""
    task = load(run)
    return evaluate(task.model, task.config, cache=run.parent / "ground")
