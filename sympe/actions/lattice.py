r"""P4M(L) on the periodic square lattice: scalar fields and bond couplings.

Bond ``B[0][i]`` joins site i and i + x̂ (+1 in a), ``B[1][i]`` joins i and i + ŷ (+1 in b). An element moves a bond to
the bond between the images of its ends, so a rotation swaps the two channels *and* shifts sites:
``(rB)[1][ri] = B[0][i]`` and ``(rB)[0][ri - x̂] = B[1][i]``.
"""

from __future__ import annotations

from jaxtyping import Int64
from torch import Tensor

from sympe.actions.base import EntryAction
from sympe.groups import P4M
from sympe.groups.checks import check_integer, check_kind
from sympe.groups.p4m import point_act


def _check_group(group: P4M) -> None:
    check_kind("group", group, P4M, "such as P4M(8)")


class GridAction(EntryAction):
    r"""P4M(L) on scalar fields of shape ``(channels, L, L)``: :math:`(g x)[i] = x[g^{-1} i]`.

    Faithful for L >= 3 only.

    Arguments:
        group: the lattice group.
        channels: number of fields.

    Raises:
        TypeError: if ``group`` is not a :class:`~sympe.groups.P4M`.
        ValueError: if ``channels < 1``.

    Example:
        >>> import torch
        >>> group = P4M(4)
        >>> action = GridAction(group)
        >>> x = torch.zeros(1, 4, 4)
        >>> x[0, 1, 2] = 1
        >>> rotated = action(torch.tensor(group.pack(s=0, k=1, p=0, q=0)), x)
        >>> rotated[0].nonzero().tolist()
        [[2, 1]]
    """

    def __init__(self, group: P4M, channels: int = 1) -> None:
        _check_group(group)
        check_integer("channels", channels)
        self._group = group
        self.channels = channels

    @property
    def group(self) -> P4M:
        """The lattice group."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """``(channels, L, L)``."""
        return (self.channels, self.group.size, self.group.size)

    def source(self, g: Int64[Tensor, "*#batch"], entry: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """The entry that lands at ``entry``: same channel, site g^-1 i."""
        n = self.group.size
        channel, a, b = entry // n**2, entry // n % n, entry % n
        a, b = self.group.act(self.group.inverse(g), a, b)
        return (channel * n + a) * n + b


class BondAction(EntryAction):
    r"""P4M(L) on nearest-neighbour couplings of shape ``(2, L, L)``.

    Not faithful at L = 1 (kernel of order 4); at L = 2 it is, for the two bonds between a pair of sites count apart.

    Arguments:
        group: the lattice group.

    Raises:
        TypeError: if ``group`` is not a :class:`~sympe.groups.P4M`.

    Example:
        >>> import torch
        >>> group = P4M(3)
        >>> B = torch.zeros(2, 3, 3)
        >>> B[0, 0, 0] = 1  # the bond from (0, 0) to (1, 0) goes to the one from (0, 0) to (0, 1)
        >>> BondAction(group)(torch.tensor(group.pack(s=0, k=1, p=0, q=0)), B).nonzero().tolist()
        [[1, 0, 0]]
    """

    def __init__(self, group: P4M) -> None:
        _check_group(group)
        self._group = group

    @property
    def group(self) -> P4M:
        """The lattice group."""
        return self._group

    @property
    def shape(self) -> tuple[int, ...]:
        """``(2, L, L)``."""
        return (2, self.group.size, self.group.size)

    def source(self, g: Int64[Tensor, "*#batch"], entry: Int64[Tensor, "*#batch"]) -> Int64[Tensor, "*batch"]:
        """The bond that lands at bond ``entry``: the image of ``entry`` under g^-1."""
        n = self.group.size
        direction, a, b = entry // n**2, entry // n % n, entry % n
        h = self.group.inverse(g)
        s, k, _, _ = self.group.unpack(h)
        da, db = point_act(s, k, 1 - direction, direction)  # the image of the bond's own direction
        a, b = self.group.act(h, a, b)
        a, b = (a + da.clamp(max=0)) % n, (b + db.clamp(max=0)) % n  # start from the end that comes first
        return (db.abs() * n + a) * n + b
