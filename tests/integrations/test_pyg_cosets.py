"""C(x) in a dataset of PyG: stored once, batched and saved as PyG does it, drawn from without a search."""

from __future__ import annotations

import copy
import pickle
import sys
from collections import Counter
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import networkx as nx
import pytest
import torch
from torch_geometric.data import Batch, Data, Dataset, InMemoryDataset, OnDiskDataset
from torch_geometric.loader import DataLoader
from torch_geometric.transforms import AddSelfLoops, BaseTransform, Compose, NormalizeFeatures, ToUndirected

from sympe.actions import EdgeAction, NodeAction
from sympe.encodings import GraphSymPE, NoiseEncoding, SymPE
from sympe.groups import Cyclic
from sympe.integrations.pyg import (
    DrawPlaces,
    EdgeEncoding,
    GraphEncoding,
    NodeEncoding,
    OneDraw,
    StoreCosets,
    to_graphs,
)
from sympe.kernels import CoupledGraphKernel, GraphKernel, HaarKernel
from sympe.randomness import seeded


def data_of(graph: nx.Graph, *, x: bool = True) -> Data:
    arcs = torch.tensor(list(graph.to_directed().edges), dtype=torch.int64).view(-1, 2).T
    features = {"x": torch.ones(len(graph), 2), "edge_attr": torch.ones(arcs.shape[1], 1)} if x else {}
    return Data(edge_index=arcs, num_nodes=len(graph), y=torch.zeros(1), **features)


GRAPHS = [
    data_of(graph)
    for graph in (
        nx.cycle_graph(6),
        nx.star_graph(3),
        nx.random_regular_graph(3, 8, seed=0),
        nx.gnp_random_graph(7, 0.4, seed=1),  # no symmetry: an empty table
        nx.empty_graph(2),
        nx.circular_ladder_graph(4),
    )
]
GRAPHS[3].x = torch.arange(7.0).view(7, 1).repeat(1, 2) + 1
KERNEL = GraphKernel(8)
STORE = StoreCosets(KERNEL)


def no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def search(*_: object) -> None:
        raise AssertionError("a search")

    for name in ("_element", "_start", "cosets"):
        monkeypatch.setattr(GraphKernel, name, search)


class InMemory(InMemoryDataset):
    """Processes its graphs in PyG's way, and saves them."""

    def __init__(self, root: Path, **transforms: BaseTransform) -> None:
        super().__init__(str(root), log=False, **transforms)
        self.load(self.processed_paths[0])

    @property
    def processed_file_names(self) -> list[str]:
        return ["data.pt"]

    def process(self) -> None:
        self.save([self.pre_transform(data.clone()) for data in GRAPHS], self.processed_paths[0])


class Files(Dataset):
    """One file a graph."""

    def __init__(self, root: Path, **transforms: BaseTransform) -> None:
        super().__init__(str(root), log=False, **transforms)

    @property
    def processed_file_names(self) -> list[str]:
        return [f"{number}.pt" for number in range(len(GRAPHS))]

    def process(self) -> None:
        for data, path in zip(GRAPHS, self.processed_paths, strict=True):
            torch.save(self.pre_transform(data.clone()), path)

    def len(self) -> int:
        return len(GRAPHS)

    def get(self, idx: int) -> Data:
        return torch.load(self.processed_paths[idx], weights_only=False)


class OnDisk(OnDiskDataset):
    """A data base."""

    def __init__(self, root: Path, pre_transform: BaseTransform, transform: BaseTransform | None = None) -> None:
        super().__init__(str(root), transform=transform, log=False)
        self.extend([pre_transform(data.clone()) for data in GRAPHS])


