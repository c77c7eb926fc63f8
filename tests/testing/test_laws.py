"""Every check of sympe.testing has broken twins, each of which must fail it for the reason that the twin is broken.

False alarms: the checks are deterministic but for the chi-square tests of `sample`, which are seeded and reject a right
sampler with probability `false_alarm` = 1e-6 for each input (and each group); with the fixed seed of these tests they
pass or fail for good.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from torch import Tensor

from sympe import testing
from sympe.actions import (
    BondAction,
    EdgeAction,
    FiniteAction,
    GridAction,
    MatrixAction,
    NodeAction,
    PermutationAction,
    RegularAction,
    TrivialAction,
)
from sympe.groups import P4M, Cyclic, Dihedral, FiniteGroup, Permutations
from sympe.kernels import HaarKernel, Kernel, OrbitKernel
from sympe.testing import (
    KernelLike,
    assert_action_laws,
    assert_equivariant,
    assert_equivariant_in_distribution,
    assert_group_laws,
)
from sympe.tolerance import Tolerance
from tests.catalogue import symmetric_generators, symmetric_inputs

# ----- broken groups -----------------------------------------------------------------------------------------------


class Broken(FiniteGroup):
    """D_4, to be broken in one place; without the dataclass machinery."""

    right: FiniteGroup = Dihedral(4)

    @property
    def order(self) -> int:
        return self.right.order

    @property
    def generators(self) -> tuple[int, ...]:
        return self.right.generators

    @property
    def layout(self) -> tuple[int, ...]:
        return self.right.layout

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        return self.right.compose(g, h)

    def inverse(self, g: Tensor) -> Tensor:
        return self.right.inverse(g)


class WrongInverse(Broken):
    def inverse(self, g: Tensor) -> Tensor:
        return g  # right for reflections and the half turn


class WrongInverseOfOne(Broken):
    def inverse(self, g: Tensor) -> Tensor:
        return torch.where(g == 3, 3, self.right.inverse(g))


class NotClosed(Broken):
    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        return g + h


class NoIdentity(Broken):
    right = Cyclic(5)

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        return (g + h + 1) % 5


class OnlyLeftIdentity(Broken):
    right = Cyclic(5)

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        return torch.broadcast_tensors(g, h)[1]  # g h = h: associative and 0 h = h


class Loop(Broken):
    """The smallest loop that is no group: identity, inverses, cancellation, but (x y) z differs from x (y z)."""

    table = torch.tensor([[0, 1, 2, 3, 4], [1, 0, 3, 4, 2], [2, 4, 0, 1, 3], [3, 2, 4, 0, 1], [4, 3, 1, 2, 0]])
    right = Cyclic(5)

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        return self.table[g, h]

    def inverse(self, g: Tensor) -> Tensor:
        return g


class ReversedProductOfLarge(Broken):
    """P4M(6), larger than the check enumerates, with one factor's sign forgotten: not associative."""

    right = P4M(6)

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        return torch.where((g % 7 == 3) & (h % 5 == 2), self.right.compose(h, g), self.right.compose(g, h))


class TooFewGenerators(Broken):
    @property
    def generators(self) -> tuple[int, ...]:
        return (2, 4)  # the half turn and a reflection: a Klein group


class NoGenerators(Broken):
    @property
    def generators(self) -> tuple[int, ...]:
        return ()


class WrongLayout(Broken):
    @property
    def layout(self) -> tuple[int, ...]:
        return (2, 5)


class WrongElements(Broken):
    def elements(self, *, device: torch.device | str | None = None) -> Tensor:
        return torch.arange(1, 9)


