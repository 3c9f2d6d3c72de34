"""The remaining time of AutoAttack, on a clock that goes as it should."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ikl_jax.attacks.ensemble.passes import Progress, Record
from train.base import progress as printers
from train.evaluation.autoattack import report as reports
from train.evaluation.autoattack.remaining import CompileTime
from train.evaluation.autoattack.report import Report

STAGES = ["apgd-ce"] + ["apgd-t"] * 9 + ["fab-t"] * 9 + ["square"]
# Seconds an example, and for compiling in an attack's first two batches.
SPEED = {"apgd-ce": 0.01, "apgd-t": 0.01, "fab-t": 0.014, "square": 0.2}
COMPILING = {"apgd-ce": 7.0, "apgd-t": 5.0, "fab-t": 4.0, "square": 6.0}
COUNT = 128


class Clock:
    """A clock that records move on, and a console that keeps what is printed."""

    def __init__(self):
        self.now, self.lines = 100.0, []

    def monotonic(self):
        return self.now

    def print(self, text, **_):
        self.lines.append((self.now, text))


class Compiling:
    seconds = 0.0

    def within(self, _):
        return self.seconds


def simulated(clock):
    """What AutoAttack would report; half are left after the first pass."""
    robust = np.ones(COUNT, bool)
    progress = Progress(np.zeros((COUNT, 1)), robust, [], 0, len(STAGES))
    compiling = Compiling()
    report = Report(lambda record: None, [], COUNT, STAGES, clock)
    report.compiling = compiling
    for number, stage in enumerate(STAGES):
        progress.number = number
        rows = np.flatnonzero(robust)
        for batch, part in enumerate(
            np.split(rows, [32, 64]) if number == 0 else [rows]
        ):
            first = STAGES.index(stage) == number and batch < 2
            compiling.seconds = COMPILING[stage] * first
            seconds = SPEED[stage] * len(part) + compiling.seconds
            broken = part % 2 == 1 if number == 0 else np.zeros(len(part), bool)
            record = Record(number, part, broken, np.zeros((broken.sum(), 1)), seconds)
            progress.add(record)
            clock.now += seconds
            report(record, progress)


def test_the_remaining_time_is_that_of_the_work(monkeypatch):
    """After every batch; most of the first pass's time is compiling."""
    clock = Clock()
    monkeypatch.setattr(printers, "time", clock)
    every_time = partial(printers.ProgressPrinter, every=0.0)
    monkeypatch.setattr(reports, "ProgressPrinter", every_time)
    simulated(clock)
    end = clock.now
    assert len(clock.lines) == 22
    assert clock.lines[0][1].startswith("pass 1/20  robust so far ")
    for now, line in clock.lines:
        remaining = float(line.partition("ETA at most ")[2].removesuffix("s"))
        assert 0.9 * (end - now) <= remaining < 2 * (end - now) + 10, line


def test_an_evaluation_that_goes_on_knows_its_attacks_from_the_journal(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(printers, "time", clock)
    rows = np.arange(COUNT)
    none = np.zeros(COUNT, bool)
    earlier = [Record(0, rows, none, np.zeros((0, 1)), 1.28)]
    report = Report(lambda record: None, earlier, COUNT, STAGES[:3], clock)
    report.compiling = Compiling()
    first = Record(1, rows[:64], none[:64], np.zeros((0, 1)), 30.64)
    progress = Progress(np.zeros((COUNT, 1)), ~none, [], 1, 3)
    clock.now += 30.64
    report(first, progress)
    second = Record(1, rows[64:96], none[:32], np.zeros((0, 1)), 0.64)
    clock.now += 10.0
    report(second, progress)
    # 32 examples of this pass, and 128 of the last, at 0.02 seconds each.
    assert [line.partition("ETA ")[2] for _, line in clock.lines] == [
        "at most 92s", "at most 3s",
    ]  # fmt: skip


def test_the_time_of_compiling_is_counted_while_entered():
    with CompileTime() as compiling:
        jax.jit(lambda x: x * 3.25 - 1.5)(jnp.arange(17.0)).block_until_ready()
        seconds = compiling.seconds
        assert 0 < seconds == compiling.within(100.0)
        assert compiling.within(0.0) == 0
    jax.jit(lambda x: x * 3.5 - 1.25)(jnp.arange(18.0)).block_until_ready()
    assert compiling.seconds == seconds
