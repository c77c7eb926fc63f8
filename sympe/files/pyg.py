"""What PyTorch Geometric saves (.pt).

Files are opened without Python's pickle, which can run any code, unless they are trusted: tensors, arrays, and the
classes of PyG itself.
"""

from __future__ import annotations

import codecs
import pickle
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sympe.extras import missing
from sympe.files.base import Channel, Loaded
from sympe.files.options import Options
from sympe.graphs.attributes import edge_list, features_of, graphs_of, sizes_of, table

_FAULTS = (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, NotImplementedError)


def read(path: Path, options: Options) -> Iterator[Loaded]:
    """One ``Data`` or ``Batch``, a list of them, or what InMemoryDataset saves."""
    try:
        from torch_geometric.data import Data, HeteroData
    except ImportError as error:
        raise missing("PyG files need", "torch_geometric", "pyg") from error
    content = _opened(path, trust=options.trust)
    several = "HeteroData has nodes of several types; data.to_homogeneous() makes one of them"
    if isinstance(content, tuple) and len(content) >= 2:  # what InMemoryDataset saves: one big Data, and where to cut
        data, slices = content[:2]
        if isinstance(data, HeteroData) or (len(content) > 2 and content[2] is HeteroData):
            raise ValueError(f"data: {several}")
        try:
            data = Data.from_dict(data) if isinstance(data, dict) else data
            content = [data] if slices is None else [_cut(data, slices, i) for i in range(_count(slices))]
        except _FAULTS as error:
            raise ValueError(f"data: {path} cannot be cut into graphs: {error}") from error
    if isinstance(content, HeteroData):
        raise ValueError(f"data: {several}")
    if not isinstance(content, list | tuple):
        content = [content]
        if not isinstance(content[0], Data):
            raise ValueError(
                "data: expected Data, a Batch, a list of them or what InMemoryDataset saves; "
                f"got {type(content[0]).__name__}"
            )
    for number, data in enumerate(content):
        name = f"{path.name}[{number}]"
        try:
            if isinstance(data, HeteroData):
                raise ValueError(several)
            if not isinstance(data, Data):
                raise ValueError(f"expected Data, got {type(data).__name__}")
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                nodes = int(data.num_nodes or 0)
            attributes = {key: value for key, value in data.to_dict().items() if value is not None}
            edge_list(attributes)
            if told:  # PyG guesses by the largest node of an edge
                nodes = max(nodes, _nodes_of_targets(attributes, options))
            parts = _parts(attributes, nodes, options)
        except _FAULTS as error:
            yield Loaded(name, str(error) or type(error).__name__)
            continue
        for row, (part, size) in enumerate(parts):
            yield _loaded(name if len(parts) == 1 else f"{name}[{row}]", part, size, options)


def _opened(path: Path, *, trust: bool) -> Any:
    from torch_geometric.data import Batch, Data, data, storage

    allowed: list[Any] = [
        Data,
        Batch,
        _unbatched,
        (_Getter, "torch_geometric.data.batch.DynamicInheritanceGetter"),
        data.DataEdgeAttr,
        data.DataTensorAttr,
        storage.BaseStorage,
        storage.NodeStorage,
        storage.EdgeStorage,
        storage.GlobalStorage,
        np.ndarray,
        np.dtype,
        np.zeros(0).__reduce__()[0],  # NumPy's own way to make an array, whatever module it is in
        *(type(np.dtype(kind)) for kind in "?bhilqBHILQefd"),
        codecs.encode,
    ]
    torch.serialization.add_safe_globals(allowed)
    try:
        return torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError as error:
        if trust or "Unsupported global" not in str(error):
            raise ValueError(f"data: {path} cannot be loaded by torch: {_first(error)}") from error
        word = str(error).partition("GLOBAL ")[2].split()
        raise ValueError(
            f"data: {path} holds {word[0] if word else 'something'}, which is not of PyTorch Geometric; opening it "
            "can run any code. If you trust the file, give --trust"
        ) from error
    except Exception as error:  # a damaged file can raise anything
        raise ValueError(f"data: {path} cannot be loaded by torch: {_first(error)}") from error


def _unbatched(*bases: type) -> Any:
    """What a batch is without the class that PyG makes for it at run time: it keeps ``ptr`` and ``batch``."""
    return bases[-1]()


class _Getter:
    """Stands for what PyG's batches are made with, which torch does not call without pickle."""

    def __new__(cls) -> Any:
        return _unbatched


