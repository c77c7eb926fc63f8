"""What the configs and presets of all experiments have in common: numbers in range, known names, rows of a plan."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

ConfigT = TypeVar("ConfigT")

Plan = Sequence[tuple[Mapping[str, Any], Sequence[str], int]]
"""Parts of a preset: what their configs have in common, their encodings, and how many seeds."""


def check_config(
    config: Any,
    *,
    names: Mapping[str, Sequence[str]],
    least: Mapping[str, int],
    positive: Sequence[str] = (),
    shares: Sequence[str] = (),
) -> None:
    """Check the fields of a config, and its seed.

    Arguments:
        config: has the fields.
        names: the known values of fields that are names.
        least: the least value of whole numbers.
        positive: fields that are positive, finite numbers.
        shares: fields in [0, 1).

    Raises:
        ValueError: names the field, what was expected and what came.
    """
    for name, known in names.items():
        if getattr(config, name) not in known:
            raise ValueError(f"{name}: expected one of {', '.join(known)}; got {getattr(config, name)!r}")
    for name, number in least.items():
        if getattr(config, name) < number:
            raise ValueError(f"{name}: expected at least {number}, got {getattr(config, name)}")
    for name in positive:
        if not 0 < getattr(config, name) < math.inf:
            raise ValueError(f"{name}: expected a positive, finite number, got {getattr(config, name)}")
    for name in shares:
        if not 0 <= getattr(config, name) < 1:
            raise ValueError(f"{name}: expected a share in [0, 1), got {getattr(config, name)}")
    if not 0 <= config.seed < 2**63:
        raise ValueError(f"seed: expected at least 0 and less than 2^63, got {config.seed}")


def check_preset(preset: str, presets: Sequence[str], encodings: Sequence[str] | None, seeds: int | None) -> None:
    """Check the name of a preset, and what its encodings and seeds are to be replaced by.

    Raises:
        ValueError: if ``preset`` is unknown, ``encodings`` is empty or names one twice, or ``seeds`` is below 1.
    """
    if preset not in presets:
        raise ValueError(f"preset: expected one of {', '.join(presets)}; got {preset!r}")
    if encodings is not None and not encodings:
        raise ValueError("encodings: expected at least one, got none")
    if encodings is not None and len(set(encodings)) < len(encodings):
        raise ValueError(f"encodings: expected each at most once, got {', '.join(encodings)}")
    if seeds is not None and seeds < 1:
        raise ValueError(f"seeds: expected at least 1, got {seeds}")


def narrowed(plan: Plan, **chosen: Any) -> Plan:
    """The parts of a plan that have the chosen fields; if none has, its first part with these fields.

    Example:
        >>> plan = [({"dataset": "er", "steps": 5}, ("none",), 3), ({"dataset": "community", "steps": 5}, ("none",), 1)]
        >>> narrowed(plan, dataset="community", steps=None)
        [({'dataset': 'community', 'steps': 5}, ('none',), 1)]
        >>> narrowed(plan, dataset="trees")
        [({'dataset': 'trees', 'steps': 5}, ('none',), 3)]
    """
    chosen = {key: value for key, value in chosen.items() if value is not None}
    fields, encodings, seeds = plan[0]
    return [part for part in plan if chosen.items() <= part[0].items()] or [({**fields, **chosen}, encodings, seeds)]


def expand(
    base: ConfigT, plan: Plan, *, encodings: Sequence[str] | None = None, seeds: int | None = None
) -> list[ConfigT]:
    """The configs of a plan, seed by seed and each once; ``encodings`` and ``seeds`` replace those of all its parts."""
    configs: Any = (
        dataclasses.replace(base, **fields, encoding=encoding, seed=seed)  # type: ignore[type-var]
        for fields, own_encodings, own_seeds in plan
        for seed in range(seeds or own_seeds)
        for encoding in (encodings or own_encodings)
    )
    return list(dict.fromkeys(configs))  # two parts of a plan may have rows in common
