"""The groups and the actions over which the laws are tested; `test_base` of each room asserts completeness."""

from __future__ import annotations

import inspect
from types import ModuleType

import numpy as np
import torch

from sympe.actions import (
    Action,
    ArrayAction,
    BondAction,
    DiagonalAction,
    DirectSum,
    EdgeAction,
    FactorAction,
    FiniteAction,
    GlobalVectorAction,
    GridAction,
    ImageAction,
    MatrixAction,
    NodeAction,
    PermutationAction,
    PointAction,
    RegularAction,
    ScalarAction,
    TorusAction,
    TrivialAction,
    VectorAction,
)
from sympe.groups import (
    P4M,
    Cyclic,
    Dihedral,
    DirectProduct,
    Euclidean,
    FiniteGroup,
    Group,
    Isometries,
    Orthogonal,
    Permutations,
    Product,
    SpecialEuclidean,
    SpecialOrthogonal,
    generate_matrices,
)
from tests import oracles

QUATERNION_PERMUTATIONS = [[1, 2, 3, 0, 5, 6, 7, 4], [4, 7, 6, 5, 2, 1, 0, 3]]
QUATERNION_MATRICES = [torch.from_numpy(oracles.left_multiplication(q)) for q in ((0, 1, 0, 0), (0, 0, 1, 0))]


def symmetric_generators(degree: int) -> list[list[int]]:
    """A transposition and a cycle of all points, which generate the symmetric group."""
    return [[1, 0, *range(2, degree)], [*range(1, degree), 0]]


def symmetric(degree: int) -> FiniteGroup:
    return FiniteGroup.from_permutations(symmetric_generators(degree))


QUATERNIONS = {
    "Q8 from permutations": FiniteGroup.from_permutations(QUATERNION_PERMUTATIONS),
    "Q8 from matrices": FiniteGroup.from_matrices(QUATERNION_MATRICES),
    "Q8 from a table": FiniteGroup.from_table(
        oracles.cayley_table(oracles.quaternion_units(), oracles.hamilton).tolist()
    ),
}
Q8 = QUATERNIONS["Q8 from permutations"]
PRODUCTS = {
    str(i): Product(*factors)
    for i, factors in enumerate(
        [
            (Cyclic(1), Cyclic(1)),
            (Cyclic(7),),
            (Cyclic(2), Cyclic(2)),
            (Cyclic(3), Cyclic(4)),
            (Cyclic(5), Cyclic(5)),
            (Cyclic(12), Cyclic(16)),
            (Cyclic(8), Cyclic(25)),
            (Cyclic(1), Dihedral(5)),
            (Dihedral(3), Dihedral(3)),
            (Dihedral(4), Cyclic(3)),
            (Dihedral(4), Q8),
            (Q8, Cyclic(2)),
            (Q8, Dihedral(12)),
            (symmetric(3), symmetric(3)),
            (symmetric(4), Cyclic(8)),
            (symmetric(5), Cyclic(1)),
            (P4M(1), Cyclic(24)),
            (P4M(2), Cyclic(6)),
            (P4M(2), Dihedral(3)),
            (Cyclic(2), Dihedral(3), Cyclic(5)),
            (Product(Cyclic(2), Cyclic(3)), Dihedral(4)),
        ]
    )
}
GROUPS: dict[str, FiniteGroup] = {
    **{f"C_{n}": Cyclic(n) for n in range(1, 25)},
    **{f"D_{n}": Dihedral(n) for n in range(1, 13)},
    **{f"S_{n}": symmetric(n) for n in range(2, 6)},
    **QUATERNIONS,
    **{" x ".join(map(repr, g.factors)) + f" #{i}": g for i, g in PRODUCTS.items()},
    **{f"P4M({n})": P4M(n) for n in range(1, 7)},
}
# Groups whose elements are tensors.
PERMUTATIONS: dict[str, Permutations] = {f"Permutations({n})": Permutations(n) for n in range(1, 7)}
# Groups whose elements are tensors of floats, and products of groups of tensors.
ISOMETRIES: dict[str, Isometries] = {
    repr(group): group
    for kind in (Orthogonal, SpecialOrthogonal, Euclidean, SpecialEuclidean)
    for group in (kind(2), kind(3))
}
DIRECT: dict[str, DirectProduct] = {
    **{
        " x ".join(f"S_{n}" for n in degrees): DirectProduct(*map(Permutations, degrees))
        for degrees in ((3,), (2, 2), (2, 3), (3, 4), (1, 2, 1, 3))
    },
    "D_3 x S_2": DirectProduct(Dihedral(3), Permutations(2)),
    **{f"{name} x S_4": DirectProduct(group, Permutations(4)) for name, group in ISOMETRIES.items()},
    "O(2) x O(3)": DirectProduct(Orthogonal(2), Orthogonal(3)),
}
EVERY_GROUP: dict[str, Group] = {**GROUPS, **PERMUTATIONS, **ISOMETRIES, **DIRECT}


