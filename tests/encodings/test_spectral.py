"""Spectral encodings against projectors without an eigensolver, exact marginal laws and powers of exact fractions.

The spectra below are known in closed form, so the projector on an eigenspace is a polynomial of the Laplacian. Random
features are tested by seeded two-sided tests: means by 6 standard errors (a false alarm of 2e-9 for each entry, of
about 2e-5 for all entries of this file), distribution functions by the Dvoretzky-Kiefer-Wolfowitz bound.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from sympe.actions import NodeAction
from sympe.encodings import LaplacianEncoding, RandomWalkEncoding, spectral
from sympe.graphs import DenseGraphs, Graphs, SparseGraphs
from sympe.groups import Permutations
from sympe.tolerance import Tolerance

DRAWS = 4000


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def matrix(n: int, edges: list[tuple[int, int]]) -> Tensor:
    A = torch.zeros(n, n, dtype=torch.int64)
    for i, j in edges:
        A[i, j] = A[j, i] = 1
    return A


def batch(*matrices: Tensor, directed: bool = False) -> DenseGraphs:
    n = max(len(A) for A in matrices)
    pairs = torch.zeros(len(matrices), n, n, dtype=torch.int64)
    for row, A in zip(pairs, matrices, strict=True):
        row[: len(A), : len(A)] = A
    mask = torch.arange(n) < torch.tensor([[len(A)] for A in matrices])
    return DenseGraphs.from_features(pairs, mask=mask, directed=directed)


def cycle(n: int) -> Tensor:
    return matrix(n, [(i, (i + 1) % n) for i in range(n)])


def path(n: int) -> Tensor:
    return matrix(n, [(i, i + 1) for i in range(n - 1)])


def complete(n: int) -> Tensor:
    return 1 - torch.eye(n, dtype=torch.int64)


PETERSEN = matrix(10, [e for i in range(5) for e in ((i, (i + 1) % 5), (i, i + 5), (i + 5, (i + 2) % 5 + 5))])
TRIANGLES = torch.block_diag(complete(3), complete(3))
STAR = matrix(5, [(0, i) for i in range(1, 5)])
LONELY = torch.block_diag(path(2), *[torch.zeros(1, 1, dtype=torch.int64)] * 3)
LOOPED = torch.eye(4, dtype=torch.int64) + cycle(4)

# All different eigenvalues, of the two Laplacians.
GRAPHS: dict[str, tuple[Tensor, list[float], list[float]]] = {
    "C_6": (cycle(6), [0, 0.5, 1.5, 2], [0, 1, 3, 4]),
    "K_4": (complete(4), [0, 4 / 3], [0, 4]),
    "Petersen": (PETERSEN, [0, 2 / 3, 5 / 3], [0, 2, 5]),
    "two triangles": (TRIANGLES, [0, 3 / 2], [0, 3]),
    "star": (STAR, [0, 1, 2], [0, 1, 5]),
    "path": (path(4), [0, 0.5, 1.5, 2], [0, 2 - math.sqrt(2), 2, 2 + math.sqrt(2)]),
    "isolated nodes": (LONELY, [0, 2], [0, 2]),
    "no edges": (torch.zeros(4, 4, dtype=torch.int64), [0], [0]),
    "loops": (LOOPED, [0, 2 / 3, 4 / 3], [0, 2, 4]),
    "one loop": (
        path(3) + torch.diag(torch.tensor([1, 0, 0])),
        [0, (5 - math.sqrt(5)) / 4, (5 + math.sqrt(5)) / 4],
        [0, 1, 3],
    ),
    "one node": (torch.zeros(1, 1, dtype=torch.int64), [0], [0]),
    "one looped node": (torch.ones(1, 1, dtype=torch.int64), [0], [0]),
}
SYMMETRIC = ["C_6", "K_4", "Petersen", "two triangles", "star", "isolated nodes", "no edges"]
NORMALIZATIONS = ["symmetric", "none"]


def laplacian(A: Tensor, normalization: str) -> Tensor:
    """Entry by entry, from the definition in words."""
    n = len(A)
    d = [int(row.sum()) for row in A]
    L = torch.zeros(n, n, dtype=torch.float64)
    for i in range(n):
        for j in range(n):
            entry = (d[i] if i == j else 0) - int(A[i, j])
            if normalization == "symmetric" and entry:
                entry /= math.sqrt(d[i] * d[j])
            L[i, j] = entry
    return L


def eigenspaces(name: str, normalization: str) -> list[tuple[float, int, Tensor]]:
    """Eigenvalue, dimension and projector of each eigenspace, ascending, without the trivial vector."""
    A, *spectra = GRAPHS[name]
    values = spectra[NORMALIZATIONS.index(normalization)]
    L = laplacian(A, normalization)
    one = torch.eye(len(A), dtype=torch.float64)
    spaces = []
    for value in values:
        projector = one
        for other in values:
            if other != value:
                projector = projector @ (L - other * one) / (value - other)
        if value == 0:
            s = A.sum(1).clamp(min=1).double().sqrt() if normalization == "symmetric" else torch.ones(len(A)).double()
            projector = projector - torch.outer(s, s) / s.square().sum()
        dimension = round(float(projector.trace()))
        if dimension:
            spaces.append((value, dimension, projector))
    return spaces


def test_the_oracle_splits_the_space() -> None:
    """The closed forms are right: projectors that annihilate each other, with L as their sum with the eigenvalues."""
    for name, (A, *_) in GRAPHS.items():
        for normalization in NORMALIZATIONS:
            spaces = eigenspaces(name, normalization)
            assert sum(dimension for _, dimension, _ in spaces) == len(A) - 1
            projectors = [projector for *_, projector in spaces]
            for i, a in enumerate(projectors):
                for j, b in enumerate(projectors):
                    torch.testing.assert_close(a @ b, a if i == j else torch.zeros_like(a), atol=1e-12, rtol=0)
            L = sum((value * p for value, _, p in spaces), torch.zeros(len(A), len(A), dtype=torch.float64))
            torch.testing.assert_close(L, laplacian(A, normalization), atol=1e-12, rtol=0)


# ----- every single draw -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_channels_are_orthonormal_eigenvectors_in_order(form: str, name: str, normalization: str) -> None:
    A = GRAPHS[name][0]
    n = len(A)
    x: Graphs = batch(A) if form == "dense" else batch(A).sparse()
    for channels in range(1, n + 3):
        encoding = LaplacianEncoding(n + 2, channels, normalization=normalization)
        f = encoding(x, generator=seeded(channels))[0].double()
        assert f.shape == encoding.shape == (n + 2, channels)
        assert bool((f[n:] == 0).all())
        assert bool((f[:, n - 1 :] == 0).all())  # n - 1 vectors at most
        f = f[:n, : n - 1]
        torch.testing.assert_close(f.T @ f, n * torch.eye(f.shape[1]).double(), atol=1e-5, rtol=0)
        values = [value for value, dimension, _ in eigenspaces(name, normalization) for _ in range(dimension)]
        scaled = torch.tensor(values[:channels]).double() * f
        torch.testing.assert_close(laplacian(A, normalization) @ f, scaled, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", SYMMETRIC)
def test_with_all_channels_no_symmetry_is_left(name: str) -> None:
    n = len(GRAPHS[name][0])
    f = LaplacianEncoding(n, n - 1)(batch(GRAPHS[name][0]), generator=seeded(0))[0]
    assert float(torch.pdist(f).min()) > 1e-2
    walks = RandomWalkEncoding(n, 3)(batch(GRAPHS[name][0]))[0]  # twin: does not break any
    assert float(torch.pdist(walks).min()) < 1e-6


def test_graphs_of_several_sizes_do_not_mix() -> None:
    """Whole eigenspaces have projectors that do not depend on the draw: each is as if its graph were alone."""
    names = [*GRAPHS, "K_4"]
    empty = torch.zeros(0, 0, dtype=torch.int64)
    x = batch(*[GRAPHS[name][0] for name in names], empty)
    for graphs in (x, x.sparse()):
        for normalization in NORMALIZATIONS:
            f = LaplacianEncoding(12, 12, normalization=normalization)(graphs, generator=seeded(0)).double()
            assert bool((f[-1] == 0).all())
            for row, name in zip(f, names, strict=False):
                n = len(GRAPHS[name][0])
                start = 0
                for _, dimension, projector in eigenspaces(name, normalization):
                    block = row[:, start : start + dimension]
                    start += dimension
                    torch.testing.assert_close(block[:n] @ block[:n].T, n * projector, atol=1e-5, rtol=0)
                assert bool((row[n:] == 0).all())
                assert bool((row[:, n - 1 :] == 0).all())


@pytest.mark.parametrize("sizes", [[], [0], [0, 0], [1], [0, 1]])
def test_batches_without_any_vector_are_zero(sizes: list[int]) -> None:
    x = SparseGraphs.from_features(torch.zeros(2, 0, dtype=torch.int64), torch.tensor(sizes, dtype=torch.int64))
    for encoding in (LaplacianEncoding(3, 2), RandomWalkEncoding(3, 2)):
        for graphs in (x, x.dense()):
            assert torch.equal(encoding(graphs), torch.zeros(len(sizes), 3, 2))


def test_padding_that_no_graph_needs_does_not_count() -> None:
    mask = torch.arange(9)[None] < 4
    pairs = torch.zeros(1, 9, 9, dtype=torch.int64)
    pairs[0, :4, :4] = complete(4)
    wide, narrow = DenseGraphs.from_features(pairs, mask=mask), batch(complete(4))
    for encoding in (LaplacianEncoding(5, 2), RandomWalkEncoding(5, 2)):
        assert torch.equal(encoding(wide, generator=seeded(3)), encoding(narrow, generator=seeded(3)))


def test_colours_are_ignored() -> None:
    A = complete(4)
    x = batch(A)
    colours = torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]])
    y = DenseGraphs.from_features(colours[None], torch.arange(4)[None])
    for encoding in (LaplacianEncoding(4, 2), RandomWalkEncoding(4, 2)):
        assert torch.equal(encoding(x, generator=seeded(0)), encoding(y, generator=seeded(0)))


def test_precision_is_the_default_one() -> None:
    x = batch(cycle(5))
    torch.set_default_dtype(torch.float64)
    try:
        dtypes = {encoding(x).dtype for encoding in (LaplacianEncoding(5, 2), RandomWalkEncoding(5, 2))}
    finally:
        torch.set_default_dtype(torch.float32)
    assert dtypes == {torch.float64}


# ----- the law -----------------------------------------------------------------------------------------------------


def draws(encoding: LaplacianEncoding, A: Tensor, seed: int) -> Tensor:
    features: Tensor = encoding(DenseGraphs.from_features(A.expand(DRAWS, *A.shape)), generator=seeded(seed))
    return features.double()


def moments(f: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The means of all entries and of all products of two, each with its variance."""
    f = f.flatten(1)
    square = f.T @ f / DRAWS
    return [(f.mean(0), f.var(0)), (square, f.square().T @ f.square() / DRAWS - square**2)]


