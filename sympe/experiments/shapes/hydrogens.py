"""Symmetric molecules, and which of their hydrogens are replaced."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files

import torch
from jaxtyping import Float, Int64
from torch import Tensor

ELEMENTS = (1, 6, 7, 8)
"""Atomic numbers."""
KINDS = ("one a", "one b", "two a", "two b", "two c")
"""One hydrogen, the nearest to the centre of all kinds (a) or the next; or two, of the least distance or the next."""
UNIT = 2.0
"""Angstroms in a unit of the positions: about the radius of a molecule."""


@dataclass(frozen=True)
class Replacement:
    """A molecule and one kind of hydrogens that are replaced.

    Arguments:
        molecule: its name.
        kind: of ``KINDS``.
        new: whether the molecule is kept from training.
        positions: of the atoms, about the origin, in units of 2 angstroms.
        types: 1 + the place of the element in ``ELEMENTS``, and ``len(ELEMENTS)`` more for each kind before this one.
        displacement: of the atoms. Replaced hydrogens move out along their bonds, as heavier atoms have longer ones.
    """

    molecule: str
    kind: str
    new: bool
    positions: Float[Tensor, "points 3"]
    types: Int64[Tensor, " points"]
    displacement: Float[Tensor, "points 3"]

    def __repr__(self) -> str:
        return f"Replacement({self.molecule!r}, {self.kind!r}, {len(self.positions)} atoms)"


def replacements() -> tuple[Replacement, ...]:
    """All that ``molecules.json`` has: geometries of QM9, made exactly symmetric.

    References:
        Ramakrishnan, Dral, Rupp and von Lilienfeld, "Quantum chemistry structures and properties of 134 kilo
        molecules", Scientific Data 1, 140022, 2014 (CC0).

    Example:
        >>> found = replacements()
        >>> len(found), found[0]
        (67, Replacement('methane', 'one a', 5 atoms))
    """
    found = []
    for row in json.loads(files(__package__).joinpath("molecules.json").read_text()):
        p = torch.tensor(row["positions"], dtype=torch.float64) / UNIT
        elements = torch.tensor([1 + ELEMENTS.index(number) for number in row["types"]])
        d = torch.cdist(p, p).fill_diagonal_(torch.inf)
        for kind in row["kinds"]:
            y = torch.zeros_like(p)
            for atom in kind["replaced"]:
                bond = p[atom] - p[int(d[atom].argmin())]
                y[atom] = bond / bond.norm()
            types = elements + len(ELEMENTS) * KINDS.index(kind["kind"])
            found.append(Replacement(row["name"], kind["kind"], row["new"], p, types, y))
    return tuple(found)


def features() -> Float[Tensor, "types features"]:
    """The element and the kind of each type, each as a unit vector; 0 for type 0, which is padding.

    Example:
        >>> features().shape, features()[1 + len(ELEMENTS) + ELEMENTS.index(8)].nonzero().flatten().tolist()
        (torch.Size([21, 9]), [3, 5])
    """
    element, kind = torch.eye(len(ELEMENTS)), torch.eye(len(KINDS))
    rows = torch.cat([element.repeat(len(KINDS), 1), kind.repeat_interleave(len(ELEMENTS), 0)], 1)
    return torch.cat([torch.zeros(1, rows.shape[1]), rows])
