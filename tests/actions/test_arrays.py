import pytest
import torch

from sympe.actions import ArrayAction
from sympe.groups import DirectProduct, Permutations


def test_entries_go_where_their_row_and_column_go() -> None:
    action = ArrayAction(DirectProduct(Permutations(3), Permutations(4)), 2)
    x = torch.randn(5, *action.shape)
    g = action.group.sample((5,), generator=torch.Generator().manual_seed(0))
    moved, (p, q) = action(g, x), action.group.components(g)
    for b, i, j in torch.cartesian_prod(*(torch.arange(n) for n in (5, 3, 4))).tolist():
        assert torch.equal(moved[b, p[b, i], q[b, j]], x[b, i, j])


def test_three_axes() -> None:
    action = ArrayAction(DirectProduct(Permutations(2), Permutations(3), Permutations(2)))
    x = torch.arange(12).view(action.shape)
    p, q, r = torch.tensor([1, 0]), torch.tensor([2, 0, 1]), torch.tensor([1, 0])
    moved = torch.empty_like(x)
    for i, j, k in torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(2)).tolist():
        moved[p[i], q[j], r[k]] = x[i, j, k]
    assert torch.equal(action(action.group.pack(p, q, r), x), moved)


@pytest.mark.usefixtures("unchecked")
def test_wrong_arguments_are_errors() -> None:
    with pytest.raises(
        TypeError,
        match="group: expected an instance of DirectProduct \\(of permutations of each axis\\), got Permutations",
    ):
        ArrayAction(Permutations(3))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="channels: expected at least 1, got 0"):
        ArrayAction(DirectProduct(Permutations(3)), 0)
    action = ArrayAction(DirectProduct(Permutations(2), Permutations(2)))
    with pytest.raises(ValueError, match=r"g: expected shape \(\*batch, 4\), got \(2,\)"):
        action(torch.tensor([0, 1]), torch.zeros(2, 2, 1))