def require(mean: Tensor, variance: Tensor, expected: Tensor) -> None:
    """Six standard errors, and the rounding of single precision for what is not random."""
    error = (variance.clamp(min=0) / DRAWS).sqrt()
    assert bool(((mean - expected).abs() <= 6 * error + 1e-5).all())


def assert_moments(f: Tensor, spaces: list[tuple[float, int, Tensor]]) -> None:
    """E f_c = 0 and E f_c f_d^T = delta_cd (n / m) Pi for all channels c, d of one graph."""
    n = spaces[0][2].shape[0]
    assert bool((f[:, n:] == 0).all())
    f = f[:, :n]
    projectors = [projector * n / dimension for _, dimension, projector in spaces for _ in range(dimension)]
    expected = torch.zeros(n, f.shape[2], n, f.shape[2], dtype=torch.float64)
    for c, projector in enumerate(projectors[: f.shape[2]]):
        expected[:, c, :, c] = projector
    first, second = moments(f)
    require(*first, torch.zeros_like(first[0]))
    require(*second, expected.flatten(0, 1).flatten(1))


def distribution(t: Tensor, m: int) -> Tensor:
    """P(<a, q> <= t) for unit vectors, a fixed and q uniform in m dimensions: density ~ (1 - t^2)^((m - 3) / 2)."""
    t = t.clamp(-1, 1)
    root = (1 - t * t).sqrt()
    cases: dict[int, Callable[[], Tensor]] = {
        1: lambda: 0.5 * (t >= -1 + 1e-5) + 0.5 * (t >= 1 - 1e-5),
        2: lambda: 0.5 + t.asin() / math.pi,
        3: lambda: 0.5 + t / 2,
        4: lambda: 0.5 + (t * root + t.asin()) / math.pi,
        5: lambda: 0.5 + (3 * t - t**3) / 4,
    }
    return cases[m]()