def test_a_draw_is_uniform_on_the_coset() -> None:
    """Of a ring; each of 12 elements within 5 standard deviations of 100 of 1200 draws: false in 1 of 10^5 runs."""
    ring = STORE(GRAPHS[0])
    batch = Batch.from_data_list([ring] * 1200)
    _, elements = KERNEL.list_coset(to_graphs(ring), limit=12)
    counts = Counter(map(tuple, STORE.sample(batch, generator=seeded(0)).tolist()))
    assert set(counts) == set(map(tuple, elements.tolist()))
    assert all(abs(count - 100) < 5 * (1200 / 12 * 11 / 12) ** 0.5 for count in counts.values())


@pytest.mark.parametrize("make", [InMemory, Files, OnDisk])
@pytest.mark.parametrize("size", [1, 6])
def test_it_is_stored_saved_loaded_and_batched(
    make: Callable[..., Dataset], size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, pre_transform=Compose([ToUndirected(), STORE]))
    dataset = make(tmp_path, pre_transform=Compose([ToUndirected(), STORE])) if make is not OnDisk else None
    dataset = dataset if dataset is not None else make(tmp_path / "other", pre_transform=Compose([STORE]))
    encoding = SymPE(KERNEL, NodeAction(KERNEL.group, 4))
    searched, stored = NodeEncoding(encoding), NodeEncoding(encoding, stored=StoreCosets(GraphKernel(8)))
    for batch in DataLoader(dataset, batch_size=size, shuffle=True):
        g = STORE.sample(batch)
        assert bool(KERNEL.log_prob(g, to_graphs(batch)).isfinite().all())
        assert searched(batch).shape == stored(batch).shape
    no_search(monkeypatch)
    for batch in DataLoader(dataset, batch_size=size):
        assert stored(batch).shape == (batch.num_nodes, 4)
    with pytest.raises(AssertionError, match="a search"):
        searched(batch)


@pytest.mark.parametrize("make", [InMemory, Files, OnDisk])
def test_a_draw_cannot_be_saved_with_a_dataset(make: Callable[..., Dataset], tmp_path: Path) -> None:
    """DrawPlaces as pre_transform, alone or in a Compose, by a kernel or by what is stored."""
    for number, wrong in enumerate([DrawPlaces(KERNEL), Compose([STORE, DrawPlaces(STORE)])]):
        with pytest.raises(TypeError, match="place: is one draw of g, which once saved would be the same in every"):
            make(tmp_path / str(number), pre_transform=wrong)


def test_one_draw_goes_to_workers_and_back_and_nowhere_else(tmp_path: Path) -> None:
    drawn = DrawPlaces(STORE)(STORE(GRAPHS[0]))
    assert repr(drawn.place_draw) == "OneDraw('place')"
    for save in (pickle.dumps, lambda data: torch.save(data, tmp_path / "data.pt")):
        for data in (drawn, Batch.from_data_list([drawn, drawn])):
            with pytest.raises(TypeError, match="delete place_draw"):
                save(data)
    back = ForkingPickler.loads(ForkingPickler.dumps(drawn.place_draw))
    assert isinstance(back, OneDraw)
    with pytest.raises(TypeError, match="place: is one draw"):
        pickle.dumps(back)
    for again in (drawn.clone(), copy.copy(drawn), copy.deepcopy(drawn), drawn.to("cpu")):
        assert torch.equal(again.place, drawn.place)
        with pytest.raises(TypeError, match="place: is one draw"):
            pickle.dumps(again)
    del drawn.place_draw
    assert torch.equal(pickle.loads(pickle.dumps(drawn)).place, drawn.place)


def test_workers_draw_anew_every_epoch(tmp_path: Path) -> None:
    dataset = InMemory(tmp_path, pre_transform=STORE, transform=DrawPlaces(StoreCosets(GraphKernel(8))))
    torch.manual_seed(0)
    loader = DataLoader(dataset, batch_size=6, num_workers=1)
    epochs = [next(iter(loader)) for _ in range(3)]
    for batch in epochs:
        for row, data in enumerate(GRAPHS):
            assert sorted(batch.place[batch.batch == row].tolist()) == list(range(data.num_nodes))
    assert len({tuple(batch.place.tolist()) for batch in epochs}) > 1


