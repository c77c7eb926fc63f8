"""Draw molecules from a trained model: a SMILES file, a picture, and how good they are."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from sympe.experiments import runs
from sympe.experiments.molecules.chains import tables_of
from sympe.experiments.molecules.chemnet import frechet_distance
from sympe.experiments.molecules.data import SOURCES
from sympe.experiments.molecules.evaluation import bar, sample
from sympe.experiments.molecules.figures import grid
from sympe.experiments.molecules.files import load_model
from sympe.experiments.molecules.quality import sample_metrics, smiles
from sympe.experiments.molecules.reading import canonical_smiles, load_molecules
from sympe.extras import missing
from sympe.randomness import seeded

STEPS = 100
"""Reverse steps of a model without tables of places, unless told otherwise: by ``benchmarks/sampling_steps.py`` the
least number tried after which samples of a row under marginal noise are as good as after all 500
(``results/molecules/steps``)."""
PICTURED = 60
"""Molecules in the picture, at most."""


def sample_to(
    source: str | Path,
    count: int,
    out: Path,
    *,
    steps: int | None = None,
    temperature: float = 1.0,
    seed: int = 0,
    data: Path | None = None,
    fcd: bool = False,
) -> dict[str, Any]:
    """Draw molecules and write ``molecules.smi``, ``molecules.png`` and ``metrics.json`` to a folder.

    The SMILES are those of the valid molecules, one a line, of the largest fragment each.

    Arguments:
        source: see :func:`~sympe.experiments.molecules.files.load_model`.
        count: how many.
        out: the folder; files of these names in it are replaced.
        steps: reverse steps: by places where there is a table of so many for the model, else evenly over the times;
            None for its largest table, or :data:`STEPS`, or all T if there are fewer.
        temperature: see :func:`~sympe.experiments.molecules.evaluation.sample`.
        seed: of the draws.
        data: of the dataset that the model was trained on, see
            :func:`~sympe.experiments.molecules.data.load_molecules`. If it is not named and the package is not
            installed, novelty is not computed, and a line on standard error says so.
        fcd: whether to compute the Fréchet ChemNet distance to the test set, too.

    Returns:
        The metrics.

    Raises:
        ValueError: if a number is out of range or the model is damaged.
        FileNotFoundError: if there is no such model, or no dataset that is named or needed for the distance.
        ImportError: if the distance is asked for and fcd-torch is missing.
        OSError: if ``out`` cannot be a folder.
    """
    model = load_model(source)
    dataset = model.config.dataset
    atoms = SOURCES[dataset].atoms
    out.mkdir(parents=True, exist_ok=True)
    training = None
    try:
        training = set(canonical_smiles(load_molecules(dataset, "train", data=data)))
    except FileNotFoundError as error:
        if fcd or data is not None:
            raise
        print(f"novelty is not computed: {error}", file=sys.stderr)
    reference = canonical_smiles(load_molecules(dataset, "test", data=data)) if fcd else []
    if fcd and importlib.util.find_spec("fcd_torch") is None:
        raise missing("fcd: needs the package", "fcd_torch", "molecules")
    by_places = tables_of(model)
    if steps is None:
        steps = max(by_places, default=min(STEPS, model.noise.steps))
    way = by_places.get(steps, steps)
    graphs = sample(
        model,
        count,
        steps=way,
        temperature=temperature,
        generator=seeded("sample", seed),
        progress=bar("sampling"),
    )
    found = smiles(graphs, atoms)
    metrics = sample_metrics(graphs, found, atoms, training)
    valid = [text for text in found if text is not None]
    spacing = "places" if steps in by_places else "times"
    metrics |= {
        "steps": steps,
        "spacing": spacing,
        "temperature": temperature,
        "seed": seed,
        "model": model.config.name,
    }
    runs.write_text(out / "molecules.smi", "".join(f"{text}\n" for text in valid))
    (out / "molecules.png").unlink(missing_ok=True)  # of another time
    if valid:
        with runs.written_aside(out / "molecules.png") as aside:
            grid(valid[:PICTURED], per_row=10, size=180).save(aside)
    runs.write_json(out / "metrics.json", metrics)
    if fcd:
        metrics["fcd"] = frechet_distance(valid, reference)
        runs.write_json(out / "metrics.json", metrics)
    return metrics
