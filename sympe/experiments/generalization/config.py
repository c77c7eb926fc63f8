"""The config of one row: what is measured, and with which encoding."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

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
        part: one of PARTS.
        encoding: one of ENCODINGS.
        seed: of samples, initial weights and batches; not of the task.
        repeats: training sets that are drawn, for the part ``linear``.
        steps: optimiser steps for each number of samples, for the part ``network``.
        width: of its hidden layers.
        learning_rate: of Adam, falling to 0 by a cosine.
        code_version: see :data:`CODE_VERSION`.

    Raises:
        ValueError: if a name is unknown or a number is out of range.
    """

    part: str = "linear"
    encoding: str = "sympe"
    seed: int = 0
    repeats: int = 1000
    steps: int = 600
    width: int = 64
    learning_rate: float = 3e-3
    code_version: int = CODE_VERSION

    def __post_init__(self) -> None:
        for name, names in (("part", PARTS), ("encoding", ENCODINGS)):
            if getattr(self, name) not in names:
                raise ValueError(f"{name}: expected one of {', '.join(names)}; got {getattr(self, name)!r}")
        for name, least in (("repeats", 2), ("steps", 1), ("width", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected at least {least}, got {getattr(self, name)}")
        if self.seed >= 2**63:
            raise ValueError(f"seed: expected less than 2^63, got {self.seed}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate: expected a positive, finite number, got {self.learning_rate}")

    @property
    def name(self) -> str:
        """Names the row and its run directory."""
        return f"{self.part}-{self.encoding}-seed{self.seed}"
