"""The exact inversion kernel against writing the orbit down (one thread, batch of 64, nothing cached).

Both find C(x) for every input. "Enumeration" builds all g^-1 x and takes the lexicographic minimum column by column.
"""

from __future__ import annotations

import subprocess
import sys

import torch
from torch import Tensor

from benchmarks.timing import side_by_side
from sympe.actions import Action, GridAction
from sympe.groups import P4M
from sympe.kernels import OrbitKernel

LARGE = """
import resource, sys, time, torch
from sympe.actions import GridAction
from sympe.groups import P4M
from sympe.kernels import OrbitKernel
torch.set_num_threads(1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
action = GridAction(P4M(128))
kernel = OrbitKernel(action)
x = torch.zeros(1, *action.shape) if sys.argv[1] == "constant" else torch.randn(1, *action.shape)
start = time.perf_counter()
kernel.sample(x)
seconds = time.perf_counter() - start
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(f"{seconds * 1e3:.0f} {before / 1024:.0f} {after / 1024:.0f} {float(kernel.entropy(x).exp()):.0f}")
"""


def enumerate_orbits(action: Action, x: Tensor) -> Tensor:
    """C(x) as a mask, by brute force."""
    g = action.group.inverse(action.group.elements())
    orbit = action(g, x.unsqueeze(1)).flatten(2)
    alive = torch.ones(orbit.shape[:2], dtype=torch.bool)
    for column in orbit.unbind(2):
        least = column.masked_fill(~alive, torch.inf).amin(1, keepdim=True)
        alive &= column == least
        if bool((alive.sum(1) == 1).all()):
            break
    return alive


def inputs(size: int) -> dict[str, Tensor]:
    """64 fields of each kind on a torus of side ``size``."""
    generator = torch.Generator().manual_seed(0)
    shape = (64, 1, size, size)
    stripes = (torch.arange(size) % 2).float().expand(shape)
    return {
        "generic (normal)": torch.randn(shape, generator=generator),
        "random spins": torch.randint(0, 2, shape, generator=generator) * 2.0 - 1,
        "2 x 2 cells (normal)": torch.randn(64, 1, 2, 2, generator=generator).tile(1, 1, size // 2, size // 2),
        "stripes": stripes + torch.arange(64.0).view(-1, 1, 1, 1),
        "constant": torch.arange(64.0).view(-1, 1, 1, 1).expand(shape),
    }


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    action = GridAction(P4M(16))
    kernel = OrbitKernel(action, tolerance=0)
    print("P4M(16), 2,048 elements:")
    print("| input | kernel, ms | enumeration, ms | kernel / enumeration |\n| --- | --- | --- | --- |")
    for name, x in inputs(16).items():
        ours, theirs, ratio = side_by_side(lambda x=x: kernel.coset(x), lambda x=x: enumerate_orbits(action, x))  # type: ignore[misc]
        print(f"| {name} | {ours:.1f} | {theirs:.1f} | 1/{1 / ratio:.0f} |")
    print("\nP4M(128), 131,072 elements, one input, in a fresh process (whose peak includes importing torch):")
    for name in ("generic", "constant"):
        output = subprocess.run([sys.executable, "-c", LARGE, name], capture_output=True, text=True, check=True).stdout
        ms, before, after, order = output.split()
        print(f"- {name}: {ms} ms, peak memory {after} MB ({before} MB before), stabilizer of order {order}")


if __name__ == "__main__":
    main()
