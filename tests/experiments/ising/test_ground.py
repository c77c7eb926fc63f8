import itertools
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sympe.actions import Action, BondAction, DirectSum, GridAction
from sympe.experiments.ising import ground
from sympe.experiments.ising.ground import LARGEST_SIZE, ground_energies, ground_states
from sympe.experiments.ising.hamiltonian import closed_form, energy_per_spin, uniform_fields
from sympe.groups import P4M

KINDS = ["glass", "glass with field", "signs", "signs with field", "diluted"]


def hamiltonians(kind: str, count: int, size: int, seed: int = 0) -> Tensor:
    """Signs have many ground states; in a diluted glass half of the bonds and fields vanish."""
    generator = torch.Generator().manual_seed(seed)
    fields = torch.rand(count, 3, size, size, generator=generator, dtype=torch.float64) * 2 - 1
    if kind.startswith("signs"):
        fields = fields.sign()
    if kind == "diluted":
        fields *= torch.rand(fields.shape, generator=generator) < 0.5
    elif not kind.endswith("field"):
        fields[:, 2] = 0
    return fields


def brute_force(fields: Tensor) -> float:
    """The least energy per spin over all 2^(L^2) spins of one Hamiltonian, summed bond by bond."""
    L = fields.shape[-1]
    n = L**2
    states = np.arange(2**n)
    spin = {(a, b): 1.0 - 2 * ((states >> (a * L + b)) & 1) for a, b in itertools.product(range(L), repeat=2)}
    energy = np.zeros(2**n)
    for (a, b), s in spin.items():
        along_x, along_y, h = fields[:, a, b].tolist()
        energy -= s * (along_x * spin[(a + 1) % L, b] + along_y * spin[a, (b + 1) % L] + h)
    return float(energy.min()) / n


def odd_antiferromagnet(size: int, h: float = 0.0) -> Tensor:
    return uniform_fields(*torch.tensor([[-1.0], [-0.7], [h]], dtype=torch.float64), size)


def solved(solver: Any, fields: Tensor) -> Tensor:
    spins = torch.stack([torch.from_numpy(solver(one.numpy())) for one in fields])
    assert (spins.abs() == 1).all()
    return energy_per_spin(fields, spins)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_ground_energies_are_brute_force(size: int, kind: str) -> None:
    fields = hamiltonians(kind, 4, size)
    expected = [brute_force(one) for one in fields]
    assert ground_energies(fields).tolist() == pytest.approx(expected, abs=1e-14)
    if size > 2:
        assert solved(ground._cut, fields).tolist() == pytest.approx(expected, abs=1e-14)


def test_ground_energies_of_equal_couplings_of_either_sign_are_brute_force() -> None:
    for size in (1, 2, 3, 4):
        for jx, jy, h in itertools.product([-1.0, 0.0, 1.0], [-0.6, 0.6], [-0.5, 0.0, 3.0]):
            fields = uniform_fields(*torch.tensor([[jx], [jy], [h]]), size)
            expected = brute_force(fields[0])
            assert ground_energies(fields).item() == pytest.approx(expected, abs=1e-6)  # couplings in single precision
            assert solved(ground._transfer, fields.double()).item() == pytest.approx(expected, abs=1e-14)


def test_all_zero_couplings() -> None:
    for size in (1, 2, 3, 11):
        assert ground_energies(torch.zeros(2, 3, size, size)).tolist() == [0, 0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [5, 6])
