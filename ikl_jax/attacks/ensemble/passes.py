"""Attacks one after another, each on the examples that those before it left robust."""

import dataclasses
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax.export
import numpy as np

from ikl_jax.attacks.common.attack import Attack
from ikl_jax.attacks.common.keys import fold_each
from ikl_jax.attacks.ensemble.batches import Batches
from ikl_jax.attacks.ensemble.inputs import Inputs
from ikl_jax.attacks.ensemble.judge import Judge


class Pass(NamedTuple):
    """One call of an attack for every example that is still robust.

    Attributes:
      stage: the name of its stage. Neighbouring passes with one name are one stage.
      attack: the attack to call.
      rank: which of the other classes is the target of an example, 0 the most likely.
        None: there is no target.
      restart: number of the restart, which gives it other random numbers.
    """

    stage: str
    attack: Attack
    rank: int | None = None
    restart: int = 0

    @property
    def seed(self) -> int:
        """Folded into its keys; it does not depend on the other passes."""
        name = f"{self.stage} {self.rank or 0} {self.restart}"
        return zlib.crc32(name.encode()) & 0x7FFFFFFF


class Record(NamedTuple):
    """The result of one batch of one pass.

    An evaluation that was stopped can go on from its records alone.

    Attributes:
      number: of the pass, from 0.
      rows: `[n]`, the examples that were attacked.
      broken: `[n]`, which of them are no longer robust.
      x_adv: `[broken.sum(), ...]` float32, their adversarial examples.
      seconds: the time that the batch took.
    """

    number: int
    rows: np.ndarray
    broken: np.ndarray
    x_adv: np.ndarray
    seconds: float


jax.export.register_namedtuple_serialization(
    Record, serialized_name="ikl_jax.attacks.Record"
)


class Stage(NamedTuple):
    """A line of the result's table: an attack, the accuracy after it, and its time."""

    name: str
    robust_accuracy: float
    seconds: float


@dataclasses.dataclass
class Progress:
    """How far an evaluation has come; it changes with every record.

    Attributes:
      x_adv: `[N, ...]`, adversarial examples, x itself where none was found.
      robust: `[N]`, whether no pass so far has broken the example.
      stages: the complete ones.
      number: of the current pass, from 0.
      passes: how many there are.
      seconds: the time of all records so far.
    """

    x_adv: np.ndarray
    robust: np.ndarray
    stages: list[Stage]
    number: int
    passes: int
    seconds: float = 0.0

    @property
    def robust_accuracy(self) -> float:
        """The share of examples that no pass so far has broken."""
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
    """Makes all passes, and updates `progress`.

    Batches that are in `journal` are taken from there. What an attack says it found
    counts if the judge agrees.
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
    """Which of `rows` the pass breaks, and their adversarial examples."""
    padded = batches.padded(rows)
    x, labels = batches.put(inputs.x[padded]), batches.put(inputs.labels[padded])
    targets = batches.put(inputs.targets_of(padded, current.rank))
    keys = fold_each(inputs.keys[padded], current.seed)
    found = current.attack(x, labels, targets, batches.put(keys))
    broken = np.asarray(found.broken) & judge(x, found.x_adv, labels, keys)
    return broken[: len(rows)], np.asarray(found.x_adv)[: len(rows)]
