"""A plan as it is printed."""

import dataclasses
import io

from train.base import terminal
from train.planning import table
from train.planning.compiled import Compiled, Memory, Refused
from train.planning.hlo import Traffic
from train.planning.plan import Plan

GIB = 2**30
MOVED = [
    Traffic("all-reduce", 129, 370_600_000, False),
    Traffic("all-gather", 2, 4096, True),
]
PLANNED = Plan(
    device="TPU v5 lite (v5e:2x2)", devices=(4, 1), parameters=46_218_164, batch_size=128,
    steps_per_epoch=391, steps=78_200, flops=39_210_000_000_000, state=5 * GIB,
    step=Compiled(Memory(6 * GIB, GIB, 2 * GIB, GIB // 2), MOVED, 1260.4),
    available=round(15.75 * GIB), tflops=59.1, assumed="30 % of the peak; --peak_share",
)  # fmt: skip


def shown(planned):
    file = io.StringIO()
    table.show(planned, terminal.console(file=file, width=100))
    return [line.strip("│ \n") for line in file.getvalue().splitlines()]


def cells(planned):
    return {
        name.strip(): text.strip()
        for name, found, text in (line.partition("│") for line in shown(planned))
        if found
    }


def test_what_each_chip_would_hold_and_what_moves():
    assert cells(PLANNED) == {
        "devices": "4 x TPU v5 lite (v5e:2x2); data 4, model 1",
        "parameters": "46,218,164",
        "steps": "78,200, 391 an epoch, of 128 examples",
        "operations a step": "39.21 TFLOP; 306.3 GFLOP an example",
        "memory a device": "9.5 GiB of 15.75 GiB",
        "arguments": "6 GiB; the train state 5 GiB",
        "temporaries": "3 GiB",
        "program": "512 MiB",
        "all-reduce": "129 a step, 353.4 MiB together",
        "all-gather": "at least 2 a step, 4 KiB together",
        "compiled in": "1,260 s",
        "hours of training": "3.6 at 59.1 TFLOP/s a device, sustained (30 % of the peak; "
        "--peak_share)",
    }
    assert not any("warning" in line for line in shown(PLANNED))


def test_a_step_that_does_not_fit():
    small = dataclasses.replace(PLANNED, available=9 * GIB)
    assert not small.fits
    (warning,) = [line for line in shown(small) if "warning" in line]
    assert (
        "a step needs 9.5 GiB on each device, which has 9 GiB: it will not fit"
        in warning
    )


def test_a_step_that_the_compiler_refuses():
    refusal = Refused("the compiler refuses it", 20 * GIB, round(15.75 * GIB), 300.0)
    refused = dataclasses.replace(PLANNED, step=refusal)
    said = "20 GiB of 15.75 GiB: the compiler refuses it; the train state 5 GiB"
    assert cells(refused)["memory a device"] == said
    assert "all-reduce" not in cells(refused)
    assert "20 GiB on each device, which has 15.75 GiB (the compiler" in table.needs(
        refused
    )
    unknown = dataclasses.replace(refused, step=refusal._replace(needed=None))
    assert table.needs(unknown).startswith("more on each device, which has 15.75 GiB")
    assert not refused.fits
    assert not unknown.fits


def test_a_state_that_alone_is_too_large():
    step = Refused("not compiled", 5 * GIB, 4 * GIB, 0.0)
    alone = dataclasses.replace(PLANNED, step=step, available=4 * GIB)
    assert table.needs(alone) == (
        "5 GiB for the train state alone on each device, which has 4 GiB (not compiled)"
    )


def test_devices_that_exchange_nothing():
    apart = dataclasses.replace(PLANNED, step=PLANNED.step._replace(traffic=[]))
    assert cells(apart)["collectives"] == "none"
    assert "collectives" not in cells(dataclasses.replace(apart, devices=(1, 1)))
