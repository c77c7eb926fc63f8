"""The kernels of row and column permutations: the joint law by enumeration, against per-factor twins."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

import networkx as nx
import pytest
import torch
from torch import Tensor

from sympe.actions import ArrayAction, NodeAction
from sympe.encodings import Canonicalized, Encoded, SymPE
from sympe.groups import DirectProduct, Permutations
from sympe.kernels import CoupledMatrixKernel, InversionKernel, MatrixKernel, OrbitKernel, SetKernel
from sympe.kernels.graphs.orders import NODE_ORDERS
from sympe.testing import assert_equivariant, assert_equivariant_in_distribution
from tests.catalogue import rows_and_columns


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_matrices(n: int = 3, m: int = 3) -> Tensor:
    """Constant, the identity, a cyclic pattern, generic, and random ones of two and three values."""
    i, j = torch.arange(n)[:, None], torch.arange(m)
    fixed = [torch.zeros(n, m), (i == j).float(), ((i - j) % max(n, m)).float()]
    random = [torch.randint(values, (n, m), generator=seeded(s)).float() for s, values in enumerate((2, 2, 2, 3, 3))]
    return torch.stack([*fixed, torch.randn(n, m, generator=seeded(9)), *random])


def stabilizer(x: Tensor) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The pairs (p, q) that fix one matrix, by trying all."""
    n, m = x.shape[:2]
    pairs = itertools.product(itertools.permutations(range(n)), itertools.permutations(range(m)))
    return [(p, q) for p, q in pairs if torch.equal(x[list(p)][:, list(q)], x)]


# ----- the law --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["breadth-first", "refined"])
def test_the_law_is_equivariant_by_enumeration(order: str) -> None:
    kernel = MatrixKernel(3, 3, order=order)
    x = some_matrices()[[1, 2, 3, 4, 7]][..., None]
    assert_equivariant_in_distribution(kernel, ArrayAction(kernel.group), x, max_elements=40)


@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (2, 4), (4, 1), (1, 1)])
def test_the_entropy_is_that_of_the_joint_stabilizer(shape: tuple[int, int]) -> None:
    x = some_matrices(*shape)
    wanted = torch.tensor([math.log(len(stabilizer(one))) for one in x])
    torch.testing.assert_close(MatrixKernel(*shape).entropy(x), wanted)


class PerFactor(MatrixKernel):
    """Broken twin: rows sorted and columns sorted, each as a set that does not know of the other."""

    def sample(self, x: Any, *, generator: torch.Generator | None = None) -> Tensor:
        rows, columns = x.squeeze(3), x.squeeze(3).transpose(1, 2)
        parts = [SetKernel(z.shape[1]).sample(z, generator=generator) for z in (rows, columns)]
        return self.group.pack(*parts)

    def log_prob(self, g: Tensor, x: Any) -> Tensor:
        rows, columns = x.squeeze(3), x.squeeze(3).transpose(1, 2)
        parts = zip(self.group.components(g), (rows, columns), strict=True)
        return torch.stack([SetKernel(z.shape[1]).log_prob(p, z) for p, z in parts]).sum(0)

    def entropy(self, x: Any) -> Tensor:
        rows, columns = x.squeeze(3), x.squeeze(3).transpose(1, 2)
        return torch.stack([SetKernel(z.shape[1]).entropy(z) for z in (rows, columns)]).sum(0)


def test_the_twin_that_treats_each_factor_by_itself_is_found_out() -> None:
    """The identity of 2 x 2 has no symmetry in the rows and none in the columns, and one in both."""
    twin, x = PerFactor(2, 2), torch.eye(2)[None, ..., None]
    assert float(twin.entropy(x)) == 0
    assert float(MatrixKernel(2, 2).entropy(x)) == pytest.approx(math.log(2))
    with pytest.raises(AssertionError, match=r"P\(hg \| hx\)"):
        assert_equivariant_in_distribution(twin, ArrayAction(twin.group), x)


