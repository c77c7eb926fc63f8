"""Encodings as torch users use modules: compiled, copied, moved, built on meta, trained on several processes."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sympe import encodings, kernels
from sympe.encodings import Encoding
from sympe.kernels import Kernel
from sympe.randomness import seeded
from tests.catalogue import public_leaves
from tests.encodings.distributed import Trained, trained_in_one_process, trained_on_ranks
from tests.encodings.modules import MODULES

UNTRAINED = {("score", "encoding.kernel.network.read.bias"), ("none", "read.weight")}
"""A shift of all scores changes nothing, and a weight of zeros gets no gradient."""


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    """DDP averages the gradients of both; with generators of (seed, step, rank) one process draws the same elements."""
    out = tmp_path / "parameters.pt"
    processes = torch.multiprocessing.spawn(trained_on_ranks, (str(tmp_path / "meeting"), out), nprocs=2, join=False)
    assert processes is not None
    ends = time.monotonic() + 300
    while not processes.join(timeout=1):
        if time.monotonic() > ends:
            for process in processes.processes:
                process.kill()
            pytest.fail("the processes do not end")
    found = torch.load(out)
    assert set(found) == set(MODULES)
    for name in MODULES:
        start = dict(Trained(name).named_parameters())
        for key, value in trained_in_one_process(name).items():
            torch.testing.assert_close(found[name][key], value, atol=1e-5, rtol=1e-4)
            if (name, key) not in UNTRAINED:
                assert not torch.equal(value, start[key]), f"{name}: {key} was not trained"
    alike = trained_in_one_process("orbit", alike=True)  # the broken twin
    assert not torch.allclose(found["orbit"]["encoding.v"], alike["encoding.v"], atol=1e-3)


# ----- fullgraph, checkpointing, vmap: with g given -------------------------------------------------------------------

GIVEN = ["orbit", "Haar", "conjugated", "partial", "graph", "nodes and edges"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # torch's own
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", GIVEN)
def test_a_network_traces_as_one_graph_where_g_is_given(name: str) -> None:
    torch._dynamo.reset()
    encoding = MODULES[name].make()

    def network(g: Tensor) -> Tensor:
        return torch.stack([part.sin().flatten(1).sum(1) for part in tensors(encoding.moved(g))]).sum(0)

    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    for batch in (32, 32, 7, 1):
        g = encoding.kernel.sample(MODULES[name].inputs(batch), generator=seeded(batch))
        torch.testing.assert_close(compiled(g), network(g))


@pytest.mark.parametrize("name", GIVEN)
def test_given_elements_work_under_vmap_and_for_double_backward(name: str) -> None:
    encoding = MODULES[name].make()
    g = encoding.kernel.sample(MODULES[name].inputs(4), generator=seeded(0))
    each = tensors(torch.vmap(encoding.moved)(g[:, None]))  # batches of one
    assert all(torch.equal(a.squeeze(1), b) for a, b in zip(each, tensors(encoding.moved(g)), strict=True))
    v = encoding.v
    loss = tensors(encoding.moved(g))[0].pow(3).sum()
    (gradient,) = torch.autograd.grad(loss, v, create_graph=True)
    (second,) = torch.autograd.grad(gradient.sum(), v)
    if name != "partial":  # every entry of v is there once in each g v
        torch.testing.assert_close(second, 6 * len(g) * v.detach())


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpointing_with_g_drawn_once_gives_the_gradients_of_no_checkpointing(
    name: str, use_reentrant: bool
) -> None:
    """Recomputed with a generator passed along, another g would be drawn: the broken twin below."""
    encoding = MODULES[name].make()
    x = MODULES[name].inputs(8)

    def layers(g: Tensor, scale: Tensor) -> Tensor:
        parts = [part.flatten() for part in tensors(encoding.moved(g))]  # what follows depends on the place
        return torch.stack([(part * torch.linspace(0, 1, len(part)) * scale).tanh().sum() for part in parts]).sum()

    def drawing(generator: torch.Generator, scale: Tensor) -> Tensor:
        return layers(encoding.kernel.sample(x, generator=generator), scale)

    def backward(value: Tensor) -> Tensor:
        encoding.zero_grad()
        value.backward()
        return encoding.v.grad.clone()

    scale = torch.ones((), requires_grad=True)
    g = encoding.kernel.sample(x, generator=seeded(0))
    wanted = backward(layers(g, scale))
    assert torch.equal(backward(checkpoint(layers, g, scale, use_reentrant=use_reentrant)), wanted)
    twin = backward(checkpoint(drawing, seeded(0), scale, use_reentrant=use_reentrant))
    assert not torch.allclose(twin, wanted)
