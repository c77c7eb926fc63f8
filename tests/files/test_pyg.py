"""What PyTorch Geometric saves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch, Data, HeteroData, InMemoryDataset

from sympe.integrations.pyg import to_graphs
from sympe.kernels import GraphKernel
from tests.files.reading import orders, read, star


def test_pyg_files(tmp_path: Path) -> None:
    items = [star(y=torch.tensor([0.0, 1, 1, 1])), star(y=torch.tensor([0.0, 1, 2, 3]), x=torch.eye(4))]
    torch.save(items, tmp_path / "list.pt")
    torch.save(items[0], tmp_path / "one.pt")
    both = [star(y=torch.zeros(4)), star(y=torch.ones(4))]
    torch.save(InMemoryDataset.collate(both), tmp_path / "collated.pt")
    assert orders(read(tmp_path / "one.pt")) == [6]
    assert orders(read(tmp_path / "collated.pt")) == [6, 6]
    report = read(tmp_path / "list.pt", node_targets="y")
    assert orders(report) == [6, 1]
    assert report.needs_breaking is False
    torch.save([star(y=torch.tensor([0.0, 1, 2, 3]))], tmp_path / "asymmetric.pt")
    assert read(tmp_path / "asymmetric.pt", node_targets="y").floors["nodes"].loss == pytest.approx(2)
    # targets of edges, in the order of edge_index, which is not sorted
    torch.save([star(e=torch.tensor([1.0, 2, 3, 5, 5, 5]))], tmp_path / "edges.pt")
    assert read(tmp_path / "edges.pt", edge_targets="e").floors["edges"].loss == pytest.approx(2)
    torch.save([star(), 3, Data(num_nodes=2)], tmp_path / "mixed.pt")
    report = read(tmp_path / "mixed.pt", node_targets="y")
    assert [bad.reason for bad in report.bad] == [
        "y: expected a tensor of targets, got NoneType",
        "expected Data, got int",
        "data: expected an edge_index, got none",
    ]
    torch.save({"a": 1}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="data: expected Data, a Batch, a list of them"):
        read(tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("no pickle")
    with pytest.raises(ValueError, match=r"data: .*text\.pt cannot be loaded by torch: "):
        read(tmp_path / "text.pt")


def test_options_that_fit_nothing(tmp_path: Path) -> None:
    torch.save([star(y=torch.zeros(4))], tmp_path / "a.pt")
    for option in ("node_features", "edge_features"):
        (bad,) = read(tmp_path / "a.pt", **{option: "typo"}).bad
        assert bad.reason.startswith(f"{option}: expected one of ")
        assert bad.reason.endswith("; got 'typo'")


def test_everything_that_pyg_saves(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    first, second = (
        star(x=torch.tensor([[0.0], [1], [1], [2]])),
        Data(edge_index=torch.tensor([[1, 0], [0, 1]]), x=torch.zeros(3, 1), num_nodes=3),
    )
    batch = Batch.from_data_list([first, second])
    torch.save(batch, path)
    assert (orders(read(path)), read(path).names) == ([2, 2], ["a.pt[0][0]", "a.pt[0][1]"])
    by_hand = Data(edge_index=batch.edge_index, x=batch.x, batch=batch.batch, y=torch.tensor([0, 1, 1, 0, 0, 0, 0]))
    torch.save([by_hand, first], path)
    assert orders(read(path)) == [2, 2, 2]
    assert read(path, node_targets="y").floors["nodes"].count == 7
    assert GraphKernel(4).entropy(to_graphs(by_hand)).exp().round().tolist() == [2, 2]
    by_hand.batch = by_hand.batch.flip(0)
    torch.save(by_hand, path)
    assert read(path).bad[0].reason == "batch: expected 7 numbers of graphs that ascend"
    for key, value in (("batch", [0, 0, 0.5, 1, 1, 1, 1]), ("ptr", [0, 4, 7.5]), ("ptr", [0, 4, 7 + 1j])):
        wrong = Data(edge_index=batch.edge_index, x=batch.x, **{key: torch.tensor(value)})
        torch.save(wrong, path)
        assert read(path).bad[0].reason.startswith(f"{key}: expected integers, got torch.")
        with pytest.raises(TypeError, match=f"{key}: expected integers, got torch"):
            to_graphs(wrong)
    one = InMemoryDataset.collate([first])
    for content in (one, (one[0].to_dict(), one[1], Data), (one[0].to_dict(), None, Data), [first]):
        torch.save(content, path)
        assert orders(read(path)) == [2]


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
def test_edges_and_features_of_every_form(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    none = torch.zeros(2, 0, dtype=torch.int64)
    molecules = [
        star(edge_attr=torch.ones(6, 3)),
        Data(edge_index=none, edge_attr=torch.zeros(0, 3), x=torch.ones(1, 2)),
        Data(edge_index=torch.tensor([[], []]), x=torch.ones(3, 2)),
        Data(edge_index=torch.tensor([]), num_nodes=2),
    ]
    torch.save(molecules, path)
    assert orders(read(path)) == [6, 1, 6, 2]
    torch.save(InMemoryDataset.collate(molecules[:1] + molecules[:1]), path)
    assert orders(read(path)) == [6, 6]
    values = torch.tensor([[0.0, 5], [1, 5], [1, 5], [2, 5]])
    forms = [
        values.half(),
        values.bfloat16(),
        values.double().T.contiguous().T,
        values.to_sparse(),
        values.to_sparse_csr(),
        values.numpy(),
        values.numpy().astype(np.float16)[::-1][::-1],
        values.to(torch.uint16),
        values.tolist(),
        values[:, :1],
        values[:, 0],
        values > 1,
    ]
    for x in forms[:-1]:
        torch.save(star(x=x), path)
        report = read(path)
        assert (report.bad, orders(report)) == ([], [2])
        assert float(GraphKernel(4).entropy(to_graphs(star(x=x))).exp()) == pytest.approx(2)
    for x, reason in ((torch.tensor(1.0), "nodes: expected shape"), ("word", "x: expected a tensor, got str")):
        torch.save(Data(edge_index=none, num_nodes=2, x=x), path)
        assert read(path).bad[0].reason.startswith(reason)


@pytest.mark.usefixtures("unchecked")
def test_graphs_of_several_types_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    hetero = HeteroData(a={"x": torch.zeros(2, 1)})
    for content in (hetero, (hetero, None), (hetero.to_dict(), {}, HeteroData)):
        torch.save(content, path)
        with pytest.raises(ValueError, match="data: HeteroData has nodes of several types"):
            read(path)
    torch.save([hetero, star()], path)
    assert read(path).bad[0].reason.startswith("HeteroData has nodes of several types")
    with pytest.raises(TypeError, match="data: HeteroData has nodes of several types"):
        to_graphs(hetero)


class Intruder:
    """What a pickle can run when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_files_run_no_code_unless_they_are_trusted(tmp_path: Path) -> None:
    path, mark = tmp_path / "a.pt", tmp_path / "mark"
    torch.save([star(), Intruder(mark)], path)
    with pytest.raises(ValueError, match=r"a\.pt holds \S+, which is not of PyTorch Geometric; .* give --trust"):
        read(path)
    assert not mark.exists()
    assert orders(read(path, trust=True)) == [6]
    assert mark.exists()


def test_targets_that_are_scalars_or_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    y = torch.tensor([0, 0, 0, 1])
    torch.save([star(y=y[:, None], e=y[[1, 2, 3, 1, 2, 3]][:, None])], path)
    floors = read(path, node_targets="y", edge_targets="e").summary()["floors"]
    assert floors["nodes"]["least_error_percent"] == 25
    assert floors["edges"]["least_error_percent"] == pytest.approx(100 * 2 / 6)
    torch.save([star(y=torch.tensor(1), z=1.5, e=torch.tensor(1))], path)
    for name in ("y", "z"):
        assert read(path, node_targets=name).bad[0].reason == "targets: expected 4, got a scalar"
    assert read(path, edge_targets="e").bad[0].reason == "e: expected 6 targets of edges, got a scalar"
    torch.save([star(pos=1e-9 * torch.arange(12.0).view(4, 3))], path)
    with pytest.warns(UserWarning, match="nodes: there are inputs whose entries"):
        warnings = read(path, node_features="pos").warnings
    assert [warning.split(":")[0] for warning in warnings] == ["pos[0]", "pos[1]", "pos[2]"]
