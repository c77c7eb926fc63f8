"""What is asked of any file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sympe.files import READERS, Options
from tests.files.reading import read


def test_files_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="data: no file"):
        read(tmp_path / "a.smi")
    (tmp_path / "folder.smi").mkdir()
    with pytest.raises(FileNotFoundError, match=r"data: no file .*, but a folder: name the files in it"):
        read(tmp_path / "folder.smi")
    (tmp_path / "a.abc").touch()
    with pytest.raises(ValueError, match=f"data: expected a file that ends with {', '.join(READERS)}; got a.abc"):
        read(tmp_path / "a.abc")
    (tmp_path / "a.smi").write_text("CC")
    with pytest.raises(ValueError, match=r"node_targets: files that end with \.smi have none"):
        read(tmp_path / "a.smi", node_targets="y")


def test_a_tolerance_that_is_none() -> None:
    with pytest.raises(ValueError, match="tolerance: expected a finite number >= 0, got -1"):
        Options(tolerance=-1.0)
