"""The first geometries of QM9, made exactly symmetric."""

from __future__ import annotations

import ast
import csv
import importlib.util
import itertools
import warnings
from pathlib import Path

import torch
from torch import Tensor

from sympe.graphs import Clouds
from sympe.groups import Euclidean
from sympe.kernels.points import PointKernel

ATOMIC_NUMBERS = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}
FLAT = 0.02
"""Angstroms."""


def geometries(count: int) -> Clouds:
    """As they are in the CSV files of qm9pack, which is not imported, in angstroms."""
    spec = importlib.util.find_spec("qm9pack")
    assert spec is not None
    assert spec.origin is not None
    found = []
    with (Path(spec.origin).parent / "data" / "qm9_part1.csv").open() as file:
        for row in itertools.islice(csv.DictReader(file), count):
            types = torch.tensor([ATOMIC_NUMBERS[name] for name in ast.literal_eval(row["Elements"])])
            positions = torch.tensor(ast.literal_eval(row["XYZ_Ang"]), dtype=torch.float64)
            found.append(Clouds.from_positions(positions[None], types[None]))
    return Clouds.concatenate(found)


def symmetrised(x: Clouds, tolerance: float) -> Clouds:
    """The averages over the permutations of atoms that distances allow, each with the isometry that fits it best.

    Molecules that leave a plane or a line by less than ``FLAT`` are laid on it: distances hardly see that.
    """
    kernel = PointKernel(Euclidean(3), x.mask.shape[1], tolerance=tolerance)
    positions = x.centered().positions.clone()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of distances in chains
        finite = kernel.entropy(x).isfinite().nonzero().squeeze(1)
        every = kernel.stabilizer(x.select(finite), limit=10_000)
    for row, size in enumerate(x.sizes.tolist()):
        positions[row, :size] = _flattened(positions[row, :size])
    for row, elements in zip(finite.tolist(), every, strict=True):
        places = kernel.group.components(elements)[1][:, : int(x.sizes[row])]
        positions[row, : places.shape[1]] = _averaged(positions[row, : places.shape[1]], places)
    return Clouds(positions, x.types, x.mask, x.vectors)


def _flattened(q: Tensor) -> Tensor:
    axes = torch.linalg.svd(q)[2].mT
    along = q @ axes
    return along * (along.abs().amax(0) > FLAT) @ axes.mT


def _averaged(q: Tensor, places: Tensor) -> Tensor:
    for _ in range(50):
        there = q[places]
        U, _, V = torch.linalg.svd(there.mT @ q)
        q = (there @ (U @ V)).mean(0)
    return q
