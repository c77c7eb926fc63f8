"""Batches of graphs with coloured nodes and edges, dense and padded or sparse; of sets; and of point clouds."""

from sympe.graphs.batches import DenseGraphs, Graphs, SparseGraphs, contents, relabel
from sympe.graphs.clouds import Clouds
from sympe.graphs.sets import Sets

__all__ = ["Clouds", "DenseGraphs", "Graphs", "Sets", "SparseGraphs", "contents", "relabel"]
