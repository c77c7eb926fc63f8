import itertools

import numpy as np
import pytest
import torch
from torch import nn

from sympe.actions import Action, BondAction, DirectSum, GridAction, RegularAction
from sympe.encodings import Encoded, NoiseEncoding
from sympe.groups import P4M
from sympe.nn import GroupConv, LiftingConv, P4MNet
from sympe.nn.p4m import Field, window_table
from sympe.testing import assert_equivariant
from tests import oracles


def two_fields(group: P4M) -> Action:
    return GridAction(group, 2)


def ising(group: P4M) -> Action:
    return DirectSum(BondAction(group), GridAction(group))


FIELDS: dict[str, Field] = {"scalar": GridAction, "two scalars": two_fields, "bonds": BondAction, "ising": ising}
SIZES = [1, 2, 3, 5]
ELEMENTS = 30  # all of P4M(1), 30 random ones of larger groups
KERNELS = [1, 3, 5]


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def shake(module: nn.Module) -> nn.Module:
    """Biases start at zero; make every parameter generic."""
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return module


def inputs(action: Action) -> torch.Tensor:
    """Generic, constant, and one site."""
    x = torch.zeros(3, *action.shape)
    x[0], x[1], x[2, ..., 0, 0] = torch.randn(action.shape), 1.0, 1.0
    return x


def fits(size: int, kernel_size: int) -> bool:
    return size >= kernel_size // 2


@pytest.mark.parametrize(("size", "kernel_size"), [p for p in itertools.product(SIZES, KERNELS) if fits(*p)])
@pytest.mark.parametrize("name", FIELDS)
def test_lifting_is_equivariant(name: str, size: int, kernel_size: int) -> None:
    group = P4M(size)
    action = FIELDS[name](group)
    if name == "bonds" and kernel_size == 1:
        with pytest.raises(ValueError, match="kernel_size: a window of 1 holds no entry of this field"):
            LiftingConv(FIELDS[name], 3, kernel_size)
        return
    lift = shake(LiftingConv(FIELDS[name], 3, kernel_size))
    assert_equivariant(lift, action, RegularAction(group, 3), inputs(action), max_elements=ELEMENTS)


@pytest.mark.parametrize(("size", "kernel_size"), [p for p in itertools.product(SIZES, KERNELS) if fits(*p)])
def test_group_convolution_is_equivariant(size: int, kernel_size: int) -> None:
    group = P4M(size)
    conv = shake(GroupConv(2, 3, kernel_size))
    action = RegularAction(group, 2)
    assert_equivariant(conv, action, RegularAction(group, 3), inputs(action), max_elements=ELEMENTS)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("out", ["scalar", "regular"])
def test_the_network_is_equivariant(out: str, name: str, size: int) -> None:
    group = P4M(size)
    action = FIELDS[name](group)
    net = shake(P4MNet(FIELDS[name], channels=4, blocks=2, out=out))
    target: Action = GridAction(group) if out == "scalar" else RegularAction(group)
    x = inputs(action)
    if out == "scalar":
        assert_equivariant(net, action, target, x, max_elements=ELEMENTS)
    else:
        assert_equivariant(
            lambda x: net(x).unsqueeze(1), action, target, x, max_elements=ELEMENTS
        )  # one regular feature
    assert net(x).shape == (3, 1 if out == "scalar" else 8, size, size)
    assert size == 1 or len(net(x[:1]).flatten().unique()) > 1  # not a constant


def test_a_convolution_with_an_ordinary_filter_is_not_equivariant() -> None:
    """Twin: the same window without the eight orientations."""
    group = P4M(3)
    conv = nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")
    with pytest.raises(AssertionError, match="differs from g f"):
        assert_equivariant(conv, GridAction(group), GridAction(group), torch.randn(1, 1, 3, 3))


def test_filters_of_bonds_without_the_shift_are_not_equivariant() -> None:
    """Twin: bonds convolved as if they were two scalar fields."""
    group = P4M(3)
    with pytest.raises(AssertionError, match="differs from g f"):
        assert_equivariant(LiftingConv(two_fields, 1), BondAction(group), RegularAction(group), torch.randn(1, 2, 3, 3))


def window_sites(kernel_size: int, size: int) -> list[tuple[int, int, int]]:
    """(row of the window, flat site of the torus) for every offset; small tori fold the window."""
    radius = kernel_size // 2
    offsets = itertools.product(range(-radius, radius + 1), repeat=2)
    return [(i, a % size, b % size) for i, (a, b) in enumerate(offsets)]


