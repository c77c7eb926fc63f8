"""Types and shapes are checked at every call into sympe, by jaxtyping's import hook and beartype (see pyproject.toml).

The hook decorates with ``jaxtyping.jaxtyped``, which binds the arguments of every call and checks them twice: that was
half of the time of all tests. What stands here in its place checks the same, once. A function that one test calls more
than a thousand times, the inner loop of a search, is then checked at every seventeenth call: checks of these alone were
a third of the time of the tests of graphs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import beartype
import jaxtyping
import pytest

BEARTYPE = beartype.beartype(conf=beartype.BeartypeConf(violation_type=jaxtyping.TypeCheckError))
ORIGINAL = jaxtyping.jaxtyped
NAMES_OF_AXES = ORIGINAL("context")  # of one call
MANY, STEP = 1000, 17
CALLS: dict[Callable[..., Any], int] = {}
"""How often this test has called each function."""


def checked(function: Any, *, typechecker: Any) -> Any:
    """Arguments and result have the types they are annotated with; a name of an axis stands for one size in a call."""
    if isinstance(function, property):
        return property(*(part and checked(part, typechecker=typechecker) for part in (function.fget, function.fset)))
    if isinstance(function, classmethod | staticmethod):
        return type(function)(checked(function.__func__, typechecker=typechecker))
    if isinstance(function, type) or inspect.isgeneratorfunction(function):  # of a dataclass, its __init__
        return ORIGINAL(function, typechecker=typechecker)
    strict: Callable[..., Any] | None = None

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return function(*args, **kwargs)
        CALLS[function] = calls = CALLS.get(function, 0) + 1
        if calls > MANY and calls % STEP:
            return function(*args, **kwargs)
        nonlocal strict
        if strict is None:  # many are never called, and all names of types are there now
            function.__annotations__ = get_type_hints(function, include_extras=True)
            strict = BEARTYPE(function)
        with NAMES_OF_AXES:
            return strict(*args, **kwargs)

    return call


jaxtyping.jaxtyped = lambda *args, typechecker: functools.partial(checked, typechecker=typechecker)


def pytest_runtest_setup() -> None:
    """Every test begins with checks at every call."""
    CALLS.clear()


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Annotations are not checked at run time, as for a user, so that the library's own errors can be seen."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
