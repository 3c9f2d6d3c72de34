"""Attacks one after another, each on the examples that those before it left robust."""

import dataclasses
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax
import numpy as np

from ikl_jax.attacks.common.attack import Attack
from ikl_jax.attacks.ensemble.batches import Batches
from ikl_jax.attacks.ensemble.inputs import Inputs
from ikl_jax.attacks.ensemble.judge import Judge


class Pass(NamedTuple):
    """One call of an attack for every example that is still robust.

    Attributes:
      stage: the name that its results are told under; neighbours of one name are one.
      attack: what is called.
      rank: which of the example's other classes is its target, 0 the most likely.
      restart: parts its random numbers from those of the stage's other restarts.
    """

    stage: str
    attack: Attack
    rank: int = 0
    restart: int = 0

    @property
    def seed(self) -> int:
        """Of its keys: the same whatever other passes there are."""
        name = f"{self.stage} {self.rank} {self.restart}"
        return zlib.crc32(name.encode()) & 0x7FFFFFFF


class Record(NamedTuple):
    """What one batch of one pass came to.

    The records of a run that was stopped are all that it takes to go on with it.

    Attributes:
      number: of the pass, from 0.
      rows: `[n]`, the examples that were attacked.
      broken: `[n]`, which of them are no longer robust.
      x_adv: `[broken.sum(), ...]` float32, by what.
      seconds: it took.
    """

    number: int
    rows: np.ndarray
    broken: np.ndarray
    x_adv: np.ndarray
    seconds: float


class Stage(NamedTuple):
    """A line of the result's table: what is left after an attack, and what it took."""

    name: str
    robust_accuracy: float
    seconds: float


@dataclasses.dataclass
class Progress:
    """How an evaluation stands; it changes with every record.

    Attributes:
      x_adv: `[N, ...]`, x itself where nothing was found.
      robust: `[N]`.
      stages: those that are complete.
      number: of the pass that is going on, of `passes` in all.
      seconds: of all records so far.
    """

    x_adv: np.ndarray
    robust: np.ndarray
    stages: list[Stage]
    number: int
    passes: int
    seconds: float = 0.0

    @property
    def robust_accuracy(self) -> float:
        """Of the examples so far."""
        return float(self.robust.mean())

    def add(self, record: Record) -> None:
        rows = record.rows[record.broken]
        self.x_adv[rows] = record.x_adv
        self.robust[rows] = False
        self.seconds += record.seconds


Report = Callable[[Record, Progress], None]


def run(
    passes: Sequence[Pass],
    inputs: Inputs,
    progress: Progress,
    judge: Judge,
    batches: Batches,
    journal: Iterable[Record],
    report: Report,
) -> None:
    """All passes, those of `journal` from it; `progress` is how it ends.

    What an attack says it found counts where the judge agrees.
    """
    recorded: dict[int, list[Record]] = {}
    for record in journal:
        recorded.setdefault(record.number, []).append(record)
    before = progress.seconds
    for number, current in enumerate(passes):
        progress.number = number
        left = np.flatnonzero(progress.robust)
        for record in recorded.get(number, ()):
            progress.add(record)
            left = np.setdiff1d(left, record.rows)
        for rows in batches.split(left):
            start = time.monotonic()
            broken, x_adv = _attacked(current, inputs, judge, batches, rows)
            seconds = time.monotonic() - start
            record = Record(number, rows, broken, x_adv[broken], seconds)
            progress.add(record)
            report(record, progress)
        if number + 1 == len(passes) or passes[number + 1].stage != current.stage:
            seconds, before = progress.seconds - before, progress.seconds
            stage = Stage(current.stage, progress.robust_accuracy, seconds)
            progress.stages.append(stage)


def _attacked(
    current: Pass,
    inputs: Inputs,
    judge: Judge,
    batches: Batches,
    rows: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Which of `rows` the pass breaks, and by what."""
    padded = batches.padded(rows)
    x, labels = batches.put(inputs.x[padded]), batches.put(inputs.labels[padded])
    targets = batches.put(inputs.targets[padded, current.rank])
    folded = jax.vmap(jax.random.fold_in, (0, None))(inputs.keys[padded], current.seed)
    found = current.attack(x, labels, targets, batches.put(folded))
    broken = np.asarray(found.broken) & judge(x, found.x_adv, labels, folded)
    return broken[: len(rows)], np.asarray(found.x_adv)[: len(rows)]
