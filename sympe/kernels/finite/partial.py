"""Symmetry breaking that stops at a subgroup."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from sympe.groups import FiniteGroup, generated_subgroup
from sympe.groups.checks import check_kind
from sympe.kernels.base import Kernel
from sympe.kernels.finite.orbit import OrbitKernel


class PartialKernel(Kernel):
    r"""An inversion kernel whose canonical form has as many symmetries of a chosen subgroup K as it can.

    Not every symmetry need be broken: a crystal may keep a mirror. Say which symmetries may stay by a subgroup K of G,
    up to conjugation, for where a mirror lies depends on x. With :math:`\gamma(x)` and C(x) of ``kernel``,

    .. math:: a(x) = \arg\max_{a \in G} \bigl| a K a^{-1} \cap G_{\gamma(x)} \bigr|, \qquad
              C'(x) = C(x)\, a(x) = \{ g : g^{-1} x = \gamma'(x) \}, \quad \gamma'(x) = a(x)^{-1} \gamma(x) ,

    with ties to the first a. :math:`\gamma'` is a canonical form, too, so a uniform draw from C'(x) is an inversion
    kernel, of entropy :math:`\log |G_x|`: no equivariant law on G has less. But a vector v that K fixes only shows
    the coset gK. If nothing beyond K fixes v, then :math:`g v` keeps

    .. math:: G_x \cap G_{gv} = g K_x g^{-1}, \qquad K_x = K \cap G_{\gamma'(x)} :

    a conjugate of K, if x has one among its symmetries. So only :math:`\log (|G_x| / |K_x|)` nats reach the network
    (:meth:`broken`). :class:`~sympe.encodings.PartialSymPE` has such a v, where the representation allows it.

    This goes beyond the paper.

    Arguments:
        kernel: the exact kernel.
        subgroup: generators of K; none for the trivial group, with which everything is broken.

    Raises:
        TypeError: if ``kernel`` is no :class:`~sympe.kernels.OrbitKernel`, or a generator no integer.
        ValueError: if a generator is no element of the group.

    Example:
        A uniform field on a 3 x 3 lattice has 72 symmetries. With a mirror for K, one of two elements stays:

        >>> from sympe.actions import GridAction
        >>> from sympe.groups import P4M
        >>> group = P4M(3)
        >>> mirror = group.pack(s=1, k=0, p=0, q=0)
        >>> kernel = PartialKernel(OrbitKernel(GridAction(group)), [mirror])
        >>> x = torch.ones(1, 1, 3, 3)
        >>> kernel.entropy(x).exp().round(), kernel.broken(x).exp().round()
        (tensor([72.]), tensor([36.]))
    """

    def __init__(self, kernel: OrbitKernel, subgroup: Sequence[int]) -> None:
        check_kind("kernel", kernel, OrbitKernel)
        self.kernel = kernel
        self.subgroup = generated_subgroup(kernel.group, subgroup)
        """The elements of K, ascending."""

    def __repr__(self) -> str:
        return f"PartialKernel({self.kernel!r}, subgroup={self.subgroup.tolist()})"

    @property
    def form(self) -> dict[str, str]:
        """That of the kernel, and K."""
        return {**self.kernel.form, "kernel": "PartialKernel", "subgroup": str(self.subgroup.tolist())}

    @property
    def group(self) -> FiniteGroup:
        """The group."""
        return self.kernel.group

    def sample(
        self, x: Shaped[Tensor, "batch ..."], *, generator: torch.Generator | None = None
    ) -> Int64[Tensor, " batch"]:
        """Draw a uniform element of C'(x) for every x."""
        return self.group.compose(self.kernel.sample(x, generator=generator), self._best(x)[0])

    def log_prob(self, g: Int64[Tensor, " batch"], x: Shaped[Tensor, "batch ..."]) -> Float[Tensor, " batch"]:
        """``-log |G_x|`` on C'(x), minus infinity elsewhere.

        Raises:
            ValueError: if there is not one element for each input.
        """
        self.group.check(g)
        self.kernel.action.check(x)
        if g.shape != x.shape[:1]:
            raise ValueError(f"g: expected one element for each of {len(x)} inputs, got shape {tuple(g.shape)}")
        return self.kernel.log_prob(self.group.compose(g, self.group.inverse(self._best(x)[0])), x)

    def entropy(self, x: Shaped[Tensor, "batch ..."]) -> Float[Tensor, " batch"]:
        r""":math:`\log |G_x|`, in nats."""
        return self.kernel.entropy(x)

    def broken(self, x: Shaped[Tensor, "batch ..."]) -> Float[Tensor, " batch"]:
        r""":math:`\log (|G_x| / |K_x|)`, in nats: the entropy of the coset gK."""
        return self.entropy(x) - self._best(x)[1].to(torch.get_default_dtype()).log()

    def kept(self, g: Int64[Tensor, " batch"], x: Shaped[Tensor, "batch ..."]) -> Int64[Tensor, "batch subgroup_order"]:
        r"""The elements of :math:`g K_x g^{-1}`; in the place of elements of K outside :math:`K_x`, the identity."""
        moved = self._conjugates(g)
        fixes = self.kernel.stabilizer(x).gather(1, moved)
        return torch.where(fixes, moved, 0)

    def _best(self, x: Tensor) -> tuple[Int64[Tensor, " batch"], Int64[Tensor, " batch"]]:
        """The a of each x, and how many elements of K it keeps."""
        rows, g = self.kernel.support(x)
        back = self.group.inverse(self.kernel.canonicalize(x))
        fixes = torch.zeros(len(x), self.group.order, dtype=torch.bool, device=x.device)
        fixes[rows, self.group.compose(back[rows], g)] = True  # c^-1 C(x), the symmetries of gamma(x)
        every = self.group.elements(device=x.device)
        counts = torch.zeros(len(x), self.group.order, dtype=torch.int64, device=x.device)
        for k in self.subgroup.to(x.device):
            counts += fixes[:, self.group.compose(self.group.compose(every, k), self.group.inverse(every))]
        most = counts.amax(1)
        return (counts == most[:, None]).to(torch.uint8).argmax(1), most

    def _conjugates(self, g: Tensor) -> Tensor:
        """G k g^-1 for every k of K."""
        k = self.subgroup.to(g.device)
        return self.group.compose(self.group.compose(g[:, None], k), self.group.inverse(g)[:, None])
