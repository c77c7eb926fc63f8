"""Brute force at small size, written without the package under test: Python, itertools and numpy only.

Everything is enumerated: a group is a list of concrete things (affine maps, matrices, permutations, quaternions), an
action is an explicit table of images, an orbit is a list of tuples.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import numpy as np

Affine = tuple[tuple[int, int, int, int], tuple[int, int]]
Quaternion = tuple[int, int, int, int]

ROTATION, REFLECTION, UNIT = (0, -1, 1, 0), (1, 0, 0, -1), (1, 0, 0, 1)


def _product(a: Sequence[int], b: Sequence[int]) -> tuple[int, int, int, int]:
    return (
        a[0] * b[0] + a[1] * b[2],
        a[0] * b[1] + a[1] * b[3],
        a[2] * b[0] + a[3] * b[2],
        a[2] * b[1] + a[3] * b[3],
    )


def _apply(a: Sequence[int], v: Sequence[int]) -> tuple[int, int]:
    return a[0] * v[0] + a[1] * v[1], a[2] * v[0] + a[3] * v[1]


@lru_cache
def p4m_elements(size: int) -> list[Affine]:
    """The maps t_(p,q) r^k m^s of the plane in the documented order: s, k, p, q, the last one fastest."""
    elements = []
    for s, k, p, q in itertools.product(range(2), range(4), range(size), range(size)):
        matrix: tuple[int, int, int, int] = UNIT
        for _ in range(s):
            matrix = _product(REFLECTION, matrix)
        for _ in range(k):
            matrix = _product(ROTATION, matrix)
        elements.append((matrix, (p, q)))
    return elements


def p4m_compose(size: int, g: Affine, h: Affine) -> Affine:
    """First h, then g; translations modulo the torus, the linear part exactly."""
    x, y = _apply(g[0], h[1])
    return _product(g[0], h[0]), ((x + g[1][0]) % size, (y + g[1][1]) % size)


@lru_cache
def p4m_table(size: int) -> np.ndarray:
    """The Cayley table of P4M, by composing affine maps."""
    return cayley_table(p4m_elements(size), lambda g, h: p4m_compose(size, g, h))


@lru_cache
def site_images(size: int) -> np.ndarray:
    """``images[g, i]`` is the flat site to which element g sends site i."""
    images = []
    for matrix, (p, q) in p4m_elements(size):
        row = []
        for a, b in itertools.product(range(size), repeat=2):
            x, y = _apply(matrix, (a, b))
            row.append((x + p) % size * size + (y + q) % size)
        images.append(row)
    return np.array(images)


@lru_cache
def bond_images(size: int) -> np.ndarray:
    """``images[g, e]`` for bond e = (direction, site): both ends are moved as points of the plane, then folded."""
    images = []
    for matrix, (p, q) in p4m_elements(size):
        row = []
        for direction, a, b in itertools.product(range(2), range(size), range(size)):
            ends = [_apply(matrix, end) for end in ((a, b), (a + 1 - direction, b + direction))]
            first, last = sorted(ends)
            step = (last[0] - first[0], last[1] - first[1])
            channel = {(1, 0): 0, (0, 1): 1}[step]
            row.append((channel * size + (first[0] + p) % size) * size + (first[1] + q) % size)
        images.append(row)
    return np.array(images)


def image_images(n: int, order: int, height: int, width: int) -> np.ndarray:
    """``images[g, pixel]`` of r^k m^s, g = s n + k, on an image, by numpy's flip and rot90."""
    pixels = np.arange(height * width).reshape(height, width)
    rows = []
    for g in range(order):
        s, k = divmod(g, n)
        moved = np.rot90(np.flip(pixels, 1) if s else pixels, k * 4 // n)
        rows.append(np.argsort(moved.flatten()))
    return np.array(rows)


def torus_images(*axes: tuple[int, bool]) -> np.ndarray:
    """``images[g, site]`` on a periodic grid of axes (n, whether reflected), by numpy's flip and roll; last fastest."""
    moves = [[(k, s) for s in range(1 + reflected) for k in range(n)] for n, reflected in axes]
    rows = []
    for g in itertools.product(*moves):
        moved = np.arange(np.prod([n for n, _ in axes])).reshape([n for n, _ in axes])
        for axis, (k, s) in enumerate(g):
            turned = np.roll(np.flip(moved, axis), 1, axis) if s else moved  # i goes to -i, and 0 stays
            moved = np.roll(turned, k, axis)
        rows.append(np.argsort(moved.flatten()))
    return np.array(rows)


def direct_sum_images(*parts: np.ndarray) -> np.ndarray:
    """Side by side, the entries of each part after those of the one before."""
    starts = np.cumsum([0, *(part.shape[1] for part in parts)])
    return np.concatenate([part + start for part, start in zip(parts, starts[:-1], strict=True)], axis=1)


def cayley_table(elements: Sequence[Any], multiply: Callable[[Any, Any], Any]) -> np.ndarray:
    """``table[g, h]`` is the index of the product of elements g and h."""
    index = {element: i for i, element in enumerate(elements)}
    return np.array([[index[multiply(g, h)] for h in elements] for g in elements])


def inverses(table: np.ndarray) -> np.ndarray:
    """The inverse of every element, by looking for the identity 0 in its row."""
    return np.array([list(row).index(0) for row in table])


def symmetric_group(degree: int) -> list[tuple[int, ...]]:
    """All permutations, identity first."""
    return list(itertools.permutations(range(degree)))


def after(p: Sequence[int], q: Sequence[int]) -> tuple[int, ...]:
    """The permutation that first sends i to q[i], then to p[q[i]]."""
    return tuple(p[j] for j in q)


def quaternion_units() -> list[Quaternion]:
    """1, i, j, k and their negatives."""
    units = [tuple(int(i == j) for j in range(4)) for i in range(4)]
    return [*units, *(tuple(-c for c in unit) for unit in units)]  # type: ignore[list-item]


def hamilton(a: Quaternion, b: Quaternion) -> Quaternion:
    """The product of two quaternions."""
    return (
        a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
        a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
        a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
        a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
    )


def left_multiplication(a: Quaternion) -> np.ndarray:
    """The 4 x 4 matrix of b -> a b."""
    columns = [hamilton(a, tuple(int(i == j) for j in range(4))) for i in range(4)]  # type: ignore[arg-type]
    return np.array(columns, dtype=float).T


def plane_rotation(n: int, k: int, s: int) -> np.ndarray:
    """r^k m^s in the plane: m reflects the second axis, then r turns by 360/n degrees k times."""
    angle = 2 * math.pi * k / n
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return turn @ np.diag([1.0, (-1.0) ** s])


def element_orders(table: np.ndarray) -> list[int]:
    """The sorted orders of all elements."""
    orders = []
    for g in range(len(table)):
        power, count = g, 1
        while power != 0:
            power, count = table[power, g], count + 1
        orders.append(count)
    return sorted(orders)


def inverse_orbit(images: np.ndarray, x: np.ndarray) -> list[tuple[float, ...]]:
    """Row g is g^-1 x as a tuple: (g^-1 x)[e] = x[g e]."""
    return [tuple(row) for row in x[images].tolist()]


def coset(moved_back: Sequence[tuple[float, ...]], reading: Sequence[int]) -> set[int]:
    """The g whose g^-1 x, read in the order ``reading``, is the lexicographic minimum."""
    read = list(map(itemgetter(*reading), moved_back))
    least = min(read)
    return {g for g, row in enumerate(read) if row == least}


def stabilizer(moved_back: Sequence[tuple[float, ...]]) -> set[int]:
    """The g with g^-1 x = x."""
    return {g for g, row in enumerate(moved_back) if row == moved_back[0]}


def join(partition: Sequence[int], image: Sequence[int]) -> tuple[int, ...]:
    """The finest partition coarser than ``partition`` whose blocks ``image`` keeps; labels by first entry."""
    parent = list(range(len(partition)))

    def root(e: int) -> int:
        while parent[e] != e:
            e = parent[e]
        return e

    for e, (block, target) in enumerate(zip(partition, image, strict=True)):
        for other in (block, target):
            a, b = sorted((root(e), root(int(other))))
            parent[b] = a
    return tuple(root(e) for e in range(len(partition)))


def stabilizer_classes(images: np.ndarray) -> list[tuple[int, ...]]:
    """One field for every conjugacy class of stabilizers of scalar fields.

    H is the stabilizer of some field iff it is that of the field with one colour for every H-orbit, so stabilizers
    correspond to the partitions into orbits of subgroups. Those of <H, g> are the join of those of H with the cycles of
    g, so that all are found by joining, from the partition into the orbits of the elements that move nothing. A
    conjugate subgroup has the moved partition, so one partition for every orbit of G on partitions is one class.
    """

    def canonical(partition: tuple[int, ...]) -> tuple[int, ...]:
        best = None
        moved = np.empty_like(images)
        np.put_along_axis(moved, images, np.broadcast_to(np.array(partition), images.shape), axis=1)
        for row in np.unique(moved, axis=0).tolist():
            first: dict[int, int] = {}
            relabelled = tuple(first.setdefault(label, e) for e, label in enumerate(row))
            best = relabelled if best is None else min(best, relabelled)
        assert best is not None
        return best

    start = canonical(tuple(range(images.shape[1])))
    seen, queue = {start}, [start]
    distinct = np.unique(images, axis=0).tolist()
    while queue:
        partition = queue.pop()
        for child in {join(partition, image) for image in distinct}:
            key = canonical(child)
            if key not in seen:
                seen.add(key)
                queue.append(key)
    return sorted(seen)


def ising_energy(bonds: Any, field: Any, spins: Any) -> float:
    """E = -sum_i (Jx_i s_i s_(i+x) + Jy_i s_i s_(i+y) + h_i s_i) on the torus, site by site."""
    size = len(spins)
    energy = 0.0
    for a, b in itertools.product(range(size), repeat=2):
        right, up = spins[(a + 1) % size][b], spins[a][(b + 1) % size]
        energy -= bonds[0][a][b] * spins[a][b] * right + bonds[1][a][b] * spins[a][b] * up
        energy -= field[a][b] * spins[a][b]
    return float(energy)


def group_convolution(table: np.ndarray, psi: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """y[g] = sum_h psi[g^-1 h] phi[h], over all pairs of elements."""
    inverse = inverses(table)
    order = len(table)
    return np.array([sum(psi[table[inverse[g], h]] * phi[h] for h in range(order)) for g in range(order)])
