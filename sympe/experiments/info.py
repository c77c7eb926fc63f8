"""``sympe info``: what is installed here, what is not and brings what, and on what it can run."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from sympe.extras import EXTRAS, requirements


@dataclass
class Info:
    """Versions of sympe and of what it uses, which extras bring what is missing, and devices."""

    def __call__(self) -> None:
        """Print it."""
        print("\n".join(information()))


def information() -> list[str]:
    """The lines of ``sympe info``."""
    import torch  # slow to import, and help does not wait for it

    core = [_name(line) for line in requires("sympe") or () if "extra ==" not in line]
    brought: dict[str, list[str]] = {}
    for extra in EXTRAS:
        for line in requirements(extra):
            brought.setdefault(line, []).append(extra)
    wide = max(map(len, [*core, *map(_name, brought)]))
    lines = [
        f"{'sympe':{wide}}  {version('sympe')}, in {Path(__file__).parents[1]}",
        f"{'python':{wide}}  {platform.python_version()}",
        *(f"{name:{wide}}  {_version(name) or 'not installed'}" for name in core),
        "",
        "optional (extra):",
    ]
    for line, extras in sorted(brought.items()):
        found = _version(_name(line))
        told = found or f"not installed: pip install '{line}'"
        lines.append(f"{_name(line):{wide}}  {told} ({', '.join(extras)})")
    devices = [f"cpu: {os.cpu_count()} cores, {torch.get_num_threads()} threads"]
    devices += [f"cuda:{i}: {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    devices += ["mps"] * torch.backends.mps.is_available()
    return [*lines, "", "devices:", *(f"  {device}" for device in devices)]


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