def rotations(n: int) -> MatrixAction:
    """D_n on the plane."""
    matrices = np.stack([oracles.plane_rotation(n, g % n, g // n) for g in range(2 * n)])
    return MatrixAction(Dihedral(n), torch.from_numpy(matrices).float())


def signs(n: int) -> MatrixAction:
    """C_n, n even, on one number: odd powers of r flip its sign."""
    return MatrixAction(Cyclic(n), (-1.0) ** torch.arange(n).view(n, 1, 1))


def quaternion_matrices() -> MatrixAction:
    """Q8 on the quaternions by multiplication from the left."""
    return MatrixAction(QUATERNIONS["Q8 from matrices"], generate_matrices(QUATERNION_MATRICES).float())


def signed_permutations() -> MatrixAction:
    """All 48 symmetries of a cube: permutations of three numbers, each with any sign."""
    generators = [
        torch.eye(3)[[1, 0, 2]],
        torch.eye(3)[[1, 2, 0]],
        torch.diag(torch.tensor([-1.0, 1.0, 1.0])),
    ]
    return MatrixAction(FiniteGroup.from_matrices(generators), generate_matrices(generators).float())


def rows_and_columns(rows: int, columns: int) -> tuple[PermutationAction, Product]:
    """S_rows x S_columns on the entries of one matrix: two factors that act on the *same* data."""
    p = PermutationAction.generate(symmetric_generators(rows))
    q = PermutationAction.generate(symmetric_generators(columns))
    group = Product(p.group, q.group)
    a, b = group.components(group.elements())
    # the image of point i under g is where the action puts the indicator of i
    row = p(a[:, None], torch.eye(rows).unsqueeze(1)).squeeze(2).argmax(2)
    column = q(b[:, None], torch.eye(columns).unsqueeze(1)).squeeze(2).argmax(2)
    images = (row[:, :, None] * columns + column[:, None, :]).flatten(1)
    return PermutationAction(group, images), group


def factors() -> DirectSum:
    """S_3 x D_3, each on its own three numbers."""
    group = Product(symmetric(3), Dihedral(3))
    natural = PermutationAction.generate(symmetric_generators(3))
    corners = PermutationAction(Dihedral(3), torch.tensor(dihedral_permutations(3)))
    return DirectSum(FactorAction(group, 0, natural), FactorAction(group, 1, corners))


def mixed_factors() -> DirectSum:
    """Q8 x C_2, each on its own vector, neither by permutations."""
    quaternions, flip = quaternion_matrices(), signs(2)
    group = Product(quaternions.group, flip.group)
    return DirectSum(FactorAction(group, 0, quaternions), FactorAction(group, 1, flip))


def image_and_arrow() -> DiagonalAction:
    """D_4 on an image and on a vector."""
    return DiagonalAction(ImageAction(Dihedral(4), 1, 3), rotations(4))


def image_and_corners() -> DiagonalAction:
    """D_4 on an image and on four points."""
    points = PermutationAction(Dihedral(4), torch.tensor(dihedral_permutations(4)))
    return DiagonalAction(ImageAction(Dihedral(4), 1, 3), points)


def dihedral_permutations(n: int) -> list[list[int]]:
    """r^k m^s on the corners of an n-gon: m sends i to -i, r to i + 1."""
    return [[((-1) ** s * i + k) % n for i in range(n)] for s in range(2) for k in range(n)]


def ising(size: int) -> DirectSum:
    """Bonds, then the field."""
    group = P4M(size)
    return DirectSum(BondAction(group), GridAction(group))


# Actions that permute entries, each with an independent table of images: images[g, e] is where entry e goes.
PERMUTING: dict[str, tuple[FiniteAction, np.ndarray]] = {
    **{f"sites of P4M({n})": (GridAction(P4M(n)), oracles.site_images(n)) for n in range(1, 7)},
    **{f"bonds of P4M({n})": (BondAction(P4M(n)), oracles.bond_images(n)) for n in range(1, 7)},
    **{
        f"bonds and field of P4M({n})": (
            ising(n),
            oracles.direct_sum_images(oracles.bond_images(n), oracles.site_images(n)),
        )
        for n in range(1, 7)
    },
    "two fields of P4M(3)": (
        GridAction(P4M(3), 2),
        oracles.direct_sum_images(oracles.site_images(3), oracles.site_images(3)),
    ),
    **{f"P4M({n}) on itself": (RegularAction(P4M(n)), oracles.p4m_table(n)) for n in range(1, 4)},
    **{
        f"{type(group).__name__}({group.n}) on {side} x {side} images": (
            ImageAction(group, 1, side),
            oracles.image_images(group.n, group.order, side, side),
        )
        for group in (Cyclic(1), Cyclic(2), Cyclic(4), Dihedral(1), Dihedral(2), Dihedral(4))
        for side in (1, 2, 3, 4)
    },
    **{
        f"{type(group).__name__}({group.n}) on {a} x {b} images": (
            ImageAction(group, 1, (a, b)),
            oracles.image_images(group.n, group.order, a, b),
        )
        for group in (Cyclic(1), Cyclic(2), Dihedral(1), Dihedral(2))
        for a, b in ((1, 2), (3, 2), (2, 4))
    },
    **{
        f"signals of {group!r}": (TorusAction(group), oracles.torus_images((group.n, isinstance(group, Dihedral))))
        for group in (Cyclic(1), Cyclic(5), Dihedral(1), Dihedral(2), Dihedral(5), Dihedral(6))
    },
    **{
        f"{a} x {b} torus, {'reflected' if reflected else 'shifted'}": (
            TorusAction(Product(*((Dihedral if reflected else Cyclic)(n) for n in (a, b)))),
            oracles.torus_images((a, reflected), (b, reflected)),
        )
        for a, b in ((2, 3), (3, 4), (1, 3))
        for reflected in (False, True)
    },
    "torus of three axes": (
        TorusAction(Product(Cyclic(2), Dihedral(3), Cyclic(2))),
        oracles.torus_images((2, False), (3, True), (2, False)),
    ),
    **{
        f"corners of the {n}-gon": (
            PermutationAction(Dihedral(n), torch.tensor(dihedral_permutations(n))),
            np.array(dihedral_permutations(n)),
        )
        for n in (3, 4, 6)
    },
    "an image and the corners of its frame": (
        image_and_corners(),
        oracles.direct_sum_images(oracles.image_images(4, 8, 3, 3), np.array(dihedral_permutations(4))),
    ),
    "nothing moves": (TrivialAction(Dihedral(3), (2, 2)), np.tile(np.arange(4), (6, 1))),
}
MIXING: dict[str, FiniteAction] = {
    **{f"D_{n} on the plane": rotations(n) for n in range(1, 13)},
    **{f"signs of C_{n}": signs(n) for n in (2, 6, 24)},
    "Q8 on quaternions": quaternion_matrices(),
    "signed permutations": signed_permutations(),
    "plane and sign": DirectSum(
        rotations(3),
        TrivialAction(Dihedral(3), (1,)),
        MatrixAction(Dihedral(3), torch.tensor([1.0, 1, 1, -1, -1, -1]).view(6, 1, 1)),
    ),
    "Q8 x C_2, a factor each": mixed_factors(),
    "an image and an arrow": image_and_arrow(),
}
ACTIONS: dict[str, FiniteAction] = {
    **{name: action for name, (action, _) in PERMUTING.items()},
    **MIXING,
    **{f"S_{n} on points": PermutationAction.generate(symmetric_generators(n)) for n in range(2, 6)},
    "Q8 on 8 points, 2 channels": PermutationAction.generate(QUATERNION_PERMUTATIONS, channels=2),
    "S_3 on itself, 3 channels": RegularAction(symmetric(3), 3),
    "C_4 x C_3 on itself": RegularAction(Product(Cyclic(4), Cyclic(3))),
    "S_3 x D_3, a factor each": factors(),
    "D_3 of S_3 x D_3": factors().parts[1],
    "rows and columns of a matrix": rows_and_columns(2, 3)[0],
    "images in 2 channels": ImageAction(Dihedral(4), 2, 3),
    "wide images in 2 channels": ImageAction(Dihedral(2), 2, (2, 3)),
    "a torus in 2 channels": TorusAction(Product(Dihedral(3), Cyclic(2)), 2),
}
GRAPH_ACTIONS: dict[str, NodeAction | EdgeAction | ArrayAction] = {
    **{
        f"axes of {degrees} arrays, {channels} channels": ArrayAction(
            DirectProduct(*map(Permutations, degrees)), channels
        )
        for degrees in ((1, 3), (2, 2), (3, 2), (2, 1, 2))
        for channels in (1, 2)
    },
    **{
        f"{name} of {n} nodes, {channels} channels": make(Permutations(n), channels)
        for n in range(1, 6)
        for channels in (1, 3)
        for name, make in (("rows", NodeAction), ("edges", EdgeAction))
    },
}
POINT_ACTIONS: dict[str, Action] = {
    f"{make.__name__} of {group!r}, {n} points": make(DirectProduct(group, Permutations(n)))
    for group in ISOMETRIES.values()
    for n in (1, 4)
    for make in (PointAction, VectorAction, ScalarAction)
} | {
    f"vectors of {group!r}": GlobalVectorAction(group, 2)
    for one in ISOMETRIES.values()
    for group in (one, DirectProduct(one, Permutations(1)), DirectProduct(one, Permutations(4)))
}
EVERY_ACTION: dict[str, Action] = {**ACTIONS, **GRAPH_ACTIONS, **POINT_ACTIONS}


def public_leaves(module: ModuleType, base: type) -> set[type]:
    """The public classes of a room that are not interfaces."""
    classes = (getattr(module, name) for name in module.__all__)
    return {c for c in classes if inspect.isclass(c) and issubclass(c, base) and not inspect.isabstract(c)}


def symmetric_inputs(action: FiniteAction, seed: int = 0) -> torch.Tensor:
    """Inputs of many symmetries for an action that permutes entries: integers in double precision.

    Constant; generic; two- and three-valued; and for random subgroups generated by one or two elements, a field with
    one value for each of their orbits.
    """
    generator = torch.Generator().manual_seed(seed)
    size, group = action.size, action.group
    rows = [torch.zeros(size), torch.randperm(size, generator=generator).double()]
    rows += [torch.randint(values, (size,), generator=generator).double() for values in (2, 2, 3)]
    entries = torch.arange(size)
    for count in (1, 1, 2):
        labels = torch.randperm(size, generator=generator)
        for g in group.sample((count,), generator=generator):
            image = action.source(g, entries)
            while not torch.equal(labels, least := labels.minimum(labels[image])):
                labels = least
        rows.append(labels.double())
    return torch.stack([row.double() for row in rows]).reshape(-1, *action.shape)


def symmetric_vectors(action: FiniteAction, seed: int = 0) -> torch.Tensor:
    """Inputs for an action that mixes entries: zero, generic, and averages over random cyclic subgroups."""
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.zeros(action.shape), torch.randn(action.shape, generator=generator)]
    group = action.group
    for _ in range(4):
        g = group.sample((), generator=generator)
        powers, power = [group.identity()], g
        while int(power) != 0:
            powers.append(power)
            power = group.compose(power, g)
        rows.append(action(torch.stack(powers), torch.randn(action.shape, generator=generator)).mean(0))
    return torch.stack(rows)


def moved_copies(action: FiniteAction, x: torch.Tensor) -> torch.Tensor:
    """Every input moved by every element: shape (order, batch, ...)."""
    g = action.group.elements()
    return action(g.view(-1, 1), x)
