"""What PyTorch Geometric saves (.pt): a pickle, to be opened only where it is trusted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sympe.files.base import Loaded, Options
from sympe.graphs import SparseGraphs


def read(path: Path, options: Options) -> Iterator[Loaded]:
    """One ``Data``, a list of them, or what InMemoryDataset saves."""
    try:
        from torch_geometric.data import Data
    except ImportError as error:
        raise ImportError("PyG files need torch_geometric: pip install 'sympe[pyg]'") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=False)  # as PyG writes them, pickles: trust them
    except Exception as error:  # a pickle can raise anything
        raise ValueError(f"data: {path} cannot be loaded by torch: {error}") from error
    if isinstance(content, tuple) and len(content) >= 2:  # what InMemoryDataset saves: one big Data, and where to cut
        data, slices = content[:2]
        content = [
            _cut(Data.from_dict(data) if isinstance(data, dict) else data, slices, i) for i in range(_count(slices))
        ]
    if isinstance(content, Data):
        content = [content]
    if not isinstance(content, list):
        raise ValueError(
            f"data: expected Data, a list of them or what InMemoryDataset saves; got {type(content).__name__}"
        )
    for number, data in enumerate(content):
        name = f"{path.name}[{number}]"
        try:
            if not isinstance(data, Data):
                raise ValueError(f"expected Data, got {type(data).__name__}")
            graph = _from_data(data, options)
            targets = None if options.node_targets is None else _attribute(data, options.node_targets)
            edges = None
            if options.edge_targets is not None:
                edges = _attribute(data, options.edge_targets)
                keys = data.edge_index[0] * data.num_nodes + data.edge_index[1]
                if len(edges) != len(keys):
                    raise ValueError(f"{options.edge_targets}: expected {len(keys)} targets of edges, got {len(edges)}")
                if len(keys.unique()) != len(keys):
                    raise ValueError("targets of edges that are there twice are ambiguous")
                edges = edges[keys.argsort()]  # as the arcs are sorted
        except (ValueError, TypeError) as error:
            yield name, str(error), None, None
        else:
            yield name, graph, targets, edges


def _from_data(data: Any, options: Options) -> SparseGraphs:
    if data.edge_index is None:
        raise ValueError("expected an edge_index, got none")
    features = [data.get(name) for name in (options.node_features, options.edge_features)]
    for argument, value in zip(("node_features", "edge_features"), features, strict=True):
        name = getattr(options, argument)
        if value is None and name not in ("none", getattr(Options, argument)):
            raise ValueError(f"{argument}: expected one of {', '.join(sorted(data.keys()))}; got {name!r}")
    nodes, edges = (None if value is None else value.view(len(value), -1) for value in features)
    sizes = torch.tensor([data.num_nodes])
    return SparseGraphs.from_features(data.edge_index, sizes, nodes, edges, directed=True, tolerance=options.tolerance)


def _attribute(data: Any, name: str) -> Tensor:
    value = data.get(name)
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: expected a tensor of targets, got {type(value).__name__}")
    return value


def _count(slices: Any) -> int:
    return len(next(iter(slices.values()))) - 1


def _cut(data: Any, slices: Any, index: int) -> Any:
    from torch_geometric.data.separate import separate

    return separate(cls=data.__class__, batch=data, idx=index, slice_dict=slices, decrement=False)
