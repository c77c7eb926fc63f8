"""The model of a row: a p4m network on couplings joined with an encoding, and tanh."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sympe.actions import BondAction, DirectSum, FiniteAction, GridAction
from sympe.encodings import Encoded, Encoding, NoEncoding, NoiseEncoding, SymPE
from sympe.experiments.ising.config import IsingConfig
from sympe.groups import P4M
from sympe.kernels import HaarKernel, Kernel, OrbitKernel, ScoreKernel
from sympe.nn import P4MNet, RelaxedP4MNet

RELAXED_FILTERS = 2


def hamiltonian_action(group: P4M) -> DirectSum:
    """How the lattice's symmetries move couplings (2 rows) and field (1 row)."""
    return DirectSum(BondAction(group), GridAction(group))


class IsingModel(nn.Module):
    """Spins from Hamiltonians: ``tanh`` of a network on the fields and an encoding.

    Arguments:
        config: the row.

    Example:
        >>> import torch
        >>> model = IsingModel(IsingConfig(size=4, channels=2, blocks=1))
        >>> model(torch.ones(5, 3, 4, 4)).shape
        torch.Size([5, 4, 4])
    """

    def __init__(self, config: IsingConfig) -> None:
        super().__init__()
        group = P4M(config.size)
        shape = (config.encoding_channels, config.size, config.size)

        def field(window: P4M) -> FiniteAction:
            return DirectSum(hamiltonian_action(window), GridAction(window, config.encoding_channels))

        network: nn.Module
        if config.encoding == "relaxed":  # as many parameters as the others have, up to rounding
            channels = max(1, round(config.channels / RELAXED_FILTERS**0.5))
            network = RelaxedP4MNet(
                field, size=config.size, channels=channels, blocks=config.blocks, filters=RELAXED_FILTERS
            )
        else:
            network = P4MNet(field, channels=config.channels, blocks=config.blocks)
        self.coupling_scale = config.coupling_scale
        self.model = Encoded(network, build_encoding(config, group, shape))

    def forward(
        self, fields: Float[Tensor, "batch 3 L L"], *, generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch L L"]:
        """Give spins in [-1, 1], one draw of the encoding for each Hamiltonian."""
        logits: Tensor = self.model(self.coupling_scale * fields, generator=generator)
        return torch.tanh(logits.squeeze(1))


def build_encoding(config: IsingConfig, group: P4M, shape: tuple[int, int, int]) -> Encoding:
    """The encoding that a config names."""
    if config.encoding in ("none", "relaxed"):
        return NoEncoding(shape)
    if config.encoding == "noise":
        return NoiseEncoding(shape, scale=config.encoding_scale)
    return SymPE(build_kernel(config, group), GridAction(group, config.encoding_channels), scale=config.encoding_scale)


def build_kernel(config: IsingConfig, group: P4M) -> Kernel:
    """The kernel behind an encoding by SymPE."""
    if config.encoding == "haar":
        return HaarKernel(group)
    if config.encoding == "sympe":
        return OrbitKernel(hamiltonian_action(group))
    scores = P4MNet(hamiltonian_action, channels=max(1, config.channels // 8), blocks=1, out="regular")
    return ScoreKernel(scores, group)
