r"""The best rotation of one set of points onto another, for many pairs at once (Kabsch).

For the covariance :math:`M = \sum_i p_i t_i^\top` of centred points, with the singular values
:math:`\sigma_1 \ge \sigma_2 \ge \sigma_3`,

.. math:: \lambda(M) = \max_{R \in SO(3)} \langle R, M \rangle
          = \sigma_1 + \sigma_2 + \operatorname{sign}(\det M)\, \sigma_3 ,
          \qquad \min_R \sum_i |p_i - R t_i|^2 = \sum_i |p_i|^2 + |t_i|^2 - 2 \lambda(M) .

With reflections the last term is :math:`\sigma_3` itself. Both are convex in M.
"""

from __future__ import annotations

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
    a, b, c, d, e, f, g, h, i = M.T.contiguous()
    x, y, z = e * i - f * h, f * g - d * i, d * h - e * g
    cofactors = torch.stack([x, y, z, c * h - b * i, a * i - c * g, b * g - a * h, b * f - c * e, c * d - a * f])
    last = a * e - b * d
    det = a * x + b * y + c * z
    first = M.square().sum(1)
    second = cofactors.square().sum(0) + last.square()
    mean = first / 3
    spread = ((first.square() - 3 * second) / 9).clamp(min=0)
    root = spread.sqrt()
    tiny = torch.finfo(M.dtype).tiny
    cosine = (mean * (mean.square() - second / 2) + det.square() / 2) / (spread * root).clamp(min=tiny)
    largest = mean + 2 * root * (cosine.clamp(-1, 1).acos() / 3).cos()
    one = largest.sqrt()
    rest = first - largest + 2 * (det.abs() if reflect else det) / one.clamp(min=tiny)
    total: Tensor = one + rest.clamp(min=0).sqrt()
    return total


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
    value = overlap(M.flatten(1), reflect=reflect)
    A = M.permute(1, 2, 0).contiguous()  # so that all runs along the batch
    once, twice = (
        (A.roll((-1, -1), (0, 1)), A.roll((-2, -2), (0, 1))),
        (A.roll((-1, -2), (0, 1)), A.roll((-2, -1), (0, 1))),
    )
    cofactors = once[0] * once[1] - twice[0] * twice[1]
    det, first = (A[0] * cofactors[0]).sum(0), A.square().sum((0, 1))
    if reflect:  # the best for M with a negative determinant is minus that of -M
        cofactors = cofactors * torch.where(det < 0, -1.0, 1.0).to(M)
        det = det.abs()
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
