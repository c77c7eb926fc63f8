"""Linear actions that do more than permute entries."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from sympe.actions.base import FiniteAction
from sympe.groups import FiniteGroup
from sympe.groups.checks import check_kind
from sympe.groups.eager import on_cpu
from sympe.tolerance import Tolerance


class MatrixAction(FiniteAction):
    r"""A finite group on vectors by a matrix representation, :math:`g x = M_g x`, shape ``(dim,)``.

    Arguments:
        group: the group.
        matrices: ``(order, dim, dim)``, ``M_g`` in row g.
        tolerance: largest entry-wise error of the homomorphism, relative to the largest entry (:mod:`sympe.tolerance`).

    Raises:
        ValueError: if the matrices are not a homomorphism up to ``tolerance``, M_gh = M_g M_h.

    Example:
        >>> import torch
        >>> from sympe.groups import Cyclic
        >>> flip = MatrixAction(Cyclic(2), torch.tensor([[[1.0]], [[-1.0]]]))
        >>> flip(torch.tensor([0, 1]), torch.tensor([3.0]))
        tensor([[ 3.],
                [-3.]])
    """

    @on_cpu
    def __init__(
        self, group: FiniteGroup, matrices: Float[Tensor, "order dim dim"], *, tolerance: float | Tolerance = 1e-5
    ) -> None:
        check_kind("group", group, FiniteGroup)
        check_kind("matrices", matrices, Tensor)
        if (
            matrices.ndim != 3
            or len(matrices) != group.order
            or matrices.shape[1] != matrices.shape[2]
            or not matrices.is_floating_point()
        ):
            raise ValueError(
                f"matrices: expected floats of shape ({group.order}, dim, dim), "
                f"got {matrices.dtype} {tuple(matrices.shape)}"
            )
        g = group.elements()
        eye = torch.eye(matrices.shape[1], dtype=matrices.dtype)
        if not bool(matrices.isfinite().all()):
            raise ValueError("matrices: expected finite entries, got NaN or infinity")
        gap = float(Tolerance.of(tolerance).gap(matrices.abs().amax())) if matrices.numel() else 0.0
        if not torch.allclose(matrices[0], eye, rtol=0, atol=gap):
            raise ValueError("matrices: expected the identity matrix for the identity element 0")
        for s in group.generators:
            product = matrices @ matrices[s]
            image = matrices[group.compose(g, torch.tensor(s))]
            if not torch.allclose(image, product, rtol=0, atol=gap):
                raise ValueError(f"matrices: not a homomorphism, M_(g {s}) differs from M_g M_{s} for some g")
        self._group = group
        self._matrices = matrices.clone()
        exact = self._matrices.double()
        errors = [
            float((exact[group.compose(g, torch.tensor(s))] - exact @ exact[s]).abs().amax()) for s in group.generators
        ]
        self._error = max(errors, default=0.0) + torch.finfo(torch.float64).eps

    @property
    def group(self) -> FiniteGroup:
        """The group."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """``(dim,)``."""
        return (self._matrices.shape[1],)

    @property
    def precision(self) -> float:
        """How far the matrices, as given, are from a homomorphism: single precision shows."""
        return self._error * self.size

    @property
    def permutes_entries(self) -> bool:
        """False: matrices mix entries in general."""
        return False

    def source(self, g: Int64[Tensor, "*#batch"], entry: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """Raise: a matrix does not permute entries."""
        raise TypeError("MatrixAction does not permute entries, so it has no source")

    def __call__(self, g: Int64[Tensor, "*#batch"], x: Shaped[Tensor, "*#batch dim"]) -> Float[Tensor, "*batch dim"]:
        """The product M_g x.

        Raises:
            ValueError: if ``x`` has another size or does not hold floats.
        """
        self.check(x)
        self.group.check(g)
        if not x.is_floating_point():
            raise ValueError(f"x: expected floats, for matrices mix entries, got {x.dtype}")
        return (self._matrices.to(x)[g.to(x.device)] @ x.unsqueeze(-1)).squeeze(-1)
