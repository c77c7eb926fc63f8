"""The models: a network on points joined with vectors from an encoding, or a plain one on canonical forms."""

from __future__ import annotations

import warnings

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sympe.actions import GlobalVectorAction, VectorAction
from sympe.encodings import Canonicalized, Encoding, NoEncoding, NoiseEncoding, SymPE
from sympe.experiments.shapes.breaking_sets import BreakingSetEncoding
from sympe.experiments.shapes.config import FEATURES, MAX_NODES, ShapesConfig
from sympe.experiments.shapes.data import type_features
from sympe.experiments.shapes.shapes import TOLERANCE
from sympe.experiments.shapes.tensor_field import TensorFieldNetwork
from sympe.graphs import Clouds
from sympe.groups import Orthogonal
from sympe.kernels import CoupledPointKernel, HaarKernel, PointKernel
from sympe.nn import VectorGNN


class ShapesModel(nn.Module):
    """Displacements from clouds, for one draw of what breaks the symmetry.

    Arguments:
        config: the row; says which encoding and backbone.

    Example:
        >>> x = Clouds.from_positions(torch.randn(2, 12, 3), torch.ones(2, 12, dtype=torch.int64))
        >>> ShapesModel(ShapesConfig(width=8, layers=1)).eval()(x).shape
        torch.Size([2, 12, 3])
    """

    def __init__(self, config: ShapesConfig) -> None:
        super().__init__()
        n = MAX_NODES[config.dataset]
        self.kernel = PointKernel(Orthogonal(3), n, tolerance=TOLERANCE)
        self.encoding = build_encoding(config, self.kernel)
        if config.encoding == "canonicalized":
            self.network: nn.Module = PlainNetwork(config)
            kernel = CoupledPointKernel(self.kernel) if config.couples else self.kernel
            out = VectorAction(self.kernel.group)
            self.canonicalized = Canonicalized(self.network, kernel, self.kernel.move, out)
        elif config.backbone == "e3nn":
            self.network = TensorFieldNetwork(config)
        else:
            self.network = PointNetwork(config)

    @property
    def is_plain(self) -> bool:
        """Whether the network is a plain one on canonical forms, which are padded to one number of points."""
        return isinstance(self.network, PlainNetwork)

    def forward(
        self, x: Clouds, *, g: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Float[Tensor, "batch points 3"]:
        """The displacements, 0 in the padding.

        Arguments:
            x: the clouds; for the plain network padded to as many points as the largest shape of the dataset has.
            g: elements that were drawn before, of the kernel of the encoding; None to draw here.
            generator: draws what is drawn here.
        """
        if self.is_plain:
            if g is None:
                y: Tensor = self.canonicalized(x, generator=generator)
            else:
                forms = self.kernel.move(self.kernel.group.inverse(g), x)
                y = VectorAction(self.kernel.group)(g, self.network(forms))
            return y.squeeze(2) * x.mask[:, :, None]
        features = self._at_points(self.encoding(x, generator=generator)) if g is None else self.moved(g)
        moved: Tensor = self.network(x, features[:, : x.mask.shape[1]])
        return moved

    def elements(self, x: Clouds) -> Tensor | None:
        """All elements that are drawn for one cloud, each as likely; None if the encoding is not of that kind."""
        encoding = self.encoding
        if isinstance(encoding, BreakingSetEncoding):
            return encoding.elements(x)[0]
        if self.is_plain or (isinstance(encoding, SymPE) and isinstance(encoding.kernel, PointKernel)):
            return self.kernel.list_coset(x, limit=1024)[1]
        return None

    def moved(self, g: Tensor) -> Float[Tensor, "batch points channels 3"]:
        """The features that given elements lead to."""
        encoding = self.encoding
        if not isinstance(encoding, SymPE | BreakingSetEncoding):
            raise TypeError(f"g: expected None with {type(encoding).__name__}, got elements")
        return self._at_points(encoding.moved(g))

    def _at_points(self, features: Tensor) -> Tensor:
        """At each point; vectors of a whole cloud are the same at all of them."""
        return features if features.dim() == 4 else features[:, None].expand(-1, self.kernel.max_nodes, -1, -1)


def build_encoding(config: ShapesConfig, kernel: PointKernel) -> Encoding:
    """What gives the vectors at the points: (max_nodes, channels, 3) features of a cloud, or (channels, 3) for all."""
    action = VectorAction(kernel.group, config.channels)
    if config.encoding in ("none", "canonicalized"):
        return NoEncoding(action.shape)
    if config.encoding == "noise":
        return NoiseEncoding(action.shape)
    if config.encoding == "breaking-set":
        return BreakingSetEncoding(kernel, config.channels)
    if config.encoding == "haar":
        return SymPE(HaarKernel(kernel.group), action)
    drawn_by = CoupledPointKernel(kernel) if config.couples else kernel
    if config.encoding in ("sympe-global", "sympe-global-coupled"):
        with warnings.catch_warnings():  # no two points of a shape coincide
            warnings.filterwarnings("ignore", "SymPE: permutations of points that coincide")
            return SymPE(drawn_by, GlobalVectorAction(kernel.group, config.channels))
    return SymPE(drawn_by, action)


class PointNetwork(nn.Module):
    """The EGNN with vectors: one vector at every point.

    Arguments:
        config: the sizes.
    """

    def __init__(self, config: ShapesConfig) -> None:
        super().__init__()
        self.dataset = config.dataset
        self.network = VectorGNN(
            FEATURES[config.dataset],
            config.channels,
            1,
            width=config.width,
            vectors=config.vectors,
            layers=config.layers,
        )

    def forward(self, x: Clouds, features: Float[Tensor, "batch points channels 3"]) -> Float[Tensor, "batch points 3"]:
        """The displacements."""
        y: Tensor = self.network(type_features(x, self.dataset), x.positions, features, x.mask)[1]
        return y.squeeze(2)


class PlainNetwork(nn.Module):
    """Three linear layers on the coordinates and types of all points in their order: no symmetry at all.

    Its width is such that it has about as many parameters as the EGNN.

    Arguments:
        config: the row, with the sizes of the EGNN.
    """

    def __init__(self, config: ShapesConfig) -> None:
        super().__init__()
        self.dataset = config.dataset
        n, types = MAX_NODES[config.dataset], FEATURES[config.dataset]
        with torch.random.fork_rng(devices=[]):
            wanted = sum(p.numel() for p in PointNetwork(config).parameters())
        inner = n * (4 + types) + n * 3 + 2
        width = max(1, round((-inner + (inner**2 + 4 * (wanted - 3 * n)) ** 0.5) / 2))
        self.layers = nn.Sequential(
            nn.Linear(n * (4 + types), width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, n * 3),
        )

    def forward(self, x: Clouds) -> Float[Tensor, "batch points 1 3"]:
        """The displacements of canonical forms."""
        seen = torch.cat([x.positions, type_features(x, self.dataset), x.mask[:, :, None].to(x.dtype)], -1)
        y: Tensor = self.layers(seen.flatten(1))
        return y.view(len(x), -1, 1, 3)
