"""Trained models that come with the package, each with its card."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from sympe.experiments.molecules.files import PRETRAINED, load_model, pretrained_names


class Pretrained:
    """A trained model with its card, as which it prints.

    Arguments:
        path: its file; the card is beside it.

    Attributes:
        name: of the model.
        model: the network, in evaluation mode, on the CPU.
        card: data, training, numbers and license, in Markdown.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self.model: nn.Module = load_model(path)
        self.card = path.with_suffix(".md").read_text()

    def __repr__(self) -> str:
        return self.card


def pretrained(name: str) -> Pretrained:
    """A trained model that comes with the package, with its card.

    ``sympe sample NAME`` draws from it.

    Arguments:
        name: which; so far ``qm9-small``.

    Raises:
        ValueError: if there is no such model; lists those that there are.
        ImportError: if safetensors is missing, of the extra ``molecules``.

    Example:
        >>> import sympe
        >>> found = sympe.pretrained("qm9-small")
        >>> print(str(found).splitlines()[0])
        # Model card: qm9-small
        >>> sum(weights.numel() for weights in found.model.parameters())
        298076
    """
    if name not in pretrained_names():
        raise ValueError(f"name: expected one of {', '.join(pretrained_names())}; got {name!r}")
    return Pretrained(PRETRAINED / f"{name}.safetensors")
