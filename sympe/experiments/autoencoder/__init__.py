"""Graph autoencoding with EGNN (paper, Section 8.1): from a graph to node embeddings, and back.

Nodes that an automorphism exchanges get the same embedding from an equivariant encoder, and the decoder then cannot
tell which of them are adjacent to whom. Something must break the symmetry.
"""
