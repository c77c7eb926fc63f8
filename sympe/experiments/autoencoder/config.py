"""The config of one row, the encodings, datasets and backbones by name, and the presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from sympe.experiments.configs import check_config

Encoding = Literal[
    "none",
    "noise",
    "haar",
    "laplacian",
    "random_walk",
    "sympe",
    "sympe-refinement",
    "sympe-scores",
    "sympe-order-refined",
    "sympe-order-degree",
    "sympe-order-breadth-first",
    "sympe-order-bliss",
]
Dataset = Literal["er", "community", "community-released"]
Backbone = Literal["egnn", "gnn"]
Preset = Literal["smoke", "demo", "full"]

ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
DATASETS: tuple[Dataset, ...] = get_args(Dataset)
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)
PRESETS: tuple[Preset, ...] = get_args(Preset)
ORDERS: dict[str, str] = {
    "sympe": "fiedler",
    "sympe-order-refined": "refined",
    "sympe-order-degree": "degree",
    "sympe-order-breadth-first": "breadth-first",
    "sympe-order-bliss": "bliss",
}
"""The encodings with the exact kernel, and their canonical order (:data:`~sympe.kernels.graphs.orders.NODE_ORDERS`)."""
COMPARED = tuple(encoding for encoding in ENCODINGS if encoding == "sympe" or encoding not in ORDERS)
"""The encodings of the main table: those of the study of canonical orders stand apart."""
MAX_NODES: dict[str, int] = {"er": 16, "community": 20, "community-released": 20}

CODE_VERSION = 2
"""Raise this when a change alters what a config trains: rows of another version are trained again."""


@dataclass(frozen=True)
class AutoencoderConfig:
    """One row of the comparison: everything that decides its numbers.

    Arguments:
        encoding: where the nodes start: none, noise, haar, laplacian, random_walk, sympe, sympe-refinement,
            sympe-scores, sympe-order-refined, sympe-order-degree, sympe-order-breadth-first or sympe-order-bliss.
        dataset: the graphs: er, community or community-released.
        backbone: egnn or gnn.
        seed: of the initial weights, the batches and the draws of the encoding; not of the data.
        steps: optimiser steps, the same for every row.
        batch: graphs a step, over all devices; all of one size.
        width: features in every layer.
        layers: layers of the backbone.
        coordinates: dimension of the embedding, and channels of the encoding.
        learning_rate: of Adam at the start; it falls to 0 by a cosine.
        encoding_rate: the learning rate of v over that of the network.
        decoder_rate: the learning rate of w and b over that of the network.
        gradient_clip: largest norm of the gradient of all parameters together.
        shrink: share of the coordinates that every layer of the EGNN takes away.
        code_version: of what a config trains; rows of another version are trained again.

    Raises:
        ValueError: if a name is unknown or a number is out of range.
    """

    encoding: Encoding = "sympe"
    dataset: Dataset = "er"
    backbone: Backbone = "egnn"
    seed: int = 0
    steps: int = 18000
    batch: int = 16
    width: int = 64
    layers: int = 4
    coordinates: int = 8
    learning_rate: float = 1e-3
    encoding_rate: float = 1.0
    decoder_rate: float = 50.0
    gradient_clip: float = 100.0
    shrink: float = 1e-3
    code_version: int = CODE_VERSION

    def __post_init__(self) -> None:
        check_config(
            self,
            names={"encoding": ENCODINGS, "dataset": DATASETS, "backbone": BACKBONES},
            least=dict.fromkeys(("steps", "batch", "width", "layers", "coordinates"), 1),
            positive=("learning_rate", "encoding_rate", "decoder_rate", "gradient_clip"),
            shares=("shrink",),
        )

    @property
    def name(self) -> str:
        """Names the row and its run directory."""
        return f"{self.dataset}-{self.backbone}-{self.encoding}-seed{self.seed}"

    @property
    def max_nodes(self) -> int:
        """The number of nodes of the largest graphs of the dataset."""
        return MAX_NODES[self.dataset]
