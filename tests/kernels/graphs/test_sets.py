"""The kernels of sets: the law by enumeration, ties and tolerance, padding, and sets that are large."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sympe.actions import NodeAction
from sympe.encodings import Canonicalized, Encoded, SymPE
from sympe.graphs import DenseGraphs, Sets
from sympe.groups import Permutations
from sympe.kernels import CoupledSetKernel, GraphKernel, InversionKernel, SetKernel
from sympe.testing import assert_equivariant, assert_equivariant_in_distribution
from sympe.tolerance import Tolerance


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_sets(n: int = 4, channels: int = 2) -> Tensor:
    """All equal, generic, and rows of few kinds: some differ in the last channel only."""
    few = torch.randint(2, (6, n, channels), generator=seeded(0)).float()
    generic = torch.randn(2, n, channels, generator=seeded(1))
    return torch.cat([torch.zeros(1, n, channels), generic, few, -few[:1]])


def multiplicities(x: Tensor) -> int:
    """The product of the factorials, by counting rows in Python."""
    rows = [tuple(row) for row in x.tolist()]
    return math.prod(math.factorial(rows.count(row)) for row in set(rows))


# ----- the law --------------------------------------------------------------------------------------------------------


def test_the_law_is_equivariant_by_enumeration() -> None:
    assert_equivariant_in_distribution(SetKernel(4), NodeAction(Permutations(4), 2), some_sets())


class FirstIndex(SetKernel):
    """Broken twin: equal elements in the order they come in."""

    def sample(self, x: Any, *, generator: torch.Generator | None = None) -> Tensor:
        return self.canonicalize(x)

    def log_prob(self, g: Tensor, x: Any) -> Tensor:
        return torch.where((g == self.canonicalize(x)).all(1), 0.0, -torch.inf)

    def entropy(self, x: Any) -> Tensor:
        return torch.zeros(len(x))


def test_the_twin_that_breaks_ties_by_position_is_found_out() -> None:
    with pytest.raises(AssertionError, match=r"P\(hg \| hx\)"):
        assert_equivariant_in_distribution(FirstIndex(4), NodeAction(Permutations(4), 2), some_sets())


def test_the_entropy_is_that_of_the_multiplicities() -> None:
    x = torch.cat([some_sets(), torch.randint(3, (20, 4, 2), generator=seeded(3)).float()])
    wanted = torch.tensor([math.log(multiplicities(one)) for one in x])
    torch.testing.assert_close(SetKernel(4).entropy(x), wanted)


def test_every_element_of_the_support_leads_to_one_form_with_sorted_rows() -> None:
    kernel, x = SetKernel(4), some_sets()
    rows, g = kernel.list_coset(x, limit=24)
    form = kernel.move(kernel.group.inverse(g), x[rows])
    assert form.tolist() == [sorted(one) for one in x[rows].tolist()]
    assert rows.bincount().tolist() == [multiplicities(one) for one in x]
    assert len(torch.cat([rows[:, None], g], 1).unique(dim=0)) == len(g)
    assert bool(kernel.log_prob(g, x[rows]).isfinite().all())


def test_it_has_the_symmetries_that_the_kernel_of_graphs_finds() -> None:
    """A graph without edges is a set."""
    x = torch.randint(2, (10, 6, 2), generator=seeded(4))
    graphs = DenseGraphs.from_features(torch.zeros(10, 6, 6, dtype=torch.int64), x)
    torch.testing.assert_close(SetKernel(6).entropy(x), GraphKernel(6).entropy(graphs))
    assert torch.equal(SetKernel(6).orbits(x), GraphKernel(6).orbits(graphs))


def test_orbits_are_equal_rows() -> None:
    x = some_sets()
    wanted = [[row.index(one) for one in row] for row in x.tolist()]
    assert SetKernel(4).orbits(x).tolist() == wanted


def test_integers_booleans_and_signed_zeros() -> None:
    kernel = SetKernel(3)
    wide = torch.tensor([[[2**62], [2**62 + 1], [-(2**62)]]])  # the same in floats
    assert float(kernel.entropy(wide)) == 0
    assert kernel.canonicalize(wide).tolist() == [[2, 0, 1]]
    unsigned = torch.tensor([[[2**64 - 1], [0], [2**63]]], dtype=torch.uint64)
    assert kernel.canonicalize(unsigned).tolist() == [[1, 2, 0]]
    assert float(kernel.entropy(torch.tensor([[[True], [False], [True]]]))) == pytest.approx(math.log(2))
    assert float(kernel.entropy(torch.tensor([[[0.0], [-0.0], [0.0]]]))) == pytest.approx(math.log(6))
    assert float(kernel.entropy(torch.tensor([[[1.0], [2.0], [3.0]]], dtype=torch.bfloat16))) == 0


def test_many_channels_are_compared_one_after_the_other() -> None:
    """More than fit in one number of 64 bits."""
    x = torch.randint(2, (3, 50, 1), generator=seeded(0)).expand(3, 50, 40).clone()
    x[:, ::2, 37] += 1
    order = SetKernel(50).canonicalize(x)
    assert x.gather(1, order[:, :, None].expand_as(x)).tolist() == [sorted(one) for one in x.tolist()]


@pytest.mark.parametrize("shape", [(2, 3, 0), (2, 0, 3), (0, 3, 2)])
def test_without_numbers_all_elements_are_equal(shape: tuple[int, int, int]) -> None:
    kernel, x = SetKernel(3), torch.zeros(shape)
    wanted = torch.full((shape[0],), math.log(math.factorial(shape[1])))
    torch.testing.assert_close(kernel.entropy(x), wanted)
    assert kernel.sample(x).shape == (shape[0], 3)
    rows, g = kernel.list_coset(x, limit=6)
    assert len(rows) == len(g) == shape[0] * math.factorial(shape[1])


# ----- tolerance ------------------------------------------------------------------------------------------------------


def test_floats_within_the_tolerance_are_equal_channel_by_channel() -> None:
    x = torch.tensor([[[1.0, 100.0], [1.0 + 1e-8, 100.0], [1.0, 100.1]]], dtype=torch.float64)
    entropies = [float(SetKernel(3, tolerance=t).entropy(x)) for t in (0.0, 1e-6, 1e-2)]
    assert entropies == pytest.approx([0, math.log(2), math.log(6)], abs=1e-6)
    # in the first channel a gap of 0.1 is nothing next to 100 only if both were on one scale
    apart = torch.tensor([[[0.0, 100.0], [0.1, 100.0], [0.2, 100.0]]])
    assert float(SetKernel(3, tolerance=0.01).entropy(apart)) == 0
    assert float(SetKernel(3, tolerance=Tolerance(0.0, 0.15)).entropy(apart)) == pytest.approx(math.log(6))


def test_noise_below_the_tolerance_changes_nothing() -> None:
    x = 3 + some_sets().double()
    noisy = x + 1e-9 * torch.randn(x.shape, generator=seeded(0), dtype=x.dtype)
    kernel = SetKernel(4)
    assert torch.equal(kernel.entropy(x), kernel.entropy(noisy))
    assert torch.equal(kernel.canonicalize(x), kernel.canonicalize(noisy))
    assert not torch.equal(kernel.entropy(x), SetKernel(4, tolerance=0.0).entropy(noisy))


def test_numbers_that_are_all_tiny_give_a_warning() -> None:
    with pytest.warns(UserWarning, match="x: there are inputs whose entries"):
        SetKernel(2).entropy(torch.tensor([[[1e-9], [2e-9]]]))


# ----- padding and batches --------------------------------------------------------------------------------------------


def test_padded_sets_have_the_answers_of_the_sets_alone() -> None:
    """What stands in the padding does not matter: not its rank, not its size, not NaN."""
    kernel, sizes = SetKernel(6), [3, 5, 0, 6]
    x = torch.randint(2, (4, 6, 2), generator=seeded(2)).float()
    mask = torch.arange(6) < torch.tensor(sizes)[:, None]
    for fill in (0.0, 1e9, math.nan):
        padded = Sets(torch.where(mask[:, :, None], x, fill), mask)
        c = kernel.canonicalize(padded)
        g = kernel.sample(padded, generator=seeded(0))
        assert bool(kernel.log_prob(g, padded).isfinite().all())
        for row, size in enumerate(sizes):
            alone = x[row : row + 1, :size]
            torch.testing.assert_close(kernel.entropy(padded)[row : row + 1], kernel.entropy(alone))
            assert torch.equal(c[row : row + 1], kernel.canonicalize(alone))
            assert c[row, size:].tolist() == g[row, size:].tolist() == list(range(size, 6))
            assert torch.equal(kernel.orbits(padded)[row : row + 1], kernel.orbits(alone))
        moved = kernel.move(g, padded)
        assert isinstance(moved, Sets)
        assert torch.equal(kernel.entropy(moved), kernel.entropy(padded))
    into_padding = torch.tensor([[0, 1, 3, 2, 4, 5]])
    assert float(kernel.log_prob(into_padding, Sets(torch.zeros(1, 6, 1), mask[:1]))) == -math.inf


def test_all_padded_orders_are_drawn_alike() -> None:
    kernel = SetKernel(4)
    x = Sets(torch.zeros(6000, 4, 1), torch.tensor([[True, True, True, False]]).expand(6000, 4))
    found, counts = kernel.sample(x, generator=seeded(0)).unique(dim=0, return_counts=True)
    assert len(found) == 6
    assert float(((counts - 1000) ** 2 / 1000).sum()) < 47  # chi-square on 5 degrees: false alarm 6e-9


# ----- with encodings -------------------------------------------------------------------------------------------------


def test_sympe_on_sets_is_equivariant_and_tells_equal_elements_apart() -> None:
    action = NodeAction(Permutations(4), 2)
    encoding = SymPE(SetKernel(4), action, generator=seeded(0))
    assert encoding.is_free
    y = encoding(torch.zeros(5, 4, 2), generator=seeded(0))
    assert len(y[0].unique(dim=0)) == 4
    assert torch.equal(y[0].sort(0).values, y[1].sort(0).values)
    network = torch.nn.Linear(2 + 2, 1)
    assert Encoded(network, encoding, dim=2)(torch.zeros(5, 4, 2)).shape == (5, 4, 1)


def test_any_network_is_an_equivariant_function_on_sets_whose_elements_differ() -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8, 4), torch.nn.Unflatten(1, (4, 1)))
    model = Canonicalized(network, SetKernel(4), NodeAction(Permutations(4), 2), NodeAction(Permutations(4)))
    x = torch.randn(3, 4, 2, generator=seeded(0))
    assert_equivariant(model, NodeAction(Permutations(4), 2), NodeAction(Permutations(4)), x)
    with pytest.raises(AssertionError):  # without the kernel it is none
        assert_equivariant(network, NodeAction(Permutations(4), 2), NodeAction(Permutations(4)), x)


# ----- coupled --------------------------------------------------------------------------------------------------------


def pairs() -> tuple[Tensor, Tensor]:
    """Every set of three of two kinds of elements, with every target of three values."""
    x = torch.tensor(list(itertools.product(range(2), repeat=3)))[:, :, None].double()
    y = torch.tensor(list(itertools.product(range(3), repeat=3)))
    return x.repeat_interleave(len(y), 0), y.repeat(len(x), 1)


def laws(kernel: CoupledSetKernel, x: Tensor, y: Tensor) -> Tensor:
    every = kernel.group.elements()
    rows = torch.arange(len(x)).repeat_interleave(len(every))
    return kernel.log_prob(every.repeat(len(x), 1), x[rows], y[rows]).double().exp().view(len(x), len(every))


def moved(g: Tensor, z: Tensor) -> Tensor:
    return NodeAction(Permutations(3))(g, z.view(len(z), 3, 1)).view(z.shape)


def check_coupled(kernel: CoupledSetKernel) -> None:
    x, y = pairs()
    every = kernel.group.elements()
    p = laws(kernel, x, y)
    assert torch.allclose(p.sum(1), torch.ones(len(x)).double()), "not normalised"
    fixed = torch.stack([((moved(s, x) == x).flatten(1) & (moved(s, y) == y)).all(1) for s in every], 1).sum(1)
    assert torch.equal((p > 0).sum(1), fixed), "not as many as fix both"
    assert torch.allclose(kernel.entropy(x, y).double(), fixed.double().log(), atol=1e-6)
    alone = torch.stack([kernel.kernel.log_prob(g.expand(len(x), -1), x) for g in every], 1).double().exp()
    assert bool((alone[p > 0] > 0).all()), "an element is not in C(x)"
    for u in every:
        number = [every.tolist().index(one) for one in kernel.group.compose(u.expand(6, 3), every).tolist()]
        assert torch.allclose(laws(kernel, moved(u, x), moved(u, y))[:, number], p), "not equivariant"
    total, count = torch.zeros_like(p), torch.zeros(len(x), 1)
    for s in every:
        rows = (moved(s, x) == x).flatten(1).all(1).nonzero().squeeze(1)
        total[rows] += laws(kernel, x[rows], moved(s, y)[rows])
        count[rows] += 1
    assert torch.allclose(total / count, alone, atol=1e-6), "averaged over the targets it is not the kernel of x"


def test_the_coupled_law_on_all_small_pairs() -> None:
    check_coupled(CoupledSetKernel(SetKernel(3)))


class TargetFirst(CoupledSetKernel):
    """Broken twin: sorted by the target, then by x."""

    def log_prob(self, g: Tensor, x: Any, y: Tensor) -> Tensor:
        return CoupledSetKernel(SetKernel(3)).log_prob(g, y[:, :, None], x)


def test_the_twin_that_sorts_by_the_target_first_is_found_out() -> None:
    with pytest.raises(AssertionError, match=r"an element is not in C\(x\)"):
        check_coupled(TargetFirst(SetKernel(3)))


def test_coupled_draws_follow_the_law() -> None:
    x, y = torch.zeros(3000, 4, 1), torch.tensor([[0.5, 0.1, 0.1, 0.1]]).expand(3000, 4)
    kernel = CoupledSetKernel(SetKernel(4))
    found, counts = kernel.sample(x, y, generator=seeded(0)).unique(dim=0, return_counts=True)
    assert found[:, 3].tolist() == [0] * 6
    assert float(((counts - 500) ** 2 / 500).sum()) < 47  # chi-square on 5 degrees: false alarm 6e-9


def test_a_coupled_encoding_learns_a_target_that_one_without_cannot() -> None:
    """Equal elements, one of them marked: the loss stays at the entropy of the mark, or goes to 0 with g coupled."""
    x, action = torch.zeros(64, 4, 1), NodeAction(Permutations(4), 1)
    y = torch.eye(4)[torch.randint(4, (64,), generator=seeded(0))]
    floor = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    losses = []
    for kernel, target in ((CoupledSetKernel(SetKernel(4)), y), (SetKernel(4), None)):
        encoding = SymPE(kernel, action, generator=seeded(1))
        optimiser = torch.optim.Adam(encoding.parameters(), lr=0.3)
        for step in range(60):
            logits = encoding(x, target=target, generator=seeded(step))[:, :, 0]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[0] < 0.01
    assert losses[1] > 0.9 * floor


# ----- large sets -----------------------------------------------------------------------------------------------------


class Largest(TorchDispatchMode):
    """The size of the largest tensor that any operation makes."""

    entries = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        for one in out if isinstance(out, tuple | list) else (out,):
            if isinstance(one, Tensor):
                self.entries = max(self.entries, one.numel())
        return out


@pytest.mark.parametrize("kind", ["all equal", "generic", "few kinds"])
def test_five_thousand_elements_without_a_matrix_of_them(kind: str) -> None:
    n, channels = 5000, 3
    x = {
        "all equal": torch.zeros(1, n, channels),
        "generic": torch.randn(1, n, channels, generator=seeded(0)),
        "few kinds": torch.randint(3, (1, n, channels), generator=seeded(0)).float(),
    }[kind]
    kernel, y = SetKernel(n), torch.arange(n)[None] % 7
    coupled, action = CoupledSetKernel(kernel), NodeAction(Permutations(n), 2)
    start = time.perf_counter()
    with Largest() as largest:
        g = kernel.sample(x, generator=seeded(0))
        assert bool(kernel.log_prob(g, x).isfinite().all())
        kernel.orbits(x)
        h = coupled.sample(x, y, generator=seeded(0))
        assert bool(coupled.log_prob(h, x, y).isfinite().all())
        SymPE(kernel, action)(x)
    assert time.perf_counter() - start < 5  # 0.1 s; a matrix of 25 million entries takes as long to fill
    assert largest.entries <= 4 * n * channels
    with Largest() as largest:  # the twin: a matrix is seen
        (x[:, :, 0, None] == x[:, None, :, 0]).sum()
    assert largest.entries == n * n


# ----- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchecked")
def test_wrong_inputs_are_errors_that_say_what_was_expected() -> None:
    kernel = SetKernel(3)
    coupled = CoupledSetKernel(kernel)
    calls = {
        r"max_elements: expected at least 1, got 0": lambda: SetKernel(0),
        r"tolerance: expected a finite number >= 0, got -1": lambda: SetKernel(3, tolerance=-1),
        r"x: expected shape \(batch, elements, channels\), got \(2, 3\)": lambda: kernel.sample(torch.zeros(2, 3)),
        r"x: expected sets of at most max_elements = 3 elements, got 4": lambda: kernel.sample(torch.zeros(1, 4, 1)),
        r"x: expected finite entries, got NaN or infinity": lambda: kernel.entropy(torch.full((1, 3, 1), math.inf)),
        r"g: expected one permutation for each of 2 sets, got shape \(1, 3\)": lambda: kernel.log_prob(
            torch.arange(3)[None], torch.zeros(2, 3, 1)
        ),
        r"g: expected permutations of range\(3\), got \[0, 1, 1\]": lambda: kernel.log_prob(
            torch.tensor([[0, 1, 1]]), torch.zeros(1, 3, 1)
        ),
        r"x: C\(x\) of input 0 has 6 elements, more than limit = 5": lambda: kernel.list_coset(
            torch.zeros(1, 3, 1), limit=5
        ),
        r"target: expected shape \(1, 3\) or \(\*, channels\), got \(1, 2\)": lambda: coupled.sample(
            torch.zeros(1, 3, 1), torch.zeros(1, 2)
        ),
        r"target: expected finite entries": lambda: coupled.sample(
            torch.zeros(1, 3, 1), torch.tensor([[0.0, 0.0, math.nan]])
        ),
    }
    for message, call in calls.items():
        with pytest.raises(ValueError, match=message):
            call()
    kinds: dict[str, Any] = {
        r"max_elements: expected an integer, got float": lambda: SetKernel(3.0),  # type: ignore[arg-type]
        r"x: expected a tensor or Sets, got list": lambda: kernel.sample([[1]]),  # type: ignore[arg-type]
        r"x: expected numbers that have an order, got torch.complex64": lambda: kernel.sample(
            torch.zeros(1, 3, 1, dtype=torch.complex64)
        ),
        r"kernel: expected an instance of SetKernel, got GraphKernel": lambda: CoupledSetKernel(
            GraphKernel(3)  # type: ignore[arg-type]
        ),
        r"target: expected an instance of Tensor \(values of the elements\), got list": lambda: coupled.sample(
            torch.zeros(1, 3, 1),
            [0, 1, 0],  # type: ignore[arg-type]
        ),
    }
    for message, call in kinds.items():
        with pytest.raises(TypeError, match=message):
            call()


def test_it_is_an_inversion_kernel_with_a_form_of_its_own() -> None:
    kernel = SetKernel(3, tolerance=1e-3)
    assert isinstance(kernel, InversionKernel)
    assert kernel.form == {"kernel": "SetKernel", "tolerance": "0.001"}
    assert repr(kernel) == "SetKernel(max_elements=3, tolerance=0.001)"
    assert repr(CoupledSetKernel(kernel)) == "CoupledSetKernel(SetKernel(max_elements=3, tolerance=0.001))"
