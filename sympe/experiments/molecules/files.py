"""A trained model in one file: weights as safetensors, with the config and the statistics of its training set."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from sympe.experiments import runs
from sympe.experiments.molecules.config import CODE_VERSION, MoleculesConfig
from sympe.experiments.molecules.model import MoleculeModel, Statistics
from sympe.extras import missing

PRETRAINED = Path(__file__).parent / "pretrained"
MODEL_FILE = "model.safetensors"


def pretrained_names() -> list[str]:
    """The models that come with the package."""
    return sorted(path.stem for path in PRETRAINED.glob("*.safetensors"))


def save_model(model: MoleculeModel, path: Path) -> None:
    """Write a model whole or not at all.

    Raises:
        ImportError: if safetensors is missing.
    """
    safetensors = _safetensors()
    about = {
        "config": json.dumps(dataclasses.asdict(model.config)),
        "statistics": json.dumps([counts.tolist() for counts in model.statistics]),
    }
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with runs.written_aside(path) as aside:
        safetensors.torch.save_file(weights, aside, metadata=about)


def load_model(source: str | Path) -> MoleculeModel:
    """A model in evaluation mode, on the CPU.

    Arguments:
        source: a run directory, a file, or the name of a model that comes with the package.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged or not finite, is no model of molecules, was made by another code version, or is
            not that of the run directory that it is in.
        ImportError: if safetensors is missing.
    """
    safetensors = _safetensors()
    path = Path(source)
    if path.is_dir():
        path = path / MODEL_FILE
        if not path.exists():
            raise FileNotFoundError(
                f"run: expected a run directory with {MODEL_FILE}, that of a finished training; got {source}"
            )
    elif not path.exists():
        path = PRETRAINED / f"{source}.safetensors"
        if not path.exists():
            kinds = ["a run directory", "a model file", *pretrained_names()]
            raise FileNotFoundError(f"run: expected {', or '.join(kinds)}; got {source}")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise ValueError(f"run: {path} is damaged, or no safetensors file: {error}") from error
    try:
        stored, counts = json.loads(about["config"]), json.loads(about["statistics"])
        version = stored["code_version"]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"run: {path} is no model of molecules: {error!r}") from error
    if version != CODE_VERSION:
        raise ValueError(f"run: {path} was made by code version {version}, this is {CODE_VERSION}; train it again")
    try:
        model = MoleculeModel(MoleculesConfig(**stored), Statistics(*(torch.tensor(values) for values in counts)))
    except (TypeError, ValueError, IndexError, RuntimeError) as error:
        raise ValueError(f"run: {path} is no model of molecules: {error}") from error
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"run: the weights in {path} do not fit its config {stored}: {error}") from error
    broken = [name for name, tensor in weights.items() if name != "log_sizes" and not bool(tensor.isfinite().all())]
    if broken:
        raise ValueError(f"run: the weights in {path} are not finite: {', '.join(broken)}")
    _refuse_another(path, model.config)
    return model.eval()


def _safetensors() -> Any:
    """The package; the rest of this file's importers can do without."""
    try:
        import safetensors
        import safetensors.torch
    except ModuleNotFoundError as error:
        raise missing("files of models need", "safetensors", "molecules") from error
    return safetensors


def _refuse_another(path: Path, config: MoleculesConfig) -> None:
    """A model file that was put into the run directory of another row."""
    beside = path.parent / "config.json"
    if path.name == MODEL_FILE and beside.exists():
        difference = runs.config_differs(dataclasses.asdict(config), runs.read_json(beside))
        if difference:
            raise ValueError(f"run: {path} is not the model of its run directory ({difference})")
