"""A run's step, compiled and never run: the memory that it takes and what it moves."""

import contextlib
import re
import time
from typing import Any, NamedTuple

import jax

from train.devices import topology
from train.experiment.run import Run
from train.planning import hlo
from train.training import program

# How TPU's compiler refuses a program: what it needs, and what there is.
_REFUSALS = (
    re.compile(r"\(([\d.]+)([KMGT]?)\) exceeds available HBM \(([\d.]+)([KMGT]?)\)"),
    re.compile(r"Used ([\d.]+)([KMGT]?) of ([\d.]+)([KMGT]?) hbm"),
)
_UNITS = ("", "K", "M", "G", "T")


class Memory(NamedTuple):
    """Bytes of a device that a program takes.

    Attributes:
      arguments: what the program is given; a new state takes the place of the old one.
      outputs: what it returns besides.
      temporaries: what it needs meanwhile.
      program: its own code, which on some platforms is elsewhere and then 0.
    """

    arguments: int
    outputs: int
    temporaries: int
    program: int

    @property
    def total(self) -> int:
        return sum(self)


class Compiled(NamedTuple):
    """A program for one of the devices that run it together.

    Attributes:
      memory: of a device.
      traffic: what collectives move in a call, by kind.
      seconds: that it took to compile.
    """

    memory: Memory
    traffic: list[hlo.Traffic]
    seconds: float


class Refused(NamedTuple):
    """There is no program, because it would not fit.

    Attributes:
      reason: who refused it, as the end of a sentence.
      needed: bytes of a device; None: it is not said.
      available: bytes that a device has; None: it is not said.
      seconds: that it took to find out.
    """

    reason: str
    needed: int | None
    available: int | None
    seconds: float


def step(run: Run, batch: Any, *, there: bool = True) -> Compiled | Refused:
    """Compiles the step of a run for the devices of its mesh.

    Args:
      run: of a config.
      batch: arrays, or their shapes with shardings.
      there: whether the devices are, or belong to a topology.
    """
    start = time.monotonic()
    lowered = program.jitted_step(run).lower(run.abstract_state, batch)
    try:
        with contextlib.nullcontext() if there else topology.uncached():
            done = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return refused(str(error), time.monotonic() - start)
    seconds = time.monotonic() - start
    found = hlo.collectives(done.as_text() or "")
    return Compiled(_memory(done.memory_analysis()), hlo.traffic(found), seconds)


def refused(message: str, seconds: float) -> Refused:
    """Reads what a compiler says of a program that does not fit its device."""
    for pattern in _REFUSALS:
        if match := pattern.search(message):
            needed, available = _bytes(*match.group(1, 2)), _bytes(*match.group(3, 4))
            return Refused("the compiler refuses it", needed, available, seconds)
    return Refused("the compiler refuses it", None, None, seconds)


def _bytes(number: str, unit: str) -> int:
    return round(float(number) * 1024 ** _UNITS.index(unit))


def _memory(used: Any) -> Memory:
    return Memory(
        arguments=used.argument_size_in_bytes,
        outputs=used.output_size_in_bytes - used.alias_size_in_bytes,
        temporaries=used.temp_size_in_bytes,
        program=used.generated_code_size_in_bytes,
    )
