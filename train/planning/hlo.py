"""Reads the collectives, and what they move, from the text of a compiled program."""

import collections
import math
import re
from typing import NamedTuple

KINDS: tuple[str, ...] = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
)
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.-]+) = (.*?) ([a-z][a-z-]*)\((.*)")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.-]+) .*\{$")
_ARRAY = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\]")
_NAME = re.compile(r"%([\w.-]+)")
_CALLED = re.compile(r"(?:body|condition|calls|to_apply)=%?([\w.-]+)")
_LOOP = re.compile(r"(?:body|condition)=%?([\w.-]+)")


class HloArray(NamedTuple):
    dtype: str
    shape: tuple[int, ...]

    @property
    def num_bytes(self) -> int:
        bits = re.search(r"\d+", self.dtype)
        width = int(bits[0]) if bits else 8  # pred
        return math.ceil(math.prod(self.shape) * width / 8)


class Collective(NamedTuple):
    """One collective operation of a program.

    Attributes:
      kind: one of `KINDS`.
      arrays: the whole arrays, as one device sees them: what it gets, which for a
        reduce-scatter is what it gives.
    """

    kind: str
    arrays: tuple[HloArray, ...]

    @property
    def num_bytes(self) -> int:
        return sum(array.num_bytes for array in self.arrays)


class _Instruction(NamedTuple):
    computation: str
    name: str
    shape: str
    opcode: str
    rest: str


def collectives(text: str) -> list[Collective]:
    """The collectives of `compiled.as_text()`, asynchronous ones once.

    Raises:
      ValueError: one is within a loop, so that the text alone does not say how often
        it runs.
    """
    instructions = _instructions(text)
    shapes = {found.name: found.shape for found in instructions}
    looped = _looped(instructions)
    result = []
    for found in instructions:
        # The result of a start holds the operands too; that of its end does not.
        kind = found.opcode.removesuffix("-done")
        if kind not in KINDS:
            continue
        if found.computation in looped:
            raise ValueError(
                f"{found.name} is within a loop; unroll it to count what it moves"
            )
        shape = found.shape
        if kind == "reduce-scatter":
            operands = _NAME.findall(found.rest.split(")")[0])
            shape = " ".join(shapes[operand] for operand in operands)
        result.append(Collective(kind, _arrays(shape)))
    return result


def bytes_by_kind(found: list[Collective]) -> dict[str, int]:
    """Each kind with the bytes of its arrays, 0 for those that do not occur."""
    total = dict.fromkeys(KINDS, 0)
    for collective in found:
        total[collective.kind] += collective.num_bytes
    return total


def _arrays(shape: str) -> tuple[HloArray, ...]:
    return tuple(
        HloArray(dtype, tuple(int(size) for size in sizes.split(",") if size))
        for dtype, sizes in _ARRAY.findall(shape)
    )


def _instructions(text: str) -> list[_Instruction]:
    computation, result = "", []
    for line in text.splitlines():
        if match := _INSTRUCTION.match(line):
            result.append(_Instruction(computation, *match.groups()))
        elif match := _COMPUTATION.match(line):
            computation = match[1]
    return result


def _looped(instructions: list[_Instruction]) -> set[str]:
    """The computations that loops run, and what these call."""
    calls: dict[str, set[str]] = collections.defaultdict(set)
    waiting: list[str] = []
    for found in instructions:
        calls[found.computation].update(_CALLED.findall(found.rest))
        if found.opcode == "while":
            waiting += _LOOP.findall(found.rest)
    looped: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in looped:
            looped.add(name)
            waiting += calls[name]
    return looped
