"""How long is left is told by the pace of the work itself."""

from __future__ import annotations

import time

import pytest

from dsr.app.console import Pace


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_what_comes_first_and_what_was_done_before_do_not_count(clock: list[float]) -> None:
    pace = Pace(100)
    assert pace.left(40) is None  # resumed there
    clock[0] += 5
    assert pace.left(40) is None  # told again, as by a bar that starts
    clock[0] += 30  # tracing, and the first step
    assert pace.left(41) is None
    clock[0] += 2
    assert pace.left(42) == 58 * 2
    clock[0] += 2 * 8
    assert pace.left(50) == 50 * 2
    clock[0] += 100
    assert pace.left(100) == 0


def test_nothing_is_told_while_nothing_is_done(clock: list[float]) -> None:
    pace = Pace(10)
    for _ in range(3):
        clock[0] += 1
        assert pace.left(0) is None
