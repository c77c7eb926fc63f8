r"""C(x) in the dataset: searched when it is processed, drawn from when it is loaded or in the model.

``pre_transform=StoreCosets(kernel)`` keeps with each graph one canonical order of its nodes, and its symmetries taken
apart (:class:`~sympe.kernels.StoredCosets`). What changes the graph later makes them those of another one; a
fingerprint of edges, colours and the table itself is kept beside them, and is compared at every draw.

A draw itself is not to be kept: it would be the same in every epoch, and the nodes that it tells apart be told apart
once and for all. So :class:`DrawPlaces` puts a :class:`OneDraw` beside its places, which cannot be pickled: a dataset
that has ``DrawPlaces`` as ``pre_transform`` fails when it is processed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import BaseTransform

from sympe.graphs.attributes import edge_list, features_of, sizes_of
from sympe.graphs.coloring import mix
from sympe.groups import Permutations
from sympe.groups.checks import check_integer, check_kind
from sympe.integrations.pyg.reading import Reading, attributes_of, places_of
from sympe.kernels import GraphKernel, Kernel, StoredCosets
from sympe.kernels.graphs.hard import warn_of_other_hard_parts, with_other_hard_parts
from sympe.tolerance import Tolerance

_FACTORS = mix(torch.arange(8, device="cpu")).bitwise_or(1).tolist()
"""Of numbers that make one word together."""

_PARTS = ("order", "twins", "rows", "table", "check")


class StoreCosets(BaseTransform):  # type: ignore[misc]
    """A transform for ``pre_transform``, that searches the symmetries of each graph once and stores them with it.

    :class:`NodeEncoding`, :class:`EdgeEncoding`, :class:`GraphEncoding` (``stored=``) and :class:`DrawPlaces` then draw
    without a search: uniform on C(x), as the kernel does. For most molecules that is a few hundred bytes a graph.

    Transforms that change edges or colours come before it. Where one comes after it, the draw is refused; features that
    are no colours (``node_attr``, ``edge_attr``) may change.

    Arguments:
        kernel: whose C(x) is stored.
        attr_name: the attributes are called so, with ``_order``, ``_twins``, ``_rows``, ``_table`` and ``_check``.
        max_numbers: largest table of a graph.
        options: of :func:`to_graphs`.

    Raises:
        TypeError: if the kernel is no GraphKernel, or an option is unknown.
        ValueError: if PyG would change the attributes when it batches; on use, if a table is too large.

    Example:
        >>> from torch_geometric.data import Batch
        >>> data = Data(edge_index=torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), num_nodes=3)
        >>> cosets = StoreCosets(GraphKernel(max_nodes=8))
        >>> batch = Batch.from_data_list([cosets(data), cosets(data)])
        >>> cosets.sample(batch)[:, 3:].tolist()  # of the path, the ends exchanged or not; the padding stays
        [[3, 4, 5, 6, 7], [3, 4, 5, 6, 7]]
    """

    def __init__(
        self, kernel: GraphKernel, *, attr_name: str = "coset", max_numbers: int = 2**20, **options: Any
    ) -> None:
        check_kind("kernel", kernel, GraphKernel)
        check_integer("max_numbers", max_numbers)
        _check_name(attr_name)
        self.kernel = kernel
        self.attr_name = attr_name
        self.max_numbers = max_numbers
        self.reader = Reading.of(options)

    def __repr__(self) -> str:
        return f"StoreCosets({self.kernel!r}, attr_name={self.attr_name!r}, {self.reader!r})"

    @property
    def group(self) -> Permutations:
        """That of the kernel."""
        return self.kernel.group

    def forward(self, data: Data) -> Data:
        """Add the attributes to a copy of ``data``."""
        graphs = self.reader(data)
        stored = StoredCosets.of(self.kernel, graphs, max_numbers=self.max_numbers)
        numbers = torch.zeros_like(stored.sizes).index_add(
            0, _owner(stored.levels), stored.rows * stored.sizes[_owner(stored.levels)]
        )
        parts = {"order": stored.orders, "twins": stored.twins, "rows": stored.rows, "table": stored.table}
        attributes = attributes_of(data, self.reader.edge_attr)
        prints = self._prints(attributes, stored, numbers)
        form = torch.full_like(numbers, self._hash(self.kernel.form))
        parts["check"] = torch.stack([stored.levels, numbers, prints, form], 1)
        for name, value in parts.items():
            data[f"{self.attr_name}_{name}"] = value
        return data

    def sample(self, data: Data, *, generator: torch.Generator | None = None) -> Int64[Tensor, "batch max_nodes"]:
        """Draw a uniform element of C(x) for every graph, from what is stored.

        Raises:
            TypeError: if ``data`` is no ``Data``.
            ValueError: if nothing is stored, it is of another kernel or other options, or a graph was changed.
        """
        attributes = attributes_of(data, self.reader.edge_attr)
        stored = self._stored(attributes, int(data.num_nodes or 0))
        graph, place = places_of(stored.sizes)
        g = self.group.identity((len(stored.sizes),), device=stored.sizes.device)
        g[graph, place] = stored.sample(generator=generator)
        return g

    def _stored(self, attributes: Mapping[str, Any], nodes: int) -> StoredCosets:
        """What is stored, of the graphs as they are.

        Raises:
            ValueError: if it is not there, or is another's.
        """
        names = [f"{self.attr_name}_{part}" for part in _PARTS]
        if missing := [name for name in names if not isinstance(attributes.get(name), Tensor)]:
            raise ValueError(
                f"data: expected what {self!r} stores, got no {missing[0]}; give it to the dataset as pre_transform, "
                "and delete the folder 'processed' of one that was made before"
            )
        orders, twins, rows, table, check = (attributes[name] for name in names)
        sizes = sizes_of(attributes, nodes)
        counts = check.sum(0).tolist() if check.dim() == 2 and check.shape[1] == 4 else []
        found = [len(sizes), nodes, nodes, *counts[:2]]
        if [len(part) for part in (check, orders, twins, rows, table)] != found:
            raise ValueError(f"data: {self.attr_name}: {_CHANGED}")
        form, other = (self._hash(form) for form in (self.kernel.form, with_other_hard_parts(self.kernel.form)))
        if bool(((check[:, 3] != form) & (check[:, 3] != other)).any()):
            raise ValueError(
                f"data: {self.attr_name}: was stored with another kernel, or other options, than {self!r}; delete the "
                "dataset's folder 'processed', or take those it was made with"
            )
        stored = StoredCosets(sizes, orders, twins, check[:, 0], rows, table)
        wrong = self._prints(attributes, stored, check[:, 1]) != check[:, 2]
        if bool(wrong.any()):
            raise ValueError(f"data: {self.attr_name}: graph {int(wrong.nonzero()[0])}: {_CHANGED}")
        if bool((check[:, 3] == other).any()):
            warn_of_other_hard_parts(f"data: {self.attr_name}: was stored", stacklevel=3)
        return stored

    def _prints(self, attributes: Mapping[str, Any], stored: StoredCosets, numbers: Tensor) -> Tensor:
        """A hash of every graph with its colours and of what is stored with it, whatever the order of the arcs."""
        reader = self.reader
        arcs = edge_list(attributes)
        nodes, edges = features_of(
            attributes, node_attr=reader.node_attr, edge_attr=reader.edge_attr, words=("node_attr", "edge_attr")
        )
        graph, place = places_of(stored.sizes)
        features = [(nodes, graph), (edges, arcs[0])]
        fits = all(value is None or len(value) == len(of) for value, of in features)
        if not fits or (arcs.numel() and not 0 <= int(arcs.min()) <= int(arcs.max()) < len(graph)):
            raise ValueError(f"data: {self.attr_name}: {_CHANGED}")
        of_arcs = graph[arcs[0]]
        i, j = place[arcs]
        a, b, c, d, e, f, h, k = _FACTORS
        words = [
            a * place + b * stored.orders + c * stored.twins + _bits(nodes),
            d * i + e * j + (graph[arcs[1]] - of_arcs) + _bits(edges),  # which is 0 within a graph
            f * stored.rows + _local(stored.levels),
            h * stored.table + k * _local(numbers),
        ]
        every = torch.cat([graph, of_arcs, _owner(stored.levels), _owner(numbers)])
        prints: Tensor = torch.zeros_like(stored.sizes).index_add_(0, every, mix(torch.cat(words)))
        return prints

    def _hash(self, form: dict[str, str]) -> int:
        """A hash of the form of a kernel and of what colours the graph."""
        reader = self.reader
        said = [form, reader.node_attr, reader.edge_attr, str(Tolerance.of(reader.tolerance))]
        digest = hashlib.blake2b(json.dumps(said).encode(), digest_size=8).digest()
        return int.from_bytes(digest, signed=True)


class DrawPlaces(BaseTransform):  # type: ignore[misc]
    """A transform that draws g and stores the canonical place of every node, ``g^-1``: the row of v that is its own.

    Every access draws again, in the worker that loads the graph. PyG seeds its workers from torch's global seed. It is
    no ``pre_transform``: what it gives cannot be saved (:class:`OneDraw`). A list of graphs that are drawn for once and
    kept in memory is the same mistake, and nothing tells.

    Arguments:
        draws: what ``pre_transform`` was, to draw without a search; or a kernel on graphs, which searches every time.
        attr_name: the new attribute, ``(nodes,)``; a name without "index" or "batch", which PyG treats in its own way.
        options: of :func:`to_graphs`, for a kernel.

    Raises:
        TypeError: if the kernel is not on permutations, or an option is unknown, or not for stored cosets.
        ValueError: if PyG would change the attribute when it batches.

    Example:
        >>> data = Data(edge_index=torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), num_nodes=3)
        >>> sorted(DrawPlaces(GraphKernel(max_nodes=8))(data).place.tolist())
        [0, 1, 2]
    """

    def __init__(self, draws: StoreCosets | Kernel, *, attr_name: str = "place", **options: Any) -> None:
        if not isinstance(draws, StoreCosets | Kernel):
            raise TypeError(f"draws: expected StoreCosets or a kernel on graphs, got {type(draws).__name__}")
        if not isinstance(draws.group, Permutations):
            raise TypeError(f"draws: expected a kernel on Permutations, got {draws.group!r}")
        _check_name(attr_name)
        self.draws = draws
        self.attr_name = attr_name
        self.reader = reader_of(draws, options) if isinstance(draws, StoreCosets) else Reading.of(options)

    def __repr__(self) -> str:
        more = "" if isinstance(self.draws, StoreCosets) else f", {self.reader!r}"
        return f"DrawPlaces({self.draws!r}, attr_name={self.attr_name!r}{more})"

    def forward(self, data: Data) -> Data:
        """Add the places to a copy of ``data``."""
        with torch.no_grad():
            g = self.draws.sample(data if isinstance(self.draws, StoreCosets) else self.reader(data))
        places = self.draws.group.inverse(g)
        data[self.attr_name] = places[places_of(sizes_of(data.to_dict(), int(data.num_nodes or 0)))]
        data[f"{self.attr_name}_draw"] = OneDraw(self.attr_name)
        return data


class OneDraw:
    """Stands beside an attribute that is one draw, and refuses to be pickled: it is not to be saved with a dataset.

    To the workers of a data loader and back it goes. Delete it from the data to save the draw all the same.

    Arguments:
        attr_name: the attribute.

    Raises:
        TypeError: when it is pickled.

    Example:
        >>> import pickle
        >>> pickle.dumps(OneDraw("place"))
        Traceback (most recent call last):
        TypeError: place: is one draw of g, which once saved would be the same in every epoch; ...
    """

    def __init__(self, attr_name: str) -> None:
        self.attr_name = attr_name

    def __repr__(self) -> str:
        return f"OneDraw({self.attr_name!r})"

    def __copy__(self) -> OneDraw:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> OneDraw:
        return self

    def __reduce__(self) -> Any:
        raise TypeError(
            f"{self.attr_name}: is one draw of g, which once saved would be the same in every epoch; DrawPlaces is no "
            f"pre_transform: take pre_transform=StoreCosets(kernel) and transform=DrawPlaces(StoreCosets(kernel)). "
            f"To save it all the same, delete {self.attr_name}_draw"
        )


def _sent(draw: OneDraw) -> tuple[Callable[[str], OneDraw], tuple[str]]:
    return OneDraw, (draw.attr_name,)


ForkingPickler.register(OneDraw, _sent)  # between processes, as data loaders send what they have loaded


def reader_of(stored: StoreCosets, options: dict[str, Any]) -> Reading:
    """The options of what is stored.

    Raises:
        TypeError: if there are others.
    """
    if options:
        raise TypeError(f"options: expected none beside stored cosets, which have their own; got {', '.join(options)}")
    return stored.reader


_CHANGED = (
    "its edges or colours, or what was stored, were changed afterwards; transforms that change them come before "
    "StoreCosets"
)


def _check_name(attr_name: str) -> None:
    if "index" in attr_name or "batch" in attr_name or attr_name in ("face", "adj", "ptr"):
        raise ValueError(f"attr_name: expected a name that PyG batches as it is, got {attr_name!r}")


def _owner(counts: Int64[Tensor, " batch"]) -> Int64[Tensor, " total"]:
    return torch.arange(len(counts), device=counts.device).repeat_interleave(counts)


def _local(counts: Int64[Tensor, " batch"]) -> Int64[Tensor, " total"]:
    return places_of(counts)[1]


def _bits(features: Tensor | None) -> Tensor | int:
    """One word for each row, the same for equal numbers of equal kind (floats, integers)."""
    if features is None:
        return 0
    rows = features[:, None] if features.dim() == 1 else features
    words = (rows.double() + 0.0).view(torch.int64) if rows.is_floating_point() else rows.long()  # -0.0 is 0.0
    salt = mix(torch.arange(rows.shape[1], device=rows.device))
    summed: Tensor = mix(words + salt).sum(1)
    return summed
