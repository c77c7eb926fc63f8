from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from sympe.experiments import experiment, pictures


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a comparison are trained here, one after the other: other processes would import everything once more.

    In processes of their own they are trained by the comparisons of ising and molecules.
    """

    def run_rows(train: Callable[..., Any], configs: Sequence[Any], out: Path, **_: Any) -> None:
        for config in configs:
            train(config, out, 1)

    monkeypatch.setattr(experiment, "run_rows", run_rows)


@pytest.fixture(autouse=True)
def readable_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every figure that a test makes can be read at the width of a README, and every axis says what it has."""
    real = Figure.savefig

    def savefig(figure: Figure, *arguments: Any, **options: Any) -> None:
        assert unreadable(figure) == []
        real(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)


NAMED = re.compile(r"[a-z]{3}")
"""Ticks with names need no others."""


def unreadable(figure: Figure) -> list[str]:
    """What is too small, or has ticks and no words."""
    found = []
    if (height := pictures.smallest_label(figure)) < 9.5:
        found.append(f"a label of {height:.1f} pixels")
    for axis in figure.axes:
        spec = axis.get_subplotspec()
        if not axis.axison or spec is None:
            continue
        named = NAMED.search(" ".join(tick.get_text() for tick in axis.get_yticklabels()))
        for name, ticks, words, outer in (
            ("x", axis.get_xticks(), axis.get_xlabel(), spec.is_last_row()),
            ("y", axis.get_yticks(), axis.get_ylabel() or named, spec.is_first_col()),
        ):
            seen = (axis.xaxis if name == "x" else axis.yaxis).get_visible()  # that of a twin is not
            if seen and len(ticks) and outer and not words:
                found.append(f"no words at {name}")
    return found
