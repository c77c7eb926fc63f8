"""The least RMSD over automorphisms and rotations: 1,000 QM9 molecules with hydrogens, against RDKit and spyrmsd.

The geometry of QM9 against one that RDKit embeds; 500 are the first of QM9, where most symmetric ones are, the others
from all of it. What is timed, on one thread each: from molecules and positions that are there (RDKit's molecules with
their conformers; tensors, and a batch of graphs as ``from_rdkit`` gives it) to the numbers. Both sides list the
automorphisms within that time, and keep none of them from one call to the next. Ours runs in inference mode.
"""

from __future__ import annotations

import importlib.util
import itertools
import time
import warnings
from typing import Any

import numpy as np
import torch
from rdkit import Chem
from rdkit.Chem import rdMolAlign

from benchmarks.timing import side_by_side
from sympe.graphs import DenseGraphs, SparseGraphs
from sympe.losses import symmetric_rmsd as differentiable_rmsd
from tests.losses.make_rmsd import conformer, molecules, with_positions

INDICES = {*range(1, 501), *range(501, 133_886, 220)}
POSES = 16

symmetric_rmsd = torch.inference_mode()(differentiable_rmsd)


def main() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = list(itertools.islice(molecules(INDICES), 1000))
    n = max(len(target) for _, _, target, _ in found)
    z, bonds = torch.zeros(len(found), n).long(), torch.zeros(len(found), n, n).long()
    p, t = torch.zeros(2, len(found), n, 3, dtype=torch.float64)
    pairs = []
    for row, (_, molecule, target, prediction) in enumerate(found):
        size = len(target)
        z[row, :size] = torch.tensor([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
        bonds[row, :size, :size] = torch.from_numpy(2 * Chem.GetAdjacencyMatrix(molecule, useBO=True)).long()
        p[row, :size], t[row, :size] = torch.from_numpy(prediction), torch.from_numpy(target)
        pairs.append((with_positions(molecule, prediction), with_positions(molecule, target)))
    options = {"symmetrizeConjugatedTerminalGroups": False, "maxMatches": 10**7}
    graphs = DenseGraphs.from_features(bonds, z, z > 0).sparse()

    def ours() -> torch.Tensor:
        return symmetric_rmsd(p, t, graphs)

    def rdkit() -> list[float]:
        return [rdMolAlign.GetBestRMS(*pair, **options) for pair in pairs]

    print(f"largest difference from RDKit: {float((ours() - torch.tensor(rdkit())).abs().max()):.1e}")
    mine, theirs, ratio = side_by_side(ours, rdkit)
    print(f"1,000 pairs, one thread: sympe {mine:.0f} ms, GetBestRMS {theirs:.0f} ms")
    print(f"GetBestRMS / sympe = {1 / ratio:.1f} (goal: at least 20)")
    if torch.cuda.is_available():
        parts = p.cuda(), t.cuda(), graphs.to("cuda")

        def there() -> torch.Tensor:  # to be back on the CPU is part of it
            return symmetric_rmsd(*parts).cpu()

        print(f"largest difference between devices: {float((there() - ours()).abs().max()):.1e}")
        mine, theirs, ratio = side_by_side(there, rdkit)
        print(f"{torch.cuda.get_device_name()}: sympe {mine:.0f} ms, GetBestRMS on one core {theirs:.0f} ms")
        print(f"GetBestRMS / sympe = {1 / ratio:.1f}")

    conformers(found, p, t, graphs, options)
    if importlib.util.find_spec("spyrmsd") is None:
        print("spyrmsd is not installed, and left out: pip install spyrmsd rustworkx")
    else:
        against_spyrmsd(p, t, z, bonds)
    torch.set_num_threads(threads)


def conformers(
    found: list[Any], p: torch.Tensor, t: torch.Tensor, graphs: SparseGraphs, options: dict[str, Any]
) -> None:
    """Noisy conformers of every fifth molecule: each against the geometry of QM9, then all against all of one."""
    some = torch.arange(0, len(found), 5)
    noise = torch.randn(len(found), POSES, *p.shape[1:], generator=torch.Generator().manual_seed(0), dtype=p.dtype)
    posed = (p[:, None] + 0.3 * noise)[some]
    t, graphs = t[some], graphs.select(some)
    molecules = []
    for row, poses in zip(some.tolist(), posed.numpy(), strict=True):
        molecule = Chem.Mol(found[row][1])
        molecule.RemoveAllConformers()
        for positions in poses:
            molecule.AddConformer(conformer(positions[: len(found[row][2])]), assignId=True)
        molecules.append((molecule, with_positions(molecule, found[row][2])))
    mine, theirs, ratio = side_by_side(
        lambda: symmetric_rmsd(posed, t, graphs),
        lambda: [rdMolAlign.GetBestRMS(*pair, k, **options) for pair in molecules for k in range(POSES)],
        rounds=3,
    )
    print(f"{POSES} conformers of each of {len(some)} molecules: sympe {mine:.0f} ms, GetBestRMS {theirs:.0f} ms")
    print(f"GetBestRMS / sympe = {1 / ratio:.1f}")

    others = (
        torch.arange(POSES)[:, None] + torch.arange(1, POSES // 2 + 1)
    ) % POSES  # each pair once, but opposite ones

    def all_pairs() -> torch.Tensor:
        repeated = graphs.select(torch.arange(len(some)).repeat_interleave(POSES))
        return symmetric_rmsd(posed[:, others].flatten(0, 1), posed.flatten(0, 1), repeated)

    mine, theirs, ratio = side_by_side(
        all_pairs,
        lambda: [rdMolAlign.GetAllConformerBestRMS(molecule, numThreads=1, **options) for molecule, _ in molecules],
        rounds=2,
    )
    print(f"all pairs of {POSES} conformers of each: sympe {mine:.0f} ms, GetAllConformerBestRMS {theirs:.0f} ms")
    print(f"GetAllConformerBestRMS / sympe = {1 / ratio:.1f}")


def against_spyrmsd(p: torch.Tensor, t: torch.Tensor, z: torch.Tensor, bonds: torch.Tensor) -> None:
    """One round, for it takes minutes. It does not tell kinds of bonds apart."""
    from spyrmsd.rmsd import symmrmsd

    adjacent = (bonds > 0).long()
    given = []
    for row, size in enumerate((z > 0).sum(1).tolist()):
        kinds, edges = z[row, :size].numpy(), adjacent[row, :size, :size].numpy()
        given.append((t[row, :size].numpy(), p[row, :size].numpy(), kinds, kinds, edges, edges))
    graphs = DenseGraphs.from_features(adjacent, z, z > 0).sparse()
    symmetric_rmsd(p, t, graphs)
    start = time.perf_counter()
    found = symmetric_rmsd(p, t, graphs)
    between = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = np.array([symmrmsd(*one, minimize=True) for one in given])
    end = time.perf_counter()
    print(f"largest difference from spyrmsd: {np.abs(found.numpy() - theirs).max():.1e}")
    print(f"sympe {1e3 * (between - start):.0f} ms, spyrmsd {1e3 * (end - between):.0f} ms")
    print(f"spyrmsd / sympe = {(end - between) / (between - start):.0f} (goal: at least 20)")


if __name__ == "__main__":
    main()
