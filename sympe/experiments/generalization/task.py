r"""Patterns on a square with several right answers, and the ladder of encodings.

G = D4 acts on the corners of a square. A pattern is one of the 11 points of four orbits, with :math:`|G_x|` = 8, 4, 2
and 2: all corners equal, two opposite ones marked, two neighbours, one. For its orbit's canonical pattern there is a
mean answer m in R^4, without any symmetry; then with h Haar and noise :math:`\xi` on the corners

.. math:: x = h \gamma, \qquad y = h (m + \xi) .

Given x, all answers s y with s in :math:`G_x` are equally likely. With g from the coupled kernel
:math:`\kappa(\cdot \mid x, y)` the answer in canonical position is :math:`\bar y = g^{-1} y`, with mean
:math:`\bar m` and variance :math:`\tau^2` that depend on the orbit only.

*More entropy.* For a subgroup L and a number of copies c let

.. math:: g' = g\,l_j, \quad j \text{ uniform, where } G_\gamma L = \textstyle\bigsqcup_j G_\gamma l_j,
   \qquad k \in \{1, \dots, c\} \text{ uniform}.

Averaged over y, g' is uniform on C(x) L: an equivariant kernel, from the exact one (L trivial) to Haar (L = G), and
the pair (g', k) is noise in a set with c copies of G. Both are coupled to y through g alone. The pairs
:math:`(x, (g', k))` of an orbit fall into

.. math:: K = c\,|G_\gamma L| / |G_\gamma| = \exp\bigl(H(g', k \mid x) - \log |G_x|\bigr)

free orbits under G. An equivariant function has one free value in R^4 on each of these: what is learned on one of them
says nothing about the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sympe.actions import ImageAction
from sympe.groups import Dihedral, generated_subgroup
from sympe.kernels import CoupledOrbitKernel, OrbitKernel
from sympe.randomness import seeded

GROUP = Dihedral(4)
SQUARE = ImageAction(GROUP, 1, 2)
PATTERNS = torch.tensor([[1.0, 1, 1, 1], [1, 0, 0, 1], [1, 1, 0, 0], [1, 0, 0, 0]]).view(4, 1, 2, 2)
"""One of each orbit; they are equally likely."""
NOISE = 0.5
"""Standard deviation of an answer's entry."""

KERNEL = OrbitKernel(SQUARE)
COUPLED = CoupledOrbitKernel(SQUARE, SQUARE)

HALF_TURN, QUARTER_TURN = 2, 1  # elements r^2 and r
LADDER: dict[str, tuple[tuple[int, ...], int]] = {
    "sympe": ((), 1),
    "half-turn": ((HALF_TURN,), 1),
    "rotations": ((QUARTER_TURN,), 1),
    "haar": (GROUP.generators, 1),
    "noise": (GROUP.generators, 4),
    "noise-8": (GROUP.generators, 8),
    "noise-redrawn": (GROUP.generators, 4),
}
"""Generators of L, and the number of copies c."""


class Samples(NamedTuple):
    """Inputs, answers, and what an encoding tells.

    Arguments:
        orbit: the number of the orbit.
        x: patterns.
        y: answers.
        g: drawn from the exact coupled kernel.
    """

    orbit: Int64[Tensor, " count"]
    x: Float[Tensor, "count 1 2 2"]
    y: Float[Tensor, "count 1 2 2"]
    g: Int64[Tensor, " count"]


@dataclass(frozen=True)
class Orbits:
    """What the theory needs of each orbit, by enumeration.

    Arguments:
        mean: of the answer in canonical position, m bar.
        variance: its variance tau^2, summed over the corners.
        fixed_mean: of the mean over the symmetries of the pattern of an answer, squared norm.
        fixed_variance: of that mean, its variance.
        rest: the expected squared norm of what that mean leaves over.
    """

    mean: Float[Tensor, "orbits 1 2 2"]
    variance: Float[Tensor, " orbits"]
    fixed_mean: Float[Tensor, " orbits"]
    fixed_variance: Float[Tensor, " orbits"]
    rest: Float[Tensor, " orbits"]


@cache
def means() -> Float[Tensor, "orbits 1 2 2"]:
    """The mean answers m."""
    return torch.randn(4, 1, 2, 2, generator=seeded("generalization", "means"))


