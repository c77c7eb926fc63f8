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
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.actions import BondAction, DirectSum, GridAction
from sympe.actions.base import EntryAction
from sympe.graphs import SparseGraphs
from sympe.groups import P4M
from sympe.kernels import GraphKernel, OrbitKernel
from sympe.kernels.graphs.cosets import least_of_orbits

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


@dataclass(frozen=True)
class GraphInput:
    """One graph, with targets if there are any.

    Arguments:
        name: where it is: a file and a line.
        graph: a batch of one.
        node_targets: ``(nodes,)`` classes or ``(nodes[, channels])`` floats.
        edge_targets: ``(arcs,)`` classes or ``(arcs[, channels])`` floats, in the order of the graph's arcs.
    """

    name: str
    graph: SparseGraphs
    node_targets: Tensor | None = None
    edge_targets: Tensor | None = None


@dataclass(frozen=True)
class LatticeInput:
    """One field on a periodic square lattice, with the group P4M.

    Arguments:
        name: where it is: a file and a number.
        field: ``(3, L, L)`` couplings and field of an Ising Hamiltonian if ``bonds``, else ``(channels, L, L)``
            scalars.
        bonds: whether the first two channels are bonds.
        node_targets: ``(L, L)`` classes or ``([channels,] L, L)`` floats.
    """

    name: str
    field: Tensor
    bonds: bool
    node_targets: Tensor | None = None


@dataclass
class Floor:
    """The least mean loss of a deterministic equivariant model, summed up over inputs.

    Arguments:
        kind: "squared error" (summed over channels) or "cross-entropy" (in nats).
        count: targets so far.
        loss: the sum of their least losses.
        wrong: of classes, the least number of wrong predictions.
    """

    kind: str
    count: int = 0
    loss: float = 0.0
    wrong: int = 0

    def add(self, orbits: Int64[Tensor, " n"], targets: Tensor) -> None:
        """Add the targets of one input, ``(n, ...)``, one for each member of its orbits.

        Raises:
            ValueError: if there are not as many targets as orbits have members, or a target is not finite.

        Example:
            >>> floor = Floor("squared error")
            >>> floor.add(torch.tensor([0, 1, 1]), torch.tensor([5.0, 0.0, 1.0]))
            >>> floor.loss  # nodes 1 and 2 are alike, and their targets are not
            0.5
        """
        if len(targets) != len(orbits):
            raise ValueError(f"targets: expected {len(orbits)}, got {len(targets)}")
        if targets.is_floating_point() and not bool(targets.isfinite().all()):
            raise ValueError("targets: expected finite values, got NaN or infinity")
        orbit = orbits.unique(return_inverse=True)[1]
        size = orbit.bincount()
        self.count += len(orbits)
        if self.kind == "squared error":
            y = targets.double().reshape(len(targets), -1)
            mean = torch.zeros(len(size), y.shape[1], dtype=y.dtype).index_add_(0, orbit, y) / size[:, None]
            self.loss += float((y - mean[orbit]).square().sum())
            return
        classes = targets.unique(return_inverse=True)[1]
        counts = torch.zeros(len(size), int(classes.max()) + 1 if len(classes) else 1)
        counts.index_put_((orbit, classes), torch.ones(len(orbit)), accumulate=True)
        share = counts.double() / size[:, None]
        self.loss += float((size * torch.special.entr(share).sum(1)).sum())
        self.wrong += int((size - counts.amax(1)).sum()) if len(size) else 0

    def summary(self) -> dict[str, Any]:
        """Means, for JSON."""
        mean = self.loss / self.count if self.count else 0.0
        result: dict[str, Any] = {"kind": self.kind, "targets": self.count, "least_loss": mean}
        if self.kind == "cross-entropy":
            result["least_error_percent"] = 100 * self.wrong / self.count if self.count else 0.0
        return result


