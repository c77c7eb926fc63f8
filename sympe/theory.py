r"""The representation theorem on finite sets, by enumeration (Section 3 of the paper).

A finite group G acts on finite sets X and Y. A conditional distribution P(y | x) is *equivariant* if

.. math:: P(gy \mid gx) = P(y \mid x) \qquad \text{for all } g, x, y .

It is so **if and only if** :math:`Y = f(x, g, \varepsilon)` in law, with g from the inversion kernel
:math:`\kappa(\cdot \mid x)`, uniform on :math:`C(x) = \{g : g^{-1} x = \gamma(x)\}`, an independent
:math:`\varepsilon \sim \mathrm{Unif}[0, 1]`, and a *jointly equivariant* f: :math:`f(hx, hg, \varepsilon) = h f(x, g,
\varepsilon)`.

*If*: :func:`law_of` a jointly equivariant f with an equivariant kernel is equivariant. *Only if*: let F(z, .) be the
quantile function of P(. | z) for the canonical points z; then

.. math:: f(x, g, \varepsilon) = g\, F(\gamma(x), \varepsilon)

is jointly equivariant and gives P back (:func:`represent`). A quantile function on a finite set has finitely many
steps, so :math:`\varepsilon` is a finite list of intervals here, and nothing is sampled.

*Without g*, an equivariant :math:`f(x, \varepsilon)` has values in :math:`\mathrm{Fix}(G_x)`, the points of Y that
every symmetry of x fixes. So the law of no such f is closer to P, in total variation, than
:math:`1 - P(\mathrm{Fix}(G_x) \mid x)` (:func:`distance_without_breaking`).

*Noise* Z with an equivariant law may take the place of g where :math:`G_x \cap G_Z` is trivial: then X × Z has trivial
stabilizers, and the pair itself has a single canonicalizing element. It costs :math:`H(Z \mid x)` nats
(:func:`entropy`), never less than the :math:`\log |G_x|` of the inversion kernel.

An f is an integer tensor ``f[x, g, e]``, the point of Y for interval e, and -1 for g outside C(x).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from sympe.actions import PermutationAction
from sympe.groups import FiniteGroup


class FiniteSet:
    """A finite set, the points 0, 1, ..., on which a finite group acts.

    Arguments:
        group: the group.
        moves: ``moves[g, x]`` is the point g x.

    Raises:
        ValueError: if the rows are not permutations, or not a homomorphism.

    Example:
        The rotations of a square, on its corners and on its two diagonals:

        >>> from sympe.groups import Cyclic
        >>> corners = FiniteSet(Cyclic(4), torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0], [2, 3, 0, 1], [3, 0, 1, 2]]))
        >>> diagonals = FiniteSet(Cyclic(4), torch.tensor([[0, 1], [1, 0], [0, 1], [1, 0]]))
        >>> corners.stabilizers.sum(1).tolist(), diagonals.stabilizers.sum(1).tolist()
        ([1, 1, 1, 1], [2, 2])
    """

    def __init__(self, group: FiniteGroup, moves: Int64[Tensor, "order points"]) -> None:
        PermutationAction(group, moves)  # refuses what is no action
        self.group = group
        self.moves = moves

    @staticmethod
    def regular(group: FiniteGroup) -> FiniteSet:
        """The group itself, moved from the left."""
        g = group.elements()
        return FiniteSet(group, group.compose(g[:, None], g))

    @staticmethod
    def product(a: FiniteSet, b: FiniteSet) -> FiniteSet:
        """Pairs of points, numbered row by row: the pair (i, j) is ``i * len(b) + j``.

        Raises:
            ValueError: if the groups differ.
        """
        if a.group != b.group:
            raise ValueError(f"b: expected a set on which {a.group!r} acts, got one of {b.group!r}")
        return FiniteSet(a.group, (a.moves[:, :, None] * len(b) + b.moves[:, None]).flatten(1))

    def __len__(self) -> int:
        return self.moves.shape[1]

    @property
    def stabilizers(self) -> Bool[Tensor, "points order"]:
        """Which elements fix which point."""
        return (self.moves == torch.arange(len(self))).T

    @property
    def canonical(self) -> Int64[Tensor, " points"]:
        """The canonical point of each orbit: its least."""
        return self.moves.amin(0)

    @property
    def cosets(self) -> Bool[Tensor, "points order"]:
        r""":math:`C(x) = \{g : g^{-1} x = \gamma(x)\}`."""
        back = self.moves[self.group.inverse(self.group.elements())]
        return (back == self.canonical).T

    @property
    def inversion_kernel(self) -> Float[Tensor, "points order"]:
        """Uniform on C(x)."""
        cosets = self.cosets.double()
        return cosets / cosets.sum(1, keepdim=True)

    @property
    def first_index_kernel(self) -> Float[Tensor, "points order"]:
        """Always the first element of C(x), as a deterministic canonicalizer gives it; equivariant if all G_x = 1."""
        first = self.cosets.to(torch.uint8).argmax(1)
        return torch.nn.functional.one_hot(first, self.group.order).double()


def violation(p: Float[Tensor, "X Y"], x: FiniteSet, y: FiniteSet) -> float:
    """The largest difference between P(gy | gx) and P(y | x).

    Example:
        >>> from sympe.groups import Cyclic
        >>> points = FiniteSet.regular(Cyclic(3))
        >>> violation(torch.eye(3), points, points), violation(torch.eye(3)[[0, 0, 0]], points, points)
        (0.0, 1.0)
    """
    return float((_moved(p, x, y) - p).abs().max())


def symmetrized(p: Float[Tensor, "X Y"], x: FiniteSet, y: FiniteSet) -> Float[Tensor, "X Y"]:
    """The mean of P(gy | gx) over the group, which is equivariant; P itself if it is."""
    return _moved(p, x, y).mean(0)


def represent(
    p: Float[Tensor, "X Y"], x: FiniteSet, y: FiniteSet
) -> tuple[Int64[Tensor, "X order intervals"], Float[Tensor, " intervals"]]:
    """The f of the theorem for an equivariant P, and the lengths of the intervals of epsilon.

    Raises:
        ValueError: if P is no equivariant conditional distribution.

    Example:
        A symmetric input, a fair choice of two asymmetric outputs:

        >>> from sympe.groups import Cyclic
        >>> x, y = FiniteSet(Cyclic(2), torch.tensor([[0], [0]])), FiniteSet.regular(Cyclic(2))
        >>> f, lengths = represent(torch.tensor([[0.5, 0.5]]), x, y)
        >>> law_of(f, lengths, x.inversion_kernel, y)
        tensor([[0.5000, 0.5000]], dtype=torch.float64)
    """
    off = violation(p, x, y)
    if off > 1e-9:
        raise ValueError(f"p: expected P(gy | gx) = P(y | x), got a difference of {off}")
    p = p.double()
    upper = p.cumsum(1)
    ends = torch.cat([torch.zeros(1, dtype=torch.float64), upper[x.canonical.unique()].flatten()]).unique()
    ends = ends[torch.cat([torch.tensor([True]), ends.diff() > 1e-12])]
    lengths = ends.diff()
    middle = ends[:-1] + lengths / 2
    quantile = torch.searchsorted(upper[x.canonical], middle.expand(len(x), -1).contiguous())
    f = y.moves[:, quantile.clamp(max=len(y) - 1)].transpose(0, 1)
    return torch.where(x.cosets[:, :, None], f, -1), lengths


def law_of(
    f: Int64[Tensor, "X order intervals"],
    lengths: Float[Tensor, " intervals"],
    kernel: Float[Tensor, "X order"],
    y: FiniteSet,
) -> Float[Tensor, "X Y"]:
    """The law of f(x, g, epsilon) given x, for g from a kernel.

    Raises:
        ValueError: if the kernel gives weight to a g where f is -1.
    """
    if bool(((f < 0).any(2) & (kernel > 0)).any()):
        raise ValueError("kernel: expected no weight outside C(x), where f is not defined")
    weight = (kernel[:, :, None] * lengths).flatten(1)
    law = torch.zeros(len(f), len(y), dtype=torch.float64)
    return law.scatter_add(1, f.clamp(min=0).flatten(1), weight.double())


def is_jointly_equivariant(f: Int64[Tensor, "X order intervals"], x: FiniteSet, y: FiniteSet) -> bool:
    """Whether f(hx, hg, epsilon) = h f(x, g, epsilon) for all h, x, g in C(x) and epsilon."""
    both = FiniteSet.product(x, FiniteSet.regular(x.group))
    flat = f.flatten(0, 1)
    moved = flat[both.moves]  # at (h, (x, g)): f(hx, hg)
    inside = flat >= 0
    expected = torch.where(inside, y.moves[:, flat.clamp(min=0)], -1)
    return torch.equal(moved, expected)


def distance_without_breaking(p: Float[Tensor, "X Y"], x: FiniteSet, y: FiniteSet) -> Float[Tensor, " X"]:
    """The total variation, at each x, between P and the closest law of an equivariant f(x, epsilon) without g.

    It is 1 where no point of Y is fixed by G_x, and there is no such f at all.

    Example:
        >>> from sympe.groups import Cyclic
        >>> x, y = FiniteSet(Cyclic(2), torch.tensor([[0], [0]])), FiniteSet.regular(Cyclic(2))
        >>> distance_without_breaking(torch.tensor([[0.5, 0.5]]), x, y)  # no point of Y is fixed
        tensor([1.], dtype=torch.float64)
    """
    _check(p, x, y)
    moving = x.stabilizers.double() @ (~y.stabilizers).T.double()  # how many symmetries of x move y
    distance: Tensor = 1 - (p.double() * (moving == 0)).sum(1)
    return distance


def entropy(p: Float[Tensor, "X outcomes"]) -> Float[Tensor, " X"]:
    """The entropy of each row, in nats.

    Example:
        >>> from sympe.groups import Cyclic
        >>> x = FiniteSet(Cyclic(4), torch.tensor([[0, 1], [1, 0], [0, 1], [1, 0]]))
        >>> entropy(x.inversion_kernel).exp()  # |G_x|
        tensor([2., 2.], dtype=torch.float64)
    """
    total: Tensor = torch.special.entr(p).sum(1)
    return total


def _moved(p: Tensor, x: FiniteSet, y: FiniteSet) -> Tensor:
    """P(gy | gx) at [g, x, y]."""
    _check(p, x, y)
    return p[x.moves[:, :, None], y.moves[:, None]]


def _check(p: Tensor, x: FiniteSet, y: FiniteSet) -> None:
    if x.group != y.group:
        raise ValueError(f"y: expected a set on which {x.group!r} acts, got one of {y.group!r}")
    if p.shape != (len(x), len(y)):
        raise ValueError(f"p: expected shape ({len(x)}, {len(y)}), got {tuple(p.shape)}")
    if bool((p < 0).any()) or not torch.allclose(p.sum(1), torch.ones(1, dtype=p.dtype), rtol=0, atol=1e-6):
        raise ValueError("p: expected rows of probabilities that sum to 1")
