"""What a checkpoint says of the kernel: which canonical form the learned numbers are of."""

from __future__ import annotations

import abc
import json
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from sympe.kernels import Kernel
from sympe.randomness import draw_numbers


class FormedModule(nn.Module, abc.ABC):
    """A module whose parameters mean places of the canonical forms of a kernel; its state dict says which.

    To load what was trained with another kernel, order or tolerance is an error: all keys would match, and the features
    be others. Checkpoints from before that say nothing are loaded as they are. The state is a tensor of bytes, so that
    files of tensors alone can hold it.
    """

    kernel: Kernel

    def __init__(self) -> None:
        super().__init__()
        self.register_load_state_dict_pre_hook(_check_form)  # type: ignore[no-untyped-call]

    def get_extra_state(self) -> UInt8[Tensor, " bytes"]:
        """The form of the kernel, as JSON."""
        return torch.tensor(list(json.dumps(self.kernel.form).encode()), dtype=torch.uint8, device="cpu")

    def set_extra_state(self, state: Any) -> None:
        """Nothing: what it says was compared before anything was loaded."""


def _check_form(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    assert isinstance(module, FormedModule)
    stored = state.setdefault(f"{prefix}_extra_state", None)
    if stored is None:
        return
    there, here = json.loads(bytes(stored.tolist())), module.kernel.form
    differing = [key for key in dict.fromkeys([*there, *here]) if there.get(key) != here.get(key)]
    if differing:
        said = "; ".join(f"{key}: {there.get(key)} there, {here.get(key)} here" for key in differing)
        where = f" of {prefix[:-1]}" if prefix else ""
        raise ValueError(
            f"state_dict: the parameters{where} were trained with another canonical form ({said}); "
            f"without {prefix}_extra_state they are loaded all the same"
        )


def draw_parameter(parameter: nn.Parameter, scale: float, generator: torch.Generator | None) -> None:
    """Fill it with normal numbers."""
    v = parameter.data
    v.copy_(scale * draw_numbers(torch.randn, v.shape, generator=generator, device=v.device, dtype=v.dtype))


def described(*parts: object) -> str:
    """The parts of a module that are no modules, for its ``extra_repr``: modules are shown below it anyway."""
    return ", ".join(repr(part) for part in parts if not isinstance(part, nn.Module))
