r"""Ising Hamiltonians on the periodic L × L lattice: energies, free energies, constant couplings and their phases.

Hamiltonians are a tensor ``fields`` of shape ``(batch, 3, L, L)``. Site (a, b) is ``tensor[..., a, b]``, x̂ is +1 in a
and ŷ is +1 in b, modulo L: ``fields[:, 0]`` holds the bonds from i to i + x̂, ``fields[:, 1]`` those from i to i + ŷ and
``fields[:, 2]`` the field. P4M(L) acts by ``DirectSum(BondAction(group), GridAction(group))``. The energy per spin is

.. math:: E(s) = -\frac{1}{L^2} \sum_i \bigl( B^0_i\, s_i s_{i + \hat x} + B^1_i\, s_i s_{i + \hat y} + h_i s_i \bigr).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor


def check_fields(fields: Shaped[Tensor, "..."]) -> None:
    """Raise unless ``fields`` has the shape of Hamiltonians.

    Arguments:
        fields: the Hamiltonians, ``(batch, 3, L, L)``.

    Raises:
        ValueError: if the shape is another.

    Example:
        >>> check_fields(torch.zeros(5, 2, 4, 4))
        Traceback (most recent call last):
        ValueError: fields: expected shape (batch, 3, L, L), got (5, 2, 4, 4)
    """
    shape = tuple(fields.shape)
    if len(shape) != 4 or shape[1] != 3 or shape[2] != shape[3] or shape[2] < 1:
        raise ValueError(f"fields: expected shape (batch, 3, L, L), got {shape}")


def energy_per_spin(fields: Float[Tensor, "..."], spins: Float[Tensor, "..."]) -> Float[Tensor, " batch"]:
    r"""The energy :math:`E(s)` of the module's equation, in the units of the couplings; differentiable in both.

    At L = 1 a site is its own neighbour and at L = 2 two bonds join a pair of neighbours; both count as written.

    Arguments:
        fields: the Hamiltonians, ``(batch, 3, L, L)``.
        spins: ``(batch, L, L)``, +1 or -1; the energy is defined for real values as well.

    Raises:
        ValueError: if a shape is another, or the two do not match.

    Example:
        >>> fields = uniform_fields(torch.tensor([1.0]), torch.tensor([0.5]), torch.tensor([0.25]), 4)
        >>> energy_per_spin(fields, torch.ones(1, 4, 4))
        tensor([-1.7500])
    """
    check_fields(fields)
    expected = (fields.shape[0], *fields.shape[2:])
    if tuple(spins.shape) != expected:
        raise ValueError(f"spins: expected shape {expected} for these fields, got {tuple(spins.shape)}")
    along_x, along_y, h = fields.unbind(1)
    x = along_x * spins.roll(-1, -2) + along_y * spins.roll(-1, -1) + h
    return -(spins * x).mean((-2, -1))


def critical_temperature(fields: Float[Tensor, "..."]) -> Float[Tensor, " batch"]:
    r"""The temperature at which mean-field order sets in: :math:`\frac{2}{L^2} \sum_i (|B^0_i| + |B^1_i|)`.

    For constant couplings and no field that is exact: the couplings' largest eigenvalue is :math:`2 (|J_x| + |J_y|)`,
    where the pattern of the phase fits on the lattice. Otherwise it is a scale of the temperature.

    Arguments:
        fields: the Hamiltonians, ``(batch, 3, L, L)``.

    Raises:
        ValueError: if the shape is another.

    Example:
        >>> critical_temperature(uniform_fields(torch.tensor([1.0]), torch.tensor([-0.5]), torch.tensor([0.25]), 4))
        tensor([3.])
    """
    check_fields(fields)
    return 2 * fields[:, :2].abs().sum(1).mean((-2, -1))


def free_energy_per_spin(
    fields: Float[Tensor, "..."], spins: Float[Tensor, "..."], temperature: float
) -> Float[Tensor, " batch"]:
    r"""The mean-field free energy :math:`E(s) - T\, c\, S(s)` per spin; differentiable in both.

    S is the entropy per spin, in nats, of independent spins with the means s, and c is
    :func:`critical_temperature`, so that order sets in at T = 1 for every Hamiltonian. Well above it the
    minimum is disordered; below it the most unstable pattern grows first, and walls between its domains are wide.

    Arguments:
        fields: the Hamiltonians, ``(batch, 3, L, L)``.
        spins: the means, ``(batch, L, L)``, in [-1, 1].
        temperature: T, at least 0, in units of c.

    Raises:
        ValueError: if a shape is another, or the temperature is negative.

    Example:
        >>> fields = uniform_fields(torch.tensor([1.0]), torch.tensor([0.5]), torch.tensor([0.25]), 4)
        >>> free_energy_per_spin(fields, torch.zeros(1, 4, 4), 0.5)  # -T c log 2, with c = 3
        tensor([-1.0397])
    """
    if temperature < 0:
        raise ValueError(f"temperature: expected at least 0, got {temperature}")
    energy = energy_per_spin(fields, spins)
    if temperature == 0:
        return energy
    up = (1 + spins.clamp(-1 + 1e-6, 1 - 1e-6)) / 2  # the slope of the entropy is infinite at the ends
    entropy = -(up * up.log() + (1 - up) * (1 - up).log()).mean((-2, -1))
    return energy - temperature * critical_temperature(fields) * entropy


def uniform_fields(
    jx: Float[Tensor, "..."], jy: Float[Tensor, "..."], h: Float[Tensor, "..."], size: int
) -> Float[Tensor, "batch 3 L L"]:
    """Hamiltonians that are constant in space.

    Arguments:
        jx: coupling of neighbours in x̂, ``(batch,)``.
        jy: coupling of neighbours in ŷ, ``(batch,)``.
        h: field, ``(batch,)``.
        size: L, at least 1.

    Raises:
        ValueError: if ``size < 1``, or the three are not vectors of one length.

    Example:
        >>> J = torch.linspace(-1, 1, 5)
        >>> uniform_fields(J, J, torch.zeros(5), 10).shape
        torch.Size([5, 3, 10, 10])
    """
    if size < 1:
        raise ValueError(f"size: expected at least 1, got {size}")
    shapes = [tuple(part.shape) for part in (jx, jy, h)]
    if len(shapes[0]) != 1 or shapes[1:] != shapes[:1] * 2:
        raise ValueError(f"jx, jy, h: expected three tensors of shape (batch,), got {shapes}")
    return torch.stack([jx, jy, h], 1)[:, :, None, None].repeat(1, 1, size, size)


def round_spins(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Spins +1 where ``values >= 0`` and -1 elsewhere; NaN stays NaN, so that a diverged model shows in its energy.

    Arguments:
        values: any real values, such as the output of a model.

    Example:
        >>> round_spins(torch.tensor([-0.3, 0.0, 0.9]))
        tensor([-1.,  1.,  1.])
    """
    ones = torch.ones_like(values)
    return torch.where(values.isnan(), values, torch.where(values >= 0, ones, -ones))


