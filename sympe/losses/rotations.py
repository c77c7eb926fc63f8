r"""The best rotation of one set of points onto another, for many pairs at once (Kabsch).

For the covariance :math:`M = \sum_i p_i t_i^\top` of centred points, with the singular values
:math:`\sigma_1 \ge \sigma_2 \ge \sigma_3`,

.. math:: \lambda(M) = \max_{R \in SO(3)} \langle R, M \rangle
          = \sigma_1 + \sigma_2 + \operatorname{sign}(\det M)\, \sigma_3 ,
          \qquad \min_R \sum_i |p_i - R t_i|^2 = \sum_i |p_i|^2 + |t_i|^2 - 2 \lambda(M) .

With reflections the last term is :math:`\sigma_3` itself. Both are convex in M.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_DEGENERATE = 1e-2
"""Rotations whose denominator over the size of M, cubed, is less are made of singular vectors."""


def overlap(M: Float[Tensor, "batch 9"], *, reflect: bool) -> Float[Tensor, " batch"]:
    r""":math:`\lambda(M)` in closed form, without singular vectors, for matrices in double precision, row by row.

    :math:`\sigma_1^2` is the largest root of a cubic in :math:`|M|^2`, :math:`|\operatorname{cof} M|^2` and
    :math:`\det M`, by the cosine of a third of an angle, and

    .. math:: (\sigma_2 + \operatorname{sign}(\det M)\, \sigma_3)^2 = |M|^2 - \sigma_1^2 + 2 \det M / \sigma_1 .

    Its error is some 1e-15 of :math:`|M|`, and 1e-8 where that square is close to 0: where rotations about an axis
    make no difference.

    Example:
        >>> overlap(torch.tensor([[2.0, 0, 0, 0, 1, 0, 0, 0, -1]]).double(), reflect=False)
        tensor([2.], dtype=torch.float64)
    """
    return _overlap(M.T.contiguous(), reflect=reflect)[0]


def _overlap(M: Float[Tensor, "9 batch"], *, reflect: bool) -> tuple[Tensor, Tensor, Tensor]:
    r""":math:`\lambda(M), |M|^2` and :math:`\det M`; the last is positive with reflections."""
    a, b, c, d, e, f, g, h, i = M
    # the squares of the rows, and of their products
    one, two, three = (_dot(row, row) for row in ((a, b, c), (d, e, f), (g, h, i)))
    across = _dot((a, b, c), (d, e, f)).square_().addcmul_(*[_dot((a, b, c), (g, h, i))] * 2)
    across.addcmul_(*[_dot((d, e, f), (g, h, i))] * 2)
    second = (one * two).addcmul_(one + two, three).sub_(across)  # the sum of the squares of the cofactors
    first = one.add_(two).add_(three)
    cofactors = ((e * i).addcmul_(f, h, value=-1), (f * g).addcmul_(d, i, value=-1), (d * h).addcmul_(e, g, value=-1))
    det = _dot((a, b, c), cofactors)
    if reflect:
        det.abs_()
    tiny = torch.finfo(M.dtype).tiny
    mean = first / 3
    square = mean.square()
    spread = square.sub(second, alpha=1 / 3).clamp_(min=0)
    root = spread.sqrt()
    cosine = square.sub_(second, alpha=0.5).mul_(mean).addcmul_(det, det, value=0.5)
    cosine.div_(spread.mul_(root).clamp_(min=tiny))
    largest = cosine.clamp_(-1, 1).acos_().div_(3).cos_().mul_(root).mul_(2).add_(mean)
    top = largest.sqrt()
    rest = first.sub(largest).addcdiv_(det, top.clamp(min=tiny), value=2)
    return top.add_(rest.clamp_(min=0).sqrt_()), first, det


def _dot(x: Sequence[Tensor], y: Sequence[Tensor]) -> Tensor:
    return (x[0] * y[0]).addcmul_(x[1], y[1]).addcmul_(x[2], y[2])


def best_rotation(M: Float[Tensor, "batch 3 3"], *, reflect: bool) -> Float[Tensor, "batch 3 3"]:
    r"""The R that :math:`\lambda(M)` is reached at; one of them where there are several.

    Where there is one, it is the derivative of :math:`\lambda`, the largest root of

    .. math:: \lambda^4 - 2 |M|^2 \lambda^2 - 8 \lambda \det M + |M|^4 - 4 |\operatorname{cof} M|^2 = 0

    (the characteristic polynomial of Horn's 4 x 4 matrix), and so without singular vectors

    .. math:: R = \frac{(\lambda^2 + |M|^2)\, M + 2 \lambda \operatorname{cof} M - 2 M M^\top M}
                       {\lambda^3 - |M|^2 \lambda - 2 \det M} ,

    made orthogonal to the last digit by a step of Newton's. The denominator is
    :math:`2 (\sigma_1 + \sigma_2)(\sigma_1 \pm \sigma_3)(\sigma_2 \pm \sigma_3)`; where it is close to 0, R is made
    of singular vectors.

    References:
        Horn, "Closed-form solution of absolute orientation using unit quaternions", J. Opt. Soc. Am. A 4, 629 (1987).

    Example:
        >>> best_rotation(torch.diag(torch.tensor([2.0, 1.0, -1.0]))[None], reflect=False)[0].det().round()
        tensor(1.)
    """
    R, plain = _derivative(M, reflect=reflect)
    R = 1.5 * R - 0.5 * R @ (R.mT @ R)
    left = (~plain).nonzero().squeeze(1)
    return R.index_copy(0, left, _by_singular_vectors(M[left], reflect=reflect)) if len(left) else R


def slope(M: Float[Tensor, "batch 3 3"], *, reflect: bool) -> Float[Tensor, "batch 3 3"]:
    """The best rotation to a few digits; where there are several, some finite matrix."""
    return _derivative(M, reflect=reflect)[0]


def _derivative(M: Tensor, *, reflect: bool) -> tuple[Float[Tensor, "batch 3 3"], Bool[Tensor, " batch"]]:
    """That of the overlap by M, and where it can be relied on."""
    A = M.permute(1, 2, 0).contiguous()  # so that all runs along the batch
    value, first, det = _overlap(A.flatten(0, 1), reflect=reflect)
    one, two, three, four = (A.roll(by, (0, 1)) for by in ((-1, -1), (-2, -2), (-1, -2), (-2, -1)))
    cofactors = (one * two).addcmul_(three, four, value=-1)
    if reflect:  # the best for M with a negative determinant is minus that of -M
        cofactors = torch.where((A[0] * cofactors[0]).sum(0) < 0, -cofactors, cofactors)
    square = value.square()
    below = value * (square - first) - 2 * det
    plain = below > _DEGENERATE * first * first.sqrt()
    below = torch.where(plain, below, 1)
    inner = (A[:, :, None] * A[:, None]).sum(0)
    third = (A[:, :, None] * inner).sum(1)
    R = (square + first) / below * A + 2 * value / below * cofactors - 2 / below * third
    return R.permute(2, 0, 1), plain


def _by_singular_vectors(M: Float[Tensor, "batch 3 3"], *, reflect: bool) -> Float[Tensor, "batch 3 3"]:
    U, _, V = torch.linalg.svd(M)
    if not reflect:
        sign = torch.ones_like(M[:, 0])
        sign[:, 2] = (torch.linalg.det(U) * torch.linalg.det(V)).sign()
        U = U * sign[:, None]
    rotation: Tensor = U @ V
    return rotation
