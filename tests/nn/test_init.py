from torch import nn as torch_nn

from sympe import nn
from tests.catalogue import public_leaves


def test_every_public_module_is_tested_here() -> None:
    names = {module.__name__ for module in public_leaves(nn, torch_nn.Module)}
    assert names == {
        "GroupConv",
        "LiftingConv",
        "EGNN",
        "GNN",
        "GraphTransformer",
        "P4MNet",
        "Relaxed",
        "RelaxedP4MNet",
        "VectorGNN",
    }
