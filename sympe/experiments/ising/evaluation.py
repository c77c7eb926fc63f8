"""Judge a trained row: gaps to the exact ground energy, and what the figures need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sympe.experiments.ising.config import PHASES, IsingConfig
from sympe.experiments.ising.data import DRAWS, evaluation_set, seeded
from sympe.experiments.ising.ground import ground_energies
from sympe.experiments.ising.hamiltonian import closed_form, energy_per_spin, round_spins, uniform_fields
from sympe.experiments.ising.model import hamiltonian_action
from sympe.groups import P4M
from sympe.kernels import OrbitKernel

EXACT = 1e-4
"""A spin configuration is exact if its energy per spin is this close to the ground energy."""

DRAWS_SHOWN = 6
MAP_JY = torch.linspace(-3, 3, 49)
MAP_H = torch.linspace(0, 2, 17)
SHOWN = torch.tensor([[1.0, 1.5, 0.5], [1.0, -1.5, 0.5], [-1.5, 1.0, 0.5], [-1.0, -1.5, 0.5]])
"""One (Jx, Jy, h) in the middle of each phase, in the order of PHASES."""


@torch.no_grad()
def draw_spins(
    model: nn.Module, fields: Float[Tensor, "batch 3 L L"], *, generator: torch.Generator, batch: int = 128
) -> Float[Tensor, "batch L L"]:
    """One sample of rounded spins for each Hamiltonian."""
    return torch.cat([round_spins(model(part, generator=generator)) for part in fields.split(batch)])


def evaluate(model: nn.Module, config: IsingConfig, *, cache: Path | None = None) -> dict[str, Any]:
    """The metrics of a model on its evaluation set: one draw a Hamiltonian, spins rounded.

    Arguments:
        model: the trained model, called as :class:`~sympe.experiments.ising.model.IsingModel`.
        config: its row.
        cache: where exact ground energies are kept.

    Returns:
        ``energy_gap`` (mean, per spin), ``exact_fraction``, ``per_phase`` (the same for each phase, where phases are
        known) and ``stabilizer_entropy``, the mean log|G_x| of the inputs in nats.
    """
    fields = evaluation_set(config.variant, config.evaluation, config.size)
    ground = ground_energies(fields, cache=cache, progress=True)
    spins = draw_spins(model, fields, generator=seeded(config.seed, DRAWS))
    gap = energy_per_spin(fields.double(), spins.double()) - ground
    metrics = _summary(gap)
    metrics["per_phase"] = {}
    if config.is_uniform:
        jx, jy, h = couplings(fields).unbind(1)
        phase = closed_form(jx, jy, h)[1]
        for index, name in enumerate(PHASES):
            if (phase == index).any():
                metrics["per_phase"][name] = _summary(gap[phase == index])
    entropy = OrbitKernel(hamiltonian_action(P4M(config.size))).entropy(fields)
    metrics["stabilizer_entropy"] = float(entropy.mean())
    return metrics


def show(model: nn.Module, config: IsingConfig) -> dict[str, npt.NDArray[Any]]:
    """What the figures need: sampled spins of a few Hamiltonians, and the gap over the (Jy, h) plane."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    if config.is_uniform:
        jx, jy, h = SHOWN.unbind(1)
        shown = uniform_fields(jx, jy, h, config.size)
    else:
        shown = evaluation_set(config.variant, config.evaluation, config.size)[:4]
    spins = draw_spins(model, shown.repeat_interleave(DRAWS_SHOWN, 0), generator=seeded(config.seed, DRAWS, 1))
    arrays["spins"] = spins.view(len(shown), DRAWS_SHOWN, config.size, config.size).to(torch.int8).numpy()
    if config.is_uniform:
        jy, h = (t.flatten() for t in torch.meshgrid(MAP_JY, MAP_H, indexing="ij"))
        for sign in (1.0, -1.0) if config.variant == "wide" else (1.0,):
            jx = torch.full_like(jy, sign)
            fields = uniform_fields(jx, jy, h, config.size)
            spins = draw_spins(model, fields, generator=seeded(config.seed, DRAWS, 2))
            ground = ground_energies(fields)
            gap = energy_per_spin(fields.double(), spins.double()) - ground
            arrays[f"map_{sign:+.0f}"] = gap.view(len(MAP_JY), len(MAP_H)).float().numpy()
    return arrays


def couplings(fields: Float[Tensor, "batch 3 L L"]) -> Float[Tensor, "batch 3"]:
    """(Jx, Jy, h) of Hamiltonians that are constant in space."""
    return fields[:, :, 0, 0]


def _summary(gap: Tensor) -> dict[str, Any]:
    return {
        "energy_gap": float(gap.mean()),
        "exact_fraction": float((gap < EXACT).double().mean()),
        "count": len(gap),
    }
