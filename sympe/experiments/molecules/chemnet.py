"""The Fréchet ChemNet distance, by the network of the package fcd-torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sympe.experiments.molecules.evaluation import bar

Activations = npt.NDArray[np.float32]


def frechet_distance(found: list[str], reference: list[str]) -> float:
    r"""The Fréchet ChemNet distance between two sets of molecules, by fcd-torch's network.

    .. math:: |\mu - \mu'|^2 + \mathrm{tr}\bigl(\Sigma + \Sigma' - 2 (\Sigma \Sigma')^{1/2}\bigr)

    Arguments:
        found: SMILES, at least two.
        reference: SMILES, at least two.

    Raises:
        ValueError: if there are fewer.

    References:
        Preuer et al., "Fréchet ChemNet Distance", J. Chem. Inf. Model. 2018.
    """
    if min(len(found), len(reference)) < 2:
        raise ValueError(f"found: expected at least 2 molecules on both sides, got {len(found)} and {len(reference)}")
    return distance_of_activations(chemnet_activations(found), chemnet_activations(reference))


def chemnet_activations(some: list[str]) -> Activations:
    """What ChemNet makes of molecules in its last but one layer: (molecules, channels), on the CPU."""
    from fcd_torch import FCD  # only this number needs it

    network = FCD().model  # on the CPU
    parts = [some[start : start + 512] for start in range(0, len(some), 512)]
    return np.concatenate([_activations(network, part) for part in bar("ChemNet")(parts)])


def distance_of_activations(found: Activations, reference: Activations) -> float:
    """The Fréchet distance between two sets of activations, see :func:`frechet_distance`."""
    (mu, sigma), (nu, tau) = ((some.mean(0), np.cov(some.T)) for some in (found, reference))
    root = np.sqrt(np.clip(np.linalg.eigvals(sigma @ tau).real, 0, None)).sum()  # a product of two psd matrices
    return float(((mu - nu) ** 2).sum() + np.trace(sigma) + np.trace(tau) - 2 * root)


@torch.no_grad()
def _activations(network: Any, some: list[str]) -> Activations:
    """Of the last but one layer; FCD.get_predictions calls what NumPy deprecates."""
    from fcd_torch.utils import get_one_hot

    letters = np.stack([get_one_hot(text, 350) for text in some])
    found: Activations = network(torch.from_numpy(letters / letters.shape[2]).float().transpose(1, 2)).numpy()
    return found
