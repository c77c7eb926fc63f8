r"""A test of equivariance in distribution for any random model that can be asked for samples.

A random model Y | X is equivariant in distribution if, for every element g and input x,

.. math:: g^{-1} Y(g x) \overset{d}{=} Y(x) .

For every pair of an input and an element, ``samples`` outcomes on the left are compared with as many new ones on the
right. If the law holds, the two lots of a pair are exchangeable, so their labels can be permuted. With signs
:math:`s \in \{1, -1\}^{2n}`, half of each, the statistic is the squared maximum mean discrepancy of the two lots,

.. math:: T_k(s) = \tfrac{1}{n^2} \sum_{ij} s_i s_j\, k(y_i, y_j),

for a few kernels k: whether two outcomes are the same, and for floats also Gaussians whose widths are the median
distance and a fifth of it. T is standardised by its mean and deviation over the permutations, and the largest over
the kernels is the statistic of the pair. The same permutations serve all pairs, and step-down maxima over the pairs
adjust for their number (Westfall & Young). With the labels as they are among the permutations, and pairs that share no
samples, this holds *exactly, for any number of samples*: a model that is equivariant (up to ``tolerance``) is rejected
with a probability of at most ``level``, and so is any pair where it is equivariant beside others where it is not.

Not to be rejected is no proof: a difference may be too small for the samples, or at an input that was not tried. Try
symmetric inputs, for there symmetry breaking goes wrong. The rows of a batch, and the calls, have to be independent
draws: put batch norms in evaluation mode, and do not test a model that draws one g for a whole batch.

References:
    Gretton et al., "A kernel two-sample test", JMLR 2012. Chiu, Sharp and Bloem-Reddy, "Non-parametric hypothesis tests
    for distributional group symmetry", 2024: randomization tests of such laws from data. Westfall and Young,
    "Resampling-based multiple testing", 1993: step-down maxima.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int8, Int64, Shaped
from torch import Tensor

from sympe.groups import FiniteGroup, Group
from sympe.randomness import draw_numbers
from sympe.tolerance import Tolerance

_WIDTHS = (1.0, 0.2)
"""Of the Gaussians, in median distances."""

_MOVES = 4
"""So often all outcomes of a comparison are moved by random elements, to learn the scale of each entry."""

_SLACK = 1e-5
"""Standardised statistics that differ by less are tied: rounding must not rank them. Ties count against rejection."""


@runtime_checkable
class Selectable(Protocol):
    """A batch of inputs that is no tensor, such as :class:`~sympe.graphs.DenseGraphs`."""

    @property
    def device(self) -> torch.device:
        """Where it is."""

    def __len__(self) -> int:
        """The number of inputs."""

    def select(self, index: Tensor) -> Any:
        """The inputs at the given places, in that order."""


@dataclass(frozen=True)
class EquivarianceTest:
    """What :func:`equivariance_test` found.

    Arguments:
        p_values: of every input (row) and element (column), adjusted for their number.
        elements: the elements that were tried.
        samples: outcomes on each side of a comparison.
        level: the probability of rejecting an equivariant model, at most.
        gaps: outcomes that differ by no more in every entry were taken for the same; the least and the largest of these
            over the entries, 0 for integers.
    """

    p_values: Float[Tensor, "inputs tried"]
    elements: Shaped[Tensor, "tried ..."]
    samples: int
    level: float
    gaps: tuple[float, float]

    def __repr__(self) -> str:
        count = f"{len(self.p_values)} inputs x {len(self.elements)} elements, {self.samples} samples on each side"
        what = "failed" if self.rejected else "passed"
        return f"EquivarianceTest({what}: p = {self.p_value:.3g}, {count}, false alarms at most {self.level:g})"

    @property
    def p_value(self) -> float:
        """Of the model: the least of all."""
        return float(self.p_values.min())

    @property
    def rejected(self) -> bool:
        """Whether the model is not equivariant, as far as the level goes."""
        return self.p_value <= self.level

    @property
    def verdict(self) -> str:
        """In plain words."""
        count = (
            f"{len(self.p_values)} inputs and {len(self.elements)} elements, {self.samples} samples on each side, "
            f"whose entries are the same up to {' to '.join(f'{gap:.2g}' for gap in sorted(set(self.gaps)))}"
        )
        if not self.rejected:
            return (
                f"Not rejected: over {count}, no difference between g^-1 Y(gx) and Y(x) was seen "
                f"(p = {self.p_value:.3g}, level {self.level:g}). Smaller ones and other inputs are not excluded."
            )
        wrong = self.p_values <= self.level
        row, column = divmod(int(self.p_values.argmin()), len(self.elements))
        return (
            f"Not equivariant: over {count}, g^-1 Y(gx) and Y(x) have different laws in {int(wrong.sum())} of "
            f"{wrong.numel()} comparisons (p = {self.p_value:.3g}, level {self.level:g}), such as for input {row} "
            f"and g = {self.elements[column].tolist()}."
        )


@torch.no_grad()
def equivariance_test(
    model: Callable[..., Any],
    group: Group,
    move_input: Callable[[Tensor, Any], Any],
    move_output: Callable[[Tensor, Any], Any],
    x: Tensor | Selectable,
    *,
    max_elements: int = 8,
    samples: int = 100,
    permutations: int = 1999,
    level: float = 1e-3,
    tolerance: float | Tolerance = 1e-4,
    generator: torch.Generator | None = None,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> EquivarianceTest:
    """Test whether a random model is equivariant in distribution, by its samples alone.

    Arguments:
        model: ``model(x, generator=generator)`` draws one outcome for every input of a batch: a tensor, or a tuple of
            tensors. Deterministic models are taken, too.
        group: the group.
        move_input: ``move_input(g, x)``, one element for every input; an :class:`~sympe.actions.Action`, for example.
        move_output: the same on outcomes.
        x: the inputs, each of which is tried with every element.
        max_elements: try so many different elements, random ones if the group is larger; never the identity.
        samples: outcomes on each side of a comparison. The model is called twice for each pair of an input and an
            element, with a batch of this size.
        permutations: of the labels; the least p-value is 1 / (permutations + 1).
        level: the probability of rejecting an equivariant model, at most.
        tolerance: outcomes that differ by no more in any entry are the same, for moving x first and last rounds
            differently: relative to the largest outcome that random elements bring to that entry, so channels that the
            group does not mix are compared each on its own scale (:mod:`sympe.tolerance`). Integers are compared
            exactly.
        generator: draws everything, and is handed to the model; seed it for a test that passes or fails for good.
        progress: wraps the numbers of the inputs, such as tqdm.

    Raises:
        ValueError: if there are no inputs or no elements to try, a number is out of range, a p-value cannot reach the
            level with so few samples or permutations, or the model does not give one finite outcome for every input.

    Example:
        Which of two equal maxima? Drawn at random, the answer is equivariant; always the first is not.

        >>> import torch
        >>> from sympe.actions import RegularAction
        >>> from sympe.groups import Cyclic
        >>> from sympe.kernels import OrbitKernel
        >>> group, x = Cyclic(4), torch.tensor([[[1.0, 0.0, 1.0, 0.0]]])
        >>> kernel, generator = OrbitKernel(RegularAction(group)), torch.Generator().manual_seed(0)
        >>> moves = RegularAction(group), group.compose
        >>> equivariance_test(kernel.sample, group, *moves, x, generator=generator).rejected
        False
        >>> def first(x, generator):
        ...     return kernel.canonicalize(x)
        >>> equivariance_test(first, group, *moves, x, generator=generator).rejected
        True
    """
    _check(x, max_elements, samples, permutations, level)
    tolerance = Tolerance.of(tolerance)
    g = _elements(group, max_elements, generator).to(x.device)
    signs = _signs(samples, permutations, generator)
    columns, gaps = [], []
    for row in progress(range(len(x))):
        rows = torch.full((samples,), row, device=x.device)
        copies = x[rows] if isinstance(x, Tensor) else x.select(rows)
        for element in g:
            there = element.expand(samples, *group.element_shape)
            back = group.inverse(element).expand_as(there)
            left = model(copies, generator=generator)
            first, whole = _outcomes(left, samples)
            right = model(move_input(there, copies), generator=generator)
            y = torch.cat([first, _outcomes(move_output(back, right), samples)[0]])
            largest = y.abs().amax(0).double()
            for outcomes in (left, right) * (0 if bool(whole.all()) else _MOVES):
                h = group.sample((samples,), generator=generator).to(x.device)
                largest = torch.maximum(largest, _outcomes(move_output(h, outcomes), samples)[0].abs().amax(0))
            gap = torch.where(whole, 0, tolerance.gap(largest))
            tolerance.check_units("model", torch.where(whole, 0, largest))
            gaps.append(gap)
            columns.append(_statistic(y, largest, gap, signs))
    p = step_down(torch.stack(columns, 1))
    every = torch.stack(gaps) if gaps[0].numel() else torch.zeros(1)
    return EquivarianceTest(p.view(len(x), len(g)), g, samples, level, (float(every.min()), float(every.max())))


def step_down(statistics: Float[Tensor, "permutations tests"]) -> Float[Tensor, " tests"]:
    """P-values from step-down maxima, where the first row is what was seen and large values speak against a test.

    Example:
        >>> step_down(torch.tensor([[3.0, 1.0], [0.0, 2.0], [1.0, 0.0], [2.0, 0.0]]))
        tensor([0.2500, 0.5000], dtype=torch.float64)
    """
    order = statistics[0].argsort(descending=True, stable=True)
    largest = statistics[:, order].flip(1).cummax(1).values.flip(1)  # over this and all lesser ones
    p = (largest >= largest[0] - _SLACK).double().mean(0)
    adjusted = torch.empty_like(p)
    adjusted[order] = p.cummax(0).values
    return adjusted


def _statistic(
    y: Float[Tensor, "both size"] | Int64[Tensor, "both size"],
    largest: Float[Tensor, " size"],
    gap: Float[Tensor, " size"],
    signs: Int8[Tensor, "permutations both"],
) -> Float[Tensor, " permutations"]:
    """The largest standardised T over the kernels, for each row of signs; 0 for kernels that tell nothing apart.

    Outcomes are the same where no entry differs by more than its ``gap``; distances are on the scale of ``largest``.
    """
    exact = gap == 0
    same = (y[:, None, exact] == y[:, exact]).all(2)
    kernels = [same]
    if y.is_floating_point():
        near = y[:, ~exact] / gap[~exact]
        same &= torch.cdist(near, near, p=torch.inf) <= 1
        y = y / largest.clamp(min=torch.finfo(y.dtype).tiny)  # squares of the distances are in range then
        distance = torch.cdist(y, y, compute_mode="donot_use_mm_for_euclid_dist").masked_fill(same, 0)
        if bool((~same).any()):
            median = distance[~same].median()
            kernels += [(-0.5 * (distance / (width * median)).square()).exp() for width in _WIDTHS]
    s, found = signs.double(), []
    for kernel in kernels:
        T = ((s @ kernel.double()) * s).sum(1)
        T = T - T.mean()
        deviation = T.std()
        found.append(T / deviation if deviation > 1e-9 * len(y) ** 2 else torch.zeros_like(T))  # not of rounding alone
    return torch.stack(found).amax(0)


def _signs(samples: int, permutations: int, generator: torch.Generator | None) -> Int8[Tensor, "permutations both"]:
    """1 for the left and -1 for the right outcomes; as they are in the first row, then permuted."""
    start = torch.tensor([1, -1], dtype=torch.int8).repeat_interleave(samples)
    shape = (permutations, 2 * samples)
    keys = draw_numbers(torch.rand, shape, generator=generator, device="cpu", dtype=torch.float64)
    return torch.cat([start[None], start[keys.argsort(1)]])


def _elements(group: Group, count: int, generator: torch.Generator | None) -> Shaped[Tensor, "tried ..."]:
    """Different elements, never the identity: all of them, or so many random ones."""
    if group.order == 1:
        raise ValueError(f"group: expected an element besides the identity, got {group!r}")
    if isinstance(group, FiniteGroup):
        device = None if generator is None else generator.device
        return 1 + draw_numbers(torch.randperm, group.order - 1, generator=generator, device=device)[:count]
    if group.order <= 100 * count:
        g = group.elements()[draw_numbers(torch.randperm, int(group.order), generator=generator, device="cpu")]
    else:
        g = group.sample((4 * count,), generator=generator)
    rows = [tuple(row) for row in g.flatten(1).tolist()]
    identity = tuple(group.identity().flatten().tolist())
    first = [number for number, row in enumerate(rows) if row != identity and row not in rows[:number]]
    return g[first[:count]]


def _outcomes(y: Any, samples: int) -> tuple[Tensor, Tensor]:
    """One row an outcome, on the CPU, and which entries are integers; all others are in double precision."""
    parts: Sequence[Tensor] = (y,) if isinstance(y, Tensor) else tuple(y)
    for part in parts:
        if len(part) != samples:
            raise ValueError(f"model: expected one outcome for each of {samples} inputs, got shape {tuple(part.shape)}")
    real = [torch.view_as_real(part) if part.is_complex() else part for part in parts]
    flat = [part.detach().reshape(samples, -1).cpu() for part in real]
    whole = torch.cat([torch.full(part.shape[1:], not part.is_floating_point()) for part in flat])
    if not bool(whole.all()):
        flat = [part.double() for part in flat]
    joined = torch.cat(flat, 1)
    if joined.is_floating_point() and not bool(joined.isfinite().all()):
        raise ValueError("model: expected finite outcomes, got NaN or infinity")
    return (joined if joined.is_floating_point() else joined.long()), whole


def _check(x: Tensor | Selectable, max_elements: int, samples: int, permutations: int, level: float) -> None:
    if len(x) == 0:
        raise ValueError("x: expected at least one input, got an empty batch")
    for name, value, least in (
        ("max_elements", max_elements, 1),
        ("samples", samples, 2),
        ("permutations", permutations, 1),
    ):
        if value < least:
            raise ValueError(f"{name}: expected at least {least}, got {value}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a probability between 0 and 1, got {level}")
    if (permutations + 1) * level < 1:
        least = math.ceil(1 / level) - 1
        raise ValueError(f"permutations: expected at least {least} for the level {level}, got {permutations}")
    if 2 / math.comb(2 * samples, samples) > level:
        raise ValueError(f"samples: expected more for the level {level}, which no labelling reaches; got {samples}")