def assert_marginals(f: Tensor, spaces: list[tuple[float, int, Tensor]]) -> None:
    """The whole law of each channel in three generic directions; a false alarm of 1e-9 each (DKW)."""
    n = spaces[0][2].shape[0]
    directions = torch.randn(3, n, generator=seeded(99), dtype=torch.float64)
    of = [(dimension, projector) for _, dimension, projector in spaces for _ in range(dimension)]
    for (c, (m, projector)), a in itertools.product(enumerate(of[: f.shape[2]]), directions):
        t = ((f[:, :n, c] @ a) / ((projector @ a).norm() * math.sqrt(n))).sort().values
        if m == 1:  # a law with atoms
            torch.testing.assert_close(t.abs(), torch.ones_like(t), atol=1e-5, rtol=0)
            assert abs(float((t > 0).double().mean()) - 0.5) < 6 * 0.5 / math.sqrt(DRAWS)
            continue
        places = torch.arange(DRAWS + 1).double() / DRAWS
        law = distribution(t, m)
        distance = torch.maximum((places[1:] - law).abs().max(), (places[:-1] - law).abs().max())
        assert float(distance) < math.sqrt(math.log(2 / 1e-9) / (2 * DRAWS))


def assert_equivariant(encoding: LaplacianEncoding, A: Tensor, seed: int) -> None:
    """F(px) and p F(x) have the same first and second moments; two samples, 6 standard errors."""
    n = len(A)
    p = torch.randperm(n, generator=seeded(seed))
    moved = torch.zeros_like(A)
    for i in range(n):
        for j in range(n):
            moved[p[i], p[j]] = A[i, j]
    one = draws(encoding, moved, seed + 1)[:, :n]
    two = NodeAction(Permutations(n), encoding.channels)(p, draws(encoding, A, seed + 2)[:, :n])
    for (a, a_variance), (b, b_variance) in zip(moments(one), moments(two), strict=True):
        require(a, a_variance + b_variance, b)


