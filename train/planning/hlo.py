"""Reads the collectives, and what they move, from the text of a compiled program."""

import collections
import math
import operator
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

KINDS: tuple[str, ...] = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
)
_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.-]+) = (.*?) ([a-z][a-z-]*)\((.*)")
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.-]+) .*\{$")
_ARRAY = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\]")
_NAME = re.compile(r"%([\w.-]+)")
_CALLED = re.compile(
    r"(?:calls|to_apply|true_computation|false_computation)=%?([\w.-]+)"
)
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_LOOP = re.compile(r"(?:body|condition)=%?([\w.-]+)")
_CONDITION = re.compile(r"condition=%?([\w.-]+)")
_ROUNDS = re.compile(r'known_trip_count"?:\s*\{"n":"(\d+)"')
_NUMBER = re.compile(r"\d+\)")


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
      times: how often a call of the program runs it; None: within a loop whose number
        of rounds the text does not say.
    """

    kind: str
    arrays: tuple[HloArray, ...]
    times: int | None = 1

    @property
    def num_bytes(self) -> int:
        """Of one of its runs."""
        return sum(array.num_bytes for array in self.arrays)


class Traffic(NamedTuple):
    """What the collectives of one kind move in a call of the program.

    Attributes:
      kind: one of `KINDS`.
      runs: how many there are, each as often as it is run.
      num_bytes: of the arrays of all these runs.
      at_least: whether some are within a loop of unknown length, and count once.
    """

    kind: str
    runs: int
    num_bytes: int
    at_least: bool


class _Instruction(NamedTuple):
    computation: str
    root: str
    name: str
    shape: str
    opcode: str
    rest: str


class _Program(NamedTuple):
    entry: str
    instructions: list[_Instruction]


def collectives(text: str) -> list[Collective]:
    """The collectives of `compiled.as_text()`, asynchronous ones once."""
    program = _program(text)
    shapes = {found.name: found.shape for found in program.instructions}
    times = _times(program)
    result = []
    for found in program.instructions:
        # The result of a start holds the operands too; that of its end does not.
        kind = found.opcode.removesuffix("-done")
        if kind not in KINDS:
            continue
        shape = found.shape
        if kind == "reduce-scatter":
            operands = _NAME.findall(found.rest.split(")")[0])
            shape = " ".join(shapes[operand] for operand in operands)
        result.append(Collective(kind, _arrays(shape), times[found.computation]))
    return result


def traffic(found: list[Collective]) -> list[Traffic]:
    """The kinds that occur, in the order of `KINDS`, with what each of them moves."""
    result = []
    for kind in KINDS:
        these = [each for each in found if each.kind == kind]
        runs = [1 if each.times is None else each.times for each in these]
        sizes = [each.num_bytes for each in these]
        if sum(runs):
            moved = sum(map(math.prod, zip(runs, sizes, strict=True)))
            at_least = any(each.times is None for each in these)
            result.append(Traffic(kind, sum(runs), moved, at_least))
    return result


def bytes_by_kind(found: list[Collective]) -> dict[str, int]:
    """Each kind with the bytes of its arrays, 0 for those that do not occur.

    Raises:
      ValueError: one is within a loop of which the text does not say how often it runs.
    """
    total = dict.fromkeys(KINDS, 0)
    for moved in traffic(found):
        if moved.at_least:
            raise ValueError(
                f"{moved.kind} within a loop of unknown length; unroll it to count "
                "what it moves"
            )
        total[moved.kind] = moved.num_bytes
    return total


def _arrays(shape: str) -> tuple[HloArray, ...]:
    return tuple(
        HloArray(dtype, tuple(int(size) for size in sizes.split(",") if size))
        for dtype, sizes in _ARRAY.findall(shape)
    )


def _program(text: str) -> _Program:
    entry, computation, instructions = "", "", []
    for line in text.splitlines():
        if match := _INSTRUCTION.match(line):
            instructions.append(_Instruction(computation, *match.groups()))
        elif match := _COMPUTATION.match(line):
            computation = match[2]
            entry = computation if match[1] else entry
    return _Program(entry, instructions)


def _times(program: _Program) -> dict[str, int | None]:
    """How often each computation runs in a call of the program; None: not known."""
    inside: dict[str, list[_Instruction]] = collections.defaultdict(list)
    for found in program.instructions:
        inside[found.computation].append(found)
    total: dict[str, int | None] = dict.fromkeys(inside, 0)

    def visit(computation: str, times: int | None) -> None:
        before = total.get(computation, 0)
        total[computation] = _of_known(operator.add, before, times)
        for found in inside[computation]:
            for called, rounds in _calls(found, inside):
                visit(called, _of_known(operator.mul, times, rounds))

    visit(program.entry, 1)
    return total


def _of_known(
    operation: Callable[[int, int], int], first: int | None, second: int | None
) -> int | None:
    """The result of an operation; None: a number is not known."""
    return None if first is None or second is None else operation(first, second)


def _calls(
    found: _Instruction, inside: dict[str, list[_Instruction]]
) -> Iterator[tuple[str, int | None]]:
    """The computations that an instruction runs, each with how often it does."""
    if found.opcode == "while":
        rounds = _rounds(found, inside)
        yield from ((name, rounds) for name in _LOOP.findall(found.rest))
    called = _CALLED.findall(found.rest)
    for branches in _BRANCHES.findall(found.rest):
        called += _NAME.findall(branches)
    yield from ((name, 1) for name in called)


def _rounds(loop: _Instruction, inside: dict[str, list[_Instruction]]) -> int | None:
    """The rounds of a loop that counts from 0 to a constant, as JAX's scans do."""
    if match := _ROUNDS.search(loop.rest):
        return int(match[1])
    (condition,) = _CONDITION.findall(loop.rest)
    limits = {
        each.name: int(each.rest.split(")")[0])
        for each in inside[condition]
        if each.opcode == "constant" and _NUMBER.match(each.rest)
    }
    for root in inside[condition]:
        if root.root and root.opcode == "compare" and "direction=LT" in root.rest:
            *_, limit = _NAME.findall(root.rest.split(")")[0])
            return limits.get(limit)
    return None
