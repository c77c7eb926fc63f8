"""The interface :class:`Group`."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence

import torch
from torch import Tensor


class Group(abc.ABC):
    r"""A group :math:`G` whose elements are batched tensors: of int64, or of floats if it is continuous.

    Operations take elements as they are: what is no element gives no element. :meth:`check` looks, and so do actions
    and kernels. Shapes are written ``*batch`` + ``element_shape``; binary operations broadcast over ``*batch``.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}(order={self.order})"

    @property
    @abc.abstractmethod
    def element_shape(self) -> tuple[int, ...]:
        """The shape of one element."""

    @property
    @abc.abstractmethod
    def order(self) -> int | float:
        """The number of elements, ``math.inf`` for a continuous group."""

    @property
    def is_continuous(self) -> bool:
        """Whether there are infinitely many elements; they are floats then, and equal up to rounding only."""
        return self.order == math.inf

    @abc.abstractmethod
    def identity(self, shape: Sequence[int] = (), *, device: torch.device | str | None = None) -> Tensor:
        """The neutral element, repeated to batch shape ``shape``."""

    @abc.abstractmethod
    def elements(self, *, device: torch.device | str | None = None) -> Tensor:
        """All elements, of batch shape ``(order,)``.

        Raises:
            ValueError: if they are too many to be listed, or infinitely many.
        """

    @abc.abstractmethod
    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """The product ``g h``, which applies ``h`` first."""

    @abc.abstractmethod
    def inverse(self, g: Tensor) -> Tensor:
        """The inverse of ``g``."""

    @abc.abstractmethod
    def check(self, g: Tensor, name: str = "g") -> None:
        """Refuse what is no batch of elements. It looks at the values, so it is for the edges of an interface.

        Raises:
            TypeError: if ``g`` is no tensor, or one of another type than elements are.
            ValueError: if it has another shape or holds something else than elements.
        """

    @abc.abstractmethod
    def sample(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        """Draw independent Haar-distributed elements of batch shape ``shape``.

        Raises:
            ValueError: if the group is not compact, so that there is no Haar distribution.
        """
