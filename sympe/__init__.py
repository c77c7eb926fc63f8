"""SymPE: let any equivariant network break symmetries without giving up equivariance.

An equivariant function cannot map a symmetric input to a less symmetric output. Draw a group element g from an
equivariant kernel, move a learned vector v with it, and hand the network f(x ⊕ g v): the distribution of the output is
equivariant, single samples are not symmetric. Lawrence, Portilheiro, Zhang, Kaba, "Improving Equivariant Networks with
Probabilistic Symmetry Breaking", ICLR 2025 (arXiv 2503.21985).

A public name, or a room such as ``sympe.groups``, is imported when it is first asked for: the help of the command
``sympe`` need not wait for torch.
"""

from typing import TYPE_CHECKING

from sympe.lazy import door

if TYPE_CHECKING:
    from sympe.encodings import (
        CanonicalEncoding,
        Canonicalized,
        Encoded,
        Encoding,
        LaplacianEncoding,
        NoEncoding,
        NoiseEncoding,
        RandomWalkEncoding,
        SymPE,
    )
    from sympe.kernels import (
        GraphKernel,
        HaarConjugated,
        HaarKernel,
        Kernel,
        OrbitKernel,
        PointKernel,
        ScoreKernel,
        SetKernel,
    )
    from sympe.randomness import seeded
    from sympe.release import __version__ as __version__
    from sympe.tolerance import Tolerance
    from sympe.zoo import pretrained

__all__ = [
    "CanonicalEncoding",
    "Canonicalized",
    "Encoded",
    "Encoding",
    "GraphKernel",
    "HaarConjugated",
    "HaarKernel",
    "Kernel",
    "LaplacianEncoding",
    "NoEncoding",
    "NoiseEncoding",
    "OrbitKernel",
    "PointKernel",
    "RandomWalkEncoding",
    "ScoreKernel",
    "SetKernel",
    "SymPE",
    "Tolerance",
    "pretrained",
    "seeded",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = door(
        __name__,
        {
            "sympe.encodings": (
                "CanonicalEncoding",
                "Canonicalized",
                "Encoded",
                "Encoding",
                "LaplacianEncoding",
                "NoEncoding",
                "NoiseEncoding",
                "RandomWalkEncoding",
                "SymPE",
            ),
            "sympe.kernels": (
                "GraphKernel",
                "HaarConjugated",
                "HaarKernel",
                "Kernel",
                "OrbitKernel",
                "PointKernel",
                "ScoreKernel",
                "SetKernel",
            ),
            "sympe.randomness": ("seeded",),
            "sympe.release": ("__version__",),
            "sympe.tolerance": ("Tolerance",),
            "sympe.zoo": ("pretrained",),
        },
    )
