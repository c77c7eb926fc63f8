"""What to say where an optional package is missing: a line for pip that is true for a clone, a wheel and an index."""

from __future__ import annotations

import re
from importlib.metadata import requires

EXTRAS = ("experiments", "graphs", "pyg", "e3nn", "molecules")
"""The extras for users."""


def requirements(extra: str) -> list[str]:
    """What an extra of this package asks pip for, as the installed package says it.

    Raises:
        ValueError: if there is no such extra.

    Example:
        >>> requirements("graphs")
        ['igraph>=1.0']
    """
    parts = [line.partition(";") for line in requires("sympe") or ()]
    found = [
        wanted.strip() for wanted, _, where in parts if re.search(rf"extra == ['\"]{re.escape(extra)}['\"]", where)
    ]
    if not found:
        raise ValueError(f"extra: expected one of this package, got {extra!r}")
    return found


def extra_of(package: str) -> str | None:
    """The extra for users that brings a package; None if there is none.

    Example:
        >>> extra_of("fcd_torch"), extra_of("numpy")
        ('molecules', None)
    """
    for extra in EXTRAS:
        if _name(package) in map(_name, requirements(extra)):
            return extra
    return None


def missing(what: str, package: str, extra: str, *, whole: bool = False) -> ImportError:
    """The error of something that needs a package which is not there.

    It names the package and not ``sympe[...]``: pip would look for that on an index, whatever this was installed from.

    Arguments:
        what: that cannot be done, and its verb: "SMILES need".
        package: that it needs.
        extra: of this package, that brings it.
        whole: whether all of the extra is needed.

    Example:
        >>> missing("hard graphs need", "igraph", "graphs")
        ImportError("hard graphs need igraph: pip install 'igraph>=1.0' (the extra [graphs] of sympe)")
    """
    wanted = requirements(extra)
    if not whole:
        wanted = [one for one in wanted if _name(one) == _name(package)] or wanted
    line = " ".join(f"'{one}'" for one in wanted)
    part = "the extra" if wanted == requirements(extra) else "in the extra"
    return ImportError(f"{what} {package}: pip install {line} ({part} [{extra}] of sympe)")


def _name(requirement: str) -> str:
    """The name in a requirement, as indexes compare names."""
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found.group()).lower()
