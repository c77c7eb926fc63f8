"""Batches of graphs with coloured nodes and edges: dense and padded, or sparse."""

from sympe.graphs.batches import DenseGraphs, Graphs, SparseGraphs, content_hash, relabel

__all__ = ["DenseGraphs", "Graphs", "SparseGraphs", "content_hash", "relabel"]
