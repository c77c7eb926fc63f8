"""What an accelerator does: correctness, speed and training on a machine that has one, in one call.

::

    sympe molecules-file qm9 --out qm9.npz          # where RDKit is
    python -m benchmarks.accelerator --data qm9.npz --out runs/accelerator --minutes 12

It needs torch, Lightning, igraph and safetensors, and neither RDKit nor the ``sympe`` command. Parts: ``checks`` (draws
of one seed are the same twice, canonical forms are those of the CPU, models are equivariant in distribution and a
broken one is caught, a training of one seed ends the same twice), ``network`` (milliseconds of a training step of the
graph transformer, eager and compiled, in float32 and bfloat16), ``kernel`` (the graph kernel on 65,536 molecules),
``train`` (rows, as long as time allows, each kept as it ends; what was interrupted goes on in the next call with the
same ``--out``). ``OUT/accelerator.json`` has all numbers so far. Without an accelerator it runs on the CPU;
``--tiny`` is for tests.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sympe.experiments import runs
from sympe.experiments.molecules.check import check_model
from sympe.experiments.molecules.config import MoleculesConfig
from sympe.experiments.molecules.data import SOURCES, SPLITS, Molecules, read_molecules, split_molecules
from sympe.experiments.molecules.evaluation import bound, sample
from sympe.experiments.molecules.model import MoleculeModel, Statistics
from sympe.experiments.molecules.presets import GPU, SMOKE
from sympe.experiments.molecules.together import groups, train_together
from sympe.experiments.molecules.training import MoleculesTask
from sympe.graphs import DenseGraphs
from sympe.kernels import GraphKernel
from sympe.nn import GraphTransformer
from sympe.randomness import seeded

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
PARTS = ("checks", "network", "kernel", "train")
CHECKED = ("none", "haar", "sympe-nodes-edges", "canonical", "structure+sympe")
BROKEN = "stock"
SMALL: dict[str, Any] = {field.name: field.default for field in dataclasses.fields(MoleculesConfig)}
TIMED = (
    ("small", SMALL, 64, "float32", False),
    ("small", SMALL, 512, "float32", False),
    ("small", SMALL, 512, "tf32", False),
    ("small", SMALL, 512, "tf32", True),
    ("DiGress", GPU, 512, "float32", False),
    ("DiGress", GPU, 512, "tf32", False),
    ("DiGress", GPU, 512, "bfloat16", False),
    ("DiGress", GPU, 512, "bfloat16", True),
    ("DiGress", GPU, 1024, "bfloat16", False),
    ("DiGress", GPU, 1024, "bfloat16", True),
)
"""Network, its sizes, batch, arithmetic, and whether compiled."""


def seconds(function: Callable[[], object], *, repeats: int) -> float:
    """Median seconds of a call, when the device has done its work, after two calls to warm up."""
    took = []
    for number in range(repeats + 2):
        _wait()
        started = time.perf_counter()
        function()
        _wait()
        if number > 1:
            took.append(time.perf_counter() - started)
    return sorted(took)[len(took) // 2]


def _wait() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def noisy(molecules: Molecules, count: int, seed: int) -> DenseGraphs:
    """Molecules at times spread evenly, on the CPU."""
    config = MoleculesConfig()
    model = MoleculeModel(config, Statistics.of(molecules))
    rows = torch.randint(len(molecules), (count,), generator=seeded("rows", seed))
    t = torch.arange(count) % config.times + 1
    return model.noise.sample(molecules.graphs(rows), t, generator=seeded("noisy", seed))


def cubic(count: int, nodes: int) -> DenseGraphs:
    """Random cubic graphs, on which refinement alone does nothing, by the pairing model."""
    generator = seeded("cubic", nodes)
    pairs = torch.zeros(count, nodes, nodes, dtype=torch.int64)
    for graph in pairs:
        while True:
            ends = (torch.randperm(3 * nodes, generator=generator) // 3).view(-1, 2)
            graph.zero_()
            graph.index_put_((ends[:, 0], ends[:, 1]), torch.tensor(1), accumulate=True)
            graph += graph.T.clone()
            if int(graph.max()) == 1 and not bool(graph.diagonal().any()):
                break
    return DenseGraphs(pairs, torch.zeros(count, nodes, dtype=torch.int64), torch.ones(count, nodes, dtype=torch.bool))


def checks(molecules: list[Molecules], *, tiny: bool) -> dict[str, Any]:
    """Correctness; everything here must be true."""
    training, _, test = molecules
    found: dict[str, Any] = {}
    for name, x in {
        "noisy molecules": noisy(training, 64 if tiny else 8192, 0),
        "cubic": cubic(8 if tiny else 256, 12),
    }.items():
        kernel = GraphKernel(x.mask.shape[1], order="breadth-first")
        there = x.to(DEVICE)
        g, h = (kernel.sample(there, generator=seeded("same", device=DEVICE)) for _ in range(2))
        found[f"{name}: the same draws twice"] = torch.equal(g, h)
        found[f"{name}: draws of the device have finite log_prob on the CPU"] = bool(
            kernel.log_prob(g.cpu(), x).isfinite().all()
        )
        forms = [y.relabel(kernel.group.inverse(kernel.canonicalize(y))).dense().to("cpu") for y in (x, there)]
        found[f"{name}: canonical forms of the CPU"] = torch.equal(forms[0].pairs, forms[1].pairs) and torch.equal(
            forms[0].colors, forms[1].colors
        )
        found[f"{name}: entropies of the CPU"] = torch.allclose(kernel.entropy(x), kernel.entropy(there).cpu())
    sizes = {key: value for key, value in SMOKE.items() if key not in ("steps", "warmup", "batch")}
    for encoding in (*(CHECKED[-2:] if tiny else CHECKED), BROKEN):
        torch.manual_seed(0)
        config = MoleculesConfig(encoding=encoding, **sizes)
        model = MoleculeModel(config, Statistics.of(training)).to(DEVICE)
        result = check_model(
            model, test, inputs=1 if tiny else 4, generator=torch.Generator().manual_seed(0), tolerance=1e-3
        )
        wanted = encoding == BROKEN
        found[f"{encoding}: {'rejected' if wanted else 'equivariant in distribution'}"] = result.rejected is wanted
    places = SMOKE | {"times": 10, "transition": "places", "coupled": True, "order": "depth-first"}
    model = MoleculeModel(MoleculesConfig(**places), Statistics.of(training)).to(DEVICE)
    judged = bound(model, test.subset(torch.arange(8)), times=None, generator=seeded("places", device=DEVICE))
    graphs = sample(model, 8, generator=seeded("places", device=DEVICE))
    found["a table of places has a bound and samples"] = bool(judged.isfinite().all()) and len(graphs) == 8
    found["rows trained together end as rows trained alone"] = together_is_alone(molecules, tiny=tiny)
    config = MoleculesConfig(**SMOKE)
    ends = []
    for _ in range(2):
        task = MoleculesTask(config, *molecules)
        with tempfile.TemporaryDirectory() as folder:
            task.train_in(runs.prepare_run(config, Path(folder)), accelerator="auto")
        ends.append(torch.cat([p.detach().flatten() for p in task.model.parameters()]))
    found["two trainings of one seed differ by less than 1e-4"] = bool((ends[0] - ends[1]).abs().max() < 1e-4)
    return found


def together_is_alone(molecules: list[Molecules], *, tiny: bool) -> bool:
    """Whether rows that are trained side by side, on a GPU by a recorded step, get the weights that they get alone."""
    sizes = SMOKE | {"transition": "absorbing", "steps": 20 if tiny else 100}
    configs = [MoleculesConfig(encoding="none", **sizes), MoleculesConfig(coupled=True, **sizes)]
    tasks = [MoleculesTask(config, *molecules) for config in configs]
    near = []
    with tempfile.TemporaryDirectory() as folder:
        for group in groups(tasks):
            train_together(group, Path(folder) / "together", device=DEVICE, workers=0)
        for task in tasks:
            alone, start = MoleculesTask(task.config, *molecules), MoleculesTask(task.config, *molecules)
            alone.train_in(runs.prepare_run(task.config, Path(folder) / "alone"), accelerator="cpu")
            one, other, first = (
                torch.cat([p.detach().flatten() for p in t.model.parameters()]) for t in (task, alone, start)
            )
            near.append(bool((one - other).norm() < 1e-2 * (other - first).norm()))
    return all(near)


def network(molecules: list[Molecules], *, tiny: bool) -> dict[str, Any]:
    """Milliseconds of forward, backward and AdamW of the graph transformer on molecules of nine atoms."""
    del molecules
    found = {}
    for name, config, batch, precision, compiled in TIMED:
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        step = _step(config, 2 if tiny else batch, bfloat16=precision == "bfloat16", compiled=compiled, tiny=tiny)
        took = seconds(step, repeats=2 if tiny else 20)
        label = f"{name}, batch {batch}, {precision}{', compiled' if compiled else ''}"
        found[label] = {"ms": round(1000 * took, 3), "graphs_per_second": round(batch / took)}
        print(f"{label}: {1000 * took:.2f} ms", flush=True)
    torch.set_float32_matmul_precision("highest")
    return found


def _step(config: dict[str, Any], batch: int, *, bfloat16: bool, compiled: bool, tiny: bool) -> Callable[[], None]:
    torch.manual_seed(0)
    names = ("heads", "node_width", "edge_width", "graph_width", "node_hidden", "edge_hidden", "graph_hidden")
    widths = {name: (SMALL | config)[name] for name in names}
    model = GraphTransformer(20, 8, 12, 4, 4, layers=1 if tiny else config["layers"], **widths).to(DEVICE)
    if compiled and not tiny:  # on a CPU a compiler takes longer than all else
        model.compile()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    x, e = torch.randn(batch, 9, 20, device=DEVICE), torch.randn(batch, 9, 9, 8, device=DEVICE)
    e, y = e + e.transpose(1, 2), torch.randn(batch, 12, device=DEVICE)
    mask = torch.ones(batch, 9, dtype=torch.bool, device=DEVICE)

    def step() -> None:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=bfloat16):
            nodes, edges = model(x, e, y, mask)
        (nodes.float().square().mean() + edges.float().square().mean()).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def kernel(molecules: list[Molecules], *, tiny: bool) -> dict[str, Any]:
    """Seconds of a draw for each of 65,536 molecules, clean and noisy, on the device and on one thread of the CPU."""
    training = molecules[0]
    count = 128 if tiny else 65_536
    rows = torch.arange(count) % len(training)
    own = GraphKernel(int(training.sizes.max()), order="breadth-first")
    found = {}
    threads = torch.get_num_threads()
    for name, x in {"clean": training.graphs(rows), "noisy": noisy(training, count, 1)}.items():
        there = x.to(DEVICE)
        found[name] = {"device": round(seconds(lambda there=there: own.sample(there), repeats=2 if tiny else 5), 4)}
        torch.set_num_threads(1)
        some = x.select(torch.arange(count // 16))
        found[name]["one CPU thread"] = round(16 * seconds(lambda some=some: own.sample(some), repeats=1), 4)
        torch.set_num_threads(threads)
    return found


def train(data: Path, out: Path, rows: list[str], *, jobs: int, seconds_left: float) -> dict[str, Any]:
    """Train rows, ``EXPERIMENT PRESET NAME`` each, in order, until the time is over."""
    started = time.monotonic()
    for kind, preset in dict.fromkeys(tuple(row.split()[:2]) for row in rows):
        names = [row.split()[2] for row in rows if row.split()[:2] == [kind, preset]]
        command = [sys.executable, "-m", "sympe.experiments.molecules", kind, "--preset", preset, "--data", str(data)]
        command += ["--out", str(out), "--jobs", str(jobs), "--only", *names]
        left = seconds_left - (time.monotonic() - started)
        try:
            subprocess.run(command, check=True, timeout=max(1.0, left))
        except subprocess.TimeoutExpired:
            break
    finished = sorted(path.parent.name for path in out.glob("runs/*/measured.json"))
    return {"finished": finished, "seconds": round(time.monotonic() - started, 1)}


def main(arguments: list[str] | None = None) -> None:
    """The command.

    Raises:
        SystemExit: with status 1 if a check failed, after all parts.
    """
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="a file of `sympe molecules-file`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--rows", nargs="*", default=["molecules gpu qm9-marginal-sympe-nodes-edges-seed0"])
    parser.add_argument("--jobs", type=int, default=1, help="rows at once")
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args(arguments)
    ends = time.monotonic() + 60 * given.minutes
    path = given.out / "accelerator.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    found["environment"] = runs.environment()
    molecules = split_molecules(read_molecules(given.data, SOURCES["qm9"]), SPLITS)
    for part in given.parts:
        started = time.monotonic()
        if part == "train":
            found[part] = train(
                given.data, given.out, given.rows, jobs=given.jobs, seconds_left=ends - time.monotonic()
            )
        else:
            found[part] = {"checks": checks, "network": network, "kernel": kernel}[part](molecules, tiny=given.tiny)
        found.setdefault("seconds", {})[part] = round(time.monotonic() - started, 1)
        runs.write_json(path, found)
        print(json.dumps({part: found[part]}, indent=1), flush=True)
    if failed := [name for name, holds in found.get("checks", {}).items() if holds is not True]:
        raise SystemExit(f"these do not hold: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
