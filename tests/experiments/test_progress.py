"""Progress bars in logs."""

from __future__ import annotations

import pytest

from sympe.experiments import progress


def test_a_log_has_a_line_every_thirty_seconds_at_most(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.Bar(total=1000, delay=0, desc="work") as bar:
        for number in range(1000):  # 100 seconds
            now[0] += 0.1
            bar.n = number
            bar.set_postfix({"loss": number}, refresh=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4  # at 0, 30, 60 and 90 seconds
    assert all(line.startswith("work: ") for line in lines)
    assert list(progress.Bar(range(3))) == [0, 1, 2]
    assert capsys.readouterr().err == ""
