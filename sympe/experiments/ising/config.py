"""The config of one row, the encodings and variants by name, and the presets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from sympe.experiments.configs import check_config

Encoding = Literal["none", "noise", "haar", "relaxed", "sympe", "sympe-learned"]
Variant = Literal["paper", "wide", "supercell", "glass"]
Preset = Literal["smoke", "demo", "full"]

ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
VARIANTS: tuple[Variant, ...] = get_args(Variant)
PRESETS: tuple[Preset, ...] = get_args(Preset)

PHASES = ("ferromagnet", "stripes along x", "stripes along y", "checkerboard")
"""The phases of constant couplings, in the order of ``closed_form`` and ``phase_patterns`` of ``hamiltonian.py``.

In "stripes along x" neighbours in x̂ are equal and neighbours in ŷ opposite: the lines of equal spins run along x̂.
"""

CODE_VERSION = 2
"""Raise this when a change alters what a config trains: rows of another version are trained again."""


@dataclass(frozen=True)
class IsingConfig:
    """One row of the comparison: everything that decides its numbers.

    Arguments:
        encoding: what breaks the symmetry: none, noise, haar, relaxed, sympe or sympe-learned.
        variant: the distribution of Hamiltonians: paper, wide, supercell or glass.
        size: L, the side of the lattice.
        seed: of the initial weights, the training Hamiltonians and the draws of the encoding.
        steps: optimiser steps, the same for every row.
        batch: Hamiltonians a step, over all devices.
        channels: regular features a layer; a relaxed network gets fewer, so that it has about as many parameters.
        blocks: residual blocks.
        encoding_channels: channels of the encoding: of v, of the noise, or of zeros.
        encoding_scale: standard deviation of v at the start, and of the noise.
        coupling_scale: couplings and field are multiplied by this before they enter the network.
        learning_rate: peak of the one-cycle schedule of Adam.
        encoding_rate: the learning rate of v over that of the network.
        warmup: share of the steps before the peak.
        gradient_clip: largest norm of the gradient of all parameters together.
        temperature: T of the training loss at the start, over the critical one; 0 trains on the energy alone.
        cooling: share of the steps in which T falls to 0, linearly.
        code_version: of what a config trains; rows of another version are trained again.

    Raises:
        ValueError: if a name is unknown or a number is out of range.
    """

    encoding: Encoding = "sympe"
    variant: Variant = "wide"
    size: int = 10
    seed: int = 0
    steps: int = 2000
    batch: int = 32
    channels: int = 16
    blocks: int = 3
    encoding_channels: int = 4
    encoding_scale: float = 3.0
    coupling_scale: float = 6.0
    learning_rate: float = 3e-3
    encoding_rate: float = 5.0
    warmup: float = 0.3
    gradient_clip: float = 1.0
    temperature: float = 1.5
    cooling: float = 0.6
    code_version: int = CODE_VERSION

    def __post_init__(self) -> None:
        check_config(
            self,
            names={"encoding": ENCODINGS, "variant": VARIANTS},
            least=dict.fromkeys(("size", "steps", "batch", "channels", "blocks", "encoding_channels"), 1),
            positive=("encoding_scale", "coupling_scale", "learning_rate", "encoding_rate", "gradient_clip"),
        )
        if not 0 < self.warmup < 1:
            raise ValueError(f"warmup: expected a share between 0 and 1, got {self.warmup}")
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"temperature: expected a finite number of at least 0, got {self.temperature}")
        if not 0 < self.cooling <= 1:
            raise ValueError(f"cooling: expected a share above 0 and at most 1, got {self.cooling}")
        if self.warmup * self.steps <= 1:
            raise ValueError(f"warmup: expected more than one step, got {self.warmup} of {self.steps}")
        if self.variant == "supercell" and self.size % 2:
            raise ValueError(f"size: a 2 x 2 supercell needs an even lattice, got {self.size}")

    @property
    def name(self) -> str:
        """Names the row and its run directory."""
        return f"{self.variant}-L{self.size}-{self.encoding}-seed{self.seed}"

    @property
    def is_uniform(self) -> bool:
        """Whether the couplings of the variant are constant in space."""
        return self.variant in ("paper", "wide")

    def temperature_at(self, step: int) -> float:
        """T of the training loss, over the critical temperature: 0 from the end of the cooling on.

        Example:
            >>> [IsingConfig(steps=1000).temperature_at(step) for step in (0, 300, 600, 999)]
            [1.5, 0.75, 0.0, 0.0]
        """
        return self.temperature * max(0.0, 1 - step / (self.cooling * self.steps))

    @property
    def evaluation(self) -> int:
        """How many Hamiltonians the row is judged on: fewer where every optimum must be searched."""
        return 1024 if self.is_uniform and self.size % 2 == 0 else 64
