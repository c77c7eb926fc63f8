"""XYZ (.xyz): frames of atoms in space, one after the other; columns after the position are not looked at."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from sympe.files.base import Loaded, unpacked
from sympe.files.options import Options
from sympe.graphs import Clouds

SYMBOLS = re.findall(
    "[A-Z][a-z]?",
    "XHHeLiBeBCNOFNeNaMgAlSiPSClArKCaScTiVCrMnFeCoNiCuZnGaGeAsSeBrKrRbSrYZrNbMoTcRuRhPdAgCdInSnSbTeIXeCsBaLaCePrNdPmSm"
    "EuGdTbDyHoErTmYbLuHfTaWReOsIrPtAuHgTlPbBiPoAtRnFrRaAcThPaUNpPuAmCmBkCfEsFmMdNoLrRfDbSgBhHsMtDsRgCnNhFlMcLvTsOg",
)
"""Symbols of the elements by atomic number; X is none."""

_NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS)}


def read(path: Path, options: Options) -> Iterator[Loaded]:
    """Every frame as a cloud; what stands after one that cannot be read is not looked for."""
    with path.open("rb") as file, unpacked(path.name, file) as (name, stream):
        yield from frames(name, stream)


def frames(name: str, file: io.BufferedIOBase) -> Iterator[Loaded]:
    r"""The frames of a file, by their number.

    Example:
        >>> (one,) = frames("a.xyz", io.BytesIO(b"2\nhydrogen\nH 0 0 0\nH 0 0 0.74\n"))
        >>> one.name, one.content
        ('a.xyz:1', Clouds(1 of 2 points in space, padded to 2))
    """
    with io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace") as text:  # type: ignore[type-var]
        for number in itertools.count(1):
            first = next((line for line in text if line.strip()), None)
            if first is None:
                return
            place = f"{name}:{number}"
            if not first.strip().isdecimal():
                yield Loaded(place, f"expected the number of atoms, got {first.strip()[:60]!r}")
                return
            count = int(first)
            rows = list(itertools.islice(text, 1, 1 + count))
            if len(rows) < count:
                yield Loaded(place, f"expected {count} atoms, got {len(rows)}")
                return
            yield Loaded(place, cloud_of_rows(rows))


def cloud_of_rows(rows: Sequence[str]) -> Clouds | str:
    """The atoms of lines of symbol (or number) and position; or what is wrong."""
    types, positions = [], []
    for row in rows:
        symbol, *numbers = row.split()[:4] or [""]
        number = int(symbol) if symbol.isdecimal() else _NUMBERS.get(symbol.capitalize())
        if number is None or number >= len(SYMBOLS):
            return f"expected the symbol of an element, got {symbol!r}"
        try:
            x, y, z = map(float, numbers)
        except ValueError:
            return f"expected three numbers for a position, got {' '.join(numbers)!r}"
        types.append(number)
        positions.append((x, y, z))
    if not types:
        return "expected at least one atom"
    try:
        return Clouds.from_positions(
            torch.tensor([positions], dtype=torch.float64), torch.tensor([types], dtype=torch.int64)
        )
    except ValueError as error:
        return str(error)
