"""Kernels on random batches against brute force: all n! permutations of small graphs, all images of small tensors."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from sympe.graphs import DenseGraphs, Graphs, SparseGraphs
from sympe.graphs.checks import equal_graphs
from sympe.kernels import CachedGraphKernel, GraphKernel, GraphRefinementKernel, OrbitKernel
from sympe.kernels.graphs import cosets
from sympe.randomness import seeded
from tests import oracles
from tests.catalogue import PERMUTING, signed_permutations

_LEAST, _LARGEST = -(2**63), 2**63 - 1
_INTEGERS = st.sampled_from([0, 1, 2, -1, _LEAST, _LARGEST, _LEAST + 1, 2**62, -(2**62), 2**32]) | st.integers(
    _LEAST, _LARGEST
)

# ----- graphs ---------------------------------------------------------------------------------------------------------


class Batch(NamedTuple):
    """A batch for the kernels, and for brute force what may not be exchanged: keys of nodes and of pairs.

    Arguments:
        x: the graphs.
        keys: of each graph, ``(n,)`` and ``(n, n)``.
        max_nodes: at least as many as the largest has.
    """

    x: Graphs
    keys: list[tuple[np.ndarray, np.ndarray]]
    max_nodes: int


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    directed, floats, form = draw(st.booleans()), draw(st.booleans()), draw(st.sampled_from(["dense", "sparse"]))
    sizes = draw(st.lists(st.integers(0, 6), min_size=1, max_size=4))
    room = max(sizes) + draw(st.integers(0, 2))
    if floats:
        values: list[Any] = draw(st.lists(st.sampled_from([0.0, 1.0, -1.0, 2.5]), min_size=1, max_size=3, unique=True))
    else:
        values = draw(st.lists(_INTEGERS, min_size=1, max_size=3, unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from([np.float32, np.float64])) if floats else np.int64
    nodes, pairs, there = [], [], []
    for n in sizes:
        few = rng.choice(len(values), size=rng.integers(1, len(values) + 1))
        nodes.append(rng.choice(few, size=n) * rng.integers(0, 2))
        chosen, present = rng.choice(few, size=(n, n)), rng.random((n, n)) < rng.choice([0.3, 0.5, 1.0])
        if not directed:
            chosen, present = (np.triu(a) + np.triu(a, 1).T for a in (chosen, present))
        pairs.append(chosen)
        there.append(present.astype(bool))
    table = np.array(values, dtype=dtype)

    def noisy(index: np.ndarray) -> np.ndarray:
        """The same numbers up to the tolerance; 0 is exact."""
        found: np.ndarray = table[index]
        return found * (1 + 2e-7 * rng.integers(-1, 2, size=found.shape)).astype(dtype) if floats else found

    options: dict[str, Any] = {"directed": directed, "tolerance": 1e-6 if floats else None}
    if form == "dense":
        edge, node = np.zeros((len(sizes), room, room), dtype), np.zeros((len(sizes), room), dtype)
        for row, n in enumerate(sizes):
            node[row, :n] = noisy(nodes[row])
            edge[row, :n, :n] = np.where(there[row], noisy(pairs[row]), 0)
            there[row] &= table[pairs[row]] != 0
        mask = torch.arange(room) < torch.tensor(sizes)[:, None]
        x: Graphs = DenseGraphs.from_features(torch.from_numpy(edge), torch.from_numpy(node), mask, **options)
    else:
        starts = np.cumsum([0, *sizes])
        arcs = np.concatenate([np.stack(np.nonzero(a)) + start for a, start in zip(there, starts[:-1], strict=True)], 1)
        features = np.concatenate([noisy(kind)[a] for kind, a in zip(pairs, there, strict=True)])
        node = noisy(np.concatenate(nodes).astype(int))
        numbers = (torch.from_numpy(a) for a in (arcs, np.array(sizes), node, features))
        x = SparseGraphs.from_features(*numbers, **options)
    keys = [(kind, np.where(a, 1 + pair, 0)) for kind, pair, a in zip(nodes, pairs, there, strict=True)]
    return Batch(x, keys, max(1, room))


def permutations(n: int) -> np.ndarray:
    return np.array(list(itertools.permutations(range(n))), dtype=np.int64).reshape(math.factorial(n), n)


def automorphisms(nodes: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    p = permutations(len(nodes))
    same = (nodes[p] == nodes).all(1) & (pairs[p[:, :, None], p[:, None]] == pairs).all((1, 2))
    return p[same]


def moved(batch: Batch, seed: int) -> tuple[Tensor, Graphs]:
    generator = seeded(seed)
    h = torch.arange(batch.max_nodes).repeat(len(batch.x), 1)
    for row, (nodes, _) in enumerate(batch.keys):
        h[row, : len(nodes)] = torch.randperm(len(nodes), generator=generator)
    return h, batch.x.relabel(h)


def alone(x: Graphs, row: int) -> Graphs:
    return x.select(torch.tensor([row]))


def forms(kernel: Any, x: Graphs, g: Tensor) -> Graphs:
    return x.relabel(kernel.group.inverse(g))


def check_support(kernel: Any, batch: Batch, *, exact: bool) -> None:
    """The probabilities of all n! permutations: |G_x| of them the same 1 / |G_x|, or together 1."""
    for row, (nodes, pairs) in enumerate(batch.keys):
        n = len(nodes)
        if n > 4:
            continue
        g = torch.arange(batch.max_nodes).repeat(math.factorial(n), 1)
        g[:, :n] = torch.from_numpy(permutations(n))
        p = kernel.log_prob(g, batch.x.select(torch.full((len(g),), row))).double().exp()
        assert float(p.sum()) == pytest.approx(1, abs=1e-5)
        if exact:
            assert int((p > 0).sum()) == len(automorphisms(nodes, pairs))


def check_exact(kernel: Any, batch: Batch, seed: int) -> None:
    x = batch.x
    counts = [len(automorphisms(*keys)) for keys in batch.keys]
    assert kernel.entropy(x).double().exp().round().tolist() == counts
    g = kernel.sample(x, generator=seeded(seed))
    torch.testing.assert_close(kernel.log_prob(g, x).double(), -torch.tensor(counts).double().log(), atol=1e-5, rtol=0)
    h, y = moved(batch, seed)
    form = forms(kernel, x, g)
    assert bool(equal_graphs(form, forms(kernel, y, kernel.sample(y, generator=seeded(seed)))).all())
    other = kernel.group.compose(h, g)  # in C(hx), and in C(x) if h is an automorphism
    assert bool(kernel.log_prob(other, y).isfinite().all())
    inside = equal_graphs(x, y)
    assert kernel.log_prob(other, x).isfinite().tolist() == inside.tolist()
    for row in range(len(x)):
        one = alone(x, row)
        assert torch.equal(kernel.entropy(one), kernel.entropy(x)[row : row + 1])
        same = forms(kernel, one, kernel.sample(one, generator=seeded(seed + 1)))
        assert bool(equal_graphs(alone(form.sparse(), row), same.sparse()).all())
    assert torch.equal(kernel.entropy(x.dense()), kernel.entropy(x.sparse()))
    check_support(kernel, batch, exact=True)


WAYS = {
    "listed": {},
    "apart": {"_LIMIT": 3},
    "bliss": {"_LIMIT": 0, "SMALL": -1},
    "search": {"_LIMIT": 0, "SMALL": -1},
}
"""The four ways through the code, for the same small graphs."""


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=settings().max_examples // 5)
@given(
    batch=batches(),
    order=st.sampled_from(["breadth-first", "depth-first", "refined", "degree", "fiedler"]),
    seed=st.integers(0, 99),
)
def test_the_graph_kernel(way: str, batch: Batch, order: str, seed: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in WAYS[way].items():
            patch.setattr(cosets, name, value)
        if way == "search":
            patch.setitem(sys.modules, "igraph", None)
        kernel = GraphKernel(batch.max_nodes, order=order)
        check_exact(kernel, batch, seed)
        orbits = kernel.orbits(batch.x)
        for row, keys in enumerate(batch.keys):
            assert orbits[row, : len(keys[0])].tolist() == automorphisms(*keys).min(0).tolist()
            assert orbits[row, len(keys[0]) :].tolist() == list(range(len(keys[0]), batch.max_nodes))


@settings(max_examples=settings().max_examples // 5)
@given(batch=batches(), again=st.integers(0, 3), few=st.booleans(), seed=st.integers(0, 99))
def test_the_cached_kernel(batch: Batch, again: int, few: bool, seed: int) -> None:
    plain = GraphKernel(batch.max_nodes)
    kernel = CachedGraphKernel(plain, max_elements=2 if few else 1000)
    for number in range(again):
        kernel.sample(batch.x if number % 2 else moved(batch, number)[1], generator=seeded(number))
    check_exact(kernel, batch, seed)
    g = kernel.sample(batch.x, generator=seeded(seed))
    assert torch.equal(g, plain.sample(batch.x, generator=seeded(seed)))


def check_refinement(kernel: Any, batch: Batch, seed: int) -> None:
    x = batch.x
    counts = torch.tensor([len(automorphisms(*keys)) for keys in batch.keys]).double()
    entropy = kernel.entropy(x)
    assert bool((entropy.double() >= counts.log() - 1e-5).all())
    g = kernel.sample(x, generator=seeded(seed))
    log_p = kernel.log_prob(g, x)
    assert bool(log_p.isfinite().all())
    h, y = moved(batch, seed)
    torch.testing.assert_close(kernel.log_prob(kernel.group.compose(h, g), y), log_p)
    torch.testing.assert_close(kernel.entropy(y), entropy)
    for row in range(len(x)):
        one = alone(x, row)
        torch.testing.assert_close(kernel.log_prob(g[row : row + 1], one), log_p[row : row + 1])
        torch.testing.assert_close(kernel.entropy(one), entropy[row : row + 1])
    check_support(kernel, batch, exact=False)


@settings(max_examples=settings().max_examples // 5)
@given(batch=batches(), seed=st.integers(0, 99))
def test_the_refinement_kernel(batch: Batch, seed: int) -> None:
    check_refinement(GraphRefinementKernel(batch.max_nodes), batch, seed)


class Blind:
    """A kernel that looks at less than there is: the broken twin."""

    def __init__(self, kernel: Any, see: Callable[[DenseGraphs], DenseGraphs]) -> None:
        self.kernel, self.see = kernel, see
        self.group = kernel.group

    def sample(self, x: Graphs, *, generator: torch.Generator) -> Tensor:
        return self.kernel.sample(self.see(x.dense()), generator=generator)

    def log_prob(self, g: Tensor, x: Graphs) -> Tensor:
        return self.kernel.log_prob(g, self.see(x.dense()))

    def entropy(self, x: Graphs) -> Tensor:
        return self.kernel.entropy(self.see(x.dense()))


BLIND: dict[str, Callable[[DenseGraphs], DenseGraphs]] = {
    "arc colours": lambda x: DenseGraphs(x.pairs.ne(0).long(), x.colors, x.mask),
    "node colours": lambda x: DenseGraphs(x.pairs, torch.zeros_like(x.colors), x.mask),
    "direction": lambda x: DenseGraphs(x.pairs + x.pairs.transpose(1, 2), x.colors, x.mask),
    "half of the bits": lambda x: DenseGraphs(x.pairs, x.colors % 2**32, x.mask),
}


@pytest.mark.parametrize("name", BLIND)
def test_kernels_that_are_blind_are_found(name: str) -> None:
    pairs = np.array([[0, 1, 2], [0, 0, 1], [1, 0, 0]])  # 2 in place of 1, else a directed ring
    nodes = np.array([0, 2**40, 0])
    if name in ("node colours", "half of the bits"):
        pairs = np.ones((3, 3), dtype=np.int64)
    if name == "direction":
        pairs = np.triu(np.ones((3, 3), dtype=np.int64), 1)
        nodes = np.zeros(3, dtype=np.int64)
    if name == "arc colours":
        pairs, nodes = np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0]]), np.zeros(3, dtype=np.int64)
    x = DenseGraphs.from_features(torch.from_numpy(pairs)[None], torch.from_numpy(nodes)[None], directed=True)
    batch = Batch(x, [(nodes, pairs)], 4)
    check_exact(GraphKernel(4), batch, 0)
    check_refinement(GraphRefinementKernel(4), batch, 0)
    with pytest.raises(AssertionError):
        check_exact(Blind(GraphKernel(4), BLIND[name]), batch, 0)


# ----- finite groups --------------------------------------------------------------------------------------------------

_ACTIONS = [name for name, (action, images) in PERMUTING.items() if images.size <= 3000]
_DTYPES = [
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.uint16,
    torch.uint32,
    torch.uint64,
    torch.bool,
]
_FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


@st.composite
def tensors(draw: st.DrawFn, shape: tuple[int, ...], blocks: np.ndarray) -> Tensor:
    """A few values of any type, some of them equal on all entries that an element of the group exchanges."""
    dtype = draw(st.sampled_from([*_DTYPES, *_FLOATS]))
    if dtype == torch.bool:
        values = torch.tensor([False, True])
    elif dtype.is_floating_point:
        limits = torch.finfo(dtype)
        values = torch.tensor([0.0, -0.0, 1.0, -1.0, 1.5, limits.max, limits.min], dtype=torch.float64).to(dtype)
    else:
        bounds = torch.iinfo(dtype)
        values = torch.tensor([0, 1, 2, bounds.max, bounds.min, bounds.max - 1, bounds.min + 1], dtype=dtype)
    values = values[draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=3))]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        row = rng.integers(0, len(values), size=blocks.shape[1])
        for image in blocks[rng.integers(0, len(blocks), size=rng.integers(0, 3))]:
            while not np.array_equal(row, least := np.minimum(row, row[image])):
                row = least
        rows.append(values[torch.from_numpy(row)])
    return torch.stack(rows).reshape(-1, *shape)


def bits(x: Tensor) -> Tensor:
    """As signed integers of the same size, which torch can move."""
    return x.view({1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[x.dtype.itemsize])


def values_of(one: Tensor, images: np.ndarray) -> list[tuple[float, ...]]:
    """All g^-1 x."""
    plain = one.double() if one.is_floating_point() else one
    return oracles.inverse_orbit(images, plain.flatten().numpy())


def check_orbit(kernel: Any, images: np.ndarray, x: Tensor) -> None:
    """C(x) is a coset of the stabilizer, leads to one form, and moves with x; alone and in the batch."""
    cosets = kernel.coset(x)
    entropy = kernel.entropy(x).double().exp().round().tolist()
    g = kernel.sample(x, generator=seeded(0))
    log_p = kernel.log_prob(g, x).double()
    for row, one in enumerate(x):
        back = values_of(one, images)
        size = len(oracles.stabilizer(back))
        found = {int(i) for i in cosets[row].nonzero()}
        (form,) = {back[i] for i in found}
        assert found == {i for i, other in enumerate(back) if other == form}
        assert (len(found), entropy[row]) == (size, size)
        assert int(g[row]) in found
        assert float(log_p[row]) == pytest.approx(-math.log(size), abs=1e-5)
        assert torch.equal(kernel.coset(one[None]), cosets[row : row + 1])
        for h in {0, len(images) // 2, len(images) - 1}:
            source = torch.from_numpy(np.argsort(images[h]))
            moved = bits(one).flatten()[source].view(one.dtype).view(1, *one.shape)
            assert {values_of(moved[0], images)[int(i)] for i in kernel.coset(moved)[0].nonzero()} == {form}


@settings(max_examples=settings().max_examples // 3)
@given(data=st.data(), name=st.sampled_from(_ACTIONS), tolerance=st.sampled_from([0.0, 1e-6]))
def test_the_orbit_kernel(data: st.DataObject, name: str, tolerance: float) -> None:
    action, images = PERMUTING[name]
    x = data.draw(tensors(action.shape, images))
    assume(not (x.is_floating_point() and tolerance and float(x.abs().max()) > 1e4))  # 1 and 0 would be equal
    check_orbit(OrbitKernel(action, tolerance=tolerance), images, x)


@settings(max_examples=settings().max_examples // 3)
@given(values=st.lists(st.lists(st.integers(-2, 2), min_size=3, max_size=3), min_size=1, max_size=4))
def test_the_orbit_kernel_where_the_action_mixes_entries(values: list[list[int]]) -> None:
    """All 48 signed permutations of three numbers."""
    check_signed(OrbitKernel(signed_permutations()), values)


def check_signed(kernel: Any, values: list[list[int]]) -> None:
    x = torch.tensor(values).float()
    counts = [
        sum(
            [sign * row[place] for sign, place in zip(signs, order, strict=True)] == row
            for order in itertools.permutations(range(3))
            for signs in itertools.product((1, -1), repeat=3)
        )
        for row in values
    ]
    assert kernel.entropy(x).double().exp().round().tolist() == counts


class Rounded:
    """An orbit kernel that looks at numbers in single precision: the broken twin."""

    def __init__(self, kernel: OrbitKernel) -> None:
        self.coset = lambda x: kernel.coset(x.float())
        self.entropy = lambda x: kernel.entropy(x.float())
        self.sample = lambda x, generator: kernel.sample(x.float(), generator=generator)
        self.log_prob = lambda g, x: kernel.log_prob(g, x.float())


def test_a_kernel_that_rounds_is_found() -> None:
    action, images = PERMUTING["corners of the 4-gon"]
    x = torch.tensor([_LARGEST, _LARGEST - 1, _LARGEST, _LARGEST]).view(1, *action.shape)
    kernel = OrbitKernel(action)
    check_orbit(kernel, images, x)
    with pytest.raises(ValueError, match="too many values to unpack"):  # several forms
        check_orbit(Rounded(kernel), images, x)
    coarse = OrbitKernel(signed_permutations(), tolerance=0.5)
    check_signed(coarse, [[1, 1, 1]])
    with pytest.raises(AssertionError):
        check_signed(coarse, [[2, 1, 1]])
