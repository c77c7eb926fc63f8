r"""A learned kernel of rotations: vectors of a network, and Gram-Schmidt.

A network that is equivariant in (x, z), with isotropic noise z, gives d vectors; Gram-Schmidt makes them a frame R.
Without z the vectors of a symmetric x lie in the space that :math:`G_x` fixes, and Gram-Schmidt has nothing to go by
exactly where breaking is needed. Gradients pass through R to the network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sympe.groups import Isometries
from sympe.groups.checks import check_batch, check_callable, check_kind, check_shape
from sympe.groups.isometries import orthonormal, to_proper
from sympe.kernels.base import Kernel, uncompiled
from sympe.randomness import draw_numbers

_TRIES = 20

_DEGENERATE = 1e-4
"""The least part of a vector that must be new: less would be rounding in single precision."""


class LearnedFrameKernel(nn.Module, Kernel):
    r"""A learned, equivariant kernel on O(d) or SO(d): :math:`g = \mathrm{GramSchmidt}(\phi(x, z))`.

    z is normal, of shape ``(batch, *noise, d)``; where the vectors are linearly dependent it is drawn again. The law is
    equivariant if the network is, :math:`\phi(R x, R z) = R \phi(x, z)`. Its density is not known: there is no
    ``log_prob`` and no ``entropy``.

    Arguments:
        network: takes x and z to d vectors as rows, of shape ``(batch, d, d)``.
        group: ``Orthogonal(d)`` or ``SpecialOrthogonal(d)``; for the latter the last vector takes the sign that makes
            a rotation.
        noise: the shape of z before d, such as ``(points, channels)``.

    Raises:
        TypeError: if ``network`` cannot be called or ``group`` has no isometries.
        ValueError: if the group has translations; on use, if the network gives another shape, or vectors that are
            linearly dependent for every z: then it does not use z, or not enough of it.

    References:
        Lawrence et al. (arXiv 2503.21985), Section 4; Kaba et al., "Equivariance with learned canonicalization
        functions", ICML 2023.

    Example:
        >>> from sympe.groups import SpecialOrthogonal
        >>> kernel = LearnedFrameKernel(lambda x, z: z + x[:, None], SpecialOrthogonal(3), noise=(3,))
        >>> kernel.sample(torch.zeros(2, 3)).shape
        torch.Size([2, 3, 3])
    """

    def __init__(self, network: Callable[[Any, Tensor], Tensor], group: Isometries, noise: tuple[int, ...]) -> None:
        super().__init__()
        check_callable("network", network)
        check_kind("group", group, Isometries, "such as Orthogonal(3)")
        if group.translates:
            raise ValueError(
                f"group: expected Orthogonal or SpecialOrthogonal, got {group!r}: frames give no translation"
            )
        self.network = network
        self.noise = check_shape("noise", noise)
        self._group = group

    def __repr__(self) -> str:
        return f"LearnedFrameKernel({self._group!r}, noise={self.noise})"

    @property
    def group(self) -> Isometries:
        """The rotations, with reflections or without."""
        return self._group

    @uncompiled
    def sample(self, x: Any, *, generator: torch.Generator | None = None) -> Float[Tensor, "batch d d"]:
        """Draw z and a frame for every x; gradients reach the network."""
        check_batch(x)
        d = self._group.dimension
        vectors = self._vectors(x, generator)
        for _ in range(_TRIES):
            wrong = _degenerate(vectors.detach())
            if not bool(wrong.any()):
                R = orthonormal(vectors.mT)
                return to_proper(R) if self._group.is_proper else R
            vectors = torch.where(wrong[:, None, None], self._vectors(x, generator), vectors)
        row = int(wrong.nonzero()[0])
        raise ValueError(
            f"network: expected {d} linearly independent vectors, but those of input {row} were not for {_TRIES} draws "
            "of z: does the network use z in enough directions?"
        )

    def log_prob(self, g: Tensor, x: Any) -> Tensor:
        """Not known.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("LearnedFrameKernel: the density of Gram-Schmidt of a network is not known")

    def entropy(self, x: Any) -> Tensor:
        """Not known.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("LearnedFrameKernel: the entropy of Gram-Schmidt of a network is not known")

    def _vectors(self, x: Any, generator: torch.Generator | None) -> Tensor:
        d = self._group.dimension
        shape = (len(x), *self.noise, d)
        z = draw_numbers(torch.randn, shape, generator=generator, device=x.device, dtype=torch.get_default_dtype())
        vectors = self.network(x, z)
        if vectors.shape != (len(x), d, d):
            raise ValueError(f"network: expected vectors of shape ({len(x)}, {d}, {d}), got {tuple(vectors.shape)}")
        return vectors.float() if vectors.dtype.itemsize < 4 else vectors


def _degenerate(vectors: Float[Tensor, "batch d d"]) -> Tensor:
    """Where some vector has hardly anything new."""
    unit = vectors.double() / vectors.double().norm(dim=-1, keepdim=True).clamp(min=math.ulp(0.0))
    least: Tensor = torch.linalg.svdvals(unit)[:, -1]
    return least < _DEGENERATE
