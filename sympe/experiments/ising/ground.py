r"""Exact ground states of the periodic Ising model.

Three methods, each exact, and each checked against another in the tests:

- Couplings constant in space and L even: :func:`~sympe.experiments.ising.hamiltonian.closed_form`.
- L <= 10: the transfer matrix in the (min, +) algebra. With row 0 in state f, the least energy of rows 0 to a, row a in
  state c, is :math:`M_a(c)`, and :math:`M_{a+1}(c') = \min_c [M_a(c) - \sum_b B^0_{a,b} c_b c'_b] + E_{a+1}(c')`. The
  minimum factorises over the sites b of the row: L steps on :math:`2^L` numbers, for each of the :math:`2^L` states f
  that close the torus. Exact up to rounding.
- L <= 32: a maximum cut. An edge variable y is 1 where a bond joins opposite spins. A set of edges is a cut iff every
  cycle meets it in an even number of edges, so for each cycle C and each F ⊂ C of an odd number of edges a cut fulfils
  :math:`\sum_{F} (1 - y) + \sum_{C \setminus F} y \ge 1`. The inequalities that a linear relaxation violates are found
  by shortest paths and added until there are none (Barahona and Mahjoub 1986). That leaves next to nothing for branch
  and bound (HiGHS), which proves optimality up to 1e-6 of the largest coupling, for the whole lattice.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, vstack
from scipy.sparse.csgraph import dijkstra
from torch import Tensor

from sympe.experiments.ising.hamiltonian import check_fields, closed_form, energy_per_spin, phase_patterns
from sympe.experiments.progress import Bar

LARGEST_SIZE = 32
_LARGEST_TRANSFER = 10  # above, cutting planes are faster: 20 times at L = 12
_FIRST_ROWS = 256  # states of row 0 treated together: arrays of 2 MB at L = 10
_TIME_LIMIT = 600.0  # seconds for one linear or integer program
_TOLERANCE = 1e-6  # of the largest coupling, for the whole lattice: HiGHS's own absolute gap
_SOLVER = "1"  # raise it when a change of the solvers could change a result: it invalidates every cache

# What NumPy and zipfile raise, and we, on files that are damaged or not ours.
_UNREADABLE = (
    OSError,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)

_Cycle = tuple[tuple[int, bool], ...]  # edges, and whether each is in F


def ground_energies(
    fields: Float[Tensor, "..."], *, cache: Path | None = None, progress: bool = False
) -> Float64[Tensor, " batch"]:
    """The exact least energy per spin of every Hamiltonian, in the units of the couplings.

    Arguments:
        fields: the Hamiltonians, ``(batch, 3, L, L)``. L is at most :data:`LARGEST_SIZE`, unless L is even and every
            Hamiltonian is constant in space.
        cache: folder that keeps the ground states of Hamiltonians that are not in closed form, one small file each. A
            file that is damaged or belongs to another Hamiltonian is computed again, with a warning.
        progress: whether to show a progress bar if the optimisation takes over five seconds.

    Raises:
        ValueError: if the shape is another, the batch is empty, a coupling is NaN or infinite, or L is too large.
        NotADirectoryError: if ``cache`` is a file.
        RuntimeError: if HiGHS does not prove optimality, or not within ten minutes (10 < L).

    Example:
        >>> fields = torch.zeros(1, 3, 3, 3)
        >>> fields[:, :2] = -1  # an antiferromagnet on an odd lattice: one bond of each line is frustrated
        >>> ground_energies(fields)
        tensor([-0.6667], dtype=torch.float64)
    """
    return energy_per_spin(fields.double(), ground_states(fields, cache=cache, progress=progress))


def ground_states(
    fields: Float[Tensor, "..."], *, cache: Path | None = None, progress: bool = False
) -> Float64[Tensor, "batch L L"]:
    """One ground state of every Hamiltonian, in spins +1 and -1.

    Arguments, exceptions: as in :func:`ground_energies`.

    Example:
        >>> fields = torch.zeros(1, 3, 2, 2)
        >>> fields[0, 2] = torch.tensor([[1.0, -1.0], [0.5, 2.0]])
        >>> ground_states(fields)[0]
        tensor([[ 1., -1.],
                [ 1.,  1.]], dtype=torch.float64)
    """
    check_fields(fields)
    if len(fields) == 0:
        raise ValueError("fields: expected at least one Hamiltonian, got an empty batch")
    finite = fields.isfinite().flatten(1).all(1)
    if not finite.all():
        bad = finite.logical_not().nonzero()[:, 0].tolist()
        raise ValueError(
            f"fields: expected finite couplings, got NaN or inf in Hamiltonian {bad[0]} ({len(bad)} in all)"
        )
    if cache is not None and cache.exists() and not cache.is_dir():
        raise NotADirectoryError(f"cache: expected a folder, got the file {cache}")

    # Adding zero turns -0.0 into 0.0, so that equal couplings share a file.
    exact = fields.detach().to("cpu", torch.float64) + 0.0
    size = exact.shape[-1]
    couplings = exact[:, :, 0, 0]
    closed = (exact == couplings[:, :, None, None]).flatten(1).all(1) & (size % 2 == 0)
    if size > LARGEST_SIZE and not closed.all():
        raise ValueError(
            f"fields: expected L <= {LARGEST_SIZE} where L is odd or couplings vary in space, got L = {size}"
        )
    spins = torch.empty(len(exact), size, size, dtype=torch.float64)
    if closed.any():
        jx, jy, h = couplings[closed].T
        _, phase = closed_form(jx, jy, h)
        spins[closed] = phase_patterns(size).double()[phase]
        spins[closed] *= torch.where((phase == 0) & (h < 0), -1.0, 1.0)[:, None, None]
    rest = closed.logical_not().nonzero()[:, 0].tolist()
    for i in Bar(rest, desc="ground states", unit="Hamiltonian", delay=5, disable=not progress):
        spins[i] = torch.from_numpy(_optimum(exact[i].numpy(), cache))
    return spins.to(fields.device)


def _optimum(fields: Float64[np.ndarray, "3 L L"], cache: Path | None) -> Float64[np.ndarray, "L L"]:
    if cache is None:
        return _solve(fields)
    content = f"{_SOLVER} {fields.shape} {fields.dtype.str} ".encode() + fields.tobytes()
    path = cache / f"{hashlib.sha256(content).hexdigest()}.npz"
    spins = _read(path, fields)
    if spins is None:
        spins = _solve(fields)
        _write(path, fields=fields, spins=spins.astype(np.int8), energy=_energy(fields, spins))
    return spins


def _solve(fields: Float64[np.ndarray, "3 L L"]) -> Float64[np.ndarray, "L L"]:
    """The ground state, found with the largest coupling as the unit."""
    fields = fields / (np.abs(fields).max() or 1.0)
    return (_transfer if fields.shape[-1] <= _LARGEST_TRANSFER else _cut)(fields)


def _energy(fields: Float64[np.ndarray, "3 L L"], spins: Float64[np.ndarray, "L L"]) -> float:
    return energy_per_spin(torch.from_numpy(fields)[None], torch.from_numpy(spins)[None]).item()


def _read(path: Path, fields: Float64[np.ndarray, "3 L L"]) -> Float64[np.ndarray, "L L"] | None:
    """The spins in a cache file; None if there is no file, or none to be trusted."""
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            known, energy = data["fields"], float(data["energy"])
            spins: Float64[np.ndarray, "L L"] = data["spins"].astype(np.float64)
        if not np.array_equal(known, fields):
            raise ValueError("it belongs to another Hamiltonian")
        if spins.shape != fields.shape[1:] or not (np.abs(spins) == 1).all():
            raise ValueError("it holds no spins of this lattice")
        if not np.isclose(_energy(fields, spins), energy, rtol=1e-12):
            raise ValueError("its spins do not have its energy")
    except _UNREADABLE as error:
        warnings.warn(f"cache: computing {path} again, which cannot be used: {error}", stacklevel=5)
        return None
    return spins


def _write(path: Path, **arrays: Any) -> None:
    """Write aside, then rename: readers and interrupted writers never leave half a file under ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".npz", delete=False) as aside:
        try:
            np.savez_compressed(aside, **arrays)
            aside.close()
            os.replace(aside.name, path)
        except BaseException:
            os.unlink(aside.name)
            raise