@pytest.mark.parametrize("order", NODE_ORDERS)
def test_every_element_of_the_coset_leads_to_one_form_that_the_labels_do_not_change(order: str) -> None:
    kernel, x = MatrixKernel(3, 3, order=order), some_matrices()
    group = kernel.group
    rows, g = kernel.list_coset(x, limit=36)
    assert rows.bincount().tolist() == [len(stabilizer(one)) for one in x]
    assert len(torch.cat([rows[:, None], g], 1).unique(dim=0)) == len(g)
    forms = kernel.move(group.inverse(kernel.canonicalize(x)), x)
    assert torch.equal(kernel.move(group.inverse(g), x[rows]), forms[rows])
    for seed in range(5):
        moved = kernel.move(group.sample((len(x),), generator=seeded(seed)), x)
        assert torch.equal(kernel.move(group.inverse(kernel.canonicalize(moved)), moved), forms)


def test_it_has_the_symmetries_that_the_search_of_all_elements_finds() -> None:
    action = rows_and_columns(2, 3)[0]
    x = torch.randint(2, (12, 2, 3), generator=seeded(1))
    torch.testing.assert_close(MatrixKernel(2, 3).entropy(x), OrbitKernel(action).entropy(x.flatten(1)[:, None]))


def test_generators_generate_the_stabilizer_and_orbits_are_those_of_it() -> None:
    kernel, x = MatrixKernel(3, 3), some_matrices()
    for one, orbits, some in zip(x, kernel.orbits(x), kernel.generators(x), strict=True):
        wanted = stabilizer(one)
        found = {tuple(range(3)) * 2}
        while True:
            new = {tuple(kernel.group.compose(torch.tensor(a), b).tolist()) for a in found for b in some} | found
            if new == found:
                break
            found = new
        assert found == {p + q for p, q in wanted}
        for place in range(3):
            assert int(orbits[place]) == min(p[place] for p, _ in wanted)
            assert int(orbits[3 + place]) == min(q[place] for _, q in wanted)


def test_channels_must_agree() -> None:
    kernel = MatrixKernel(2, 2)
    x = torch.stack([torch.eye(2), torch.ones(2, 2)], 2)[None]
    assert float(kernel.entropy(x)) == pytest.approx(math.log(2))
    both = torch.stack([torch.eye(2), torch.tensor([[0.0, 0.0], [1.0, 1.0]])], 2)[None]
    assert float(kernel.entropy(both)) == 0
    assert torch.equal(kernel.move(kernel.group.identity((1,)), both), both)


def test_floats_within_the_tolerance_are_equal() -> None:
    x = torch.eye(3, dtype=torch.float64)[None] + 1
    noisy = x + 1e-9 * torch.randn(1, 3, 3, generator=seeded(0), dtype=torch.float64)
    assert float(MatrixKernel(3, 3).entropy(noisy)) == pytest.approx(math.log(6))
    assert float(MatrixKernel(3, 3, tolerance=0.0).entropy(noisy)) == 0
    assert torch.equal(MatrixKernel(3, 3).canonicalize(noisy), MatrixKernel(3, 3).canonicalize(x))


def test_incidences_of_random_regular_graphs_have_their_automorphisms() -> None:
    """Nodes by edges: a permutation of both that fixes the incidence is one of the nodes that fixes the graph."""
    for seed, (degree, n) in enumerate([(3, 8), (3, 10), (4, 9)]):
        graph = nx.random_regular_graph(degree, n, seed=seed)
        x = torch.from_numpy(nx.incidence_matrix(graph).toarray())[None]
        matcher = nx.algorithms.isomorphism.GraphMatcher(graph, graph)
        count = sum(1 for _ in matcher.isomorphisms_iter())
        kernel = MatrixKernel(*x.shape[1:])
        assert float(kernel.entropy(x).exp()) == pytest.approx(count, rel=1e-5)
        moved = kernel.move(kernel.group.sample((1,), generator=seeded(seed)), x)
        forms = [kernel.move(kernel.group.inverse(kernel.sample(z)), z) for z in (x, moved)]
        assert torch.equal(*forms)


