"""Fields on periodic square lattices (.npz): an array "fields", ``(batch, channels, L, L)``, and arrays of targets."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sympe.files.base import Loaded
from sympe.files.options import Options


def read(path: Path, options: Options) -> Iterator[Loaded]:
    """Every field, with its targets."""
    content = path.read_bytes()
    try:
        with np.load(io.BytesIO(content)) as stored:
            arrays = dict(stored)
    except Exception as error:  # NumPy, zipfile and zlib have their own kinds
        raise ValueError(f"data: {path} is no npz file: {error}") from error
    if "fields" not in arrays:
        raise ValueError(f'data: expected an array "fields" in {path}, got {", ".join(arrays) or "none"}')
    fields = _tensor(path, "fields", arrays["fields"])
    if fields.dim() != 4 or fields.shape[2] != fields.shape[3] or 0 in fields.shape[1:]:
        raise ValueError(f"fields: expected shape (batch, channels, L, L) in {path}, got {tuple(fields.shape)}")
    targets = None
    if options.node_targets is not None:
        if options.node_targets not in arrays:
            raise ValueError(f"node_targets: expected one of {', '.join(arrays)} in {path}; got {options.node_targets}")
        targets = _tensor(path, options.node_targets, arrays[options.node_targets])
        if targets.dim() < 3 or len(targets) != len(fields) or targets.shape[-2:] != fields.shape[-2:]:
            raise ValueError(
                f"node_targets: expected one target a site of {tuple(fields.shape)} in {path}, "
                f"got {tuple(targets.shape)}"
            )
    for number, x in enumerate(fields):
        name = f"{path.name}[{number}]"
        if not bool(x.isfinite().all()):
            yield Loaded(name, "expected finite values, got NaN or infinity")
        else:
            yield Loaded(name, x, None if targets is None else targets[number])


def _tensor(path: Path, name: str, array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "biuf" or array.itemsize > 8:
        raise ValueError(f"{name}: expected real numbers in {path}, got {array.dtype}")
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