def draw(count: int, generator: torch.Generator) -> Samples:
    """Independent samples, with noise of plus or minus NOISE on each corner."""
    orbit = torch.randint(4, (count,), generator=generator)
    signs = 2.0 * torch.randint(2, (count, 1, 2, 2), generator=generator) - 1
    h = GROUP.sample((count,), generator=generator)
    x, y = SQUARE(h, PATTERNS[orbit]), SQUARE(h, means()[orbit] + NOISE * signs)
    return Samples(orbit, x, y, COUPLED.sample(x, y, generator=generator))


@cache
def steps(orbit: int, encoding: str) -> Int64[Tensor, " steps"]:
    """The elements l_j of the ladder, one for each coset of G_gamma in G_gamma L; the first is the identity."""
    L = generated_subgroup(GROUP, LADDER[encoding][0])
    gamma = KERNEL.canonical_form(PATTERNS[orbit : orbit + 1])
    moved = SQUARE(GROUP.inverse(L), gamma).flatten(1)
    kind = (moved[:, None] == moved).all(2).to(torch.uint8).argmax(1)  # the first l with the same l^-1 gamma
    return L[kind == torch.arange(len(L))]


def pieces(encoding: str) -> Int64[Tensor, " orbits"]:
    """K, for every orbit."""
    if encoding == "unconstrained":  # every pair (x, g) has a value of its own
        return torch.full((4,), GROUP.order)
    return torch.tensor([len(steps(o, encoding)) * LADDER[encoding][1] for o in range(4)])


def kernel_entropy(encoding: str) -> float:
    """The entropy of (g', k) given x, in nats: the mean over x."""
    if encoding == "none":
        return 0.0
    own = KERNEL.entropy(PATTERNS).double()
    more = 0 if encoding == "unconstrained" else pieces(encoding).double().log()  # it takes g from the exact kernel
    return float((own + more).mean())


def spread_out(
    samples: Samples, encoding: str, generator: torch.Generator, *, draw: int | None = None
) -> tuple[Tensor, Tensor]:
    """(g', k) for every sample; with ``draw`` that one of the equally likely draws, 0 to 4 c - 1, for all of them."""
    copies = LADDER[encoding][1]
    if draw is None:
        k = torch.randint(copies, samples.g.shape, generator=generator)
        pick = torch.rand(samples.g.shape, generator=generator)
    else:
        k = torch.full_like(samples.g, draw % copies)
        pick = torch.full(samples.g.shape, (draw // copies + 0.5) / 4)  # 1, 2 or 4 steps all divide 4
    lists = [steps(o, encoding) for o in range(4)]
    counts = torch.tensor([len(one) for one in lists])
    table = torch.zeros(4, int(counts.max()), dtype=torch.int64)
    for o, one in enumerate(lists):
        table[o, : len(one)] = one
    j = (pick * counts[samples.orbit]).long()
    return GROUP.compose(samples.g, table[samples.orbit, j]), k


@cache
def orbits() -> Orbits:
    """Enumerate all 16 signs of the noise on each orbit, and all symmetries of its pattern."""
    signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 4).view(16, 1, 2, 2)
    found = []
    for o in range(4):
        x = PATTERNS[o : o + 1].expand(16, -1, -1, -1)
        y = means()[o] + NOISE * signs
        canonical = SQUARE(GROUP.inverse(COUPLED.sample(x, y, generator=seeded("any g of the coset"))), y).double()
        gamma = SQUARE(GROUP.inverse(KERNEL.canonicalize(x[:1])), y).double()
        symmetries = KERNEL.stabilizer(KERNEL.canonical_form(x[:1]))[0].nonzero().squeeze(1)
        moved = torch.stack([SQUARE(s, gamma) for s in symmetries])
        fixed = moved.mean(0)  # the part of an answer that every symmetry fixes
        found.append(
            (
                canonical.mean(0),
                (canonical - canonical.mean(0)).square().flatten(1).sum(1).mean(),
                fixed.mean(0).square().sum(),
                (fixed - fixed.mean(0)).square().flatten(1).sum(1).mean(),
                (moved - fixed).square().flatten(2).sum(2).mean(),
            )
        )
    return Orbits(*(torch.stack(part) for part in zip(*found, strict=True)))
