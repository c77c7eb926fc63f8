r"""Discrete diffusion of graphs: noise, the reverse step, the variational bound, and sampling.

A forward process turns node and edge types into noise, every variable by itself; a network that sees the noisy graph
predicts the clean one, and so defines the reverse process (Austin et al. 2021, Vignac et al. 2023).
"""

from sympe.diffusion.bound import Denoiser, denoising_loss, nll, nll_digress, training_loss
from sympe.diffusion.graphs import Features, GraphNoise
from sympe.diffusion.noise import CategoricalNoise, cosine_schedule
from sympe.diffusion.sampling import reverse_times, sample_graphs
from sympe.diffusion.unmasking import Unmasking, fit_unmasking, sample_by_unmasking, unmasking_nll

__all__ = [
    "CategoricalNoise",
    "Denoiser",
    "Features",
    "GraphNoise",
    "Unmasking",
    "cosine_schedule",
    "denoising_loss",
    "fit_unmasking",
    "nll",
    "nll_digress",
    "reverse_times",
    "sample_by_unmasking",
    "sample_graphs",
    "training_loss",
    "unmasking_nll",
]
