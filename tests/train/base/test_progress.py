"""Progress of long work: its rate, its remaining time, and how often it is printed."""

import pytest
from rich.console import Console

from train.base import progress
from train.base.progress import Pace, ProgressPrinter


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still; its only entry is the time."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_remaining_time_goes_by_the_work_done_since_the_start(clock):
    pace = Pace(done=40)
    assert pace.remaining(40, 100) is None
    clock[0] += 10
    assert pace.rate(60) == 2.0
    assert pace.remaining(60, 100) == 20.0
    assert pace.remaining(60, 80) == 10.0  # less work is left than was thought
    assert pace.remaining(100, 100) == 0.0


def test_lines_are_printed_from_time_to_time(clock, capsys):
    printer = ProgressPrinter(Console(), every=10.0)
    for seconds, done in ((9, 1), (1, 2), (9, 3), (1, 10)):
        clock[0] += seconds
        printer.update(done, 10, f"{done} of 10")
    assert capsys.readouterr().out.splitlines() == [
        "2 of 10  ETA 40s", "10 of 10  ETA 0s"
    ]  # fmt: skip


def test_no_remaining_time_before_any_work_is_done(clock, capsys):
    printer = ProgressPrinter(Console(), every=0.0)
    printer.update(0, 10, "0 of 10")
    assert capsys.readouterr().out == "0 of 10  ETA ?\n"
