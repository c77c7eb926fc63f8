"""Freeze the canonical forms in use, with the graphs themselves, in ``forms.npz``.

Row r of a trained v belongs to place r of the canonical form gamma(x) = g^-1 x: the released model ``qm9-small`` and
all rows under ``results/`` mean the places that GraphKernel gave when they were trained. Every form is as exact as any
other, so no law notices when another one comes; the file does. It has 500 graphs of each kind that the experiments
give to the kernel, with the colours that they have there:

- ``qm9``, ``qm9-h``: the first test molecules, without and with hydrogens;
- ``qm9-marginal``, ``qm9-absorbing``: those of ``qm9`` under noise, a hundred at each of t = T/5, ..., T;
- ``er``, ``community``: the test graphs of the autoencoder,
- ``regular``: eighty random cubic graphs, in which the search meets branches that are not alike,

and for each graph and node order the first four bytes of the SHA-256 of its form. Forms are those of graphs without
padding. The file needs neither RDKit nor the packages of data, nor any random numbers, to be read. To make it again:

    python -m tests.frozen.make_forms --overwrite

That is right where a dataset or an order is added. To make it again because a form has changed disowns every v that
was trained before.
"""

from __future__ import annotations

import argparse
import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import networkx as nx
import numpy as np
import torch
from torch import Tensor

from sympe.graphs import DenseGraphs
from sympe.kernels import GraphKernel

FORMS = Path(__file__).with_name("forms.npz")
COUNT = 500
TIMES = 5
ORDERS = ("refined", "degree", "breadth-first", "depth-first", "fiedler", "bliss")

Canonicalize = Callable[[DenseGraphs], Tensor]


class Frozen(NamedTuple):
    """Graphs as one padded batch, the degree of their kernel, and the digests of their forms by node order."""

    graphs: DenseGraphs
    max_nodes: int
    digests: dict[str, np.ndarray]


def digests(x: DenseGraphs, g: Tensor) -> np.ndarray:
    """The first four bytes of the SHA-256 of size, node colours and pair colours (row by row) of every g^-1 x.

    All of them are hashed as little-endian numbers of 64 bits, without padding. The form is read off here, where node
    r of it is node g[r] of x, so that no more of the library than the kernel takes part.
    """
    found = []
    for n, order, colors, pairs in zip(x.sizes.tolist(), g.numpy(), x.colors.numpy(), x.pairs.numpy(), strict=True):
        chosen = order[:n]
        assert np.array_equal(np.sort(chosen), np.arange(n)), f"no permutation of {n} nodes: {chosen.tolist()}"
        assert np.array_equal(order[n:], np.arange(n, len(order))), "padding moved"
        form = (np.array(n), colors[chosen], pairs[np.ix_(chosen, chosen)])
        content = b"".join(part.astype("<i8").tobytes() for part in form)
        found.append(int.from_bytes(hashlib.sha256(content).digest()[:4], "little"))
    return np.array(found, dtype=np.uint32)


def by_size(x: DenseGraphs) -> Iterator[tuple[Tensor, DenseGraphs]]:
    """The graphs of each size, and which they are: batches without padding."""
    for n in x.sizes.unique().tolist():
        rows = (x.sizes == n).nonzero().squeeze(1)
        yield rows, DenseGraphs(x.pairs[rows, :n, :n], x.colors[rows, :n], x.mask[rows, :n])


def unpadded_digests(x: DenseGraphs, canonicalize: Canonicalize) -> np.ndarray:
    """The digests of all forms, of graphs that are given without padding."""
    found = np.zeros(len(x), dtype=np.uint32)
    for rows, part in by_size(x):
        found[rows.numpy()] = digests(part, canonicalize(part))
    return found


def read_forms(path: Path = FORMS) -> dict[str, Frozen]:
    """Everything in the file, by dataset."""
    with np.load(path) as stored:
        arrays = dict(stored)
    return {name: _unpacked(_below(arrays, name)) for name in dict.fromkeys(key.split("/")[0] for key in arrays)}


