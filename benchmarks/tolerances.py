"""How many molecules of QM9 are symmetric at which tolerance: raw geometries, hydrogens included.

Writes ``results/points/tolerance.png`` and ``table.md``: ``python -m benchmarks.tolerances``; two minutes on one busy
core. The geometries were relaxed without symmetry, so the share grows with the tolerance, until distances that have
nothing to do with each other count as equal. Beside it, how far the symmetries that are seen move an atom, at most.
"""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from benchmarks.point_kernel import geometries, padded
from sympe.experiments import runs
from sympe.experiments.pictures import PLAIN, SYMPE, save
from sympe.groups import Euclidean
from sympe.kernels import PointKernel

COUNT = 20_000
TOLERANCES = [1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2]
OUT = Path("results/points")


def main() -> None:
    """Measure, write the table, draw."""
    warnings.filterwarnings("ignore", message="x: the distances of cloud")  # that is what is shown
    molecules = geometries(COUNT)
    parts = [padded(molecules[start : start + 500]) for start in range(0, COUNT, 500)]
    shares, worst = [], []
    lines = [
        "# Symmetric geometries of QM9",
        "",
        f"The first {COUNT:,} molecules, hydrogens included, E(3) with S_n; distances in Å. Misfit: how far the "
        "symmetries that are seen move an atom, at most; of the molecules with up to 1,024.",
        "",
        "| tolerance | with a non-trivial stabilizer | misfit (99th percentile) | most frequent point groups but C1 |",
        "| --- | --- | --- | --- |",
    ]
    for tolerance in TOLERANCES:
        kernel = PointKernel(Euclidean(3), 29, tolerance=tolerance)
        count, misfits, names = 0, [torch.zeros(1, dtype=torch.float64)], Counter[str]()
        for x in parts:
            symmetric = (kernel.entropy(x) > 1e-6).nonzero().squeeze(1)
            count += len(symmetric)
            some = x.select(symmetric)
            order = kernel.entropy(some).exp()
            few = some.select((order < 1025).nonzero().squeeze(1))
            misfits.append(kernel.misfit(few).double())
            try:
                names.update(kernel.point_groups(few))
            except ValueError:
                names["none"] += 1
        every = torch.cat(misfits)
        shares.append(100 * count / COUNT)
        worst.append(float(every.quantile(0.99)))
        groups = ", ".join(f"{name} {number}" for name, number in names.most_common(5))
        lines.append(f"| {tolerance:g} | {shares[-1]:.1f} % | {worst[-1]:.3f} | {groups} |")
        print(lines[-1], flush=True)
    runs.write_text(OUT / "table.md", "\n".join(lines) + "\n")
    figure, axis = plt.subplots(figsize=PLAIN, layout="constrained")
    axis.plot(TOLERANCES, shares, marker="o", color=SYMPE)
    axis.set(xscale="log", ylim=(0, None), xlabel="tolerance (Å)", ylabel="molecules with a non-trivial stabilizer (%)")
    axis.set_title(f"Raw geometries of QM9, {COUNT:,} molecules")
    print(save(figure, OUT / "tolerance.png"))


if __name__ == "__main__":
    main()
