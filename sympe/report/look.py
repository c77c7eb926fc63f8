"""Kernels look at the inputs, many at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from sympe.actions import BondAction, DirectSum, EntryAction, GridAction
from sympe.graphs import Clouds, SparseGraphs
from sympe.groups import P4M, Euclidean
from sympe.kernels import GraphKernel, OrbitKernel, PointKernel
from sympe.kernels.graphs.cosets import least_of_orbits
from sympe.report.floors import Floor, width_of
from sympe.report.inputs import Bad, CloudInput, GraphInput, LatticeInput, Spread
from sympe.report.summary import SymmetryReport
from sympe.tolerance import Tolerance

CHUNK = 1024
"""Inputs that are looked at together."""

_ENTRIES = 2**20
"""Entries of lattices that are looked at together, and images of sites."""


def symmetry_report(
    inputs: Iterable[GraphInput | CloudInput | LatticeInput | Bad],
    *,
    tolerance: float | Tolerance = 1e-6,
    distance_tolerance: float = 0.01,
    each: bool = True,
    progress: Callable[[int], object] = lambda count: None,
) -> SymmetryReport:
    """Look at all inputs, a chunk at a time.

    Arguments:
        inputs: graphs, lattices, and what could not be read. Targets that do not fit make their input a bad one.
        tolerance: largest gap between entries of fields on lattices that count as equal; graphs have
            colours.
        distance_tolerance: largest gap between distances of points that count as equal, in their units.
        each: whether names and logarithms of orders of all inputs are kept, and all that is bad; without, memory does
            not grow with them.
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
    clouds: dict[int, list[CloudInput]] = {}
    lattices: dict[tuple[tuple[int, ...], bool], list[LatticeInput]] = {}

    def look(add: Callable[[SymmetryReport, list[Any]], None], items: list[Any]) -> None:
        add(report, items)
        progress(len(items))

    add_clouds = partial(_add_clouds, tolerance=distance_tolerance)
    for item in inputs:
        if isinstance(item, Bad):
            report.add_bad(item)
            progress(1)
        elif isinstance(item, LatticeInput):
            same = lattices.setdefault((tuple(item.field.shape), item.bonds), [])
            same.append(item)
            if len(same) >= CHUNK or len(same) * item.field.numel() >= _ENTRIES:
                look(_add_lattices, lattices.pop((tuple(item.field.shape), item.bonds)))
        elif isinstance(item, CloudInput):
            alike = clouds.setdefault(item.cloud.dimension, [])
            alike.append(item)
            if len(alike) >= CHUNK // 4:
                look(add_clouds, clouds.pop(item.cloud.dimension))
        else:
            chunk.append(item)
            if len(chunk) >= CHUNK:
                look(_add_graphs, chunk)
                chunk = []
    for alike in clouds.values():
        look(add_clouds, alike)
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


def _add_clouds(report: SymmetryReport, items: list[CloudInput], *, tolerance: float) -> None:
    x = Clouds.concatenate([item.cloud for item in items])
    kernel = PointKernel(Euclidean(x.dimension), max(1, int(x.sizes.max())), tolerance=tolerance)
    log_orders = (-kernel.log_prob(kernel.canonicalize(x), x)).tolist()  # of permutations, where rotations are free
    orbits = kernel.orbits(x)
    for row, item in enumerate(items):
        own = orbits[row, : int(x.sizes[row])]
        floors = {} if item.node_targets is None else {"nodes": (own, item.node_targets)}
        _add(report, item.name, log_orders[row], own, (), floors)
    if x.dimension == 3:
        report.point_groups.update(kernel.point_groups(x))


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
        report.add_bad(Bad(name, str(error)))
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
    if targets.dim() and width_of(targets) == 0:
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
