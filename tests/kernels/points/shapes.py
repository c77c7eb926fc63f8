"""Clouds whose point group is known by how they are made: Platonic solids, prisms, rosettes, molecules, orbits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sympe.graphs import Clouds

H, C, N, F, S, FE, OXYGEN = 1, 6, 7, 9, 16, 26, 8
PHI = (1 + math.sqrt(5)) / 2
MIRRORS = {"v": torch.diag(torch.tensor([1.0, -1.0, 1.0])).double(), "h": torch.diag(torch.tensor([1.0, 1.0, -1.0]))}
NO_MIRRORS = frozenset({"C1", *(f"{letter}{n}" for letter in "CD" for n in range(2, 13)), "T", "O", "I"})
"""The point groups of rotations alone."""


@dataclass(frozen=True)
class Shape:
    """A cloud about its centre, and the order of its point group, infinite for points on one line."""

    name: str
    group: str
    order: float
    positions: Tensor
    types: Tensor

    @property
    def rotations(self) -> float:
        """The order of the part without reflections."""
        return self.order if self.group in NO_MIRRORS else self.order / 2

    def cloud(self) -> Clouds:
        return Clouds.from_positions(self.positions[None], self.types[None])


def rotation(axis: Sequence[float], turns: float) -> Tensor:
    """About an axis, by Rodrigues' formula."""
    a = torch.tensor(axis, dtype=torch.float64)
    x, y, z = (a / a.norm()).tolist()
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    angle = 2 * math.pi * turns
    return torch.eye(3).double() + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def closure(*generators: Tensor) -> Tensor:
    """All products, of a finite group."""
    found = [torch.eye(3).double()]
    for known in found:  # it grows on the way
        for generator in generators:
            new = known @ generator.double()
            if all(float((new - old).abs().max()) > 1e-6 for old in found):
                found.append(new)
    return torch.stack(found)


def orbit(group: Tensor, *points: Sequence[float]) -> Tensor:
    """The places where elements of a group take points, once each."""
    places: list[Tensor] = []
    for point in (group @ torch.tensor(points, dtype=torch.float64).T).transpose(1, 2).flatten(0, 1):
        if all(float((point - old).norm()) > 1e-6 for old in places):
            places.append(point)
    return torch.stack(places)


def axial(name: str) -> Tensor:
    """C_n, C_nv, C_nh, S_n, D_n, D_nh and D_nd, about the third axis."""
    n = int(name.strip("CDSvhd"))
    turn = rotation((0, 0, 1), 1 / n)
    across = rotation((1, 0, 0), 1 / 2)
    if name.startswith("S"):
        return closure(MIRRORS["h"].double() @ turn)
    if name.endswith("d"):
        return closure(MIRRORS["h"].double() @ rotation((0, 0, 1), 1 / (2 * n)), across)
    return closure(turn, *([across] if name.startswith("D") else []), *(MIRRORS[m].double() for m in name if m in "vh"))


INVERSION = -torch.eye(3).double()
TETRAHEDRAL = closure(rotation((1, 1, 1), 1 / 3), rotation((0, 0, 1), 1 / 2))
OCTAHEDRAL = closure(rotation((1, 1, 1), 1 / 3), rotation((0, 0, 1), 1 / 4))
ICOSAHEDRAL = closure(rotation((0, 1, PHI), 1 / 5), rotation((1, 1, 1), 1 / 3))
DIAGONAL_MIRROR = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]).double()
CUBIC = {
    "T": TETRAHEDRAL,
    "Th": torch.cat([TETRAHEDRAL, -TETRAHEDRAL]),
    "Td": torch.cat([TETRAHEDRAL, TETRAHEDRAL @ DIAGONAL_MIRROR]),
    "O": OCTAHEDRAL,
    "Oh": torch.cat([OCTAHEDRAL, -OCTAHEDRAL]),
    "I": ICOSAHEDRAL,
    "Ih": torch.cat([ICOSAHEDRAL, -ICOSAHEDRAL]),
}


def ring(n: int, radius: float = 1.5, z: float = 0.0, turns: float = 0.0) -> Tensor:
    """A regular polygon across the third axis, its first corner so many turns from the first axis."""
    angle = 2 * math.pi * (torch.arange(n, dtype=torch.float64) / n + turns)
    return torch.stack([radius * angle.cos(), radius * angle.sin(), torch.full_like(angle, z)], 1)


def shape(name: str, group: str, order: float, *parts: tuple[int, Tensor]) -> Shape:
    """A shape of points of the given types, moved to its centre."""
    positions = torch.cat([points for _, points in parts])
    types = torch.cat([torch.full((len(points),), kind) for kind, points in parts])
    return Shape(name, group, order, positions - positions.mean(0), types)