@pytest.mark.parametrize("kind", ["all equal", "generic", "two values", "identity"])
def test_hundreds_of_rows_and_columns(kind: str) -> None:
    n, m = 150, 100
    x = {
        "all equal": torch.ones(1, n, m),
        "generic": torch.randn(1, n, m, generator=seeded(0)),
        "two values": torch.randint(2, (1, n, m), generator=seeded(0)).float(),
        "identity": torch.eye(n, m)[None],
    }[kind]
    log_order = {"all equal": math.lgamma(n + 1) + math.lgamma(m + 1), "identity": math.lgamma(m + 1) + math.lgamma(51)}
    kernel = MatrixKernel(n, m)
    start = time.perf_counter()
    g = kernel.sample(x)
    assert float(kernel.log_prob(g, x)) == pytest.approx(-log_order.get(kind, 0.0), rel=1e-5)
    assert time.perf_counter() - start < 20  # a second


# ----- with encodings -------------------------------------------------------------------------------------------------


def test_sympe_on_matrices() -> None:
    kernel = MatrixKernel(3, 4)
    encoding = SymPE(kernel, ArrayAction(kernel.group, 5))
    assert encoding.is_free
    y = encoding(torch.zeros(2, 3, 4))
    assert y.shape == (2, 3, 4, 5)
    assert len(y[0].flatten(0, 1).unique(dim=0)) == 12
    network = torch.nn.Linear(1 + 5, 1)
    assert Encoded(network, encoding, dim=3)(torch.zeros(2, 3, 4, 1)).shape == (2, 3, 4, 1)


def test_any_network_is_an_equivariant_function_of_matrices_without_symmetries() -> None:
    action = ArrayAction(DirectProduct(Permutations(2), Permutations(3)))
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 6), torch.nn.Unflatten(1, (2, 3, 1)))
    x = torch.randn(3, 2, 3, 1, generator=seeded(0))
    assert_equivariant(Canonicalized(network, MatrixKernel(2, 3), action, action), action, action, x)
    with pytest.raises(AssertionError):
        assert_equivariant(network, action, action, x)


# ----- coupled --------------------------------------------------------------------------------------------------------


def check_coupled(kernel: CoupledMatrixKernel) -> None:
    """All pairs of a matrix of 2 x 2 of two values and a target of two values."""
    every_matrix = torch.tensor(list(itertools.product(range(2), repeat=4))).view(-1, 2, 2)
    x, y = every_matrix.repeat_interleave(16, 0), every_matrix.repeat(16, 1, 1)
    group, action = kernel.group, ArrayAction(kernel.group)
    every = group.elements()

    def move(g: Tensor, z: Tensor) -> Tensor:
        return action(g, z[..., None])[..., 0]

    def laws(x: Tensor, y: Tensor) -> Tensor:
        rows = torch.arange(len(x)).repeat_interleave(len(every))
        p = kernel.log_prob(every.repeat(len(x), 1), x[rows], y[rows]).double().exp()
        return p.view(len(x), len(every))

    p = laws(x, y)
    assert torch.allclose(p.sum(1), torch.ones(len(x)).double()), "not normalised"
    fixed = torch.stack([((move(s, x) == x) & (move(s, y) == y)).flatten(1).all(1) for s in every], 1).sum(1)
    assert torch.equal((p > 0).sum(1), fixed), "not as many as fix both"
    assert torch.allclose(kernel.entropy(x, y).double(), fixed.double().log(), atol=1e-6)
    alone = torch.stack([kernel.kernel.log_prob(g.expand(len(x), -1), x) for g in every], 1).double().exp()
    assert bool((alone[p > 0] > 0).all()), "an element is not in C(x)"
    for u in every:
        number = [every.tolist().index(one) for one in group.compose(u, every).tolist()]
        assert torch.allclose(laws(move(u, x), move(u, y))[:, number], p), "not equivariant"
    total, count = torch.zeros_like(p), torch.zeros(len(x), 1)
    for s in every:
        rows = (move(s, x) == x).flatten(1).all(1).nonzero().squeeze(1)
        total[rows] += laws(x[rows], move(s, y)[rows])
        count[rows] += 1
    assert torch.allclose(total / count, alone, atol=1e-6), "averaged over the targets it is not the kernel of x"


def test_the_coupled_law_on_all_small_pairs() -> None:
    check_coupled(CoupledMatrixKernel(MatrixKernel(2, 2)))


