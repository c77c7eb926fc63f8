"""The model of a row: equivariant in distribution where it must be, and the same size for every encoding."""

import pytest
import torch

from sympe.actions import GridAction
from sympe.encodings import NoEncoding, NoiseEncoding, SymPE
from sympe.experiments.ising.config import ENCODINGS, IsingConfig
from sympe.experiments.ising.data import sample_hamiltonians, seeded
from sympe.experiments.ising.hamiltonian import energy_per_spin, uniform_fields
from sympe.experiments.ising.model import IsingModel, hamiltonian_action
from sympe.groups import P4M
from sympe.kernels import HaarKernel, OrbitKernel, ScoreKernel
from sympe.testing import assert_equivariant, assert_equivariant_in_distribution

SIZE = 3
SMALL = {"size": SIZE, "channels": 4, "blocks": 1}


def build(encoding: str) -> IsingModel:
    torch.manual_seed(0)
    return IsingModel(IsingConfig(encoding=encoding, **SMALL))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_spins_lie_between_minus_one_and_one_and_gradients_reach_everything(encoding):
    model = build(encoding)
    fields = sample_hamiltonians("glass", 4, SIZE, generator=seeded(0))
    spins = model(fields, generator=seeded(1))
    assert spins.shape == (4, SIZE, SIZE)
    assert (spins.abs() <= 1).all()
    energy_per_spin(fields, spins).mean().backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize(
    ("encoding", "kind", "kernel"),
    [
        ("none", NoEncoding, None),
        ("relaxed", NoEncoding, None),
        ("noise", NoiseEncoding, None),
        ("haar", SymPE, HaarKernel),
        ("sympe", SymPE, OrbitKernel),
        ("sympe-learned", SymPE, ScoreKernel),
    ],
)
def test_every_name_builds_what_it_says(encoding, kind, kernel):
    own = build(encoding).model.encoding
    assert type(own) is kind
    if kernel is not None:
        assert type(own.kernel) is kernel
        assert own.is_free


def test_rows_have_about_as_many_parameters():
    counts = {e: sum(p.numel() for p in IsingModel(IsingConfig(encoding=e)).parameters()) for e in ENCODINGS}
    assert max(counts.values()) <= 1.1 * min(counts.values())
    v = 4 * 10 * 10
    assert counts["sympe"] == counts["haar"] == counts["none"] + v
    assert counts["noise"] == counts["none"]


def test_without_breaking_the_model_is_equivariant_and_gives_uniform_states():
    model, group = build("none"), P4M(SIZE)
    fields = sample_hamiltonians("glass", 3, SIZE, generator=seeded(0))
    spins = GridAction(group)
    assert_equivariant(lambda x: model(x).unsqueeze(1), hamiltonian_action(group), spins, fields)
    one = torch.ones(1)
    uniform = model(uniform_fields(one, -one, one, SIZE))
    assert torch.allclose(uniform, uniform.mean().expand_as(uniform), atol=1e-6)


def test_the_relaxed_model_is_not_equivariant():
    model, group = build("relaxed"), P4M(SIZE)
    fields = sample_hamiltonians("glass", 1, SIZE, generator=seeded(0))
    with pytest.raises(AssertionError, match="differs from g f"):
        assert_equivariant(lambda x: model(x).unsqueeze(1), hamiltonian_action(group), GridAction(group), fields)


@pytest.mark.parametrize("encoding", ["haar", "sympe", "sympe-learned"])
def test_kernels_of_the_experiment_are_equivariant_in_distribution(encoding):
    kernel = build(encoding).model.encoding.kernel
    one = torch.ones(1)
    fields = torch.cat(
        [uniform_fields(one, -2 * one, one, SIZE), sample_hamiltonians("glass", 1, SIZE, generator=seeded(0))]
    )
    assert_equivariant_in_distribution(kernel, hamiltonian_action(P4M(SIZE)), fields)


def test_sympe_breaks_the_symmetry_of_a_uniform_hamiltonian_equivariantly():
    """f(hx, hg) = h f(x, g): the whole model, as a function of x and g, moves with both."""
    model, group = build("sympe"), P4M(SIZE)
    encoding, network = model.model.encoding, model.model.network
    one = torch.ones(1)
    x = uniform_fields(one, -2 * one, one, SIZE)
    action, spins = hamiltonian_action(group), GridAction(group)
    g = encoding.kernel.coset(x)[0].nonzero().squeeze(1)
    assert len(g) == 4 * SIZE**2
    outputs = network(torch.cat([x.expand(len(g), -1, -1, -1), encoding.moved(g)], 1))
    assert (outputs.flatten(1).std(1) > 0.01).all()  # not uniform any more
    for h in group.elements()[::5]:
        moved = torch.cat([action(h, x).expand(len(g), -1, -1, -1), encoding.moved(group.compose(h, g))], 1)
        assert torch.allclose(network(moved), spins(h, outputs), atol=1e-4)
