"""Values and tables in eager mode, and what to do where there are none: under compilers and function transforms."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")


def on_cpu(function: Callable[P, T]) -> Callable[P, T]:
    """Let a function that makes tables make them on the CPU, whatever torch's default device is: "meta" above all.

    Example:
        >>> with torch.device("meta"):
        ...     on_cpu(torch.arange)(3)
        tensor([0, 1, 2])
    """

    @functools.wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> T:
        with torch.device("cpu"):
            return function(*args, **kwargs)

    return inside


def is_eager() -> bool:
    """Whether tensors have values that Python may look at: not in a compiler, nor inside of vmap, grad or jvp.

    Example:
        >>> is_eager(), torch.vmap(lambda x: x + is_eager())(torch.zeros(2))
        (True, tensor([0., 0.]))
    """
    return not torch.compiler.is_compiling() and torch._C._functorch.peek_interpreter_stack() is None


def require(right: Tensor, message: Callable[[], str]) -> None:
    """Raise unless all of ``right`` are true: at once, but on CUDA without waiting, as an assertion of the device.

    Where there are no values to look at, nothing is checked.

    Arguments:
        right: booleans.
        message: says what was expected and what came; called only then, and not on CUDA.

    Raises:
        ValueError: with the message.
    """
    if right.is_meta or not is_eager():
        return
    if right.device.type == "cuda":
        torch._assert_async(right.all(), "sympe: an argument holds elements that are none of the group")
    elif not bool(right.all()):
        raise ValueError(message())