def write_forms(frozen: dict[str, Frozen], path: Path, *, overwrite: bool) -> None:
    """Write the file whole or not at all.

    Raises:
        FileExistsError: if it is there, unless ``overwrite``.
    """
    if path.exists() and not overwrite:
        raise FileExistsError(f"{path} is there, and trained vectors mean its forms; --overwrite replaces it")
    content = io.BytesIO()
    packed = {f"{name}/{key}": value for name, one in frozen.items() for key, value in _packed(one).items()}
    np.savez_compressed(content, **packed)
    aside = path.with_name(f".{path.name}.partial")
    try:
        aside.write_bytes(content.getvalue())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _packed(frozen: Frozen) -> dict[str, np.ndarray]:
    """Small integers: colours as places in a table of the distinct ones, pairs of nodes i < j graph by graph."""
    x = frozen.graphs
    assert torch.equal(x.pairs, x.pairs.transpose(1, 2)), "a directed graph"
    assert not bool(x.pairs.diagonal(dim1=1, dim2=2).any()), "a self-loop"
    assert int(x.sizes.min()) > 0, "an empty graph"
    assert int(x.sizes.max()) <= frozen.max_nodes < 256
    color_table, colors = np.unique(x.colors[x.mask].numpy(), return_inverse=True)
    pair_table, pairs = np.unique(x.pairs[_upper(x.mask)].numpy(), return_inverse=True)
    assert max(len(color_table), len(pair_table)) <= 256, "more colours than a byte can count"
    return {
        "max_nodes": np.array(frozen.max_nodes, dtype=np.uint8),
        "sizes": x.sizes.numpy().astype(np.uint8),
        "color_table": color_table,
        "colors": colors.astype(np.uint8),
        "pair_table": pair_table,
        "pairs": pairs.astype(np.uint8),
        **{f"digests/{order}": digest for order, digest in frozen.digests.items()},
    }


def _unpacked(arrays: dict[str, np.ndarray]) -> Frozen:
    sizes = torch.from_numpy(arrays["sizes"].astype(np.int64))
    n = int(sizes.max())
    mask = torch.arange(n) < sizes[:, None]
    colors = torch.zeros(len(sizes), n, dtype=torch.int64)
    pairs = torch.zeros(len(sizes), n, n, dtype=torch.int64)
    colors[mask] = torch.from_numpy(arrays["color_table"][arrays["colors"]])
    pairs[_upper(mask)] = torch.from_numpy(arrays["pair_table"][arrays["pairs"]])
    x = DenseGraphs(pairs + pairs.transpose(1, 2), colors, mask)
    return Frozen(x, int(arrays["max_nodes"]), _below(arrays, "digests"))


def _upper(mask: Tensor) -> Tensor:
    return (mask[:, :, None] & mask[:, None]).triu(1)


def _below(arrays: dict[str, np.ndarray], folder: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(f"{folder}/"): value for key, value in arrays.items() if key.startswith(f"{folder}/")}


def graphs_in_use() -> dict[str, tuple[DenseGraphs, int]]:
    """The graphs as the experiments give them to the kernel, and the kernel's degree."""
    # not above: the tests import this file, and must not need RDKit
    from sympe.experiments.autoencoder.config import MAX_NODES
    from sympe.experiments.autoencoder.data import dataset
    from sympe.experiments.molecules.config import MoleculesConfig
    from sympe.experiments.molecules.model import MoleculeModel, Statistics
    from sympe.experiments.molecules.reading import load_splits
    from sympe.randomness import seeded

    found = {}
    first = torch.arange(COUNT)
    for name in ("qm9", "qm9-h"):
        train, test = load_splits(name, ["train", "test"])
        clean, statistics = test.graphs(first), Statistics.of(train)
        found[name] = clean, MoleculeModel(MoleculesConfig(dataset=name), statistics).max_nodes
        for transition in ("marginal", "absorbing") if name == "qm9" else ():
            model = MoleculeModel(MoleculesConfig(dataset=name, transition=transition), statistics)
            t = model.noise.steps * (1 + first * TIMES // COUNT) // TIMES
            generator = seeded("frozen forms", name, transition)
            found[f"{name}-{transition}"] = model.noise.sample(clean, t, generator=generator), model.max_nodes
    cubic = [
        nx.to_numpy_array(nx.random_regular_graph(3, 8 + 2 * (seed % 4), seed=seed), dtype=int) for seed in range(80)
    ]
    sizes = torch.tensor([len(one) for one in cubic])
    pairs = torch.zeros(len(cubic), 14, 14, dtype=torch.int64)
    for row, one in enumerate(cubic):
        pairs[row, : len(one), : len(one)] = torch.from_numpy(one)
    found["regular"] = DenseGraphs.from_features(pairs, None, torch.arange(14) < sizes[:, None]), 14
    return found | {name: (dataset(name, "test"), MAX_NODES[name]) for name in ("er", "community")}


def main() -> None:
    """Make the file."""
    parser = argparse.ArgumentParser(description="Freeze the canonical forms in use.")
    parser.add_argument("--overwrite", action="store_true", help="replace the file, and disown what was trained")
    overwrite = parser.parse_args().overwrite
    if FORMS.exists() and not overwrite:  # before the work, too
        parser.error(f"{FORMS} is there, and trained vectors mean its forms; --overwrite replaces it")
    frozen = {}
    for name, (x, max_nodes) in graphs_in_use().items():
        kernels = {order: GraphKernel(max_nodes, order=order) for order in ORDERS}
        by_order = {order: unpadded_digests(x, kernel.canonicalize) for order, kernel in kernels.items()}
        frozen[name] = Frozen(x, max_nodes, by_order)
    write_forms(frozen, FORMS, overwrite=overwrite)


if __name__ == "__main__":
    main()
