"""Encodings as modules: for any batch, precision and seed, the features have their shape, and copies give the same."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sympe.actions import NodeAction
from sympe.encodings import Encoding, SymPE
from sympe.graphs import Clouds, DenseGraphs, Graphs
from sympe.groups import Permutations
from sympe.kernels import HaarKernel, Kernel
from sympe.randomness import seeded
from tests.encodings.modules import MODULES, NODES

GIVEN = ["orbit", "Haar", "conjugated", "partial", "graph", "nodes and edges"]
"""Encodings that take g as well."""

FIXED_PRECISION = ("canonical", "canonicalized graphs")
"""What they call makes features of its own precision."""

_DTYPES = [torch.float32, torch.float64, torch.bfloat16]
_SEEDS = st.integers(0, 2**32)


def tensors(output: Any) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)


def equal(one: Any, two: Any) -> bool:
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(tensors(one), tensors(two), strict=True))


@cache
def made(name: str, dtype: torch.dtype) -> nn.Module:
    return MODULES[name].make().to(dtype)


@st.composite
def inputs(draw: st.DrawFn, name: str, dtype: torch.dtype) -> Any:
    """Inputs of the kind that the table has, with other values: of few colours, so that there are symmetries."""
    batch = draw(st.integers(0, 5))
    like = MODULES[name].inputs(batch)
    rng = torch.Generator().manual_seed(draw(_SEEDS))
    values = draw(st.integers(1, 3))
    if isinstance(like, Tensor):
        return torch.randint(values, like.shape, generator=rng).to(dtype)
    if isinstance(like, Clouds):
        places = torch.randint(-1, 2, (batch, NODES, 3), generator=rng).float()  # crystalline, some in one place
        mask = torch.arange(NODES) < torch.randint(0, NODES + 1, (batch, 1), generator=rng)
        return Clouds.from_positions(places, torch.randint(values, (batch, NODES), generator=rng), mask)
    sizes = torch.randint(0, NODES + 1, (batch,), generator=rng)
    pairs = torch.randint(values + 1, (batch, NODES, NODES), generator=rng).triu(1)
    x = DenseGraphs.from_features(
        pairs + pairs.transpose(1, 2),
        torch.randint(values, (batch, NODES), generator=rng),
        torch.arange(NODES) < sizes[:, None],
    )
    return draw(st.sampled_from([x, x.trimmed(), x.sparse()]))


def row_of(x: Any, index: Tensor) -> Any:
    return x[index] if isinstance(x, Tensor) else x.select(index)


def check_features(module: nn.Module, x: Any, dtype: torch.dtype, seed: int) -> Any:
    """Features of every input, finite, of the module's precision and shape, and those of the seed alone."""
    features = module(x, generator=seeded(seed))
    for part in tensors(features):
        assert len(part) == len(x)
        assert part.dtype == dtype
        assert bool(part.isfinite().all())
    if isinstance(module, Encoding) and not isinstance(features, tuple):
        assert features.shape[1:] == module.shape
    before = torch.get_rng_state()
    torch.manual_seed(seed % 7)
    assert equal(module(x, generator=seeded(seed)), features)
    torch.set_rng_state(before)
    return features


def loaded(module: nn.Module, name: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The state on disk and back, in a module that was made anew."""
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    file.seek(0)
    other = MODULES[name].make().to(dtype)
    other.load_state_dict(torch.load(file))
    return other


@pytest.mark.parametrize("name", MODULES)
@settings(max_examples=settings().max_examples // 8)
@given(data=st.data(), dtype=st.sampled_from(_DTYPES), seed=_SEEDS)
def test_laws_of_modules(name: str, data: st.DataObject, dtype: torch.dtype, seed: int) -> None:
    if name in FIXED_PRECISION:
        dtype = torch.float32
    module = made(name, dtype)
    x = data.draw(inputs(name, dtype))
    features = check_features(module, x, dtype, seed)
    how = data.draw(st.sampled_from(["deepcopy", "pickle", "state"]))
    copies: dict[str, Callable[[], nn.Module]] = {
        "deepcopy": lambda: copy.deepcopy(module),
        "pickle": lambda: pickle.loads(pickle.dumps(module)),
        "state": lambda: loaded(module, name, dtype),
    }
    assert equal(copies[how]()(x, generator=seeded(seed)), features)


@pytest.mark.parametrize("name", GIVEN)
@settings(max_examples=settings().max_examples // 8)
@given(data=st.data(), dtype=st.sampled_from(_DTYPES), seed=_SEEDS)
def test_with_g_given_no_input_sees_the_others(name: str, data: st.DataObject, dtype: torch.dtype, seed: int) -> None:
    encoding: Any = made(name, dtype)
    x = data.draw(inputs(name, dtype))
    check_rows(encoding.kernel, encoding.moved, x, seed, data)


def check_rows(
    kernel: Kernel, moved: Callable[[Tensor], Any], x: Any, seed: int, data: st.DataObject | None = None
) -> None:
    g = kernel.sample(x, generator=seeded(seed))
    features = tensors(moved(g))
    index = list(range(len(x)))[::-1] if data is None else data.draw(st.lists(st.integers(0, max(0, len(x) - 1))))
    chosen = torch.tensor(index if len(x) else [], dtype=torch.int64)
    for part, some in zip(features, tensors(moved(g[chosen])), strict=True):
        assert torch.equal(part[chosen], some)
    for row in chosen.tolist():
        one = row_of(x, torch.tensor([row]))
        assert bool(kernel.log_prob(g[row : row + 1], one).isfinite().all())


# ----- what the laws reject -------------------------------------------------------------------------------------------


class Careless(SymPE):
    """Draws from the global generator, whatever it is given."""

    def forward(self, x: Any, *, generator: torch.Generator | None = None) -> Tensor:
        return super().forward(x)


class Forgetful(nn.Module):
    """Keeps what it needs where ``state_dict`` does not see it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.randn(3)

    def forward(self, x: Tensor, *, generator: torch.Generator) -> Tensor:
        return self.weight.expand(len(x), 3)


def test_modules_that_break_the_laws_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = HaarKernel(Permutations(NODES))
    careless = Careless(kernel, NodeAction(Permutations(NODES), 2))
    x: Graphs = MODULES["graph"].inputs(3)
    with pytest.raises(AssertionError):
        check_features(careless, x, torch.float32, 5)
    with pytest.raises(AssertionError):
        check_features(careless, x, torch.float64, 5)
    module = Forgetful()
    monkeypatch.setitem(MODULES, "forgetful", type(MODULES["graph"])(Forgetful, lambda batch: torch.zeros(batch)))
    y = torch.zeros(2)
    assert not equal(loaded(module, "forgetful")(y, generator=seeded(0)), module(y, generator=seeded(0)))
    encoding: Any = made("orbit", torch.float32)
    fields = torch.randn(4, 1, 3, 3, generator=seeded(0))
    check_rows(encoding.kernel, encoding.moved, fields, 0)
    with pytest.raises(AssertionError):
        check_rows(encoding.kernel, lambda g: encoding.moved(g).cumsum(0), fields, 0)
