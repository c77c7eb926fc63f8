"""The list of experiments: a new one is a folder that makes an ``Experiment``, and a line here.

Nothing heavy is imported here: what trains, judges and draws is deferred, so that help need not wait for it.
"""

from __future__ import annotations

from sympe.experiments.autoencoder.compare import EXPERIMENT as AUTOENCODER
from sympe.experiments.experiment import Experiment
from sympe.experiments.generalization.compare import EXPERIMENT as GENERALIZATION
from sympe.experiments.ising.compare import EXPERIMENT as ISING
from sympe.experiments.molecules.compare import EXPERIMENT as MOLECULES
from sympe.experiments.molecules.compare import FEW_STEPS
from sympe.experiments.shapes.compare import EXPERIMENT as SHAPES

EXPERIMENTS: list[Experiment] = [ISING, AUTOENCODER, GENERALIZATION, SHAPES, MOLECULES, FEW_STEPS]
