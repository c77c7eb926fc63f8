"""Trained models by name: the network, and the card that says what it is."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest
import torch

import sympe
from sympe.experiments.molecules.files import PRETRAINED, load_model
from sympe.zoo import Pretrained


def test_a_trained_model_prints_its_card() -> None:
    found = sympe.pretrained("qm9-small")
    assert found.name == "qm9-small"
    assert repr(found) == str(found) == found.card == (PRETRAINED / "qm9-small.md").read_text()
    for said in ("| data |", "| made by |", "| test bound |", "| license | MIT", "298,076 parameters"):
        assert said in found.card
    assert not found.model.training
    for name, weights in load_model("qm9-small").state_dict().items():
        torch.testing.assert_close(found.model.state_dict()[name], weights, rtol=0, atol=0)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"name: expected one of qm9-small; got 'qm9-large'"):
        sympe.pretrained("qm9-large")


def test_a_model_without_its_card_is_none(tmp_path: Path) -> None:
    (tmp_path / "lone.safetensors").write_bytes((PRETRAINED / "qm9-small.safetensors").read_bytes())
    with pytest.raises(FileNotFoundError, match=r"lone\.md"):
        Pretrained(tmp_path / "lone.safetensors")


def test_without_safetensors_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def importing(name: str, *rest: Any) -> Any:
        if name.startswith("safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", importing)
    with pytest.raises(ImportError, match=r"files of models need safetensors: pip install 'safetensors>=0.4' \("):
        sympe.pretrained("qm9-small")
