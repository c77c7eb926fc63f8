"""Train one row with Lightning: batches with their noise and g, an average of the weights, the file of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import Tensor
from torch.utils.data import DataLoader

from sympe.experiments import runs
from sympe.experiments.molecules.config import MoleculesConfig
from sympe.experiments.molecules.data import Molecules
from sympe.experiments.molecules.evaluation import bound, check_sizes, judged, measure
from sympe.experiments.molecules.files import MODEL_FILE, load_model, save_model
from sympe.experiments.molecules.model import MoleculeModel, Statistics
from sympe.experiments.training import BLOCK, RowTask, ValidationCurve, evenly, restore
from sympe.graphs import DenseGraphs
from sympe.randomness import seeded

VALIDATIONS = 12
"""In a training, or some more."""

VALIDATED = 1000
"""Molecules that the validation bound is taken over, at 20 times each."""

MEASURED = "measured"
"""The files of a run directory with what was measured where there is no chemistry."""

TRAINED = "trained"
"""The file of a run directory that says where its model was trained together with others, and how long."""

Numbers = dict[str, Any]
Arrays = dict[str, Any]
Measured = tuple[Numbers, Arrays]


class Batch(NamedTuple):
    """What a step needs.

    Arguments:
        step: its number.
        clean: molecules.
        noisy: the same, at their times.
        t: the times.
        g: of the kernel, where it has nothing to learn.
    """

    step: int
    clean: DenseGraphs
    noisy: DenseGraphs
    t: Tensor
    g: Tensor | None


class MoleculesTask(RowTask):
    """The cross-entropy of the clean types; AdamW in one cycle.

    What is measured needs torch alone. SMILES and their metrics come after it, where RDKit is: a run directory that was
    trained and measured elsewhere (:meth:`keep`) needs no more than that.

    Arguments:
        config: the row.
        training: molecules to train on.
        validation: molecules for the curve of the bound.
        test: molecules that the trained model is judged on.
        measure: the numbers of a model on test molecules, and arrays, with sampled graphs among them.
        describe: completes them by chemistry, with the molecules to train on and to test
            (:mod:`sympe.experiments.molecules.quality`); None where there is none, and rows are not judged.
    """

    config: MoleculesConfig
    model: MoleculeModel

    def __init__(
        self,
        config: MoleculesConfig,
        training: Molecules,
        validation: Molecules,
        test: Molecules,
        *,
        measure: Callable[[MoleculeModel, Molecules], Measured] = measure,
        describe: Callable[[Numbers, Arrays, Molecules, Molecules], Measured] | None = None,
    ) -> None:
        statistics = Statistics.of(training)
        with torch.random.fork_rng(devices=[]):  # the initial weights come from the seed, and nothing else does
            torch.manual_seed(config.seed)
            model = MoleculeModel(config, statistics)
        super().__init__(config, model, model.encoding, data_hash=training.content_hash)
        self.training_set = training
        self.test_set = test
        self._measure = measure
        self._describe = describe
        self._trained: Numbers | None = None
        self.validation_set = validation.subset(torch.arange(min(VALIDATED, len(validation))))

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """The loss of a batch."""
        generator = seeded("encoding", self.config.seed, batch.step, self.global_rank, device=self.device)
        logits = self.model(batch.noisy, batch.t, g=batch.g, generator=generator)
        loss = self.model.loss(logits, batch.clean, batch.t, batch.g)
        return {"loss": loss, "curve": loss.detach()}

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """The bound on some validation molecules, with the same noise every time, and for all encodings."""
        found = bound(self.model, self.validation_set, times=20, generator=seeded("validation", device=self.device))
        self.log("nll", found.mean(), batch_size=1, sync_dist=True)

    def configure_optimizers(self) -> Any:
        """AdamW, and one cycle over all steps."""
        config = self.config
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=config.learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            config.learning_rate,
            total_steps=config.steps,
            pct_start=config.warmup,
            cycle_momentum=False,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train_dataloader(self) -> DataLoader[Any]:
        """The batches of this block of steps."""
        started = self.now()
        batches: Any = self.batches(self.block(), rank=self.global_rank, world_size=self.trainer.world_size)
        self.train_seconds += self.now() - started
        return DataLoader(batches, batch_size=None)

    def batches(self, steps: range, *, rank: int = 0, world_size: int = 1) -> list[Batch]:
        """The batches of some steps, on the device of the model, with noise and g drawn for all of them at once.

        Molecules are drawn uniformly, with replacement, for all steps together. Then a batch gets those of nearly the
        same size, so that it has little padding, and the batches come in an order at random. Times are uniform on 1 to
        T. At T, x_t is the x_T that the g of a coupled row is drawn from; before, they are independent given x_0, for
        the last step of the noise forgets everything.

        Arguments:
            steps: which, at least one.
            rank: of this device.
            world_size: number of devices.
        """
        noise, encoding, count = self.model.noise, self.model.encoding, self.config.batch // world_size
        purpose = (self.config.seed, steps.start, rank)
        generator = seeded("batches", *purpose)
        rows = torch.randint(len(self.training_set), (len(steps) * count,), generator=generator)
        rows = rows[self.training_set.sizes[rows].argsort(stable=True)]
        parts = torch.arange(len(rows)).view(-1, count)[torch.randperm(len(steps), generator=generator)]
        t = torch.randint(1, noise.steps + 1, (len(rows),), generator=generator).to(self.device)
        clean = self.training_set.graphs(rows).to(self.device)
        generator = seeded("noise", *purpose, device=self.device)
        last = noise.sample_limit(clean.sizes, generator=generator) if encoding.coupled else None
        noisy = clean if self.model.unmasking is not None else noise.sample(clean, t, last=last, generator=generator)
        started = self.now()
        g = None
        if last is not None:
            g = encoding.of_chain(last, clean, generator=generator)
        elif encoding.kernel is not None:
            g = encoding.kernel.sample(noisy, generator=generator)
        self.encoding_seconds += self.now() - started
        if self.model.unmasking is not None:
            noisy = self.model.noisy(clean, t, g=g)
        return [
            Batch(step, clean.select(at).trimmed(), noisy.select(at).trimmed(), t[at], None if g is None else g[at])
            for step, at in zip(steps, parts.to(self.device), strict=True)
        ]

    def val_dataloader(self) -> DataLoader[Any]:
        """One batch: the step takes all molecules at once."""
        once: Any = [0]
        return DataLoader(once, batch_size=None)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Batches are made where they are needed."""
        return batch

    def trainer_options(self, run: Path) -> dict[str, Any]:
        """Validate evenly, and average the weights."""
        config = self.config
        return {
            "callbacks": [
                ValidationCurve("nll"),
                EMAWeightAveraging(decay=config.average, use_buffers=False),
            ],
            "check_val_every_n_epoch": evenly(config.steps, max(1, config.steps // (VALIDATIONS * BLOCK))),
            "num_sanity_val_steps": 0,
            "precision": config.precision,
        }

    def finish(self, run: Path) -> None:
        """Take the averaged weights, and write the file of the model."""
        restore(self, run / "last.ckpt")
        if self.global_rank == 0:
            save_model(self.model, run / MODEL_FILE)

    def brought(self, run: Path) -> bool:
        """Take the model of a training that ended on another machine, whose checkpoint stayed there."""
        if (run / "last.ckpt").exists() or not (run / MODEL_FILE).exists():
            return False
        self.model = load_model(run)
        if (run / f"{TRAINED}.json").exists():
            self._trained = runs.read_json(run / f"{TRAINED}.json", "train_seconds", "encoding_seconds", "rows")
            self.train_seconds, self.encoding_seconds = (
                self._trained[key] for key in ("train_seconds", "encoding_seconds")
            )
        return True

    def keep(self, run: Path) -> None:
        """Measure the trained model, and keep in its run directory all that is left to chemistry."""
        numbers, arrays = self._measure(self._on_device(), self.test_set)
        numbers |= {
            "counters": [self.train_seconds, self.encoding_seconds, self.skipped_steps],
            "environment": runs.environment(),
        }
        with runs.written_aside(run / f"{MEASURED}.npz") as aside:
            np.savez_compressed(aside, **arrays)
        runs.write_json(run / f"{MEASURED}.json", numbers)

    def judge(self, out: Path) -> Measured:
        """The bound and the samples (:mod:`sympe.experiments.molecules.evaluation`), and what chemistry says of them.

        Raises:
            ValueError: if what was measured elsewhere is damaged, or nothing was given that describes samples.
        """
        if self._describe is None:
            raise ValueError("describe: expected what chemistry says of samples, got None; this machine only measures")
        run = out / "runs" / self.config.name
        if (run / f"{MEASURED}.json").exists():
            numbers = runs.read_json(run / f"{MEASURED}.json", "counters", "environment")
            arrays = runs.read_arrays(run / f"{MEASURED}.npz")
            self.train_seconds, self.encoding_seconds, self.skipped_steps = numbers.pop("counters")
        else:
            numbers, arrays = self._measure(self._on_device(), self.test_set)
        numbers, arrays = self._describe(numbers, arrays, self.training_set, self.test_set)
        numbers["molecules"] = {
            "train": len(self.training_set),
            "test": min(self.config.tested, len(self.test_set)),
            "failed": len(self.training_set.failed),
        }
        g = "coupled to them" if self.config.coupled else "of the noisy graph"
        numbers["loss"] = f"cross-entropy of the clean types, g {g}"
        if self.model.unmasking is not None:
            numbers["loss"] = "nats of the clean types that the next step settles, g coupled to them"
            numbers["table"] = self.model.unmasking.table.tolist()
        numbers["data_hash"] = self.data_hash
        if self._trained is not None:
            numbers["trained"] = {key: self._trained[key] for key in ("rows", "environment")}
        return numbers, arrays

    def _on_device(self) -> MoleculeModel:
        return self.model.to("cuda" if torch.cuda.is_available() else "cpu")


def make_task(config: MoleculesConfig, parts: Sequence[Molecules], **options: Any) -> MoleculesTask:
    """The task of a row.

    Arguments:
        config: the row.
        parts: molecules to train on, to validate and to test.
        options: of :class:`MoleculesTask`.

    Raises:
        ValueError: if the data have sizes that the training molecules have not, or the network's sizes do not fit.
    """
    task = MoleculesTask(config, *parts, **options)
    for part in (task.validation_set, judged(config, task.test_set)):
        check_sizes(task.model, part)
    return task
