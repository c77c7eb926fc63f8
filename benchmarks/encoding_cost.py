"""What an encoding costs in a training step (one thread, the configs of the experiments).

Ising: L = 10, drawn in the step. Autoencoder: er, EGNN; 50 steps, for which g is drawn at once where it can be (the
exact kernel with its cache of cosets, filled before).
"""

from __future__ import annotations

import torch

from benchmarks.timing import side_by_side
from sympe.encodings import SymPE
from sympe.experiments.autoencoder import config as autoencoder
from sympe.experiments.autoencoder.data import dataset, training_batches
from sympe.experiments.autoencoder.evaluation import reconstruction_loss
from sympe.experiments.autoencoder.model import Autoencoder
from sympe.experiments.ising.config import ENCODINGS, IsingConfig
from sympe.experiments.ising.data import sample_hamiltonians
from sympe.experiments.ising.hamiltonian import energy_per_spin
from sympe.experiments.ising.model import IsingModel


def main() -> None:
    """Print both tables."""
    torch.set_num_threads(1)
    ising()
    print()
    graphs()


def graphs() -> None:
    """The autoencoder, in blocks of 50 steps."""
    print("| encoding | drawing it, ms for 50 steps | 50 training steps, ms | share |\n| --- | --- | --- | --- |")
    for encoding in autoencoder.ENCODINGS:
        torch.manual_seed(0)
        config = autoencoder.AutoencoderConfig(encoding=encoding)
        model = Autoencoder(config)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
        if isinstance(model.encoding, SymPE):
            model.encoding.kernel.sample(dataset("er", "train"))  # what the first epoch does

        def start(graphs: object, g: object, model: Autoencoder = model) -> torch.Tensor:
            return model.encoding(graphs) if g is None else model.encoding.moved(g)

        def batches(model: Autoencoder = model, config: autoencoder.AutoencoderConfig = config) -> object:
            return training_batches("er", model.encoding, seed=0, batch=config.batch, steps=range(50))

        def draw(batches: object = batches, start: object = start) -> None:
            for _, graphs, g in batches():
                start(graphs, g)

        def steps(
            batches: object = batches,
            start: object = start,
            model: Autoencoder = model,
            optimizer: torch.optim.Adam = optimizer,
        ) -> None:
            for _, graphs, g in batches():
                optimizer.zero_grad()
                reconstruction_loss(graphs, model.decode(graphs, start(graphs, g))).mean().backward()
                optimizer.step()

        own, whole, share = side_by_side(draw, steps, rounds=5)
        print(f"| {encoding} | {own:.1f} | {whole:.0f} | {100 * share:.1f} % |")


def ising() -> None:
    """The Ising model, in single steps."""
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
