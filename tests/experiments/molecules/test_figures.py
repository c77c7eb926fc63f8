"""Differences are those of rows with the same seed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sympe.experiments.molecules.figures import Kind, differences_to_none

SAME = {"steps": 9, "data_hash": "a", "config": {"order": "breadth-first"}}


def test_differences_to_none_are_paired_by_seed() -> None:
    kinds = [("noise", False, 1), ("none", False, 0), ("sympe-nodes", True, 0), ("haar", False, 2)]
    rows = [{"encoding": kind, "coupled": coupled, "seed": seed, **SAME} for kind, coupled, seed in kinds]
    easy_and_hard = np.array([10.0, 20.0, 30.0, 40.0])
    better = easy_and_hard - np.array([1.0, 2.0, 1.0, 2.0])
    arrays = [{"bound": bound} for bound in (easy_and_hard, easy_and_hard, better, easy_and_hard)]
    ((kind, seed, mean, error),) = differences_to_none(rows, arrays)
    assert (kind, seed) == (Kind("sympe-nodes", True), 0)
    assert kind.label.endswith(", coupled")
    assert kind._replace(order="depth-first").label == f"{kind.label}, depth-first"
    assert mean == -1.5
    assert error == pytest.approx(math.sqrt(1 / 3) / 2), "that of the differences, not of the molecules"


@pytest.mark.parametrize(("other", "tested"), [({"steps": 8}, 4), ({"data_hash": "b"}, 4), ({}, 3)])
def test_rows_that_were_trained_or_judged_otherwise_are_not_compared(other, tested) -> None:
    none = {"encoding": "none", "coupled": False, "seed": 0, **SAME}
    arrays = [{"bound": np.arange(4.0)}, {"bound": np.ones(tested)}]
    assert not differences_to_none([none, {**none, "encoding": "noise", **other}], arrays)
    assert differences_to_none([none, {**none, "encoding": "noise"}], [arrays[0], {"bound": np.ones(4)}])