def _points(*rows: Sequence[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def _solids() -> Iterator[Shape]:
    yield shape("tetrahedron", "Td", 24, (C, orbit(CUBIC["T"], (1, 1, 1))))
    yield shape("octahedron", "Oh", 48, (C, orbit(CUBIC["O"], (1.5, 0, 0))))
    yield shape("cube", "Oh", 48, (C, orbit(CUBIC["O"], (1, 1, 1))))
    yield shape("icosahedron", "Ih", 120, (C, orbit(CUBIC["I"], (0, 1, PHI))))
    yield shape("dodecahedron", "Ih", 120, (C, orbit(CUBIC["I"], (1, 1, 1))))
    yield shape("truncated icosahedron", "Ih", 120, (C, orbit(CUBIC["I"], (0, 1, 3 * PHI))))
    for n in range(3, 9):
        yield shape(f"prism {n}", f"D{n}h", 4 * n, (C, ring(n, z=0.8)), (C, ring(n, z=-0.8)))
        yield shape(f"antiprism {n}", f"D{n}d", 4 * n, (C, ring(n, z=0.8)), (C, ring(n, z=-0.8, turns=1 / (2 * n))))
        yield shape(f"twisted prism {n}", f"D{n}", 2 * n, (C, ring(n, z=0.8)), (C, ring(n, z=-0.8, turns=0.3 / n)))
        yield shape(f"pyramid {n}", f"C{n}v", 2 * n, (C, ring(n)), (C, _points((0, 0, 1.1))))


def _rosettes() -> Iterator[Shape]:
    """Two rings turned against each other: flat, and with a point above."""
    for n in range(2, 13):
        rings = (C, ring(n, 2.0)), (C, ring(n, 1.3, turns=0.13 / n * 2))
        yield shape(f"rosette {n}", f"C{n}h", 2 * n, *rings)
        yield shape(f"rosette {n} with a top", f"C{n}", n, *rings, (C, _points((0, 0, 1.1))))


def _orbits() -> Iterator[Shape]:
    """Generic points, so many that nothing but the group takes them to each other."""
    for m in (2, 3, 4, 5, 6):
        yield shape(f"S{2 * m}", f"S{2 * m}", 2 * m, (C, orbit(axial(f"S{2 * m}"), (1.9, 0.3, 0.5), (1.1, 0.7, 1.2))))
    for name, group in CUBIC.items():
        yield shape(f"orbit of {name}", name, len(group), (C, orbit(group, (2.3, 1.1, 0.4))))
    yield shape("Ci", "Ci", 2, (C, orbit(closure(INVERSION), (1, 0.2, 0.3), (-0.4, 1.7, 0.5), (0.6, -0.3, 1.2))))
    in_the_mirror = _points((1.3, 0.4, 0), (-0.3, 1.7, 0))
    yield shape("Cs", "Cs", 2, (C, orbit(closure(MIRRORS["h"]), (1, 0.2, 0.9), (-0.4, -1.1, 0.5))), (C, in_the_mirror))
    yield shape("C1", "C1", 1, (C, _points((1, 0.2, 0.9), (-0.4, -1.1, 0.5), (1.3, 0.4, -1), (0.1, 1.2, 0.3))))


def _molecules() -> Iterator[Shape]:
    origin = _points((0, 0, 0))
    for kind, turns in (("D5h", 0.0), ("D5d", 0.1)):
        rings = [(C, 1.43, 1.66), (H, 2.51, 1.66)]
        up = [(z, ring(5, radius, height)) for z, radius, height in rings]
        down = [(z, ring(5, radius, -height, turns)) for z, radius, height in rings]
        yield shape(f"ferrocene {kind}", kind, 20, (FE, origin), *up, *down)
    yield shape("one atom", "Kh", math.inf, (C, origin))
    yield shape("nitrogen", "D*h", math.inf, (N, _points((0, 0, 0.55), (0, 0, -0.55))))
    yield shape("hydrogen fluoride", "C*v", math.inf, (H, origin), (F, _points((0, 0, 0.92))))
    yield shape("carbon dioxide", "D*h", math.inf, (C, origin), (OXYGEN, _points((0, 0, 1.16), (0, 0, -1.16))))
    hydrogen, nitrogen = _points((0, 0, -1.06)), _points((0, 0, 1.16))
    yield shape("hydrogen cyanide", "C*v", math.inf, (C, origin), (H, hydrogen), (N, nitrogen))
    yield shape("water", "C2v", 4, (OXYGEN, _points((0, 0, 0.12))), (H, _points((0, 0.76, -0.48), (0, -0.76, -0.48))))
    yield shape("ammonia", "C3v", 6, (N, origin), (H, ring(3, 0.94, -0.38)))
    yield shape("methane", "Td", 24, (C, origin), (H, orbit(CUBIC["T"], (0.63, 0.63, 0.63))))
    yield shape("sulfur hexafluoride", "Oh", 48, (S, origin), (F, orbit(CUBIC["O"], (1.56, 0, 0))))
    yield shape("benzene", "D6h", 24, (C, ring(6, 1.39)), (H, ring(6, 2.48)))
    up, down = ring(3, 1.02, 1.16), ring(3, 1.02, -1.16, 1 / 6)
    yield shape("ethane, staggered", "D3d", 12, (C, _points((0, 0, 0.77), (0, 0, -0.77))), (H, up), (H, down))
    carbons = _points((0, 0, 0), (0, 0, 1.31), (0, 0, -1.31))
    yield shape("allene", "D2d", 8, (C, carbons), (H, ring(2, 0.93, 1.87)), (H, ring(2, 0.93, -1.87, 1 / 4)))
    oxygens, hydrogens = _points((0.73, 0, 0), (-0.73, 0, 0)), _points((0.9, 0.5, 0.8), (-0.9, -0.5, 0.8))
    yield shape("hydrogen peroxide", "C2", 2, (OXYGEN, oxygens), (H, hydrogens))
    corners = orbit(CUBIC["T"], (1, 1, 1))
    yield shape("cube of two types", "Td", 24, (C, corners), (N, -corners))
    axes = torch.cat([torch.eye(3), -torch.eye(3)]).double() * 1.5
    yield shape("facial octahedron", "C3v", 6, (C, axes[:3]), (N, axes[3:]))
    yield shape("meridional octahedron", "C2v", 4, (C, axes[[0, 1, 3]]), (N, axes[[2, 4, 5]]))
    yield shape("disphenoid of a rectangle", "D2", 4, (C, orbit(axial("D2"), (1.4, 0.8, 0.5))))


def shapes() -> list[Shape]:
    """All of them."""
    return [*_solids(), *_rosettes(), *_orbits(), *_molecules()]
