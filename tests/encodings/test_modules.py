"""Encodings as torch users use modules: compiled, copied, moved, built on meta, trained on several processes."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sympe import encodings, kernels
from sympe.encodings import Encoding
from sympe.kernels import Kernel
from sympe.randomness import seeded
from tests.catalogue import public_leaves
from tests.encodings.modules import MODULES


def tensors(output: Any) -> tuple[Tensor, ...]:
    return output if isinstance(output, tuple) else (output,)


def equal(one: Any, two: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(two), strict=True))


def test_the_table_holds_every_public_encoding_and_kernel() -> None:
    modules = [entry.make() for entry in MODULES.values()]
    modules_of_the_room = {c for c in vars(encodings).values() if inspect.isclass(c) and issubclass(c, nn.Module)}
    leaves = {c for c in modules_of_the_room if not inspect.isabstract(c)}
    assert leaves == {type(module) for module in modules}
    assert public_leaves(encodings, Encoding) <= leaves
    used = {type(m.kernel) for m in modules if isinstance(m, encodings.SymPE | encodings.Canonicalized)}
    assert public_leaves(kernels, Kernel) == used


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # torch's own
@pytest.mark.usefixtures("unchecked")  # what checks annotations is not made to be compiled
@pytest.mark.parametrize("name", MODULES)
def test_batches_of_changing_size_compile(name: str) -> None:
    """With symbolic sizes, from the second size on, torch takes no ``generator=None``."""
    torch._dynamo.reset()
    entry = MODULES[name]
    module = entry.make()
    compiled = torch.compile(module, backend="aot_eager")
    for batch in (32, 32, 7, 1):
        torch.manual_seed(0)
        wanted = module(entry.inputs(batch))
        torch.manual_seed(0)
        assert equal(compiled(entry.inputs(batch)), wanted)
    assert equal(compiled(entry.inputs(3), generator=seeded(0)), module(entry.inputs(3), generator=seeded(0)))


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save"])
def test_copies_do_what_the_module_does(name: str, how: str) -> None:
    entry = MODULES[name]
    module = entry.make()
    module(entry.inputs(2))  # caches come along, or are made anew
    if how == "deepcopy":
        other = copy.deepcopy(module)
    elif how == "pickle":
        other = pickle.loads(pickle.dumps(module))
    else:
        file = io.BytesIO()
        torch.save(module, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
    x = entry.inputs(5)
    assert equal(other(x, generator=seeded(1)), module(x, generator=seeded(1)))
    assert not {id(p) for p in module.parameters()} & {id(p) for p in other.parameters()}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_built_on_meta_is_filled_later(name: str) -> None:
    entry = MODULES[name]
    module = entry.make()
    with torch.device("meta"):
        other = entry.make()
    assert all(t.is_meta for t in (*other.parameters(), *other.buffers()))
    other = other.to_empty(device="cpu")
    other.load_state_dict(module.state_dict())
    x = entry.inputs(5)
    assert equal(other(x, generator=seeded(1)), module(x, generator=seeded(1)))


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("canonical", "canonicalized graphs")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_features_have_the_precision_that_the_module_was_moved_to(name: str, dtype: torch.dtype) -> None:
    entry = MODULES[name]
    module = entry.make().to(dtype)
    x = entry.inputs(3)
    x = x.to(dtype) if isinstance(x, Tensor) else x
    for output in tensors(module(x, generator=seeded(0))):
        assert output.dtype == dtype
        assert bool(output.isfinite().all())
