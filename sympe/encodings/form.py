"""What the modules with a kernel share: draws, with a target or without, and what a checkpoint says of the kernel."""

from __future__ import annotations

import abc
import json
import warnings
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from sympe.groups.checks import check_kind
from sympe.kernels import CoupledKernel, Kernel
from sympe.kernels.base import Draw
from sympe.kernels.graphs.hard import HARD_PARTS, warn_of_other_hard_parts
from sympe.randomness import draw_numbers


class FormedModule(nn.Module, abc.ABC):
    """A module whose parameters mean places of the canonical forms of a kernel; its state dict says which.

    To load what was trained with another kernel, order or tolerance is an error: all keys would match, and the features
    be others. It is a warning where all that differs is whether igraph is there, as that matters for hard parts of
    graphs alone (:mod:`sympe.kernels.graphs.hard`). Checkpoints from before that say nothing are loaded as they are.
    The state is a tensor of bytes, so that files of tensors alone can hold it.
    """

    kernel: Kernel
    """Draws g from x."""
    coupled: CoupledKernel | None
    """Draws g from x and the target y, in training; its kernel is :attr:`kernel`."""

    def __init__(self, kernel: Kernel | CoupledKernel) -> None:
        super().__init__()
        if isinstance(kernel, CoupledKernel):
            self.kernel, self.coupled = kernel.kernel, kernel
        else:
            check_kind("kernel", kernel, Kernel, "or of CoupledKernel")
            self.kernel, self.coupled = kernel, None
        self.register_load_state_dict_pre_hook(_check_form)  # type: ignore[no-untyped-call]

    def draw(self, x: Any, target: Any = None, *, generator: torch.Generator | None = None) -> Draw:
        """Draw g for every x: from the coupled kernel where a target is given, else from the kernel of x.

        Raises:
            ValueError: if there is a target and no coupled kernel.
        """
        if target is not None:
            if self.coupled is None:
                raise ValueError(
                    f"target: {type(self).__name__} draws g from x alone; to train on targets give it a coupled kernel,"
                    f" such as CoupledGraphKernel(kernel) or CoupledOrbitKernel(action, target_action)"
                )
            return self.coupled.draw(x, target, generator=generator)
        if self.coupled is not None and self.training and torch.is_grad_enabled():
            warnings.warn(
                f"{type(self).__name__} has a coupled kernel and is in training mode, but got no target: g is drawn "
                "from x alone, as for sampling. Call it with target=y to train, or eval() to sample",
                stacklevel=3,
            )
        return self.kernel.draw(x, generator=generator)

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
    added = {"group"}  # what checkpoints from before do not say
    keys = dict.fromkeys([*there, *here])
    differing = [key for key in keys if there.get(key) != here.get(key) and not (key in added and key not in there)]
    where = f" of {prefix[:-1]}" if prefix else ""
    if differing == [HARD_PARTS]:
        warn_of_other_hard_parts(f"state_dict: the parameters{where} were trained", stacklevel=2)
        return
    differing = [key for key in differing if key != HARD_PARTS]
    if differing:
        said = "; ".join(f"{key}: {there.get(key)} there, {here.get(key)} here" for key in differing)
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
