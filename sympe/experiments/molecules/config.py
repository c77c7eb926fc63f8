"""The config of one row, the encodings, datasets and transitions by name, and the presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from sympe.experiments.configs import check_config
from sympe.experiments.molecules.tables import steps_of

Encoding = Literal[
    "none",
    "cycles",
    "structure",
    "stock",
    "canonical",
    "noise",
    "haar",
    "laplacian",
    "sympe-nodes",
    "sympe-nodes-edges",
    "sympe-scores",
    "structure+sympe",
    "canonical+sympe",
]
Dataset = Literal["qm9", "qm9-h", "moses"]
Transition = Literal["marginal", "uniform", "absorbing", "places"]
Order = Literal["refined", "degree", "breadth-first", "depth-first", "fiedler", "bliss"]
Precision = Literal["32-true", "bf16-mixed"]
Preset = Literal["smoke", "demo", "full", "gpu"]

ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
DATASETS: tuple[Dataset, ...] = get_args(Dataset)
TRANSITIONS: tuple[Transition, ...] = get_args(Transition)
ORDERS: tuple[Order, ...] = get_args(Order)
USUAL_ORDER: Order = "breadth-first"
"""That a row's name leaves out."""
PRESETS: tuple[Preset, ...] = get_args(Preset)

LEAST_CHANNELS = 6
"""Features of a node that the stock features of DiGress need, and one channel more where SymPE is beside them."""

WITH_COUPLING = ("haar", "sympe-nodes", "sympe-nodes-edges", "structure+sympe")
"""Encodings whose g can be coupled to x_0."""

CODE_VERSION = 3
"""Raise this when a change alters what a config trains: rows of another version are trained again."""


@dataclass(frozen=True)
class MoleculesConfig:
    """One row of the comparison: everything that decides its numbers.

    Arguments:
        encoding: what the network is told beside the types: none, cycles, structure, stock, canonical, noise, haar,
            laplacian, sympe-nodes, sympe-nodes-edges, sympe-scores, structure+sympe or canonical+sympe.
        dataset: the molecules: qm9, qm9-h (with hydrogens) or moses.
        transition: towards what the noise goes: marginal, uniform or absorbing; places is absorbing, too, but T steps
            settle one place after the other, by a table that comes with the package: for coupled rows of qm9.
        coupled: whether g is drawn once for all times, from x_T and in training also from x_0, and not anew from each
            noisy graph; for haar, sympe-nodes, sympe-nodes-edges and structure+sympe.
        seed: of the initial weights, the batches, the noise and the draws of the encoding; not of the data.
        steps: optimiser steps, the same for every row.
        batch: molecules a step, over all devices.
        times: T, the number of noise levels.
        layers: of the graph transformer, as all sizes below.
        node_width: width of the features of nodes.
        edge_width: width of those of pairs.
        graph_width: width of those of the graph.
        heads: number of heads, which sets the scale of the attention.
        node_hidden: width inside the two-layer networks on nodes.
        edge_hidden: width inside those on pairs.
        graph_hidden: width inside those on graphs.
        encoding_channels: features of a node that the encoding gives.
        pair_channels: features of a pair that it gives.
        encoding_scale: standard deviation of v at the start, and of the noise.
        order: which canonical form SymPE's kernel has: refined, degree, breadth-first, depth-first, fiedler
            or bliss.
        learning_rate: of AdamW, after the warm-up; it falls to 0 by a cosine.
        warmup: share of the steps in which the learning rate rises.
        gradient_clip: largest norm of the gradient of all parameters together.
        average: decay of the exponential moving average of the weights, which is what is evaluated.
        tested: test molecules that the bound is taken over, the first ones; all if there are fewer.
        sampled: molecules that are drawn from the trained model.
        precision: of Lightning: "32-true", or "bf16-mixed" on a GPU.
        code_version: of what a config trains; rows of another version are trained again.

    Raises:
        ValueError: if a name is unknown or a number is out of range.
    """

    encoding: Encoding = "sympe-nodes-edges"
    dataset: Dataset = "qm9"
    transition: Transition = "marginal"
    coupled: bool = False
    seed: int = 0
    steps: int = 6000
    batch: int = 64
    times: int = 500
    layers: int = 4
    node_width: int = 64
    edge_width: int = 32
    graph_width: int = 32
    heads: int = 8
    node_hidden: int = 128
    edge_hidden: int = 64
    graph_hidden: int = 64
    encoding_channels: int = 8
    pair_channels: int = 4
    encoding_scale: float = 1.0
    order: Order = USUAL_ORDER
    learning_rate: float = 1e-3
    warmup: float = 0.05
    gradient_clip: float = 1.0
    average: float = 0.999
    tested: int = 20_000
    sampled: int = 1000
    precision: Precision = "32-true"
    code_version: int = CODE_VERSION

    def __post_init__(self) -> None:
        # the network checks its own sizes
        whole = ("steps", "batch", "times", "encoding_channels", "pair_channels", "tested", "sampled")
        check_config(
            self,
            names={
                "encoding": ENCODINGS,
                "dataset": DATASETS,
                "transition": TRANSITIONS,
                "order": ORDERS,
                "precision": get_args(Precision),
            },
            least=dict.fromkeys(whole, 1),
            positive=("encoding_scale", "learning_rate", "gradient_clip"),
            shares=("warmup", "average"),
        )
        least = LEAST_CHANNELS + (self.encoding == "canonical+sympe")
        if self.encoding_channels < least:
            raise ValueError(
                f"encoding_channels: expected at least {least}, for the features of all rows; "
                f"got {self.encoding_channels}"
            )
        if self.warmup * self.steps <= 1:
            raise ValueError(f"warmup: expected more than one step, got {self.warmup} of {self.steps}")
        if self.coupled and self.encoding not in WITH_COUPLING:
            raise ValueError(f"coupled: expected an encoding of {', '.join(WITH_COUPLING)}; got {self.encoding!r}")
        if self.by_places is not None:
            if not self.coupled or self.dataset != "qm9":
                raise ValueError(
                    "transition: places are those of a coupled g and of qm9, expected coupled rows of it; "
                    f"got coupled={self.coupled} on {self.dataset}"
                )
            if self.times not in steps_of(self.order):
                raise ValueError(
                    f"times: expected the steps of a table of {self.order} places, "
                    f"{', '.join(map(str, steps_of(self.order))) or 'of which there is none'}; got {self.times}"
                )

    @property
    def name(self) -> str:
        """Names the row and its run directory."""
        coupled = "-coupled" if self.coupled else ""
        order = f"-{self.order}" if self.order != USUAL_ORDER else ""
        steps = "" if self.by_places is None else f"-{self.by_places}"
        return f"{self.dataset}-{self.transition}{steps}-{self.encoding}{coupled}{order}-seed{self.seed}"

    @property
    def by_places(self) -> int | None:
        """The steps of the table that the row is trained on; None for noise by chance."""
        return self.times if self.transition == "places" else None


def called(encoding: str, coupled: bool, order: str, by_places: int | None = None) -> str:
    """What rows are called in tables and figures.

    By the encoding, whether g is coupled, an order that is unusual, and the steps of a table of places.

    Example:
        >>> called("sympe-nodes", True, "depth-first"), called("sympe-nodes", False, USUAL_ORDER)
        ('sympe-nodes, coupled, depth-first', 'sympe-nodes')
        >>> called("haar", True, "depth-first", 10)
        'haar, coupled, depth-first, for 10p'
    """
    name = encoding + (", coupled" if coupled else "") + (f", {order}" if order != USUAL_ORDER else "")
    return name if by_places is None else f"{name}, for {by_places}p"
