"""What figures share: every encoding has a colour, seeds a band, and labels can be read where a README shows them."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from sympe.experiments.catalogue import EXPERIMENTS
from sympe.experiments.pictures import COLORS, LABELS, SYMPE, WIDE, band, floor, smallest_label
from tests.experiments.conftest import unreadable


@pytest.fixture
def figure() -> Iterator[Figure]:
    drawn, _ = plt.subplots(figsize=(WIDE, 4))
    yield drawn
    plt.close(drawn)


def test_every_encoding_has_a_colour_and_the_exact_kernel_the_same_everywhere() -> None:
    encodings = {config.encoding for each in EXPERIMENTS for preset in each.presets for config in each.rows(preset)}
    assert encodings <= COLORS.keys()
    assert LABELS.keys() <= COLORS.keys()
    exact = {name for name, color in COLORS.items() if color == SYMPE}
    assert exact == {"sympe", "sympe-nodes-edges"}
    for each in EXPERIMENTS:
        own = {config.encoding for preset in each.presets for config in each.rows(preset)}
        colors = [COLORS[encoding] for encoding in own]
        assert len(set(colors)) == len(own), f"two encodings of {each.name} have one colour"


def test_a_band_goes_from_the_least_to_the_greatest_around_the_mean(figure: Figure) -> None:
    axis = figure.axes[0]
    x = np.arange(3.0)
    band(axis, [np.stack([x, y], 1) for y in ([1.0, 2.0, 3.0], [3.0, 2.0, 7.0])], label="two", color="red")
    (line,) = axis.lines
    assert line.get_ydata().tolist() == [2.0, 2.0, 5.0]
    outline = axis.collections[0].get_paths()[0].vertices
    assert {tuple(point) for point in outline.tolist()} >= {(0.0, 1.0), (0.0, 3.0), (1.0, 2.0), (2.0, 3.0), (2.0, 7.0)}
    band(axis, [np.stack([x, x], 1)], label="one", color="blue")
    assert len(axis.collections) == 1  # nothing is between one seed and itself
    with pytest.raises(ValueError, match="curves: expected the same x for every seed of two"):
        band(axis, [np.stack([x, x], 1), np.stack([x + 1, x], 1)], label="two")


def test_a_floor_is_a_named_line(figure: Figure) -> None:
    floor(figure.axes[0], 2.0, "the noise")
    (line,) = figure.axes[0].lines
    assert line.get_label() == "the noise"
    assert set(line.get_ydata()) == {2.0}


def test_figures_that_cannot_be_read_are_found(figure: Figure) -> None:
    assert unreadable(figure) == ["no words at x", "no words at y"]
    figure.axes[0].set(xlabel="step", ylabel="loss (nats)")
    assert unreadable(figure) == []
    figure.axes[0].set_title("small", fontsize=7)
    assert unreadable(figure) == ["a label of 8.4 pixels"]
    with pytest.raises(AssertionError, match="a label of"):
        figure.savefig("never")


def test_the_smallest_label_is_found(figure: Figure) -> None:
    assert smallest_label(figure) == pytest.approx(9 * 830 / (72 * WIDE))  # ticks
    figure.axes[0].set_xlabel("small", fontsize=6)
    assert smallest_label(figure) == pytest.approx(6 * 830 / (72 * WIDE))
    figure.axes[0].set_xlabel("", fontsize=6)
    assert smallest_label(figure) > 10
