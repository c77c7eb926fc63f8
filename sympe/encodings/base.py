"""The interface :class:`Encoding`, and :class:`Encoded`, which joins one to the input of any network."""

from __future__ import annotations

import abc
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sympe.groups.checks import check_kind


class Encoding(nn.Module, abc.ABC):
    """Random features that break the symmetry of x, equivariant in distribution.

    ``x`` has one batch dimension, then the shape of one input; an encoding may take batches that are not tensors, with
    ``len(x)`` and ``x.device``.
    """

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of the features of one x."""

    @property
    def channels_last(self) -> bool:
        """Whether channels are the last dimension of the features, and not the first after the batch."""
        return False

    @abc.abstractmethod
    def forward(self, x: Any, *, generator: torch.Generator | None = None) -> Float[Tensor, "batch ..."]:
        """Draw features of shape ``(batch, *shape)``."""


class UnlearnedEncoding(Encoding):
    """An encoding without parameters: its features have the precision that the module was moved to.

    What ``.half()``, ``.to(torch.bfloat16)`` and ``.double()`` do to a learned v, they do to these features. The device
    is that of x. Nothing is added to the state dict.
    """

    _like: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("_like", torch.empty(0), persistent=False)

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the features."""
        return self._like.dtype


class Encoded(nn.Module):
    r"""Any network on x joined with an encoding along a dimension: :math:`f_\theta(x \oplus g v)`.

    Further arguments of a call go to the network, such as times or a context. Of a tuple of inputs that move together
    (:class:`~sympe.actions.DiagonalAction`) the first is joined, and the others go to the network after it.

    Arguments:
        network: takes x and the features, concatenated.
        encoding: draws the features.
        dim: of the channels, in x and in the features; by default the last where the encoding has its channels there
            (nodes, sets, points), else 1.

    Raises:
        TypeError: if ``encoding`` is no encoding; on use, if x is no tensor.
        ValueError: on use, if x and the features differ in another dimension.

    References:
        Lawrence et al. (arXiv 2503.21985), Algorithm 1.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from sympe.encodings import NoiseEncoding
        >>> model = Encoded(nn.Conv2d(1 + 4, 1, 3, padding="same"), NoiseEncoding((4, 8, 8)))
        >>> model(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 1, 8, 8])
    """

    def __init__(self, network: nn.Module, encoding: Encoding, *, dim: int | None = None) -> None:
        super().__init__()
        check_kind("network", network, nn.Module)
        check_kind("encoding", encoding, Encoding)
        self.network = network
        self.encoding = encoding
        self.dim = dim if dim is not None else -1 if encoding.channels_last else 1

    def extra_repr(self) -> str:
        """The dimension."""
        return f"dim={self.dim}"

    def _joined(self, x: Any, features: Tensor) -> Tensor:
        if not isinstance(x, Tensor):
            raise TypeError(
                f"x: expected a tensor to join the features to, got {type(x).__name__}; "
                "call the encoding and the network yourself"
            )
        dim = self.dim % x.ndim if -x.ndim <= self.dim < x.ndim else self.dim
        others = [tuple(part.shape[:dim]) + tuple(part.shape[dim + 1 :]) for part in (x, features)]
        if x.ndim != features.ndim or dim >= x.ndim or others[0] != others[1]:
            raise ValueError(
                f"x: expected what differs from the features {tuple(features.shape)} in dimension {self.dim} at most, "
                f"got {tuple(x.shape)}; Encoded(..., dim=...) says where the channels are"
            )
        return torch.cat([x, features], dim=dim)

    def forward(
        self,
        x: Tensor | tuple[Any, ...],
        *arguments: Any,
        target: Any = None,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> Any:
        """Draw the features, join them to ``x`` and evaluate the network.

        Arguments:
            x: the inputs.
            arguments: of the network, after its inputs.
            target: what the model is trained on, for an encoding with a coupled kernel.
            generator: draws.
            options: of the network.

        Raises:
            ValueError: if the encoding takes no target.
        """
        coupled = {} if target is None else {"target": target}  # rivals take none
        features = self.encoding(x, generator=generator, **coupled)
        first, *others = x if isinstance(x, tuple) else (x,)
        return self.network(self._joined(first, features), *others, *arguments, **options)


def batch_size(x: Any) -> int:
    """The number of inputs of a batch, whatever it is; of a tuple, as of its parts."""
    return batch_size(x[0]) if isinstance(x, tuple) else len(x)