@pytest.mark.parametrize(("size", "kernel_size"), [(1, 3), (2, 3), (3, 1), (3, 3), (3, 5), (4, 3), (5, 3)])
def test_group_convolution_is_the_sum_over_the_group(size: int, kernel_size: int) -> None:
    """y[g] = sum_h psi[g^-1 h] phi[h], psi being the weight laid out on the group; all pairs g, h, by Python loops."""
    conv = shake(GroupConv(2, 2, kernel_size)).double()
    phi = torch.randn(1, 2, 8, size, size, dtype=torch.float64)
    with torch.no_grad():
        y = conv(phi)[0].flatten(1).numpy()
    weight = conv.weight.detach().numpy().reshape(2, 2, 8, kernel_size**2)
    table = oracles.p4m_table(size)
    for o in range(2):
        expected = np.full(8 * size**2, conv.bias.detach()[o].item())
        for i in range(2):
            psi = np.zeros((8, size, size))
            for entry, a, b in window_sites(kernel_size, size):
                psi[:, a, b] += weight[o, i, :, entry]
            expected += oracles.group_convolution(table, psi.flatten(), phi[0, i].flatten().numpy())
        np.testing.assert_allclose(y[o], expected, atol=1e-10)


@pytest.mark.parametrize(("size", "kernel_size"), [(1, 3), (2, 3), (3, 1), (3, 3), (3, 5), (5, 3)])
def test_lifting_is_the_sum_over_sites(size: int, kernel_size: int) -> None:
    """y[g] = sum_j psi[g^-1 j] x[j] for a scalar field, by Python loops."""
    lift = shake(LiftingConv(GridAction, 1, kernel_size)).double()
    x = torch.randn(1, 1, size, size, dtype=torch.float64)
    with torch.no_grad():
        y = lift(x).flatten().numpy()
    psi = np.zeros((size, size))
    for entry, a, b in window_sites(kernel_size, size):
        psi[a, b] += lift.weight.detach().numpy()[0, entry]
    images, values = oracles.site_images(size), x.flatten().numpy()
    # psi[g^-1 j] x[j] summed over j is psi[i] x[g i] summed over i
    expected = [sum(psi.flatten()[i] * values[image[i]] for i in range(size**2)) for image in images]
    np.testing.assert_allclose(y, np.array(expected) + lift.bias.item(), atol=1e-10)


@pytest.mark.parametrize(("size", "kernel_size"), [(3, 3), (5, 3), (5, 5)])
def test_lifting_of_bonds_is_the_sum_over_bonds(size: int, kernel_size: int) -> None:
    """The same with bonds. Those of the window that some rotation takes out of it have no weight."""
    lift = shake(LiftingConv(BondAction, 1, kernel_size)).double()
    x = torch.randn(1, 2, size, size, dtype=torch.float64)
    with torch.no_grad():
        y = lift(x).flatten().numpy()
    radius = kernel_size // 2
    psi = np.zeros((2, size, size))
    weight = lift.weight.detach().numpy().reshape(2, kernel_size**2)
    for direction, (entry, a, b) in itertools.product(range(2), window_sites(kernel_size, size)):
        last = divmod(entry, kernel_size)[direction] - radius + 1  # the bond's other end, along the bond
        if last <= radius:  # both ends within the window, which is symmetric
            psi[direction, a, b] += weight[direction, entry]
    images, values = oracles.bond_images(size), x.flatten().numpy()
    expected = [sum(psi.flatten()[i] * values[image[i]] for i in range(2 * size**2)) for image in images]
    np.testing.assert_allclose(y, np.array(expected) + lift.bias.item(), atol=1e-10)


@pytest.mark.parametrize("kernel_size", KERNELS)
@pytest.mark.parametrize("field", [GridAction, RegularAction, BondAction])
def test_the_table_moves_filters_as_a_left_action(field: Field, kernel_size: int) -> None:
    table = window_table(field, kernel_size)
    end = table.shape[1]
    assert table.shape[0] == 8
    inside = table[0] < end
    assert torch.equal(table[0][inside], torch.arange(end)[inside])  # the identity
    extended = torch.cat([table, torch.full((8, 1), end)], 1)
    point = P4M(1)
    for k, j in itertools.product(range(8), repeat=2):
        # source of k, then source of j, is the source of the product k j
        assert torch.equal(extended[j][extended[k]], extended[int(point.compose(torch.tensor(k), torch.tensor(j)))])


def test_all_weights_within_the_window_count() -> None:
    assert int((window_table(GridAction, 3) == 9).sum()) == 0
    assert int((window_table(RegularAction, 3) == 72).sum()) == 0
    # 3 x 3 window: of the 9 bonds of each direction the 3 that leave it are dropped, in all 8 orientations
    assert int((window_table(BondAction, 3) == 18).sum()) == 8 * 6
    assert int((window_table(BondAction, 1) == 2).sum()) == 8 * 2


