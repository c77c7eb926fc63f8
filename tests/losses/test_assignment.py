"""The least loss over assignments, against all permutations."""

from __future__ import annotations

import itertools
import sys

import pytest
import torch
from torch import Tensor

from sympe.actions import NodeAction
from sympe.graphs import DenseGraphs
from sympe.kernels import GraphKernel
from sympe.losses import assignment_minimum, orbit_minimum


def distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().sum(-1)


def by_force(prediction: Tensor, target: Tensor, types: Tensor) -> Tensor:
    """One set, all permutations that keep the types."""
    least = torch.tensor(torch.inf, dtype=prediction.dtype)
    for p in itertools.permutations(range(len(prediction))):
        order = torch.tensor(p, dtype=torch.int64)
        if torch.equal(types[order], types):
            least = torch.minimum(least, distance(prediction, target[order]).sum())
    return least


def sets(n: int = 5) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Predictions, targets, types and masks; the padding of targets is no number at all."""
    generator = torch.Generator().manual_seed(n)
    prediction, target = torch.randn(2, 6, n, 2, generator=generator, dtype=torch.float64)
    types = torch.randint(2, (6, n), generator=generator)
    mask = torch.arange(n) < torch.tensor([[0], [1], [2], [3], [n], [n]])
    return prediction, target, types, mask


def test_it_is_the_least_over_all_permutations() -> None:
    prediction, target, types, mask = sets()
    value = assignment_minimum(distance, prediction, target, types=types, mask=mask)
    free = assignment_minimum(distance, prediction, target)
    for i, n in enumerate(mask.sum(1).tolist()):
        torch.testing.assert_close(value[i], by_force(prediction[i, :n], target[i, :n], types[i, :n]))
        torch.testing.assert_close(free[i], by_force(prediction[i], target[i], torch.zeros(5)))
        alone = [part[i : i + 1, : max(n, 1)] for part in (prediction, target, types, mask)]
        found = assignment_minimum(distance, alone[0], alone[1], types=alone[2], mask=alone[3])
        torch.testing.assert_close(found[0], value[i])


def test_the_order_of_the_target_does_not_matter_to_value_and_gradient() -> None:
    prediction, target, _, _ = sets()
    prediction.requires_grad_()
    value = assignment_minimum(distance, prediction, target)
    slope = torch.autograd.grad(value.sum(), prediction)[0]
    again = assignment_minimum(distance, prediction, target[:, [3, 1, 4, 0, 2]])
    torch.testing.assert_close(again, value)
    torch.testing.assert_close(torch.autograd.grad(again.sum(), prediction)[0], slope)
    with pytest.raises(AssertionError):  # that of the order as it stands does change
        torch.testing.assert_close(distance(prediction, target[:, [3, 1, 4, 0, 2]]).sum(1), value)


def test_on_free_nodes_it_is_the_minimum_over_their_permutations() -> None:
    prediction, target, types, _ = sets()
    x = DenseGraphs.from_features(torch.zeros(6, 5, 5).long(), types)
    kernel = GraphKernel(5)
    listed = orbit_minimum(
        lambda a, b: distance(a, b).sum(1), prediction, target, x, kernel, NodeAction(kernel.group, 2)
    )
    torch.testing.assert_close(assignment_minimum(distance, prediction, target, types=types), listed)


def test_padding_has_no_part_in_it() -> None:
    prediction, target, types, mask = sets()
    value = assignment_minimum(distance, prediction, target, types=types, mask=mask)
    prediction = prediction.masked_fill(~mask[:, :, None], torch.nan)
    torch.testing.assert_close(assignment_minimum(distance, prediction, target, types=types, mask=mask), value)


def test_an_empty_batch() -> None:
    assert assignment_minimum(distance, torch.zeros(0, 3, 2), torch.zeros(0, 3, 2)).shape == (0,)


def test_what_cannot_be_used_is_refused(unchecked: None, monkeypatch: pytest.MonkeyPatch) -> None:
    prediction, target, types, mask = sets()
    with pytest.raises(TypeError, match="loss: expected something to call"):
        assignment_minimum(None, prediction, target)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"target: expected as many rows as the prediction, \(6, 5\), got \(6, 4\)"):
        assignment_minimum(distance, prediction, target[:, :4])
    with pytest.raises(ValueError, match=r"types: expected shape \(6, 5\), got \(6, 4\)"):
        assignment_minimum(distance, prediction, target, types=types[:, :4])
    with pytest.raises(ValueError, match=r"mask: expected shape \(6, 5\), got \(5,\)"):
        assignment_minimum(distance, prediction, target, mask=mask[0])
    with pytest.raises(ValueError, match=r"loss: expected losses of shape \(6, 5, 5\), got \(6, 5, 5, 2\)"):
        assignment_minimum(lambda a, b: a - b, prediction, target)
    target[2, 3] = torch.inf
    with pytest.raises(ValueError, match="loss: expected finite numbers; set 2 has others"):
        assignment_minimum(distance, prediction, target)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r"assignment_minimum needs scipy: pip install 'scipy"):
        assignment_minimum(distance, prediction[:1], target[:1])
