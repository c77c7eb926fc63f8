"""The exact inversion kernel against brute force: orbits as lists of tuples (tests/oracles.py)."""

import math
from functools import cache

import numpy as np
import pytest
import torch

from sympe.actions import Action, GridAction, ImageAction, MatrixAction, PermutationAction, RegularAction
from sympe.groups import P4M, Cyclic, Dihedral
from sympe.kernels import OrbitKernel
from sympe.kernels.finite.search import Plan
from sympe.testing import assert_equivariant_in_distribution
from sympe.tolerance import Tolerance
from tests import oracles
from tests.catalogue import (
    ACTIONS,
    GROUPS,
    MIXING,
    PERMUTING,
    ising,
    moved_copies,
    rotations,
    rows_and_columns,
    symmetric_generators,
    symmetric_inputs,
    symmetric_vectors,
)

# Every group with its regular representation, and every action of the catalogue: (action, inputs).
CASES: dict[str, Action] = ACTIONS | {f"{name} on itself": RegularAction(group) for name, group in GROUPS.items()}
NAMES = [
    pytest.param(name, marks=pytest.mark.slow)
    if action.group.order > (12 if name.endswith("on itself") else 32)
    else name
    for name, action in CASES.items()
]


def inputs(action: Action) -> torch.Tensor:
    return symmetric_inputs(action) if action.permutes_entries else symmetric_vectors(action)


def elements(mask: torch.Tensor) -> list[set[int]]:
    return [set(row.nonzero().flatten().tolist()) for row in mask]


def rounded(x: torch.Tensor) -> list[tuple[float, ...]]:
    """Rows as tuples, equal where they agree to four digits (inputs are well apart from that)."""
    return [tuple(row) for row in (x.double() * 1e4).round().add(0.0).flatten(1).tolist()]


def brute_force(action: Action, x: torch.Tensor) -> list[tuple[set[int], set[int]]]:
    """C(x) and G_x of every x, by writing down its orbit."""
    inverses = action.group.inverse(action.group.elements())
    reading = Plan.of(action).reading.tolist() if action.permutes_entries else range(action.size)
    orbits = [rounded(action(inverses, row)) for row in x]
    return [(oracles.coset(moved_back, reading), oracles.stabilizer(moved_back)) for moved_back in orbits]


@cache
def brute_force_of_case(name: str) -> list[tuple[set[int], set[int]]]:
    return brute_force(CASES[name], inputs(CASES[name]))


@pytest.mark.parametrize("name", NAMES)
def test_coset_and_stabilizer_are_those_of_brute_force(name: str) -> None:
    action = CASES[name]
    kernel, x = OrbitKernel(action), inputs(action)
    expected = brute_force_of_case(name)
    assert elements(kernel.coset(x)) == [coset for coset, _ in expected]
    assert elements(kernel.stabilizer(x)) == [stabilizer for _, stabilizer in expected]


