r"""How symmetric is this data, and how well can an equivariant model do on it at all?

An equivariant function keeps every symmetry of its input: f(x) is constant on the orbits of the stabilizer G_x, on the
nodes of a graph, on its pairs of nodes, or on the sites of a lattice. So no *deterministic* equivariant model can fit
targets that vary inside an orbit. With orbits :math:`o \subset x` and targets :math:`y_i` its loss is at least

.. math:: \frac{1}{n} \sum_o \sum_{i \in o} |y_i - \bar y_o|^2 \qquad \text{(squared error)}, \qquad
   \frac{1}{n} \sum_o |o|\, H(y_o) \qquad \text{(cross-entropy)},

the variance, or the entropy H of the classes, inside orbits. Where that is above 0, symmetries must be broken. (The
floor is that of one input by itself. A model may do worse, for other reasons: refinement may not tell nodes apart
that no automorphism exchanges.)

Targets of whole graphs are invariant and have no such floor.

Every column of classes is a target of its own. The columns of floats are one target, a vector, whose squared error is
summed over them. An orbit's floats count as equal if they differ by rounding alone, or by a millionth of what their
column varies.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sympe.actions import BondAction, DirectSum, GridAction
from sympe.actions.base import EntryAction
from sympe.graphs import SparseGraphs
from sympe.graphs.coloring import clusters
from sympe.groups import P4M
from sympe.kernels import GraphKernel, OrbitKernel
from sympe.kernels.graphs.cosets import least_of_orbits
from sympe.tolerance import Tolerance

CHUNK = 1024
"""Inputs that are looked at together."""

_ENTRIES = 2**20
"""Entries of lattices that are looked at together, and images of sites."""


@dataclass(frozen=True)
class Bad:
    """An input that could not be read.

    Arguments:
        name: where it is: a file and a line.
        reason: what is wrong.
    """

    name: str
    reason: str


class Spread(NamedTuple):
    """What a tolerance made of the floats of one channel of one input.

    Arguments:
        channel: what it is called.
        spread: the largest value minus the least.
        clusters: how many values count as different.

    Example:
        >>> Spread.of("x", torch.tensor([0.1, 0.1, 0.4]), tolerance=1e-3).clusters
        2
    """

    channel: str
    spread: float
    clusters: int

    @classmethod
    def of(cls, channel: str, values: Float[Tensor, " count"], *, tolerance: float | Tolerance) -> Spread:
        """Of finite values, one or more."""
        ranks = clusters(values, torch.zeros(len(values), dtype=torch.int64), Tolerance.of(tolerance))
        return cls(channel, float(values.max()) - float(values.min()), int(ranks.max()) + 1)


@dataclass(frozen=True)
class GraphInput:
    """One graph, with targets if there are any.

    Arguments:
        name: where it is: a file and a line.
        graph: a batch of one.
        node_targets: ``(nodes[, columns])`` classes or floats.
        edge_targets: ``(arcs[, columns])`` classes or floats, in the order of the graph's arcs.
        spreads: what the tolerance made of the floats that became colours.
    """

    name: str
    graph: SparseGraphs
    node_targets: Tensor | None = None
    edge_targets: Tensor | None = None
    spreads: tuple[Spread, ...] = ()


@dataclass(frozen=True)
class LatticeInput:
    """One field on a periodic square lattice, with the group P4M.

    Arguments:
        name: where it is: a file and a number.
        field: ``(3, L, L)`` couplings and field of an Ising Hamiltonian if ``bonds``, else ``(channels, L, L)``
            scalars.
        bonds: whether the first two channels are bonds.
        node_targets: ``([columns,] L, L)`` classes or floats.
    """

    name: str
    field: Tensor
    bonds: bool
    node_targets: Tensor | None = None


@dataclass
class Floor:
    """The least mean loss of a deterministic equivariant model on one target, summed up over inputs.

    Arguments:
        kind: "squared error" (summed over columns) or "cross-entropy" (in nats).
        count: targets so far.
        loss: the sum of their least losses.
        wrong: of classes, the least number of wrong predictions.
        columns: of floats, for each column the sums of least losses, of values, of their squares, and of the squares
            of what rounding may do.
    """

    kind: str
    count: int = 0
    loss: float = 0.0
    wrong: int = 0
    columns: Tensor = field(default_factory=lambda: torch.zeros(0, 4, dtype=torch.float64))

    def add(self, orbits: Int64[Tensor, " n"], targets: Tensor) -> None:
        """Add the targets of one input, one for each member of its orbits.

        Arguments:
            orbits: the number of each member's orbit.
            targets: ``(n,)``, or of floats also ``(n, columns)``.

        Raises:
            ValueError: if there are not as many targets as orbits have members, a target is not finite, or floats have
                not as many columns as those before.

        Example:
            >>> floor = Floor("squared error")
            >>> floor.add(torch.tensor([0, 1, 1]), torch.tensor([5.0, 0.0, 1.0]))
            >>> floor.loss  # nodes 1 and 2 are alike, and their targets are not
            0.5
        """
        self.check(len(orbits), targets)
        orbit = orbits.unique(return_inverse=True)[1]
        size = orbit.bincount()
        self.count += len(orbits)
        if self.kind == "squared error":
            y = targets.double().reshape(len(targets), _width(targets))
            first = torch.full_like(size, len(y)).scatter_reduce(0, orbit, torch.arange(len(y)), "amin")
            apart = y - y[first[orbit]]  # 0 where targets are equal, which a mean of large values would round away
            mean = torch.zeros(len(size), y.shape[1], dtype=y.dtype).index_add_(0, orbit, apart) / size[:, None]
            losses = (apart - mean[orbit]).square().sum(0)
            rounding = (4 * torch.finfo(targets.dtype).eps * y).square().sum(0)
            sums = torch.stack([losses, y.sum(0), y.square().sum(0), rounding], 1)
            self.columns = self.columns + sums if len(self.columns) else sums
            self.loss += float(losses.sum())
            return
        classes = targets.to(torch.int64).unique(return_inverse=True)[1]
        counts = torch.zeros(len(size), int(classes.max()) + 1 if len(classes) else 1, dtype=torch.float64)
        counts.index_put_((orbit, classes), torch.ones(len(orbit), dtype=counts.dtype), accumulate=True)
        self.loss += float((size * torch.special.entr(counts / size[:, None]).sum(1)).sum())
        self.wrong += int((size - counts.amax(1)).sum()) if len(size) else 0

    def check(self, count: int, targets: Tensor) -> None:
        """Raise unless :meth:`add` can take the targets of an input with ``count`` members.

        Raises:
            ValueError: as :meth:`add` does.
        """
        if targets.dim() == 0 or len(targets) != count:
            raise ValueError(f"targets: expected {count}, got {len(targets) if targets.dim() else 'a scalar'}")
        kind = "squared error" if targets.is_floating_point() else "cross-entropy"
        if targets.is_complex() or self.kind != kind:
            raise ValueError(f"targets: expected {self.kind} targets like those before, got {targets.dtype}")
        if targets.is_floating_point() and not bool(targets.isfinite().all()):
            raise ValueError("targets: expected finite values, got NaN or infinity")
        width = _width(targets)
        expected = 1 if kind == "cross-entropy" else len(self.columns)
        if expected and width != expected:
            raise ValueError(f"targets: expected {expected} columns like those before, got {width}")

    def join(self, other: Floor) -> None:
        """Add all targets of another floor of the same kind.

        Raises:
            ValueError: if the other is of another kind, or has other columns.
        """
        if self.kind != other.kind or (len(self.columns) and self.columns.shape != other.columns.shape):
            raise ValueError(f"targets: expected {self.kind} targets like those before, got {other.kind}")
        self.count += other.count
        self.loss += other.loss
        self.wrong += other.wrong
        self.columns = self.columns + other.columns if len(self.columns) else other.columns

    @property
    def needs_breaking(self) -> bool:
        """Whether targets vary inside orbits, by more than rounding."""
        if self.kind == "cross-entropy":
            return self.wrong > 0
        losses, values, squares, rounding = self.columns.unbind(1)
        varies = (squares - values.square() / max(1, self.count)).clamp(min=0)
        return bool((losses > 1e-12 * varies + rounding).any())

    def summary(self) -> dict[str, Any]:
        """Means, for JSON."""
        mean = self.loss / self.count if self.count else 0.0
        result: dict[str, Any] = {"kind": self.kind, "targets": self.count, "least_loss": mean}
        if self.kind == "cross-entropy":
            result["least_error_percent"] = 100 * self.wrong / self.count if self.count else 0.0
        return result


def _width(targets: Tensor) -> int:
    return math.prod(targets.shape[1:])


@dataclass
class SymmetryReport:
    """What was found; made by :func:`symmetry_report`.

    Arguments:
        each: whether ``log_orders`` and ``names`` are kept: memory for every input.
        log_orders: the logarithm of the order of the stabilizer of every input, in nats.
        names: their names.
        counts: how many inputs have which logarithm.
        largest: the greatest logarithm, and the name of the first input that has it.
        members: nodes (or sites) of all inputs.
        moved: how many of them are in an orbit with others.
        orbits: number of orbits of all inputs.
        bad: what could not be read.
        floors: by what the targets are of, "nodes" or "edges"; of several columns of classes, "nodes[0]" and so on.
        spreads: of each channel of floats, the largest spread and number of clusters in an input.
        tolerance: with which floats were compared.
    """

    each: bool = True
    log_orders: list[float] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    counts: Counter[float] = field(default_factory=Counter)
    largest: tuple[float, str] | None = None
    members: int = 0
    moved: int = 0
    orbits: int = 0
    bad: list[Bad] = field(default_factory=list)
    floors: dict[str, Floor] = field(default_factory=dict)
    spreads: dict[str, Spread] = field(default_factory=dict)
    tolerance: float | Tolerance = 1e-6

    @property
    def inputs(self) -> int:
        """How many could be read."""
        return self.counts.total()

    @property
    def symmetric(self) -> int:
        """Inputs with a non-trivial stabilizer."""
        return sum(count for value, count in self.counts.items() if value > 1e-6)

    @property
    def warnings(self) -> list[str]:
        """Channels of floats that differ, but nowhere by more than the tolerance: they may have other units.

        Example:
            >>> report = SymmetryReport(spreads={"x[2]": Spread("x[2]", 3e-10, 1)})
            >>> report.warnings[0][:63]
            'x[2]: all values of an input count as equal; they differ by up '
        """
        return [
            f"{channel}: all values of an input count as equal; they differ by up to {one.spread:.3g}, and the "
            f"tolerance is {self.tolerance}. If they are in other units, give a smaller one."
            for channel, one in self.spreads.items()
            if one.clusters == 1 and one.spread > 0
        ]

    def add(self, name: str, log_order: float, orbits: Int64[Tensor, " members"]) -> None:
        """Count one input, given the orbits of its members."""
        _, count = orbits.unique(return_counts=True)
        if self.each:
            self.names.append(name)
            self.log_orders.append(log_order)
        self.counts[round(log_order, 9)] += 1
        if self.largest is None or log_order > self.largest[0]:
            self.largest = (log_order, name)
        self.members += len(orbits)
        self.orbits += len(count)
        self.moved += int(count[count > 1].sum())

    def add_spreads(self, spreads: Iterable[Spread]) -> None:
        """Keep the largest."""
        for one in spreads:
            _, spread, number = self.spreads.get(one.channel, one)
            self.spreads[one.channel] = Spread(one.channel, max(spread, one.spread), max(number, one.clusters))

    def join(self, other: SymmetryReport) -> None:
        """Add all inputs of another report, after those of this one.

        Raises:
            ValueError: if both have targets, of other kinds.

        Example:
            >>> one, other = SymmetryReport(), SymmetryReport()
            >>> other.add("a", 0.0, torch.tensor([0, 1]))
            >>> one.join(other)
            >>> one.inputs, one.largest
            (1, (0.0, 'a'))
        """
        for key, floor in other.floors.items():
            self.floors.setdefault(key, Floor(floor.kind)).join(floor)
        if self.each:
            self.log_orders += other.log_orders
            self.names += other.names
        self.counts += other.counts
        if other.largest is not None and (self.largest is None or other.largest[0] > self.largest[0]):
            self.largest = other.largest
        self.members += other.members
        self.moved += other.moved
        self.orbits += other.orbits
        self.bad += other.bad
        self.add_spreads(other.spreads.values())

    @property
    def needs_breaking(self) -> bool | None:
        """Whether some targets vary inside orbits; None without targets."""
        if not self.floors:
            return None
        return any(floor.needs_breaking for floor in self.floors.values())

    def summary(self) -> dict[str, Any]:
        """Everything as plain numbers and words, for JSON."""
        count = self.inputs
        orders: Counter[str] = Counter()
        for value, number in self.counts.items():
            orders[_readable(value)] += number
        return {
            "inputs": count,
            "bad": [{"name": bad.name, "reason": bad.reason} for bad in self.bad],
            "symmetric": self.symmetric,
            "symmetric_percent": 100 * self.symmetric / count if count else 0.0,
            "mean_log_order": sum(value * number for value, number in self.counts.items()) / count if count else 0.0,
            "largest": None
            if self.largest is None
            else {"name": self.largest[1], "log_order": self.largest[0], "order": _readable(self.largest[0])},
            "orders": dict(sorted(orders.items(), key=lambda item: (len(item[0]), item[0]))),
            "members": self.members,
            "orbits": self.orbits,
            "moved_percent": 100 * self.moved / self.members if self.members else 0.0,
            "floors": {name: floor.summary() for name, floor in self.floors.items()},
            "needs_breaking": self.needs_breaking,
            "warnings": self.warnings,
        }

    def markdown(self) -> str:
        """The summary as a table, and a verdict."""
        s = self.summary()
        lines = ["| | |", "| --- | --- |", f"| inputs | {s['inputs']:,} |"]
        lines.append(f"| with a non-trivial stabilizer | {s['symmetric']:,} ({s['symmetric_percent']:.1f} %) |")
        lines.append(f"| mean log \\|G_x\\| | {s['mean_log_order']:.4f} nats |")
        if s["largest"] is not None:
            lines.append(f"| largest \\|G_x\\| | {s['largest']['order']} ({s['largest']['name']}) |")
        lines.append(f"| nodes in an orbit with others | {s['moved_percent']:.1f} % |")
        shown = list(s["orders"].items())
        for order, count in shown[:12]:
            lines.append(f"| \\|G_x\\| = {order} | {count:,} |")
        if len(shown) > 12:
            lines.append(f"| larger | {sum(count for _, count in shown[12:]):,} |")
        for name, floor in s["floors"].items():
            wrong = f", {floor['least_error_percent']:.2f} % wrong" if "least_error_percent" in floor else ""
            lines.append(f"| least {floor['kind']} a target of {name} | {floor['least_loss']:.6g}{wrong} |")
        lines.append("")
        if self.needs_breaking is None:
            lines.append("No targets were given: whether symmetries must be broken depends on them.")
        elif self.needs_breaking:
            lines.append(
                "**Symmetry breaking is needed**: targets differ inside orbits, and no deterministic equivariant model "
                "can have a loss below the least one above."
            )
        else:
            lines.append("Symmetry breaking is not needed for these targets: they are constant on all orbits.")
        lines += [line for warning in self.warnings for line in ("", f"**Warning**: {warning}")]
        if self.bad:
            lines += ["", f"{len(self.bad):,} inputs could not be read:", ""]
            lines += [f"- {bad.name}: {bad.reason}" for bad in self.bad[:20]]
            lines += [f"- and {len(self.bad) - 20:,} more"] if len(self.bad) > 20 else []
        return "\n".join(lines) + "\n"


def symmetry_report(
    inputs: Iterable[GraphInput | LatticeInput | Bad],
    *,
    tolerance: float | Tolerance = 1e-6,
    each: bool = True,
    progress: Callable[[int], object] = lambda count: None,
) -> SymmetryReport:
    """Look at all inputs, a chunk at a time.

    Arguments:
        inputs: graphs, lattices, and what could not be read. Targets that do not fit make their input a bad one.
        tolerance: largest gap between entries of fields on lattices that count as equal; graphs have
            colours.
        each: whether names and logarithms of orders of all inputs are kept; without, memory does not grow with them.
        progress: called with the number of inputs that were looked at since it was called before.

    Example:
        >>> star = torch.tensor([[0, 0, 0, 1, 2, 3], [1, 2, 3, 0, 0, 0]])
        >>> graph = SparseGraphs.from_features(star, torch.tensor([4]))
        >>> targets = torch.tensor([0.0, 1.0, -1.0, 0.0])  # on the three leaves, which are alike
        >>> report = symmetry_report([GraphInput("star", graph, targets)])
        >>> report.symmetric, report.needs_breaking, report.summary()["floors"]["nodes"]["least_loss"]
        (1, True, 0.5)
    """
    report = SymmetryReport(each=each, tolerance=tolerance)
    chunk: list[GraphInput] = []
    lattices: dict[tuple[tuple[int, ...], bool], list[LatticeInput]] = {}

    def look(add: Callable[[SymmetryReport, list[Any]], None], items: list[Any]) -> None:
        add(report, items)
        progress(len(items))

    for item in inputs:
        if isinstance(item, Bad):
            report.bad.append(item)
            progress(1)
        elif isinstance(item, LatticeInput):
            same = lattices.setdefault((tuple(item.field.shape), item.bonds), [])
            same.append(item)
            if len(same) >= CHUNK or len(same) * item.field.numel() >= _ENTRIES:
                look(_add_lattices, lattices.pop((tuple(item.field.shape), item.bonds)))
        else:
            chunk.append(item)
            if len(chunk) >= CHUNK:
                look(_add_graphs, chunk)
                chunk = []
    for same in lattices.values():
        look(_add_lattices, same)
    if chunk:
        look(_add_graphs, chunk)
    return report


def pair_orbits(generators: Int64[Tensor, "count n"]) -> Int64[Tensor, "n n"]:
    """The orbits on ordered pairs of points under a group of permutations: the least pair ``i n + j`` of each.

    Example:
        >>> pair_orbits(torch.tensor([[1, 0]]))
        tensor([[0, 1],
                [1, 0]])
    """
    n = generators.shape[1]
    pairs = (generators[:, :, None] * n + generators[:, None]).flatten(1)
    return least_of_orbits(pairs).view(n, n)


def entry_orbits(action: EntryAction, elements: Int64[Tensor, " count"]) -> Int64[Tensor, " entries"]:
    """The orbits of the entries of an action under a subgroup: the least entry of each.

    As many entries at once as memory allows are moved by all elements, and their orbits are done with. Where an entry
    has few symmetries of its own this takes time in proportion to the entries, not to entries times elements.

    Arguments:
        action: moves entries.
        elements: all elements of the subgroup, in any order.

    Example:
        >>> group = P4M(3)
        >>> shifts = group.elements()[:9]
        >>> entry_orbits(GridAction(group), shifts)
        tensor([0, 0, 0, 0, 0, 0, 0, 0, 0])
    """
    orbit = torch.full((action.size,), -1, dtype=torch.int64)
    at_once = max(1, _ENTRIES // len(elements))
    left = torch.arange(action.size)
    while len(left):
        images = action.source(elements[:, None], left[:at_once])
        orbit[images] = images.amin(0).expand_as(images)
        left = left[at_once:]
        left = left[orbit[left] < 0]
    return orbit


def _add_graphs(report: SymmetryReport, items: list[GraphInput]) -> None:
    graphs = [item.graph for item in items]
    starts = torch.tensor([0, *(len(graph.colors) for graph in graphs)]).cumsum(0)
    x = SparseGraphs(
        torch.cat([graph.sizes for graph in graphs]),
        torch.cat([graph.colors for graph in graphs]),
        torch.cat([graph.arcs + start for graph, start in zip(graphs, starts.tolist(), strict=False)], 1),
        torch.cat([graph.arc_colors for graph in graphs]),
    )
    kernel = GraphKernel(max(1, int(x.sizes.max())))
    log_orders = kernel.entropy(x).tolist()
    orbits = kernel.orbits(x)
    for row, item in enumerate(items):
        own = orbits[row, : int(x.sizes[row])]
        floors: dict[str, tuple[Tensor, Tensor]] = {}
        if item.node_targets is not None:
            floors["nodes"] = (own, item.node_targets)
        if item.edge_targets is not None:
            (generators,) = GraphKernel(max(1, len(own))).generators(item.graph)
            i, j = item.graph.arcs
            floors["edges"] = (pair_orbits(generators)[i, j], item.edge_targets)
        _add(report, item.name, log_orders[row], own, item.spreads, floors)


def _add_lattices(report: SymmetryReport, items: list[LatticeInput]) -> None:
    fields = torch.stack([item.field for item in items])
    channels, size, _ = fields.shape[1:]
    group = P4M(size)
    grid = GridAction(group)
    if items[0].bonds:
        kernel = OrbitKernel(DirectSum(BondAction(group), grid), tolerance=report.tolerance)
    else:
        kernel = OrbitKernel(GridAction(group, channels), tolerance=report.tolerance)
    rows, g = kernel.support(fields)
    for item, coset in zip(items, g.split(rows.bincount(minlength=len(items)).tolist()), strict=True):
        elements = group.compose(coset, group.inverse(coset[:1]))
        orbits = entry_orbits(grid, elements)
        targets = item.node_targets
        floors = {}
        if targets is not None:
            floors["nodes"] = (orbits, targets.flatten(-2).movedim(-1, 0))
        _add(report, item.name, math.log(len(elements)), orbits, _spreads(item, report.tolerance), floors)


def _spreads(item: LatticeInput, tolerance: float | Tolerance) -> list[Spread]:
    """Of the channels of a field, those together whose entries the group can exchange."""
    if not item.field.is_floating_point():
        return []
    channels = {"bonds": item.field[:2], "field": item.field[2]} if item.bonds else dict(enumerate(item.field))
    return [Spread.of(f"fields[{name}]", values.flatten(), tolerance=tolerance) for name, values in channels.items()]


def _add(
    report: SymmetryReport,
    name: str,
    log_order: float,
    orbits: Tensor,
    spreads: Iterable[Spread],
    floors: dict[str, tuple[Tensor, Tensor]],
) -> None:
    try:
        found = [
            (key, kind, labels, column)
            for of, (labels, targets) in floors.items()
            for key, kind, column in _columns(report, of, targets, len(labels))
        ]
    except ValueError as error:
        report.bad.append(Bad(name, str(error)))
        return
    for key, kind, labels, column in found:
        report.floors.setdefault(key, Floor(kind)).add(labels, column)
    report.add(name, log_order, orbits)
    report.add_spreads(spreads)


def _columns(report: SymmetryReport, of: str, targets: Tensor, count: int) -> list[tuple[str, str, Tensor]]:
    """What each column of the targets of one input is called, its kind, and the column; all that floats have is one.

    Raises:
        ValueError: if targets do not fit the input, or those before; the report is left as it was.
    """
    if targets.is_complex():
        raise ValueError(f"targets: expected real numbers, got {targets.dtype}")
    kind = "squared error" if targets.is_floating_point() else "cross-entropy"
    columns = [targets]
    if kind == "cross-entropy" and targets.dim() > 1:
        columns = list(targets.flatten(1).unbind(1))
    if targets.dim() and _width(targets) == 0:
        raise ValueError("targets: expected at least one column, got none")
    names = [of] if len(columns) == 1 else [f"{of}[{number}]" for number in range(len(columns))]
    before = {key: floor for key, floor in report.floors.items() if key.split("[")[0] == of}
    for key, column in zip(names, columns, strict=True):
        before.get(key, Floor(kind)).check(count, column)
    if before and next(iter(before.values())).kind != kind:
        raise ValueError(f"targets: expected {next(iter(before.values())).kind} targets like those before")
    if before and len(before) != len(names):
        raise ValueError(f"targets: expected {len(before)} columns like those before, got {len(names)}")
    return [(key, kind, column) for key, column in zip(names, columns, strict=True)]


def _readable(log_order: float) -> str:
    """The order of a group: exact where doubles of its logarithm are, else a power of ten."""
    if log_order < math.log(1e6):
        return str(round(math.exp(log_order)))
    return f"1e{log_order / math.log(10):.1f}"
