"""Encodings of graphs as modules of PyG: from ``Data`` to features of its nodes and arcs."""

from __future__ import annotations

import abc
from typing import Any, Generic, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import Data

from sympe.encodings import Encoding, GraphSymPE, SymPE
from sympe.graphs import SparseGraphs
from sympe.graphs.attributes import edge_list, sizes_of
from sympe.graphs.checks import check_sizes
from sympe.integrations.pyg.cosets import StoreCosets, reader_of
from sympe.integrations.pyg.reading import Reading, attributes_of, places_of

Encoder = TypeVar("Encoder", Encoding, GraphSymPE)


class _FromData(nn.Module, abc.ABC, Generic[Encoder]):
    """What encodings of ``Data`` share: how it is read, and where g comes from.

    Arguments:
        encoding: gives features from graphs.
        max_nodes: of these.
        stored: the dataset's ``pre_transform``.
        options: of :func:`to_graphs`.
    """

    def __init__(self, encoding: Encoder, max_nodes: int, stored: StoreCosets | None, options: dict[str, Any]) -> None:
        super().__init__()
        if stored is not None:
            _check_stored(encoding, stored)
        self.encoding: Encoder = encoding
        self.stored = stored
        self.reader = Reading.of(options) if stored is None else reader_of(stored, options)
        self._max_nodes = max_nodes

    def extra_repr(self) -> str:
        """Which attributes colour the graphs, and where their symmetries are."""
        return repr(self.reader) if self.stored is None else f"stored={self.stored!r}"

    @abc.abstractmethod
    def _target(self, target: Any, data: Data, graphs: SparseGraphs) -> Any:
        """A target as the encoding takes it."""

    def _drawn(self, data: Data, target: Any, generator: torch.Generator | None) -> tuple[Any, Tensor, Tensor]:
        """The features; the graph and the place of every node."""
        if self.stored is not None:
            if target is not None:
                raise ValueError("target: stored cosets are those of x alone; leave stored out to train on targets")
            assert isinstance(self.encoding, SymPE | GraphSymPE)
            features = self.encoding.moved(self.stored.sample(data, generator=generator))
            graph, place = places_of(sizes_of(data.to_dict(), int(data.num_nodes or 0)))
            return features, graph, place
        graphs = self.reader(data)
        graph, place = places_of(check_sizes(graphs, self._max_nodes))
        coupled: dict[str, Any] = {} if target is None else {"target": self._target(target, data, graphs)}
        return self.encoding(graphs, generator=generator, **coupled), graph, place

    def _arcs(self, data: Data) -> Tensor:
        """In the order of ``edge_index``; of ``adj_t``, row by row."""
        return edge_list(attributes_of(data, self.reader.edge_attr))


class NodeEncoding(_FromData[Encoding]):
    """Any encoding of graphs, as node features of PyG's shape.

    Arguments:
        encoding: gives features of shape ``(batch, max_nodes, channels)`` from graphs.
        stored: what the dataset was processed with (``pre_transform``), to draw without a search; for SymPE.
        options: of :func:`to_graphs`; ``directed=False`` refuses graphs with an edge in one direction only.

    Raises:
        TypeError: if ``encoding`` is no encoding, an option is unknown, or ``stored`` is not for the encoding.
        ValueError: if it does not give features of nodes, or was stored with another kernel; on use, if a graph has
            more than its ``max_nodes`` nodes.

    Example:
        >>> from sympe.actions import NodeAction
        >>> from sympe.kernels import GraphKernel
        >>> kernel = GraphKernel(max_nodes=8)
        >>> encoding = NodeEncoding(SymPE(kernel, NodeAction(kernel.group, channels=4)))
        >>> data = Data(edge_index=torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), num_nodes=3)
        >>> from torch_geometric.data import Batch
        >>> encoding(Batch.from_data_list([data, data])).shape
        torch.Size([6, 4])
    """

    def __init__(self, encoding: Encoding, *, stored: StoreCosets | None = None, **options: Any) -> None:
        _check_encoding(encoding)
        if len(encoding.shape) != 2:
            raise ValueError(f"encoding: expected features of shape (max_nodes, channels), got {encoding.shape}")
        super().__init__(encoding, encoding.shape[0], stored, options)

    def _target(self, target: Any, data: Data, graphs: SparseGraphs) -> Any:
        return self.reader(target) if isinstance(target, Data) else target

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
            ValueError: as there and in :meth:`StoreCosets.sample`; if a graph has more nodes than the encoding, the
                encoding takes no target, or the target is not one of these nodes.
        """
        features, graph, place = self._drawn(data, target, generator)
        of_nodes: Tensor = features[graph, place]
        return of_nodes


class EdgeEncoding(_FromData[Encoding]):
    """Any encoding of pairs of nodes, as features of the arcs in ``edge_index``.

    Arguments:
        encoding: gives features of shape ``(batch, max_nodes, max_nodes, channels)`` from graphs.
        stored: what the dataset was processed with (``pre_transform``), to draw without a search; for SymPE.
        options: of :func:`to_graphs`.

    Raises:
        TypeError: if ``encoding`` is no encoding, an option is unknown, or ``stored`` is not for the encoding.
        ValueError: if it does not give features of pairs, or was stored with another kernel; on use, if a graph has
            more than its ``max_nodes`` nodes.

    Example:
        >>> from sympe.actions import EdgeAction
        >>> from sympe.kernels import GraphKernel
        >>> kernel = GraphKernel(max_nodes=8)
        >>> encoding = EdgeEncoding(SymPE(kernel, EdgeAction(kernel.group, channels=4)))
        >>> encoding(Data(edge_index=torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), num_nodes=3)).shape
        torch.Size([4, 4])
    """

    def __init__(self, encoding: Encoding, *, stored: StoreCosets | None = None, **options: Any) -> None:
        _check_encoding(encoding)
        if len(encoding.shape) != 3:
            raise ValueError(
                f"encoding: expected features of shape (max_nodes, max_nodes, channels), got {encoding.shape}"
            )
        super().__init__(encoding, encoding.shape[0], stored, options)

    def _target(self, target: Any, data: Data, graphs: SparseGraphs) -> Any:
        if isinstance(target, Data):
            return self.reader(target)
        arcs = self._arcs(data)
        if target.dim() not in (1, 2) or len(target) != arcs.shape[1]:
            raise ValueError(f"target: expected shape ({arcs.shape[1]},) or (*, channels), got {tuple(target.shape)}")
        return SparseGraphs.from_features(
            arcs, graphs.sizes, features=target, directed=True, tolerance=self.reader.tolerance
        )

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
            ValueError: as there and in :meth:`StoreCosets.sample`; if a graph has more nodes than the encoding, the
                encoding takes no target, or the target is not one of these arcs or nodes.
        """
        features, graph, place = self._drawn(data, target, generator)
        i, j = self._arcs(data)
        of_arcs: Tensor = features[graph[i], place[i], place[j]]
        return of_arcs