def channel_counts(name: str) -> list[int]:
    """All, and fewer, so that there is a cut through every eigenspace of dimension 2 or more."""
    n = len(GRAPHS[name][0])
    return sorted({1, min(3, n - 2), n - 2, n - 1})


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("name", [*SYMMETRIC, "path"])
def test_the_law_is_haar_in_every_eigenspace_cut_or_not(name: str, normalization: str) -> None:
    for channels in channel_counts(name):
        encoding = LaplacianEncoding(len(GRAPHS[name][0]) + 1, channels, normalization=normalization)
        f = draws(encoding, GRAPHS[name][0], channels)
        assert_moments(f, eigenspaces(name, normalization))
        assert_marginals(f, eigenspaces(name, normalization))


@pytest.mark.parametrize("name", SYMMETRIC)
def test_the_relabelled_graph_has_the_relabelled_law(name: str) -> None:
    for channels in (1, len(GRAPHS[name][0]) - 1):
        assert_equivariant(LaplacianEncoding(len(GRAPHS[name][0]), channels), GRAPHS[name][0], 10 * channels)


def test_the_law_is_the_same_in_a_mixed_batch() -> None:
    names = ["C_6", "Petersen", "one node", "K_4"]
    x = batch(*[GRAPHS[name][0] for name in names] * DRAWS)
    f = LaplacianEncoding(14, 4)(x, generator=seeded(0)).double().view(DRAWS, 4, 14, 4)
    for place, name in enumerate(names):
        if name != "one node":
            assert_moments(f[:, place], eigenspaces(name, "symmetric"))
            assert_marginals(f[:, place], eigenspaces(name, "symmetric"))


