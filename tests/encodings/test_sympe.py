"""SymPE: its features are g v with the kernel's law, and the theorems of docs/method.md."""

import math
import warnings

import pytest
import torch

from sympe.actions import (
    Action,
    BondAction,
    DirectSum,
    EdgeAction,
    GridAction,
    NodeAction,
    PermutationAction,
    RegularAction,
    TrivialAction,
)
from sympe.encodings import Encoded, NoEncoding, SymPE
from sympe.groups import P4M, Cyclic, Group, Permutations
from sympe.kernels import HaarConjugated, HaarKernel, Kernel, OrbitKernel, ScoreKernel
from sympe.nn import P4MNet
from tests.catalogue import symmetric_inputs


class Forced(Kernel):
    """A kernel that gives the elements it is told."""

    def __init__(self, group: Group, g: torch.Tensor) -> None:
        self._group = group
        self.g = g

    @property
    def group(self) -> Group:
        return self._group

    def sample(self, x: torch.Tensor, *, generator: torch.Generator | None = None) -> torch.Tensor:
        return self.g

    def log_prob(self, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(g))

    def entropy(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(x))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scores(field: object = GridAction, seed: int = 0) -> P4MNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return P4MNet(field, channels=2, blocks=1, out="regular")  # type: ignore[arg-type]


V_ACTIONS: list[Action] = [
    GridAction(P4M(3), 2),
    BondAction(P4M(3)),
    RegularAction(P4M(3)),
    DirectSum(BondAction(P4M(3)), GridAction(P4M(3))),
]


@pytest.mark.parametrize("action", V_ACTIONS)
def test_the_feature_of_g_is_g_v(action: Action) -> None:
    every = action.group.elements()
    encoding = SymPE(Forced(action.group, every), action)
    features = encoding(torch.zeros(len(every), 1, 3, 3))
    assert torch.equal(features, action(every, encoding.v))
    assert encoding.is_free
    # v is generic, so that all features differ: g v determines g
    assert len(features.flatten(1).unique(dim=0)) == len(every)


@pytest.mark.parametrize("action", V_ACTIONS)
@pytest.mark.parametrize(
    "kernel",
    [
        OrbitKernel(GridAction(P4M(3))),
        HaarKernel(P4M(3)),
        HaarConjugated(lambda x: x.flatten(1).argmax(1), GridAction(P4M(3))),
    ],
)
def test_features_are_moved_by_the_draw_of_the_kernel(kernel: Kernel, action: Action) -> None:
    encoding = SymPE(kernel, action)
    x = symmetric_inputs(GridAction(P4M(3))).float().repeat(5, 1, 1, 1)
    g = kernel.sample(x, generator=seeded(2))
    assert torch.equal(encoding(x, generator=seeded(2)), action(g, encoding.v))


def test_features_of_a_symmetric_input_are_all_of_its_coset_equally_often() -> None:
    kernel = OrbitKernel(GridAction(P4M(2)))
    action = RegularAction(P4M(2))
    encoding = SymPE(kernel, action)
    x = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    coset = kernel.coset(x)[0].nonzero().flatten()
    features = encoding(x.expand(4000, 1, 2, 2), generator=seeded(0)).flatten(1)
    orbit = action(coset, encoding.v).flatten(1)
    matches = (features[:, None] == orbit).all(2)
    assert bool((matches.sum(1) == 1).all())
    counts = matches.sum(0).double()
    statistic = ((counts - 4000 / len(coset)) ** 2 / (4000 / len(coset))).sum()
    p_value = float(torch.special.gammaincc(torch.tensor((len(coset) - 1) / 2).double(), statistic / 2))
    assert len(coset) == 8  # one site of four, and the four elements that do nothing
    assert p_value > 1e-6  # false alarm 1e-6, seeded


def law(model: Encoded, encoding: SymPE, kernel: OrbitKernel, x: torch.Tensor) -> torch.Tensor:
    """The outputs of all g in C(x), equally likely, by giving the model every g in turn."""
    coset = kernel.coset(x[None])[0].nonzero().flatten()
    forced = SymPE(Forced(kernel.group, coset), encoding.action)
    forced.v.data.copy_(encoding.v)
    with torch.no_grad():
        outputs: torch.Tensor = Encoded(model.network, forced)(x.expand(len(coset), *x.shape))
    return outputs