class GraphEncoding(_FromData[GraphSymPE]):
    """SymPE on nodes and arcs of PyG's graphs, both moved by one g.

    With a :class:`NodeEncoding` and an :class:`EdgeEncoding` of one kernel, two independent draws would move them: the
    features of an edge would then belong to other ends than the ones that its nodes have.

    Arguments:
        encoding: gives features of nodes and of pairs of nodes.
        stored: what the dataset was processed with (``pre_transform``), to draw without a search.
        options: of :func:`to_graphs`.

    Raises:
        TypeError: if ``encoding`` is no GraphSymPE, or an option is unknown.
        ValueError: if it was stored with another kernel; on use, if a graph has more than its ``max_nodes`` nodes.

    Example:
        >>> from sympe.kernels import GraphKernel
        >>> encoding = GraphEncoding(GraphSymPE(GraphKernel(max_nodes=8), node_channels=4, edge_channels=2))
        >>> nodes, edges = encoding(Data(edge_index=torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), num_nodes=3))
        >>> nodes.shape, edges.shape
        (torch.Size([3, 4]), torch.Size([4, 2]))
    """

    def __init__(self, encoding: GraphSymPE, *, stored: StoreCosets | None = None, **options: Any) -> None:
        if not isinstance(encoding, GraphSymPE):
            raise TypeError(
                f"encoding: expected GraphSymPE(kernel, node_channels, edge_channels), got {type(encoding).__name__}"
            )
        super().__init__(encoding, encoding.node_action.shape[0], stored, options)

    def _target(self, target: Any, data: Data, graphs: SparseGraphs) -> Any:
        return self.reader(target) if isinstance(target, Data) else target

    def forward(
        self, data: Data, *, target: Tensor | Data | None = None, generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "nodes node_channels"], Float[Tensor, "arcs edge_channels"]]:
        """Draw one g for every graph; features of its nodes, and of its arcs in the order of ``edge_index``.

        Arguments:
            data: one graph, or a batch.
            target: what the model is trained on, for a coupled kernel: values on the nodes, or graphs of the same
                nodes.
            generator: draws.

        Raises:
            TypeError: as :func:`to_graphs`.
            ValueError: as there and in :meth:`StoreCosets.sample`; if a graph has more nodes than the encoding, the
                encoding takes no target, or the target is not one of these nodes.
        """
        (nodes, pairs), graph, place = self._drawn(data, target, generator)
        i, j = self._arcs(data)
        return nodes[graph, place], pairs[graph[i], place[i], place[j]]


def _check_encoding(encoding: Encoding) -> None:
    if not isinstance(encoding, Encoding):
        raise TypeError(f"encoding: expected an Encoding, such as SymPE(kernel, action); got {type(encoding).__name__}")


def _check_stored(encoding: Encoding | GraphSymPE, stored: StoreCosets) -> None:
    if not isinstance(stored, StoreCosets):
        raise TypeError(f"stored: expected the StoreCosets of the dataset's pre_transform, got {type(stored).__name__}")
    if not isinstance(encoding, SymPE | GraphSymPE):
        raise TypeError(f"encoding: expected SymPE or GraphSymPE with stored cosets, got {type(encoding).__name__}")
    if (encoding.kernel.form, encoding.kernel.group) != (stored.kernel.form, stored.group):
        raise ValueError(
            f"stored: expected cosets of the encoding's {encoding.kernel!r}, got those of {stored.kernel!r}"
        )
