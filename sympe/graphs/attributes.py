"""Coloured graphs from named attributes, as PyTorch Geometric keeps them: for its objects and its files alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.graphs.batches import SparseGraphs
from sympe.tolerance import Tolerance


def table(name: str, value: Any) -> Tensor:
    """A feature, or targets, as a dense tensor; half precision as single, which holds it exactly.

    Arguments:
        name: of the attribute.
        value: a tensor, dense or sparse, an array of NumPy, or a list of numbers.

    Raises:
        TypeError: if it is something else.

    Example:
        >>> table("x", np.eye(2, dtype=np.float16)).dtype
        torch.float32
    """
    if isinstance(value, np.ndarray | list | tuple | bool | int | float):
        try:
            value = torch.as_tensor(np.ascontiguousarray(value) if isinstance(value, np.ndarray) else value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"{name}: expected numbers, got {type(value).__name__} ({error})") from error
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}: expected a tensor, got {type(value).__name__}")
    value = value.detach()
    if value.layout != torch.strided:
        value = value.to_dense()
    if value.is_floating_point() and value.dtype.itemsize < 4:
        value = value.float()
    plain: Tensor = value.as_subclass(Tensor)
    return plain


def edge_list(attributes: Mapping[str, Any]) -> Int64[Tensor, "2 arcs"]:
    """The ``edge_index``; of a graph without edges it may have any shape and type.

    Raises:
        ValueError: if there is none.
    """
    if attributes.get("edge_index") is None:
        raise ValueError("data: expected an edge_index, got none")
    arcs = table("edge_index", attributes["edge_index"])
    if arcs.numel() == 0:
        return torch.zeros(2, 0, dtype=torch.int64, device=arcs.device)
    arcs = _integers("edge_index", arcs)
    if arcs.dim() != 2 or len(arcs) != 2:
        raise ValueError(f"edge_index: expected shape (2, arcs), got {tuple(arcs.shape)}")
    return arcs


def _integers(name: str, value: Any) -> Tensor:
    numbers = table(name, value)
    if numbers.numel() and (numbers.is_floating_point() or numbers.is_complex() or numbers.dtype == torch.bool):
        raise TypeError(f"{name}: expected integers, got {numbers.dtype}")
    return numbers.long()


def sizes_of(attributes: Mapping[str, Any], num_nodes: int) -> Int64[Tensor, " batch"]:
    """The number of nodes of each graph: by ``ptr``, else by ``batch``, else there is one.

    Raises:
        TypeError: if these are no integers.
        ValueError: if these do not fit the number of nodes, or do not ascend.

    Example:
        >>> sizes_of({"batch": torch.tensor([0, 0, 1])}, 3)
        tensor([2, 1])
    """
    if attributes.get("ptr") is not None:
        ptr = _integers("ptr", attributes["ptr"])
        sizes = ptr.diff()
        if ptr.dim() != 1 or len(ptr) == 0 or int(ptr[0]) or int(ptr[-1]) != num_nodes or bool((sizes < 0).any()):
            raise ValueError(f"ptr: expected numbers that ascend from 0 to {num_nodes}")
        return sizes
    if attributes.get("batch") is not None:
        batch = _integers("batch", attributes["batch"])
        if batch.dim() != 1 or len(batch) != num_nodes or bool((batch.diff() < 0).any()) or bool((batch < 0).any()):
            raise ValueError(f"batch: expected {num_nodes} numbers of graphs that ascend")
        return batch.bincount()
    device = attributes["edge_index"].device if isinstance(attributes.get("edge_index"), Tensor) else None
    return torch.tensor([num_nodes], device=device)


def features_of(
    attributes: Mapping[str, Any], *, node_attr: str | None, edge_attr: str | None, words: tuple[str, str]
) -> tuple[Tensor | None, Tensor | None]:
    """The features of nodes and edges, of one or two dimensions; None where they are absent.

    Arguments:
        attributes: by name.
        node_attr: the attribute with the node features; None ignores features.
        edge_attr: the attribute with the edge features.
        words: what the two are called in messages.

    Raises:
        TypeError: if a feature is no table of numbers.
        ValueError: if an attribute is absent whose name is not the default.
    """
    found = []
    for argument, name, default in ((words[0], node_attr, "x"), (words[1], edge_attr, "edge_attr")):
        if name not in (None, default) and attributes.get(name) is None:  # a name of one's own is there on purpose
            raise ValueError(f"{argument}: expected one of {', '.join(sorted(attributes))}; got {name!r}")
        value = None if name is None or attributes.get(name) is None else table(name, attributes[name])
        found.append(value.flatten(1) if value is not None and value.dim() > 1 else value)
    return found[0], found[1]


def graphs_of(
    attributes: Mapping[str, Any],
    num_nodes: int,
    *,
    node_attr: str | None = "x",
    edge_attr: str | None = "edge_attr",
    directed: bool = True,
    tolerance: float | Tolerance = 1e-6,
    words: tuple[str, str] = ("node_attr", "edge_attr"),
) -> SparseGraphs:
    """The coloured graphs.

    Arguments:
        attributes: by name, ``edge_index`` among them, and ``ptr`` or ``batch`` where there are several graphs.
        num_nodes: nodes of all graphs.
        node_attr: the attribute with the node features, ``(nodes,)`` or ``(nodes, channels)``; None ignores features.
        edge_attr: the attribute with the edge features.
        directed: whether arcs may lack their reverse; False raises if one does.
        tolerance: largest gap between floats that count as equal (:mod:`sympe.tolerance`).
        words: what the two attributes are called in messages.

    Raises:
        TypeError: if a feature is no table of numbers.
        ValueError: if there is no ``edge_index``, an attribute does not fit, or one other than the defaults is absent.

    Example:
        >>> graphs_of({"edge_index": torch.tensor([[0, 1], [1, 0]]), "batch": torch.tensor([0, 0, 1])}, 3).sizes
        tensor([2, 1])
    """
    arcs = edge_list(attributes)
    nodes, edges = features_of(attributes, node_attr=node_attr, edge_attr=edge_attr, words=words)
    sizes = sizes_of(attributes, num_nodes)
    return SparseGraphs.from_features(arcs, sizes, nodes, edges, directed=directed, tolerance=tolerance)
