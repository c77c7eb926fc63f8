"""The exact kernel of graphs with a memory, for data that come again every epoch."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sympe.graphs import Graphs, contents
from sympe.graphs.checks import check_sizes
from sympe.groups import Permutations
from sympe.groups.checks import check_integer, check_kind
from sympe.groups.eager import on_cpu
from sympe.kernels.base import InversionKernel, uniform
from sympe.kernels.graphs.cosets import SMALL
from sympe.kernels.graphs.graph import GraphKernel

_LARGE = b"large"
"""The key of all graphs that are not kept: the contents of none."""


class CachedGraphKernel(InversionKernel):
    """A :class:`~sympe.kernels.GraphKernel` that keeps the cosets of the graphs it has seen, by their contents.

    With one state of a generator it draws what the kernel draws, whatever was seen before: it only saves time. Cosets
    that the kernel does not list (of large or very symmetric graphs) are drawn anew. A copy in a worker of a data
    loader has a memory of its own.

    Arguments:
        kernel: draws for graphs that are new.
        max_elements: elements of cosets that are kept, ``max_nodes`` integers each; when there are more of them, or
            more graphs, all are forgotten.

    Raises:
        ValueError: if ``max_elements < 1``.

    Example:
        >>> from sympe.graphs import DenseGraphs
        >>> star = DenseGraphs.from_features(torch.tensor([[[0, 1, 1], [1, 0, 0], [1, 0, 0]]]))
        >>> kernel = CachedGraphKernel(GraphKernel(max_nodes=3))
        >>> kernel.sample(star).shape, kernel.entropy(star).exp()
        (torch.Size([1, 3]), tensor([2.]))
    """

    def __init__(self, kernel: GraphKernel, *, max_elements: int = 10**6) -> None:
        check_kind("kernel", kernel, GraphKernel)
        check_integer("max_elements", max_elements)
        self.kernel = kernel
        self.max_elements = max_elements
        self._spans: dict[bytes, list[int]] = {_LARGE: [0, 0]}
        self._orders = self._nothing()

    def __repr__(self) -> str:
        return f"CachedGraphKernel({self.kernel!r}, max_elements={self.max_elements})"

    @property
    def form(self) -> dict[str, str]:
        """That of the kernel: a memory changes nothing."""
        return self.kernel.form

    @property
    def group(self) -> Permutations:
        """The permutations of ``max_nodes`` nodes."""
        return self.kernel.group

    def move(self, g: Int64[Tensor, "batch max_nodes"], x: Graphs) -> Graphs:
        """``g x``: node i becomes node g[i]."""
        return self.kernel.move(g, x)

    def list_coset(
        self, x: Graphs, *, limit: int
    ) -> tuple[Int64[Tensor, " listed"], Int64[Tensor, "listed max_nodes"]]:
        """As that of the kernel, without the memory."""
        return self.kernel.list_coset(x, limit=limit)

    def sample(self, x: Graphs, *, generator: torch.Generator | None = None) -> Int64[Tensor, "batch max_nodes"]:
        """Draw a uniform element of C(x) for every graph; the padding stays in place."""
        keys = self._keys(x, check_sizes(x, self.group.degree))
        new = [row for row, key in enumerate(keys) if key not in self._spans]
        if new:
            if max(len(self._orders), len(self._spans)) > self.max_elements:
                self._spans, self._orders = {_LARGE: [0, 0]}, self._nothing()
                new = [row for row, key in enumerate(keys) if key != _LARGE]
            self._remember(x.select(torch.tensor(new, device=x.device)), [keys[row] for row in new])
        spans = torch.tensor([self._spans[key] for key in keys], dtype=torch.int64).view(-1, 2)
        first, count = spans.to(x.device).unbind(1)
        listed = count > 0
        first, count = first[listed], count[listed]
        u = uniform(count.shape, count, generator)
        g = self.group.identity((len(x),), device=x.device)
        g[listed] = self._orders.to(x.device)[first + torch.minimum((u * count).long(), count - 1)].long()
        others = (~listed).nonzero().squeeze(1)
        if len(others):
            g[others] = self.kernel.sample(x.select(others), generator=generator)
        return g

    def log_prob(self, g: Int64[Tensor, "batch max_nodes"], x: Graphs) -> Float[Tensor, " batch"]:
        """``-log |G_x|`` on C(x), minus infinity elsewhere."""
        return self.kernel.log_prob(g, x)

    def entropy(self, x: Graphs) -> Float[Tensor, " batch"]:
        """``log |G_x|``, in nats."""
        return self.kernel.entropy(x)

    def _keys(self, x: Graphs, sizes: Tensor) -> list[bytes]:
        """The contents of small graphs; :data:`_LARGE` for those that the kernel does not list."""
        small = (sizes <= SMALL).nonzero().squeeze(1)
        if len(small) == len(x):
            return contents(x)
        keys = [_LARGE] * len(x)
        for row, key in zip(small.tolist(), contents(x.select(small)), strict=True):
            keys[row] = key
        return keys

    def _remember(self, x: Graphs, keys: list[bytes]) -> None:
        listed = self.kernel.cosets(x)
        count = torch.bincount(listed.rows, minlength=len(x))
        first = len(self._orders) + count.cumsum(0) - count
        self._spans.update(zip(keys, torch.stack([first, count], 1).tolist(), strict=True))
        self._orders = torch.cat([self._orders, listed.orders.to(self._orders.dtype).cpu()])

    @on_cpu
    def _nothing(self) -> Tensor:
        return torch.zeros((0, self.group.degree), dtype=torch.int16 if self.group.degree < 2**15 else torch.int64)
