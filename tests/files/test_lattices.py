"""Fields on lattices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.files.reading import orders, read


def test_npz(tmp_path: Path) -> None:
    fields = np.zeros((2, 3, 4, 4))
    fields[1, 0, 0, 0] = np.nan
    np.savez(tmp_path / "a.npz", fields=fields, spins=np.ones((2, 4, 4)), short=np.ones((1, 4, 4)))
    report = read(tmp_path / "a.npz", node_targets="spins")
    assert orders(report) == [128]
    assert [bad.name for bad in report.bad] == ["a.npz[1]"]
    with pytest.raises(ValueError, match=r"expected one of fields, spins, short in \S*a\.npz; got y"):
        read(tmp_path / "a.npz", node_targets="y")
    with pytest.raises(ValueError, match="node_targets: expected one target a site"):
        read(tmp_path / "a.npz", node_targets="short")
    np.savez(tmp_path / "b.npz", other=fields)
    with pytest.raises(ValueError, match='expected an array "fields"'):
        read(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", fields=fields[:, :, :3])
    with pytest.raises(
        ValueError, match=r"fields: expected shape \(batch, channels, L, L\) in \S*c\.npz, got \(2, 3, 3, 4\)"
    ):
        read(tmp_path / "c.npz")
    for shape in ((2, 0, 3, 3), (2, 1, 0, 0)):
        np.savez(tmp_path / "c.npz", fields=np.zeros(shape))
        with pytest.raises(
            ValueError, match=r"fields: expected shape \(batch, channels, L, L\) in \S*c\.npz, got \(2,"
        ):
            read(tmp_path / "c.npz")
    (tmp_path / "d.npz").write_text("nothing")
    with pytest.raises(ValueError, match="is no npz file"):
        read(tmp_path / "d.npz")
    with (tmp_path / "e.npz").open("wb") as file:
        np.save(file, fields)
    with pytest.raises(ValueError, match="is no npz file"):
        read(tmp_path / "e.npz")
    np.savez(tmp_path / "f.npz", fields=fields.astype(complex))
    with pytest.raises(ValueError, match=r"fields: expected real numbers in \S*f\.npz, got complex128"):
        read(tmp_path / "f.npz")
    np.savez(tmp_path / "g.npz", fields=fields, words=fields.astype(str))
    with pytest.raises(ValueError, match=r"words: expected real numbers in \S*g\.npz, got <U"):
        read(tmp_path / "g.npz", node_targets="words")


def test_three_channels_are_scalars_on_request(tmp_path: Path) -> None:
    """Bonds to the right that differ from those upwards have no rotation by 90 degrees; scalars have."""
    fields = np.broadcast_to(np.array([1.0, 2.0, 3.0])[:, None, None], (3, 4, 4))
    np.savez(tmp_path / "a.npz", fields=fields[None])
    assert orders(read(tmp_path / "a.npz")) == [64]
    assert orders(read(tmp_path / "a.npz", three_channels="scalars")) == [128]


def test_targets_of_any_shape(tmp_path: Path) -> None:
    fields = np.zeros((4, 1, 4, 4))
    half = np.broadcast_to(np.arange(4) % 2, (4, 4, 4)).copy()
    np.savez(tmp_path / "a.npz", fields=fields, flat=half, one=half[:, None], row=half[0], scalar=np.array(3))
    for name in ("flat", "one"):
        floor = read(tmp_path / "a.npz", node_targets=name).summary()["floors"]["nodes"]
        assert (floor["least_loss"], floor["least_error_percent"]) == (pytest.approx(np.log(2)), 50)
    for name in ("row", "scalar"):
        with pytest.raises(ValueError, match="node_targets: expected one target a site"):
            read(tmp_path / "a.npz", node_targets=name)


def test_numbers_of_the_other_byte_order(tmp_path: Path) -> None:
    """The same numbers, so the same symmetries: one site of a 4 x 4 lattice is left alone by D_4."""
    fields = np.zeros((1, 1, 4, 4))
    fields[0, 0, 1, 2] = 3.5
    for order in "<>":
        kind = f"{order}f8"
        np.savez(tmp_path / "a.npz", fields=fields.astype(kind), y=np.ones((1, 4, 4)).astype(f"{order}i4"))
        assert orders(read(tmp_path / "a.npz", node_targets="y")) == [8]
