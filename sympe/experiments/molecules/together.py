r"""Rows side by side on one device: networks of one shape as one network whose weights are stacked.

On small graphs a GPU waits for kernels to be launched, not for arithmetic: a step of twenty networks takes hardly
longer than a step of one. The rows stay what they are alone. Each has its own initial weights, batches, noise and g
(made by processes on the CPU, :mod:`sympe.experiments.molecules.feed`), a gradient that is clipped by its own norm, and
its own average of the weights. Sums are in another order, and nothing else differs. The bound on validation molecules
is not taken on the way.

On a GPU a whole step, from types to new weights, is recorded once as a CUDA graph and replayed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sympe.encodings import SymPE
from sympe.experiments import runs
from sympe.experiments.molecules.config import MoleculesConfig
from sympe.experiments.molecules.feed import Block, Feed
from sympe.experiments.molecules.files import MODEL_FILE, save_model
from sympe.experiments.molecules.model import GraphEncoding, MoleculeModel
from sympe.experiments.molecules.training import TRAINED, MoleculesTask
from sympe.experiments.progress import Bar, say
from sympe.experiments.training import BLOCK, loggers_of, read_checkpoint

OWN = ("encoding", "transition", "coupled", "seed", "encoding_scale", "order", "tested", "sampled")
"""Fields of the config in which rows that are trained together may differ, if their networks have one shape."""

KEPT = 40
"""Blocks of steps between checkpoints."""

EAGER = 3
"""Steps before a step is recorded, in which libraries choose their kernels."""

EDGE_WEIGHT = 5.0
"""As in :func:`sympe.diffusion.denoising_loss`."""


def why_alone(config: MoleculesConfig) -> str:
    """Why a row can be trained only alone; empty if it can be trained with others."""
    if config.encoding == "sympe-scores":
        return "its kernel learns"
    if config.transition == "places":
        return "it has a table of places, and so another loss"
    return "" if config.precision == "32-true" else f"its precision is {config.precision}, not 32-true"


def groups(tasks: Sequence[MoleculesTask]) -> list[list[MoleculesTask]]:
    """Rows that can be trained together, in the order of their first ones.

    Raises:
        ValueError: if a row can be trained only alone (:func:`why_alone`).
    """
    found: dict[str, list[MoleculesTask]] = {}
    for task in tasks:
        if why := why_alone(task.config):
            raise ValueError(f"together: {task.config.name} is trained alone, for {why}")
        fields = {k: v for k, v in dataclasses.asdict(task.config).items() if k not in OWN}
        found.setdefault(str((task.data_hash, task.model.network.channels, fields)), []).append(task)
    return list(found.values())


class Together:
    """Rows of one group as one training.

    Arguments:
        tasks: a group of :func:`groups`; their encodings lose v and u until :meth:`finish`.
        device: of the stacked networks.
        compiled: whether a compiler fuses their operations, which takes a minute and saves a quarter to a third.
    """

    def __init__(self, tasks: Sequence[MoleculesTask], device: torch.device, *, compiled: bool = False) -> None:
        self.tasks = tasks
        self.config = tasks[0].config
        self.device = device
        network = tasks[0].model.network

        def one(weights: dict[str, Tensor], *features: Tensor) -> tuple[Tensor, Tensor]:
            out: tuple[Tensor, Tensor] = torch.func.functional_call(network, weights, features)
            return out

        self._networks = torch.compile(torch.vmap(one), fullgraph=True) if compiled else torch.vmap(one)
        self.step = 0
        stacked = [torch.stack(parts) for parts in zip(*(_weights(t.model).values() for t in tasks), strict=True)]
        self.shapes = {name: part.shape[1:] for name, part in zip(_weights(tasks[0].model), stacked, strict=True)}
        self.weights = torch.cat([part.flatten(1) for part in stacked], 1).to(device)
        self.average = self.weights.clone()
        self.weights.grad = torch.zeros_like(self.weights)
        self.owned = [torch.stack(parts).to(device) for parts in zip(*(_owned(t.model) for t in tasks), strict=True)]
        self.rate = torch.zeros((), device=device)
        self.optimizer = torch.optim.AdamW([self.weights], lr=self.rate, fused=True, capturable=device.type == "cuda")
        self.rates = _rates(tasks[0])
        self.keep = torch.zeros((), device=device)
        self.loss = torch.zeros(len(tasks), device=device)
        self.skipped = torch.zeros(len(tasks), device=device)
        self.now: list[Tensor] = []
        self._graph: torch.cuda.CUDAGraph | None = None
        self._eager = EAGER
        for task in tasks:
            for parameter in _vectors(task.model.encoding):
                nn.init.zeros_(parameter)
            task.train()

    def state(self) -> dict[str, Any]:
        """All that changes, for a checkpoint."""
        return {
            "config": [dataclasses.asdict(task.config) for task in self.tasks],
            "data_hash": self.tasks[0].data_hash,
            "global_step": self.step,
            "state_dict": {"weights": self.weights.detach(), "average": self.average},
            "optimizer": self.optimizer.state_dict()["state"],
            "skipped_steps": self.skipped,
            "seconds": [(task.train_seconds, task.encoding_seconds) for task in self.tasks],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint of the same rows."""
        self.step = state["global_step"]
        self.weights.data.copy_(state["state_dict"]["weights"])
        self.average.copy_(state["state_dict"]["average"])
        self.skipped.copy_(state["skipped_steps"])
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state["optimizer"]})
        self.optimizer.param_groups[0]["lr"] = self.rate
        for task, (train, encoding) in zip(self.tasks, state["seconds"], strict=True):
            task.train_seconds, task.encoding_seconds = train, encoding

    def train_block(self, blocks: Sequence[Block]) -> Float[Tensor, " rows"]:
        """Take the steps of a block of every row; the mean loss of each row, without waiting for the device."""
        told = [self._stacked([block[field] for block in blocks]) for field in range(len(Block._fields) - 1)]
        steps = told[0].shape[1]
        self.loss.zero_()
        for k in range(steps):
            self.rate.fill_(self.rates[self.step])
            self.keep.fill_(0.0 if self.step == 0 else self.config.average)  # the average begins with the first step
            if not self.now:
                self.now = [part[:, k].clone() for part in told]
            for now, part in zip(self.now, told, strict=True):
                now.copy_(part[:, k])
            self._take()
            self.step += 1
        return self.loss / steps

    def _take(self) -> None:
        """One step, at once or by the recording."""
        if self.device.type != "cuda":
            self._step()
        elif self._graph is not None:
            self._graph.replay()
        elif self._eager:
            self._eager -= 1
            current, aside = torch.cuda.current_stream(), torch.cuda.Stream()
            aside.wait_stream(current)
            with torch.cuda.stream(aside):
                self._step()
            current.wait_stream(aside)
        else:
            self._graph = torch.cuda.CUDAGraph()
            # other threads, such as one that pins batches, may use the device meanwhile
            with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
                self._step()
            self._graph.replay()

    def _step(self) -> None:
        """From the types in ``now`` to new weights and averages."""
        leaves = {
            name: part.detach().unflatten(1, shape).requires_grad_()
            for (name, shape), part in zip(
                self.shapes.items(),
                self.weights.split([math.prod(shape) for shape in self.shapes.values()], 1),
                strict=True,
            )
        }
        losses = self._losses(leaves)
        gradients = torch.autograd.grad(losses.sum(), list(leaves.values()))
        flat = torch.cat([gradient.flatten(1) for gradient in gradients], 1)
        norm = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
        right = norm.isfinite()
        self.skipped += ~right[:, 0]
        assert self.weights.grad is not None
        scale = (self.config.gradient_clip / (norm + 1e-6)).clamp(max=1)
        self.weights.grad.copy_(torch.where(right, flat * scale, 0.0))
        self.optimizer.step()
        self.average.lerp_(self.weights.detach(), 1 - self.keep)
        self.loss += losses.detach()

    def _losses(self, leaves: dict[str, Tensor]) -> Float[Tensor, " rows"]:
        """The cross-entropy of each row, as :func:`sympe.diffusion.denoising_loss`."""
        colors, pairs, sizes, times, places, told, told_edges, told_graphs, clean_colors, clean_pairs = self.now
        model = self.tasks[0].model
        rows, batch, n = colors.shape
        mask = torch.arange(n, device=self.device) < sizes.unsqueeze(2)
        between = mask.unsqueeze(3) & mask.unsqueeze(2)
        owns_v, owns_u = self.owned
        v, u = leaves["v"] * owns_v, leaves["u"] * owns_u
        table = (u + u.transpose(1, 2)) / math.sqrt(2)
        first = torch.arange(rows, device=self.device).view(-1, 1, 1)
        at = places.long() + first * n
        of_nodes = v.flatten(0, 1).index_select(0, at.flatten()).view(rows, batch, n, -1)
        at = at.unsqueeze(3) * n + places.long().unsqueeze(2)
        of_edges = table.flatten(0, 2).index_select(0, at.flatten()).view(rows, batch, n, n, -1)
        nodes = torch.cat([_one_hot(colors, model.noise.nodes.types), told + of_nodes * mask.unsqueeze(3)], 3)
        edges = torch.cat([_one_hot(pairs, model.noise.edges.types), told_edges + of_edges * between.unsqueeze(4)], 4)
        graphs = torch.cat([torch.stack([times, sizes / model.max_nodes], 2), told_graphs], 2)
        weights = {name: leaf for name, leaf in leaves.items() if name not in ("v", "u")}
        of_colors, of_pairs = self._networks(weights, nodes, edges, graphs, mask)
        return _mean(of_colors, clean_colors, mask) + EDGE_WEIGHT * _mean(of_pairs, clean_pairs, between.triu(1))

    def _stacked(self, parts: Sequence[Any]) -> Tensor:
        """One field of the blocks of all rows, on the device."""
        given = next((part for part in parts if part is not None), None)
        if given is None:  # no row tells anything of pairs
            return torch.zeros(len(parts), BLOCK, 1, 1, 1, 1, device=self.device)
        return torch.stack(
            [
                torch.zeros(given.shape, device=self.device)
                if part is None
                else part.to(self.device, non_blocking=True)
                for part in parts
            ]
        )

    def finish(self) -> None:
        """Give the tasks their averaged weights."""
        parts = self.average.cpu().split([math.prod(shape) for shape in self.shapes.values()], 1)
        with torch.no_grad():
            for number, task in enumerate(self.tasks):
                found = {
                    name: part[number].view(shape)
                    for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
                }
                for name, parameter in task.model.network.named_parameters():
                    parameter.copy_(found[name])
                own = _vectors(task.model.encoding)
                for parameter, name in zip(own, ("v", "u"), strict=False):
                    parameter.copy_(found[name][..., -parameter.shape[-1] :])
                task.skipped_steps = int(self.skipped[number])
                task.eval()


