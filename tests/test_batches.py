"""The general law: an answer does not depend on what else is in the batch, nor on how the batch is stored or cut.

Alone, in any batch, with any padding, dense and sparse, in any chunk and with any number of threads, every kernel
brings an input to the same canonical form, and gives each draw that it made in another situation the same probability.
A kernel without a canonical form (Haar, refinement, learned) does the second.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from sympe import kernels
from sympe.actions import Action, ArrayAction, GridAction, NodeAction, RegularAction
from sympe.graphs import Clouds, DenseGraphs, SparseGraphs
from sympe.graphs.checks import equal_graphs
from sympe.groups import (
    P4M,
    Cyclic,
    DirectProduct,
    Euclidean,
    Isometries,
    Permutations,
    SpecialEuclidean,
    SpecialOrthogonal,
)
from sympe.kernels import (
    CachedGraphKernel,
    CoupledGraphKernel,
    CoupledKernel,
    CoupledMatrixKernel,
    CoupledOrbitKernel,
    CoupledPointKernel,
    CoupledSetKernel,
    GraphHaarKernel,
    GraphKernel,
    GraphRefinementKernel,
    HaarConjugated,
    HaarKernel,
    Kernel,
    LearnedFrameKernel,
    MatrixKernel,
    NodeScoreKernel,
    OrbitKernel,
    PartialKernel,
    PointKernel,
    ScoreKernel,
    SetKernel,
)
from sympe.kernels.graphs import cosets
from sympe.kernels.graphs.orders import NODE_ORDERS
from sympe.nn import P4MNet
from sympe.randomness import seeded
from tests.catalogue import ACTIONS, MIXING, public_leaves, symmetric_inputs, symmetric_vectors
from tests.situations import CHUNKS, NODES, SITUATIONS, Input, Situation, hard_graphs, plain_graphs, singles, threads

FIELD = GridAction(P4M(3))
WORDS = RegularAction(Cyclic(6))
ROWS = NodeAction(Permutations(5), 2)
AXES = ArrayAction(DirectProduct(Permutations(3), Permutations(4)), 2)
TINY = [(x,) for x in plain_graphs() if len(x.colors[0]) <= 6]
DEFINING = {
    "PADDING",
    "ROUNDS",
    "SMALL",
    "EXACT",
    "_BITS",
    "_TOLD_APART",
    "_OWN",
    "_REVERSED",
    "_CHOSEN",
    "_LIMIT",
    "_WORD",
    "_SEARCHES",
    "_GHOST",
    "FINE",
    "LARGEST",
}
"""Numbers on which a canonical form depends: the same for an input in all situations."""
BOUNDS = {"_LISTED", "_WIDTH", "_ORDERED", "_TRIES", "_NESTED", "_WIDE_CLUSTER"}
"""Numbers beyond which an input is refused."""


SLOW = {
    "graph, breadth-first",
    "graph, refined",
    "graph, degree",
    "graph, depth-first",
    "graph, bliss",
    "graph, fiedler",
    "refinement, small",
    "refinement",
    "coupled graph",
    "coupled orbit",
    "coupled orbit, integers",
    "cached graph",
    "forgetful cached graph",
    "partial",
    "points",
    "points, proper",
    "coupled points",
    "matrix",
    "coupled matrix",
}


@dataclass(frozen=True)
class Case:
    """A kernel, and what it is given.

    Arguments:
        make: builds it.
        inputs: by themselves.
        move: how elements move a batch; None for a kernel without a canonical form.
        entropy: whether it is known for these inputs.
    """

    make: Callable[[], Any]
    inputs: Callable[[], Sequence[Input]]
    move: Callable[[Tensor, Any], Any] | None = None
    entropy: bool = True


class Degrees(nn.Module):
    def forward(self, x: Any) -> Tensor:
        return x.dense().pairs.ne(0).sum(2).sqrt()


def first_maximum(x: Tensor) -> Tensor:
    return x.flatten(1).argmax(1)


def scored(temperature: float) -> ScoreKernel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ScoreKernel(
            P4MNet(GridAction, channels=4, blocks=1, out="regular"), FIELD.group, temperature=temperature
        )


def any_graphs() -> list[Input]:
    return [(x,) for x in plain_graphs() + hard_graphs()]


def fields() -> list[Input]:
    """Of sizes that differ by nine orders of magnitude, with noise below the tolerance."""
    x = symmetric_inputs(FIELD)
    noise = torch.randn(x.shape, generator=seeded(0), dtype=x.dtype) * 1e-9 * x.abs().amax((1, 2, 3), keepdim=True)
    return singles(torch.cat([x, 1e6 * (x + noise), 1e-3 * x, -x]))


def words() -> list[Input]:
    return singles(symmetric_inputs(WORDS))


def marked() -> list[Input]:
    """Graphs with others on the same nodes: some that mark a node, some with other edges."""
    out = []
    for number, (x,) in enumerate(any_graphs()):
        y = DenseGraphs(x.pairs * (number % 3), x.colors.clone(), x.mask)
        y.colors[:, :1] = 5
        out.append((x, y))
    return out


def field_pairs(dtype: torch.dtype) -> list[Input]:
    """Fields with others that are the same or of other types; integers lie close together, far from those of others."""
    x = torch.cat([part for (part,) in fields()])
    y = symmetric_inputs(FIELD, seed=1)
    if dtype == torch.int64:
        x = torch.cat([symmetric_inputs(FIELD).long() + 10 * shift for shift in range(4)])
    return list(zip(x.to(dtype).split(1), y.repeat(4, 1, 1, 1).split(1), strict=True))


def clouds() -> list[Input]:
    """In space, in double precision, anywhere: symmetric ones, some with types, generic ones, degenerate ones."""
    square = torch.tensor([[1.0, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]]).double()
    cube = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).double()] * 3)
    lattice = torch.cartesian_prod(*[torch.arange(3.0).double()] * 3)
    found = []
    for seed, points in enumerate(
        [
            square,
            cube,
            torch.cat([cube, 2 * cube.new_tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1]])]),
            square[:2],
            square[:0],
            torch.cat([square, square[:1]]),
            *(lattice[torch.randperm(27, generator=seeded(n))[:n]] for n in (5, 7, 9)),
            *(torch.randn(n, 3, generator=seeded(n), dtype=torch.float64) for n in (3, 6, 12)),
            torch.randn(70, 3, generator=seeded(70), dtype=torch.float64),
        ]
    ):
        types = torch.randint(0, 2, (1, len(points)), generator=seeded(seed)) * (seed % 2)
        R = SpecialOrthogonal(3).sample((1,), generator=seeded(seed)).double()
        x = Clouds.from_positions(points[None], types)
        found.append((x.moved(torch.linalg.qr(R).Q, torch.randn(1, 3, generator=seeded(seed))),))
    return found


def pairs_of_clouds() -> list[Input]:
    """Clouds with the same ones that have marks on their points."""
    return [
        (x, Clouds(x.positions, torch.randint(0, 2, x.types.shape, generator=seeded(1)), x.mask, x.vectors))
        for (x,) in clouds()
    ]


def on_points(group: Isometries) -> PointKernel:
    return PointKernel(group, NODES)


def rows_of(action: Action) -> list[Input]:
    """All equal, of few kinds, generic, and with noise below the tolerance."""
    few = torch.randint(2, (20, *action.shape), generator=seeded(0)).double()
    x = 1 + torch.cat([torch.zeros(1, *action.shape), few, torch.randn(4, *action.shape, generator=seeded(1))])
    return singles(torch.cat([x, 1e6 * (x + 1e-9 * torch.randn(x.shape, generator=seeded(2), dtype=x.dtype)), -x]))


def pairs_of(action: Action) -> list[Input]:
    x = rows_of(action)
    y = torch.randint(2, (len(x), *action.shape), generator=seeded(3))
    return [(*one, *two) for one, two in zip(x, singles(y), strict=True)]


def relabelled(g: Tensor, x: Any) -> Any:
    return x.relabel(g)


CASES: dict[str, Case] = {
    **{
        f"graph, {order}": Case(
            lambda order=order: GraphKernel(NODES, order=order),
            any_graphs,
            relabelled,  # type: ignore[misc]
        )
        for order in NODE_ORDERS
    },
    "cached graph": Case(lambda: CachedGraphKernel(GraphKernel(NODES)), any_graphs, relabelled),
    "forgetful cached graph": Case(
        lambda: CachedGraphKernel(GraphKernel(NODES), max_elements=1), any_graphs, relabelled
    ),
    "graph Haar": Case(lambda: GraphHaarKernel(NODES), any_graphs),
    "refinement": Case(lambda: GraphRefinementKernel(NODES), any_graphs, entropy=False),
    "refinement, small": Case(lambda: GraphRefinementKernel(NODES), lambda: [(x,) for x in plain_graphs()[:-1]]),
    "node score": Case(lambda: NodeScoreKernel(Degrees(), NODES), any_graphs, entropy=False),
    "node score, small": Case(lambda: NodeScoreKernel(Degrees(), NODES, temperature=1e-3), lambda: TINY),
    "coupled graph": Case(lambda: CoupledGraphKernel(GraphKernel(NODES)), marked, relabelled),
    "points": Case(lambda: on_points(Euclidean(3)), clouds, on_points(Euclidean(3)).move),
    "points, proper": Case(lambda: on_points(SpecialEuclidean(3)), clouds, on_points(SpecialEuclidean(3)).move),
    "coupled points": Case(lambda: CoupledPointKernel(on_points(Euclidean(3))), pairs_of_clouds),
    "matrix": Case(lambda: MatrixKernel(3, 4), lambda: rows_of(AXES)[::3], AXES),
    "coupled matrix": Case(lambda: CoupledMatrixKernel(MatrixKernel(3, 4)), lambda: pairs_of(AXES)[::3], AXES),
    "set": Case(lambda: SetKernel(5), lambda: rows_of(ROWS), ROWS),
    "coupled set": Case(lambda: CoupledSetKernel(SetKernel(5)), lambda: pairs_of(ROWS), ROWS),
    "Haar": Case(lambda: HaarKernel(FIELD.group), fields),
    "conjugated": Case(lambda: HaarConjugated(first_maximum, WORDS), words),
    "partial": Case(lambda: PartialKernel(OrbitKernel(FIELD), [1, 5]), fields, FIELD),
    "score": Case(lambda: scored(1.0), lambda: singles(symmetric_inputs(FIELD).float())),
    "largest score": Case(lambda: scored(0.0), lambda: singles(symmetric_inputs(FIELD).float())),
    "coupled orbit": Case(lambda: CoupledOrbitKernel(FIELD, FIELD), lambda: field_pairs(torch.float64), FIELD),
    "coupled orbit, integers": Case(
        lambda: CoupledOrbitKernel(FIELD, FIELD, tolerance=0.1), lambda: field_pairs(torch.int64), FIELD
    ),
    **{
        f"orbit, {name}": Case(
            lambda action=action: OrbitKernel(action),  # type: ignore[misc]
            lambda action=action, name=name: singles(  # type: ignore[misc]
                symmetric_vectors(action).double() if name in MIXING else symmetric_inputs(action)
            ),
            action,
        )
        for name, action in ACTIONS.items()
    },
}


# ----- the law --------------------------------------------------------------------------------------------------------


def check_law(case: Case, inputs: Sequence[Input], situations: dict[str, Situation]) -> None:
    """Raise unless the kernel gives each input the same answers in all situations.

    The first situation judges the draws of all of them; every other one those of the first, of itself and of the next.
    """
    kernel = case.make()
    situations = {name: situation for name, situation in situations.items() if situation.suits(inputs[0][0])}
    draws = torch.stack([drawn(kernel, inputs, situation) for situation in situations.values()], 1)
    different, which = zip(*[of.unique(dim=0, return_inverse=True) for of in draws], strict=True)
    first: dict[int, Answer] = {}
    for place, (name, situation) in enumerate(situations.items()):
        some = range(len(situations)) if place == 0 else (0, place, (place + 1) % len(situations))
        judged = [of[list(some)].unique() for of in which]
        own = [of[index] for of, index in zip(different, judged, strict=True)]
        for found in answers(kernel, case, inputs, situation, own):
            wanted = first.setdefault(found.number, found)
            message = f"input {found.number} {name}"
            assert found.log_probs.isfinite().all(), f"{message}: a draw has no log_prob"
            assert torch.allclose(found.log_probs, wanted.log_probs[judged[found.number]], atol=1e-4), (
                f"{message}: another log_prob"
            )
            infinite = found.entropy == wanted.entropy == math.inf
            assert infinite or abs(found.entropy - wanted.entropy) < 1e-4 * (1 + abs(wanted.entropy)), (
                f"{message}: another entropy"
            )
            for form in found.forms:
                assert all(map(alike, form, wanted.forms[0])), f"{message}: another canonical form"


def drawn(kernel: Any, inputs: Sequence[Input], situation: Situation) -> Tensor:
    """A draw of each input."""
    dtype = torch.float64 if kernel.group.is_continuous else torch.int64
    g = torch.zeros(len(inputs), *kernel.group.element_shape, dtype=dtype)
    with situation.settings():
        for parts, numbers in situation.arrange(inputs):
            g[numbers] = kernel.sample(*parts, generator=seeded(0)).to(dtype)
    return g


class Answer(NamedTuple):
    """What a kernel says of an input, where it stands in a batch."""

    number: int
    entropy: float
    log_probs: Tensor
    forms: list[Input]


def answers(
    kernel: Any, case: Case, inputs: Sequence[Input], situation: Situation, draws: Sequence[Tensor]
) -> Iterator[Answer]:
    """Of each input, with its log_prob and its form for each of its draws."""
    with situation.settings(), torch.no_grad():
        for parts, numbers in situation.arrange(inputs):
            entropy = kernel.entropy(*parts) if case.entropy else torch.zeros(len(numbers))
            log_probs, forms = [], []
            for turn in range(max(len(draws[number]) for number in numbers)):
                g = torch.stack([draws[number][min(turn, len(draws[number]) - 1)] for number in numbers])
                log_probs.append(kernel.log_prob(g, *parts))
                if case.move is not None:
                    forms.append([case.move(kernel.group.inverse(g), part) for part in parts])
            for row, number in enumerate(numbers):
                count = len(draws[number])
                index = torch.tensor([row])
                own = [tuple(x[index] if isinstance(x, Tensor) else x.select(index) for x in form) for form in forms]
                yield Answer(number, float(entropy[row]), torch.stack(log_probs, 1)[row, :count], own[:count])


def alike(one: Any, other: Any) -> bool:
    """Equal graphs, or equal tensors up to the tolerance."""
    if isinstance(one, DenseGraphs | SparseGraphs):
        return torch.equal(one.sizes, other.sizes) and bool(equal_graphs(one, other).all())
    if isinstance(one, Clouds):
        n = min(one.mask.shape[1], other.mask.shape[1])
        same = [torch.equal(x[:, :n], y[:, :n]) for x, y in ((one.types, other.types), (one.mask, other.mask))]
        return all(same) and alike(one.positions[:, :n], other.positions[:, :n])
    return bool(((one - other).abs() <= 1e-6 + 1e-5 * other.abs().max()).all())


def test_the_table_holds_every_public_kernel() -> None:
    used = {type(case.make()) for case in CASES.values()}
    without_probabilities = {LearnedFrameKernel}  # its law is tested by samples alone
    assert used | without_probabilities == public_leaves(kernels, Kernel) | public_leaves(kernels, CoupledKernel)


def test_every_size_of_a_chunk_is_changed() -> None:
    """A new number of the room is one that a form depends on, or a bound, or is made small in the situations."""
    found = set()
    for info in pkgutil.walk_packages(kernels.__path__, "sympe.kernels."):
        module = importlib.import_module(info.name)
        source = (module.__file__ or "").rpartition("/")[2]
        own = {name for name, value in vars(module).items() if name.strip("_").isupper() and isinstance(value, int)}
        found |= {(info.name, name) for name in own if name not in DEFINING | BOUNDS and source != "__init__.py"}
    assert found == {(module.__name__, name) for module, name, _ in CHUNKS}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in SLOW or (name.startswith("orbit") and n % 6) else name
        for n, name in enumerate(CASES)
    ],
)
def test_an_answer_does_not_depend_on_the_situation(name: str) -> None:
    """Of graphs every fourth, others for other kernels: the next test takes all."""
    inputs = CASES[name].inputs()
    if not isinstance(inputs[0][0], Tensor):
        inputs = inputs[list(CASES).index(name) % 4 :: 4]
    check_law(CASES[name], inputs, SITUATIONS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["graph, breadth-first", "refinement"])
def test_an_answer_does_not_depend_on_the_situation_of_any_graph(name: str) -> None:
    check_law(CASES[name], CASES[name].inputs(), SITUATIONS)


# ----- twins: each situation finds the kernel that depends on it ------------------------------------------------------


@dataclass(frozen=True)
class Sign:
    """A kernel on graphs that does one thing or another by what no answer may depend on."""

    kernel: GraphKernel
    seen: Callable[[Any, int], bool]

    @property
    def group(self) -> Any:
        return self.kernel.group

    def sample(self, x: Any, *, generator: torch.Generator) -> Tensor:
        return self._turned(self.kernel.sample(x, generator=generator), x)

    def entropy(self, x: Any) -> Tensor:
        return self.kernel.entropy(x)

    def log_prob(self, g: Tensor, x: Any) -> Tensor:
        return self.kernel.log_prob(self._turned(g, x), x)

    def _turned(self, g: Tensor, x: Any) -> Tensor:
        """With the first two places exchanged where it sees its sign: equivariant, with another canonical form."""
        seen = torch.tensor([self.seen(x, row) and int(x.sizes[row]) > 1 for row in range(len(x))])
        other = torch.cat([g[:, :2].flip(1), g[:, 2:]], 1)
        return torch.where(seen[:, None], other, g)


TWINS: dict[str, Callable[[Any, int], bool]] = {
    "in a batch": lambda x, row: len(x) > 1,
    "in another order": lambda x, row: row > 0 and int(x.sizes[row - 1]) > int(x.sizes[row]),
    "three at a time": lambda x, row: len(x) == 3 and row == 2,
    "in small chunks": lambda x, row: cosets._CHUNK == 1 and len(x) > 1,
    "alone in small chunks": lambda x, row: cosets._CHUNK == 1 and len(x) == 1,
    "one thread": lambda x, row: torch.get_num_threads() == 1 and len(x) > 1,
    "two threads": lambda x, row: torch.get_num_threads() == 2,
    "padded": lambda x, row: isinstance(x, DenseGraphs) and x.mask.shape[1] == NODES,
    "padded beyond the group": lambda x, row: isinstance(x, DenseGraphs) and x.mask.shape[1] > NODES,
    "sparse": lambda x, row: isinstance(x, SparseGraphs),
    "sparse in a batch": lambda x, row: isinstance(x, SparseGraphs) and len(x) > 1,
    "sparse in small chunks": lambda x, row: isinstance(x, SparseGraphs) and cosets._CHUNK == 1,
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_each_situation_finds_what_depends_on_it(name: str) -> None:
    inputs = [(x,) for x in plain_graphs()[16:20]]  # two of them of more than one canonical labelling
    two = {"alone": SITUATIONS["alone"], name: SITUATIONS[name]}
    kernel = GraphKernel(NODES)
    check_law(Case(lambda: Sign(kernel, lambda x, row: False), list, relabelled), inputs, two)
    if name == "alone":
        return
    with threads(3 if "thread" in name else torch.get_num_threads()):
        twin = Case(lambda: Sign(kernel, TWINS[name]), list, relabelled)
        with pytest.raises(AssertionError, match=r"a draw has no log_prob|another canonical form"):
            check_law(twin, inputs, two)


@pytest.mark.parametrize("name", ["graph Haar", "refinement, small", "node score, small", "score", "Haar"])
def test_a_log_prob_that_follows_the_size_of_the_batch_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of kernels without a canonical form: the batch's mean is no part of an input's probability."""
    case = CASES[name]
    kernel = case.make()
    original = kernel.log_prob
    monkeypatch.setattr(kernel, "log_prob", lambda g, x: original(g, x) - 0.01 * len(x))
    with pytest.raises(AssertionError, match="in a batch: another log_prob"):
        check_law(Case(lambda: kernel, list, entropy=case.entropy), case.inputs()[:4], SITUATIONS)


def test_a_form_that_follows_the_largest_of_the_batch_is_found() -> None:
    """A tolerance relative to the largest entry of the whole batch leaves nothing of the small fields."""

    class OfTheBatch(OrbitKernel):
        def support(self, x: Tensor) -> Any:
            return super().support((x / x.abs().max().clamp(min=1e-9)).round(decimals=4))

    with pytest.raises(AssertionError, match=r"a draw has no log_prob|another canonical form"):
        check_law(Case(lambda: OfTheBatch(FIELD), list, FIELD), fields(), SITUATIONS)
