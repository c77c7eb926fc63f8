r"""Exact checks of the laws of groups, actions and equivariant functions, and of kernels through ``log_prob``.

Each check raises an ``AssertionError`` that says which law fails for which elements, and returns ``None`` otherwise.
The checks are exact up to ``max_elements`` elements; larger groups are tested on that many seeded random ones. Where
elements are counted, they are told apart by their row in ``group.elements()``, so a group of tensors
(:class:`~sympe.groups.Permutations`) has to be small enough to list them. A kernel is anything with ``group``,
``sample``, ``log_prob`` and ``entropy`` (:class:`KernelLike`).

A kernel is *equivariant in distribution* if :math:`\kappa(hg \mid hx) = \kappa(g \mid x)` for all g, h. That is
checked by enumeration through ``log_prob``; ``sample`` is then held against :math:`\exp(\texttt{log\_prob})` by a
seeded chi-square test that raises a false alarm with probability ``false_alarm`` for each x.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from sympe.actions import Action, FiniteAction
from sympe.groups import (
    DirectProduct,
    FiniteGroup,
    Group,
    Isometries,
    Orthogonal,
    SpecialOrthogonal,
    generated_subgroup,
)
from sympe.tolerance import Tolerance


@runtime_checkable
class KernelLike(Protocol):
    """What :func:`assert_equivariant_in_distribution` needs of a kernel."""

    @property
    def group(self) -> Group:
        """The group that g belongs to."""

    def sample(self, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw one element for every x."""

    def log_prob(self, g: Tensor, x: Tensor) -> Tensor:
        """The log-probability of ``g`` given ``x``."""

    def entropy(self, x: Tensor) -> Tensor:
        """The entropy of g given ``x``."""


def assert_group_laws(group: Group, *, max_elements: int = 200, seed: int = 0, false_alarm: float = 1e-6) -> None:
    """Check that ``group`` is a group, that its generators (if it has any) generate it, and that ``sample`` is uniform.

    Up to ``max_elements`` elements, closure, identity, inverses and associativity are checked for all of them, else for
    ``max_elements`` seeded random ones (all triples of the first 50 of them). Those of a continuous group are compared
    up to rounding, and its Haar samples by chi-square tests of whether h u and u h have the law of u, number by number;
    where there is no Haar distribution, ``sample`` has to say so.

    Raises:
        AssertionError: at the first law that fails.

    Example:
        >>> from sympe.groups import Dihedral
        >>> assert_group_laws(Dihedral(5))
    """
    if group.is_continuous:
        _assert_continuous_laws(group, max_elements, seed, false_alarm)
        return
    order = int(group.order)
    g = _some_elements(group, max_elements, seed)
    e = group.identity()
    listed = _index(group, group.elements())
    if isinstance(group, FiniteGroup):
        _require(torch.equal(listed, torch.arange(group.order)), "elements() are not 0 .. order - 1")
        _require(math.prod(group.layout) == group.order, f"layout {group.layout} does not hold {group.order} elements")
    else:
        _require(torch.equal(listed, torch.arange(order)), f"elements() are not {order} different ones")
    _require(bool((_index(group, group.compose(g[:, None], g)) >= 0).all()), "a product is not an element")
    _require(torch.equal(group.compose(g, e), g) and torch.equal(group.compose(e, g), g), "e is not neutral")
    inverse = group.inverse(g)
    for left, right in ((g, inverse), (inverse, g)):
        _require(bool((group.compose(left, right) == e).all()), "an inverse does not cancel")
    some = g if group.order <= max_elements else g[:50]
    for a in some:
        one = group.compose(group.compose(some[:, None], a), some)
        two = group.compose(some[:, None], group.compose(a, some))
        _require(torch.equal(one, two), f"not associative: (g {a.tolist()}) h differs from g ({a.tolist()} h)")
    if isinstance(group, FiniteGroup):
        _require(
            len(generated_subgroup(group, group.generators)) == group.order,
            f"the generators {group.generators} do not generate the group",
        )
    draws = group.sample((max(2000, 10 * order),), generator=torch.Generator().manual_seed(seed))
    rows = _index(group, draws)
    _require(bool((rows >= 0).all()), "sample() leaves the group")
    counts = rows.bincount(minlength=order)
    require_fit(counts, torch.full((order,), 1 / order), false_alarm, "sample() is not uniform")