def test_transfer_matrix_and_cutting_planes_agree(size: int, kind: str) -> None:
    fields = hamiltonians(kind, 4, size)
    torch.testing.assert_close(solved(ground._transfer, fields), solved(ground._cut, fields), rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("size", [7, 8, 9, 10])
def test_transfer_matrix_and_cutting_planes_agree_on_many(size: int) -> None:
    fields = torch.cat([hamiltonians(kind, 2, size, seed=size) for kind in KINDS])
    if size % 2:
        fields = torch.cat([fields, *(odd_antiferromagnet(size, h) for h in (0.0, 0.3, 2.0))])
    torch.testing.assert_close(solved(ground._transfer, fields), solved(ground._cut, fields), rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [6, 8])
def test_transfer_matrix_is_the_closed_form_on_an_even_lattice(size: int) -> None:
    J, h = torch.linspace(-3, 3, 5), torch.linspace(-4.5, 4.5, 3)
    couplings = torch.cartesian_prod(J.double(), J.double() + 0.25, h.double())
    fields = uniform_fields(*couplings.unbind(1), size)
    energy, phase = closed_form(*couplings.unbind(1))
    assert phase.unique().tolist() == [0, 1, 2, 3]
    torch.testing.assert_close(solved(ground._transfer, fields), energy)
    torch.testing.assert_close(ground_energies(fields), energy)


@pytest.mark.parametrize("size", [3, 5, 11])
def test_closed_form_is_not_used_on_an_odd_lattice(size: int) -> None:
    fields = odd_antiferromagnet(size)
    naive, _ = closed_form(*fields[:, :, 0, 0].unbind(1))
    assert naive.item() == pytest.approx(-1.7)
    # A ring of odd length has a bond that is not fulfilled: one of L along every line.
    assert ground_energies(fields).item() == pytest.approx(-1.7 * (1 - 2 / size))


def test_large_constant_fields_take_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, "_solve", None)
    couplings = torch.tensor([[1, 0.5, -0.1], [1, -2, 0.3], [-2, 1, 0.3], [-1, -1, -0.4]], dtype=torch.float64)
    fields = uniform_fields(*couplings.unbind(1), 64)
    expected, phase = closed_form(*couplings.unbind(1))
    assert phase.tolist() == [0, 1, 2, 3]
    torch.testing.assert_close(ground_energies(fields), expected)
    assert (ground_states(fields)[0] == -1).all()  # the ferromagnet follows the field


def test_a_batch_may_mix_constant_fields_and_others() -> None:
    fields = hamiltonians("glass with field", 3, 4)
    fields[1] = uniform_fields(*torch.tensor([[1.0], [-2.0], [0.5]]), 4)[0]
    assert ground_energies(fields).tolist() == pytest.approx([brute_force(one) for one in fields])


@pytest.mark.parametrize("size", [1, 2, 4, 6, 11])
def test_ground_states_have_the_ground_energy(size: int) -> None:
    fields = hamiltonians("glass with field", 2, size)
    spins = ground_states(fields)
    assert (spins.abs() == 1).all()
    assert torch.equal(energy_per_spin(fields, spins), ground_energies(fields))
    for a, b in itertools.product(range(size), repeat=2):  # no single flip lowers the energy
        flipped = spins.clone()
        flipped[:, a, b] *= -1
        assert (energy_per_spin(fields, flipped) >= energy_per_spin(fields, spins) - 1e-14).all()


def test_single_precision_gives_double() -> None:
    fields = hamiltonians("glass", 2, 3).float()
    energies = ground_energies(fields)
    assert energies.dtype == torch.float64
    assert torch.equal(energies, ground_energies(fields.double()))


def ground_energies_of_orbit(action: Action, fields: Tensor, count: int) -> tuple[Tensor, Tensor]:
    g = action.group.sample((count,), generator=torch.Generator().manual_seed(0))
    return ground_energies(fields), ground_energies(action(g, fields.expand(count, -1, -1, -1)))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
def test_ground_energy_is_invariant_under_the_group(size: int) -> None:
    group = P4M(size)
    action = DirectSum(BondAction(group), GridAction(group))
    one, moved = ground_energies_of_orbit(action, hamiltonians("glass with field", 1, size), 12)
    torch.testing.assert_close(moved, one.expand(12), rtol=0, atol=1e-12)


def test_ground_energy_is_not_invariant_where_bonds_move_as_sites() -> None:
    one, moved = ground_energies_of_orbit(GridAction(P4M(5), 3), hamiltonians("glass with field", 1, 5), 12)
    assert ((moved - one).abs() > 1e-3).any()


@pytest.mark.parametrize("size", [4, 7, 12])
def test_ground_energy_is_invariant_under_gauge_transformations(size: int) -> None:
    fields = hamiltonians("glass with field", 2, size)
    t = hamiltonians("signs", 2, size, seed=1)[:, 0]
    neighbours = torch.stack([t.roll(-1, 1), t.roll(-1, 2), torch.ones_like(t)], 1)
    torch.testing.assert_close(ground_energies(fields * t[:, None] * neighbours), ground_energies(fields))


@pytest.mark.parametrize("size", [4, 11])
@pytest.mark.parametrize("scale", [1e-12, 1e9])
def test_ground_energy_scales_with_the_couplings(size: int, scale: float) -> None:
    fields = hamiltonians("glass with field", 2, size)
    torch.testing.assert_close(ground_energies(fields * scale) / scale, ground_energies(fields))


