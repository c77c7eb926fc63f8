"""Features that transforms of PyG add, on graphs of ours."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import BaseTransform

from sympe.graphs import Graphs


class TransformFeatures:
    """Features that a transform of PyG adds to the nodes of one graph, for batches of ours: one graph after the other.

    Alone they depend on the order of the nodes wherever the transform does. On canonical forms, by
    :class:`~sympe.encodings.CanonicalEncoding`, they are equivariant in distribution.

    Random numbers that the transform takes from torch's CPU generator are the same every time, and leave it alone. The
    transform sees the arcs, in order, and the number of nodes; colours are not told. It has to be a function of these:
    PyG's eigenvectors are, up to ``transform.SPARSE_THRESHOLD`` nodes (100); above, the solver starts at random.

    Arguments:
        transform: adds ``attr`` to a ``Data``.
        attr: the attribute, ``(nodes, channels)``.
        channels: how many; if the transform gives fewer, the others are zeros.

    Raises:
        ValueError: on use, if the transform fails on a graph (PyG's eigenvectors want more nodes than vectors), adds no
            such attribute or one of another shape, or gives the largest graph of the batch other features when asked
            again.

    Example:
        >>> from sympe.integrations.pyg import NodeEncoding
        >>> from torch_geometric.transforms import AddLaplacianEigenvectorPE
        >>> from sympe.actions import NodeAction
        >>> from sympe.encodings import CanonicalEncoding
        >>> from sympe.kernels import GraphKernel
        >>> pe = AddLaplacianEigenvectorPE(k=2, attr_name="pe", is_undirected=True)
        >>> kernel = GraphKernel(max_nodes=8)
        >>> features = TransformFeatures(pe, "pe", channels=2)
        >>> encoding = NodeEncoding(CanonicalEncoding(kernel, features, NodeAction(kernel.group, channels=2)))
        >>> encoding(Data(edge_index=torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), num_nodes=3)).shape
        torch.Size([3, 2])
    """

    def __init__(self, transform: BaseTransform, attr: str, channels: int) -> None:
        self.transform = transform
        self.attr = attr
        self.channels = channels

    def __repr__(self) -> str:
        return f"TransformFeatures({self.transform}, attr={self.attr!r}, channels={self.channels})"

    def __call__(self, x: Graphs) -> Float[Tensor, "batch nodes channels"]:
        """The features of all graphs, zero in the padding."""
        x = x.sparse()
        n = int(x.sizes.max()) if len(x) else 0
        out = torch.zeros(len(x), n, self.channels, device=x.device)
        graph = x.graph[x.arcs[0]]
        largest = int(x.sizes.argmax()) if len(x) else 0
        for row, (start, size) in enumerate(zip(x.starts.tolist(), x.sizes.tolist(), strict=True)):
            arcs = x.arcs[:, graph == row] - start
            value = self._value(arcs, size, row)
            if row == largest and not _same(value, self._value(arcs, size, row)):
                raise ValueError(
                    f"transform: gives graph {row}, of {size} nodes, other features when asked again; PyG's "
                    "eigenvectors do so above transform.SPARSE_THRESHOLD nodes, which can be raised"
                )
            if not isinstance(value, Tensor) or value.dim() != 2 or len(value) != size:
                got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise ValueError(f"transform: expected {self.attr!r} of shape ({size}, channels), got {got}")
            if value.shape[1] > self.channels:
                raise ValueError(f"channels: expected at least the {value.shape[1]} of {self.attr!r}")
            out[row, :size, : value.shape[1]] = value
        return out

    def _value(self, arcs: Tensor, size: int, row: int) -> Any:
        data = Data(edge_index=arcs.clone(), num_nodes=size)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)  # and no other device's
            try:
                return self.transform(data).get(self.attr)
            except Exception as error:
                raise ValueError(f"transform: fails on graph {row}, of {size} nodes: {error}") from error


def _same(one: Any, other: Any) -> bool:
    return not isinstance(one, Tensor) or torch.allclose(one, other, rtol=0, atol=1e-4, equal_nan=True)
