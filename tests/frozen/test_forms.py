"""The canonical forms are those of the file, whatever the padding and the labels: what trained vectors mean."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sympe.graphs import DenseGraphs
from sympe.kernels import GraphKernel
from sympe.kernels.graphs.orders import NODE_ORDERS
from tests.frozen.make_forms import (
    COUNT,
    ORDERS,
    Canonicalize,
    Frozen,
    digests,
    read_forms,
    unpadded_digests,
    write_forms,
)

DATASETS = ("qm9", "qm9-marginal", "qm9-absorbing", "qm9-h", "er", "community", "regular")
COPIES = 60

frozen_forms = lru_cache(read_forms)
every_dataset = pytest.mark.parametrize("name", DATASETS)
every_order = pytest.mark.parametrize(
    "order", [pytest.param(order, marks=pytest.mark.slow) if order == "bliss" else order for order in ORDERS]
)


def check_forms(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    other = np.flatnonzero(found != expected)
    assert not len(other), f"{len(other)} of {len(expected)} graphs have another canonical form: {other.tolist()}"


def canonicalizer(frozen: Frozen, order: str) -> Canonicalize:
    return GraphKernel(frozen.max_nodes, order=order).canonicalize


def relabelled(x: DenseGraphs, generator: torch.Generator) -> DenseGraphs:
    """Copies whose nodes come in random order, padding aside; without the library."""
    pairs, colors = x.pairs.clone(), x.colors.clone()
    for row, n in enumerate(x.sizes.tolist()):
        p = torch.randperm(n, generator=generator)
        pairs[row, :n, :n] = x.pairs[row, p][:, p]
        colors[row, :n] = x.colors[row, p]
    return DenseGraphs(pairs, colors, x.mask)


def test_the_file_has_every_dataset_and_every_order() -> None:
    frozen = frozen_forms()
    assert set(frozen) == set(DATASETS)
    for name, one in frozen.items():
        count = 80 if name == "regular" else COUNT
        assert len(one.graphs) == count
        assert set(one.digests) == set(ORDERS) == set(NODE_ORDERS)
        assert all(digest.shape == (count,) for digest in one.digests.values())
        assert min(len(np.unique(digest)) for digest in one.digests.values()) > 40, "one form for many graphs"


@every_order
@every_dataset
def test_forms_are_those_that_were_frozen(name: str, order: str) -> None:
    frozen = frozen_forms()[name]
    check_forms(unpadded_digests(frozen.graphs, canonicalizer(frozen, order)), frozen.digests[order])


@every_order
@every_dataset
def test_forms_in_one_padded_batch_are_those_that_were_frozen(name: str, order: str) -> None:
    frozen = frozen_forms()[name]
    check_forms(digests(frozen.graphs, canonicalizer(frozen, order)(frozen.graphs)), frozen.digests[order])


@every_order
@every_dataset
def test_copies_have_the_forms_that_were_frozen(name: str, order: str) -> None:
    frozen = frozen_forms()[name]
    count = len(frozen.graphs)
    chosen = torch.arange(0, count, count // COPIES)[:COPIES]
    x = frozen.graphs.select(chosen)
    copies = relabelled(x, torch.Generator().manual_seed(len(name)))
    assert (copies.pairs != x.pairs).flatten(1).any(1).sum() > COPIES // 2, "hardly anything was relabelled"
    check_forms(digests(copies, canonicalizer(frozen, order)(copies)), frozen.digests[order][chosen.numpy()])


@every_dataset
def test_a_kernel_that_exchanges_two_places_is_rejected(name: str) -> None:
    frozen = frozen_forms()[name]
    kernel = canonicalizer(frozen, "breadth-first")

    def exchanged(x: DenseGraphs) -> Tensor:
        g = kernel(x).clone()
        g[:, :2] = g[:, :2].flip(1)
        return g

    with pytest.raises(AssertionError, match=r"\d+ of (500|80) graphs have another canonical form: \["):
        check_forms(digests(frozen.graphs, exchanged(frozen.graphs)), frozen.digests["breadth-first"])


@every_dataset
def test_a_changed_digest_is_rejected_and_named(name: str) -> None:
    frozen = frozen_forms()[name]
    expected = frozen.digests["refined"].copy()
    expected[71] ^= 1
    with pytest.raises(AssertionError, match=r"1 of (500|80) graphs have another canonical form: \[71\]"):
        check_forms(unpadded_digests(frozen.graphs, canonicalizer(frozen, "refined")), expected)


def test_a_file_is_read_as_it_was_written_and_never_replaced_by_mistake(tmp_path: Path) -> None:
    path = tmp_path / "forms.npz"
    written = {"er": frozen_forms()["er"]}
    write_forms(written, path, overwrite=False)
    (read,) = read_forms(path).values()
    for field in ("pairs", "colors", "mask"):
        assert torch.equal(getattr(read.graphs, field), getattr(written["er"].graphs, field))
    assert all(np.array_equal(read.digests[order], written["er"].digests[order]) for order in ORDERS)
    with pytest.raises(FileExistsError, match="--overwrite"):
        write_forms(written, path, overwrite=False)
    write_forms(written, path, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["forms.npz"]
