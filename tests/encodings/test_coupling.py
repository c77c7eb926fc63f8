"""Encodings that take the target in training: g from the coupled kernel with one, from the kernel of x without."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch_geometric.data import Batch, Data

from sympe.actions import EdgeAction, GridAction, NodeAction
from sympe.encodings import CanonicalEncoding, Canonicalized, Encoded, GraphSymPE, NoiseEncoding, SymPE
from sympe.graphs import DenseGraphs, relabel
from sympe.groups import P4M
from sympe.integrations.pyg import EdgeEncoding, NodeEncoding, to_graphs
from sympe.kernels import (
    CoupledGraphKernel,
    CoupledKernel,
    CoupledOrbitKernel,
    GraphHaarKernel,
    GraphKernel,
    OrbitKernel,
)
from sympe.kernels.graphs.coupled import on_nodes
from sympe.nn import P4MNet
from sympe.randomness import seeded

GROUP = P4M(3)
GRID = GridAction(GROUP)
FIELD = torch.zeros(6, 1, 3, 3)
STRIPES = torch.tensor([[1.0, 0, 0], [1, 0, 0], [1, 0, 0]]).expand(6, 1, 3, 3)
RING = torch.eye(4, dtype=torch.int64).roll(1, 0) + torch.eye(4, dtype=torch.int64).roll(-1, 0)
SQUARES = DenseGraphs.from_features(RING.expand(6, 4, 4))
MARK = torch.tensor([1, 0, 0, 0]).expand(6, 4)


def coupled_grid() -> CoupledOrbitKernel:
    return CoupledOrbitKernel(GRID, GRID)


def coupled_graph() -> CoupledGraphKernel:
    return CoupledGraphKernel(GraphKernel(4))


def places(x: DenseGraphs) -> torch.Tensor:
    return torch.arange(4.0).view(1, 4, 1).expand(len(x), 4, 1)


def transform(x: Any) -> torch.Tensor:
    return torch.arange(9.0).view(1, 1, 3, 3).expand(len(x), 1, 3, 3)


CASES: dict[str, tuple[Callable[[CoupledKernel], Any], Callable[[], CoupledKernel], Any, Any]] = {
    "SymPE on fields": (lambda kernel: SymPE(kernel, GridAction(GROUP, 2)), coupled_grid, FIELD, STRIPES),
    "SymPE on graphs": (lambda kernel: SymPE(kernel, NodeAction(kernel.group, 2)), coupled_graph, SQUARES, MARK),
    "GraphSymPE": (lambda kernel: GraphSymPE(kernel, 2, 3), coupled_graph, SQUARES, MARK),
    "CanonicalEncoding": (
        lambda kernel: CanonicalEncoding(kernel, places, NodeAction(kernel.group, 1)),
        coupled_graph,
        SQUARES,
        MARK,
    ),
    "Canonicalized": (lambda kernel: Canonicalized(transform, kernel, GRID, GRID), coupled_grid, FIELD, STRIPES),
    "Canonicalized graphs": (
        lambda kernel: Canonicalized(places, kernel, relabel, NodeAction(kernel.group, 1)),
        coupled_graph,
        SQUARES,
        MARK,
    ),
}


def flat(features: Any) -> torch.Tensor:
    parts = features if isinstance(features, tuple) else (features,)
    return torch.cat([part.flatten(1) for part in parts], 1)


@pytest.mark.parametrize("case", CASES)
def test_with_a_target_g_is_drawn_from_the_coupled_kernel(case: str) -> None:
    make, make_kernel, x, y = CASES[case]
    kernel = make_kernel()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*no v is free.*")
        module = make(kernel)
    assert module.coupled is kernel
    assert module.kernel is kernel.kernel
    assert repr(kernel) in repr(module)
    one, other = (flat(module(x, target=y, generator=seeded(0))) for _ in range(2))
    assert torch.equal(one, other)
    drawn = kernel.sample(x, y, generator=seeded(0))
    assert torch.equal(drawn, module.draw(x, y, generator=seeded(0)).g)
    module.eval()
    free = torch.cat([module.draw(x, generator=seeded(seed)).g for seed in range(20)])
    held = torch.cat([module.draw(x, y, generator=seeded(seed)).g for seed in range(20)])
    assert len(held.unique(dim=0)) < len(free.unique(dim=0)), "with a target fewer elements are left"
    assert bool(kernel.log_prob(held[: len(y)], x, y).isfinite().all())


@pytest.mark.parametrize("case", CASES)
def test_training_without_a_target_is_warned_about(case: str) -> None:
    make, make_kernel, x, y = CASES[case]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*no v is free.*")
        module = make(make_kernel())
    with pytest.warns(
        UserWarning, match="coupled kernel and is in training mode, but got no target: g is drawn from x"
    ):
        module(x)
    module(x, target=y)
    with torch.no_grad():
        module(x)
    module.eval()(x)  # sampling: no warning, which would be an error


def test_without_a_coupled_kernel_a_target_is_refused() -> None:
    encoding = SymPE(GraphKernel(4), NodeAction(GraphKernel(4).group, 2))
    with pytest.raises(ValueError, match=r"target: SymPE draws g from x alone; .* CoupledGraphKernel\(kernel\)"):
        encoding(SQUARES, target=MARK)
    with pytest.raises(TypeError, match="kernel: expected an instance of InversionKernel"):
        CanonicalEncoding(NotExact(), places, NodeAction(GraphKernel(4).group, 1))  # type: ignore[arg-type]


class NotExact(CoupledKernel):
    """Couples a kernel that cannot list C(x)."""

    @property
    def kernel(self) -> Any:
        return GraphHaarKernel(4)

    @property
    def group(self) -> Any:
        return self.kernel.group

    def sample(self, x: Any, y: Any, *, generator: torch.Generator | None = None) -> Any:
        raise NotImplementedError

    def log_prob(self, g: Any, x: Any, y: Any) -> Any:
        raise NotImplementedError

    def entropy(self, x: Any, y: Any) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("case", ["SymPE on fields", "SymPE on graphs"])
def test_averaged_over_equally_right_targets_it_is_the_law_without_one(case: str) -> None:
    """METHOD, section 5, by enumeration: over the orbit of y under G_x each element of C(x) comes as often."""
    _, make_kernel, x, y = CASES[case]
    kernel = make_kernel()
    x, y = (x.select(torch.tensor([0])), y[:1]) if isinstance(x, DenseGraphs) else (x[:1], y[:1])
    rows, coset = kernel.kernel.list_coset(x, limit=1024)
    start = coset[:1].expand_as(coset)
    stabilizer = kernel.group.compose(coset, kernel.group.inverse(start))
    on_graphs = isinstance(x, DenseGraphs)
    action = NodeAction(kernel.group, 1) if on_graphs else GRID
    labels = y.unsqueeze(-1) if on_graphs else y
    moved = action(stabilizer, labels.expand(len(coset), *labels.shape[1:]))
    moved = moved.squeeze(-1) if on_graphs else moved
    many = x.select(rows) if on_graphs else x[rows]
    total = torch.zeros(len(coset), dtype=torch.float64)
    for number, g in enumerate(coset):
        total[number] = kernel.log_prob(g.expand(len(coset), *g.shape), many, moved).exp().mean()
    assert torch.allclose(total, torch.full_like(total, 1 / len(coset)))
    alone = kernel.log_prob(coset, many, y.expand(len(coset), *y.shape[1:])).exp()
    assert not torch.allclose(alone.double(), torch.full_like(total, 1 / len(coset))), "the twin: one target alone"


@pytest.mark.slow
def test_a_symmetric_graph_learns_an_asymmetric_target() -> None:
    """The floor of a model that breaks nothing, or whose g knows nothing of y: the entropy of one node in four."""
    floor = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    batch = Batch.from_data_list([Data(edge_index=RING.nonzero().T, num_nodes=4, y=torch.tensor([1, 0, 0, 0]))] * 16)
    turns = [torch.tensor([1, 0, 0, 0]).roll(shift) for shift in range(4)]
    batch.y = torch.cat([turns[number % 4] for number in range(16)])

    def trained(coupled: bool) -> float:
        torch.manual_seed(0)
        kernel = coupled_graph() if coupled else GraphKernel(4)
        encoding = NodeEncoding(SymPE(kernel, NodeAction(kernel.group, 8)))
        head = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
        optimizer = torch.optim.Adam([*encoding.parameters(), *head.parameters()], lr=0.03)
        losses = []
        for step in range(150):
            given = {"target": batch.y} if coupled else {}
            loss = nn.functional.cross_entropy(head(encoding(batch, generator=seeded(step), **given)), batch.y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        if coupled:
            encoding.eval()
            marked = head(encoding(batch, generator=seeded(-1))).argmax(1).view(16, 4)
            assert bool((marked.sum(1) == 1).all()), "each sample marks one node"
            assert len(marked.unique(dim=0)) > 1, "and not always the same"
        return sum(losses[-20:]) / 20

    assert trained(coupled=True) < 0.01
    assert trained(coupled=False) > 0.9 * floor, "the twin"


@pytest.mark.slow
def test_a_constant_field_learns_stripes() -> None:
    floor = float((STRIPES[0] - STRIPES[0].mean()).square().mean())

    def trained(kernel: Any, coupled: bool) -> float:
        torch.manual_seed(0)
        model = Encoded(
            P4MNet(lambda g: GridAction(g, 1 + 4), channels=8, blocks=2), SymPE(kernel, GridAction(GROUP, 4))
        )
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        losses = []
        for step in range(200):
            y = GRID(GROUP.sample((6,), generator=seeded(step)), STRIPES)
            given = {"target": y} if coupled else {}
            loss = (model(FIELD, generator=seeded(step), **given) - y).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        return sum(losses[-20:]) / 20

    assert trained(coupled_grid(), coupled=True) < 0.1 * floor
    assert trained(OrbitKernel(GRID), coupled=False) > 0.8 * floor, "the twin"


def test_encoded_hands_on_target_arguments_and_dimension() -> None:
    class Told(nn.Module):
        def forward(self, x: torch.Tensor, time: torch.Tensor, *, scale: float) -> torch.Tensor:
            return scale * x.sum(2) + time

    with pytest.warns(UserWarning, match="no v is free"):  # trivial below three sites
        encoding = SymPE(CoupledOrbitKernel(GridAction(P4M(2)), GridAction(P4M(2))), GridAction(P4M(2), 3))
    x, y = torch.zeros(2, 1, 2, 2), torch.eye(4)[:2].view(2, 1, 2, 2)
    found = Encoded(Told(), encoding)(x, torch.ones(1), target=y, generator=seeded(0), scale=2.0)
    joined = torch.cat([x, encoding(x, target=y, generator=seeded(0))], 1)
    assert torch.allclose(found, 2 * joined.sum(2) + 1)
    last = Encoded(nn.Linear(3 + 4, 2), NoiseEncoding((5, 4)), dim=-1)
    assert last(torch.zeros(6, 5, 3)).shape == (6, 5, 2)
    assert "dim=-1" in repr(last)
    with pytest.raises(TypeError, match="unexpected keyword argument 'target'"):
        last(torch.zeros(6, 5, 3), target=torch.zeros(6, 5))


def test_values_on_nodes_are_graphs_without_edges() -> None:
    kernel = coupled_graph()
    labels = torch.tensor([[1, 0, 0, 0], [1, 0, 1, 0]])
    x = SQUARES.select(torch.tensor([0, 1]))
    empty = DenseGraphs.from_features(torch.zeros(2, 4, 4, dtype=torch.int64), labels)
    for y in (labels, labels[..., None], labels.float(), labels.half(), labels.bool()):
        assert torch.equal(kernel.entropy(x, y), kernel.entropy(x, empty))
    assert kernel.entropy(x, labels).exp().round().tolist() == [2, 4]
    flat_labels = labels.flatten()
    assert torch.equal(kernel.entropy(x.sparse(), flat_labels), kernel.entropy(x, labels))
    padded = DenseGraphs.from_features(nn.functional.pad(RING, (0, 1, 0, 1))[None], mask=torch.arange(5)[None] < 4)
    rubbish = torch.tensor([[1.0, 0, 0, 0, torch.nan]])
    assert on_nodes(padded, rubbish).colors[0, 4] == 0
    with pytest.raises(ValueError, match=r"target: expected shape \(2, 4\) or \(\*, channels\), got \(8,\)"):
        kernel.sample(x, flat_labels)
    with pytest.raises(ValueError, match=r"target: expected shape \(8,\) or \(\*, channels\), got \(2,\)"):
        kernel.sample(x.sparse(), torch.zeros(2))


@pytest.mark.usefixtures("unchecked")
def test_other_targets_are_refused() -> None:
    with pytest.raises(
        TypeError, match=r"target: expected an instance of Tensor \(graphs, or values on the nodes\), got list"
    ):
        coupled_graph().sample(SQUARES, [[1, 0, 0, 0]] * 6)


@pytest.mark.slow
def test_pyg_takes_values_on_nodes_and_on_arcs_and_other_graphs() -> None:
    kernel = coupled_graph()
    data = Batch.from_data_list([Data(edge_index=RING.nonzero().T, num_nodes=4)] * 3)
    x = to_graphs(data)
    y = torch.tensor([1, 0, 0, 0]).repeat(3)
    nodes = NodeEncoding(SymPE(kernel, NodeAction(kernel.group, 2)))
    found = nodes(data, target=y, generator=seeded(0))
    g = kernel.sample(x, y, generator=seeded(0))
    assert torch.equal(found, nodes.encoding.moved(g).flatten(0, 1))
    arcs = EdgeEncoding(SymPE(kernel, EdgeAction(kernel.group, 2)))
    i, j = data.edge_index
    marked = ((i % 4 == 0) & (j % 4 == 1) | (i % 4 == 1) & (j % 4 == 0)).long()
    target = Data(edge_index=data.edge_index[:, marked.bool()], num_nodes=12, batch=data.batch)
    for chosen in (marked, marked.float()[:, None]):
        drawn = arcs.eval().encoding.draw(x, to_graphs(target), generator=seeded(0)).g
        assert len(drawn) == 3
        held = torch.cat([arcs(data, target=chosen, generator=seeded(seed))[marked.bool()] for seed in range(30)])
        free = torch.cat([arcs(data, generator=seeded(seed))[marked.bool()] for seed in range(30)])
        assert len(held.unique(dim=0)) == 2, "the marked edge always has the same, one for each direction"
        assert len(free.unique(dim=0)) == 8, "the twin"
    assert arcs(data, target=target).shape == (24, 2)
    with pytest.raises(ValueError, match=r"target: expected shape \(24,\) or \(\*, channels\), got \(12,\)"):
        arcs(data, target=y)
    with pytest.raises(ValueError, match=r"target: expected shape \(12,\) or \(\*, channels\), got \(3,\)"):
        nodes(data, target=torch.zeros(3))
    plain = NodeEncoding(SymPE(GraphKernel(4), NodeAction(kernel.group, 2)))
    with pytest.raises(ValueError, match="target: SymPE draws g from x alone"):
        plain(data, target=y)


def test_a_checkpoint_of_the_coupled_module_is_one_of_the_plain_module() -> None:
    kernel = coupled_graph()
    trained = SymPE(kernel, NodeAction(kernel.group, 2))
    used = SymPE(kernel.kernel, NodeAction(kernel.group, 2))
    used.load_state_dict(trained.state_dict())
    assert torch.equal(used(SQUARES, generator=seeded(1)), trained.eval()(SQUARES, generator=seeded(1)))
    for order in ("refined", "degree"):
        other = SymPE(GraphKernel(4, order=order), NodeAction(kernel.group, 2))
        with pytest.raises(ValueError, match=f"order: breadth-first there, {order} here"):
            other.load_state_dict(trained.state_dict())
