"""A checkpoint says which canonical form its numbers are of."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn

from sympe.actions import ArrayAction, GridAction, NodeAction, VectorAction
from sympe.encodings import Canonicalized, Encoded, GraphSymPE, PartialSymPE, SymPE
from sympe.groups import P4M, DirectProduct, Orthogonal, Permutations
from sympe.kernels import (
    CachedGraphKernel,
    GraphHaarKernel,
    GraphKernel,
    HaarKernel,
    Kernel,
    MatrixKernel,
    OrbitKernel,
    PartialKernel,
    PointKernel,
    ScoreKernel,
)
from sympe.nn import P4MNet

GROUP = P4M(3)


def on_graphs(kernel: Kernel) -> SymPE:
    return SymPE(kernel, NodeAction(Permutations(5), 2))


def on_field(kernel: Kernel) -> SymPE:
    return SymPE(kernel, GridAction(GROUP, 2))


def orbit(tolerance: float = 1e-6) -> OrbitKernel:
    return OrbitKernel(GridAction(GROUP), tolerance=tolerance)


def score(temperature: float) -> ScoreKernel:
    return ScoreKernel(P4MNet(GridAction, channels=2, blocks=1, out="regular"), GROUP, temperature=temperature)


DIFFERENT: list[tuple[Callable[[], nn.Module], Callable[[], nn.Module], str]] = [
    (
        lambda: on_graphs(GraphKernel(5)),
        lambda: on_graphs(GraphKernel(5, order="refined")),
        r"the parameters were trained with another canonical form \(order: breadth-first there, refined here\)",
    ),
    (
        lambda: on_graphs(GraphKernel(5)),
        lambda: on_graphs(GraphHaarKernel(5)),
        r"kernel: GraphKernel there, GraphHaarKernel here; order: breadth-first there, None here",
    ),
    (lambda: on_field(orbit()), lambda: on_field(orbit(1e-3)), r"tolerance: 1e-06 there, 0.001 here"),
    (lambda: on_field(orbit()), lambda: on_field(HaarKernel(GROUP)), r"kernel: OrbitKernel there, HaarKernel here"),
    (
        lambda: GraphSymPE(GraphKernel(5), 2, 3),
        lambda: GraphSymPE(GraphKernel(5, order="fiedler"), 2, 3),
        r"order: breadth-first there, fiedler here",
    ),
    (
        lambda: PartialSymPE(PartialKernel(orbit(), [36]), GridAction(GROUP, 2)),
        lambda: PartialSymPE(PartialKernel(orbit(), []), GridAction(GROUP, 2)),
        r"subgroup: \[0, 36\] there, \[0\] here",
    ),
    (
        lambda: Canonicalized(nn.Conv2d(1, 1, 3, padding=1), orbit(), GridAction(GROUP), GridAction(GROUP)),
        lambda: Canonicalized(nn.Conv2d(1, 1, 3, padding=1), orbit(0.1), GridAction(GROUP), GridAction(GROUP)),
        r"tolerance: 1e-06 there, 0.1 here",
    ),
    (
        lambda: Encoded(nn.Identity(), on_field(orbit())),
        lambda: Encoded(nn.Identity(), on_field(orbit(1e-3))),
        r"the parameters of encoding were trained with another canonical form",
    ),
]
SAME: list[tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = [
    (lambda: on_graphs(GraphKernel(5)), lambda: on_graphs(CachedGraphKernel(GraphKernel(5)))),
    (lambda: on_field(score(1.0)), lambda: on_field(score(0.0))),
]


@pytest.mark.parametrize("number", range(len(DIFFERENT)))
def test_what_was_trained_with_another_form_is_refused_and_nothing_is_loaded(number: int) -> None:
    one, other, message = DIFFERENT[number]
    trained, module = one(), other()
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    state = trained.state_dict()
    with pytest.raises(ValueError, match=message):
        module.load_state_dict(state)
    assert all(
        torch.equal(before[name], p) for name, p in module.named_parameters() if "encoding" in name or "v" in name
    )
    one().load_state_dict(state)


@pytest.mark.parametrize("number", range(len(SAME)))
def test_a_memory_and_a_temperature_change_no_form(number: int) -> None:
    one, other = SAME[number]
    other().load_state_dict(one().state_dict())


@pytest.mark.parametrize(
    "make",
    [
        lambda: on_graphs(GraphKernel(5)),
        lambda: on_graphs(CachedGraphKernel(GraphKernel(5))),
        lambda: SymPE(MatrixKernel(2, 3), ArrayAction(DirectProduct(Permutations(2), Permutations(3)), 2)),
        lambda: SymPE(kernel := PointKernel(Orthogonal(3), 4), VectorAction(kernel.group, channels=2)),
    ],
)
def test_without_igraph_hard_parts_have_another_form_which_is_a_warning(
    make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_igraph = make().state_dict()
    assert b"hard parts" not in bytes(with_igraph["_extra_state"].tolist())
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "igraph", None)
        without = make().state_dict()
        assert bytes(without["_extra_state"].tolist()).endswith(b', "hard parts": "search"}')
        make().load_state_dict(without)
        module = make()
        with pytest.warns(UserWarning, match="were trained with igraph, which is not installed here: connected parts"):
            module.load_state_dict(with_igraph)
        assert all(torch.equal(with_igraph[name], p) for name, p in module.named_parameters())
    with pytest.warns(UserWarning, match="were trained without igraph, which is installed here: .* uninstall igraph"):
        make().load_state_dict(without)
    nested = {f"encoding.{key}": value for key, value in without.items()}
    with pytest.warns(UserWarning, match="the parameters of encoding were trained without igraph"):
        Encoded(nn.Identity(), make()).load_state_dict(nested)


def test_without_igraph_another_form_is_refused_as_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = on_graphs(GraphKernel(5)).state_dict()
    monkeypatch.setitem(sys.modules, "igraph", None)
    with pytest.raises(ValueError, match=r"another canonical form \(order: breadth-first there, refined here\)"):
        on_graphs(GraphKernel(5, order="refined")).load_state_dict(trained)
    kernel = HaarKernel(GROUP)  # of no graphs
    assert kernel.form == {"kernel": "HaarKernel"}
    on_field(orbit()).load_state_dict(on_field(orbit()).state_dict())


@pytest.mark.parametrize("number", range(len(DIFFERENT)))
def test_checkpoints_of_before_that_say_nothing_are_loaded(number: int) -> None:
    one, other, _ = DIFFERENT[number]
    state = {key: value for key, value in one().state_dict().items() if not key.endswith("_extra_state")}
    module = other()
    keys = set(state)
    module.load_state_dict(state)
    assert set(state) == keys  # what was given is as it was
    assert all(torch.equal(dict(module.named_parameters())[key], state[key]) for key in state if "table" not in key)


def test_the_form_is_a_tensor_that_a_file_of_tensors_can_hold() -> None:
    file = io.BytesIO()
    module = on_graphs(GraphKernel(5))
    torch.save(module.state_dict(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    assert state["_extra_state"].dtype == torch.uint8
    assert bytes(state["_extra_state"].tolist()) == b'{"kernel": "GraphKernel", "order": "breadth-first"}'
    on_graphs(GraphKernel(5)).load_state_dict(state)


def test_parameters_are_drawn_anew_as_at_the_start() -> None:
    for make in (DIFFERENT[0][0], DIFFERENT[4][0], DIFFERENT[5][0]):
        torch.manual_seed(3)
        module = make()
        with torch.device("meta"):
            other = make()
        other = other.to_empty(device="cpu")
        other.reset_parameters(generator=torch.Generator().manual_seed(3))
        assert all(torch.equal(a, b) for a, b in zip(module.parameters(), other.parameters(), strict=True))
