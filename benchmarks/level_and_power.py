"""How often the test of equivariance in distribution rejects what it should not, and what it should.

``python -m benchmarks.level_and_power --out results/theory`` (about ten minutes of one core) writes the table, the
numbers behind it and the figure. Models that are equivariant are tested in 500 repeats at the level 0.05: each test
draws fresh samples, elements and permutations. Models that are not, three planted violations, in 200 repeats.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import torch
from scipy.stats import binom
from torch import Tensor
from torch.nn.functional import one_hot
from tqdm import tqdm

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # PyG scripts classes with torch's deprecated TorchScript when it is imported
    from torch_geometric.data import Data
    from torch_geometric.transforms import AddLaplacianEigenvectorPE

from sympe.actions import EdgeAction, GridAction, NodeAction
from sympe.encodings import Encoded, LaplacianEncoding, NoiseEncoding, SymPE
from sympe.experiments import runs
from sympe.experiments.pictures import save
from sympe.graphs import DenseGraphs
from sympe.groups import P4M, Permutations
from sympe.kernels import OrbitKernel
from sympe.nn import P4MNet
from sympe.testing import EquivarianceTest, equivariance_test

LEVEL = 0.05
GENERATORS = 2**40


@dataclass(frozen=True)
class Case:
    """A model, what moves its inputs and its outcomes, and inputs."""

    model: Callable[..., Any]
    move_input: Any
    move_output: Callable[[Tensor, Tensor], Tensor]
    x: Tensor

    def test(self, seed: int, *, samples: int, level: float = LEVEL, permutations: int = 399) -> EquivarianceTest:
        """One run with everything fresh."""
        return equivariance_test(
            self.model,
            self.move_input.group,
            self.move_input,
            self.move_output,
            self.x,
            max_elements=8,
            samples=samples,
            permutations=permutations,
            level=level,
            generator=torch.Generator().manual_seed(seed),
        )


# ----- lattices: P4M(4) on a constant field and on one with a stripe ------------------------------------------------

SITES = GridAction(P4M(4))
LATTICES = torch.stack([torch.ones(1, 4, 4), torch.eye(4)[:1].expand(1, 4, 4)])
KERNEL = OrbitKernel(SITES)


def first_index(x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """A pattern v, moved by a canonicalizer that takes the first of equal elements: always the same answer."""
    return SITES(KERNEL.canonicalize(x), torch.arange(16.0).view(1, 4, 4))


def sometimes_first(share: float) -> Case:
    """The first of equal elements in a share of the draws, else any: a violation as small as one likes."""

    def draw(x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        pick = torch.rand(len(x), generator=generator) < share
        return torch.where(pick, KERNEL.canonicalize(x), KERNEL.sample(x, generator=generator))

    return Case(draw, SITES, SITES.group.compose, LATTICES[1:])


@lru_cache
def sympe_network() -> Callable[..., Any]:
    """An untrained p4m network behind SymPE."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoding = SymPE(KERNEL, GridAction(SITES.group, 2))
        return Encoded(P4MNet(lambda g: GridAction(g, 3), channels=4, blocks=1), encoding)


