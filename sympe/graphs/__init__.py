"""Batches of graphs with coloured nodes and edges, dense and padded or sparse; and of sets."""

from sympe.graphs.batches import DenseGraphs, Graphs, SparseGraphs, contents, relabel
from sympe.graphs.sets import Sets

__all__ = ["DenseGraphs", "Graphs", "Sets", "SparseGraphs", "contents", "relabel"]