@dataclass
class SymmetryReport:
    """What was found; made by :func:`symmetry_report`.

    Arguments:
        log_orders: the logarithm of the order of the stabilizer of every input, in nats.
        names: their names.
        members: nodes (or sites) of all inputs.
        moved: how many of them are in an orbit with others.
        orbits: number of orbits of all inputs.
        bad: what could not be read.
        floors: by what the targets are of: "nodes" or "edges".
    """

    log_orders: list[float] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    members: int = 0
    moved: int = 0
    orbits: int = 0
    bad: list[Bad] = field(default_factory=list)
    floors: dict[str, Floor] = field(default_factory=dict)

    @property
    def symmetric(self) -> int:
        """Inputs with a non-trivial stabilizer."""
        return sum(value > 1e-6 for value in self.log_orders)

    @property
    def needs_breaking(self) -> bool | None:
        """Whether some targets vary inside orbits; None without targets."""
        if not self.floors:
            return None
        return any(floor.loss > 1e-9 * max(1, floor.count) for floor in self.floors.values())

    def summary(self) -> dict[str, Any]:
        """Everything as plain numbers and words, for JSON."""
        count = len(self.log_orders)
        largest = max(range(count), key=lambda row: self.log_orders[row]) if count else None
        orders = Counter(_readable(value) for value in self.log_orders)
        return {
            "inputs": count,
            "bad": [{"name": bad.name, "reason": bad.reason} for bad in self.bad],
            "symmetric": self.symmetric,
            "symmetric_percent": 100 * self.symmetric / count if count else 0.0,
            "mean_log_order": sum(self.log_orders) / count if count else 0.0,
            "largest": None
            if largest is None
            else {
                "name": self.names[largest],
                "log_order": self.log_orders[largest],
                "order": _readable(self.log_orders[largest]),
            },
            "orders": dict(sorted(orders.items(), key=lambda item: (len(item[0]), item[0]))),
            "members": self.members,
            "orbits": self.orbits,
            "moved_percent": 100 * self.moved / self.members if self.members else 0.0,
            "floors": {name: floor.summary() for name, floor in self.floors.items()},
            "needs_breaking": self.needs_breaking,
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
        if self.bad:
            lines += ["", f"{len(self.bad):,} inputs could not be read:", ""]
            lines += [f"- {bad.name}: {bad.reason}" for bad in self.bad[:20]]
            lines += [f"- and {len(self.bad) - 20:,} more"] if len(self.bad) > 20 else []
        return "\n".join(lines) + "\n"


def symmetry_report(inputs: Iterable[GraphInput | LatticeInput | Bad]) -> SymmetryReport:
    """Look at all inputs, a chunk at a time.

    Arguments:
        inputs: graphs, lattices, and what could not be read. Targets that do not fit make their input a bad one.

    Example:
        >>> star = torch.tensor([[0, 0, 0, 1, 2, 3], [1, 2, 3, 0, 0, 0]])
        >>> graph = SparseGraphs.from_features(star, torch.tensor([4]))
        >>> targets = torch.tensor([0.0, 1.0, -1.0, 0.0])  # on the three leaves, which are alike
        >>> report = symmetry_report([GraphInput("star", graph, targets)])
        >>> report.symmetric, report.needs_breaking, report.summary()["floors"]["nodes"]["least_loss"]
        (1, True, 0.5)
    """
    report = SymmetryReport()
    chunk: list[GraphInput] = []
    lattices: dict[tuple[tuple[int, ...], bool], list[LatticeInput]] = {}
    for item in inputs:
        if isinstance(item, Bad):
            report.bad.append(item)
        elif isinstance(item, LatticeInput):
            same = lattices.setdefault((tuple(item.field.shape), item.bonds), [])
            same.append(item)
            if len(same) >= CHUNK or len(same) * item.field.numel() >= _ENTRIES:
                _add_lattices(report, lattices.pop((tuple(item.field.shape), item.bonds)))
        else:
            chunk.append(item)
            if len(chunk) >= CHUNK:
                _add_graphs(report, chunk)
                chunk = []
    for same in lattices.values():
        _add_lattices(report, same)
    if chunk:
        _add_graphs(report, chunk)
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
        _add(report, item.name, log_orders[row], own, floors)


def _add_lattices(report: SymmetryReport, items: list[LatticeInput]) -> None:
    fields = torch.stack([item.field for item in items])
    channels, size, _ = fields.shape[1:]
    group = P4M(size)
    grid = GridAction(group)
    if items[0].bonds:
        kernel = OrbitKernel(DirectSum(BondAction(group), grid))
    else:
        kernel = OrbitKernel(GridAction(group, channels))
    rows, g = kernel.support(fields)
    for item, coset in zip(items, g.split(rows.bincount(minlength=len(items)).tolist()), strict=True):
        elements = group.compose(coset, group.inverse(coset[:1]))
        orbits = entry_orbits(grid, elements)
        targets = item.node_targets
        floors = {}
        if targets is not None:
            floors["nodes"] = (orbits, targets.flatten(-2).movedim(-1, 0))
        _add(report, item.name, math.log(len(elements)), orbits, floors)


def _add(
    report: SymmetryReport, name: str, log_order: float, orbits: Tensor, floors: dict[str, tuple[Tensor, Tensor]]
) -> None:
    try:
        for of, (labels, targets) in floors.items():
            kind = "squared error" if targets.is_floating_point() else "cross-entropy"
            floor = report.floors.setdefault(of, Floor(kind))
            if floor.kind != kind:
                raise ValueError(f"targets: expected {floor.kind} targets like those before, got {targets.dtype}")
            floor.add(labels, targets)
    except ValueError as error:
        report.bad.append(Bad(name, str(error)))
        return
    _, count = orbits.unique(return_counts=True)
    report.names.append(name)
    report.log_orders.append(log_order)
    report.members += len(orbits)
    report.orbits += len(count)
    report.moved += int(count[count > 1].sum())


def _readable(log_order: float) -> str:
    """The order of a group: exact where doubles of its logarithm are, else a power of ten."""
    if log_order < math.log(1e6):
        return str(round(math.exp(log_order)))
    return f"1e{log_order / math.log(10):.1f}"
