r"""Symmetry-breaking sets (Xie and Smidt 2024), as a rival of SymPE.

Let S be the point group of x. A *symmetry-breaking set* for S is a set B of objects that no element of S but the
identity fixes; one of them joins the input. For the whole to be equivariant, B must be closed under the normaliser
:math:`N(S) = \{ n \in O(3) : n S n^{-1} = S \}`: S alone does not tell which of the elements of N(S) turned it.
Here the objects are C vectors of the cloud as a whole, and B is one orbit of N(S),

.. math:: B(x) = \{ R\, n\, b : n \in N(S_\gamma) \}, \qquad R \ \text{any frame in}\ C(x),

with :math:`S_\gamma` the point group of the canonical form. Drawn uniformly, such an object is SymPE with a v that is
the same at every point, and a kernel that is uniform on :math:`R N(S_\gamma)` instead of :math:`R S_\gamma`: it sees
the point group of x and nothing else of x. B is *ideal*, of |S| elements, iff it is the very orbit that SymPE draws
from; otherwise (Td, prisms) it has :math:`|N(S)| / |S|` times as many, and that much more entropy.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sympe.actions import VectorAction
from sympe.encodings import Encoding
from sympe.graphs import Clouds
from sympe.kernels import PointKernel
from sympe.randomness import draw_numbers

_CLOSE = 1e-3
"""Matrices whose entries differ by less are the same."""


class BreakingSetEncoding(Encoding):
    """An object from the equivariant symmetry-breaking set of each cloud: vectors, the same at all of its points.

    Arguments:
        kernel: gives the point groups and frames.
        channels: C, the number of vectors; at least 3, so that no isometry fixes them.

    Raises:
        ValueError: if there are fewer than three channels; on use, if a point group has only one axis.

    References:
        Xie and Smidt, "Equivariant symmetry breaking sets", TMLR 2024.

    Example:
        >>> from sympe.groups import Orthogonal
        >>> encoding = BreakingSetEncoding(PointKernel(Orthogonal(3), max_nodes=4), channels=3)
        >>> square = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
        >>> encoding(Clouds.from_positions(square.expand(2, -1, -1))).shape
        torch.Size([2, 4, 3, 3])
    """

    def __init__(self, kernel: PointKernel, channels: int) -> None:
        super().__init__()
        if channels < 3:
            raise ValueError(f"channels: expected at least 3 vectors, which no isometry fixes, got {channels}")
        self.kernel = kernel
        self.action = VectorAction(kernel.group, channels)
        self.b = nn.Parameter(torch.randn(channels, 3))
        self._known: dict[tuple[float, ...], Tensor] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """``(max_nodes, channels, 3)``."""
        return self.action.shape

    def elements(self, x: Clouds) -> list[Float[Tensor, "more numbers"]]:
        """All R n of each cloud, as elements of the kernel's group; what they do to the points means nothing."""
        rows, g = self.kernel.list_coset(x, limit=1024)
        cosets = g.split(rows.bincount(minlength=len(x)).tolist())
        return [with_normalizer(self.kernel, coset, self._known) for coset in cosets]

    def sample(self, x: Clouds, *, generator: torch.Generator | None = None) -> Float[Tensor, "batch numbers"]:
        """Draw one R n for every cloud."""
        drawn = []
        for found in self.elements(x):
            at = draw_numbers(torch.randint, len(found), (), generator=generator, device="cpu")
            drawn.append(found[int(at)])
        return torch.stack(drawn)

    def forward(
        self, x: Clouds, *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch max_nodes channels 3"]:
        """Draw an object for every cloud."""
        return self.moved(self.sample(x, generator=generator))

    def moved(self, g: Float[Tensor, "batch numbers"]) -> Float[Tensor, "batch max_nodes channels 3"]:
        """The objects that given elements lead to."""
        objects: Tensor = self.action(g, self.b.expand(self.action.shape))
        return objects


def with_normalizer(
    kernel: PointKernel, coset: Float[Tensor, "order numbers"], known: dict[tuple[float, ...], Tensor]
) -> Float[Tensor, "more numbers"]:
    """All R n with R of C(x) and n of the normaliser of the canonical form's point group, with the permutations of R.

    Arguments:
        kernel: the kernel.
        coset: C(x).
        known: normalisers that were found before, which is added to.
    """
    isometries = kernel.isometries
    R, p = kernel.group.components(coset)
    R = isometries.rotation(R)
    S = R[0].mT @ R
    key = tuple(S.double().flatten(1).mul(100).round().unique(dim=0).flatten().tolist())
    if key not in known:
        known[key] = normalizer(S.double())
    turns = R[0] @ known[key].to(R.dtype)
    return kernel.group.pack(turns, p[:1].expand(len(turns), -1))


def normalizer(S: Float[Tensor, "order 3 3"]) -> Float[Tensor, "more 3 3"]:
    """The isometries n with n S n^-1 = S, for a point group with several axes.

    They permute the axes of S, and so each takes one pair of different axes to some other such pair.

    Raises:
        ValueError: if S has fewer than two axes: then a whole family turns about them.

    Example:
        >>> quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]).double()
        >>> flip = torch.diag(torch.tensor([1.0, -1.0, -1.0])).double()
        >>> S = torch.stack([m @ k for m in (torch.eye(3).double(), flip) for k in map(quarter.matrix_power, range(4))])
        >>> len(S), len(normalizer(S))  # of D4: those of D8, and all of them inverted
        (8, 32)
    """
    axes = _axes(S)
    if len(axes) < 2:
        raise ValueError(f"S: expected a point group with several axes, got {len(S)} elements with {len(axes)}")
    a, b = axes[0], axes[1:][(axes[1:] @ axes[0]).abs().argmin()]
    start = _frame(a, b)
    signs = torch.tensor([1.0, -1.0], dtype=S.dtype)
    ends = torch.cat([axes, -axes])
    i, j = torch.cartesian_prod(torch.arange(len(ends)), torch.arange(len(ends))).unbind(1)
    same = ((ends[i] * ends[j]).sum(1) - a @ b).abs() < _CLOSE
    i, j = i[same], j[same]
    frames = torch.cat([_frame(ends[i], ends[j], sign) for sign in signs])
    found: Tensor = frames @ torch.linalg.inv(start)
    for s in S:
        moved = found @ s @ found.mT
        found = found[((moved[:, None] - S).abs().amax((2, 3)) < _CLOSE).any(1)]
    return found


def _frame(a: Tensor, b: Tensor, sign: Tensor | float = 1.0) -> Tensor:
    return torch.stack([a, b, sign * torch.linalg.cross(a, b)], -1)


def _axes(S: Tensor) -> Tensor:
    """One unit vector along each axis of a rotation, or normal of a reflection, of S."""
    R = S * torch.linalg.det(S)[:, None, None]  # reflections and the like times -1
    R = R[(R - torch.eye(3, dtype=S.dtype)).abs().amax((1, 2)) > _CLOSE]
    found: list[Tensor] = []
    for turn in R:
        axis = torch.linalg.svd(turn - torch.eye(3, dtype=S.dtype))[2][2]
        if not any(abs(abs(float(axis @ other)) - 1) < _CLOSE for other in found):
            found.append(axis)
    return torch.stack(found) if found else S.new_zeros(0, 3)
