"""How the tests of formats read: by the symmetry report, whose group orders say what was in the file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from sympe.experiments.report import inputs_of
from sympe.files import Options
from sympe.report import SymmetryReport, symmetry_report


def read(path: Path, **options: Any) -> SymmetryReport:
    asked = Options(**options)
    return symmetry_report(inputs_of([path], asked), tolerance=asked.tolerance)


def orders(report: SymmetryReport) -> list[int]:
    return [round(math.exp(value)) for value in report.log_orders]


def star(**attributes: Tensor) -> Data:
    return Data(edge_index=torch.tensor([[1, 2, 3, 0, 0, 0], [0, 0, 0, 1, 2, 3]]), num_nodes=4, **attributes)
