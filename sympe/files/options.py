"""What to read from a file, apart from what reads: the help of ``sympe report`` does not wait for that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Options:
    """What to read from a file.

    Arguments:
        node_features: attribute of nodes that colours them, or "none". Where the default is absent all nodes are alike;
            where another is, the input is bad.
        edge_features: the same for edges; the default of edge lists is the weight.
        node_targets: attribute (of PyG data), or array (of an npz file), with targets of nodes or sites.
        edge_targets: attribute of PyG data with targets of edges.
        smiles_column: column of a CSV file; None for the first whose name contains "smiles".
        hydrogens: whether hydrogens of molecules are nodes; else they are part of their atom's colour.
        directed: whether the lines of edge lists are arcs, from the first node to the second.
        three_channels: what three channels of a lattice are: "ising", the bonds and the field of a Hamiltonian, or
            "scalars".
        coordinates: whether molecules of .sdf files are clouds of atoms in space, at the coordinates of the file; those
            of .xyz files always are.
        distance_tolerance: largest gap between distances of atoms that count as equal, in the unit of the file.
        tolerance: largest gap between floats that count as equal (features, weights, fields), relative to the largest
            of their channel.
        trust: whether to open .pt files with Python's pickle, which can run any code; else classes that are not of
            torch or PyTorch Geometric are refused.

    Raises:
        ValueError: if a tolerance is negative or not finite.
    """

    node_features: str = "x"
    edge_features: str = "edge_attr"
    node_targets: str | None = None
    edge_targets: str | None = None
    smiles_column: str | None = None
    hydrogens: bool = False
    directed: bool = False
    three_channels: Literal["ising", "scalars"] = "ising"
    coordinates: bool = False
    distance_tolerance: float = 0.01
    tolerance: float = 1e-6
    trust: bool = False

    def __post_init__(self) -> None:
        for name, value in (("tolerance", self.tolerance), ("distance_tolerance", self.distance_tolerance)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{name}: expected a finite number >= 0, got {value}")
