"""Make ``sympe/experiments/shapes/molecules.json``: symmetric molecules of QM9, and pairs of hydrogens to replace.

Needs the extra ``molecules``: ``python -m tests.experiments.shapes.make_molecules``.

A molecule is made exactly symmetric first. Hydrogens, and pairs of them, fall into orbits under its symmetries; those
of one orbit have the same distance (of a hydrogen from the centre, of a pair from each other). Orbits are numbered by
that distance, and those count that have two elements or more and a distance of their own, by at least ``APART``.
"""

from __future__ import annotations

import ast
import csv
import importlib.util
import itertools
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sympe.experiments import shapes
from sympe.graphs import Clouds
from sympe.groups import Orthogonal
from sympe.kernels import PointKernel
from tests.kernels.points.qm9 import ATOMIC_NUMBERS, symmetrised

OUT = Path(shapes.__file__).parent / "molecules.json"
LEARNED = {
    1: "methane",
    6: "formaldehyde",
    7: "ethane",
    9: "propyne",
    13: "propane",
    16: "cyclopropane",
    17: "oxirane",
    18: "acetone",
    21: "isobutane",
    29: "2-butyne",
    94: "3-oxetanone",
    105: "bicyclo[1.1.1]pentane",
    214: "benzene",
    218: "1,3,5-triazine",
    438: "3-cyclopentenone",
    505: "2,4-hexadiyne",
    2391: "2,6-dioxaspiro[3.3]heptane",
    19116: "cubane",
}
NEW = {10: "acetonitrile", 15: "dimethyl ether", 189: "vinylene carbonate", 216: "pyrazine", 911: "4-pyranone"}
"""Molecules of which training sees nothing."""
APART = 0.2
"""Angstroms."""
NAMES = {(1, 0): "one a", (1, 1): "one b", (2, 0): "two a", (2, 1): "two b", (2, 2): "two c"}
"""The kinds, by how many hydrogens are replaced and the rank of their distance."""


def read(indices: set[int]) -> dict[int, tuple[Tensor, Tensor]]:
    """Atomic numbers and positions in angstroms, by index in QM9."""
    spec = importlib.util.find_spec("qm9pack")
    assert spec is not None
    assert spec.origin is not None
    found = {}
    with (Path(spec.origin).parent / "data" / "qm9_part1.csv").open() as file:
        for row in csv.DictReader(file):
            if int(row["Index"]) in indices:
                types = torch.tensor([ATOMIC_NUMBERS[name] for name in ast.literal_eval(row["Elements"])])
                found[int(row["Index"])] = types, torch.tensor(ast.literal_eval(row["XYZ_Ang"])).double()
    return found


def molecule(name: str, index: int, types: Tensor, positions: Tensor) -> dict[str, Any]:
    """What is written of one molecule."""
    x = symmetrised(Clouds.from_positions(positions[None], types[None]), tolerance=0.1)
    kernel = PointKernel(Orthogonal(3), len(types), tolerance=1e-3)
    G = kernel.stabilizer(x)[0]
    places = kernel.group.components(G)[1].tolist()
    hydrogens = (types == 1).nonzero().squeeze(1).tolist()
    kinds = []
    for most in (1, 2):
        orbits: dict[frozenset[frozenset[int]], float] = {}
        for some in itertools.combinations(hydrogens, most):
            orbit = frozenset(frozenset(p[i] for i in some) for p in places)
            p = x.positions[0, list(some)] - (x.centers if most == 1 else 0)
            orbits[orbit] = float(p[0].norm() if most == 1 else (p[0] - p[1]).norm())
        order = sorted(orbits.items(), key=lambda item: item[1])
        for place, (orbit, d) in enumerate(order):
            known = (most, place) in NAMES and len(orbit) > 1
            if known and all(other is orbit or abs(d - far) >= APART for other, far in order):
                kinds.append({"kind": NAMES[most, place], "replaced": min(sorted(some) for some in orbit)})
    return {
        "name": name,
        "qm9": index,
        "group": kernel.point_groups(x)[0],
        "order": len(G),
        "new": index in NEW,
        "types": types.tolist(),
        "positions": x.centered().positions[0].mul(1e7).round().div(1e7).tolist(),
        "kinds": kinds,
    }


def main() -> None:
    """Write the file."""
    every = {**LEARNED, **NEW}
    found = read(set(every))
    rows = [molecule(name, index, *found[index]) for index, name in every.items()]
    OUT.write_text("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]\n")
    for row in rows:
        print(row["name"], row["group"], row["order"], len(row["types"]), [kind["kind"] for kind in row["kinds"]])


if __name__ == "__main__":
    main()
