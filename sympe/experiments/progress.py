"""Progress: bars on a terminal, as tqdm draws them, in a log a line every 30 seconds at most; and single lines."""

from __future__ import annotations

import sys
import time
from typing import Any

from tqdm import tqdm

EVERY = 30.0
"""Seconds between two lines of a log."""


class Bar(tqdm):  # type: ignore[type-arg]
    """A bar of tqdm that is shown after five seconds; where standard error is no terminal it is told in lines.

    Example:
        >>> list(Bar(range(3)))
        [0, 1, 2]
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self.terminal = sys.stderr.isatty()
        self.told = -EVERY
        lines = {} if self.terminal else {"mininterval": EVERY, "maxinterval": EVERY, "leave": False, "ascii": True}
        super().__init__(*args, **{"delay": 5, **options, **lines})

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Draw, or write a line if none was written for a while."""
        if self.terminal:
            super().display(msg, pos)
        elif msg != "" and time.monotonic() - self.told >= EVERY:
            self.told = time.monotonic()
            print(self.__str__() if msg is None else msg, file=sys.stderr, flush=True)


def say(line: str) -> None:
    """Write a line to standard error, in place of what a bar has drawn there, perhaps by another process."""
    start = "\r\x1b[K" if sys.stderr.isatty() else ""
    print(f"{start}{line}", file=sys.stderr, flush=True)
