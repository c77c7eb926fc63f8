"""The model that comes with the package draws good molecules, and its card says what it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from rdkit import Chem

from sympe.experiments import runs
from sympe.experiments.molecules.evaluation import sample
from sympe.experiments.molecules.files import PRETRAINED, load_model, pretrained_names
from sympe.experiments.molecules.quality import sample_metrics, smiles
from sympe.experiments.molecules.sampling import sample_to

ATOMS = ("C", "N", "O", "F")
LARGEST = 5 * 2**20


def good_enough(validity: float | None, uniqueness: float | None) -> bool:
    return validity is not None and uniqueness is not None and validity >= 0.95 and uniqueness >= 0.95


@pytest.mark.slow
def test_the_shipped_model_draws_molecules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda *_, **__: None)  # no QM9: it is not needed
    metrics = sample_to("qm9-small", 100, tmp_path)
    assert good_enough(metrics["validity"], metrics["uniqueness"])
    lines = (tmp_path / "molecules.smi").read_text().splitlines()
    assert len(lines) == round(100 * metrics["validity"])
    for line in lines:
        molecule = Chem.MolFromSmiles(line)
        assert molecule is not None
        assert {atom.GetSymbol() for atom in molecule.GetAtoms()} <= set(ATOMS)
    assert (tmp_path / "molecules.png").stat().st_size > 0
    assert runs.read_json(tmp_path / "metrics.json") == metrics


def test_its_bar_is_missed_without_its_training() -> None:
    model = load_model("qm9-small")
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.02, generator=torch.Generator().manual_seed(0))
    graphs = sample(model, 20, steps=20, generator=torch.Generator().manual_seed(1))
    metrics = sample_metrics(graphs, smiles(graphs, ATOMS), ATOMS, None)
    assert not good_enough(metrics["validity"], metrics["uniqueness"])


def test_every_shipped_model_is_small_and_has_a_card() -> None:
    assert pretrained_names() == ["qm9-small"]
    for name in pretrained_names():
        path = PRETRAINED / f"{name}.safetensors"
        assert path.stat().st_size <= LARGEST
        config = load_model(name).config
        card = path.with_suffix(".md").read_text()
        for said in (config.name, f"{config.steps:,} steps", "MIT", f"sympe sample {name}"):
            assert said in card
