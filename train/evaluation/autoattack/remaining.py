"""How long AutoAttack still takes, from the work that is left."""

import time
from collections.abc import Sequence
from typing import Self

import jax
import numpy as np

from ikl_jax.attacks.ensemble.passes import Record

# Forward passes an example in one pass of an attack, where a gradient counts as 2.5:
# 100 gradients; 100 gradients and forward passes; 5,000 forward passes.
COSTS = {"apgd": 250.0, "fab": 350.0, "square": 5000.0}


class RemainingTime:
    """Estimates the time from the seconds that an example took in each attack.

    That of an attack is the time of its fastest batch, without compiling. For an attack
    that has not begun it follows from the others by their costs, and it will be
    compiled for as long as they were on average. The later passes will find fewer
    examples than are left now, which makes the estimate high.
    """

    def __init__(self, stages: Sequence[str]) -> None:
        """For the passes of an evaluation, each named by its stage."""
        self._stages = stages
        self._fastest: dict[str, float] = {}  # seconds an example, by stage
        self._compiling = 0.0  # seconds of all stages that have begun
        self._number = -1
        self._attacked = np.zeros(0, int)  # rows, in pass `_number`

    def add(self, record: Record, compiling: float = 0.0) -> None:
        """Takes note of a batch; `compiling` seconds of its time went into programs."""
        if record.number != self._number:
            self._number, self._attacked = record.number, np.zeros(0, int)
        self._attacked = np.concatenate([self._attacked, record.rows])
        stage = self._stages[record.number]
        seconds = max(record.seconds - compiling, 0.0) / len(record.rows)
        self._compiling += compiling
        self._fastest[stage] = min(seconds, self._fastest.get(stage, np.inf))

    def seconds(self, robust: np.ndarray) -> float | None:
        """The time of what is left after the last record; None: nothing is known.

        Args:
          robust: `[N]`, whether no pass so far has broken the example.
        """
        if not self._fastest:
            return None
        waiting = robust.copy()
        waiting[self._attacked] = False
        current, *later = self._stages[self._number :]
        begun = len(self._fastest)
        return float(
            waiting.sum() * self._an_example(current)
            + robust.sum() * sum(self._an_example(stage) for stage in later)
            + len({*later} - {*self._fastest}) * self._compiling / begun
        )

    def _an_example(self, stage: str) -> float:
        if stage in self._fastest:
            return self._fastest[stage]
        # Other delays only make an attack look slower, so take the fastest.
        unit = min(seconds / _cost(other) for other, seconds in self._fastest.items())
        return unit * _cost(stage)


class CompileTime:
    """Counts the seconds in which programs are compiled while it is entered.

    Attributes:
      seconds: in all.
    """

    EVENTS = (
        "/jax/core/compile/jaxpr_to_mlir_module_duration",
        "/jax/core/compile/backend_compile_duration",
    )

    def __init__(self) -> None:
        self.seconds = 0.0
        self._ends: list[tuple[float, float]] = []  # when, and how long it took

    def __enter__(self) -> Self:
        jax.monitoring.register_event_duration_secs_listener(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        jax.monitoring.unregister_event_duration_listener(self._count)

    def within(self, seconds: float) -> float:
        """Compile time within the last `seconds`."""
        start = time.monotonic() - seconds
        return sum(duration for end, duration in self._ends if end >= start)

    def _count(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event in self.EVENTS:
            self.seconds += duration_secs
            self._ends.append((time.monotonic(), duration_secs))


def _cost(stage: str) -> float:
    return COSTS[stage.partition("-")[0]]
