import pytest
import torch

from sympe.actions import ImageAction
from sympe.groups import P4M, Cyclic, Dihedral


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
    with pytest.raises(TypeError, match="group: expected Cyclic or Dihedral, got P4M"):
        ImageAction(P4M(1), 1, 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [3, 8])
def test_rotations_that_leave_the_grid_are_an_error(n: int) -> None:
    with pytest.raises(ValueError, match=rf"group: expected n in \(1, 2, 4\) on a pixel grid, got n = {n}"):
        ImageAction(Cyclic(n), 1, 4)


@pytest.mark.parametrize(("channels", "side"), [(0, 4), (1, 0)])
def test_an_empty_image_is_an_error(channels: int, side: int) -> None:
    with pytest.raises(ValueError, match=r"(channels|size): expected at least 1, got 0"):
        ImageAction(Cyclic(4), channels, side)
