"""Features of an encoding do not depend on the rest of the batch, nor on how it is stored: :mod:`tests.test_batches`.

Features are random. What is the same in all situations is: with the elements given, the features; of a mean over C(x)
or of an encoding that draws nothing, all of it; of eigenvectors, what no basis of an eigenspace changes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sympe import encodings
from sympe.actions import GridAction, NodeAction
from sympe.encodings import (
    CanonicalEncoding,
    Canonicalized,
    Encoded,
    GraphSymPE,
    LaplacianEncoding,
    NoEncoding,
    NoiseEncoding,
    PartialSymPE,
    RandomWalkEncoding,
    SymPE,
)
from sympe.graphs import relabel
from sympe.groups import Permutations
from sympe.kernels import GraphKernel, HaarKernel, OrbitKernel, PartialKernel
from sympe.randomness import seeded
from tests.catalogue import symmetric_inputs
from tests.encodings.modules import GROUP, MIRROR
from tests.situations import NODES, SITUATIONS, Input, Situation, plain_graphs, singles

FIELD = GridAction(GROUP)
WIDE = GridAction(GROUP, 2)


def drawn(module: Any, inputs: Sequence[Input]) -> list[Tensor]:
    """One element of each input, drawn where it stands alone."""
    return [module.kernel.sample(*parts, generator=seeded(0))[0] for parts in inputs]


def moved(module: Any, x: Any, g: Tensor) -> Any:
    return module.moved(g)


def given(module: Any, x: Any, g: Tensor) -> Tensor:
    return module.given(g, x)


def mean(module: Any, x: Any, g: Tensor) -> Tensor:
    return module.mean(x)


def called(module: Any, x: Any, g: Tensor) -> Tensor:
    return module(x, generator=seeded(0))


def without_x(module: Any, x: Any, g: Tensor) -> Tensor:
    """What is drawn for an input of a batch is drawn for any other there."""
    other = x.select(torch.arange(len(x)).flip(0)) if not isinstance(x, Tensor) else 2 * x.flip(0) + 1
    return module(x, generator=seeded(1)) - module(other, generator=seeded(1))


def projectors(module: Any, x: Any, g: Tensor) -> Tensor:
    """The sum of h(l) f f^T over the eigenvectors f, with a function h of their eigenvalues l that is not linear."""
    f = module(x, generator=seeded(0)).double()
    A = torch.zeros(len(x), NODES, NODES, dtype=torch.float64)
    n = min(NODES, x.dense().mask.shape[1])
    A[:, :n, :n] = x.dense().pairs[:, :n, :n].ne(0).double()
    L = torch.diag_embed(A.sum(2)) - A
    eigenvalues = (f * (L @ f)).sum(1) / (f * f).sum(1).clamp(min=1e-9)
    return (f * eigenvalues.cos()[:, None]) @ f.mT


def fields() -> list[Input]:
    return singles(torch.cat([symmetric_inputs(FIELD), 100 * symmetric_inputs(FIELD, seed=1)]).float())


def lone_fields() -> list[Input]:
    """Without symmetries, so that there is one element to draw."""
    return singles(torch.randn(6, 1, 3, 3, generator=seeded(0)))


def graphs() -> list[Input]:
    """Undirected ones of many sizes; the largest has 70 nodes."""
    x = plain_graphs()
    return [(x[i],) for i in (0, 3, 8, 12, 13, 14, 15, 17, 19, 21)]


class Places(nn.Module):
    """One number a node, which depends on its place and its neighbours."""

    def forward(self, x: Any) -> Tensor:
        x = x.dense()
        place = torch.arange(1.0, 1 + x.mask.shape[1])
        return (place * x.mask + x.pairs.ne(0).float() @ place.sqrt())[:, :, None]


@dataclass(frozen=True)
class Case:
    """An encoding, what it takes, and what of its features is the same in all situations."""

    make: Callable[[], nn.Module]
    inputs: Callable[[], Sequence[Input]]
    features: Callable[[Any, Any, Tensor], Any]


def on_nodes(channels: int = 1) -> NodeAction:
    return NodeAction(Permutations(NODES), channels)


def convolution(channels: int) -> nn.Conv2d:
    return nn.Conv2d(channels, 1, 3, padding=1, padding_mode="circular")


CASES: dict[str, Case] = {
    "on fields": Case(lambda: SymPE(OrbitKernel(FIELD), WIDE), fields, moved),
    "Haar": Case(lambda: SymPE(HaarKernel(GROUP), WIDE), fields, moved),
    "on graphs": Case(lambda: SymPE(GraphKernel(NODES), on_nodes(2)), graphs, moved),
    "on fields, drawn": Case(lambda: SymPE(OrbitKernel(FIELD), WIDE), lone_fields, called),
    "nodes and edges": Case(lambda: GraphSymPE(GraphKernel(NODES), 2, 3), graphs, moved),
    "partial": Case(lambda: PartialSymPE(PartialKernel(OrbitKernel(FIELD), [MIRROR]), WIDE), fields, moved),
    "canonical": Case(
        lambda: CanonicalEncoding(OrbitKernel(FIELD), lambda x: torch.cat([x, x.cumsum(2)], 1), WIDE), fields, given
    ),
    "canonical, graphs": Case(lambda: CanonicalEncoding(GraphKernel(NODES), Places(), on_nodes()), graphs, given),
    "canonicalized": Case(lambda: Canonicalized(convolution(1), OrbitKernel(FIELD), FIELD, FIELD), fields, mean),
    "canonicalized, drawn": Case(
        lambda: Canonicalized(nn.Conv2d(1, 1, 3, padding=1), OrbitKernel(FIELD), FIELD, FIELD), lone_fields, called
    ),
    "canonicalized, graphs": Case(
        lambda: Canonicalized(Places(), GraphKernel(NODES), relabel, on_nodes()), graphs, mean
    ),
    "joined": Case(lambda: Encoded(convolution(3), SymPE(OrbitKernel(FIELD), WIDE)), lone_fields, called),
    "noise": Case(lambda: NoiseEncoding((2, 3)), fields, without_x),
    "noise on graphs": Case(lambda: NoiseEncoding((2, 3)), graphs, without_x),
    "none": Case(lambda: NoEncoding((2, 3)), graphs, called),
    "Laplacian": Case(lambda: LaplacianEncoding(NODES, NODES, normalization="none"), graphs, projectors),
    "random walk": Case(lambda: RandomWalkEncoding(NODES, 5), graphs, called),
}


def check_law(case: Case, situations: dict[str, Situation]) -> None:
    """Raise unless the features of each input are the same in all situations."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module: Any = case.make()
    inputs = case.inputs()
    elements = drawn(module, inputs) if case.features in (moved, given) else [torch.zeros(())] * len(inputs)
    first: dict[int, tuple[Tensor, ...]] = {}
    for name, situation in situations.items():
        if not situation.suits(inputs[0][0]):
            continue
        with situation.settings(), torch.no_grad():
            for (x,), numbers in situation.arrange(inputs):
                out = case.features(module, x, torch.stack([elements[number] for number in numbers]))
                parts = out if isinstance(out, tuple) else (out,)
                for row, number in enumerate(numbers):
                    found = tuple(part[row] for part in parts)
                    for one, other in zip(found, first.setdefault(number, found), strict=True):
                        close = (one - other).abs() <= 1e-5 * (1 + other.abs().max())
                        assert bool(close.all()), f"input {number} {name}: other features"


