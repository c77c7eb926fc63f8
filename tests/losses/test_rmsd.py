"""The least RMSD over automorphisms and rotations: against all of them, spyrmsd and RDKit, and its laws."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from rdkit import Chem
from torch import Tensor

from sympe.graphs import DenseGraphs
from sympe.groups import SpecialOrthogonal
from sympe.losses import rmsd, search, symmetric_rmsd
from sympe.losses.leaves import Arrangements
from tests.losses.make_rmsd import rdkit_rmsd

SAMPLE = json.loads((Path(__file__).parents[1] / "data" / "rmsd-sample.json").read_text())
WATER = nx.star_graph(2)
ETHANE = nx.Graph([(0, 1), *((a, 2 + 3 * a + h) for a in range(2) for h in range(3))])
NEOPENTANE = nx.Graph([*((0, c) for c in range(1, 5)), *((c, 2 + 3 * c + h) for c in range(1, 5) for h in range(3))])
GRAPHS = {
    "water": WATER,
    "two waters": nx.disjoint_union(WATER, WATER),
    "a methyl group and more": nx.Graph([(0, 1), (0, 2), (0, 3), (3, 4), (4, 5), (4, 6)]),
    "ammonium": nx.star_graph(4),
    "a star too large for a group": nx.star_graph(5),
    "regular": nx.random_regular_graph(3, 6, seed=0),
    "random": nx.gnp_random_graph(7, 0.3, seed=5),
    "a tree": nx.random_labeled_tree(7, seed=4),
    "free points": nx.empty_graph(4),
    "a bond": nx.path_graph(2),
    "an atom": nx.empty_graph(1),
    "a loop": nx.Graph([(0, 0), (0, 1), (1, 2)]),
}


def batch(graphs: list[nx.Graph]) -> DenseGraphs:
    n = max(map(len, graphs))
    edges, mask = torch.zeros(len(graphs), n, n).long(), torch.zeros(len(graphs), n, dtype=torch.bool)
    for row, graph in enumerate(graphs):
        edges[row, : len(graph), : len(graph)] = torch.tensor(nx.to_numpy_array(graph, range(len(graph)))).long()
        mask[row, : len(graph)] = True
    return DenseGraphs.from_features(edges, mask=mask)


def kabsch(p: np.ndarray, t: np.ndarray, *, align: bool, reflect: bool) -> float:
    """Of one pair, by numpy."""
    if align:
        p, t = p - p.mean(0), t - t.mean(0)
        U, _, V = np.linalg.svd(p.T @ t)
        sign = 1.0 if reflect else np.sign(np.linalg.det(U) * np.linalg.det(V))
        t = t @ (U @ np.diag([1.0, 1.0, sign]) @ V).T
    return float(np.sqrt(np.square(p - t).sum(1).mean()))


def by_force(p: Tensor, t: Tensor, graph: nx.Graph, *, align: bool = True, reflect: bool = False) -> float:
    """All permutations that keep the graph, each with Kabsch's rotation."""
    n = len(graph)
    adjacent = nx.to_numpy_array(graph, range(n))
    least = math.inf
    for order in itertools.permutations(range(n)):
        s = list(order)
        if np.array_equal(adjacent[np.ix_(s, s)], adjacent):
            least = min(least, kabsch(p.numpy()[:n][s], t.numpy()[:n], align=align, reflect=reflect))
    return least


