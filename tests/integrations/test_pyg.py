"""PyTorch Geometric: the same graphs, the same encodings, as a module and as a transform."""

from __future__ import annotations

import networkx as nx
import pytest
import torch
from torch import nn
from torch_geometric.data import Batch, Data, HeteroData
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GINConv
from torch_geometric.transforms import (
    AddLaplacianEigenvectorPE,
    AddRandomWalkPE,
    BaseTransform,
    ToSparseTensor,
    ToUndirected,
)

from sympe.actions import EdgeAction, NodeAction
from sympe.encodings import CanonicalEncoding, GraphSymPE, LaplacianEncoding, NoiseEncoding, SymPE
from sympe.graphs import DenseGraphs, Graphs, relabel
from sympe.groups import Cyclic
from sympe.integrations.pyg import (
    DrawPlaces,
    EdgeEncoding,
    GraphEncoding,
    NodeEncoding,
    StoreCosets,
    TransformFeatures,
    to_graphs,
)
from sympe.kernels import GraphKernel, HaarKernel
from sympe.testing import equivariance_test


def graph(n: int, edges: list[tuple[int, int]], **attributes: torch.Tensor) -> Data:
    arcs = torch.tensor([e for i, j in edges for e in ((i, j), (j, i))], dtype=torch.int64).view(-1, 2).T
    return Data(edge_index=arcs, num_nodes=n, **attributes)


RING = graph(6, [(i, (i + 1) % 6) for i in range(6)])
STAR = graph(4, [(0, 1), (0, 2), (0, 3)])
LONELY = graph(2, [])


def test_graphs_of_a_batch_are_those_of_its_data() -> None:
    x = to_graphs(Batch.from_data_list([RING, LONELY, STAR]))
    assert x.sizes.tolist() == [6, 2, 4]
    kernel = GraphKernel(8)
    torch.testing.assert_close(kernel.entropy(x).exp(), torch.tensor([12.0, 2, 6]))
    assert to_graphs(STAR).sizes.tolist() == [4]


def test_features_are_colours_up_to_the_tolerance() -> None:
    features = torch.tensor([[0.0], [1.0], [1.0 + 1e-7], [1.1]])
    data = STAR.clone()
    data.x = features
    assert float(GraphKernel(4).entropy(to_graphs(data)).exp()) == pytest.approx(2)
    assert float(GraphKernel(4).entropy(to_graphs(data, tolerance=0.2)).exp()) == pytest.approx(6)
    assert float(GraphKernel(4).entropy(to_graphs(data, node_attr=None)).exp()) == pytest.approx(6)
    data.edge_attr = torch.tensor([1, 1, 2, 2, 3, 3])
    assert float(GraphKernel(4).entropy(to_graphs(data, node_attr=None)).exp()) == pytest.approx(1)
    assert float(GraphKernel(4).entropy(to_graphs(data, node_attr=None, edge_attr=None)).exp()) == pytest.approx(6)


def test_node_features_are_rows_of_v_in_the_place_of_each_node() -> None:
    kernel = GraphKernel(8)
    encoding = SymPE(kernel, NodeAction(kernel.group, 3))
    batch = Batch.from_data_list([STAR, RING])
    features = NodeEncoding(encoding)(batch, generator=torch.Generator().manual_seed(0))
    assert features.shape == (10, 3)
    g = kernel.sample(to_graphs(batch), generator=torch.Generator().manual_seed(0))
    for row, (start, n) in enumerate([(0, 4), (4, 6)]):
        torch.testing.assert_close(features[start : start + n][g[row, :n]], encoding.v[:n])
    features.sum().backward()
    assert encoding.v.grad is not None


