import io
import json
from typing import Any

import pytest
import torch
from torch import nn

from sympe import encodings
from sympe.actions import GridAction, NodeAction, RegularAction
from sympe.encodings import (
    CanonicalEncoding,
    Encoded,
    Encoding,
    LaplacianEncoding,
    NoEncoding,
    NoiseEncoding,
    PartialSymPE,
    RandomWalkEncoding,
    SymPE,
)
from sympe.graphs import DenseGraphs, Sets
from sympe.groups import P4M, Cyclic, FiniteGroup, Permutations
from sympe.kernels import HaarKernel, OrbitKernel, PartialKernel, ScoreKernel, SetKernel
from sympe.nn import P4MNet
from tests.catalogue import public_leaves

GROUP = P4M(3)
FIELD = GridAction(GROUP)
MIRROR = GROUP.pack(s=1, k=0, p=0, q=0)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scores() -> ScoreKernel:
    return ScoreKernel(P4MNet(GridAction, channels=2, blocks=1, out="regular"), GROUP)


def ramp(x: torch.Tensor) -> torch.Tensor:
    """Features that depend on the place alone."""
    return torch.arange(18.0).view(2, 3, 3).expand(len(x), 2, 3, 3)


def make() -> dict[str, Encoding]:
    """One of each, freshly initialised."""
    return {
        "SymPE, orbit": SymPE(OrbitKernel(FIELD), GridAction(GROUP, 2)),
        "SymPE, Haar": SymPE(HaarKernel(GROUP), GridAction(GROUP, 2)),
        "SymPE, regular": SymPE(OrbitKernel(FIELD), RegularAction(GROUP, 2)),
        "SymPE, learned": SymPE(scores(), GridAction(GROUP, 2)),
        "SymPE, partial": PartialSymPE(PartialKernel(OrbitKernel(FIELD), [MIRROR]), GridAction(GROUP, 2)),
        "canonical": CanonicalEncoding(OrbitKernel(FIELD), ramp, GridAction(GROUP, 2)),
        "noise": NoiseEncoding((2, 3, 3)),
        "none": NoEncoding((2, 3, 3)),
        "Laplacian": LaplacianEncoding(5, 3),
        "random walk": RandomWalkEncoding(5, 3),
    }


NAMES = list(make())
OF_GRAPHS = ("Laplacian", "random walk")


def inputs(name: str, batch: int) -> Any:
    """The most symmetric ones: constant fields, or complete graphs."""
    if name in OF_GRAPHS:
        return DenseGraphs.from_features((1 - torch.eye(4, dtype=torch.int64)).expand(batch, 4, 4))
    return torch.zeros(batch, 1, 3, 3)


def test_the_list_holds_every_public_encoding() -> None:
    assert public_leaves(encodings, Encoding) == {type(encoding) for encoding in make().values()}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch", [0, 1, 5])
def test_features_have_the_shape_of_the_encoding(name: str, batch: int) -> None:
    encoding = make()[name]
    features = encoding(inputs(name, batch))
    assert features.shape == (batch, *encoding.shape)
    assert features.dtype == torch.float32


@pytest.mark.parametrize("name", NAMES)
def test_features_are_determined_by_the_generator_and_leave_the_global_one_alone(name: str) -> None:
    encoding = make()[name]
    x = inputs(name, 8)
    before = torch.get_rng_state()
    one, two, three = (encoding(x, generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, two)
    assert torch.equal(one, three) == (name in ("none", "random walk"))


@pytest.mark.parametrize("name", NAMES)
def test_state_survives_a_round_trip(name: str) -> None:
    one, two = make()[name], make()[name]
    file = io.BytesIO()
    torch.save(one.state_dict(), file)
    file.seek(0)
    two.load_state_dict(torch.load(file))
    x = inputs(name, 4)
    assert torch.equal(one(x, generator=seeded(0)), two(x, generator=seeded(0)))
    sizes = {"canonical": 1, "noise": 0, "none": 0, "Laplacian": 0, "random walk": 0, "SymPE, learned": 2 + 6}
    assert len(one.state_dict()) == sizes.get(name, 2)  # v, and which canonical form it is of


class Recorder(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("SymPE, regular", *OF_GRAPHS)])
def test_encoded_joins_the_features_to_the_input(name: str) -> None:
    encoding = make()[name]
    x = torch.randn(4, 1, 3, 3)
    joined = Encoded(Recorder(), encoding)(x, generator=seeded(5))
    assert joined.shape == (4, 3, 3, 3)
    assert torch.equal(joined[:, :1], x)
    assert torch.equal(joined[:, 1:], encoding(x, generator=seeded(5)))


def test_encoded_without_generator_follows_the_global_seed() -> None:
    model = Encoded(Recorder(), NoiseEncoding((2, 3, 3)))
    x = torch.zeros(2, 1, 3, 3)
    torch.manual_seed(0)
    one = model(x)
    torch.manual_seed(0)
    assert torch.equal(model(x), one)
    assert not torch.equal(model(x), one)


def test_encoded_trains_network_and_encoding() -> None:
    model = Encoded(P4MNet(lambda group: GridAction(group, 3), channels=2, blocks=1), make()["SymPE, learned"])
    model(torch.randn(3, 1, 3, 3)).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    parts = {name.split(".")[0] for name, _ in model.named_parameters()}
    assert parts == {"network", "encoding"}


@pytest.mark.usefixtures("unchecked")
def test_encoded_joins_where_the_channels_are_and_refuses_what_does_not_fit() -> None:
    """Twin: dimension 1 joins the features of a set to its elements, without a word where numbers happen to fit."""
    rows = SymPE(SetKernel(5), NodeAction(Permutations(5), 4))
    x = torch.ones(2, 5, 4)
    model = Encoded(nn.Linear(8, 1), rows)
    assert model.dim == -1
    assert model(x).shape == (2, 5, 1)
    assert Encoded(nn.Identity(), rows, dim=1)(x).shape == (2, 10, 4)
    assert Encoded(nn.Identity(), NoiseEncoding((4, 3, 3)))(torch.zeros(2, 1, 3, 3)).shape == (2, 5, 3, 3)
    said = r"x: expected what differs from the features \(2, 5, 4\) in dimension 1 at most, got \(2, 5, 1\); Encoded"
    with pytest.raises(ValueError, match=said):
        Encoded(nn.Identity(), rows, dim=1)(torch.ones(2, 5, 1))
    with pytest.raises(TypeError, match="x: expected a tensor to join the features to, got Sets"):
        model(Sets(x, torch.ones(2, 5).bool()))


def test_a_checkpoint_of_another_group_of_the_same_order_is_refused() -> None:
    """Twin: what says nothing of its group, as before, is loaded."""

    def encoding(group: FiniteGroup) -> SymPE:
        return SymPE(OrbitKernel(RegularAction(group)), RegularAction(group, 4))

    turns, swaps = Cyclic(6), FiniteGroup.from_permutations([[1, 2, 0], [1, 0, 2]])
    state = encoding(turns).state_dict()
    encoding(Cyclic(6)).load_state_dict(state)
    with pytest.raises(ValueError, match=r"group: Cyclic\(n=6\) there, TableGroup\(order=6, crc32="):
        encoding(swaps).load_state_dict(state)
    form = json.loads(bytes(state["_extra_state"].tolist()))
    del form["group"]
    state["_extra_state"] = torch.tensor(list(json.dumps(form).encode()), dtype=torch.uint8)
    encoding(swaps).load_state_dict(state)