def test_violated_cycles_are_those_that_no_cut_has() -> None:
    site = np.arange(25).reshape(5, 5)
    ends = np.stack([np.tile(site.ravel(), 2), np.concatenate([np.roll(site, -1, k).ravel() for k in (0, 1)])])
    spins = hamiltonians("signs", 1, 5)[0, 0].numpy().ravel()
    cut = (spins[ends[0]] != spins[ends[1]]).astype(float)
    assert ground._violated_cycles(cut, ends, 25) == set()
    wrong = cut.copy()
    wrong[7] = 1 - wrong[7]  # both plaquettes at this bond now meet the set in an odd number of edges
    cycles = ground._violated_cycles(wrong, ends, 25)
    assert cycles
    for cycle in cycles:
        assert 7 in [edge for edge, _ in cycle]
        assert sum(crosses for _, crosses in cycle) % 2 == 1
        assert np.bincount(ends[:, [edge for edge, _ in cycle]].ravel()).max() == 2  # closed and simple
        assert sum(1 - wrong[edge] if crosses else wrong[edge] for edge, crosses in cycle) == 0


@pytest.fixture
def count_solves(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    solves: list[int] = []
    solve = ground._solve

    def counted(fields: Any) -> Any:
        solves.append(1)
        return solve(fields)

    monkeypatch.setattr(ground, "_solve", counted)
    return solves


def test_the_cache_keeps_what_needs_a_search(tmp_path: Path, count_solves: list[int]) -> None:
    cache = tmp_path / "new" / "folder"
    fields = hamiltonians("glass", 3, 3)
    first = ground_energies(fields, cache=cache)
    assert len(count_solves) == 3
    assert len(list(cache.iterdir())) == 3  # and nothing written aside is left
    assert all(path.suffix == ".npz" and path.stat().st_size < 2000 for path in cache.iterdir())
    assert torch.equal(ground_energies(fields.flip(0), cache=cache).flip(0), first)
    assert len(count_solves) == 3
    other = fields.clone()
    other[1, 0, 0, 0] += 1e-12
    ground_energies(other, cache=cache)
    assert len(count_solves) == 4
    ground_energies(uniform_fields(torch.ones(2), torch.ones(2), torch.ones(2), 4), cache=tmp_path / "none")
    assert len(count_solves) == 4
    assert not (tmp_path / "none").exists()


def test_the_cache_knows_the_couplings_not_their_type(tmp_path: Path, count_solves: list[int]) -> None:
    fields = hamiltonians("glass", 1, 3).float()
    ground_energies(fields, cache=tmp_path)
    ground_energies(fields.double(), cache=tmp_path)
    fields[:, 2] = -0.0
    ground_energies(fields, cache=tmp_path)
    assert len(count_solves) == 1


def test_another_solver_does_not_use_the_cache(
    tmp_path: Path, count_solves: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = hamiltonians("glass", 1, 3)
    ground_energies(fields, cache=tmp_path)
    monkeypatch.setattr(ground, "_SOLVER", "another")
    ground_energies(fields, cache=tmp_path)
    assert len(count_solves) == 2


DAMAGES = ["empty", "short", "half", "last byte", "text", "array", "no spins", "pickle"]
FORGERIES = [
    "another Hamiltonian",
    "another, consistent",
    "another lattice",
    "other spins",
    "zero spins",
    "other energy",
    "nan energy",
]


def damage(path: Path, kind: str, other: Path) -> None:
    content = path.read_bytes()
    with np.load(path) as data:
        arrays = dict(data)
    cut = {"empty": 0, "short": 10, "half": len(content) // 2, "last byte": len(content) - 1}
    if kind in cut:
        path.write_bytes(content[: cut[kind]])
    elif kind == "text":
        path.write_text("not an archive")
    elif kind == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif kind == "no spins":
        np.savez(path, fields=arrays["fields"], energy=arrays["energy"])
    elif kind == "pickle":
        np.savez(path, **arrays | {"spins": np.array([print, None], dtype=object)})
    elif kind == "another Hamiltonian":
        shutil.copy(other, path)
    elif kind == "another, consistent":  # a state that is no optimum here, with its true energy here
        fields, spins = torch.from_numpy(arrays["fields"]), torch.ones(3, 3, dtype=torch.float64)
        energy = energy_per_spin(fields[None], spins[None])[0].numpy()
        np.savez(path, fields=-arrays["fields"], spins=spins.numpy(), energy=energy)
    elif kind == "another lattice":
        np.savez(path, **arrays | {"spins": np.ones((2, 2))})
    elif kind == "other spins":
        arrays["spins"][0, 0] *= -1
        np.savez(path, **arrays)
    elif kind == "zero spins":
        np.savez(path, **arrays | {"spins": 0 * arrays["spins"], "energy": np.array(0.0)})
    elif kind == "other energy":
        np.savez(path, **arrays | {"energy": arrays["energy"] - 0.01})
    elif kind == "nan energy":
        np.savez(path, **arrays | {"energy": np.array(np.nan)})
    else:
        raise AssertionError(kind)


@pytest.mark.parametrize("kind", DAMAGES + FORGERIES)
def test_a_cache_file_that_is_not_right_is_made_again(tmp_path: Path, kind: str) -> None:
    fields = hamiltonians("glass", 2, 3)
    expected = ground_energies(fields)
    ground_energies(fields[1:], cache=tmp_path)
    (other,) = tmp_path.iterdir()
    ground_energies(fields[:1], cache=tmp_path)
    (path,) = set(tmp_path.iterdir()) - {other}
    damage(path, kind, other)
    with pytest.warns(UserWarning, match="cache: computing .* again, which cannot be used"):
        assert torch.equal(ground_energies(fields, cache=tmp_path), expected)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(ground_energies(fields, cache=tmp_path), expected)
    assert set(tmp_path.iterdir()) == {path, other}


@pytest.mark.slow
def test_no_change_of_a_byte_gives_a_wrong_number(tmp_path: Path) -> None:
    fields = hamiltonians("glass", 1, 3)
    expected = ground_energies(fields, cache=tmp_path)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    noticed, places = 0, range(0, len(content), 5)
    for i in places:
        path.write_bytes(content[:i] + bytes([content[i] ^ 255]) + content[i + 1 :])
        with warnings.catch_warnings(record=True) as caught:  # the archive has bytes without meaning, such as its dates
            warnings.simplefilter("always")
            assert torch.equal(ground_energies(fields, cache=tmp_path), expected)
        assert all(warning.category is UserWarning for warning in caught)
        noticed += len(caught)
    assert noticed > len(places) / 2


def test_an_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ground.os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ground_energies(hamiltonians("glass", 1, 3), cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_is_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(NotADirectoryError, match="cache: expected a folder, got the file"):
        ground_energies(torch.zeros(1, 3, 3, 3), cache=path)


def test_progress_is_shown_on_request_and_not_for_short_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bar = ground.Bar
    seen = []

    def watched(items: Any, **options: Any) -> Any:
        seen.append((options["disable"], options["delay"]))
        return bar(items, **options)

    monkeypatch.setattr(ground, "Bar", watched)
    for progress in (False, True):
        ground_energies(hamiltonians("glass", 2, 3), progress=progress)
    assert seen == [(True, 5), (False, 5)]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_couplings_that_are_not_finite_are_named(value: float) -> None:
    fields = torch.zeros(4, 3, 3, 3)
    fields[2:, 1, 2, 0] = value
    with pytest.raises(
        ValueError, match=r"fields: expected finite couplings, got NaN or inf in Hamiltonian 2 \(2 in all"
    ):
        ground_energies(fields)


@pytest.mark.parametrize("shape", [(3, 3, 3), (1, 2, 3, 3), (1, 3, 3, 4), (1, 3, 0, 0)])
def test_fields_of_another_shape_are_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"fields: expected shape \(batch, 3, L, L\), got"):
        ground_energies(torch.zeros(shape))


def test_an_empty_batch_is_named() -> None:
    with pytest.raises(ValueError, match="fields: expected at least one Hamiltonian, got an empty batch"):
        ground_energies(torch.zeros(0, 3, 4, 4))


def test_lattices_that_are_too_large_are_named() -> None:
    size = LARGEST_SIZE + 1
    for fields in (odd_antiferromagnet(size), hamiltonians("glass", 1, size + 1)):
        with pytest.raises(
            ValueError, match=f"fields: expected L <= {LARGEST_SIZE} where .* got L = {fields.shape[-1]}"
        ):
            ground_energies(fields)


@pytest.mark.parametrize(("name", "value"), [("_TIME_LIMIT", 0.0), ("_TOLERANCE", -1.0)])
def test_an_optimum_without_proof_is_an_error(name: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ground, name, value)
    with pytest.raises(RuntimeError, match="HiGHS did not prove optimality"):
        ground_energies(hamiltonians("glass", 1, 11))