def test_edge_features_follow_the_edge_index() -> None:
    kernel = GraphKernel(8)
    encoding = SymPE(kernel, EdgeAction(kernel.group, 2))
    batch = Batch.from_data_list([STAR, RING])
    features = EdgeEncoding(encoding)(batch, generator=torch.Generator().manual_seed(0))
    dense = encoding(to_graphs(batch), generator=torch.Generator().manual_seed(0))
    for (i, j), value in zip(batch.edge_index.T.tolist(), features, strict=True):
        row, start = (0, 0) if i < 4 else (1, 4)
        torch.testing.assert_close(value, dense[row, i - start, j - start])


def test_other_encodings_fit_as_well() -> None:
    batch = Batch.from_data_list([STAR, RING])
    for encoding in (NoiseEncoding((8, 3)), LaplacianEncoding(8, 3)):
        assert NodeEncoding(encoding)(batch).shape == (10, 3)


@pytest.mark.slow
def test_a_model_with_sympe_learns_what_one_without_cannot() -> None:
    """One node of a ring marked, by an orbit-minimum loss: any rotation of the target will do."""
    torch.manual_seed(0)
    kernel = GraphKernel(6)
    target = torch.eye(6)

    def trained(with_sympe: bool) -> float:
        encoding = NodeEncoding(SymPE(kernel, NodeAction(kernel.group, 8)))
        network = GINConv(nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1)), train_eps=True)
        optimizer = torch.optim.Adam([*encoding.parameters(), *network.parameters()], lr=0.02)
        loss = torch.tensor(0.0)
        for _ in range(300):
            features = encoding(RING) if with_sympe else torch.ones(6, 8)
            output = network(features, RING.edge_index)[:, 0]
            loss = (output - target).square().sum(1).min()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    assert trained(True) < 0.05
    assert trained(False) > 0.8  # all nodes alike: 5/6 at best


def test_the_transform_draws_places_anew_and_batches_them() -> None:
    transform = DrawPlaces(GraphKernel(8))
    torch.manual_seed(0)
    loader = DataLoader([transform(RING.clone()), transform(STAR.clone())], batch_size=2)
    batch = next(iter(loader))
    assert sorted(batch.place[:6].tolist()) == list(range(6))
    assert sorted(batch.place[6:].tolist()) == list(range(4))
    assert len({tuple(transform(RING.clone()).place.tolist()) for _ in range(60)}) > 6
    assert "place" not in RING  # the original is left alone: PyG copies before it transforms
    transform(RING)
    assert "place" not in RING


def test_places_are_the_inverse_of_g() -> None:
    kernel = GraphKernel(4)
    torch.manual_seed(3)
    place = DrawPlaces(kernel)(STAR).place
    torch.manual_seed(3)
    g = kernel.sample(to_graphs(STAR))[0]
    assert torch.equal(place[g], torch.arange(4))


def test_errors(unchecked: None) -> None:
    with pytest.raises(TypeError, match="data: expected a torch_geometric Data or Batch, got dict"):
        to_graphs({})
    with pytest.raises(ValueError, match="data: expected an edge_index, got none"):
        to_graphs(Data(num_nodes=3))
    with pytest.raises(ValueError, match="with its reverse"):
        to_graphs(Data(edge_index=torch.tensor([[0], [1]]), num_nodes=2), directed=False)
    with pytest.raises(ValueError, match=r"encoding: expected features of shape \(max_nodes, channels\), got"):
        NodeEncoding(NoiseEncoding((8, 8, 2)))
    with pytest.raises(
        ValueError, match=r"encoding: expected features of shape \(max_nodes, max_nodes, channels\), got"
    ):
        EdgeEncoding(NoiseEncoding((8, 2)))
    with pytest.raises(TypeError, match="draws: expected a kernel on Permutations, got"):
        DrawPlaces(HaarKernel(Cyclic(3)))
    with pytest.raises(ValueError, match="attr_name: expected a name that PyG batches as it is, got 'place_index'"):
        DrawPlaces(GraphKernel(3), attr_name="place_index")
    with pytest.raises(ValueError, match="x: expected graphs of at most max_nodes = 3 nodes; graph 0 has 6"):
        DrawPlaces(GraphKernel(3))(RING)


