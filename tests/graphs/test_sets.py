import pytest
import torch

from sympe.graphs import Sets


def test_relabel_moves_elements_and_leaves_padding() -> None:
    x = Sets(torch.arange(12).view(2, 3, 2), torch.tensor([[True, True, False], [True, True, True]]))
    moved = x.relabel(torch.tensor([[1, 0, 2, 3], [1, 2, 0, 3]]))
    assert moved.elements[..., 0].tolist() == [[2, 0, 4], [10, 6, 8]]
    assert torch.equal(moved.mask, x.mask)
    assert torch.equal(x.select(torch.tensor([1])).elements, x.elements[1:])
    assert x.to("cpu").sizes.tolist() == [2, 3]
    assert repr(x.select(torch.tensor([1]))) == "Sets(1 sets of 3 elements, 2 channels)"
    assert repr(x.select(torch.tensor([], dtype=torch.int64))) == "Sets(no sets)"


def test_relabel_takes_permutations_shorter_than_the_padding() -> None:
    x = Sets(torch.arange(4).view(1, 4, 1), torch.tensor([[True, True, False, False]]))
    assert x.relabel(torch.tensor([[1, 0]])).elements.flatten().tolist() == [1, 0, 2, 3]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("elements", "mask", "message"),
    [
        (torch.zeros(2, 3), torch.ones(2, 3).bool(), r"elements: expected shape \(batch, elements, channels\)"),
        (torch.zeros(2, 3, 1), torch.ones(2, 2).bool(), r"mask: expected shape \(2, 3\), got \(2, 2\)"),
        (torch.zeros(1, 3, 1), torch.tensor([[True, False, True]]), "mask: expected the real elements before"),
    ],
)
def test_wrong_shapes_are_errors(elements: torch.Tensor, mask: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sets(elements, mask)


@pytest.mark.usefixtures("unchecked")
def test_wrong_kinds_are_errors() -> None:
    with pytest.raises(TypeError, match="mask: expected booleans"):
        Sets(torch.zeros(2, 3, 1), torch.ones(2, 3))
    with pytest.raises(TypeError, match="mask: expected an instance of Tensor, got list"):
        Sets(torch.zeros(2, 3, 1), [[1]])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="elements: expected an instance of Tensor, got list"):
        Sets([[1]], torch.ones(2, 3).bool())  # type: ignore[arg-type]


def test_wrong_permutations_are_errors() -> None:
    x = Sets(torch.zeros(1, 3, 1), torch.tensor([[True, True, False]]))
    with pytest.raises(ValueError, match="p: expected permutations that leave the padding in place"):
        x.relabel(torch.tensor([[0, 2, 1]]))
    for p in (torch.tensor([[0]]), torch.tensor([[0, 1], [0, 1]])):
        with pytest.raises(ValueError, match="p: expected a permutation of at least 2 elements for each of 1 sets"):
            x.relabel(p)