def _transfer(fields: Float64[np.ndarray, "3 L L"]) -> Float64[np.ndarray, "L L"]:
    """The ground state by the (min, +) transfer matrix, in about 4^L L^2 steps; any L >= 1."""
    B, C, h = fields
    L = len(h)
    if L == 1:  # the bonds are constants
        return np.where(h >= 0, 1.0, -1.0)
    states = np.arange(2**L)
    S = 1.0 - 2.0 * ((states[:, None] >> np.arange(L)[::-1]) & 1)  # spins of a row in each state, (2^L, L)
    rows = -(S * np.roll(S, -1, 1)) @ C.T - S @ h.T  # energy of row a within itself, (2^L, L)
    # Without a field a state and its negative have one energy, so the first spin may be taken up.
    candidates = states if h.any() else states[: 2 ** (L - 1)]

    least, first = np.inf, 0
    for start in range(0, len(candidates), _FIRST_ROWS):
        f = candidates[start : start + _FIRST_ROWS]
        *_, M = _sweep(f, S, rows, B)
        closed = (M - (S * B[-1]) @ S[f].T).min(0)
        if closed.min() < least:
            least, first = closed.min(), f[closed.argmin()]

    history = [M[:, 0].copy() for M in _sweep(np.array([first]), S, rows, B)]
    found = [first]  # rows 0, L - 1, ..., 1
    for a in range(L - 1, 0, -1):
        found.append((history[a - 1] - (S * B[a]) @ S[found[-1]]).argmin())
    spins = S[[found[0], *found[:0:-1]]]
    assert np.isclose(_energy(fields, spins), least / L**2, rtol=0, atol=1e-9)
    return spins


