r"""The inversion kernel of the symmetric group on graphs, and the uniform kernel that leaves padding alone.

A permutation moves node i to p[i]. For an element g of :math:`C(x) = \{g : g^{-1} x = \gamma(x)\}`, node r of the
canonical form is node g[r] of x, and row r of SymPE's v goes to node g[r].
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from sympe.graphs import Graphs
from sympe.graphs.checks import check_sizes, equal_graphs, fixes_padding, without_spare_padding
from sympe.groups import Permutations
from sympe.groups.checks import check_integer
from sympe.kernels.base import InversionKernel, Kernel, check_count, uniform
from sympe.kernels.graphs.bliss import Draw
from sympe.kernels.graphs.cosets import Decomposed, choose, first_choice, list_cosets
from sympe.kernels.graphs.hard import hard_parts
from sympe.kernels.graphs.individualization import Leaves
from sympe.kernels.graphs.orders import DENSE_ORDERS, NODE_ORDERS

_ORDERED = 2048
"""Largest graphs for orders that work on dense matrices."""


class GraphKernel(InversionKernel):
    r"""The exact inversion kernel of :math:`S_n` on graphs: uniform on C(x), with entropy :math:`\log |G_x|`.

    .. math:: \kappa(g \mid x) = \frac{1}{|G_x|} \quad \text{if } g^{-1} x = \gamma(x), \text{ else } 0 .

    Graphs of up to 64 nodes with at most 256 automorphisms are searched in batches on any device
    (:mod:`sympe.kernels.graphs.individualization`). The others are refined and taken apart on any device
    (:mod:`sympe.kernels.graphs.cosets`); connected pieces that still tie are relabelled by a Haar permutation and
    canonicalized by BLISS, one by one on the CPU; where igraph is not installed, by a search that takes a few to a
    hundred times as long (:mod:`sympe.kernels.graphs.tree`) and finds another canonical form of such pieces, which
    :attr:`form` says. Which way a graph goes depends on its isomorphism class alone, and nothing depends on the rest of
    the batch.

    It is exact up to hashes of 64 bits: refinement tells colours apart by them, and the batched search the labellings
    that it finds. A graph gets an element that is not of C(x) with a probability of about :math:`2^{-62}` for each two
    things that are compared, unless its colours were made up for that: the hashes have no secret.

    Arguments:
        max_nodes: the degree of the group; smaller graphs are padded, and the padding stays where it is.
        order: which canonical form: one of :data:`~sympe.kernels.graphs.orders.NODE_ORDERS`. All of them are exact,
            with the same entropy; they differ in what place r of the canonical form tells about a node, and so in how
            well a network learns from it. "breadth-first" and "fiedler", where neighbours have places that are close,
            made a half or less of the errors of the others in graph autoencoding, "breadth-first" the fewest
            (``results/autoencoder``). "depth-first", long branches first, leaves the least to guess where places are
            all that is known, as in the first steps of coupled generation (``results/few-steps``). "refined" is the
            cheapest.

    Raises:
        ValueError: if ``order`` is unknown or ``max_nodes < 1``; on use, if a graph has more than ``max_nodes`` nodes,
            or more than 2,048 and ``order`` is "degree", "depth-first" or "fiedler", or if two of its components share
            a hash and are not isomorphic.
        ImportError: on use, if igraph is missing and a graph has a piece that the search gives up, or ``order`` is
            "bliss"; of how many nodes the piece is.

    References:
        Lawrence et al. (arXiv 2503.21985), Section 4.

    Example:
        >>> import torch
        >>> from sympe.graphs import DenseGraphs
        >>> square = torch.tensor([[0, 1, 0, 1], [1, 0, 1, 0], [0, 1, 0, 1], [1, 0, 1, 0]])
        >>> kernel = GraphKernel(max_nodes=6)
        >>> x = DenseGraphs.from_features(square[None])
        >>> kernel.sample(x).shape, kernel.entropy(x).exp().round()
        (torch.Size([1, 6]), tensor([8.]))
    """

    def __init__(self, max_nodes: int, *, order: str = "breadth-first") -> None:
        if order not in NODE_ORDERS:
            raise ValueError(f"order: expected one of {', '.join(NODE_ORDERS)}; got {order!r}")
        check_integer("max_nodes", max_nodes)
        self._group = Permutations(max_nodes)
        self.order = order

    def __repr__(self) -> str:
        return f"GraphKernel(max_nodes={self.group.degree}, order={self.order!r})"

    @property
    def form(self) -> dict[str, str]:
        """The order, and who settles hard parts if it is not BLISS (:mod:`sympe.kernels.graphs.hard`)."""
        return {"kernel": "GraphKernel", "order": self.order, **hard_parts()}

    @property
    def group(self) -> Permutations:
        """The permutations of ``max_nodes`` nodes."""
        return self._group

    def sample(self, x: Graphs, *, generator: torch.Generator | None = None) -> Int64[Tensor, "batch max_nodes"]:
        """Draw a uniform element of C(x) for every graph; the padding stays in place."""
        return self._element(x, lambda shape, like: uniform(shape, like, generator))

    def canonicalize(self, x: Graphs) -> Int64[Tensor, "batch max_nodes"]:
        r"""One element of C(x) for every graph, always the same for the same labelling.

        It is a canonicalizer c(x), so :math:`c(x)^{-1} x = \gamma(x)`. It is not equivariant: which of the elements of
        C(x) it gives depends on the labels.

        Example:
            >>> from sympe.graphs import DenseGraphs
            >>> star = DenseGraphs.from_features(torch.tensor([[[0, 1, 1], [1, 0, 0], [1, 0, 0]]]))
            >>> kernel = GraphKernel(3)
            >>> torch.equal(kernel.canonicalize(star), kernel.canonicalize(star))  # samples may differ
            True
        """
        return self._element(x, first_choice)

    def _element(self, x: Graphs, draw: Draw) -> Tensor:
        g, listed, large = self._start(x)
        g[~listed.too_many, : listed.orders.shape[1]] = choose(listed, draw)
        if len(large):
            apart = Decomposed(x.select(large).sparse())
            g[large] = self._padded(apart, apart.orders(draw))
        if self.order == "refined":
            return g
        return self.group.compose(g, self._inner(x, g))

    def cosets(self, x: Graphs) -> Leaves:
        """The whole of C(x) for graphs of up to 64 nodes and 256 automorphisms or so; ``too_many`` names the others.

        Example:
            >>> from sympe.graphs import DenseGraphs
            >>> star = torch.tensor([[0, 1, 1], [1, 0, 0], [1, 0, 0]])
            >>> GraphKernel(4).cosets(DenseGraphs.from_features(star[None])).orders.shape
            torch.Size([2, 4])
        """
        identity, listed, _ = self._start(x)
        orders = identity[listed.rows]
        orders[:, : listed.orders.shape[1]] = listed.orders
        if self.order != "refined":
            first = torch.ones_like(listed.rows, dtype=torch.bool)
            first[1:] = listed.rows.diff() != 0
            inner = self._inner(x.select(listed.rows[first]), orders[first])  # one for all elements of a coset
            orders = orders.gather(1, inner[first.cumsum(0) - 1])
        return Leaves(listed.rows, orders, listed.too_many)

    def move(self, g: Int64[Tensor, "batch max_nodes"], x: Graphs) -> Graphs:
        """``g x``: node i becomes node g[i]."""
        return x.relabel(g)

    def list_coset(
        self, x: Graphs, *, limit: int
    ) -> tuple[Int64[Tensor, " listed"], Int64[Tensor, "listed max_nodes"]]:
        """C(x) as two parallel lists, for graphs of any size.

        Raises:
            ValueError: if the C(x) of a graph has more than ``limit`` elements; says how many.

        Example:
            >>> from sympe.graphs import DenseGraphs
            >>> rings = DenseGraphs.from_features(torch.eye(5).roll(1, 0).add(torch.eye(5).roll(-1, 0)).long()[None])
            >>> rows, g = GraphKernel(5).list_coset(rings, limit=10)
            >>> g.shape
            torch.Size([10, 5])
        """
        listed = self.cosets(x)
        rows, elements = [listed.rows], [listed.orders]
        large = listed.too_many.nonzero().squeeze(1)
        log_counts = torch.bincount(listed.rows, minlength=len(x)).double().log()
        if len(large):
            log_counts[large] = Decomposed(x.select(large).sparse()).log_orders()
        check_count(log_counts, limit)
        if len(large):  # few elements all the same: G_x from its generators, times one element
            some = x.select(large)
            for row, c, generators in zip(large, self.canonicalize(some), self.generators(some), strict=True):
                symmetries = generated(generators, c)
                elements.append(self.group.compose(symmetries, c.expand_as(symmetries)))
                rows.append(row.expand(len(symmetries)))
        row, by = torch.cat(rows).sort(stable=True)
        return row, torch.cat(elements)[by]

    def log_prob(self, g: Int64[Tensor, "batch max_nodes"], x: Graphs) -> Float[Tensor, " batch"]:
        """``-log |G_x|`` on C(x), minus infinity elsewhere.

        Raises:
            ValueError: if ``g`` does not hold permutations of ``max_nodes`` nodes.
        """
        check_sizes(x, self.group.degree)
        self.group.check(g)
        fixes = fixes_padding(g, x)
        g = torch.where(fixes[:, None], g, torch.arange(self.group.degree, device=g.device))
        c = self.canonicalize(x)  # any element of C(x) leads to the same form
        same = equal_graphs(x.relabel(self.group.inverse(g)), x.relabel(self.group.inverse(c)))
        return torch.where(fixes & same, -self.entropy(x), -torch.inf)

    def entropy(self, x: Graphs) -> Float[Tensor, " batch"]:
        """``log |G_x|``, in nats."""
        _, listed, large = self._start(x)
        entropy = torch.bincount(listed.rows, minlength=len(x)).double().log()
        if len(large):
            entropy[large] = Decomposed(x.select(large).sparse()).log_orders()
        return entropy.to(torch.get_default_dtype())

    def orbits(self, x: Graphs) -> Int64[Tensor, "batch max_nodes"]:
        """The orbits of the nodes under G_x: the least node of each node's orbit; in the padding, itself.

        Example:
            >>> from sympe.graphs import DenseGraphs
            >>> star = torch.tensor([[0, 1, 1], [1, 0, 0], [1, 0, 0]])
            >>> GraphKernel(4).orbits(DenseGraphs.from_features(star[None]))
            tensor([[0, 1, 1, 3]])
        """
        orbit, listed, large = self._start(x)
        n = listed.orders.shape[1]
        # node i takes the same places as the others of its orbit
        spot = torch.arange(n, device=x.device).expand_as(listed.orders)
        least = torch.full((len(x) * n,), n, dtype=torch.int64, device=x.device)
        least = least.scatter_reduce(0, (listed.rows[:, None] * n + listed.orders).flatten(), spot.flatten(), "amin")
        least = least.view(len(x), n)[~listed.too_many]
        first = torch.full((len(least), n + 1), n, dtype=torch.int64, device=x.device)
        first = first.scatter_reduce(1, least, torch.arange(n, device=x.device).expand_as(least), "amin")
        orbit[~listed.too_many, :n] = first.gather(1, least)
        if len(large):
            apart = Decomposed(x.select(large).sparse())
            orbit[large] = self._padded(apart, apart.orbits() - apart.x.starts[apart.x.graph])
        return orbit

    def generators(self, x: Graphs) -> list[Int64[Tensor, "count max_nodes"]]:
        """Generators of G_x for each graph, more than needed; none where it is trivial.

        Example:
            >>> from sympe.graphs import DenseGraphs
            >>> star = torch.tensor([[0, 1, 1], [1, 0, 0], [1, 0, 0]])
            >>> GraphKernel(4).generators(DenseGraphs.from_features(star[None]))
            [tensor([[0, 2, 1, 3]])]
        """
        _, listed, large = self._start(x)
        found = [p[:0] for p in self.group.identity((len(x), 1), device=x.device)]
        easy = (~listed.too_many).nonzero().squeeze(1).tolist()
        count = torch.bincount(listed.rows, minlength=len(x)).tolist()
        of = listed.orders.split(count)
        moved = {
            row: torch.empty_like(of[row][1:]).scatter_(1, of[row][:1].expand(count[row] - 1, -1), of[row][1:])
            for row in easy
        }
        if len(large):
            moved |= dict(zip(large.tolist(), Decomposed(x.select(large).sparse()).generators(), strict=True))
        for row, p in moved.items():
            found[row] = self.group.identity((len(p),), device=x.device)
            found[row][:, : p.shape[1]] = p
        return found

    def _inner(self, x: Graphs, g: Tensor) -> Tensor:
        """The order of the nodes of the canonical form that g leads to."""
        n = int(x.sizes.max()) if len(x) else 0
        if n > _ORDERED and self.order in DENSE_ORDERS:
            raise ValueError(
                f"x: the order {self.order!r} is for graphs of at most {_ORDERED} nodes, got one of {n}; "
                "the others take any"
            )
        form = without_spare_padding(x.relabel(self.group.inverse(g)), self.group.degree)
        return NODE_ORDERS[self.order](form, self.group.degree)

    def _start(self, x: Graphs) -> tuple[Tensor, Leaves, Tensor]:
        """Identities, the cosets that can be listed, and the numbers of the other graphs."""
        check_sizes(x, self.group.degree)
        listed = list_cosets(without_spare_padding(x, self.group.degree))
        return self.group.identity((len(x),), device=x.device), listed, listed.too_many.nonzero().squeeze(1)

    def _padded(self, apart: Decomposed, values: Tensor) -> Tensor:
        """Numbers of the nodes of all graphs, in rows that go on with the padding in place."""
        place = torch.arange(self.group.degree, device=values.device)
        out = place.repeat(len(apart.x), 1)
        out[place < apart.x.sizes[:, None]] = values
        return out


def generated(generators: Int64[Tensor, "count n"], like: Int64[Tensor, " n"]) -> Int64[Tensor, "order n"]:
    """All products of permutations, the identity first."""
    found = [tuple(range(len(like)))]
    known = set(found)
    for p in found:
        for generator in generators.tolist():
            product = tuple(generator[i] for i in p)
            if product not in known:
                known.add(product)
                found.append(product)
    return torch.tensor(found, device=like.device)


class GraphHaarKernel(Kernel):
    r"""Uniform on the permutations of a graph's nodes, whatever its edges: entropy :math:`\log n!`.

    Unlike :class:`~sympe.kernels.HaarKernel` it leaves the padding of smaller graphs in place.

    Arguments:
        max_nodes: the degree of the group.

    Raises:
        ValueError: if ``max_nodes < 1``; on use, if a graph has more than ``max_nodes`` nodes.

    Example:
        >>> import torch
        >>> from sympe.graphs import DenseGraphs
        >>> x = DenseGraphs.from_features(torch.zeros(1, 3, 3, dtype=torch.int64))
        >>> GraphHaarKernel(max_nodes=5).sample(x)[:, 3:], GraphHaarKernel(max_nodes=5).entropy(x).exp().round()
        (tensor([[3, 4]]), tensor([6.]))
    """

    def __init__(self, max_nodes: int) -> None:
        check_integer("max_nodes", max_nodes)
        self._group = Permutations(max_nodes)

    def __repr__(self) -> str:
        return f"GraphHaarKernel(max_nodes={self.group.degree})"

    @property
    def group(self) -> Permutations:
        """The permutations of ``max_nodes`` nodes."""
        return self._group

    def sample(self, x: Graphs, *, generator: torch.Generator | None = None) -> Int64[Tensor, "batch max_nodes"]:
        """Draw a uniform permutation of the nodes of every graph."""
        sizes = check_sizes(x, self.group.degree)
        place = torch.arange(self.group.degree, device=x.device)
        keys = uniform(torch.Size((len(x), self.group.degree)), sizes, generator)
        return torch.where(place < sizes[:, None], keys, 1.0 + place).argsort(1)

    def log_prob(self, g: Int64[Tensor, "batch max_nodes"], x: Graphs) -> Float[Tensor, " batch"]:
        """``-log n!`` for permutations that leave the padding in place."""
        check_sizes(x, self.group.degree)
        self.group.check(g)
        return torch.where(fixes_padding(g, x), -self.entropy(x), -torch.inf)

    def entropy(self, x: Graphs) -> Float[Tensor, " batch"]:
        """``log n!``, in nats."""
        return torch.lgamma(check_sizes(x, self.group.degree) + 1.0)
