"""e3nn's irreps as v. The networks here are e3nn's own layers."""

import warnings

import pytest
import torch
from e3nn import o3
from e3nn.util.test import assert_equivariant

from sympe import SymPE
from sympe.actions import VectorAction
from sympe.graphs import Clouds
from sympe.groups import DirectProduct, Isometries, Orthogonal, Permutations, SpecialEuclidean, SpecialOrthogonal
from sympe.integrations.e3nn import IrrepsAction, wigner
from sympe.kernels import CoupledPointKernel, PointKernel
from sympe.testing import assert_action_laws, equivariance_test
from tests.catalogue import ISOMETRIES

SPACE = [group for group in ISOMETRIES.values() if group.dimension == 3]


def on(group: Isometries, irreps: str, points: int = 3) -> IrrepsAction:
    return IrrepsAction(DirectProduct(group, Permutations(points)), irreps)


@pytest.mark.parametrize("group", SPACE, ids=repr)
def test_action_laws_and_vectors_are_those_of_the_action_on_vectors(group: Isometries) -> None:
    assert_action_laws(on(group, "2x0e + 0o + 3x1o + 1e + 2e"))
    action, vectors = on(group, "5x1o"), VectorAction(DirectProduct(group, Permutations(3)), 5)
    compact = SpecialOrthogonal(3) if group.is_proper else Orthogonal(3)
    R = compact.sample((4,), generator=torch.Generator().manual_seed(0))
    g = action.group.pack(group.element(R, torch.randn(4, 3)), Permutations(3).sample((4,)))
    x = torch.randn(4, 3, 5, 3)
    assert torch.allclose(action(g, x.flatten(2)), vectors(g, x).flatten(2), atol=1e-5)