def train_together(
    tasks: Sequence[MoleculesTask], out: Path, *, device: torch.device, workers: int, compiled: bool = False
) -> None:
    """Train a group, or go on from its last checkpoint; the models stand in the run directories of the rows then.

    Arguments:
        tasks: a group of :func:`groups`.
        out: the folder of the comparison.
        device: of the networks.
        workers: processes that make batches; 0 for none.
        compiled: as in :class:`Together`.

    Raises:
        ValueError: if the checkpoint is damaged.
        ArithmeticError: after all others are written, if rows had gradients that are not finite.
    """
    folders = [runs.prepare_run(task.config, out, data_hash=task.data_hash) for task in tasks]
    together = Together(tasks, device, compiled=compiled)
    about = repr([(task.config, task.data_hash) for task in tasks])
    last = out / "together" / f"{hashlib.sha256(about.encode()).hexdigest()[:12]}.ckpt"
    if last.exists():
        together.restore(read_checkpoint(last))
        say(f"{len(tasks)} rows together: going on from step {together.step:,} of {together.config.steps:,}")
    loggers = [loggers_of(run, tensorboard=False)[0] for run in folders]
    feed = DataLoader(
        Feed(tasks, together.step // BLOCK),
        batch_size=None,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        prefetch_factor=4 if workers else None,
    )
    count, blocks, seen = len(tasks), len(feed) // len(tasks), time.perf_counter()
    waiting: tuple[int, Tensor] | None = None
    parts = iter(feed)
    with Bar(total=together.config.steps, initial=together.step, desc=f"{count} rows together", unit="step") as bar:
        for number in range(blocks):
            some = list(itertools.islice(parts, count))
            losses = together.train_block(some)
            if waiting is not None:  # the device has the next steps to go on with while this waits for it
                _tell(loggers, bar, *waiting)
            waiting = together.step, losses
            now = time.perf_counter()
            for task, block in zip(tasks, some, strict=True):
                task.train_seconds += (now - seen) / count
                task.encoding_seconds += block.seconds if workers else 0.0  # without workers it is counted already
            seen = now
            if number % KEPT == KEPT - 1:
                with runs.written_aside(last) as aside:
                    torch.save(together.state(), aside)
        if waiting is not None:
            _tell(loggers, bar, *waiting)
    together.finish()
    failed = []
    for task, run in zip(tasks, folders, strict=True):
        if task.skipped_steps:
            failed.append(f"{task.config.name} ({task.skipped_steps})")
            continue
        save_model(task.model, run / MODEL_FILE)
        numbers = {
            "train_seconds": task.train_seconds,
            "encoding_seconds": task.encoding_seconds,
            "rows": count,
            "environment": runs.environment(),
        }
        runs.write_json(run / f"{TRAINED}.json", numbers)
    last.unlink(missing_ok=True)
    if failed:
        raise ArithmeticError(f"steps with a gradient that is not finite, so train them alone: {', '.join(failed)}")


def _tell(loggers: Sequence[Logger], bar: Bar, step: int, losses: Tensor) -> None:
    """Curves and the bar, up to a step."""
    for logger, loss in zip(loggers, losses.tolist(), strict=True):
        logger.log_metrics({"curve": loss}, step)
        logger.save()
    bar.set_postfix(loss=f"{float(losses.mean()):.4g}", refresh=False)
    bar.update(step - bar.n)


def _rates(task: MoleculesTask) -> list[float]:
    """The learning rate of every step."""
    options = task.configure_optimizers()
    optimizer, schedule = options["optimizer"], options["lr_scheduler"]["scheduler"]
    found = []
    for _ in range(task.config.steps):
        found.append(float(schedule.get_last_lr()[0]))
        optimizer.step()  # of no gradients
        schedule.step()
    return found


def _vectors(encoding: GraphEncoding) -> list[nn.Parameter]:
    """What SymPE learns: v, and u if it is on pairs too; nothing in other encodings."""
    if encoding.on_both is not None:
        return [encoding.on_both.v, encoding.on_both.u]
    return [encoding.on_nodes.v] if isinstance(encoding.on_nodes, SymPE) else []


def _weights(model: MoleculeModel) -> dict[str, Tensor]:
    """The weights of the network by name, and v and u on all channels, 0 where the encoding has none."""
    found = {name: parameter.detach() for name, parameter in model.network.named_parameters()}
    n, (node_channels, pair_channels) = model.max_nodes, model.encoding.channels
    empty = {"v": torch.zeros(n, node_channels), "u": torch.zeros(n, n, pair_channels)}
    for name, parameter in zip(empty, _vectors(model.encoding), strict=False):
        empty[name][..., empty[name].shape[-1] - parameter.shape[-1] :] = parameter.detach()  # after the features
    return found | empty


def _owned(model: MoleculeModel) -> list[Tensor]:
    """1 where v and u of :func:`_weights` are the encoding's own, 0 elsewhere."""
    ones = {name: torch.zeros_like(part) for name, part in _weights(model).items() if name in ("v", "u")}
    for name, parameter in zip(ones, _vectors(model.encoding), strict=False):
        ones[name][..., ones[name].shape[-1] - parameter.shape[-1] :] = 1
    return list(ones.values())


def _one_hot(types: Tensor, count: int) -> Tensor:
    """As :func:`torch.nn.functional.one_hot`, without looking at the values."""
    return (types.unsqueeze(-1) == torch.arange(count, device=types.device)).float()


def _mean(logits: Tensor, target: Tensor, mask: Tensor) -> Float[Tensor, " rows"]:
    """The mean cross-entropy where ``mask`` is true, for each row."""
    wanted = torch.where(mask, target.long(), -100)
    values = F.cross_entropy(logits.flatten(0, -2), wanted.flatten(), reduction="none")
    return values.view(len(mask), -1).sum(1) / mask.flatten(1).sum(1)
