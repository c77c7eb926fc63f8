r"""Which entries a reverse step settles, by their places in the canonical form: few steps that hurt little.

A reverse step draws its entries (nodes and pairs of nodes) independently of each other, so that a chain of few steps is
wrong about all entries that depend on each other and are settled together. Under absorbing noise any order of entries
makes a chain, and an equivariant denoiser has to leave it to chance, for it cannot tell equal nodes apart. A coupled g
(:mod:`sympe.kernels.coupled`) gives every node i a place :math:`r = g^{-1}(i)`. A table S of places then says in which
of k steps an entry is settled,

.. math:: S_g(i, j) = S(g^{-1} i, g^{-1} j) , \qquad S_g(i) = S(g^{-1} i, g^{-1} i) ,

and what is left masked before a step is a function of (x_0, g, step) that is equivariant in (x_0, g): the chain is
equivariant in law as any coupled one. Nothing but g is random in its bound,

.. math:: -\log p(x_0) \le -\log p(n) + \log |G_{x_T}| - \log |G_{x_T} \cap G_{x_0}|
   + \mathbb{E}_g \sum_{s < k} \sum_{S_g(e) = s} -\log p\bigl(x_0[e] \mid x_0[S_g < s], g\bigr) ,

and which table makes it least can be found by local search on training graphs (:func:`fit_unmasking`).

References:
    Austin et al., "Structured Denoising Diffusion Models in Discrete State-Spaces", NeurIPS 2021 (absorbing noise).
    Hoogeboom et al., "Autoregressive Diffusion Models", ICLR 2022 (any order makes a chain; parallel steps).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from sympe.diffusion.bound import Denoiser, size_nll
from sympe.diffusion.graphs import Features, GraphNoise, drawn, log_joint, pairs_of
from sympe.graphs import DenseGraphs
from sympe.groups.checks import check_integer
from sympe.randomness import draw_numbers


class Unmasking(nn.Module):
    """A table of places: the step in which each node and each pair of nodes is settled; a buffer, nothing is learned.

    Arguments:
        table: S, symmetric, with steps 0 to k - 1, each at least once; the diagonal is of the nodes.

    Raises:
        ValueError: if it is not symmetric, or a step is left out.

    Example:
        >>> plan = Unmasking(torch.tensor([[0, 2, 1], [2, 1, 0], [1, 0, 2]]))
        >>> plan
        Unmasking(steps=3, places=3)
        >>> plan.of(torch.tensor([[1, 0, 2]]))[0].diagonal()
        tensor([1, 0, 2])
        >>> plan.shares
        tensor([0.0000, 0.3333, 0.6667, 1.0000])
    """

    table: Tensor

    def __init__(self, table: Int64[Tensor, "places places"]) -> None:
        super().__init__()
        square = table.dim() == 2 and table.shape[0] == table.shape[1] >= 1 and not table.is_floating_point()
        if not square or not torch.equal(table, table.T):
            raise ValueError(f"table: expected a symmetric matrix of whole numbers, got {table.tolist()}")
        used = table.unique()
        if not torch.equal(used, torch.arange(len(used), device=table.device)):
            raise ValueError(f"table: expected every step from 0 to k - 1 at least once, got {used.tolist()}")
        self.register_buffer("table", table.long().clone())
        self.steps = len(used)

    def __repr__(self) -> str:
        return f"Unmasking(steps={self.steps}, places={len(self.table)})"

    @property
    def shares(self) -> Float[Tensor, " steps_and_one"]:
        """The share of entries of the largest graphs that are known before each step, and 1 at the end."""
        n = len(self.table)
        settled = self.table[torch.triu_indices(n, n).unbind()].bincount(minlength=self.steps).cumsum(0)
        return torch.cat([settled.new_zeros(1), settled]).to(torch.get_default_dtype()) / settled[-1]

    def of(self, g: Int64[Tensor, "batch places"]) -> Int64[Tensor, "batch places places"]:
        """S_g, the table moved by permutations.

        Raises:
            ValueError: if they are not as long as the table.
        """
        if g.shape[1] != len(self.table):
            raise ValueError(f"g: expected permutations of {len(self.table)} places, got {g.shape[1]}")
        place = g.argsort(1)
        table = self.table.to(g.device)
        return table[place[:, :, None], place[:, None]]

    def times(self, noise: GraphNoise) -> Int64[Tensor, " steps"]:
        """What time it is before each step for a denoiser of that noise: the nearest share of signal, and not 0.

        Raises:
            ValueError: if the noise is not absorbing.
        """
        _check_absorbing(noise)
        return (noise.schedule.cpu() - self.shares[:-1, None].cpu()).abs().argmin(1).clamp(min=1)

    def before(
        self,
        noise: GraphNoise,
        x: DenseGraphs,
        g: Int64[Tensor, "batch places"],
        step: Int64[Tensor, " batch"],
    ) -> DenseGraphs:
        """The graphs with what is settled in ``step`` or later masked.

        Raises:
            ValueError: if the noise is not absorbing, or there are more nodes than places.
        """
        _check_absorbing(noise)
        hidden = self._settled(x, g) >= step[:, None, None]
        return DenseGraphs(
            torch.where(hidden & _pairs(x.mask), noise.edges.clean_types, x.pairs),
            torch.where(_nodes(hidden) & x.mask, noise.nodes.clean_types, x.colors),
            x.mask,
        )

    def log_likelihood(
        self,
        logits: Features,
        x: DenseGraphs,
        g: Int64[Tensor, "batch places"],
        step: Int64[Tensor, " batch"],
    ) -> Float[Tensor, " batch"]:
        """Log p of the entries of clean graphs that are settled in ``step``, in nats; differentiable in the logits."""
        now = self._settled(x, g) == step[:, None, None]
        exact = torch.promote_types(logits.nodes.dtype, torch.float32)
        nodes, edges = (part.to(exact).log_softmax(-1) for part in logits)
        return log_joint(
            Features(torch.where(_nodes(now)[..., None], nodes, 0.0), torch.where(now[..., None], edges, 0.0)), x
        )

    def settled(
        self,
        x: DenseGraphs,
        y: DenseGraphs,
        g: Int64[Tensor, "batch places"],
        step: Int64[Tensor, " batch"],
    ) -> DenseGraphs:
        """The graphs ``x`` with what is settled in ``step`` as in ``y``."""
        now = self._settled(x, g) == step[:, None, None]
        return DenseGraphs(
            torch.where(now & _pairs(x.mask), y.pairs, x.pairs), torch.where(_nodes(now), y.colors, x.colors), x.mask
        )

    def _settled(self, x: DenseGraphs, g: Tensor) -> Int64[Tensor, "batch n n"]:
        n = x.mask.shape[1]
        if n > len(self.table):
            raise ValueError(f"x: expected graphs of up to {len(self.table)} nodes, as many as places; got {n}")
        return self.of(g)[:, :n, :n]


def _check_absorbing(noise: GraphNoise) -> None:
    for kind in (noise.nodes, noise.edges):
        if kind.types == kind.clean_types or kind.limit[-1] != 1:
            raise ValueError(f"noise: expected absorbing noise, for another masks nothing; got {kind.limit.tolist()}")


def _nodes(entries: Bool[Tensor, "batch n n"]) -> Bool[Tensor, "batch n"]:
    return entries.diagonal(dim1=1, dim2=2)


def _pairs(mask: Bool[Tensor, "batch n"]) -> Bool[Tensor, "batch n n"]:
    """The pairs of real nodes, both ways."""
    once = pairs_of(mask)
    return once | once.transpose(1, 2)


@torch.no_grad()
def unmasking_nll(
    denoiser: Denoiser,
    noise: GraphNoise,
    x: DenseGraphs,
    log_sizes: Float[Tensor, " sizes"],
    unmasking: Unmasking,
    g: Int64[Tensor, "batch places"],
) -> Float[Tensor, " batch"]:
    """The bound for every graph in nats, without the price of g; exact for that g.

    Arguments:
        denoiser: knows g.
        noise: absorbing.
        x: clean graphs.
        log_sizes: log p(n) for n = 0, 1, ...
        unmasking: the table.
        g: of each graph, from the coupled kernel.

    Raises:
        ValueError: if a graph is not clean or has a size of probability 0, or the noise is not absorbing.

    Example:
        >>> from sympe.diffusion import CategoricalNoise, cosine_schedule
        >>> noise = GraphNoise(CategoricalNoise.absorbing(4), CategoricalNoise.absorbing(2), cosine_schedule(50))
        >>> def guess(x, t, *, generator=None):
        ...     return Features(torch.zeros(*x.colors.shape, 4), torch.zeros(*x.pairs.shape, 2))
        >>> table = Unmasking(torch.tensor([[0, 1, 1], [1, 0, 1], [1, 1, 0]]))  # nodes, then pairs
        >>> g = torch.arange(3).expand(2, 3)
        >>> x = DenseGraphs.from_features(torch.zeros(2, 3, 3).long(), mask=torch.arange(3) < torch.tensor([[2], [3]]))
        >>> sizes = torch.tensor([0.0, 0.0, 0.5, 0.5]).log()
        >>> unmasking_nll(guess, noise, x, sizes, table, g).exp().round()  # 2 * 4^2 * 2 and 2 * 4^3 * 2^3
        tensor([  64., 1024.], dtype=torch.float64)
    """
    noise.check(x)
    result = size_nll(x, log_sizes)
    for step in range(unmasking.steps):
        result = result - _step_likelihood(denoiser, noise, x, unmasking, g, step)
    return result


@torch.no_grad()
def sample_by_unmasking(
    denoiser: Denoiser,
    noise: GraphNoise,
    x: DenseGraphs,
    unmasking: Unmasking,
    g: Int64[Tensor, "batch places"],
    *,
    generator: torch.Generator | None = None,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> DenseGraphs:
    """Draw clean graphs, one step of the table after the other.

    Arguments:
        denoiser: knows g.
        noise: absorbing.
        x: graphs at time T, all masked.
        unmasking: the table.
        g: of each graph, from the kernel of ``x``.
        generator: draws everything.
        progress: wraps the steps, such as tqdm.

    Raises:
        ValueError: if the noise is not absorbing.

    Example:
        >>> from sympe.diffusion import CategoricalNoise, cosine_schedule
        >>> noise = GraphNoise(CategoricalNoise.absorbing(4), CategoricalNoise.absorbing(2), cosine_schedule(50))
        >>> def guess(x, t, *, generator=None):
        ...     return Features(torch.zeros(*x.colors.shape, 4), torch.zeros(*x.pairs.shape, 2))
        >>> table = Unmasking(torch.tensor([[0, 1, 1], [1, 0, 1], [1, 1, 0]]))  # nodes, then pairs
        >>> g = torch.arange(3).expand(2, 3)
        >>> sample_by_unmasking(guess, noise, noise.sample_limit(torch.tensor([2, 3])), table, g).sizes
        tensor([2, 3])
    """
    times = unmasking.times(noise).tolist()
    for number in progress(range(unmasking.steps)):
        logits = denoiser(x, torch.full_like(x.sizes, times[number]), generator=generator)
        found = drawn(Features(logits.nodes.softmax(-1), logits.edges.softmax(-1)), x.mask, generator)
        x = unmasking.settled(x, found, g, torch.full_like(x.sizes, number))
    return x


@torch.no_grad()
def fit_unmasking(
    denoiser: Denoiser,
    noise: GraphNoise,
    x: DenseGraphs,
    g: Int64[Tensor, "batch places"],
    start: Unmasking,
    *,
    sweeps: int = 6,
    generator: torch.Generator | None = None,
    progress: Callable[[Iterable[Tensor]], Iterable[Tensor]] = iter,
) -> Unmasking:
    """Lower the mean bound of some graphs by moving single entries of the table to other steps, as long as that helps.

    Arguments:
        denoiser: knows g; trained with masks at random, so that it can answer for any table.
        noise: absorbing.
        x: clean graphs, of the training set.
        g: of each graph, from the coupled kernel.
        start: the table to begin with, which says how many steps there are.
        sweeps: over all entries, at most; each is tried one step earlier, one later, and in one at random.
        generator: draws the order of the entries, and those steps.
        progress: wraps the entries of a sweep, such as tqdm.

    Raises:
        ValueError: if ``sweeps < 1``, the noise is not absorbing, or the start has no finite bound.

    Example:
        >>> from sympe.diffusion import CategoricalNoise, cosine_schedule
        >>> noise = GraphNoise(CategoricalNoise.absorbing(4), CategoricalNoise.absorbing(2), cosine_schedule(50))
        >>> def guess(x, t, *, generator=None):
        ...     return Features(torch.zeros(*x.colors.shape, 4), torch.zeros(*x.pairs.shape, 2))
        >>> table = Unmasking(torch.tensor([[0, 1, 1], [1, 0, 1], [1, 1, 0]]))  # nodes, then pairs
        >>> g = torch.arange(3).expand(2, 3)
        >>> x = DenseGraphs.from_features(torch.zeros(2, 3, 3).long())
        >>> fit_unmasking(guess, noise, x, g, table, sweeps=1)  # who only guesses wins nothing
        Unmasking(steps=2, places=3)
    """
    check_integer("sweeps", sweeps)
    n, steps = len(start.table), start.steps
    table = start.table.clone()

    def cost(step: int) -> float:
        return -float(_step_likelihood(denoiser, noise, x, Unmasking(table), g, step).mean())

    def put(i: int, j: int, step: int) -> None:
        table[i, j] = table[j, i] = step

    costs = [cost(step) for step in range(steps)]
    if not all(map(math.isfinite, costs)):
        raise ValueError(f"start: expected a table with a finite bound, got {costs} nats in its steps")
    entries = torch.triu_indices(n, n).T
    for _ in range(sweeps):
        moved = False
        order = draw_numbers(torch.randperm, len(entries), generator=generator)
        chances = draw_numbers(torch.randint, 0, steps, (len(entries),), generator=generator).tolist()
        for (i, j), chance in zip(progress(entries[order].tolist()), chances, strict=True):
            now = int(table[i, j])
            if int((table == now).triu().sum()) == 1:
                continue  # no step is left empty
            best = (-1e-4, now, costs)
            for other in {now - 1, now + 1, chance} & set(range(steps)) - {now}:
                put(i, j, other)
                between = range(min(now, other), max(now, other) + 1)
                after = [cost(step) if step in between else costs[step] for step in range(steps)]
                best = min(best, (sum(after) - sum(costs), other, after))
            put(i, j, best[1])
            moved, costs = moved or best[1] != now, best[2]
        if not moved:
            break
    return Unmasking(table)


def _step_likelihood(
    denoiser: Denoiser, noise: GraphNoise, x: DenseGraphs, unmasking: Unmasking, g: Tensor, step: int
) -> Float[Tensor, " batch"]:
    now = torch.full_like(x.sizes, step)
    time = torch.full_like(x.sizes, int(unmasking.times(noise)[step]))
    logits = denoiser(unmasking.before(noise, x, g, now), time)
    return unmasking.log_likelihood(Features(logits.nodes.double(), logits.edges.double()), x, g, now)