def _sweep(
    first: Int[np.ndarray, " k"],
    S: Float64[np.ndarray, "n L"],
    rows: Float64[np.ndarray, "n L"],
    B: Float64[np.ndarray, "L L"],
) -> Iterator[Float64[np.ndarray, "n k"]]:
    """For a = 1 .. L - 1, the least energy of rows 0 to a, given the states of rows a and 0; the next overwrites it."""
    n, L = S.shape
    M = rows[first, 0] - (S * B[0]) @ S[first].T + rows[:, 1:2]
    yield M
    new = np.empty_like(M)
    for a in range(1, L - 1):
        for b in range(L):
            J = B[a, b]
            shape = (2**b, 2, n >> (b + 1), len(first))  # axis 1 is the spin of site b, up and down
            source, target = M.reshape(shape), new.reshape(shape)
            up, down = (source[:, 0], source[:, 1]) if J >= 0 else (source[:, 1], source[:, 0])
            # min(up - |J|, down + |J|), up to the constant -|J|
            np.minimum(np.add(down, 2 * abs(J), out=target[:, 0]), up, out=target[:, 0])
            np.minimum(np.add(up, 2 * abs(J), out=target[:, 1]), down, out=target[:, 1])
            M, new = new, M
        M += rows[:, a + 1 : a + 2] - np.abs(B[a]).sum()
        yield M


