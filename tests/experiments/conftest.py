from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sympe.experiments import experiment


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a comparison are trained here, one after the other: other processes would import everything once more.

    In processes of their own they are trained by the comparisons of ising and molecules.
    """

    def run_rows(train: Callable[..., Any], configs: Sequence[Any], out: Path, **_: Any) -> None:
        for config in configs:
            train(config, out, 1)

    monkeypatch.setattr(experiment, "run_rows", run_rows)
