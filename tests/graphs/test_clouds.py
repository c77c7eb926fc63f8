import re

import pytest
import torch

from sympe.graphs import Clouds


def ragged() -> Clouds:
    generator = torch.Generator().manual_seed(0)
    return Clouds.from_flat(
        torch.randn(7, 3, generator=generator),
        torch.tensor([2, 0, 5]),
        torch.arange(7),
        vectors=torch.randn(7, 2, 3, generator=generator),
    )


def test_flat_clouds_are_padded_row_by_row() -> None:
    x = ragged()
    assert x.sizes.tolist() == [2, 0, 5]
    assert x.types.tolist() == [[0, 1, 0, 0, 0], [0] * 5, [2, 3, 4, 5, 6]]
    assert bool((x.positions[~x.mask] == 0).all())
    assert repr(x) == "Clouds(3 of 0-5 points in space, 2 vectors each, padded to 5)"
    assert (
        repr(Clouds.from_flat(torch.zeros(0, 2), torch.zeros(0).long()))
        == "Clouds(no clouds in the plane, padded to 0)"
    )


def test_moved_point_by_point_and_padding_stays() -> None:
    x = ragged()
    R = torch.linalg.qr(torch.randn(3, 3, 3)).Q
    t, p = torch.randn(3, 3), torch.arange(6).repeat(3, 1)
    p[0, :2], p[2, :5] = torch.tensor([1, 0]), torch.tensor([2, 0, 1, 4, 3])
    y = x.moved(R, t, p)
    for b in range(3):
        for i in range(int(x.sizes[b])):
            j = p[b, i]
            torch.testing.assert_close(y.positions[b, j], R[b] @ x.positions[b, i] + t[b])
            torch.testing.assert_close(y.vectors[b, j], x.vectors[b, i] @ R[b].T)
            assert y.types[b, j] == x.types[b, i]
    assert bool((y.positions[~x.mask] == 0).all())
    p[1, :2] = torch.tensor([1, 0])
    with pytest.raises(ValueError, match="permutation: expected the padding in its place"):
        x.moved(permutation=p)


def test_centered_select_concatenate_and_precision() -> None:
    x = ragged()
    assert torch.allclose(x.centered().positions.sum(1), torch.zeros(3, 3), atol=1e-5)
    parts = [x.select(torch.tensor([i])) for i in (2, 0, 1)]
    assert Clouds.concatenate(parts).sizes.tolist() == [5, 2, 0]
    assert x.to(torch.float64).dtype == torch.float64
    assert Clouds.from_positions(torch.zeros(1, 2, 3).half()).dtype == torch.float32
    with pytest.raises(ValueError, match="parts: expected at least one batch"):
        Clouds.concatenate([])
    with pytest.raises(ValueError, match="parts: expected one d and number of vectors"):
        Clouds.concatenate([x, Clouds.from_positions(torch.zeros(1, 2, 3))])


def test_what_stands_in_the_padding_does_not_matter() -> None:
    mask = torch.tensor([[True, False]])
    x = Clouds.from_positions(torch.tensor([[[1.0, 2.0], [torch.nan, 3.0]]]), torch.tensor([[3, 9]]), mask)
    assert x.positions.tolist() == [[[1, 2], [0, 0]]]
    assert x.types.tolist() == [[3, 0]]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((torch.zeros(2, 3, 4),), "positions: expected shape (batch, points, d) with d = 2 or 3, got (2, 3, 4)"),
        ((torch.zeros(3, 3),), "positions: expected shape (batch, points, d) with d = 2 or 3, got (3, 3)"),
        ((torch.zeros(1, 3, 3).long(),), "positions: expected a tensor of floats, got torch.int64"),
        (([[0.0, 0.0]],), "positions: expected a tensor of floats, got list"),
        ((torch.zeros(1, 3, 3), torch.zeros(1, 4).long()), "types: expected one for each point, of shape (1, 3)"),
        ((torch.zeros(1, 3, 3), torch.zeros(1, 3)), "types: expected integers, got torch.float32"),
        ((torch.zeros(1, 1, 3), torch.tensor([[2**40]])), "types: expected numbers below 2^32"),
        ((torch.zeros(1, 2, 3), None, torch.tensor([[False, True]])), "mask: expected the real points before"),
        ((torch.zeros(1, 2, 3), None, torch.ones(1, 3).bool()), "mask: expected shape (1, 2), got (1, 3)"),
        ((torch.zeros(1, 2, 3), None, torch.ones(1, 2)), "mask: expected booleans, got torch.float32"),
        ((torch.full((1, 2, 3), torch.inf),), "positions: expected finite numbers; cloud 0 has others"),
    ],
)
def test_what_is_no_cloud_is_refused(arguments: tuple[torch.Tensor, ...], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        Clouds.from_positions(*arguments)


@pytest.mark.usefixtures("unchecked")
def test_vectors_and_sizes_that_do_not_fit_are_refused() -> None:
    positions = torch.zeros(1, 2, 3)
    for vectors in (torch.zeros(1, 2, 2), torch.zeros(1, 3, 3), torch.zeros(3)):
        with pytest.raises(ValueError, match=r"vectors: expected shape \(1, 2, 3\) or \(1, 2, channels, 3\), got"):
            Clouds.from_positions(positions, vectors=vectors)
    with pytest.raises(ValueError, match="vectors: expected finite numbers; cloud 0 has others"):
        Clouds.from_positions(positions, vectors=torch.full((1, 2, 3), torch.nan))
    for sizes in (torch.tensor([1]), torch.tensor([3, -1]), torch.tensor([[2]])):
        with pytest.raises(ValueError, match="sizes: expected numbers >= 0 that add up to 2 points"):
            Clouds.from_flat(positions[0], sizes)
    with pytest.raises(TypeError, match="sizes: expected integers"):
        Clouds.from_flat(positions[0], torch.tensor([2.0]))
    with pytest.raises(ValueError, match="types: expected 2 rows, one for each point, got 3"):
        Clouds.from_flat(positions[0], torch.tensor([2]), torch.zeros(3).long())
