"""What SymPE is compared with: Gaussian noise, and nothing at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sympe.encodings.base import UnlearnedEncoding
from sympe.groups.checks import check_batch, check_shape
from sympe.randomness import check_generator, draw_numbers


class NoiseEncoding(UnlearnedEncoding):
    r"""Noise injection: independent :math:`z \sim \mathcal N(0, \sigma^2 I)`, whatever x is.

    Its law does not change under any orthogonal action, permutations among them, and its stabilizer is trivial
    almost surely, so it breaks every symmetry, with more entropy than needed and nothing to learn.

    Arguments:
        shape: shape of the features of one x.
        scale: the standard deviation :math:`\sigma`.

    Raises:
        TypeError: if ``shape`` is no sequence of integers.
        ValueError: if ``scale`` is not positive.

    References:
        Lawrence et al. (arXiv 2503.21985), Section 5: noise injection.

    Example:
        >>> import torch
        >>> NoiseEncoding((4, 8, 8))(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 4, 8, 8])
    """

    def __init__(self, shape: Sequence[int], *, scale: float = 1.0) -> None:
        super().__init__()
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale: expected a positive number, got {scale}")
        self._shape = check_shape("shape", shape)
        self.scale = scale

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self._shape}, scale={self.scale}"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the features of one x."""
        return self._shape

    def forward(self, x: Any, *, generator: torch.Generator | None = None) -> Float[Tensor, "batch ..."]:
        """Draw fresh noise for every x."""
        check_batch(x)
        shape = (len(x), *self._shape)
        return self.scale * draw_numbers(torch.randn, shape, generator=generator, device=x.device, dtype=self.dtype)


class NoEncoding(UnlearnedEncoding):
    """Zeros, so that a model without symmetry breaking has the very same network as one with it.

    Arguments:
        shape: shape of the features of one x.

    Raises:
        TypeError: if ``shape`` is no sequence of integers.

    Example:
        >>> import torch
        >>> float(NoEncoding((4, 8, 8))(torch.zeros(2, 1, 8, 8)).abs().sum())
        0.0
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self._shape = check_shape("shape", shape)

    def extra_repr(self) -> str:
        """The arguments."""
        return f"{self._shape}"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the features of one x."""
        return self._shape

    def forward(self, x: Any, *, generator: torch.Generator | None = None) -> Float[Tensor, "batch ..."]:
        """Give zeros."""
        check_batch(x)
        check_generator(generator)
        return torch.zeros((len(x), *self._shape), device=x.device, dtype=self.dtype)