def deterministic(x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """An equivariant map of large values, whose rounding depends on the order of a sum."""
    total = torch.zeros(len(x))
    for value in x.flatten(1).exp().sin().unbind(1):  # one by one, in single precision
        total = total + value
    return 1e3 * x / total.view(-1, 1, 1, 1)


# ----- graphs: S_n on adjacency matrices (n, n, 1) ------------------------------------------------------------------


def edges_of(n: int) -> EdgeAction:
    """The action on adjacency matrices."""
    return EdgeAction(Permutations(n))


def ring(n: int) -> Tensor:
    """The cycle of n nodes."""
    return (one_hot((torch.arange(n) + 1) % n, n) + one_hot((torch.arange(n) - 1) % n, n)).unsqueeze(-1).float()


def laplacian(x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Our Laplacian encoding: a random basis of every eigenspace."""
    graphs = DenseGraphs.from_features(x[..., 0].long())
    return LaplacianEncoding(x.shape[1], 3)(graphs, generator=generator)


def pyg_laplacian(x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """PyTorch Geometric's: random signs of the vectors that the eigensolver gives, whatever basis that is."""
    transform = AddLaplacianEigenvectorPE(3, attr_name="pe", is_undirected=True)
    edge_index = x[0, :, :, 0].nonzero().T  # every row is the same graph
    with torch.random.fork_rng():
        torch.manual_seed(int(torch.randint(GENERATORS, (), generator=generator)))
        data = Data(edge_index=edge_index, num_nodes=x.shape[1])
        return torch.stack([transform(data.clone()).pe for _ in x])


def rounded_frame(x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """The places of the nodes in the order of a spectral key, rounded to six digits, ties at random.

    Nodes of one orbit have the same key, and should tie. But where it lies on the edge of a rounding interval, errors
    of 1e-7 that depend on the order of the nodes decide whether they do.
    """
    A = x[..., 0]
    L = torch.diag_embed(A.sum(2)) - A
    values, vectors = torch.linalg.eigh(L)
    key = (vectors.square() * (-values).exp().unsqueeze(1)).sum(2)  # the diagonal of exp(-L)
    key = (1e6 * key).round()
    ties = torch.rand(key.shape, generator=generator)
    order = ties.argsort(1)
    order = order.gather(1, key.gather(1, order).argsort(dim=1, stable=True))
    return order.argsort(1).unsqueeze(-1)


@lru_cache
def unstable_graph(n: int = 8) -> Tensor:
    """A random graph on which relabelling changes which nodes of the frame tie: about one in ten."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(1000):
        upper = (torch.rand(n, n, generator=generator) < 0.3).float().triu(1)
        x = (upper + upper.T).view(1, n, n, 1)
        g = Permutations(n).sample((40,), generator=generator)
        moved = edges_of(n)(g, x.expand(40, n, n, 1))
        A = moved[..., 0]
        values, vectors = torch.linalg.eigh(torch.diag_embed(A.sum(2)) - A)
        keys = 1e6 * (vectors.square() * (-values).exp().unsqueeze(1)).sum(2)
        ties = torch.tensor([len(row.unique()) for row in keys.round()])
        if 0.3 < float((ties == ties[0]).float().mean()) < 0.7:
            return x
    raise AssertionError("no such graph was drawn")


def equivariant_models() -> dict[str, Case]:
    """What must not be rejected."""
    n = 8
    return {
        "exact kernel, P4M(4)": Case(KERNEL.sample, SITES, SITES.group.compose, LATTICES),
        "SymPE and a p4m network": Case(sympe_network(), SITES, SITES, LATTICES),
        "noise encoding": Case(NoiseEncoding((1, 4, 4)), SITES, SITES, LATTICES),
        "deterministic, with rounding": Case(deterministic, SITES, SITES, LATTICES + torch.rand(4, 4)),
        "Laplacian encoding, ring of 8": Case(laplacian, edges_of(n), NodeAction(Permutations(n), 3), ring(n)[None]),
    }


def violations() -> dict[str, Case]:
    """What must be rejected."""
    n = 8
    nodes = NodeAction(Permutations(n))
    return {
        "first-index ties, P4M(4)": Case(first_index, SITES, SITES, LATTICES),
        "PyG's Laplacian, ring of 8": Case(pyg_laplacian, edges_of(n), NodeAction(Permutations(n), 3), ring(n)[None]),
        "frame with rounded keys": Case(rounded_frame, edges_of(n), nodes, unstable_graph(n)),
    }


def rejections(case: Case, repeats: int, samples: int, name: str, **options: Any) -> int:
    """How many of the repeats reject."""
    seeds = tqdm(range(repeats), desc=name, delay=5, leave=False)
    return sum(case.test(seed, samples=samples, **options).rejected for seed in seeds)


def main() -> None:
    """Measure, and write table, numbers and figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/theory"))
    parser.add_argument("--repeats", type=int, default=500)
    options = parser.parse_args()
    torch.set_num_threads(1)
    repeats, out = options.repeats, options.out
    least, most = (int(binom.ppf(q, repeats, LEVEL)) for q in (0.0005, 0.9995))
    lines = [
        "# The test of equivariance in distribution",
        "",
        f"`python -m benchmarks.level_and_power --out {out}`. Level {LEVEL}, 8 elements, 399 permutations. An exact "
        f"test of a continuous model rejects in {least} to {most} of {repeats} repeats with probability 0.999; of a "
        "discrete model with ties it may reject less often.",
        "",
        "| model | is equivariant | samples a side | rejected | of |",
        "| --- | --- | --- | --- | --- |",
    ]
    numbers: dict[str, Any] = {"level": LEVEL, "bounds": [least, most], "rows": [], "power": []}
    for right, cases, count in ((True, equivariant_models(), repeats), (False, violations(), 2 * repeats // 5)):
        for name, case in cases.items():
            samples = 30 if right else 50
            found = rejections(case, count, samples, name)
            numbers["rows"].append({"model": name, "equivariant": right, "rejected": found, "repeats": count})
            lines.append(f"| {name} | {'yes' if right else 'no'} | {samples} | {found} | {count} |")
            print(lines[-1])
    for share in (0.0, 0.05, 0.1, 0.2):
        for samples in (25, 50, 100, 200, 400):
            found = rejections(sometimes_first(share), repeats // 5, samples, f"share {share}, {samples} samples")
            numbers["power"].append({"share": share, "samples": samples, "power": found / (repeats // 5)})
    numbers["environment"] = runs.environment()
    runs.write_json(out / "equivariance-test.json", numbers)
    runs.write_text(out / "equivariance-test.md", "\n".join(lines) + "\n")
    draw(numbers, out / "power.png")
    print("\n".join(str(out / name) for name in ("equivariance-test.md", "equivariance-test.json", "power.png")))


def draw(numbers: dict[str, Any], path: Path) -> None:
    """The power against the number of samples."""
    figure, axis = plt.subplots(figsize=(6.4, 4), layout="constrained")
    for share in sorted({point["share"] for point in numbers["power"]}):
        points = [point for point in numbers["power"] if point["share"] == share]
        axis.plot(
            [p["samples"] for p in points],
            [p["power"] for p in points],
            marker="o",
            label=f"{share:.0%} of the draws" if share else "none (equivariant)",
        )
    axis.axhline(LEVEL, color="0.5", linestyle=":", label=f"level {LEVEL}")
    axis.set_xscale("log")
    axis.set_xticks([25, 50, 100, 200, 400], ["25", "50", "100", "200", "400"])
    axis.minorticks_off()
    axis.set_xlabel("samples on each side of a comparison")
    axis.set_ylabel("share of rejections")
    axis.set_ylim(-0.03, 1.03)
    axis.set_title("First-index ties, P4M(4), in a share of the draws")
    axis.legend()
    save(figure, path)


if __name__ == "__main__":
    main()