def raw(Z: Tensor) -> Tensor:
    """What the eigensolver gave."""
    return torch.eye(*Z.shape[1:], dtype=Z.dtype).expand_as(Z)


def signs(Z: Tensor) -> Tensor:
    """Random signs only: the usual augmentation."""
    return raw(Z) * Z.sign()


def unsigned(Z: Tensor) -> Tensor:
    """LAPACK's QR as it comes: it has the right second moments, but is not Haar."""
    Q: Tensor = torch.linalg.qr(Z).Q
    return Q


FRAMES = spectral._frames


def after_the_cut(Z: Tensor) -> Tensor:
    """Rotates those vectors that the cut left over."""
    return FRAMES(torch.where(torch.arange(Z.shape[1])[:, None] < Z.shape[2], Z, 0))


def one_rotation(Z: Tensor) -> Tensor:
    """The same frame for all graphs of the batch."""
    return FRAMES(Z[:1]).expand_as(Z)


TWINS: list[tuple[Callable[[Tensor], Tensor], str, int]] = [
    *[(frames, name, 1) for frames in (raw, signs, unsigned, after_the_cut) for name in ("C_6", "K_4", "Petersen")],
    *[(frames, name, 3) for frames in (raw, signs, unsigned, one_rotation) for name in ("C_6", "K_4", "star")],
    (after_the_cut, "C_6", 3),
    (raw, "path", 3),
    (unsigned, "path", 3),
]


@pytest.mark.parametrize(("frames", "name", "channels"), TWINS)
def test_wrong_laws_are_told_apart(
    frames: Callable[[Tensor], Tensor], name: str, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spectral, "_frames", frames)
    f = draws(LaplacianEncoding(len(GRAPHS[name][0]), channels), GRAPHS[name][0], 0)
    with pytest.raises(AssertionError):
        assert_moments(f, eigenspaces(name, "symmetric"))
    with pytest.raises(AssertionError):
        assert_marginals(f, eigenspaces(name, "symmetric"))


@pytest.mark.parametrize("frames", [raw, signs, after_the_cut])
@pytest.mark.parametrize("name", ["C_6", "K_4", "Petersen"])
def test_laws_that_depend_on_the_order_of_the_nodes_are_told_apart(
    frames: Callable[[Tensor], Tensor], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spectral, "_frames", frames)
    encoding = LaplacianEncoding(len(GRAPHS[name][0]), 1)

    def some_relabellings() -> None:  # one may fix the vector that this machine's eigensolver happens to give
        for seed in range(10, 40, 5):
            assert_equivariant(encoding, GRAPHS[name][0], seed)

    with pytest.raises(AssertionError):
        some_relabellings()


# ----- tolerance ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tolerance", "joined"),
    [(0.4, [[0.5], [1.5], [2.0]]), (0.6, [[0.5], [1.5, 2.0]]), (1.1, [[0.5, 1.5, 2.0]]), (50.0, [[0.5, 1.5, 2.0]])],
)
def test_eigenvalues_whose_neighbours_are_within_tolerance_share_a_frame(
    tolerance: float, joined: list[list[float]]
) -> None:
    """A path of 4 nodes has 0.5, 1.5 and 2: gaps of 1 and of 0.5."""
    spaces = {value: projector for value, _, projector in eigenspaces("path", "symmetric")}
    merged = [(v[0], len(v), torch.stack([spaces[value] for value in v]).sum(0)) for v in joined]
    for channels in (1, 2, 3):
        f = draws(LaplacianEncoding(5, channels, tolerance=Tolerance(0.0, tolerance)), path(4), 7)
        assert_moments(f, merged)
        assert_marginals(f, merged)
    if tolerance > 0.5:
        with pytest.raises(AssertionError):
            assert_moments(f, eigenspaces("path", "symmetric"))


