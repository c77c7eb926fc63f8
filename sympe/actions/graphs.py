r"""The symmetric group on graphs: a permutation of the nodes moves node and edge features.

Feature rows go where their nodes go: what node i had, node p[i] has after,

.. math:: (p\,x)[p[i]] = x[i], \qquad (p\,E)[p[i], p[j]] = E[i, j] .

Graphs of several sizes are padded at the end to one number of nodes, and the group is the symmetric group of that
number. A graph of n nodes is moved by the elements that fix the padding, ``p[i] = i`` for i >= n: they are a copy of
the symmetric group of n nodes, and they leave the padding where it is. Other elements mix nodes with padding; the
actions do not know how many nodes are real, so to give elements of the right kind is up to whoever draws them.
"""

from __future__ import annotations

from jaxtyping import Int64, Shaped
from torch import Tensor

from sympe.actions.base import Action, take
from sympe.groups import Permutations
from sympe.groups.checks import check_integer, check_kind


class NodeAction(Action):
    r"""Permutations on node features of shape ``(nodes, channels)``: :math:`(p\,x)[p[i]] = x[i]`.

    It is faithful. In a ragged batch, padded at the end, a graph of n nodes is moved by the elements that fix
    ``n, n + 1, ...`` (see :mod:`sympe.actions.graphs`).

    Arguments:
        group: the permutations of the nodes.
        channels: number of features of a node.

    Raises:
        TypeError: if ``group`` is not :class:`~sympe.groups.Permutations`.
        ValueError: if ``channels < 1``.

    Example:
        >>> import torch
        >>> from sympe.groups import Permutations
        >>> action = NodeAction(Permutations(3))
        >>> action(torch.tensor([1, 2, 0]), torch.tensor([[10], [20], [30]])).flatten()  # node 0 becomes node 1
        tensor([30, 10, 20])
    """

    def __init__(self, group: Permutations, channels: int = 1) -> None:
        _check_arguments(group, channels)
        self._group = group
        self.channels = channels

    @property
    def group(self) -> Permutations:
        """The permutations of the nodes."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """``(nodes, channels)``."""
        return (self.group.degree, self.channels)

    @property
    def channels_last(self) -> bool:
        """True."""
        return True

    @property
    def is_faithful(self) -> bool:
        """True: rows that all differ show where every node goes."""
        return True

    def __call__(self, g: Tensor, x: Shaped[Tensor, "..."]) -> Shaped[Tensor, "*batch nodes channels"]:
        """Move ``x`` by ``g``.

        Raises:
            ValueError: if ``x`` or ``g`` has another number of nodes, or ``x`` another number of channels.
        """
        self.check(x)
        return take(x, _sources(self.group, g, x)[..., :, None], -2)


class EdgeAction(Action):
    r"""Permutations on edge features of shape ``(nodes, nodes, channels)``: :math:`(p\,E)[p[i], p[j]] = E[i, j]`.

    The diagonal moves as node features do. It is faithful, and for two nodes or more it is so without the diagonal. In
    a ragged batch, padded at the end, a graph of n nodes is moved by the elements that fix ``n, n + 1, ...`` (see
    :mod:`sympe.actions.graphs`).

    Arguments:
        group: the permutations of the nodes.
        channels: number of features of an edge.

    Raises:
        TypeError: if ``group`` is not :class:`~sympe.groups.Permutations`.
        ValueError: if ``channels < 1``.

    Example:
        >>> import torch
        >>> from sympe.groups import Permutations
        >>> E = torch.zeros(3, 3, 1)
        >>> E[0, 1] = 1  # the edge from node 0 to node 1 goes to the one from node 1 to node 2
        >>> EdgeAction(Permutations(3))(torch.tensor([1, 2, 0]), E).nonzero().tolist()
        [[1, 2, 0]]
    """

    def __init__(self, group: Permutations, channels: int = 1) -> None:
        _check_arguments(group, channels)
        self._group = group
        self.channels = channels

    @property
    def group(self) -> Permutations:
        """The permutations of the nodes."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """``(nodes, nodes, channels)``."""
        return (self.group.degree, self.group.degree, self.channels)

    @property
    def channels_last(self) -> bool:
        """True."""
        return True

    @property
    def is_faithful(self) -> bool:
        """True: a diagonal of entries that all differ shows where every node goes."""
        return True

    def __call__(self, g: Tensor, x: Shaped[Tensor, "..."]) -> Shaped[Tensor, "*batch nodes nodes channels"]:
        """Move ``x`` by ``g``.

        Raises:
            ValueError: if ``x`` or ``g`` has another number of nodes, or ``x`` another number of channels.
        """
        self.check(x)
        source = _sources(self.group, g, x)
        return take(take(x, source[..., :, None, None], -3), source[..., None, :, None], -2)


def _check_arguments(group: Permutations, channels: int) -> None:
    check_kind("group", group, Permutations, "such as kernel.group or Permutations(9)")
    check_integer("channels", channels)


def _sources(group: Permutations, g: Tensor, x: Tensor) -> Int64[Tensor, "*batch nodes"]:
    """The node that lands at each node."""
    group.check(g)
    return group.inverse(g.to(x.device))
