"""Asks pymatgen for the point groups of the shapes of the tests and of 1,000 molecules, for `point-groups.json`.

pymatgen is not among the packages of this project. With it in an environment of its own (2026.10.16 was used), from the
root of the repository:

    python -m tests.data.point_groups clouds > clouds.json
    python-with-pymatgen tests/data/point_groups.py answers < clouds.json > tests/data/point-groups.json
"""

from __future__ import annotations

import json
import sys


def clouds() -> dict[str, dict[str, list[int] | list[list[float]]]]:
    """Types and positions, by name."""
    from tests.kernels.points.qm9 import geometries, symmetrised
    from tests.kernels.points.shapes import shapes

    molecules = symmetrised(geometries(1000), tolerance=0.1)
    rows = [(x.name, x.types, x.positions) for x in shapes()]
    each = zip(molecules.types, molecules.positions, molecules.sizes.tolist(), strict=True)
    rows += [(f"QM9 {row}", types[:size], positions[:size]) for row, (types, positions, size) in enumerate(each, 1)]
    return {name: {"types": types.tolist(), "positions": positions.tolist()} for name, types, positions in rows}


def answers(asked: dict[str, dict[str, list[int] | list[list[float]]]]) -> dict[str, str]:
    """The name of the point group by name of the cloud.

    The number of its operations is not asked for: pymatgen lists half of those of S_2n.
    """
    from pymatgen.core import Molecule
    from pymatgen.symmetry.analyzer import PointGroupAnalyzer

    found = {}
    for name, cloud in asked.items():
        molecule = Molecule(cloud["types"], cloud["positions"], validate_proximity=False)
        found[name] = PointGroupAnalyzer(molecule, tolerance=0.01, eigen_tolerance=0.001).sch_symbol
    return found


if __name__ == "__main__":
    written = clouds() if sys.argv[1] == "clouds" else answers(json.load(sys.stdin))
    rows = (f"{json.dumps(name)}: {json.dumps(row)}" for name, row in written.items())
    print("{\n" + ",\n".join(rows) + "\n}")
