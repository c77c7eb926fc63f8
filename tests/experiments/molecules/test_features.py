import networkx
import pytest
import torch

from sympe.experiments.molecules.features import (
    canonical_features,
    count_cycles,
    cycle_features,
    spectral_features,
    stock_features,
    structure_features,
)
from sympe.graphs import DenseGraphs


def random_graphs(count: int, n: int, seed: int) -> DenseGraphs:
    generator = torch.Generator().manual_seed(seed)
    density = torch.rand(count, 1, 1, generator=generator)
    upper = (torch.rand(count, n, n, generator=generator) < density).triu(1)
    types = torch.randint(1, 4, (count, n, n), generator=generator) * upper
    sizes = torch.randint(3, n + 1, (count,), generator=generator)
    mask = torch.arange(n) < sizes[:, None]
    pairs = (types + types.transpose(1, 2)) * (mask[:, :, None] & mask[:, None])
    return DenseGraphs(pairs, torch.zeros(count, n, dtype=torch.int64), mask)


def test_cycles_are_those_that_a_search_finds():
    graphs = random_graphs(60, 8, seed=0)
    nodes, totals = count_cycles(graphs)
    seen = torch.zeros(4)
    for row in range(len(graphs)):
        n = int(graphs.sizes[row])
        graph = networkx.from_numpy_array(graphs.pairs[row, :n, :n].ne(0).numpy())
        cycles = list(networkx.simple_cycles(graph, length_bound=6))
        for length in (3, 4, 5, 6):
            own = [cycle for cycle in cycles if len(cycle) == length]
            assert totals[row, length - 3] == len(own)
            seen[length - 3] += len(own)
            if length < 6:
                through = [sum(node in cycle for cycle in own) for node in range(8)]
                assert nodes[row, :, length - 3].tolist() == through
    assert bool((seen > 0).all())  # else nothing was compared


def test_features_of_cycles_are_at_most_one():
    nodes, graphs = cycle_features(DenseGraphs.from_features(1 - torch.eye(7, dtype=torch.int64)[None]))
    assert float(nodes.max()) == float(graphs.max()) == 1


def test_the_spectrum_of_two_paths_and_a_node():
    # a path of three nodes (eigenvalues 0, 1, 3), one of two (0, 2), a node (0), and padding
    pairs = torch.zeros(1, 8, 8, dtype=torch.int64)
    for i, j in ((0, 1), (1, 2), (3, 4)):
        pairs[0, i, j] = pairs[0, j, i] = 1
    mask = torch.arange(8)[None] < 6
    nodes, graphs = spectral_features(DenseGraphs(pairs, torch.zeros(1, 8, dtype=torch.int64), mask))
    assert graphs[0].tolist() == pytest.approx([3, 1 / 6, 2 / 6, 3 / 6, 2, 2], abs=1e-6)
    assert nodes[0, :, 0].tolist() == [0, 0, 0, 1, 1, 1, 0, 0]
    first, second = nodes[0, :, 1].abs(), nodes[0, :, 2].abs()
    half = 0.5**0.5
    assert first.tolist() == pytest.approx([half, 0, half, 0, 0, 0, 0, 0], abs=1e-6)
    assert second.tolist() == pytest.approx([0, 0, 0, half, half, 0, 0, 0], abs=1e-6)


def test_graphs_with_few_eigenvalues_are_filled_up():
    nodes, graphs = spectral_features(DenseGraphs.from_features(torch.tensor([[[0, 1], [1, 0]]])))
    assert graphs[0].tolist() == pytest.approx([1, 1, 2, 2, 2, 2])
    assert nodes[0, :, 2].tolist() == [0, 0]


def moved(graphs: DenseGraphs, seed: int) -> tuple[DenseGraphs, torch.Tensor]:
    """The graphs with their real nodes in another order, and the permutations."""
    noise = torch.rand(graphs.mask.shape, generator=torch.Generator().manual_seed(seed))
    p = noise.masked_fill(~graphs.mask, 2).argsort(dim=1, stable=True)
    return graphs.relabel(p), p


def test_structure_moves_with_the_nodes():
    graphs = random_graphs(200, 8, seed=1)
    there, p = moved(graphs, 0)
    nodes, totals = structure_features(graphs)
    nodes_there, totals_there = structure_features(there)
    assert torch.allclose(nodes_there.gather(1, p[..., None].expand_as(nodes)), nodes, atol=1e-5)
    assert torch.allclose(totals_there, totals, atol=1e-5)
    twin, twin_there = stock_features(graphs)[0], stock_features(there)[0]
    assert not torch.allclose(twin_there.gather(1, p[..., None].expand_as(twin)), twin, atol=1e-5)
    assert float(nodes[..., 3].sum()) > 0, "some are outside the largest component"


def test_equal_components_are_all_the_largest():
    two = torch.block_diag(torch.ones(2, 2), torch.ones(2, 2), torch.zeros(1, 1)).long()
    nodes, _ = structure_features(DenseGraphs.from_features((two - two.diag().diag())[None]))
    assert nodes[0, :, 3].tolist() == [0, 0, 0, 0, 1]


def test_canonical_vectors_are_eigenvectors_that_neither_solver_nor_padding_chooses(monkeypatch):
    graphs = random_graphs(300, 7, seed=2)
    symmetric = torch.eye(7, dtype=torch.int64).roll(1, 0)  # a ring: all its eigenvalues above 0 are double
    graphs = DenseGraphs.concatenate([graphs, DenseGraphs.from_features((symmetric + symmetric.T)[None])])
    nodes, _ = canonical_features(graphs)
    vectors = nodes[..., 4:].double()
    A = graphs.pairs.ne(0).double()
    L = torch.diag_embed(A.sum(2)) - A
    squares = vectors.square().sum(1)
    there = squares > 0.5
    assert torch.allclose(squares[there], torch.ones(int(there.sum())).double(), atol=1e-5)
    assert bool((squares[~there] == 0).all())
    assert float((vectors[..., 0] * vectors[..., 1]).sum(1).abs().max()) < 1e-5
    values = (vectors * (L @ vectors)).sum(1)
    assert float((L @ vectors - values[:, None] * vectors).abs().max()) < 1e-5
    stock = spectral_features(graphs)[0][..., 1:].double()
    assert torch.allclose(values, (stock * (L @ stock)).sum(1), atol=1e-5), "they belong to the same eigenvalues"

    real = torch.linalg.eigh

    def another(matrices):
        """Another solver: other signs, and other bases of eigenspaces."""
        values, U = real(matrices)
        generator = torch.Generator().manual_seed(0)
        same = (values[:, :, None] - values[:, None]).abs() < 1e-6
        turn = torch.randn(U.shape, generator=generator, dtype=U.dtype) * same
        return values, U @ torch.linalg.qr(turn)[0]

    monkeypatch.setattr(torch.linalg, "eigh", another)
    assert torch.allclose(canonical_features(graphs)[0], nodes, atol=1e-5)
    assert not torch.allclose(spectral_features(graphs)[0][..., 1:].double(), stock, atol=1e-5), "the twin"
    monkeypatch.undo()
    n = graphs.mask.shape[1]
    pad = torch.nn.functional.pad
    padded = DenseGraphs(pad(graphs.pairs, (0, 3, 0, 3)), pad(graphs.colors, (0, 3)), pad(graphs.mask, (0, 3)))
    assert torch.allclose(canonical_features(padded)[0][:, :n], nodes, atol=1e-5)
    assert bool((canonical_features(padded)[0][:, n:] == 0).all())
