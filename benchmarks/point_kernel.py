"""Kernels of point clouds: alone and in a batch, beside pymsym, in a training step, and against averaging rotations.

One thread. Clouds of 30 points in space, distances included, alone and beside pymsym (a library of point groups, no
dependency of sympe) where that is installed; QM9's molecules with hydrogens, 15 atoms on the average, as qm9pack has
them. Large clouds: 16 in a batch, each turned and in an order of its own. A step of training is one of a small
e3nn network on 64 clouds of 18 points, the encoding being SymPE with v in its irreps. Averaging: a plain network on the
positions of 64 generic clouds, over a product of a Lebedev grid of directions and as many turns about them, as users of
unconstrained potentials do; the error is how far the mean moves when a cloud is turned, over its standard deviation.
"""

from __future__ import annotations

import csv
import importlib.util
from ast import literal_eval
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import files
from itertools import islice
from pathlib import Path

import torch
from e3nn import o3
from scipy.integrate import lebedev_rule
from torch import Tensor, nn

from benchmarks.timing import side_by_side
from sympe import Canonicalized, SymPE
from sympe.graphs import Clouds
from sympe.groups import Euclidean, Permutations, SpecialEuclidean, SpecialOrthogonal
from sympe.integrations.e3nn import IrrepsAction
from sympe.kernels import PointKernel

NUMBERS = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}
IRREPS = "8x0e + 4x1o + 2x2e"


class Layers(nn.Module):
    """Two layers of messages: features times spherical harmonics of the arcs."""

    def __init__(self) -> None:
        super().__init__()
        sh = o3.Irreps.spherical_harmonics(2)
        self.first = o3.FullyConnectedTensorProduct(IRREPS, sh, "16x0e + 8x1o + 4x2e")
        self.second = o3.FullyConnectedTensorProduct("16x0e + 8x1o + 4x2e", sh, "1x1o")

    def forward(self, positions: Tensor, x: Tensor) -> Tensor:
        """A vector at each point."""
        arcs = positions[:, None] - positions[:, :, None]
        sh = o3.spherical_harmonics([0, 1, 2], arcs, normalize=True, normalization="component")
        sh = sh * torch.exp(-arcs.norm(dim=-1, keepdim=True))
        for layer in (self.first, self.second):
            x = layer(x[:, :, None].expand(*sh.shape[:3], -1), sh).mean(1)
        return x


def geometries(count: int) -> list[tuple[list[int], list[list[float]]]]:
    """Atomic numbers and positions of the first molecules of QM9 in qm9pack."""
    return list(islice(_molecules(), count))


def _molecules() -> Iterator[tuple[list[int], list[list[float]]]]:
    path = next(path for path in files("qm9pack") or [] if path.name == "qm9_part1.csv")
    with Path(str(path.locate())).open() as file:
        for row in csv.DictReader(file):
            yield [NUMBERS[element] for element in literal_eval(row["Elements"])], literal_eval(row["XYZ_Ang"])


def padded(molecules: Sequence[tuple[list[int], list[list[float]]]]) -> Clouds:
    """Molecules as one batch."""
    flat = torch.tensor([position for _, positions in molecules for position in positions])
    types = torch.tensor([number for numbers, _ in molecules for number in numbers])
    return Clouds.from_flat(flat, torch.tensor([len(numbers) for numbers, _ in molecules]), types)


def grid(turns: int) -> tuple[Tensor, Tensor]:
    """Rotations on a Lebedev grid of directions, with as many turns about each, and their weights."""
    directions, weights = lebedev_rule(5)
    alpha, beta = o3.xyz_to_angles(torch.from_numpy(directions.T.copy()).float())
    gamma = torch.arange(turns) * 2 * torch.pi / turns
    R = o3.angles_to_matrix(alpha[:, None], beta[:, None], gamma.expand(len(alpha), -1))
    w = torch.from_numpy(weights).float()[:, None].expand(-1, turns)
    return R.flatten(0, 1), (w / w.sum()).flatten()


