"""Batches of sets of several sizes: rows of numbers in one padded tensor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int64, Shaped
from torch import Tensor

from sympe.actions.base import gather
from sympe.groups.checks import check_kind


@dataclass(frozen=True)
class Sets:
    """A batch of sets, padded at the end to one number of elements; without padding a plain tensor does as well.

    Arguments:
        elements: one row of numbers for each element; what stands in the padding does not matter.
        mask: which elements are real; they come first.

    Raises:
        TypeError: if ``elements`` is no tensor, or ``mask`` none of booleans.
        ValueError: if a shape is another, or a real element comes after padding.

    Example:
        >>> Sets(torch.zeros(2, 5, 3), torch.arange(5) < torch.tensor([[3], [5]]))
        Sets(2 sets of 3-5 elements, 3 channels)
    """

    elements: Shaped[Tensor, "batch elements channels"]
    mask: Bool[Tensor, "batch elements"]

    def __post_init__(self) -> None:
        check_kind("elements", self.elements, Tensor)
        check_kind("mask", self.mask, Tensor)
        if self.elements.dim() != 3:
            raise ValueError(f"elements: expected shape (batch, elements, channels), got {tuple(self.elements.shape)}")
        if self.mask.dtype != torch.bool:
            raise TypeError(f"mask: expected booleans, got {self.mask.dtype}")
        if self.mask.shape != self.elements.shape[:2]:
            raise ValueError(f"mask: expected shape {tuple(self.elements.shape[:2])}, got {tuple(self.mask.shape)}")
        if bool((self.mask[:, 1:] & ~self.mask[:, :-1]).any()):
            raise ValueError("mask: expected the real elements before the padding, got a hole")

    def __repr__(self) -> str:
        if not len(self):
            return "Sets(no sets)"
        least, most = int(self.sizes.min()), int(self.sizes.max())
        sizes = f"{least}" if least == most else f"{least}-{most}"
        return f"Sets({len(self)} sets of {sizes} elements, {self.elements.shape[2]} channels)"

    def __len__(self) -> int:
        return len(self.mask)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.mask.device

    @property
    def sizes(self) -> Int64[Tensor, " batch"]:
        """The number of elements of each set."""
        return self.mask.sum(1)

    def relabel(self, p: Int64[Tensor, "batch degree"]) -> Sets:
        """Move the elements by permutations: element i becomes element p[i].

        Arguments:
            p: permutations that fix the padding, at least as long as the largest set.

        Raises:
            ValueError: if there are not as many as sets, one is too short, or one moves padding.

        Example:
            >>> x = Sets(torch.tensor([[[1], [2], [0]]]), torch.tensor([[True, True, False]]))
            >>> x.relabel(torch.tensor([[1, 0, 2]])).elements.flatten()
            tensor([2, 1, 0])
        """
        width = int(self.sizes.max()) if len(self) else 0
        if p.dim() != 2 or len(p) != len(self) or p.shape[1] < width:
            raise ValueError(
                f"p: expected a permutation of at least {width} elements for each of {len(self)} sets, "
                f"got shape {tuple(p.shape)}"
            )
        place = torch.arange(max(self.mask.shape[1], p.shape[1]), device=p.device).repeat(len(p), 1)
        image = place.scatter(1, place[:, : p.shape[1]], p)
        sizes = self.sizes[:, None]
        if bool(((place >= sizes) & (image != place)).any()):
            raise ValueError("p: expected permutations that leave the padding in place")
        source = place.scatter(1, image, place)[:, : self.mask.shape[1], None]
        return Sets(gather(self.elements, 1, source.expand_as(self.elements)), self.mask)

    def select(self, index: Int64[Tensor, " chosen"]) -> Sets:
        """The sets at the given places of the batch, in that order."""
        return Sets(self.elements[index], self.mask[index])

    def to(self, device: torch.device | str) -> Sets:
        """The same sets on another device."""
        return Sets(self.elements.to(device), self.mask.to(device))