@pytest.mark.parametrize("name", PERMUTING)
def test_coset_and_stabilizer_are_those_of_explicit_permutations(name: str) -> None:
    action, images = PERMUTING[name]
    kernel, x = OrbitKernel(action), symmetric_inputs(action, seed=1)
    reading = Plan.of(action).reading.tolist()
    orbits = [oracles.inverse_orbit(images, row.numpy()) for row in x.flatten(1)]
    assert elements(kernel.coset(x)) == [oracles.coset(orbit, reading) for orbit in orbits]
    assert elements(kernel.stabilizer(x)) == [oracles.stabilizer(orbit) for orbit in orbits]
    canonical = [min(tuple(row[e] for e in reading) for row in orbit) for orbit in orbits]
    assert [tuple(row) for row in kernel.canonical_form(x).flatten(1)[:, reading].tolist()] == canonical


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("name", NAMES)
def test_the_coset_is_the_stabilizer_times_any_of_its_elements(name: str) -> None:
    action = CASES[name]
    group, kernel, x = action.group, OrbitKernel(action), inputs(action)
    of_canonical = elements(kernel.stabilizer(kernel.canonical_form(x)))
    for coset, left, right in zip(elements(kernel.coset(x)), elements(kernel.stabilizer(x)), of_canonical, strict=True):
        for c in {min(coset), max(coset)}:
            assert set(group.compose(torch.tensor(sorted(left)), torch.tensor(c)).tolist()) == coset  # C(x) = G_x c
            assert set(group.compose(torch.tensor(c), torch.tensor(sorted(right))).tolist()) == coset  # = c G_gamma(x)


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("name", NAMES)
def test_the_canonical_form_is_in_the_orbit_and_the_same_for_all_of_it(name: str) -> None:
    action = CASES[name]
    kernel, x = OrbitKernel(action), inputs(action)
    copies = moved_copies(action, x)
    canonical = kernel.canonical_form(copies.flatten(0, 1)).view(copies.shape)
    for row in range(len(x)):
        assert len(set(rounded(canonical[:, row]))) == 1
        assert rounded(canonical[:1, row])[0] in set(rounded(copies[:, row]))


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("name", NAMES)
def test_the_coset_moves_with_the_input(name: str) -> None:
    action = CASES[name]
    group, kernel, x = action.group, OrbitKernel(action), inputs(action)
    every = group.elements()
    moved = kernel.coset(moved_copies(action, x).flatten(0, 1)).view(group.order, len(x), group.order)
    products = group.compose(every[:, None], every)  # [h, g] = hg
    expected = kernel.coset(x)
    for h in range(group.order):
        assert torch.equal(moved[h][:, products[h]], expected)  # hg in C(hx) iff g in C(x)


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("name", NAMES)
def test_log_prob_is_uniform_on_the_coset_and_entropy_its_logarithm(name: str) -> None:
    action = CASES[name]
    kernel, x = OrbitKernel(action), inputs(action)
    every = action.group.elements()
    for row, (coset, stabilizer) in zip(x, brute_force_of_case(name), strict=True):
        assert len(coset) == len(stabilizer)
        log_prob = kernel.log_prob(every, row.expand(len(every), *row.shape))
        expected = torch.tensor([-math.log(len(coset)) if int(g) in coset else -math.inf for g in every])
        torch.testing.assert_close(log_prob, expected)
        torch.testing.assert_close(kernel.entropy(row[None]), torch.tensor([math.log(len(stabilizer))]))


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("name", NAMES)
def test_the_kernel_is_equivariant_in_distribution(name: str) -> None:
    action = CASES[name]
    x = inputs(action)
    # three of the inputs and a few h here: all h are in test_the_coset_moves_with_the_input
    assert_equivariant_in_distribution(OrbitKernel(action), action, x[[0, 1, -1]], max_elements=6)


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("name", ["C_12", "D_5", "S_3", "Q8 from a table", "P4M(1)", "P4M(2)"])
def test_the_kernel_of_the_regular_representation_passes_the_whole_check(name: str) -> None:
    action = RegularAction(GROUPS[name])
    assert_equivariant_in_distribution(OrbitKernel(action), action, symmetric_inputs(action))


# ----- every conjugacy class of stabilizers ------------------------------------------------------------------------


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize(("size", "count"), [(1, 1), (2, 5), (3, 12), pytest.param(4, 56, marks=pytest.mark.slow)])
def test_a_field_of_every_stabilizer_that_p4m_allows(size: int, count: int) -> None:
    images = oracles.site_images(size)
    fields = oracles.stabilizer_classes(images)
    assert len(fields) == count
    check_every_class(GridAction(P4M(size)), images, fields)


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize(("side", "count"), [(2, 5), (4, 8)])
def test_an_image_of_every_stabilizer_that_d4_allows(side: int, count: int) -> None:
    # 4 x 4 pixels allow all eight classes of subgroups of D4; 2 x 2 cannot tell C4 and one Klein group from D4, nor
    # the half turn from the other
    images = oracles.image_images(4, 8, side, side)
    fields = oracles.stabilizer_classes(images)
    assert len(fields) == count
    check_every_class(ImageAction(Dihedral(4), 1, side), images, fields)


