"""The pictures of the chapter on the theory: ``python -m docs.pictures`` (seconds)."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from sympe.actions import GridAction
from sympe.answers import orbit
from sympe.encodings import PartialSymPE
from sympe.experiments.pictures import save
from sympe.groups import P4M, FiniteGroup, generate_permutations
from sympe.kernels import OrbitKernel, PartialKernel
from sympe.theory import FiniteSet, distance_without_breaking, symmetrized

SWAP, TURN = [1, 0, 2], [1, 2, 0]


def distances() -> Figure:
    """What no equivariant f(x, epsilon) reaches, for S_3 on four sets."""
    group = FiniteGroup.from_permutations([SWAP, TURN])
    points = generate_permutations([SWAP, TURN])
    even = torch.tensor([[0, 1] if torch.linalg.det(torch.eye(3)[p]) > 0 else [1, 0] for p in points])
    sets = {
        "a point": FiniteSet(group, torch.zeros(6, 1, dtype=torch.int64)),
        "two signs": FiniteSet(group, even),
        "three points": FiniteSet(group, points),
        "the group": FiniteSet.regular(group),
    }
    table = torch.zeros(4, 4)
    for row, x in enumerate(sets.values()):
        for column, y in enumerate(sets.values()):
            p = torch.full((len(x), len(y)), 1 / len(y))
            table[row, column] = float(distance_without_breaking(symmetrized(p, x, y), x, y).clamp(min=0).mean())
    figure, axis = plt.subplots(figsize=(6.8, 4.4), layout="constrained")
    image = axis.imshow(table, vmin=0, vmax=1, cmap="Blues")
    for row in range(4):
        for column in range(4):
            value = float(table[row, column])
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.6 else "black")
    axis.set_xticks(range(4), sets)
    axis.set_yticks(range(4), [f"{name}, |G_x| = {int(x.stabilizers.sum(1)[0])}" for name, x in sets.items()])
    axis.set_xlabel("outputs")
    axis.set_ylabel("inputs")
    axis.set_title("Total variation that stays without g\n(S_3; P uniform on the outputs)")
    figure.colorbar(image)
    return figure


def breaking() -> Figure:
    """A uniform field, features that keep a subgroup K, and all answers that the last one stands for."""
    group = P4M(6)
    fields = GridAction(group)
    kernel, x = OrbitKernel(fields), torch.zeros(1, 1, 6, 6)
    kept = {
        "everything broken": [],
        "K = a mirror": [group.pack(s=1, k=0, p=0, q=0)],
        "K = the half turn": [group.pack(s=0, k=2, p=0, q=0)],
        "K = shifts by 3": [group.pack(s=0, k=0, p=3, q=0), group.pack(s=0, k=0, p=0, q=3)],
    }
    figure, axes = plt.subplots(2, 4, figsize=(9.2, 5.2), layout="constrained")
    generator = torch.Generator().manual_seed(1)
    for axis, (name, subgroup) in zip(axes[0], kept.items(), strict=True):
        partial = PartialKernel(kernel, subgroup)
        e = PartialSymPE(partial, fields, generator=generator)(x, generator=generator).detach()
        axis.imshow(e[0, 0], cmap="PuOr", vmin=-2, vmax=2)
        axis.set_title(f"{name}\n{float(partial.broken(x).exp()):.0f} of 288 ways", fontsize=9)
    stripes = torch.tensor([1.0, 0, 0, 1, 0, 0]).view(1, 1, 6, 1).expand(1, 1, 6, 6)
    (answers,) = orbit(x, stripes, kernel, fields)
    for number, axis in enumerate(axes[1]):
        axis.imshow(answers.values[number, 0], cmap="Greys", vmin=0, vmax=1.4)
        axis.set_title(f"answer {number + 1} of {len(answers.values)}", fontsize=9)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.suptitle("A uniform lattice. Above: features that keep K. Below: the answers that one answer stands for.")
    return figure


if __name__ == "__main__":
    here = Path(__file__).parent
    print(save(distances(), here / "theory-distances.png"))
    print(save(breaking(), here / "theory-breaking.png"))
