import pytest
import torch

from sympe.actions import GlobalVectorAction, PointAction, ScalarAction, VectorAction
from sympe.groups import DirectProduct, Isometries, Orthogonal, Permutations, SpecialOrthogonal
from tests.catalogue import ISOMETRIES


def random_element(group: Isometries, n: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(n)
    R = SpecialOrthogonal(group.dimension).sample(generator=generator)
    t = torch.randn(group.dimension, generator=generator) * group.translates
    p = Permutations(n).sample(generator=generator)
    return DirectProduct(group, Permutations(n)).pack(group.element(R, t), p), R, t, p


@pytest.mark.parametrize("name", ISOMETRIES)
def test_point_by_point(name: str) -> None:
    group, n = ISOMETRIES[name], 5
    product = DirectProduct(group, Permutations(n))
    g, R, t, p = random_element(group, n)
    x, f, s = torch.randn(n, group.dimension), torch.randn(n, 2, group.dimension), torch.randn(n, 3)
    moved = PointAction(product)(g, x), VectorAction(product, 2)(g, f), ScalarAction(product, 3)(g, s)
    for i in range(n):
        torch.testing.assert_close(moved[0][p[i]], R @ x[i] + t)
        for c in range(2):
            torch.testing.assert_close(moved[1][p[i], c], R @ f[i, c])
        torch.testing.assert_close(moved[2][p[i]], s[i])
    whole = GlobalVectorAction(product, 2)(g, f[0])
    torch.testing.assert_close(whole, f[0] @ R.mT)
    torch.testing.assert_close(whole, GlobalVectorAction(group, 2)(group.element(R, t), f[0]))


@pytest.mark.parametrize("name", ISOMETRIES)
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_faithful_iff_generic_data_have_no_stabilizer(name: str, n: int) -> None:
    """By the dimension of what generic data span: the elements that fix them are those of its complement."""
    group = ISOMETRIES[name]
    product = DirectProduct(group, Permutations(n))
    d = group.dimension
    generator = torch.Generator().manual_seed(0)

    def only_the_identity_fixes(vectors: torch.Tensor) -> bool:
        complement = d - int(torch.linalg.matrix_rank(vectors))
        return complement <= (1 if group.is_proper else 0)  # O(k) is trivial for k = 0, SO(k) for k <= 1

    x = torch.randn(n, d, generator=generator)
    assert PointAction(product).is_faithful == only_the_identity_fixes(x - x[:1] if group.translates else x)
    f = torch.randn(2 * n, d, generator=generator)
    assert VectorAction(product, 2).is_faithful == only_the_identity_fixes(f)
    assert not ScalarAction(product).is_faithful
    turned = only_the_identity_fixes(torch.randn(2, d, generator=generator))
    assert GlobalVectorAction(group, 2).is_faithful == turned
    whole = GlobalVectorAction(product, 2)  # vectors of the whole cloud do not tell points apart
    assert whole.is_faithful == (turned and n == 1)
    assert ("coincide" in whole.fixing) == (turned and n > 1)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("make", [PointAction, VectorAction, ScalarAction])
def test_what_does_not_fit_is_refused(make: type) -> None:
    for group in (DirectProduct(Permutations(2), Orthogonal(3)), Permutations(2), 4):
        with pytest.raises(TypeError, match=r"group: expected "):
            GlobalVectorAction(group)  # type: ignore[arg-type]
    for group in (Orthogonal(3), DirectProduct(Permutations(2), Orthogonal(3)), DirectProduct(Orthogonal(3)), 4):
        with pytest.raises(TypeError, match=r"group: expected .*DirectProduct"):
            make(group)
    action = make(DirectProduct(Orthogonal(3), Permutations(2)))
    with pytest.raises(ValueError, match="x: expected shape"):
        action(action.group.identity(), torch.zeros(3, 3))
    with pytest.raises(ValueError, match="g: expected permutations"):
        action(torch.cat([torch.eye(3).flatten(), torch.zeros(2)]), torch.zeros(action.shape))
    with pytest.raises(TypeError, match="g: expected floats"):
        action(torch.zeros(11, dtype=torch.int64), torch.zeros(action.shape))
    if make is not PointAction:
        with pytest.raises(ValueError, match="channels: expected at least 1, got 0"):
            make(DirectProduct(Orthogonal(3), Permutations(2)), 0)
