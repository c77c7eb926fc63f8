"""The shapes and their displacements, as points about the origin: polygons, polyhedra, cages and molecules."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sympe.experiments.shapes.hydrogens import replacements
from sympe.randomness import seeded
from sympe.tolerance import Tolerance

TOLERANCE = Tolerance(3e-4, 0.0)
"""Of distances that count as equal, relative to the largest: C(x) does not depend on the scale."""

SIZE = 0.35
"""Of displacements: the root mean square over the points that move."""

B, X, A = 1, 2, 3
"""Types of points in a cage: corners, bridges, and the first kind of atom in the centre."""

GLAZER: dict[str, tuple[tuple[str, float], ...]] = {
    "a0a0c+": (("0", 0.0), ("0", 0.0), ("+", 0.3)),
    "a0a0c-": (("0", 0.0), ("0", 0.0), ("-", 0.3)),
    "a0b-b-": (("0", 0.0), ("-", 0.2), ("-", 0.2)),
    "a-a-a-": (("-", 0.2), ("-", 0.2), ("-", 0.2)),
    "a+a+a+": (("+", 0.2), ("+", 0.2), ("+", 0.2)),
    "a+b-b-": (("+", 0.3), ("-", 0.2), ("-", 0.2)),
}
"""Tilt systems in Glazer's notation: along each axis the octahedra turn in phase, out of phase or not, by so much."""


@dataclass(frozen=True)
class Shape:
    """One shape, of radius 1 (root mean square over its points) or a molecule, and where its points are to go.

    Arguments:
        name: in words.
        positions: of the points, about the origin.
        displacement: of each point; every symmetry of the shape takes it to one that is as right.
        types: of the points, from 1.
        new: whether it is kept from training.
    """

    name: str
    positions: Float[Tensor, "points 3"]
    displacement: Float[Tensor, "points 3"]
    types: Int64[Tensor, " points"]
    new: bool = False

    def __repr__(self) -> str:
        return f"Shape({self.name!r}, {len(self.positions)} points)"


@cache
def shapes(dataset: str) -> tuple[Shape, ...]:
    """The shapes of a dataset.

    - ``polyhedra``: seventeen regular polygons, prisms, antiprisms and Platonic solids of 3 to 12 equal points.
    - ``cages``: the cage of eight corner-sharing octahedra BX6 around an atom A, of which the eight B and the twelve X
      between them are there; A says which of six tilt systems the octahedra take.
    - ``hydrogens``: molecules, of which one hydrogen or two are replaced; the types say what kind of one or two. Five
      molecules are kept from training.

    Arguments:
        dataset: one of these names.

    Example:
        >>> [len(shapes(name)) for name in ("polyhedra", "cages", "hydrogens")], shapes("polyhedra")[0]
        ([17, 6, 67], Shape('triangle', 3 points))
    """
    return {"polyhedra": _polyhedra, "cages": _cages, "hydrogens": _hydrogens}[dataset]()


def _polyhedra() -> tuple[Shape, ...]:
    golden = (1 + math.sqrt(5)) / 2
    signs = torch.cartesian_prod(*[torch.tensor([1.0, -1.0], dtype=torch.float64)] * 3)
    octahedron = torch.cat([torch.eye(3), -torch.eye(3)]).double()
    tetrahedron = signs[signs.prod(1) > 0]
    turn = torch.eye(3).roll(1, 0).double()
    rectangle = torch.tensor([[0.0, a, b * golden] for a in (1, -1) for b in (1, -1)]).double()
    icosahedron = torch.cat([rectangle, rectangle @ turn, rectangle @ turn.T])
    x = [1.0, 0.0, 0.0]
    every = [
        ("triangle", p := _ring(3), _pull(p, [0])),
        ("square", p := _ring(4, phase=0.5), _stretch(p, x)),
        ("pentagon", p := _ring(5), _pull(p, [0])),
        ("hexagon", p := _ring(6), _lift([1.0, -0.5, -0.5] * 2)),
        ("octagon", p := _ring(8), _stretch(p, x)),
        ("nonagon", p := _ring(9), _pull(p, [0, 3, 6])),
        ("decagon", p := _ring(10), _lift([1.0, -1.0] * 5)),
        ("dodecagon", p := _ring(12), _pull(p, [0, 4, 8])),
        ("tetrahedron", tetrahedron, _generic("tetrahedron", 4)),
        ("octahedron", octahedron, _stretch(octahedron, x)),
        ("cube", signs, _pull(signs, [0])),
        ("icosahedron", icosahedron, _pull(icosahedron, [0])),
        ("triangular prism", p := _prism(3, 1.2), _twist(p)),
        ("square antiprism", p := _prism(4, 1.2, turned=True), _pull(p, [0])),
        ("pentagonal prism", p := _prism(5, 1.2), _shear(p, x)),
        ("hexagonal prism", p := _prism(6, 1.2), _twist(p)),
        ("pentagonal antiprism", p := _prism(5, 1.2, turned=True), _stretch(p, x)),
    ]
    return tuple(_shape(name, p, y, torch.ones(len(p), dtype=torch.int64)) for name, p, y in every)


