"""ASE: atoms, as one batch for kernels of points; ASE is not imported, for what it gives is arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import torch

from sympe.graphs import Clouds


@runtime_checkable
class AtomsLike(Protocol):
    """What is asked of ``ase.Atoms``."""

    @property
    def positions(self) -> Any:
        """``(atoms, 3)``, in Å."""

    @property
    def numbers(self) -> Any:
        """``(atoms,)``, atomic numbers."""

    @property
    def pbc(self) -> Any:
        """``(3,)``, which directions are periodic."""


def from_ase(atoms: Iterable[Any]) -> Clouds:
    """Atoms at their positions, with their atomic numbers, in double precision; cells are not looked at.

    Arguments:
        atoms: ``ase.Atoms``.

    Raises:
        TypeError: names the first that has no positions, numbers and pbc.
        ValueError: if there is a periodic direction: a crystal is no cloud of points.

    Example:
        >>> from types import SimpleNamespace as Atoms  # ase.Atoms
        >>> from_ase([Atoms(positions=[[0.0, 0, 0], [0, 0, 0.74]], numbers=[1, 1], pbc=[False] * 3)])
        Clouds(1 of 2 points in space, padded to 2)
    """
    found = list(atoms)
    for number, one in enumerate(found):
        if not isinstance(one, AtomsLike):
            kind = type(one).__name__
            raise TypeError(f"atoms[{number}]: expected positions, numbers and pbc, as ase.Atoms has, got {kind}")
        if any(one.pbc):
            raise ValueError(f"atoms[{number}]: expected atoms without periodic directions, got pbc = {list(one.pbc)}")
    positions = [torch.as_tensor(one.positions, dtype=torch.float64).reshape(-1, 3) for one in found]
    numbers = [torch.as_tensor(one.numbers, dtype=torch.int64) for one in found]
    empty = torch.zeros(0, 3, dtype=torch.float64), torch.zeros(0, dtype=torch.int64)
    return Clouds.from_flat(
        torch.cat([*positions, empty[0]]),
        torch.tensor([len(one) for one in positions], dtype=torch.int64),
        torch.cat([*numbers, empty[1]]),
    )
