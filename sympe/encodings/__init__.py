"""The modules that a model calls: SymPE and its rivals, with one interface.

``encoding(x, generator=generator)`` gives features to join to x, and :class:`Encoded` joins them.
"""

from sympe.encodings.base import Encoded, Encoding
from sympe.encodings.canonical import CanonicalEncoding, Canonicalized
from sympe.encodings.graph_sympe import GraphSymPE
from sympe.encodings.partial import PartialSymPE
from sympe.encodings.rivals import NoEncoding, NoiseEncoding
from sympe.encodings.spectral import LaplacianEncoding, RandomWalkEncoding
from sympe.encodings.sympe import SymPE

__all__ = [
    "CanonicalEncoding",
    "Canonicalized",
    "Encoded",
    "Encoding",
    "GraphSymPE",
    "LaplacianEncoding",
    "NoEncoding",
    "NoiseEncoding",
    "PartialSymPE",
    "RandomWalkEncoding",
    "SymPE",
]
