"""How many inputs Hypothesis draws: a few, always the same, in `make test`; many, others every time, in `make fuzz`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow]

settings.register_profile(
    "fast", derandomize=True, max_examples=25, deadline=None, database=None, suppress_health_check=_SLOW
)
settings.register_profile(
    "long", derandomize=False, max_examples=1500, deadline=None, print_blob=True, suppress_health_check=_SLOW
)
settings.load_profile(os.environ.get("SYMPE_FUZZ", "fast"))
