"""What the experiments share of training with Lightning: steps in blocks, checkpoints, resuming, progress, times."""

from __future__ import annotations

import abc
import logging
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import lightning
import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor, nn

from sympe.experiments import runs
from sympe.experiments.progress import Bar, say
from sympe.extras import missing

BLOCK = 50
"""Steps between checkpoints; Lightning calls such a block an epoch."""


class RowTask(lightning.LightningModule, abc.ABC):
    """A training of so many steps that keeps count of the time spent, also in its encoding, across interruptions.

    ``training_step`` returns the loss, and under "curve" the value that the training curve shows. A step whose gradient
    is not finite is left out, as if its batch had not come, and counted in ``skipped_steps``.

    A checkpoint of another config or of other data is refused.

    Arguments:
        config: the row.
        model: what is trained.
        encoding: the part of it whose calls are timed.
        data_hash: of the data; None if the config says what they are.
    """

    def __init__(self, config: Any, model: nn.Module, encoding: nn.Module, *, data_hash: str | None = None) -> None:
        super().__init__()
        self.config = config
        self.data_hash = data_hash
        self.model = model
        self.encoding_parameters = sum(p.numel() for p in encoding.parameters())
        self.train_seconds = 0.0
        self.encoding_seconds = 0.0
        self.skipped_steps = 0
        started = [0.0]

        def before(*_: object) -> None:
            started[0] = self.now()

        def after(*_: object) -> None:
            if self.training:
                self.encoding_seconds += self.now() - started[0]

        encoding.register_forward_pre_hook(before)
        encoding.register_forward_hook(after)

    @abc.abstractmethod
    def judge(self, out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        """The metrics of the trained model, with ``loss`` in words, and what the figures need but the curves."""

    def trainer_options(self, run: Path) -> dict[str, Any]:
        """Options of :func:`fit` that this training needs."""
        return {}

    def brought(self, run: Path) -> bool:
        """Take a model that was trained on another machine, if the run directory has one; else it is trained."""
        return False

    def finish(self, run: Path) -> None:
        """Put the model in the state in which it is judged."""

    def train_in(self, run: Path, **options: Any) -> None:
        """Train in a run directory, or go on from its last checkpoint; then the module is on the CPU, to be judged.

        Arguments:
            run: its run directory, made by :func:`sympe.experiments.runs.prepare_run`.
            options: of :func:`fit`.

        Raises:
            ValueError: as :func:`fit`.
        """
        if not self.brought(run):
            fit(self, run, gradient_clip=self.config.gradient_clip, **self.trainer_options(run), **options)
            self.cpu()
            self.finish(run)
        self.eval()

    def measure(self, out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
        """The numbers of the row: metrics, sizes, times; and what its figures need: arrays, curves."""
        numbers, arrays = self.judge(out)
        run = out / "runs" / self.config.name
        curves = {}
        for name in ("curve", "validation"):
            with suppress(FileNotFoundError):  # not every training is validated
                curves[name] = np.array(runs.read_curve(run, name=name))
        numbers = {
            **numbers,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "encoding_parameters": self.encoding_parameters,
            "skipped_steps": self.skipped_steps,
            "train_seconds": round(self.train_seconds, 2),
            "encoding_seconds": round(self.encoding_seconds, 3),
        }
        return numbers, {**arrays, **curves}

    def now(self) -> float:
        """The time in seconds, when the device has done its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def block(self) -> range:
        """The steps of this block."""
        start = self.current_epoch * BLOCK
        return range(start, min(start + BLOCK, self.config.steps))

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of the whole gradient, if there is a limit, and leave the step out where it is not finite."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        limit = torch.inf if gradient_clip_val is None else gradient_clip_val
        if not bool(torch.nn.utils.clip_grad_norm_(parameters, limit).isfinite()):
            self.skipped_steps += 1
            optimizer.zero_grad(set_to_none=True)  # optimisers pass over what has no gradient

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what it was made for, the time spent and the steps left out so far."""
        checkpoint["config"] = asdict(self.config)
        checkpoint["data_hash"] = self.data_hash
        checkpoint["seconds"] = {"train": self.train_seconds, "encoding": self.encoding_seconds}
        checkpoint["skipped_steps"] = self.skipped_steps

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on counting.

        Raises:
            ValueError: if it was made with another config or other data.
        """
        difference = runs.config_differs(checkpoint["config"], asdict(self.config))
        if difference:
            raise ValueError(f"run: the checkpoint was made with another config ({difference})")
        if checkpoint["data_hash"] != self.data_hash:
            raise ValueError(
                f"data: the checkpoint was made with other data (hash {checkpoint['data_hash']} there, "
                f"{self.data_hash} here); choose another --out"
            )
        self.train_seconds = checkpoint["seconds"]["train"]
        self.encoding_seconds = checkpoint["seconds"]["encoding"]
        self.skipped_steps = checkpoint["skipped_steps"]


class WholeFiles(TorchCheckpointIO):
    """Checkpoints are written beside the last one and renamed, and a damaged one is named.

    Lightning writes where ``$TMPDIR`` is, and copies.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write one whole or not at all."""
        with runs.written_aside(Path(path)) as aside:
            torch.save(checkpoint, aside)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """As :func:`read_checkpoint`, onto the CPU."""
        return read_checkpoint(Path(path))


class Progress(Callback):
    """Record the training curve, report progress once a second, and time the steps."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self._values: list[Tensor] = []
        self._reported = 0.0
        self._started = 0.0

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock of this block of steps."""
        self._values = []
        self._started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Report."""
        self._values.append(outputs["curve"])
        if trainer.is_global_zero and time.perf_counter() - self._reported > 1:
            self._reported = time.perf_counter()
            runs.write_progress(self.run, trainer.global_step, float(self._values[-1]))

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Record the mean of the block; runs before the checkpoint is saved."""
        assert isinstance(pl_module, RowTask)
        value = float(torch.stack(self._values).mean())
        pl_module.train_seconds += time.perf_counter() - self._started
        if trainer.is_global_zero:
            _log(trainer, "curve", value)
            runs.write_progress(self.run, trainer.global_step, value)


class Steps(Callback):
    """A bar of the steps of the whole training, with the value of its curve and the time that is left."""

    def __init__(self) -> None:
        self._bar: Bar | None = None
        self._read = 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Begin where the training does."""
        assert isinstance(pl_module, RowTask)
        if trainer.is_global_zero:
            total, first = pl_module.config.steps, trainer.global_step
            self._bar = Bar(total=total, initial=first, desc=pl_module.config.name, unit="step", delay=0)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One step more."""
        if self._bar is not None:
            if time.perf_counter() - self._read > 1:  # reading the value waits for the device
                self._read = time.perf_counter()
                self._bar.set_postfix(loss=f"{float(outputs['curve']):.4g}", refresh=False)
            self._bar.update(trainer.global_step - self._bar.n)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Leave the last line."""
        self._close()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Leave the last line."""
        self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class ValidationCurve(Callback):
    """Record a validation loss beside the training curve.

    Arguments:
        monitor: the name that the module logs it by.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add a point."""
        if trainer.is_global_zero:
            _log(trainer, "validation", float(trainer.callback_metrics[self.monitor]))


def _log(trainer: lightning.Trainer, name: str, value: float) -> None:
    """Tell all loggers, who write at once: a checkpoint is never ahead of the curves."""
    for logger in trainer.loggers:
        logger.log_metrics({name: value}, trainer.global_step)
        logger.save()


def loggers_of(run: Path, *, tensorboard: bool) -> list[Logger]:
    """Lightning's CSV logger, which the figures read, and TensorBoard's beside it if wanted.

    Raises:
        ImportError: if TensorBoard is wanted and there is no package for it.
    """
    loggers: list[Logger] = [CSVLogger(run, name="logs")]
    if tensorboard:
        try:
            loggers.append(TensorBoardLogger(run, name="tensorboard", version=""))
        except ModuleNotFoundError as error:
            raise missing("tensorboard: needs the package", "tensorboardX", "dev") from error
    return loggers


def evenly(steps: int, most: int) -> int:
    """How many blocks lie between validations: at most ``most``, and so that one comes after the last block.

    Example:
        >>> evenly(18_000, 10), evenly(20 * 53, 10)
        (10, 2)
    """
    blocks = -(-steps // BLOCK)
    return max(n for n in range(1, most + 1) if blocks % n == 0)


def fit(
    task: RowTask,
    run: Path,
    *,
    gradient_clip: float | None = None,
    threads: int | None = None,
    accelerator: str = "auto",
    devices: int = 1,
    num_nodes: int = 1,
    progress_bar: bool = False,
    tensorboard: bool = False,
    callbacks: Sequence[Callback] = (),
    **options: Any,
) -> None:
    """Train in a run directory, or go on from its last checkpoint.

    Arguments:
        task: what is trained.
        run: its run directory, made by :func:`sympe.experiments.runs.prepare_run`.
        gradient_clip: largest norm of the gradient of all parameters together.
        threads: CPU threads; None leaves them as they are.
        accelerator: Lightning's accelerator.
        devices: devices a node; more than one trains by DDP.
        num_nodes: nodes.
        progress_bar: whether to show a bar of the steps.
        tensorboard: whether to write logs for TensorBoard, too.
        callbacks: more of them.
        options: of Lightning's trainer, but for plugins.

    Raises:
        ValueError: if there are no such devices, the batch does not divide among them, or the checkpoint is damaged or
            was made with another config or other data.
        KeyboardInterrupt: if it is interrupted; Lightning ends the program instead, with status 1.
    """
    for name, number in (("devices", devices), ("num_nodes", num_nodes)):
        if number < 1:
            raise ValueError(f"{name}: expected at least 1, got {number}")
    if task.config.batch % (devices * num_nodes):
        raise ValueError(
            f"devices: a batch of {task.config.batch} does not divide among {devices} x {num_nodes} devices"
        )
    if threads is not None:
        torch.set_num_threads(threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    last = run / "last.ckpt"
    loggers = loggers_of(run, tensorboard=tensorboard)
    with warnings.catch_warnings():
        # the data are generated or held in memory by the main process on purpose
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*Checkpoint directory .* exists and is not empty.*")
        warnings.filterwarnings("ignore", ".*isinstance\\(treespec, LeafSpec\\).*")
        try:
            trainer = lightning.Trainer(
                max_epochs=-(-task.config.steps // BLOCK),
                accelerator=accelerator,
                devices=devices,
                num_nodes=num_nodes,
                strategy="ddp" if devices * num_nodes > 1 else "auto",
                gradient_clip_val=gradient_clip,
                logger=loggers,
                log_every_n_steps=1,
                enable_progress_bar=False,  # it would count blocks
                enable_model_summary=False,
                reload_dataloaders_every_n_epochs=1,
                use_distributed_sampler=False,
                plugins=[WholeFiles()],
                callbacks=[
                    Progress(run),
                    *([Steps()] if progress_bar else []),
                    *callbacks,
                    ModelCheckpoint(
                        dirpath=run,
                        filename="last",
                        save_top_k=1,
                        save_on_train_epoch_end=True,
                        enable_version_counter=False,
                    ),
                ],
                **options,
            )
        except MisconfigurationException as error:
            raise ValueError(f"accelerator, devices or options: {error}") from error
        if last.exists() and trainer.is_global_zero:
            step = read_checkpoint(last)["global_step"]
            if step < task.config.steps:
                say(f"{task.config.name}: going on from step {step:,} of {task.config.steps:,}")
        try:
            trainer.fit(task, ckpt_path=last if last.exists() else None, weights_only=True)
        except SystemExit as error:
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise


ConfigT = TypeVar("ConfigT")


def read_config(run: Path, kind: type[ConfigT], code_version: int, *, checkpoint: str = "last.ckpt") -> ConfigT:
    """The config of a run directory.

    Raises:
        FileNotFoundError: if ``run`` is no run directory or has no checkpoint yet.
        ValueError: if it is of another experiment or code version.
    """
    for name in ("config.json", checkpoint):
        if not (run / name).exists():
            raise FileNotFoundError(f"run: expected a run directory with {name}, got {run}")
    stored = runs.read_json(run / "config.json")
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if set(stored) != known or stored["code_version"] != code_version:
        raise ValueError(
            f"run: {run} was made by code version {stored.get('code_version')}, this is {code_version}; train it again"
        )
    return kind(**stored)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint holds.

    Raises:
        ValueError: if it is damaged or of older code, naming the file.
    """
    try:
        checkpoint: Any = torch.load(path, map_location="cpu", weights_only=True)  # no pickle: it can run code
    except (PermissionError, MemoryError, ImportError):
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(f"run: {path} is damaged: {error}") from error
    needed = {"state_dict", "global_step", "seconds", "skipped_steps", "config", "data_hash"}
    if not isinstance(checkpoint, dict) or not checkpoint.keys() >= needed:
        raise ValueError(f"run: {path} does not say what it was made for, as checkpoints of this version do; remove it")
    return checkpoint


def stopped_at(run: Path) -> int | None:
    """The step at which the training of a run directory was interrupted; None if it was not, or was elsewhere.

    Raises:
        ValueError: if its checkpoint is damaged.
    """
    last = run / "last.ckpt"
    if not last.exists():
        return None
    step = int(read_checkpoint(last)["global_step"])
    return step if step < runs.read_json(run / "config.json", "steps")["steps"] else None


def restore(task: RowTask, path: Path) -> None:
    """Load a checkpoint into a task of its config.

    Raises:
        ValueError: if it is damaged, of older code, or was made with another config or other data.
    """
    checkpoint = read_checkpoint(path)
    task.on_load_checkpoint(checkpoint)
    try:
        task.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        raise ValueError(f"run: the weights in {path} do not fit its config: {error}") from error
    task.eval()
