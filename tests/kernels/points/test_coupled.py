import math

import pytest
import torch

from sympe.actions import PointAction, VectorAction
from sympe.encodings import SymPE
from sympe.graphs import Clouds
from sympe.groups import Isometries, Orthogonal, SpecialEuclidean
from sympe.kernels import CoupledPointKernel, PointKernel
from tests.catalogue import ISOMETRIES


def ring(n: int, d: int) -> torch.Tensor:
    angle = torch.arange(n) * 2 * math.pi / n
    flat = torch.stack([angle.cos(), angle.sin()], 1).double()
    return torch.nn.functional.pad(flat, (0, d - 2))


def generic(n: int, d: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def cube() -> torch.Tensor:
    return torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3)


def situations(d: int) -> dict[str, tuple[Clouds, torch.Tensor | Clouds]]:
    """Clouds, some symmetric, with targets of less symmetry."""
    pulled = torch.zeros(1, 4, d, dtype=torch.float64)
    pulled[0, 0, 0] = 0.3
    along = torch.zeros(1, 4, d, dtype=torch.float64)
    along[0, :2, 1], along[0, 2:, 1] = 0.2, -0.2
    square = Clouds.from_positions(ring(4, d)[None])
    found = {
        "a square, one corner pulled": (square, pulled),
        "a square, sheared": (square, along),
        "a square, one corner marked": (square, torch.tensor([[0, 0, 1, 0]])),
        "a square, two corners replaced and moved": (
            square,
            Clouds.from_positions(ring(4, d)[None] + pulled, torch.tensor([[1, 0, 1, 0]])),
        ),
        "a square and itself": (square, torch.zeros(1, 4, dtype=torch.int64)),
        "generic": (Clouds.from_positions(generic(5, d)[None]), torch.tensor([[0, 1, 0, 0, 2]])),
        "a point": (Clouds.from_positions(torch.zeros(1, 1, d).double()), torch.eye(d).double()[None, None]),
    }
    if d == 3:
        found["a cube, two corners marked"] = (
            Clouds.from_positions(cube()[None]),
            torch.tensor([[1, 1, 0, 0, 0, 0, 0, 0]]),
        )
    return found


CASES = [
    pytest.param(group, name, id=f"{group!r}: {name}")
    for group in ISOMETRIES.values()
    for name in situations(group.dimension)
    if name != "a point"
]


def table(group: Isometries, name: str, *, coupled: type = CoupledPointKernel) -> tuple[torch.Tensor, ...]:
    """kappa(g | x, s y) for all g of C(x) (columns) and all s of G_x (rows)."""
    x, y = situations(group.dimension)[name]
    n = x.mask.shape[1]
    kernel = PointKernel(group, max_nodes=n + 1)
    _, g = kernel.list_coset(x, limit=200)
    s = kernel.stabilizer(x)[0]
    rows = torch.arange(len(s)).repeat_interleave(len(g))
    moved = _moved(kernel, s, y)
    y_all = moved.select(rows) if isinstance(moved, Clouds) else moved[rows]
    x_all = x.select(torch.zeros_like(rows))
    p = coupled(kernel).log_prob(g.repeat(len(s), 1), x_all, y_all).exp().view(len(s), len(g))
    return p, coupled(kernel).entropy(x, y).exp()


def _moved(kernel: PointKernel, s: torch.Tensor, y: torch.Tensor | Clouds) -> torch.Tensor | Clouds:
    if isinstance(y, Clouds):
        return kernel.move(s, y.select(torch.zeros(len(s), dtype=torch.int64)))
    isometry, p = kernel.group.components(s)
    source = kernel.group.factors[1].inverse(p)[:, : y.shape[1]]  # type: ignore[attr-defined]
    placed = y[torch.zeros_like(source), source]
    return placed if y.dim() == 2 else placed @ kernel.isometries.rotation(isometry).mT.to(y.dtype)


@pytest.mark.parametrize(("group", "name"), CASES)
def test_uniform_on_its_part_and_averages_to_the_kernel_of_x(group: Isometries, name: str) -> None:
    p, size = table(group, name)
    assert torch.allclose(p.sum(1), torch.ones(len(p)), atol=1e-5)
    assert torch.allclose(p.mean(0), torch.full((p.shape[1],), 1 / p.shape[1]), atol=1e-5)
    assert torch.allclose(p[p > 0], 1 / size, atol=1e-5)
    assert len(p) == p.shape[1]


class Uncoupled(CoupledPointKernel):
    """Twin: h for the pair, without the way back."""

    def _back(self, h: torch.Tensor, x: Clouds) -> torch.Tensor:
        return self.group.identity((len(x),)).to(h)


def test_the_check_rejects_a_kernel_that_forgets_the_way_back() -> None:
    wrong = 0
    for group in (Orthogonal(2), Orthogonal(3)):
        for name in situations(group.dimension):
            if name != "a point":
                p, _ = table(group, name, coupled=Uncoupled)
                wrong += not torch.allclose(p.sum(1), torch.ones(len(p)), atol=1e-5)
    assert wrong > 0