def test_every_parameter_gets_a_gradient() -> None:
    net = shake(P4MNet(ising, channels=3, blocks=2))
    net(torch.randn(2, 3, 4, 4)).square().sum().backward()
    for name, p in net.named_parameters():
        assert p.grad is not None, name
        assert float(p.grad.abs().sum()) > 0, name
        assert bool(p.grad.isfinite().all()), name


def test_state_survives_a_round_trip() -> None:
    one, two = (shake(P4MNet(ising, channels=3, blocks=1)) for _ in range(2))
    x = torch.randn(2, 3, 4, 4)
    assert not torch.allclose(one(x), two(x))
    two.load_state_dict(one.state_dict())
    assert torch.equal(one(x), two(x))
    assert not any("table" in key for key in one.state_dict())  # tables follow from the arguments


def test_one_network_serves_every_lattice() -> None:
    net = P4MNet(GridAction, channels=2, blocks=1)
    assert [net(torch.zeros(1, 1, n, n)).shape[-1] for n in (1, 2, 7)] == [1, 2, 7]
    assert net(torch.zeros(0, 1, 5, 5)).shape == (0, 1, 5, 5)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_the_network_compiles_into_one_graph() -> None:
    net = shake(P4MNet(ising, channels=2, blocks=1))
    x = torch.randn(2, 3, 4, 4)
    compiled = torch.compile(net, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), net(x))


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_an_encoded_network_compiles_into_one_graph() -> None:
    model = Encoded(shake(P4MNet(two_fields, channels=2, blocks=1)), NoiseEncoding((1, 4, 4)))
    x = torch.randn(2, 1, 4, 4)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.manual_seed(1)
    expected = model(x)
    torch.manual_seed(1)
    torch.testing.assert_close(compiled(x), expected)


@pytest.mark.parametrize("kernel_size", [0, 2, -1, 4])
@pytest.mark.parametrize(
    "make", [lambda k: LiftingConv(GridAction, 2, k), lambda k: GroupConv(2, 2, k)], ids=["lifting", "group"]
)
def test_a_window_without_centre_is_an_error(make: object, kernel_size: int) -> None:
    with pytest.raises(ValueError, match=f"kernel_size: expected an odd number, at least 1, got {kernel_size}"):
        make(kernel_size)  # type: ignore[operator]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("shape", [(2, 2, 4, 4), (3, 4, 4), (2, 3, 4, 5), (1, 2, 3, 4, 4)])
def test_a_wrong_input_of_the_network_is_an_error(shape: tuple[int, ...]) -> None:
    net = P4MNet(ising, channels=2, blocks=1)
    with pytest.raises(ValueError, match=r"x: expected shape \(batch, 3, L, L\), got \(") as error:
        net(torch.zeros(shape))
    assert str(shape) in str(error.value)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("shape", [(2, 3, 8, 4, 4), (2, 2, 4, 4, 4), (2, 2, 8, 4), (2, 2, 8, 4, 5)])
def test_a_wrong_input_of_a_group_convolution_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"x: expected shape \(batch, 2, 8, L, L\), got \(") as error:
        GroupConv(2, 2)(torch.zeros(shape))
    assert str(shape) in str(error.value)


def test_a_window_that_wraps_twice_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"x: expected L >= 2 for kernel_size 5, .* got shape"):
        LiftingConv(GridAction, 1, 5)(torch.zeros(1, 1, 1, 1))
    with pytest.raises(ValueError, match=r"x: expected L >= 2 for kernel_size 5, .* got shape"):
        GroupConv(1, 1, 5)(torch.zeros(1, 1, 8, 1, 1))


def test_a_window_without_bonds_serves_the_other_fields() -> None:
    assert LiftingConv(ising, 1, 1)(torch.zeros(1, 3, 2, 2)).shape == (1, 1, 8, 2, 2)


def test_an_unknown_output_is_an_error() -> None:
    with pytest.raises(ValueError, match='out: expected "scalar" or "regular", got \'vector\''):
        P4MNet(GridAction, channels=1, blocks=1, out="vector")


@pytest.mark.parametrize(("channels", "blocks"), [(0, 1), (1, 0)])
def test_an_empty_network_is_an_error(channels: int, blocks: int) -> None:
    with pytest.raises(ValueError, match=f"channels, blocks: expected at least 1, got {channels}, {blocks}"):
        P4MNet(GridAction, channels=channels, blocks=blocks)
