r"""Public checks of the laws: groups, actions, equivariance, and equivariance in distribution.

The checks that begin with ``assert_`` raise an ``AssertionError`` that says which law fails for which elements. They
are exact: by enumeration, and for kernels through ``log_prob`` (:mod:`sympe.testing.laws`).

:func:`equivariance_test` needs no probabilities: it only draws from a random model, and says how surprising its draws
would be if it were equivariant in distribution (:mod:`sympe.testing.equivariance`).
"""

from sympe.testing.equivariance import EquivarianceTest, Selectable, equivariance_test
from sympe.testing.laws import (
    KernelLike,
    assert_action_laws,
    assert_equivariant,
    assert_equivariant_in_distribution,
    assert_group_laws,
)

__all__ = [
    "EquivarianceTest",
    "KernelLike",
    "Selectable",
    "assert_action_laws",
    "assert_equivariant",
    "assert_equivariant_in_distribution",
    "assert_group_laws",
    "equivariance_test",
]
