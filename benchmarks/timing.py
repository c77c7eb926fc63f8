"""Time two functions in turn, A B A B ..., and give medians and their ratio."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def side_by_side(a: Callable[[], object], b: Callable[[], object], *, rounds: int = 7) -> tuple[float, float, float]:
    """Median milliseconds of ``a`` and ``b``, and the median over rounds of their ratio, after one warm-up each."""
    a()
    b()
    times = [(_milliseconds(a), _milliseconds(b)) for _ in range(rounds)]
    ratio = statistics.median(x / y for x, y in times)
    return statistics.median(x for x, _ in times), statistics.median(y for _, y in times), ratio


def _milliseconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) * 1e3
