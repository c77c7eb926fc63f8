"""Every public object says what it is, without addresses and without tensors of data."""

from __future__ import annotations

import inspect
import re

import pytest
import torch

from sympe import actions, encodings, graphs, groups, kernels
from sympe.actions import GridAction
from sympe.groups import P4M, Orthogonal
from sympe.kernels import (
    CoupledGraphKernel,
    CoupledMatrixKernel,
    CoupledOrbitKernel,
    CoupledPointKernel,
    CoupledSetKernel,
    GraphKernel,
    MatrixKernel,
    OrbitKernel,
    PointKernel,
    SetKernel,
    StoredCosets,
)
from tests.catalogue import EVERY_ACTION, EVERY_GROUP
from tests.encodings.modules import MODULES, clouds
from tests.encodings.modules import graphs as some_graphs

FIELD = GridAction(P4M(3))
OBJECTS: list[object] = [
    *EVERY_GROUP.values(),
    *EVERY_ACTION.values(),
    *(entry.make() for entry in MODULES.values()),
    *(m.kernel for m in (entry.make() for entry in MODULES.values()) if isinstance(m, encodings.SymPE)),
    OrbitKernel(FIELD).draw(torch.zeros(2, 1, 3, 3)),
    CoupledOrbitKernel(FIELD, FIELD),
    CoupledGraphKernel(GraphKernel(4)),
    CoupledPointKernel(PointKernel(Orthogonal(3), 4)),
    clouds(3),
    CoupledSetKernel(SetKernel(4)),
    CoupledMatrixKernel(MatrixKernel(2, 3)),
    graphs.Sets(torch.zeros(2, 3, 1), torch.ones(2, 3).bool()),
    StoredCosets.of(GraphKernel(4), some_graphs(3)),
    some_graphs(3),
    some_graphs(3).sparse(),
]


def public_classes() -> set[type]:
    rooms = (groups, actions, graphs, kernels, encodings)
    found = {getattr(room, name) for room in rooms for name in room.__all__}
    return {c for c in found if inspect.isclass(c) and not inspect.isabstract(c)}


def test_the_list_holds_every_public_class() -> None:
    assert public_classes() <= {type(thing) for thing in OBJECTS}


@pytest.mark.parametrize("thing", OBJECTS, ids=lambda thing: type(thing).__name__)
def test_it_says_its_name_and_no_address(thing: object) -> None:
    text = repr(thing)
    assert type(thing).__name__ in text
    assert not re.search(r"0x[0-9a-f]{4,}|object at|tensor\(", text)


def test_what_they_say() -> None:
    sympe = MODULES["graph"].make()
    assert repr(sympe) == (
        "SymPE(GraphKernel(max_nodes=6, order='breadth-first'), "
        "NodeAction(Permutations(degree=6), shape=(6, 2)), is_free=True)"
    )
    assert repr(MODULES["noise"].make()) == "NoiseEncoding((2, 3, 3), scale=1.0)"
    assert repr(some_graphs(3)) == "DenseGraphs(3 graphs of 3-4 nodes, padded to 4)"
    assert repr(some_graphs(1).sparse()) == "SparseGraphs(1 graphs of 4 nodes, 8 arcs)"
    assert repr(some_graphs(0)) == "DenseGraphs(no graphs, padded to 4)"
    learned = repr(MODULES["score"].make())
    assert learned.count("ScoreKernel") == 1
