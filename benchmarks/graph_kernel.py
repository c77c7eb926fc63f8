"""The exact kernel of S_n: 1,024 QM9 molecules against a loop over pynauty, and one graph of a million nodes."""

from __future__ import annotations

import random
import resource
import time
from pathlib import Path

import pynauty
import torch
from rdkit import Chem
from torch import Tensor

from benchmarks.timing import side_by_side
from sympe.graphs import DenseGraphs, SparseGraphs
from sympe.kernels import GraphKernel

SAMPLE = Path(__file__).parents[1] / "tests" / "data" / "qm9-sample.smi"


def molecules(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Heavy-atom graphs of QM9: colours of bonds (batch, 9, 9), of atoms (batch, 9), and the mask."""
    pairs = torch.zeros(count, 9, 9, dtype=torch.int64)
    atoms = torch.zeros(count, 9, dtype=torch.int64)
    mask = torch.zeros(count, 9, dtype=torch.bool)
    for row, line in enumerate(SAMPLE.read_text().splitlines()[:count]):
        molecule = Chem.MolFromSmiles(line.split()[0])
        for atom in molecule.GetAtoms():
            atoms[row, atom.GetIdx()] = atom.GetAtomicNum()
        for bond in molecule.GetBonds():
            i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
            pairs[row, i, j] = pairs[row, j, i] = int(bond.GetBondType())
        mask[row, : molecule.GetNumAtoms()] = True
    return pairs, atoms, mask


def sample_with_pynauty(pairs: Tensor, atoms: Tensor, mask: Tensor, shuffle: random.Random) -> Tensor:
    """The same law, one graph at a time: Haar relabelling, bonds as coloured nodes, canonical labelling."""
    drawn = []
    for bonds, colors, real in zip(pairs.tolist(), atoms.tolist(), mask.tolist(), strict=True):
        n, padded = sum(real), len(real)
        u = list(range(n))
        shuffle.shuffle(u)
        cells: dict[tuple[int, int], set[int]] = {}
        for i in range(n):
            cells.setdefault((0, colors[i]), set()).add(u[i])
        neighbours, bond = {}, n
        for i in range(n):
            for j in range(i + 1, n):
                if bonds[i][j]:
                    neighbours[bond] = [u[i], u[j]]
                    cells.setdefault((1, bonds[i][j]), set()).add(bond)
                    bond += 1
        coloring = [cells[color] for color in sorted(cells)]
        graph = pynauty.Graph(bond, adjacency_dict=neighbours, vertex_coloring=coloring)
        back = [0] * n
        for i, place in enumerate(u):
            back[place] = i
        drawn.append([back[node] for node in pynauty.canon_label(graph) if node < n] + list(range(n, padded)))
    return torch.tensor(drawn)


def main() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    pairs, atoms, mask = molecules(1024)
    kernel = GraphKernel(max_nodes=9, order="refined")  # a canonical labelling and no more, as pynauty's
    shuffle = random.Random(0)
    ours, theirs, ratio = side_by_side(
        lambda: kernel.sample(DenseGraphs.from_features(pairs, atoms, mask)),
        lambda: sample_with_pynauty(pairs, atoms, mask, shuffle),
        rounds=15,
    )
    print(f"1,024 molecules, one thread, us a graph: sympe {ours / 1.024:.1f}, loop over pynauty {theirs / 1.024:.1f}")
    print(f"sympe / pynauty = {ratio:.3f} (goal: at most 0.2)")
    nodes, edges = 10**6, 5 * 10**6
    ends = torch.randint(nodes, (2, edges), generator=torch.Generator().manual_seed(0))
    ends = ends[:, ends[0] != ends[1]]
    start = time.perf_counter()
    x = SparseGraphs.from_features(torch.cat([ends, ends.flip(0)], 1), torch.tensor([nodes]))
    built = time.perf_counter()
    GraphKernel(max_nodes=nodes, order="refined").sample(x, generator=torch.Generator().manual_seed(0))
    done = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"one random graph of 10^6 nodes and 5 * 10^6 edges, one thread: {built - start:.1f} s to read the arcs, "
        f"{done - built:.1f} s to sample, {peak:.1f} GiB at most in this process (goal: 30 s, 6 GiB)"
    )
    torch.set_num_threads(threads)


if __name__ == "__main__":
    main()
