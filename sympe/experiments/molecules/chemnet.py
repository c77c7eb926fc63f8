"""The Fréchet ChemNet distance, by the network of the package fcd-torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from sympe.experiments import runs
from sympe.experiments.molecules.data import Molecules, cache_folder
from sympe.experiments.molecules.evaluation import bar
from sympe.experiments.molecules.reading import canonical_smiles

Activations = npt.NDArray[np.float32]
Moments = tuple[npt.NDArray[Any], npt.NDArray[Any]]


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


class Reference:
    """The distance to one set of molecules, whose mean and covariance are kept in the cache.

    Arguments:
        molecules: the set; of their graphs the canonical SMILES are taken.
        cache: see :func:`~sympe.experiments.molecules.data.load_molecules`.

    Raises:
        ValueError: if there are fewer than two, or the cache is damaged.
    """

    def __init__(self, molecules: Molecules, *, cache: Path | None = None) -> None:
        if len(molecules) < 2:
            raise ValueError(f"molecules: expected at least 2, got {len(molecules)}")
        name = f"chemnet-{'-'.join(molecules.atoms)}-{molecules.content_hash}.npz"
        path = cache_folder(cache) / name
        if not path.exists():
            found = moments(chemnet_activations(canonical_smiles(molecules, cache=cache)))
            with runs.written_aside(path) as aside:
                np.savez(aside, mean=found[0], covariance=found[1])
        arrays = runs.read_arrays(path)
        self.moments = (arrays["mean"], arrays["covariance"])

    def distance(self, found: list[str]) -> float | None:
        """The distance of molecules by their SMILES; None for fewer than two."""
        return distance_of_moments(moments(chemnet_activations(found)), self.moments) if len(found) > 1 else None


def moments(some: Activations) -> Moments:
    """Mean and covariance."""
    return some.mean(0), np.cov(some.T)


def chemnet_activations(some: list[str]) -> Activations:
    """What ChemNet makes of molecules in its last but one layer: (molecules, channels), on the CPU."""
    from fcd_torch import FCD  # only this number needs it

    network = FCD().model  # on the CPU
    parts = [some[start : start + 512] for start in range(0, len(some), 512)]
    return np.concatenate([_activations(network, part) for part in bar("ChemNet")(parts)])


def distance_of_activations(found: Activations, reference: Activations) -> float:
    """The Fréchet distance between two sets of activations, see :func:`frechet_distance`."""
    return distance_of_moments(moments(found), moments(reference))


def distance_of_moments(found: Moments, reference: Moments) -> float:
    """The Fréchet distance of two means and covariances, see :func:`frechet_distance`."""
    (mu, sigma), (nu, tau) = found, reference
    root = np.sqrt(np.clip(np.linalg.eigvals(sigma @ tau).real, 0, None)).sum()  # a product of two psd matrices
    return float(((mu - nu) ** 2).sum() + np.trace(sigma) + np.trace(tau) - 2 * root)


@torch.no_grad()
def _activations(network: Any, some: list[str]) -> Activations:
    """Of the last but one layer; FCD.get_predictions calls what NumPy deprecates."""
    from fcd_torch.utils import get_one_hot

    letters = np.stack([get_one_hot(text, 350) for text in some])
    found: Activations = network(torch.from_numpy(letters / letters.shape[2]).float().transpose(1, 2)).numpy()
    return found