class Plain(nn.Module):
    """A network on positions that knows no symmetry: one number for a cloud, the same in any order of the points."""

    def __init__(self) -> None:
        super().__init__()
        self.each = nn.Sequential(nn.Linear(3, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU())
        self.all = nn.Linear(128, 1)

    def forward(self, x: Clouds) -> Tensor:
        """One number each."""
        y: Tensor = self.all((self.each(x.positions) * x.mask[:, :, None]).sum(1))
        return y


def report(name: str, one: Callable[[], object], other: Callable[[], object]) -> None:
    """Print a row."""
    own_ms, other_ms, ratio = side_by_side(one, other)
    print(f"| {name} | {own_ms:.1f} | {other_ms:.1f} | {ratio:.3g} |")


def beside_pymsym(name: str, atoms: list[tuple[list[int], list[list[float]]]], kernel: PointKernel, x: Clouds) -> None:
    """Point groups by pymsym, one cloud after the other, over what the kernel does with all at once."""
    import pymsym

    def theirs() -> list[str]:
        return [pymsym.get_point_group(*cloud) for cloud in atoms]

    report(
        f"point groups of {len(atoms)} {name} by pymsym, over drawing from the kernel", theirs, lambda: kernel.sample(x)
    )
    report("the same by pymsym, over the names by the kernel", theirs, lambda: kernel.point_groups(x))


def large() -> dict[str, Tensor]:
    """Clouds of 60 to 500 points, generic and symmetric."""
    lattice = [torch.cartesian_prod(*(torch.arange(size),) * d).double() for size, d in ((10, 2), (5, 3))]
    angle = 2 * torch.pi * torch.arange(100, dtype=torch.float64) / 100
    golden = (1 + 5**0.5) / 2
    corners = [(0.0, 1.0, 3 * golden), (1.0, 2 + golden, 2 * golden), (golden, 2.0, 2 * golden + 1)]
    signs = torch.cartesian_prod(*[torch.tensor([1.0, -1.0]).double()] * 3)
    ball = torch.cat([(signs * torch.tensor(one).double()).roll(k, 1) for one in corners for k in range(3)])
    shells = nn.functional.normalize(torch.randn(100, 3, dtype=torch.float64))
    return {
        **{f"{n} points at random": 3 * torch.randn(n, 3, dtype=torch.float64) for n in (80, 100, 200, 500)},
        "100 points in two shells": shells * torch.tensor([5.0, 10.0]).repeat_interleave(50)[:, None],
        "a lattice of 10 x 10": nn.functional.pad(lattice[0], (0, 1)),
        "a lattice of 5 x 5 x 5": lattice[1],
        "a ring of 100": 15 * torch.stack([angle.cos(), angle.sin(), 0 * angle], 1),
        "buckminsterfullerene, 60": (ball + 0.0).round(decimals=9).unique(dim=0),
    }


def many_points() -> None:
    """Large clouds, by the time of one of 16 in a batch."""
    print()
    print("| | symmetries | ms a cloud |")
    print("| --- | --- | --- |")
    for name, points in large().items():
        kernel = PointKernel(Euclidean(3), len(points), tolerance=1e-6)
        x = Clouds.from_positions(points.expand(16, -1, -1))
        x = x.moved(SpecialOrthogonal(3).sample((16,)).double(), None, Permutations(len(points)).sample((16,)))
        own_ms, _, _ = side_by_side(lambda x=x, kernel=kernel: kernel.sample(x), lambda: None)  # type: ignore[misc]
        print(f"| {name} | {float(kernel.entropy(x)[0].exp()):.0f} | {own_ms / 16:.2f} |")


def in_training() -> None:
    """The encoding beside a step of training with it."""
    torch.manual_seed(0)
    x = Clouds.from_positions(3 * torch.randn(64, 18, 3))
    network, kernel = Layers(), PointKernel(SpecialEuclidean(3), 18, tolerance=1e-4)
    encoding = SymPE(kernel, IrrepsAction(kernel.group, IRREPS))
    optimizer = torch.optim.Adam([*network.parameters(), *encoding.parameters()])

    def step() -> None:
        optimizer.zero_grad()
        network(x.positions, encoding(x)).square().mean().backward()
        optimizer.step()

    report("the encoding, over a step of training with it", lambda: encoding(x), step)


@torch.no_grad()
def averaging() -> None:
    """One evaluation on canonical forms beside the mean over a grid of rotations: cost and error."""
    torch.manual_seed(0)
    network, kernel = Plain(), PointKernel(SpecialEuclidean(3), 30, tolerance=1e-4)
    model = Canonicalized(network, kernel, kernel.move, None)
    x = Clouds.from_positions(3 * torch.randn(64, 30, 3)).centered()
    R = SpecialOrthogonal(3).sample((len(x),))
    print()
    print("| | evaluations | ms | error |")
    print("| --- | --- | --- | --- |")
    for name, turns in (("network alone", 0), ("mean over a grid", 4), ("mean over a grid", 12), ("canonicalized", 0)):
        rotations, weights = grid(turns) if turns else (torch.eye(3)[None], torch.ones(1))

        def mean(y: Clouds, rotations: Tensor = rotations, weights: Tensor = weights) -> Tensor:
            several = y.select(torch.arange(len(y)).repeat_interleave(len(rotations)))
            out: Tensor = network(several.moved(rotations.repeat(len(y), 1, 1))).view(len(y), -1) @ weights
            return out

        function = (lambda y: model(y)[:, 0]) if name == "canonicalized" else mean
        own_ms, _, _ = side_by_side(lambda function=function: function(x), lambda: network(x))  # type: ignore[misc]
        y = function(x)
        error = (function(x.moved(R)) - y).square().mean().sqrt() / y.std()
        print(f"| {name} | {len(rotations)} | {own_ms:.1f} | {float(error):.1e} |")


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    kernel = PointKernel(Euclidean(3), 30, tolerance=1e-4)
    x = Clouds.from_positions(3 * torch.randn(256, 30, 3))
    ones = [x.select(torch.tensor([row])) for row in range(len(x))]
    print("| | ms | of what it is compared with | ratio |")
    print("| --- | --- | --- | --- |")
    report(
        "256 clouds of 30 points in one batch, over one by one",
        lambda: kernel.sample(x),
        lambda: [kernel.sample(one) for one in ones],
    )
    if importlib.util.find_spec("pymsym") is not None:
        beside_pymsym("clouds of 30 points", [([6] * 30, points.tolist()) for points in x.positions], kernel, x)
        if importlib.util.find_spec("qm9pack") is not None:
            loose = PointKernel(Euclidean(3), 30, tolerance=0.02)
            for count in (256, 2048):
                molecules = geometries(2000 + count)[2000:]
                beside_pymsym("molecules of QM9", molecules, loose, padded(molecules))
    in_training()
    many_points()
    averaging()


if __name__ == "__main__":
    main()
