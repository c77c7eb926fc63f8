"""What is found, and how it reads."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Int64
from torch import Tensor

from sympe.report.floors import Floor
from sympe.report.inputs import Bad, Spread
from sympe.tolerance import Tolerance

NAMED = 1024
"""So many of the inputs that could not be read are named in a report that does not keep each."""


@dataclass
class SymmetryReport:
    """What was found; made by :func:`symmetry_report`.

    Arguments:
        each: whether ``log_orders`` and ``names`` are kept, and all that is bad: memory for every input.
        log_orders: the logarithm of the order of the stabilizer of every input, in nats.
        names: their names.
        counts: how many inputs have which logarithm.
        largest: the greatest logarithm, and the name of the first input that has it.
        members: nodes (or sites) of all inputs.
        moved: how many of them are in an orbit with others.
        orbits: number of orbits of all inputs.
        bad: what could not be read; without ``each``, the first thousand or so.
        unread: how many could not be read.
        floors: by what the targets are of, "nodes" or "edges"; of several columns of classes, "nodes[0]" and so on.
        spreads: of each channel of floats, the largest spread and number of clusters in an input.
        tolerance: with which floats were compared.
        point_groups: how many clouds in space have which point group; those of one line have infinitely many elements,
            and count with the permutations among them.
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
    unread: int = 0
    floors: dict[str, Floor] = field(default_factory=dict)
    spreads: dict[str, Spread] = field(default_factory=dict)
    tolerance: float | Tolerance = 1e-6
    point_groups: Counter[str] = field(default_factory=Counter)

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

    def add_bad(self, bad: Bad) -> None:
        """Count one that could not be read.

        Example:
            >>> report = SymmetryReport(each=False)
            >>> for line in range(5000):
            ...     report.add_bad(Bad(f"a.g6:{line}", "truncated"))
            >>> report.unread, len(report.bad)
            (5000, 1024)
        """
        self.unread += 1
        self._keep([bad])

    def _keep(self, bad: list[Bad]) -> None:
        self.bad += bad if self.each else bad[: max(0, NAMED - len(self.bad))]

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
            >>> import torch
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
        self.point_groups += other.point_groups
        if other.largest is not None and (self.largest is None or other.largest[0] > self.largest[0]):
            self.largest = other.largest
        self.members += other.members
        self.moved += other.moved
        self.orbits += other.orbits
        self._keep(other.bad)
        self.unread += other.unread
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
            "unread": self.unread,
            "bad": [{"name": bad.name, "reason": bad.reason} for bad in self.bad],
            "symmetric": self.symmetric,
            "symmetric_percent": 100 * self.symmetric / count if count else 0.0,
            "mean_log_order": sum(value * number for value, number in self.counts.items()) / count if count else 0.0,
            "largest": None
            if self.largest is None
            else {"name": self.largest[1], "log_order": self.largest[0], "order": _readable(self.largest[0])},
            "orders": dict(sorted(orders.items(), key=lambda item: (len(item[0]), item[0]))),
            "point_groups": dict(self.point_groups.most_common()),
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
        for name, count in list(s["point_groups"].items())[:12]:
            lines.append(f"| point group {name} | {count:,} |")
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
        if self.unread:
            lines += ["", f"{self.unread:,} inputs could not be read:", ""]
            lines += [f"- {bad.name}: {bad.reason}" for bad in self.bad[:20]]
            lines += [f"- and {self.unread - 20:,} more"] if self.unread > 20 else []
        return "\n".join(lines) + "\n"


def _readable(log_order: float) -> str:
    """The order of a group: exact where doubles of its logarithm are, else a power of ten."""
    if log_order < math.log(1e6):
        return str(round(math.exp(log_order)))
    return f"1e{log_order / math.log(10):.1f}"
