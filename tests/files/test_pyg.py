"""What PyTorch Geometric saves."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch_geometric.data import Data, InMemoryDataset

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
        "expected an edge_index, got none",
    ]
    torch.save({"a": 1}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="data: expected Data, a list of them"):
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
