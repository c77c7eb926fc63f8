"""Train one row with Lightning: resumable, on any number of devices, timed."""

from __future__ import annotations

import logging
import pickle
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

from sympe.experiments import runs
from sympe.experiments.ising.config import CODE_VERSION, IsingConfig
from sympe.experiments.ising.data import ENCODING, TrainingStream, seeded
from sympe.experiments.ising.hamiltonian import energy_per_spin, free_energy_per_spin
from sympe.experiments.ising.model import IsingModel

BLOCK = 50
"""Steps between checkpoints; Lightning calls such a block an epoch."""


class IsingTask(lightning.LightningModule):
    """The free energy per spin as the loss, cooled to the energy; Adam with a one-cycle schedule, and the time spent.

    Arguments:
        config: the row.
    """

    def __init__(self, config: IsingConfig) -> None:
        super().__init__()
        self.config = config
        with torch.random.fork_rng(devices=[]):  # the initial weights come from the seed, and nothing else does
            torch.manual_seed(config.seed)
            self.model = IsingModel(config)
        self.train_seconds = 0.0
        self.encoding_seconds = 0.0
        self._time_encoding()

    def training_step(self, batch: Sequence[Any], batch_idx: int) -> dict[str, Tensor]:
        """The mean free energy per spin of one draw for each Hamiltonian, and its energy for the curve."""
        step, fields = batch
        generator = seeded(self.config.seed, ENCODING, step, self.global_rank)
        spins = self.model(fields, generator=generator)
        loss = free_energy_per_spin(fields, spins, self.config.temperature_at(step)).mean()
        return {"loss": loss, "energy": energy_per_spin(fields, spins.detach()).mean()}

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
        start = self.current_epoch * BLOCK
        stream = TrainingStream(
            config.variant,
            config.size,
            seed=config.seed,
            batch=config.batch // self.trainer.world_size,
            steps=range(start, min(start + BLOCK, config.steps)),
            rank=self.global_rank,
        )
        return DataLoader(stream, batch_size=None)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the time spent so far."""
        checkpoint["seconds"] = {"train": self.train_seconds, "encoding": self.encoding_seconds}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on counting."""
        self.train_seconds = checkpoint["seconds"]["train"]
        self.encoding_seconds = checkpoint["seconds"]["encoding"]

    def _time_encoding(self) -> None:
        started = [0.0]

        def now() -> float:
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            return time.perf_counter()

        def before(*_: object) -> None:
            started[0] = now()

        def after(*_: object) -> None:
            if self.training:
                self.encoding_seconds += now() - started[0]

        encoding = self.model.model.encoding
        encoding.register_forward_pre_hook(before)
        encoding.register_forward_hook(after)


class Progress(Callback):
    """Record the training curve, report progress once a second, and time the steps."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self._energies: list[Tensor] = []
        self._reported = 0.0
        self._started = 0.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock of this block of steps."""
        self._energies = []
        self._started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Report."""
        self._energies.append(outputs["energy"])
        if trainer.is_global_zero and time.perf_counter() - self._reported > 1:
            self._reported = time.perf_counter()
            runs.write_progress(self.run, trainer.global_step, float(self._energies[-1]))

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Record the mean energy of the block; runs before the checkpoint is saved."""
        assert isinstance(pl_module, IsingTask)
        energy = float(torch.stack(self._energies).mean())
        pl_module.train_seconds += time.perf_counter() - self._started
        if trainer.is_global_zero:
            runs.append_curve(self.run, trainer.global_step, energy)
            runs.write_progress(self.run, trainer.global_step, energy)


def train(
    config: IsingConfig,
    run: Path,
    *,
    threads: int | None = None,
    accelerator: str = "auto",
    devices: int = 1,
    num_nodes: int = 1,
    progress_bar: bool = False,
) -> IsingTask:
    """Train a row in its run directory, or go on from its last checkpoint.

    Arguments:
        config: the row.
        run: its run directory, made by :func:`sympe.experiments.runs.prepare_run`.
        threads: CPU threads; None leaves them as they are.
        accelerator: Lightning's accelerator.
        devices: devices a node; more than one trains by DDP.
        num_nodes: nodes.
        progress_bar: whether to show Lightning's own bar.

    Returns:
        The trained module, on the CPU, in evaluation mode.

    Raises:
        ValueError: if the batch does not divide among the devices.
    """
    if config.batch % (devices * num_nodes):
        raise ValueError(f"devices: a batch of {config.batch} does not divide among {devices} x {num_nodes} devices")
    if threads is not None:
        torch.set_num_threads(threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    task = IsingTask(config)
    last = run / "last.ckpt"
    blocks = -(-config.steps // BLOCK)
    with warnings.catch_warnings():
        # the stream is generated in the main process on purpose
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
        warnings.filterwarnings("ignore", ".*isinstance\\(treespec, LeafSpec\\).*")
        trainer = lightning.Trainer(
            max_epochs=blocks,
            accelerator=accelerator,
            devices=devices,
            num_nodes=num_nodes,
            strategy="ddp" if devices * num_nodes > 1 else "auto",
            gradient_clip_val=config.gradient_clip,
            logger=False,
            enable_progress_bar=progress_bar,
            enable_model_summary=False,
            reload_dataloaders_every_n_epochs=1,
            use_distributed_sampler=False,
            callbacks=[
                Progress(run),
                ModelCheckpoint(
                    dirpath=run,
                    filename="last",
                    save_top_k=1,
                    save_on_train_epoch_end=True,
                    enable_version_counter=False,
                ),
            ],
        )
        trainer.fit(task, ckpt_path=last if last.exists() else None, weights_only=False)
    return task.cpu().eval()


def load(run: Path) -> IsingTask:
    """The trained module of a run directory, from its config and last checkpoint.

    Raises:
        FileNotFoundError: if ``run`` is no run directory or has no checkpoint yet.
        ValueError: if it is of another code version, or the checkpoint is damaged or does not fit the config.
    """
    for name in ("config.json", "last.ckpt"):
        if not (run / name).exists():
            raise FileNotFoundError(f"run: expected a run directory with {name}, got {run}")
    stored = runs.read_json(run / "config.json")
    known = {field.name for field in fields(IsingConfig)}
    if set(stored) != known or stored["code_version"] != CODE_VERSION:
        raise ValueError(
            f"run: {run} was made by code version {stored.get('code_version')}, this is {CODE_VERSION}; train it again"
        )
    config = IsingConfig(**stored)
    task = IsingTask(config)
    try:
        checkpoint = torch.load(run / "last.ckpt", map_location="cpu", weights_only=False)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"run: {run / 'last.ckpt'} is damaged: {error}") from error
    try:
        task.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise ValueError(f"run: the checkpoint in {run} does not fit its config {asdict(config)}: {error}") from error
    task.on_load_checkpoint(checkpoint)
    return task.eval()