def _cages() -> tuple[Shape, ...]:
    corners = list(itertools.product((0, 1), repeat=3))
    bridges = [(r, d) for r in corners for d in range(3) if r[d] == 0]  # between r and the next corner along d
    halves = torch.eye(3, dtype=torch.float64)  # from a corner to the bridge: half of the distance between corners
    at = [2 * torch.tensor(r, dtype=torch.float64) - 1 for r in corners]
    at += [2 * torch.tensor(r, dtype=torch.float64) - 1 + halves[d] for r, d in bridges]
    positions = torch.stack([*at, torch.zeros(3, dtype=torch.float64)])
    found = []
    for kind, (name, tilts) in enumerate(GLAZER.items()):
        y = torch.zeros_like(positions)
        for row, (r, d) in enumerate(bridges):
            y[len(corners) + row] = torch.linalg.cross(_turn(r, tilts), halves[d])
        types = torch.tensor([B] * len(corners) + [X] * len(bridges) + [A + kind])
        found.append(_shape(f"cage {name}", positions, y, types))
    return tuple(found)


def _hydrogens() -> tuple[Shape, ...]:
    return tuple(
        Shape(f"{one.molecule}, {one.kind}", one.positions, SIZE * one.displacement, one.types, one.new)
        for one in replacements()
    )


def _turn(r: tuple[int, ...], tilts: tuple[tuple[str, float], ...]) -> Tensor:
    """How the octahedron at a corner turns: neighbours across an axis turn against each other, as they share a point.

    Along the axis they turn alike ("+") or not ("-").
    """
    angles = [angle * (-1) ** (sum(r) - (r[axis] if sign == "+" else 0)) for axis, (sign, angle) in enumerate(tilts)]
    return torch.tensor(angles, dtype=torch.float64)


def _shape(name: str, positions: Tensor, displacement: Tensor, types: Tensor) -> Shape:
    """Of radius 1."""
    radius = positions.square().sum(1).mean().sqrt()
    moves = displacement.square().sum(1)
    size = moves[moves > 0].mean().sqrt()
    return Shape(name, positions / radius, SIZE * displacement / size, types)


def _ring(n: int, *, z: float = 0.0, phase: float = 0.0) -> Tensor:
    angle = (torch.arange(n, dtype=torch.float64) + phase) * (2 * math.pi / n)
    return torch.stack([angle.cos(), angle.sin(), torch.full_like(angle, z)], 1)


def _prism(n: int, height: float, *, turned: bool = False) -> Tensor:
    return torch.cat([_ring(n, z=height / 2), _ring(n, z=-height / 2, phase=0.5 * turned)])


def _pull(p: Tensor, which: list[int]) -> Tensor:
    """Some points away from the centre."""
    y = torch.zeros_like(p)
    y[which] = p[which]
    return y


def _stretch(p: Tensor, axis: list[float]) -> Tensor:
    """Along an axis, and half as much together across it."""
    a = torch.tensor(axis, dtype=p.dtype)
    along = (p @ a)[:, None] * a
    return along - 0.5 * (p - along)


def _lift(heights: list[float]) -> Tensor:
    """Out of the plane."""
    return torch.nn.functional.pad(torch.tensor(heights, dtype=torch.float64)[:, None], (2, 0))


def _twist(p: Tensor) -> Tensor:
    """The upper half about the axis, the lower half against it."""
    return p[:, 2:].sign() * torch.stack([-p[:, 1], p[:, 0], torch.zeros_like(p[:, 0])], 1)


def _shear(p: Tensor, along: list[float]) -> Tensor:
    """The upper half one way, the lower half the other."""
    return p[:, 2:].sign() * torch.tensor(along, dtype=p.dtype)


def _generic(name: str, n: int) -> Tensor:
    return torch.randn(n, 3, dtype=torch.float64, generator=seeded("displacement", name))
