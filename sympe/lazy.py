"""Imports that wait: names of a package, and functions, that are imported when they are asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any


def door(package: str, names: Mapping[str, Sequence[str]]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The functions ``__getattr__`` and ``__dir__`` (PEP 562) of a package whose names are imported when asked for.

    Its own modules are, too: after ``import sympe``, ``sympe.groups`` is there.

    Arguments:
        package: the name of the package, which is being imported.
        names: by module, what is found there.

    Example:
        >>> import sympe
        >>> sympe.SymPE.__module__
        'sympe.encodings.sympe'
        >>> sympe.Symp
        Traceback (most recent call last):
        ...
        AttributeError: module 'sympe' has no attribute 'Symp'
    """
    places = {name: module for module, own in names.items() for name in own}

    def get(name: str) -> Any:
        if name in places:
            value = getattr(importlib.import_module(places[name]), name)
        elif not name.startswith("_") and find_spec(f"{package}.{name}") is not None:
            value = importlib.import_module(f"{package}.{name}")
        else:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted({*vars(sys.modules[package]), *places})


@dataclass(frozen=True)
class Deferred:
    """A function that is imported when it is called.

    Arguments:
        place: its module and name.

    Example:
        >>> Deferred("math.hypot")(3.0, 4.0)
        5.0
    """

    place: str

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """What the function returns."""
        module, _, name = self.place.rpartition(".")
        return getattr(importlib.import_module(module), name)(*arguments, **options)
