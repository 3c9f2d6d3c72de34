"""The smallest change of a run that makes its step fit, found by compiling.

Each change is tried alone first, from the one that costs least: more parts of a batch
(`accumulate`), then `model.remat`, then `fsdp`, which all leave the results as they are
up to rounding. Those that help are tried together, two before three. Then the same in
bfloat16, and at last more chips.

Whether a change helps is seen from its program: several changes need not take less
memory than one of them, since sums of gradients and larger programs take their share.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from train.planning.compiled import Refused
from train.planning.plan import Plan

Fields = dict[str, Any]
PARTS = "accumulate"
BFLOAT16: Fields = {"model.dtype": "bfloat16"}


class Change(NamedTuple):
    """A change of a run.

    Attributes:
      fields: of the config, with their new values.
      topology: in place of the one that was asked for; None: the same.
    """

    fields: Mapping[str, Any]
    topology: str | None = None

    @property
    def flags(self) -> str:
        """What to add to the command line.

        >>> Change({"accumulate": 2, "model.remat": True}).flags
        '--config.accumulate=2 --config.model.remat=True'
        """
        of_config = [f"--config.{name}={value}" for name, value in self.fields.items()]
        of_chips = [] if self.topology is None else [f"--topology={self.topology}"]
        return " ".join([*of_config, *of_chips])


class Choices(NamedTuple):
    """What may still be changed.

    Attributes:
      parts: larger values of `accumulate` that the run allows, ascending.
      remat: whether the model has blocks that it could recompute, and does not.
      fsdp: whether there are devices to divide the state over, and it is not.
      bfloat16: whether the model computes in float32.
      topologies: larger ones than the run's, ascending.
    """

    parts: Sequence[int]
    remat: bool
    fsdp: bool
    bfloat16: bool
    topologies: Sequence[str]


class Found(NamedTuple):
    change: Change
    plan: Plan


# A change to the plan with it; None: the run is not possible with it.
Attempt = Callable[[Change], Plan | None]


def smallest(attempt: Attempt, choices: Choices, unchanged: Plan) -> Found | None:
    """The smallest change that was tried and fits; None: none does.

    Args:
      attempt: makes the plan of a change.
      choices: what may be changed.
      unchanged: the plan without a change, which does not fit.
    """
    tried = _Tried(attempt, unchanged)
    found = _alone(tried, choices) or _together(tried)
    if found is None and choices.bfloat16:
        found = _in_bfloat16(tried)
    return found or tried.first(Change({}, name) for name in choices.topologies)


class _Tried:
    """The changes that were tried, in turn, with the memory that each needs."""

    def __init__(self, attempt: Attempt, unchanged: Plan) -> None:
        self._attempt = attempt
        self._unchanged = _measured(unchanged)
        self.needs: list[tuple[Fields, float | None]] = []

    def first(self, changes: Iterable[Change]) -> Found | None:
        """Tries one after another, and returns the first that fits."""
        for change in changes:
            planned = self._attempt(change)
            if planned is None:
                continue
            self.needs.append((dict(change.fields), _measured(planned)))
            if planned.fits:
                return Found(change, planned)
        return None

    def first_of(self, fields: Iterable[Fields]) -> Found | None:
        return self.first(Change(each) for each in fields)

    def helpful(self) -> list[Fields]:
        """All so far but those that are known to need no less than no change."""
        return [
            fields
            for fields, need in self.needs
            if need is None or self._unchanged is None or need < self._unchanged
        ]

    def need(self, fields: Fields) -> float:
        """What was measured with these fields; infinite if nothing was."""
        need = next(need for each, need in self.needs if each == fields)
        return math.inf if need is None else need


def _measured(planned: Plan) -> float | None:
    """Bytes that a step needs; None: there was no need to compile, or it is not said.

    The memory of the train state alone, of a step that was not compiled, is less.
    """
    step = planned.step
    known = not isinstance(step, Refused) or step.needed != planned.state
    return planned.peak if known else None


def _alone(tried: _Tried, choices: Choices) -> Found | None:
    """Each field alone. Of the parts, more only as long as more take less memory."""
    before = math.inf
    for count in choices.parts:
        if found := tried.first_of([{PARTS: count}]):
            return found
        need = tried.needs[-1][1] if tried.needs else None
        if need is not None and need >= before:
            break
        before = math.inf if need is None else need
    others = {"model.remat": choices.remat, "fsdp": choices.fsdp}
    return tried.first_of({name: True} for name, possible in others.items() if possible)


def _together(tried: _Tried) -> Found | None:
    """Two or more of the fields that help; with fewer parts if that fits, too."""
    parts = [fields for fields in tried.helpful() if PARTS in fields]
    single = [fields for fields in tried.helpful() if PARTS not in fields]
    # The number of parts that helps most; the largest if none was measured.
    most = [min(reversed(parts), key=tried.need)] if parts else []
    found = tried.first_of(
        {name: value for fields in chosen for name, value in fields.items()}
        for count in range(2, len(most + single) + 1)
        for chosen in itertools.combinations(most + single, count)
    )
    if found is None or PARTS not in found.change.fields:
        return found
    fewer = [each for each in parts if each[PARTS] < found.change.fields[PARTS]]
    return tried.first_of({**found.change.fields, **each} for each in fewer) or found


def _in_bfloat16(tried: _Tried) -> Found | None:
    """bfloat16 alone, then with what helped most before, then with less than that."""
    before = tried.helpful()
    if found := tried.first_of([BFLOAT16]):
        return found
    if not before:
        return None
    most = min(reversed(before), key=tried.need)
    found = tried.first_of([{**most, **BFLOAT16}])
    if found is None:
        return None
    smaller = itertools.takewhile(lambda fields: fields != most, before)
    return tried.first_of({**fields, **BFLOAT16} for fields in smaller) or found
