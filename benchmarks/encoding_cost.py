"""What an encoding costs in a training step of the Ising model (one thread, L = 10, the config of the experiment)."""

from __future__ import annotations

import torch

from benchmarks.timing import side_by_side
from sympe.experiments.ising.config import ENCODINGS, IsingConfig
from sympe.experiments.ising.data import sample_hamiltonians
from sympe.experiments.ising.hamiltonian import energy_per_spin
from sympe.experiments.ising.model import IsingModel


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| encoding | drawing it, ms | whole training step, ms | share |\n| --- | --- | --- | --- |")
    for encoding in ENCODINGS:
        config = IsingConfig(encoding=encoding)
        torch.manual_seed(0)
        model = IsingModel(config)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
        fields = sample_hamiltonians("wide", config.batch, config.size, generator=torch.Generator().manual_seed(0))

        def step(
            model: IsingModel = model, fields: torch.Tensor = fields, optimizer: torch.optim.Adam = optimizer
        ) -> None:
            optimizer.zero_grad()
            energy_per_spin(fields, model(fields)).mean().backward()
            optimizer.step()

        def draw(model: IsingModel = model, fields: torch.Tensor = fields) -> None:
            model.model.encoding(fields)

        own, whole, share = side_by_side(draw, step, rounds=15)
        print(f"| {encoding} | {own:.2f} | {whole:.1f} | {100 * share:.1f} % |")


if __name__ == "__main__":
    main()