def test_places_are_the_inverse_of_g() -> None:
    batch = Batch.from_data_list([STORE(data) for data in GRAPHS])
    torch.manual_seed(5)
    place = DrawPlaces(STORE, attr_name="row")(batch).row
    torch.manual_seed(5)
    g = STORE.sample(batch)
    start = 0
    for row, data in enumerate(GRAPHS):
        n = data.num_nodes
        assert torch.equal(place[start : start + n][g[row, :n]], torch.arange(n))
        start += n


def recolored(data: Data) -> None:
    data.x[0] += 1


def recolored_edges(data: Data) -> None:
    data.edge_attr[0] += 1


def other_kind(data: Data) -> None:
    data.x = data.x.long()


def other_arc(data: Data) -> None:
    data.edge_index[1, 0] = (data.edge_index[1, 0] + 1) % data.num_nodes


def out_of_range(data: Data) -> None:
    data.edge_index[1, 0] = 99


def one_arc_less(data: Data) -> None:
    data.edge_index, data.edge_attr = data.edge_index[:, 1:], data.edge_attr[1:]


def one_node_more(data: Data) -> None:
    data.num_nodes += 1
    data.x = torch.ones(data.num_nodes, 2)


def no_colors(data: Data) -> None:
    data.x = None


def colors_that_do_not_fit(data: Data) -> None:
    data.x = data.x[1:]


def other_order(data: Data) -> None:
    data.coset_order = data.coset_order.roll(1)


def other_twins(data: Data) -> None:
    data.coset_twins[1] = 0


def other_rows(data: Data) -> None:
    data.coset_rows = data.coset_rows.flip(0)


def other_table(data: Data) -> None:
    data.coset_table[0] += 1


def short_table(data: Data) -> None:
    data.coset_table = data.coset_table[1:]


def other_check(data: Data) -> None:
    data.coset_check = data.coset_check[:, 1:]


IN_BATCHES = [
    recolored,
    recolored_edges,
    other_arc,
    out_of_range,
    one_arc_less,
    one_node_more,
    colors_that_do_not_fit,
    other_order,
    other_twins,
    other_rows,
    other_table,
    short_table,
]
ALONE = [other_kind, no_colors, other_check]  # in batches PyG makes one kind of all


@pytest.mark.parametrize("change", [*IN_BATCHES, *ALONE], ids=lambda change: change.__name__)
def test_a_graph_that_was_changed_is_refused(change: Callable[[Data], None]) -> None:
    for place in (0, 5):
        datas = [STORE(data.clone()) for data in GRAPHS]
        assert STORE.sample(Batch.from_data_list(datas)).shape == (6, 8)
        change(datas[place])
        with pytest.raises(ValueError, match=r"data: coset: .*were changed afterwards; transforms that change them"):
            STORE.sample(datas[place])
        if change in IN_BATCHES:
            with pytest.raises(ValueError, match="were changed afterwards"):
                STORE.sample(Batch.from_data_list(datas))


def test_there_is_something_to_change() -> None:
    star, ring = STORE(GRAPHS[1]), STORE(GRAPHS[0])
    assert ring.coset_rows.tolist() == [1, 5]
    assert ring.coset_table.dtype == torch.int16
    assert star.coset_rows.tolist() == []  # twins alone
    assert len(STORE(GRAPHS[3]).coset_table) == 0


def test_what_is_no_change_is_taken() -> None:
    """Other features, the order of the arcs, a float of another precision, -0.0."""
    data = STORE(GRAPHS[0].clone())
    data.x[:] = 0.0
    data = STORE(data)
    data.pos = torch.randn(6, 3)
    order = torch.randperm(data.edge_index.shape[1], generator=seeded(0))
    data.edge_index, data.edge_attr = data.edge_index[:, order], data.edge_attr[order].half()
    data.x = -data.x.double()
    assert bool(KERNEL.log_prob(STORE.sample(data), to_graphs(data)).isfinite())


