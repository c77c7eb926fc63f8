"""A network on canonical forms: what it costs over the network alone, and over the mean over the whole group.

One thread. A plain CNN of three layers on fields of a periodic 10 x 10 lattice (P4M, 800 elements), a batch of 32, and
a plain transformer of two layers on 64 trees of 16 nodes; forward only, as in use. The mean over C(x) is that of inputs
without symmetry for random fields, and of |G_x| evaluations for trees. For S_16 the whole group is out of reach.
"""

from __future__ import annotations

import networkx as nx
import torch
from torch import Tensor, nn

from benchmarks.timing import side_by_side
from sympe.actions import GridAction, NodeAction
from sympe.encodings import Canonicalized
from sympe.graphs import DenseGraphs, Graphs, relabel
from sympe.groups import P4M
from sympe.kernels import GraphKernel, OrbitKernel


class Transformer(nn.Module):
    """Attention among nodes that know their row of the adjacency matrix."""

    def __init__(self, nodes: int) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
        self.inside, self.layers = nn.Linear(nodes, 64), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, x: Graphs) -> Tensor:
        """Features of the nodes."""
        out: Tensor = self.layers(self.inside(x.dense().pairs.float()))
        return out


@torch.no_grad()
def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    action = GridAction(P4M(10))
    cnn = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 1, 3, padding=1),
    )
    model = Canonicalized(cnn, OrbitKernel(action), action, action)
    x = torch.randn(32, 1, 10, 10)
    every = action.group.elements()

    def whole_group() -> Tensor:
        back = action(action.group.inverse(every)[:, None], x)
        y: Tensor = action(every[:, None], cnn(back.flatten(0, 1)).view_as(back)).mean(0)
        return y

    trees = torch.stack(
        [torch.tensor(nx.to_numpy_array(nx.random_labeled_tree(16, seed=seed), dtype=int)) for seed in range(64)]
    )
    kernel = GraphKernel(16)
    graphs = DenseGraphs.from_features(trees)
    small = graphs.select((kernel.entropy(graphs) < 3).nonzero().squeeze(1))
    transformer = Transformer(16).eval()
    on_graphs = Canonicalized(transformer, kernel, relabel, NodeAction(kernel.group, 64))
    rows = [
        ("CNN, one draw over CNN", lambda: model(x), lambda: cnn(x)),
        ("CNN, mean over C(x) over CNN", lambda: model.mean(x), lambda: cnn(x)),
        ("CNN, mean over all 800 elements over one draw", whole_group, lambda: model(x)),
        ("transformer, one draw over transformer", lambda: on_graphs(small), lambda: transformer(small)),
        ("transformer, mean over C(x) over transformer", lambda: on_graphs.mean(small), lambda: transformer(small)),
    ]
    print("| | ms | of what it is compared with | ratio |")
    print("| --- | --- | --- | --- |")
    for name, own, other in rows:
        own_ms, other_ms, ratio = side_by_side(own, other)
        print(f"| {name} | {own_ms:.2f} | {other_ms:.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
