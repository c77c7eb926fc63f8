"""Clouds from PyTorch Geometric, RDKit and ASE."""

from types import SimpleNamespace

import pytest
import torch
from torch_geometric.data import Batch, Data, HeteroData

from sympe.groups import Euclidean
from sympe.integrations.ase import from_ase
from sympe.integrations.pyg import to_clouds
from sympe.kernels import PointKernel

METHANE = torch.tensor([[0.0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
WATER = torch.tensor([[0.0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])
NUMBERS = ([6, 1, 1, 1, 1], [8, 1, 1])


def test_pyg_ase_and_the_order_of_points() -> None:
    data = [Data(pos=pos, z=torch.tensor(z)) for pos, z in zip((METHANE, WATER), NUMBERS, strict=True)]
    batch = Batch.from_data_list(data)
    x = to_clouds(batch)
    assert torch.equal(x.positions[x.mask], batch.pos)
    assert torch.equal(x.types[x.mask], batch.z)
    kernel = PointKernel(Euclidean(3), 5)
    assert kernel.point_groups(x) == ["Td", "C2v"]
    atoms = [SimpleNamespace(positions=one.pos.numpy(), numbers=one.z.numpy(), pbc=[False] * 3) for one in data]
    assert kernel.point_groups(from_ase(atoms)) == ["Td", "C2v"]
    assert len(from_ase([])) == 0


def test_types_and_vectors_are_those_that_are_named() -> None:
    data = Data(pos=METHANE, kind=torch.tensor([[0], [1], [1], [1], [2]]), force=METHANE * torch.tensor([0.0, 0, 1]))
    kernel = PointKernel(Euclidean(3), 5)
    assert kernel.entropy(to_clouds(data)).exp().round() == 24
    assert kernel.entropy(to_clouds(data, type_attr="kind")).exp().round() == 6
    assert kernel.entropy(to_clouds(data, vector_attr="force")).exp().round() == 8
    for options, message in (
        ({"type_attr": "kinds"}, "type_attr: expected one of .*kind.*; got 'kinds'"),
        ({"vector_attr": "forces"}, "vector_attr: expected one of"),
    ):
        with pytest.raises(ValueError, match=message):
            to_clouds(data, **options)  # type: ignore[arg-type]


@pytest.mark.usefixtures("unchecked")
def test_what_has_no_points_is_refused() -> None:
    with pytest.raises(ValueError, match="data: expected positions in pos, got none"):
        to_clouds(Data(x=METHANE))
    with pytest.raises(TypeError, match="data: expected a torch_geometric Data or Batch, got HeteroData"):
        to_clouds(HeteroData())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"atoms\[0\]: expected positions, numbers and pbc, as ase.Atoms has, got int"):
        from_ase([3])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"atoms\[0\]: expected atoms without periodic directions"):
        from_ase([SimpleNamespace(positions=METHANE, numbers=NUMBERS[0], pbc=[True, False, False])])


def test_conformers_of_rdkit() -> None:
    chem = pytest.importorskip("rdkit.Chem")
    from rdkit.Chem import AllChem

    from sympe.integrations.rdkit import clouds_from_rdkit

    ethane = chem.AddHs(chem.MolFromSmiles("CC"))
    AllChem.EmbedMolecule(ethane, randomSeed=0)
    AllChem.MMFFOptimizeMolecule(ethane)
    assert PointKernel(Euclidean(3), 8, tolerance=0.05).point_groups(clouds_from_rdkit([ethane])) == ["D3d"]
    with pytest.raises(ValueError, match=r"molecules\[1\]: expected a conformer -1, got none"):
        clouds_from_rdkit([ethane, chem.MolFromSmiles("CC")])
