r"""The data: shapes at random scales, turned and relabelled by Haar, and what is known of each shape beforehand.

A sample is h (x_0, y_0), h from Haar on O(3) x S_n: given x, y is uniform on the orbit :math:`G_x y`.

**Draws.** A kernel is equivariant, :math:`\kappa(h g \mid h x) = \kappa(g \mid x)`, and C(x) here does not depend on
the scale. So for a training sample, whose h is known, g = h c with c from :math:`C(x_0)`, which is listed once for each
shape (:class:`Templates`), has the kernel's very law, at the price of one product. What is evaluated and checked draws
from the kernel itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import one_hot
from torch.utils.data import Dataset

from sympe.actions import VectorAction
from sympe.experiments.shapes.breaking_sets import with_normalizer
from sympe.experiments.shapes.config import FEATURES, MAX_NODES, Part
from sympe.experiments.shapes.hydrogens import features
from sympe.experiments.shapes.shapes import TOLERANCE, shapes
from sympe.graphs import Clouds
from sympe.groups import Orthogonal
from sympe.kernels import CoupledPointKernel, PointKernel
from sympe.randomness import draw_numbers, seeded

SCALES = (0.7, 1.4)
"""Scales in training lie between these, but not between those of validation and test."""
HELD_SCALES = (0.9, 1.1)
"""Scales of validation and test, which are never seen in training."""


@dataclass(frozen=True)
class Samples:
    """Shapes in some positions, and where their points are to go.

    Arguments:
        which: the shape of each.
        h: how the shape was turned and relabelled.
        x: the clouds.
        y: the displacements, 0 in the padding.
    """

    which: Int64[Tensor, " batch"]
    h: Float[Tensor, "batch numbers"]
    x: Clouds
    y: Float[Tensor, "batch points 3"]

    def __len__(self) -> int:
        return len(self.which)

    def to(self, device: torch.device | str) -> Samples:
        """The same samples on another device."""
        return Samples(self.which.to(device), self.h.to(device), self.x.to(device), self.y.to(device))


class Table:
    """Lists of different lengths, one for each shape, of which one entry each is drawn.

    Arguments:
        rows: the shape of each entry, ascending.
        entries: the entries.
    """

    def __init__(self, rows: Int64[Tensor, " listed"], entries: Tensor) -> None:
        self.entries = entries
        self.counts = rows.bincount()
        self.first = self.counts.cumsum(0) - self.counts

    def __repr__(self) -> str:
        return f"Table({len(self.entries)} entries of {len(self.counts)} shapes)"

    def of(self, shape: int) -> Tensor:
        """The list of one shape."""
        start = int(self.first[shape])
        return self.entries[start : start + int(self.counts[shape])]

    def draw(self, which: Int64[Tensor, " batch"], generator: torch.Generator | None) -> Tensor:
        """A uniform entry of the list of each shape."""
        share = draw_numbers(torch.rand, which.shape, generator=generator, device="cpu", dtype=torch.float64)
        at = (share * self.counts[which.cpu()]).long().clamp(max=self.counts[which.cpu()] - 1)
        return self.entries[self.first[which.cpu()] + at].to(which.device)


class Templates:
    """The shapes of a dataset in their first position, with what the kernel says of them.

    Arguments:
        dataset: the name of the dataset.

    Example:
        >>> templates = Templates("polyhedra")
        >>> templates.names[0], len(templates.cosets.of(0)), len(templates.coupled.of(0)), len(templates.orbits.of(0))
        ('triangle', 12, 4, 3)
    """

    def __init__(self, dataset: str) -> None:
        found = shapes(dataset)
        self.names = [shape.name for shape in found]
        self.new = torch.tensor([shape.new for shape in found])
        n = MAX_NODES[dataset]
        sizes = torch.tensor([len(shape.positions) for shape in found])
        flat = Clouds.from_flat(
            torch.cat([shape.positions for shape in found]),
            sizes,
            torch.cat([shape.types for shape in found]),
            vectors=torch.cat([shape.displacement for shape in found]),
        )
        assert flat.mask.shape[1] == n
        self.y = flat.vectors.squeeze(2)
        self.x = Clouds(flat.positions, flat.types, flat.mask, flat.vectors[:, :, :0])
        self.kernel = PointKernel(Orthogonal(3), n, tolerance=TOLERANCE)
        self.group = self.kernel.group
        rows, g = self.kernel.list_coset(self.x, limit=1024)
        self.cosets = Table(rows, g.float())
        knows = CoupledPointKernel(self.kernel).log_prob(g, self.x.select(rows), self.y[rows]) > -torch.inf
        self.coupled = Table(rows[knows], g[knows].float())
        first = g[torch.searchsorted(rows, torch.arange(len(self.x)))][rows]
        s = self.group.compose(g, self.group.inverse(first))
        images = VectorAction(self.group)(s, self.y[rows].unsqueeze(2)).squeeze(2)
        new = [not bool(_same(images[:i][rows[:i] == row], images[i]).any()) for i, row in enumerate(rows)]
        self.orbits = Table(rows[torch.tensor(new)], images[torch.tensor(new)])

    def __repr__(self) -> str:
        return f"Templates({len(self.names)} shapes of {int(self.x.sizes.min())} to {int(self.x.sizes.max())} points)"

    @cached_property
    def breaking(self) -> Table:
        """The elements behind the symmetry-breaking set of each shape."""
        cosets = [self.cosets.of(shape) for shape in range(len(self.names))]
        found = [with_normalizer(self.kernel, coset, {}) for coset in cosets]
        counts = torch.tensor([len(part) for part in found])
        return Table(torch.arange(len(found)).repeat_interleave(counts), torch.cat(found))

    @property
    def floors(self) -> Float[Tensor, " shapes"]:
        """The least relative error of an equivariant function: that of the mean over the orbit, by enumeration."""
        found = []
        for shape in range(len(self.names)):
            orbit = self.orbits.of(shape)
            found.append((orbit - orbit.mean(0)).square().sum((1, 2)).mean() / orbit[0].square().sum())
        return torch.stack(found)

    def sample(
        self, which: Int64[Tensor, " batch"], scale: Float[Tensor, " batch"], *, generator: torch.Generator
    ) -> Samples:
        """Shapes at these scales, turned and relabelled by Haar, in single precision."""
        batch, n = len(which), self.x.mask.shape[1]
        R = Orthogonal(3).sample((batch,), generator=generator)
        keys = torch.rand(batch, n, generator=generator)
        p = torch.where(self.x.mask[which], keys, 1 + torch.arange(n)).argsort(1)
        x = Clouds(self.x.positions[which], self.x.types[which], self.x.mask[which], self.y[which].unsqueeze(2))
        x = Clouds(x.positions * scale[:, None, None], x.types, x.mask, x.vectors * scale[:, None, None, None])
        moved = x.moved(R.double(), None, p).to(torch.float32)
        plain = Clouds(moved.positions, moved.types, moved.mask, moved.vectors[:, :, :0])
        return Samples(which, self.group.pack(R, p), plain, moved.vectors.squeeze(2))

    def orbit(self, samples: Samples) -> tuple[Float[Tensor, "batch most points 3"], Tensor]:
        """All targets that are as right as that of each sample, and which are there: orbits differ in length."""
        most = int(self.orbits.counts.max())
        at = torch.arange(most)
        which = samples.which.cpu()
        there = at < self.orbits.counts[which][:, None]
        index = self.orbits.first[which][:, None] + torch.where(there, at, 0)
        y = self.orbits.entries.float()[index]
        scale = (samples.y.square().sum((1, 2)).cpu() / y[:, 0].square().sum((1, 2))).sqrt()
        h = samples.h.cpu()[:, None].expand(-1, most, -1)
        y = VectorAction(self.group)(h, y.unsqueeze(3)).squeeze(3) * scale[:, None, None, None]
        return y.to(samples.y.device), there.to(samples.y.device)


def relative_error(y: Float[Tensor, "*#batch points 3"], target: Float[Tensor, "*#batch points 3"]) -> Tensor:
    """The squared error over the square of the target, of each sample.

    Example:
        >>> relative_error(torch.zeros(1, 4, 3), torch.ones(1, 4, 3))
        tensor([1.])
    """
    return (y - target).square().sum((-2, -1)) / target.square().sum((-2, -1))


def type_features(x: Clouds, dataset: str) -> Float[Tensor, "batch points features"]:
    """The types of the points as features, 0 in the padding: a unit vector, and for hydrogens two.

    Example:
        >>> type_features(templates("polyhedra").x, "polyhedra").shape
        torch.Size([17, 12, 1])
    """
    if dataset == "hydrogens":
        return features().to(x.device, x.dtype)[x.types]
    return one_hot(x.types, 1 + FEATURES[dataset])[:, :, 1:].to(x.dtype)


def _same(images: Float[Tensor, "some points 3"], y: Float[Tensor, "points 3"]) -> Tensor:
    return (images - y).abs().amax((1, 2)) < 1e-6


templates = cache(Templates)
"""The templates of a dataset by its name, made once."""


def held_samples(dataset: str, part: Part, each: int) -> Samples:
    """So many samples of every shape, at scales that training never shows; always the same.

    Arguments:
        dataset: the name of the dataset.
        part: "test", or "validation", on which recipes are chosen; they have no sample in common.
        each: the number of samples of every shape.
    """
    of = templates(dataset)
    generator = seeded("shapes", f"held {part}", dataset)
    which = torch.arange(len(of.names)).repeat_interleave(each)
    low, high = HELD_SCALES
    scale = low + (high - low) * torch.rand(len(which), generator=generator)
    return of.sample(which, scale, generator=generator)


class TrainingStream(Dataset[tuple[int, Samples]]):
    """Batches of fresh samples; step i of a seed is always the same batch, so that runs can be resumed.

    Arguments:
        dataset: the name of the dataset.
        seed: of the run.
        batch: samples a step on this device.
        steps: the steps to give.
        rank: which device this is.
    """

    def __init__(self, dataset: str, *, seed: int, batch: int, steps: range, rank: int = 0) -> None:
        self.templates = templates(dataset)
        self.seed = seed
        self.batch = batch
        self.steps = steps
        self.rank = rank

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> tuple[int, Samples]:
        step = self.steps[index]  # raises IndexError at the end
        generator = seeded("shapes", "training", self.seed, step, self.rank)
        learned = (~self.templates.new).nonzero().squeeze(1)
        which = learned[torch.randint(len(learned), (self.batch,), generator=generator)]
        return step, self.templates.sample(which, training_scales(self.batch, generator), generator=generator)


def training_scales(count: int, generator: torch.Generator) -> Float[Tensor, " count"]:
    """Uniform on the training scales, which leave out those of validation and test."""
    (low, high), (start, end) = SCALES, HELD_SCALES
    scale = low + (high - low - (end - start)) * torch.rand(count, generator=generator)
    return torch.where(scale < start, scale, scale + (end - start))
