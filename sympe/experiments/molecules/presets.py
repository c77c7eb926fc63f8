"""The rows of the presets of both experiments on molecules. Nothing here needs RDKit."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, get_args

from sympe.experiments.configs import Plan, check_preset, expand, narrowed
from sympe.experiments.molecules.config import ENCODINGS, PRESETS, MoleculesConfig

SMOKE: dict[str, Any] = {
    "steps": 20,
    "warmup": 0.2,
    "batch": 4,
    "tested": 50,
    "sampled": 20,
    "times": 10,
    "layers": 2,
    "node_width": 8,
    "edge_width": 8,
    "graph_width": 8,
    "heads": 2,
    "node_hidden": 8,
    "edge_hidden": 8,
    "graph_hidden": 8,
}
"""A tiny network and a few steps."""

GPU: dict[str, Any] = {
    "steps": 12_000,
    "batch": 512,
    "layers": 9,
    "node_width": 256,
    "edge_width": 64,
    "graph_width": 64,
    "node_hidden": 256,
    "edge_hidden": 128,
    "graph_hidden": 128,
    "learning_rate": 2e-4,
    "precision": "bf16-mixed",
}
"""The sizes of DiGress on QM9; the steps are ours."""

LARGER: dict[str, Any] = {"steps": 9_000, "tested": 5_000}
"""Of ``full``, on datasets with larger molecules: a step takes four times as long as on qm9."""


def preset_configs(
    preset: str,
    *,
    encodings: Sequence[str] | None = None,
    seeds: int | None = None,
    dataset: str = "qm9",
    transition: str | None = None,
) -> list[MoleculesConfig]:
    """The rows of a preset; every argument that is given replaces the preset's own choice.

    - ``smoke``: all encodings, a tiny network and a few steps: does everything run?
    - ``demo``: none and sympe-nodes-edges, marginal noise, one seed.
    - ``full``: two seeds and three times the steps of ``demo``; the rows that answer most come first: marginal noise
      with none, sympe-nodes-edges, noise, haar and stock, then with structure and canonical, alone and with SymPE;
      absorbing noise with none, coupled sympe-nodes-edges with a depth-first form, noise and sympe-nodes-edges; coupled
      sympe-nodes-edges under marginal noise, and there the other encodings. On other datasets than qm9,
      whose molecules are larger: none and sympe-nodes-edges, marginal noise, one seed, half as many steps.
    - ``gpu``: the network of DiGress on QM9 (9 layers, dx 256) in mixed precision, none, stock and sympe-nodes-edges,
      one seed; on moses sympe-nodes-edges alone.

    Raises:
        ValueError: if a name is unknown, or ``encodings`` is empty or names one twice, or ``seeds`` below 1.
    """
    check_preset(preset, PRESETS, encodings, seeds)
    base = MoleculesConfig(dataset=dataset)  # type: ignore[arg-type]  # names are checked there
    if preset == "smoke":
        base = dataclasses.replace(base, **SMOKE)
    if preset == "full":
        base = dataclasses.replace(base, **({"steps": 3 * base.steps} if dataset == "qm9" else LARGER))
    if preset == "gpu":
        base = dataclasses.replace(base, **GPU)
    short, best = ("none", "sympe-nodes-edges"), ("sympe-nodes-edges",)
    first = (*short, "noise", "haar", "stock")
    marginal, absorbing = {"transition": "marginal"}, {"transition": "absorbing"}
    plan: Plan = [(marginal, short, 1)]
    if preset == "smoke":
        plan = [(marginal, ENCODINGS, 1), ({**absorbing, "coupled": True}, best, 1)]
    if preset == "gpu":
        plan = [(marginal, best if dataset == "moses" else ("none", "stock", *best), 1)]
    if preset == "full" and dataset == "qm9":
        plan = [
            (marginal, first, 2),
            (marginal, ("structure", "structure+sympe", "canonical", "canonical+sympe"), 2),
            (absorbing, ("none",), 2),
            ({**absorbing, "coupled": True, "order": "depth-first"}, best, 2),
            (absorbing, ("noise", *best), 2),
            ({**marginal, "coupled": True}, best, 2),
            (marginal, ("cycles", "laplacian", "sympe-nodes", "sympe-scores"), 2),
        ]
    plan = narrowed(plan, transition=transition)
    if encodings is not None:  # coupled rows are of an encoding of their own
        plan = [part for part in plan if "coupled" not in part[0]] or [
            ({"transition": fields["transition"]}, own, count) for fields, own, count in plan
        ]
    return expand(base, plan, encodings=encodings, seeds=seeds)


FewStepsPreset = Literal["smoke", "full", "gpu"]
FEW_STEPS_PRESETS: tuple[FewStepsPreset, ...] = get_args(FewStepsPreset)

FEW_STEPS: dict[str, Any] = {"steps": 12_000, "encoding_channels": 16, "tested": 2_000, "sampled": 10_000}
"""Of all presets but smoke: the same budget of channels for every row."""

LARGE_BATCH: dict[str, Any] = {"batch": 512, "learning_rate": 2e-3}
"""For a GPU: eight times as many molecules in all as ``full``."""


def few_steps_configs(
    preset: str,
    *,
    encodings: Sequence[str] | None = None,
    seeds: int | None = None,
    transition: str | None = None,
) -> list[MoleculesConfig]:
    """The rows of ``few-steps``; every argument that is given replaces the preset's own choice.

    The rows that decide come first, with two seeds: under absorbing noise none, structure, and coupled
    sympe-nodes-edges and structure+sympe, and sympe-nodes-edges with a depth-first form, also trained on the tables of
    places of 10 and of 5 steps alone; under marginal noise none, structure, structure+sympe, canonical,
    canonical+sympe. Then one seed of the others: noise, stock, canonical under
    absorbing noise (haar coupled is coupled sympe-nodes-edges there, for x_T has all symmetries); sympe-nodes-edges,
    stock, noise and laplacian under marginal noise, and, coupled, haar, sympe-nodes-edges and structure+sympe.

    - ``smoke``: none, structure and coupled sympe-nodes-edges under absorbing noise, and by places, a tiny network.
    - ``full``: for a CPU. ``gpu``: with larger batches, and without the rows of tables, which are trained alone.

    Raises:
        ValueError: if a name is unknown, or ``encodings`` is empty or names one twice, or ``seeds`` below 1.
    """
    check_preset(preset, FEW_STEPS_PRESETS, encodings, seeds)
    base = MoleculesConfig(**{"smoke": SMOKE, "full": FEW_STEPS, "gpu": FEW_STEPS | LARGE_BATCH}[preset])
    marginal, absorbing = {"transition": "marginal"}, {"transition": "absorbing"}
    coupled, best = {"coupled": True}, ("sympe-nodes-edges",)
    deep = coupled | {"order": "depth-first"}
    by_places: list[dict[str, Any]] = [deep | {"transition": "places", "times": steps} for steps in (10, 5)]
    plan: Plan = [
        (absorbing, ("none", "structure"), 1),
        (absorbing | coupled, best, 1),
        (by_places[0], best, 1),
    ]
    if preset != "smoke":
        plan = [
            (absorbing, ("none", "structure"), 2),
            (absorbing | coupled, ("sympe-nodes-edges", "structure+sympe"), 2),
            (absorbing | deep, best, 2),
            *((fields, best, 2) for fields in by_places if preset == "full"),
            (marginal, ("none", "structure", "structure+sympe", "canonical", "canonical+sympe"), 2),
            (absorbing, ("noise", "stock", "canonical"), 1),
            (marginal | coupled, ("haar", "sympe-nodes-edges", "structure+sympe"), 1),
            (marginal, ("sympe-nodes-edges", "stock", "noise", "laplacian"), 1),
        ]
    plan = narrowed(plan, transition=transition)
    if encodings is not None:  # a row is coupled where the plan has it so
        plan = [(fields, tuple(e for e in own if e in encodings), count) for fields, own, count in plan]
        plan = [part for part in plan if part[1]] or [({"transition": transition or "absorbing"}, tuple(encodings), 1)]
    return expand(base, plan, seeds=seeds)