def test_nearly_equal_eigenvalues_share_a_frame() -> None:
    """Two stars of 9 leaves on a path of 8 edges: the modes of the two ends differ by 4e-7."""
    n, bridge = 27, list(range(9, 18))
    edges = [*itertools.pairwise(bridge)]
    edges += [(leaf, bridge[0]) for leaf in range(9)] + [(leaf, bridge[-1]) for leaf in range(18, 27)]
    A = matrix(n, edges)
    values, U = torch.linalg.eigh(laplacian(A, "none"))
    gap = float(values[-1] - values[-2])
    assert 1e-7 < gap < 1e-6 < float(values[-2] - values[-3])
    f = LaplacianEncoding(n, n - 1, normalization="none")(batch(*[A] * 200), generator=seeded(0)).double()
    ends = f[:, [9, 17], -1].abs()
    assert float((ends[:, 0] - ends[:, 1]).abs().mean()) > 0.5  # not the even and the odd vector
    L = laplacian(A, "none")
    torch.testing.assert_close(L @ f[:, :, -2:], values[-1] * f[:, :, -2:], atol=1e-4, rtol=0)
    plane = U[:, -2:] @ U[:, -2:].T
    torch.testing.assert_close(f[:, :, -2:] @ f[:, :, -2:].mT, (n * plane).expand(200, n, n), atol=1e-4, rtol=0)
    # twin: a tolerance below the gap leaves both vectors as they are, up to signs
    f = LaplacianEncoding(n, n - 1, normalization="none", tolerance=1e-13)(batch(*[A] * 200), generator=seeded(0))
    ends = f[:, [9, 17], -1].abs()
    assert float((ends[:, 0] - ends[:, 1]).abs().mean()) < 1e-2


# ----- random walks ------------------------------------------------------------------------------------------------


def walked(A: Tensor, channels: int) -> Tensor:
    """By fractions, one walk of all nodes at a time."""
    n = len(A)
    rows = [[Fraction(int(a), max(int(sum(row)), 1)) for a in row] for row in A.tolist()]
    back = torch.zeros(n, channels)
    for i in range(n):
        at = [Fraction(int(i == j)) for j in range(n)]
        for t in range(channels):
            at = [sum((at[k] * rows[k][j] for k in range(n)), Fraction(0)) for j in range(n)]
            back[i, t] = float(at[i])
    return back


DIRECTED = {
    "directed cycle": torch.eye(5, dtype=torch.int64).roll(1, 1),
    "into a sink": torch.tensor([[0, 1, 1], [1, 0, 1], [0, 0, 0]]),
    "random": (torch.rand(6, 6, generator=seeded(4)) < 0.4).long(),
}
WALKED = {**{name: A for name, (A, *_) in GRAPHS.items()}, **DIRECTED}


@pytest.mark.parametrize("name", WALKED)
def test_walks_return_as_often_as_fractions_say(name: str) -> None:
    A = WALKED[name]
    n = len(A)
    x = batch(A, directed=True)
    for graphs in (x, x.sparse()):
        f = RandomWalkEncoding(n + 2, 6)(graphs)[0]
        torch.testing.assert_close(f[:n], walked(A, 6), atol=1e-6, rtol=0)
        assert bool((f[n:] == 0).all())


def test_walks_on_a_complete_graph_return_as_the_closed_form_says() -> None:
    """The eigenvalues of D^-1 A are 1 once and -1 / (n - 1) else: (1 + (n - 1) (-1 / (n - 1))^t) / n."""
    sizes = [2, 3, 5, 8]
    f = RandomWalkEncoding(8, 7)(batch(*[complete(n) for n in sizes])).double()
    for row, n in zip(f, sizes, strict=True):
        expected = torch.tensor([(1 + (n - 1) * (-1 / (n - 1)) ** t) / n for t in range(1, 8)]).double()
        torch.testing.assert_close(row[:n], expected.expand(n, 7), atol=1e-6, rtol=0)
        assert bool((row[n:] == 0).all())


