"""Batches of graphs with coloured nodes and edges, dense and padded or sparse; batches of point clouds."""

from sympe.graphs.batches import DenseGraphs, Graphs, SparseGraphs, contents, relabel
from sympe.graphs.clouds import Clouds

__all__ = ["Clouds", "DenseGraphs", "Graphs", "SparseGraphs", "contents", "relabel"]
