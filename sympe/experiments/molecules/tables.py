"""The tables of places that come with the package: in which of few steps each place is settled.

``python -m benchmarks.unmasking`` found them, on training molecules of QM9 and with a network trained with masks at
random. Nothing here needs torch. Rows that were trained on a table know it by its number of steps: whoever changes a
table raises :data:`~sympe.experiments.molecules.config.CODE_VERSION`.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

FILE = Path(__file__).parent / "unmasking.json"


@cache
def tables() -> dict[str, dict[int, list[list[int]]]]:
    """By the order of the canonical form and the number of steps."""
    stored = json.loads(FILE.read_text())
    return {order: {int(steps): table for steps, table in own.items()} for order, own in stored.items()}


def steps_of(order: str) -> tuple[int, ...]:
    """The numbers of steps for which there is a table of places in that order.

    Example:
        >>> steps_of("depth-first"), steps_of("bliss")
        ((2, 5, 10, 20), ())
    """
    return tuple(sorted(tables().get(order, {})))