def closed_form(
    jx: Float[Tensor, "*#batch"], jy: Float[Tensor, "*#batch"], h: Float[Tensor, "*#batch"]
) -> tuple[Float[Tensor, "*batch"], Int64[Tensor, "*batch"]]:
    r"""The ground energy per spin and the phase of constant couplings on a lattice of *even* side.

    .. math:: \min(-J_x - J_y - |h|,\; -J_x + J_y,\; J_x - J_y,\; J_x + J_y)

    The three patterns without magnetisation do not fit on a lattice of odd side. There the formula can be below every
    energy: use :func:`sympe.experiments.ising.ground.ground_energies`.

    Arguments:
        jx: coupling of neighbours in x̂.
        jy: coupling of neighbours in ŷ.
        h: field.

    Returns:
        The energy per spin, in the units of the couplings, and the index in :data:`PHASES`: the first of the minimum.

    Example:
        >>> energy, phase = closed_form(torch.tensor(1.0), torch.tensor(-2.0), torch.tensor(0.5))
        >>> from sympe.experiments.ising.config import PHASES
        >>> energy, PHASES[phase]
        (tensor(-3.), 'stripes along x')
    """
    jx, jy, h = torch.broadcast_tensors(jx, jy, h)
    energies = torch.stack([-jx - jy - h.abs(), -jx + jy, jx - jy, jx + jy], -1)
    phase = energies.argmin(-1)  # the first, unlike min's index
    return energies.gather(-1, phase[..., None])[..., 0], phase


def phase_patterns(size: int) -> Float[Tensor, "4 L L"]:
    """One ground state of each phase in :data:`PHASES`: the one with site (0, 0) up.

    Arguments:
        size: L, even: at an odd side stripes and checkerboards do not close.

    Raises:
        ValueError: if ``size`` is odd or below 2.

    Example:
        >>> phase_patterns(2)[1]  # equal along x̂, which is down the page
        tensor([[ 1., -1.],
                [ 1., -1.]])
    """
    if size < 2 or size % 2:
        raise ValueError(f"size: expected an even number of at least 2, got {size}")
    sign = 1.0 - 2.0 * (torch.arange(size) % 2)
    a, b = sign[:, None].expand(size, size), sign.expand(size, size)
    return torch.stack([torch.ones(size, size), b, a, a * b])