def _first(error: Exception) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]


def _nodes_of_targets(attributes: Mapping[str, Any], options: Options) -> int:
    """How many nodes the features or targets of nodes have, if that is told by them alone."""
    keys = [key for key in (options.node_features, options.node_targets) if key is not None and key in attributes]
    found = [table(key, attributes[key]) for key in keys]
    return max((len(value) for value in found if value.dim()), default=0)


def _parts(attributes: Mapping[str, Any], nodes: int, options: Options) -> list[tuple[dict[str, Any], int]]:
    """The graphs of a batch, each with its own attributes and number of nodes."""
    sizes = sizes_of(attributes, nodes).tolist()
    if len(sizes) == 1:
        return [({key: value for key, value in attributes.items() if key not in ("ptr", "batch")}, nodes)]
    arcs = edge_list(attributes)
    if arcs.numel() and (int(arcs.min()) < 0 or int(arcs.max()) >= nodes):
        raise ValueError(f"edge_index: expected nodes in 0..{nodes - 1}, got {int(arcs.min())}..{int(arcs.max())}")
    graph = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    if bool((graph[arcs[0]] != graph[arcs[1]]).any()):
        raise ValueError("edge_index: expected both nodes in one graph, got an arc between two graphs of the batch")
    order = graph[arcs[0]].argsort(stable=True)
    counts = graph[arcs[0]].bincount(minlength=len(sizes)).tolist()
    columns: dict[str, tuple[Tensor, ...]] = {}
    for keys, lengths, by in (
        ((options.node_features, options.node_targets), sizes, None),
        ((options.edge_features, options.edge_targets), counts, order),
    ):
        for key in keys:
            if key is not None and key in attributes:
                value = table(key, attributes[key])
                if value.dim() == 0 or len(value) != sum(lengths):
                    raise ValueError(f"{key}: expected {sum(lengths)} rows for a batch, got {tuple(value.shape)}")
                columns[key] = (value if by is None else value[by]).split(lengths)
    starts = torch.tensor([0, *sizes]).cumsum(0).tolist()
    edges = arcs[:, order].split(counts, 1)
    return [
        ({"edge_index": edges[row] - starts[row], **{key: value[row] for key, value in columns.items()}}, size)
        for row, size in enumerate(sizes)
    ]


def _loaded(name: str, part: Mapping[str, Any], size: int, options: Options) -> Loaded:
    """One graph with its targets; or, by name, what is wrong."""
    chosen = [None if key == "none" else key for key in (options.node_features, options.edge_features)]
    names: Any = {"node_attr": chosen[0], "edge_attr": chosen[1], "words": ("node_features", "edge_features")}
    try:
        graph = graphs_of(part, size, tolerance=options.tolerance, **names)
        targets = _targets(part, options.node_targets)
        edges = _targets(part, options.edge_targets)
        if edges is not None:
            arcs = edge_list(part)
            keys = arcs[0] * size + arcs[1]
            if edges.dim() == 0 or len(edges) != len(keys):
                got = len(edges) if edges.dim() else "a scalar"
                raise ValueError(f"{options.edge_targets}: expected {len(keys)} targets of edges, got {got}")
            if len(keys.unique()) != len(keys):
                raise ValueError("targets of edges that are there twice are ambiguous")
            edges = edges[keys.argsort()]  # as the arcs are sorted
        floats = [
            channel
            for key, value in zip(chosen, features_of(part, **names), strict=True)
            if key is not None and value is not None and value.is_floating_point()
            for channel in _channels(key, value)
        ]
    except _FAULTS as error:
        return Loaded(name, str(error) or type(error).__name__)
    return Loaded(name, graph, targets, edges, tuple(floats))


def _channels(key: str, value: Tensor) -> list[Channel]:
    if value.dim() == 1 or value.shape[1] == 1:
        return [(key, value.flatten())]
    return [(f"{key}[{number}]", column) for number, column in enumerate(value.unbind(1))]


def _targets(part: Mapping[str, Any], key: str | None) -> Tensor | None:
    if key is None:
        return None
    if part.get(key) is None:
        raise ValueError(f"{key}: expected a tensor of targets, got NoneType")
    return table(key, part[key])


def _count(slices: Any) -> int:
    return len(next(iter(slices.values()))) - 1


def _cut(data: Any, slices: Any, index: int) -> Any:
    from torch_geometric.data.separate import separate

    return separate(cls=data.__class__, batch=data, idx=index, slice_dict=slices, decrement=False)
