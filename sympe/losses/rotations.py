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

_FEW = 32
"""Fewer rotations than that all are, which is quicker."""


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
    return scores(M, reflect=reflect)[0]


def scores(M: Float[Tensor, "batch 9"], *, reflect: bool) -> tuple[Tensor, Tensor]:
    r""":math:`\lambda(M)` and :math:`\sigma_2 \pm \sigma_3`; its error is about 1e-15 :math:`|M|^2` over the latter."""
    A = M.T.contiguous().view(3, 3, -1)  # so that all runs along the batch
    value, _, _, gap = _scores((A[:, None] * A).sum(2), (A[0] * torch.linalg.cross(A[1], A[2], dim=0)).sum(0), reflect)
    return value, gap


def _scores(inner: Float[Tensor, "3 3 batch"], det: Float[Tensor, " batch"], reflect: bool) -> tuple[Tensor, ...]:
    r""":math:`\lambda(M), |M|^2, \det M` and :math:`\sigma_2 \pm \sigma_3` from :math:`M M^\top` and the determinant.

    With reflections all are positive.
    """
    if reflect:
        det = det.abs()
    tiny = torch.finfo(det.dtype).tiny
    inner = inner.flatten(0, 1)
    first = inner[::4].sum(0)
    mean = first / 3
    square = mean.square()
    # a sixth of the square of the part without trace
    spread = inner.square().sum(0).div_(6).sub_(square, alpha=0.5).clamp_(min=0)
    root = spread.sqrt()
    cosine = spread.mul(3).sub_(square).mul_(mean).addcmul_(det, det)
    cosine.div_(spread.mul_(root).mul_(2).clamp_(min=tiny))
    top = cosine.clamp_(-1, 1).acos_().div_(3).cos_().mul_(root).mul_(2).add_(mean)
    rest = first - top
    top.sqrt_()
    gap = rest.addcdiv_(det, top.clamp(min=tiny), value=2).clamp_(min=0).sqrt_()
    return top.add_(gap), first, det, gap


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
    if len(M) < _FEW:
        return _by_singular_vectors(M, reflect=reflect)
    R, _, _, plain = _derivative(M.flatten(1), reflect=reflect)
    R = R.T.reshape(-1, 3, 3)
    R = 1.5 * R - 0.5 * R @ (R.mT @ R)
    left = (~plain).nonzero().squeeze(1)
    return R.index_copy(0, left, _by_singular_vectors(M[left], reflect=reflect)) if len(left) else R


def slope(M: Float[Tensor, "batch 9"], *, reflect: bool) -> tuple[Tensor, Tensor, Tensor]:
    r"""The best rotation, :math:`\lambda(M)`, and how sharp it is.

    Returns:
        R to a few digits, ``(9, batch)``, where there are several some finite matrix; :math:`\lambda(M)`; and
        :math:`\sigma_2 \pm \sigma_3`, 0 where R cannot be relied on. A proper rotation R' has
        :math:`\langle R', M \rangle \le \lambda(M) - \tfrac12 y^2 (\sigma_2 \pm \sigma_3)`, where
        :math:`y = 2 \sin(\theta / 2)` for the angle from R to R'.
    """
    R, value, gap, plain = _derivative(M, reflect=reflect)
    return R, value, torch.where(plain, gap, 0)


def _derivative(M: Float[Tensor, "batch 9"], *, reflect: bool) -> tuple[Tensor, Tensor, Tensor, Bool[Tensor, " batch"]]:
    """That of the overlap by M, the overlap, its second part, and where the first can be relied on."""
    A = M.T.contiguous().view(3, 3, -1)
    inner = (A[:, None] * A).sum(2)
    cofactors = torch.stack([torch.linalg.cross(A[k - 2], A[k - 1], dim=0) for k in range(3)])
    det = (A[0] * cofactors[0]).sum(0)
    if reflect:  # the best for M with a negative determinant is minus that of -M
        cofactors = torch.where(det < 0, -cofactors, cofactors)
    value, first, det, gap = _scores(inner, det, reflect)
    square = value.square()
    below = value * (square - first) - 2 * det
    plain = below > _DEGENERATE * first * first.sqrt()
    below = torch.where(plain, below, 1)
    third = (inner[:, :, None] * A).sum(1)
    R = ((square + first) / below * A).addcmul_(2 * value / below, cofactors).addcmul_(2 / below, third, value=-1)
    return R.flatten(0, 1), value, gap, plain


def _by_singular_vectors(M: Float[Tensor, "batch 3 3"], *, reflect: bool) -> Float[Tensor, "batch 3 3"]:
    U, _, V = torch.linalg.svd(M)
    if not reflect:
        sign = torch.ones_like(M[:, 0])
        sign[:, 2] = torch.linalg.det(U @ V).sign()
        U = U * sign[:, None]
    rotation: Tensor = U @ V
    return rotation
