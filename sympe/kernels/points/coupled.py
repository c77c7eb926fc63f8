r"""The coupled kernel of isometries and permutations on clouds (:mod:`sympe.kernels.coupled`).

The pair (x, y) is one cloud: a target of vectors joins x as further vectors, labels join the types. With h from the
kernel of the pair and :math:`k = c(h^{-1} x)`, :math:`g = h k` is of C(x), and :math:`g^{-1} y` is the same for all of
them.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sympe.graphs import Clouds
from sympe.graphs.coloring import hashed
from sympe.groups import DirectProduct
from sympe.groups.checks import check_kind
from sympe.kernels.coupled import CoupledKernel
from sympe.kernels.points.point import PointKernel


class CoupledPointKernel(CoupledKernel):
    r"""The coupled kernel on point clouds, for targets at the same points.

    A target y is one of

    - integers of shape ``(batch, points)``: labels, such as which points are replaced;
    - floats of shape ``(batch, points, d)`` or ``(batch, points, channels, d)``: vectors that turn with the cloud, such
      as displacements or forces;
    - :class:`~sympe.graphs.Clouds` with the same points: their positions, types and vectors.

    Arguments:
        kernel: the kernel of x, from which sampling will draw; its tolerance and scale serve the targets, too.

    Raises:
        TypeError: if ``kernel`` is no :class:`PointKernel`; on use, if a target is of another kind.
        ValueError: on use, if a target does not have the points of x.

    Example:
        A square in the plane, of which one corner is pulled out:

        >>> from sympe.groups import Orthogonal
        >>> square = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]])
        >>> x = Clouds.from_positions(square)
        >>> pulled = torch.zeros_like(square)
        >>> pulled[0, 0, 0] = 0.3
        >>> coupled = CoupledPointKernel(PointKernel(Orthogonal(2), max_nodes=4))
        >>> coupled.kernel.entropy(x).exp().round(), coupled.entropy(x, pulled).exp().round()
        (tensor([8.]), tensor([2.]))
    """

    def __init__(self, kernel: PointKernel) -> None:
        check_kind("kernel", kernel, PointKernel)
        self._kernel = kernel

    @property
    def kernel(self) -> PointKernel:
        """The kernel of x."""
        return self._kernel

    @property
    def group(self) -> DirectProduct:
        """The isometries and the permutations of the points."""
        return self._kernel.group

    def sample(
        self, x: Clouds, y: Clouds | Tensor, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch numbers"]:
        """Draw a uniform element of C(x, y) for every pair."""
        h = self._kernel.sample(paired(x, y), generator=generator)
        return self.group.compose(h, self._back(h, x))

    def log_prob(self, g: Float[Tensor, "batch numbers"], x: Clouds, y: Clouds | Tensor) -> Float[Tensor, " batch"]:
        """``-log |G_x ∩ G_y|`` on C(x, y), minus infinity elsewhere."""
        self.group.check(g)
        pair = paired(x, y)
        k = self._back(self._kernel.canonicalize(pair), x)  # the same for every h
        return self._kernel.log_prob(self.group.compose(g, self.group.inverse(k)), pair)

    def entropy(self, x: Clouds, y: Clouds | Tensor) -> Float[Tensor, " batch"]:
        """``log |G_x ∩ G_y|``, in nats."""
        return self._kernel.entropy(paired(x, y))

    def _back(self, h: Tensor, x: Clouds) -> Tensor:
        """k, from the cloud that h leads to."""
        return self._kernel.canonicalize(self._kernel.move(self.group.inverse(h), x))


def paired(x: Clouds, y: Clouds | Tensor) -> Clouds:
    """A cloud and its target as one.

    Raises:
        TypeError: if the target is of another kind.
        ValueError: if it does not have the points of x.

    Example:
        >>> x = Clouds.from_positions(torch.zeros(2, 4, 3))
        >>> paired(x, torch.ones(2, 4, 3)).vectors.shape
        torch.Size([2, 4, 1, 3])
    """
    check_kind("x", x, Clouds)
    if isinstance(y, Clouds):
        if y.positions.shape != x.positions.shape or not torch.equal(y.mask, x.mask):
            raise ValueError(f"target: expected clouds with the points of x, {x!r}; got {y!r}")
        labels = y.types
        vectors = torch.cat([(y.positions - x.positions)[:, :, None], y.vectors.to(x.dtype)], 2)
        return _joined(_joined(x, labels), vectors)
    if not isinstance(y, Tensor):
        raise TypeError(f"target: expected Clouds or a tensor of labels or vectors, got {type(y).__name__}")
    if y.shape[:2] != x.mask.shape:
        raise ValueError(
            f"target: expected one row for each point, of shape ({len(x)}, {x.mask.shape[1]}, ...), "
            f"got {tuple(y.shape)}"
        )
    if y.dim() == 2 and not y.is_floating_point() and not y.is_complex():
        return _joined(x, y)
    if y.is_floating_point() and y.dim() in (3, 4) and y.shape[-1] == x.dimension:
        if not bool(y[x.mask].isfinite().all()):
            raise ValueError("target: expected finite values, got NaN or infinity")
        return _joined(x, y if y.dim() == 4 else y[:, :, None])
    raise ValueError(
        f"target: expected integer labels of shape (batch, points), or float vectors of shape (batch, points"
        f"[, channels], {x.dimension}); got {y.dtype} of shape {tuple(y.shape)}"
    )


def _joined(x: Clouds, more: Tensor) -> Clouds:
    """With labels in the types, or with further vectors."""
    if more.dim() == 2:
        types = hashed(torch.stack([x.types, more.long()], -1).flatten(0, 1)).view_as(x.types)
        return Clouds(x.positions, types.masked_fill(~x.mask, 0), x.mask, x.vectors)
    more = more.to(x.dtype).masked_fill(~x.mask[:, :, None, None], 0)
    return Clouds(x.positions, x.types, x.mask, torch.cat([x.vectors, more], 2))
