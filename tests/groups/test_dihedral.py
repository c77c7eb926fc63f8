import cmath

import numpy as np
import pytest
import torch

from sympe.groups import Cyclic, Dihedral
from tests import oracles


@pytest.mark.parametrize("n", range(1, 25))
def test_cyclic_composes_like_roots_of_unity(n: int) -> None:
    group = Cyclic(n)
    roots = torch.tensor([cmath.exp(2j * cmath.pi * k / n) for k in range(n)], dtype=torch.complex128)
    g = group.elements()
    torch.testing.assert_close(roots[group.compose(g[:, None], g)], roots[:, None] * roots)
    torch.testing.assert_close(roots[group.inverse(g)], roots.conj())


@pytest.mark.parametrize("n", range(1, 13))
def test_dihedral_composes_like_plane_isometries(n: int) -> None:
    group = Dihedral(n)
    matrices = torch.from_numpy(np.stack([oracles.plane_rotation(n, g % n, g // n) for g in range(2 * n)]))
    distance = (matrices[:, None] - matrices).abs().flatten(2).amax(2)
    assert (distance + torch.eye(2 * n)).min() > 0.1  # the matrices tell the elements apart
    g = group.elements()
    torch.testing.assert_close(matrices[group.compose(g[:, None], g)], matrices[:, None] @ matrices)
    torch.testing.assert_close(matrices[group.inverse(g)], matrices.mT)


@pytest.mark.parametrize("cls", [Cyclic, Dihedral])
@pytest.mark.parametrize("n", [0, -3])
def test_order_below_one_is_an_error(cls: type, n: int) -> None:
    with pytest.raises(ValueError, match=f"n: expected at least 1, got {n}"):
        cls(n)
