r"""e3nn: v in irreps of O(3), for encodings that join any e3nn model.

    kernel = PointKernel(Euclidean(3), max_nodes=32)
    encoding = SymPE(kernel, IrrepsAction(kernel.group, "8x0e + 4x1o + 2x2e"))
    x = torch.cat([x, encoding(clouds)[clouds.mask]], dim=-1)  # features of the irreps x.irreps + encoding's

An isometry R acts by e3nn's :math:`D(R)`, parity included: "1o" are vectors, "1e" pseudovectors.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Iterator

import torch
from e3nn import o3
from jaxtyping import Float
from torch import Tensor

from sympe.actions import Action
from sympe.actions.points import point_factors
from sympe.groups import DirectProduct


class IrrepsAction(Action):
    r"""Isometries and permutations on irreps at points, of shape ``(points, irreps.dim)``.

    .. math:: (g x)_{p[i]} = D(R)\, x_i .

    Arguments:
        group: ``DirectProduct(isometries, Permutations(points))`` in space; translations do nothing.
        irreps: such as ``"8x0e + 4x1o"``.

    Raises:
        TypeError: if ``group`` is no such product.
        ValueError: if d is not 3, or the irreps cannot be read or are empty.

    References:
        Geiger and Smidt, "e3nn: Euclidean neural networks", 2022.

    Example:
        >>> from sympe.groups import Orthogonal, Permutations
        >>> action = IrrepsAction(DirectProduct(Orthogonal(3), Permutations(4)), "2x0e + 3x1o")
        >>> action.shape, action.is_faithful
        ((4, 11), True)
        >>> IrrepsAction(DirectProduct(Orthogonal(3), Permutations(4)), "2x0e + 3x1e").fixing
        'the inversion'
    """

    def __init__(self, group: DirectProduct, irreps: o3.Irreps | str) -> None:
        self._group = group
        self.isometries, self.permutations = point_factors(group)
        if self.isometries.dimension != 3:
            raise ValueError(f"group: expected isometries of space, got {self.isometries!r}: e3nn has irreps of O(3)")
        try:
            self.irreps = o3.Irreps(irreps)
        except ValueError as error:
            raise ValueError(f"irreps: expected such as '8x0e + 4x1o', got {irreps!r}") from error
        if self.irreps.dim == 0:
            raise ValueError(f"irreps: expected at least one number, got {irreps!r}")

    def __repr__(self) -> str:
        return f"IrrepsAction({self._group!r}, {str(self.irreps)!r})"

    @property
    def group(self) -> DirectProduct:
        """The product of isometries and permutations."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """``(points, irreps.dim)``."""
        return (self.permutations.degree, self.irreps.dim)

    @property
    def channels_last(self) -> bool:
        """True."""
        return True

    @property
    def is_faithful(self) -> bool:
        """Whether only the identity fixes generic irreps at all points; translations aside, which fix no cloud."""
        return not self.fixing

    @property
    def fixing(self) -> str:
        """Which isometries fix every x, or may have one axis or another for each x, in words; empty if none does.

        By counting dimensions: what an isometry fixes is a subspace, and its conjugates are a family with as many
        dimensions as there are axes (two, none for the inversion). If together they have as many dimensions as x, a
        generic x may be fixed by one of them.
        """
        found = []
        for name, parity, angle in self._candidates():
            fixed = sum(
                mul
                for mul, ir in self.irreps
                for m in range(-ir.l, ir.l + 1)
                if abs(math.cos(m * angle) * (ir.p if parity < 0 else 1) - 1) < 1e-9
            )
            axes = 0 if angle == 0 else 2
            points = self.permutations.degree
            if points * fixed + axes >= points * self.irreps.dim:
                found.append(name)
        return "all rotations" if "rotations by some angles" in found else ", ".join(found)

    def _candidates(self) -> Iterator[tuple[str, int, float]]:
        """Classes of isometries in words, whether they reverse, and the angle of the rotation."""
        turns = sorted({math.pi * j / m for m in range(1, 2 * self.irreps.lmax + 1) for j in range(1, m + 1)})
        yield "rotations by some angles", 1, 1.0  # no multiple of it is a full turn
        for angle in turns:
            yield f"rotations by {math.degrees(angle):.4g} degrees", 1, angle
        if not self.isometries.is_proper:
            yield "the inversion", -1, 0.0
            for angle in turns:
                name = "reflections" if angle == math.pi else f"rotations by {math.degrees(angle):.4g} degrees inverted"
                yield name, -1, angle

    def __call__(self, g: Float[Tensor, "..."], x: Float[Tensor, "..."]) -> Float[Tensor, "*batch points dim"]:
        """Move ``x`` by ``g``.

        Raises:
            TypeError: if ``g`` or ``x`` is no tensor of floats.
            ValueError: if ``x`` has another shape, or ``g`` holds something else than elements of the group.
        """
        self.check(x)
        self.group.check(g)
        isometry, p = self._group.components(g.to(x.device))
        R = self.isometries.rotation(isometry).to(x.dtype)
        matrices = wigner(R, {ir for _, ir in self.irreps})  # each once, whatever its count
        parts = []
        for (mul, ir), part in zip(self.irreps, self.irreps.slices(), strict=True):
            rows = x[..., part]
            if ir.l == 0 and ir.p == 1:
                parts.append(rows.expand(*torch.broadcast_shapes(R.shape[:-2], x.shape[:-2]), *rows.shape[-2:]))
                continue
            block = rows.reshape(*x.shape[:-2], rows.shape[-2] * mul, ir.dim) @ matrices[ir].mT  # all at once
            parts.append(block.reshape(*block.shape[:-2], *rows.shape[-2:]))
        moved = torch.cat(parts, -1)
        source = self.permutations.inverse(p).unsqueeze(-1)
        source, moved = torch.broadcast_tensors(source, moved)
        placed: Tensor = moved.gather(-2, source)
        return placed


def wigner(R: Float[Tensor, "*batch 3 3"], irreps: Collection[o3.Irrep]) -> dict[o3.Irrep, Float[Tensor, "*batch _ _"]]:
    r"""The matrices :math:`D(R)` of irreps, as e3nn has them, but without angles and exponentials.

    Clebsch and Gordan's coefficients take :math:`D^{l-1} \otimes D^1` to :math:`D^l`, polynomials in R. It takes a
    tenth of the time of ``D_from_matrix``, and its gradients are finite everywhere.

    Example:
        >>> vectors, turned = o3.Irrep("1o"), torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
        >>> torch.allclose(wigner(turned, [vectors])[vectors], turned, atol=1e-6)
        True
    """
    matrices = [torch.ones_like(R[..., :1, :1]), R]
    for l in range(2, 1 + max((ir.l for ir in irreps), default=0)):  # noqa: E741
        C = _coefficients(l).to(R)
        product = matrices[-1][..., :, None, :, None] * R[..., None, :, None, :]
        matrices.append(C @ product.flatten(-4, -3).flatten(-2) @ C.mT)
    det, found = None, {}
    for ir in irreps:
        D = matrices[ir.l]
        if ir.p != (-1) ** ir.l:  # its parity is not that of the spherical harmonics
            det = torch.linalg.det(R.detach()).round()[..., None, None] if det is None else det
            D = D * det
        found[ir] = D
    return found


@functools.cache
def _coefficients(l: int) -> Tensor:  # noqa: E741
    """The rows of the irrep l in the product of l - 1 and 1."""
    with torch.inference_mode(False):
        C: Tensor = o3.wigner_3j(l - 1, 1, l, dtype=torch.float64).flatten(0, 1).T.contiguous()
        return math.sqrt(2 * l + 1) * C
