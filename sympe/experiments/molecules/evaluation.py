r"""How good a model of molecules is: the bound of its likelihood, samples, and how random its kernel is.

Nothing here needs RDKit; what chemistry says of the samples is in :mod:`sympe.experiments.molecules.quality`.

For a coupled row the bound is joint in x_T and the trajectory, with the price of g paid once
(:mod:`sympe.kernels.coupled`),

.. math:: \log |G_{x_T}| - \log |G_{x_T} \cap G_{x_0}| .
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sympe.diffusion import (
    Denoiser,
    Features,
    Unmasking,
    nll,
    nll_digress,
    sample_by_unmasking,
    sample_graphs,
    unmasking_nll,
)
from sympe.experiments.molecules.config import MoleculesConfig
from sympe.experiments.molecules.data import Molecules
from sympe.experiments.molecules.model import MoleculeModel
from sympe.experiments.progress import Bar
from sympe.graphs import DenseGraphs
from sympe.kernels import GraphHaarKernel, GraphKernel
from sympe.randomness import seeded

REPEATS = 2
"""Independent estimates of the bound, from which its standard error follows."""

TIMES = 20
"""Times at which each test molecule is judged in one of them."""

ENTROPY_TIMES = 26
"""Times at which the entropy of the kernel is taken, on as many molecules as are sampled, at most 1,000."""

DRAWN = 64
"""Molecules that one thread of a CPU draws at once."""


def at_once(device: torch.device) -> int:
    """Molecules that are evaluated at once: what fits the caches of a CPU, more where there is a GPU."""
    return 128 if device.type == "cpu" else 4096


def drawing(
    model: MoleculeModel, generator: torch.Generator | None, g: Tensor | None = None, *, temperature: float = 1.0
) -> Denoiser:
    """The denoiser with a generator of its own, and with the same ``g`` at all times if one is given.

    Its logits are divided by the temperature: below 1 it is surer of itself than it has learned to be.
    """
    own = generator

    def denoiser(x: DenseGraphs, t: Tensor, *, generator: torch.Generator | None = None) -> Features:
        logits: Features = model(x, t, g=g, generator=own)
        return Features(logits.nodes / temperature, logits.edges / temperature)

    return denoiser


def shuffling(model: MoleculeModel, generator: torch.Generator | None, g: Tensor | None = None) -> Denoiser:
    r"""The denoiser of :func:`drawing`, shown the nodes in an order at random; its answers are moved back.

    With u uniform, :math:`x \mapsto u^{-1} f(u x, u g)` is equivariant in law whatever f is. Of a model that is
    equivariant in law it has the bound; of one that is not, what it loses was told by the order in which the nodes
    happen to stand.
    """
    haar, own = GraphHaarKernel(model.max_nodes), generator

    def denoiser(x: DenseGraphs, t: Tensor, *, generator: torch.Generator | None = None) -> Features:
        u = haar.sample(x, generator=own)
        h = None if g is None else haar.group.compose(u, g)
        logits = model(x.relabel(u), t, g=h, generator=own)
        place = u[:, : logits.nodes.shape[1]]
        row = torch.arange(len(x), device=x.device)[:, None]
        return Features(logits.nodes[row, place], logits.edges[row[:, :, None], place[:, :, None], place[:, None]])

    return denoiser


def check_sizes(model: MoleculeModel, molecules: Molecules) -> None:
    """Refuse molecules whose likelihood is 0: a model knows the sizes of its training molecules alone.

    Raises:
        ValueError: if there are any; names one.
    """
    counts = model.statistics.size_counts
    known = counts[molecules.sizes.clamp(max=len(counts) - 1)].bool() & (molecules.sizes < len(counts))
    if not bool(known.all()):
        row = int((~known).nonzero()[0])
        raise ValueError(
            f"data: {molecules.smiles[row]} has {int(molecules.sizes[row])} atoms, as has no molecule that the model "
            f"was trained on; {int((~known).sum())} of {len(molecules)} are of such sizes"
        )


@torch.no_grad()
def bound(
    model: MoleculeModel,
    molecules: Molecules,
    *,
    times: int | None,
    chain: Sequence[int] | Unmasking | None = None,
    draws: int = 1,
    digress: bool = False,
    shuffled: bool = False,
    generator: torch.Generator | None = None,
    progress: Callable[[Sequence[Tensor]], Iterable[Tensor]] = iter,
) -> Float[Tensor, " molecules"]:
    """An unbiased estimate of the bound for every molecule, in nats, on the CPU.

    The noise does not depend on what the encoding draws: with the same seed all encodings are judged on the same noisy
    molecules (coupled ones at T on those that their g was drawn from), which makes their differences far more certain
    than their values.

    Arguments:
        model: on any device.
        molecules: of the kind that it was trained on.
        times: how many steps of the chain each molecule is judged at; all if there are fewer, or for None, and of a
            table of places always.
        chain: the times that are visited, from T down to 0, or, of a coupled row under absorbing noise, a table of
            places; None for all times, or the table that the row was trained on. See :func:`sympe.diffusion.nll` and
            :func:`sympe.diffusion.unmasking_nll`.
        draws: K, of the encoding; see :func:`sympe.diffusion.nll`.
        digress: the number that DiGress reports in place of the bound.
        shuffled: whether the model sees the nodes in an order at random, each time anew (:func:`shuffling`).
        generator: draws everything.
        progress: wraps the parts that are evaluated at once, such as tqdm.

    Raises:
        ValueError: if ``draws`` is not 1 for a coupled row or DiGress' number, or that is asked for a chain; if a row
            has to have a table and gets times, or has no coupled g and gets a table; and what these functions raise.
    """
    coupled = model.encoding.coupled
    chain = _chain_of(model, chain)
    if draws != 1 and (digress or coupled):
        raise ValueError(f"draws: expected 1 for nll_digress and for coupled rows, got {draws}")
    if digress and chain is not None:
        raise ValueError(f"chain: nll_digress is of all times, got {chain}")
    steps = len(chain) - 1 if isinstance(chain, Sequence) else model.noise.steps
    times = steps if times is None else min(times, steps)
    found = []
    by_size = molecules.sizes.argsort(stable=True)  # little padding
    device = model.log_sizes.device
    own = None if generator is None else _split(generator)
    for rows in progress(by_size.split(at_once(device))):
        x = molecules.graphs(rows).to(device)
        g = last = None
        price = torch.zeros(len(x), device=device)
        if coupled:
            last = model.noise.sample_limit(x.sizes, generator=own)
            g = model.encoding.of_chain(last, x, generator=own)
            price = model.encoding.price(last, x)
        denoiser = (shuffling if shuffled else drawing)(model, own, g)
        if isinstance(chain, Unmasking) and g is not None:
            value = unmasking_nll(denoiser, model.noise, x, model.log_sizes, chain, g)
        elif digress:
            value = nll_digress(denoiser, model.noise, x, model.log_sizes, times=times, generator=generator)
        else:
            value = nll(
                denoiser,
                model.noise,
                x,
                model.log_sizes,
                times=times,
                chain=chain if isinstance(chain, Sequence) else None,
                draws=draws,
                last=last,
                generator=generator,
            )
        found.append((value + price).cpu())
    return torch.cat(found)[by_size.argsort()]


def _chain_of(model: MoleculeModel, chain: Sequence[int] | Unmasking | None) -> Sequence[int] | Unmasking | None:
    """The chain that is asked for, or the table that the row was trained on."""
    if isinstance(chain, Unmasking):
        if not model.encoding.coupled:
            raise ValueError(f"chain: places are those of a coupled g, which {model.config.name} has not; got {chain}")
    elif model.unmasking is not None:
        if chain is not None:
            raise ValueError(f"chain: {model.config.name} knows a table of places and no times, got {chain}")
        return model.unmasking
    return chain


def _split(generator: torch.Generator) -> torch.Generator:
    """Another generator, seeded by a draw of this one."""
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    return torch.Generator(generator.device).manual_seed(seed)


def estimate(repeats: Sequence[Tensor]) -> tuple[float, float]:
    """The mean over molecules and repeats, and the standard error that comes of the draws alone.

    Arguments:
        repeats: independent estimates for the same molecules, at least two.

    Example:
        >>> estimate([torch.tensor([1.0, 4.0]), torch.tensor([3.0, 4.0])])
        (3.0, 0.5)
    """
    values = torch.stack(list(repeats)).double()
    variance = values.var(0).mean() / values.numel()  # of the mean over molecules and repeats
    return float(values.mean()), math.sqrt(float(variance))


@torch.no_grad()
def sample(
    model: MoleculeModel,
    count: int,
    *,
    steps: int | Sequence[int] | Unmasking | None = None,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> DenseGraphs:
    """Draw molecules as graphs, their sizes as in the training set.

    On a CPU parts of :data:`DRAWN` molecules are drawn in as many threads as torch has, each part with one thread and
    a generator of its own: the molecules do not depend on how many threads there are, and a core that other processes
    need holds up one part instead of every operation.

    Arguments:
        model: on any device.
        count: how many.
        steps: reverse steps, or the times that are visited, see :func:`sympe.diffusion.sample_graphs`; or, of a coupled
            row under absorbing noise, a table of places. None for all times, or the table that the row was trained on.
        temperature: the logits of the clean types are divided by it. Below 1 more samples are valid and fewer unique,
            and their law is another than the one that :func:`bound` bounds.
        generator: draws everything, on the device of the model.
        progress: wraps the numbers of the reverse steps of all parts that are drawn at once, such as tqdm.

    Raises:
        ValueError: if ``count < 1``, ``temperature`` is not positive and finite, or ``steps`` is not between 1 and T,
            or not the number of the steps of the table that the row was trained on; if times or a table do not fit
            the row, as in :func:`bound`.
    """
    if count < 1:
        raise ValueError(f"count: expected at least 1, got {count}")
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature: expected a positive, finite number, got {temperature}")
    if model.unmasking is not None and isinstance(steps, int):
        if steps != model.unmasking.steps:
            raise ValueError(f"steps: expected {model.unmasking.steps}, those that the row knows; got {steps}")
        steps = None
    chain = steps if isinstance(steps, int) else _chain_of(model, steps)
    sizes = torch.multinomial(model.log_sizes.exp(), count, replacement=True, generator=generator)
    by_size = sizes.argsort(stable=True)  # little padding
    cpu = sizes.device.type == "cpu"
    parts = by_size.split(DRAWN if cpu else at_once(sizes.device))
    if isinstance(chain, Unmasking):
        each = chain.steps
    else:
        each = model.noise.steps if chain is None else chain if isinstance(chain, int) else len(chain) - 1
    ticks = iter(progress(range(len(parts) * each)))
    lock, stopped = threading.Lock(), threading.Event()

    def ticking(times: Iterable[Any]) -> Iterable[Any]:
        for pair in times:
            if stopped.is_set():
                return
            with lock:
                next(ticks)
            yield pair

    @torch.no_grad()  # of one thread only
    def draw_part(rows: Tensor, own: torch.Generator | None) -> DenseGraphs:
        x = model.noise.sample_limit(sizes[rows], generator=own)
        g = model.encoding.of_chain(x, generator=own) if model.encoding.coupled else None
        denoiser = drawing(model, own, g, temperature=temperature)
        try:
            if isinstance(chain, Unmasking) and g is not None:
                return sample_by_unmasking(denoiser, model.noise, x, chain, g, generator=own, progress=ticking)
            return sample_graphs(
                denoiser,
                model.noise,
                x,
                steps=None if isinstance(chain, Unmasking) else chain,
                generator=own,
                progress=ticking,
            )
        except BaseException:
            stopped.set()
            raise

    generators = [None if generator is None else _split(generator) for _ in parts]
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(min(threads, len(parts)) if cpu else 1)
    try:
        if cpu:
            torch.set_num_threads(1)
        found = list(pool.map(draw_part, parts, generators))
    finally:
        stopped.set()  # after an interrupt nobody waits for the rest
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
    next(ticks, None)  # a bar ends
    return DenseGraphs.concatenate(found).select(by_size.argsort()).to("cpu")


def entropies(
    model: MoleculeModel, molecules: Molecules, times: Sequence[int], generator: torch.Generator
) -> dict[str, Tensor]:
    """The entropy of the exact kernel on noisy molecules, along t, for a model on the CPU.

    Returns:
        ``mean`` over the molecules at each time, ``symmetric``, the share of those with any symmetry, and ``uniform``,
        the mean of log n!.
    """
    kernel = GraphKernel(model.max_nodes)
    x = molecules.graphs(torch.arange(len(molecules)))
    last = model.noise.sample_limit(x.sizes) if model.unmasking is not None else None  # all masked, nothing is drawn
    g = None if last is None else model.encoding.of_chain(last, x, generator=generator)
    mean, symmetric = [], []
    for t in times:
        noisy = model.noisy(x, torch.full((len(x),), t), g=g, generator=generator)
        entropy = kernel.entropy(noisy)
        mean.append(entropy.mean())
        symmetric.append((entropy > 1e-6).float().mean())
    return {
        "mean": torch.stack(mean),
        "symmetric": torch.stack(symmetric),
        "uniform": torch.lgamma(x.sizes + 1.0).mean(),
    }


def bar(description: str) -> Callable[[Iterable[Any]], Iterable[Any]]:
    """A progress bar for what takes more than five seconds."""
    return lambda parts: Bar(parts, desc=description, delay=5, leave=False)


def judged(config: MoleculesConfig, test: Molecules) -> Molecules:
    """The test molecules that the bound of a row is taken over."""
    return test.subset(torch.arange(min(config.tested, len(test))))


def measure(
    model: MoleculeModel, test: Molecules, *, draws: int = 1, shuffled: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The numbers of a row that need no chemistry, what its figures need, and samples as graphs.

    - ``nll``: the bound in nats a molecule, the mean over the test set, with the standard error ``nll_error`` that
      comes of the draws (:func:`bound`).
    - ``nll_digress``: the number that DiGress reports; only to compare with theirs; None for coupled rows.
    - ``shuffled``: if it is asked for, how much higher the bound is where the model sees the nodes in an order at
      random, with the standard error over molecules and draws: 0 for a model that is equivariant in law.

    Raises:
        ValueError: if there are molecules of a size that the model does not know.
    """
    name = model.config.name
    test = judged(model.config, test)
    check_sizes(model, test)
    device = model.log_sizes.device

    def estimates(what: str, **options: Any) -> list[Tensor]:
        return [
            bound(
                model,
                test,
                times=TIMES,
                draws=draws,
                generator=seeded("test", number, device=device),
                progress=bar(f"{name}: {what} {number + 1} of {REPEATS}"),
                **options,
            )
            for number in range(REPEATS)
        ]

    parts = estimates("bound")
    nll, error = estimate(parts)
    more = None
    if shuffled:
        difference = (torch.stack(estimates("shuffled", shuffled=True)) - torch.stack(parts)).double().mean(0)
        more = {"more": float(difference.mean()), "error": float(difference.std()) / math.sqrt(len(difference))}
    digress = None
    if not model.config.coupled:  # their number knows no price of g
        digress = bound(
            model,
            test,
            times=TIMES,
            digress=True,
            generator=seeded("test", "digress", device=device),
            progress=bar(f"{name}: nll_digress"),
        )
    generator = seeded("samples", model.config.seed, device=device)
    graphs = sample(model, model.config.sampled, generator=generator, progress=bar(f"{name}: samples"))
    numbers = {
        "nll": nll,
        "nll_error": error,
        "nll_draws": draws,
        "nll_digress": None if digress is None else float(digress.mean()),
        **({} if more is None else {"shuffled": more}),
    }
    some = test.subset(torch.arange(min(model.config.sampled, 1000, len(test))))
    times = torch.linspace(0, model.noise.steps, ENTROPY_TIMES).round().long().unique().tolist()
    along = entropies(model.cpu(), some, times, seeded("entropy"))
    model.to(device)
    arrays = {
        "bound": torch.stack(parts).mean(0).numpy(),
        "sizes": test.sizes.numpy(),
        "times": np.array(times),
        **{f"entropy_{key}": value.numpy() for key, value in along.items()},
        **stored(graphs),
    }
    return numbers, arrays


def stored(x: DenseGraphs, label: str = "") -> dict[str, Any]:
    """Graphs as arrays of small integers, each pair once, by names with a label."""
    i, j = torch.triu_indices(x.pairs.shape[1], x.pairs.shape[1], 1)
    found = {"colors": x.colors, "pairs": x.pairs[:, i, j], "sizes": x.sizes}
    return {f"graphs{label}_{key}": value.to(torch.int16).numpy() for key, value in found.items()}


def restored(arrays: dict[str, Any], label: str = "") -> DenseGraphs:
    """Take out of ``arrays`` what :func:`stored` put there."""
    colors, upper, sizes = (
        torch.from_numpy(arrays.pop(f"graphs{label}_{key}")).long() for key in ("colors", "pairs", "sizes")
    )
    n = colors.shape[1]
    i, j = torch.triu_indices(n, n, 1)
    pairs = torch.zeros(len(colors), n, n, dtype=torch.int64)
    pairs[:, i, j] = pairs[:, j, i] = upper
    return DenseGraphs(pairs, colors, torch.arange(n) < sizes[:, None])