def same_multiset(a: torch.Tensor, b: torch.Tensor, tolerance: float = 1e-4) -> bool:
    """Whether the rows of a can be matched with those of b, up to float noise."""
    distance = (a.flatten(1)[:, None] - b.flatten(1)).abs().amax(2)
    close = distance <= tolerance
    # rows fall into classes of equal rows; the classes must be as large in a as in b
    within_a = ((a.flatten(1)[:, None] - a.flatten(1)).abs().amax(2) <= tolerance).sum(1)
    return len(a) == len(b) and bool((close.sum(1) == within_a).all()) and bool(close.any(0).all())


FIELDS = {
    "constant": [[1.0, 1, 1], [1, 1, 1], [1, 1, 1]],
    "stripes": [[1.0, 1, 1], [0, 0, 0], [0, 0, 0]],
    "one site": [[0.0, 0, 1], [0, 0, 0], [0, 0, 0]],
    "diagonal": [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]],
    "generic": [[1.0, 7, 3], [4, 2, 9], [5, 8, 0]],
}


def model_and_parts() -> tuple[Encoded, SymPE, OrbitKernel]:
    group = P4M(3)
    kernel = OrbitKernel(GridAction(group))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoding = SymPE(kernel, GridAction(group, 2))
        network = P4MNet(lambda group: GridAction(group, 3), channels=4, blocks=1)
    return Encoded(network, encoding), encoding, kernel


