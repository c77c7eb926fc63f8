"""The pictures of README and the tutorials: ``python -m docs.tutorial_pictures [NAME ...]`` (two minutes for all).

Each is drawn from what the code of its page leaves, so it shows what the page computes.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from docs.pages import run
from sympe import seeded
from sympe.experiments.pictures import save

HERE = Path(__file__).parent
ROWS = plt.get_cmap("viridis")(torch.linspace(0.05, 0.95, 6).numpy())
"""Colours of the rows of v."""
PLAIN, MARKED, EDGE = "#d9d9d9", "#c1272d", "#555555"
ON, OFF = "#1b3a5c", "#f4f1ea"


def names_of(page: str) -> Any:
    """What the code of a page leaves."""
    return run(HERE / page)[1]


def draw_graph(axis: Axes, places: torch.Tensor, edges: torch.Tensor, colors: Any, *, size: float = 220) -> None:
    """A graph with coloured nodes."""
    for i, j in edges.T.tolist():
        axis.plot(*places[[i, j]].T, color=EDGE, linewidth=1.2, zorder=1)
    axis.scatter(*places.T, s=size, c=colors, edgecolors=EDGE, zorder=2)
    low, high = places.amin(0) - 0.35, places.amax(0) + 0.35
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    axis.axis("off")


def circle(n: int) -> torch.Tensor:
    """Places of n points on a circle, the first on top."""
    angle = math.pi / 2 - 2 * math.pi * torch.arange(n) / n
    return torch.stack([angle.cos(), angle.sin()], 1)


def idea() -> Figure:
    """A ring, three draws of g v, and the three answers that the trained model of a tutorial gives."""
    page = names_of("tutorials/targets.md")
    torch.manual_seed(0)
    model = page["Model"](page["CoupledGraphKernel"](page["kernel"]))
    page["train"](model, lambda model, data, rng: page["cross_entropy"](model(data, data.y, rng), data.y))
    one, kernel = page["make_batch"](1, seeded(0)), page["kernel"]
    found: dict[int, tuple[list[int], torch.Tensor]] = {}
    for number in range(100):  # one draw for each answer, to be seen beside each other
        marks = model.eval()(one, generator=seeded(number)) > 0
        g = kernel.sample(page["to_graphs"](one), generator=seeded(number))[0]
        found.setdefault(int(marks.int().argmax()), (kernel.group.inverse(g).tolist(), marks))
    figure = plt.figure(figsize=(8.4, 4.4), layout=ConstrainedLayoutEngine(h_pad=0.1))
    grid = figure.add_gridspec(2, 5, width_ratios=[1.25, 0.5, 1, 1, 1])
    whole = figure.add_subplot(grid[:, 0])
    draw_graph(whole, circle(6), page["edge_index"], PLAIN, size=330)
    whole.set_title("input x\nall nodes are alike", fontsize=12)
    for row, text in enumerate(["features g v,\ng random,\nv learned", "answers\nf(x ⊕ g v)"]):
        axis = figure.add_subplot(grid[row, 1])
        axis.text(0.5, 0.5, text, ha="center", va="center", fontsize=12)
        axis.axis("off")
    for column, key in enumerate(sorted(found)):
        places, marks = found[key]
        above, below = (figure.add_subplot(grid[row, 2 + column]) for row in (0, 1))
        draw_graph(above, circle(6), page["edge_index"], [ROWS[place] for place in places])
        draw_graph(below, circle(6), page["edge_index"], [MARKED if mark else PLAIN for mark in marks])
        above.set_title(f"draw {column + 1}", fontsize=12)
    figure.supxlabel("One answer has less symmetry than x. All three are as likely: their distribution has all of it.")
    return figure


def lattices() -> Figure:
    """Spins that the two models of the page draw."""
    page = names_of("tutorials/lattices.md")
    figure, axes = plt.subplots(1, 5, figsize=(8.4, 2.3), layout="constrained")
    for column, axis in enumerate(axes):
        name = "none" if column == 0 else "SymPE"
        spins = page["models"][name](page["x"], generator=seeded(column + 4)).sign().detach()
        axis.imshow(spins[0, 0], vmin=-1, vmax=1, cmap=mpl.colors.ListedColormap([OFF, ON]))
        axis.set_title("without encoding" if column == 0 else f"SymPE, draw {column}", fontsize=11)
        axis.set(xticks=[], yticks=[])
        axis.set_xlabel("y")
    axes[0].set_ylabel("x")
    return figure


def graphs() -> Figure:
    """Cuts that the model draws."""
    page = names_of("tutorials/graphs.md")
    data, model = page["data"], page["model"]
    figure, axes = plt.subplots(2, len(data), figsize=(8.4, 3.4), layout="constrained")
    for row in range(2):
        colors = model(page["batch"], generator=seeded(20 + row)) > 0.5
        for column, (one, part) in enumerate(zip(data, colors.split([d.num_nodes for d in data]), strict=True)):
            n = one.num_nodes
            inner = torch.cat([circle(n // 2), 0.55 * circle(n // 2)])
            places = inner if n // 2 * 6 == one.num_edges else circle(n)  # a ladder has three edges a rung
            draw_graph(axes[row, column], places, one.edge_index, [ON if side else OFF for side in part], size=70)
        axes[row, 0].set_title(f"draw {row + 1}", fontsize=11)
    return figure


def molecules() -> Figure:
    """Marked atoms, drawn by RDKit."""
    from io import BytesIO

    from PIL import Image
    from rdkit import Chem
    from rdkit.Chem import Draw

    page = names_of("tutorials/molecules.md")
    names = ["benzene", "naphthalene", "p-xylene", "neopentane"]
    batch = page["Batch"].from_data_list([page["molecules"][name] for name in names])
    figure, axes = plt.subplots(3, len(names), figsize=(8.4, 5.4), layout="constrained")
    for row in range(3):
        logits = page["model"](batch, generator=seeded(40 + row)).detach()
        parts = logits.split([page["molecules"][name].num_nodes for name in names])
        for axis, name, part in zip(axes[row], names, parts, strict=True):
            molecule = Chem.MolFromSmiles(page["SMILES"][name])
            drawing = Draw.rdMolDraw2D.MolDraw2DCairo(360, 260)
            options = drawing.drawOptions()
            options.highlightRadius, options.fixedBondLength = 0.3, 60
            drawing.DrawMolecule(molecule, highlightAtoms=[int(part.argmax())])
            drawing.FinishDrawing()
            axis.imshow(Image.open(BytesIO(drawing.GetDrawingText())))
            axis.set(xticks=[], yticks=[])
            axis.set_frame_on(False)
            if row == 0:
                axis.set_title(name, fontsize=12)
        axes[row, 0].set_ylabel(f"draw {row + 1}", fontsize=12)
    return figure


def generation() -> Figure:
    """What one reverse step makes."""
    page = names_of("tutorials/generation.md")
    figure, axes = plt.subplots(2, 6, figsize=(8.4, 3.2), layout="constrained")
    for row, (name, broken) in enumerate({"none": False, "SymPE": True}.items()):
        x = page["sample"](page["train"](broken), 6, 1, seeded(1))
        right = page["is_right"](x)
        for column, axis in enumerate(axes[row]):
            colors = [MARKED if mark else PLAIN for mark in x.colors[column]]
            place = page["canonical"](x) if right[column] else x  # a ring is drawn as a ring
            order = ring_order(place.pairs[column]) if right[column] else list(range(6))
            draw_graph(
                axis,
                circle(6)[torch.tensor(order).argsort()],
                place.pairs[column].triu().nonzero().T,
                [MARKED if mark else PLAIN for mark in place.colors[column]] if right[column] else colors,
                size=110,
            )
        axes[row, 0].set_title("no encoding" if name == "none" else "SymPE", fontsize=12, loc="left")
    return figure


def ring_order(pairs: torch.Tensor) -> list[int]:
    """The nodes of a ring, along it."""
    order = [0]
    while len(order) < len(pairs):
        order.append(next(j for j in pairs[order[-1]].nonzero().flatten().tolist() if j not in order))
    return order


def own_group() -> Figure:
    """Draws of the chord model, on the circle of tones."""
    page = names_of("tutorials/own-group.md")
    chords = {"diminished seventh": (0, 3, 6, 9), "augmented triad": (0, 4, 8)}
    figure, axes = plt.subplots(2, 4, figsize=(8.4, 4.6), layout="constrained")
    places, names = circle(12), ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"]
    for row, (name, tones) in enumerate(chords.items()):
        x = page["chord"](*tones).expand(4, 1, 12)
        marks = page["model"](x, generator=seeded(row + 2))[:, 0].argmax(1).tolist()
        for column, mark in enumerate(marks):
            axis = axes[row, column]
            axis.add_patch(plt.Polygon(places[list(tones)], fill=False, color=EDGE))
            colors = [MARKED if t == mark else ON if t in tones else PLAIN for t in range(12)]
            draw_graph(axis, places, torch.zeros(2, 0, dtype=torch.int64), colors, size=60)
            axis.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5))
            for tone, place in enumerate(1.32 * places):
                axis.text(*place, names[tone], ha="center", va="center", fontsize=9)
            axis.set_title(f"{name}\ndraw 1" if column == 0 else f"draw {column + 1}", fontsize=11)
    return figure


def points() -> Figure:
    """The angle of the frame of a square that is sheared more and more."""
    from sympe.graphs import Clouds
    from sympe.groups import SpecialEuclidean
    from sympe.kernels import PointKernel

    kernel = PointKernel(SpecialEuclidean(2), max_nodes=4, tolerance=0.1)
    corners = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    shear = torch.linspace(0, 0.25, 101)
    moved = corners.expand(len(shear), 4, 2).clone()
    moved[:, :, 0] += shear[:, None] * moved[:, :, 1]
    x = Clouds.from_positions(moved.repeat(40, 1, 1))
    R, _ = kernel.group.components(kernel.sample(x, generator=seeded(0)))
    angle = torch.rad2deg(torch.atan2(R[:, 1, 0], R[:, 0, 0]))
    figure = plt.figure(figsize=(8.4, 4.4), layout="constrained")
    grid = figure.add_gridspec(2, 4, height_ratios=[1, 2.6])
    for column, row in enumerate((0, 20, 60, 100)):
        axis = figure.add_subplot(grid[0, column])
        axis.add_patch(plt.Polygon(moved[row], fill=False, color=EDGE))
        draw_graph(axis, moved[row], torch.zeros(2, 0, dtype=torch.int64), PLAIN, size=60)
        count = int(kernel.entropy(x.select(torch.tensor([row]))).exp().round())
        axis.set_title(f"shear {shear[row]:.2f}, |G_x| = {count}", fontsize=11)
    axis = figure.add_subplot(grid[1, :])
    axis.scatter(shear.repeat(40), angle, s=6, color=ON)
    axis.set(xlabel="shear of a square with sides of length 2 (tolerance 0.1)", ylabel="angle of the frame R (degrees)")
    axis.set_yticks(range(-180, 181, 90))
    return figure


PICTURES = {
    "idea": (idea, HERE / "idea.png"),
    "lattices": (lattices, HERE / "tutorials" / "lattices.png"),
    "graphs": (graphs, HERE / "tutorials" / "graphs.png"),
    "molecules": (molecules, HERE / "tutorials" / "molecules.png"),
    "generation": (generation, HERE / "tutorials" / "generation.png"),
    "points": (points, HERE / "tutorials" / "points.png"),
    "own-group": (own_group, HERE / "tutorials" / "own-group.png"),
}

if __name__ == "__main__":
    for name in sys.argv[1:] or PICTURES:
        draw, path = PICTURES[name]
        print(save(draw(), path))
