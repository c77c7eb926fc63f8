"""Lines for pip: of the package that is missing, of the whole extra, and true wherever sympe was installed from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from sympe.extras import missing, requirements

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("extra", ["experiments", "graphs", "pyg", "molecules", "dev", "docs"])
def test_requirements_are_those_of_pyproject(extra: str) -> None:
    written = (one.replace("_", "-").lower() for one in PROJECT["optional-dependencies"][extra])
    assert sorted(one.replace("_", "-").lower() for one in requirements(extra)) == sorted(written)


def test_an_unknown_extra_is_refused() -> None:
    with pytest.raises(ValueError, match="extra: expected one of this package, got 'chess'"):
        requirements("chess")


def test_one_package_is_named_by_its_own_requirement_and_an_unknown_one_by_all() -> None:
    assert str(missing("x needs", "fcd_torch", "molecules")) == (
        "x needs fcd_torch: pip install 'fcd-torch>=1.0.7' (in the extra [molecules] of sympe)"
    )
    text = str(missing("x needs", "PIL", "molecules"))
    assert all(f"'{one}'" in text for one in PROJECT["optional-dependencies"]["molecules"])
    assert text == str(missing("x needs", "PIL", "molecules", whole=True))


def named(text: str) -> list[str]:
    """The commands in a text that ask an index for this package."""
    return re.findall(r"pip install [^\n]*\bsympe\b\S*", text)


def test_no_message_asks_an_index_for_this_package() -> None:
    sources = [path for path in (ROOT / "sympe").rglob("*.py") if path.name != "extras.py"]
    assert len(sources) > 100
    found = {path.name: named(path.read_text()) for path in sources}
    assert {name: lines for name, lines in found.items() if lines} == {}
    assert named("raise ImportError(\"pip install 'sympe[pyg]'\")")  # what the test would find