@pytest.mark.parametrize("name", FIELDS)
def test_without_encoding_the_output_keeps_the_symmetry_of_the_input(name: str) -> None:
    model, _, kernel = model_and_parts()
    plain = Encoded(model.network, NoEncoding((2, 3, 3)))
    x = torch.tensor(FIELDS[name]).view(1, 1, 3, 3)
    with torch.no_grad():
        y = plain(x)
        stabilizer = kernel.stabilizer(x)[0].nonzero().flatten()
        torch.testing.assert_close(kernel.action(stabilizer, y), y.expand(len(stabilizer), 1, 3, 3), atol=1e-4, rtol=0)
        h = kernel.group.elements()
        moved = plain(kernel.action(h, x))
        torch.testing.assert_close(moved, kernel.action(h, y), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", FIELDS)
def test_with_sympe_the_distribution_of_outputs_is_equivariant(name: str) -> None:
    model, encoding, kernel = model_and_parts()
    x = torch.tensor(FIELDS[name]).view(1, 3, 3)
    outputs = law(model, encoding, kernel, x)
    for h in kernel.group.elements():
        moved = law(model, encoding, kernel, kernel.action(h, x))
        assert same_multiset(moved, kernel.action(h, outputs))
    # while it keeps the symmetry of x as a whole, single samples of a symmetric x have less
    stabilizer = kernel.stabilizer(x[None])[0]
    of_samples = OrbitKernel(kernel.action, tolerance=1e-4).stabilizer(outputs)
    assert bool((of_samples.sum(1) == 1).all())
    assert int(stabilizer.sum()) == len(outputs)
    assert same_multiset(kernel.action(stabilizer.nonzero()[-1], outputs), outputs)


def test_a_law_that_is_not_equivariant_is_told_apart() -> None:
    """Twin of the test above: one element of the coset instead of all of it."""
    model, encoding, kernel = model_and_parts()
    x = torch.tensor(FIELDS["stripes"]).view(1, 3, 3)
    outputs = law(model, encoding, kernel, x)
    assert not same_multiset(outputs[:1], outputs)
    assert not same_multiset(outputs[:1].expand_as(outputs), outputs)
    assert not same_multiset(outputs, kernel.action(torch.tensor(1), outputs + torch.arange(9).view(3, 3)))


# ----- freedom -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "make", "count"), [(1, GridAction, 8), (2, GridAction, 4), (1, BondAction, 4)])
def test_a_v_that_cannot_be_free_is_warned_of(size: int, make: type, count: int) -> None:
    group = P4M(size)
    with pytest.warns(UserWarning, match=f"SymPE: {count} elements of P4M.* fix every v of shape .* RegularAction"):
        encoding = SymPE(HaarKernel(group), make(group))
    assert not encoding.is_free
    assert "is_free=False" in repr(encoding)


@pytest.mark.parametrize(
    "action",
    [GridAction(P4M(3)), GridAction(P4M(6), 4), BondAction(P4M(2)), *(RegularAction(P4M(n)) for n in range(1, 5))],
)
def test_a_v_that_is_free_gives_no_warning(action: Action) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoding = SymPE(HaarKernel(action.group), action)
    assert encoding.is_free
    # the claim itself, on the generic v of the start: only the identity fixes it
    moved = action(action.group.elements(), encoding.v)
    assert int((moved == encoding.v).flatten(1).all(1).sum()) == 1


def test_freedom_is_that_of_the_action_not_of_the_current_v() -> None:
    encoding = SymPE(HaarKernel(P4M(3)), GridAction(P4M(3)))
    with torch.no_grad():
        encoding.v.zero_()
    assert encoding.is_free


# ----- gradients ---------------------------------------------------------------------------------------------------


def test_the_gradient_in_v_is_the_inverse_move() -> None:
    action = RegularAction(P4M(2))
    g = torch.tensor([3, 17, 30])
    encoding = SymPE(Forced(action.group, g), action)
    c = torch.randn(3, *action.shape, generator=seeded(0))
    (gradient,) = torch.autograd.grad((encoding(torch.zeros(3, 1)) * c).sum(), encoding.v)
    torch.testing.assert_close(gradient, action(action.group.inverse(g), c).sum(0))


@pytest.mark.parametrize("temperature", [1.0, 0.0])
def test_a_relaxed_kernel_gives_the_same_features_and_gradients_to_both(temperature: float) -> None:
    group = P4M(3)
    kernel = ScoreKernel(scores(), group, temperature=temperature)
    action = GridAction(group, 2)
    encoding = SymPE(kernel, action)
    x = torch.randn(6, 1, 3, 3, generator=seeded(0))
    features = encoding(x, generator=seeded(1))
    g = kernel.sample(x, generator=seeded(1))
    torch.testing.assert_close(features, action(g, encoding.v))

    c = torch.randn(features.shape, generator=seeded(2))
    parameters = [encoding.v, *kernel.parameters()]
    gradients = torch.autograd.grad((features * c).sum(), parameters)
    torch.testing.assert_close(gradients[0], action(group.inverse(g), c).sum(0))
    # phi gets the gradient of the expectation of <c, g v> over the softmax
    values = torch.einsum("bcxy,gcxy->bg", c, action(group.elements(), encoding.v.detach()))
    soft = (kernel.scores(x) / (temperature or 1.0)).softmax(1)
    expected = torch.autograd.grad((soft * values).sum(), parameters[1:])
    for one, two in zip(gradients[1:], expected, strict=True):
        torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-4)
    assert sum(float(gradient.abs().sum()) for gradient in gradients[1:]) > 0
    assert {name.split(".")[0] for name, _ in encoding.named_parameters()} == {"v", "kernel"}


# ----- the vector v ------------------------------------------------------------------------------------------------


def test_v_starts_normal_with_the_given_scale_and_generator() -> None:
    action = RegularAction(P4M(16))
    before = torch.get_rng_state()
    one, two = (SymPE(HaarKernel(action.group), action, scale=3.0, generator=seeded(0)).v for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one, two)
    n = one.numel()  # 2,048; five standard errors, false alarm 6e-7 each
    assert abs(float(one.detach().mean())) < 3 * 5 / math.sqrt(n)
    assert abs(float(one.detach().square().mean()) / 9 - 1) < 5 * math.sqrt(2 / n)
    assert one.requires_grad


def test_a_trivial_group_breaks_nothing() -> None:
    encoding = SymPE(HaarKernel(Cyclic(1)), TrivialAction(Cyclic(1), (3,)))
    assert encoding.is_free
    assert torch.equal(encoding(torch.zeros(2, 1)), encoding.v.expand(2, 3))


def test_repr_tells_shape_and_freedom() -> None:
    encoding = SymPE(HaarKernel(P4M(3)), GridAction(P4M(3), 2))
    assert repr(encoding) == "SymPE(HaarKernel(P4M(size=3)), GridAction(P4M(size=3), shape=(2, 3, 3)), is_free=True)"