def test_transforms_before_and_after() -> None:
    for late in (AddSelfLoops(attr="edge_attr"), NormalizeFeatures()):
        right = Compose([late, STORE])(GRAPHS[0].clone())
        assert STORE.sample(right).shape == (1, 8)
        with pytest.raises(ValueError, match=r"data: coset: .*changed afterwards"):
            Compose([STORE, late, DrawPlaces(STORE)])(GRAPHS[0].clone())
    ignoring = StoreCosets(KERNEL, node_attr=None)  # features that are no colours may change
    assert "place" in Compose([ignoring, NormalizeFeatures(), DrawPlaces(ignoring)])(GRAPHS[0].clone())


def test_cosets_from_where_igraph_is_or_is_not_are_taken_with_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    data = STORE(GRAPHS[0].clone())
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "igraph", None)
        other = STORE(GRAPHS[0].clone())
        STORE.sample(other)
        with pytest.warns(UserWarning, match="coset: was stored with igraph, which is not installed here: connected"):
            STORE.sample(data)
        with pytest.raises(ValueError, match="data: coset: was stored with another kernel, or other options"):
            StoreCosets(GraphKernel(8, order="refined")).sample(data)
    STORE.sample(data)
    with pytest.warns(UserWarning, match="coset: was stored without igraph, which is installed here: connected"):
        STORE.sample(other)


def test_another_kernel_or_other_options_are_refused() -> None:
    data = STORE(GRAPHS[0])
    others = [
        StoreCosets(GraphKernel(8, order="refined")),
        StoreCosets(KERNEL, node_attr=None),
        StoreCosets(KERNEL, edge_attr=None),
        StoreCosets(KERNEL, tolerance=0.1),
    ]
    for other in others:
        with pytest.raises(ValueError, match="data: coset: was stored with another kernel, or other options, than Sto"):
            other.sample(data)
    with pytest.raises(ValueError, match=r"data: expected what StoreCosets.* stores, got no coset_order"):
        STORE.sample(GRAPHS[0])
    with pytest.raises(ValueError, match="got no mine_order"):
        StoreCosets(KERNEL, attr_name="mine").sample(data)
    assert StoreCosets(GraphKernel(20)).sample(data).shape == (1, 20)  # room for larger graphs changes nothing