def check_every_class(action: Action, images: np.ndarray, fields: list[tuple[int, ...]]) -> None:
    group, kernel = action.group, OrbitKernel(action)
    x = torch.tensor(fields).view(-1, *action.shape)
    reading = Plan.of(action).reading.tolist()
    orbits = [oracles.inverse_orbit(images, row.numpy()) for row in x.flatten(1)]
    stabilizers = [oracles.stabilizer(orbit) for orbit in orbits]
    assert elements(kernel.stabilizer(x)) == stabilizers
    coset = kernel.coset(x)
    assert elements(coset) == [oracles.coset(orbit, reading) for orbit in orbits]
    torch.testing.assert_close(kernel.entropy(x), torch.tensor([float(len(s)) for s in stabilizers]).log())
    every = group.elements()
    for h in every:
        hx = action(h, x)
        assert torch.equal(kernel.coset(hx)[:, group.compose(h, every)], coset)
    # uniformity of the samples: 40 draws for each element of C(x), false alarm 1e-9 each
    for row in range(len(x)):
        draws = kernel.sample(x[row].expand(40 * len(stabilizers[row]), *action.shape), generator=seeded(row))
        counts = draws.bincount(minlength=group.order)
        assert set(counts.nonzero().flatten().tolist()) <= set(coset[row].nonzero().flatten().tolist())
        assert chi_square_p_value(counts[coset[row]], 40.0) > 1e-9


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def chi_square_p_value(counts: torch.Tensor, expected: float) -> float:
    if len(counts) == 1:
        return 1.0
    statistic = ((counts - expected) ** 2 / expected).sum().double()
    return float(torch.special.gammaincc(torch.tensor((len(counts) - 1) / 2).double(), statistic / 2))


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("size", [1, 2, pytest.param(3, marks=pytest.mark.slow)])
def test_couplings_and_fields_of_every_stabilizer(size: int) -> None:
    action = ising(size)
    images = oracles.direct_sum_images(oracles.bond_images(size), oracles.site_images(size))
    check_every_class(action, images, oracles.stabilizer_classes(images))


# ----- floats ------------------------------------------------------------------------------------------------------


def noisy_cases() -> list[tuple[Action, torch.Tensor]]:
    cases: list[tuple[Action, torch.Tensor]] = []
    for name in ("sites of P4M(4)", "bonds and field of P4M(3)", "P4M(2) on itself", "corners of the 6-gon"):
        action = ACTIONS[name]
        cases.append((action, symmetric_inputs(action) / 7))
    for name in ("D_6 on the plane", "Q8 on quaternions", "plane and sign", "signed permutations"):
        action = ACTIONS[name]
        cases.append((action, symmetric_vectors(action).double()))
    return cases


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("case", range(8))
def test_noise_below_the_tolerance_changes_nothing(case: int) -> None:
    action, x = noisy_cases()[case]
    kernel = OrbitKernel(action, tolerance=1e-4)
    noise = 1e-8 * torch.randn(x.shape, generator=seeded(0), dtype=torch.float64)
    group, every = action.group, action.group.elements()
    coset = kernel.coset(x)
    assert torch.equal(kernel.coset(x + noise), coset)
    assert torch.equal(kernel.stabilizer(x + noise), kernel.stabilizer(x))
    for h in every:  # the law is exact on noisy inputs too
        assert torch.equal(kernel.coset(action(h, x + noise))[:, group.compose(h, every)], coset)
    assert int(kernel.stabilizer(x).sum()) > len(x)  # some are symmetric


