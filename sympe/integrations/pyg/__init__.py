"""PyTorch Geometric: ``Data`` and ``Batch`` in, node and edge features out; in the model, or as a transform.

In the model, any encoding of graphs:

    kernel = GraphKernel(max_nodes=32)
    encoding = NodeEncoding(SymPE(kernel, NodeAction(kernel.group, channels=16)))
    x = torch.cat([data.x, encoding(data)], dim=-1)

Searched once, when the dataset is processed, and drawn from without a search in every epoch:

    cosets = StoreCosets(kernel)
    dataset = ZINC(root, pre_transform=cosets)
    encoding = NodeEncoding(SymPE(kernel, NodeAction(kernel.group, channels=16)), stored=cosets)

Drawn in the workers of the data loader, so that the model only looks up rows of v:

    dataset.transform = DrawPlaces(cosets)  # or DrawPlaces(kernel), which searches every time
    v = torch.nn.Embedding(32, 16)
    x = torch.cat([data.x, v(data.place)], dim=-1)
"""

from sympe.integrations.pyg.clouds import to_clouds
from sympe.integrations.pyg.cosets import DrawPlaces, OneDraw, StoreCosets
from sympe.integrations.pyg.encodings import EdgeEncoding, GraphEncoding, NodeEncoding
from sympe.integrations.pyg.features import TransformFeatures
from sympe.integrations.pyg.reading import Reading, to_graphs

__all__ = [
    "DrawPlaces",
    "EdgeEncoding",
    "GraphEncoding",
    "NodeEncoding",
    "OneDraw",
    "Reading",
    "StoreCosets",
    "TransformFeatures",
    "to_clouds",
    "to_graphs",
]
