"""The list of experiments: a new one is a folder that makes an ``Experiment``, and a line here."""

from __future__ import annotations

from dataclasses import dataclass

from sympe.experiments.autoencoder.compare import EXPERIMENT as AUTOENCODER
from sympe.experiments.experiment import Experiment
from sympe.experiments.generalization.compare import EXPERIMENT as GENERALIZATION
from sympe.experiments.ising.compare import EXPERIMENT as ISING
from sympe.experiments.shapes.compare import EXPERIMENT as SHAPES


@dataclass(frozen=True)
class Missing:
    """An experiment that cannot be imported here.

    Arguments:
        name: what the command line calls it.
        package: what is not installed.
        extra: of this package, that brings it.
        commands: that it would have brought.
    """

    name: str
    package: str
    extra: str
    commands: tuple[str, ...] = ()

    def error(self) -> ImportError:
        """Says what to install."""
        return ImportError(f"{self.name} needs the package {self.package}: pip install 'sympe[{self.extra}]'")


EXPERIMENTS: list[Experiment] = [ISING, AUTOENCODER, GENERALIZATION, SHAPES]
MISSING: list[Missing] = []

try:
    from sympe.experiments.molecules.compare import EXPERIMENT as MOLECULES
    from sympe.experiments.molecules.few_steps import EXPERIMENT as FEW_STEPS
except ModuleNotFoundError as error:
    MISSING.append(Missing("molecules", error.name or "", "molecules", ("sample", "molecules-file")))
    MISSING.append(Missing("few-steps", error.name or "", "molecules"))
else:
    EXPERIMENTS += [MOLECULES, FEW_STEPS]
