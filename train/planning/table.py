"""A plan as it is printed."""

import math

from rich.console import Console
from rich.table import Table

from train.planning.compiled import Compiled
from train.planning.plan import Plan


def show(planned: Plan, console: Console) -> None:
    """The plan as a table, and a warning if a step does not fit."""
    table = Table(show_header=False)
    for name, text in _rows(planned):
        table.add_row(name, text)
    console.print(table)
    if not planned.fits:
        console.print(
            f"warning: a step needs {needs(planned)}: it will not fit; --fit finds, by "
            "compiling, the smallest change that does",
            highlight=False,
        )


def needs(planned: Plan) -> str:
    """What a step needs of each device, and what there is, for a sentence."""
    needed = "more" if planned.peak is None else size(planned.peak)
    if isinstance(planned.step, Compiled):
        return f"{needed} on each device, which has {_whole(planned)}"
    if planned.step.needed == planned.state:
        needed = f"{needed} for the train state alone"
    return (
        f"{needed} on each device, which has {_whole(planned)} ({planned.step.reason})"
    )


def _rows(planned: Plan) -> list[tuple[str, str]]:
    data, model = planned.devices
    each = planned.flops / planned.batch_size
    return [
        ("devices", f"{planned.count} x {planned.device}; data {data}, model {model}"),
        ("parameters", f"{planned.parameters:,}"),
        ("steps", f"{planned.steps:,}, {planned.steps_per_epoch:,} an epoch, of "
         f"{planned.batch_size} examples"),
        ("operations a step", f"{_operations(planned.flops)}; {_operations(each)} an "
         "example"),
        *_of_the_program(planned),
        ("hours of training", f"{_hours(planned.hours)} at {planned.tflops:.4g} "
         f"TFLOP/s a device, sustained ({planned.assumed})"),
    ]  # fmt: skip


def _of_the_program(planned: Plan) -> list[tuple[str, str]]:
    """What the compiler says."""
    needed = "?" if planned.peak is None else size(planned.peak)
    state = f"the train state {size(planned.state)}"
    memory = f"{needed} of {_whole(planned)}"
    if not isinstance(planned.step, Compiled):
        return [("memory a device", f"{memory}: {planned.step.reason}; {state}")]
    used, moved = planned.step.memory, planned.step.traffic
    rows = [
        ("memory a device", memory),
        ("  arguments", f"{size(used.arguments)}; {state}"),
        ("  temporaries", size(used.outputs + used.temporaries)),
        ("  program", size(used.program)),
    ]
    for each in moved:
        least = "at least " if each.at_least else ""
        rows.append(
            (each.kind, f"{least}{each.runs:,} a step, {size(each.num_bytes)} together")
        )
    if not moved and planned.count > 1:
        rows.append(("collectives", "none"))
    return [*rows, ("compiled in", f"{planned.step.seconds:,.0f} s")]


def _whole(planned: Plan) -> str:
    return "?" if planned.available is None else size(planned.available)


def size(count: float) -> str:
    """Bytes, with a prefix.

    >>> size(3 * 2**29)
    '1.5 GiB'
    """
    return _scaled(count, 1024, ["", "Ki", "Mi", "Gi", "Ti"]) + "B"


def _operations(count: float) -> str:
    return _scaled(count, 1000, ["", "k", "M", "G", "T", "P"]) + "FLOP"


def _hours(count: float) -> str:
    """Hours, of which the last digits would say nothing.

    >>> _hours(1297.1), _hours(3.602), _hours(2e-07)
    ('1,297', '3.6', 'less than 0.01')
    """
    if count >= 100:
        return f"{count:,.0f}"
    return f"{count:.3g}" if count >= 0.01 else "less than 0.01"


def _scaled(count: float, base: int, prefixes: list[str]) -> str:
    power = max(math.floor(math.log(max(count, 1), base)), 0)
    power = min(power, len(prefixes) - 1)
    return f"{count / base**power:.4g} {prefixes[power]}"