def _cut(fields: Float64[np.ndarray, "3 L L"]) -> Float64[np.ndarray, "L L"]:
    """The ground state by cutting planes and branch and bound; L >= 3, where no two bonds join the same sites."""
    B, C, h = fields
    L = len(h)
    assert L >= 3
    n, m = L**2, 2 * L**2
    site = np.arange(n).reshape(L, L)
    ends = np.stack([np.tile(site.ravel(), 2), np.concatenate([np.roll(site, -1, k).ravel() for k in (0, 1)])])
    weight = np.concatenate([B.ravel(), C.ravel()])
    # Variables: y of the m edges, then x of the n sites, 1 where the spin is down. Energy: cost @ (y, x) + constant.
    cost, constant = 2 * np.concatenate([weight, h.ravel()]), -weight.sum() - h.sum()
    upper = np.ones(m + n)
    upper[m] = 1.0 if h.any() else 0.0

    # y = |x_i - x_j|: y - x_i + x_j >= 0, y + x_i - x_j >= 0, x_i + x_j - y >= 0, 2 - x_i - x_j - y >= 0
    e = np.arange(m)
    columns = np.tile(np.stack([e, m + ends[0], m + ends[1]], 1), (4, 1))
    signs = np.repeat([[1.0, -1.0, 1.0], [1.0, 1.0, -1.0], [-1.0, 1.0, 1.0], [-1.0, -1.0, -1.0]], m, 0)
    A = csr_array((signs.ravel(), columns.ravel(), np.arange(0, 12 * m + 1, 3)), shape=(4 * m, m + n))
    lower = np.repeat([0.0, 0.0, 0.0, -2.0], m)

    cycles: set[_Cycle] = set()
    while True:
        result = _highs(cost, A, lower, upper, integer=False)
        violated = _violated_cycles(result.x[:m], ends, n) - cycles
        if not violated:
            break
        cycles |= violated
        new = sorted(violated)
        indices = [edge for cycle in new for edge, _ in cycle]
        values = [-1.0 if crosses else 1.0 for cycle in new for _, crosses in cycle]
        starts = np.cumsum([0] + [len(cycle) for cycle in new])
        A = vstack([A, csr_array((values, indices, starts), shape=(len(new), m + n))], format="csr")
        lower = np.concatenate([lower, [1.0 - sum(crosses for _, crosses in cycle) for cycle in new]])

    result = _highs(cost, A, lower, upper, integer=True)
    spins: Float64[np.ndarray, "L L"] = 1.0 - 2.0 * (result.x[m:].reshape(L, L) > 0.5)
    gap = _energy(fields, spins) * n - (result.mip_dual_bound + constant)
    if gap > _TOLERANCE:
        raise RuntimeError(f"HiGHS did not prove optimality at L = {L}: gap {gap:.3g} in units of the largest coupling")
    return spins


def _highs(cost: Any, A: Any, lower: Any, upper: Any, *, integer: bool) -> Any:
    """Minimise ``cost @ z`` over ``A z >= lower`` and ``0 <= z <= upper``."""
    result = milp(
        cost,
        constraints=LinearConstraint(A, lower, np.inf),
        bounds=Bounds(0, upper),
        integrality=np.full(len(cost), int(integer)),
        options={"mip_rel_gap": 0, "time_limit": _TIME_LIMIT},
    )
    if result.status != 0:
        raise RuntimeError(f"HiGHS did not prove optimality ({len(cost)} variables): {result.message}")
    return result


def _violated_cycles(
    y: Float64[np.ndarray, " m"], ends: Int[np.ndarray, "2 m"], n: int, tolerance: float = 1e-6
) -> set[_Cycle]:
    """For each site the most violated inequality of a cycle through it, if any.

    In the graph of all (site, parity), an edge with its parity kept costs y, and 1 - y with its parity changed. A path
    from (i, 0) to (i, 1) is a closed walk with an odd number of changes, F, and violates the inequality iff it costs
    less than 1.
    """
    i, j = ends
    m = len(y)
    kept, changed = np.clip(y, 0, 1), np.clip(1 - y, 0, 1)
    data = np.concatenate([kept, kept, changed, changed]) + 1e-9  # positive: among equals, the fewest edges
    heads, tails = np.concatenate([i, i + n, i, i + n]), np.concatenate([j, j + n, j + n, j])
    graph = csr_array((data, (heads, tails)), shape=(2 * n, 2 * n))
    distance, previous = dijkstra(graph, directed=False, indices=np.arange(n), return_predecessors=True)
    edge = {(int(i[k]), int(j[k])): k for k in range(m)} | {(int(j[k]), int(i[k])): k for k in range(m)}
    cycles = set()
    for start in np.flatnonzero(distance[np.arange(n), np.arange(n) + n] < 1 - tolerance):
        walk, here = [], int(start) + n
        while here != start:
            there = int(previous[start, here])
            walk.append((edge[there % n, here % n], (there < n) != (here < n)))
            here = there
        # A walk that comes back on its own way goes round a cycle that another site finds, for less.
        if len({e for e, _ in walk}) == len(walk):
            cycles.add(tuple(sorted(walk)))
    return cycles
