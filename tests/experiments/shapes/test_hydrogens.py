"""Which hydrogens are replaced: orbits by enumeration, molecules that training never sees, and a model of them."""

import itertools
import math

import pytest
import torch

from sympe.experiments.shapes.check import check_model
from sympe.experiments.shapes.config import FEATURES, MAX_NODES, ShapesConfig
from sympe.experiments.shapes.data import TrainingStream, templates, type_features
from sympe.experiments.shapes.evaluation import evaluate
from sympe.experiments.shapes.hydrogens import ELEMENTS, KINDS, Replacement, features, replacements
from sympe.experiments.shapes.model import ShapesModel
from sympe.graphs import Clouds

NEW = {"acetonitrile", "dimethyl ether", "vinylene carbonate", "pyrazine", "4-pyranone"}
# by hand: the point group, and the number of ways to replace hydrogens of each kind
KNOWN = {
    "methane": ("Td", {"one a": 4, "two a": 6}),
    "ethane": ("D3d", {"one a": 6, "two a": 6, "two b": 6, "two c": 3}),
    "cyclopropane": ("D3h", {"one a": 6, "two a": 3, "two b": 6, "two c": 6}),
    "benzene": ("D6h", {"one a": 6, "two a": 6, "two b": 6, "two c": 3}),
    "pyrazine": ("D2h", {"one a": 4, "two a": 2, "two b": 2, "two c": 2}),
    "cubane": ("Oh", {"one a": 8, "two a": 12, "two b": 12, "two c": 4}),
}


def test_kinds_of_known_molecules_have_as_many_ways_as_by_hand() -> None:
    of = templates("hydrogens")
    groups = of.kernel.point_groups(of.x)
    for molecule, (group, kinds) in KNOWN.items():
        mine = [place for place, name in enumerate(of.names) if name.startswith(f"{molecule}, ")]
        assert {groups[place] for place in mine} == {group}
        assert {of.names[place].split(", ")[1]: int(of.orbits.counts[place]) for place in mine} == kinds
    for shape in range(len(of.names)):  # |G_x| = |orbit| |G_x and G_y|
        assert len(of.cosets.of(shape)) == int(of.orbits.counts[shape]) * len(of.coupled.of(shape))
        assert 4 <= len(of.cosets.of(shape)) <= 48


@pytest.mark.parametrize("one", replacements(), ids=lambda one: f"{one.molecule}, {one.kind}")
def test_ways_are_all_sets_of_hydrogens_with_the_same_distances(one: Replacement) -> None:
    """Without the kernel: sets of the kind are those whose sorted distances to all atoms of each element agree."""
    elements = (one.types - 1) % len(ELEMENTS)
    d = torch.cdist(one.positions, one.positions)

    def seen(atoms: tuple[int, ...]) -> torch.Tensor:
        parts = [d[list(atoms)][:, elements == element].sum(0).sort().values for element in range(len(ELEMENTS))]
        return torch.cat([*parts, d[list(atoms)][:, list(atoms)].flatten().sort().values])

    moved = tuple(one.displacement.any(1).nonzero().squeeze(1).tolist())
    hydrogens = (elements == ELEMENTS.index(1)).nonzero().squeeze(1).tolist()
    alike = {
        atoms
        for atoms in itertools.combinations(hydrogens, len(moved))
        if torch.allclose(seen(atoms), seen(moved), atol=1e-4)
    }
    of = templates("hydrogens")
    orbit = of.orbits.of(of.names.index(f"{one.molecule}, {one.kind}"))
    assert {tuple(y.any(1).nonzero().squeeze(1).tolist()) for y in orbit.abs() > 1e-6} == alike
    assert len(orbit) == len(alike) > 1


def test_replaced_hydrogens_move_along_their_bonds() -> None:
    for one in replacements():
        moved = one.displacement.any(1)
        assert int(moved.sum()) == {"one": 1, "two": 2}[one.kind[:3]]
        assert torch.allclose(one.displacement[moved].norm(dim=1), torch.ones(()).double())
        further = one.positions + 0.1 * one.displacement
        assert set(((one.types[moved] - 1) % len(ELEMENTS)).tolist()) == {ELEMENTS.index(1)}
        for atom in moved.nonzero().squeeze(1).tolist():
            far, farther = (p[atom] - one.positions for p in (one.positions, further))
            nearest = far.norm(dim=1).topk(2, largest=False).indices[1]
            assert float(farther[nearest].norm() - far[nearest].norm()) == pytest.approx(0.1)
            assert 0.98 < 2 * float(far[nearest].norm()) < 1.12  # angstroms


def test_types_say_element_and_kind() -> None:
    of = templates("hydrogens")
    found = type_features(of.x, "hydrogens")
    assert found.shape == (len(of.names), MAX_NODES["hydrogens"], FEATURES["hydrogens"])
    assert torch.equal(found.sum(2), 2 * of.x.mask.to(found.dtype))
    assert len(features().unique(dim=0)) == 1 + len(ELEMENTS) * len(KINDS)
    for row, name in enumerate(of.names):
        assert bool(found[row, of.x.mask[row], len(ELEMENTS) + KINDS.index(name.split(", ")[1])].all())
    assert torch.equal(type_features(templates("cages").x, "cages").sum(2), templates("cages").x.mask.double())


def test_training_never_sees_new_molecules() -> None:
    of = templates("hydrogens")
    assert {name.split(", ")[0] for name, new in zip(of.names, of.new.tolist(), strict=True) if new} == NEW
    stream = TrainingStream("hydrogens", seed=0, batch=500, steps=range(3))
    seen = torch.cat([samples.which for _, samples in stream])
    assert set(seen.tolist()) == set((~of.new).nonzero().squeeze(1).tolist())


def test_new_molecules_are_judged_apart() -> None:
    config = ShapesConfig(dataset="hydrogens", encoding="none", samples=1, draws=1, width=8, vectors=4, layers=1)
    found = evaluate(ShapesModel(config), config)
    for numbers, new in ((found, False), (found["new"], True)):
        mine = [n for name, n in found["per_shape"].items() if (name.split(", ")[0] in NEW) == new]
        assert len(mine) == (11 if new else 56)
        for key in ("error", "floor", "undecided"):
            assert numbers[key] == pytest.approx(math.fsum(n[key] for n in mine) / len(mine))
    assert evaluate(ShapesModel(plain := ShapesConfig(encoding="none", samples=1, draws=1)), plain)["new"] is None


def test_a_model_of_molecules_is_equivariant_in_distribution_and_its_twin_is_not() -> None:
    options = {"max_elements": 2, "samples": 12, "permutations": 999}
    config = ShapesConfig(dataset="hydrogens", width=8, vectors=4, layers=1)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ShapesModel(config)
    found = check_model(model, "hydrogens", inputs=1, generator=torch.Generator().manual_seed(0), **options)
    assert not found.rejected, found.verdict

    class Still(torch.nn.Module):
        """The twin: an encoding that does not move."""

        def forward(self, x: Clouds, *, generator: torch.Generator | None = None) -> torch.Tensor:
            v = model.encoding.v
            moved: torch.Tensor = model.network(x, v.expand(len(x), *v.shape))
            return moved

    twin = check_model(Still(), "hydrogens", inputs=1, generator=torch.Generator().manual_seed(0), **options)
    assert twin.rejected