@pytest.mark.usefixtures("unchecked")  # for speed
@pytest.mark.parametrize("case", range(8))
def test_noise_above_the_tolerance_breaks_the_symmetry(case: int) -> None:
    action, x = noisy_cases()[case]
    kernel = OrbitKernel(action, tolerance=1e-6)
    y = x + 1e-2 * torch.randn(x.shape, generator=seeded(1), dtype=torch.float64)
    trivial = torch.zeros(action.group.order, dtype=torch.bool)
    trivial[action.trivial_elements()] = True
    assert torch.equal(kernel.stabilizer(y), trivial.expand(len(y), -1))
    group, every = action.group, action.group.elements()
    for h in every:
        assert torch.equal(kernel.coset(action(h, y))[:, group.compose(h, every)], kernel.coset(y))


def test_single_precision_symmetric_fields_count_as_symmetric() -> None:
    # 1/3 computed in eight ways: the last digits differ, the field is constant up to float noise
    thirds = torch.tensor([1 / 3, 2 / 6, 0.1 / 0.3, 1 - 2 / 3, 3 * (1 / 9), 1e3 / 3e3, 0.1 + 0.7 / 3, 7 / 21, 1 / 3])
    x = (thirds + torch.tensor([1e-7, -1e-7, 0] * 3)).view(1, 1, 3, 3)
    assert len(x.unique()) > 1
    assert float(OrbitKernel(GridAction(P4M(3))).entropy(x).exp().round()) == 72
    assert float(OrbitKernel(GridAction(P4M(3)), tolerance=0.0).entropy(x).exp().round()) < 72


def test_a_chain_of_close_values_shares_a_rank() -> None:
    x = torch.tensor([[[0.0, 0.6, 1.2]]])
    cyclic = PermutationAction.generate([[1, 2, 0]])
    assert float(OrbitKernel(cyclic, tolerance=Tolerance(absolute=0.61)).entropy(x).exp().round()) == 3
    assert float(OrbitKernel(cyclic, tolerance=Tolerance(0.0, 0.59)).entropy(x)) == 0


def test_ranks_are_joint_over_the_channels_that_the_group_mixes() -> None:
    # r takes Jx to Jy; they tie through 0.5e-6, so the field of couplings has the quarter turn
    x = torch.full((1, 2, 4, 4), 1.0, dtype=torch.float64)
    x[:, 1] += 5e-7
    kernel = OrbitKernel(ACTIONS["bonds of P4M(4)"])
    assert float(kernel.entropy(x).exp().round()) == 128
    x[:, 1] += 1e-5
    assert float(kernel.entropy(x).exp().round()) == 64


def test_ranks_are_apart_for_channels_that_the_group_does_not_mix() -> None:
    # 0 and 0.5e-6 are in different channels: no chain from 0 to 1e-6 through them
    action = GridAction(P4M(3), 2)
    x = torch.zeros(1, 2, 3, 3, dtype=torch.float64)
    x[0, 0, 0, 0] = 1.6e-6
    x[0, 1] = 0.8e-6
    assert float(OrbitKernel(action).entropy(x).exp().round()) == 8  # D4 about the site, not all 72


def test_near_ties_of_an_enumerated_orbit_that_are_no_coset_are_an_error() -> None:
    # the second coordinate is squeezed far below the tolerance and tells nothing; of 400 points on the circle the few
    # next to the least first coordinate tie with it, and those are not a coset
    n = 400
    squeeze = torch.diag(torch.tensor([1.0, 1e-6], dtype=torch.float64))
    turns = torch.stack([torch.from_numpy(oracles.plane_rotation(n, k, 0)) for k in range(n)])
    kernel = OrbitKernel(MatrixAction(Cyclic(n), squeeze @ turns @ squeeze.inverse()), tolerance=1e-3)
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    assert float(kernel.entropy(x[:1]).exp().round()) == n
    for batch, row in ((x, 1), (x[1:], 0)):
        with pytest.raises(ValueError, match=f"x: row {row} is symmetric only up to differences near the tolerance"):
            kernel.coset(batch)


# ----- products ----------------------------------------------------------------------------------------------------