@pytest.mark.usefixtures("unchecked")
def test_what_does_not_fit_is_named() -> None:
    kernel = GraphKernel(4)
    data = Data(edge_index=torch.tensor([[0, 1], [1, 0]]), num_nodes=8, weight=torch.ones(2))
    with pytest.raises(ValueError, match=r"node_attr: expected one of edge_index, .*weight.*; got 'typo'"):
        to_graphs(data, node_attr="typo")
    with pytest.raises(ValueError, match=r"edge_attr: expected one of .*; got 'weights'"):
        to_graphs(data, edge_attr="weights")
    assert len(to_graphs(data, node_attr=None, edge_attr="weight")) == 1
    for encoding in (NodeEncoding(NoiseEncoding((4, 4))), EdgeEncoding(NoiseEncoding((4, 4, 2)))):
        with pytest.raises(ValueError, match="x: expected graphs of at most max_nodes = 4 nodes; graph 0 has 8"):
            encoding(data)
    for kind in (NodeEncoding, EdgeEncoding):
        with pytest.raises(TypeError, match=r"encoding: expected an Encoding, such as SymPE.*; got GraphKernel"):
            kind(kernel)


EIGENVECTORS = TransformFeatures(AddLaplacianEigenvectorPE(k=3, attr_name="pe", is_undirected=True), "pe", channels=3)


@pytest.mark.slow
def test_eigenvectors_of_canonical_forms_are_equivariant_in_distribution_and_alone_they_are_not() -> None:
    """Regular graphs, whose eigenspaces have many bases, of which a solver chooses one by the order of the nodes."""
    graphs = [nx.cycle_graph(10), nx.petersen_graph(), nx.random_regular_graph(3, 10, seed=0), nx.ladder_graph(5)]
    tables = [torch.tensor(nx.to_numpy_array(one, dtype=int)) for one in graphs]
    x = DenseGraphs.from_features(torch.stack(tables))
    kernel = GraphKernel(10)
    action = NodeAction(kernel.group, 3)
    options = {"samples": 40, "max_elements": 3, "generator": torch.Generator().manual_seed(0)}
    encoding = CanonicalEncoding(kernel, EIGENVECTORS, action)
    assert not equivariance_test(encoding, kernel.group, relabel, action, x, **options).rejected

    def alone(x: Graphs, *, generator: torch.Generator | None = None) -> torch.Tensor:
        return EIGENVECTORS(x)

    assert equivariance_test(alone, kernel.group, relabel, action, x, **options).rejected


