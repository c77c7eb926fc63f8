"""Batches of graphs with coloured nodes and edges: dense and padded, or sparse."""

from sympe.graphs.batches import DenseGraphs, Graphs, SparseGraphs, contents, relabel

__all__ = ["DenseGraphs", "Graphs", "SparseGraphs", "contents", "relabel"]
