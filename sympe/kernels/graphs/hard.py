"""Who settles hard parts, BLISS or a search, and what that means for canonical forms.

Hard are connected parts of more than 64 nodes, or with more than 256 automorphisms, that refinement cannot settle.
Where igraph is installed they get the canonical form of BLISS (:mod:`sympe.kernels.graphs.bliss`), else that of a
search (:mod:`sympe.kernels.graphs.tree`), so that what was trained with one of them means other places in these parts
with the other. Everything else is the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.util import find_spec

HARD_PARTS = "hard parts"
"""The key in a kernel's form that says that hard parts are searched; it is not there where BLISS settles them."""


def has_igraph() -> bool:
    """Whether igraph is installed."""
    return find_spec("igraph") is not None


def hard_parts() -> dict[str, str]:
    """What the form of a kernel of graphs says of hard parts: nothing where BLISS settles them."""
    return {} if has_igraph() else {HARD_PARTS: "search"}


def with_other_hard_parts(form: Mapping[str, str]) -> dict[str, str]:
    """The form of the same kernel where igraph is not installed, or where it is: what it is not here.

    Example:
        >>> form = {"kernel": "GraphKernel", "order": "refined"}
        >>> with_other_hard_parts(form)
        {'kernel': 'GraphKernel', 'order': 'refined', 'hard parts': 'search'}
        >>> with_other_hard_parts(with_other_hard_parts(form)) == form
        True
    """
    rest = {key: value for key, value in form.items() if key != HARD_PARTS}
    return rest if HARD_PARTS in form else {**rest, HARD_PARTS: "search"}


def warn_of_other_hard_parts(what: str, *, stacklevel: int) -> None:
    """Warn that something was made with igraph and is used without, or the other way.

    Arguments:
        what: it is, and "was" or "were" with what was done.
        stacklevel: of the caller, as for ``warnings.warn``.
    """
    there = "without igraph, which is installed" if has_igraph() else "with igraph, which is not installed"
    warnings.warn(
        f"{what} {there} here: connected parts of more than 64 nodes, or with more than 256 automorphisms, that "
        "refinement cannot settle get other places in the canonical form. For all other graphs nothing changes; for "
        f"these {'train again, or uninstall igraph' if has_igraph() else 'pip install igraph>=1.0'}",
        stacklevel=stacklevel + 1,
    )
