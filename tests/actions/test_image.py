import pytest
import torch

from sympe.actions import ImageAction
from sympe.encodings import SymPE
from sympe.groups import P4M, Cyclic, Dihedral
from sympe.kernels import OrbitKernel
from sympe.testing import assert_equivariant_in_distribution


@pytest.mark.parametrize("side", range(1, 6))
@pytest.mark.parametrize("n", [1, 2, 4])
def test_r_is_rot90_and_m_flips_the_last_dimension(n: int, side: int) -> None:
    x = torch.randn(2, side, side)
    cyclic, dihedral = ImageAction(Cyclic(n), 2, side), ImageAction(Dihedral(n), 2, side)
    for k in range(n):
        turned = torch.rot90(x, k * 4 // n, (1, 2))
        assert torch.equal(cyclic(torch.tensor(k), x), turned)
        assert torch.equal(dihedral(torch.tensor(k), x), turned)
        assert torch.equal(dihedral(torch.tensor(n + k), x), torch.rot90(x.flip(2), k * 4 // n, (1, 2)))


@pytest.mark.usefixtures("unchecked")
def test_a_group_that_is_neither_cyclic_nor_dihedral_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"group: expected Cyclic or Dihedral, .*got P4M"):
        ImageAction(P4M(1), 1, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [3, 8])
def test_rotations_that_leave_the_grid_are_an_error(n: int) -> None:
    with pytest.raises(
        ValueError,
        match=rf"n in \(1, 2, 4\) on a pixel grid, got n = {n}.*Take Cyclic\(4\), or .*Action\(Cyclic\(n={n}\)\)",
    ):
        ImageAction(Cyclic(n), 1, 4)


@pytest.mark.parametrize(("channels", "side"), [(0, 4), (1, 0)])
def test_an_empty_image_is_an_error(channels: int, side: int) -> None:
    with pytest.raises(ValueError, match=r"(channels|size): expected at least 1, got 0"):
        ImageAction(Cyclic(4), channels, side)


@pytest.mark.parametrize(("height", "width"), [(2, 3), (8, 12), (5, 1)])
def test_flips_of_images_that_are_not_square(height: int, width: int) -> None:
    x = torch.randn(2, height, width)
    cyclic, dihedral = ImageAction(Cyclic(2), 2, (height, width)), ImageAction(Dihedral(2), 2, (height, width))
    assert torch.equal(cyclic(torch.tensor(1), x), x.flip(1, 2))
    moved = dihedral(torch.arange(4), x)
    for g, dims in enumerate([(), (1, 2), (2,), (1,)]):
        assert torch.equal(moved[g], x.flip(dims))
    assert torch.equal(ImageAction(Dihedral(1), 2, [height, width])(torch.tensor(1), x), x.flip(2))


def test_kernels_and_encodings_on_images_that_are_not_square() -> None:
    action = ImageAction(Dihedral(2), 1, (2, 3))
    x = torch.tensor([[[[1.0, 2, 1], [1, 2, 1]]], [[[1.0, 2, 3], [3, 2, 1]]], [[[1.0, 2, 3], [4, 5, 6]]]])
    kernel = OrbitKernel(action)
    torch.testing.assert_close(kernel.entropy(x).exp(), torch.tensor([4.0, 2.0, 1.0]))
    assert_equivariant_in_distribution(kernel, action, x)
    encoding = SymPE(kernel, ImageAction(Dihedral(2), 3, (2, 3)))
    assert encoding.is_free
    assert encoding(x).shape == (3, 3, 2, 3)


@pytest.mark.parametrize("kind", [Cyclic, Dihedral])
def test_quarter_turns_of_images_that_are_not_square_are_an_error(kind: type[Cyclic] | type[Dihedral]) -> None:
    with pytest.raises(
        ValueError, match=rf"size: expected a square, .* 8 x 12 pixels to 12 x 8.*Take {kind.__name__}\(2\), or pad"
    ):
        ImageAction(kind(4), 1, (8, 12))


@pytest.mark.usefixtures("unchecked")
def test_a_size_that_is_none_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"size: expected an integer or \(height, width\), got \(2, 3, 4\)"):
        ImageAction(Cyclic(2), 1, (2, 3, 4))
    with pytest.raises(TypeError, match="size: expected an integer, got float"):
        ImageAction(Cyclic(2), 1, 2.0)  # type: ignore[arg-type]
