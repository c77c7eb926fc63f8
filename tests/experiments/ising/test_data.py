"""The four distributions, and streams that can be resumed."""

import pytest
import torch

from sympe.experiments.ising.config import VARIANTS, IsingConfig
from sympe.experiments.ising.data import (
    TrainingStream,
    evaluation_set,
    sample_hamiltonians,
    seeded,
    validation_set,
)
from sympe.experiments.ising.evaluation import couplings
from sympe.experiments.ising.hamiltonian import closed_form


def draw(variant: str, count: int = 2000, size: int = 4) -> torch.Tensor:
    return sample_hamiltonians(variant, count, size, generator=seeded(3))


@pytest.mark.parametrize("variant", VARIANTS)
def test_shape_and_determinism(variant):
    fields = draw(variant, 7, 6)
    assert fields.shape == (7, 3, 6, 6)
    assert torch.equal(fields, draw(variant, 7, 6))
    assert not torch.equal(evaluation_set(variant, 7, 6), validation_set(variant, 7, 6))


@pytest.mark.parametrize(("variant", "phases"), [("paper", {0, 1, 2}), ("wide", {0, 1, 2, 3})])
def test_uniform_variants_have_the_phases_of_the_method_page(variant, phases):
    fields = draw(variant)
    assert torch.equal(fields, fields[:, :, :1, :1].expand_as(fields))
    jx, jy, h = couplings(fields).unbind(1)
    assert set(closed_form(jx, jy, h)[1].tolist()) == phases
    unit = (jx == 1) | (jy == 1) if variant == "paper" else (jx.abs() == 1) | (jy.abs() == 1)
    assert unit.all()
    assert jx.abs().max() <= 3
    assert jy.abs().max() <= 3
    assert ((h >= 0) & (h <= 2)).all()
    # swapped with probability 1/2: within 6 standard deviations (false alarm 2e-9)
    assert abs(int((jx.abs() == 1).sum()) - 1000) < 6 * (2000 * 0.25) ** 0.5


def test_supercell_repeats_every_two_sites_and_glass_does_not():
    cell, glass = draw("supercell", 5, 6), draw("glass", 5, 6)
    for axis in (2, 3):
        assert torch.equal(cell, cell.roll(2, axis))
        assert not torch.equal(cell, cell.roll(1, axis))
        assert not torch.equal(glass, glass.roll(2, axis))
    assert (glass[:, 2] == 0).all()
    assert (cell[:, 2] > 0).any()


def test_stream_gives_the_same_batch_for_the_same_step():
    whole = TrainingStream("wide", 4, seed=1, batch=3, steps=range(6))
    rest = TrainingStream("wide", 4, seed=1, batch=3, steps=range(4, 6))
    assert len(rest) == 2
    for (step, fields), (resumed_step, resumed) in zip(list(whole)[4:], rest, strict=True):
        assert step == resumed_step
        assert torch.equal(fields, resumed)
    other_rank = TrainingStream("wide", 4, seed=1, batch=3, steps=range(6), rank=1)
    other_seed = TrainingStream("wide", 4, seed=2, batch=3, steps=range(6))
    assert not torch.equal(whole[0][1], other_rank[0][1])
    assert not torch.equal(whole[0][1], other_seed[0][1])
    assert not torch.equal(whole[0][1], whole[1][1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("snow", 3, 4), "variant: expected one of paper, wide, supercell, glass; got 'snow'"),
        (("wide", 0, 4), "count, size: expected at least 1, got 0, 4"),
        (("supercell", 3, 5), "size: a 2 x 2 supercell needs an even lattice, got 5"),
    ],
)
def test_bad_input(arguments, message):
    variant, count, size = arguments
    with pytest.raises(ValueError, match=r"size|variant|count") as error:
        sample_hamiltonians(variant, count, size, generator=seeded(0))
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "encoding",
            "magic",
            "encoding: expected one of none, noise, haar, relaxed, sympe, sympe-learned; got 'magic'",
        ),
        ("variant", "snow", "variant: expected one of paper, wide, supercell, glass; got 'snow'"),
        ("steps", 0, "steps: expected at least 1, got 0"),
        ("learning_rate", -1.0, "learning_rate: expected a positive, finite number, got -1.0"),
        ("temperature", -0.1, "temperature: expected a finite number of at least 0, got -0.1"),
        ("temperature", float("nan"), "temperature: expected a finite number of at least 0, got nan"),
        ("cooling", 0.0, "cooling: expected a share above 0 and at most 1, got 0.0"),
        ("cooling", 1.5, "cooling: expected a share above 0 and at most 1, got 1.5"),
        ("warmup", 1.0, "warmup: expected a share between 0 and 1, got 1.0"),
        ("warmup", 0.0004, "warmup: expected more than one step, got 0.0004 of 2000"),
        ("seed", -1, "seed: expected at least 0 and less than 2^63, got -1"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_config(field, value, message):
    with pytest.raises(ValueError, match=field) as error:
        IsingConfig(**{field: value})
    assert str(error.value) == message
