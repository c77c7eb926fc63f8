import re

import pytest
import torch

from sympe.actions import MatrixAction
from sympe.groups import P4M, Cyclic, Dihedral
from tests import oracles
from tests.catalogue import quaternion_matrices, rotations


@pytest.mark.parametrize("n", range(1, 13))
def test_r_turns_the_plane_and_m_reflects_it(n: int) -> None:
    action = rotations(n)
    x = torch.randn(2)
    for g in range(2 * n):
        expected = torch.from_numpy(oracles.plane_rotation(n, g % n, g // n)).float() @ x
        torch.testing.assert_close(action(torch.tensor(g), x), expected)


def test_quaternions_multiply_from_the_left() -> None:
    action = quaternion_matrices()
    one = torch.tensor([1.0, 0, 0, 0])
    units = [tuple(int(i) for i in a) for a in action(action.group.elements(), one)]  # a 1 = a
    for g, a in enumerate(units):
        for b in oracles.quaternion_units():
            moved = action(torch.tensor(g), torch.tensor(b, dtype=torch.float32))
            assert tuple(moved.int().tolist()) == oracles.hamilton(a, b)


def test_the_dtype_of_x_is_kept() -> None:
    action = rotations(3)
    assert action(torch.tensor(1), torch.ones(2, dtype=torch.float64)).dtype == torch.float64


def test_a_matrix_has_no_source() -> None:
    action = rotations(3)
    assert not action.permutes_entries
    with pytest.raises(TypeError, match="MatrixAction does not permute entries, so it has no source"):
        action.source(torch.tensor(0), torch.tensor(0))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("matrices", "got"),
    [
        (torch.ones(2, 1, 1), "torch.float32 (2, 1, 1)"),
        (torch.ones(3, 1, 2), "torch.float32 (3, 1, 2)"),
        (torch.ones(3, 1), "torch.float32 (3, 1)"),
        (torch.ones(3, 1, 1, dtype=torch.int64), "torch.int64 (3, 1, 1)"),
    ],
)
def test_matrices_of_a_wrong_shape_or_dtype_are_an_error(matrices: torch.Tensor, got: str) -> None:
    message = f"matrices: expected floats of shape (3, dim, dim), got {got}"
    with pytest.raises(ValueError, match=re.escape(message)):
        MatrixAction(Cyclic(3), matrices)


def test_the_matrices_are_the_actions_own() -> None:
    matrices = torch.tensor([1.0, -1.0]).view(2, 1, 1)
    action = MatrixAction(Cyclic(2), matrices)
    matrices.zero_()
    assert action(torch.tensor(1), torch.tensor([3.0])).tolist() == [-3.0]


def test_the_identity_must_be_the_identity_matrix() -> None:
    with pytest.raises(ValueError, match="matrices: expected the identity matrix for the identity element 0"):
        MatrixAction(Cyclic(2), torch.zeros(2, 1, 1))


def test_matrices_that_are_no_homomorphism_are_an_error() -> None:
    with pytest.raises(ValueError, match="matrices: not a homomorphism, M_"):
        MatrixAction(Cyclic(4), (-1.0) ** torch.tensor([0, 1, 1, 0]).view(4, 1, 1))
    transposed = torch.stack([torch.from_numpy(oracles.plane_rotation(3, g % 3, g // 3)).T for g in range(6)])
    with pytest.raises(ValueError, match="matrices: not a homomorphism, M_"):
        MatrixAction(Dihedral(3), transposed)


def test_the_tolerance_says_how_exact_the_homomorphism_must_be() -> None:
    nearly = torch.tensor([1.0, -1.001]).view(2, 1, 1)
    with pytest.raises(ValueError, match="not a homomorphism"):
        MatrixAction(Cyclic(2), nearly)
    assert MatrixAction(Cyclic(2), nearly, tolerance=1e-2).shape == (1,)


def test_matrices_that_are_nan_are_an_error() -> None:
    with pytest.raises(ValueError, match="matrices: "):
        MatrixAction(Cyclic(2), torch.tensor([1.0, torch.nan]).view(2, 1, 1))


def test_any_group_may_act_on_vectors() -> None:
    group = P4M(2)
    s = group.unpack(group.elements())[0]
    action = MatrixAction(group, (1.0 - 2 * s).view(-1, 1, 1))  # the determinant of m
    assert len(action.trivial_elements()) == 16
