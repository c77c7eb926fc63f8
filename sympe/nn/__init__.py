"""Backbones, blind to kernels and encodings: p4m G-CNNs on the lattice, dense networks on graphs and points."""

from sympe.nn.egnn import EGNN
from sympe.nn.gnn import GNN
from sympe.nn.graph_transformer import GraphTransformer
from sympe.nn.p4m import GroupConv, LiftingConv, P4MNet
from sympe.nn.relaxed import Relaxed, RelaxedP4MNet
from sympe.nn.vectors import VectorGNN

__all__ = [
    "EGNN",
    "GNN",
    "GraphTransformer",
    "GroupConv",
    "LiftingConv",
    "P4MNet",
    "Relaxed",
    "RelaxedP4MNet",
    "VectorGNN",
]
