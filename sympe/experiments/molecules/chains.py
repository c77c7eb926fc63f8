r"""How good a model is with few reverse steps: for chains of 1 to all steps the bound, and samples as graphs.

A step is a product over nodes and pairs, wrong about all that changes together. A chain of few steps is a model of its
own, with the bound of its own coarse steps, in which the price of a coupled g is paid once, whatever their number.
Nothing here needs RDKit.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from sympe.diffusion import Unmasking, reverse_times
from sympe.experiments.molecules.data import Molecules
from sympe.experiments.molecules.evaluation import bar, bound, check_sizes, judged, sample, stored
from sympe.experiments.molecules.model import MoleculeModel, table_of_places
from sympe.experiments.molecules.tables import tables
from sympe.randomness import seeded

JUDGED = 100
"""Steps of a chain that each molecule is judged at, if there are more."""

LONG = 100
"""From so many steps on a tenth of the samples is drawn."""


class Chain(NamedTuple):
    """Times that are visited.

    Arguments:
        steps: how many.
        spacing: see :func:`sympe.diffusion.reverse_times`; "places" for a table of places, see
            :class:`sympe.diffusion.Unmasking`.
    """

    steps: int
    spacing: Literal["times", "entries", "places"]

    @property
    def label(self) -> str:
        """Names it in rows."""
        return f"{self.steps}-{self.spacing}"


CHAINS = tuple(
    [Chain(steps, "times") for steps in (1, 2, 5, 10, 20, 50, 100, 500)]
    + [Chain(steps, "entries") for steps in (2, 5, 10, 20)]
    + [Chain(steps, "places") for steps in (2, 5, 10, 20)]
)


def chains_of(model: MoleculeModel) -> dict[Chain, list[int] | Unmasking]:
    """Those of CHAINS that have no more steps than there are times, and one with all of them.

    By places those of :func:`tables_of`; of a row that was trained on a table, that alone.
    """
    noise = model.noise
    own = {Chain(steps, "places"): table for steps, table in tables_of(model).items()}
    if model.unmasking is not None:
        return {**own}
    timed = {
        chain: reverse_times(noise, chain.steps, chain.spacing)
        for chain in CHAINS
        if chain.spacing != "places" and chain.steps < noise.steps
    }
    return {**timed, **own, Chain(noise.steps, "times"): reverse_times(noise, noise.steps)}


def tables_of(model: MoleculeModel) -> dict[int, Unmasking]:
    """The tables of places that a model can be sampled by, by the number of steps.

    Of a row that was trained on a table, that alone; of a coupled row under absorbing noise, those that come with the
    package for its order and have as many places as the largest molecules atoms; of others, none.
    """
    config = model.config
    if model.unmasking is not None:
        return {model.unmasking.steps: model.unmasking}
    if not config.coupled or (config.dataset, config.transition) != ("qm9", "absorbing"):
        return {}
    return {
        steps: table_of_places(config.order, steps, model.max_nodes)
        for steps, table in sorted(tables().get(config.order, {}).items())
        if len(table) == model.max_nodes
    }


def measure_chains(model: MoleculeModel, test: Molecules) -> tuple[dict[str, Any], dict[str, Any]]:
    """The bound of every chain in nats a molecule, with its standard error over test molecules, and its samples.

    The noise depends on the chain alone: all rows are judged on the same noisy molecules.

    Returns:
        ``chains`` by label, and as arrays the bounds by molecule and the sampled graphs.

    Raises:
        ValueError: if there are molecules of a size that the model does not know.
    """
    name, config, device = model.config.name, model.config, model.log_sizes.device
    test = judged(config, test)
    check_sizes(model, test)
    found: dict[str, Any] = {}
    arrays: dict[str, Any] = {}
    for chain, times in chains_of(model).items():
        values = bound(
            model,
            test,
            times=JUDGED,
            chain=times,
            generator=seeded("chain", chain.label, device=device),
            progress=bar(f"{name}: bound of {chain.label}"),
        )
        count = config.sampled if chain.steps < LONG else max(1, config.sampled // 10)
        graphs = sample(
            model,
            count,
            steps=times,
            generator=seeded("chain samples", config.seed, chain.label, device=device),
            progress=bar(f"{name}: samples of {chain.label}"),
        )
        found[chain.label] = {
            "steps": chain.steps,
            "spacing": chain.spacing,
            "nll": float(values.mean()),
            "nll_error": float(values.std() / len(values) ** 0.5),
        }
        arrays[f"bound_{chain.label}"] = values.float().numpy()
        arrays |= stored(graphs, chain.label)
    return {"chains": found}, arrays