def test_kernel_and_action_of_different_groups_are_an_error() -> None:
    message = r"action: expected an action of the kernel's P4M\(size=3\), got P4M\(size=4\)"
    with pytest.raises(ValueError, match=message):
        SymPE(HaarKernel(P4M(3)), GridAction(P4M(4)))


@pytest.mark.parametrize("scale", [0.0, -1.0, math.inf, math.nan])
def test_a_bad_scale_is_an_error(scale: float) -> None:
    with pytest.raises(ValueError, match=f"scale: expected a positive number, got {scale}"):
        SymPE(HaarKernel(P4M(3)), GridAction(P4M(3)), scale=scale)


def test_permutations_of_nodes_follow_the_convention_of_canonical_nodes() -> None:
    """docs/conventions.md: canonical node r of gamma(x) is node g[r] of x, the encoding of node g[r] is row r of v."""
    action = PermutationAction.generate([[1, 2, 0], [1, 0, 2]])
    kernel = OrbitKernel(action)
    x = torch.tensor([[[5.0, 1.0, 3.0]]])
    g = kernel.sample(x)
    p = permutations(action)[g][0]
    canonical = kernel.canonical_form(x)[0, 0]
    for r in range(3):
        assert canonical[r] == x[0, 0, p[r]]
    plain = SymPE(kernel, action)
    features = plain(x)[0, 0]
    for r in range(3):
        assert features[p[r]] == plain.v[0, r]


@pytest.mark.parametrize("make", [NodeAction, EdgeAction])
def test_on_graphs_the_encoding_of_node_g_r_is_row_r_of_v(make: type[NodeAction] | type[EdgeAction]) -> None:
    group = Permutations(4)
    every = group.elements()
    encoding = SymPE(Forced(group, every), make(group, 2))
    features = encoding(torch.zeros(len(every), 4, 1))
    assert encoding.is_free
    assert features.shape == (24, *encoding.shape)
    assert len(features.flatten(1).unique(dim=0)) == 24  # g v determines g
    for g, feature in zip(every, features, strict=True):
        row = feature[g][:, g] if make is EdgeAction else feature[g]
        assert torch.equal(row, encoding.v)


def test_a_draw_of_the_haar_kernel_moves_v_on_graphs() -> None:
    group = Permutations(7)
    encoding, x = SymPE(HaarKernel(group), NodeAction(group, 3)), torch.zeros(5, 7, 1)
    features = encoding(x, generator=seeded(0))
    g = HaarKernel(group).sample(x, generator=seeded(0))
    assert torch.equal(features, encoding.action(g, encoding.v))
    (gradient,) = torch.autograd.grad(
        (features * (c := torch.randn(features.shape, generator=seeded(1)))).sum(), encoding.v
    )
    torch.testing.assert_close(gradient, encoding.action(group.inverse(g), c).sum(0))


def test_an_unfaithful_action_of_permutations_is_told_without_a_count() -> None:
    class Signs(Action):
        """The sign of a permutation, on one number: faithful for two points only."""

        group = Permutations(3)
        shape = (1,)
        is_faithful = False

        def __call__(self, g: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.det(torch.eye(3)[g]).unsqueeze(-1) * x

    with pytest.warns(UserWarning, match=r"SymPE: some elements of Permutations\(degree=3\) fix every v .* unbroken$"):
        encoding = SymPE(HaarKernel(Permutations(3)), Signs())
    assert not encoding.is_free


def permutations(action: PermutationAction) -> torch.Tensor:
    """p_g in row g: where the action puts the indicator of each point."""
    return action(action.group.elements()[:, None], torch.eye(3).unsqueeze(1)).squeeze(2).argmax(2)


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_kernel_action_or_encoding_is_named() -> None:
    group = P4M(3)
    kernel, action = OrbitKernel(GridAction(group)), GridAction(group)
    with pytest.raises(TypeError, match=r"kernel: expected an instance of Kernel \(.*\), got GridAction"):
        SymPE(action, kernel)
    with pytest.raises(TypeError, match="action: expected an instance of Action, got OrbitKernel"):
        SymPE(kernel, kernel)
    with pytest.raises(TypeError, match="encoding: expected an instance of Encoding, got Identity"):
        Encoded(SymPE(kernel, action), torch.nn.Identity())
    with pytest.raises(TypeError, match="action: expected a FiniteAction, got P4M"):
        OrbitKernel(group)
