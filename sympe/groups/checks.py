"""What every door asks of its arguments: kinds, integers, elements, batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def check_kind(name: str, value: object, kind: type, advice: str = "") -> None:
    """Refuse what is not of a kind.

    Raises:
        TypeError: says what was expected and what came.

    Example:
        >>> check_kind("x", 4, str, "such as 'four'")
        Traceback (most recent call last):
        TypeError: x: expected an instance of str (such as 'four'), got int
    """
    if not isinstance(value, kind):
        more = f" ({advice})" if advice else ""
        raise TypeError(f"{name}: expected an instance of {kind.__name__}{more}, got {type(value).__name__}")


def check_callable(name: str, value: object) -> None:
    """Refuse what cannot be called.

    Raises:
        TypeError: says what came.
    """
    if not callable(value):
        raise TypeError(f"{name}: expected something to call, got {type(value).__name__}")


def check_shape(name: str, shape: Sequence[int]) -> tuple[int, ...]:
    """A shape as a tuple.

    Raises:
        TypeError: if it is no sequence of integers.
        ValueError: if one is negative.

    Example:
        >>> check_shape("shape", [4, 8])
        (4, 8)
    """
    if not isinstance(shape, Sequence):
        raise TypeError(f"{name}: expected a sequence of integers, such as (4,), got {type(shape).__name__}")
    for number in shape:
        check_integer(name, number, least=0)
    return tuple(shape)


def check_batch(x: Any) -> None:
    """Refuse lists and arrays, which have a length, and arrays a device, but are none of torch's.

    Raises:
        TypeError: says what came.
    """
    if isinstance(x, Sequence | np.ndarray | np.generic | int | float | None):
        raise TypeError(f"x: expected a batch of inputs (a tensor or graphs), got {type(x).__name__}")


def check_elements(g: Tensor, name: str, of: Callable[[], str]) -> None:
    """Refuse what is no tensor of int64.

    Raises:
        TypeError: says what was expected and what came.
    """
    if not isinstance(g, Tensor):
        raise TypeError(f"{name}: expected a tensor of {of()}, got {type(g).__name__}")
    if g.dtype != torch.int64:
        raise TypeError(f"{name}: expected int64 {of()}, got {g.dtype}")


def check_floats(g: Tensor, name: str, of: Callable[[], str]) -> None:
    """Refuse what is no tensor of floats.

    Raises:
        TypeError: says what was expected and what came.
    """
    if not isinstance(g, Tensor):
        raise TypeError(f"{name}: expected a tensor of {of()}, got {type(g).__name__}")
    if not g.is_floating_point():
        raise TypeError(f"{name}: expected floats, {of()}, got {g.dtype}")


def check_integer(name: str, value: int, *, least: int = 1) -> None:
    """Refuse what is no integer, or too small.

    Raises:
        TypeError: if it is no integer.
        ValueError: if it is below ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}: expected an integer, got {type(value).__name__}")
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")
