import networkx
import pytest
import torch

from sympe.experiments.molecules.features import count_cycles, cycle_features, spectral_features
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