@pytest.mark.parametrize("name", WALKED)
def test_walks_of_the_relabelled_graph_are_the_relabelled_walks(name: str) -> None:
    n = len(WALKED[name])
    p = torch.stack([torch.randperm(n, generator=seeded(seed)) for seed in range(20)])
    x = batch(*[WALKED[name]] * 20, directed=True)
    encoding = RandomWalkEncoding(n, 5)
    expected = NodeAction(Permutations(n), 5)(p, encoding(x))
    torch.testing.assert_close(encoding(x.relabel(p)), expected, atol=1e-6, rtol=0)
    if name == "into a sink":  # twin: nodes that differ
        assert not torch.allclose(encoding(x), expected, atol=1e-6)


# ----- training and errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [LaplacianEncoding, RandomWalkEncoding])
def test_training_on_symmetric_graphs_has_finite_gradients(make: type[LaplacianEncoding | RandomWalkEncoding]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(4, 8), nn.SiLU(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    x = batch(*[GRAPHS[name][0] for name in SYMMETRIC])
    encoding = make(10, 4)
    assert list(encoding.parameters()) == []
    for step in range(3):
        f = encoding(x, generator=seeded(step))
        assert not f.requires_grad
        loss = (network(f).squeeze(2) - torch.arange(10.0)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())
        optimizer.step()
    assert bool(loss.isfinite())


@pytest.mark.parametrize("make", [LaplacianEncoding, RandomWalkEncoding])
@pytest.mark.parametrize(
    ("max_nodes", "channels", "name"), [(0, 1, "max_nodes"), (3, 0, "channels"), (3, -1, "channels")]
)
def test_sizes_below_one_are_errors(make: type[nn.Module], max_nodes: int, channels: int, name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected at least 1, got {min(max_nodes, channels)}"):
        make(max_nodes, channels)


@pytest.mark.parametrize("tolerance", [-1e-9, math.inf, math.nan])
def test_a_bad_tolerance_is_an_error(tolerance: float) -> None:
    with pytest.raises(ValueError, match=f"tolerance: expected a finite number >= 0, got {tolerance}"):
        LaplacianEncoding(3, 2, tolerance=tolerance)


def test_an_unknown_normalization_is_an_error() -> None:
    with pytest.raises(ValueError, match="normalization: expected one of symmetric, none; got 'random walk'"):
        LaplacianEncoding(3, 2, normalization="random walk")


@pytest.mark.parametrize("encoding", [LaplacianEncoding(3, 2), RandomWalkEncoding(3, 2)])
def test_too_many_nodes_are_an_error(encoding: nn.Module) -> None:
    with pytest.raises(ValueError, match="at most max_nodes = 3 nodes; graph 1 has 4"):
        encoding(batch(complete(3), complete(4)))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("encoding", [LaplacianEncoding(3, 2), RandomWalkEncoding(3, 2)])
def test_an_input_that_is_no_graph_is_an_error(encoding: nn.Module) -> None:
    with pytest.raises(TypeError, match="x: expected DenseGraphs or SparseGraphs, got Tensor"):
        encoding(torch.zeros(2, 3, 3))


@pytest.mark.parametrize("name", DIRECTED)
def test_a_directed_graph_has_no_laplacian_encoding(name: str) -> None:
    x = batch(complete(3), DIRECTED[name], directed=True)
    with pytest.raises(ValueError, match="x: expected undirected graphs; graph 1 has an arc without its reverse"):
        LaplacianEncoding(6, 2)(x)
    with pytest.raises(ValueError, match="graph 1 has an arc without its reverse"):
        LaplacianEncoding(6, 2)(x.sparse())


def test_the_arguments_can_be_read() -> None:
    assert repr(LaplacianEncoding(3, 2)) == "LaplacianEncoding(3, 2, normalization='symmetric', tolerance=1e-06)"
    assert repr(RandomWalkEncoding(3, 2)) == "RandomWalkEncoding(3, 2)"