def assert_action_laws(
    action: Action, *, max_elements: int = 200, seed: int = 0, tolerance: float | Tolerance = 1e-4
) -> None:
    """Check that ``action`` is a linear or affine left action, differentiable in x, and fits ``source``, if any.

    Entries are compared up to ``tolerance`` of the largest that any g brings to their place.

    Raises:
        AssertionError: at the first law that fails.

    Example:
        >>> from sympe.actions import BondAction
        >>> from sympe.groups import P4M
        >>> assert_action_laws(BondAction(P4M(3)))
    """
    group = action.group
    generator = torch.Generator().manual_seed(seed)
    g = _some_elements(group, max_elements, seed)
    x, y = torch.randn(2, *action.shape, generator=generator)
    gx = action(g, x)
    _require(gx.shape == (len(g), *action.shape), f"g x has shape {tuple(gx.shape)}")
    close = _Scale(gx, tolerance)
    _require(close(action(group.identity(), x), x), "the identity moves x")
    for h in g[:: max(1, len(g) // 50)]:
        one, two = action(g, action(h, x)), action(group.compose(g, h), x)
        _require(close(one, two), f"g ({h.tolist()} x) differs from (g {h.tolist()}) x for some g")
    zero = action(g, torch.zeros_like(x))
    shifted = any(part.translates for part in _factors(group) if isinstance(part, Isometries))
    _require(shifted or close(zero, torch.zeros_like(zero)), "not linear in x: it moves 0")
    one, two = action(g, 2 * x - 3 * y) - zero, 2 * (gx - zero) - 3 * (action(g, y) - zero)
    _require(close(one, two, 10.0), "not linear in x")
    batch = torch.randn(len(g), *action.shape, generator=generator)
    one_by_one = torch.stack([action(a, b) for a, b in zip(g, batch, strict=True)])
    _require(close(action(g, batch), one_by_one), "a batch is not moved element by element")
    leaf = x.clone().requires_grad_()
    weight = torch.randn(action.shape, generator=generator)
    moved = action(g[-1], leaf)
    _require(moved.requires_grad, "not differentiable: g x passes no gradient to x")
    (gradient,) = torch.autograd.grad((moved * weight).sum(), leaf)
    _require(
        math.isclose(
            float((gradient * y).sum()), float(((action(g[-1], y) - zero[-1]) * weight).sum()), rel_tol=0, abs_tol=1e-2
        ),
        "the gradient in x is not the adjoint of the action",
    )
    if isinstance(action, FiniteAction) and action.permutes_entries:
        source = action.source(g[:, None], torch.arange(action.size))
        _require(torch.equal(gx.flatten(1), x.flatten()[source]), "source() and the action disagree")


def assert_equivariant(
    function: Callable[[Tensor], Tensor],
    action_in: Action,
    action_out: Action,
    x: Shaped[Tensor, "batch ..."],
    *,
    max_elements: int = 200,
    seed: int = 0,
    tolerance: float | Tolerance = 1e-4,
) -> None:
    r"""Check that :math:`f(gx) = g f(x)` for every g (or ``max_elements`` random ones) and every x of the batch.

    ``function`` must be deterministic. Its outputs are compared entry by entry, up to ``tolerance`` of the largest
    output that any x and g bring to the place (:mod:`sympe.tolerance`): so channels that the group does not mix are
    compared each on its own scale, and a function is as equivariant as the same function times 1e5.

    Raises:
        AssertionError: names the element, the size of the violation and the scale.
        ValueError: if the batch is empty.

    Example:
        >>> import torch
        >>> from sympe.actions import GridAction
        >>> from sympe.groups import P4M
        >>> fields = GridAction(P4M(4))
        >>> assert_equivariant(torch.relu, fields, fields, torch.randn(2, 1, 4, 4))
    """
    _check_not_empty(x)
    _require(action_in.group == action_out.group, f"actions of {action_in.group!r} and of {action_out.group!r}")
    with torch.no_grad():
        y = function(x)
        elements = _some_elements(action_in.group, max_elements, seed)
        largest, worst = torch.zeros(2, *y.shape[1:], dtype=y.dtype, device=y.device)
        where = torch.zeros(y.shape[1:], dtype=torch.int64, device=y.device)
        for number, g in enumerate(elements):
            there, moved = function(action_in(g, x)), action_out(g, y)
            error = (there - moved).abs().amax(0)
            _require(bool(error.isfinite().all()), f"f(g x) or g f(x) is not finite for g = {g.tolist()}")
            where = torch.where(error > worst, number, where)
            worst = torch.maximum(worst, error)
            largest = torch.maximum(largest, torch.maximum(there.abs(), moved.abs()).amax(0))
        gap = Tolerance.of(tolerance)
        gap.check_units("function", largest)
        wrong = worst > gap.gap(largest)
        if bool(wrong.any()):
            entry = int((worst / largest).masked_fill(~wrong, -1).argmax())
            g = elements[int(where.flatten()[entry])]
            raise AssertionError(
                f"f(g x) differs from g f(x) by {float(worst.flatten()[entry]):.3g} for g = {g.tolist()}, in an entry "
                f"of which the largest is {float(largest.flatten()[entry]):.3g}"
            )


def assert_equivariant_in_distribution(
    kernel: KernelLike,
    action: Action,
    x: Shaped[Tensor, "batch ..."],
    *,
    max_elements: int = 200,
    draws: int = 2000,
    seed: int = 0,
    tolerance: float | Tolerance = 1e-5,
    false_alarm: float = 1e-6,
) -> None:
    r"""Check that a kernel is equivariant in distribution, normalised, and samples what its ``log_prob`` says.

    Exactly, by enumeration of every g, for each x and every h (or ``max_elements`` random ones):
    :math:`\kappa(hg \mid hx) = \kappa(g \mid x)` up to ``tolerance`` of the largest probability of x,
    :math:`\sum_g \kappa(g \mid x) = 1`, and the entropy. Then ``draws``
    samples (at least ten for each element of the support) of each x are held against the probabilities by a
    chi-square test; one that the kernel says is impossible fails at once.

    Raises:
        AssertionError: names the input, the element and the violation.
        ValueError: if the batch is empty.

    Example:
        >>> import torch
        >>> from sympe.actions import GridAction
        >>> from sympe.groups import P4M
        >>> from sympe.kernels import OrbitKernel
        >>> fields = GridAction(P4M(2))
        >>> assert_equivariant_in_distribution(OrbitKernel(fields), fields, torch.eye(2).expand(1, 1, 2, 2))
    """
    _check_not_empty(x)
    group = kernel.group
    _require(group == action.group, f"the kernel is on {group!r}, the action is of {action.group!r}")
    every, order = group.elements(), int(group.order)
    generator = torch.Generator().manual_seed(seed)
    gap = Tolerance.of(tolerance)
    with torch.no_grad():
        p = _probabilities(kernel, x)
        for row, total in enumerate(p.sum(1).tolist()):
            _require(
                abs(total - 1) <= max(gap.relative, gap.absolute), f"x[{row}]: the probabilities sum to {total:.6g}"
            )
        entropy = torch.special.entr(p).sum(1)
        error = (kernel.entropy(x).to(entropy) - entropy).abs()
        _require(
            bool((error <= 10 * gap.gap(entropy.clamp(min=1))).all()), f"entropy() is off by {error.tolist()} nats"
        )
        for h in _some_elements(group, max_elements, seed):
            moved = _probabilities(kernel, action(h, x))[:, _index(group, group.compose(h, every))]
            row, g = divmod(int((moved - p).abs().argmax()), order)
            _require(
                abs(float(moved[row, g] - p[row, g])) <= float(gap.gap(p[row].amax())),
                f"x[{row}]: P(hg | hx) = {float(moved[row, g]):.6g} but P(g | x) = {float(p[row, g]):.6g} "
                f"for h = {h.tolist()}, g = {every[g].tolist()}",
            )
        for row, one in enumerate(x):
            enough = max(draws, 10 * int((p[row] > 1e-9).sum()))  # so that a uniform law fills every cell
            drawn = kernel.sample(one.expand(enough, *one.shape), generator=generator)
            _require(
                drawn.shape == (enough, *group.element_shape) and bool((_index(group, drawn) >= 0).all()),
                f"x[{row}]: sample() does not give one element a row",
            )
            message = f"x[{row}]: sample() does not follow log_prob()"
            require_fit(_index(group, drawn).bincount(minlength=order), p[row], false_alarm, message)


def _probabilities(kernel: KernelLike, x: Tensor) -> Float[Tensor, "batch order"]:
    every = kernel.group.elements()
    pairs = x.unsqueeze(1).expand(-1, len(every), *x.shape[1:]).flatten(0, 1)
    repeated = every.repeat(len(x), *(1 for _ in kernel.group.element_shape))
    return kernel.log_prob(repeated, pairs).exp().view(len(x), len(every))


def _assert_continuous_laws(group: Group, max_elements: int, seed: int, false_alarm: float) -> None:
    g = _some_elements(group, max_elements, seed)
    e = group.identity()

    def same(a: Tensor, b: Tensor) -> bool:
        return bool(((a - b).abs() <= 1e-4 * (1 + b.abs())).all())

    group.check(group.compose(g[:, None], g), "g h")
    group.check(group.inverse(g), "the inverse of g")
    _require(same(group.compose(g, e), g) and same(group.compose(e, g), g), "e is not neutral")
    inverse = group.inverse(g)
    for left, right in ((g, inverse), (inverse, g)):
        _require(same(group.compose(left, right), e), "an inverse does not cancel")
    some = g[:50]
    for a in some:
        one = group.compose(group.compose(some[:, None], a), some)
        two = group.compose(some[:, None], group.compose(a, some))
        _require(same(one, two), f"not associative: (g {a.tolist()}) h differs from g ({a.tolist()} h)")
    if any(part.translates for part in _factors(group) if isinstance(part, Isometries)):
        try:
            group.sample()
        except ValueError:
            return
        raise AssertionError("sample() draws from a group without Haar distribution")
    generator = torch.Generator().manual_seed(seed)
    draws, h = group.sample((8_000,), generator=generator), g[: 4_000 : max(1, len(g) // 8)]
    group.check(draws, "sample()")
    for side, moved in (("h u", group.compose), ("u h", lambda a, b: group.compose(b, a))):
        for element in h:
            two = torch.stack([draws[:4_000], moved(element.expand_as(draws[4_000:]), draws[4_000:])]).flatten(2)
            for column in two.movedim(2, 0).contiguous():
                bounds = column.flatten().quantile(torch.linspace(0, 1, 21)[1:-1])
                bins = torch.bucketize(column, bounds)
                counts = torch.stack([row.bincount(minlength=20) for row in bins]).double()
                counts = counts[:, counts.sum(0) > 0]
                if counts.shape[1] > 1:
                    statistic = ((counts[0] - counts[1]).square() / counts.sum(0)).sum()
                    freedom = torch.tensor((counts.shape[1] - 1) / 2).double()
                    p_value = float(torch.special.gammaincc(freedom, statistic / 2))
                    _require(p_value >= false_alarm, f"sample() is not Haar: {side} has another law, p = {p_value:.3g}")


def _factors(group: Group) -> tuple[Group, ...]:
    return group.factors if isinstance(group, DirectProduct) else (group,)


def _some_elements(group: Group, max_elements: int, seed: int) -> Shaped[Tensor, "count ..."]:
    if group.order <= max_elements:
        return group.elements()
    generator = torch.Generator().manual_seed(seed)
    if isinstance(group, DirectProduct) and group.is_continuous:
        return group.pack(*(_random(factor, max_elements, generator) for factor in group.factors))
    return _random(group, max_elements, generator)


def _random(group: Group, max_elements: int, generator: torch.Generator) -> Shaped[Tensor, "count ..."]:
    if isinstance(group, Isometries) and group.translates:
        compact = (SpecialOrthogonal if group.is_proper else Orthogonal)(group.dimension)
        R = compact.sample((max_elements,), generator=generator)
        return group.element(R, torch.randn(max_elements, group.dimension, generator=generator))
    if not isinstance(group, FiniteGroup):  # there may be too many to list
        return group.sample((max_elements,), generator=generator)
    # not from the group's own sample(), which may be what is wrong
    return torch.randint(group.order, (max_elements,), generator=generator)


def _index(group: Group, g: Int64[Tensor, "..."]) -> Int64[Tensor, "*batch"]:
    """The row of every element in ``group.elements()``, -1 for what is not there."""
    if isinstance(group, FiniteGroup):
        return torch.where((g >= 0) & (g < group.order), g, -1)
    every = group.elements()
    _, labels = torch.cat([every, g.reshape(-1, *group.element_shape)]).unique(dim=0, return_inverse=True)
    row = torch.full((len(labels),), -1)
    row[labels[: len(every)]] = torch.arange(len(every))
    return row[labels[len(every) :]].view(g.shape[: g.ndim - len(group.element_shape)])


def _check_not_empty(x: Tensor) -> None:
    if len(x) == 0:
        raise ValueError("x: expected at least one input, got an empty batch")


class _Scale:
    """Compares what an action gives, entry by entry, with the largest entries that g x has over all g."""

    def __init__(self, gx: Tensor, tolerance: float | Tolerance) -> None:
        largest = gx.abs().amax(0)
        self._gap = Tolerance.of(tolerance).gap(largest.clamp(min=1))  # x is a standard Gaussian

    def __call__(self, a: Tensor, b: Tensor, times: float = 1.0) -> bool:
        return bool(((a - b).abs() <= times * self._gap).all())


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def require_fit(counts: Tensor, p: Tensor, false_alarm: float, message: str) -> None:
    """Pearson's chi-square test on bins of expectation 5 or more; impossible elements must not be drawn at all.

    Rare elements share bins. If they do not fill one together, the number of rare draws is held against the upper tail
    of the Poisson law instead, for the chi-square law does not hold there.
    """
    impossible = p <= 1e-9
    _require(int(counts[impossible].sum()) == 0, f"{message}: it drew an element of probability 0")
    expected = (p[~impossible] * counts.sum()).double()
    order = expected.argsort(stable=True)
    expected, observed = expected[order], counts[~impossible][order].double()
    bins = (expected.cumsum(0) / 5).floor().long()  # small ones share a number; one of 5 or more starts a new one
    bins = torch.where(expected >= 5, bins.amax() + 1 + torch.arange(len(bins)), bins).unique(return_inverse=True)[1]
    expected = torch.zeros(int(bins.amax()) + 1, dtype=torch.float64).scatter_add_(0, bins, expected)
    observed = torch.zeros_like(expected).scatter_add_(0, bins, observed)
    while len(expected) > 2 and bool((expected < 5).any()):  # a last bin that is not full joins the least full one
        expected, order = expected.sort()
        observed = observed[order]
        expected = torch.cat([expected[:2].sum().view(1), expected[2:]])
        observed = torch.cat([observed[:2].sum().view(1), observed[2:]])
    if len(expected) < 2:
        return  # one element has all the probability
    if bool((expected < 5).any()):
        rare = int(expected.argmin())
        drawn, rate = observed[rare], expected[rare]
        p_value = float(torch.special.gammainc(drawn, rate)) if drawn > 0 else 1.0
        _require(p_value >= false_alarm, f"{message}: {int(drawn)} rare draws where {float(rate):.3g} were expected")
        return
    statistic = ((observed - expected) ** 2 / expected).sum()
    p_value = float(torch.special.gammaincc(torch.tensor((len(expected) - 1) / 2).double(), statistic / 2))
    _require(p_value >= false_alarm, f"{message}: chi-square p-value {p_value:.3g} on {len(expected)} cells")