class JointAlone(CoupledMatrixKernel):
    """Broken twin: canonical for the pair, not for x."""

    def _last(self, h: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return self.group.identity((len(h),))


def test_the_twin_that_is_canonical_for_the_pair_is_found_out() -> None:
    with pytest.raises(AssertionError, match=r"an element is not in C\(x\)"):
        check_coupled(JointAlone(MatrixKernel(2, 2)))


def test_coupled_draws_lead_to_one_form_of_both() -> None:
    x, y = torch.ones(400, 3, 3), torch.eye(3).expand(400, 3, 3)
    kernel = CoupledMatrixKernel(MatrixKernel(3, 3))
    g = kernel.sample(x, y, generator=seeded(0))
    assert len(g.unique(dim=0)) == 6
    assert bool(kernel.log_prob(g, x, y).isfinite().all())
    assert len(kernel.kernel.move(kernel.group.inverse(g), y).unique(dim=0)) == 1
    encoding = SymPE(kernel, ArrayAction(kernel.group))
    assert encoding(x, target=y).shape == (400, 3, 3, 1)


# ----- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchecked")
def test_wrong_inputs_are_errors_that_say_what_was_expected() -> None:
    kernel = MatrixKernel(2, 3)
    coupled = CoupledMatrixKernel(kernel)
    x = torch.zeros(1, 2, 3)
    calls = {
        r"rows: expected at least 1, got 0": lambda: MatrixKernel(0, 1),
        r"columns: expected at least 1, got 0": lambda: MatrixKernel(1, 0),
        r"order: expected one of .*; got 'best'": lambda: MatrixKernel(1, 1, order="best"),
        r"x: expected shape \(batch, 2, 3\[, channels\]\), got \(1, 3, 2\)": lambda: kernel.sample(x.mT),
        r"x: expected shape .*, got \(2, 3\)": lambda: kernel.sample(x[0]),
        r"x: expected finite entries, got NaN or infinity": lambda: kernel.entropy(x + math.nan),
        r"x: C\(x\) of input 0 has 12 elements, more than limit = 5": lambda: kernel.list_coset(x, limit=5),
        r"g: expected one element for each of 1 matrices, got shape \(5,\)": lambda: kernel.log_prob(
            kernel.group.identity(), x
        ),
        r"g: expected permutations": lambda: kernel.log_prob(torch.tensor([[0, 0, 0, 1, 2]]), x),
        r"target: expected shape \(batch, 2, 3\[, channels\]\), got \(1, 2, 2\)": lambda: coupled.sample(x, x[..., :2]),
        r"target: expected one for each of 1 matrices, got 2": lambda: coupled.sample(x, x.expand(2, 2, 3)),
    }
    for message, call in calls.items():
        with pytest.raises(ValueError, match=message):
            call()
    kinds: dict[str, Any] = {
        r"x: expected an instance of Tensor, got list": lambda: kernel.sample([[1]]),  # type: ignore[arg-type]
        r"x: expected numbers that have an order, got torch.complex64": lambda: kernel.sample(x.cfloat()),
        r"kernel: expected an instance of MatrixKernel, got SetKernel": lambda: CoupledMatrixKernel(
            SetKernel(3)  # type: ignore[arg-type]
        ),
        r"tolerance: expected a number or a Tolerance, got str": lambda: MatrixKernel(
            2,
            2,
            tolerance="low",  # type: ignore[arg-type]
        ),
    }
    for message, call in kinds.items():
        with pytest.raises(TypeError, match=message):
            call()


def test_it_is_an_inversion_kernel_with_a_form_of_its_own() -> None:
    kernel = MatrixKernel(2, 3, order="refined", tolerance=1e-3)
    assert isinstance(kernel, InversionKernel)
    assert kernel.form == {"kernel": "MatrixKernel", "order": "refined", "tolerance": "0.001"}
    assert repr(kernel) == "MatrixKernel(2, 3, order='refined', tolerance=0.001)"
    with pytest.raises(ValueError, match="action: expected an action of the kernel's DirectProduct"):
        SymPE(kernel, NodeAction(Permutations(5)))


@pytest.mark.parametrize("shape", [(0, 2, 3), (2, 2, 3, 0)])
def test_without_numbers_all_entries_are_equal(shape: tuple[int, ...]) -> None:
    kernel, x = MatrixKernel(2, 3), torch.zeros(shape)
    torch.testing.assert_close(kernel.entropy(x), torch.full((shape[0],), math.log(12)))
    assert kernel.sample(x).shape == (shape[0], 5)
