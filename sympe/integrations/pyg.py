"""PyTorch Geometric: ``Data`` and ``Batch`` in, node and edge features out; in the model, or as a transform.

In the model, any encoding of graphs:

    kernel = GraphKernel(max_nodes=32)
    encoding = NodeEncoding(SymPE(kernel, NodeAction(kernel.group, channels=16)))
    x = torch.cat([data.x, encoding(data)], dim=-1)

In the data loader, where workers draw and the model only looks up rows of v:

    dataset.transform = DrawPlaces(GraphKernel(max_nodes=32))
    v = torch.nn.Embedding(32, 16)
    x = torch.cat([data.x, v(data.place)], dim=-1)
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData
from torch_geometric.transforms import BaseTransform

from sympe.encodings import Encoding
from sympe.graphs import Graphs, SparseGraphs
from sympe.graphs.attributes import graphs_of
from sympe.graphs.checks import check_sizes
from sympe.groups import Permutations
from sympe.kernels import Kernel
from sympe.tolerance import Tolerance


def to_graphs(
    data: Data,
    *,
    node_attr: str | None = "x",
    edge_attr: str | None = "edge_attr",
    directed: bool | None = None,
    tolerance: float | Tolerance = 1e-6,
) -> SparseGraphs:
    """The coloured graphs of a ``Data``, also with a ``batch`` vector, or a ``Batch``.

    What is coloured breaks symmetry: nodes with different features are not exchanged. An attribute that is absent
    leaves all nodes, or all edges, equal; attributes that are not named, such as ``edge_weight`` and ``pos``, are not
    looked at.

    Arguments:
        data: one graph, or a batch of them.
        node_attr: the attribute with the node features, ``(nodes,)`` or ``(nodes, channels)``; None ignores features.
        edge_attr: the attribute with the edge features.
        directed: whether arcs may lack their reverse; False raises if one does, None warns and takes them as they are.
        tolerance: largest gap between floats that count as equal, relative to the largest of their channel in their
            graph (:mod:`sympe.tolerance`).

    Raises:
        TypeError: if ``data`` is no ``Data``.
        ValueError: if it has no ``edge_index``, an attribute does not fit it, or one other than the defaults is absent.

    Example:
        >>> data = Data(edge_index=torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), num_nodes=3)
        >>> from torch_geometric.data import Batch
        >>> to_graphs(Batch.from_data_list([data, data])).sizes
        tensor([3, 3])
    """
    if isinstance(data, HeteroData):
        raise TypeError("data: HeteroData has nodes of several types; data.to_homogeneous() makes one of them")
    if not isinstance(data, Data):
        raise TypeError(f"data: expected a torch_geometric Data or Batch, got {type(data).__name__}")
    options: Any = {"node_attr": node_attr, "edge_attr": edge_attr, "tolerance": tolerance}
    graphs = graphs_of(data.to_dict(), int(data.num_nodes or 0), directed=directed is not False, **options)
    if directed is None and graphs.is_directed:
        warnings.warn(
            "edge_index: an edge has one direction only, or other features backwards, so the graph is taken as "
            "directed, with fewer symmetries; directed=True says that it is meant, PyG's ToUndirected() mends it",
            stacklevel=2,
        )
    return graphs


@dataclass(frozen=True)
class Reading:
    """Options of :func:`to_graphs`, which it is called with."""

    node_attr: str | None = "x"
    edge_attr: str | None = "edge_attr"
    directed: bool | None = None
    tolerance: float | Tolerance = 1e-6

    def __call__(self, data: Data) -> SparseGraphs:
        """The graphs of ``data``."""
        return to_graphs(data, **vars(self))


def _reading(options: dict[str, Any]) -> Reading:
    """The options, if they are known."""
    known = [field.name for field in fields(Reading)]
    if unknown := set(options) - set(known):
        raise TypeError(f"options: expected {', '.join(known)} of to_graphs; got {', '.join(sorted(unknown))}")
    return Reading(**options)


class NodeEncoding(nn.Module):
    """Any encoding of graphs, as node features of PyG's shape.

    Arguments:
        encoding: gives features of shape ``(batch, max_nodes, channels)`` from graphs.
        options: of :func:`to_graphs`; ``directed=False`` refuses graphs with an edge in one direction only.

    Raises:
        TypeError: if ``encoding`` is no encoding, or an option is unknown.
        ValueError: if it does not give features of nodes; on use, if a graph has more than its ``max_nodes`` nodes.

    Example:
        >>> from sympe.actions import NodeAction
        >>> from sympe.encodings import SymPE
        >>> from sympe.kernels import GraphKernel
        >>> kernel = GraphKernel(max_nodes=8)
        >>> encoding = NodeEncoding(SymPE(kernel, NodeAction(kernel.group, channels=4)))
        >>> data = Data(edge_index=torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), num_nodes=3)
        >>> from torch_geometric.data import Batch
        >>> encoding(Batch.from_data_list([data, data])).shape
        torch.Size([6, 4])
    """

    def __init__(self, encoding: Encoding, **options: Any) -> None:
        super().__init__()
        _check_encoding(encoding)
        if len(encoding.shape) != 2:
            raise ValueError(f"encoding: expected features of shape (max_nodes, channels), got {encoding.shape}")
        self.encoding = encoding
        self.reader = _reading(options)

    def extra_repr(self) -> str:
        """Which attributes colour the graphs."""
        return repr(self.reader)

    def forward(
        self, data: Data, *, target: Tensor | Data | None = None, generator: torch.Generator | None = None
    ) -> Float[Tensor, "nodes channels"]:
        """Draw features for every node.

        Arguments:
            data: one graph, or a batch.
            target: what the model is trained on, for an encoding with a coupled kernel: values on the nodes, such as
                ``data.y``, or graphs of the same nodes.
            generator: draws.

        Raises:
            TypeError: as :func:`to_graphs`.
            ValueError: as there; if a graph has more nodes than the encoding, the encoding takes no target, or the
                target is not one of these nodes.
        """
        graphs = self.reader(data)
        check_sizes(graphs, self.encoding.shape[0])
        coupled: dict[str, Any] = {}
        if target is not None:
            coupled["target"] = self.reader(target) if isinstance(target, Data) else target
        features: Tensor = self.encoding(graphs, generator=generator, **coupled)
        graph, place = _places(graphs)
        return features[graph, place]


class EdgeEncoding(nn.Module):
    """Any encoding of pairs of nodes, as features of the arcs in ``edge_index``.

    Arguments:
        encoding: gives features of shape ``(batch, max_nodes, max_nodes, channels)`` from graphs.
        options: of :func:`to_graphs`.

    Raises:
        TypeError: if ``encoding`` is no encoding, or an option is unknown.
        ValueError: if it does not give features of pairs; on use, if a graph has more than its ``max_nodes`` nodes.

    Example:
        >>> from sympe.actions import EdgeAction
        >>> from sympe.encodings import SymPE
        >>> from sympe.kernels import GraphKernel
        >>> kernel = GraphKernel(max_nodes=8)
        >>> encoding = EdgeEncoding(SymPE(kernel, EdgeAction(kernel.group, channels=4)))
        >>> encoding(Data(edge_index=torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), num_nodes=3)).shape
        torch.Size([4, 4])
    """

    def __init__(self, encoding: Encoding, **options: Any) -> None:
        super().__init__()
        _check_encoding(encoding)
        if len(encoding.shape) != 3:
            raise ValueError(
                f"encoding: expected features of shape (max_nodes, max_nodes, channels), got {encoding.shape}"
            )
        self.encoding = encoding
        self.reader = _reading(options)

    def extra_repr(self) -> str:
        """Which attributes colour the graphs."""
        return repr(self.reader)

    def forward(
        self, data: Data, *, target: Tensor | Data | None = None, generator: torch.Generator | None = None
    ) -> Float[Tensor, "arcs channels"]:
        """Draw features for every arc, in the order of ``edge_index``.

        Arguments:
            data: one graph, or a batch.
            target: what the model is trained on, for an encoding with a coupled kernel: values on the arcs, in the
                order of ``edge_index``, or graphs of the same nodes.
            generator: draws.

        Raises:
            TypeError: as :func:`to_graphs`.
            ValueError: as there; if a graph has more nodes than the encoding, the encoding takes no target, or the
                target is not one of these arcs or nodes.
        """
        graphs = self.reader(data)
        check_sizes(graphs, self.encoding.shape[0])
        coupled: dict[str, Any] = {}
        if isinstance(target, Data):
            coupled["target"] = self.reader(target)
        elif target is not None:
            arcs = int(data.edge_index.shape[1])
            if target.dim() not in (1, 2) or len(target) != arcs:
                raise ValueError(f"target: expected shape ({arcs},) or (*, channels), got {tuple(target.shape)}")
            tolerance = self.reader.tolerance
            coupled["target"] = SparseGraphs.from_features(
                data.edge_index, graphs.sizes, features=target, directed=True, tolerance=tolerance
            )
        features: Tensor = self.encoding(graphs, generator=generator, **coupled)
        graph, place = _places(graphs)
        i, j = data.edge_index
        return features[graph[i], place[i], place[j]]


class DrawPlaces(BaseTransform):  # type: ignore[misc]
    """A transform that draws g and stores the canonical place of every node, ``g^-1``: the row of v that is its own.

    Every access draws again, in the worker that loads the graph. PyG seeds its workers from torch's global seed.

    Arguments:
        kernel: a kernel on graphs.
        attr: the new attribute, ``(nodes,)``; a name without "index" or "batch", which PyG treats in its own way.
        options: of :func:`to_graphs`.

    Raises:
        TypeError: if the kernel is not on permutations, or an option is unknown.
        ValueError: if PyG would change the attribute when it batches.

    Example:
        >>> from sympe.kernels import GraphKernel
        >>> data = Data(edge_index=torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), num_nodes=3)
        >>> sorted(DrawPlaces(GraphKernel(max_nodes=8))(data).place.tolist())
        [0, 1, 2]
    """

    def __init__(self, kernel: Kernel, *, attr: str = "place", **options: Any) -> None:
        if not isinstance(kernel.group, Permutations):
            raise TypeError(f"kernel: expected one on Permutations, got {kernel.group!r}")
        if "index" in attr or "batch" in attr or attr in ("face", "adj", "ptr"):
            raise ValueError(f"attr: expected a name that PyG batches as it is, got {attr!r}")
        self.kernel = kernel
        self.group = kernel.group
        self.attr = attr
        self.reader = _reading(options)

    def __repr__(self) -> str:
        return f"DrawPlaces({self.kernel!r}, attr={self.attr!r}, {self.reader!r})"

    def forward(self, data: Data) -> Data:
        """Add the places to a copy of ``data``."""
        graphs = self.reader(data)
        with torch.no_grad():
            places = self.group.inverse(self.kernel.sample(graphs))
        graph, node = _places(graphs)
        data[self.attr] = places[graph, node]
        return data


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


def _check_encoding(encoding: Encoding) -> None:
    if not isinstance(encoding, Encoding):
        raise TypeError(f"encoding: expected an Encoding, such as SymPE(kernel, action); got {type(encoding).__name__}")


def _places(graphs: SparseGraphs) -> tuple[Tensor, Tensor]:
    """The graph of each node, and its number in it."""
    graph = graphs.graph
    return graph, torch.arange(len(graph), device=graph.device) - graphs.starts[graph]
