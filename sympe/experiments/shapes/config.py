"""The config of one row, the encodings, losses, datasets and backbones by name, and the presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from sympe.experiments.configs import check_config

Encoding = Literal[
    "none",
    "noise",
    "haar",
    "breaking-set",
    "sympe",
    "sympe-coupled",
    "sympe-global",
    "sympe-global-coupled",
    "canonicalized",
]
Loss = Literal["squared", "orbit-minimum"]
DatasetName = Literal["polyhedra", "cages", "hydrogens"]
Backbone = Literal["egnn", "e3nn"]
Part = Literal["test", "validation"]
Preset = Literal["smoke", "demo", "full"]

ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
LOSSES: tuple[Loss, ...] = get_args(Loss)
DATASETS: tuple[DatasetName, ...] = get_args(DatasetName)
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)
PARTS: tuple[Part, ...] = get_args(Part)
PRESETS: tuple[Preset, ...] = get_args(Preset)
MAX_NODES: dict[str, int] = {"polyhedra": 12, "cages": 21, "hydrogens": 16}
FEATURES: dict[str, int] = {"polyhedra": 1, "cages": 8, "hydrogens": 9}
"""Numbers at a point that say its type: of hydrogens the element and the kind of what is replaced."""

CODE_VERSION = 2
"""Raise this when a change alters what a config trains: rows of another version are trained again."""


@dataclass(frozen=True)
class ShapesConfig:
    """One row of the comparison: everything that decides its numbers.

    Arguments:
        encoding: what breaks the symmetry: none, noise, haar, breaking-set, sympe, sympe-coupled, the last two with
            one v for the whole cloud (sympe-global, sympe-global-coupled), or canonicalized.
        loss: squared, or orbit-minimum: the least squared error over the orbit of the target. With "squared",
            canonicalized draws from the coupled kernel in training, as sympe-coupled does.
        dataset: the shapes: polyhedra, cages or hydrogens.
        backbone: egnn or e3nn; canonicalized has a plain network instead, with as many parameters as the EGNN.
        seed: of the initial weights, the batches and the draws of the encoding.
        steps: optimiser steps, the same for every row.
        batch: samples a step, over all devices.
        width: invariant features in every layer.
        vectors: vectors at a point in every layer.
        layers: layers of the backbone.
        channels: vectors at a point that come from the encoding.
        learning_rate: of Adam at the start; it falls to 0 by a cosine.
        encoding_rate: the learning rate of v over that of the network.
        gradient_clip: largest norm of the gradient of all parameters together.
        samples: test samples of every shape.
        draws: draws for every element of an orbit, for the law over it.
        code_version: of what a config trains; rows of another version are trained again.

    Raises:
        ValueError: if a name is unknown or a number is out of range.
    """

    encoding: Encoding = "sympe-coupled"
    loss: Loss = "squared"
    dataset: DatasetName = "polyhedra"
    backbone: Backbone = "egnn"
    seed: int = 0
    steps: int = 800
    batch: int = 16
    width: int = 32
    vectors: int = 8
    layers: int = 3
    channels: int = 4
    learning_rate: float = 1e-2
    encoding_rate: float = 1.0
    gradient_clip: float = 1.0
    samples: int = 16
    draws: int = 400
    code_version: int = CODE_VERSION

    def __post_init__(self) -> None:
        check_config(
            self,
            names={"encoding": ENCODINGS, "loss": LOSSES, "dataset": DATASETS, "backbone": BACKBONES},
            least=dict.fromkeys(("steps", "batch", "width", "vectors", "layers", "channels", "samples", "draws"), 1),
            positive=("learning_rate", "encoding_rate", "gradient_clip"),
        )

    @property
    def name(self) -> str:
        """Names the row and its run directory."""
        return f"{self.dataset}-{self.backbone}-{self.encoding}-{self.loss}-seed{self.seed}"

    @property
    def couples(self) -> bool:
        """Whether training draws g from the coupled kernel, which knows the target."""
        told = ("sympe-coupled", "sympe-global-coupled")
        return self.encoding in told or (self.encoding == "canonicalized" and self.loss == "squared")
