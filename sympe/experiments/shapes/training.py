"""Train one row: the squared error, or the least one over the orbit of the target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import DataLoader

from sympe.encodings import SymPE
from sympe.experiments.shapes.breaking_sets import BreakingSetEncoding
from sympe.experiments.shapes.config import CODE_VERSION, Part, ShapesConfig
from sympe.experiments.shapes.data import Samples, TrainingStream, relative_error, templates
from sympe.experiments.shapes.evaluation import evaluate, show
from sympe.experiments.shapes.model import ShapesModel
from sympe.experiments.training import RowTask, read_config, restore
from sympe.kernels import HaarKernel
from sympe.randomness import seeded


class ShapesTask(RowTask):
    """The relative squared error; Adam with a cosine to zero.

    Arguments:
        config: the row.
    """

    config: ShapesConfig
    model: ShapesModel

    def __init__(self, config: ShapesConfig) -> None:
        with torch.random.fork_rng(devices=[]):  # the initial weights come from the seed, and nothing else does
            torch.manual_seed(config.seed)
            model = ShapesModel(config)
        super().__init__(config, model, model.encoding)
        self.templates = templates(config.dataset)

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        """The mean over the batch, for one draw of the encoding each."""
        step, samples = batch
        generator = seeded("shapes", "draws", self.config.seed, step, self.global_rank)
        before = self.now()
        g = self.drawn(samples, generator)
        features = None if g is None or self.config.encoding == "canonicalized" else self.model.moved(g)
        self.encoding_seconds += self.now() - before
        if features is None:
            y = self.model(samples.x, g=g, generator=generator)
        else:
            y = self.model.network(samples.x, features)
        loss = self.loss(samples, y).mean()
        return {"loss": loss, "curve": loss.detach()}

    def drawn(self, samples: Samples, generator: torch.Generator) -> Tensor | None:
        """The elements for each sample, by what is known of its shape; None where the encoding draws by itself."""
        of, encoding = self.templates, self.model.encoding
        if self.config.couples:
            c = of.coupled.draw(samples.which, generator)
        elif isinstance(encoding, BreakingSetEncoding):
            c = of.breaking.draw(samples.which, generator)
        elif self.config.encoding == "canonicalized" or (
            isinstance(encoding, SymPE) and not isinstance(encoding.kernel, HaarKernel)
        ):
            c = of.cosets.draw(samples.which, generator)
        else:
            return None
        return of.group.compose(samples.h, c)

    def loss(self, samples: Samples, y: Float[Tensor, "batch points 3"]) -> Float[Tensor, " batch"]:
        """The relative error of each sample, or the least one over the orbit of its target."""
        if self.config.loss == "squared":
            return relative_error(y, samples.y)
        orbit, there = self.templates.orbit(samples)
        every = relative_error(y[:, None], orbit).masked_fill(~there, torch.inf)
        return every.amin(1)

    def configure_optimizers(self) -> Any:
        """Adam in two groups, and a cosine to zero over all steps."""
        config = self.config
        own = {id(p) for p in self.model.encoding.parameters()}
        groups: list[dict[str, Any]] = [{"params": [p for p in self.model.parameters() if id(p) not in own]}]
        if own:
            rate = config.learning_rate * config.encoding_rate
            groups.append({"params": list(self.model.encoding.parameters()), "lr": rate})
        optimizer = torch.optim.Adam(groups, lr=config.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def train_dataloader(self) -> DataLoader[tuple[int, Samples]]:
        """The batches of this block of steps."""
        config = self.config
        stream = TrainingStream(
            config.dataset,
            seed=config.seed,
            batch=config.batch // self.trainer.world_size,
            steps=self.block(),
            rank=self.global_rank,
        )
        return DataLoader(stream, batch_size=None)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Samples are dataclasses that Lightning does not know."""
        step, samples = batch
        return step, samples.to(device)

    def judge(self, out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        """Errors and the law over the orbits on the test samples, and what the figures show."""
        return evaluate(self.model, self.config), show(self.model, self.config)


def load(run: Path) -> ShapesTask:
    """The trained module of a run directory, from its config and last checkpoint.

    Raises:
        FileNotFoundError: if ``run`` is no run directory or has no checkpoint yet.
        ValueError: if it is of another code version, or the checkpoint is damaged or does not fit the config.
    """
    task = ShapesTask(read_config(run, ShapesConfig, CODE_VERSION))
    restore(task, run / "last.ckpt")
    return task


def evaluate_run(run: Path, part: Part = "test") -> dict[str, Any]:
    """Evaluate the last checkpoint of a run directory, on test or validation samples."""
    task = load(run)
    return evaluate(task.model, task.config, part)