def test_factors_on_the_same_data_need_a_joint_kernel() -> None:
    """Factors on the same data: a 2 x 2 identity has trivial row and column stabilizers and a joint one of order 2."""
    joint, group = rows_and_columns(2, 2)
    x = torch.eye(2).view(1, 1, 4)
    kernel = OrbitKernel(joint)
    swap_both = int(group.pack(torch.tensor(1), torch.tensor(1)))
    assert elements(kernel.stabilizer(x)) == [{0, swap_both}]
    assert float(kernel.entropy(x).exp().round()) == 2
    assert_equivariant_in_distribution(kernel, joint, x)

    swap = Cyclic(2)
    by_rows = PermutationAction(swap, torch.tensor([[0, 1, 2, 3], [2, 3, 0, 1]]))
    by_columns = PermutationAction(swap, torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2]]))
    rows, columns = OrbitKernel(by_rows), OrbitKernel(by_columns)
    assert float(rows.entropy(x) + columns.entropy(x)) == 0

    class PerFactor:
        """Each factor by its own kernel, independently."""

        group = joint.group

        def sample(self, x: torch.Tensor, *, generator: torch.Generator | None = None) -> torch.Tensor:
            return self.group.pack(rows.sample(x, generator=generator), columns.sample(x, generator=generator))

        def log_prob(self, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            a, b = self.group.components(g)
            return rows.log_prob(a, x) + columns.log_prob(b, x)

        def entropy(self, x: torch.Tensor) -> torch.Tensor:
            return rows.entropy(x) + columns.entropy(x)

    with pytest.raises(AssertionError, match=r"P\(hg \| hx\)"):
        assert_equivariant_in_distribution(PerFactor(), joint, x)


def test_factors_on_their_own_data_factorize() -> None:
    action = ACTIONS["S_3 x D_3, a factor each"]
    natural = PermutationAction.generate(symmetric_generators(3))
    corners = PERMUTING["corners of the 3-gon"][0]
    x = torch.tensor([[[0.0, 0, 1], [1, 2, 3]], [[1, 1, 1], [0, 1, 0]], [[2, 1, 0], [3, 1, 2]]])
    first, second = OrbitKernel(natural).stabilizer(x[:, :1]), OrbitKernel(corners).stabilizer(x[:, 1:])
    product = (first[:, :, None] & second[:, None, :]).flatten(1)
    assert torch.equal(OrbitKernel(action).stabilizer(x), product)


# ----- sampling ----------------------------------------------------------------------------------------------------


def test_sample_is_determined_by_its_generator_and_leaves_the_global_one_alone() -> None:
    kernel = OrbitKernel(GridAction(P4M(4)))
    x = torch.zeros(20, 1, 4, 4)
    before = torch.get_rng_state()
    one, two = (kernel.sample(x, generator=seeded(3)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, two)
    assert len(one.unique()) > 1
    torch.manual_seed(1)
    three = kernel.sample(x)
    torch.manual_seed(1)
    assert torch.equal(three, kernel.sample(x))


def test_the_layout_of_the_input_in_memory_does_not_matter() -> None:
    kernel = OrbitKernel(GridAction(P4M(3), 2))
    x = symmetric_inputs(kernel.action)
    assert torch.equal(kernel.coset(x.to(memory_format=torch.channels_last)), kernel.coset(x))
    assert torch.equal(kernel.coset(x.mT), kernel.coset(x.mT.contiguous()))


def test_rows_are_independent_of_their_batch() -> None:
    action = GridAction(P4M(3))
    kernel, x = OrbitKernel(action), symmetric_inputs(action)
    alone = torch.cat([kernel.coset(row[None]) for row in x])
    assert torch.equal(kernel.coset(x), alone)
    assert torch.equal(kernel.coset(x.flip(0)), alone.flip(0))


@pytest.mark.parametrize("name", ["sites of P4M(3)", "an image and the corners of its frame", "signed permutations"])
def test_neighbours_that_are_equal_have_the_coset_that_they_have_alone(name: str) -> None:
    action = ACTIONS[name]
    kernel, x = OrbitKernel(action), inputs(action)
    alone = torch.cat([kernel.coset(row[None]) for row in x])
    for counts in ([1] * len(x), [3, *[1] * (len(x) - 2), 2], [1, 4] + [2] * (len(x) - 2), [1000] * len(x)):
        which = torch.arange(len(x)).repeat_interleave(torch.tensor(counts))
        rows, g = kernel.support(x[which])
        assert torch.equal(rows, alone[which].nonzero()[:, 0])
        assert torch.equal(kernel.coset(x[which]), alone[which])
        assert torch.equal(alone[which][rows, g], torch.ones_like(rows, dtype=torch.bool))
    assert torch.equal(kernel.coset(x[1].expand(5, *x[1].shape)), alone[1].expand(5, -1))


def test_equal_neighbours_are_searched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = OrbitKernel(GridAction(P4M(2)))
    searched: list[int] = []
    search = kernel._search
    monkeypatch.setattr(kernel, "_search", lambda x: (searched.append(len(x)), search(x))[1])
    a, b = torch.eye(2).view(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    for x in (torch.cat([a, b, a]), torch.cat([a, a, b, b, b, a]), a.expand(1000, 1, 2, 2)):
        kernel.support(x)
    assert searched == [3, 3, 1]


def test_the_search_in_chunks_is_the_search_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sites of P4M(3)", "D_12 on the plane"):
        action = ACTIONS[name]
        kernel, x = OrbitKernel(action), inputs(action)
        coset = kernel.coset(x)
        with monkeypatch.context() as patch:
            patch.setattr("sympe.kernels.finite.search.CHUNK", action.group.order)  # a row at a time
            assert torch.equal(kernel.coset(x), coset)


# ----- inputs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sites of P4M(4)", "Q8 on quaternions"])
def test_an_empty_batch_gives_empty_results(name: str) -> None:
    action = ACTIONS[name]
    kernel, x = OrbitKernel(action), torch.zeros(0, *action.shape)
    none = torch.zeros(0, dtype=torch.int64)
    order = action.group.order
    assert kernel.sample(x).shape == kernel.entropy(x).shape == kernel.log_prob(none, x).shape == (0,)
    assert kernel.coset(x).shape == kernel.stabilizer(x).shape == (0, order)
    assert kernel.canonical_form(x).shape == x.shape


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int8, torch.int64, torch.float16, torch.float64])
def test_the_dtype_of_the_input_does_not_matter(dtype: torch.dtype) -> None:
    action = GridAction(P4M(3))
    kernel = OrbitKernel(action)
    x = torch.randint(2, (9, 1, 3, 3), generator=seeded(0))
    assert torch.equal(kernel.coset(x.to(dtype)), kernel.coset(x.float()))
    assert kernel.canonical_form(x.to(dtype)).dtype == dtype


@pytest.mark.parametrize("dtype", [torch.uint16, torch.uint32, torch.uint64])
def test_wide_unsigned_numbers_are_compared_exactly(dtype: torch.dtype) -> None:
    """All of the torus, of order 72; D_4 about one site; for two neighbours, an exchange and a reflection."""
    most = torch.iinfo(dtype).max
    values = np.full((3, 1, 3, 3), most, dtype=str(dtype).removeprefix("torch."))
    values[1, 0, 1, 1] = values[2, 0, 1, 1] = values[2, 0, 1, 2] = most - 1
    kernel = OrbitKernel(GridAction(P4M(3)))
    x = torch.from_numpy(values)
    assert kernel.entropy(x).exp().round().tolist() == [72, 8, 4]
    same = torch.from_numpy((most - values).astype(np.int64)).neg()  # in the same order
    assert torch.equal(kernel.coset(x), kernel.coset(same))


def test_large_integers_are_told_apart() -> None:
    x = torch.full((1, 1, 3, 3), 2**62)
    x[0, 0, 1, 1] += 1
    assert float(OrbitKernel(GridAction(P4M(3))).entropy(x).exp().round()) == 8


def test_integers_at_both_ends_of_their_range_are_told_apart() -> None:
    for dtype in (torch.int8, torch.int64):
        x = torch.full((1, 1, 3, 3), torch.iinfo(dtype).min, dtype=dtype)
        x[0, 0, 1, 1] = torch.iinfo(dtype).max
        assert float(OrbitKernel(GridAction(P4M(3))).entropy(x).exp().round()) == 8
    x = torch.full((1, 1, 3, 3), 255, dtype=torch.uint8)
    x[0, 0, 1, 1] = 0
    assert float(OrbitKernel(GridAction(P4M(3))).entropy(x).exp().round()) == 8


def test_the_kernel_passes_no_gradient() -> None:
    x = torch.randn(2, 1, 3, 3, requires_grad=True)
    kernel = OrbitKernel(GridAction(P4M(3)))
    assert not kernel.entropy(x).requires_grad
    (gradient,) = torch.autograd.grad(kernel.canonical_form(x).square().sum(), x)  # but the canonical form is x moved
    torch.testing.assert_close(gradient, 2 * x.detach())


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", ["sites of P4M(3)", "D_3 on the plane"])
def test_nan_and_infinity_are_an_error(name: str, value: float) -> None:
    action = ACTIONS[name]
    x = torch.zeros(2, action.size)
    x[1, 1] = value
    with pytest.raises(ValueError, match="x: expected finite entries, got NaN or infinity"):
        OrbitKernel(action).sample(x.view(2, *action.shape))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 3, 3), r"x: expected shape \(\*batch, 1, 3, 3\), got \(2, 3, 3\)"),
        ((2, 1, 3, 4), r"x: expected shape \(\*batch, 1, 3, 3\), got \(2, 1, 3, 4\)"),
        ((2, 2, 3, 3), r"x: expected shape \(\*batch, 1, 3, 3\), got \(2, 2, 3, 3\)"),
        ((1, 3, 3), r"x: expected one batch dimension, got shape \(1, 3, 3\)"),
        ((5, 2, 1, 3, 3), r"x: expected one batch dimension, got shape \(5, 2, 1, 3, 3\)"),
    ],
)
def test_a_wrong_shape_is_an_error(shape: tuple[int, ...], message: str) -> None:
    kernel, x = OrbitKernel(GridAction(P4M(3))), torch.zeros(shape)
    none = torch.zeros(shape[0], dtype=torch.int64)
    calls = [
        lambda: kernel.sample(x),
        lambda: kernel.entropy(x),
        lambda: kernel.coset(x),
        lambda: kernel.stabilizer(x),
        lambda: kernel.canonical_form(x),
        lambda: kernel.log_prob(none, x),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("tolerance", [-1e-3, math.inf, math.nan])
def test_a_bad_tolerance_is_an_error(tolerance: float) -> None:
    with pytest.raises(ValueError, match=f"tolerance: expected a finite number >= 0, got {tolerance}"):
        OrbitKernel(rotations(3), tolerance=tolerance)


def test_repr_names_action_group_and_tolerance() -> None:
    kernel = OrbitKernel(GridAction(P4M(3)))
    assert repr(kernel) == "OrbitKernel(GridAction(P4M(size=3), shape=(1, 3, 3)), tolerance=1e-06)"


def test_every_mixing_action_of_the_catalogue_is_enumerated() -> None:
    assert all(not action.permutes_entries for action in MIXING.values())


def turns_and_flips(n: int, dtype: torch.dtype) -> MatrixAction:
    """D_n on the plane."""
    k = 2 * torch.pi * torch.arange(n, dtype=torch.float64) / n
    turns = torch.stack([k.cos(), -k.sin(), k.sin(), k.cos()], 1).view(n, 2, 2)
    flips = turns @ torch.tensor([[1.0, 0.0], [0.0, -1.0]], dtype=torch.float64)
    return MatrixAction(Dihedral(n), torch.cat([turns, flips]).to(dtype))


@pytest.mark.parametrize("scale", [1.0, 73.0, 1000.0])
@pytest.mark.parametrize("n", [3, 5, 7])
def test_matrices_in_double_precision_find_mirror_axes_at_any_scale(n: int, scale: float) -> None:
    action = turns_and_flips(n, torch.float64)
    kernel = OrbitKernel(action)
    x = action(action.group.elements(), torch.tensor([scale, 0.0], dtype=torch.float64))  # all on mirror axes
    assert torch.allclose(kernel.entropy(x).exp(), torch.tensor(2.0))


def test_matrices_too_coarse_for_the_tolerance_are_refused() -> None:
    kernel = OrbitKernel(turns_and_flips(3, torch.float32))
    for scale in (1.0, 73.0, 1e6):  # rounding is relative, and so is the tolerance
        assert torch.allclose(kernel.entropy(torch.tensor([[scale, 0.0]])).exp(), torch.tensor(2.0))
    with pytest.raises(ValueError, match="tolerance: expected at least the rounding error of the action on x"):
        OrbitKernel(turns_and_flips(3, torch.float32), tolerance=Tolerance(0.0, 1e-6)).entropy(
            torch.tensor([[73.0, 0.0]])
        )


def test_matrices_refuse_integers() -> None:
    action = turns_and_flips(6, torch.float64)
    with pytest.raises(ValueError, match="x: expected floats"):
        action(torch.tensor(1), torch.tensor([2, 0]))
    # the kernel computes in double precision, so it can take them
    assert torch.allclose(OrbitKernel(action).entropy(torch.tensor([[2, 0]])).exp(), torch.tensor(2.0))


def test_log_prob_needs_one_element_for_each_input() -> None:
    kernel = OrbitKernel(GridAction(P4M(2)))
    with pytest.raises(ValueError, match="g: expected one element for each of 2 inputs, got shape"):
        kernel.log_prob(torch.zeros(5, dtype=torch.int64), torch.zeros(2, 1, 2, 2))


INTEGERS = [torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int16, torch.int32, torch.int64]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_of_every_type_have_the_form_of_the_same_numbers_in_int64(dtype: torch.dtype) -> None:
    """Against enumeration of the orbit in Python's integers; the largest numbers of the type are among them."""
    kernel = OrbitKernel(GridAction(P4M(3)))
    generator = torch.Generator().manual_seed(0)
    top = 2**64 - 1 if dtype == torch.uint64 else torch.iinfo(dtype).max
    values = [0, 1, top - 1, top]
    drawn = [values[i] for i in torch.randint(4, (6 * 9,), generator=generator).tolist()]
    rows = [[0] * 9, [top] * 9, [0, top] + [0] * 7, *(drawn[9 * i : 9 * i + 9] for i in range(6))]
    x = torch.tensor([[v - 2**64 if v >= 2**63 else v for v in row] for row in rows])
    x = (x.view(torch.uint64) if dtype == torch.uint64 else x.to(dtype)).view(-1, 1, 3, 3)
    source = GridAction(P4M(3)).source(torch.arange(72)[:, None], torch.arange(9)).tolist()
    forms = kernel.canonical_form(x)
    assert forms.dtype == dtype
    for row, form, coset in zip(rows, forms.flatten(1).tolist(), kernel.coset(x).tolist(), strict=True):
        orbit = [[row[i] for i in images] for images in source]  # g x, for every g
        order = kernel._plan.reading.tolist()
        least = min(orbit, key=lambda y: [y[i] for i in order])
        assert form == least
        inverse = GridAction(P4M(3)).group.inverse(torch.arange(72)).tolist()
        assert coset == [orbit[inverse[g]] == least for g in range(72)]


@pytest.mark.usefixtures("unchecked")
def test_numbers_without_an_order_are_refused() -> None:
    with pytest.raises(TypeError, match=r"x: expected numbers that have an order, got torch.complex64"):
        OrbitKernel(GridAction(P4M(3))).sample(torch.zeros(1, 1, 3, 3, dtype=torch.complex64))