def test_features_of_a_transform_fit_batches_and_leave_the_global_generator_alone() -> None:
    batch = Batch.from_data_list([RING, STAR, graph(5, [(i, j) for i in range(5) for j in range(i)])])
    kernel = GraphKernel(8)
    encoding = NodeEncoding(CanonicalEncoding(kernel, EIGENVECTORS, NodeAction(kernel.group, 3)))
    before = torch.random.get_rng_state()
    features = encoding(batch, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert features.shape == (15, 3)
    torch.testing.assert_close(features[:6].square().sum(0), torch.ones(3))
    with pytest.raises(ValueError, match=r"transform: expected 'other' of shape \(6, channels\), got NoneType"):
        TransformFeatures(AddRandomWalkPE(4, attr_name="pe"), "other", channels=4)(to_graphs(RING))
    with pytest.raises(ValueError, match="channels: expected at least the 4 of 'pe'"):
        TransformFeatures(AddRandomWalkPE(4, attr_name="pe"), "pe", channels=3)(to_graphs(RING))
    assert repr(EIGENVECTORS) == "TransformFeatures(AddLaplacianEigenvectorPE(), attr='pe', channels=3)"


def test_a_transform_draws_from_no_other_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seeding CUDA would repeat the dropout of every training step."""
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    before = torch.random.get_rng_state()
    first = EIGENVECTORS(to_graphs(RING))
    torch.rand(7)
    assert torch.equal(EIGENVECTORS(to_graphs(RING)), first)  # random signs, the same ones
    assert seeds == []
    torch.random.set_rng_state(before)


class Anew(BaseTransform):
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def forward(self, data: Data) -> Data:
        self.calls += 1
        data.pe = torch.full((data.num_nodes, 1), float(self.calls))
        return data


def test_a_transform_that_is_no_function_of_the_graph_is_refused() -> None:
    """ARPACK, which PyG takes from 100 nodes on, starts at random."""
    ring = to_graphs(graph(120, [(i, (i + 1) % 120) for i in range(120)]))
    pe = AddLaplacianEigenvectorPE(3, attr_name="pe", is_undirected=True)
    pe.SPARSE_THRESHOLD = 1000
    features = TransformFeatures(pe, "pe", 3)
    assert torch.equal(features(ring), features(ring))
    with pytest.raises(ValueError, match="transform: gives graph 0, of 4 nodes, other features when asked again"):
        TransformFeatures(Anew(), "pe", 1)(to_graphs(STAR))


def test_a_transform_that_fails_names_the_graph() -> None:
    with pytest.raises(ValueError, match="transform: fails on graph 1, of 2 nodes: "):
        EIGENVECTORS(to_graphs(Batch.from_data_list([RING, graph(2, [(0, 1)])])))


def test_unknown_options_are_refused_at_construction():
    kernel = GraphKernel(4)
    nodes, edges = SymPE(kernel, NodeAction(kernel.group, 2)), SymPE(kernel, EdgeAction(kernel.group, 2))
    message = "options: expected node_attr, edge_attr, directed, tolerance of to_graphs; got nodes"
    for make in (lambda: NodeEncoding(nodes, nodes="x"), lambda: EdgeEncoding(edges, nodes="x")):
        with pytest.raises(TypeError, match=message):
            make()
    with pytest.raises(TypeError, match=message):
        DrawPlaces(kernel, nodes="x")


def test_what_colours_the_graph_is_said():
    kernel = GraphKernel(4)
    encoding = NodeEncoding(SymPE(kernel, NodeAction(kernel.group, 2)), edge_attr=None, directed=True)
    assert "node_attr='x', edge_attr=None, directed=True, tolerance=1e-06" in repr(encoding)
    assert repr(DrawPlaces(kernel)).startswith(
        "DrawPlaces(GraphKernel(max_nodes=4, order='breadth-first'), attr_name='place', "
    )


def test_one_way_edges_are_taken_with_a_warning():
    path = Data(edge_index=torch.tensor([[0, 1], [1, 2]]), num_nodes=3)
    kernel = GraphKernel(3)
    with pytest.warns(UserWarning, match="edge_index: an edge has one direction only, .* taken as directed"):
        assert float(kernel.entropy(to_graphs(path)).exp()) == pytest.approx(1)
    assert float(kernel.entropy(to_graphs(path, directed=True)).exp()) == pytest.approx(1)  # meant: no warning
    both = Data(edge_index=torch.tensor([[0, 1, 1, 2], [1, 2, 0, 1]]), num_nodes=3)
    assert float(kernel.entropy(to_graphs(both)).exp()) == pytest.approx(2)
    both.edge_attr = torch.tensor([1, 1, 1, 2])
    with pytest.warns(UserWarning, match="other features backwards"):
        to_graphs(both)
    loop = Data(edge_index=torch.tensor([[0, 0, 1], [0, 1, 0]]), num_nodes=2)
    assert len(to_graphs(loop)) == 1


SPARSE = pytest.mark.filterwarnings(
    "ignore:Sparse (invariant checks|CSR tensor support):UserWarning"
)  # torch's, of PyG


@SPARSE
@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_coo])
def test_adj_t_is_read_as_edge_index_is(layout: torch.layout) -> None:
    """Arcs in one direction, so that the matrix differs from its transpose."""
    sparse = ToSparseTensor(layout=layout)
    arcs = torch.tensor([[0, 1, 2, 0], [1, 2, 0, 3]])
    data = Data(edge_index=arcs, num_nodes=4, edge_attr=torch.tensor([3, 1, 2, 1]), x=torch.arange(4))
    ring = RING.clone()
    ring.x = torch.zeros(6, dtype=torch.int64)
    ring.edge_attr = torch.ones(12, dtype=torch.int64)
    for made in (data, ring, Batch.from_data_list([data, ring])):
        expected = to_graphs(made, directed=True)
        if not isinstance(made, Batch):
            found = to_graphs(sparse(made.clone()), directed=True)
        else:
            found = to_graphs(Batch.from_data_list([sparse(data.clone()), sparse(ring.clone())]), directed=True)
        for part in ("sizes", "colors", "arcs", "arc_colors"):
            assert torch.equal(getattr(found, part), getattr(expected, part)), part
    both = ToSparseTensor(layout=layout, remove_edge_index=False)(data.clone())
    assert torch.equal(to_graphs(both, directed=True).arcs, to_graphs(data, directed=True).arcs)


@SPARSE
def test_values_of_adj_t_are_colours_or_refused() -> None:
    weighted = graph(3, [(0, 1), (1, 2)], edge_weight=torch.tensor([1.0, 1.0, 2.0, 2.0]))
    data = ToSparseTensor()(weighted)
    kernel = GraphKernel(3)
    with pytest.raises(ValueError, match="adj_t: has values that differ; edge_attr='adj_t' colours the edges by them"):
        to_graphs(data)
    assert float(kernel.entropy(to_graphs(data, edge_attr="adj_t")).exp()) == pytest.approx(1)
    assert float(kernel.entropy(to_graphs(data, edge_attr=None)).exp()) == pytest.approx(2)
    weighted.edge_weight = torch.ones(4)
    assert float(kernel.entropy(to_graphs(ToSparseTensor()(weighted))).exp()) == pytest.approx(2)


@SPARSE
def test_everything_takes_adj_t() -> None:
    kernel = GraphKernel(8)
    data = ToSparseTensor()(RING.clone())
    encoding = GraphSymPE(kernel, 3, 2)
    nodes, edges = GraphEncoding(encoding)(data, generator=torch.Generator().manual_seed(0))
    i, j = RING.edge_index[:, (RING.edge_index[1] * 6 + RING.edge_index[0]).argsort()]  # row by row of adj_t
    rows = torch.cdist(nodes, encoding.v).argmin(1)
    torch.testing.assert_close(edges, encoding._table()[rows[i], rows[j]])
    store = StoreCosets(kernel)
    stored = store(data.clone())
    assert bool(kernel.log_prob(store.sample(stored), to_graphs(stored)).isfinite())
    assert sorted(DrawPlaces(store)(stored).place.tolist()) == list(range(6))


@pytest.mark.usefixtures("unchecked")
def test_hetero_data_becomes_homogeneous_with_its_types_as_colours() -> None:
    """Two authors, two papers; each wrote one: an exchange of both pairs is a symmetry, of authors and papers none."""
    data = HeteroData()
    data["author"].x, data["paper"].x = torch.ones(2, 3), torch.ones(2, 3)
    data["author", "wrote", "paper"].edge_index = torch.tensor([[0, 1], [0, 1]])
    kernel = GraphKernel(4)
    encoding = NodeEncoding(SymPE(kernel, NodeAction(kernel.group, 2)))
    for take in (to_graphs, encoding, StoreCosets(kernel), DrawPlaces(kernel)):
        with pytest.raises(
            TypeError, match=r"data: HeteroData .*data.to_homogeneous\(\) makes one .*node_attr='node_ty"
        ):
            take(data)
    one = ToUndirected()(data).to_homogeneous()
    typed = to_graphs(one, node_attr="node_type", edge_attr="edge_type", directed=True)
    assert float(kernel.entropy(typed).exp()) == pytest.approx(2)
    assert float(kernel.entropy(to_graphs(one)).exp()) == pytest.approx(8)  # without types: authors are papers
