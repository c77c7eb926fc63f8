"""escnn does not install by plain pip, so its interface is played by a class here; with escnn, by escnn itself."""

import importlib.util

import numpy as np
import pytest
import torch

from sympe import OrbitKernel, SymPE
from sympe.actions import RegularAction
from sympe.integrations.escnn import from_representations
from sympe.testing import assert_action_laws, assert_equivariant_in_distribution, assert_group_laws


def plane(element: tuple[int, int]) -> np.ndarray:
    """D_4 as (flip, turns): turns after a flip, in an order of its own."""
    flip, turns = element
    c, s = np.cos(turns * np.pi / 2), np.sin(turns * np.pi / 2)
    return np.array([[c, -s], [s, c]]) @ np.diag([1.0, -1.0 if flip else 1.0])


ELEMENTS = [(flip, turns) for flip in (1, 0) for turns in (2, 0, 1, 3)]


def test_group_and_actions_are_what_the_matrices_say() -> None:
    def mirror(element: tuple[int, int]) -> np.ndarray:
        return np.array([[-1.0 if element[0] else 1.0]])

    group, (fields, signs) = from_representations(ELEMENTS, plane, plane, mirror)
    assert_group_laws(group)
    for action in (fields, signs):
        assert_action_laws(action)
    products = group.compose(group.elements()[:, None], group.elements())
    assert not torch.equal(products, products.T)  # D_4 is not commutative
    x = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.3, 0.8], [0.0, 0.0]])
    kernel = OrbitKernel(fields)
    assert kernel.entropy(x).exp().round().tolist() == [2, 2, 1, 8]
    assert_equivariant_in_distribution(kernel, fields, x)
    assert SymPE(kernel, RegularAction(group)).is_free


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_group_is_refused() -> None:
    with pytest.raises(ValueError, match="faithful: expected another matrix for each element"):
        from_representations(ELEMENTS, lambda element: np.eye(2))
    with pytest.raises(ValueError, match="elements: expected all elements of a group"):
        from_representations([(0, 0), (0, 1)], plane)
    with pytest.raises(ValueError, match="matrices: "):
        from_representations(ELEMENTS, plane, lambda element: (1 + element[1]) * np.eye(1))
    with pytest.raises(TypeError, match="representation: expected something to call"):
        from_representations(ELEMENTS, 3)  # type: ignore[arg-type]


if importlib.util.find_spec("escnn") is not None:

    def test_a_geometric_tensor_of_escnn() -> None:
        from escnn import gspaces, nn

        space = gspaces.flipRot2dOnR2(4)
        fibers = space.type(space.regular_repr, space.irrep(1, 1))
        group, (fields,) = from_representations(
            space.fibergroup.elements, space.fibergroup.regular_representation, fibers.representation
        )
        x = nn.GeometricTensor(torch.randn(2, fibers.size, 1, 1), fibers)
        order = OrbitKernel(fields).entropy(x.tensor[:, :, 0, 0]).exp()
        assert group.order == 8
        assert order.round().tolist() == [1, 1]
