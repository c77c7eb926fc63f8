"""Partial breaking, by enumeration of every element and every subgroup that two elements generate."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sympe.actions import FiniteAction, GridAction, PermutationAction, RegularAction
from sympe.encodings import PartialSymPE
from sympe.groups import P4M, Cyclic, Dihedral, FiniteGroup, generated_subgroup
from sympe.kernels import OrbitKernel, PartialKernel
from sympe.testing import assert_equivariant_in_distribution
from tests.catalogue import dihedral_permutations, rotations, symmetric, symmetric_generators, symmetric_inputs

ACTIONS: dict[str, FiniteAction] = {
    "corners of the hexagon": PermutationAction(Dihedral(6), torch.tensor(dihedral_permutations(6))),
    "S_4 on points": PermutationAction.generate(symmetric_generators(4)),
    "sites of P4M(3)": GridAction(P4M(3)),
    "D_4 on itself": RegularAction(Dihedral(4)),
}
CASES = [pytest.param(name, marks=pytest.mark.slow) if "P4M" in name else name for name in ACTIONS]


def subgroups(group: FiniteGroup) -> list[list[int]]:
    """Generators of some subgroups: trivial, cyclic ones, random ones of two generators, all."""
    pairs = torch.randint(group.order, (3, 2), generator=torch.Generator().manual_seed(0)).tolist()
    return [[], *([g] for g in range(1, min(group.order, 5))), *pairs, list(group.generators)]


def conjugate(group: FiniteGroup, g: Tensor, elements: Tensor) -> Tensor:
    return group.compose(group.compose(g, elements), group.inverse(g))


@pytest.mark.slow
@pytest.mark.parametrize("name", ACTIONS)
def test_it_is_an_inversion_kernel_whose_canonical_form_keeps_as_much_of_k_as_can_be(name: str) -> None:
    action = ACTIONS[name]
    group, x = action.group, symmetric_inputs(action)
    orbit, every = OrbitKernel(action), group.elements()
    stabilizers = orbit.stabilizer(x)
    for generators in subgroups(group):
        kernel = PartialKernel(orbit, generators)
        K = kernel.subgroup
        assert set(K.tolist()) == set(generated_subgroup(group, generators).tolist())
        assert_equivariant_in_distribution(kernel, action, x, max_elements=6, draws=200)
        conjugates = conjugate(group, every[:, None], K)
        broken = kernel.broken(x).exp()
        for one, fixes, spent in zip(x, stabilizers, broken, strict=True):
            support = every[kernel.log_prob(every, one.expand(len(every), *one.shape)).isfinite()]
            forms = action(group.inverse(support), one)
            assert bool((forms == forms[0]).all()), "g^-1 x is one canonical form for all g of C'(x)"
            fixes_form = orbit.stabilizer(forms[:1])[0]
            kept = int(fixes_form[K].sum())
            # brute force: the largest share of any conjugate of K among the symmetries of x itself
            assert kept == int(fixes[conjugates].sum(1).max())
            assert float(spent) == pytest.approx(int(fixes.sum()) / kept, rel=1e-4)
            some = support[:4]
            for g, elements in zip(some, kernel.kept(some, one.expand(len(some), *one.shape)), strict=True):
                left = set(elements.tolist())
                assert left == set(conjugate(group, g, K[fixes_form[K]]).tolist())
                assert all(bool(fixes[s]) for s in left)


@pytest.mark.filterwarnings("ignore:SymPE")
@pytest.mark.parametrize("name", CASES)
def test_the_encoding_keeps_just_these_symmetries_and_all_ways_of_breaking_the_others_are_equally_likely(
    name: str,
) -> None:
    action = ACTIONS[name]
    group = action.group
    features = RegularAction(group, 2)  # faithful, and generic vectors are free
    x, orbit, every = symmetric_inputs(action), OrbitKernel(action), group.elements()
    stabilizers, exact = orbit.stabilizer(x), OrbitKernel(features, tolerance=1e-4)
    for generators in subgroups(group):
        kernel = PartialKernel(orbit, generators)
        encoding = PartialSymPE(kernel, features, generator=torch.Generator().manual_seed(0))
        fixed = features(kernel.subgroup, encoding.v).mean(0).detach()
        for one, fixes, broken in zip(x, stabilizers, kernel.broken(x), strict=True):
            p = kernel.log_prob(every, one.expand(len(every), *one.shape)).exp()
            support = every[p > 0]
            e = features(support, fixed)
            keeps = exact.stabilizer(e) & fixes
            kept = torch.zeros_like(keeps).scatter(1, kernel.kept(support, one.expand(len(support), *one.shape)), True)
            assert torch.equal(keeps, kept)
            kinds = (e.flatten(1)[:, None] - e.flatten(1)).abs().amax(2) < 1e-4
            assert len({tuple(row) for row in kinds.tolist()}) == round(float(broken.exp()))
            assert len(set(kinds.sum(1).tolist())) == 1  # every coset has as many elements


def test_the_trivial_subgroup_gives_the_kernel_itself_and_the_whole_group_breaks_nothing() -> None:
    action = ACTIONS["sites of P4M(3)"]
    orbit, x = OrbitKernel(action), symmetric_inputs(action)
    trivial, whole = PartialKernel(orbit, []), PartialKernel(orbit, action.group.generators)
    one, two = (k.sample(x, generator=torch.Generator().manual_seed(0)) for k in (orbit, trivial))
    assert torch.equal(one, two)
    torch.testing.assert_close(trivial.broken(x), orbit.entropy(x))
    torch.testing.assert_close(whole.broken(x), torch.zeros(len(x)), rtol=0, atol=1e-5)


def test_the_broken_twins() -> None:
    """K in the place where it is, without looking for a conjugate; and a v that K does not fix."""
    group = symmetric(3)
    action = PermutationAction.generate(symmetric_generators(3))
    orbit = OrbitKernel(action)
    x = torch.tensor([1.0, 0, 0]).view(1, *action.shape)
    form = orbit.canonical_form(x)
    swaps = [g for g in range(1, 6) if int(group.compose(torch.tensor(g), torch.tensor(g))) == 0]
    other = next(g for g in swaps if not bool(orbit.stabilizer(form)[0, g]))
    kernel = PartialKernel(orbit, [other])
    assert float(kernel.broken(x)) == pytest.approx(0, abs=1e-6)  # a conjugate is among the symmetries of x ...
    K = kernel.subgroup
    assert int(orbit.stabilizer(form)[0][K].sum()) == 1  # ... but K itself is not
    features = RegularAction(group, 1)
    encoding = PartialSymPE(kernel, features, generator=torch.Generator().manual_seed(0))
    g = kernel.sample(x)
    right, wrong = encoding(x).detach(), features(g, encoding.v).detach()
    kept = kernel.kept(g, x)[0].max()
    torch.testing.assert_close(features(kept, right), right)
    assert not torch.allclose(features(kept, wrong), wrong)


def test_where_the_representation_keeps_more_than_k_it_is_said() -> None:
    """What quarter turns fix on a lattice, the mirrors through their centre fix as well."""
    group = P4M(3)
    fields = GridAction(group, channels=8)
    orbit = OrbitKernel(GridAction(group))
    for subgroup, fixing in (([group.pack(s=0, k=1, p=0, q=0)], 8), ([group.pack(s=0, k=0, p=1, q=0)], 6)):
        kernel = PartialKernel(orbit, subgroup)
        message = f"{fixing} elements, not only the {len(kernel.subgroup)} of the subgroup, fix every v"
        with pytest.warns(UserWarning, match=message):
            encoding = PartialSymPE(kernel, fields)
        assert not encoding.is_exact
        e = encoding(torch.ones(1, 1, 3, 3)).detach()
        assert int(OrbitKernel(fields, tolerance=1e-4).stabilizer(e).sum()) == fixing
        assert PartialSymPE(kernel, RegularAction(group)).is_exact
    assert PartialSymPE(PartialKernel(orbit, [group.pack(s=1, k=0, p=0, q=0)]), fields).is_exact


def test_the_symmetries_come_from_one_search_also_near_the_tolerance() -> None:
    """The canonical form of this x rounds to a symmetric vector, x itself does not."""
    matrices = rotations(5)
    kernel = PartialKernel(OrbitKernel(matrices, tolerance=1e-4), matrices.group.generators)
    x = torch.tensor([[-0.80905330, 0.58773524]])
    assert bool((kernel.broken(x) >= 0).all())
    assert float(kernel.broken(x).exp()) * len(set(kernel.kept(kernel.sample(x), x)[0].tolist())) == pytest.approx(
        float(kernel.entropy(x).exp())
    )


@pytest.mark.usefixtures("unchecked")
def test_errors() -> None:
    orbit = OrbitKernel(RegularAction(Cyclic(4)))
    with pytest.raises(ValueError, match=r"generators: expected elements in range\(4\), got 4"):
        PartialKernel(orbit, [4])
    kernel = PartialKernel(orbit, [2])
    with pytest.raises(ValueError, match=r"g: expected one element for each of 3 inputs, got shape \(1,\)"):
        kernel.log_prob(torch.zeros(1, dtype=torch.int64), torch.zeros(3, 1, 4))
    with pytest.raises(ValueError, match=r"action: expected an action of the kernel's Cyclic\(n=4\), got Cyclic"):
        PartialSymPE(kernel, RegularAction(Cyclic(5)))
    for scale in (0.0, -1.0, float("inf")):
        with pytest.raises(ValueError, match="scale: expected a positive number"):
            PartialSymPE(kernel, RegularAction(Cyclic(4)), scale=scale)


def test_gradients_reach_v() -> None:
    kernel = PartialKernel(OrbitKernel(RegularAction(Cyclic(4))), [2])
    encoding = PartialSymPE(kernel, RegularAction(Cyclic(4)))
    encoding(torch.zeros(3, 1, 4)).square().sum().backward()
    assert encoding.v.grad is not None
    assert bool((encoding.v.grad != 0).all())
