"""What chemistry says of samples: which are valid, unique, new, and how good an evaluated row is. Needs RDKit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from sympe.experiments.molecules.chains import LONG
from sympe.experiments.molecules.chemistry import molecule_from_types, smiles_of, stability
from sympe.experiments.molecules.chemnet import Reference
from sympe.experiments.molecules.data import Molecules
from sympe.experiments.molecules.evaluation import measure, restored
from sympe.experiments.molecules.features import same_piece
from sympe.experiments.molecules.model import MoleculeModel
from sympe.experiments.molecules.reading import canonical_smiles
from sympe.graphs import DenseGraphs

PICTURED = 60
"""Samples of each chain that are kept."""


def smiles(x: DenseGraphs, atoms: tuple[str, ...]) -> list[str | None]:
    """The canonical SMILES of the largest fragment of every molecule; None where it is not valid."""
    return [
        smiles_of(molecule_from_types(colors[:n], pairs[:n, :n], atoms))
        for colors, pairs, n in zip(x.colors, x.pairs, x.sizes.tolist(), strict=True)
    ]


def sample_metrics(
    x: DenseGraphs, found: Sequence[str | None], atoms: tuple[str, ...], training: set[str] | None
) -> dict[str, Any]:
    """How good samples are, as shares.

    - ``validity``: of samples that RDKit sanitizes.
    - ``uniqueness``: of different SMILES among the valid ones.
    - ``novelty``: of those that are not in the training set; None if that is not given.
    - ``connected``: of samples in one piece. SMILES are those of the largest.
    - ``valid_connected``: of samples that are valid and in one piece.
    - ``atom_stability`` and ``molecule_stability``, where hydrogens are nodes: of atoms with the usual number of bonds,
      and of samples in which all have it.

    Arguments:
        x: samples as graphs.
        found: their SMILES, None where not valid.
        atoms: the elements.
        training: SMILES of the training set.

    References:
        Vignac et al., ICLR 2023, for the first three; Hoogeboom et al., ICML 2022, for stability.
    """
    valid = [text for text in found if text is not None]
    unique = set(valid)
    whole = same_piece(x)[:, 0].sum(1) == x.sizes
    metrics: dict[str, Any] = {
        "samples": len(found),
        "validity": len(valid) / len(found),
        "uniqueness": len(unique) / len(valid) if valid else 0.0,
        "novelty": None if training is None else len(unique - training) / max(1, len(unique)),
        "connected": float(whole.double().mean()),
        "valid_connected": float((whole & torch.tensor([text is not None for text in found])).double().mean()),
    }
    if "H" in atoms:
        metrics |= stability(x, atoms)
    return metrics


def evaluate(
    model: MoleculeModel, training: Molecules, test: Molecules, *, draws: int = 1, shuffled: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The numbers of a row, and what its figures need: :func:`measure`, then :func:`described`."""
    return described(*measure(model, test, draws=draws, shuffled=shuffled), training, test)


def described(
    numbers: dict[str, Any], arrays: dict[str, Any], training: Molecules, test: Molecules
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What :func:`~sympe.experiments.molecules.evaluation.measure` found, with SMILES and metrics for sampled graphs.

    Arguments:
        numbers: of the row.
        arrays: what its figures need, and the sampled graphs.
        training: the molecules that it was trained on.
        test: the molecules that it was tested on.
    """
    del test
    arrays = dict(arrays)
    graphs = restored(arrays)
    found = smiles(graphs, training.atoms)
    metrics = sample_metrics(graphs, found, training.atoms, set(canonical_smiles(training)))
    return {**numbers, **metrics}, {**arrays, "samples": np.array([text or "" for text in found])}


def described_chains(
    numbers: dict[str, Any], arrays: dict[str, Any], training: Molecules, test: Molecules
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What :func:`~sympe.experiments.molecules.chains.measure_chains` found, with metrics of every chain's samples.

    Beside those of :func:`sample_metrics`: ``new``, the share of samples that are valid, unique and new, and, of chains
    with all samples, ``fcd``, the Fréchet ChemNet distance to the test set.

    Arguments:
        numbers: of the row.
        arrays: the bounds by molecule, and the sampled graphs.
        training: the molecules that the row was trained on.
        test: those that the distance is taken to.
    """
    arrays = dict(arrays)
    known, reference = set(canonical_smiles(training)), Reference(test)
    chains = {}
    for label, chain in numbers["chains"].items():
        graphs = restored(arrays, label)
        found = smiles(graphs, training.atoms)
        valid = [text for text in found if text is not None]
        metrics = sample_metrics(graphs, found, training.atoms, known)
        metrics["new"] = len(set(valid) - known) / len(found)
        if chain["steps"] < LONG:
            metrics["fcd"] = reference.distance(valid)
        chains[label] = {**chain, **metrics}
        arrays[f"samples_{label}"] = np.array(valid[:PICTURED])
    return {**numbers, "chains": chains}, arrays
