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
from jaxtyping import Float
from torch import Tensor


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

    Example:
        >>> best_rotation(torch.diag(torch.tensor([2.0, 1.0, -1.0]))[None], reflect=False)[0].det().round()
        tensor(1.)
    """
    U, _, V = torch.linalg.svd(M)
    if not reflect:
        sign = torch.ones_like(M[:, 0])
        sign[:, 2] = (torch.linalg.det(U) * torch.linalg.det(V)).sign()
        U = U * sign[:, None]
    rotation: Tensor = U @ V
    return rotation