def test_parity_is_that_of_e3nn() -> None:
    action = on(Orthogonal(3), "0e + 0o + 1o + 1e", 1)
    mirror = action.group.pack(torch.diag(torch.tensor([1.0, 1.0, -1.0])), torch.tensor([0]))
    x = torch.ones(1, 8)
    assert torch.allclose(action(mirror, x), torch.tensor([[1.0, -1, 1, 1, -1, -1, -1, 1]]), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_matrices_are_those_of_e3nn(dtype: torch.dtype) -> None:
    R = Orthogonal(3).sample((20,), generator=torch.Generator().manual_seed(0)).to(dtype)
    if dtype == torch.float64:
        R = torch.linalg.qr(R).Q
    irreps = [o3.Irrep(l, p) for l in range(6) for p in (1, -1)]  # noqa: E741
    for ir, D in wigner(R, irreps).items():
        assert torch.allclose(D.expand(20, ir.dim, ir.dim), ir.D_from_matrix(R), atol=1e-4)


FREE = {
    # by hand: vectors of one point have the reflection in their plane if there are two, a cone if there is one
    ("O", "3x1o", 1): "",
    ("O", "2x1o", 1): "reflections",
    ("SO", "2x1o", 1): "",
    ("SO", "1o", 1): "all rotations",
    ("O", "4x0e + 0o", 1): "all rotations",
    ("O", "3x1e", 1): "the inversion",
    ("O", "0o + 3x1e", 1): "",
    ("SO", "2e", 1): "rotations by 180 degrees",  # a symmetric matrix has the turns about its axes
    ("SO", "2x2e", 1): "",
    ("SO", "3o", 1): "",
    ("O", "1o", 3): "",
    ("O", "1o", 2): "reflections",
}


@pytest.mark.parametrize("case", FREE, ids=str)
def test_which_irreps_are_free(case: tuple[str, str, int]) -> None:
    kind, irreps, points = case
    action = on(Orthogonal(3) if kind == "O" else SpecialOrthogonal(3), irreps, points)
    assert action.fixing == FREE[case]
    assert action.is_faithful == (not FREE[case])


def test_sympe_says_what_fixes_v() -> None:
    kernel = PointKernel(Orthogonal(3), max_nodes=1)
    with pytest.warns(UserWarning, match="SymPE: reflections of DirectProduct"):
        SymPE(kernel, IrrepsAction(kernel.group, "2x1o"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SymPE(kernel, IrrepsAction(kernel.group, "3x1o"))


class Layer(torch.nn.Module):
    """Messages of features times spherical harmonics of the arcs, then a gate-free linear layer."""

    def __init__(self, irreps_in: str, irreps_out: str) -> None:
        super().__init__()
        self.irreps_in, self.irreps_out = o3.Irreps(irreps_in), o3.Irreps(irreps_out)
        sh = o3.Irreps.spherical_harmonics(2)
        self.product = o3.FullyConnectedTensorProduct(self.irreps_in, sh, self.irreps_out)
        self.own = o3.Linear(self.irreps_in, self.irreps_out)

    def forward(self, positions: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        arcs = positions[:, None] - positions[:, :, None]
        sh = o3.spherical_harmonics([0, 1, 2], arcs, normalize=True, normalization="component")
        near = torch.exp(-arcs.norm(dim=-1, keepdim=True))
        messages = self.product(x[:, :, None].expand(*sh.shape[:3], -1), sh * near)
        return self.own(x) + messages.mean(1)


@pytest.fixture(scope="module")
def layer() -> Layer:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Layer("2x0e + 3x1o + 2e", "1o")


@pytest.mark.slow
def test_the_whole_is_equivariant_in_distribution(layer: Layer) -> None:
    """On a cube, with rotations and relabellings by Haar; v that does not move is the twin."""
    cube = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    kernel = PointKernel(Orthogonal(3), max_nodes=8)
    encoding = SymPE(kernel, IrrepsAction(kernel.group, layer.irreps_in), generator=torch.Generator().manual_seed(0))

    def model(x: Clouds, *, generator: torch.Generator | None = None) -> torch.Tensor:
        with torch.no_grad():
            y: torch.Tensor = layer(x.positions, encoding(x, generator=generator))
        return y

    x = Clouds.from_positions(cube[None])
    out = VectorAction(kernel.group, 1)
    found = equivariance_test(
        model,
        kernel.group,
        kernel.move,
        lambda g, y: out(g, y[:, :, None]).squeeze(2),
        x,
        max_elements=3,
        samples=60,
        generator=torch.Generator().manual_seed(1),
    )
    assert not found.rejected, found.verdict
    fixed = SymPE(kernel, IrrepsAction(kernel.group, layer.irreps_in), generator=torch.Generator().manual_seed(0))

    def twin(x: Clouds, *, generator: torch.Generator | None = None) -> torch.Tensor:
        with torch.no_grad():
            y: torch.Tensor = layer(x.positions, fixed.v.expand(len(x), -1, -1))
        return y

    assert equivariance_test(
        twin,
        kernel.group,
        kernel.move,
        lambda g, y: out(g, y[:, :, None]).squeeze(2),
        x,
        max_elements=3,
        samples=60,
        generator=torch.Generator().manual_seed(1),
    ).rejected


def test_e3nn_itself_finds_the_layer_equivariant_in_x_and_v(layer: Layer) -> None:
    assert_equivariant(
        lambda positions, v: layer(positions[None], v[None])[0],
        args_in=[torch.randn(5, 3), torch.randn(5, layer.irreps_in.dim)],
        irreps_in=["1o", layer.irreps_in],
        irreps_out=[layer.irreps_out],
    )


@pytest.mark.slow
def test_a_square_is_trained_to_pull_one_corner(layer: Layer) -> None:
    """A symmetric input and a less symmetric target: below the floor only when g is coupled to the target."""
    corner = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [-1.0, 0, 0], [0, -1.0, 0]])
    kernel = PointKernel(SpecialEuclidean(3), max_nodes=4)
    x = Clouds.from_positions(corner.expand(16, 4, 3).clone())
    pulled = torch.zeros(16, 4, 3)
    which = torch.arange(16) % 4
    pulled[torch.arange(16), which] = 0.5 * corner[which]
    mean = pulled.mean(0)
    floor = float((pulled - mean).square().mean())
    losses = []
    for coupled in (True, False):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = Layer("2x0e + 3x1o + 2e", "1o")
        g_kernel = CoupledPointKernel(kernel)
        encoding = SymPE(
            g_kernel, IrrepsAction(kernel.group, model.irreps_in), generator=torch.Generator().manual_seed(0)
        )
        optimizer = torch.optim.Adam([*model.parameters(), *encoding.parameters()], lr=0.02)
        generator = torch.Generator().manual_seed(0)
        for _ in range(150):
            if coupled:
                v = encoding(x, target=pulled, generator=generator)
            else:
                v = encoding.moved(kernel.sample(x, generator=generator))
            loss = (model(x.positions, v) - pulled).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] < 0.05 * floor
    assert losses[1] > 0.8 * floor


@pytest.mark.usefixtures("unchecked")
def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"group: expected isometries of space, got Orthogonal\(2\)"):
        on(Orthogonal(2), "1o")
    with pytest.raises(ValueError, match=r"irreps: expected such as '8x0e \+ 4x1o', got 'vector'"):
        on(Orthogonal(3), "vector")
    with pytest.raises(ValueError, match="irreps: expected at least one number, got ''"):
        on(Orthogonal(3), "")
    with pytest.raises(TypeError, match=r"group: expected DirectProduct|group: expected an instance of DirectProduct"):
        IrrepsAction(Orthogonal(3), "1o")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="x: expected shape"):
        on(Orthogonal(3), "1o")(on(Orthogonal(3), "1o").group.identity(), torch.zeros(3, 4))
