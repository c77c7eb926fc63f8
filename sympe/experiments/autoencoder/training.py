"""Train one row: binary cross-entropy of all pairs, Adam with a cosine, and the checkpoint of the best validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

from sympe.encodings import SymPE
from sympe.experiments import runs
from sympe.experiments.autoencoder.config import CODE_VERSION, AutoencoderConfig
from sympe.experiments.autoencoder.data import DRAWS, dataset, training_batches
from sympe.experiments.autoencoder.evaluation import evaluate, logits_of, reconstruction_loss
from sympe.experiments.autoencoder.model import Autoencoder
from sympe.experiments.training import RowTask, ValidationCurve, evenly, read_config, restore
from sympe.randomness import seeded

VALIDATE = 10
"""Blocks of steps between validations, at most."""


class AutoencoderTask(RowTask):
    """The reconstruction loss; Adam with a cosine to zero; v and the decoder have learning rates of their own.

    Arguments:
        config: the row.
    """

    config: AutoencoderConfig
    model: Autoencoder

    def __init__(self, config: AutoencoderConfig) -> None:
        with torch.random.fork_rng(devices=[]):  # the initial weights come from the seed, and nothing else does
            torch.manual_seed(config.seed)
            model = Autoencoder(config)
        super().__init__(config, model, model.encoding)

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """The mean over the batch; the features of the nodes come from g where the batch brings it."""
        step, graphs, g = batch
        encoding = self.model.encoding
        if g is None:
            generator = seeded(DRAWS, self.config.seed, step, self.global_rank)
            start = encoding(graphs, generator=generator)
        else:
            assert isinstance(encoding, SymPE)
            before = self.now()
            start = encoding.moved(g)
            self.encoding_seconds += self.now() - before
        loss = reconstruction_loss(graphs, self.model.decode(graphs, start)).mean()
        return {"loss": loss, "curve": loss.detach()}

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """The mean over all validation graphs, with the same draws every time."""
        graphs = dataset(self.config.dataset, "validation")
        logits = logits_of(self.model, graphs, seeded(DRAWS, "validation"))
        self.log("bce", reconstruction_loss(graphs, logits).mean(), batch_size=1, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Adam in three groups, and a cosine to zero over all steps."""
        config = self.config
        own: dict[str, list[Tensor]] = {"encoding.v": [], "decoder": [], "": []}
        for name, parameter in self.model.named_parameters():
            own[next(key for key in own if name.startswith(key))].append(parameter)
        rates = {"": 1.0, "encoding.v": config.encoding_rate, "decoder": config.decoder_rate}
        groups = [{"params": own[key], "lr": config.learning_rate * rate} for key, rate in rates.items() if own[key]]
        optimizer = torch.optim.Adam(groups, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train_dataloader(self) -> DataLoader[Any]:
        """The batches of this block of steps."""
        started = self.now()
        batches: Any = training_batches(
            self.config.dataset,
            self.model.encoding,
            seed=self.config.seed,
            batch=self.config.batch // self.trainer.world_size,
            steps=self.block(),
            rank=self.global_rank,
        )
        seconds = self.now() - started
        self.encoding_seconds += seconds
        self.train_seconds += seconds
        return DataLoader(batches, batch_size=None)

    def val_dataloader(self) -> DataLoader[Any]:
        """One batch: the step takes all graphs at once."""
        once: Any = [0]
        return DataLoader(once, batch_size=None)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Graphs are dataclasses that Lightning does not know."""
        if isinstance(batch, tuple):
            step, graphs, g = batch
            return step, graphs.to(device), None if g is None else g.to(device)
        return batch

    def trainer_options(self, run: Path) -> dict[str, Any]:
        """Validate evenly, and keep the best."""
        best = ModelCheckpoint(dirpath=run, filename="best", monitor="bce", save_top_k=1, enable_version_counter=False)
        return {
            "callbacks": [ValidationCurve("bce"), best],
            "check_val_every_n_epoch": evenly(self.config.steps, VALIDATE),
            "num_sanity_val_steps": 0,
        }

    def finish(self, run: Path) -> None:
        """Go back to the best validation loss; the counts stay those of all steps."""
        counts = (self.train_seconds, self.encoding_seconds, self.skipped_steps)
        restore(self, run / "best.ckpt")
        self.train_seconds, self.encoding_seconds, self.skipped_steps = counts

    def judge(self, out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        """The metrics on the test graphs, and what the figures show."""
        name = self.config.dataset
        numbers, arrays = evaluate(self.model, name)
        curve = runs.read_curve(out / "runs" / self.config.name, name="validation")
        numbers["validation_bce"] = min(value for _, value in curve)
        numbers["loss"] = "binary cross-entropy of the input's own edges"
        numbers["data_hash"] = runs.data_hash(*(dataset(name, s).pairs for s in ("train", "validation", "test")))
        return numbers, {key: value.numpy() for key, value in arrays.items()}


def load(run: Path) -> AutoencoderTask:
    """The module with the best validation loss of a run directory.

    Raises:
        FileNotFoundError: if ``run`` is no run directory or has no checkpoint yet.
        ValueError: if it is of another code version, or the checkpoint is damaged or does not fit the config.
    """
    task = AutoencoderTask(read_config(run, AutoencoderConfig, CODE_VERSION, checkpoint="best.ckpt"))
    restore(task, run / "best.ckpt")
    return task


def evaluate_run(run: Path) -> dict[str, Any]:
    """Evaluate the best checkpoint of a run directory on the test graphs."""
    task = load(run)
    return evaluate(task.model, task.config.dataset)[0]