def positions(count: int, nodes: int, seed: int = 0, poses: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randn(count, nodes, 3, generator=generator, dtype=torch.float64)
    return torch.randn(count, *poses, nodes, 3, generator=generator, dtype=torch.float64), target


def law(*, align: bool, reflect: bool) -> None:
    """The least of all, for every graph in one batch, far predictions and near ones, and for each alone."""
    x = batch(list(GRAPHS.values()))
    far, target = positions(len(x), x.mask.shape[1])
    for p in (far, target + 0.2 * far):
        value = symmetric_rmsd(p, target, x, align=align, reflect=reflect)
        for i, graph in enumerate(GRAPHS.values()):
            expected = by_force(p[i], target[i], graph, align=align, reflect=reflect)
            assert float(value[i]) == pytest.approx(expected, abs=1e-7), list(GRAPHS)[i]
            n = len(graph)
            one = x.select(torch.tensor([i])).trimmed()
            alone = symmetric_rmsd(p[i : i + 1, :n], target[i : i + 1, :n], one, align=align, reflect=reflect)
            torch.testing.assert_close(alone[0], value[i])


KINDS = [(True, False), (True, True), (False, False)]


@pytest.mark.parametrize(("align", "reflect"), KINDS)
def test_it_is_the_least_over_all_automorphisms_and_rotations(align: bool, reflect: bool) -> None:
    law(align=align, reflect=reflect)


def identity(found: Arrangements, p: Tensor, t: Tensor, **options: Any) -> search.Nearest:
    """Wrong on purpose: the order as it stands."""
    every, none = torch.arange(len(p)), found.groups[:0]
    plain = torch.arange(p.shape[3]).repeat(len(p), 1)
    return search.nearest(Arrangements(every, plain, none, found.members[:0], none), p, t, **options)


@pytest.mark.parametrize(("align", "reflect"), KINDS)
def test_without_automorphisms_it_is_rejected(align: bool, reflect: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sympe.losses.rmsd.nearest", identity)
    with pytest.raises(AssertionError):
        law(align=align, reflect=reflect)


def test_a_search_that_only_is_greedy_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_CLOSE", 10.0)  # no bound is better than the start by so much
    with pytest.raises(AssertionError):
        law(align=True, reflect=False)


@pytest.mark.parametrize("reflect", [False, True])
def test_what_shares_settle_is_no_better(reflect: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With them all is as without; if nothing were left to look at, it would not be."""
    x = batch([ETHANE, NEOPENTANE, *GRAPHS.values()])
    far, target = positions(len(x), 17, seed=4, poses=(6,))
    p = torch.cat([far, target[:, None] + 0.3 * far], 1)
    found = symmetric_rmsd(p, target, x, reflect=reflect)
    monkeypatch.setattr(search, "_SETTLED", -1.0)
    torch.testing.assert_close(found, symmetric_rmsd(p, target, x, reflect=reflect))
    monkeypatch.setattr(search, "_SETTLED", 1e9)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(found, symmetric_rmsd(p, target, x, reflect=reflect))


def test_the_ranks_bound_nuclear_norms() -> None:
    generator = torch.Generator().manual_seed(0)
    for m, table in search._EXCHANGES.items():
        u, v = torch.randn(2, 200, m, 3, generator=generator, dtype=torch.float64)
        u, v = u - u.mean(1, keepdim=True), v - v.mean(1, keepdim=True)
        U = torch.stack([v[:, list(row)].mT @ u for row in table], 1)
        values = torch.linalg.svdvals(U[:, :, None] - U[:, None])
        most, squares = values.sum(-1).square(), values.square().sum(-1)
        assert (most <= search._RANKS[m] * squares + 1e-9).all()
        if m > 2:
            assert not (most <= (search._RANKS[m] - 1) * squares + 1e-9).all()


def degenerate() -> tuple[Tensor, Tensor, DenseGraphs]:
    """Equal positions, turned ones, mirror images, flat ones, lines, points, and random ones."""
    graphs = [ETHANE, *GRAPHS.values()]
    x = batch(graphs)
    noise, t = positions(len(graphs), 8, seed=5, poses=(9,))
    R = SpecialOrthogonal(3).sample(generator=torch.Generator().manual_seed(1)).double()
    R = torch.linalg.qr(R)[0] * torch.linalg.qr(R)[0].det()
    flat, line = torch.tensor([1.0, 1.0, 0.0]).double(), torch.tensor([1.0, 0.0, 0.0]).double()
    p = torch.stack([t, t @ R.T, -t, t * flat, (t * line) @ R, 0 * t, t + 1e-6 * noise[:, 0]], 1)
    p = torch.cat([p, noise[:, 1:]], 1)
    targets = torch.stack([t, t * flat, t * line, 0 * t], 1).flatten(0, 1)
    rows = torch.arange(len(graphs)).repeat_interleave(4)
    return p[rows], targets, x.select(rows)


@pytest.mark.parametrize(("align", "reflect"), KINDS)
def test_it_is_the_same_with_gradients_and_without(align: bool, reflect: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    p, t, x = degenerate()
    slow = symmetric_rmsd(p.clone().requires_grad_(), t, x, align=align, reflect=reflect)
    fast = symmetric_rmsd(p, t, x, align=align, reflect=reflect)
    torch.testing.assert_close(fast, slow.detach(), rtol=1e-8, atol=1e-9)
    monkeypatch.setattr(rmsd, "_SMALL", -1.0)  # all as differences of scores
    with pytest.raises(AssertionError):
        torch.testing.assert_close(
            symmetric_rmsd(p, t, x, align=align, reflect=reflect), slow.detach(), rtol=1e-8, atol=1e-9
        )


@pytest.mark.parametrize(("align", "reflect"), KINDS)
def test_degenerate_ones_are_right_with_finite_gradients(align: bool, reflect: bool) -> None:
    p, t, x = degenerate()
    q = p.clone().requires_grad_()
    value = symmetric_rmsd(q, t, x, align=align, reflect=reflect)
    assert torch.autograd.grad(value.sum(), q)[0].isfinite().all()
    for i in range(0, len(p), 3):  # not ethane, in one of the four
        graph = [ETHANE, *GRAPHS.values()][i // 4]
        for k in range(p.shape[1]) if len(graph) < 7 else ():
            expected = by_force(p[i, k], t[i], graph, align=align, reflect=reflect)
            assert float(value[i, k].detach()) == pytest.approx(expected, abs=1e-7)


def test_many_pairs_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x = batch([WATER, ETHANE, *GRAPHS.values()])
    p, t = positions(len(x), 8, seed=3, poses=(5,))
    for align, wanted in ((True, False), (False, False), (True, True)):
        q = p.clone().requires_grad_(wanted)
        whole = symmetric_rmsd(q, t, x, align=align)
        with monkeypatch.context() as patch:
            for most in (1, 4, 5, 11):
                patch.setattr(rmsd, "_PAIRS", most)
                torch.testing.assert_close(symmetric_rmsd(q, t, x, align=align), whole)
    far, there = positions(3, 17)
    molecules = batch([WATER, NEOPENTANE, NEOPENTANE])
    monkeypatch.setattr(rmsd, "_PAIRS", 2)
    with pytest.raises(ValueError, match="limit: expected more than 24 for pair 1, whose"):
        symmetric_rmsd(far, there, molecules, limit=24)
    far[2, 3] = torch.nan
    with pytest.raises(ValueError, match="prediction: expected finite numbers; molecule 2 has others"):
        symmetric_rmsd(far, there, molecules)


def test_it_can_be_differentiated_by_functions() -> None:
    x = batch([ETHANE])
    p, t = positions(1, 8, seed=1)
    q = p.clone().requires_grad_()
    slope = torch.autograd.grad(symmetric_rmsd(q, t, x).sum(), q)[0]

    def value(p: Tensor) -> Tensor:
        return symmetric_rmsd(p, t, x).sum()

    torch.testing.assert_close(torch.func.grad(value)(p), slope)
    torch.testing.assert_close(torch.func.jvp(value, (p,), (t,))[1], (slope * t).sum())
    with torch.inference_mode():
        torch.testing.assert_close(value(p), value(p.clone()))


def test_rotations_are_proper_if_not_asked_for_reflections() -> None:
    x = batch([nx.path_graph(4)])
    _, target = positions(1, 4)
    mirrored = target * torch.tensor([1.0, 1.0, -1.0])
    assert symmetric_rmsd(mirrored, target, x) > 0.1
    assert symmetric_rmsd(mirrored, target, x, reflect=True) < 1e-7


def test_three_waters_are_exchanged_as_well_as_their_hydrogens() -> None:
    waters = nx.disjoint_union_all([WATER] * 3)
    x = batch([waters])
    orders = [  # an oracle without permutations of all nine atoms
        [3 * c + a for c, swap in zip(copies, swaps, strict=True) for a in (0, *swap)]
        for copies in itertools.permutations(range(3))
        for swaps in itertools.product([(1, 2), (2, 1)], repeat=3)
    ]
    assert len(orders) == 48
    for seed, noise in itertools.product(range(4), (0.1, 1.0)):
        p, target = positions(1, 9, seed)
        p = target[:, orders[7 * seed + 1]] + noise * p
        for align, reflect in KINDS:
            least = min(kabsch(p[0].numpy()[s], target[0].numpy(), align=align, reflect=reflect) for s in orders)
            found = symmetric_rmsd(p, target, x, align=align, reflect=reflect)
            assert float(found) == pytest.approx(least, abs=1e-7)


def molecules(rows: list[dict[str, Any]], *, kinds: bool) -> tuple[Tensor, Tensor, DenseGraphs]:
    n = max(len(row["elements"]) for row in rows)
    z, bonds = torch.zeros(len(rows), n).long(), torch.zeros(len(rows), n, n).long()
    p, t = torch.zeros(2, len(rows), n, 3, dtype=torch.float64)
    for i, row in enumerate(rows):
        size = len(row["elements"])
        z[i, :size] = torch.tensor(row["elements"])
        for a, b, kind in row["bonds"]:
            bonds[i, a, b] = bonds[i, b, a] = kind if kinds else 1
        p[i, :size], t[i, :size] = torch.tensor(row["prediction"]), torch.tensor(row["target"])
    return p, t, DenseGraphs.from_features(bonds, z, z > 0)


@pytest.mark.parametrize("align", [True, False])
def test_it_is_what_spyrmsd_said_of_conformers(align: bool) -> None:
    p, t, x = molecules(SAMPLE, kinds=False)
    expected = torch.tensor([row["spyrmsd" if align else "spyrmsd in place"] for row in SAMPLE])
    torch.testing.assert_close(symmetric_rmsd(p, t, x, align=align).float(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(symmetric_rmsd(p.float(), t.float(), x, align=align), expected, rtol=1e-5, atol=1e-5)
    naive = (p - t).square().sum((1, 2)).div(x.sizes).sqrt().float()
    with pytest.raises(AssertionError):
        torch.testing.assert_close(naive, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("align", [True, False])
def test_it_is_what_rdkit_says(align: bool) -> None:
    p, t, x = molecules(SAMPLE, kinds=True)
    found = symmetric_rmsd(p, t, x, align=align)
    for i, row in enumerate(SAMPLE):
        molecule = Chem.RWMol()
        for element in row["elements"]:
            molecule.AddAtom(Chem.Atom(element))
        for a, b, kind in row["bonds"]:
            order = {2: Chem.BondType.SINGLE, 3: Chem.BondType.AROMATIC, 4: Chem.BondType.DOUBLE}.get(kind)
            molecule.AddBond(a, b, order or Chem.BondType.TRIPLE)
        pair = np.array(row["prediction"]), np.array(row["target"])
        theirs = rdkit_rmsd(molecule.GetMol(), *pair, align=align)
        assert theirs == pytest.approx(row["rdkit" if align else "rdkit in place"], abs=1e-5)
        assert float(found[i]) == pytest.approx(theirs, abs=1e-5)


def test_poses_of_one_molecule_are_compared_one_by_one() -> None:
    x = batch([WATER, ETHANE, GRAPHS["random"]])
    p, t = positions(3, 8, seed=3, poses=(5,))
    for align in (True, False):
        found = symmetric_rmsd(p, t, x, align=align)
        each = torch.stack([symmetric_rmsd(p[:, k], t, x, align=align) for k in range(5)], 1)
        torch.testing.assert_close(found, each)
    assert symmetric_rmsd(p[:, :0], t, x).shape == (3, 0)
    none = x.select(torch.zeros(0, dtype=torch.int64))
    assert symmetric_rmsd(p[:0], t[:0], none).shape == (0, 5)


def test_it_and_its_gradient_do_not_change_with_names_and_frames() -> None:
    x = batch([ETHANE])
    p, t = positions(1, 8, seed=1)
    p = (t + 0.3 * p).requires_grad_()
    R = SpecialOrthogonal(3).sample(generator=torch.Generator().manual_seed(0)).double()
    R = torch.linalg.qr(R)[0] * torch.linalg.qr(R)[0].det()
    swap = torch.tensor([1, 0, 6, 5, 7, 3, 2, 4])  # an automorphism
    for align in (True, False):
        value = symmetric_rmsd(p, t, x, align=align)
        slope = torch.autograd.grad(value.sum(), p)[0]
        renamed = symmetric_rmsd(p, t[:, swap], x, align=align)
        torch.testing.assert_close(renamed, value)
        torch.testing.assert_close(torch.autograd.grad(renamed.sum(), p)[0], slope)
        turned = symmetric_rmsd(p @ R.T + 2, (t @ R.T if not align else t) + 2, x, align=align)
        torch.testing.assert_close(turned, value)
        with pytest.raises(AssertionError):  # no automorphism
            torch.testing.assert_close(symmetric_rmsd(p, t.roll(1, 1), x, align=align), value)


@pytest.mark.slow
@pytest.mark.parametrize(("align", "reflect"), KINDS)
def test_the_gradient_is_that_of_the_least(align: bool, reflect: bool) -> None:
    x = batch([WATER, GRAPHS["a methyl group and more"]])
    p, t = positions(2, 7, seed=2)
    p.requires_grad_()
    t.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: symmetric_rmsd(a, b, x, align=align, reflect=reflect), (p, t))


def test_what_is_equal_or_has_collapsed_has_finite_gradients() -> None:
    x = batch([NEOPENTANE])
    _, t = positions(1, 17)
    for p in (t.clone(), torch.zeros_like(t), torch.ones_like(t), t * torch.tensor([1.0, 0.0, 0.0])):
        for align in (True, False):
            p = p.detach().requires_grad_()
            value = symmetric_rmsd(p, t, x, align=align)
            assert torch.autograd.grad(value.sum(), p)[0].isfinite().all()
    centred = t - t.mean(1, keepdim=True)
    flat = symmetric_rmsd(torch.zeros_like(t), t, x)
    torch.testing.assert_close(flat, centred.square().sum((1, 2)).div(17).sqrt())
    same = t.clone().requires_grad_()
    value = symmetric_rmsd(same, t, x, align=False)
    assert float(value.detach()) == 0
    assert not torch.autograd.grad(value.sum(), same)[0].any()


def test_many_automorphisms_are_no_list() -> None:
    """Neopentane has 31,104; here with a tetrahedral geometry, where many of them tie."""
    corners = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]).double()
    carbons = torch.cat([torch.zeros(1, 3), 0.9 * corners]).double()
    hydrogens = [0.9 * c + 0.6 * other for c in corners for other in corners if not torch.equal(c, other)]
    t = torch.cat([carbons, torch.stack(hydrogens)])[None]
    x = batch([NEOPENTANE])
    generator = torch.Generator().manual_seed(0)
    R = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))[0]
    R = R * R.det()
    p = t[:, [0, 2, 1, 4, 3, 9, 8, 10, 7, 5, 6, 14, 16, 15, 11, 12, 13]] @ R.T
    assert symmetric_rmsd(p, t, x) < 1e-7
    noisy = p + 0.2 * torch.randn(p.shape, generator=generator, dtype=torch.float64)
    molecule = Chem.AddHs(Chem.MolFromSmiles("CC(C)(C)C"))
    order = [1, 0, 2, 3, 4, *range(5, 17)]  # RDKit's first carbon is a methyl group, with the first hydrogens
    theirs = rdkit_rmsd(molecule, noisy[0].numpy()[order], t[0].numpy()[order], align=True)
    assert float(symmetric_rmsd(noisy, t, x)) == pytest.approx(theirs, abs=1e-5)
    far, _ = positions(1, 17)
    theirs = rdkit_rmsd(molecule, far[0].numpy()[order], t[0].numpy()[order], align=True)
    assert float(symmetric_rmsd(far, t, x)) == pytest.approx(theirs, abs=1e-5)


def test_the_search_goes_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x = batch([NEOPENTANE, NEOPENTANE])
    p, t = positions(2, 17)
    whole = symmetric_rmsd(p, t, x)
    monkeypatch.setattr(search, "_CHUNK", 7)
    torch.testing.assert_close(symmetric_rmsd(p, t, x), whole)


def test_far_from_the_origin_and_in_single_precision() -> None:
    x = batch([ETHANE])
    p, t = positions(1, 8)
    near, far = symmetric_rmsd(p, t, x, align=False), symmetric_rmsd(p + 1e6, t + 1e6, x, align=False)
    torch.testing.assert_close(near, far, rtol=1e-8, atol=0)
    single = symmetric_rmsd(p.float(), t.float(), x)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), symmetric_rmsd(p, t, x), rtol=1e-5, atol=1e-6)


def test_padding_is_not_looked_at() -> None:
    x = batch([WATER, ETHANE])
    p, t = positions(2, 12)
    value = symmetric_rmsd(p[:, :8], t[:, :8], x)
    p[0, 3:], t[0, 3:], p[1, 8:], t[1, 8:] = torch.nan, 7, torch.inf, torch.nan
    torch.testing.assert_close(symmetric_rmsd(p, t, x), value)
    torch.testing.assert_close(symmetric_rmsd(p, t, x.sparse()), value)


def test_what_cannot_be_used_is_refused(unchecked: None) -> None:
    x = batch([WATER, ETHANE])
    p, t = positions(2, 8)
    with pytest.raises(TypeError, match="molecules: expected DenseGraphs or SparseGraphs, got Tensor"):
        symmetric_rmsd(p, t, p)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"prediction: expected floats, positions, got torch\.int64"):
        symmetric_rmsd(p.long(), t, x)
    with pytest.raises(TypeError, match="target: expected a tensor of positions, got list"):
        symmetric_rmsd(p, [1.0], x)  # type: ignore[arg-type]
    with pytest.raises(
        ValueError, match=r"prediction: expected shape \(2\[, poses\], nodes, 3\) with at least 8 nodes"
    ):
        symmetric_rmsd(p[:, :7], t, x)
    with pytest.raises(ValueError, match=r"target: expected shape \(2, nodes, 3\).*, got \(2, 1, 8, 3\)"):
        symmetric_rmsd(p, t[:, None], x)
    with pytest.raises(ValueError, match=r"target: .* got \(1, 8, 3\)"):
        symmetric_rmsd(p, t[:1], x)
    with pytest.raises(ValueError, match=r"prediction: .* got \(2, 8, 2\)"):
        symmetric_rmsd(p[..., :2], t, x)
    with pytest.raises(ValueError, match="reflect: expected False without alignment"):
        symmetric_rmsd(p, t, x, align=False, reflect=True)
    with pytest.raises(ValueError, match="molecules: expected atoms, got none in molecule 0"):
        symmetric_rmsd(p[:1], t[:1], batch([nx.empty_graph(0)]))
    with pytest.raises(
        ValueError, match=r"molecules: without .* C\(x\) of input 0 has 40,320 elements, more than limit"
    ):
        symmetric_rmsd(p, t, batch([nx.empty_graph(8), WATER]), limit=1000)
    far, there = positions(1, 17)
    with pytest.raises(ValueError, match="limit: expected more than 24 for pair 0, whose prediction is too far"):
        symmetric_rmsd(far, there, batch([NEOPENTANE]), limit=24)
    p[1, 2] = torch.nan
    with pytest.raises(ValueError, match="prediction: expected finite numbers; molecule 1 has others"):
        symmetric_rmsd(p, t, x)
