"""The config of one row: what is measured, and with which encoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from sympe.experiments.configs import check_config

Part = Literal["exact", "linear", "network"]
Encoding = Literal[
    "none", "sympe", "half-turn", "rotations", "haar", "noise", "noise-8", "noise-redrawn", "unconstrained"
]
Preset = Literal["smoke", "demo", "full"]

PARTS: tuple[Part, ...] = get_args(Part)
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
PRESETS: tuple[Preset, ...] = get_args(Preset)
OF_EXACT: tuple[Encoding, ...] = ("sympe", "half-turn", "haar")
OF_NETWORKS: tuple[Encoding, ...] = ("none", "sympe", "haar", "noise", "unconstrained")
SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
"""Numbers of training samples."""

CODE_VERSION = 2
"""Raise this when a change alters what a config measures: rows of another version are made again."""


@dataclass(frozen=True)
class GeneralizationConfig:
    """One row.

    Arguments:
        part: exact, linear or network.
        encoding: none, sympe, half-turn, rotations, haar, noise, noise-8, noise-redrawn or unconstrained.
        seed: of samples, initial weights and batches; not of the task.
        repeats: training sets that are drawn, for the part ``linear``.
        steps: optimiser steps for each number of samples, for the part ``network``.
        width: of its hidden layers.
        learning_rate: of Adam, falling to 0 by a cosine.
        code_version: of what a config trains; rows of another version are trained again.

    Raises:
        ValueError: if a name is unknown or a number is out of range.
    """

    part: Part = "linear"
    encoding: Encoding = "sympe"
    seed: int = 0
    repeats: int = 1000
    steps: int = 600
    width: int = 64
    learning_rate: float = 3e-3
    code_version: int = CODE_VERSION

    def __post_init__(self) -> None:
        check_config(
            self,
            names={"part": PARTS, "encoding": ENCODINGS},
            least={"repeats": 2, "steps": 1, "width": 1},
            positive=("learning_rate",),
        )

    @property
    def name(self) -> str:
        """Names the row and its run directory."""
        return f"{self.part}-{self.encoding}-seed{self.seed}"