class BiasedSample(Broken):
    def sample(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        u = torch.rand(tuple(shape), generator=generator)
        return (self.order * u**1.3).long()


class SampleLeavesOneOut(Broken):
    def sample(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        return torch.randint(self.order - 1, tuple(shape), generator=generator)


class SampleLeavesTheGroup(Broken):
    def sample(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        return torch.randint(self.order + 1, tuple(shape), generator=generator)


class TooEvenSample(Broken):
    """Every element equally often, in order: no chance at all. Uniform, so it must *pass* (see below)."""

    def sample(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        return (torch.arange(math.prod(shape)) % self.order).view(tuple(shape))


# ----- broken groups whose elements are tensors: S_4, or S_3 -------------------------------------------------------


class WrongInversePermutation(Permutations):
    def inverse(self, g: Tensor) -> Tensor:
        return g  # right for products of disjoint swaps


class NotClosedPermutations(Permutations):
    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        return torch.minimum(*torch.broadcast_tensors(g, h))


class NoIdentityPermutations(Permutations):
    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        return super().compose(g, h).flip(-1)


class NotAssociativePermutations(Permutations):
    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        """Reversed where g sends 0 to 1 and h sends 1 to 2: neither the identity nor an inverse pair is touched."""
        here = ((g[..., :1] == 1) & (h[..., 1:2] == 2)).expand(torch.broadcast_shapes(g.shape, h.shape))
        return torch.where(here, super().compose(h, g), super().compose(g, h))


class RepeatedElements(Permutations):
    def elements(self, *, device: torch.device | str | None = None) -> Tensor:
        every = super().elements()
        return torch.cat([every[:-1], every[:1]])


class OneElementTooFew(Permutations):
    def elements(self, *, device: torch.device | str | None = None) -> Tensor:
        return super().elements()[:-1]


class CarelessShuffle(Permutations):
    """Swaps every point with one among all, not among those left: n^n draws over n! elements, some more often."""

    def sample(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        p = self.identity(shape)
        for i in range(self.degree):
            j = torch.randint(self.degree, (*shape, 1), generator=generator)
            here = p[..., i : i + 1].clone()
            p[..., i : i + 1] = p.gather(-1, j)
            p.scatter_(-1, j, here)
        return p


class OnlyCycles(Permutations):
    """Uniform on the powers of one cycle."""

    def sample(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        shift = torch.randint(self.degree, (*shape, 1), generator=generator)
        return (torch.arange(self.degree) + shift) % self.degree


class NoPermutations(Permutations):
    """Every image drawn on its own, so that two points may share one."""

    def sample(
        self,
        shape: Sequence[int] = (),
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> Tensor:
        return torch.randint(self.degree, (*shape, self.degree), generator=generator)


class WrongOrder(Permutations):
    """Applies the left one first: a group too, that of right actions, so an action must tell."""

    def compose(self, g: Tensor, h: Tensor) -> Tensor:
        return super().compose(h, g)


# ----- broken actions ----------------------------------------------------------------------------------------------


class Moved(FiniteAction):
    """The action of P4M(3) on bonds, to be broken in one place."""

    permuting = True

    def __init__(self, right: FiniteAction | None = None) -> None:
        self.right = right or BondAction(P4M(3))

    @property
    def group(self) -> FiniteGroup:
        return self.right.group

    @property
    def shape(self) -> tuple[int, ...]:
        return self.right.shape

    @property
    def permutes_entries(self) -> bool:
        return self.permuting

    def source(self, g: Tensor, entry: Tensor) -> Tensor:
        return self.right.source(g, entry)

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        return self.right(g, x)


class RightAction(Moved):
    permuting = False

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        return self.right(self.group.inverse(g), x)


class SitesLeftBehind(Moved):
    """A rotation swaps the two channels and forgets to move the sites; translations are right."""

    permuting = False

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        group = self.group
        assert isinstance(group, P4M)
        _, k, p, q = group.unpack(g)
        translation = p * group.size + q
        moved = self.right(translation, x)
        swapped = (k % 2 == 1).view(*k.shape, 1, 1, 1)
        return torch.where(swapped, moved.flip(-3), moved)


class ChannelsNotSwapped(Moved):
    """The sites move and the directions of the bonds do not turn: a left action, but not what `source` says."""

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        group = self.group
        assert isinstance(group, P4M)
        return GridAction(group, 2)(g, x)


class IdentityMoves(Moved):
    permuting = False

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        return self.right(g, x).roll(1, -1)


class Affine(Moved):
    """A left action that is not linear: about another point than zero."""

    permuting = False

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        y = torch.linspace(0, 1, self.size).view(self.shape)
        return self.right(g, x + y) - y


class Detached(Moved):
    permuting = False

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        return self.right(g, x.detach())


class WrongGradient(Moved):
    permuting = False

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        moved = self.right(g, x)
        return moved.detach() + 2 * (moved - moved.detach())


class FirstOfBatch(Moved):
    """Moves the whole batch by the first element, unless x is one."""

    permuting = False

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        return self.right(g.flatten()[0], x) if x.ndim > len(self.shape) else self.right(g, x)


class WrongSource(Moved):
    def source(self, g: Tensor, entry: Tensor) -> Tensor:
        return self.right.source(self.group.inverse(g), entry)


class WrongShape(Moved):
    permuting = False

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        return self.right(g, x).flatten(-2)


class InverseOnNodes(NodeAction):
    """(p x)[i] = x[p[i]]: g and g^-1 swapped."""

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        return super().__call__(self.group.inverse(g), x)


class InverseOnEdges(EdgeAction):
    """(p E)[i, j] = E[p[i], p[j]]: g and g^-1 swapped."""

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        return super().__call__(self.group.inverse(g), x)


class InverseOnColumns(EdgeAction):
    """Rows by g, columns by g^-1."""

    def __call__(self, g: Tensor, x: Tensor) -> Tensor:
        moved = super().__call__(g, x)
        nodes = NodeAction(self.group, self.channels)
        back = self.group.compose(self.group.inverse(g), self.group.inverse(g))
        return nodes(back.unsqueeze(-2), moved)


# ----- functions that are not equivariant --------------------------------------------------------------------------

FIELD = GridAction(P4M(4))
RAMP = torch.linspace(0, 1, 16).view(1, 4, 4)
FIELDS = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(0))


def adds_a_ramp(x: Tensor) -> Tensor:
    return x + 0.01 * RAMP


def translates(x: Tensor) -> Tensor:
    return x.roll(1, -1)  # commutes with translations, not with the point group


def marks_the_first_site(x: Tensor) -> Tensor:
    return x + (torch.arange(16).view(1, 4, 4) == 0)


def sorts_rows(x: Tensor) -> Tensor:
    return x.sort(-1).values


def gives_nan(x: Tensor) -> Tensor:
    return x.log()


def adds_the_node_before(x: Tensor) -> Tensor:
    return x + x.roll(1, -2)


def takes_the_first_edge(x: Tensor) -> Tensor:
    return x.flip(-2, -3) * 2  # commutes with the reversal of all nodes only


def zero_pads(x: Tensor) -> Tensor:
    return torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=True)


# ----- broken kernels ----------------------------------------------------------------------------------------------


class Twin(Kernel):
    """The exact kernel of P4M(3) on fields, to be broken in one place."""

    right: Kernel = OrbitKernel(GridAction(P4M(3)))

    @property
    def group(self) -> FiniteGroup:
        return self.right.group

    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return self.right.sample(x, generator=generator)

    def log_prob(self, g: Tensor, x: Tensor) -> Tensor:
        return self.right.log_prob(g, x)

    def entropy(self, x: Tensor) -> Tensor:
        return self.right.entropy(x)


class UniformLogProb(Twin):
    """Samples C(x), but says that all of G is equally likely: normalised and equivariant, and wrong."""

    haar = HaarKernel(P4M(3))

    def log_prob(self, g: Tensor, x: Tensor) -> Tensor:
        return self.haar.log_prob(g, x)

    def entropy(self, x: Tensor) -> Tensor:
        return self.haar.entropy(x)


class CosetOfTheWrongSide(Twin):
    """Says G_x instead of C(x): normalised, right entropy, not equivariant."""

    def log_prob(self, g: Tensor, x: Tensor) -> Tensor:
        assert isinstance(self.right, OrbitKernel)
        inside = self.right.stabilizer(x).gather(1, g[:, None]).squeeze(1)
        return torch.where(inside, -self.entropy(x), -math.inf)

    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        assert isinstance(self.right, OrbitKernel)
        return torch.multinomial(self.right.stabilizer(x).float(), 1, generator=generator).squeeze(1)


class InverseElements(Twin):
    """g^-1 for g: the commonest mistake of all; normalised, right entropy, samples agree, not equivariant."""

    def log_prob(self, g: Tensor, x: Tensor) -> Tensor:
        return self.right.log_prob(self.group.inverse(g), x)

    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return self.group.inverse(self.right.sample(x, generator=generator))


class Unnormalised(Twin):
    def log_prob(self, g: Tensor, x: Tensor) -> Tensor:
        return self.right.log_prob(g, x) + 0.01


class NotANumber(Twin):
    def log_prob(self, g: Tensor, x: Tensor) -> Tensor:
        return self.right.log_prob(g, x) * math.nan


class WrongEntropy(Twin):
    def entropy(self, x: Tensor) -> Tensor:
        return self.right.entropy(x) * 1.01


class BiasedDraw(Twin):
    """Of two draws, the one of smaller index: in C(x), not uniform."""

    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        draws = [self.right.sample(x, generator=generator) for _ in range(2)]
        return draws[0].minimum(draws[1])


class FirstOfCoset(Twin):
    """A deterministic canonicalizer in place of a draw, with the log_prob of the draw."""

    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        assert isinstance(self.right, OrbitKernel)
        return self.right.coset(x).to(torch.uint8).argmax(1)


class Unconjugated(FirstOfCoset):
    """A deterministic canonicalizer without Haar conjugation, with its own log_prob and entropy: not equivariant."""

    def log_prob(self, g: Tensor, x: Tensor) -> Tensor:
        return torch.where(g == self.sample(x), 0.0, -math.inf)

    def entropy(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x))


class DrawsOutsideTheSupport(Twin):
    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return self.group.sample((len(x),), generator=generator)


class DrawsOutsideTheGroup(Twin):
    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return self.right.sample(x, generator=generator) + 72 * (torch.arange(len(x)) == 0)


class OneDrawForAll(Twin):
    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return self.right.sample(x[:1], generator=generator)


class SameDrawForAll(Twin):
    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return self.right.sample(x[:1], generator=generator).expand(len(x))


class RarelyBiased(Kernel):
    """Right but for one rare orbit, which no other input shows."""

    right: Kernel = OrbitKernel(GridAction(P4M(3)))
    group = property(lambda self: self.right.group)  # type: ignore[assignment]

    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return self.right.sample(x, generator=generator)

    def log_prob(self, g: Tensor, x: Tensor) -> Tensor:
        wrong = (x.flatten(1).argmax(1) == 4) & (x.flatten(1).sum(1) == 1)
        return torch.where(wrong, HaarKernel(self.group).log_prob(g, x), self.right.log_prob(g, x))

    def entropy(self, x: Tensor) -> Tensor:
        return self.right.entropy(x)


class TwinOnNodes(Kernel):
    """Uniform over the orders of the nodes that sort x, by enumeration of S_3, to be broken in one place."""

    def __init__(self, group: Permutations | None = None) -> None:
        self.right = group or Permutations(3)

    @property
    def group(self) -> Permutations:
        return self.right

    def probabilities(self, x: Tensor) -> Tensor:
        g = self.group.elements()
        ordered = NodeAction(self.group)(self.group.inverse(g), x.unsqueeze(1)).squeeze(-1)  # g^-1 x
        support = (ordered.diff(dim=-1) >= 0).all(-1).float()
        return support / support.sum(1, keepdim=True)

    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return self.group.elements()[torch.multinomial(self.probabilities(x), 1, generator=generator).squeeze(1)]

    def log_prob(self, g: Tensor, x: Tensor) -> Tensor:
        row = (g.unsqueeze(1) == self.group.elements()).all(-1).int().argmax(1, keepdim=True)
        return self.probabilities(x).gather(1, row).squeeze(1).log()

    def entropy(self, x: Tensor) -> Tensor:
        return torch.special.entr(self.probabilities(x)).sum(1)


class InverseOrder(TwinOnNodes):
    def probabilities(self, x: Tensor) -> Tensor:
        inverse = self.group.inverse(self.group.elements())
        row = (inverse.unsqueeze(1) == self.group.elements()).all(-1).int().argmax(1)
        return super().probabilities(x)[:, row]


class StableSort(TwinOnNodes):
    """Ties by position, with the log_prob of the draw."""

    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return x.squeeze(-1).argsort(dim=-1, stable=True)


class UnsortedDraw(TwinOnNodes):
    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return self.group.sample((len(x),), generator=generator)


class NoPermutationDrawn(TwinOnNodes):
    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return super().sample(x, generator=generator).clamp(max=1)


class IndexDrawn(TwinOnNodes):
    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return super().sample(x, generator=generator)[:, 0]


def check_kernel_on_nodes(kernel: KernelLike) -> None:
    """On three equal nodes, two equal ones, and three different ones."""
    x = torch.tensor([[1.0, 1.0, 1.0], [2.0, 1.0, 2.0], [3.0, 1.0, 2.0]]).unsqueeze(-1)
    assert_equivariant_in_distribution(kernel, NodeAction(Permutations(3)), x)


def check_kernel(kernel: KernelLike, max_elements: int = 20) -> None:
    """On a constant field, stripes, one site, and a generic field; 20 of the 72 elements find every twin."""
    x = torch.zeros(4, 1, 3, 3)
    x[1, :, 1], x[2, :, 0, 2] = 1, 1
    x[3] = torch.arange(9).view(3, 3) * torch.tensor([1.0, 3.0, 2.0])
    assert_equivariant_in_distribution(kernel, GridAction(P4M(3)), x, max_elements=max_elements)


def check_function(function: Callable[[Tensor], Tensor]) -> None:
    assert_equivariant(function, FIELD, FIELD, FIELDS)


def check_nodes(function: Callable[[Tensor], Tensor]) -> None:
    nodes = NodeAction(Permutations(4), 2)
    x = torch.randn(3, *nodes.shape, generator=torch.Generator().manual_seed(0))
    assert_equivariant(function, nodes, nodes, x)


def check_edges(function: Callable[[Tensor], Tensor]) -> None:
    edges = EdgeAction(Permutations(4), 2)
    x = torch.randn(3, *edges.shape, generator=torch.Generator().manual_seed(0))
    assert_equivariant(function, edges, edges, x)


TWINS: list[tuple[Callable[..., None], Callable[[], None], str]] = [
    (assert_group_laws, lambda: assert_group_laws(WrongInverse()), "an inverse does not cancel"),
    (assert_group_laws, lambda: assert_group_laws(WrongInverseOfOne()), "an inverse does not cancel"),
    (assert_group_laws, lambda: assert_group_laws(WrongInverse(), max_elements=5), "an inverse does not cancel"),
    (assert_group_laws, lambda: assert_group_laws(NotClosed()), "a product is not an element"),
    (assert_group_laws, lambda: assert_group_laws(NoIdentity()), "e is not neutral"),
    (assert_group_laws, lambda: assert_group_laws(OnlyLeftIdentity()), "e is not neutral"),
    (assert_group_laws, lambda: assert_group_laws(Loop()), "not associative"),
    (assert_group_laws, lambda: assert_group_laws(ReversedProductOfLarge()), "not associative"),
    (assert_group_laws, lambda: assert_group_laws(TooFewGenerators()), "do not generate the group"),
    (assert_group_laws, lambda: assert_group_laws(NoGenerators()), "do not generate the group"),
    (assert_group_laws, lambda: assert_group_laws(WrongLayout()), r"layout \(2, 5\) does not hold 8 elements"),
    (assert_group_laws, lambda: assert_group_laws(WrongElements()), r"elements\(\) are not 0 .. order - 1"),
    (assert_group_laws, lambda: assert_group_laws(BiasedSample()), r"sample\(\) is not uniform"),
    (assert_group_laws, lambda: assert_group_laws(SampleLeavesOneOut()), r"sample\(\) is not uniform"),
    (assert_group_laws, lambda: assert_group_laws(SampleLeavesTheGroup()), r"sample\(\) leaves the group"),
    (assert_action_laws, lambda: assert_action_laws(RightAction()), r"differs from \(g .*\) x for some g"),
    (assert_action_laws, lambda: assert_action_laws(SitesLeftBehind()), r"differs from \(g .*\) x for some g"),
    (assert_action_laws, lambda: assert_action_laws(ChannelsNotSwapped()), r"source\(\) and the action disagree"),
    (assert_action_laws, lambda: assert_action_laws(IdentityMoves()), "the identity moves x"),
    (assert_action_laws, lambda: assert_action_laws(Affine()), "not linear in x"),
    (assert_action_laws, lambda: assert_action_laws(Detached()), "not differentiable"),
    (assert_action_laws, lambda: assert_action_laws(WrongGradient()), "the gradient in x is not the adjoint"),
    (assert_action_laws, lambda: assert_action_laws(FirstOfBatch()), "a batch is not moved element by element"),
    (assert_action_laws, lambda: assert_action_laws(WrongSource()), r"source\(\) and the action disagree"),
    (assert_action_laws, lambda: assert_action_laws(WrongShape()), "g x has shape"),
    (assert_equivariant, lambda: check_function(adds_a_ramp), r"f\(g x\) differs from g f\(x\) by .* for g = \d+"),
    (assert_equivariant, lambda: check_function(translates), r"f\(g x\) differs"),
    (assert_equivariant, lambda: check_function(marks_the_first_site), r"f\(g x\) differs"),
    (assert_equivariant, lambda: check_function(sorts_rows), r"f\(g x\) differs"),
    (assert_equivariant, lambda: check_function(zero_pads), r"f\(g x\) differs"),
    (assert_equivariant, lambda: check_function(gives_nan), r"f\(g x\) or g f\(x\) is not finite"),
    (
        assert_equivariant_in_distribution,
        lambda: check_kernel(UniformLogProb()),
        r"sample\(\) does not follow log_prob",
    ),
    (assert_equivariant_in_distribution, lambda: check_kernel(CosetOfTheWrongSide()), r"P\(hg \| hx\) = "),
    (assert_equivariant_in_distribution, lambda: check_kernel(InverseElements()), r"P\(hg \| hx\) = "),
    (assert_equivariant_in_distribution, lambda: check_kernel(Unnormalised()), "the probabilities sum to 1.01"),
    (assert_equivariant_in_distribution, lambda: check_kernel(NotANumber()), "the probabilities sum to nan"),
    (assert_equivariant_in_distribution, lambda: check_kernel(WrongEntropy()), r"entropy\(\) is off"),
    (
        assert_equivariant_in_distribution,
        lambda: check_kernel(BiasedDraw()),
        r"does not follow log_prob\(\): chi-square",
    ),
    (
        assert_equivariant_in_distribution,
        lambda: check_kernel(FirstOfCoset()),
        r"does not follow log_prob\(\): chi-square",
    ),
    (assert_equivariant_in_distribution, lambda: check_kernel(Unconjugated()), r"P\(hg \| hx\) = "),
    (assert_equivariant_in_distribution, lambda: check_kernel(DrawsOutsideTheSupport()), "an element of probability 0"),
    (
        assert_equivariant_in_distribution,
        lambda: check_kernel(DrawsOutsideTheGroup()),
        "does not give one element a row",
    ),
    (assert_equivariant_in_distribution, lambda: check_kernel(OneDrawForAll()), "does not give one element a row"),
    (assert_equivariant_in_distribution, lambda: check_kernel(SameDrawForAll()), r"does not follow log_prob\(\): chi"),
    (assert_equivariant_in_distribution, lambda: check_kernel(RarelyBiased()), r"x\[2\]: P\(hg \| hx\) = "),
    (assert_group_laws, lambda: assert_group_laws(WrongInversePermutation(4)), "an inverse does not cancel"),
    (assert_group_laws, lambda: assert_group_laws(WrongInversePermutation(6)), "an inverse does not cancel"),
    (assert_group_laws, lambda: assert_group_laws(NotClosedPermutations(4)), "a product is not an element"),
    (assert_group_laws, lambda: assert_group_laws(NoIdentityPermutations(4)), "e is not neutral"),
    (assert_group_laws, lambda: assert_group_laws(NotAssociativePermutations(4)), r"not associative: \(g \[.*\]\) h"),
    (assert_group_laws, lambda: assert_group_laws(RepeatedElements(4)), r"elements\(\) are not 24 different ones"),
    (assert_group_laws, lambda: assert_group_laws(OneElementTooFew(4)), r"elements\(\) are not 24 different ones"),
    (assert_group_laws, lambda: assert_group_laws(CarelessShuffle(4)), r"sample\(\) is not uniform: chi-square"),
    (assert_group_laws, lambda: assert_group_laws(OnlyCycles(4)), r"sample\(\) is not uniform"),
    (assert_group_laws, lambda: assert_group_laws(NoPermutations(4)), r"sample\(\) leaves the group"),
    *(
        (assert_action_laws, partial(assert_action_laws, action), r"\] x\) differs from \(g \[.*\]\) x for some g")
        for action in (
            NodeAction(WrongOrder(3)),
            EdgeAction(WrongOrder(4)),
            InverseOnNodes(Permutations(3), 2),
            InverseOnNodes(Permutations(30)),
            InverseOnEdges(Permutations(3), 2),
            InverseOnColumns(Permutations(4)),
            NodeAction(WrongInversePermutation(3)),
        )
    ),
    (assert_equivariant, lambda: check_nodes(adds_the_node_before), r"f\(g x\) differs .* for g = \[\d, "),
    (assert_equivariant, lambda: check_edges(takes_the_first_edge), r"f\(g x\) differs .* for g = \[\d, "),
    *(
        (assert_equivariant_in_distribution, partial(check_kernel_on_nodes, kernel), message)
        for kernel, message in (
            (InverseOrder(), r"x\[\d\]: P\(hg \| hx\) = .* for h = \[.*\], g = \["),
            (StableSort(), r"x\[0\]: sample\(\) does not follow log_prob"),
            (UnsortedDraw(), r"x\[1\]: .* it drew an element of probability 0"),
            (NoPermutationDrawn(), "does not give one element a row"),
            (IndexDrawn(), "does not give one element a row"),
        )
    ),
    (
        assert_equivariant_in_distribution,
        lambda: assert_equivariant_in_distribution(
            TwinOnNodes(WrongOrder(3)), NodeAction(WrongOrder(3)), torch.tensor([[[2.0], [1.0], [3.0]]])
        ),
        r"P\(hg \| hx\) = ",
    ),
    (
        assert_equivariant_in_distribution,
        lambda: assert_equivariant_in_distribution(
            HaarKernel(Cyclic(6)), RegularAction(Dihedral(3)), torch.zeros(1, 1, 2, 3)
        ),
        r"the kernel is on Cyclic\(n=6\), the action is of Dihedral\(n=3\)",
    ),
]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("check", "run", "message"), TWINS)
def test_a_broken_twin_fails_its_check(check: Callable[..., None], run: Callable[[], None], message: str) -> None:
    with pytest.raises(AssertionError, match=message) as error:
        run()
    assert check.__name__ in {entry.name for entry in error.traceback}  # by the check, not by an assert on the way


def test_every_public_check_has_a_broken_twin() -> None:
    checks = {name for name in testing.__all__ if name.startswith("assert_")}
    assert checks == {name for name in dir(testing) if name.startswith("assert_")}
    assert {check.__name__ for check, _, _ in TWINS} == checks


# ----- what is right must pass -------------------------------------------------------------------------------------


def test_the_originals_of_the_twins_pass() -> None:
    assert_group_laws(Broken())
    assert_group_laws(TooEvenSample())
    assert_action_laws(Moved())
    check_function(torch.sin)
    check_kernel(Twin(), max_elements=72)
    check_kernel(HaarKernel(P4M(3)))
    for degree in (1, 2, 3, 4):
        assert_group_laws(Permutations(degree))
        assert_group_laws(WrongOrder(degree))  # a group; its actions fail, see above
    check_nodes(lambda x: x + x.mean(-2, keepdim=True))
    check_edges(lambda x: torch.einsum("bikc,bkjc->bijc", x, x) + x.transpose(-2, -3))
    check_kernel_on_nodes(TwinOnNodes())
    check_kernel_on_nodes(HaarKernel(Permutations(3)))


def test_large_groups_are_tested_on_random_elements() -> None:
    assert_group_laws(P4M(50))
    assert_action_laws(GridAction(P4M(16)), max_elements=40)
    assert_equivariant(torch.sin, GridAction(P4M(16)), GridAction(P4M(16)), torch.randn(1, 1, 16, 16), max_elements=20)


def test_actions_of_permutations_too_many_to_list_are_tested_on_random_ones() -> None:
    nodes, edges = NodeAction(Permutations(30)), EdgeAction(Permutations(30))
    assert_action_laws(nodes, max_elements=20)
    assert_action_laws(edges, max_elements=20)
    x = torch.randn(2, *edges.shape, generator=torch.Generator().manual_seed(0))
    assert_equivariant(lambda x: x.sum(-2), edges, nodes, x, max_elements=20)
    with pytest.raises(AssertionError, match=r"f\(g x\) differs"):
        assert_equivariant(lambda x: x.cumsum(-2)[..., 0, :], edges, nodes, x, max_elements=20)


@pytest.mark.parametrize(
    "check",
    [
        lambda group: assert_group_laws(group),
        lambda group: assert_equivariant_in_distribution(HaarKernel(group), NodeAction(group), torch.zeros(1, 20, 1)),
    ],
)
def test_counting_checks_need_a_group_that_can_be_listed(check: Callable[[Permutations], None]) -> None:
    with pytest.raises(ValueError, match="degree: expected at most 8 to list all elements, got 20"):
        check(Permutations(20))


def test_an_action_between_different_spaces_is_checked_on_the_output() -> None:
    group = P4M(4)
    lift = lambda x: x.unsqueeze(2).expand(-1, -1, 8, -1, -1)  # noqa: E731  the field on every point element
    with pytest.raises(AssertionError, match=r"f\(g x\) differs"):
        assert_equivariant(lambda x: lift(x) * torch.arange(8).view(8, 1, 1), FIELD, RegularAction(group), FIELDS)
    signs = MatrixAction(Cyclic(2), torch.tensor([1.0, -1.0]).view(2, 1, 1))
    points = PermutationAction(Cyclic(2), torch.tensor([[0, 1], [1, 0]]))
    assert_equivariant(lambda x: torch.stack([x, -x], -1).view(-1, 1, 2), signs, points, torch.randn(5, 1))
    with pytest.raises(AssertionError, match=r"f\(g x\) differs"):
        assert_equivariant(lambda x: torch.stack([x, x], -1).view(-1, 1, 2), signs, points, torch.randn(5, 1))


def test_the_tolerance_of_equivariance_is_relative() -> None:
    off = lambda x: x + 1e-3 * RAMP  # noqa: E731
    largest = float((FIELDS + RAMP).abs().max())
    assert_equivariant(off, FIELD, FIELD, FIELDS, tolerance=2e-3)
    assert_equivariant(off, FIELD, FIELD, FIELDS, tolerance=Tolerance(0.0, 1e-3 * largest))
    with pytest.raises(AssertionError, match=r"f\(g x\) differs"):
        assert_equivariant(off, FIELD, FIELD, FIELDS, tolerance=1e-4)


@pytest.mark.parametrize("scale", [1e-5, 1.0, 1e5])
def test_the_size_of_the_outputs_does_not_decide(scale: float) -> None:
    """A convolution with zeros for padding is no more equivariant for being small, nor a circular one less for size."""
    convolution = torch.nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular", bias=False)
    kernel = torch.tensor([[0.1, 0.3, 0.1], [0.3, 0.7, 0.3], [0.1, 0.3, 0.1]])
    convolution.weight.data = kernel.view(1, 1, 3, 3)
    assert_equivariant(lambda x: scale * convolution(x), FIELD, FIELD, FIELDS)
    padded = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False)
    padded.weight.data = kernel.view(1, 1, 3, 3)
    with pytest.raises(AssertionError, match=r"f\(g x\) differs"):
        assert_equivariant(lambda x: scale * padded(x), FIELD, FIELD, FIELDS)


def test_a_large_channel_does_not_hide_a_violation_in_another() -> None:
    two = GridAction(P4M(4), 2)
    beside = lambda x: torch.cat([torch.full_like(x, 2e4), x + RAMP], 1)  # noqa: E731
    with pytest.raises(
        AssertionError, match=r"f\(g x\) differs .* in an entry of which the largest is [0-9]\.?[0-9]*$"
    ):
        assert_equivariant(beside, FIELD, two, FIELDS)
    assert_equivariant(lambda x: torch.cat([torch.full_like(x, 2e4), x], 1), FIELD, two, FIELDS)


def test_outputs_too_small_to_be_told_apart_are_said() -> None:
    with pytest.warns(UserWarning, match="function: there are inputs whose entries"):
        assert_equivariant(lambda x: 1e-8 * (x + RAMP), FIELD, FIELD, FIELDS)
    with pytest.raises(AssertionError, match=r"f\(g x\) differs"):
        assert_equivariant(lambda x: 1e-8 * (x + RAMP), FIELD, FIELD, FIELDS, tolerance=Tolerance(1e-4, 0.0))


@pytest.mark.parametrize(
    "check",
    [
        lambda x: assert_equivariant(torch.sin, FIELD, FIELD, x),
        lambda x: assert_equivariant_in_distribution(HaarKernel(P4M(4)), FIELD, x),
    ],
)
def test_a_check_of_nothing_is_an_error(check: Callable[[Tensor], None]) -> None:
    with pytest.raises(ValueError, match="x: expected at least one input, got an empty batch"):
        check(torch.zeros(0, 1, 4, 4))


def test_the_checks_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    assert_group_laws(Dihedral(5))
    assert_action_laws(FIELD)
    check_function(torch.sin)
    check_kernel(Twin())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("seed", range(30))
def test_a_right_sampler_passes_with_other_seeds(seed: int) -> None:
    # 30 seeds, 4 inputs each and one group: a false alarm with probability below 2e-4, once and for all
    action = PermutationAction.generate(symmetric_generators(3))
    assert_equivariant_in_distribution(OrbitKernel(action), action, symmetric_inputs(action)[:4], seed=seed)
    assert_group_laws(Cyclic(6), seed=seed)


def test_a_small_bias_is_found_with_enough_draws() -> None:
    """Power: heads with probability 0.55 and 4,000 draws give a chi-square statistic near 40, the threshold is 24."""
    swap = PermutationAction.generate([[1, 0]])

    class Coin(Kernel):
        group = property(lambda self: swap.group)  # type: ignore[assignment]

        def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
            return (torch.rand(len(x), generator=generator) < 0.55).long()

        def log_prob(self, g: Tensor, x: Tensor) -> Tensor:
            return torch.full((len(g),), math.log(0.5))

        def entropy(self, x: Tensor) -> Tensor:
            return torch.full((len(x),), math.log(2))

    x = torch.zeros(1, 1, 2)
    with pytest.raises(AssertionError, match="does not follow log_prob"):
        assert_equivariant_in_distribution(Coin(), swap, x, draws=4000)
    assert_equivariant_in_distribution(Coin(), swap, x, draws=100)  # too few to tell: the check is no oracle


class _FirstTie(OrbitKernel):
    """Right probabilities, but always the first element of the coset."""

    def sample(self, x, *, generator=None):
        return self.coset(x).int().argmax(1)


@pytest.mark.parametrize("size", [8, pytest.param(10, marks=pytest.mark.slow)])
def test_sampling_is_tested_on_supports_larger_than_the_default_number_of_draws_can_fill(size: int) -> None:
    group = P4M(size)
    action = GridAction(group)
    x = torch.zeros(1, 1, size, size)  # all of the group: 512 and 800 elements
    assert_equivariant_in_distribution(OrbitKernel(action), action, x, max_elements=1)
    with pytest.raises(AssertionError, match="does not follow"):
        assert_equivariant_in_distribution(_FirstTie(action), action, x, max_elements=1)


class _Rare:
    """The place of the maximum with probability 1 - p, else the other; ``drawn`` is the share that is really drawn."""

    def __init__(self, p: float, drawn: float) -> None:
        self.group, self.p, self.drawn = Cyclic(2), p, drawn

    def sample(self, x, *, generator=None):
        other = (torch.rand(len(x), generator=generator) < self.drawn).long()
        return (x.flatten(1).argmax(1) + other) % 2

    def log_prob(self, g, x):
        return torch.tensor([1 - self.p, self.p])[(g - x.flatten(1).argmax(1)) % 2].log()

    def entropy(self, x):
        return torch.special.entr(torch.tensor([1 - self.p, self.p])).sum().expand(len(x))


def test_rare_elements_raise_no_false_alarm_and_too_many_of_them_do() -> None:
    action, x = RegularAction(Cyclic(2)), torch.tensor([[[1.0, 0.0]]])
    for seed in range(200):  # at p = 1e-5 two draws of 2,000 come once in 5,000 seeds; false alarms are below 1e-6
        assert_equivariant_in_distribution(_Rare(1e-5, 1e-5), action, x, seed=seed)
    with pytest.raises(AssertionError, match="rare draws where"):
        assert_equivariant_in_distribution(_Rare(1e-5, 0.01), action, x)


def test_large_groups_are_tested_on_elements_that_the_group_did_not_choose() -> None:
    class Lazy(P4M):
        def sample(self, shape=(), *, generator=None, device=None):
            return torch.zeros(tuple(shape), dtype=torch.int64)

    class Stuck(Lazy):
        def inverse(self, g):
            return g

    class Few(P4M):
        @property
        def generators(self):
            return (1,)

    assert_group_laws(P4M(6))
    for twin, message in ((Lazy(6), "sample"), (Stuck(6), "inverse"), (Few(6), "do not generate")):
        with pytest.raises(AssertionError, match=message):
            assert_group_laws(twin)


def test_equivariance_needs_one_group() -> None:
    with pytest.raises(AssertionError, match="actions of"):
        assert_equivariant(
            lambda x: x.sum((1, 2))[:, None],
            RegularAction(Cyclic(8)),
            TrivialAction(Dihedral(4), (1,)),
            torch.randn(2, 1, 8, generator=torch.Generator().manual_seed(0)),
        )
