"""What of a ``Data`` is the cloud of points."""

from __future__ import annotations

from torch_geometric.data import Data, HeteroData

from sympe.graphs import Clouds
from sympe.graphs.attributes import sizes_of, table


def to_clouds(data: Data, *, type_attr: str | None = "z", vector_attr: str | None = None) -> Clouds:
    """The clouds of a ``Data`` with ``pos``, also with a ``batch`` vector, or a ``Batch``.

    Edges and other attributes are not looked at. With ``x = to_clouds(data)``, ``encoding(x)[x.mask]`` are features in
    the order of the points of the batch.

    Arguments:
        data: one cloud, or a batch of them.
        type_attr: the attribute with integers that tell points apart, ``(points,)``; where "z" is absent, or with None,
            all points are alike.
        vector_attr: the attribute with vectors at the points, ``(points, d)`` or ``(points, channels, d)``.

    Raises:
        TypeError: if ``data`` is no ``Data``, or an attribute no table of numbers.
        ValueError: if it has no ``pos``, or an attribute is absent that is not the default, or does not fit.

    Example:
        >>> import torch
        >>> from torch_geometric.data import Batch
        >>> one = Data(pos=torch.zeros(2, 3), z=torch.tensor([6, 8]))
        >>> to_clouds(Batch.from_data_list([one, one]))
        Clouds(2 of 2 points in space, padded to 2)
    """
    if isinstance(data, HeteroData) or not isinstance(data, Data):
        raise TypeError(f"data: expected a torch_geometric Data or Batch, got {type(data).__name__}")
    attributes = data.to_dict()
    if attributes.get("pos") is None:
        raise ValueError("data: expected positions in pos, got none")
    for argument, name, default in (("type_attr", type_attr, "z"), ("vector_attr", vector_attr, None)):
        if name not in (None, default) and attributes.get(name) is None:
            raise ValueError(f"{argument}: expected one of {', '.join(sorted(attributes))}; got {name!r}")
    positions = table("pos", attributes["pos"])
    types = attributes.get(type_attr) if type_attr else None
    vectors = attributes.get(vector_attr) if vector_attr else None
    return Clouds.from_flat(
        positions,
        sizes_of(attributes, len(positions)),
        None if types is None else table(str(type_attr), types).reshape(len(positions), -1).squeeze(1),
        vectors=None if vectors is None else table(str(vector_attr), vectors).to(positions.dtype),
    )