def test_the_table_holds_every_public_encoding() -> None:
    room = {c for c in vars(encodings).values() if inspect.isclass(c) and issubclass(c, nn.Module)}
    used = {type(case.make()) for case in CASES.values()}
    assert used == {c for c in room if not inspect.isabstract(c)}


@pytest.mark.parametrize("name", CASES)
def test_features_do_not_depend_on_the_situation(name: str) -> None:
    check_law(CASES[name], SITUATIONS)


class Twin(nn.Module):
    """An encoding whose features also tell of the batch."""

    def __init__(self, module: Any, tell: Callable[[Any], float]) -> None:
        super().__init__()
        self.module, self.tell = module, tell
        self.kernel = (
            module.kernel if isinstance(module, SymPE | GraphSymPE | PartialSymPE | CanonicalEncoding) else None
        )

    def forward(self, x: Any, *, generator: torch.Generator) -> Tensor:
        features: Tensor = self.module(x, generator=generator)
        return features * (1 + self.tell(x))

    def mean(self, x: Any) -> Tensor:
        mean: Tensor = self.module.mean(x)
        return mean * (1 + self.tell(x))

    def given(self, g: Tensor, x: Any) -> Tensor:
        given: Tensor = self.module.given(g, x)
        return given * (1 + self.tell(x))

    def moved(self, g: Tensor) -> Any:
        moved = self.module.moved(g)
        parts = moved if isinstance(moved, tuple) else (moved,)
        return tuple(part * (1 + 0.01 * len(g)) for part in parts)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if name != "none"])
def test_features_that_tell_of_the_batch_are_found(name: str) -> None:
    """Zeros tell of nothing; noise would, if it followed what it is given."""
    case = CASES[name]
    tell = (lambda x: float(x.abs().mean() if isinstance(x, Tensor) else x.sizes[0])) if "noise" in name else len
    with pytest.raises(AssertionError, match="other features"):
        check_law(Case(lambda: Twin(case.make(), lambda x: 0.01 * tell(x)), case.inputs, case.features), SITUATIONS)


def test_features_that_tell_of_the_padding_are_found() -> None:
    case = CASES["random walk"]
    few = {name: SITUATIONS[name] for name in ("alone", "padded")}
    with pytest.raises(AssertionError, match="padded: other features"):
        check_law(
            Case(lambda: Twin(case.make(), lambda x: 0.01 * x.dense().mask.shape[1]), case.inputs, case.features), few
        )