@pytest.mark.usefixtures("unchecked")
def test_errors() -> None:
    with pytest.raises(TypeError, match="kernel: expected an instance of GraphKernel, got HaarKernel"):
        StoreCosets(HaarKernel(Cyclic(3)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_numbers: expected at least 1, got 0"):
        StoreCosets(KERNEL, max_numbers=0)
    with pytest.raises(ValueError, match="take more than max_numbers = 10 numbers"):
        StoreCosets(KERNEL, max_numbers=10)(GRAPHS[0])
    with pytest.raises(ValueError, match="attr_name: expected a name that PyG batches as it is, got 'my_index'"):
        StoreCosets(KERNEL, attr_name="my_index")
    with pytest.raises(TypeError, match=r"options: expected node_attr, .* of to_graphs; got nodes"):
        StoreCosets(KERNEL, nodes="x")
    with pytest.raises(TypeError, match="draws: expected StoreCosets or a kernel on graphs, got int"):
        DrawPlaces(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"options: expected none beside stored cosets, .*; got edge_attr"):
        DrawPlaces(STORE, edge_attr=None)
    nodes = SymPE(KERNEL, NodeAction(KERNEL.group, 2))
    with pytest.raises(TypeError, match="stored: expected the StoreCosets of the dataset's pre_transform, got GraphKe"):
        NodeEncoding(nodes, stored=KERNEL)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="options: expected none beside stored cosets"):
        NodeEncoding(nodes, stored=STORE, edge_attr=None)
    with pytest.raises(TypeError, match="encoding: expected SymPE or GraphSymPE with stored cosets, got NoiseEncoding"):
        NodeEncoding(NoiseEncoding((8, 2)), stored=STORE)
    for other in (GraphKernel(9), GraphKernel(8, order="refined")):
        with pytest.raises(
            ValueError, match=r"stored: expected cosets of the encoding's GraphKernel\(max_nodes=8, ord"
        ):
            NodeEncoding(nodes, stored=StoreCosets(other))
    coupled = SymPE(CoupledGraphKernel(KERNEL), NodeAction(KERNEL.group, 2))
    with pytest.raises(ValueError, match="target: stored cosets are those of x alone"):
        NodeEncoding(coupled, stored=STORE)(STORE(GRAPHS[0]), target=torch.zeros(6))
    with pytest.raises(TypeError, match=r"encoding: expected GraphSymPE\(kernel, .*, got SymPE"):
        GraphEncoding(nodes)  # type: ignore[arg-type]
    assert repr(STORE).startswith("StoreCosets(GraphKernel(max_nodes=8, order='breadth-first'), attr_name='coset', ")
    assert repr(DrawPlaces(STORE)) == f"DrawPlaces({STORE!r}, attr_name='place')"
    assert f"stored={STORE!r}" in repr(NodeEncoding(nodes, stored=STORE))


def check_one_g(nodes: torch.Tensor, edges: torch.Tensor, encoding: GraphSymPE, batch: Batch) -> None:
    """The rows of v that the ends of an arc have say which entry of the table is its own."""
    table = encoding._table()
    rows = torch.cdist(nodes, encoding.v).argmin(1)
    i, j = batch.edge_index
    torch.testing.assert_close(edges, table[rows[i], rows[j]])


def test_nodes_and_edges_have_one_g() -> None:
    encoding = GraphSymPE(KERNEL, 3, 2)
    batch = Batch.from_data_list([STORE(data) for data in GRAPHS])
    for module in (GraphEncoding(encoding), GraphEncoding(encoding, stored=STORE)):
        nodes, edges = module(batch, generator=seeded(3))
        assert nodes.shape == (batch.num_nodes, 3)
        assert edges.shape == (batch.edge_index.shape[1], 2)
        check_one_g(nodes, edges, encoding, batch)
        other = module(batch, generator=seeded(4))
        check_one_g(*other, encoding, batch)
        with pytest.raises(AssertionError):  # two draws, as of NodeEncoding and EdgeEncoding
            check_one_g(nodes, other[1], encoding, batch)
    (nodes.sum() + edges.sum()).backward()
    assert encoding.v.grad is not None
    assert encoding.u.grad is not None


def test_edges_alone_are_drawn_from_what_is_stored() -> None:
    encoding = SymPE(KERNEL, EdgeAction(KERNEL.group, 2))
    batch = Batch.from_data_list([STORE(data) for data in GRAPHS])
    features = EdgeEncoding(encoding, stored=STORE)(batch, generator=seeded(1))
    dense = encoding.moved(STORE.sample(batch, generator=seeded(1)))
    graph, start = batch.batch[batch.edge_index[0]], batch.ptr[batch.batch[batch.edge_index[0]]]
    i, j = batch.edge_index - start
    torch.testing.assert_close(features, dense[graph, i, j])


def test_nodes_and_edges_are_coupled_to_targets_by_one_g() -> None:
    """One node of a ring marked: the marked one has the same row of v every time."""
    encoding = GraphSymPE(CoupledGraphKernel(KERNEL), 3, 2)
    module, ring = GraphEncoding(encoding), GRAPHS[0]
    for target in (torch.eye(6)[4], Data(edge_index=ring.edge_index, x=torch.eye(6)[4])):
        marked = {tuple(module(ring, target=target)[0][4].tolist()) for _ in range(10)}
        assert len(marked) == 1
    encoding.eval()
    assert len({tuple(module(ring)[0][4].tolist()) for _ in range(30)}) > 1