@pytest.mark.parametrize(("group", "name"), CASES)
def test_samples_are_of_the_support_and_reach_all_of_it(group: Isometries, name: str) -> None:
    x, y = situations(group.dimension)[name]
    kernel = PointKernel(group, max_nodes=x.mask.shape[1])
    coupled, copies = CoupledPointKernel(kernel), torch.zeros(300, dtype=torch.int64)
    xs, ys = x.select(copies), y.select(copies) if isinstance(y, Clouds) else y[copies]
    g = coupled.sample(xs, ys, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(coupled.log_prob(g, xs, ys), -coupled.entropy(xs, ys), atol=1e-5)
    assert torch.allclose(kernel.log_prob(g, xs), -kernel.entropy(xs), atol=1e-5)
    count = round(float(coupled.entropy(x, y).exp()))
    assert len(g.mul(1e3).round().unique(dim=0)) == count  # at most 16: none is missed but with probability 1e-8


@pytest.mark.parametrize("group", ISOMETRIES.values(), ids=repr)
def test_equivariant_in_the_pair(group: Isometries) -> None:
    """kappa(hg | hx, hy) = kappa(g | x, y) for random h, on all of C(x)."""
    for name, (x, y) in situations(group.dimension).items():
        if name == "a point":
            continue
        n = x.mask.shape[1]
        kernel = PointKernel(group, max_nodes=n)
        coupled = CoupledPointKernel(kernel)
        _, g = kernel.list_coset(x, limit=200)
        generator = torch.Generator().manual_seed(1)
        R = (SpecialEuclidean if group.is_proper else Orthogonal)(group.dimension)
        R = torch.linalg.qr(torch.randn(group.dimension, group.dimension, generator=generator)).Q.double()
        if group.is_proper and torch.linalg.det(R) < 0:
            R = -R if group.dimension == 3 else R.flip(0)
        t = torch.randn(group.dimension, generator=generator).double()
        p = torch.randperm(n, generator=generator)
        h = kernel.group.pack(group.element(R, t), p)[None]
        hx, hy = kernel.move(h, x), _moved(kernel, h, y)
        copies = torch.zeros(len(g), dtype=torch.int64)

        def several(z: torch.Tensor | Clouds, copies: torch.Tensor = copies) -> torch.Tensor | Clouds:
            return z.select(copies) if isinstance(z, Clouds) else z[copies]

        here = coupled.log_prob(g, x.select(copies), several(y))
        there = coupled.log_prob(kernel.group.compose(h.expand_as(g), g), hx.select(copies), several(hy))
        assert torch.allclose(here, there, atol=1e-5), name


def test_where_isometries_are_free_the_target_settles_them() -> None:
    x, _ = situations(3)["a point"]
    kernel = PointKernel(Orthogonal(3), max_nodes=1)
    coupled = CoupledPointKernel(kernel)
    assert kernel.entropy(x) == math.inf
    y = torch.tensor([[[[1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0]]]]).double()
    assert coupled.entropy(x, y[:, :, :1]) == math.inf  # about one vector
    assert coupled.entropy(x, y) == 0
    copies = torch.zeros(20, dtype=torch.int64)
    g = coupled.sample(x.select(copies), y[copies])
    assert torch.allclose(g, g[:1].expand_as(g), atol=1e-6)


def test_sympe_trains_a_square_on_its_sheared_forms_and_not_without_coupling() -> None:
    """One linear layer on g v: the loss of a shear goes to 0 coupled; uncoupled it stays at the floor."""
    x, y = situations(2)["a square, sheared"]
    kernel = PointKernel(Orthogonal(2), max_nodes=4)
    s = kernel.stabilizer(x)[0]
    targets = _moved(kernel, s, y)
    assert isinstance(targets, torch.Tensor)
    copies = torch.zeros(len(s), dtype=torch.int64)
    losses = {}
    for name in ("coupled", "not"):
        encoding = SymPE(
            CoupledPointKernel(kernel), VectorAction(kernel.group, 1), generator=torch.Generator().manual_seed(0)
        ).double()
        optimizer = torch.optim.Adam(encoding.parameters(), lr=0.05)
        generator = torch.Generator().manual_seed(0)
        losses[name] = 0.0
        for step in range(300):
            if name == "not":
                g = kernel.sample(x.select(copies), generator=generator)
                features = encoding.moved(g)
            else:
                features = encoding(x.select(copies), target=targets, generator=generator)
            loss = (features[:, :, 0] - targets).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[name] += float(loss.detach()) / 50 if step >= 250 else 0.0
    floor = float((targets - targets.mean(0)).square().mean())  # of the best symmetric answer
    assert losses["coupled"] < 0.05 * floor
    assert losses["not"] > 0.9 * floor
    assert PointAction(kernel.group).shape == (4, 2)


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_target_is_refused() -> None:
    x = Clouds.from_positions(torch.zeros(2, 4, 3))
    coupled = CoupledPointKernel(PointKernel(Orthogonal(3), max_nodes=4))
    for y, message in (
        (torch.zeros(2, 3, dtype=torch.int64), "target: expected one row for each point"),
        (torch.full((2, 4, 3), torch.nan), "target: expected finite values"),
        (torch.zeros(2, 4), "target: expected integer labels of shape"),
        (torch.zeros(2, 4, 2), "target: expected integer labels of shape"),
        (Clouds.from_positions(torch.zeros(2, 5, 3)), "target: expected clouds with the points of x"),
    ):
        with pytest.raises(ValueError, match=message):
            coupled.sample(x, y)
    with pytest.raises(TypeError, match="target: expected Clouds or a tensor of labels or vectors, got list"):
        coupled.sample(x, [1, 2])
    with pytest.raises(TypeError, match="kernel: expected an instance of PointKernel"):
        CoupledPointKernel(4)  # type: ignore[arg-type]
